"""The exact sign-flip test against enumeration, the binomial test, and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from evoked.evaluation.corrections import attainable, benjamini_hochberg
from evoked.evaluation.sign_flips import (
    column_p,
    flipping_units,
    least_p,
    sign_flip_p,
    unit_differences,
)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_is_the_share_of_all_choices_of_signs(differences: list[int]) -> None:
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in product([-1, 1], repeat=len(differences))
    ]
    if any(differences):
        expected = np.mean([each >= abs(sum(differences)) for each in sums])
        assert sign_flip_p(differences) == pytest.approx(expected)
        turned = sign_flip_p([-each for each in differences])
        assert turned == pytest.approx(expected)
    else:
        assert np.isnan(sign_flip_p(differences))


@pytest.mark.parametrize(("ups", "downs"), [(9, 1), (30, 22), (5, 5), (400, 320)])
def test_of_ones_is_the_binomial_test(ups: int, downs: int) -> None:
    expected = stats.binomtest(ups, ups + downs).pvalue
    assert sign_flip_p([1] * ups + [-1] * downs) == pytest.approx(expected)


def test_units() -> None:
    authors = np.array(["a", "a", "b", "b", None, "c"], dtype=object)
    kind = [True, False] * 3
    assert flipping_units(None, kind) is None
    assert flipping_units(authors, kind) is None  # two authors have both kinds
    many = np.repeat([f"a{i}" for i in range(6)], 2).astype(object)
    units = flipping_units(
        np.concatenate([many, np.array(["lonely", None], dtype=object)]), [True, False] * 7
    )
    assert units is not None
    assert units.tolist() == [*np.repeat(range(6), 2), -1, -1]


def test_differences_by_hand() -> None:
    counts = sparse.csr_array(np.array([[3, 0], [1, 1], [0, 2], [5, 0], [7, 7]]))
    kind = np.array([True, False, False, True, True])
    even = unit_differences(counts, kind, np.array([0, 0, 1, 1, -1]))
    assert even.toarray().tolist() == [[2, -1], [5, -2]]
    # One author, three posts of one kind and two of the other: means times 2 · 3 · 2 / 5 posts.
    uneven = unit_differences(counts, kind, np.zeros(5, dtype=np.int64)).toarray() / 4
    expected = 2.4 * (np.array([5, 7 / 3]) - np.array([0.5, 1.5]))
    np.testing.assert_allclose(uneven[0], expected, atol=0.125)
    posts = unit_differences(counts[:4], kind[:4], None)
    assert posts.toarray().tolist() == [[3, 0], [-1, -1], [0, -2], [5, 0]]


def test_columns_and_turned_signs() -> None:
    generator = np.random.default_rng(0)
    values = generator.integers(-3, 4, (12, 8)) * (generator.random((12, 8)) < 0.6)
    differences = sparse.csc_array(values)
    np.testing.assert_allclose(column_p(differences), [sign_flip_p(each) for each in values.T])
    signs = generator.choice([-1, 1], (3, 12))
    turned = column_p(differences, signs)
    for row, sign in zip(turned, signs, strict=True):
        np.testing.assert_allclose(row, [sign_flip_p(each) for each in (values.T * sign)])
    least = [sign_flip_p(np.abs(each)) for each in values.T]
    np.testing.assert_allclose(least_p(differences), least)


def test_holds_its_level_where_authors_have_habits() -> None:
    """An author's posts of either kind share a word or don't; kinds are alike."""
    generator = np.random.default_rng(1)
    found = []
    for _ in range(300):
        habit = generator.geometric(0.3, 30) * generator.choice([-1, 1], 30)
        found.append(sign_flip_p(habit))
    assert 0.02 < np.mean(np.array(found) <= 0.05) < 0.08


def test_attainable_counts_only_tests_that_could_pass() -> None:
    # Three could reach 0.05 / 3, so three are corrected for, however many others there are.
    least = np.array([1e-6, 0.001, 0.01, *[0.25] * 50, np.nan])
    assert attainable(least).sum() == 3
    assert attainable([]).tolist() == []
    assert not attainable([0.5, 0.5]).any()
    p = np.array([0.02, 0.9, 0.5, *[1.0] * 51])
    counted = attainable(least)
    assert benjamini_hochberg(p[counted])[0] == pytest.approx(0.06)
