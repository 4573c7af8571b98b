"""How time and memory grow with the number of posts: import, append, split, train, score, question.

The posts are facts and history alone, without pictures and captions: authors with a level of their
own, followers that grow, dates over three years, a type of media, an hour that matters a little,
and counts with the author's level and noise. They are made a batch of authors at a time, so that
making five million needs no more memory than fifty thousand. All but the last month are imported,
and the last month is appended.

Every step is the command that anybody would type, in a process of its own. Its wall time, its
processor time and its largest resident size are measured from outside, its own processes included;
memory that is shared or mapped from a file counts, too.

    python benchmarks/growth.py --posts 50000,500000
    python benchmarks/growth.py --posts 5000000 --json results/speed/growth.json

The last line is JSON; ``--json FILE`` writes it, too. ``--steps import,split`` runs these alone,
``--keep FOLDER`` keeps what was made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from record import add_json_option, finish, table

STEPS = ("import", "append", "split", "train", "score", "question")
POSTS_PER_AUTHOR = 50
BATCH_AUTHORS = 4_000
DAYS = 1096
FIRST_DAY = np.datetime64("2022-01-01T00:00:00", "us")
# What is appended: the posts of the last days.
LAST_DAYS = 30
MICROSECONDS_PER_DAY = 86_400_000_000
SECONDS_BETWEEN_LOOKS = 0.05
QUESTION = (
    "select media_type, count(*) as posts, median(likes) as likes from posts "
    "group by media_type order by posts desc"
)
# The split that a run would make, in a process that does nothing else.
SPLIT = """
import sys
from evoked.evaluation.splits import choose_split
from evoked.posts.dataset import PostDataset
columns = ["post_id", "author_id", "posted_at", "split"]
print(choose_split(PostDataset(sys.argv[1]).frame(columns)))
"""


@dataclass(frozen=True)
class Measured:
    """What a step took: seconds by the clock and of processors, and MiB at its largest."""

    wall: float
    cpu: float
    memory: float


def make_posts(n: int, seed: int = 0) -> Iterator[pd.DataFrame]:
    """Posts of n / 50 authors, some thousand authors at a time."""
    authors = max(1, n // POSTS_PER_AUTHOR)
    for first in range(0, authors, BATCH_AUTHORS):
        number = min(BATCH_AUTHORS, authors - first)
        yield _posts_of(first, number, n - first * POSTS_PER_AUTHOR, seed)


def _posts_of(first: int, authors: int, left: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng([seed, first])
    sizes = np.full(authors, POSTS_PER_AUTHOR)
    if first + authors >= (first * POSTS_PER_AUTHOR + left) // POSTS_PER_AUTHOR:
        sizes[-1] += left - sizes.sum()  # the last author has what is left over
    author = np.repeat(np.arange(authors), sizes)
    n = len(author)
    followers = random.lognormal(8.5, 1.3, authors)
    growth = random.normal(0.3, 0.3, authors)
    level = random.normal(-3.6, 0.6, authors)
    # Sorted within each author, so that an author's later post has the larger number.
    day = np.sort(random.random(n) + author) % 1 * DAYS
    hour = day % 1 * 24
    media = random.choice(4, n, p=[0.5, 0.3, 0.18, 0.02])
    grown = followers[author] * np.exp(growth[author] * day / DAYS)
    timely = 0.25 * np.cos((hour - 19) / 24 * 2 * np.pi)
    popular = level[author] + timely + np.array([0.0, 0.2, 0.4, -0.3])[media]
    likes = grown * np.exp(popular + random.normal(0, 0.5, n))
    counts = {
        name: random.poisson(np.minimum(likes * share * random.lognormal(0, 0.4, n), 1e8))
        for name, share in (("comments", 0.04), ("shares", 0.02), ("saves", 0.03))
    }
    names = np.array([f"author-{first + number:07d}" for number in range(authors)], dtype=object)
    start = first * POSTS_PER_AUTHOR
    return pd.DataFrame(
        {
            "post_id": [f"p{number:09d}" for number in range(start, start + n)],
            "author_id": names[author],
            "posted_at": FIRST_DAY + (day * MICROSECONDS_PER_DAY).astype("timedelta64[us]"),
            "media_type": np.array(["image", "carousel", "video", "text"], dtype=object)[media],
            "followers": np.round(grown).astype(np.int64),
            "likes": np.round(likes).astype(np.int64),
            **counts,
        }
    )


def write_sources(n: int, folder: Path) -> tuple[Path, Path]:
    """The posts before the last days, and those of the last days, as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "posts.parquet", folder / "more.parquet"
    if all(path.is_file() for path in paths):
        return paths
    end = FIRST_DAY + np.timedelta64(DAYS - LAST_DAYS, "D")
    writers: list[pq.ParquetWriter] = []
    for batch in make_posts(n):
        late = (batch["posted_at"] >= end).to_numpy()
        for place, part in enumerate((batch[~late], batch[late])):
            rows = pa.Table.from_pandas(part, preserve_index=False)
            if len(writers) < len(paths):
                writers.append(pq.ParquetWriter(paths[place], rows.schema))
            writers[place].write_table(rows)
    for writer in writers:
        writer.close()
    return paths


def commands(n: int, folder: Path) -> dict[str, list[str]]:
    """What is called at each step."""
    base, more = write_sources(n, folder / "source")
    evoked = [sys.executable, "-m", "evoked"]
    posts, run = str(folder / "posts"), str(folder / "run")
    return {
        "import": [*evoked, "import", "parquet", str(base), posts],
        "append": [*evoked, "import", "parquet", str(more), posts, "--append"],
        "split": [sys.executable, "-c", SPLIT, posts],
        "train": [*evoked, "train", posts, "--out", run],
        "score": [
            *evoked,
            "predict",
            run,
            "--posts",
            posts,
            "--out",
            # A folder is written batch by batch; a single file would hold all posts in memory.
            str(folder / "scores"),
        ],
        "question": [*evoked, "sql", posts, QUESTION],
    }


def measure(command: list[str], log: Path) -> Measured:
    """Run a command to its end.

    Raises
    ------
    SystemExit
        It failed; its last words are shown.
    """
    started, most = time.perf_counter(), 0
    before = os.times()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.Error):
                family = [watched, *watched.children(recursive=True)]
                most = max(most, sum(_resident(each) for each in family))
            time.sleep(SECONDS_BETWEEN_LOOKS)
    after = os.times()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{log.read_text('utf-8')[-3000:]}")
    cpu = after.children_user + after.children_system - before.children_user
    cpu -= before.children_system
    return Measured(time.perf_counter() - started, cpu, most / 2**20)


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def arguments_of(words: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--posts", default="50000,500000", help="numbers of posts")
    parser.add_argument("--steps", default=",".join(STEPS), help="which steps, in order")
    parser.add_argument("--keep", type=Path, help="folder that keeps what is made")
    add_json_option(parser)
    arguments = parser.parse_args(words)
    arguments.sizes = [int(number) for number in arguments.posts.split(",")]
    arguments.chosen = arguments.steps.split(",")
    if unknown := [name for name in arguments.chosen if name not in STEPS]:
        parser.error(f"no step is called {unknown[0]}; there are {', '.join(STEPS)}.")
    return arguments


def main() -> None:
    arguments = arguments_of()
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="evoked-growth-"))
    rows = []
    try:
        for n in arguments.sizes:
            folder = place / str(n)
            called = commands(n, folder)
            for step in arguments.chosen:
                found = measure(called[step], folder / f"{step}.log")
                rows.append(
                    {
                        "posts": n,
                        "step": step,
                        "wall (s)": found.wall,
                        "processor (s)": found.cpu,
                        "processor per 1,000 posts (s)": found.cpu / n * 1000,
                        "memory (MiB)": found.memory,
                    }
                )
                print(json.dumps(rows[-1]), flush=True)
    finally:
        if arguments.keep is None:
            shutil.rmtree(place, ignore_errors=True)
    frame = pd.DataFrame(rows)
    formats = {"wall (s)": ".1f", "processor (s)": ".1f", "memory (MiB)": ".0f"}
    formats |= {"posts": ",d", "processor per 1,000 posts (s)": ".3f"}
    finish(
        arguments,
        frame.to_dict("records"),
        tables={"steps": table(frame, **formats)},
        code=("src/evoked/posts", "src/evoked/runs", "src/evoked/evaluation/splits.py"),
        libraries=("pyarrow", "pandas", "scikit-learn", "catboost", "duckdb"),
    )


if __name__ == "__main__":
    main()
