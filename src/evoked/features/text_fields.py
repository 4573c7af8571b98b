"""The texts of a post that the text encoder reads, each with its own family of features.

``title`` and ``context`` are the two inputs of the PixelRec report's regression model (its Section
4.3), ``text`` the one of its classifiers (Sections 4.1 and 4.2). What the report calls tags and
description are hashtags and caption here. Tags that are in the caption anyway are not repeated, so
that ``context`` and ``text`` of a post without a title and without further tags are its caption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from evoked.posts.columns import Posts


TextField = Literal["caption", "title", "context", "text"]
TEXT_FIELDS: tuple[TextField, ...] = ("caption", "title", "context", "text")


def texts_of(posts: Posts, field: TextField) -> list[str | None]:
    """A text per post, None where there is none.

    Parameters
    ----------
    posts
        n posts with the columns of :mod:`evoked.posts.schema`; absent ones count as empty.
    field
        ``caption`` or ``title``; ``context``: tags, caption; ``text``: title, tags, caption, where
        a caption that only repeats the title is left out.
    """
    captions, titles = _column(posts, "caption"), _column(posts, "title")
    if field in ("caption", "title"):
        return [_text(value) for value in (captions if field == "caption" else titles)]
    parts = zip(titles, _column(posts, "hashtags"), captions, strict=True)
    return [
        _joined(
            [
                title if field == "text" else None,
                _other_tags(tags, caption),
                None if caption == title else caption,
            ]
        )
        for title, tags, caption in parts
    ]


def _column(posts: Posts, name: str) -> list[Any]:
    return list(posts[name]) if name in posts else [None] * len(posts)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _other_tags(tags: Any, caption: Any) -> str | None:
    if not isinstance(tags, Iterable) or isinstance(tags, str):
        return None
    said = caption.casefold() if isinstance(caption, str) else ""
    other = [f"#{tag}" for tag in tags if f"#{tag}".casefold() not in said]
    return " ".join(other) or None


def _joined(parts: Sequence[Any]) -> str | None:
    found = [text for text in map(_text, parts) if text is not None]
    return "\n".join(found) or None
