"""Captions, prepared for encoders and lexicons (ABMF, Table 3).

An encoder gets whole words, since WordPiece was trained on text without stemming. Porter's stems
are for lexical features only (:func:`stems`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Literal

import emoji

MAX_CHARACTERS = 10_000

TextStep = Literal["urls", "hashtags", "emoji", "lower"]
TEXT_STEPS: tuple[TextStep, ...] = ("urls", "hashtags", "emoji", "lower")

# Every repetition is bounded, so that no text takes more than linear time.
_URL = re.compile(
    r"(?:https?://|www\.)\S{1,2000}|\b(?:[\w-]{1,63}\.){1,4}[a-z]{2,24}/\S{0,2000}", re.IGNORECASE
)
_HASHTAG = re.compile(r"[#＃](?=\w)(\w{1,200})")
_CAMEL_CASE = re.compile(
    r"(?<=[a-zß-öø-ÿ0-9])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])"
)
# Runs of characters that may be emoji, so that the (slow) search for emoji reads only these.
_MAY_BE_EMOJI = re.compile(
    "[0-9#*]\ufe0f?\u20e3"
    "|[\u203c-\u303d\u3297\u3299\U0001f000-\U0001faff]"
    "[\u200d\ufe0f\u20e3\u203c-\u303d\u3297\u3299\U0001f000-\U0001faff\U000e0020-\U000e007f]{0,60}"
)
_SKIN_TONE = re.compile("[\U0001f3fb-\U0001f3ff]")
# Halves of surrogate pairs, which no tokenizer takes; bidirectional and zero-width marks; remains
# of emoji. The zero-width joiners stay: Persian and Indic spelling needs them.
_INVISIBLE = re.compile(
    "[\ud800-\udfff\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe0f\ufeff]"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_WORD = re.compile(r"[^\W_]{1,100}(?:['’][^\W_]{1,10})?")


def prepare(
    texts: Sequence[str | None],
    *,
    steps: Collection[TextStep] = TEXT_STEPS,
    max_characters: int = MAX_CHARACTERS,
) -> list[str]:
    """Clean texts for an encoder (ABMF, Table 3).

    In any case, control characters are removed, stylised letters (𝓰𝓸𝓸𝓭) become plain ones, and
    runs of white space become one space. Every language and direction of writing is kept.

    Parameters
    ----------
    texts
        n captions; None, or anything else that is not a string, becomes "".
    steps
        What else is done: ``urls`` are removed, ``hashtags`` become words
        ("#goodVibes": "good vibes"), ``emoji`` become their English names, and letters become
        ``lower`` case.
    max_characters
        Number of characters of each text that are read, and the longest result.

    Returns
    -------
    list of str
        n texts.

    Examples
    --------
    >>> prepare(["SO happy 😍 #goodVibes https://t.co/x", None])
    ['so happy smiling face with heart-eyes good vibes', '']
    >>> prepare(["SO happy 😍 #goodVibes"], steps=["lower"])
    ['so happy 😍 #goodvibes']
    """
    return [
        _prepared(text, steps, max_characters) if isinstance(text, str) else "" for text in texts
    ]


def stems(texts: Sequence[str | None]) -> list[list[str]]:
    """Porter's stems of the words of prepared texts, for lexical features only.

    Words with letters other than a–z stay as they are, for the rules are English. Source: Porter
    1980.

    Examples
    --------
    >>> stems(["amazing sunsets, été"])
    [['amaz', 'sunset', 'été']]
    """
    return [[stem(word) for word in _WORD.findall(text.lower())] for text in prepare(texts)]


def part_emoji(text: str) -> tuple[str, list[str]]:
    """A text without its emoji, and the emoji in reading order, without skin tones.

    Examples
    --------
    >>> part_emoji("so 😍👍🏽 happy")
    ('so    happy', ['😍', '👍'])
    """
    found: list[str] = []

    def take(run: re.Match[str]) -> str:
        rest, symbols = _parted(run[0])
        found.extend(symbols)
        return rest

    return _MAY_BE_EMOJI.sub(take, text), found


def _prepared(text: str, steps: Collection[TextStep], max_characters: int) -> str:
    text = unicodedata.normalize("NFKC", _CONTROL.sub(" ", text[:max_characters]))
    if "urls" in steps:
        text = _URL.sub(" ", text)
    if "hashtags" in steps:
        text = _HASHTAG.sub(_words_of_hashtag, text)
    if "emoji" in steps:
        text = _MAY_BE_EMOJI.sub(lambda run: _named(run[0]), text)
    text = " ".join(_INVISIBLE.sub("", text).split())[:max_characters]
    return text.lower() if "lower" in steps else text


def _words_of_hashtag(match: re.Match[str]) -> str:
    # Spaces on both sides separate "#one#two".
    return f" {_CAMEL_CASE.sub(' ', match[1]).replace('_', ' ')} "


@lru_cache(maxsize=10_000)
def _named(run: str) -> str:
    return emoji.replace_emoji(_SKIN_TONE.sub("", run), _name_of_emoji)


@lru_cache(maxsize=10_000)
def _parted(run: str) -> tuple[str, tuple[str, ...]]:
    run = _SKIN_TONE.sub("", run)
    symbols = tuple(each["emoji"] for each in emoji.emoji_list(run))
    return emoji.replace_emoji(run, " "), symbols


def _name_of_emoji(_characters: str, entry: dict[str, Any]) -> str:
    return f" {entry['en'].strip(':').replace('_', ' ')} "


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Porter's stem of a word in lower case; words with letters other than a–z stay as they are.

    Examples
    --------
    >>> stem("sunsets")
    'sunset'
    """
    return _stemmer().stem(word) if word.isascii() else word


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    # Imports all of nltk, which takes a second.
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()
