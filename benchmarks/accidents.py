"""Kills at any moment, and two processes at once: does anything get lost, mixed up or left over?

Commands of evoked run as programs. First each runs unbroken, twice, so that it is known what of
its result changes from run to run anyway (dates, seconds). Then

- *kills*: it is killed (SIGKILL, with all processes that it started) at a random moment, half of
  them after its first write, and started again;
- *pairs*: two commands run at once that want the same destination or the same cache, the second
  some random moment after the first.

In the end the result must be that of an unbroken run, file by file and value by value, and no
other file may lie anywhere: no temporary one, no lock. Of a pair, one command may be refused
by a sentence that says that the other is at work there.

Run: ``OMP_NUM_THREADS=1 python benchmarks/accidents.py``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import add_json_option, finish, table

import evoked
from evoked.features.cache import FeatureCache
from evoked.runs.training import train_posts

KILLS, TRIES = 60, 3
# Features are kept as float16; a batch that is cut elsewhere changes their last digits.
FEATURES = 2e-2
LONGEST_SECONDS = 300
# A study's record lists the sessions that it took.
_LOG = "/sessions/"
_POLL_SECONDS = 0.005
_TRIES_TO_KILL = 5
_REFUSALS = ("another run of evoked is writing there", "holds something else", "Choose another")
_EXTRACT = """
import sys
import numpy as np
from evoked.features.cache import FeatureCache
from evoked.features.extract import extract
from evoked.files import atomic_path
from evoked.posts.dataset import PostDataset
names = ["image.vector", "caption.vector"]
found, _ = extract(PostDataset(sys.argv[1]), names, cache=FeatureCache(sys.argv[2]))
for name in names:
    column = found.columns[name]
    with atomic_path(sys.argv[3] + "/" + name + ".npy") as file, file.open("wb") as stream:
        values = column.arrays(np.arange(len(column.present)))
        np.save(stream, np.asarray(values[""], float))
"""

Row = dict[str, Any]
Place = Callable[[Path], list[str]]
State = dict[tuple[str, str], Any]


@dataclass(frozen=True)
class Job:
    """A command, and what it does.

    Attributes
    ----------
    name
        What it is called in the tables.
    arguments
        Function that gives what follows ``python`` for a folder that the command writes into.
    """

    name: str
    arguments: Place

    def start(self, place: Path) -> subprocess.Popen[str]:
        """Start the command in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, *self.arguments(place)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=place,
        )


@dataclass
class Unbroken:
    """What a command makes when nothing befalls it.

    Attributes
    ----------
    state
        Its files; see :func:`state_of`.
    varying
        Of these, what differs between two unbroken runs.
    first_write, seconds
        When the first file appeared, and when the command ended.
    """

    state: State
    varying: set[tuple[str, str]]
    first_write: float
    seconds: float

    def differences(self, place: Path) -> list[str]:
        """What a folder has more, less or otherwise, for people; nothing where all is well."""
        found = state_of(place)
        names, expected = {name for name, _ in found}, {name for name, _ in self.state}
        said = [f"left over: {name}" for name in sorted(names - expected)]
        said += [f"missing: {name}" for name in sorted(expected - names)]
        both = names & expected
        for key in sorted({key for key in {**found, **self.state} if key[0] in both}):
            if key in self.varying or key[1].startswith(_LOG):
                continue
            if not _same(found.get(key), self.state.get(key)):
                said.append(f"differs: {key[0]} {key[1]}".strip())
        return said


@dataclass
class Outcome:
    """What became of the tries of one kind."""

    tries: int = 0
    killed: int = 0
    refused: int = 0
    wrong: int = 0
    left_over: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, what: str, problems: Sequence[str]) -> None:
        """Count one try."""
        self.tries += 1
        self.left_over += any(each.startswith("left over") for each in problems)
        self.wrong += any(not each.startswith("left over") for each in problems)
        self.problems += [f"{what}: {problem}" for problem in problems]


def state_of(place: Path) -> State:
    """Every file below a folder by its name and, in JSON and text, by the value or line."""
    state: State = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if _is_cache(name):
            continue
        if path.is_dir():
            state[name + "/", ""] = "folder"
        elif path.suffix == ".json":
            state |= {(name, at): value for at, value in _leaves(json.loads(path.read_bytes()))}
        elif path.suffix == ".npy":
            state[name, ""] = np.load(path)
        elif path.suffix in (".html", ".md", ".csv", ".jsonl"):
            lines = path.read_bytes().splitlines()
            state |= {(name, f"line {number}"): line for number, line in enumerate(lines, 1)}
        else:
            state[name, ""] = hashlib.sha256(path.read_bytes()).hexdigest()
    return state


def _is_cache(name: str) -> bool:
    """Whether a file is one of a cache's own, in which items lie as they happened to come."""
    parts = Path(name).parts
    return parts[0] == "cache" and (
        len(parts) < 4 or parts[-1] in ("data.bin", "index.bin", "store.json", "lock")
    )


def _leaves(value: Any, at: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, inner in pairs for leaf in _leaves(inner, f"{at}/{key}")]
    return [(at, value)]


def make_inputs(folder: Path, posts: int, seed: int) -> None:
    """What commands start from: a table with pictures, a dataset, a run, a key, a full cache."""
    dataset = evoked.synthesise(folder / "posts", n=posts, seed=seed)
    for number, name in enumerate(("table", "other")):
        source = folder / name
        source.mkdir()
        rows = dataset.posts.assign(
            image=[names[0] if len(names) else "" for names in dataset.posts["images"]],
            caption=dataset.posts["caption"].fillna("") + f" edition {number}",
            hashtags=[" ".join(tags) for tags in dataset.posts["hashtags"]],
        ).drop(columns=["images", "mentions", "emotion_scores"], errors="ignore")
        rows.to_csv(source / "posts.csv", index=False)
        for path in sorted((dataset.folder / "images").iterdir()):
            os.link(path, source / path.name)
    train_posts(dataset, "linear", folder / "run", cache=FeatureCache(folder / "cache"))
    evoked_command = [sys.executable, "-m", "evoked", "privacy", "keys", str(folder / "key")]
    subprocess.run(evoked_command, check=True, stdout=subprocess.DEVNULL)


def jobs(inputs: Path) -> dict[str, Job]:
    """The commands, by a short name."""
    cache = ["--cache", str(inputs / "cache")]
    posts, run = str(inputs / "posts"), str(inputs / "run")

    def job(name: str, *arguments: str) -> Job:
        """A job of evoked's; "PLACE" stands for the folder that it writes into."""
        return Job(
            name,
            lambda place: ["-m", "evoked", *(a.replace("PLACE", str(place)) for a in arguments)],
        )

    abmf = ["--model", "abmf", "--set", "width=16", "--epochs", "8", "--patience", "8"]
    study = ["abmf/table6", "--data", posts, "--rows", "gradient_boosting", "--folds", "2"]
    return {
        "import": job("import", "import", "csv", str(inputs / "table/posts.csv"), "PLACE/posts"),
        "import other": job(
            "import of another table", "import", "csv", str(inputs / "other/posts.csv"),
            "PLACE/posts",
        ),
        "extract": Job(
            "extraction",
            lambda place: ["-c", _EXTRACT, posts, str(place / "cache"), str(place)],
        ),
        "train": job(
            "training of ABMF", "train", posts, *abmf, "--batch-size", "8", "--out", "PLACE/run",
            *cache,
        ),
        "train linear": job(
            "training of a linear model", "train", posts, "--model", "linear", "--out",
            "PLACE/run", *cache,
        ),
        "reproduce": job("reproduce", "reproduce", *study, "--out", "PLACE/study", *cache),
        "predict": job(
            "predict --out", "predict", run, "--posts", posts, "--out", "PLACE/scores.csv", *cache
        ),
        "report": job(
            "report", "report", run, "--data", posts, "--out", "PLACE/report.html", *cache
        ),
        "analyse": job("analyse", "analyse", posts, "--out", "PLACE/analyses", *cache),
        "protect": job(
            "privacy protect", "privacy", "protect", posts, "PLACE/protected", "--key",
            str(inputs / "key"), "--pictures",
        ),
    }  # fmt: skip


KILLED = ("import", "extract", "train", "reproduce", "predict", "report")
PAIRS = (
    ("import", "import"),
    ("import", "import other"),
    ("extract", "extract"),
    ("train", "train"),
    ("train", "train linear"),
    ("reproduce", "reproduce"),
    ("predict", "predict"),
    ("report", "report"),
    ("analyse", "analyse"),
    ("protect", "protect"),
)


class Accidents:
    """Runs commands, breaks them and compares what they leave."""

    def __init__(self, folder: Path, posts: int, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        make_inputs(self.inputs, posts, seed)
        self.jobs = jobs(self.inputs)
        self.seen: dict[str, Unbroken] = {}

    def unbroken(self, name: str) -> Unbroken:
        """What a command makes when nothing befalls it."""
        if name not in self.seen:
            self._run_unbroken(name)  # fills caches of its inputs
            first, _, _ = self._run_unbroken(name)
            second, first_write, seconds = self._run_unbroken(name)
            every = {**first, **second}
            varying = {key for key in every if not _same(first.get(key), second.get(key))}
            self.seen[name] = Unbroken(first, varying, first_write, seconds)
        return self.seen[name]

    def of_family(
        self, family: str, kills: int, tries: int
    ) -> tuple[list[Row], list[Row], list[str]]:
        """The rows of kills and of pairs of the commands that share a folder, and what went
        wrong."""
        killed, paired, problems = [], [], []
        for name in KILLED:
            if _family(name) != family or not kills:
                continue
            outcome = self.kill(name, kills)
            problems += outcome.problems
            killed.append(
                {
                    "command": self.jobs[name].name,
                    "seconds, unbroken": self.unbroken(name).seconds,
                    "tries": outcome.tries,
                    "killed in time": outcome.killed,
                    "another result": outcome.wrong,
                    "something left over": outcome.left_over,
                }
            )
            print(killed[-1], *outcome.problems, sep="\n", flush=True)
        for names in PAIRS:
            if _family(names[0]) != family or not tries:
                continue
            outcome = self.pair(names, tries)
            problems += outcome.problems
            paired.append(
                {
                    "two at once": " and ".join(self.jobs[name].name for name in names),
                    "tries": outcome.tries,
                    "one refused": outcome.refused,
                    "anything lost or mixed up": outcome.wrong,
                    "something left over": outcome.left_over,
                }
            )
            print(paired[-1], *outcome.problems, sep="\n", flush=True)
        return killed, paired, problems

    def kill(self, name: str, number: int) -> Outcome:
        """Kill a command so many times and start it again, each in a folder of its own."""
        unbroken, outcome = self.unbroken(name), Outcome()
        for attempt in range(number):
            random = np.random.default_rng([self.seed, KILLED.index(name), attempt])
            earliest = 0.0 if attempt % 2 else unbroken.first_write
            moment = earliest + random.random() * (unbroken.seconds - earliest)
            place, in_time = self._killed(name, moment)
            outcome.killed += in_time
            problems = _failure(*_end(self.jobs[name].start(place))) + unbroken.differences(place)
            outcome.add(f"{name}, killed after {moment:.2f} s", problems)
        return outcome

    def _killed(self, name: str, moment: float) -> tuple[Path, bool]:
        """The folder of a command that was killed after so many seconds, or sooner where it had
        ended by then, as on a machine that has less to do than before; and whether it was."""
        for _ in range(_TRIES_TO_KILL):
            place = self._place(name)
            process = self.jobs[name].start(place)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            if _end(process)[0] == -signal.SIGKILL:
                return place, True
            moment /= 2
        return place, False

    def pair(self, names: tuple[str, str], tries: int) -> Outcome:
        """Run two commands at once so many times."""
        unbroken, outcome = [self.unbroken(name) for name in names], Outcome()
        for attempt in range(tries):
            random = np.random.default_rng([self.seed, PAIRS.index(names), attempt])
            place = self._place(names[0])
            running = []
            for name in names:
                running.append(self.jobs[name].start(place))
                time.sleep(random.random() * min(each.seconds for each in unbroken) / 2)
            ended = [_end(process) for process in running]
            refused = [code != 0 and _is_refusal(text) for code, text in ended]
            problems = [
                problem
                for (code, text), is_refused in zip(ended, refused, strict=True)
                if not is_refused
                for problem in _failure(code, text)
            ]
            if all(refused):
                problems.append("both were refused")
            found = [
                each.differences(place)
                for each, is_refused in zip(unbroken, refused, strict=True)
                if not is_refused
            ]
            problems += sorted(found, key=len)[0] if found else []
            outcome.refused += any(refused)
            outcome.add(" and ".join(names), problems)
        return outcome

    def _place(self, name: str) -> Path:
        place = self.folder / "places" / _family(name)  # the same each time: results may name it
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def _run_unbroken(self, name: str) -> tuple[State, float, float]:
        place = self._place(name)
        started, first_write = time.perf_counter(), None
        process = self.jobs[name].start(place)
        while process.poll() is None:
            if first_write is None and any(place.iterdir()):
                first_write = time.perf_counter() - started
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - started
        code, text = _end(process)
        if code:
            raise RuntimeError(f"{name} ended with {code}: {text}")
        return state_of(place), first_write or seconds, seconds


def _family(name: str) -> str:
    """The commands that write into the same folder."""
    return name.partition(" ")[0]


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; features that were encoded in other company nearly so."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and np.allclose(one, other, FEATURES, FEATURES, True)
    return type(one) is type(other) and one == other


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """A command's exit status and what it said about errors; stopped if it takes too long."""
    try:
        _, text = process.communicate(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, text = process.communicate()
        text += f"\nmore than {LONGEST_SECONDS} seconds"
    return process.returncode, text


def _failure(code: int, text: str) -> list[str]:
    if code == 0 and "Traceback" not in text:
        return []
    return [f"ended with {code}: {' '.join(text.split())[-300:]}"]


def _is_refusal(text: str) -> bool:
    said = " ".join(text.replace("│", " ").split())
    return "Traceback" not in said and any(each in said for each in _REFUSALS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N", help="of all commands")
    parser.add_argument("--tries", type=int, default=TRIES, metavar="N", help="of each pair")
    parser.add_argument("--posts", type=int, default=60, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="commands tried at once"
    )
    parser.add_argument("--only", nargs="+", metavar="COMMAND", help="for example: import train")
    add_json_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        accidents = Accidents(Path(folder), arguments.posts, arguments.seed)

        def of_family(family: str) -> tuple[list[Row], list[Row], list[str]]:
            return accidents.of_family(family, arguments.kills // len(KILLED), arguments.tries)

        families = dict.fromkeys(map(_family, arguments.only or accidents.jobs))
        with ThreadPoolExecutor(arguments.at_once) as pool:
            done = list(pool.map(of_family, families))
        varying = {
            accidents.jobs[name].name: sorted({file for file, _ in unbroken.varying})
            for name, unbroken in accidents.seen.items()
        }
    kills, pairs, problems = (
        [row for part in parts for row in part] for parts in zip(*done, strict=True)
    )
    finish(
        arguments,
        {"seed": arguments.seed, "problems": problems, "files that vary anyway": varying},
        tables={
            "kills": table(pd.DataFrame(kills), default_format=".1f"),
            "pairs": table(pd.DataFrame(pairs)),
        },
        code=[
            "src/evoked/files.py",
            "src/evoked/features/cache.py",
            "src/evoked/posts",
            "src/evoked/runs",
            "src/evoked/laboratory",
            "src/evoked/training",
        ],
    )


if __name__ == "__main__":
    main()
