"""What commands cost that need no network: help, lists, mistyped names, imports, made-up posts, and
training and using a model that is no network.

Every command runs in a process of its own, on one thread, with the sources of either tree, one
after the other. Measured in that process: CPU seconds from its start to its end, the peak of its
memory (VmHWM, so Linux only), and which heavy libraries it has imported. The median of the
repeats stands for CPU seconds and memory.

The last line is JSON. Run: ``python benchmarks/startup.py --before OTHER_CHECKOUT/src``.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from record import add_json_option, finish, table

SOURCES = Path(__file__).resolve().parents[1] / "src"

COMMANDS = (
    "--help",
    "train --help",
    "models",
    "features",
    "reproduce --list",
    "train posts --out run --model abmv",
    "train posts --out run --task sharse",
    "train posts --out run --set widht=3",
    "train posts --out run --lerning-rate 1",
    "train missing --out run",
    "evaluate missing posts",
    "predict missing --caption hello",
    "explain missing --caption hello",
    "report missing",
    "analyse missing --out new",
    "import csv posts.csv imported",
    "synth made --n 3",
    "synth network --network --scale 0.001 --pictures 96",
    "privacy keys keys",
)

POSTS = 700
FEW_POSTS = 100
# In this order: the first trains on features that it computes, the second finds its features.
USES = (
    f"train few --out few-run --model linear --cache few-features  # {FEW_POSTS} posts",
    f"train many --out run --model linear --cache features  # {POSTS} posts, features there",
    f"train many --out default --cache features  # {POSTS} posts, features there",
    "predict run --author new --caption hello --image picture.jpg --cache draft",
    "predict default --author new --caption hello --image picture.jpg --cache draft",
    f"rank run --author new {' '.join(f'--caption hello-{number}' for number in range(10))}"
    " --cache draft  # ten drafts",
    "advise run --author new --caption hello --image picture.jpg --cache draft",
)

PROGRAM = """
import json, re, sys, time
sys.argv[0] = "evoked"
from evoked.cli import main
try:
    main()
except SystemExit:
    pass
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1])
heavy = (
    "catboost cv2 gensim lightning matplotlib nltk plotly scipy sklearn statsmodels torch "
    "transformers"
).split()
found = [name for name in heavy if name in sys.modules]
print()
print(json.dumps({"cpu_s": time.process_time(), "peak_mib": peak / 1024, "heavy": found}))
"""


def measure(command: str, sources: Path, folder: Path) -> dict[str, Any]:
    """CPU seconds, peak memory in MiB and heavy libraries of one command."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command.partition("  #")[0].split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(sources), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def compare(command: str, trees: dict[str, Path], repeats: int) -> dict[str, Any]:
    """One command with both trees, which take turns."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    for _ in range(repeats):
        for name, sources in trees.items():
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "posts.csv").write_text("id,caption\n1,Good morning\n2,Good night\n")
                runs[name].append(measure(command, sources, Path(folder)))
    return row_of(command, runs)


def compare_uses(trees: dict[str, Path], repeats: int, cache: Path) -> list[dict[str, Any]]:
    """Training and using a model with both trees, which take turns.

    Parameters
    ----------
    cache
        Where the features of the posts are kept, which are the same for both trees; what it lacks
        is computed first, and not measured.
    """
    runs: list[dict[str, list[dict[str, Any]]]] = [{name: [] for name in trees} for _ in USES]
    for turn in range(repeats):
        for name, sources in trees.items():
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                measure(f"synth few --n {FEW_POSTS}", sources, folder)
                measure(f"synth many --n {POSTS}", sources, folder)
                (folder / "features").symlink_to(cache.resolve())
                pictures = sorted((folder / "many" / "images").iterdir())
                shutil.copy(pictures[0], folder / "picture.jpg")
                if not turn:
                    measure("train many --out warm --cache features", sources, folder)
                for command, measured in zip(USES, runs, strict=True):
                    shutil.rmtree(folder / "draft", ignore_errors=True)
                    measured[name].append(measure(command, sources, folder))
    return [row_of(command, measured) for command, measured in zip(USES, runs, strict=True)]


def row_of(command: str, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians of what was measured with each tree."""
    row: dict[str, Any] = {"command": command}
    for name, measured in runs.items():
        for quantity, digits in (("cpu_s", 2), ("peak_mib", 0)):
            middle = statistics.median(one[quantity] for one in measured)
            row[f"{name}_{quantity}"] = round(middle, digits)
        row[f"{name}_heavy"] = measured[0]["heavy"]
    for quantity in ("cpu_s", "peak_mib"):
        row[f"{quantity}_ratio"] = round(row[f"before_{quantity}"] / row[f"after_{quantity}"], 1)
    return row


def table_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The rows for people."""
    shown = []
    for row in rows:
        cpu = f"{row['before_cpu_s']:.2f} → {row['after_cpu_s']:.2f}"
        memory = f"{row['before_peak_mib']:.0f} → {row['after_peak_mib']:.0f}"
        ratios = f"{row['cpu_s_ratio']}, {row['peak_mib_ratio']}"
        before, after = (", ".join(row[f"{name}_heavy"]) or "–" for name in ("before", "after"))
        shown.append((f"`{row['command']}`", cpu, memory, ratios, before, after))
    headings = ["command", "CPU s", "MiB", "ratios", "heavy before", "heavy after"]
    return pd.DataFrame(shown, columns=headings)


def main() -> None:
    """Measure, and print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="the other tree's src folder")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--uses", action="store_true", help="training and using, nothing else")
    parser.add_argument("--cache", type=Path, default=Path("features"), help="see --uses")
    add_json_option(parser)
    arguments = parser.parse_args()
    trees = {"before": arguments.before.resolve(), "after": SOURCES}
    if arguments.uses:
        arguments.cache.mkdir(parents=True, exist_ok=True)
        rows = compare_uses(trees, arguments.repeats, arguments.cache)
    else:
        rows = [compare(command, trees, arguments.repeats) for command in COMMANDS]
    shown = table_of(rows)
    print(shown.to_markdown(index=False))
    finish(
        arguments,
        {"repeats": arguments.repeats, "commands": rows},
        tables={"commands": table(shown)},
        code=[
            "src/evoked/cli",
            "src/evoked/__init__.py",
            "src/evoked/models/registry.py",
            "src/evoked/features/encoders",
        ],
    )


if __name__ == "__main__":
    main()
