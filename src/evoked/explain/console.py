"""An explanation in the terminal."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evoked.explain.explanation import Explanation
from evoked.explain.readings import Reading
from evoked.models.hiding import MODALITY_NAMES
from evoked.runs.spoken import spoken

# Characters of the longest bar, and the console from which there is room for more of them.
_BAR, _NARROW_BAR = 10, 3
_WIDE = 110
_WORDS = 8
_FACTS = 6
_MOST_COLUMNS = 3
# Characters of a past post's caption in a narrow console.
_CAPTION = 36


def print_explanation(explanation: Explanation, console: Console) -> None:
    """Print what each modality, word, region and fact adds to the prediction, and similar posts.

    What adds nothing as it is shown is left out. For pictures see
    :func:`evoked.explain.drawing.draw_explanation`.
    """
    narrow = console.width < _WIDE
    answer = explanation.prediction.get("answer")
    if answer:
        console.print(Text(answer, style="bold"))
    console.print(*_contributions(explanation, _NARROW_BAR if narrow else _BAR), sep="\n")
    if len(explanation.words):
        console.print(*_words(explanation), sep="\n")
    if explanation.shown:
        console.print(Text(explanation.shown))
    if explanation.region_effects is not None:
        console.print(_region_effects(explanation))
    if explanation.shows_region_attention:
        console.print(_attention(explanation))
    if explanation.region_probabilities is not None:
        console.print(_probabilities(explanation.region_probabilities))
    if len(explanation.moving_facts(1)):
        console.print(*_facts(explanation), sep="\n")
    if explanation.similar is not None and len(explanation.similar):
        console.print(*_similar(explanation.similar, console.width), sep="\n")
    console.print()
    for note in (*explanation.notes, *explanation.attention_notes):
        console.print(Text(note, style="yellow"))
    if explanation.estimated and len(explanation.readings) == len(explanation.every_reading):
        console.print(Text("Valence and arousal were learned from estimates.", style="yellow"))


def _titled(title: str) -> tuple[Text, Table]:
    """A title, which may be wider than its table, and the table without columns."""
    return Text(f"\n{title}", style="italic"), Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _contributions(explanation: Explanation, bar: int) -> tuple[Text, Table]:
    """A row per modality, from a post that shows nothing to the prediction."""
    title, table = _titled("What each part of the post adds (Shapley values)")
    table.add_column("part")
    readings = explanation.readings
    for reading in readings:
        table.add_column(_heading(reading), justify="right")
    ends = (explanation.base, explanation.outcome)
    first, last = ([each.shown(end[each.name]) for each in readings] for end in ends)
    table.add_row("nothing shown", *(f"{text} {' ' * bar}" for text in first))
    values = explanation.contributions
    for modality in explanation.moving_modalities:
        cells = (
            _bar(each, float(values[each.name][modality]), values[each.name], bar)
            for each in readings
        )
        table.add_row(MODALITY_NAMES[modality], *cells)
    table.add_row("prediction", *(f"{text} {' ' * bar}" for text in last), style="bold")
    return title, table


def _heading(reading: Reading) -> str:
    if reading.step is not None:
        return reading.unit
    unit = reading.note or ("" if reading.scale_name else reading.unit)
    return f"{reading.measure.lower()}, {unit}" if unit else reading.measure.lower()


def _bar(reading: Reading, value: float, every: pd.Series, width: int) -> Text:
    span = float(every.abs().max())
    moves = reading.moves(value)
    length = min(math.ceil(width * abs(value) / span), width) if moves else 0
    style = "blue" if value >= 0 else "red"
    return Text.assemble(
        (f"{reading.shown(value, signed=True)} ", ""), (f"{'█' * length:<{width}}", style)
    )


def _words(explanation: Explanation) -> tuple[Text, Table] | tuple[Text]:
    moving = explanation.moving_words(_WORDS)
    n = len(explanation.words)
    if not len(moving):
        return (Text(f"\nNone of the {n} words changes the prediction by as much as is shown."),)
    title, table = _titled(f"What words add: the prediction without each of the {n}")
    table.add_column("word")
    readings = _columns(explanation)
    _add_columns(table, readings)
    if explanation.shows_word_attention:
        table.add_column("attention", justify="right")
    for _, row in moving.iterrows():
        effects = _effects(readings, row)
        attention = [f"{row['attention']:.0%}"] if explanation.shows_word_attention else []
        table.add_row(Text(str(row["word"])), *effects, *attention)
    return title, table


def _facts(explanation: Explanation) -> tuple[Text, Table]:
    title, table = _titled("What facts add: the prediction with the usual in place of each")
    table.add_column("fact")
    readings = _columns(explanation)
    _add_columns(table, readings)
    for name, row in explanation.moving_facts(_FACTS).iterrows():
        table.add_row(Text(str(name)), *_effects(readings, row))
    return title, table


def _columns(explanation: Explanation) -> list[Reading]:
    """The readings that there is room for: all, or the headline."""
    readings = explanation.readings
    if len(readings) <= _MOST_COLUMNS:
        return readings
    return [each for each in readings if each.name in explanation.headline]


def _add_columns(table: Table, readings: list[Reading]) -> None:
    for reading in readings:
        table.add_column(_heading(reading), justify="right")


def _effects(readings: list[Reading], row: pd.Series) -> list[str]:
    return [each.shown(row[each.name], signed=True) for each in readings]


def _region_effects(explanation: Explanation) -> Text:
    grid = explanation.moving_regions()
    if grid is None:
        return Text("\nNo part of the picture changes the prediction by as much as is shown.")
    reading = explanation.readings[0]
    cells = [[reading.shown(float(value), signed=True) for value in row] for row in grid]
    width = max(len(cell) for row in cells for cell in row) + 2
    lines = [f"\nWhat parts of the picture add ({_heading(reading)}): without each, blurred"]
    lines += ["".join(f"{cell:>{width}}" for cell in row) for row in cells]
    return Text("\n".join(lines))


def _similar(similar: pd.DataFrame, width: int) -> tuple[Text, Table]:
    title, table = _titled("Past posts most alike to the model")
    table.add_column("date")
    table.add_column("caption", max_width=max(_CAPTION, width - 60), no_wrap=True)
    names = map(str, similar)
    kinds = [name.removeprefix("usual_") for name in names if name.startswith("usual_")]
    kinds = kinds[: 1 if width < _WIDE else 3]
    for kind in kinds:
        table.add_column(f"{kind} (usual then)", justify="right")
    for _, row in similar.iterrows():
        got = [f"{_count(row[kind])} ({_count(row[f'usual_{kind}'])})" for kind in kinds]
        date = "" if pd.isna(row["posted_at"]) else f"{row['posted_at']:%Y-%m-%d}"
        table.add_row(date, Text(str(row["caption"])), *got)
    return title, table


def _count(value: float) -> str:
    return "–" if math.isnan(value) else spoken(value, 3)


def _attention(explanation: Explanation) -> Text:
    weights = explanation.regions
    assert weights is not None
    found = f", {weights.objects.size} objects among them" if weights.objects.size else ""
    lines = [f"Attention over {weights.n} regions{found}, as a multiple of an even share:"]
    lines += ["  " + " ".join(f"{value:4.1f}" for value in row) for row in weights.relative]
    return Text("\n".join(lines))


def _probabilities(grid: NDArray[np.float32]) -> Text:
    lines = ["Probability of being popular if the whole picture were like each of its regions:"]
    lines += ["  " + " ".join(f"{value:4.2f}" for value in row) for row in grid]
    return Text("\n".join(lines))
