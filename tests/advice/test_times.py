"""Changes of time: the ones that the week names, and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from evoked.advice.hours import known_week
from evoked.advice.times import appeared, moved_times
from evoked.analysis.week import Week
from evoked.features.form import form_of
from evoked.posts.drafts import Draft, as_posts
from tests.advice.test_hours import times_of

DRAFT = Draft(caption="Hello", posted_at=datetime(2030, 5, 13, 9, 30, tzinfo=UTC))


def form(draft: Draft) -> pd.Series:
    return form_of(as_posts([draft])[0]).iloc[0]


@pytest.fixture(scope="module")
def week() -> Week:
    table = times_of(300, effect=0.6)
    found = known_week(table, "likes", str(table["author"][0]))
    assert found is not None
    return found


def test_the_best_hour_is_offered_for_what_the_week_says(week: Week) -> None:
    (moved,) = moved_times(DRAFT, form(DRAFT), week)
    assert (moved.action.about, moved.action.before) == ("hour", "9")
    assert moved.action.after == str(week.best_hour)
    then, now = week.effects([(week.best_hour or 0) + 0.5, 9.5], [0, 0]).T
    assert np.isclose(moved.effect, (then - now).mean())
    assert 0 < moved.low < moved.effect < moved.high
    # At 9:30 the curve lies below what is usual.
    undated = replace(DRAFT, posted_at=None)
    (usual,) = moved_times(undated, form(undated), week)
    assert usual.action.before == "unknown"
    gain = week.hours["gain"].iloc[week.best_hour or 0]
    assert 0 < usual.effect < moved.effect
    assert np.isclose(np.expm1(usual.effect), gain)


def test_a_draft_at_the_best_hour_stays_there(week: Week) -> None:
    at_best = replace(DRAFT, posted_at=datetime(2030, 5, 13, week.best_hour or 0, 10, tzinfo=UTC))
    assert moved_times(at_best, form(at_best), week) == []


def test_where_no_hour_is_better_none_is_offered() -> None:
    table = times_of(200, effect=0.0)
    none = known_week(table, "likes", str(table["author"][0]))
    assert none is not None
    assert none.best_hour is None
    assert moved_times(DRAFT, form(DRAFT), none) == moved_times(DRAFT, form(DRAFT), None) == []
    assert known_week(table, "comments", "") is None
    assert known_week(table.assign(hour=np.nan), "likes", "") is None


def test_times_are_moved_by_local_clocks(week: Week) -> None:
    for zone, said in ((None, True), ("Asia/Tokyo", False)):
        (moved,) = moved_times(DRAFT, form(DRAFT), week, zone)
        assert moved.action.edit is not None
        later = moved.action.edit(DRAFT).posted_at
        assert later is not None
        assert later.hour == week.best_hour
        assert moved.action.text.endswith(" UTC") == said
    assert str(later.tzinfo) == "Asia/Tokyo"


def test_a_best_weekday_is_offered_and_kept_to_its_hour(week: Week) -> None:
    named = replace(week, best_hour=None, best_weekday=5)
    (moved,) = moved_times(DRAFT, form(DRAFT), named)
    assert (moved.action.text, moved.action.before) == ("Post on a Saturday", "0")
    assert moved.action.edit is not None
    assert moved.action.edit(DRAFT).posted_at == datetime(2030, 5, 18, 9, 30, tzinfo=UTC)
    did, before = appeared(pd.DataFrame({"weekday": [5.0, 0.0, 3.0]}), moved.action)
    assert did.tolist() == [True, False, False]
    assert before.tolist() == [False, True, False]


def test_evidence_is_of_posts_near_both_hours(week: Week) -> None:
    (moved,) = moved_times(DRAFT, form(DRAFT), replace(week, best_hour=23))
    did, before = appeared(pd.DataFrame({"hour": [0.5, 22.5, 9.0, 15.0, np.nan]}), moved.action)
    assert did.tolist() == [True, True, False, False, False]
    assert before.tolist() == [False, False, True, False, False]
