"""A ledger held against what came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evoked.advice.ledger import keep, read_ledger
from evoked.advice.pairs import HeldOut
from evoked.advice.review import Orders, Review, has_followed, review
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.posts import Run
from tests.support.small_runs import Workshop, by_hand

KEPT = datetime(2030, 1, 1, tzinfo=UTC)
AUTHOR = "author-001"


@pytest.fixture(scope="module")
def reviewed_run(workshop: Workshop, dataset: PostDataset) -> Run:
    return workshop.run(dataset, "reviewed", "linear", by_hand(len(dataset), tests=25))


@pytest.fixture
def told(reviewed_run: Run) -> Iterator[Callable[..., None]]:
    """Keeps that likes of drafts are to be within (50, 200), around 100."""

    def tell(
        names: list[str],
        kind: Any = "prediction",
        likes: list[float] | None = None,
        said: dict[str, dict[str, Any]] | None = None,
        drafts: list[Draft] | None = None,
    ) -> None:
        drafts = drafts or [Draft(name=name, author=AUTHOR, followers=1000) for name in names]
        table = pd.DataFrame({"post_id": names, "likes": likes or [100.0] * len(names)})
        table = table.assign(likes_low=50.0, likes_high=200.0)
        keep(reviewed_run, kind, drafts, table, said=said, kept_at=KEPT)

    yield tell
    (reviewed_run.folder / "ledger.jsonl").unlink(missing_ok=True)


@pytest.fixture
def came(dataset: PostDataset, tmp_path: Path) -> Callable[..., PostDataset]:
    """Makes a dataset of posts by name with the likes that they got."""

    def make(likes: dict[str, float], **columns: Any) -> PostDataset:
        number = len(likes)
        posts = dataset.posts.iloc[np.arange(number) % len(dataset)].reset_index(drop=True)
        dates = [KEPT + timedelta(days=1 + place) for place in range(number)]
        posts = posts.assign(
            post_id=list(likes),
            author_id=AUTHOR,
            likes=pd.array(list(likes.values()), "Int64"),
            posted_at=pd.to_datetime(dates, utc=True),
            images=[[] for _ in likes],
            **columns,
        )
        return PostDataset.create(tmp_path / "came", {"posts": posts})

    return make


def test_nothing_kept_and_nothing_come_are_said(
    reviewed_run: Run, told: Callable[..., None]
) -> None:
    assert "--keep" in review(reviewed_run).sentences[0]
    told(["a"])
    found = review(reviewed_run)
    assert (found.kept, found.came, found.trust) == (1, 0, "unknown")
    assert "None of it can be checked yet" in found.sentences[0]


def test_why_kept_answers_are_none_of_the_posts_is_said(
    reviewed_run: Run, told: Callable[..., None], came: Callable[..., PostDataset]
) -> None:
    def at(days: float) -> datetime:
        return KEPT + timedelta(days=days)

    drafts = {
        "unlike": Draft(author=AUTHOR, caption="Not posted", posted_at=at(1.5)),
        "ahead": Draft(author=AUTHOR, posted_at=at(50)),
        "backdated": Draft(author=AUTHOR, posted_at=at(-20)),
        "author": Draft(author="author-002", posted_at=at(1)),
        "same": Draft(author=AUTHOR, name="same"),
    }
    for why, draft in drafts.items():
        told([why], drafts=[replace(draft, name=why, followers=1000)])
    found = review(reviewed_run, came({"same": 100.0}), now=at(10))
    assert found.table["unmatched"].tolist() == ["unlike", "ahead", "backdated", "author", ""]
    assert found.newest == pd.Timestamp(at(1))
    said = found.sentences[-5:-1]
    assert [each.split(" (prediction")[0][:40] for each in said] == [
        "1 answer is by an author of whom none of",
        "1 answer is dated in the future: give th",
        "1 answer is dated before the day on whic",
        "1 answer is like none of the posts that ",
    ]
    assert all("(prediction of 2030-01-01 00:00)" in each for each in said)
    assert found.sentences[-1].startswith("Too early to say")
    # Without posts nothing is missed; of posts that are older than what was kept, that is why.
    assert set(review(reviewed_run).table["unmatched"]) == {""}
    old = came({"same": 100.0}, category="x").posts.assign(posted_at=pd.Timestamp(at(-30)))
    older = review(
        reviewed_run, PostDataset.create(Path(f"{reviewed_run.folder}-old"), {"posts": old})
    )
    assert older.table["unmatched"].tolist()[-1] == "older"
    bare = PostDataset.create(
        Path(f"{reviewed_run.folder}-bare"), {"posts": old.assign(posted_at=pd.NaT)}
    )
    assert review(reviewed_run, bare).table["unmatched"].tolist()[-1] == "undated"
    assert "kept after the newest of these posts appeared (2029-12-02)" in " ".join(older.sentences)


def test_ranges_of_another_number_that_fail_are_said(
    reviewed_run: Run, told: Callable[..., None], came: Callable[..., PostDataset]
) -> None:
    names = [f"post-{place}" for place in range(12)]
    told(names)
    found = review(reviewed_run, came(dict.fromkeys(names, 100.0)))
    assert "Its ranges of likes hold" in found.sentences[-1]
    assert found.sentences[-1].count("trusting it") == 1
    wrong = found.ranges[0]._replace(what="likes_rate", held=4)
    both = replace(found, ranges=[*found.ranges, wrong])
    assert any(
        "Ranges of likes rate that were to hold for 80% held for 4 of 12" in each
        for each in both.sentences
    )
    assert "trusting these" in both.sentences[-1]


def test_ranges_are_counted_on_the_last_forecast_of_each_post(
    reviewed_run: Run, told: Callable[..., None], came: Callable[..., PostDataset]
) -> None:
    told(["a", "b", "c", "never"], likes=[1000.0] * 4)
    told(["a", "b", "c"])
    found = review(reviewed_run, came({"a": 50, "b": 201, "c": 99, "other": 5}))
    ranges = found.ranges[0]
    assert (ranges.what, ranges.held, ranges.posts, ranges.too_high) == ("likes", 2, 3, 2)
    # The exact range of 2 of 3 (Clopper and Pearson).
    assert (ranges.low, ranges.high) == pytest.approx((0.0943, 0.9916), abs=1e-4)
    assert found.came == 6
    assert found.table["likes_true"].tolist()[:3] == [50, 201, 99]
    assert found.table["recognised_by"].fillna("").tolist()[:4] == ["id", "id", "id", ""]
    assert found.trust == "unknown"
    assert "2 of 3 posts" in found.sentences[0]
    assert found.to_dict()["sentences"] == found.sentences


def test_orders_and_chances_as_worked_by_hand(
    reviewed_run: Run, told: Callable[..., None], came: Callable[..., PostDataset]
) -> None:
    places = {"a": (1, [0.7, 0.9]), "b": (2, [0.6]), "c": (3, [])}
    said = {
        name: {"by": "likes", "place": place, "chances": chances}
        for name, (place, chances) in places.items()
    }
    told(["c", "a", "b"], "rank", said=said)
    # a is ahead of b as said (0.7), behind c against it (0.9); b is behind c against it (0.6).
    orders = review(reviewed_run, came({"a": 120, "b": 80, "c": 150})).orders
    assert orders is not None
    assert (orders.right, orders.pairs, orders.posts, orders.of_chances) == (1, 3, 3, 3)
    assert orders.brier == pytest.approx((0.3**2 + 0.9**2 + 0.6**2) / 3)
    # Three pairs of three posts count as one and a half, of which half a one was right.
    assert orders.low < 0.02
    assert orders.high > 0.9


def test_drafts_of_equal_counts_or_never_posted_make_no_pair(
    reviewed_run: Run, told: Callable[..., None], came: Callable[..., PostDataset]
) -> None:
    said = {name: {"by": "likes", "place": place} for place, name in enumerate("abc", 1)}
    told(["a", "b", "c"], "rank", said=said)
    assert review(reviewed_run, came({"a": 120, "b": 120})).orders is None


def test_followed_advice_is_held_against_unfollowed(
    reviewed_run: Run, told: Callable[..., None], came: Callable[..., PostDataset]
) -> None:
    names = [f"post-{place}" for place in range(12)]
    action = {"action": "question", "facts": {"question marks": 1}, "effect": [0.2, 0.1, 0.3]}
    said = {name: {"by": "likes", "actions": [action]} for name in names}
    told(names, "advice", said=said)
    captions = ["Really?" if place % 2 else "Really." for place in range(12)]
    likes = {name: 199 if place % 2 else 99 for place, name in enumerate(names)}
    found = review(reviewed_run, came(likes, caption=captions)).advice
    assert [each.action for each in found] == ["any", "question"]
    assert (found[0].followed, found[0].others) == (6, 6)
    assert found[0].times == pytest.approx(2)
    assert found[0].advised == pytest.approx(np.exp(0.2))
    few = review(
        reviewed_run, came({name: likes[name] for name in names[:6]}, caption=captions[:6])
    )
    assert np.isnan(few.advice[0].times)
    assert any("too few" in each for each in few.sentences)


@pytest.mark.parametrize(
    ("before", "advised", "came", "followed"),
    [
        ({"hour": 9}, {"hour": 18}, {"hour": 17.5}, True),
        ({"hour": 9}, {"hour": 18}, {"hour": 13}, False),
        ({"hour": 12}, {"hour": 23}, {"hour": 1}, True),
        ({"characters": 200}, {"characters": 80}, {"characters": 90}, True),
        ({"characters": 200}, {"characters": 80}, {"characters": 150}, False),
        ({"tags": ["x"]}, {"tags": ["x", "y"]}, {"tags": ["y", "z", "x"]}, True),
        ({"tags": ["x"]}, {"tags": []}, {"tags": ["x"]}, False),
        ({"format": "image"}, {"format": "video"}, {"format": "video"}, True),
        ({"format": "image"}, {"format": "video"}, {}, False),
        ({"paid": False}, {"paid": True}, {"paid": False}, False),
        ({}, {}, {}, False),
    ],
)
def test_whether_a_post_did_as_advised(
    before: dict[str, Any], advised: dict[str, Any], came: dict[str, Any], followed: bool
) -> None:
    assert has_followed(before, advised, came) is followed


def replayed(
    told: Callable[..., None],
    came: Callable[..., PostDataset],
    run: Run,
    likes: np.ndarray[Any, Any],
) -> Review:
    names = [f"p{place}" for place in range(len(likes))]
    told(names)
    return review(run, came(dict(zip(names, likes.tolist(), strict=True))))


@pytest.mark.parametrize("fall", [0, 1])
def test_a_planted_fall_is_noticed_and_none_where_none_is(
    reviewed_run: Run,
    told: Callable[..., None],
    came: Callable[..., PostDataset],
    monkeypatch: pytest.MonkeyPatch,
    fall: int,
) -> None:
    draw = np.random.default_rng(5)
    past = np.log1p(100) + draw.normal(0, 0.4, 120)
    author = read_author(told, reviewed_run)
    days = np.datetime64("2029-01-01") + np.arange(120).astype("timedelta64[D]")
    held_out = HeldOut.of(np.full(120, np.log1p(100)), past, [author] * 120, days)
    monkeypatch.setattr("evoked.advice.review.held_out_posts", lambda *_, **__: held_out)
    logs = np.log1p(100) + draw.normal(0, 0.4, 60)
    logs[30:] -= fall
    found = replayed(told, came, reviewed_run, np.expm1(logs).round())
    assert found.watched == 60
    assert bool(found.drift) == bool(fall)
    if fall:
        change = found.drift[0]
        assert change.kind == "lower"
        assert change.noticed - pd.Timestamp(KEPT) <= timedelta(days=61)
        assert found.trust == "no"
        assert "Don't trust it as it is" in found.sentences[-1]
        assert "posts get fewer likes than before" in found.sentences[-1]
        learned = replace(found, taken_in=found.drift[-1].noticed, updated_at=change.noticed)
        assert learned.current_drift is None
        assert "It has taken in new posts since" in learned.sentences[-1] or (
            learned.trust == "less"
        )
    else:
        assert found.trust == "yes"
        assert "nothing speaks against trusting it" in found.sentences[-1]


def read_author(told: Callable[..., None], run: Run) -> str:
    """The hash of the author of what is told."""
    told(["nobody"])
    return read_ledger(run.folder).entries[0].author


def test_ranges_that_hold_too_rarely_are_said(
    reviewed_run: Run, told: Callable[..., None], came: Callable[..., PostDataset]
) -> None:
    likes = np.array([100, 300] * 15)
    found = replayed(told, came, reviewed_run, likes)
    ranges = found.ranges[0]
    assert (ranges.held, ranges.posts, ranges.kept) == (15, 30, False)
    if not found.drift:
        assert found.trust == "less"
        assert "50 of 100 posts where 80 were promised" in found.sentences[-1]
        assert found.sentences[-1].startswith("Don't trust its ranges")
        sound = Orders(45, 60, 30, 0.6, 0.9, float("nan"), 0)
        assert "Trust its order more" in replace(found, orders=sound).sentences[-1]
        poor = sound._replace(right=25, low=0.1, high=0.8)
        assert "Trust its order" not in replace(found, orders=poor).sentences[-1]
