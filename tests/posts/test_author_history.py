"""Authors' histories: what each post sees of the past, by hand and against a slow loop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoked.errors import DataError
from evoked.files import MAX_JSON_BYTES
from evoked.posts import author_history
from evoked.posts.author_history import (
    KINDS,
    MEANS_OVER,
    MEDIANS_OVER,
    VALUES,
    AuthorHistory,
    attach_history,
    has_history,
    published_history,
    with_history,
)
from evoked.posts.schema import ENGAGEMENT

START = pd.Timestamp("2026-03-02", tz="UTC")  # a Monday

counts = st.one_of(st.none(), st.integers(-5, 10**13))


@st.composite
def post_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Posts of few authors at few instants, so that ties and gaps are common."""
    size = draw(st.integers(1, 25))

    def column(values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=size, max_size=size))

    hours = column(st.one_of(st.none(), st.integers(0, 12)))
    kinds = {name: pd.Series(column(counts), dtype="Float64") for name in KINDS}
    return pd.DataFrame(
        {
            "post_id": [f"post{i}" for i in range(size)],
            "author_id": pd.Series(column(st.sampled_from(["a", "b", None])), dtype=object),
            "posted_at": pd.to_datetime(
                pd.Series([None if h is None else START + pd.Timedelta(hours=h) for h in hours]),
                utc=True,
            ),
            "followers": pd.Series(column(counts), dtype="Float64"),
            **kinds,
        }
    )


def known_log(count: object) -> float:
    """log(1 + count); NaN where the count is unknown or negative."""
    if pd.isna(count) or count < 0:
        return np.nan
    return float(np.log1p(min(float(count), 1e11)))


Observations = dict[str, list[tuple[float, object]]]


def count_then(post: pd.Series, kind: str, since: float, age: float, seen: Observations) -> float:
    """What is known of a post's count so many hours later, as a logarithm."""
    observed = [(hours, known_log(count)) for hours, count in seen.get(post["post_id"], [])]
    observed = [(hours, count) for hours, count in observed if np.isfinite(count)]
    if kind == "likes" and observed and np.isfinite(known_log(post[kind])):
        before = [count for hours, count in sorted(observed) if hours <= since]
        return before[-1] if before else np.nan
    return known_log(post[kind]) if since >= age else np.nan


def history_by_definition(
    posts: pd.DataFrame, row: int, kind: str, age: float, seen: Observations | None = None
) -> dict:
    """What one post sees, in a loop over posts, as one would read the definition."""
    own = posts.iloc[row]
    names = ["posts", "hours", f"mean_{kind}", f"last_{kind}", f"trend_{kind}", f"everyone_{kind}"]
    names += [f"spread_{kind}"]
    names += [f"mean{number}_{kind}" for number in MEANS_OVER]
    names += [f"median{number}_{kind}" for number in MEDIANS_OVER]
    names += [f"mean_{kind}_rate"] if kind in ENGAGEMENT else []
    found = dict.fromkeys(names, np.nan)
    if pd.isna(own["posted_at"]) or own["author_id"] is None:
        return found
    earlier, everyone = [], []
    for _, post in posts.sort_values("posted_at", kind="stable").iterrows():
        if pd.isna(post["posted_at"]) or post["author_id"] is None:
            continue
        since = (own["posted_at"] - post["posted_at"]).total_seconds() / 3600
        if since <= 0:
            continue
        count, followers = (
            count_then(post, kind, since, age, seen or {}),
            known_log(post["followers"]),
        )
        if np.isfinite(count):
            everyone.append((post["posted_at"], count))
        if post["author_id"] == own["author_id"]:
            earlier.append((since, count, followers))
    found["posts"] = len(earlier)
    if earlier:
        found["hours"] = min(since for since, _, _ in earlier)
    if everyone:
        found[f"everyone_{kind}"] = np.mean([count for _, count in sorted(everyone)[-50:]])
    return found | counts_by_definition(earlier, kind)


def counts_by_definition(earlier: list[tuple[float, float, float]], kind: str) -> dict:
    """Columns of one kind from earlier posts: hours since, log count, log followers of each."""
    found = {}
    instants = [(-since, count) for since, count, _ in earlier if np.isfinite(count)]
    # Posts of one instant have no order: each counts with their mean.
    alike = {
        each: np.mean([count for since, count in instants if since == each]) for each, _ in instants
    }
    known = [alike[since] for since, _ in sorted(instants)]
    if known:
        found[f"mean_{kind}"], found[f"last_{kind}"] = np.mean(known), known[-1]
        for number in MEANS_OVER:
            found[f"mean{number}_{kind}"] = np.mean(known[-number:])
        for number in MEDIANS_OVER:
            found[f"median{number}_{kind}"] = np.median(known[-number:])
    if len(known) > 1:
        last = known[-5:]
        found[f"trend_{kind}"] = np.polyfit(range(len(last)), last, 1)[0]
        last = known[-10:]
        distances = np.abs(np.array(last) - np.median(last))
        found[f"spread_{kind}"] = distances.sum() / (len(last) - 1)
    rates = [count - followers for _, count, followers in earlier]
    rates = [rate for rate in rates if np.isfinite(rate)]
    if kind in ENGAGEMENT and rates:
        found[f"mean_{kind}_rate"] = np.mean(rates)
    return found


@settings(max_examples=60)
@given(post_tables(), st.sampled_from(KINDS), st.sampled_from([0.0, 1.0, 2.5]))
def test_history_follows_its_definition(posts: pd.DataFrame, kind: str, age: float) -> None:
    found = pd.DataFrame(AuthorHistory.of(posts).before(posts, age))
    expected = pd.DataFrame(
        [history_by_definition(posts, row, kind, age) for row in range(len(posts))]
    )
    actual = found[[f"history.{name}" for name in expected]].to_numpy()
    np.testing.assert_allclose(actual, expected.to_numpy(dtype=float), atol=1e-8)


@settings(max_examples=40)
@given(
    post_tables(), st.data(), st.sampled_from(["likes", "comments"]), st.sampled_from([0.0, 2.5])
)
def test_counts_are_those_that_had_been_observed(
    posts: pd.DataFrame, data: st.DataObject, kind: str, age: float
) -> None:
    published = posts[posts[list(KINDS)].apply(pd.to_numeric).ge(0).any(axis=1)]
    seen = data.draw(
        st.dictionaries(
            st.sampled_from([*posts["post_id"], "elsewhere"]),
            st.lists(st.tuples(st.integers(0, 8), counts), max_size=3, unique_by=lambda o: o[0]),
        )
    )
    activity = pd.DataFrame(
        [(name, hours, count) for name, each in seen.items() for hours, count in each],
        columns=["post_id", "hours", "likes"],
    )
    found = attach_history(posts, min_age_hours=age, activity=activity)
    expected = pd.DataFrame(
        [
            history_by_definition(
                pd.concat([published, posts.iloc[[row]]]), len(published), kind, age, seen
            )
            for row in range(len(posts))
        ]
    )
    actual = found[[f"history.{name}" for name in expected]].to_numpy()
    np.testing.assert_allclose(actual, expected.to_numpy(dtype=float), atol=1e-8)


@settings(max_examples=40)
@given(post_tables(), st.data())
def test_own_and_later_counts_never_leak(posts: pd.DataFrame, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(posts) - 1))
    own = posts.iloc[row]
    later = posts["posted_at"].ge(own["posted_at"]) | posts["posted_at"].isna()
    later.iloc[row] = True
    others = posts["author_id"].ne(own["author_id"]) | posts["author_id"].isna()
    drawn = {
        name: pd.Series(
            data.draw(st.lists(counts, min_size=len(posts), max_size=len(posts))), dtype="Float64"
        )
        for name in KINDS
    }
    for changes, everyones in ((later, True), (later | others, False)):
        changed = posts.assign(**{name: posts[name].where(~changes, drawn[name]) for name in KINDS})
        before, after = (
            pd.DataFrame(AuthorHistory.of(each).before(each)).iloc[row] for each in (posts, changed)
        )
        own_past = [name for name in before.index if everyones or "everyone" not in name]
        np.testing.assert_array_equal(before[own_past], after[own_past])


@settings(max_examples=30)
@given(post_tables(), st.randoms(use_true_random=False))
def test_order_of_rows_decides_nothing(posts: pd.DataFrame, random: object) -> None:
    order = list(range(len(posts)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = attach_history(posts.iloc[order])
    columns = [name for name in shuffled if str(name).startswith("history.")]
    expected = attach_history(posts).iloc[order]
    np.testing.assert_allclose(shuffled[columns], expected[columns], atol=1e-9)


@settings(max_examples=30)
@given(post_tables())
def test_carried_history_equals_the_posts_themselves(posts: pd.DataFrame) -> None:
    """A draft sees the same past from a saved history as from all the posts."""
    drafts = pd.DataFrame(
        {
            "post_id": ["new a", "new b", "new c"],
            "author_id": ["a", "b", "stranger"],
            "posted_at": START + pd.Timedelta(days=2),
        }
    )
    columns = [name for name in attach_history(drafts) if str(name).startswith("history.")]
    with_all = attach_history(pd.concat([drafts, posts], ignore_index=True))[columns].iloc[:3]
    carried = published_history(posts)
    np.testing.assert_allclose(attach_history(drafts, carried)[columns], with_all, atol=1e-9)
    saved = AuthorHistory.from_dict(json.loads(json.dumps(carried.to_dict())))
    np.testing.assert_allclose(attach_history(drafts, saved)[columns], with_all, atol=1e-3)


def by_one(likes: list[float], hours: float = 10) -> pd.DataFrame:
    """Posts of one author, so many hours apart."""
    return pd.DataFrame(
        {
            "post_id": [f"post{i}" for i in range(len(likes))],
            "author_id": "one",
            "posted_at": START + pd.to_timedelta(np.arange(len(likes)) * hours, unit="h"),
            "likes": likes,
        }
    )


def test_last_posts_by_hand() -> None:
    logs = np.array([9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0])
    history = attach_history(by_one(list(np.expm1(logs))))
    assert history["history.posts"].tolist() == list(range(8))
    np.testing.assert_allclose(history["history.hours"][1:], 10)
    assert np.isnan(history["history.hours"][0])
    last = history.iloc[7]
    assert last["history.last_likes"] == pytest.approx(5)
    assert last["history.mean5_likes"] == pytest.approx(3)
    assert last["history.mean10_likes"] == pytest.approx(33 / 7)
    assert last["history.median3_likes"] == pytest.approx(4)
    assert last["history.median10_likes"] == pytest.approx(4)
    assert last["history.everyone_likes"] == pytest.approx(33 / 7)
    trend = history["history.trend_likes"]
    assert np.isnan(trend[:2]).all()
    assert trend[2] == pytest.approx(0)
    assert trend[7] == pytest.approx(1)
    assert np.isnan(history.filter(like="comments")).all(axis=None)


def test_posts_without_a_count_are_skipped_in_the_last_ones() -> None:
    posts = by_one([10, 20, -1, 40])
    history = attach_history(posts.assign(comments=[1, 1, 1, 1])).iloc[3]
    assert history["history.posts"] == 3
    assert history["history.last_likes"] == pytest.approx(np.log1p(20))
    assert history["history.last_comments"] == pytest.approx(np.log1p(1))


def test_young_posts_are_not_seen_but_counted() -> None:
    history = attach_history(by_one([1, 10, 100, 1000]), min_age_hours=15).iloc[3]
    assert history["history.last_likes"] == pytest.approx(np.log1p(10))
    assert (history["history.posts"], history["history.hours"]) == (3, 10)
    exactly = attach_history(by_one([1, 10, 100, 1000]), min_age_hours=20).iloc[3]
    assert exactly["history.last_likes"] == pytest.approx(np.log1p(10))


def test_a_count_that_came_later_is_not_seen() -> None:
    """A thousand likes that an earlier post got in its second day are no part of the first."""
    posts = by_one([1000, 5], hours=24)
    activity = pd.DataFrame(
        {"post_id": "post0", "hours": [1.0, 24.0, 48.0], "likes": [10, 100, 1000]}
    )
    assert attach_history(posts)["history.last_likes"][1] == pytest.approx(np.log1p(1000))
    then = attach_history(posts, activity=activity)["history.last_likes"][1]
    assert then == pytest.approx(np.log1p(100))
    before_any = attach_history(posts, activity=activity.iloc[2:]).iloc[1]
    assert np.isnan(before_any["history.last_likes"])
    assert before_any["history.posts"] == 1
    # Another post's observations say nothing.
    other = attach_history(posts, activity=activity.assign(post_id="elsewhere"))
    pd.testing.assert_frame_equal(other, attach_history(posts))


def test_what_the_author_knows_today_is_what_a_draft_sees() -> None:
    posts = by_one([1000, 5], hours=24)
    activity = pd.DataFrame({"post_id": ["post0"], "hours": [1.0], "likes": [10]})
    draft = by_one([np.nan]).assign(posted_at=START + pd.Timedelta(days=9), post_id="draft")
    carried = published_history(posts)
    seen = attach_history(draft, carried, drafts=True, activity=activity)
    assert seen["history.median3_likes"].item() == pytest.approx(np.log1p([1000, 5]).mean())


def test_posts_of_one_instant_count_with_their_mean() -> None:
    posts = by_one([1, 1000, 50], hours=0)
    posts["followers"] = [9.0, 1.0, np.nan]
    posts.loc[2, "posted_at"] += pd.Timedelta(hours=1)
    expected = np.log1p([1, 1000]).mean()
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        seen = attach_history(posts.iloc[order]).loc[2]
        assert seen["history.last_likes"] == pytest.approx(expected)
        assert seen["history.trend_likes"] == pytest.approx(0)
    assert AuthorHistory.of(posts).last_counts(posts, "likes", 2)[2].tolist() == pytest.approx(
        [1, 1000]  # as they were: a person counts single posts
    )


def test_posts_of_one_instant_do_not_see_each_other() -> None:
    posts = by_one([1, 2, 3, 4], hours=0)
    posts.loc[3, "posted_at"] += pd.Timedelta(hours=1)
    assert attach_history(posts)["history.posts"].tolist() == [0, 0, 0, 3]


def test_drafts_are_nobodys_past() -> None:
    past, drafts = by_one([10, 20]), by_one([np.nan] * 3)
    drafts["posted_at"] += pd.Timedelta(days=9)
    carried = published_history(past)
    columns = ["history.posts", "history.last_likes", "history.hours"]
    alone = pd.concat([attach_history(drafts.iloc[[row]], carried) for row in range(3)])[columns]
    assert alone["history.posts"].tolist() == [2, 2, 2]
    for together in (attach_history(drafts, carried), attach_history(drafts, carried, drafts=True)):
        pd.testing.assert_frame_equal(together[columns], alone)
    # Whatever they claim to have got.
    claimed = drafts.assign(likes=[7, 8, 9])
    pd.testing.assert_frame_equal(attach_history(claimed, carried, drafts=True)[columns], alone)


def test_changed_likes_change_later_posts_of_the_author_alone() -> None:
    posts = by_one([10, 20, 30, 40]).assign(author_id=["one", "two", "one", "two"])
    before = attach_history(posts)
    posts.loc[1, "likes"] = 20_000
    changed = attach_history(posts)["history.median10_likes"].ne(before["history.median10_likes"])
    known = before["history.median10_likes"].notna()
    assert (changed & known).tolist() == [False, False, False, True]


def test_history_is_attached_once() -> None:
    posts = by_one([1, 2, 3])
    assert not has_history(posts)
    attached = with_history(posts)
    assert has_history(attached)
    assert with_history(attached) is attached
    pd.testing.assert_frame_equal(attach_history(attached), attached)


@pytest.mark.parametrize(("values", "authors"), [(2, 200), (len(VALUES), 120)])
def test_carried_history_is_never_too_large_to_be_read(
    values: int, authors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A hundredth of the authors whom a run carries, and so of the file.
    monkeypatch.setattr(author_history, "_MAX_AUTHORS", author_history._MAX_AUTHORS // 100)
    monkeypatch.setattr(author_history, "_MAX_NUMBERS", author_history._MAX_NUMBERS // 100)
    events = 300 * 30
    known = np.tile(np.arange(len(VALUES)) < values, (events, 1)).astype(np.int64)
    instant = 1_700_000_000_000_000 + np.arange(events)
    history = AuthorHistory(
        np.array([f"{number % 300:016x}" for number in range(events)], dtype=object),
        instant,
        np.ones(events, dtype=np.int64),
        known,
        known * np.random.default_rng(0).uniform(10, 20, known.shape),
        np.full(events, -1),
    ).compact()
    assert len(set(history.author)) == authors
    history.save(tmp_path / "history.json")
    assert (tmp_path / "history.json").stat().st_size * 100 < MAX_JSON_BYTES
    pd.testing.assert_frame_equal(
        pd.DataFrame(AuthorHistory.load(tmp_path / "history.json").known),
        pd.DataFrame(history.known),
    )


def test_carried_history_is_compact_and_names_nobody() -> None:
    size, authors = 500, 3
    posts = by_one(list(range(size))).assign(author_id=[f"author{i % 3}" for i in range(size)])
    history = published_history(posts)
    assert len(history) == 21 * authors
    assert history.posts.sum() == size
    assert not set(history.author) & set(posts["author_id"])


def test_carried_history_keeps_the_order_of_posts_of_one_instant() -> None:
    """The trend runs along the last five, which a tie must not choose otherwise."""
    posts = by_one([1, 1_000, 10, 5, 100, 7, 40, 2], hours=0)
    draft = by_one([np.nan]).assign(posted_at=START + pd.Timedelta(days=1))
    history = AuthorHistory.of(posts)
    carried, all_of_it = history.compact().before(draft), history.before(draft)
    assert np.isfinite(all_of_it["history.trend_likes"]).all()
    for name, values in all_of_it.items():
        np.testing.assert_allclose(carried[name], values)


def test_a_longer_carried_history_takes_the_place_of_few_posts() -> None:
    posts = by_one([10, 20, 30, 40])
    seen = attach_history(posts.iloc[3:], published_history(posts.iloc[:3]))
    assert seen["history.posts"].tolist() == [3]
    again = attach_history(posts, published_history(posts))
    pd.testing.assert_frame_equal(again, attach_history(posts))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    history = published_history(by_one([1, 2, 3]))
    history.save(path)
    np.testing.assert_array_equal(AuthorHistory.load(path).posts, history.posts)
    for damage in ({"author": ["a"]}, {**history.to_dict(), "known": []}, {"author": None}):
        path.write_text(json.dumps(damage))
        with pytest.raises(DataError, match=r"history\.json.*Train the model again"):
            AuthorHistory.load(path)


def test_the_past_predicts_real_likes(shared_data: Path) -> None:
    """On real posts the author's past is by far the best single predictor of likes."""
    posts = pd.read_json(shared_data / "instagram_authors" / "posts.jsonl", lines=True)
    posts = posts.rename(columns={"author": "author_id", "date": "posted_at"})
    likes = np.log1p(posts["likes"])
    for name in ("mean", "median10"):
        past = attach_history(posts)[f"history.{name}_likes"]
        known = np.isfinite(past)
        assert known.mean() > 0.9
        assert np.corrcoef(past[known], likes[known])[0, 1] > 0.75


def test_last_counts_are_those_of_the_authors_posts_before_the_latest_first() -> None:
    posts = pd.DataFrame(
        {
            "post_id": ["p1", "p2", "p3", "p4", "other"],
            "author_id": ["a", "a", "a", "a", "b"],
            "posted_at": [START + pd.Timedelta(hours=h) for h in (0, 1, 2, 3, 2)],
            "likes": [10.0, np.nan, 30.0, 40.0, 99.0],
        }
    )
    found = AuthorHistory.of(posts).last_counts(posts, "likes", 2)
    expected = [[np.nan] * 2, [10.0, np.nan], [10.0, np.nan], [30.0, 10.0], [np.nan] * 2]
    np.testing.assert_allclose(found, expected)
    assert np.isnan(AuthorHistory.of(posts).last_counts(posts, "shares", 2)).all()
