"""Where each page of the repository stands on the documentation site, and its links from there.

The site shows the pages that people read on a code host, as they are. Only their places differ
(``docs/`` is the site's root), so every link is written anew; a link to a file that is no page
becomes a download.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from evoked.files import write_text

PAGES_AT_ROOT = {
    "README.md": "tour.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
# What the link of a page leads to: a page or file, with or without an anchor, or an anchor alone.
LINK = re.compile(r"(?P<opening>\]\()(?P<target>(?![a-z]+:)[^)\s]+)(?P<closing>\))")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


class LinkError(Exception):
    """A link that leads nowhere."""


def pages(repository: Path) -> list[Path]:
    """Every page that the site takes over."""
    found = [repository / name for name in PAGES_AT_ROOT]
    for folder in ("docs", "results"):
        found += sorted((repository / folder).rglob("*.md"))
    return found


def place(file: PurePosixPath) -> PurePosixPath:
    """Where a file of the repository lies on the site; both relative to their roots."""
    if str(file) in PAGES_AT_ROOT:
        return PurePosixPath(PAGES_AT_ROOT[str(file)])
    if file.suffix != ".md":
        return PurePosixPath("files") / file
    name = "index.md" if file.name == "README.md" else file.name
    inner = file.relative_to("docs") if file.parts[0] == "docs" else file
    return inner.with_name(name)


def links(text: str) -> Iterator[re.Match[str]]:
    """The links of a page within the repository, those in code left out."""
    code = [found.span() for found in CODE.finditer(text)]
    for link in LINK.finditer(text):
        if not any(start <= link.start() < end for start, end in code):
            yield link


def target_of(page: Path, link: re.Match[str]) -> tuple[Path, str]:
    """The file that a link leads to, and the anchor in it, or an empty text.

    Raises
    ------
    LinkError
        No file is there.
    """
    name, _, anchor = link["target"].partition("#")
    file = Path(os.path.normpath(page.parent / name)) if name else page
    if not file.exists():
        raise LinkError(f"{page}: {link['target']} leads to {file}, which isn't there.")
    return file, anchor


def moved(page: Path, repository: Path) -> tuple[str, set[Path]]:
    """A page's text with its links as they are on the site, and the files that these need."""
    text = page.read_text(encoding="utf-8")
    own = place(PurePosixPath(page.relative_to(repository).as_posix()))
    parts, files, end = [], set(), 0
    for link in links(text):
        file, anchor = target_of(page, link)
        if file.suffix != ".md":
            files.add(file)
        there = place(PurePosixPath(file.relative_to(repository).as_posix()))
        name = os.path.relpath(there, own.parent) if file != page else ""
        target = name + (f"#{anchor}" if anchor else "")
        parts += [text[end : link.start()], link["opening"], target, link["closing"]]
        end = link.end()
    return "".join([*parts, text[end:]]), files


def copy_pages(repository: Path, folder: Path) -> set[Path]:
    """Write every page and the files that they need below ``folder``; what was written."""
    written, files = set(), set()
    for page in pages(repository):
        text, needed = moved(page, repository)
        there = folder / place(PurePosixPath(page.relative_to(repository).as_posix()))
        write_if_new(there, text)
        written.add(there)
        files |= needed
    for file in files:
        there = folder / place(PurePosixPath(file.relative_to(repository).as_posix()))
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, there)
        written.add(there)
    return written


def write_if_new(file: Path, text: str) -> None:
    """Write a page unless it is there already, so that Sphinx reads what has changed alone."""
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts and the site give them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.*)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found[plain] = found.get(plain, -1) + 1
        if found[plain]:
            found[f"{plain}-{found[plain]}"] = 0
    return set(found)
