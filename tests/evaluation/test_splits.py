"""Splits: nothing in two parts, nothing that must stay together torn apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoked.errors import DataError, SettingsError
from evoked.evaluation.splits import (
    VIEWING_FRACTIONS,
    VIEWING_KINDS,
    Split,
    choose_split,
    from_column,
    k_fold,
    leave_one_author_out,
    repeated_runs,
    with_calibration,
)


def make_posts(days: list[int | None], authors: list[str | None]) -> pd.DataFrame:
    start = pd.Timestamp("2026-01-01", tz="UTC")
    dates = [None if day is None else start + pd.Timedelta(days=day) for day in days]
    return pd.DataFrame(
        {
            "post_id": [f"post{i}" for i in range(len(days))],
            "author_id": pd.Series(authors, dtype=object),
            "posted_at": pd.to_datetime(pd.Series(dates), utc=True),
        }
    )


@st.composite
def post_tables(draw: st.DrawFn) -> pd.DataFrame:
    size = draw(st.integers(6, 60))
    days = draw(st.lists(st.integers(0, 40), min_size=size - 3, max_size=size - 3))
    authors = draw(st.lists(st.sampled_from("abcdef"), min_size=size - 3, max_size=size - 3))
    return make_posts([0, 20, 40, *days], ["a", "b", "c", *authors])


def parts(split: Split) -> list[set[int]]:
    return [set(rows.tolist()) for rows in (split.train, split.validation, split.test)]


def assert_disjoint(split: Split, size: int) -> None:
    rows = np.concatenate([split.train, split.validation, split.test])
    assert len(rows) == len(np.unique(rows))
    assert rows.min() >= 0
    assert rows.max() < size
    assert rows.dtype == np.int64


@settings(deadline=None, max_examples=60)
@given(post_tables(), st.sampled_from(["random", "author", "time"]), st.integers(0, 5))
def test_every_kind_keeps_its_promise(posts: pd.DataFrame, kind: str, seed: int) -> None:
    split = choose_split(posts, kind, seed)
    assert_disjoint(split, len(posts))
    assert sum(map(len, parts(split))) == len(posts)
    assert all(parts(split))
    if kind == "author":
        authors = [set(posts["author_id"].iloc[list(rows)]) for rows in parts(split)]
        assert not authors[0] & authors[1] | authors[1] & authors[2] | authors[0] & authors[2]
    if kind == "time":
        dates = [posts["posted_at"].iloc[list(rows)] for rows in parts(split)]
        assert dates[0].max() < dates[1].min()
        assert dates[1].max() < dates[2].min()


@settings(deadline=None, max_examples=40)
@given(post_tables(), st.sampled_from(["random", "author", "time"]), st.randoms())
def test_order_of_rows_does_not_matter(posts: pd.DataFrame, kind: str, random) -> None:
    order = list(range(len(posts)))
    random.shuffle(order)
    shuffled = posts.iloc[order]
    for name in ("train", "validation", "test"):
        one = set(posts["post_id"].iloc[getattr(choose_split(posts, kind), name)])
        other = set(shuffled["post_id"].iloc[getattr(choose_split(shuffled, kind), name)])
        assert one == other


def test_sizes_follow_the_fractions() -> None:
    posts = make_posts(list(range(1000)), [f"author{i % 100}" for i in range(1000)])
    for kind in ("random", "author", "time"):
        assert [*map(len, parts(choose_split(posts, kind)))] == [700, 150, 150]
    halves = choose_split(posts, "random", fractions=(0.8, 0.0, 0.2))
    assert [*map(len, parts(halves))] == [800, 0, 200]
    no_test = choose_split(posts, "time", fractions=(0.9, 0.1, 0.0))
    assert [*map(len, parts(no_test))] == [900, 100, 0]


def test_seed_changes_the_random_parts_only() -> None:
    posts = make_posts(list(range(100)), [f"author{i % 20}" for i in range(100)])
    for kind, changes in (("random", True), ("author", True), ("time", False)):
        differ = parts(choose_split(posts, kind, 0)) != parts(choose_split(posts, kind, 1))
        assert differ == changes


def test_the_random_split_is_the_same_everywhere() -> None:
    """Pinned: a run made on one machine is evaluated on another."""
    split = choose_split(make_posts([None] * 10, [None] * 10), "random")
    assert split.validation.tolist() == [7]
    assert split.test.tolist() == [4, 8]


def test_an_author_larger_than_a_part_goes_to_train() -> None:
    authors = ["star"] * 60 + [f"author{i}" for i in range(40)]
    for seed in range(10):
        split = choose_split(make_posts([None] * 100, authors), "author", seed)
        assert set(range(60)) <= set(split.train.tolist())


def test_default_is_the_column_then_time_then_author_then_random() -> None:
    dated = make_posts(list(range(20)), [f"author{i % 5}" for i in range(20)])
    undated = dated.assign(posted_at=pd.NaT)
    strangers = undated.assign(author_id=[f"author{i}" for i in range(20)])
    named = dated.assign(split=["train"] * 15 + ["test"] * 5)
    only_train = dated.assign(split="train")
    expected = {"column": named, "time": dated, "author": undated, "random": strangers}
    for kind, posts in expected.items():
        split = choose_split(posts)
        assert split.kind == kind
        assert kind in split.reason.lower()
    assert choose_split(only_train).kind == "time"
    assert choose_split(dated[["post_id"]]).kind == "random"
    assert "test begins 2026-01-18" in choose_split(dated).reason


def test_posts_without_a_date_are_left_out_of_a_split_by_time() -> None:
    posts = make_posts([*range(19), None], ["a"] * 20)
    split = choose_split(posts)
    assert split.kind == "time"
    assert 19 not in set.union(*parts(split))
    assert "1 posts without date are left out" in split.reason


def test_three_posts_are_enough_and_two_are_not() -> None:
    posts = make_posts([1, 2, 3], ["a", "b", "c"])
    for kind in ("random", "author", "time"):
        assert [*map(len, parts(choose_split(posts, kind)))] == [1, 1, 1]
        with pytest.raises(DataError, match="there are 2"):
            choose_split(posts.iloc[:2], kind)
    with pytest.raises(DataError, match="there are 0"):
        choose_split(posts.iloc[:0])
    with pytest.raises(DataError, match="different dates"):
        choose_split(posts[["post_id"]], "time")
    with pytest.raises(DataError, match="authors"):
        choose_split(make_posts([1] * 9, ["a"] * 9), "author")


def test_column_names_are_understood() -> None:
    posts = make_posts([None] * 8, [None] * 8)
    posts["split"] = ["train", "Train", "dev", "val", "validation", "test", None, "spare"]
    split = from_column(posts)
    assert parts(split) == [{0, 1}, {2, 3, 4}, {5}]
    assert "2 posts" in split.reason
    with pytest.raises(DataError, match="field split"):
        choose_split(posts.assign(split="test"), "column")


def test_validation_is_cut_from_train_when_the_column_has_none() -> None:
    posts = make_posts([None] * 100, [None] * 100).assign(split=["train"] * 85 + ["test"] * 15)
    split = choose_split(posts)
    assert [*map(len, parts(split))] == [70, 15, 15]
    assert split.validation.max() < 85
    assert "taken from train" in split.reason


def test_leave_one_author_out() -> None:
    authors = ["b", "a", None, "c", "a", "c", "d", "d"]
    splits = list(leave_one_author_out(authors, validation=0.3))
    assert [set(split.test.tolist()) for split in splits] == [{1, 4}, {0}, {3, 5}, {6, 7}]
    for split in splits:
        assert_disjoint(split, len(authors))
        assert sum(map(len, parts(split))) == 7
        names = [{authors[row] for row in rows} for rows in parts(split)]
        assert not names[0] & names[1]
    two = list(leave_one_author_out(["a", "b"]))
    assert [*map(len, parts(two[0]))] == [1, 0, 1]
    with pytest.raises(DataError, match="two authors"):
        list(leave_one_author_out(["a", "a", None]))


def test_more_parts_than_posts_are_refused_with_the_way_out() -> None:
    posts = make_posts([1, 2, 3], ["a", "b", "c"])
    with pytest.raises(DataError, match=r"5 parts .* there are 3\. Add some, ask for fewer folds"):
        next(k_fold(posts, 5))
    with pytest.raises(DataError, match=r"3 parts .* there are 2\. Add some, hold out fewer parts"):
        choose_split(posts[:2], "random", 0)


@pytest.mark.parametrize("kind", ["random", "author", "time"])
def test_folds(kind: str) -> None:
    posts = make_posts([i // 2 for i in range(120)], [f"author{i % 24}" for i in range(120)])
    folds = list(k_fold(posts, 5, kind))
    assert len(folds) == 5
    tested = np.concatenate([fold.test for fold in folds])
    assert len(tested) == len(np.unique(tested)) == (60 if kind == "time" else 120)
    for fold in folds:
        assert_disjoint(fold, len(posts))
        assert all(parts(fold))
        dates = [posts["posted_at"].iloc[list(rows)] for rows in parts(fold)]
        authors = [set(posts["author_id"].iloc[list(rows)]) for rows in parts(fold)]
        if kind == "time":
            assert dates[0].max() < dates[1].min()
            assert dates[1].max() < dates[2].min()
            assert len(fold.train) + len(fold.validation) >= 60
        if kind == "author":
            assert not (authors[0] | authors[1]) & authors[2]


def test_wrong_settings_are_refused() -> None:
    posts = make_posts([1, 2, 3], ["a", "b", "c"])
    with pytest.raises(SettingsError, match="choose one of column, time"):
        choose_split(posts, "colour")
    for fractions in ((0.5, 0.2, 0.2), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)):
        with pytest.raises(SettingsError, match="add up to 1"):
            choose_split(posts, fractions=fractions)
    with pytest.raises(SettingsError, match="at least 2"):
        list(k_fold(posts, 1))
    with pytest.raises(SettingsError, match="not by 'column'"):
        list(k_fold(posts, 3, "column"))
    with pytest.raises(DataError, match="there are 3"):
        list(k_fold(posts, 4))


def test_real_posts_are_split_by_time(shared_data: Path) -> None:
    with (shared_data / "instagram_authors" / "posts.jsonl").open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    posts = pd.DataFrame(
        {
            "post_id": [str(number) for number in range(len(rows))],
            "author_id": [row["author"] for row in rows],
            "posted_at": pd.to_datetime([row["date"] for row in rows], utc=True),
        }
    )
    split = choose_split(posts)
    assert split.kind == "time"
    assert posts["posted_at"].iloc[split.train].max() < posts["posted_at"].iloc[split.test].min()
    assert len(split.train) == pytest.approx(0.7 * len(posts), rel=0.05)


def make_viewings(n: int = 400, dated: bool = True, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    pairs = random.permutation(40 * 30)[:n]
    times = pd.date_range("2026-01-01", periods=n, freq="h", tz="UTC")
    return pd.DataFrame(
        {
            "user_id": [f"u{row}" for row in pairs // 30],
            "post_id": [f"p{row}" for row in pairs % 30],
            "viewed_at": random.permutation(times) if dated else pd.NaT,
        }
    )


@pytest.mark.parametrize("kind", VIEWING_KINDS)
def test_viewings_are_split_by_what_must_stay_together(kind: str) -> None:
    viewings = make_viewings()
    split = choose_split(viewings, kind, 0, VIEWING_FRACTIONS)
    assert_disjoint(split, len(viewings))
    assert split.kind == kind
    assert abs(len(split.train) - 320) <= 20
    column = {"user": "user_id", "image": "post_id"}.get(kind)
    if column is not None:
        names = [set(viewings[column].iloc[rows]) for rows in (split.train, split.test)]
        assert names[0].isdisjoint(names[1])
    if kind == "time":
        assert viewings["viewed_at"].iloc[split.train].max() < (
            viewings["viewed_at"].iloc[split.test].min()
        )
        assert "of the test viewings are by users seen in training" in split.reason


@pytest.mark.parametrize("kind", VIEWING_KINDS)
def test_the_order_of_viewings_does_not_matter(kind: str) -> None:
    viewings = make_viewings()
    order = np.random.default_rng(1).permutation(len(viewings))
    one, other = choose_split(viewings, kind), choose_split(viewings.iloc[order], kind)
    assert set(order[other.test]) == set(one.test)


def test_viewings_are_split_by_time_unless_they_have_none() -> None:
    assert choose_split(make_viewings()).kind == "time"
    assert choose_split(make_viewings(dated=False)).kind == "random"
    with pytest.raises(SettingsError, match="no split 'author' of viewings; choose one of time"):
        choose_split(make_viewings(), "author")
    with pytest.raises(SettingsError, match="no split 'user' of posts"):
        choose_split(make_posts([1, 2, 3], ["a", "b", "c"]), "user")


@pytest.mark.parametrize("kind", VIEWING_KINDS)
def test_three_runs_share_no_test_viewing(kind: str) -> None:
    viewings = make_viewings()
    splits = list(repeated_runs(viewings, 3, kind))
    tests = np.concatenate([split.test for split in splits])
    assert len(splits) == 3
    assert len(tests) == len(np.unique(tests))
    for split in splits:
        assert_disjoint(split, len(viewings))
        assert 20 <= len(split.test) <= 60
        assert len(split.validation) > 0
        if kind == "time":
            times = viewings["viewed_at"]
            assert times.iloc[split.train].max() < times.iloc[split.validation].min()
            assert times.iloc[split.validation].max() < times.iloc[split.test].min()


def test_runs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingsError, match="do not fit"):
        list(repeated_runs(make_viewings(), 11))
    with pytest.raises(SettingsError, match="not by 'author'"):
        list(repeated_runs(make_viewings(), 3, "author"))


def test_calibration_viewings_are_of_other_users_than_validation_viewings() -> None:
    viewings = make_viewings()
    split = with_calibration(viewings, choose_split(viewings, "user"), 0, 4)
    users = viewings["user_id"]
    assert len(split.calibration) >= 4
    assert set(users.iloc[split.calibration]).isdisjoint(users.iloc[split.validation])
