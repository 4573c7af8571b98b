"""Gather what a report shows, and write it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evoked.analysis.audience import audience
from evoked.errors import EvokedError, SettingsError
from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.evaluation.splits import PARTS
from evoked.evaluation.tables import LOWER_IS_BETTER, headlines, summary_scores
from evoked.explain.readings import readings_of
from evoked.files import damage, records, write_text
from evoked.models.hiding import MODALITY_NAMES
from evoked.parquet import read_frame
from evoked.posts.dataset import PostDataset
from evoked.report import charts
from evoked.report.advice_sections import hours_section, kept_section
from evoked.report.audience_chart import audience_chart
from evoked.report.charts import Chart
from evoked.report.held_out import SMALL, HeldOutPosts
from evoked.report.importance import ModalityShares, features_of_trees, modalities_of_posts
from evoked.report.outcome_results import OutcomeResults, results_by_outcome
from evoked.report.post_stories import StoryList, story_lists
from evoked.report.templates import templates
from evoked.runs.answer import verdicts
from evoked.runs.base import TrainedRun
from evoked.runs.card import posts_of
from evoked.runs.command import training_call, training_command
from evoked.runs.description import TRAIN_AGAIN
from evoked.runs.influence import hardly_matters
from evoked.runs.posts import Run
from evoked.runs.viewings import NetworkRun
from evoked.targets import EMOTION_TARGETS, Task
from evoked.targets.base import OVERALL, ScoreKey

# What metrics mean, where a task does not say it in its own words.
_MEANING = {
    "R2": "share of the true values' variance that is predicted, 1 at best, 0 for their mean, "
    "negative for worse",
    "Spearman": "rank correlation of predicted and true values",
    "MAE": "mean absolute error in the value's own unit",
    "accuracy": "share of the posts whose class is predicted",
    "macro F1": "harmonic mean of precision and recall, averaged over the classes: each counts "
    "alike, however rare",
    "weighted F1": "the same, each class counting by how frequent it is",
    "quadratic kappa": "agreement of ordered classes beyond chance, a far miss weighing more than "
    "a near one, 1 at best",
    "F1": "harmonic mean of precision and recall of what is called true",
    "AUC": "chance that a true one is held for more probable than another, 0.5 by guessing",
    "MAP": "how far up the relevant posts stand, the top quarter, 1 at best",
    "NDCG@10": "how good the ten highest ranked posts are, 1 at best",
}
_MOST_PROBLEMS = 20

Scores = list[dict[str, Any]]


@dataclass(frozen=True)
class TestSection:
    """Everything about the test posts for which the dataset is needed."""

    headlines: list[str] = field(default_factory=list)
    categories: list[dict[str, Any]] = field(default_factory=list)
    category_charts: list[Chart] = field(default_factory=list)
    author_sizes: list[dict[str, Any]] = field(default_factory=list)
    size_charts: list[Chart] = field(default_factory=list)
    calibration: list[Chart] = field(default_factory=list)
    emotion: list[Chart] = field(default_factory=list)
    stories: list[StoryList] = field(default_factory=list)
    importance: ModalityShares | None = None
    reason: str | None = None


@dataclass(frozen=True)
class NetworkFacts:
    """Facts that only a run of viewings has.

    Attributes
    ----------
    learned_from, holds
        How much there is, as parts of sentences.
    audience
        An example of an audience; empty if there is no community.
    """

    learned_from: str
    holds: str
    audience: list[Chart]


_ABSENT_FROM_OLDER_RUNS = {"emotions_note": None, "captions_note": None}


def write_report(run: Run | NetworkRun, dataset: PostDataset | None, path: Path | str) -> Path:
    """Write everything that is known about a run into one HTML file.

    The file needs nothing but itself: no network, no script. Captions and names in it are text,
    whatever they contain.

    Parameters
    ----------
    run
        Any run, including one of a trivial baseline.
    dataset
        The posts it was made from. None leaves out what needs them: pictures, explanations,
        calibration and categories.
    path
        File to write; replaced if it exists.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SettingsError
        A dataset is given with a run of viewings, whose report needs none.
    """
    if isinstance(run, NetworkRun) and dataset is not None:
        raise SettingsError(
            "the report of a run of viewings needs no dataset: leave --data out; "
            "'evoked explain' shows why single viewings are predicted as they are."
        )
    with run.checked():
        page = _checked_page(run, dataset)
    write_text(path, page)
    return Path(path)


def _checked_page(run: Run | NetworkRun, dataset: PostDataset | None) -> str:
    """The page; where that fails without any posts as well, the run's folder is at fault."""
    try:
        return _page(run, dataset)
    except (EvokedError, MemoryError):
        raise
    except Exception:
        with damage(run.folder, "a whole run", f"{TRAIN_AGAIN}."):
            _page(run, None)
        raise


def _page(run: Run | NetworkRun, dataset: PostDataset | None) -> str:
    description, scores, task = run.description, run.metrics["scores"], type(run.task)
    results = results_by_outcome(run)
    shown = task.report_metrics or headlines(task)
    first = () if task.report_metrics else shown
    every = dict.fromkeys([*first, *((row["target"], row["metric"]) for row in scores)])
    tested = None
    if isinstance(run, Run) and dataset is not None:
        tested = HeldOutPosts.find(run, dataset)
    environment = templates(signed=_signed, fixed=_fixed, percent=_percent, figures=_figures)
    return environment.get_template("template.html").render(
        name=description["model"]["name"],
        noun=run.noun,
        posts_of=posts_of,
        network=_network_facts(run) if isinstance(run, NetworkRun) else None,
        description={**_ABSENT_FROM_OLDER_RUNS, **description},
        estimated=run.estimated,
        tests=int(run.metrics["posts"]),
        small=SMALL,
        task=task,
        charts=task.charts,
        quantiles=_group_of_quantiles(task),
        verdicts=verdicts(run.task, run.track_record, DEFAULT_COVERAGE),
        unimportant=list(hardly_matters(run.metrics.get("influence", [])).values()),
        modality_names=MODALITY_NAMES,
        numbers=_numbers(task),
        unrated=run.unrated_emotions,
        summary=_summary(run, scores),
        hours=hours_section(run) if isinstance(run, Run) else None,
        kept=kept_section(run, dataset) if isinstance(run, Run) else None,
        warnings=_warnings(run, dataset, results),
        coverage=_coverage(description["data"], run.noun),
        parts={name: description["split"].get(name, 0) for name in PARTS},
        imported=None if dataset is None else _imported(dataset),
        models=list(dict.fromkeys(row["model"] for row in scores)),
        shown=_score_rows(task, scores, shown),
        every=_score_rows(task, scores, every),
        emotions=EMOTION_TARGETS,
        readings=readings_of(task),
        meaning=_meanings(task),
        explained=_explained(task),
        intervals=_intervals(run.metrics.get("intervals", [])),
        held_out_by=description["split"]["kind"],
        score_charts=_score_charts(task, scores),
        results=results,
        curve=_curve(run),
        outcome=_outcome(run, dataset, tested) if isinstance(run, Run) else TestSection(),
        trees=features_of_trees(run) if isinstance(run, Run) else None,
        problems=_problems(run),
        settings=_settings(description),
        command=training_command(description, run.folder, type(run.model)),
        python=training_call(description, run.folder, type(run.model)),
        cautions=_cautions(run),
    )


def _warnings(
    run: TrainedRun, dataset: PostDataset | None, results: Sequence[OutcomeResults]
) -> list[str]:
    """What is wrong with the predictions, or with the dataset that they are shown with."""
    found = [each.warning for each in results if each.warning]
    if isinstance(run, Run) and dataset is not None:
        posts = dataset.posts
        found += filter(None, (run.changes_since(posts), run.growth_since(posts)))
    return found


def _rows(scores: Scores, target: str, metric: str) -> Scores:
    """The scores of all models that have one."""
    return [
        row
        for row in scores
        if (row["target"], row["metric"]) == (target, metric) and row["value"] is not None
    ]


def _meanings(task: type[Task]) -> dict[str, str]:
    """What metrics mean, the task's own words first."""
    own = task.metric_meanings
    return {**own, **{name: words for name, words in _MEANING.items() if name not in own}}


def _group_of_quantiles(task: type[Task]) -> str | None:
    """The task's group of outcomes, if it is read as quantiles among the training posts."""
    quantiles = (each for each in readings_of(task) if each.group and each.own_unit == "quantile")
    return next((each.group for each in quantiles), None)


def _explained(task: type[Task]) -> list[str]:
    """Metrics of the summary that mean something of their own for the task."""
    metrics = dict.fromkeys(metric for _, metric in summary_scores(task))
    return [metric for metric in metrics if metric in task.metric_meanings]


def _score_rows(
    task: type[Task], scores: Scores, wanted: Iterable[ScoreKey]
) -> list[dict[str, Any]]:
    """A row per target and metric with the models' scores; scores that nobody has are left out."""
    rows = []
    for target, metric in wanted:
        chosen = _rows(scores, target, metric)
        if chosen:
            choose = min if metric.startswith(LOWER_IS_BETTER) else max
            rows.append(
                {
                    "target": target,
                    "name": _named(task, target),
                    "metric": metric,
                    "by_model": {row["model"]: row for row in chosen},
                    "best": choose(row["value"] for row in chosen) if len(chosen) > 1 else None,
                    "n": chosen[0]["n"],
                }
            )
    return rows


def _summary(run: TrainedRun, scores: Scores) -> list[str]:
    """The run's scores beside the best trivial baseline's, in plain words."""
    task, lines = type(run.task), []
    for target, metric in summary_scores(task):
        rows = _rows(scores, target, metric)
        own = next((row for row in rows if row["model"] == run.model.name), None)
        others = [row for row in rows if row is not own]
        if own is None or not others:
            continue
        best = max(others, key=lambda row: row["value"])
        low, high = _fixed(own["low"]), _fixed(own["high"])
        bounds = "" if own["low"] is None else f"{low} to {high}, "
        lines.append(
            f"{_named(task, target).capitalize()}: {metric} {_fixed(own['value'])} ({bounds}"
            f"n = {own['n']}), {_compared(own, best)} ({best['model']} {_fixed(best['value'])})."
        )
    return lines


def _named(task: type[Task], target: str) -> str:
    """A target's name for people; the mean over a group goes by the group's name."""
    return str(task.group()) if target == OVERALL else target.replace("_", " ")


def _titled(task: type[Task], target: str, metric: str) -> str:
    return f"{_named(task, target)} {metric}"


def _compared(own: dict[str, Any], best: dict[str, Any]) -> str:
    if None not in (own["low"], best["high"]) and own["low"] > best["high"]:
        return "clearly better than the best trivial baseline"
    if own["value"] > best["value"]:
        return "better than the best trivial baseline, but the intervals overlap"
    return "no better than the best trivial baseline"


def _coverage(data: dict[str, Any], noun: str) -> list[dict[str, Any]]:
    named = ("with emotion", "with comment") if noun == "viewings" else tuple(data)
    return [
        {"what": key.removeprefix("with "), "n": data[key], "share": data[key] / max(data[noun], 1)}
        for key in named
        if key.startswith("with ")
    ]


def _network_facts(run: NetworkRun) -> NetworkFacts:
    data = run.description["data"]
    size = f"{data['viewings']} viewings of {data['images']} images by {data['users']} users"
    _, group = run.graph.memberships
    drawn = []
    if len(group) and run.graph.viewings.shape[1]:
        largest = str(run.groups["group_id"][np.bincount(group).argmax()])
        image = str(run.graph.images[np.bincount(run.graph.viewings[1]).argmax()])
        drawn.append(audience_chart(audience(run, image, community=largest)))
    return NetworkFacts(
        size,
        f"{size}, {data['connections']} connections, {data['memberships']} memberships of groups.",
        drawn,
    )


def _imported(dataset: PostDataset) -> dict[str, Any]:
    """Where the posts come from, and what the import left out."""
    tally = dataset.description.get("import", {}).get("tally", {})
    return {
        "provenance": dataset.description.get("provenance", {}),
        "skipped": dict(tally.get("skipped", {})),
        "categories": dataset.posts["category"].value_counts().to_dict(),
    }


def _score_charts(task: type[Task], scores: Scores) -> list[Chart]:
    drawn = []
    for target, metric in summary_scores(task):
        rows = _rows(scores, target, metric)
        if rows:
            title = _titled(task, target, metric)
            drawn.append(charts.intervals(rows, title, "further right is better"))
    return drawn


def _intervals(rows: Scores) -> dict[str, list[dict[str, Any]]]:
    """Rows by outcome, one per nominal coverage."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["outcome"], []).append(row)
    return grouped


def _curve(run: TrainedRun) -> Chart | None:
    log = run.folder / "training" / "log.csv"
    if not log.is_file():
        return None
    with damage(log, "a log of training"):
        return charts.learning_curve(pd.read_csv(log))


def _outcome(run: Run, dataset: PostDataset | None, tested: HeldOutPosts | None) -> TestSection:
    if dataset is None:
        return TestSection(
            reason="The dataset was not given, so pictures, explanations, calibration and results "
            "by category are left out; 'evoked report RUN --data DATASET' shows them."
        )
    if not run.metrics["posts"]:
        return TestSection(reason="No posts were held out for testing, so nothing can be judged.")
    if tested is None:
        return TestSection(
            reason="The dataset holds none of the run's test posts, so pictures, explanations, "
            "calibration and results by category are left out."
        )
    task, parts = type(run.task), run.task.charts
    categories = tested.scores_by_category()
    sizes = tested.scores_by_author_size() if "author_sizes" in parts else {}
    headlines = _group_headlines(task, [*categories.values(), *sizes.values()])
    return TestSection(
        headlines=[_titled(task, *key) for key in headlines],
        categories=_category_rows(categories, headlines),
        category_charts=_category_charts(task, categories, headlines, "category"),
        author_sizes=_category_rows(sizes, headlines),
        size_charts=_category_charts(task, sizes, headlines, "authors' followers"),
        calibration=_calibration(tested) if "calibration" in parts else [],
        emotion=_emotion(tested) if "emotion_plane" in parts else [],
        stories=story_lists(run, dataset, tested),
        importance=modalities_of_posts(run, dataset, tested) if "importance" in parts else None,
    )


def _numbers(task: type[Task]) -> str:
    """What numbers about single posts are, in words."""
    counted = [each for each in task.outcomes if each.count and each.columns]
    names = {each.target for each in counted}
    others = [each.in_words for each in readings_of(task) if each.name not in names]
    counts = [", ".join(each.count for each in counted) + " at the level of the post's author"]
    return " and ".join([*others, *(counts if counted else [])])


def _group_headlines(task: type[Task], groups: Sequence[Scores]) -> list[ScoreKey]:
    """The scores of the summary that any group of posts has."""
    return [key for key in summary_scores(task) if any(_rows(scores, *key) for scores in groups)]


def _category_rows(
    categories: dict[str, Scores], headlines: list[ScoreKey]
) -> list[dict[str, Any]]:
    """A row per category (or author's size) with its headline scores."""
    return [
        {
            "category": name,
            "scores": [next(iter(_rows(scores, *key)), None) for key in headlines],
            "n": max((row["n"] for row in scores), default=0),
        }
        for name, scores in categories.items()
    ]


def _category_charts(
    task: type[Task], categories: dict[str, Scores], headlines: list[ScoreKey], what: str
) -> list[Chart]:
    drawn = []
    for target, metric in headlines:
        rows = [
            {**row, "category": name}
            for name, scores in categories.items()
            for row in _rows(scores, target, metric)
            if np.isfinite(row["value"])
        ]
        if len(rows) > 1:
            drawn.append(charts.by_category(rows, _titled(task, target, metric), what))
    return drawn


def _calibration(tested: HeldOutPosts) -> list[Chart]:
    drawn = [
        charts.calibration(*tested.known(each.name), each.title, each.own_unit)
        for each in readings_of(type(tested.task))
    ]
    return [chart for chart in drawn if chart is not None]


def _emotion(tested: HeldOutPosts) -> list[Chart]:
    drawn = []
    for target in EMOTION_TARGETS:
        predicted, true = tested.known(target)
        if len(true):
            drawn.append(charts.predicted_and_true(predicted, true, target))
    for table, what in ((tested.true, "rated emotion"), (tested.predicted, "predicted emotion")):
        known = table[list(EMOTION_TARGETS)].dropna()
        if len(known):
            drawn.append(charts.emotion_plane(known.to_numpy(), what))
    return drawn


def _problems(run: TrainedRun) -> dict[str, Any]:
    """Test posts whose picture could not be read."""
    path = run.folder / "predictions.parquet"
    table = read_frame(path, ["post_id", "problem"]) if path.is_file() else None
    if table is None:
        return {"n": 0, "shown": []}
    table = table.assign(number=range(1, len(table) + 1)).dropna(subset=["problem"])
    return {"n": len(table), "shown": records(table.head(_MOST_PROBLEMS))}


def _settings(description: dict[str, Any]) -> dict[str, dict[str, str]]:
    """All settings and versions by heading, as text."""
    groups = {
        "Model": description["model"]["settings"],
        "Features": description["features"],
        "Training": description["training"],
        "Versions": description["environment"],
        "Data": {
            "name": description["data"]["name"],
            "SHA-256 of posts, pictures and split": description["data"]["sha256"],
        },
    }
    return {
        title: {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in values.items()
        }
        for title, values in groups.items()
        if values
    }


def _cautions(run: TrainedRun) -> list[str]:
    """The paragraphs of the model card on use and care."""
    card = run.folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    section = re.search(r"^## Use and care\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    paragraphs = section[1].strip().split("\n\n") if section else []
    return [" ".join(paragraph.split()) for paragraph in paragraphs]


def _signed(value: float, digits: int = 2) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _fixed(value: float | None, digits: int = 2) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _figures(value: float | None) -> str:
    """Three figures of a width, which may be one of rates or of counts."""
    if value is None:
        return "unbounded"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
