"""An explanation in the terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evoked.explain.explanation import Explanation
from evoked.explain.readings import Reading
from evoked.targets import task_class

# Characters of the longest bar, and the console from which there is room for more of them.
_BAR, _NARROW_BAR = 10, 3
_WIDE = 110
_WORDS = 8
_FACTS = 6


def print_explanation(explanation: Explanation, console: Console) -> None:
    """Print what each modality, word and fact does to the prediction.

    Bars show the contributions of modalities, shades the attention that words receive. For
    pictures see :func:`evoked.explain.drawing.draw_explanation`.
    """
    narrow = console.width < _WIDE
    answer = explanation.prediction.get("answer")
    if answer:
        console.print(Text(answer, style="bold"))
        console.print()
    console.print(_contributions(explanation, _NARROW_BAR if narrow else _BAR))
    if len(explanation.words):
        console.print(_shaded(explanation))
        console.print(_words(explanation))
    if len(explanation.metadata):
        console.print(_facts(explanation))
    if explanation.shown:
        console.print(Text(explanation.shown))
    if explanation.regions is not None:
        console.print(_regions(explanation))
    if explanation.region_probabilities is not None:
        console.print(_probabilities(explanation.region_probabilities))
    if explanation.region_effects:
        console.print(_region_effects(explanation))
    for note in explanation.notes:
        console.print(Text(note, style="yellow"))
    if explanation.estimated:
        console.print(Text("Valence and arousal were learned from estimates.", style="yellow"))


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _contributions(explanation: Explanation, bar: int) -> Table:
    table = _table(f"What each modality adds (Shapley values; {_units(explanation)})")
    table.add_column("target")
    table.add_column("nothing\nshown", justify="right")
    for modality in explanation.contributions.index:
        table.add_column(str(modality), justify="right")
    table.add_column("prediction", justify="right", style="bold")
    values = explanation.contributions
    for reading in explanation.readings:
        changes = values[reading.name]
        # Changes too small to be shown have no bar.
        span = max(float(changes.abs().max()), 10.0**-reading.digits / reading.scale)
        table.add_row(
            reading.measure.lower(),
            reading.shown(explanation.base[reading.name]),
            *(_bar(reading, float(value), span, bar) for value in changes),
            reading.shown(explanation.outcome[reading.name]),
        )
    return table


def _units(explanation: Explanation) -> str:
    units = {each.measure.lower(): each.note or each.unit for each in explanation.readings}
    listed = "; ".join(f"{name}: {unit}" if unit else name for name, unit in units.items())
    return task_class(explanation.task).wording.shown_units or listed


def _bar(reading: Reading, value: float, span: float, width: int) -> Text:
    length = round(width * abs(value) / span)
    style = "blue" if value >= 0 else "red"
    number = f"{reading.shown(value, signed=True)} "
    return Text.assemble((number, ""), (f"{'█' * length:<{width}}", style))


def _shaded(explanation: Explanation) -> Text:
    """The caption; the more attention a word receives, the lighter its background."""
    text = Text(explanation.text)
    attention = explanation.words["attention"]
    if attention.isna().any() or not attention.max() > 0:
        return text
    for start, end, share in zip(
        explanation.words["start"],
        explanation.words["end"],
        attention / attention.max(),
        strict=True,
    ):
        green = round(60 + 160 * share)
        ink = "black" if share > 0.5 else "white"
        text.stylize(f"{ink} on rgb({green},{round(green * 0.85)},60)", start, end)
    return text


def _words(explanation: Explanation) -> Table:
    n = f"{len(explanation.words)} words, {explanation.tokens} tokens"
    table = _table(f"Words ({n})")
    table.add_column("word")
    table.add_column("attention", justify="right")
    headline = _headline(explanation)
    for reading in headline:
        table.add_column(f"effect on {reading.measure.lower()}", justify="right")
    for _, row in explanation.strongest_words(_WORDS).iterrows():
        share = "–" if row["attention"] != row["attention"] else f"{row['attention']:.0%}"
        effects = (each.shown(row[each.name], signed=True) for each in headline)
        table.add_row(Text(str(row["word"])), share, *effects)
    agreement = explanation.attention_agreement
    if agreement is not None:
        table.caption = f"Rank correlation of attention and size of effect: {agreement:.2f}"
    return table


def _facts(explanation: Explanation) -> Table:
    table = _table("Facts about the post, against the training mean")
    table.add_column("fact")
    table.add_column("value (SD)", justify="right")
    headline = _headline(explanation)
    for reading in headline:
        table.add_column(f"effect on {reading.measure.lower()}", justify="right")
    for name, row in explanation.metadata.iloc[:_FACTS].iterrows():
        effects = (each.shown(row[each.name], signed=True) for each in headline)
        table.add_row(Text(str(name)), f"{row['value']:+.1f}", *effects)
    return table


def _headline(explanation: Explanation) -> list[Reading]:
    return [each for each in explanation.readings if each.name in explanation.headline]


def _regions(explanation: Explanation) -> Text:
    weights = explanation.regions
    assert weights is not None
    found = f", {weights.objects.size} objects among them" if weights.objects.size else ""
    lines = [f"Attention over {weights.n} regions{found}, as a multiple of an even share:"]
    lines += ["  " + " ".join(f"{value:4.1f}" for value in row) for row in weights.relative]
    return Text("\n".join(lines))


def _region_effects(explanation: Explanation) -> Text:
    assert explanation.region_effects is not None
    reading = explanation.readings[0]
    unit = " (percentage points)" if reading.percent else ""
    grid = explanation.region_effects[reading.name] * reading.scale
    lines = [f"Effect of each region of the picture on {reading.name}{unit}:"]
    lines += ["  " + " ".join(f"{value:+6.2f}" for value in row) for row in grid]
    return Text("\n".join(lines))


def _probabilities(grid: NDArray[np.float32]) -> Text:
    lines = ["Probability of being popular if the whole picture were like each of its regions:"]
    lines += ["  " + " ".join(f"{value:4.2f}" for value in row) for row in grid]
    return Text("\n".join(lines))
