"""What a plan has shown, once its posts have appeared."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from evoked.advice.planning import Plan
from evoked.advice.tested import check_plan, keep_tested, kept_tests
from evoked.errors import DataError
from evoked.posts.author_hashes import hashes
from evoked.posts.dataset import PostDataset

FIRST = datetime(2024, 3, 25, 18, tzinfo=UTC)


def planned(question: str = "own", weeks: int = 10, author: str = "me") -> Plan:
    generator = np.random.default_rng(0)
    drawn = tuple(int(arm) for _ in range(weeks) for arm in generator.permutation([0, 1, 0, 1]))
    days = [7 * week + 2 * post for week in range(weeks) for post in range(4)]
    early = timedelta(hours=6 if question == "hours" else 0)
    return Plan(
        question=question,
        arms=("new", "old"),
        by="likes",
        author=str(hashes(pd.Series([author]))[0]),
        time_zone="Europe/Berlin",
        seed=0,
        spread=0.5,
        made=FIRST,
        moments=tuple(
            FIRST + timedelta(days=day) - early * arm for day, arm in zip(days, drawn, strict=True)
        ),
        drawn=drawn,
    )


@pytest.fixture
def dataset_of(tmp_path: Path) -> Callable[..., PostDataset]:
    def make(plan: Plan, gain: float = 0.0, **columns: Any) -> PostDataset:
        """Posts as planned, half an hour late; the account doubles from week to week."""
        generator = np.random.default_rng(1)
        arms, weeks = np.array(plan.drawn), np.array(plan.weeks)
        logs = 6 + np.log(2) * weeks + np.log1p(gain) * (arms == 0)
        likes = np.round(np.exp(logs + generator.normal(0, 0.25, len(arms))))
        table = pd.DataFrame(
            {
                "post_id": [f"p{number}" for number in range(len(arms))],
                "author_id": "me",
                "posted_at": [each + timedelta(minutes=30) for each in plan.moments],
                "caption": "Hello",
                "likes": likes.astype(int),
            }
        ).assign(**columns)
        return PostDataset.create(
            tmp_path / f"posts{len(list(tmp_path.iterdir()))}", {"posts": table}
        )

    return make


def test_the_effect_is_that_of_least_squares_with_weeks(
    dataset_of: Callable[..., PostDataset],
) -> None:
    plan = planned()
    posts = dataset_of(plan, gain=0.5)
    found = check_plan(plan, posts).difference
    table = pd.DataFrame(
        {
            "value": np.log1p(posts.posts["likes"].to_numpy(float)),
            "arm": 1 - np.array(plan.drawn),
            "week": plan.weeks,
        }
    )
    reference = smf.ols("value ~ arm + C(week)", table).fit()
    low, high = reference.conf_int().loc["arm"]
    assert found is not None
    assert found.gain == pytest.approx(np.expm1(reference.params["arm"]))
    assert (found.low, found.high) == pytest.approx((np.expm1(low), np.expm1(high)))
    assert found.chance == pytest.approx(reference.pvalues["arm"])


def test_a_difference_is_said_and_so_is_none(dataset_of: Callable[..., PostDataset]) -> None:
    plan = planned()
    better = check_plan(plan, dataset_of(plan, gain=0.6))
    assert better.counts == (20, 20)
    assert better.sentences[0].startswith("Tested: “new” gets +")
    worse = check_plan(plan, dataset_of(plan, gain=-0.4))
    assert worse.sentences[0].startswith("Tested: “old” gets +")
    assert "against “new”" in worse.sentences[0]
    none = check_plan(plan, dataset_of(plan))
    assert none.sentences[0].startswith("Tested: no difference that you could rely on.")
    state = json.loads(json.dumps(none.to_dict(), allow_nan=False))
    assert state["label"] == "tested"
    assert state["difference"]["low"] < 0 < state["difference"]["high"]


def test_none_is_found_where_there_is_none() -> None:
    # Of many tests of nothing, about one in twenty finds something.
    from evoked.advice.tested import _difference

    plan, generator = planned(), np.random.default_rng(4)
    arms, weeks = np.array(plan.drawn), np.array(plan.weeks)
    found = [_difference(generator.normal(size=40), arms, weeks) for _ in range(600)]
    assert 0.03 < np.mean([each is not None and each.chance < 0.05 for each in found]) < 0.075


def test_posts_are_joined_by_time_one_to_one(dataset_of: Callable[..., PostDataset]) -> None:
    plan = planned(weeks=3)
    at = [moment + timedelta(minutes=30) for moment in plan.moments]
    at[3] = at[2] + timedelta(minutes=5)  # a second post of one day, none on the other
    at[5] += timedelta(hours=9)
    found = check_plan(plan, dataset_of(plan, posted_at=at))
    assert found.missing == 1
    assert sum(found.counts) == 11
    assert found.strayed is None  # nobody can see whether arms of one's own were followed
    lost = check_plan(plan, dataset_of(plan, likes=[None] * 4 + [5] * 8))
    assert lost.missing == 4


def test_posts_of_others_do_not_count(dataset_of: Callable[..., PostDataset]) -> None:
    plan = planned(weeks=3)
    posts = dataset_of(plan, author_id=["me"] * 8 + ["other"] * 4)
    assert sum(check_plan(plan, posts).counts) == 8
    with pytest.raises(DataError, match="no post in it is by the plan's author"):
        check_plan(planned(author="nobody"), posts)
    nameless = dataset_of(plan, author_id=None)
    assert sum(check_plan(plan, nameless).counts) == 12


def test_whether_the_plan_was_followed(dataset_of: Callable[..., PostDataset]) -> None:
    plan = planned("question", weeks=3)
    asks = ["What do you think?" if arm == 0 else "Hello" for arm in plan.drawn]
    assert check_plan(plan, dataset_of(plan, caption=asks)).strayed == 0
    found = check_plan(plan, dataset_of(plan, caption=["Hello", *asks[1:]]))
    assert found.strayed == (plan.drawn[0] == 0)
    tagged = planned("hashtags", weeks=3)
    tags = [["sun"] if arm == 0 else [] for arm in tagged.drawn]
    assert check_plan(tagged, dataset_of(tagged, hashtags=tags)).strayed == 0
    shown = planned("format", weeks=3)
    kinds = ["carousel" if arm == 0 else "image" for arm in shown.drawn]
    assert check_plan(shown, dataset_of(shown, media_type=kinds)).strayed == 0
    hours = planned("hours", weeks=3)
    late = [
        moment + timedelta(hours=3 * (number == 4)) for number, moment in enumerate(hours.moments)
    ]
    assert check_plan(hours, dataset_of(hours, posted_at=late)).strayed == 1
    assert (
        "1 did not follow the plan"
        in check_plan(hours, dataset_of(hours, posted_at=late)).sentences[1]
    )


def test_too_few_posts_compare_nothing(dataset_of: Callable[..., PostDataset]) -> None:
    plan = planned(weeks=3)
    few = check_plan(plan, dataset_of(plan, likes=[3, 4] + [None] * 10))
    assert few.difference is None
    assert few.sentences[0].startswith("Too few posts of the plan have appeared")
    with pytest.raises(DataError, match="no post in it has a date and known likes"):
        check_plan(plan, dataset_of(plan, likes=[None] * 12))
    years = [moment + timedelta(days=900) for moment in plan.moments]
    assert check_plan(plan, dataset_of(plan, posted_at=years)).missing == 12


def test_before_its_time_a_plan_is_said_to_be_ahead(
    dataset_of: Callable[..., PostDataset],
) -> None:
    plan = planned(weeks=3)
    past = dataset_of(plan, posted_at=[each - timedelta(days=100) for each in plan.moments])
    before = check_plan(plan, past, FIRST - timedelta(days=3))
    assert (before.missing, before.ahead) == (0, 12)
    (said,) = before.sentences
    assert said.startswith("The plan starts on 2024-03-25")
    assert "from 2024-04-21 on" in said
    posts = dataset_of(plan, likes=[5] * 4 + [None] * 8)
    within = check_plan(plan, posts, plan.moments[5] + timedelta(hours=1))
    assert (sum(within.counts), within.missing, within.ahead) == (4, 2, 6)
    assert "2 planned posts did not appear" in within.sentences[-1]
    assert "6 planned posts are still to come." in within.sentences[-1]
    assert check_plan(plan, posts).ahead == 0


def test_what_a_plan_has_shown_is_kept(
    dataset_of: Callable[..., PostDataset], tmp_path: Path
) -> None:
    plan = planned("hours")
    for gain in (0.0, 0.5):
        found = check_plan(plan, dataset_of(plan, gain))
        keep_tested(tmp_path, found)
    (kept,) = kept_tests(tmp_path)
    assert found.difference is not None
    assert (kept.gain, kept.low, kept.high) == found.difference[:3]
    # By clocks in Berlin, where the second arm is six hours earlier.
    assert kept.hours == [19, 13]
    assert kept.posts == [20, 20]
    own = planned("own")
    keep_tested(tmp_path, check_plan(own, dataset_of(own)))
    assert len(kept_tests(tmp_path)) == 1
    other = planned("question")
    keep_tested(tmp_path, check_plan(other, dataset_of(other)))
    assert [each.question for each in kept_tests(tmp_path)] == ["hours", "question"]
