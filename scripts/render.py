"""Render the tables that code or measurements know better than a person who types them.

    python scripts/render.py             # write (``make render``)
    python scripts/render.py --check     # fail where a page differs (part of ``make lint``)

A page marks what is rendered, and keeps its prose::

    <!-- table: NAME -->
    …
    <!-- end -->

In ``results/``, NAME is ``FILE.TABLE``: a table of the measurement ``FILE.json`` beside the page
(see ``benchmarks/record.py``). In other pages it is a part of ``scripts/reference.py``.
``--check`` also lists measurements that are older than the last change of the code they name. That
is a warning, since a change of code need not change a figure.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from evoked.files import write_text

REPOSITORY = Path(__file__).resolve().parents[1]
# Both at the start of a line, so that a page can speak of marks.
OPENING = re.compile(r"^<!-- table: ", re.MULTILINE)
MARK = re.compile(
    r"(^<!-- table: (?P<name>\S+) -->\n)(?P<body>.*?)(^<!-- end -->)", re.DOTALL | re.MULTILINE
)
MISSING = "–"

Parts = Mapping[str, Callable[[], str]]


class RenderError(Exception):
    """A mark that names nothing, or is never closed."""


def pages(repository: Path) -> list[Path]:
    """All pages that may hold marks."""
    found = [repository / "README.md", repository / "CONTRIBUTING.md"]
    for folder in ("docs", "results"):
        found += sorted((repository / folder).rglob("*.md"))
    return [page for page in found if page.is_file()]


def rendered(page: Path, parts: Parts) -> str:
    """The page's text with every marked part rendered anew.

    Raises
    ------
    RenderError
        A mark names no table, or has no end.
    """
    text = page.read_text(encoding="utf-8")
    if len(OPENING.findall(text)) != len(MARK.findall(text)):
        raise RenderError(f"{page}: a table's mark is never closed; end it with '<!-- end -->'.")

    def replace(found: re.Match[str]) -> str:
        opening, end = found[1], found[4]
        return f"{opening}{part_of(page, found['name'], parts).rstrip()}\n{end}"

    return MARK.sub(replace, text)


def part_of(page: Path, name: str, parts: Parts) -> str:
    """What a mark stands for."""
    if name in parts:
        return parts[name]()
    file, _, table = name.partition(".")
    source = page.parent / f"{file}.json"
    if not source.is_file():
        raise RenderError(
            f"{page}: nothing is called {name!r}: neither {source.name} lies beside the page, nor "
            f"is it one of {', '.join(parts)}."
        )
    tables = json.loads(source.read_text(encoding="utf-8"))["tables"]
    if table not in tables:
        raise RenderError(
            f"{page}: {source.name} has no table {table!r}; it has {', '.join(tables)}."
        )
    return measured_table(tables[table])


def measured_table(table: Mapping[str, Any]) -> str:
    """A measurement's table as Markdown; what is missing becomes a dash."""
    columns = table["columns"]
    right = [column.get("align") == "right" or "format" in column for column in columns]
    rows = [
        [cell(value, column) for value, column in zip(row, columns, strict=True)]
        for row in table["rows"]
    ]
    return markdown_table([column["name"] for column in columns], rows, right)


def cell(value: Any, column: Mapping[str, Any]) -> str:
    """One value as its column has it."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and "format" in column:
        return format(value, column["format"])
    return str(value)


def markdown_table(
    headings: list[str], rows: Iterable[Iterable[str]], right: list[bool] | None = None
) -> str:
    """A Markdown table; ``right`` names the columns that are aligned to the right."""
    marks = ["--:" if on_right else "---" for on_right in right or [False] * len(headings)]
    escaped = ([text.replace("|", "\\|").replace("\n", " ") for text in row] for row in rows)
    lines = [headings, marks, *escaped]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def outdated(repository: Path) -> Iterator[str]:
    """A line for each folder with measurements whose code has changed since their commit."""
    for folder in sorted({file.parent for file in (repository / "results").rglob("*.json")}):
        counts = {
            file.stem: commits_since(file, repository) for file in sorted(folder.glob("*.json"))
        }
        old = ", ".join(f"{name} ({count})" for name, count in counts.items() if count)
        if old:
            name = folder.relative_to(repository)
            yield f"{name}: commits to its code since it was measured: {old}"


def commits_since(file: Path, repository: Path) -> int:
    """How many commits have changed a measurement's code; 0 where git doesn't know its commit."""
    measurement = json.loads(file.read_text(encoding="utf-8"))
    commit, code = measurement.get("commit"), measurement.get("code")
    if not commit or not code:
        return 0
    command = ["git", "log", "--format=%h", f"{commit}..HEAD", "--", *code]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    return len(done.stdout.splitlines()) if done.returncode == 0 else 0


def main(arguments: list[str] | None = None, repository: Path = REPOSITORY) -> int:
    """Render or check every page; the status is 1 where a check fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    chosen = parser.parse_args(arguments)
    from reference import FILES, PARTS

    wanted = {repository / file: render_file for file, render_file in FILES.items()}
    wanted = {file: render_file for file, render_file in wanted.items() if file.parent.is_dir()}
    wanted |= {page: partial(rendered, page, PARTS) for page in pages(repository)}
    differing = []
    for file, render_file in wanted.items():
        text = render_file()
        if file.is_file() and text == file.read_text(encoding="utf-8"):
            continue
        differing.append(file.relative_to(repository))
        if not chosen.check:
            write_text(file, text)
    if chosen.check:
        for line in outdated(repository):
            print(f"warning: {line}")
    for name in differing:
        print(f"{name}: {'differs: run make render' if chosen.check else 'rendered'}")
    return int(chosen.check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
