"""The model of hours, held to planted truths and to the same model written out in full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import block_diag, helmert

from evoked.analysis.rhythm import _VARIANCES, HOURS, Rhythm, curve_columns

Floats = NDArray[np.float64]


def posts_of(
    size: int, authors: int = 1, effect: float = 0.0, peak: float = 19.0, seed: int = 0
) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    hours = generator.uniform(7, 23, size)
    return {
        "outcomes": effect * np.cos(2 * np.pi * (hours - peak) / HOURS)
        + generator.uniform(-1, 1, size),
        "hours": hours,
        "weekdays": generator.integers(0, 7, size),
        "authors": generator.integers(0, authors, size).astype(object),
        "days": np.sort(generator.uniform(0, size, size)),
    }


def curve(rhythm: Rhythm, author: object = None) -> Floats:
    """What hours of a Tuesday add, (24,), in the mean of draws."""
    columns = curve_columns(np.arange(HOURS) + 0.5, np.ones(HOURS))
    found = (rhythm.draws(author) @ columns.T).mean(axis=0)
    return np.asarray(found - found.mean())


def test_columns_go_round_and_are_of_one_size() -> None:
    columns = curve_columns([0.0, 23.99999, 12.0], [0, 0, 6])
    np.testing.assert_allclose((columns**2).sum(axis=1), 1)
    np.testing.assert_allclose(columns[0], columns[1], atol=1e-4)
    assert not np.allclose(columns[0], columns[2])


def in_full(posts: dict[str, Any], author: object) -> tuple[Floats, Floats]:
    """Chances of pairs of variances, and the author's mean coefficients: every covariance written
    out, each author's mean taken out by Helmert's contrasts."""
    rows = [np.flatnonzero(posts["authors"] == name) for name in np.unique(posts["authors"])]
    order = np.concatenate(rows)
    contrasts = block_diag(*(helmert(len(each)) for each in rows))
    values = contrasts @ posts["outcomes"][order]
    columns = curve_columns(posts["hours"], posts["weekdays"])[order]
    whose = posts["authors"][order]
    alike = columns @ columns.T
    own = contrasts @ (alike * (whose[:, None] == whose)) @ contrasts.T
    every = contrasts @ alike @ contrasts.T
    likelihoods, means = np.empty((2, len(_VARIANCES), len(_VARIANCES))), {}
    for i, common in enumerate(_VARIANCES):
        for j, apart in enumerate(_VARIANCES):
            covariance = np.eye(len(values)) + common * every + apart * own
            solved = np.linalg.solve(covariance, values)
            likelihoods[0, i, j] = (
                -np.linalg.slogdet(covariance)[1] - len(values) * np.log(values @ solved)
            ) / 2
            weights = common + apart * (whose == author)
            means[i, j] = (columns * weights[:, None]).T @ contrasts.T @ solved
    chances = np.exp(likelihoods[0] - likelihoods[0].max())
    chances /= chances.sum()
    return chances, sum(chances[pair] * mean for pair, mean in means.items())


def test_it_is_the_model_written_out_in_full() -> None:
    posts = posts_of(90, authors=3, effect=0.6)
    chances, mean = in_full(posts, 1)
    del posts["days"]  # a constant level, as the reference has it
    rhythm = Rhythm.fit(**posts)
    np.testing.assert_allclose(rhythm.chances, chances, atol=0.004)
    draws = rhythm.draws(1, number=40_000)
    error = draws.std(axis=0) / 200
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * error + 0.003).all()


def test_a_planted_peak_is_found_and_none_where_there_is_none() -> None:
    found = Rhythm.fit(**posts_of(200, effect=0.4, peak=19.5))
    assert abs(int(np.argmax(curve(found))) - 19) <= 1
    assert found.chance_of_none(0) < 0.01
    assert found.chance_of_none(0, "weekdays") > 0.02
    assert found.spread == pytest.approx(1 / np.sqrt(3), rel=0.15)
    nothing = [Rhythm.fit(**posts_of(80, seed=seed)).chance_of_none(0) for seed in range(60)]
    # Chances are even where there is nothing: about 3 of 60 below .05.
    assert np.mean(np.array(nothing) < 0.05) < 0.15
    assert 0.35 < np.mean(nothing) < 0.65


def test_a_weekday_is_found_as_such() -> None:
    posts = posts_of(250)
    posts["outcomes"] = posts["outcomes"] + 0.7 * (posts["weekdays"] == 2)
    found = Rhythm.fit(**posts)
    assert found.chance_of_none(0, "weekdays") < 0.01
    assert found.chance_of_none(0, "hours") > 0.02


def test_few_posts_are_shrunk_more() -> None:
    heights = [np.ptp(curve(Rhythm.fit(**posts_of(size, effect=0.5)))) for size in (15, 400)]
    assert heights[0] < 0.5 * heights[1]
    assert heights[1] == pytest.approx(1.0, abs=0.25)


def test_an_author_with_few_posts_is_drawn_to_everyones() -> None:
    posts = posts_of(400, authors=12, effect=0.5, peak=20)
    few = posts_of(6, effect=-0.5, peak=20, seed=1)
    both = {name: np.concatenate([posts[name], few[name]]) for name in posts}
    both["authors"] = np.concatenate([posts["authors"], np.full(6, "few", object)])
    together = Rhythm.fit(**both)
    assert np.corrcoef(curve(together, "few"), curve(together))[0, 1] > 0.9
    assert np.corrcoef(curve(Rhythm.fit(**few)), curve(together))[0, 1] < 0
    assert together.chance_of_none(None) < 0.01
    assert together.chance_of_none("nobody") == 1
    np.testing.assert_array_equal(together.draws("nobody"), together.draws(None))


def test_authors_that_differ_have_nothing_in_common() -> None:
    parts = [posts_of(60, effect=0.8, peak=peak, seed=peak) for peak in range(0, 24, 2)]
    posts = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    posts["authors"] = np.repeat(np.arange(12), 60).astype(object)
    found = Rhythm.fit(**posts)
    assert found.chance_of_none(0) < 0.01
    assert found.chance_of_none(None) > 0.03


def test_growth_is_not_taken_for_an_hour() -> None:
    posts = posts_of(200)
    share = posts["days"] / 200
    posts["hours"] = 8 + 11 * share + np.random.default_rng(5).normal(0, 1.5, 200)
    posts["outcomes"] = posts["outcomes"] + 2.0 * share
    assert Rhythm.fit(**posts).chance_of_none(0) > 0.05
    assert Rhythm.fit(**{**posts, "days": None}).chance_of_none(0) < 0.01


def test_kinds_have_levels_of_their_own_and_noise_of_their_own() -> None:
    posts = posts_of(120, effect=0.4)
    kinds = np.arange(120) % 2
    moved = {**posts, "outcomes": posts["outcomes"] + 7.0 * kinds, "kinds": kinds}
    np.testing.assert_allclose(
        curve(Rhythm.fit(**moved)), curve(Rhythm.fit(**posts, kinds=kinds)), atol=0.02
    )
    louder = posts["outcomes"] + 3 * kinds * np.random.default_rng(0).uniform(-1, 1, 120)
    weighed = Rhythm.fit(**{**posts, "outcomes": louder}, noise=np.where(kinds, 10.0, 1.0))
    assert weighed.spread < Rhythm.fit(**{**posts, "outcomes": louder}).spread


@pytest.mark.parametrize("outcome", [0.0, 3.0])
def test_posts_that_are_all_alike_are_no_trouble(outcome: float) -> None:
    posts = {**posts_of(40), "outcomes": np.full(40, outcome), "days": np.zeros(40)}
    found = Rhythm.fit(**posts)
    assert np.isfinite(found.draws()).all()
    assert np.abs(curve(found)).max() < 0.01


def test_one_viral_post_makes_no_best_hour() -> None:
    posts = posts_of(120)
    posts["outcomes"][7] += 50
    assert Rhythm.fit(**posts).chance_of_none(0) > 0.05
    assert np.abs(curve(Rhythm.fit(**posts))).max() < 0.6
