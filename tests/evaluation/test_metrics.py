"""Metrics against independent references, hand-worked cases and their own definitions."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn import metrics as reference

from evoked.errors import DataError, SettingsError
from evoked.evaluation import metrics
from evoked.evaluation.tables import (
    evaluate_counts,
    evaluate_predictions,
    side_by_side,
)
from evoked.targets import EMOTION_ENGAGEMENT_OUTCOMES

AGREEMENT = [
    metrics.mean_absolute_error,
    metrics.concordance_correlation,
    metrics.pearson,
    metrics.spearman,
    metrics.r2,
]
RANKING = [metrics.average_precision, metrics.roc_auc]

# Few distinct values: ties are the hard part.
tied = st.integers(-4, 4).map(float)
unhurried = settings(deadline=None, max_examples=60)


@st.composite
def pairs(draw: st.DrawFn, elements: st.SearchStrategy[float] = tied) -> tuple:
    size = draw(st.integers(2, 30))
    column = hnp.arrays(np.float64, size, elements=elements)
    return draw(column), draw(column)


@st.composite
def rankings(draw: st.DrawFn) -> tuple:
    """Relevance with both kinds, scores with ties, categories."""
    size = draw(st.integers(2, 30))
    relevance = draw(hnp.arrays(np.float64, size, elements=st.sampled_from([0.0, 1.0])))
    relevance[:2] = 0.0, 1.0
    scores = draw(hnp.arrays(np.float64, size, elements=tied))
    groups = draw(hnp.arrays(np.int64, size, elements=st.integers(0, 3)))
    return relevance, scores, groups


def varied(values: np.ndarray) -> bool:
    return np.ptp(values) > 0


@unhurried
@given(pairs())
def test_agreement_equals_scipy_and_sklearn(pair: tuple) -> None:
    truth, prediction = pair
    assert metrics.mean_absolute_error(truth, prediction) == pytest.approx(
        reference.mean_absolute_error(truth, prediction)
    )
    if varied(truth):
        assert metrics.r2(truth, prediction) == pytest.approx(reference.r2_score(truth, prediction))
    if varied(truth) and varied(prediction):
        assert metrics.pearson(truth, prediction) == pytest.approx(
            stats.pearsonr(truth, prediction).statistic, abs=1e-9
        )
        assert metrics.spearman(truth, prediction) == pytest.approx(
            stats.spearmanr(truth, prediction).statistic, abs=1e-9
        )


@unhurried
@given(pairs(st.floats(-1e3, 1e3, width=32)))
def test_ccc_follows_its_definition(pair: tuple) -> None:
    truth, prediction = pair
    covariance = np.cov(truth, prediction, bias=True)[0, 1]
    distance = truth.var() + prediction.var() + (truth.mean() - prediction.mean()) ** 2
    if distance > 1e-6:
        score = metrics.concordance_correlation(truth, prediction)
        assert score == pytest.approx(2 * covariance / distance, abs=1e-6)


def test_ccc_equals_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    from torchmetrics.functional import concordance_corrcoef

    random = np.random.default_rng(0)
    truth = random.normal(2, 3, size=2000)
    prediction = 0.6 * truth + random.normal(size=2000)
    # Its variances are those of a sample, ours the population's: one part in 2000.
    expected = float(concordance_corrcoef(torch.tensor(prediction), torch.tensor(truth)))
    assert metrics.concordance_correlation(truth, prediction) == pytest.approx(expected, abs=1e-3)


def test_ccc_by_hand() -> None:
    # Means 2 and 3, variances 2/3, covariance 2/3: 2 * 2/3 / (4/3 + 1) = 4/7.
    assert metrics.concordance_correlation([1, 2, 3], [2, 3, 4]) == pytest.approx(4 / 7)
    assert metrics.concordance_correlation([1, 2, 3], [2, 2, 2]) == 0.0
    assert metrics.concordance_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)


@unhurried
@given(rankings())
def test_ranking_equals_sklearn(ranking: tuple) -> None:
    relevance, scores, groups = ranking
    assert metrics.average_precision(relevance, scores) == pytest.approx(
        reference.average_precision_score(relevance, scores)
    )
    assert metrics.roc_auc(relevance, scores) == pytest.approx(
        reference.roc_auc_score(relevance, scores)
    )
    by_query = [
        reference.average_precision_score(relevance[groups == query], scores[groups == query])
        for query in np.unique(groups)
        if relevance[groups == query].any()
    ]
    mean = metrics.grouped_average_precision(relevance, scores, groups)
    assert mean.score == pytest.approx(np.mean(by_query))
    assert mean.queries == len(by_query)
    assert mean.left_out == len(np.unique(groups)) - len(by_query)


@unhurried
@given(pairs(st.integers(0, 5).map(float)), st.integers(1, 40))
def test_ndcg_equals_sklearn(pair: tuple, k: int) -> None:
    gains, scores = pair
    score = metrics.ndcg_at_k(gains, scores, k)
    if gains.any():
        assert score == pytest.approx(reference.ndcg_score([gains], [scores], k=k))
    else:
        assert np.isnan(score)


def test_grouped_ndcg_is_the_mean_over_queries() -> None:
    random = np.random.default_rng(1)
    gains, scores = random.random(60), random.integers(0, 6, size=60)
    groups = np.repeat(["fashion", "food", "travel"], 20)
    gains[groups == "travel"] = 0.0
    expected = [
        reference.ndcg_score([gains[groups == query]], [scores[groups == query]], k=5)
        for query in ("fashion", "food")
    ]
    mean = metrics.grouped_ndcg_at_k(gains, scores, groups, 5)
    assert mean == (pytest.approx(np.mean(expected)), 2, 1)


def test_map_equals_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    from torchmetrics.retrieval import RetrievalMAP

    random = np.random.default_rng(2)
    relevance = (random.random(300) < 0.25).astype(float)
    # Positive scores: torchmetrics takes posts scored 0 or less as not retrieved at all.
    scores, groups = random.random(300), random.integers(0, 8, size=300)
    expected = RetrievalMAP(empty_target_action="skip")(
        torch.tensor(scores), torch.tensor(relevance).bool(), indexes=torch.tensor(groups)
    )
    mean = metrics.grouped_average_precision(relevance, scores, groups)
    assert mean.score == pytest.approx(float(expected), abs=1e-6)


def test_average_precision_by_hand() -> None:
    # Relevant posts at ranks 1 and 3: (1/1 + 2/3) / 2.
    assert metrics.average_precision([1, 0, 1], [3, 2, 1]) == pytest.approx(5 / 6)
    # All scores tied: the share of relevant posts.
    assert metrics.average_precision([1, 0, 0, 0], [1, 1, 1, 1]) == pytest.approx(1 / 4)


def test_missing_category_is_one_query() -> None:
    mean = metrics.grouped_average_precision([1, 0, 1, 0], [2, 1, 1, 2], ["a", "a", None, None])
    assert mean == (pytest.approx(0.75), 2, 0)


def test_modal_relevance_score_is_the_mean_cosine() -> None:
    image = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [np.nan, 1.0]])
    text = np.array([[2.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    assert metrics.modal_relevance_score(image, text) == pytest.approx((1 + np.sqrt(0.5)) / 2)
    with pytest.raises(DataError, match="one shape"):
        metrics.modal_relevance_score(image, text[:, :1])


@pytest.mark.parametrize("metric", [*AGREEMENT, *RANKING])
@unhurried
@given(data=st.data())
def test_weights_stand_for_repeated_posts(metric, data: st.DataObject) -> None:
    relevance, scores, _ = data.draw(rankings())
    weights = data.draw(
        hnp.arrays(np.int64, (3, len(scores)), elements=st.integers(0, 3)), label="weights"
    )
    weighted = metric(relevance, scores, weights=weights)
    repeated = [metric(np.repeat(relevance, row), np.repeat(scores, row)) for row in weights]
    np.testing.assert_allclose(weighted, repeated, atol=1e-9)


@unhurried
@given(ranking=rankings(), data=st.data())
def test_weights_stand_for_repeated_posts_in_groups(ranking: tuple, data: st.DataObject) -> None:
    relevance, scores, groups = ranking
    weights = data.draw(hnp.arrays(np.int64, len(scores), elements=st.integers(0, 3)))
    listed = [np.repeat(column, weights) for column in (relevance, scores, groups)]
    for metric in (
        metrics.grouped_average_precision,
        lambda *columns, weights=None: metrics.grouped_ndcg_at_k(*columns, 4, weights),
    ):
        weighted = metric(relevance, scores, groups, weights=weights).score
        np.testing.assert_allclose(weighted, metric(*listed).score, atol=1e-9)


@pytest.mark.parametrize("metric", [*AGREEMENT, *RANKING])
def test_unknown_posts_are_dropped_in_pairs(metric) -> None:
    truth, prediction = [1.0, 0.0, 1.0, np.nan, 1.0], [0.9, 0.2, 0.1, 0.5, np.nan]
    assert metrics.known_posts(truth, prediction).sum() == 3
    assert metric(truth, prediction) == metric(truth[:3], prediction[:3])


@pytest.mark.parametrize("metric", [*AGREEMENT, *RANKING])
def test_undefined_scores_are_nan_without_a_warning(metric) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metric([], []))
        assert np.isnan(metric([np.nan], [1.0]))
        assert metric([], [], weights=np.ones((4, 0))).shape == (4,)
        if metric not in (metrics.mean_absolute_error, metrics.average_precision):
            assert np.isnan(metric([1.0] * 7, [1.0] * 7))


def test_constants_have_no_correlation_whatever_the_rounding() -> None:
    assert np.isnan(metrics.pearson([0.1, 0.2, 0.3], [0.1] * 3))
    assert np.isnan(metrics.r2([0.1] * 7, [0.3] * 7))
    weights = np.array([[0, 0, 3]])
    assert np.isnan(metrics.pearson([0.1, 0.2, 0.3], [0.7, 0.1, 0.3], weights=weights)).all()


def test_values_far_from_zero_keep_their_digits() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=500)
    prediction = truth + random.normal(size=500)
    expected = metrics.pearson(truth, prediction)
    assert metrics.pearson(truth + 1e7, prediction - 1e7) == pytest.approx(expected, abs=1e-6)


def test_wrong_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="different lengths"):
        metrics.pearson([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="not negative"):
        metrics.ndcg_at_k([-1, 2], [1, 2], 5)
    with pytest.raises(SettingsError, match="at least 1"):
        metrics.ndcg_at_k([1, 2], [1, 2], 0)
    with pytest.raises(SettingsError, match="between 0 and 1"):
        metrics.relevance_threshold([1, 2], 25)


def test_relevant_is_the_top_quarter_of_training() -> None:
    assert metrics.relevance_threshold([1, 2, 3, 4, np.nan]) == 4
    assert metrics.relevance_threshold(np.arange(100)) == 75
    # Mostly zeros: only what rises above the crowd; crowded at the top: the crowd.
    assert metrics.relevance_threshold([0, 0, 0, 0, 0, 0.1, 0.2, 0, 0, 0]) == 0.1
    assert metrics.relevance_threshold([1, 2, 2, 2]) == 2
    assert np.isnan(metrics.relevance_threshold([1, 1, 1]))
    np.testing.assert_array_equal(metrics.relevant([1, 5, np.nan], 4), [0, 1, np.nan])
    assert np.isnan(metrics.relevant([1, 5], np.nan)).all()


@pytest.fixture(scope="module")
def scored_posts() -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(4)
    size = 200
    rates = {f"{name}_rate": random.gamma(1, 0.02, size) for name in ("likes", "comments", "saves")}
    truth = pd.DataFrame({"valence": random.normal(size=size), **rates})
    truth.loc[:9, "likes_rate"] = np.nan
    truth["saves_rate"] = np.nan
    predictions = truth.fillna(0.0) + random.normal(0, 0.02, size=truth.shape)
    return predictions, truth, random.choice(["food", "travel"], size)


def test_evaluation_table(scored_posts: tuple) -> None:
    predictions, truth, categories = scored_posts
    table = evaluate_predictions(
        EMOTION_ENGAGEMENT_OUTCOMES, predictions, truth, categories, truth, (0.25, 0.1), draws=50
    )
    assert list(table.columns) == ["target", "metric", "value", "low", "high", "n"]
    # No post has saves, no table arousal: nothing is said about either.
    assert set(table["target"]) == {"valence", "likes", "comments", "overall"}
    scores = table.set_index(["target", "metric"])
    assert scores.loc[("likes", "MAP"), "n"] == 190
    assert (
        (table["low"] <= table["value"] + 1e-9) & (table["value"] <= table["high"] + 0.05)
    ).all()
    known = truth["likes_rate"].notna().to_numpy()
    wanted = metrics.relevant(
        truth["likes_rate"], metrics.relevance_threshold(truth["likes_rate"], 0.1)
    )
    expected = [
        reference.average_precision_score(
            wanted[known & (categories == query)],
            predictions["likes_rate"][known & (categories == query)],
        )
        for query in ("food", "travel")
    ]
    assert scores.loc[("likes", "MAP (top 10 %)"), "value"] == pytest.approx(np.mean(expected))
    assert scores.loc[("overall", "AUC"), "value"] == pytest.approx(
        scores.loc[[("likes", "AUC"), ("comments", "AUC")], "value"].mean()
    )


def test_comparison_has_a_row_per_model(scored_posts: tuple) -> None:
    predictions, truth, categories = scored_posts
    constant = predictions * 0.0
    table = side_by_side(
        {
            name: evaluate_predictions(
                EMOTION_ENGAGEMENT_OUTCOMES, predicted, truth, categories, truth, draws=0
            )
            for name, predicted in {"ours": predictions, "mean": constant}.items()
        }
    )
    assert list(table.index) == ["ours", "mean"]
    assert table.loc["mean", "valence CCC"] == 0
    assert table.loc["mean", "likes AUC"] == 0.5
    assert table.loc["ours", "likes n"] == 190
    assert table.loc["ours", "overall MAP"] > table.loc["mean", "overall MAP"]


def test_counts_are_scored_on_the_log_scale() -> None:
    truth = pd.DataFrame({"likes": pd.array([0, 9, 99, None], dtype="Int64")})
    predictions = pd.DataFrame({"likes": [-5.0, 99.0, 999.0, 3.0]})
    table = evaluate_counts(predictions, truth, draws=0).set_index("metric")
    assert table.loc["MAE", "value"] == pytest.approx(2 * np.log(10) / 3)
    assert table.loc["Spearman", "value"] == pytest.approx(1)
    assert table["n"].tolist() == [3, 3, 3]
    assert table["low"].isna().all()


def test_tables_of_other_posts_are_refused() -> None:
    truth = pd.DataFrame({"post_id": ["a", "b"], "valence": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"row 2.*different posts"):
        evaluate_predictions(
            EMOTION_ENGAGEMENT_OUTCOMES, truth.assign(post_id=["a", "c"]), truth, None, None
        )
    with pytest.raises(DataError, match="one for each"):
        evaluate_predictions(EMOTION_ENGAGEMENT_OUTCOMES, truth.iloc[:1], truth, None, None)
    rates = pd.DataFrame({"likes_rate": [0.1, 0.2]})
    with pytest.raises(DataError, match="training_values"):
        evaluate_predictions(EMOTION_ENGAGEMENT_OUTCOMES, rates, rates, None, None)


def test_nothing_to_score_is_an_empty_table() -> None:
    empty = pd.DataFrame({"valence": [], "likes_rate": []}, dtype=float)
    train = pd.DataFrame({"likes_rate": [0.1, 0.2]})
    table = evaluate_predictions(EMOTION_ENGAGEMENT_OUTCOMES, empty, empty, [], train)
    assert len(table) == 0
    assert list(table.columns) == ["target", "metric", "value", "low", "high", "n"]
