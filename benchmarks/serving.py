"""How long one draft takes a desk that is warm, and what of that its encoders take.

A linear model learns from 600 synthetic posts of 23 authors, with the default encoders. Then one
process scores drafts that nobody has scored before, each with a picture and a caption of its own,
one after the other: by the scorer in Python, and through the interface for programs (HTTP on this
machine, the picture brought before, as the page does). Encoders are timed where they are called, in
the scorer's own calls. The same with pictures and captions of real posts, whose captions are a
third as long (``--data``; skipped where absent). Beside these stands ``evoked predict``, which
starts anew for each draft, and the same scorer before answers shared anything (``--before
OTHER_CHECKOUT/src``).

Then sixteen clients ask a desk, a process of its own at a port of this machine, for ``--scores``
scores, each of one of twenty drafts without a picture; asking ends after ``--seconds`` whatever
has been answered by then. Every answer is held against what ``evoked predict --drafts`` writes for
the same drafts: one whose sentence differs, or a number beyond single precision, is wrong. Beside
this stands the same scorer called in a loop in Python. The desk's memory is taken before the load
and three times in it.

- *characters*: median length of the captions;
- *ms*: median, and the 95th percentile, of the time on the clock;
- *CPU ms*: median of the processor's time, which other jobs on the machine change less.

Run: ``python benchmarks/serving.py``, ten minutes or so; ``--scores 200`` is a
short form. The last line is JSON.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import psutil
from peers import DATASETS
from record import add_json_option, finish, table

from evoked.features import pipeline
from evoked.features.cache import FeatureCache
from evoked.files import parse_json, write_text
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.posts.synthetic.posts import synthesise
from evoked.runs.posts import Run
from evoked.scoring import Scorer

POSTS, DRAFTS, STARTS = 600, 40, 3
TARGET_MS = 150
REAL = "instagram_top20"
SCORES, SECONDS, CLIENTS, TEXTS, LOOP = 10_000, 420, 16, 20, 100
# Shares of the load after which the desk's memory is taken.
MARKS = (0.2, 0.5, 1.0)


def drafts_of(posts: PostDataset, author: str) -> list[Draft]:
    """Drafts that share neither picture nor caption."""
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
        "characters": statistics.median(len(draft.caption or "") for draft in drafts[3:]),
        "n": len(clock),
    }


@contextmanager
def encoders_timed() -> Iterator[list[float]]:
    """Keeps the milliseconds that encoders take, with what is kept of them in the cache."""
    spent: list[float] = []
    extract = pipeline.extract_posts

    def timing(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        found = extract(*arguments, **options)
        spent.append(1000 * (time.perf_counter() - began))
        return found

    with patch.object(pipeline, "extract_posts", timing):
        yield spent


def by_scorer(run: Run, drafts: list[Draft]) -> dict[str, float]:
    """One draft after the other in Python."""
    with encoders_timed() as spent:
        found = timed(lambda draft: run.predict([draft]), drafts)
    return found | {"encoders": statistics.median(spent[3:])}


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


def answers(
    run: Run, drafts: list[Draft], author: str, data: Path, scratch: Path
) -> dict[str, dict[str, float]]:
    """How long one draft takes, by who answers it."""
    third, cache = len(drafts) // 3, scratch / "cache"
    rows = {"a warm scorer": by_scorer(run, drafts[:third])}
    source = DATASETS[REAL]
    if (data / source.path).exists():
        real = drafts_of(source.imported(data, scratch / "real"), author)
        step = len(real) // DRAFTS
        rows["a warm scorer, real posts"] = by_scorer(run, real[::step][:DRAFTS])
    else:
        print(f"skipped the real posts: {source.path} is absent")
    rows["over HTTP"] = by_http(run, scratch / "desk", cache, drafts[third : 2 * third])
    rows["evoked predict, from cold"] = by_command(run, cache, drafts[2 * third :])
    return rows


def before(source: Path, run: Run, work: Path) -> dict[str, float]:
    """The scorer's row as another checkout measures it, in a process of its own."""
    command = [sys.executable, __file__, "--measure", str(run.folder), "--work", str(work)]
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def repeated_drafts(author: str) -> list[dict[str, Any]]:
    """Twenty drafts as the interface takes them, their moments said: an hour left out would be
    that of the answer."""
    return [
        {
            "name": f"draft {number}",
            "caption": f"Golden hour number {number} over the bay #sunset #day{number}",
            "author": author,
            "posted_at": f"2026-05-{1 + number:02d}T{number:02d}:30",
        }
        for number in range(TEXTS)
    ]


def typed(run: Run, cache: Path, folder: Path, drafts: list[dict[str, Any]]) -> list[Any]:
    """What the command line writes for the drafts."""
    columns = {"name": "id", "author": "author_id", "posted_at": "date"}
    rows = [{columns.get(name, name): value for name, value in row.items()} for row in drafts]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write_text(folder / "drafts.jsonl", lines)
    words = ["predict", run.folder, "--drafts", folder / "drafts.jsonl"]
    command = [sys.executable, "-m", "evoked", *words, "--out", folder / "typed.json"]
    subprocess.run(
        list(map(str, [*command, "--cache", cache])), check=True, stdout=subprocess.DEVNULL
    )
    found: list[Any] = json.loads((folder / "typed.json").read_text(encoding="utf-8"))
    return found


@contextmanager
def served(run: Run, cache: Path, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A desk in a process of its own: its port, and the process."""
    words = ["--serve", run.folder, "--work", folder, "--cache", cache]
    command = [sys.executable, __file__, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            while asked(port, "GET", "/ready")[0] != 200:
                time.sleep(0.1)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


def serve(run: Path, folder: Path, cache: Path) -> None:
    """Be a desk whose clients may ask as often as they like, and print its port."""
    import uvicorn

    from evoked.serve.server import bound, serve_app
    from evoked.serve.settings import DeskSettings, Limits

    listening = bound("127.0.0.1", 0)
    print(listening.getsockname()[1], flush=True)
    limits = Limits(requests=1_000_000)
    serve_app(DeskSettings(folder, runs=(run,), cache=cache, limits=limits), listening, uvicorn)


def asked(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Status and content of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def under_load(
    run: Run, cache: Path, folder: Path, author: str, scores: int, seconds: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ask for scores from many clients at once: what they saw, and the desk's memory."""
    drafts = repeated_drafts(author)
    expected = typed(run, cache, folder, drafts)
    bodies = [json.dumps({"drafts": [facts]}) for facts in drafts]
    turns, lock, clock = itertools.count(), Lock(), []
    wrong = failed = 0
    with served(run, cache, folder / "served") as (port, process):
        for body in bodies[:3]:
            asked(port, "POST", "/api/v1/score", body)
        memory = [{"scores": 0, "MiB": process.memory_info().rss / 2**20}]
        ends = time.monotonic() + seconds
        marks = [round(share * scores) for share in MARKS]

        def ask(_: int) -> None:
            nonlocal wrong, failed
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            while (turn := next(turns)) < scores and time.monotonic() < ends:
                began = time.perf_counter()
                headers = {"Content-Type": "application/json"}
                connection.request("POST", "/api/v1/score", bodies[turn % TEXTS], headers)
                answer = connection.getresponse()
                content = answer.read()
                took = 1000 * (time.perf_counter() - began)
                right = answer.status == 200 and is_same(content, expected[turn % TEXTS])
                with lock:
                    clock.append(took)
                    failed += answer.status != 200
                    wrong += answer.status == 200 and not right
                    if len(clock) in marks:
                        size = process.memory_info().rss / 2**20
                        memory.append({"scores": len(clock), "MiB": size})
            connection.close()

        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(ask, range(CLIENTS)))
        whole = time.perf_counter() - began
        if len(clock) not in marks:
            size = process.memory_info().rss / 2**20
            memory.append({"scores": len(clock), "MiB": size})
    row = {
        "ms": statistics.median(clock),
        "p95": float(np.quantile(clock, 0.95)),
        "per_second": len(clock) / whole,
        "n": len(clock),
        "failed": failed,
        "wrong": wrong,
    }
    return row, memory


def is_same(content: bytes, expected: dict[str, Any]) -> bool:
    """Whether an answer says in all columns what the command line wrote: its texts and sentences
    to the letter, its numbers to single precision, which adds up twenty drafts in another order
    than one."""
    (row,) = parse_json(content, "answer")["scores"]
    return all(
        row[name] == value
        or (isinstance(value, float) and math.isclose(row[name], value, rel_tol=1e-4, abs_tol=1e-6))
        for name, value in expected.items()
    )


def in_a_loop(run: Run, author: str) -> dict[str, Any]:
    """The same drafts, scored by the same model in a loop."""
    scorer, clock = Scorer(run), []
    for facts in itertools.islice(itertools.cycle(repeated_drafts(author)), TEXTS + LOOP):
        began = time.perf_counter()
        scorer.score([facts])
        clock.append(1000 * (time.perf_counter() - began))
    clock = clock[TEXTS:]
    return {
        "ms": statistics.median(clock),
        "p95": float(np.quantile(clock, 0.95)),
        "per_second": 1000 * len(clock) / sum(clock),
        "n": len(clock),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".cache/serving"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--before", type=Path, metavar="SRC", help="another checkout's src")
    parser.add_argument("--scores", type=int, default=SCORES, help="scores that clients ask for")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="longest time they ask")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    add_json_option(parser)
    arguments = parser.parse_args()
    work: Path = arguments.work
    if arguments.serve:
        serve(arguments.serve, work, arguments.cache)
        return
    work.mkdir(parents=True, exist_ok=True)
    place = work / "posts"
    posts = PostDataset(place) if place.is_dir() else synthesise(place, n=POSTS, seed=1)
    author = str(posts.posts["author_id"].iloc[0])
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "cache"
        if arguments.measure:
            drafts = drafts_of(synthesise(Path(scratch) / "drafts", DRAFTS, seed=99), author)
            run = Run.load(arguments.measure, FeatureCache(cache))
            print(json.dumps(by_scorer(run, drafts)))
            return
        if not (work / "run").is_dir():
            from evoked.runs.training import train_posts

            train_posts(posts, "linear", work / "run", cache=FeatureCache(work / "cache"))
        drafts = drafts_of(synthesise(Path(scratch) / "drafts", 3 * DRAFTS, seed=99), author)
        run = Run.load(work / "run", FeatureCache(cache))
        rows = answers(run, drafts, author, arguments.data, Path(scratch))
        if arguments.before:
            rows["a warm run, before"] = before(arguments.before, run, work)
        asking = f"the desk, {CLIENTS} clients"
        place = Path(scratch)
        load, memory = under_load(run, cache, place, author, arguments.scores, arguments.seconds)
        loads = {asking: load, "a scorer in a loop": in_a_loop(run, author)}
    named = {"characters": "characters", "ms": "ms", "p95": "95 %, ms", "cpu": "CPU ms"}
    named |= {"encoders": "encoders, ms", "n": "n"}
    shown = framed(rows, "one draft, answered by", named)
    columns = {"ms": "ms", "p95": "95 %, ms", "per_second": "scores a second", "n": "scores"}
    columns |= {"failed": "failed", "wrong": "wrong"}
    shown_load = framed(loads, "answered by", columns)
    shown_memory = pd.DataFrame(memory).rename(columns={"MiB": "memory, MiB"})
    for frame in (shown, shown_load, shown_memory):
        print(frame.to_markdown(index=False))
    formats = {name: ".0f" for name in (*named.values(), *columns.values(), "memory, MiB")}
    formats["scores a second"] = ".1f"
    finish(
        arguments,
        {"posts": POSTS, "target_ms": TARGET_MS, "rows": rows, "load": loads, "memory": memory},
        tables={
            name: table(frame, **{each: formats[each] for each in frame if each in formats})
            for name, frame in {
                "answers": shown,
                "load": shown_load,
                "memory": shown_memory,
            }.items()
        },
        code=["src/evoked/scoring", "src/evoked/serve/api/drafts.py", "src/evoked/runs"],
        libraries=("onnxruntime", "fastapi"),
    )


def framed(rows: dict[str, dict[str, Any]], what: str, named: dict[str, str]) -> pd.DataFrame:
    """Rows as a table: their names in the first column, called ``what``."""
    frame = pd.DataFrame(rows).T[list(named)].rename(columns=named)
    frame.insert(0, what, frame.index)
    return frame


if __name__ == "__main__":
    main()
