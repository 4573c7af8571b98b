"""When an account grew, what its posts then got beside their level, and the task made of it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from evoked.posts.author_hashes import hashes
from evoked.posts.author_history import attach_history
from evoked.targets import AuthorPopularity, AuthorQuartiles, load_task, task_state
from evoked.targets.account_growth import (
    LEAST_EARLIER,
    LEAST_POSTS,
    at_one_level,
    grown_accounts,
    judged_accounts,
    relative_counts,
)

SEEDS = range(5)
NOISE = 0.5


def posts_of(logs: np.ndarray, author: str = "one") -> pd.DataFrame:
    """One author's posts, a post every other day, whose log(1 + likes) are given."""
    n = len(logs)
    return pd.DataFrame(
        {
            "post_id": [f"{author}-{row}" for row in range(n)],
            "author_id": author,
            "posted_at": pd.Timestamp("2023-01-01", tz="UTC")
            + pd.to_timedelta(2 * np.arange(n), unit="D"),
            "likes": np.round(np.expm1(logs)),
        }
    )


def account(growth: float, seed: int, n: int = 200, author: str = "one") -> pd.DataFrame:
    """An account whose level grows steadily by so much from its first to its last post."""
    random = np.random.default_rng(seed)
    return posts_of(6 + np.log(growth) * np.linspace(0, 1, n) + random.normal(0, NOISE, n), author)


def order_in_time(labels: np.ndarray) -> float:
    """Correlation of a label with the place of the post in time."""
    known = np.isfinite(labels)
    return float(np.corrcoef(np.flatnonzero(known), labels[known])[0, 1])


class TestWhetherAnAccountGrew:
    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("growth", [10, 5, 0.1])
    def test_planted_growth_is_seen(self, growth: float, seed: int) -> None:
        judged = judged_accounts(account(growth, seed))
        assert judged["grew"].tolist() == [True]
        assert (judged["last"] > judged["first"]).tolist() == [growth > 1]

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("n", [LEAST_POSTS + LEAST_EARLIER, 60, 300])
    def test_a_flat_account_did_not_grow(self, n: int, seed: int) -> None:
        judged = judged_accounts(account(1, seed, n))
        assert judged["grew"].tolist() == [False]
        # The median of ten posts has an error of its own: 1.57 / 10 of the variance.
        assert judged["ratio"].between(0.85, 1.6).all()

    @pytest.mark.parametrize("seed", SEEDS)
    def test_one_outlier_is_no_growth(self, seed: int) -> None:
        posts = account(1, seed, 60)
        posts.loc[40, "likes"] *= 500
        assert not len(grown_accounts(posts))

    def test_authors_are_judged_one_by_one(self) -> None:
        posts = pd.concat([account(10, 0, author="up"), account(1, 0, author="flat")])
        assert grown_accounts(posts).tolist() == hashes(pd.Series(["up"])).tolist()
        shuffled = posts.sample(frac=1, random_state=0)
        pd.testing.assert_frame_equal(judged_accounts(shuffled), judged_accounts(posts))

    def test_too_few_posts_are_not_judged(self) -> None:
        few = LEAST_POSTS + LEAST_EARLIER - 1
        assert not len(judged_accounts(account(10, 0, few)))
        assert len(judged_accounts(account(10, 0, few + 1)))

    def test_posts_that_cannot_be_judged(self) -> None:
        posts = account(10, 0)
        for poor in (
            posts.drop(columns="posted_at"),
            posts.drop(columns="likes"),
            posts.assign(author_id=None),
            posts.iloc[:0],
        ):
            assert not len(judged_accounts(poor))
        assert judged_accounts(posts.assign(likes=7))["grew"].tolist() == [False]


class TestCountsBesideTheLevel:
    def test_by_hand(self) -> None:
        found = relative_counts(posts_of(np.log([10, 20, 30, 40, 90])))
        assert np.isnan(found[:LEAST_EARLIER]).all()
        np.testing.assert_allclose(found[LEAST_EARLIER:], np.log([40 / 20, 90 / 25.0]), atol=0.03)

    def test_growth_is_gone(self) -> None:
        relative = relative_counts(account(10, 0))
        assert abs(order_in_time(relative)) < 0.15
        assert order_in_time(np.log1p(account(10, 0)["likes"].to_numpy())) > 0.6

    def test_later_posts_change_nothing(self) -> None:
        posts = account(10, 0)
        np.testing.assert_array_equal(relative_counts(posts.iloc[:50]), relative_counts(posts)[:50])

    def test_one_level(self) -> None:
        posts = pd.concat(
            [account(10, 0, author="up"), account(1, 1, author="flat")], ignore_index=True
        ).assign(followers=np.tile([100.0, 300.0], 200), shares=3)
        level = at_one_level(posts, grown_accounts(posts))
        up, flat = posts["author_id"] == "up", posts["author_id"] == "flat"
        pd.testing.assert_frame_equal(level[flat], posts[flat], check_dtype=False)
        assert (level.loc[up, "followers"] == 200).all()
        assert level.loc[up, "shares"].dropna().eq(3).all()  # their level never changed
        likes = level.loc[up, "likes"].to_numpy()
        assert np.isnan(likes[:LEAST_EARLIER]).all()
        assert abs(order_in_time(likes)) < 0.15
        # They stay likes: about as many as a typical post of the account got.
        typical = posts.loc[up, "likes"].median()
        assert np.nanmedian(likes) == pytest.approx(typical, rel=0.15)
        pd.testing.assert_frame_equal(
            at_one_level(posts, grown_accounts(posts)[:0]), posts, check_dtype=False
        )


class TestTask:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_labels_of_a_grown_account_are_not_of_time(self, seed: int) -> None:
        posts = attach_history(account(10, seed))
        own, published = (
            kind.fit(posts).transform(posts).values[:, 0]
            for kind in (AuthorPopularity, AuthorQuartiles)
        )
        assert abs(order_in_time(own)) < 0.2
        assert order_in_time(published) > 0.7
        assert np.isfinite(own).sum() == pytest.approx(100, abs=4)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_labels_of_a_flat_account_are_the_published_ones(self, seed: int) -> None:
        posts = attach_history(account(1, seed))
        own, published = (
            kind.fit(posts).transform(posts).values for kind in (AuthorPopularity, AuthorQuartiles)
        )
        np.testing.assert_array_equal(own, published)

    def test_later_posts_are_held_against_the_training_posts(self) -> None:
        posts = attach_history(account(10, 3))
        task = AuthorPopularity.fit(posts.iloc[:120])
        assert len(task.grown) == 1
        later = task.transform(posts.iloc[120:]).values[:, 0]
        # Every later post has more likes than most training posts, and half of them no label.
        assert np.isfinite(later).mean() == pytest.approx(0.5, abs=0.15)
        assert np.nanmean(later) == pytest.approx(0.5, abs=0.2)
        published = AuthorQuartiles.fit(posts.iloc[:120]).transform(posts.iloc[120:])
        assert np.nanmean(published.values) > 0.9

    def test_an_author_unknown_to_it_is_judged_by_what_is_given(self) -> None:
        task = AuthorPopularity.fit(attach_history(account(1, 0)))
        stranger = attach_history(account(10, 1, author="another"))
        assert abs(order_in_time(task.transform(stranger).values[:, 0])) < 0.2

    def test_state_keeps_who_grew(self) -> None:
        posts = attach_history(account(10, 0))
        task = AuthorPopularity.fit(posts)
        again = load_task(json.loads(json.dumps(task_state(task))))
        assert isinstance(again, AuthorPopularity)
        assert again.grown == task.grown != ()
        np.testing.assert_array_equal(again.transform(posts).values, task.transform(posts).values)
