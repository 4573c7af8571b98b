"""Make the outputs that the pages of questions show, by running the commands above them.

    python scripts/answers.py                # run all and write what they print into the pages
    python scripts/answers.py --check        # run all and fail where a page shows something else

A page marks an output below the block of commands that prints it::

    ```sh
    evoked when demo_run
    ```

    <!-- output -->
    ```text
    …
    ```
    <!-- end -->

The commands of all pages run in one folder, the start page's first, on posts that evoked makes up.
Blocks without a mark run as well, since later ones build on what they leave.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from evoked.files import write_text

REPOSITORY = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"^```sh\n(?P<commands>.*?)^```\n"
    r"(?P<shown>\n<!-- output -->\n```text\n(?P<output>.*?)^```\n<!-- end -->\n)?",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
DATE = re.compile(r"\d{4}-\d\d-\d\d")  # some are the day on which the commands run
WIDTH = 88
# A figure may differ by this share, or by one in its last place, from processor to processor.
TOLERANCE = 0.05


class Block(NamedTuple):
    """Commands of a page, and the output that it shows, if it shows one."""

    page: Path
    commands: str
    output: str | None


def pages(repository: Path) -> list[Path]:
    """The pages whose commands run, in their order: the start page, then the questions."""
    questions = repository / "docs" / "questions"
    listed = re.findall(r"\]\((\w+\.md)\)", (questions / "README.md").read_text(encoding="utf-8"))
    return [repository / "docs" / "index.md", *(questions / name for name in dict.fromkeys(listed))]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of commands of a page, in their order."""
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(page, found["commands"], found["output"])


def run(commands: str, folder: Path) -> str:
    """What commands print, warnings and progress left out.

    Raises
    ------
    subprocess.CalledProcessError
        One of them failed; its message is in ``stderr``.
    """
    python = f'python() {{ "{sys.executable}" "$@"; }}'
    evoked = 'evoked() { python -m evoked "$@"; }'
    settings = {"COLUMNS": str(WIDTH), "TERM": "dumb", "EVOKED_CACHE": str(folder / "cache")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{python}\n{evoked}\n{commands}"],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, commands, done.stdout, done.stderr)
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.strip("\n").splitlines())


def differences(before: str, after: str) -> list[str]:
    """The lines in which two outputs differ by more than the noise of a processor."""
    lines = zip_longest(before.splitlines(), after.splitlines(), fillvalue="")
    return [f"- {old}\n+ {new}" for old, new in lines if not alike(old, new)]


def alike(old: str, new: str) -> bool:
    """Whether two lines have the same words, and figures that differ by no more than noise."""
    old, new = (DATE.sub("date", line) for line in (old, new))
    words = [re.sub(r"\s+", " ", NUMBER.sub("#", line)).strip() for line in (old, new)]
    if words[0] != words[1]:
        return False
    return all(close(a, b) for a, b in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True))


def close(old: str, new: str) -> bool:
    """Whether two figures differ by no more than noise."""
    first, second = float(old.replace(",", "")), float(new.replace(",", ""))
    last_place = 10.0 ** -len(old.partition(".")[2])
    return abs(first - second) <= max(last_place, TOLERANCE * max(first, second)) * (1 + 1e-9)


def written(page: Path, outputs: list[str]) -> str:
    """A page's text with new outputs; one for each of its blocks."""
    remaining = iter(outputs)

    def replace(found: re.Match[str]) -> str:
        output = next(remaining)
        if found["shown"] is None:
            return found[0]
        shown = f"\n<!-- output -->\n```text\n{output}```\n<!-- end -->\n"
        return f"```sh\n{found['commands']}```\n{shown}"

    return BLOCK.sub(replace, page.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Write or check every output; the status is 1 where a check fails or a command does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--folder", type=Path, help="run there, and keep what is made")
    parser.add_argument(
        "pages", nargs="*", type=Path, help="these alone, where the folder has what others left"
    )
    chosen = parser.parse_args(arguments)
    wanted = [page.resolve() for page in chosen.pages] or pages(REPOSITORY)
    with TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return sum(_page(page, folder.resolve(), chosen.check) for page in wanted) > 0


def _page(page: Path, folder: Path, check: bool) -> int:
    """Run a page's commands; how many problems there are."""
    outputs, problems = [], 0
    for block in blocks(page):
        try:
            outputs.append(run(block.commands, folder))
        except subprocess.CalledProcessError as error:
            print(f"{page}: failed:\n{block.commands}{error.stdout}{error.stderr}")
            return problems + 1
        found = differences(block.output, outputs[-1]) if block.output is not None else []
        if found and check:
            problems += 1
            print(f"{page}: shows something else:\n{block.commands}" + "\n".join(found))
    if not check:
        write_text(page, written(page, outputs))
    return problems


if __name__ == "__main__":
    sys.exit(main())
