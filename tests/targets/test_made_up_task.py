"""A task that only this file knows goes through all that is made of predictions.

Its names are traps for whoever guesses from them: the columns of its classes do not begin with the
outcome's name, and the column of a value does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from evoked.cli.printing import print_predictions
from evoked.evaluation.conformal import Intervals, Predicted
from evoked.evaluation.tables import Scorer, headlines, summary_scores
from evoked.explain import explain_posts
from evoked.explain.readings import read, read_predictions, read_truth, readings_of
from evoked.models import MODELS
from evoked.posts.dataset import PostDataset
from evoked.report import write_report
from evoked.runs.posts import Run
from evoked.targets import TASKS, Outcome, TargetTable, Task
from evoked.targets.base import inverse_transformed_classes, numeric, one_hot
from tests.support.small_runs import Workshop

COLUMNS = ("warmth_hours", "is_cold", "is_mild", "is_hot", "today", "liking", "talking")


@dataclass(frozen=True)
class MadeUp(Task):
    """A number, ordered classes, true or false, and two ranked numbers that belong together."""

    name: ClassVar[str] = "made_up"
    description: ClassVar[str] = "what only a test knows"
    columns: ClassVar[tuple[str, ...]] = COLUMNS
    outcomes: ClassVar[tuple[Outcome, ...]] = (
        Outcome("warmth_hours", "value", columns=("warmth_hours",), unit="hours"),
        Outcome("minutes", "value"),
        Outcome("warmth", "classes", ("cold", "mild", "hot"), ordered=True, columns=COLUMNS[1:4]),
        Outcome("warm", "binary", columns=("today",)),
        *(
            Outcome(
                f"{name}_share",
                "value",
                columns=(name,),
                unit="share",
                span=1.0,
                ranked=True,
                group="reactions",
            )
            for name in ("liking", "talking")
        ),
    )

    shares: dict[str, list[float]]

    @classmethod
    def bounds(cls, column: str) -> tuple[float, float]:
        return (0.0, math.inf) if column == "warmth_hours" else (0.0, 1.0)

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        values = _values(posts)
        return cls({f"{each}_share": values[each].dropna().tolist() for each in COLUMNS[5:]})

    def relevance_values(self) -> pd.DataFrame:
        return pd.DataFrame({name: pd.Series(values) for name, values in self.shares.items()})

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        values = _values(posts).to_numpy(np.float32)
        return TargetTable(values, np.zeros(values.shape, dtype=bool))

    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        chances = predicted[list(COLUMNS[1:4])].to_numpy(float)
        table = inverse_transformed_classes(self.outcomes[2], chances).set_index(predicted.index)
        table["warm_probability"] = predicted["today"].clip(0, 1)
        table["warm"] = table["warm_probability"] > 0.5
        for name in ("liking", "talking"):
            table[f"{name}_share"] = predicted[name].astype(float)
        table["warmth_hours"] = predicted["warmth_hours"].astype(float)
        return table.assign(minutes=60 * table["warmth_hours"])

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        values = _values(posts)
        labels = np.array(["cold", "mild", "hot"], dtype=object)
        return pd.DataFrame(
            {
                "post_id": posts["post_id"],
                "warmth_hours": values["warmth_hours"],
                "minutes": 60 * values["warmth_hours"],
                "warmth": labels[values[list(COLUMNS[1:4])].to_numpy().argmax(axis=1)],
                "warm": values["today"].eq(1.0).astype("boolean"),
                "liking_share": values["liking"],
                "talking_share": values["talking"],
            }
        )

    def to_dict(self) -> dict[str, Any]:
        return {"shares": self.shares}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        return cls(state["shares"])


def _values(posts: pd.DataFrame) -> pd.DataFrame:
    """The columns, from what synthetic posts have."""
    likes, comments = (np.nan_to_num(numeric(posts, name)) for name in ("likes", "comments"))
    table = pd.DataFrame(one_hot(likes % 3, 3), posts.index, list(COLUMNS[1:4]))
    table["warmth_hours"] = np.log1p(numeric(posts, "followers"))
    table["today"] = comments % 2
    table["liking"] = 1 / (1 + np.exp(-numeric(posts, "valence")))
    table["talking"] = numeric(posts, "arousal") / 8
    return table[list(COLUMNS)]


@pytest.fixture(scope="module")
def made_up_run(workshop: Workshop, dataset: PostDataset) -> Iterator[Run]:
    """Linear, trained on it; the task is registered, and nothing else is changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, MadeUp.name, MadeUp)
        for model in (MODELS["linear"], *Run.baselines):
            patch.setattr(model, "tasks", (*model.tasks, MadeUp.name))
        yield workshop.run(dataset, "made-up", "linear", task=MadeUp.name)


@pytest.mark.parametrize("task", [*TASKS.values(), MadeUp])
def test_outcomes_part_the_columns_among_them(task: type[Task]) -> None:
    read_from = [column for outcome in task.outcomes for column in outcome.columns]
    assert sorted(read_from) == sorted(task.columns)
    for outcome in task.outcomes:
        if outcome.kind == "classes":
            assert len(outcome.columns) == len(outcome.labels)
        else:
            assert len(outcome.columns) <= 1
            assert outcome.kind == "value" or outcome.columns
    assert len({outcome.group for outcome in task.outcomes if outcome.group}) <= 1


@pytest.mark.parametrize("task", [*TASKS.values(), MadeUp])
def test_scores_of_headlines_and_summary_exist(task: type[Task]) -> None:
    """As they are computed, so that no misspelt one silently stays away."""
    generator = np.random.default_rng(0)
    n = 40
    table = pd.DataFrame({"post_id": [str(row) for row in range(n)]})
    for outcome in task.outcomes:
        if outcome.kind == "value":
            table[outcome.name] = generator.random(n)
        else:
            table[outcome.name] = generator.choice(list(outcome.labels) or [False, True], n)
        for column in outcome.probability_columns:
            table[column] = generator.random(n)
    scorer = Scorer.of(task.outcomes, table, table, None, table)
    found = {(target, metric) for target, metric, _ in scorer.labels}
    assert set(headlines(task)) <= found
    assert set(summary_scores(task)) <= found
    assert set(task.report_metrics) - {("image and text", "MRS")} <= found


def test_it_is_scored(made_up_run: Run) -> None:
    scores = pd.DataFrame(made_up_run.metrics["scores"])
    own = scores[scores["model"] == "linear"].set_index(["target", "metric"])["value"]
    for key in (
        ("warmth_hours", "R2"),
        ("minutes", "MAE"),
        ("warmth", "quadratic kappa"),
        ("warm", "AUC"),
        ("liking", "MAP"),
        ("talking", "NDCG@10"),
    ):
        assert np.isfinite(own[key])
    ends = [own["liking", "AUC"], own["talking", "AUC"]]
    assert own["overall", "AUC"] == pytest.approx(np.mean(ends))
    assert own["minutes", "MAE"] == pytest.approx(60 * own["warmth_hours", "MAE"])
    assert ("overall", "MAP") in summary_scores(MadeUp)
    assert ("minutes", "R2") not in summary_scores(MadeUp)
    assert ("warm", "accuracy") not in summary_scores(MadeUp)


def test_it_has_intervals(made_up_run: Run, dataset: PostDataset) -> None:
    table = made_up_run.predict(dataset)
    values = {"warmth_hours", "minutes", "liking_share", "talking_share"}
    assert {name.removesuffix("_low") for name in table if name.endswith("_low")} == values
    assert {name.removesuffix("_set") for name in table if name.endswith("_set")} == {
        "warmth",
        "warm",
    }
    assert isinstance(made_up_run.intervals, Intervals)
    assert set(made_up_run.intervals.values) == {"warmth_hours", "liking", "talking"}
    examples, _ = made_up_run.examples(dataset.posts, dataset.cover_paths())
    columns = made_up_run.model.predict(examples)
    rows = made_up_run.intervals.coverage(made_up_run.task, Predicted(dataset.posts, columns))
    assert set(rows["outcome"]) == {outcome.name for outcome in MadeUp.outcomes}


def test_it_is_read(made_up_run: Run, dataset: PostDataset) -> None:
    posts, task = dataset.posts, made_up_run.task
    names = ["warmth_hours", "warmth", "warm", "liking", "talking"]
    assert [each.name for each in readings_of(MadeUp)] == names
    assert [each.name for each in readings_of(MadeUp, ["talking"])] == ["talking"]
    assert readings_of(MadeUp)[0].unit == "hours"
    columns = pd.DataFrame(task.transform(posts).values, columns=list(COLUMNS))
    restored = task.inverse_transform(columns, posts)
    truth = read_truth(task, posts)
    # What posts really got, given as a prediction, is read alike on all ways.
    for table in (read(MadeUp, columns), read_predictions(MadeUp, restored)):
        assert table.columns.tolist() == names
        np.testing.assert_allclose(table, truth, rtol=1e-6)
    numbers = task.truth(posts)["warmth"].map({"cold": 1.0, "mild": 2.0, "hot": 3.0})
    np.testing.assert_allclose(truth["warmth"], numbers)


def test_it_is_explained(made_up_run: Run, dataset: PostDataset) -> None:
    (found,) = explain_posts(made_up_run, dataset.posts.iloc[:1], dataset.cover_paths()[:1])
    assert found.targets == ["warmth_hours", "warmth", "warm", "liking", "talking"]
    assert found.headline == ["warmth_hours", "warmth", "warm"]
    total = found.base + found.contributions.sum()
    np.testing.assert_allclose(total, found.outcome, atol=1e-5)


def test_it_has_a_report_and_a_card(made_up_run: Run, dataset: PostDataset, tmp_path: Path) -> None:
    page = write_report(made_up_run, dataset, tmp_path / "report.html").read_text(encoding="utf-8")
    for shown in (
        MadeUp.description,
        "Warmth hours (n = 25 test posts)",
        "Warmth, class by class",
        "Warm, class by class",
        "Reactions: MAP",
        "By how many followers the author has",
        "Most promising",
        "warmth hours (hours)",
    ):
        assert shown in page
    assert "overall" not in page.split("<details>")[0]
    card = (made_up_run.folder / "README.md").read_text(encoding="utf-8")
    assert "overall MAP" in card
    assert "Valence" not in card


def test_it_is_printed(
    made_up_run: Run, dataset: PostDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    print_predictions(made_up_run.predict(dataset), made_up_run, 0.8)
    words = capsys.readouterr().out.split()
    assert {"warmth", "minutes", "liking", "talking"} <= set(words)
    # The chance of "warm" has a column, those of the classes of warmth have none.
    assert words.count("probability") == 1


def test_it_is_loaded_again(made_up_run: Run, dataset: PostDataset, workshop: Workshop) -> None:
    again = Run.load(made_up_run.folder, workshop.cache)
    # Single precision leaves 1e-7 of a number near one, and an end near zero is a difference.
    pd.testing.assert_frame_equal(
        again.predict(dataset), made_up_run.predict(dataset), rtol=1e-5, atol=1e-6
    )
