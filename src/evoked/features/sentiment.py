"""The feature ``sentiment.text``: how positive a text is, in five levels (EIJL, Section 3).

The reader depends on script and language: SnowNLP reads Chinese, VADER reads English, and in any
other language VADER reads only the emoji. What neither can read has no sentiment, which isn't the
same as a neutral one.

Both libraries read only the data that they are installed with. SnowNLP's is in Python's ``marshal``
format, inside its installed package; no file of a user is ever read in that way.

Sources: Leng and Yan 2025 (EIJL) for the five levels; Hutto and Gilbert 2014 (VADER); SnowNLP, a
naive Bayes classifier of Chinese shopping reviews.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

SENTIMENT_LEVELS = (
    "very negative",
    "slightly negative",
    "neutral",
    "slightly positive",
    "very positive",
)
"""The paper's levels, in order. It gives no bounds: ours divide [-1, 1] into
fifths."""

SENTIMENT_NAMES = ("polarity", *SENTIMENT_LEVELS)
"""Names of the columns of ``sentiment.text``."""

Language = Literal["chinese", "english", "emoji", "unknown"]

# Naive Bayes takes time in proportion to the text, some milliseconds for a sentence.
_MAX_CHINESE_CHARACTERS = 1000
_MAX_CHARACTERS = 5000

_BORDERS = np.array([-0.6, -0.2, 0.2, 0.6])
_VERSION = 1

_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_HAN = re.compile(r"[㐀-䶿一-鿿]")
_KANA = re.compile(r"[぀-ヿ]")
_WORD = re.compile(r"[^\W\d_]+")
# Words that are frequent in one language and rare in the others.
_ENGLISH = """
    the and is are was were be been this that these those of for with you your my our their his her
    it its to at from by not but have has had will would can could just so what when how why who all
    we they i im
"""
_OTHER_LANGUAGES = """
    der die das und ist nicht ich mit ein eine auf auch für von den dem het een niet van voor zijn
    le la les et est une des pas pour dans qui avec sur je nous vous cette ce au du
    el los las que una por para con del es muy este esta su não uma com em il che non della per sono
    ve bir bu için yang dan di ini untuk nie jest się och det som att på är
"""
_ENGLISH_WORDS = frozenset(_ENGLISH.split())
_OTHER_WORDS = frozenset(_OTHER_LANGUAGES.split())


def text_sentiment(texts: Sequence[str | None]) -> NDArray[np.float32]:
    """How positive texts are.

    Parameters
    ----------
    texts
        n captions, in any language, emoji and capitals as they were written.

    Returns
    -------
    float32, (n,)
        Polarity in [-1, 1]: twice SnowNLP's probability of a positive text, less one (Chinese; at
        most 1000 characters are read), or VADER's compound score (English, and the emoji of other
        texts). NaN for a text in another language without emoji, and for one without letters and
        emoji.

    Examples
    --------
    >>> text_sentiment(["I love it!", "Das ist gut", None]).round(2)
    array([0.67,  nan,  nan], dtype=float32)
    """
    read = {"chinese": _read_chinese, "english": _read_english, "emoji": _read_emoji}
    cut = [text[:_MAX_CHARACTERS] if isinstance(text, str) else "" for text in texts]
    languages = [language_of(text) for text in cut]
    return np.array(
        [
            read[language](text) if language in read else np.nan
            for text, language in zip(cut, languages, strict=True)
        ],
        dtype=np.float32,
    )


def sentiment_levels(polarity: ArrayLike) -> NDArray[np.float64]:
    """Number of the level in :data:`SENTIMENT_LEVELS` of polarities in [-1, 1]; NaN stays NaN.

    Examples
    --------
    >>> sentiment_levels([-0.9, 0.0, 0.3, float("nan")])
    array([ 0.,  2.,  3., nan])
    """
    values = np.asarray(polarity, dtype=np.float64)
    levels = np.searchsorted(_BORDERS, values, side="right")
    return np.where(np.isnan(values), np.nan, levels)


def sentiment_features(texts: Sequence[str | None]) -> NDArray[np.float32]:
    """The feature ``sentiment.text``: float32, (n, 6), polarity and the five levels as 0 and 1;
    NaN where a text can't be read."""
    polarity = text_sentiment(texts)
    levels = sentiment_levels(polarity)
    one_hot = np.where(
        np.isnan(levels)[:, None],
        np.nan,
        levels[:, None] == np.arange(len(SENTIMENT_LEVELS)),
    )
    return np.concatenate([polarity[:, None], one_hot], axis=1).astype(np.float32)


def sentiment_fingerprint() -> str:
    """Changes whenever a reading could change."""
    libraries = (f"{name}-{version(name)}" for name in ("snownlp", "vaderSentiment"))
    return f"sentiment:{_VERSION}:{':'.join(libraries)}"


def language_of(text: str) -> Language:
    """Who can read a text: a language, ``emoji`` or ``unknown``.

    Chinese: most of its letters are Han characters, and none is Japanese kana. English: most are
    Latin, and frequent words of other languages don't outnumber those of English (so a few words
    that could be of any language count as English). Otherwise ``emoji`` if it has any that VADER
    knows, or ``unknown``.
    """
    letters = len(_LETTER.findall(text))
    if letters and 2 * len(_HAN.findall(text)) > letters and not _KANA.search(text):
        return "chinese"
    if letters and 2 * len(_LATIN.findall(text)) > letters and _looks_english(text):
        return "english"
    return "emoji" if _emoji_of(text) else "unknown"


def _looks_english(text: str) -> bool:
    words = [word.lower() for word in _WORD.findall(text)]
    english = sum(word in _ENGLISH_WORDS for word in words)
    # Accents are evidence of another language, too, except in a single word such as 'café'.
    accented = sum(not word.isascii() and bool(_LATIN.search(word)) for word in words)
    others = sum(word in _OTHER_WORDS for word in words) + max(accented - 1, 0)
    return english >= others


def _read_chinese(text: str) -> float:
    normal, sentiment = _snownlp()
    simplified = normal.zh2hans(text[:_MAX_CHINESE_CHARACTERS])
    return 2.0 * float(sentiment.classify(simplified)) - 1.0


def _read_english(text: str) -> float:
    return float(_vader().polarity_scores(text)["compound"])


def _read_emoji(text: str) -> float:
    return _read_english(" ".join(_emoji_of(text)))


def _emoji_of(text: str) -> list[str]:
    if text.isascii():
        return []
    known = _vader().emojis
    return [character for character in text if character in known]


@lru_cache(maxsize=1)
def _snownlp() -> tuple[Any, Any]:
    # Loads its dictionaries, which takes seconds.
    from snownlp import normal, sentiment

    return normal, sentiment


@lru_cache(maxsize=1)
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
