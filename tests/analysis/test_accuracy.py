"""Accuracy per kind of engagement, half of arousal and category."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from evoked.analysis.accuracy import GAIN, map_by_arousal, scores_by_category
from evoked.evaluation.metrics import concordance_correlation
from evoked.posts.schema import ENGAGEMENT

RATES = [f"{name}_rate" for name in ENGAGEMENT]


def _tables(n: int = 240) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = pd.DataFrame({name: rng.lognormal(size=n) for name in RATES})
    truth["valence"], truth["arousal"] = rng.uniform(-4, 4, n), rng.uniform(0, 8, n)
    predictions = truth + rng.normal(0, 0.8, truth.shape)
    # Posts of low arousal are predicted by guessing.
    calm = (truth["arousal"] < 4).to_numpy()
    predictions.loc[calm, RATES] = rng.random((calm.sum(), len(RATES)))
    return predictions, truth, rng.choice(["food", "travel", "tiny"], n, p=[0.5, 0.45, 0.05])


def test_map_equals_scikit_learn_within_halves():
    predictions, truth, categories = _tables()
    table = map_by_arousal(predictions, truth, categories, truth, draws=100)
    table = table.set_index(["metric", "half"])
    relevant = truth["likes_rate"] >= truth["likes_rate"].quantile(0.75, interpolation="higher")
    for half, members in {
        "all": np.ones(len(truth), dtype=bool),
        "high arousal": (truth["arousal"] > 4).to_numpy(),
    }.items():
        expected, chances = [], []
        for name in np.unique(categories):
            rows = members & (categories == name)
            if relevant[rows].any():
                expected.append(
                    average_precision_score(relevant[rows], predictions["likes_rate"][rows])
                )
                chances.append(relevant[rows].mean())
        row = table.loc[("likes", half)]
        assert row["value"] == pytest.approx(np.mean(expected), abs=0.02)
        assert row["chance"] == pytest.approx(np.mean(chances), abs=0.02)
        assert row["low"] < row["value"] < row["high"]
        assert row["n"] == members.sum()
    overall = table.loc["overall"]
    by_metric = [table.loc[(name, "all"), "value"] for name in ENGAGEMENT]
    assert overall.loc["all", "value"] == pytest.approx(np.mean(by_metric))
    gain = overall.loc["high arousal", "value"] / overall.loc["low arousal", "value"] - 1
    assert overall.loc[GAIN, "value"] == pytest.approx(gain)
    assert overall.loc[GAIN, "low"] > 0
    assert (overall.loc["all", "published"], overall.loc[GAIN, "published"]) == (0.768, 0.237)


def test_map_resamples_authors_with_all_their_posts():
    """Five copies of every post show no more than one of each, if they are one author's."""
    predictions, truth, _ = _tables(120)
    rows = np.repeat(np.arange(120), 5)
    copies = predictions.iloc[rows].reset_index(drop=True)
    repeated = truth.iloc[rows].reset_index(drop=True)

    def width(*arguments: object, **more: object) -> float:
        row = map_by_arousal(*arguments, draws=200, **more).iloc[0]
        return row["high"] - row["low"]

    alone = width(predictions, truth, None, truth)
    assert width(copies, repeated, None, truth) < 0.6 * alone
    assert width(copies, repeated, None, truth, authors=rows) == pytest.approx(alone, rel=0.3)


def test_map_without_arousal_or_a_metric():
    predictions, truth, _ = _tables(60)
    truth = truth.assign(arousal=np.nan)
    table = map_by_arousal(predictions.drop(columns="saves_rate"), truth, None, truth, draws=10)
    table = table.set_index(["metric", "half"])
    assert np.isnan(table.loc[("likes", "high arousal"), "value"])
    assert np.isnan(table.loc[("saves", "all"), "value"])
    assert np.isfinite(table.loc[("overall", "all"), "value"])


def test_scores_by_category():
    predictions, truth, categories = _tables()
    table = scores_by_category({"a": predictions, "b": truth}, truth, categories, truth)
    assert sorted(table["category"].unique()) == ["food", "travel"]  # too few tiny posts
    row = table[(table["model"] == "a") & (table["category"] == "food")].iloc[0]
    rows = categories == "food"
    assert row["n"] == rows.sum()
    expected = concordance_correlation(truth["valence"][rows], predictions["valence"][rows])
    assert row["valence CCC"] == pytest.approx(expected)
    assert table[table["model"] == "b"]["overall MAP"].tolist() == pytest.approx([1, 1])
    nobody = np.full(len(truth), None)
    assert scores_by_category({"a": predictions}, truth, nobody, truth).empty
