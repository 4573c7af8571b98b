"""Drafts in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import evoked
from evoked.advice import rank
from evoked.advice.pairs import WinCurve
from evoked.advice.ranking import held_out_posts
from evoked.errors import SettingsError
from evoked.evaluation.splits import choose_split
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.answer import Quantity, quantities
from evoked.runs.posts import Run
from tests.support.small_runs import Workshop, by_hand


@pytest.fixture(scope="module")
def quick_run(workshop: Workshop, dataset: PostDataset) -> Run:
    """A linear model, which keeps what its folds predicted."""
    split = by_hand(len(dataset), tests=25)
    return workshop.run(dataset, "ranked", "linear", split)


def drafts(run: Run, number: int = 4) -> list[Draft]:
    author = "author-001"
    texts = [
        "What a day! #travel",
        "Sale ends tonight",
        "Good morning",
        "Which one would you take?",
    ]
    return [Draft(caption=text, author=author, followers=5000) for text in texts[:number]]


def test_drafts_come_in_order_with_every_pair(quick_run: Run) -> None:
    ranking = rank(quick_run, drafts(quick_run))
    predicted = quick_run.predict(drafts(quick_run)).set_index("post_id")["likes"]
    assert ranking.by.column == "likes"
    assert ranking.table["rank"].tolist() == [1, 2, 3, 4]
    assert (
        ranking.table["post_id"].tolist() == predicted.sort_values(ascending=False).index.tolist()
    )
    assert len(ranking.pairs) == 6
    assert (ranking.pairs["chance"] >= 0.5).all()
    assert (
        ranking.pairs["chance"]
        .between(ranking.pairs["chance_low"], ranking.pairs["chance_high"])
        .all()
    )
    by_valence = rank(quick_run, drafts(quick_run), by="comments").table["comments"]
    assert by_valence.is_monotonic_decreasing
    assert evoked.rank is rank


def test_posts_that_calibrated_count_unless_held_out_by_time(
    quick_run: Run, workshop: Workshop, dataset: PostDataset
) -> None:
    quantity = quantities(quick_run.task)[0]
    posts = held_out_posts(quick_run, quantity)
    tests = (quick_run.parts["part"] == "test").sum()
    assert tests < len(posts) <= len(quick_run.parts)
    assert rank(quick_run, drafts(quick_run)).curve == WinCurve.fit(posts)
    split = choose_split(dataset.posts, "time")
    by_time = workshop.run(dataset, "ranked-by-time", "linear", split)
    assert len(held_out_posts(by_time, quantity)) == len(split.test)


def test_equal_drafts_are_too_close_to_call(quick_run: Run) -> None:
    twins = [replace(drafts(quick_run)[0], name=name) for name in ("one", "two")]
    ranking = rank(quick_run, twins)
    assert ranking.pairs["chance"].tolist() == [0.5]
    assert ranking.pairs["close"].all()
    sure = replace(ranking, curve=replace(ranking.curve, orders=True))
    assert "one and two are too close to call" in sure.sentences[0]


def test_sentences_follow_what_the_pairs_say(quick_run: Run) -> None:
    ranking = rank(quick_run, drafts(quick_run))
    unsure = replace(ranking, curve=replace(ranking.curve, orders=False))
    assert "no more reliably than chance" in unsure.sentences[0]
    sure = replace(ranking, curve=replace(ranking.curve, orders=True))
    pairs = ranking.pairs.assign(close=False, chance=0.62, chance_low=0.55, chance_high=0.7)
    first, second = ranking.table["post_id"].iloc[:2]
    assert replace(sure, pairs=pairs).sentences[0] == (
        f"Take {first}: of 100 such pairs it gets more likes than {second} in about 62 (55 to 70)."
    )
    none = replace(ranking, curve=WinCurve(0, 0, 0, False, 0, 0, 0, float("nan")))
    assert "not known" in none.sentences[0]
    assert ranking.to_dict()["sentences"] == ranking.sentences


def test_rates_are_said_of_so_many_followers(quick_run: Run) -> None:
    ranking = rank(quick_run, drafts(quick_run))
    assert (ranking.base, ranking.noun) == (1, "likes")
    rates = ranking.table.assign(likes_rate=[0.0009, *[0.0008] * (len(ranking.table) - 1)])
    by = Quantity("likes_rate", "likes", "followers")
    rated = replace(ranking, by=by, table=rates, widened=(0.0004, 0.002))
    assert (rated.base, rated.noun) == (10_000, "likes per 10,000 followers")
    assert "4 to 20 if it were the only draft" in rated.sentences[-1]


def test_the_first_reaches_further_for_having_been_chosen(
    quick_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flatter(*_: Any, **__: Any) -> tuple[float, float]:
        return np.log(2), 0.0

    usual = quick_run.predict(drafts(quick_run)).sort_values("likes", ascending=False)
    monkeypatch.setattr("evoked.advice.ranking.flattery", flatter)
    ranking = rank(quick_run, drafts(quick_run))
    low, high = usual["likes_low"].tolist(), usual["likes_high"].tolist()
    assert ranking.table["likes_low"].iloc[0] == pytest.approx((low[0] + 1) / 2 - 1, abs=1)
    assert ranking.table["likes_high"].tolist() == high
    assert ranking.table["likes_low"].tolist()[1:] == low[1:]
    assert ranking.widened == (low[0], high[0])


@pytest.mark.parametrize(
    ("number", "by", "message"),
    [(1, None, "two drafts or more"), (2, "lykes", "Did you mean 'likes'")],
)
def test_what_cannot_be_ordered_is_refused(
    quick_run: Run, number: int, by: str | None, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        rank(quick_run, drafts(quick_run, number), by)


def test_two_drafts_of_one_name_are_refused(quick_run: Run) -> None:
    with pytest.raises(SettingsError, match="two drafts are called 'x'"):
        rank(quick_run, [replace(each, name="x") for each in drafts(quick_run, 2)])
