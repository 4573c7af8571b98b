"""Types of media as networks and their tools write them: "IG reel", "GraphSidecar", "Carrousel"."""

from __future__ import annotations

import re

from evoked.posts.readers.plain_signs import folded, plain_signs
from evoked.posts.readers.words import kinds

_KINDS = ("carousel", "video", "image", "text")
"""The first of these that a name has a word of counts: a video post is a video."""

_NUMBERS = {"1": "image", "2": "video", "8": "carousel"}  # of Instagram's own interface
_PARTS = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def media_type(name: str) -> str:
    """One of image, carousel, video, text for a network's name of it, in many languages.

    Raises
    ------
    ValueError
        No type is known by such a name.

    Examples
    --------
    >>> [media_type(name) for name in ("IG reel", "XDTGraphSidecar", "IG-Bild", "Photo album")]
    ['video', 'carousel', 'image', 'carousel']
    """
    words = _PARTS.findall(folded(plain_signs(_CAMEL.sub(" ", name))))
    found = [kind for word in words if (kind := _kind(word))]
    if found:
        return min(found, key=_KINDS.index)
    if len(words) == 1 and words[0] in _NUMBERS:
        return _NUMBERS[words[0]]
    raise ValueError("not a known type of media")


def _kind(word: str) -> str:
    """The type that a word names, by itself or as a part of a compound; "" if it names none."""
    kind_of = kinds("media_types")
    if word in kind_of or word.isdecimal():
        return str(kind_of.get(word, ""))
    parts = [kind for part, kind in kind_of.items() if part in word and _may_be_part(part)]
    return min(parts, key=_KINDS.index, default="")


def _may_be_part(word: str) -> bool:
    # Compounds as in German (Videobeitrag), and words that no spaces separate, as in Chinese.
    return len(word) >= 5 or word > "\u2e80"
