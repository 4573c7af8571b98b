"""What an export is worth: does it say what its run says, how soon, and what does it take?

Each model learns from synthetic posts (one epoch, or 50 trees), is saved and exported in both
formats. Then, on one thread:

- *differences*: the largest difference, over drafts, between what the run and what its export
  predicts, relative to the larger of 1 and the run's number, for batches of 1, 2 and 7 drafts;
- *answers*: CPU seconds of a fresh process that answers one draft, features computed anew (median
  of the repeats), and milliseconds of a process that has answered before (median of 20 drafts);
- *sizes*: bytes of the export; and of an environment made for it alone, in which the export is run
  (``--no-environment`` leaves that out, which downloads some 100 MB), beside this environment.

The last line is JSON. Run: ``OMP_NUM_THREADS=1 python benchmarks/export.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from record import REPOSITORY, add_json_option, finish, table

from evoked import runtime
from evoked.exporting import export_run
from evoked.features.cache import FeatureCache
from evoked.files import plain, records
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.scoring import Scorer
from evoked.training import TrainingSettings

SOURCES = REPOSITORY / "src"
POSTS = 200
BATCHES = (1, 2, 7)
WARM = 20
DAY = "2031-05-13T18:30"
_TREES = {"trees": 50}
# By model: the task, and settings.
MODELS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "linear": (None, {}),
    "gradient_boosting": (None, _TREES),
    "blend": (
        None,
        {
            "members": [
                {"model": "recent_posts"},
                {
                    "model": "gradient_boosting",
                    "settings": {**_TREES, "fixed": True, "components": 8, "start": "line"},
                },
            ]
        },
    ),
    "abmf": (None, {}),
    "dual_attention": ("author_popularity", {}),
}
FORMATS = ("onnx", "openvino")

COLD = """
import json, sys, time
sys.argv = ["evoked", *sys.argv[1:]]
if sys.argv[1] == "runtime":
    from evoked.runtime.__main__ import main
    main(sys.argv[2:])
else:
    from evoked.cli import main
    try:
        main()
    except SystemExit:
        pass
print()
print(json.dumps([time.process_time(), "torch" in sys.modules]))
"""


def drafts_of(dataset: PostDataset, number: int) -> list[dict[str, Any]]:
    """Drafts like the last posts, by their authors."""
    posts = dataset.posts.iloc[-number:]
    covers = dataset.cover_paths()[-number:]
    return [
        {
            "image": None if cover is None else str(cover),
            "caption": caption,
            "author": author,
            "posted_at": DAY,
        }
        for cover, caption, author in zip(covers, posts["caption"], posts["author_id"], strict=True)
    ]


def learned(dataset: PostDataset, name: str, folder: Path, cache: FeatureCache) -> Run:
    """A run of a model."""
    task, settings = MODELS[name]
    return train_posts(
        dataset,
        name,
        folder,
        task=task,
        model_settings=settings,
        training=TrainingSettings(max_epochs=1, device="cpu"),
        estimate=False,
        cache=cache,
    )


def difference(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> float:
    """The largest relative difference of two answers' numbers."""
    largest = 0.0
    for theirs, ours in zip(expected, found, strict=True):
        for name, value in theirs.items():
            if isinstance(value, float) and ours[name] is not None:
                largest = max(largest, abs(ours[name] - value) / max(1.0, abs(value)))
            elif ours[name] != value:
                raise SystemExit(f"{name}: {value!r} of the run, {ours[name]!r} of its export")
    return largest


def differences(
    run: Run, exports: dict[str, runtime.ExportedRun], drafts: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A row for each format."""
    rows = []
    for name, export in exports.items():
        row: dict[str, Any] = {"model": run.model.name, "format": name}
        for batch in BATCHES:
            expected = plain(records(Scorer(run).score(drafts[:batch])))
            found = plain(export.score(drafts[:batch]))
            row[f"batch of {batch}"] = difference(expected, found)
        rows.append(row)
    return rows


def cold(arguments: list[str], cache: Path, repeats: int) -> tuple[float, bool]:
    """CPU seconds of a fresh process, and whether it imported torch."""
    seconds, torch = [], False
    for _ in range(repeats):
        shutil.rmtree(cache, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-c", COLD, *arguments],
            env={**os.environ, "PYTHONPATH": str(SOURCES), "EVOKED_CACHE": str(cache)},
            capture_output=True,
            text=True,
            check=True,
        )
        used, torch = json.loads(done.stdout.splitlines()[-1])
        seconds.append(used)
    return statistics.median(seconds), torch


def warm(score: Callable[[list[dict[str, Any]]], Any], drafts: list[dict[str, Any]]) -> float:
    """Median of the milliseconds that one draft takes, each of which is new."""
    score(drafts[:1])
    taken = []
    for number in range(WARM):
        draft = {**drafts[number % len(drafts)], "caption": f"{number} new words, again"}
        start = time.perf_counter()
        score([draft])
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def answers(
    run: Run, folders: dict[str, Path], drafts: list[dict[str, Any]], scratch: Path, repeats: int
) -> list[dict[str, Any]]:
    """Rows of how soon one draft is answered: by the run, by the run with an export beside it, and
    by each export."""
    file = scratch / "draft.json"
    file.write_text(json.dumps(drafts[0]))
    asked = ["--caption", drafts[0]["caption"], "--author", drafts[0]["author"]]
    asked += ["--image", drafts[0]["image"], "--posted-at", DAY, "--json"]
    cache = scratch / "cold-cache"
    ways: dict[str, tuple[list[str], Callable[[list[dict[str, Any]]], Any]]] = {
        "evoked predict": (["predict", str(run.folder), *asked], Scorer(run).score)
    }
    for name, folder in folders.items():
        export = runtime.load(folder)
        ways[f"evoked.runtime, {name}"] = (["runtime", str(folder), str(file)], export.score)
    rows = [
        _answered(run, way, arguments, score, drafts, cache, repeats)
        for way, (arguments, score) in ways.items()
    ]
    twin = run.folder / "export"
    shutil.copytree(folders["onnx"], twin)
    arguments = ways["evoked predict"][0]
    way = "evoked predict, with RUN/export"
    rows.insert(1, _answered(run, way, arguments, None, [], cache, repeats))
    shutil.rmtree(twin)
    return rows


def _answered(
    run: Run,
    way: str,
    arguments: list[str],
    score: Callable[[list[dict[str, Any]]], Any] | None,
    drafts: list[dict[str, Any]],
    cache: Path,
    repeats: int,
) -> dict[str, Any]:
    seconds, torch = cold(arguments, cache, repeats)
    return {
        "model": run.model.name,
        "answered by": way,
        "cold, CPU s": seconds,
        "imports torch": "yes" if torch else "no",
        "warm, ms": None if score is None else warm(score, drafts),
    }


def environment(export: Path, draft: Path, scratch: Path) -> dict[str, Any]:
    """Size of an environment that is made for an export alone, in which it answers a draft."""
    manifest = json.loads((export / "manifest.json").read_text())
    place = scratch / "environment"
    venv.create(place, with_pip=True)
    python = str(place / "bin" / "python")
    bare = size_of(place)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-compile", *manifest["requires"]],
        check=True,
    )
    done = subprocess.run(
        [python, "-m", "evoked.runtime", str(export), str(draft)],
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCES)},
        cwd=scratch,
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "requires": manifest["requires"],
        "environment_mb": size_of(place) - bare + size_of(SOURCES / "evoked"),
        "this_environment_mb": size_of(Path(sys.prefix)),
        "answer": json.loads(done.stdout)[0],
    }


def size_of(folder: Path) -> float:
    """What a folder takes on the disk, in MB."""
    done = subprocess.run(["du", "-sk", str(folder)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0]) * 1024 / 1e6


def main() -> None:
    """Measure, and print the tables and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-environment", action="store_true")
    add_json_option(parser)
    arguments = parser.parse_args()
    parity: list[dict[str, Any]] = []
    latency: list[dict[str, Any]] = []
    sizes: list[dict[str, Any]] = []
    made: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        dataset = synthesise(scratch / "posts", n=POSTS)
        cache = FeatureCache(scratch / "cache")
        drafts = drafts_of(dataset, max(BATCHES))
        for name in arguments.models:
            run = learned(dataset, name, scratch / name, cache)
            folders = {
                format: export_run(run, scratch / f"{name}-{format}", format=format)  # type: ignore[arg-type]
                for format in FORMATS
            }
            exports = {format: runtime.load(folder) for format, folder in folders.items()}
            parity += differences(run, exports, drafts)
            latency += answers(run, folders, drafts, scratch, arguments.repeats)
            sizes += [
                {"what": f"export of {name}, {format}", "MB": size_of(folder)}
                for format, folder in folders.items()
            ]
            if name == "blend" and not arguments.no_environment:
                draft = scratch / "draft.json"
                made = environment(folders["onnx"], draft, scratch)
                expected = exports["onnx"].score(drafts[:1])[0]["answer"]
                if made["answer"]["answer"] != expected:
                    raise SystemExit(f"{made['answer']['answer']!r}, not {expected!r}")
                needed = ", ".join(made["requires"])
                sizes.append(
                    {"what": f"environment for it ({needed})", "MB": made["environment_mb"]}
                )
                sizes.append({"what": "this environment", "MB": made["this_environment_mb"]})
    whole = {"warm, ms": ".0f"}
    shown = {
        "differences": table(pd.DataFrame(parity), ".1e"),
        "answers": table(pd.DataFrame(latency), ".2f", **whole),
        "sizes": table(pd.DataFrame(sizes), ".0f"),
    }
    for frame in (parity, latency, sizes):
        print(pd.DataFrame(frame).to_markdown(index=False), "\n")
    finish(
        arguments,
        {
            "posts": POSTS,
            "drafts": len(drafts),
            "parity": parity,
            "answers": latency,
            "sizes": sizes,
        },
        tables=shown,
        code=["src/evoked/exporting", "src/evoked/runtime", "src/evoked/features/encoders"],
        libraries=("torch", "onnxruntime", "openvino"),
    )


if __name__ == "__main__":
    main()
