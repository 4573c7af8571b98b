"""Which post a draft became."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from evoked.advice.ledger import Entry, hashes_of
from evoked.advice.recognising import Match, recognise

KEPT = datetime(2024, 3, 10, 12, tzinfo=UTC)
POSTS = pd.DataFrame(
    {
        "post_id": ["before", "one", "two", "three", "undated"],
        "author_id": ["me", "me", "me", "you", "me"],
        "posted_at": pd.to_datetime(
            ["2024-03-09", "2024-03-11 18:00", "2024-03-12 18:00", "2024-03-12 18:00", None],
            utc=True,
            format="mixed",
        ),
        "caption": ["Good morning", "Good  MORNING", "Good morning", "Hello", "Hello"],
    }
)
COVERS = [None] * len(POSTS)
HASHES = {
    (post, caption): hashes_of(
        pd.DataFrame({"post_id": [post], "author_id": ["me"], "caption": [caption]}), [None]
    )[0]
    for post, caption in [
        ("one", None),
        ("", "good morning"),
        ("", "Hello"),
        ("", "Something else"),
    ]
}


def entry(post: str = "", caption: str | None = None, **changes: Any) -> Entry:
    known = HASHES.get((post, caption), {"author": ""})
    state = {
        "version": 1,
        "id": "x",
        "set": "s",
        "kind": "prediction",
        "kept_at": KEPT,
        "run": "",
        **known,
        "coverage": 0.8,
        "predicted": {},
    }
    return Entry.model_validate({**state, "post": None if not post else known["post"], **changes})


def at(hours: float) -> datetime:
    return datetime(2024, 3, 11, 18, tzinfo=UTC) + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (entry("one"), Match(1, "id")),
        # Two posts say so, of which neither is guessed; the time decides where it is known.
        (entry("", "good morning"), Match(candidates=(1, 2))),
        (entry("", "good morning", posted_at=at(24.5)), Match(2, "caption")),
        (entry("", "good morning", posted_at=at(90)), Match(candidates=(1, 2))),
        # Said by another author, or without a date.
        (entry("", "Hello"), Match()),
        (entry("", "Hello", author=""), Match(3, "caption")),
        (entry(author="", posted_at=at(0.9)), Match(1, "time")),
        (entry(author="", posted_at=at(1.1)), Match()),
        (entry(author="", posted_at=at(24)), Match(candidates=(2, 3))),
        # What had come before it was kept is no forecast.
        (entry("one", kept_at=datetime(2024, 3, 12, tzinfo=UTC)), Match()),
        (entry("one", kept_at=datetime(2024, 3, 11, 23, tzinfo=UTC)), Match(1, "id")),
    ],
)
def test_a_draft_is_recognised_by_the_surest_sign(line: Entry, expected: Match) -> None:
    assert recognise([line], POSTS, COVERS) == [expected]


def test_of_drafts_kept_together_one_alone_became_a_post() -> None:
    posted = entry("one", posted_at=at(0))
    other = entry("", "Something else", posted_at=at(0))
    assert recognise([posted, other], POSTS, COVERS) == [Match(1, "id"), Match()]
    # Of two that only the time speaks for, neither is guessed; of other sets, both became it.
    twin = other.model_copy(update={"id": "y"})
    assert recognise([other, twin], POSTS, COVERS) == [Match(candidates=(1,))] * 2
    apart = twin.model_copy(update={"set": "t"})
    assert recognise([other, apart], POSTS, COVERS) == [Match(1, "time")] * 2


def test_a_picture_is_recognised_by_its_hash() -> None:
    found = recognise(
        [entry(author="", picture="00000000000000ff")], POSTS, [None, None, None, None, None]
    )
    assert found == [Match()]
