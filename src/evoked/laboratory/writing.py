"""A study's results as files: CSV for programs, Markdown and HTML for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evoked.evaluation.significance import p_value
from evoked.evaluation.tables import LOWER_IS_BETTER, OVERALL, headlines
from evoked.files import check_free, read_object, write_csv, write_text
from evoked.laboratory.comparison import RunComparison
from evoked.laboratory.study import RECORD_FILE, Study, StudyResults
from evoked.laboratory.study_tables import correlation_table, result_table
from evoked.report.templates import templates
from evoked.runs.base import EXISTENCE, PAIRS
from evoked.runs.folder import environment
from evoked.targets import TASKS, task_class

# What follows the name of a metric for a threshold of relevance other than the top quarter.
_THRESHOLD = re.compile(r" \(top [\d.]+ %\)")
# The scores that stand first; the others follow.
_HEADLINES = (
    *(score for task in TASKS.values() for score in headlines(task)),
    (PAIRS, "weighted F1"),
    (EXISTENCE, "AUC"),
)
COLUMNS = (
    "row",
    "published",
    "measured",
    "95 % (folds)",
    "95 % (posts)",
    "difference",
    "p t",
    "Holm",
    "p corrected t",
    "Holm",
    "p Wilcoxon",
    "Holm",
    "p posts",
    "Holm",
    "g_z",
    "n",
)

COMPARISON_FILE = "comparison.csv"
COMPARISON_COLUMNS = ("row", "value", "95 %", "difference", "95 %", "p", "Holm", "n")


_DIGITS = "%.10g"


def write_results(study: Study, results: StudyResults, command: str | None = None) -> list[Path]:
    """Write table.csv, table.md, table.html and correlations.csv into the study's folder.

    The same study always writes the same bytes, on the same machine, however often it was
    interrupted; what differs (time, sessions) stands in record.json.

    Parameters
    ----------
    command
        The command that the tables name as theirs; none by default.
    """
    table, correlations = result_table(results), correlation_table(results)
    folder = study.folder
    write_csv(folder / "table.csv", table, _DIGITS)
    write_csv(folder / "correlations.csv", correlations, _DIGITS)
    page = _Page(
        title=results.table.title,
        about=f"{results.table.source}. {about(results)}",
        columns=COLUMNS,
        blocks=score_blocks(table),
        footnotes=[*footnotes(results), *_what_runs(results)],
        made_by=_made_by(study, command),
        skipped=results.skipped,
        correlations=_correlation_blocks(results, correlations),
        reference=results.table.reference,
    )
    page.write(folder / "table")
    names = ("table.csv", "table.md", "table.html", "correlations.csv", RECORD_FILE)
    return [folder / name for name in names]


def write_comparison(
    comparison: RunComparison, folder: Path, command: str | None = None
) -> list[Path]:
    """Write comparison.csv, comparison.md and comparison.html into ``folder``.

    Parameters
    ----------
    command
        The command that the tables name as theirs; none by default.

    Raises
    ------
    SettingsError
        ``folder`` holds something other than a comparison.
    """
    check_free(folder, COMPARISON_FILE, "a comparison")
    made_by = {"command": command} if command else {}
    made_by["versions"] = ", ".join(f"{name} {value}" for name, value in environment().items())
    page = _Page(
        title="Runs compared",
        about=about_comparison(comparison),
        columns=COMPARISON_COLUMNS,
        blocks=score_blocks(comparison.table, comparison_cells),
        footnotes=comparison_footnotes(comparison),
        made_by=made_by,
    )
    write_csv(folder / COMPARISON_FILE, comparison.table, _DIGITS)
    page.write(folder / "comparison")
    return [folder / f"comparison.{kind}" for kind in ("csv", "md", "html")]


def about_comparison(comparison: RunComparison) -> str:
    """One sentence: on how many posts."""
    own = ", ".join(f"{name} {count}" for name, count in comparison.of.items())
    return f"{comparison.posts} posts that are test posts of every run (of {own})."


def comparison_footnotes(comparison: RunComparison) -> list[str]:
    """What a reader has to know to read the numbers correctly."""
    first = next(iter(comparison.of))
    what = "authors with all their posts" if comparison.by_author else "posts"
    return [
        f"95 %: bootstrap of {what}. difference: {first} − row, with the interval of the paired "
        "bootstrap; p: the same bootstrap's two-sided p-value, followed by itself after Holm's "
        "correction over the rows of the score.",
        "The tests are about these very fits; they can't show how much another seed or split would "
        "change (--data and --folds fit all runs again and can).",
        f"The training posts of {first} decide which posts are relevant; the trivial rows are "
        f"those of {first}.",
    ]


def comparison_cells(line: dict[Any, Any]) -> list[str]:
    """Cells of a line as :data:`COMPARISON_COLUMNS`."""
    return [
        line["run"],
        number(line["value"]),
        interval(line["low"], line["high"]),
        signed(line["difference"]),
        interval(line["difference_low"], line["difference_high"]),
        p_value(line["p"]),
        p_value(line["p_holm"]),
        str(line["n"]),
    ]


def score_blocks(
    table: pd.DataFrame, cells: Callable[[dict[Any, Any]], list[str]] | None = None
) -> list[tuple[str, list[list[str]]]]:
    """Per score its title and the cells of its rows, by default :data:`COLUMNS`; headlines
    first."""
    cells = cells or _cells
    if table.empty:
        return []
    scores = list(dict.fromkeys(zip(table["target"], table["metric"], strict=True)))
    order = [
        score
        for target, metric in _HEADLINES
        for score in scores
        if (target, metric) == (score[0], _THRESHOLD.sub("", score[1]))
    ]
    order += [score for score in scores if score not in order]
    blocks = []
    for target, metric in order:
        own = table[(table["target"] == target) & (table["metric"] == metric)]
        lines = [cells(line) for line in own.to_dict(orient="records")]
        blocks.append((score_title(target, metric), lines))
    return blocks


def is_headline(title: str) -> bool:
    """Whether a block's score is one of those that stand first, at any threshold of relevance."""
    return _THRESHOLD.sub("", title) in {score_title(*score) for score in _HEADLINES}


def score_title(target: str, metric: str) -> str:
    """Such as ``valence CCC ↑``."""
    return f"{target} {metric} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def about(results: StudyResults) -> str:
    """One sentence: which posts, which folds."""
    plan = results.plan
    return (
        f"{plan['data']['name']}: {plan['data']['posts']} posts, {plan['folds']} folds by "
        f"{plan['split']}, seed {plan['seed']}."
    )


def footnotes(results: StudyResults) -> list[str]:
    """What a reader has to know to read the numbers correctly."""
    folds = results.plan["folds"]
    names = {each.name: each.label for each in results.table.experiments}
    reference = names.get(results.table.reference)
    notes = [
        "published: the paper's figure on its own data, which is not this data. measured: mean ± "
        "standard deviation over the folds. n: posts scored, all folds together.",
        "95 % (folds): Student's interval of the mean over the folds. 95 % (posts): bootstrap of "
        "the held-out posts within each fold (of authors, where folds are by author).",
    ]
    if reference is None:
        notes.append(
            f"The row {results.table.reference} was not run, so no row is compared with it."
        )
    else:
        notes += [
            f"difference: {reference} − row, on the same folds; g_z: Hedges' effect size of these "
            "differences. Each p is followed by itself after Holm's correction over the rows of "
            "the score (published p-values are uncorrected).",
            "p t: paired t-test, as in the paper. Folds share training posts, which it ignores; "
            "p corrected t allows for it (Nadeau and Bengio 2003). p Wilcoxon can't fall below "
            f"{2 / 2**folds:.4g} with {folds} folds. p posts: paired bootstrap over posts, for "
            "these very fits.",
        ]
    data, task = results.plan["data"], task_class(results.plan["task"])
    if task.wording.baselines:
        notes.append(task.wording.baselines)
    estimated = task.learns_emotion and results.plan["estimate"]
    if estimated and data["with valence"] < data["posts"]:
        notes.append(
            f"{data['posts'] - data['with valence']} posts have no rated valence: the models learn "
            "from emotion readers' estimates there. Only ratings are scored against."
        )
    engagement = results.scores.loc[results.scores["metric"] == "MAP", "target"].unique()
    averaged = [target for target in engagement if target != OVERALL]
    if averaged:
        notes.append(f"overall: mean over {', '.join(averaged)}.")
    if results.scores["metric"].str.startswith("swapped").any():
        notes.append(
            "swapped: the weighted scores with truth and prediction exchanged. Precision 0.97, "
            "recall 0.65 and F1 0.77, as published of HMG-Emo, can't all be weighted scores of "
            "predictions whose accuracy (which is their weighted recall) is 0.65; exchanged they "
            "are, for predictions that name the largest class nearly always. Published figures "
            "stand beside both; macro F1, balanced accuracy and kappa show what they hide."
        )
    return [*notes, *results.notes]


def _what_runs(results: StudyResults) -> list[str]:
    """What stands behind each row that has published figures beside it."""
    return [
        f"The row {each.label} runs {each.runs}."
        for each in results.table.experiments
        if each.published
    ]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in GitHub's Markdown, the first column to the left and the others to the right."""
    lines = [columns, [":--", *["--:"] * (len(columns) - 1)], *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def signed(value: float) -> str:
    """A difference with its sign, or a dash."""
    return f"{value:+.3f}" if np.isfinite(value) else "–"


def interval(low: float, high: float) -> str:
    """Both ends, or a dash."""
    return f"{low:.3f} … {high:.3f}" if np.isfinite(low) and np.isfinite(high) else "–"


def _cells(line: dict[Any, Any]) -> list[str]:
    deviation = f" ± {line['deviation']:.3f}" if np.isfinite(line["deviation"]) else ""
    tests = [
        p_value(line[f"{name}{suffix}"])
        for name in ("p_t", "p_corrected_t", "p_wilcoxon", "p_posts")
        for suffix in ("", "_holm")
    ]
    return [
        line["label"],
        number(line["published"]),
        number(line["mean"]) + deviation,
        interval(line["low"], line["high"]),
        interval(line["posts_low"], line["posts_high"]),
        signed(line["difference"]),
        *tests,
        number(line["g_z"], 2),
        str(line["n"]),
    ]


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _made_by(study: Study, command: str | None) -> dict[str, str]:
    """Command, versions and hardware; not what differs from one session to the next."""
    record = study.folder / RECORD_FILE
    found = read_object(record) if record.is_file() else {"environment": {}, "hardware": {}}
    lines = {
        "command": command or "",
        "versions": ", ".join(f"{name} {value}" for name, value in found["environment"].items()),
        "hardware": ", ".join(f"{name}: {value}" for name, value in found["hardware"].items()),
    }
    return {name: value for name, value in lines.items() if value}


def _correlation_blocks(
    results: StudyResults, correlations: pd.DataFrame
) -> list[tuple[str, list[str], list[list[str]]]]:
    """Figure 4 of the reference row as tables: title, emotion scores, rows of engagement scores."""
    own = correlations[correlations["row"] == results.table.reference]
    blocks = []
    for unit, part in own.groupby("unit", sort=False):
        emotion = list(dict.fromkeys(part["emotion"]))
        cells = {
            (line["engagement"], line["emotion"]): f"{line['pearson']:+.2f}{line['marks']} / "
            f"{line['spearman']:+.2f}"
            for line in part.to_dict(orient="records")
        }
        rows = [
            [name] + [cells.get((name, each), "–") for each in emotion]
            for name in dict.fromkeys(part["engagement"])
        ]
        blocks.append((f"n = {part['n'].max():.0f}, one per {unit}", emotion, rows))
    return blocks


@dataclass(frozen=True)
class _Page:
    """What a page says, in Markdown and HTML alike."""

    title: str
    about: str
    columns: Sequence[str]
    blocks: Sequence[tuple[str, list[list[str]]]]
    footnotes: Sequence[str]
    made_by: Mapping[str, str]
    skipped: Mapping[str, str] = field(default_factory=dict)
    # Figure 4 of one row, in HTML only.
    correlations: Sequence[tuple[str, list[str], list[list[str]]]] = ()
    reference: str = ""

    def write(self, path: Path) -> None:
        """Write ``path.md`` and ``path.html``."""
        write_text(path.with_suffix(".md"), self._markdown())
        study = templates(Path(__file__).parent).get_template("study.html")
        page = study.render(**vars(self))
        write_text(path.with_suffix(".html"), page)

    def _markdown(self) -> str:
        parts = [f"# {self.title}", self.about]
        for heading, rows in self.blocks:
            parts += [f"## {heading}", markdown_table(self.columns, rows)]
        if self.skipped:
            skipped = _bullets(f"{name}: {why}." for name, why in self.skipped.items())
            parts += ["## Not run", skipped]
        parts += ["## How to read it", _bullets(self.footnotes)]
        made_by = _bullets(f"{name}: {value}" for name, value in self.made_by.items())
        return "\n\n".join([*parts, "## Made by", made_by]) + "\n"
