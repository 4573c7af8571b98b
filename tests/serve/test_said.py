"""What runs say, said again: every piece is read as itself, and runs say nothing that is none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from evoked.serve.said import phrase, said
from evoked.serve.wording import DEFAULT, languages, texts

PACKAGE = Path(__file__).parents[2] / "src/evoked"
OTHERS = [code for code in languages() if code != DEFAULT]
# Where sentences are made that the desk says again.
MAKERS = (
    *("advice/hours.py", "advice/ranking.py", "advice/advising.py", "advice/actions.py"),
    *("advice/times.py", "advice/review_words.py", "advice/planning.py", "advice/tested.py"),
    *("analysis/week_words.py", "analysis/works/findings.py", "analysis/works/captions.py"),
    *("analysis/works/moments.py", "analysis/works/own_columns.py", "analysis/works/pictures.py"),
    *("analysis/works/effects.py", "report/hours_chart.py", "runs/answer.py", "runs/drafts.py"),
)
# What these say elsewhere than on pages: to calendars, on the command line, in reports; and what
# is no sentence. The classes of runs that predict no numbers stay English, as do facts that posts
# lack.
ELSEWHERE = {
    "to_dict": "names of JSON",
    "write_calendar": "calendars are files of their own",
    "_in_words": "part of an error",
    "_quantity": "part of an error",
    "when": "part of an error",
    "_summary": "the command line's table",
    "week_chart": "in reports",
    "_label": "of classes",
    "lacking_note": "of whole tables",
    "what_works": "in reports",
    "verdict": "pages have it under works.verdicts",
    "picture_groups": "the name of a kind",
    "_curve": "words of the drawing library, beside what the next test finds",
}
INNER = ("million", "share", "under_share", "per", "and")
GAP = re.compile(r"\{(\w+)\}")
SAMPLES = {
    "noun": "likes",
    "share": "15%",
    "gain": "+12%",
    "off": "15%",
    "clock": "18:00",
    "date": "2024-05-13",
    "moment": "2024-05-13 18:30",
    "zone": "Europe/Berlin",
    "tag": "sun",
    "emoji": "☀ (sun)",
    "name": "author_mean",
    "text": "salt & pepper",
    "rest": "one of two.jpg",
}
GROUPS = {key.split(".")[1] for key in texts(DEFAULT) if key.startswith("gaps.")}
PREFIXES = {"day": "weekdays.", "arm": "plan.arms."} | {each: f"gaps.{each}." for each in GROUPS}
PIECES = [
    key
    for key in texts(DEFAULT)
    if key.startswith("said.") and key.removeprefix("said.") not in INNER
]


def group(kind: str) -> list[str]:
    """The keys of the texts that may stand in a gap of a kind; empty of kinds with patterns."""
    prefix = PREFIXES.get(kind)
    return [] if prefix is None else [key for key in texts(DEFAULT) if key.startswith(prefix)]


def fillings(name: str) -> list[str]:
    """What may stand in a gap: each text of its group, or an example."""
    kind, _, more = name.partition("_")
    if kind == "list":
        every = fillings(more)
        return [f"{every[0]} and {every[-1]}", ", ".join(every)]
    return [each for key in group(kind) for each in filled(key)] or [SAMPLES.get(kind, "1,234")]


def filled(key: str) -> list[str]:
    """The English text of a key, with each of what may stand in one of its gaps."""
    text = texts(DEFAULT)[key]
    choices = {name: fillings(name) for name in GAP.findall(text)}
    found = [text.format(**{name: each[0] for name, each in choices.items()})]
    for name, each in choices.items():
        first = {other: given[0] for other, given in choices.items()}
        found += [text.format(**first | {name: value}) for value in each[1:]]
    return found


def says(key: str, code: str) -> re.Pattern[str]:
    """The text of a key with anything in its gaps."""
    literal = re.split(r"\\\{\w+\\\}", re.escape(texts(code)[key]))
    return re.compile(".+".join(literal), re.IGNORECASE | re.DOTALL)


@pytest.mark.parametrize("code", OTHERS)
def test_every_piece_is_read_as_itself(code: str) -> None:
    """A piece that could be read as another one would be said wrongly."""
    for key in PIECES:
        for sentence in filled(key):
            for written in (sentence, f"{sentence[:1].upper()}{sentence[1:]}."):
                found = said(written, code)
                assert found.code == code, (key, written)
                assert says(key, code).fullmatch(found.text.removesuffix(".")), (key, found.text)


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_of_a_group_is_read_as_itself(code: str) -> None:
    for kind in PREFIXES:
        for key in group(kind):
            for text in filled(key):
                assert says(key, code).fullmatch(phrase(text, kind, code)), (key, text)


@pytest.mark.parametrize("code", OTHERS)
def test_pieces_are_read_one_after_the_other(code: str) -> None:
    """Whichever they are; what stands between them stays."""
    texts_of = [filled(key)[0] for key in PIECES if "{rest}" not in texts(DEFAULT)[key]]
    pairs = list(product(texts_of, texts_of))
    for one, other in pairs[::37]:  # all would take a minute
        found = said(f"{one}; {other}.", code)
        assert found.code == code, (one, other)
        assert found.text.endswith(".")


def made(path: Path) -> Iterator[tuple[str, str]]:
    """The words that a module says: the function, and each text between punctuation and what is
    put in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _made(tree, "")


def _made(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef):
        function = node.name
    said_here = isinstance(node, ast.Constant) and isinstance(node.value, str)
    if isinstance(node, ast.JoinedStr) or said_here:
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        whole = "".join(
            str(part.value) if isinstance(part, ast.Constant) else "\0" for part in parts
        )
        for words in re.split(r"\0|\{\w*\}|[.,:;()“”\d]", whole):
            if re.search(r"[a-z'] [a-z]", words, re.IGNORECASE):
                yield function, " ".join(words.split())
        children = [part for part in parts if isinstance(part, ast.FormattedValue)]
    else:
        children = [each for each in ast.iter_child_nodes(node) if _says(each)]
    for child in children:
        yield from _made(child, function)


def _says(node: ast.AST) -> bool:
    """Not docstrings, errors and analyses' own tables."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    is_other = called.endswith("Error") or called == "Analysis"
    return not (is_text or is_other or isinstance(node, ast.Raise))


@pytest.mark.parametrize("maker", MAKERS)
def test_runs_say_nothing_that_has_no_text(maker: str) -> None:
    """Words that change in the engine have to change in the texts, or pages would turn English."""
    known = "\n".join(
        text.lower()
        for key, text in texts(DEFAULT).items()
        if key.startswith(("said.", "gaps.", "plan.arms."))
    )
    lacking = [
        (function, words)
        for function, words in made(PACKAGE / maker)
        if function not in ELSEWHERE and words.lower() not in known
    ]
    assert lacking == []
