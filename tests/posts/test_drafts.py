"""Drafts as rows of the table of posts."""

from __future__ import annotations

from typing import Any

import pytest

from evoked.errors import DataError
from evoked.posts.drafts import Draft, as_posts


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"caption": "caf\udce9"}, "caption"),
        ({"title": "\ud800"}, "title"),
        ({"author": "\ud800"}, "author"),
        ({"category": "\ud800"}, "category"),
        ({"name": "\ud800"}, "name"),
        ({"hashtags": ["sun", "\ud800"]}, "hashtags"),
    ],
)
def test_text_that_is_not_utf8_is_refused(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(
        DataError, match=rf"row 2, field {name}: not UTF-8 text: '.*\\ud.*'.*Give it"
    ):
        as_posts([Draft(caption="A café 😀"), Draft(**fields)])


@pytest.mark.parametrize("count", [-1, 10**12])
def test_counts_that_no_account_has_are_refused(count: int) -> None:
    with pytest.raises(DataError, match=r"row 1, field following: .* from 0 to"):
        as_posts([Draft(following=count)])


def test_every_field_reaches_the_table() -> None:
    draft = Draft(
        caption="By the sea #sun @me",
        author="ada",
        category="travel",
        followers=1,
        following=2,
        author_posts=3,
        paid=True,
        title="Sea",
    )
    table, images = as_posts([draft])
    row = table.iloc[0]
    assert (row["author_id"], row["category"], row["title"]) == ("ada", "travel", "Sea")
    assert (row["followers"], row["following"], row["author_posts"]) == (1, 2, 3)
    assert row["paid"]
    assert (row["hashtags"], row["mentions"], images) == (["sun"], ["me"], [None])


def test_a_title_is_the_text_of_a_draft_without_a_caption() -> None:
    table, _ = as_posts([Draft(title="Sea #sun"), Draft(title="Sea", caption="")])
    assert table["caption"].tolist() == ["Sea #sun", ""]
    assert [list(tags) for tags in table["hashtags"]] == [["sun"], []]
