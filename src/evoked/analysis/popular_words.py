"""Which words and emoji popular posts use (Dual-Attention, Section IV-F, Figure 8).

A word occurs m_p times in popular captions and m_n times in unpopular ones, and words are ranked by
m_p − m_n. The paper stops there. A word of one prolific author can rank high without meaning
anything for others, and of a thousand words some rank high by luck: here every word is tested with
authors as the observations, and p-values are corrected over all words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import emoji
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

from evoked.analysis._function_words import FUNCTION_WORDS
from evoked.errors import DataError
from evoked.evaluation.corrections import attainable, benjamini_hochberg
from evoked.evaluation.sign_flips import (
    FEWEST_UNITS,
    column_p,
    flipping_units,
    least_p,
    unit_differences,
)
from evoked.features.captions import part_emoji, prepare

MIN_COUNT = 10
_SHUFFLES = 20
_LEVEL = 0.05

_MENTION = re.compile(r"[\w.+-]{0,64}@[\w.]{1,64}")
_DOMAIN = re.compile(r"\b(?:[\w-]{1,63}\.){1,4}(?:com|net|org|info|ly)\b")
# Chinese and Japanese are written without spaces: there, every character counts as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# In "l'été" the word follows the apostrophe, in "dog's" it precedes it.
_ELIDED = frozenset(("l", "d", "j", "c", "n", "m", "t", "s", "qu", "un", "all", "dell", "nell"))

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class TextStatistics:
    """Words and emoji of popular and unpopular captions.

    Attributes
    ----------
    words, emoji
        A row per word or emoji, by falling difference: ``word`` or ``emoji`` and ``name``,
        ``popular`` (m_p, occurrences), ``unpopular`` (m_n), ``difference`` (m_p − m_n), ``posts``
        and ``authors`` that use it, ``band`` (words: top 25 %, middle 50 %, bottom 25 %; emoji: top
        50 %, bottom 50 %; equal differences share a band), ``p`` (exact test of authors, see
        :func:`evoked.evaluation.sign_flips.sign_flip_p`), ``p_bh`` (corrected over the table:
        Benjamini and Hochberg; NaN for those with so few authors that no difference could have
        passed, which are not counted: see :func:`evoked.evaluation.corrections.attainable`),
        ``p_posts`` (binomial, as if every occurrence were independent).
    summary
        A row for each kind of ``text``: ``different`` ones found, and of these left out as
        ``function_words``, ``rare`` or ``of_few_authors``; ``kept``; ``tested`` (those with
        p_bh), ``significant`` (p_bh below 0.05), ``significant_shuffled`` (their mean number in 20
        shuffles, where a coin per author decides whether popular and unpopular posts change
        places), ``nominal`` and ``nominal_shuffled`` (share of the kept with p below 0.05);
        ``popular_total`` and ``unpopular_total`` (occurrences of the kept).
    n_popular, n_unpopular, authors
        Captions that were counted, and their authors.
    unit
        Whether the tests treat an ``author`` or a ``post`` as one observation.
    """

    words: pd.DataFrame
    emoji: pd.DataFrame
    summary: pd.DataFrame
    n_popular: int
    n_unpopular: int
    authors: int
    unit: str


def text_statistics(
    captions: Sequence[str | None],
    popular: ArrayLike,
    authors: ArrayLike | None = None,
    *,
    min_count: int = MIN_COUNT,
    seed: int = 0,
) -> TextStatistics:
    """Count words and emoji of popular and unpopular captions, and test their differences.

    As in Section IV-F, function words (pronouns, prepositions, articles, auxiliary verbs; of nine
    languages), numbers and single letters are left out, and words "used only in special
    conditions": by fewer than 6 authors, or more than half of the time by one. With fewer than 6
    authors who have both kinds of posts, posts take the authors' place.

    Parameters
    ----------
    captions
        n captions of posts that are popular or unpopular; hashtags in them count as words,
        addresses and mentions of accounts don't.
    popular
        (n,) bool.
    authors
        (n,): author of each post. Posts whose author is not known, or has only one kind of posts,
        are not counted.
    min_count
        Words that occur less often are left out as rare.
    seed
        Random seed of the shuffles.

    Raises
    ------
    DataError
        All posts are popular, or none is.
    """
    kind = np.asarray(popular, dtype=bool)
    if not 0 < kind.sum() < len(kind):
        raise DataError("words can be compared only between popular and unpopular posts.")
    units = flipping_units(authors, kind)
    used = np.ones(len(kind), dtype=bool) if units is None else units >= 0
    texts = [text for text, one in zip(captions, used, strict=True) if one]
    kind, units = kind[used], None if units is None else units[used]
    found = [tokens(text) for text in texts]
    names = None if authors is None else pd.factorize(np.asarray(authors, dtype=object)[used])[0]
    statistics = [
        _of_kind(name, [pair[place] for pair in found], kind, units, names, min_count, seed)
        for place, name in enumerate(("words", "emoji"))
    ]
    symbols = statistics[1][0].rename(columns={"word": "emoji"})
    symbols.insert(1, "name", [emoji_name(symbol) for symbol in symbols["emoji"]])
    return TextStatistics(
        words=statistics[0][0],
        emoji=symbols,
        summary=pd.DataFrame([summary for _, summary in statistics]),
        n_popular=int(kind.sum()),
        n_unpopular=int((~kind).sum()),
        authors=0 if names is None else int(names.max(initial=-1)) + 1,
        unit="post" if units is None else "author",
    )


def tokens(text: str | None) -> tuple[list[str], list[str]]:
    """Words and emoji of a caption, in reading order.

    Words are in lower case, of any script, hashtags without "#", apostrophes resolved; function
    words, numbers and single letters are still there. Emoji have lost their skin tones.

    Examples
    --------
    >>> tokens("SO happy 😍👍🏽 with @anna at l'été! #goodVibes don't 2024")
    (['so', 'happy', 'with', 'at', 'été', 'goodvibes', 'don', '2024'], ['😍', '👍'])
    """
    (plain,) = prepare([text], steps=["urls", "lower"])
    plain = _DOMAIN.sub(" ", _MENTION.sub(" ", plain.replace("’", "'")))
    plain, symbols = part_emoji(plain)
    return [_resolved(word) for word in _word_pattern().findall(plain)], symbols


def emoji_name(symbol: str) -> str:
    """English name of an emoji: "smiling face with heart-eyes"."""
    entry = emoji.EMOJI_DATA.get(symbol)
    return str(entry["en"]).strip(":").replace("_", " ") if entry else symbol


def is_function_word(word: str) -> bool:
    """Whether Section IV-F leaves the word out: it is a function word, a number, or a single letter
    of a script that spells words with several."""
    if word in FUNCTION_WORDS or not any(character.isalpha() for character in word):
        return True
    return len(word) == 1 and not re.match(f"[{_UNSPACED}]", word)


def _of_kind(
    name: str,
    found: list[list[str]],
    kind: Booleans,
    units: Integers | None,
    authors: Integers | None,
    min_count: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Table of the words, or of the emoji, and their row of the summary."""
    counts, texts = _counted(found)
    used_by = _per_unit(counts, units)
    total = counts.sum(axis=0)
    function = np.array([name == "words" and is_function_word(each) for each in texts], dtype=bool)
    rare = ~function & (total < min_count)
    # Too few authors use it for a test, or one author uses it more often than all others.
    special = (used_by > 0).sum(axis=0) < FEWEST_UNITS
    special |= used_by.max(axis=0).toarray().ravel() * 2 > total if used_by.shape[0] else False
    special &= ~function & ~rare
    kept = ~(function | rare | special)
    counts = counts[:, kept]
    differences = unit_differences(counts, kind, units)
    tested = attainable(least_p(differences), _LEVEL)
    table = _table(texts[kept], counts, kind, _users(counts, authors))
    p = column_p(differences)
    table = table.assign(p=p, p_bh=benjamini_hochberg(np.where(tested, p, np.nan)))
    table = _banded(table, thirds=name == "words")
    signs = np.random.default_rng(seed).choice([-1, 1], (_SHUFFLES, differences.shape[0]))
    shuffled = column_p(differences, signs)
    passed = [(benjamini_hochberg(each[tested]) < _LEVEL).sum() for each in shuffled]
    return table, {
        "text": name,
        "different": len(texts),
        "function_words": int(function.sum()),
        "rare": int(rare.sum()),
        "of_few_authors": int(special.sum()),
        "kept": len(table),
        "tested": int(tested.sum()),
        "significant": int((table["p_bh"] < _LEVEL).sum()),
        "significant_shuffled": float(np.mean(passed)),
        "nominal": float((table["p"] < _LEVEL).mean()),
        "nominal_shuffled": float((shuffled < _LEVEL).mean()) if shuffled.size else np.nan,
        "popular_total": int(table["popular"].sum()),
        "unpopular_total": int(table["unpopular"].sum()),
    }


def _counted(found: list[list[str]]) -> tuple[sparse.csc_array, NDArray[np.object_]]:
    """(posts, different words) occurrences, and the words."""
    every = pd.Series([word for each in found for word in each], dtype=object)
    codes, texts = pd.factorize(every)
    rows = np.repeat(np.arange(len(found)), [len(each) for each in found])
    shape = (len(found), len(texts))
    counts = sparse.coo_array((np.ones(len(codes), dtype=np.int64), (rows, codes)), shape)
    return counts.tocsc(), np.asarray(texts, dtype=object)


def _per_unit(counts: sparse.csc_array, units: Integers | None) -> sparse.csc_array:
    """Occurrences per author, or per post where posts are the units."""
    if units is None:
        return counts
    ones = np.ones(len(units), dtype=np.int64)
    shape = (int(units.max(initial=-1)) + 1, len(units))
    collect = sparse.csr_array((ones, (units, np.arange(len(units)))), shape=shape)
    return sparse.csc_array(collect @ counts)


def _users(counts: sparse.csc_array, authors: Integers | None) -> Integers:
    """Known authors of posts with each word."""
    if authors is None:
        return np.zeros(counts.shape[1], dtype=np.int64)
    named = authors >= 0
    return np.asarray((_per_unit(counts[named], authors[named]) > 0).sum(axis=0), dtype=np.int64)


def _table(
    texts: NDArray[np.object_],
    counts: sparse.csc_array,
    kind: Booleans,
    users: Integers,
) -> pd.DataFrame:
    popular = counts[kind].sum(axis=0)
    total = counts.sum(axis=0)
    # Twice the smaller tail of a binomial distribution.
    coin = stats.binom(total, kind.mean())
    p_posts = np.minimum(2 * np.minimum(coin.cdf(popular), coin.sf(popular - 1)), 1)
    return pd.DataFrame(
        {
            "word": texts,
            "popular": popular,
            "unpopular": total - popular,
            "difference": 2 * popular - total,
            "posts": (counts > 0).sum(axis=0),
            "authors": users,
            "p_posts": p_posts,
        }
    )


def _banded(table: pd.DataFrame, thirds: bool) -> pd.DataFrame:
    """Ranked by m_p − m_n, with the band of each; equal differences share a rank."""
    rank = table["difference"].rank(pct=True)
    if thirds:
        band = np.select([rank > 0.75, rank > 0.25], ["top 25 %", "middle 50 %"], "bottom 25 %")
    else:
        band = np.where(rank > 0.5, "top 50 %", "bottom 50 %")
    columns = ["word", "popular", "unpopular", "difference", "posts", "authors", "band"]
    table = table.assign(band=band.astype(object))[[*columns, "p", "p_bh", "p_posts"]]
    order = table.assign(size=-table["popular"] - table["unpopular"]).sort_values(
        ["difference", "size", "word"], ascending=[False, True, True], kind="stable"
    )
    return table.loc[order.index].reset_index(drop=True)


def _resolved(word: str) -> str:
    before, apostrophe, after = word.partition("'")
    return after if apostrophe and before in _ELIDED else before


@lru_cache(maxsize=1)
def _word_pattern() -> re.Pattern[str]:
    # Vowel signs of Indic scripts and Arabic or Hebrew points stand within words.
    marks = "".join(
        character
        for character in map(chr, range(0x300, 0x1F000))
        if unicodedata.category(character) in ("Mn", "Mc") and character != "\ufe0f"
    )
    letter = rf"(?:(?![{_UNSPACED}])[^\W_]|[{marks}\u200c\u200d])"
    return re.compile(rf"[{_UNSPACED}]|{letter}{{1,100}}(?:'[^\W_]{{1,10}})?")
