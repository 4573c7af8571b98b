"""The tasks 'popularity' and 'level' against hand-worked cases."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evoked.errors import DataError
from evoked.targets import load_task, task_class, task_state
from evoked.targets.popularity import Level, LevelOfScaledCounts, Popularity


def posts(**columns: object) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    frame.insert(0, "post_id", [f"p{row}" for row in range(len(frame))])
    return frame


@pytest.fixture
def five() -> pd.DataFrame:
    return posts(
        views=[100, 200, 300, 400, 500],
        likes=[10, 20, 30, 40, 50],
        comments=[5, 1, 4, 2, 3],
        shares=[9, 7, 5, 3, 1],
        saves=[2, 2, 2, 2, 2],
    )


def test_score_is_equation_1(five: pd.DataFrame) -> None:
    task = Popularity.fit(five)
    # Likes follow views, shares run against them, saves never vary.
    comments = 1 - stats.pearsonr(five["views"], five["comments"]).statistic
    assert task.weights == pytest.approx(
        {"likes": 0, "comments": comments, "shares": 2, "saves": 1}, abs=1e-12
    )
    expected = np.log1p(comments * five["comments"] + 2 * five["shares"] + five["saves"])
    np.testing.assert_allclose(task.transform(five).values[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(task.truth(five)["log_popularity"], expected, rtol=1e-6)
    restored = task.inverse_transform(pd.DataFrame({"log_popularity": expected}), five)
    np.testing.assert_allclose(restored["popularity"], np.exp(expected) - 1)


def test_weights_are_the_training_posts_own(five: pd.DataFrame) -> None:
    task = Popularity.fit(five)
    other = posts(views=[1.0], likes=[0.0], comments=[0.0], shares=[8.0], saves=[1.0])
    assert task.transform(other).values[0, 0] == pytest.approx(np.log(1 + 2 * 8 + 1))


def test_levels_are_quintiles_of_the_training_posts() -> None:
    generator = np.random.default_rng(0)
    train = posts(
        views=generator.integers(50, 5000, 500),
        likes=generator.integers(0, 500, 500),
        comments=generator.integers(0, 50, 500),
        shares=generator.integers(0, 50, 500),
        saves=generator.integers(0, 50, 500),
    )
    score = (
        train["likes"] + 2 * train["comments"] + 3 * train["shares"] + 3 * train["saves"]
    ) / train["views"]
    expected = pd.qcut(score, 5, labels=False)
    task = Level.fit(train)
    values = task.transform(train).values
    np.testing.assert_array_equal(values.argmax(axis=1), expected)
    assert (values.sum(axis=1) == 1).all()
    labels = np.array(["very_low", "low", "medium", "high", "very_high"])[expected]
    assert task.truth(train)["level"].tolist() == labels.tolist()
    assert task.outcomes[0].ordered


def test_levels_of_scaled_counts(five: pd.DataFrame) -> None:
    """Section 3 by hand: each count from 0 to 1 over the training posts, views among them."""
    task = LevelOfScaledCounts.fit(five)
    assert task.ranges == {
        "likes": (10, 50),
        "comments": (1, 5),
        "shares": (1, 9),
        "saves": (2, 2),
        "views": (100, 500),
    }
    # Likes and views rise from 0 to 1, shares fall, saves say nothing.
    expected = [0 + 1 + 1, 0.5 + 0 + 0.75, 1 + 0.75 + 0.5, 1.5 + 0.25 + 0.25, 2 + 0.5 + 0]
    np.testing.assert_allclose(task.scores(five), expected)
    found = task.truth(five)["level"].tolist()
    assert (found[1], found[2], found[4]) == ("very_low", "high", "very_high")
    assert found[0] == found[3]  # two of the same score
    # Later posts are scaled by the training posts' ranges, and may lie beyond them.
    beyond = five.assign(likes=[10, 20, 30, 40, 90])
    np.testing.assert_allclose(task.scores(beyond)[4], expected[4] + 1)
    # Views count here, and divide nothing.
    more = five.assign(views=[500, 200, 300, 400, 500])
    np.testing.assert_allclose(task.scores(more)[0], expected[0] + 1)
    assert "views" not in LevelOfScaledCounts.fit(five.drop(columns="views")).ranges


def test_what_stands_for_views_is_said(five: pd.DataFrame) -> None:
    followed = five.drop(columns="views").assign(followers=[9, 8, 9, 7, 9])
    for kind in (Popularity, Level):
        assert kind.fit(five).notes == []
        (note,) = kind.fit(followed).notes
        assert "followers take their place" in note
        (note,) = kind.fit(five.drop(columns="views")).notes
        assert "the counts stand alone" in note


def test_no_views_count_as_one_view() -> None:
    train = posts(views=[10.0] * 4 + [0.0], likes=[1.0, 2, 3, 4, 5])
    # Scores 0.1 0.2 0.3 0.4 and 5 / max(0, 1).
    assert Level.fit(train).truth(train)["level"].iloc[4] == "very_high"


def test_a_count_that_the_dataset_lacks_is_absent_and_not_zero() -> None:
    train = posts(views=[10.0] * 4, likes=[1.0, 2, 3, 4], shares=[np.nan, 5, np.nan, np.nan])
    assert set(Popularity.fit(train).weights) == {"likes"}
    task = Level.fit(train)
    assert task.counts == ("likes",)
    # The one post with known shares is not compared with the others by them.
    alike = train.assign(shares=np.nan)
    np.testing.assert_array_equal(task.transform(train).values, task.transform(alike).values)


def test_a_post_that_lacks_a_count_of_the_sum_has_no_target() -> None:
    train = posts(views=[10.0] * 4, likes=[1.0, 2, 3, 4], shares=[5, 5, np.nan, 1])
    for task in (Popularity.fit(train), Level.fit(train)):
        known = np.isfinite(task.transform(train).values).all(axis=1)
        assert known.tolist() == [True, True, False, True]
        assert task.truth(train).iloc[2, 1:].isna().all()


@pytest.mark.parametrize(
    ("columns", "exposure"),
    [
        ({"views": [5.0, 6, np.nan]}, "views"),
        ({"views": [5.0, np.nan, np.nan], "followers": [9.0, 9, 8]}, "followers"),
        ({"reach": [5.0, 6, 7]}, "reach"),
        ({}, "none"),
    ],
)
def test_what_takes_the_place_of_views(columns: dict[str, list[float]], exposure: str) -> None:
    train = posts(likes=[1.0, 2, 3], **columns)
    for task in (Popularity.fit(train), Level.fit(train)):
        assert task.to_dict()["exposure"] == exposure
        assert exposure == "none" or exposure in task.formula


def test_one_post_and_equal_posts() -> None:
    for train in (posts(views=[7.0], likes=[3.0]), posts(views=[7.0] * 9, likes=[3.0] * 9)):
        assert Popularity.fit(train).weights == {"likes": 1.0}
        assert np.isfinite(Level.fit(train).transform(train).values).all()


def test_posts_without_counts_are_an_error() -> None:
    for kind in (Popularity, Level, LevelOfScaledCounts):
        with pytest.raises(DataError, match="likes, comments, shares, saves"):
            kind.fit(posts(views=[1.0, 2.0]))
        with pytest.raises(DataError):
            kind.fit(posts(views=[1.0, 2.0]).iloc[:0])
    with pytest.raises(DataError, match="has all of likes, shares"):
        Level.fit(posts(likes=[1.0, np.nan], shares=[np.nan, 1.0]))


def test_registered_and_led_through_json(five: pd.DataFrame) -> None:
    for name in ("popularity", "level", "level_scaled"):
        task = task_class(name).fit(five)
        again = load_task(json.loads(json.dumps(task_state(task))))
        assert again == task


counts = st.lists(st.integers(0, 10**6), min_size=3, max_size=40)


@given(counts, st.integers(0, 2**32 - 1))
def test_values_stay_in_their_bounds(likes: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    train = posts(
        likes=np.array(likes, float),
        views=generator.integers(0, 10**7, len(likes)),
        shares=generator.integers(0, 10**4, len(likes)),
    )
    popularity = Popularity.fit(train).transform(train).values
    assert (popularity >= 0).all()
    levels = Level.fit(train).transform(train).values
    assert (levels.sum(axis=1) == 1).all()
    # No level is larger than a fifth by more than the posts that share an edge.
    assert set(np.unique(levels)) <= {0.0, 1.0}
