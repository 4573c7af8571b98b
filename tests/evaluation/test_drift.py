"""Posts that no longer come as they used to."""

from __future__ import annotations

import numpy as np
import pytest

from evoked.evaluation.drift import (
    KINDS,
    Series,
    alarms,
    beside_earlier,
    bets_of,
    conformal_p_values,
    series_of,
    wealth_of,
)


def test_ranks_and_wealth_are_those_of_mapie() -> None:
    martingales = pytest.importorskip("mapie.exchangeability_testing.martingales")
    draw = np.random.default_rng(4)
    past, new = draw.normal(size=30), np.round(draw.normal(0.5, 1, 40), 1)
    past = np.round(past, 1)  # with ties
    test = martingales.OnlineMartingaleTest(random_state=7, jump_size=0.03)
    expected, wealth = [], []
    for place, miss in enumerate(new):
        expected.append(test.compute_p_value(miss, np.concatenate([past, new[:place]])))
        wealth.append(test.update_simple_jumper_martingale(expected[-1]))
    found = conformal_p_values(past, new, seed=7)
    np.testing.assert_allclose(found, expected)
    linear = 1 + np.array([-1.0, 0.0, 1.0]) * (found[:, None] - 0.5)
    np.testing.assert_allclose(wealth_of(linear, 0.03).sum(axis=1), wealth)


def test_every_bet_is_fair() -> None:
    middles = (np.arange(200_000) + 0.5) / 200_000
    np.testing.assert_allclose(bets_of(middles, middles).mean(axis=0), 1, rtol=0.02)


def test_wealth_is_shared_out_anew_before_each_step() -> None:
    wealth = wealth_of(np.array([[2.0, 1.0], [1.0, 3.0]]), jump=0.5)
    assert wealth[0].tolist() == [1.0, 0.5]
    # Half stays where it is, half of 1.5 is shared out: 0.875 and 0.625.
    assert wealth[1].tolist() == [0.875, 1.875]


def series(draw: np.random.Generator, number: int) -> Series:
    return Series(draw.normal(size=number), draw.normal(size=number))


@pytest.mark.parametrize(
    ("kind", "shift", "spread"), [("lower", -2.5, 1), ("higher", 2.5, 1), ("wider", 0, 4)]
)
def test_a_planted_change_is_found_with_its_kind_and_its_beginning(
    kind: str, shift: float, spread: float
) -> None:
    draw = np.random.default_rng(1)
    came = series(draw, 60)
    came.values[30:] += shift
    came.misses[30:] *= spread
    found = alarms(series(draw, 100), came)
    assert kind in KINDS
    assert found[0].kind == kind
    assert 30 < found[0].at < 55
    assert abs(found[0].since - 30) <= 10


def test_without_change_one_in_twenty_raises_an_alarm_at_most() -> None:
    draw = np.random.default_rng(3)
    raised = [bool(alarms(series(draw, 60), series(draw, 80), each)) for each in range(150)]
    assert np.mean(raised) <= 0.05


def test_no_reference_and_no_posts_raise_none() -> None:
    nothing = Series(np.array([]), np.array([]))
    assert alarms(nothing, nothing) == []
    assert alarms(nothing, Series(np.array([1.0, -1, 3]), np.array([0.0, 1, 2]))) == []


def test_a_value_stands_beside_its_authors_earlier_ones() -> None:
    values = np.arange(30.0)
    alone = beside_earlier(values, ["a"] * 30)
    assert np.isnan(alone[0])
    assert alone[3] == 3 - np.mean([0, 1, 2])
    # The last ten are left out where five are earlier.
    assert alone[20] == 20 - np.mean(values[:10])
    both = beside_earlier(np.repeat(values, 2), ["a", "b"] * 30)
    np.testing.assert_array_equal(both[::2], alone)
    found = series_of(values, values**2, ["a"] * 30)
    np.testing.assert_array_equal(found.values, alone)
    assert found.misses[20] == 400 - np.mean(values[10:20] ** 2)
