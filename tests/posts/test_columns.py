"""What is made of drafts is the same with pandas and without."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from evoked.features.metadata import MetadataEncoder
from evoked.posts.author_history import AuthorHistory
from evoked.posts.columns import Columns, instants_of, looked_up, numbers_of, values_of
from evoked.posts.drafts import Draft, as_columns, as_posts, draft_from, draft_row
from evoked.posts.synthetic.posts import synthesise
from evoked.targets import EmotionEngagement

DRAFTS = [
    Draft(caption="Golden hour 😍 #travel @you", author="author-00001", followers=1200),
    Draft(posted_at=datetime(2031, 5, 13, 18, 30), paid=True, category="travel", views=9),
    Draft(posted_at=datetime(2031, 5, 13, 18, 30, 7, tzinfo=timezone(timedelta(hours=2)))),
    Draft(title="No caption, a TITLE", hashtags=["#one", "two"], author="new", author_posts=3),
]


@pytest.mark.parametrize("time_zone", [None, "Asia/Tokyo"])
def test_drafts_are_the_same_with_and_without_pandas(time_zone: str | None, tmp_path) -> None:  # type: ignore[no-untyped-def]
    learned = synthesise(tmp_path / "posts", n=60).posts
    history = AuthorHistory.of(learned)
    encoder, task = MetadataEncoder.fit(learned), EmotionEngagement.fit(learned)
    table, _ = as_posts(DRAFTS, time_zone)
    columns = as_columns(DRAFTS, [draft_row(draft, 1, time_zone) for draft in DRAFTS])
    seen = history.before(table, 0.0)
    for name, values in history.before(columns, 0.0).items():
        np.testing.assert_array_equal(values, seen[name], err_msg=name)
    with_past = columns.assign(**seen)
    posts = table.assign(**seen)
    np.testing.assert_array_equal(encoder.transform(with_past), encoder.transform(posts))
    predicted = {name: np.linspace(0.1, 0.9, len(DRAFTS)) for name in task.columns}
    expected = task.inverse_transform(pd.DataFrame(predicted), posts)
    found = task.restored(predicted, with_past)
    assert list(found) == list(expected)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_what_is_unknown_is_nan_or_none() -> None:
    posts = Columns({"likes": [3, None, "many"], "when": [datetime(1970, 1, 2, tzinfo=UTC)] * 3}, 3)
    np.testing.assert_array_equal(numbers_of(posts, "likes"), [3, np.nan, np.nan])
    np.testing.assert_array_equal(numbers_of(posts, "shares"), [np.nan] * 3)
    assert values_of(posts, "title") == [None] * 3
    instants, dated = instants_of(posts, "when")
    assert instants.tolist() == [86_400_000_000] * 3
    assert dated.all()
    assert not instants_of(posts)[1].any()


def test_columns_of_few_posts_are_read_once_and_say_what_the_table_says() -> None:
    table = pd.DataFrame(
        {
            "likes": pd.array([3, None], dtype="Int64"),
            "views": [2.5, np.nan],
            "paid": pd.array([True, None], dtype="boolean"),
            "title": pd.Series(["Hello", None], dtype=object),
            "hashtags": [["#one"], None],
            "posted_at": pd.to_datetime(pd.Series(["2026-05-13T18:30", None]), utc=True),
        }
    )
    few = looked_up(table)
    assert few is not table
    assert few["title"] is few["title"]
    assert list(few) == list(table)
    assert "shares" not in few
    for name in table:
        assert values_of(few, name) == values_of(table, name), name
    for name in ("likes", "views", "paid", "title", "shares"):
        np.testing.assert_array_equal(numbers_of(few, name), numbers_of(table, name), name)
    for found, expected in zip(instants_of(few), instants_of(table), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert looked_up(few) is few
    many = pd.concat([table] * 40, ignore_index=True)
    assert looked_up(many) is many


def test_facts_of_a_draft_are_left_out_where_none() -> None:
    assert draft_from({"caption": None, "author": "a"}) == Draft(author="a")
