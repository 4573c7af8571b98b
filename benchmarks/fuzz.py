"""Files that nobody would write: does evoked read them or refuse them, and nothing else?

Pictures, tables (CSV, also packed by gzip and with objects in its cells, JSON Lines, JSON, Parquet,
workbooks), folders of runs and of datasets are changed at random, byte by byte and value by value,
with a seed. Each is then used as a person would use it, in this process, under an audit hook (PEP
578) that notes every file written outside of the working folder, every program started, every
connection, and every class that a pickle asks for.

A case *fails* if anything but evoked's own errors comes out of it, if it takes more than a minute,
or if the hook notes something.

Run: ``OMP_NUM_THREADS=1 python benchmarks/fuzz.py``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from record import add_json_option, finish, table

import evoked
from evoked.errors import EvokedError
from evoked.features.cache import FeatureCache
from evoked.files import write_xlsx
from evoked.posts.dataset import PostDataset
from evoked.posts.images import load_image
from evoked.posts.importing import import_posts
from evoked.posts.picture_metadata import without_metadata
from evoked.report import write_report
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings

COUNTS = {"pictures": 500, "tables": 500, "runs": 400, "datasets": 200}
TABLES = ("csv", "jsonl", "parquet", "json", "objects.csv", "xlsx", "csv.gz")
LONGEST_SECONDS = 60
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 2**31, 2**63, 10**9, -(10**30), 0.5, -0.0, 1e308,
    float("nan"),
    float("inf"), "", "x", "a" * 5000, "\x1b[2J", "../../etc/passwd", "/etc/passwd", "=1+1",
    "\ud800",
    "nan", [], {}, [None], [[]], {"": None}, [1, "a", None], "transformers:attacker/model",
)  # fmt: skip
ODD_COLUMNS: tuple[Callable[[int], pa.Array], ...] = (
    pa.nulls,
    lambda n: pa.array([None] * n, pa.string()),
    lambda n: pa.array(["../../.bashrc"] * n),
    lambda n: pa.array([["../../.bashrc"]] * n),
    lambda n: pa.array([[None]] * n, pa.list_(pa.string())),
    lambda n: pa.array([{"a": 1}] * n),
    lambda n: pa.array([float("inf")] * n),
    lambda n: pa.array([-(2**62)] * n),
    lambda n: pa.array([2**62] * n, pa.timestamp("us", tz="UTC")),
    lambda n: pa.array([-(2**52)] * n, pa.timestamp("s")),
    lambda n: pa.array([b"\xff\xfe"] * n, pa.binary()).view(pa.string()),
    lambda n: pa.array([b"\xff"] * n, pa.binary()),
    lambda n: pa.array([2**30] * n, pa.date32()),
    lambda n: pa.array(["x" * 2_000_000] + ["y"] * (n - 1)),
    lambda n: pa.array([True] * n),
    lambda n: pa.array([[1, 2]] * n),
    lambda n: pa.array(["same"] * n).dictionary_encode(),
)


@dataclass
class Outcome:
    """What became of the cases of one kind."""

    read: int = 0
    refused: int = 0
    failed: int = 0
    noticed: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


class Watch:
    """Notes what code under it does that reading a file never should."""

    def __init__(self, *allowed: Path) -> None:
        self.allowed = tuple(str(place.resolve()) for place in allowed)
        self.seen: list[str] = []
        self.on = False
        sys.addaudithook(self._hook)

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.on = True
        try:
            yield
        finally:
            self.on = False

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | Path) and flags & (os.O_WRONLY | os.O_RDWR):
                self._note_outside(event, path)
        elif event in ("os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile"):
            self._note_outside(event, arguments[1])
        elif event in ("os.remove", "os.rmdir", "os.truncate", "os.mkdir"):
            if arguments[-1] in (-1, arguments[0]):  # else below a folder that is open already
                self._note_outside(event, arguments[0])
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            self.seen.append(f"{event} {arguments[0]!r}")
        elif event in ("socket.connect", "socket.getaddrinfo", "pickle.find_class"):
            self.seen.append(f"{event} {arguments[1:]!r}"[:200])

    def _note_outside(self, event: str, path: Any) -> None:
        if isinstance(path, int):
            return
        place = os.path.realpath(os.fsdecode(path))
        if not place.startswith((*self.allowed, "/dev/")) and "__pycache__" not in place:
            self.seen.append(f"{event} {place}")


def changed_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """Content with some bytes flipped, cut, repeated, inserted or replaced by extreme ones."""
    changed = bytearray(content)
    for _ in range(int(random.integers(1, 6))):
        if not changed:
            return bytes(changed)
        at, length = int(random.integers(len(changed))), int(random.integers(1, 64))
        match int(random.integers(7)):
            case 0:
                changed[at] ^= 1 << int(random.integers(8))
            case 1:
                del changed[at:]
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length] * int(random.integers(1, 20))
            case 4:
                changed[at:at] = random.bytes(length)
            case 5:
                changed[at : at + length] = random.bytes(length)
            case _:
                changed[at : at + 4] = bytes(
                    [[0x00, 0x7F, 0x80, 0xFF][int(random.integers(4))]] * 4
                )
    return bytes(changed)


def changed_value(value: Any, random: np.random.Generator) -> Any:
    """A JSON value with one of its parts left out or replaced by an odd one."""
    if isinstance(value, dict | list) and value and random.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[int(random.integers(len(keys)))]
        if random.random() < 0.2:
            del value[key]
        else:
            value[key] = changed_value(value[key], random)
        return value
    return ODD_VALUES[int(random.integers(len(ODD_VALUES)))]


def change_file(path: Path, random: np.random.Generator) -> None:
    """Change one file in place, by what it is or byte by byte."""
    by_value = random.random() < 0.75
    if by_value and path.suffix == ".json":
        value = changed_value(json.loads(path.read_text(encoding="utf-8")), random)
        path.write_text(json.dumps(value), encoding="utf-8")
    elif by_value and path.suffix == ".parquet":
        found = pq.read_table(path)
        if not found.num_rows or not found.num_columns:
            return
        at = int(random.integers(found.num_columns))
        name = found.column_names[at]
        if random.random() < 0.2:
            found = found.remove_column(at)
        else:
            odd = ODD_COLUMNS[int(random.integers(len(ODD_COLUMNS)))](found.num_rows)
            found = found.set_column(at, name, odd)
        pq.write_table(found, path)
    else:
        path.write_bytes(changed_bytes(path.read_bytes(), random))


def _pictures() -> list[bytes]:
    random = np.random.default_rng(0)
    picture = Image.fromarray((random.random((48, 64, 3)) * 255).astype(np.uint8))
    notes = Image.Exif()
    notes[0x0112], notes[0x013B] = 6, "somebody"
    found = []
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "MPO", "TIFF", "AVIF"):
        stream = io.BytesIO()
        further = {"exif": notes} if kind not in ("GIF", "BMP") else {}
        picture.save(stream, kind, **further)
        found.append(stream.getvalue())
    return found


def _rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "post_id": [f"p{number}" for number in range(12)],
            "author": ["ana", "ben", "=cmd"] * 4,
            "caption": ["Sunrise @someone #sea", "日本語 🌅", 'quoted, "text"', "\x1b[31mred"] * 3,
            "date": ["2024-01-02", "2024-02-03 10:00", "2024-03-04T10:00:00Z"] * 4,
            "likes": [0, 1, 2, 3000] * 3,
            "image": ["a.jpg", "../b.jpg", "", "a.jpg"] * 3,
            "valence": [1.0, 5.0, 9.0, 3.5] * 3,
        }
    )


def make_sources(folder: Path, seed: int) -> None:
    """Make the dataset and the two runs whose copies are changed."""
    cache = FeatureCache(folder / "cache")
    posts = evoked.synthesise(folder / "posts", n=60, seed=seed)
    quick = TrainingSettings(max_epochs=1, batch_size=16, device="cpu")
    train_posts(posts, "linear", folder / "linear", cache=cache)
    small = {"width": 16}
    train_posts(posts, "abmf", folder / "abmf", model_settings=small, training=quick, cache=cache)


class Fuzz:
    """Makes what cases start from, and runs them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.case = folder / "case"
        self.cache = FeatureCache(folder / "cache")
        self.pictures = _pictures()
        # Training takes more memory than any case may, so it takes it from another process.
        making = get_context("spawn").Process(target=make_sources, args=(folder, seed))
        making.start()
        making.join()
        self.posts = PostDataset(folder / "posts")
        self.runs = [Run.load(folder / name, self.cache) for name in ("linear", "abmf")]
        self.picture = next(path for path in self.posts.cover_paths() if path is not None)
        # Beside the places that cases are read from and written to, and never to be touched.
        self.canary = folder / "canary.txt"
        self.canary.write_text("as it was", encoding="utf-8")
        # Libraries look around once, for fonts and processors, whatever they are used for.
        write_report(self.runs[1], None, folder / "report.html")
        self.watch = Watch(self.case, folder / "cache", Path(tempfile.gettempdir()) / "never")

    def run(self, kind: str, count: int) -> Outcome:
        """Run the cases of one kind."""
        outcome = Outcome()
        use = {
            "pictures": self._picture,
            "tables": self._table,
            "runs": self._run,
            "datasets": self._dataset,
        }[kind]
        for number in range(count):
            random = np.random.default_rng([self.seed, number])
            shutil.rmtree(self.case, ignore_errors=True)
            self.case.mkdir()
            self.watch.seen.clear()
            started = time.perf_counter()
            try:
                with _at_most(LONGEST_SECONDS), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    use(number, random)
                outcome.read += 1
            except EvokedError:
                outcome.refused += 1
            except Exception:
                outcome.failed += 1
                outcome.failures.append(f"{kind} {number}: {traceback.format_exc()}")
            outcome.slowest = max(outcome.slowest, time.perf_counter() - started)
            if self.watch.seen or self.canary.read_text(encoding="utf-8") != "as it was":
                outcome.noticed += 1
                outcome.failures.append(f"{kind} {number}: {self.watch.seen}")
        return outcome

    def _picture(self, number: int, random: np.random.Generator) -> None:
        content = changed_bytes(self.pictures[number % len(self.pictures)], random)
        with self.watch.watching():
            load_image(content, 224)
            load_image(without_metadata(content))

    def _table(self, number: int, random: np.random.Generator) -> None:
        kind = TABLES[number % len(TABLES)]
        source = self.case / "source"
        source.mkdir()
        (source / "a.jpg").write_bytes(self.pictures[0])
        file, rows = source / f"posts.{kind}", _rows()
        records = [changed_value(row, random) for row in rows.to_dict("records")]
        if kind in ("csv", "csv.gz"):
            rows.to_csv(file, index=False)
        elif kind == "jsonl":
            file.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
        elif kind == "json":
            pages = [{"data": records[:6]}, {"data": records[6:]}]
            file.write_text("\n".join(json.dumps(page, indent=1) for page in pages), "utf-8")
        elif kind == "objects.csv":
            cells = [json.dumps(record) for record in records]
            pd.DataFrame({"id": rows["post_id"], "post": cells}).to_csv(file, index=False)
        elif kind == "xlsx":
            write_xlsx(file, rows)
        else:
            rows.to_parquet(file, index=False)
        if kind == "json":
            file.write_bytes(changed_bytes(file.read_bytes(), random))
        else:
            change_file(file, random)
        # What is packed is unpacked among the temporary files.
        with self._temporary_files_here(), self.watch.watching():
            imported = import_posts("auto", file, self.case / "imported").dataset
            imported.describe()

    @contextmanager
    def _temporary_files_here(self) -> Iterator[None]:
        before, tempfile.tempdir = tempfile.tempdir, str(self.case)
        try:
            yield
        finally:
            tempfile.tempdir = before

    def _run(self, number: int, random: np.random.Generator) -> None:
        copy = self.case / "run"
        shutil.copytree(self.runs[number % len(self.runs)].folder, copy)
        files = [path for path in sorted(copy.rglob("*")) if path.is_file()]
        kept = [path for path in files if path.suffix in (".json", ".parquet", ".safetensors")]
        change_file(kept[int(random.integers(len(kept)))], random)
        with self.watch.watching():
            run = Run.load(copy, self.cache)
            run.predict([evoked.Draft(image=self.picture, caption="Golden hour #sea")])
            if number % 4 == 0:
                write_report(run, None, self.case / "report.html")

    def _dataset(self, number: int, random: np.random.Generator) -> None:
        copy = self.case / "posts"
        shutil.copytree(self.posts.folder, copy)
        files = [path for path in sorted(copy.rglob("*")) if path.is_file()]
        tables = [path for path in files if path.suffix in (".json", ".parquet")]
        chosen = tables if random.random() < 0.9 else files
        change_file(chosen[int(random.integers(len(chosen)))], random)
        with self.watch.watching():
            dataset = PostDataset(copy)
            dataset.describe()
            for name in dataset.tables:
                dataset.table(name)
            self.runs[0].predict(dataset)
            dataset.copy(self.case / "copied", {})


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind, count in COUNTS.items():
        parser.add_argument(f"--{kind}", type=int, default=count, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--failures", type=Path, help="file for the tracebacks of failed cases")
    add_json_option(parser)
    arguments = parser.parse_args()
    rows, failures = [], []
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder), arguments.seed)
        for kind in COUNTS:
            outcome = fuzz.run(kind, getattr(arguments, kind))
            failures += outcome.failures
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append(
                {
                    "kind": kind,
                    "cases": getattr(arguments, kind),
                    "read": outcome.read,
                    "refused": outcome.refused,
                    "failed": outcome.failed,
                    "wrote outside, ran or connected": outcome.noticed,
                    "seconds, slowest": outcome.slowest,
                    "MB, peak": peak,
                }
            )
            print(rows[-1], flush=True)
    reasons = Counter(failure.strip().splitlines()[-1] for failure in failures)
    if arguments.failures is not None:
        arguments.failures.write_text("\n".join(failures), encoding="utf-8", errors="replace")
    finish(
        arguments,
        {"seed": arguments.seed, "failures": dict(reasons)},
        tables={"cases": table(pd.DataFrame(rows), default_format=".1f")},
        code=[
            "src/evoked/files.py",
            "src/evoked/parquet.py",
            "src/evoked/posts",
            "src/evoked/runs",
        ],
    )


if __name__ == "__main__":
    main()
