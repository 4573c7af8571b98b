"""What leaves the house: is anything in it that its owner kept for themselves?

Posts are imported and their pictures then given what cameras note (owner, serial number, place, a
comment), as in a dataset that was made elsewhere. From it come all outputs that are made to be
handed on: a protected copy with pictures, and, of the posts as they are, a report, explanations, an
analysis and a table of predictions. Every file of these is searched, byte by byte, and inside of
archives, Parquet tables and pictures that pages hold as base64, for

- what cameras noted: the planted texts, Exif data but how a picture is turned, GPS;
- names of accounts and ids of posts: in protected copies anywhere; elsewhere outside of captions,
  which may name an account;
- paths of this machine.

Run: ``OMP_NUM_THREADS=1 python benchmarks/outputs.py SOURCE [SOURCE …]``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from PIL import Image
from record import add_json_option, finish, table

from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts

EXIF, GPS, CAMERA = "Exif", "GPS", "texts of a camera"
ACCOUNT, POST, PATH = "names of accounts", "ids of posts", "paths"
KINDS = (EXIF, GPS, CAMERA, ACCOUNT, POST, PATH)
PLANTED = ("planted owner", "planted-serial-4711", "planted comment")
_ORIENTATION, _GPS, _ARTIST, _SERIAL = 0x0112, 0x8825, 0x013B, 0xC62F
_EMBEDDED = re.compile(rb"data:[\w/+.-]+;base64,([A-Za-z0-9+/=]+)")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"GIF8")
# A shorter name or id occurs by chance.
_SHORTEST = 5


@dataclass
class Secrets:
    """What is looked for.

    Attributes
    ----------
    accounts, posts
        Names and ids, where they are not words of any caption.
    paths
        Folders of this machine.
    """

    accounts: set[str] = field(default_factory=set)
    posts: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)


@dataclass
class Found:
    """What was looked through, what was found in it, and in which files."""

    files: int = 0
    pictures: int = 0
    leaks: Counter[str] = field(default_factory=Counter)
    where: list[str] = field(default_factory=list)


def plant(dataset: PostDataset) -> int:
    """Give a dataset's pictures what cameras note; the number of pictures."""
    pictures = sorted((dataset.folder / "images").iterdir())
    for path in pictures:
        with Image.open(path) as image:
            notes = Image.Exif()
            notes[_ARTIST], notes[_SERIAL] = PLANTED[0], PLANTED[1]
            notes.get_ifd(_GPS).update(
                {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
            )
            stream = io.BytesIO()
            image.convert("RGB").save(stream, "JPEG", exif=notes, comment=PLANTED[2].encode())
        path.write_bytes(stream.getvalue())
    return len(pictures)


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and of what it holds packed: archives, tables, embedded pictures."""
    yield from _unpacked(path.read_bytes())


def _unpacked(content: bytes) -> Iterator[bytes]:
    yield content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _unpacked(archive.read(name))
    elif content.startswith(b"PAR1"):
        yield pd.read_parquet(io.BytesIO(content)).to_csv().encode()
    else:
        for match in _EMBEDDED.finditer(content):
            yield from _unpacked(base64.b64decode(match[1]))


def search(folder: Path, secrets: Secrets) -> Found:
    """Look through all files of a folder."""
    found = Found()
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        found.files += 1
        before = found.leaks.total()
        for content in (path.name.encode(), *contents(path)):
            _look_for(content, secrets, found)
            if content.startswith(_PICTURES):
                _look_at_picture(content, found)
        if found.leaks.total() > before:
            found.where.append(path.relative_to(folder).as_posix())
    return found


def _look_for(content: bytes, secrets: Secrets, found: Found) -> None:
    for kind, texts in (
        (CAMERA, set(PLANTED)),
        (ACCOUNT, secrets.accounts),
        (POST, secrets.posts),
        (PATH, secrets.paths),
    ):
        found.leaks[kind] += sum(text.encode() in content for text in texts)


def _look_at_picture(content: bytes, found: Found) -> None:
    found.pictures += 1
    try:
        with Image.open(io.BytesIO(content)) as image:
            notes = image.getexif()
            beside = set(notes) - {_ORIENTATION} or {"xmp", "comment"} & set(image.info)
            found.leaks[EXIF] += bool(beside)
            found.leaks[GPS] += bool(notes.get_ifd(_GPS))
    except OSError:
        found.pictures -= 1  # bytes that begin as a picture does


def secrets_of(dataset: PostDataset, *folders: Path) -> tuple[Secrets, Secrets]:
    """What must not be in protected copies; and what must not be in other outputs, in which
    captions stand as they are."""
    posts = dataset.posts
    accounts = {str(name) for name in posts["author_id"].dropna().unique()}
    mentioned = {name for names in posts["mentions"] for name in names}
    ids = set(map(str, posts["post_id"]))
    paths = {str(folder.resolve()) for folder in (*folders, Path.home(), dataset.folder)}
    text = posts["caption"].dropna().str.cat(sep="\n").casefold()
    tags = {tag.casefold() for tags in posts["hashtags"] for tag in tags}

    def long(names: set[str], *, beside_captions: bool) -> set[str]:
        return {
            name
            for name in names
            if len(name) >= _SHORTEST
            and (beside_captions or name.casefold() not in text)
            and name.casefold() not in tags
        }

    protected = Secrets(
        long(accounts | mentioned, beside_captions=True), long(ids, beside_captions=True), paths
    )
    others = Secrets(long(accounts, beside_captions=False), long(ids, beside_captions=False), paths)
    return protected, others


def evoked_command(*arguments: str) -> None:
    """Run a command of evoked's."""
    done = subprocess.run(
        [sys.executable, "-m", "evoked", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr}")


def make_outputs(dataset: PostDataset, folder: Path, cache: Path, posts: int) -> dict[str, Path]:
    """All outputs of a dataset that are made to be handed on, each in a folder of its own.

    ``posts`` are explained.
    """
    data, run, key = str(dataset.folder), str(folder / "run"), str(folder / "key")
    places = {
        name: folder / "outputs" / name
        for name in ("protected", "report", "explanations", "analysis", "predictions")
    }
    for place in places.values():
        place.mkdir(parents=True)
    common = ("--cache", str(cache))
    evoked_command("privacy", "keys", key)
    copy = str(places["protected"] / "copy")
    evoked_command("privacy", "protect", data, copy, "--key", key, "--pictures")
    evoked_command("train", data, "--model", "linear", "--out", run, *common)
    report = str(places["report"] / "report.html")
    evoked_command("report", run, "--data", data, "--out", report, *common)
    evoked_command("analyse", data, "--out", str(places["analysis"] / "pages"), *common)
    covers = [
        (caption, path)
        for caption, path in zip(dataset.posts["caption"], dataset.cover_paths(), strict=True)
        if path is not None and isinstance(caption, str)
    ]
    for number, (caption, path) in enumerate(covers[:posts]):
        page = str(places["explanations"] / str(number))
        draft = ("--image", str(path), "--caption", caption)
        evoked_command("explain", run, *draft, "--data", data, "--out", page, *common)
    scores = str(places["predictions"] / "scores.csv")
    evoked_command("predict", run, "--posts", data, "--out", scores, *common)
    return places


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE")
    parser.add_argument("--explained", type=int, default=5, metavar="N", help="posts to explain")
    add_json_option(parser)
    arguments = parser.parse_args()
    rows = []
    for source in arguments.sources:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(source, Path(folder), arguments.explained)
    finish(
        arguments,
        {"sources": [source.name for source in arguments.sources]},
        tables={"outputs": table(pd.DataFrame(rows))},
        code=["src/evoked/posts/privacy", "src/evoked/report", "src/evoked/explain"],
    )


def measure(source: Path, folder: Path, explained: int) -> list[dict[str, object]]:
    """A row per output of one source's posts."""
    dataset = import_posts("auto", source, folder / "posts").dataset
    planted = plant(dataset)
    places = make_outputs(dataset, folder, folder / "cache", explained)
    protected, others = secrets_of(dataset, folder, source)
    rows = []
    for name, place in places.items():
        secrets = protected if name == "protected" else others
        if name == "predictions":  # which are about the posts that they name
            secrets = Secrets(paths=others.paths)
        found = search(place, secrets)
        leaks = {kind: found.leaks[kind] for kind in KINDS}
        rows.append(
            {
                "posts": f"{source.name} ({len(dataset)} posts, {planted} pictures)",
                "output": name,
                "files": found.files,
                "pictures in them": found.pictures,
                "names and ids looked for": len(secrets.accounts) + len(secrets.posts),
                **leaks,
            }
        )
        print(rows[-1], *found.where, sep="\n", flush=True)
    return rows


if __name__ == "__main__":
    main()
