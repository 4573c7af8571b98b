"""Scores of classes against scikit-learn, with and without weights."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from evoked.evaluation import classification
from evoked.evaluation.reliability import reliability
from evoked.evaluation.tables import evaluate_task, headlines
from evoked.targets import Outcome, Task
from evoked.targets.base import inverse_transformed_classes, one_hot

PAIRS = [
    (classification.accuracy, reference.accuracy_score, {}),
    (classification.balanced_accuracy, reference.balanced_accuracy_score, {}),
    (classification.macro_f1, reference.f1_score, {"average": "macro", "zero_division": 0}),
    (classification.weighted_f1, reference.f1_score, {"average": "weighted", "zero_division": 0}),
    (
        classification.weighted_precision,
        reference.precision_score,
        {"average": "weighted", "zero_division": 0},
    ),
    (classification.kappa, reference.cohen_kappa_score, {}),
    (
        classification.quadratic_kappa,
        reference.cohen_kappa_score,
        # Given, since scikit-learn would else take classes that are absent out of the distance.
        {"weights": "quadratic", "labels": range(5)},
    ),
]
BINARY = [
    (classification.f1, reference.f1_score, {"zero_division": 0}),
    (classification.precision, reference.precision_score, {"zero_division": 0}),
    (classification.recall, reference.recall_score, {"zero_division": 0}),
    (classification.accuracy, reference.accuracy_score, {}),
]
unhurried = settings(deadline=None, max_examples=40)


def classes(highest: int) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    """Truth, prediction and how often the post counts."""
    number = st.integers(0, highest)
    return st.lists(st.tuples(number, number, st.integers(0, 3)), min_size=2, max_size=30)


@pytest.mark.parametrize(("ours", "theirs", "options"), PAIRS)
@given(posts=classes(4))
@unhurried
def test_equals_scikit_learn(ours, theirs, options, posts) -> None:  # type: ignore[no-untyped-def]
    _compare(ours, theirs, options, posts)


@pytest.mark.parametrize(("ours", "theirs", "options"), BINARY)
@given(posts=classes(1))
@unhurried
def test_binary_scores_equal_scikit_learn(ours, theirs, options, posts) -> None:  # type: ignore[no-untyped-def]
    _compare(ours, theirs, options, posts)


def _compare(ours, theirs, options, posts) -> None:  # type: ignore[no-untyped-def]
    truth, prediction, counts = np.array(posts).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are absent
        expected = theirs(truth, prediction, **options)
        assert ours(truth, prediction) == pytest.approx(expected, nan_ok=True)
        # A post that counts twice is a post that stands twice.
        repeated = np.repeat(np.arange(len(truth)), counts)
        both = ours(truth, prediction, np.stack([counts, np.ones_like(counts)]))
        assert both[1] == pytest.approx(expected, nan_ok=True)
        if len(repeated):
            again = theirs(truth[repeated], prediction[repeated], **options)
            assert both[0] == pytest.approx(again, nan_ok=True)


def test_unknown_posts_are_left_out() -> None:
    truth, prediction = [0, 1, np.nan, 1], [0, 0, 1, 1]
    assert classification.accuracy(truth, prediction) == pytest.approx(2 / 3)
    assert np.isnan(classification.accuracy([np.nan], [1]))
    assert classification.confusion(truth, prediction)[0].tolist() == [[1, 0], [1, 1]]


class _Weather(Task):
    """Two outcomes with all that a task of classes has."""

    name = "weather"
    columns = ("cold", "mild", "hot", "rain")
    outcomes = (
        Outcome("warmth", "classes", ("cold", "mild", "hot"), True),
        Outcome("rain", "binary"),
    )


_Weather.__abstractmethods__ = frozenset()  # only what scoring asks of it


def test_table_of_classes_and_of_true_or_false() -> None:
    task = _Weather()  # type: ignore[abstract]
    predicted = np.array([[0.7, 0.2, 0.1], [0, 0, 0], [0.1, 0.2, 0.9], [0.2, 0.5, 0.3]])
    restored = inverse_transformed_classes(task.outcomes[0], predicted)
    assert restored["warmth"].tolist() == ["cold", "cold", "hot", "mild"]
    assert restored.filter(like="probability").sum(axis=1).to_numpy() == pytest.approx(1)
    restored["rain_probability"] = [0.9, 0.2, 0.6, 0.1]
    restored["rain"] = restored["rain_probability"] > 0.5
    truth = pd.DataFrame(
        {"warmth": ["cold", "mild", "hot", None], "rain": [True, False, False, None]}
    )
    scores = evaluate_task(task, restored, truth, draws=50)
    values = scores.set_index(["target", "metric"])["value"]
    assert values["warmth", "accuracy"] == pytest.approx(2 / 3)
    assert values["rain", "precision"] == pytest.approx(1 / 2)
    assert values["rain", "AUC"] == 1
    assert (scores["n"] == 3).all()
    assert (scores["low"] <= scores["high"]).all()
    assert headlines(_Weather)[:3] == (
        ("warmth", "accuracy"),
        ("warmth", "macro F1"),
        ("warmth", "quadratic kappa"),
    )


def test_one_hot_keeps_unknown() -> None:
    np.testing.assert_array_equal(
        one_hot(np.array([0, np.nan, 1.0]), 2), [[1, 0], [np.nan, np.nan], [0, 1]]
    )


@given(posts=classes(4))
@unhurried
def test_f1_of_a_class_equals_scikit_learn(posts) -> None:  # type: ignore[no-untyped-def]
    truth, prediction, _ = np.array(posts).T
    expected = reference.f1_score(
        truth, prediction, labels=range(6), average=None, zero_division=np.nan
    )
    found = [classification.class_f1(truth, prediction, of=place) for place in range(6)]
    np.testing.assert_allclose(found, expected)


@given(
    posts=st.lists(
        st.tuples(st.floats(0.0, 1.0), st.booleans(), st.integers(0, 2)), min_size=1, max_size=30
    )
)
@unhurried
def test_calibration_error_is_that_of_the_reliability_diagram(posts) -> None:  # type: ignore[no-untyped-def]
    probability, right, counts = (np.array(column) for column in zip(*posts, strict=True))
    error = classification.calibration_error(right.astype(float), probability)
    assert error == pytest.approx(reliability(probability, right).error)
    if counts.sum():
        again = np.repeat(np.arange(len(right)), counts)
        weighed = classification.calibration_error(right.astype(float), probability, counts)
        assert weighed == pytest.approx(reliability(probability[again], right[again]).error)


def test_unordered_classes_are_scored_the_way_that_published_figures_imply_as_well() -> None:
    """HMG-Emo's 0.97, 0.65 and 0.77: nearly everything predicted as the class of 65 %, and truth
    and prediction exchanged in the call of the metric."""
    labels = ("contentment", "awe", "fear")
    truth = np.repeat([0, 1, 2], [650, 250, 100])
    prediction = np.zeros(1000, dtype=int)
    prediction[640:650], prediction[650:660] = 1, 1
    table = pd.DataFrame({"emotion": np.array(labels)[prediction]})
    for place, label in enumerate(labels):
        table[f"emotion_probability_{label}"] = np.where(prediction == place, 0.8, 0.1)

    class Feeling(_Weather):
        outcomes = (Outcome("emotion", "classes", labels),)

    Feeling.__abstractmethods__ = frozenset()
    scores = evaluate_task(
        Feeling(), table, pd.DataFrame({"emotion": np.array(labels)[truth]}), draws=0
    )
    values = scores.set_index("metric")["value"]
    assert values["accuracy"] == pytest.approx(0.65)
    assert values["swapped precision"] == pytest.approx(0.97, abs=0.01)
    assert values["swapped F1"] == pytest.approx(0.78, abs=0.01)
    # What the same predictions are worth.
    assert values["weighted F1"] < 0.55
    assert values["macro F1"] < 0.3
    assert values["kappa"] < 0.05
    assert values["calibration error"] == pytest.approx(0.15)
    assert "quadratic kappa" not in values
