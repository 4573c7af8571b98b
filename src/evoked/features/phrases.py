"""Words and phrases of a text: where each begins and ends, in scripts with and without spaces.

Where words stand apart, they are what stands between spaces. Chinese, Japanese and Thai don't set
them apart: there, the segmenters of the extra ``languages`` find them (jieba, BudouX, newmm).
Without the extra, a Chinese or Japanese phrase is a run of ideographs or katakana with the hiragana
that follow, a noun and its particle or a verb and its ending, and a Thai one ends at a space.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from itertools import accumulate, pairwise

Spans = list[tuple[int, int]]

_IDEOGRAPHS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_KATAKANA = "\u30a0-\u30ff"
_HIRAGANA = "\u3040-\u309f"
_THAI = "\u0e00-\u0e7f"
_UNSPACED = _IDEOGRAPHS + _KATAKANA + _HIRAGANA
# Numbers belong to the counters and dates that they stand in.
_RUN = re.compile(
    rf"[{_UNSPACED}\d]*[{_UNSPACED}][{_UNSPACED}\d]*|[{_THAI}]+|[^\s{_UNSPACED}{_THAI}]+"
)
_PIECE = re.compile(
    rf"[{_IDEOGRAPHS}\d]+[{_HIRAGANA}]*|[{_KATAKANA}]+[{_HIRAGANA}]*|[{_HIRAGANA}]+"
)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_KANA = re.compile(f"[{_KATAKANA}{_HIRAGANA}]")
# What belongs to the word before: a hiragana, except お and ご, which are polite beginnings, and
# the Chinese marks of possession, tense, plural and mood.
_PARTICLES = "的了过過着著吗嗎呢吧们們得地啊呀哦"
_LONE = re.compile(rf"(?P<particle>(?![おご])[{_HIRAGANA}{_PARTICLES}])$|[{_UNSPACED}]$")
_SAYS_SOMETHING = re.compile(r"\w")
_SEGMENTERS = {"budoux": "budoux", "rjieba": "rjieba", "newmm-tokenizer": "newmm_tokenizer"}


def phrases(text: str) -> Spans:
    """(start, end) in characters of the words of a text, or phrases where words aren't set apart.

    Punctuation belongs to the word before it, and what stands before the first word to that. A lone
    character of Chinese or Japanese belongs to the word that it touches.

    Parameters
    ----------
    text
        A prepared text (:func:`evoked.features.captions.prepare`).
    """
    pieces = _pieces(text)
    said = _without_lone_characters(
        text, [span for span in pieces if _SAYS_SOMETHING.search(text, *span)]
    )
    if not said:
        return []
    starts = [pieces[0][0], *(start for start, _ in said[1:])]
    ends = [*starts[1:], len(text)]
    return [
        (start, start + len(text[start:end].rstrip()))
        for start, end in zip(starts, ends, strict=True)
    ]


def segmenters_fingerprint() -> str:
    """Changes whenever other segmenters could find other phrases."""
    return ",".join(
        f"{name}-{metadata.version(name)}"
        for name, module in _SEGMENTERS.items()
        if find_spec(module) is not None
    )


def _pieces(text: str) -> Spans:
    """Spans of words, phrases and punctuation."""
    japanese = _KANA.search(text) is not None
    found: Spans = []
    for run in _RUN.finditer(text):
        lengths = [len(piece) for piece in _parted(run[0], japanese)]
        found += pairwise(accumulate(lengths, initial=run.start()))
    return found


def _parted(run: str, japanese: bool) -> Sequence[str]:
    """A run of characters of one kind, taken apart."""
    if "\u0e00" <= run[0] <= "\u0e7f":
        return _cut_by("newmm_tokenizer")(run) or [run]
    if not _IS_UNSPACED.search(run):
        return [run]
    return _cut_by("budoux" if japanese else "rjieba")(run) or _PIECE.findall(run)


@cache
def _cut_by(module: str) -> Callable[[str], Sequence[str]]:
    """The function of a segmenter that takes a run apart; of one that isn't installed, one that
    finds nothing."""
    if find_spec(module) is None:
        return lambda run: []
    if module == "rjieba":
        import rjieba

        return rjieba.cut
    if module == "budoux":
        import budoux

        return budoux.load_default_japanese_parser().parse
    from newmm_tokenizer.tokenizer import word_tokenize

    return word_tokenize


def _without_lone_characters(text: str, pieces: Spans) -> Spans:
    """Pieces with single characters of scripts without spaces joined to those that they touch: to
    the next if there is one, otherwise to the one before. A particle joins the piece before, even
    if a bracket stands between."""
    found: Spans = []
    waiting: int | None = None
    following = [start for start, _ in [*pieces, (len(text) + 1, 0)][1:]]
    for (start, end), after in zip(pieces, following, strict=True):
        begins = start if waiting is None else waiting
        lone = waiting is None and _LONE.match(text, start, end)
        waiting = None
        if lone and found and lone["particle"]:
            found[-1] = (found[-1][0], end)
        elif lone and after == end:
            waiting = start
        elif lone and found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begins, end))
    return found
