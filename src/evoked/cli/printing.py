"""What commands print: tables, JSON, progress."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from evoked.cli.application import notes, out
from evoked.errors import SettingsError
from evoked.files import atomic_path, plain, records

if TYPE_CHECKING:
    import pandas as pd

    from evoked.runs.posts import TrainedRun


@contextmanager
def progress_bar(label: str) -> Iterator[Any]:
    """A progress bar; yields an :class:`evoked.progress.Progress` with one stage."""
    with _progress() as progress:
        task = progress.add_task(label, total=None)

        def report(_stage: str, done: int, total: int | None, /) -> None:
            progress.update(task, completed=done, total=total or None)

        yield report


@contextmanager
def run_progress(epochs: int = 1) -> Iterator[Any]:
    """Bars for the stages and the epochs of a run."""
    from evoked.runs.posts import Progress as RunProgress

    with _progress() as progress:
        tasks: dict[str, Any] = {}

        def stage(name: str, done: int, total: int | None, /) -> None:
            if not total:
                return  # a bar of nothing
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done, total=total)

        def epoch(record: dict[str, float]) -> None:
            stage("Training", int(record["epoch"]), epochs)
            progress.update(
                tasks["Training"],
                description=f"Training (loss {record['train_loss']:.3f}, "
                f"held out {record['validation_loss']:.3f})",
            )

        yield RunProgress(
            stage, epoch, lambda text: notes.print(escape(text), highlight=False, soft_wrap=True)
        )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
    )


def print_json(value: Any) -> None:
    """JSON without NaN and infinity, which no other program reads."""
    print(json.dumps(plain(value), ensure_ascii=False, indent=2, allow_nan=False))


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".json": lambda table, path: path.write_text(
        json.dumps(plain(records(table)), ensure_ascii=False, indent=2), encoding="utf-8"
    ),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
}


def check_suffix(path: Path) -> None:
    if path.suffix not in _WRITERS:
        raise SettingsError(f"--out: a file ending in {', '.join(_WRITERS)}, not {path.name!r}.")


def write_table(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        _WRITERS[path.suffix](table, temporary)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    whole: Sequence[int] = (0,),
) -> None:
    """A table; the columns at ``whole`` are never broken over lines."""
    table = Table(
        title=escape(title),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for position, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=position in whole)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table)


def print_scores(scores: list[dict[str, Any]], title: str) -> None:
    """Rows are scores, columns are models: the first with its interval, then the baselines."""
    names = list(dict.fromkeys(row["model"] for row in scores))
    cells: dict[tuple[str, str, int], dict[str, str]] = {}
    for row in scores:
        key = (row["target"], row["metric"], row["n"])
        with_interval = row["model"] == names[0]
        cells.setdefault(key, {})[row["model"]] = _score_text(row, with_interval)
    headings = [f"{name} (95 %)" for name in names[:1]] + names[1:]
    print_table(
        title,
        ["target", "metric", "n", *(heading.replace("_", "\n") for heading in headings)],
        [
            [target, metric, str(n), *(entry.get(name, "–") for name in names)]
            for (target, metric, n), entry in cells.items()
        ],
        whole=range(2, 3 + len(names)),
    )


def print_coverage(rows: list[dict[str, Any]]) -> None:
    """How often a run's intervals held; nothing for a run without."""
    if not rows:
        return
    print_table(
        "Prediction intervals",
        ["what", "promised", "held (95 %)", "mean width", "n"],
        [
            [
                row["outcome"],
                f"{row['nominal']:.0%}",
                f"{row['coverage']:.1%} ({row['low']:.0%}…{row['high']:.0%})",
                ("∞" if row["width"] is None else _cell(row["width"]))
                + ("" if row["enough"] else " (whole range)"),
                str(row["n"]),
            ]
            for row in rows
        ],
    )


def _score_text(row: dict[str, Any], with_interval: bool) -> str:
    if row["value"] is None:
        return "–"
    if row["low"] is None or not with_interval:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['low']:.2f}…{row['high']:.2f})"


def print_predictions(table: pd.DataFrame, run: TrainedRun, coverage: float) -> None:
    learned = " (valence and arousal learned from estimates)" if run.estimated else ""
    rows = table.head(50)
    if len(table) == 1:
        intervals = "" if run.intervals is None else f" ({coverage:.0%} interval)"
        meanings = {outcome.name: run.task.meanings(outcome) for outcome in run.task.outcomes}
        print_table(
            "Prediction" + learned,
            ["what", "predicted" + intervals],
            [
                [name, _with_interval(rows.iloc[0], name, meanings.get(name, {}))]
                for name in _without_intervals(table)
                if name != "problem" or rows[name].notna().any()
            ],
        )
        _note_intervals(table, run, coverage)
        uncounted = [name for name in rows if f"{name}_rate" in rows and rows[name].isna().all()]
        if uncounted and getattr(run.task, "denominator", None) == "followers":
            out.print("Counts need the number of followers: --followers.", highlight=False)
        return
    shown = [name for name in _shown_columns(table) if name in _without_intervals(table)]
    print_table(
        f"{len(table)} predictions" + (", the first 50" if len(table) > 50 else "") + learned,
        [name.replace("_", "\n") for name in shown],
        [[_cell(row[name]) for name in shown] for _, row in rows.iterrows()],
        whole=range(len(shown) - ("problem" in shown)),
    )
    if run.intervals is not None:
        out.print(f"--out and --json tell the {coverage:.0%} intervals too.", highlight=False)
    _note_intervals(table, run, coverage)


def _note_intervals(table: pd.DataFrame, run: TrainedRun, coverage: float) -> None:
    """Say which intervals say nothing."""
    if run.intervals is None:
        note = "The run has no prediction intervals: it was made before there were any."
    else:
        names = [name for name in run.intervals.uncalibrated(coverage) if name in table]
        names = [name for name in names if table[name].notna().any()]
        if not names:
            return
        note = (
            f"Too few calibration posts for {coverage:.0%}, so the whole range: {', '.join(names)}."
        )
    out.print(note, highlight=False, soft_wrap=True)


def _without_intervals(table: pd.DataFrame) -> list[str]:
    """The columns that are not the interval or set of another."""
    added = {
        f"{name}_{part}"
        for name in table
        for part in ("low", "high", "set")
        if f"{name}_set" in table or f"{name}_low" in table
    }
    return [str(name) for name in table if name not in added]


def _with_interval(row: pd.Series, name: str, meanings: dict[str, str]) -> str:
    """A value with its interval, a class with what it means and its set."""
    cell = _cell(row[name])
    cell = f"{cell} ({meanings[cell]})" if cell in meanings else cell
    if f"{name}_set" in row:
        return f"{cell} {{{row[f'{name}_set'].replace('|', ', ')}}}"
    if f"{name}_low" not in row or cell == "–":
        return cell
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    dash = "–" if low >= 0 else " to "
    return f"{cell} ({_cell(low)}{dash}{_cell(high)})"


def _shown_columns(table: pd.DataFrame) -> list[str]:
    """What a row has room for: of each engagement the count, or the rate if no count is known; of
    classes the most probable one."""
    shown = [
        name
        for name in table.columns
        if not name.endswith(("_quantile", "_rate")) and "_probability_" not in name
    ]
    named = [
        f"{name}_rate" if f"{name}_rate" in table and table[name].isna().all() else name
        for name in shown
    ]
    return [name for name in named if name != "problem" or table[name].notna().any()]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if value == math.inf:
        return "∞"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)
