"""Tests of significance against SciPy, hand-worked cases and simulated folds."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evoked.errors import DataError
from evoked.evaluation.significance import (
    accuracy_correlations,
    bootstrap_p,
    compare_pairs,
    correlation_p,
    significance_marks,
    t_interval,
)

FIRST = [0.71, 0.68, 0.74, 0.70, 0.69]
SECOND = [0.66, 0.67, 0.69, 0.64, 0.665]


def test_paired_tests_equal_scipy() -> None:
    found = compare_pairs(FIRST, SECOND)
    reference = stats.ttest_rel(FIRST, SECOND)
    assert found.p_t == pytest.approx(reference.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval()))
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(FIRST, SECOND).pvalue)
    assert found.p_wilcoxon == pytest.approx(0.0625)  # all five folds agree: 2 / 2**5
    assert found.n == 5


def test_effect_sizes_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, deviation 1. J(2) = gamma(1) / (gamma(1/2) * sqrt(1)).
    found = compare_pairs([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    assert found.d_z == pytest.approx(2.0)
    assert found.g_z == pytest.approx(2.0 / np.sqrt(np.pi))


def test_corrected_t_by_hand() -> None:
    # t = mean / sqrt((1/k + test/train) * variance) with differences 1, 2, 3 and ratio 1/2.
    found = compare_pairs([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], test_to_train=0.5)
    statistic = 2 / np.sqrt(1 / 3 + 1 / 2)
    assert found.p_corrected_t == pytest.approx(2 * stats.t.sf(statistic, 2))
    assert found.p_corrected_t > found.p_t


def test_corrected_t_is_absent_without_the_sizes_of_the_parts() -> None:
    assert np.isnan(compare_pairs(FIRST, SECOND).p_corrected_t)


def test_undefined_is_nan_and_never_an_error() -> None:
    assert compare_pairs([np.nan], [1.0]).n == 0
    single = compare_pairs([2.0], [1.0])
    assert single.difference == 1.0
    assert np.isnan([single.low, single.p_t, single.p_corrected_t, single.d_z]).all()
    same = compare_pairs(FIRST, FIRST, test_to_train=0.25)
    assert same.difference == 0
    assert np.isnan([same.p_t, same.p_corrected_t, same.p_wilcoxon]).all()
    constant = compare_pairs(np.array(FIRST) + 0.1, FIRST)  # differs by rounding alone
    assert np.isnan([constant.p_t, constant.d_z]).all()


def test_folds_without_both_scores_are_left_out() -> None:
    found = compare_pairs([*FIRST, np.nan, 3.0], [*SECOND, 1.0, np.nan])
    assert found == pytest.approx(compare_pairs(FIRST, SECOND), nan_ok=True)


def test_lengths_have_to_agree() -> None:
    with pytest.raises(DataError, match="same folds"):
        compare_pairs([1.0], [1.0, 2.0])


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(-1, 1)).filter(lambda pair: pair[0] != pair[1]),
        min_size=2,
        max_size=12,
    )
)
def test_swapping_the_models_changes_the_sign_alone(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = np.array(pairs).T
    one, other = compare_pairs(ours, theirs, 0.25), compare_pairs(theirs, ours, 0.25)
    np.testing.assert_allclose(one.difference, -other.difference)
    np.testing.assert_allclose([one.low, one.high], [-other.high, -other.low])
    for name in ("p_t", "p_corrected_t", "p_wilcoxon"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.d_z, -other.d_z)


def test_t_interval_equals_scipy() -> None:
    low, high = t_interval(FIRST, 0.9)
    expected = stats.t.interval(0.9, 4, loc=np.mean(FIRST), scale=stats.sem(FIRST))
    assert (low, high) == pytest.approx(expected)
    assert np.isnan(t_interval([1.0])).all()


def test_corrected_t_holds_its_level_where_the_plain_one_does_not() -> None:
    # Two equally good models: the scores of a repeated split share the noise of common posts, with
    # correlation test / (test + train), which is what Nadeau and Bengio correct for.
    generator = np.random.default_rng(0)
    k, ratio = 5, 0.25
    correlation = ratio / (1 + ratio)
    shared = generator.normal(size=(500, 1)) * np.sqrt(correlation)
    noise = shared + generator.normal(size=(500, k)) * np.sqrt(1 - correlation)
    found = [compare_pairs(row, np.zeros(k), ratio) for row in noise]
    plain = np.mean([each.p_t < 0.05 for each in found])
    corrected = np.mean([each.p_corrected_t < 0.05 for each in found])
    assert plain > 0.1
    assert corrected == pytest.approx(0.05, abs=0.03)


def test_bootstrap_p_by_hand() -> None:
    draws = np.array([[1.0, -1.0], [2.0, 1.0], [3.0, 2.0], [np.nan, -2.0]])
    np.testing.assert_allclose(bootstrap_p(draws), [2 * 1 / 4, 1.0])
    assert np.isnan(bootstrap_p(np.full((3,), np.nan)))


def test_correlations_of_accuracies_equal_scipy() -> None:
    generator = np.random.default_rng(1)
    scores = pd.DataFrame(generator.normal(size=(20, 3)), columns=["valence CCC", "MAP", "AUC"])
    scores["MAP"] += 5 * scores["valence CCC"]
    scores.loc[3, "AUC"] = np.nan
    table = accuracy_correlations(scores, ["valence CCC"], ["MAP", "AUC"]).set_index("engagement")
    pearson = stats.pearsonr(scores["valence CCC"], scores["MAP"])
    spearman = stats.spearmanr(scores["valence CCC"], scores["MAP"])
    row = table.loc["MAP"]
    assert (row["pearson"], row["pearson_p"]) == pytest.approx(tuple(pearson))
    assert (row["spearman"], row["spearman_p"]) == pytest.approx(tuple(spearman))
    assert row["pearson_p_holm"] == pytest.approx(2 * row["pearson_p"])
    assert row["marks"] == "***"
    assert table.loc["AUC", "n"] == 19


def test_correlations_of_too_few_or_constant_scores_are_undefined() -> None:
    scores = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 1.0, 1.0], "c": [1.0, np.nan, np.nan]})
    table = accuracy_correlations(scores, ["a"], ["b", "c"])
    assert table[["pearson", "spearman", "pearson_p_holm"]].isna().all(axis=None)
    assert accuracy_correlations(scores, [], []).empty


def test_marks() -> None:
    marks = [significance_marks(p) for p in (0.0005, 0.005, 0.04, 0.05, float("nan"))]
    assert marks == ["***", "**", "*", "", ""]


def by_enumeration(first: np.ndarray, second: np.ndarray, correlation) -> float:
    """The slow way: SciPy's own coefficient for every order."""
    own = abs(correlation(first, second).statistic)
    found = [
        abs(correlation(first, np.array(order)).statistic)
        for order in itertools.permutations(second)
    ]
    return float(np.mean(np.array(found) >= own - 1e-9))


@pytest.mark.parametrize("n", [3, 4, 5])
@pytest.mark.parametrize("tied", [False, True])
def test_p_values_of_few_pairs_equal_full_enumeration(n: int, tied: bool) -> None:
    generator = np.random.default_rng(n)
    for _ in range(3):
        first, second = generator.normal(size=(2, n))
        if tied:
            second[1] = second[0]
        (row,) = accuracy_correlations(
            pd.DataFrame({"a": first, "b": second}), ["a"], ["b"]
        ).to_dict("records")
        assert row["pearson_p"] == pytest.approx(by_enumeration(first, second, stats.pearsonr))
        assert row["spearman_p"] == pytest.approx(by_enumeration(first, second, stats.spearmanr))
        assert correlation_p(first, second) == pytest.approx(correlation_p(-second, 7 * first + 1))


def test_few_pairs_in_one_order_have_no_star_that_they_can_not_have() -> None:
    for n, least in ((3, 1 / 3), (4, 2 / 24), (5, 2 / 120), (9, 2 / 362_880)):
        scores = pd.DataFrame({"a": np.arange(n), "b": -(np.arange(n) ** 3.0)})
        (row,) = accuracy_correlations(scores, ["a"], ["b"]).to_dict("records")
        assert row["spearman"] == pytest.approx(-1)
        assert row["spearman_p"] == pytest.approx(least)
        assert row["pearson_p"] == pytest.approx(least)
        assert row["marks"] == significance_marks(least)


def test_p_values_of_few_pairs_hold_their_level() -> None:
    generator = np.random.default_rng(0)
    found = [correlation_p(*generator.exponential(size=(2, 6))) for _ in range(400)]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_p_values_of_many_pairs_are_those_of_student() -> None:
    first, second = np.random.default_rng(2).normal(size=(2, 10))
    for side in ("two-sided", "greater"):
        expected = stats.pearsonr(first, second, alternative=side).pvalue
        assert correlation_p(first, second, side) == expected


def test_one_side_of_few_pairs_counts_orders_above_alone() -> None:
    assert correlation_p([1, 2, 3, 4], [1, 2, 3, 4], "greater") == 1 / 24
    assert correlation_p([1, 2, 3, 4], [4, 3, 2, 1], "greater") == 1
