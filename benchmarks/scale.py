"""Scoring any number of posts: the same scores as at once, whatever is killed, and what it costs.

A linear model learns from synthetic posts (``--trained``). The posts to score repeat 500 synthetic
ones under new ids, authors and dates. One in fifty has a caption, with a number of its own so that
it is encoded, and one in a hundred a picture; the others are facts alone, since encoding is
measured elsewhere (``benchmarks/extraction.py``). They lie in Parquet files of 5,000. Four
questions, each for both engines (``--engines``), local processes and Ray on this machine:

- *equality*: do all posts get, row by row, what ``Run.predict`` says of them at once?
- *killed*: after workers, and after the command itself, were killed (SIGKILL) so many times
  (``--kills``), each command then given again, is the table the same?
- *speed*: posts per second of the clock with one and two workers, loading and gathering included,
  and per second of scoring alone, from the first batch's end to the last's;
- *memory*: the largest resident size of the command and of a worker, at two sizes (``--memory``).

Then the costs of a post (processor seconds, bytes in and out) are multiplied to a hundred million.

    OMP_NUM_THREADS=1 python benchmarks/scale.py --posts 20000 --memory 20000 200000

The last line is JSON; ``--json FILE`` writes it, too. ``--posts 1000 --trained 150 --rows 128
--memory 1000 4000 --kills 1`` takes a few minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from record import add_json_option, finish, table

from evoked.features.cache import FeatureCache
from evoked.files import write_parquet
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise
from evoked.runs.posts import Run
from evoked.runs.training import train_posts

DIFFERENT, PER_FILE = 500, 5000
WITH_CAPTION, WITH_PICTURE = 50, 100
PLANNED = 100_000_000
# What single precision leaves of the order in which numbers are added.
TOLERANCE = 1e-5
SECONDS_BETWEEN_LOOKS = 0.05

DRIVER = """
import json, sys, time
from evoked.scoring.at_scale import score_parts

def report(stage, done, total):
    print(json.dumps([time.time(), stage, done]), flush=True)

if __name__ == "__main__":
    run, source, pictures, out, engine, workers, rows = sys.argv[1:]
    score_parts(run, source, out, pictures=pictures, engine=engine, workers=int(workers),
                rows_per_batch=int(rows), progress=report)
"""


def posts_of(base: pd.DataFrame, n: int) -> Iterator[pd.DataFrame]:
    """Posts in files' worth: the base's, again and again, as those of other authors and times."""
    for begin in range(0, n, PER_FILE):
        number = np.arange(begin, min(begin + PER_FILE, n))
        turn, row = number // len(base), number % len(base)
        posts = base.iloc[row].reset_index(drop=True)
        captions = posts["caption"].fillna("") + pd.Series(number).map(" {}".format)
        authors = posts["author_id"] + pd.Series(turn).map("-{}".format)
        shown = zip(posts["images"], number % WITH_PICTURE == 0, strict=True)
        yield posts.assign(
            post_id=[f"post-{each:09d}" for each in number],
            author_id=authors,
            posted_at=posts["posted_at"] + pd.to_timedelta(turn, unit="h"),
            caption=captions.where(number % WITH_CAPTION == 0),
            images=pd.Series([names if has else [] for names, has in shown], dtype=object),
        )


def write_parts(base: pd.DataFrame, n: int, folder: Path) -> Path:
    """Posts in files of 5,000."""
    for number, posts in enumerate(posts_of(base, n)):
        write_parquet(folder / f"{number:05d}.parquet", posts)
    return folder


@dataclass
class Watched:
    """What was seen of a command and the processes that it started.

    Attributes
    ----------
    seconds
        On the clock.
    stages
        Time, stage and posts done, as the command reported.
    resident
        Largest resident bytes by process.
    processor
        Seconds of the processor by process.
    scratch, together
        Most bytes put aside, and most resident bytes of all processes at a time.
    """

    seconds: float = 0.0
    stages: list[tuple[float, str, int]] = field(default_factory=list)
    resident: dict[int, int] = field(default_factory=dict)
    processor: dict[int, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    scratch: int = 0
    together: int = 0

    def look(self, process: psutil.Process) -> None:
        """See what the processes take at this moment."""
        try:
            everyone = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        together = 0
        for each in everyone:
            try:
                with each.oneshot():
                    resident, used = each.memory_info().rss, each.cpu_times()
                    name = " ".join(each.cmdline())
            except psutil.Error:
                continue
            together += resident
            if not name:  # it has ended
                continue
            self.resident[each.pid] = max(resident, self.resident.get(each.pid, 0))
            self.processor[each.pid] = used.user + used.system
            self.names[each.pid] = name
        self.together = max(self.together, together)

    def workers(self) -> list[int]:
        """Processes that scored."""
        return [pid for pid, name in self.names.items() if is_worker(name)]

    def scoring_rate(self) -> float:
        """Posts per second from the first batch's end to the last's."""
        ends = [(when, done) for when, stage, done in self.stages if stage == "scoring" and done]
        if len(ends) < 2:
            return float("nan")
        return (ends[-1][1] - ends[0][1]) / (ends[-1][0] - ends[0][0])

    def gathering_seconds(self) -> float:
        """Seconds that gathering took, from its first report to the first of scoring."""
        begun = [when for when, stage, _ in self.stages if stage == "gathering posts"]
        ended = [when for when, stage, _ in self.stages if stage == "scoring"]
        return ended[0] - begun[0] if begun and ended else float("nan")


def is_worker(command: str) -> bool:
    """Whether a process with such a command line scores posts."""
    return "spawn_main" in command or command.startswith("ray::MapWorker")


class Bench:
    """Where commands run, and what they share."""

    def __init__(self, folder: Path, rows: int, trained: int) -> None:
        self.folder = folder
        self.rows = rows
        self.said = folder / "said.txt"
        self.driver = folder / "driver.py"
        self.driver.write_text(DRIVER)
        base, self.run = folder / "base", folder / "run"
        dataset = PostDataset(base) if base.exists() else synthesise(base, n=DIFFERENT, seed=1)
        self.base = dataset.posts
        self.pictures = dataset.image_folder
        if not (self.run / "run.json").is_file():
            training = synthesise(folder / "training", n=trained, seed=2)
            train_posts(training, "linear", self.run, cache=FeatureCache(folder / "cache"))

    def start(self, source: Path, out: Path, engine: str, workers: int) -> subprocess.Popen[str]:
        """A command that scores, on its own."""
        words = [self.driver, self.run, source, self.pictures, out, engine, workers, self.rows]
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdout=self.said.open("w"),
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"RAY_TMPDIR": str(self.folder / "ray")},
        )

    def watch(self, source: Path, out: Path, engine: str, workers: int) -> Watched:
        """Score, and see what it takes."""
        seen, began = Watched(), time.monotonic()
        driver = self.start(source, out, engine, workers)
        process = psutil.Process(driver.pid)
        while driver.poll() is None:
            seen.look(process)
            seen.scratch = max(seen.scratch, size_of(out / ".work"))
            time.sleep(SECONDS_BETWEEN_LOOKS)
        assert driver.returncode == 0, f"{engine} ended with {driver.returncode}"
        seen.seconds = time.monotonic() - began
        seen.stages = [tuple(json.loads(line)) for line in self.said.read_text().splitlines()]
        return seen

    def killing_workers(self, source: Path, out: Path, engine: str, kills: int) -> int:
        """Score with two workers, and kill one after each of the first batches' ends."""
        driver, killed = self.start(source, out, engine, 2), 0
        process = psutil.Process(driver.pid)
        while driver.poll() is None:
            if killed < kills and len(list(out.glob("part-*.parquet"))) > killed:
                workers = [
                    each
                    for each in process.children(recursive=True)
                    if is_worker(" ".join(command_of(each)))
                ]
                if workers:
                    workers[killed % len(workers)].send_signal(signal.SIGKILL)
                    killed += 1
            time.sleep(SECONDS_BETWEEN_LOOKS)
        assert driver.returncode == 0, f"{engine} ended with {driver.returncode}"
        return killed

    def killing_drivers(self, source: Path, out: Path, engine: str, kills: int) -> int:
        """Score with two workers; kill the command after a batch more each time."""
        killed = 0
        while True:
            driver = self.start(source, out, engine, 2)
            while driver.poll() is None:
                if killed < kills and len(list(out.glob("part-*.parquet"))) > killed:
                    driver.kill()
                    driver.wait()
                    killed += 1
                    break
                time.sleep(SECONDS_BETWEEN_LOOKS)
            else:
                assert driver.returncode == 0, f"{engine} ended with {driver.returncode}"
                return killed


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder and in those within it."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def scores_in(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out).sort_values("post_id", ignore_index=True)


def compared(expected: pd.DataFrame, found: pd.DataFrame) -> dict[str, Any]:
    """How far two tables of the same posts are apart."""
    assert found["post_id"].tolist() == expected["post_id"].tolist()
    numbers = [name for name in expected if expected[name].dtype.kind == "f"]
    furthest, gaps = 0.0, 0
    for name in numbers:
        one, other = expected[name].to_numpy(), found[name].to_numpy(np.float64)
        gaps += int((np.isnan(one) != np.isnan(other)).sum())
        with np.errstate(invalid="ignore"):
            apart = np.where(one == other, 0.0, np.abs(one - other) / (1 + np.abs(one)))
        furthest = max(furthest, float(np.nanmax(apart)))
    texts = [name for name in expected if expected[name].dtype.kind not in "fib"]
    differ = sum(
        int((expected[name].fillna("").astype(str) != found[name].fillna("").astype(str)).sum())
        for name in texts
    )
    errors = int(found["error"].notna().sum())
    same = furthest <= TOLERANCE and not gaps and not differ and not errors
    return {
        "posts": len(found),
        "same": same,
        "furthest": furthest,
        "texts that differ": differ,
        "errors": errors,
    }


def at_once(bench: Bench, source: Path) -> tuple[pd.DataFrame, float]:
    """What ``Run.predict`` says of a dataset of all posts, and the seconds that it takes."""
    posts = pd.concat([pd.read_parquet(file) for file in sorted(source.glob("*.parquet"))])
    images = bench.folder / "linked"
    PostDataset(bench.folder / "base").linked_pictures(images)
    dataset = PostDataset.create(bench.folder / "whole", {"posts": posts}, images=images)
    run = Run.load(bench.run, FeatureCache(bench.folder / "once"))
    began = time.monotonic()
    found = run.predict(dataset)
    return found.sort_values("post_id", ignore_index=True), time.monotonic() - began


def measured(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    source = write_parts(bench.base, arguments.posts, bench.folder / "parts")
    expected, seconds = at_once(bench, source)
    rows: dict[str, list[dict[str, Any]]] = {"equality": [], "killed": [], "speed": []}
    speed = {"scored by": "Run.predict, all at once", "workers": None}
    rows["speed"].append({**speed, "posts/s": arguments.posts / seconds, "n": arguments.posts})
    costs: dict[str, Any] = {}
    for engine in arguments.engines:
        for workers in (1, 2):
            out = bench.folder / f"{engine}-{workers}"
            seen = bench.watch(source, out, engine, workers)
            if workers == 1:
                found = compared(expected, scores_in(out))
                rows["equality"].append({"scored by": engine, **found})
                costs[engine] = costs_of(seen, arguments.posts, source, out)
            rows["speed"].append(
                {
                    "scored by": engine,
                    "workers": workers,
                    "posts/s": arguments.posts / seen.seconds,
                    "of scoring alone": seen.scoring_rate(),
                    "CPU ms a post": 1000 * sum(seen.processor.values()) / arguments.posts,
                    "n": arguments.posts,
                }
            )
        killings = {"workers": bench.killing_workers, "the command": bench.killing_drivers}
        for what, kill in killings.items():
            out = bench.folder / f"{engine}-killed-{len(rows['killed'])}"
            times = kill(source, out, engine, arguments.kills)
            found = compared(expected, scores_in(out))
            rows["killed"].append({"scored by": engine, "killed": what, "times": times, **found})
    memory = [
        memory_of(bench, engine, size) for engine in arguments.engines for size in arguments.memory
    ]
    return {**rows, "memory": memory, "costs": costs, "plan": planned(costs[arguments.engines[0]])}


def costs_of(seen: Watched, posts: int, source: Path, out: Path) -> dict[str, float]:
    """What a post costs, the command's own loading and gathering apart from the workers' work."""
    workers = set(seen.workers())
    working = sum(seen.processor[pid] for pid in workers)
    return {
        "CPU seconds of workers": working / posts,
        "seconds of gathering": seen.gathering_seconds() / posts,
        "bytes in": size_of(source) / posts,
        "bytes out": size_of(out) / posts,
        "bytes put aside": seen.scratch / posts,
    }


def memory_of(bench: Bench, engine: str, size: int) -> dict[str, Any]:
    """Largest resident sizes while so many posts are scored, in MiB."""
    source = bench.folder / f"memory-{size}"
    if not source.exists():
        write_parts(bench.base, size, source)
    out = bench.folder / f"{engine}-memory-{size}"
    seen = bench.watch(source, out, engine, 1)
    workers = seen.workers()
    command = next(iter(seen.resident.values())) / 2**20
    worker = max(seen.resident[pid] for pid in workers) / 2**20
    return {
        "scored by": engine,
        "posts": size,
        "the command, MiB": command,
        "a worker, MiB": worker,
        "all processes, MiB": seen.together / 2**20,
        "seconds": seen.seconds,
    }


def planned(costs: dict[str, float]) -> list[dict[str, Any]]:
    """What a hundred million posts would take, by multiplication alone."""
    cores = costs["CPU seconds of workers"] * PLANNED / 86_400
    instants = 8 + 8 * 7  # see evoked.posts.everyones_means
    rows = [
        ("cores that score for a day", cores, "cores"),
        ("gathering, by one process", costs["seconds of gathering"] * PLANNED / 3600, "hours"),
        ("read", costs["bytes in"] * PLANNED / 2**30, "GiB"),
        ("written", costs["bytes out"] * PLANNED / 2**30, "GiB"),
        ("put aside meanwhile", costs["bytes put aside"] * PLANNED / 2**30, "GiB"),
        ("means of everyone's last posts, at most", instants * PLANNED / 2**30, "GiB"),
        ("files written, 2,048 posts each", PLANNED / 2048, "files"),
    ]
    return [{"what": what, "amount": amount, "unit": unit} for what, amount, unit in rows]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--memory", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--engines", nargs="+", default=["local", "ray"])
    parser.add_argument("--rows", type=int, default=2048, help="posts of a batch")
    parser.add_argument("--trained", type=int, default=600, help="posts that the run learns from")
    parser.add_argument("--work", type=Path, help="folder that keeps the run for another time")
    add_json_option(parser)
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measured(Bench(folder, arguments.rows, arguments.trained), arguments)
    tables = {
        name: table(pd.DataFrame(figures[name]), ".1f", **formats)
        for name, formats in {
            "equality": {"furthest": ".1e"},
            "killed": {"furthest": ".1e"},
            "speed": {"workers": ".0f"},
            "memory": {},
            "plan": {"amount": ",.0f"},
        }.items()
    }
    finish(
        arguments,
        figures,
        tables=tables,
        code=["src/evoked/scoring", "src/evoked/posts/gathering.py"],
        libraries=("ray", "pyarrow", "pandas"),
    )


if __name__ == "__main__":
    main()
