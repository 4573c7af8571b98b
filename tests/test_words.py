"""Plain English: phrases that we avoid, wherever people read them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
# What each stands for, and what to write in its place.
BANNED = {
    r"\b(tell|tells|told|telling)\b": "know, show, report, describe, distinguish or warn",
    r"\bwhom to\b": "who receives it, such as 'callbacks that report progress'",
    r"\b(of|has|have|where|with) such\b(?! as|\s+(an?\s+)?\w)": "the noun that 'such' stands for",
    r"\bhangs? on\b": "depends on",
    r"\bstands? for itself\b": "is clear",
    r"\bnameless\b": "anonymised, or without a name",
}
# Where the words are data or a quotation: file, and what it may hold.
ALLOWED = {
    "src/evoked/analysis/_function_words.py": r"\b(tell|tells|told|telling)\b",
    "src/evoked/posts/synthetic/captions.py": r"\btell\b",
}


def rooms() -> dict[str, list[Path]]:
    """The files that people read, by room."""
    package = REPOSITORY / "src" / "evoked"
    found = {"src": sorted(package.glob("*.py"))}
    for folder in sorted(path for path in package.iterdir() if path.is_dir()):
        found[f"src/{folder.name}"] = files_of(folder, "py", "md", "html", "yaml")
    for name in ("benchmarks", "scripts", "docs", "results"):
        found[name] = files_of(REPOSITORY / name, "py", "sh", "md")
    found["README, CONTRIBUTING, CHANGELOG"] = sorted(REPOSITORY.glob("*.md"))
    return {room: files for room, files in found.items() if files}


def files_of(folder: Path, *endings: str) -> list[Path]:
    """Files below a folder with one of these endings."""
    return sorted(path for ending in endings for path in folder.rglob(f"*.{ending}"))


def by_hand(text: str) -> str:
    """A page without what is rendered, which is read where it comes from."""
    return re.sub(
        r"(?ms)^<!-- table: .*?^<!-- end -->", lambda part: "\n" * part[0].count("\n"), text
    )


def found_in(text: str, name: str) -> Iterator[str]:
    """A sentence for each line with a phrase that we avoid."""
    for number, line in enumerate(by_hand(text).splitlines(), start=1):
        for phrase, instead in BANNED.items():
            hit = re.search(phrase, line, re.IGNORECASE)
            if hit and not re.fullmatch(ALLOWED.get(name, ""), hit[0], re.IGNORECASE):
                yield f"{name}:{number}: {hit[0].strip()!r}: write {instead}"
    if name.endswith(".py"):
        yield from packed_arguments(text, name)


def packed_arguments(code: str, name: str) -> Iterator[str]:
    """A sentence for each call whose arguments are packed into a tuple or dictionary to save
    lines: ``f(*(a, b))`` or ``f(**{"c": 1})``."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        tuples = [each.value for each in node.args if isinstance(each, ast.Starred)]
        tables = [each.value for each in node.keywords if each.arg is None]
        named = [
            all(isinstance(key, ast.Constant) for key in table.keys)
            for table in tables
            if isinstance(table, ast.Dict)
        ]
        if any(named) or any(isinstance(value, ast.Tuple) for value in tuples):
            yield f"{name}:{node.lineno}: packed arguments: write one a line"


@pytest.mark.parametrize("room", rooms())
def test_people_read_plain_english(room: str) -> None:
    found = [
        line
        for path in rooms()[room]
        for line in found_in(
            path.read_text(encoding="utf-8"), path.relative_to(REPOSITORY).as_posix()
        )
    ]
    assert not found, "\n".join(found)


def test_phrases_are_found() -> None:
    text = "It told us.\nWhom to ask.\nNothing of such.\nOf such posts, such as these.\n"
    numbers = [line.split(":")[1] for line in found_in(text, "page.md")]
    assert numbers == ["1", "2", "3"]


def test_packed_arguments_are_found() -> None:
    packed = "f(*(1, 2))\nf(**{'a': 1})\n"
    code = packed + "f(*names, **facts)\nf(**{name: 1, **facts})\nx = [*(a for a in b)]\n"
    numbers = [line.split(":")[1] for line in packed_arguments(code, "module.py")]
    assert numbers == ["1", "2"]
