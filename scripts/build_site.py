"""Build the documentation site (``make docs``).

    python scripts/build_site.py                # into build/site/index.html
    python scripts/build_site.py --out FOLDER

The pages that people read on a code host are taken over as they are (``site_sources.py``); pages of
models, of Python and of HTTP are made of the code (``site_models.py``, ``site_reference.py``).
Nothing is fetched, and a warning is an error: a reference or a link that leads nowhere, a page that
no table of contents has.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from site_models import model_pages
from site_reference import http_page, python_pages
from site_sources import copy_pages, write_if_new
from sphinx.cmd.build import main as sphinx

from evoked.models import MODELS

REPOSITORY = Path(__file__).resolve().parents[1]
# The table of contents: the page of each section, and the pages of the section in their order. A
# pattern stands for the rest, by name.
CONTENTS: dict[str, tuple[str, ...]] = {
    "index": ("questions/index", "data", "models/index", "reference", "results/index", "project"),
    "questions/index": (
        "questions/which",
        "questions/when",
        "questions/change",
        "questions/works",
        "questions/right",
        "questions/peers",
        "questions/feel",
        "questions/trust",
        "questions/why",
        "questions/languages_and_pictures",
    ),
    "data": ("importing", "growing", "run_folder", "ledger", "peers", "privacy", "security"),
    "models/index": ("fidelity", *(f"models/{name}" for name in MODELS)),
    "reference": (
        "commands",
        "settings",
        "reference/index",
        "http",
        "serving",
        "exporting",
        "scale",
        "devices",
    ),
    "reference/index": ("reference/*",),
    "results/index": ("results/*/index", "results/*/*"),
    "project": ("tour", "architecture", "contributing", "changelog"),
}


def made_pages() -> Iterator[tuple[str, str]]:
    """Path and text of every page that is made of the code."""
    yield from model_pages(REPOSITORY)
    yield from python_pages()
    yield "http.md", http_page()


def contents(pages: tuple[str, ...]) -> str:
    """A hidden table of contents, which the site shows beside the page."""
    entries = "\n".join(f"/{page}" for page in pages)
    options = ":hidden:\n:glob:\n" if any("*" in page for page in pages) else ":hidden:\n"
    return f"\n\n```{{toctree}}\n{options}\n{entries}\n```\n"


def prepare(folder: Path) -> None:
    """Write every page below ``folder``, and remove what no longer belongs there."""
    written = copy_pages(REPOSITORY, folder)
    for name, text in made_pages():
        write_if_new(folder / name, text)
        written.add(folder / name)
    for name, pages in CONTENTS.items():
        page = folder / f"{name}.md"
        write_if_new(page, page.read_text(encoding="utf-8") + contents(pages))
    for file in folder.rglob("*"):
        if file.is_file() and file not in written:
            file.unlink()


def main(arguments: list[str] | None = None) -> int:
    """Build; the status is Sphinx's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "site")
    out = parser.parse_args(arguments).out.resolve()
    source = out.with_name(f"{out.name}-source")
    prepare(source)
    known = out.with_name(f"{out.name}-known")
    place = [str(source), str(out), "-c", str(REPOSITORY / "docs"), "-d", str(known)]
    status: int = sphinx(["-b", "html", "-W", "--keep-going", "-q", "-j", "auto", *place])
    if status == 0:
        print(f"The site is in {out / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
