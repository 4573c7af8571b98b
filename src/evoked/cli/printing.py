"""What commands print: tables and JSON."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from evoked.cli.application import out, say
from evoked.errors import SettingsError
from evoked.files import TABLE_WRITERS, plain
from evoked.sentences import on_one_line, visible_json

if TYPE_CHECKING:
    import pandas as pd

    from evoked.runs.answer import Quantity
    from evoked.runs.base import TrainedRun
    from evoked.runs.track_record import Held
    from evoked.runtime import ExportedRun
    from evoked.targets import Task


def print_json(value: Any) -> None:
    """Print JSON without NaN and infinity, which other programs can't read, and with every
    character that a terminal would act on as its number, which is the same to them."""
    print(visible_json(plain(value)))


def check_suffix(path: Path) -> None:
    """Raise SettingsError if no table can be written to such a file."""
    if path.suffix not in TABLE_WRITERS:
        endings = ", ".join(TABLE_WRITERS)
        raise SettingsError(f"--out: a file ending in {endings}, not {path.name!r}.")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table in the format that the file's name ends in."""
    TABLE_WRITERS[path.suffix](path, table)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    whole: Sequence[int] = (0,),
    *,
    spaced: bool = False,
) -> None:
    """Print a table.

    Parameters
    ----------
    whole
        Indices of the columns whose cells are never broken over lines.
    spaced
        Leave a line empty between rows, where their cells have several. In other tables a line
        break in a cell, which a name of others may hold, would make up a row.
    """
    table = Table(
        title=escape(title),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        leading=int(spaced),
    )
    for position, name in enumerate(columns):
        table.add_column(escape(name), overflow="fold", no_wrap=position in whole)
    for row in rows:
        texts = [str(cell) if spaced else on_one_line(str(cell)) for cell in row]
        table.add_row(*map(escape, texts))
    out.print(table)


def print_sentence(text: str, style: str | None = None) -> None:
    """Print a sentence for people, broken between words where the terminal ends."""
    out.print(text, style=style, markup=False, highlight=False)


def print_scores(scores: list[dict[str, Any]], title: str, task: Task) -> None:
    """Print a row per score of a task, a column per model: the first with its interval, then
    baselines.

    If nothing could be scored, a sentence says so in place of the table.
    """
    if not scores:
        say(f"{title}. None of them has a known value of what is predicted: nothing is scored.")
        return
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
    if task.wording.baselines:
        say(task.wording.baselines)


def print_coverage(rows: list[dict[str, Any]]) -> None:
    """Print how often a run's intervals held; nothing if none were measured."""
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
    """Print what is predicted: of one post the answer in a sentence, then every number with its
    range; of several posts a row each."""
    unrated = run.unrated_emotions
    table = table.drop(columns=[name for name in table if _is_of(str(name), unrated)])
    if unrated:
        table = table.drop(columns="emotion_estimated")
    if len(table) == 1:
        _print_prediction(table.iloc[0].to_dict(), run, coverage)
    else:
        _print_rows(table, run, coverage)
    _note_intervals(
        [str(name) for name in table if table[name].notna().any()], run, coverage, unrated
    )


def print_prediction(row: Mapping[Any, Any], run: ExportedRun, coverage: float) -> None:
    """Print what an exported run predicts of one draft, as :func:`print_predictions` does."""
    unrated = run.unrated_emotions
    hidden = {"emotion_estimated"} if unrated else set()
    shown = {
        name: value
        for name, value in row.items()
        if name not in hidden and not _is_of(str(name), unrated)
    }
    _print_prediction(shown, run, coverage)
    known = [str(name) for name, value in shown.items() if _is_known(value)]
    _note_intervals(known, run, coverage, unrated)


def _print_prediction(
    row: Mapping[Any, Any], run: TrainedRun | ExportedRun, coverage: float
) -> None:
    """Print the answer to one draft, and its numbers in a table."""
    from evoked.runs.answer import ANSWER_COLUMNS, quantities
    from evoked.runs.drafts import ASSUMED

    if row["answer"] is not None:
        print_sentence(row["answer"], style="bold")
    if isinstance(row.get(ASSUMED), str):
        print_sentence(row[ASSUMED])
    if row["problem"] is not None:
        print_sentence(row["problem"], style="yellow")
    out.print()
    record, task = run.track_record, run.task
    meanings = {outcome.name: task.meanings(outcome) for outcome in task.outcomes}
    numbers = quantities(task)
    lines = [
        [*_amount(row, number), _held(record.held(number.column, coverage))]
        for number in numbers
        if _is_known(row.get(number.column))
    ]
    # Rates that repeat counts, and percentiles, say nothing to people.
    hidden = {outcome.name for outcome in task.outcomes if outcome.count}
    hidden |= {outcome.restored_column for outcome in task.outcomes}
    hidden |= {
        "post_id",
        "problem",
        ASSUMED,
        *ANSWER_COLUMNS,
        *(number.column for number in numbers),
    }
    for name in _without_intervals(row):
        if name not in hidden:
            cell = _with_interval(row, name, meanings.get(name, {}))
            lines.append([name, cell, _held(record.held(name, coverage))])
    learned = " (valence and arousal learned from estimates)" if _shows_estimates(row, run) else ""
    print_table(
        "Prediction" + learned,
        ["what", f"predicted ({coverage:.0%} interval)", "held (test posts)"],
        lines,
    )
    counts = [outcome.count for outcome in task.outcomes if outcome.count in row]
    if not all(_is_known(row[name]) for name in counts) and task.count_basis == "followers":
        say("Counts need the number of followers: --followers.")


def _print_rows(table: pd.DataFrame, run: TrainedRun, coverage: float) -> None:
    """Print predictions of several posts, a row each."""
    from evoked.runs.answer import ANSWER_COLUMNS
    from evoked.runs.drafts import ASSUMED

    rows = table.head(50)
    learned = (
        " (valence and arousal learned from estimates)"
        if _shows_estimates(rows.columns, run)
        else ""
    )
    shown = [
        name
        for name in _shown_columns(run.task, table)
        if name in _without_intervals(table.columns) and name not in (ASSUMED, *ANSWER_COLUMNS)
    ]
    print_table(
        f"{len(table)} predictions" + (", the first 50" if len(table) > 50 else "") + learned,
        [name.replace("_", "\n") for name in shown],
        [[_cell(row[name]) for name in shown] for _, row in rows.iterrows()],
        whole=range(len(shown) - ("problem" in shown)),
    )
    say(f"--out and --json include the {coverage:.0%} intervals.")


def _amount(row: Mapping[Any, Any], quantity: Quantity) -> tuple[str, str]:
    """A number's name and its value with its interval: counts are whole, rates per so many of their
    basis that one or more come of it."""
    from evoked.runs.spoken import base_in_words, base_of

    name = quantity.column
    if not quantity.counts:
        return name, _with_interval(row, name, {})
    numbers = {each: float(row[each]) for each in (name, f"{name}_low", f"{name}_high")}
    if not quantity.basis:
        whole = {each: _rounded(number) for each, number in numbers.items()}
        return quantity.noun, _with_interval(whole, name, {})
    base = base_of(float(row[name]))
    title = f"{quantity.noun} per {base_in_words(base, quantity.basis)}"
    return title, _with_interval({each: own * base for each, own in numbers.items()}, name, {})


def _rounded(number: float) -> float:
    return float(round(number)) if math.isfinite(number) else number


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _held(held: Held | None) -> str:
    return "–" if held is None else f"{held.held} of {held.posts}"


def _is_of(name: str, outcomes: Sequence[str]) -> bool:
    """Whether a column is an outcome or an end of its interval."""
    return any(name in (each, f"{each}_low", f"{each}_high") for each in outcomes)


def _shows_estimates(table: Collection[str], run: TrainedRun | ExportedRun) -> bool:
    return run.estimated and "valence" in table


def _note_intervals(
    known: Collection[str],
    run: TrainedRun | ExportedRun,
    coverage: float,
    unrated: Sequence[str],
) -> None:
    """Print which intervals are the whole range, among the ``known`` columns, and which emotions
    are left out."""
    names = [name for name in run.intervals.uncalibrated(coverage) if name in known]
    if names:
        say(
            f"Too few calibration posts for {coverage:.0%}, so the whole range: {', '.join(names)}."
        )
    if unrated:
        say(f"{' and '.join(unrated).capitalize()} are left out: none of your posts is rated.")


def _without_intervals(table: Collection[str]) -> list[str]:
    """The columns that are not the interval or set of another column."""
    added = {
        f"{name}_{part}"
        for name in table
        for part in ("low", "high", "set")
        if f"{name}_set" in table or f"{name}_low" in table
    }
    return [str(name) for name in table if name not in added]


def _with_interval(row: Mapping[Any, Any], name: str, meanings: dict[str, str]) -> str:
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


def _uncounted(task: Task, table: pd.DataFrame) -> list[str]:
    """Counts that are unknown for all rows."""
    counts = [outcome.count for outcome in task.outcomes if outcome.count in table]
    return [name for name in counts if table[name].isna().all()]


def _shown_columns(task: Task, table: pd.DataFrame) -> list[str]:
    """What a row has room for: of a rate the count, or the rate itself if no count is known; of
    classes the most probable one."""
    counted = {outcome.count: outcome.name for outcome in task.outcomes if outcome.count in table}
    classes = [outcome for outcome in task.outcomes if outcome.kind == "classes"]
    hidden = {
        *(name for name in counted.values() if name not in counted),
        *(outcome.restored_column for outcome in task.outcomes),
        *(name for outcome in classes for name in outcome.probability_columns),
    }
    uncounted = _uncounted(task, table)
    shown = [str(name) for name in table if name not in hidden]
    named = [counted[name] if name in uncounted else name for name in shown]
    return [name for name in named if name != "problem" or table[name].notna().any()]


def _cell(value: Any) -> str:
    if not _is_known(value):
        return "–"
    if value == math.inf:
        return "∞"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)
