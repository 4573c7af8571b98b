"""Runs side by side: their scores on the rows that all held out, and the settings that differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evoked.errors import SettingsError
from evoked.files import plain, records
from evoked.runs.description import RUN_FILE
from evoked.runs.folder import SPLIT_FILE
from evoked.serve.desk import Desk
from evoked.serve.library import RunEntry
from evoked.serve.problems import RefusalError

if TYPE_CHECKING:
    import pandas as pd

MOST_RUNS = 6
# What of run.json is a choice, rather than a finding or a circumstance.
_PARTS = ("data", "task", "model", "features", "training", "split")
_SHOWN_OF_DATA = ("name", "posts", "authors", "viewings", "first", "last", "time_zone")
_LONGEST = 300


@dataclass(frozen=True)
class Score:
    """One score of all runs.

    Attributes
    ----------
    target, metric
        What is scored, and how.
    lower_is_better
        Whether less of it is better.
    is_main
        Whether it is one of those that sum a task up.
    n
        Test rows behind it; None where each run has its own.
    cells
        By run: value, low, high, n, and, where all were scored on the same rows, the difference
        (first run − this one) with its range and p, corrected for the number of runs.
    trivial
        The best of the trivial baselines: its name (``run``) and the same; None where unknown.
    """

    target: str
    metric: str
    lower_is_better: bool
    is_main: bool
    n: int | None
    cells: dict[str, dict[str, Any]]
    trivial: dict[str, Any] | None


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes
    ----------
    runs
        The runs, by name.
    rows
        What is scored: posts or viewings.
    tested
        Number of test rows of each run.
    common
        Test rows that all of them have; the scores are of these if ``paired``.
    paired
        Whether scores are of the same rows, so that differences have ranges.
    scores
        The main ones first.
    settings
        Settings that differ: their name, and the value that each run has, None where it has none.
    """

    runs: tuple[RunEntry, ...]
    rows: str
    tested: dict[str, int]
    common: int
    paired: bool
    scores: list[Score]
    settings: list[tuple[str, dict[str, str | None]]]

    @property
    def same(self) -> bool:
        """Whether all runs have the same test rows."""
        return all(number == self.common for number in self.tested.values())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "runs": [run.name for run in self.runs],
            "rows": self.rows,
            "tested": self.tested,
            "common": self.common,
            "same": self.same,
            "paired": self.paired,
            "scores": [vars(score) for score in self.scores],
            "settings": [{"setting": name, "values": found} for name, found in self.settings],
        }


def compare(desk: Desk, names: Sequence[str]) -> Comparison:
    """Compare runs: see :func:`evoked.laboratory.compare_runs`.

    Runs of viewings, and runs that held out no row in common, are shown with the scores that each
    has on its own test rows.

    Raises
    ------
    RefusalError
        Fewer than two runs or too many, runs of posts beside runs of viewings, or of other tasks.
    """
    chosen = list(dict.fromkeys(names))
    if not 2 <= len(chosen) <= MOST_RUNS:
        raise RefusalError(422, f"choose two to {MOST_RUNS} runs to compare.")
    entries = tuple(desk.run(name) for name in chosen)
    if len({entry.of_posts for entry in entries}) > 1:
        raise RefusalError(422, "runs of posts and runs of viewings predict different things.")
    tasks = {entry.name: str(entry.description["task"]) for entry in entries}
    if len(set(tasks.values())) > 1:
        said = ", ".join(f"{name} predicts {task}" for name, task in tasks.items())
        raise RefusalError(422, f"runs of different tasks can't be compared: {said}.")
    tested = [_test_rows(entry) for entry in entries]
    common = tested[0]
    for other in tested[1:]:
        common = common & other
    rows = str(entries[0].description["rows"])
    paired = rows == "posts" and bool(common)
    return Comparison(
        runs=entries,
        rows=rows,
        tested={entry.name: len(each) for entry, each in zip(entries, tested, strict=True)},
        common=len(common),
        paired=paired,
        scores=_paired(entries) if paired else _own(entries),
        settings=_differing(entries),
    )


def _test_rows(entry: RunEntry) -> frozenset[tuple[str, ...]]:
    """What identifies the test rows of a run."""
    from evoked.parquet import read_frame

    parts: pd.DataFrame = read_frame(entry.folder / SPLIT_FILE)
    known = [name for name in parts.columns if name != "part"]
    chosen = parts.loc[parts["part"] == "test", known].astype(str)
    return frozenset(chosen.itertuples(index=False, name=None))


def _paired(entries: Sequence[RunEntry]) -> list[Score]:
    """Scores on the posts that all runs held out."""
    written = tuple(
        (str(entry.folder), (entry.folder / RUN_FILE).stat().st_mtime_ns) for entry in entries
    )
    rows, called = _compared(written)
    names = dict(zip(called, (entry.name for entry in entries), strict=True))
    return _scores(entries[0], rows, names)


@lru_cache(maxsize=8)
def _compared(written: tuple[tuple[str, int], ...]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a comparison, and how it calls the runs. Its thousands of resamples are drawn
    once for runs that have not changed."""
    from evoked.laboratory import compare_runs

    try:
        found = compare_runs([Path(folder) for folder, _ in written])
    except SettingsError as error:
        raise RefusalError(422, str(error)) from error
    return plain(records(found.table)), list(found.of)


def _own(entries: Sequence[RunEntry]) -> list[Score]:
    """Scores that each run has on its own test rows, as far as all have them."""
    rows: list[dict[str, Any]] = []
    for number, entry in enumerate(entries):
        own = [row for row in entry.scores if row["model"] == entry.model]
        rows += [{**row, "run": entry.name} for row in own]
        if number == 0:
            others = [row for row in entry.scores if row["model"] != entry.model]
            rows += [{**row, "run": f"baseline {row['model']}"} for row in others]
    names = {entry.name: entry.name for entry in entries}
    return _scores(entries[0], rows, names)


def _scores(
    first: RunEntry, rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> list[Score]:
    """Rows of scores by what they score, the main ones first."""
    from evoked.evaluation.tables import LOWER_IS_BETTER, headlines
    from evoked.targets import TASKS

    main = list(headlines(TASKS[str(first.description["task"])]))
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["value"] is not None:
            found.setdefault((row["target"], row["metric"]), []).append(row)
    scores = []
    for (target, metric), each in found.items():
        cells = {names[row["run"]]: _cell(row) for row in each if row["run"] in names}
        if not cells:
            continue
        lower = metric.startswith(LOWER_IS_BETTER)
        others = [row for row in each if row["run"] not in names]
        best = min(others, key=lambda row: row["value"] * (1 if lower else -1), default=None)
        numbers = {cell["n"] for cell in cells.values()}
        scores.append(
            Score(
                target=target,
                metric=metric,
                lower_is_better=lower,
                is_main=(target, metric) in main,
                n=numbers.pop() if len(numbers) == 1 else None,
                cells=cells,
                trivial=None
                if best is None
                else _cell(best) | {"run": str(best["run"]).removeprefix("baseline ")},
            )
        )
    return sorted(scores, key=lambda score: not score.is_main)


def _cell(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("value", "low", "high", "n", "difference", "difference_low", "difference_high")
    return {name: row.get(name) for name in names} | {"p": row.get("p_holm")}


def _differing(entries: Sequence[RunEntry]) -> list[tuple[str, dict[str, str | None]]]:
    """The settings that not all runs have alike."""
    every = {entry.name: dict(_flat(_chosen(entry.description))) for entry in entries}
    keys = list(dict.fromkeys(key for found in every.values() for key in found))
    keys.sort(key=lambda key: _PARTS.index(key.partition(".")[0]))
    rows = [(key, {name: found.get(key) for name, found in every.items()}) for key in keys]
    return [(key, values) for key, values in rows if len(set(values.values())) > 1]


def _chosen(description: Mapping[str, Any]) -> dict[str, Any]:
    parts = {name: description[name] for name in _PARTS if name in description}
    parts["data"] = {
        name: description["data"][name] for name in _SHOWN_OF_DATA if name in description["data"]
    }
    parts["split"] = {
        name: value for name, value in description["split"].items() if name != "reason"
    }
    return parts


def _flat(value: Any, before: str = "") -> list[tuple[str, str]]:
    """Settings by their names, those within others after a dot, in words."""
    if isinstance(value, dict):
        return [
            pair
            for name, each in value.items()
            for pair in _flat(each, f"{before}.{name}" if before else str(name))
        ]
    if value is None:
        return []
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return [(before, text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")]
