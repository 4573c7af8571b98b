"""How long one draft takes a desk that is warm, and what of that its encoders take.

A linear model learns from 600 synthetic posts of 23 authors, with the default encoders. Then one
process scores drafts that nobody has scored before, each with a picture and a caption of its own,
one after the other: by the scorer in Python, and through the interface for programs (HTTP on this
machine, the picture brought before, as the page does). Encoders are timed where they are called, in
the scorer's own calls. Beside these stands ``evoked predict``, which starts anew for each draft,
and the same scorer before answers shared anything (``--before OTHER_CHECKOUT/src``).

- *ms*: median, and the 95th percentile, of the time on the clock;
- *CPU ms*: median of the processor's time, which other jobs on the machine change less.

Run: ``OMP_NUM_THREADS=1 python benchmarks/serving.py``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from record import add_json_option, finish, table

from evoked.features.cache import FeatureCache
from evoked.features.extract import _Job  # where encoders are called
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.posts.synthetic.posts import synthesise
from evoked.runs.posts import Run

POSTS, DRAFTS, STARTS = 600, 40, 3
TARGET_MS = 150


def drafts_of(folder: Path, number: int, author: str) -> list[Draft]:
    """Drafts that share neither picture nor caption."""
    posts = synthesise(folder, n=number, seed=99)
    return [
        Draft(image=path, caption=f"{caption} {row}", author=author)
        for row, (path, caption) in enumerate(
            zip(posts.cover_paths(), posts.posts["caption"].fillna(""), strict=True)
        )
        if path is not None
    ]


def timed(work: Callable[[Draft], Any], drafts: list[Draft]) -> dict[str, float]:
    """Times of single calls in milliseconds, after three that warm up."""
    clock, processor = [], []
    for draft in drafts[:3]:
        work(draft)
    for draft in drafts[3:]:
        began, used = time.perf_counter(), time.process_time()
        work(draft)
        clock.append(1000 * (time.perf_counter() - began))
        processor.append(1000 * (time.process_time() - used))
    return {
        "ms": statistics.median(clock),
        "p95": float(np.quantile(clock, 0.95)),
        "cpu": statistics.median(processor),
        "n": len(clock),
    }


@contextmanager
def encoders_timed() -> Iterator[list[float]]:
    """Keeps the milliseconds that encoders take, with what is kept of them in the cache."""
    spent: list[float] = []
    run = _Job.run

    def timing(self: _Job, *arguments: Any) -> None:
        began = time.perf_counter()
        run(self, *arguments)
        spent.append(1000 * (time.perf_counter() - began))

    with patch.object(_Job, "run", timing):
        yield spent


def by_scorer(run: Run, drafts: list[Draft]) -> dict[str, float]:
    """One draft after the other in Python."""
    with encoders_timed() as spent:
        found = timed(lambda draft: run.predict([draft]), drafts)
    return found | {"encoders": sum(spent) / len(drafts)}


def by_http(run: Run, folder: Path, cache: Path, drafts: list[Draft]) -> dict[str, float]:
    """One draft after the other through the interface for programs."""
    from fastapi.testclient import TestClient

    from evoked.serve.app import create_app
    from evoked.serve.settings import DeskSettings, Limits

    limits = Limits(requests=1_000_000)
    settings = DeskSettings(folder, runs=(run.folder,), cache=cache, limits=limits)
    client = TestClient(create_app(settings, worker=False), base_url="http://127.0.0.1")
    with client:
        bodies = {}
        for draft in drafts:
            content = Path(str(draft.image)).read_bytes()
            answer = client.post("/api/v1/pictures", files={"file": ("a.jpg", content)})
            facts = {"picture": answer.json()["picture"], "caption": draft.caption}
            bodies[draft.image] = {"drafts": [facts | {"author": draft.author}]}

        def ask(draft: Draft) -> None:
            answer = client.post("/api/v1/score", json=bodies[draft.image])
            assert answer.json()["scores"][0]["error"] is None

        return timed(ask, drafts)


def by_command(run: Run, cache: Path, drafts: list[Draft]) -> dict[str, float]:
    """A process for each draft."""
    clock = []
    for draft in drafts[:STARTS]:
        words = ["predict", run.folder, "--image", draft.image, "--caption", draft.caption]
        command = [sys.executable, "-m", "evoked", *words, "--author", draft.author]
        began = time.perf_counter()
        subprocess.run(
            list(map(str, [*command, "--cache", cache])), check=True, stdout=subprocess.DEVNULL
        )
        clock.append(1000 * (time.perf_counter() - began))
    return {"ms": statistics.median(clock), "n": len(clock)}


def before(source: Path, run: Run, work: Path) -> dict[str, float]:
    """The scorer's row as another checkout measures it, in a process of its own."""
    command = [sys.executable, __file__, "--measure", str(run.folder), "--work", str(work)]
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".cache/serving"))
    parser.add_argument("--before", type=Path, metavar="SRC", help="another checkout's src")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    place = work / "posts"
    posts = PostDataset(place) if place.is_dir() else synthesise(place, n=POSTS, seed=1)
    author = str(posts.posts["author_id"].iloc[0])
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "cache"
        if arguments.measure:
            drafts = drafts_of(Path(scratch) / "drafts", DRAFTS, author)
            run = Run.load(arguments.measure, FeatureCache(cache))
            print(json.dumps(by_scorer(run, drafts)))
            return
        if not (work / "run").is_dir():
            from evoked.runs.training import train_posts

            train_posts(posts, "linear", work / "run", cache=FeatureCache(work / "cache"))
        drafts = drafts_of(Path(scratch) / "drafts", 3 * DRAFTS, author)
        third = len(drafts) // 3
        run = Run.load(work / "run", FeatureCache(cache))
        rows = {"a warm scorer": by_scorer(run, drafts[:third])}
        rows["over HTTP"] = by_http(run, Path(scratch) / "desk", cache, drafts[third : 2 * third])
        rows["evoked predict, from cold"] = by_command(run, cache, drafts[2 * third :])
        if arguments.before:
            rows["a warm run, before"] = before(arguments.before, run, work)
    named = {"ms": "ms", "p95": "95 %, ms", "cpu": "CPU ms", "encoders": "encoders, ms", "n": "n"}
    shown = pd.DataFrame(rows).T[list(named)].rename(columns=named)
    shown.insert(0, "one draft, answered by", shown.index)
    print(shown.to_markdown(index=False))
    formats = {name: ".0f" for name in named.values()}
    finish(
        arguments,
        {"posts": POSTS, "target_ms": TARGET_MS, "rows": rows},
        tables={"answers": table(shown, **formats)},
        code=["src/evoked/scoring", "src/evoked/serve/api/drafts.py", "src/evoked/runs"],
        libraries=("onnxruntime", "fastapi"),
    )


if __name__ == "__main__":
    main()
