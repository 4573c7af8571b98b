"""Plans: drawn by lot, balanced in each week, the same whenever they are drawn again."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import icalendar
import numpy as np
import pytest

import evoked
from evoked.advice.planning import Plan, plan
from evoked.advice.power import power_of
from evoked.errors import DataError, SettingsError
from evoked.files import read_json, write_json
from evoked.runs.folder import SCHEDULE_FILE
from evoked.runs.posts import Run
from tests.advice.test_hours import keep, times_of

START = date(2024, 3, 25)  # a Monday; summer time begins in Berlin on the 31st


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """What a plan needs of a run: its description, and times of one author's posts."""
    shutil.copy(run.folder / "run.json", tmp_path)
    return keep(tmp_path, times_of(200))


def in_zone(folder: Path, zone: str) -> Path:
    description = read_json(folder / "run.json")
    description["data"]["time_zone"] = zone
    write_json(folder / "run.json", description)
    return folder


@pytest.mark.parametrize("per_week", [2, 3, 4, 7])
def test_each_week_is_balanced_and_so_is_the_whole(folder: Path, per_week: int) -> None:
    drawn = plan(folder, "question", weeks=8, per_week=per_week, start=START)
    table = drawn.table
    for _, week in table.groupby("week"):
        numbers = Counter(week["arm"])
        assert len(week) == per_week
        assert abs(numbers[drawn.arms[0]] - numbers[drawn.arms[1]]) == per_week % 2
    assert drawn.drawn.count(0) == drawn.drawn.count(1)
    assert table["date"].is_unique
    assert table["date"].is_monotonic_increasing
    assert table["date"].iloc[0] == "2024-03-25"


def test_the_lot_decides_and_its_seed(folder: Path) -> None:
    drawn = [plan(folder, "format", weeks=20, start=START, seed=seed) for seed in range(3)]
    assert drawn[0] == plan(folder, "format", weeks=20, start=START)
    assert len({each.drawn for each in drawn}) == 3
    # In no place of the week is one arm always the first.
    first = np.array(drawn[0].drawn).reshape(20, 4).mean(axis=0)
    assert ((first > 0.1) & (first < 0.9)).all()
    assert evoked.plan is plan


def test_hours_are_those_that_when_would_try(folder: Path) -> None:
    drawn, found = plan(folder, weeks=2, start=START), evoked.when(folder)
    one, other = found.week.to_try
    assert drawn.arms == (f"at {one}:00", f"at {other}:00")
    hours = [(one, other)[arm] for arm in drawn.drawn]
    assert [moment.hour for moment in drawn.local] == hours
    # Other questions are asked at the best hour.
    asked = plan(folder, "hashtags", weeks=2, start=START)
    assert {moment.hour for moment in asked.local} == {found.week.best_hour}
    assert asked.arms == ("your usual hashtags", "no hashtags")


def test_nothing_is_planned_at_night_unless_the_account_posts_then(folder: Path) -> None:
    table = times_of(200, peak=3.5)
    # Two posts at three in the morning do best, and nobody else posts near.
    lonely = table.assign(hour=np.where(np.arange(200) < 2, 3.2, table["hour"]))
    near = lonely.assign(hour=np.where(np.arange(200) == 2, 2.9, lonely["hour"]))
    lucky = near.assign(likes=np.where(np.arange(200) < 3, near["likes"] * 50, near["likes"]))
    assert evoked.when(keep(folder, lucky)).week.hours["gain"].notna()[3]
    for drawn in (plan(folder, start=START), plan(folder, "question", start=START)):
        assert all(7 <= moment.hour < 23 for moment in drawn.local)
    owl = table.assign(hour=np.where(np.arange(200) % 2, 3.2, 14.2))
    owl["likes"] *= np.where(owl["hour"] < 4, 3, 1)
    assert plan(keep(folder, owl), start=START).arms[0] == "at 3:00"
    # Hours of which nothing is known are hours at which the account posts.
    few = times_of(6).assign(hour=[22.5, 22.5, 22.5, 5.5, 5.5, 14.5])
    assert evoked.when(keep(folder, few)).week.to_try == (22, 12)


def test_clocks_of_no_known_zone_float(folder: Path, tmp_path: Path) -> None:
    drawn = plan(folder, "question", weeks=2, start=START)
    assert drawn.time_zone is None
    drawn.write_calendar(tmp_path / "plan.ics")
    events = icalendar.Calendar.from_ical((tmp_path / "plan.ics").read_bytes()).walk("VEVENT")
    starts = [each.decoded("dtstart") for each in events]
    assert starts == [each.replace(tzinfo=None) for each in drawn.local]
    assert "time zone of these hours is not known" in drawn.sentences[1]
    known = plan(in_zone(folder, "Europe/Berlin"), "question", weeks=2, start=START)
    assert not any("not known" in each for each in known.sentences)


def test_clocks_go_forward_within_a_plan(folder: Path) -> None:
    drawn = plan(in_zone(folder, "Europe/Berlin"), "question", weeks=2, start=START)
    assert len({moment.hour for moment in drawn.local}) == 1
    offsets = [moment.utcoffset() for moment in drawn.local]
    assert len(set(offsets)) == 2
    assert len({moment.hour for moment in drawn.moments}) == 2
    assert drawn.time_zone == "Europe/Berlin"
    # A time that no clock shows, 2:30 of the 31st, is the moment after.
    missing = replace(drawn, moments=(datetime(2024, 3, 31, 1, 30, tzinfo=UTC),), drawn=(0,))
    assert missing.table["time"].tolist() == ["03:30"]


def test_the_power_that_is_said_is_that_of_the_test(folder: Path) -> None:
    drawn = plan(folder, "question", weeks=10, start=START)
    assert drawn.spread == pytest.approx(0.5, rel=0.2)
    text = drawn.sentences[2]
    shown = float(text.split("a difference of ")[1].split("%")[0]) / 100
    assert power_of(np.log1p(shown), drawn.spread, 20) == pytest.approx(0.8, abs=0.02)
    assert "20% needs" in text
    unknown = replace(drawn, spread=float("nan"))
    assert "can show is not known" in unknown.sentences[2]
    assert "2024-06-08" in drawn.sentences[3]  # a week after the last post


def test_own_arms(folder: Path) -> None:
    drawn = plan(folder, arms=["with  a face", "without"], start=START)
    assert drawn.arms == ("with a face", "without")
    assert drawn.question == "own"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arms": ["one"]}, "two different arms"),
        ({"arms": ["one", "one "]}, "two different arms"),
        ({"arms": ["one", " "]}, "two different arms"),
        ({"arms": ["one", "x" * 101]}, "at most 100 characters"),
        ({"arms": ["one", "two"], "question": "hours"}, "not both"),
        ({"question": "hashtag"}, "Did you mean 'hashtags'"),
        ({"weeks": 0}, "weeks: 1 to 104"),
        ({"per_week": 8}, "per_week: 1 to 7"),
        ({"seed": -1}, "seed"),
        ({"start": date(9999, 12, 30)}, "too late"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    folder: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        plan(folder, **arguments)  # type: ignore[arg-type]


def test_several_authors_have_plans_of_their_own(folder: Path) -> None:
    keep(folder, times_of(50), times_of(50, author="other"))
    with pytest.raises(SettingsError, match="--author ID"):
        plan(folder)
    mine = plan(folder, author="other", start=START)
    assert mine.author
    assert mine.author != plan(folder, author="author-001", start=START).author


def test_a_run_keeps_one_plan(folder: Path) -> None:
    with pytest.raises(DataError, match="no plan is kept"):
        Plan.load(folder)
    drawn = plan(folder, start=START)
    drawn.save(folder)
    kept = Plan.load(folder)
    assert kept == drawn
    assert kept.made == drawn.made
    replace(drawn, made=datetime(2025, 1, 1, tzinfo=UTC)).save(folder)
    assert Plan.load(folder).made == drawn.made  # the same plan is not written again
    other = plan(folder, "question", start=START)
    with pytest.raises(SettingsError, match=r"keeps another plan.*--replace"):
        other.save(folder)
    other.save(folder, replace=True)
    assert Plan.load(folder) == other


@pytest.mark.parametrize(
    "change",
    [
        {"posts": []},
        {"posts": [{"at": "soon", "arm": 0}]},
        {"posts": [{"at": "2024-03-25T10:00:00", "arm": 0}]},
        {"posts": [{"at": "2024-03-25T10:00:00+00:00", "arm": 2}]},
        {"arms": ["one"]},
        {"format_version": 99},
    ],
)
def test_a_damaged_plan_is_said(folder: Path, change: dict[str, object]) -> None:
    plan(folder, start=START).save(folder)
    write_json(folder / SCHEDULE_FILE, {**read_json(folder / SCHEDULE_FILE), **change})
    with pytest.raises(DataError, match="not a plan as evoked writes it"):
        Plan.load(folder)


def test_a_calendar_has_an_entry_for_each_post(folder: Path, tmp_path: Path) -> None:
    drawn = plan(in_zone(folder, "Asia/Tokyo"), arms=["a; b, c", "日本語の投稿" * 9], start=START)
    drawn.write_calendar(tmp_path / "plan.ics")
    content = (tmp_path / "plan.ics").read_bytes()
    events = icalendar.Calendar.from_ical(content).walk("VEVENT")
    assert [each.decoded("dtstart") for each in events] == list(drawn.moments)
    assert [str(each["summary"]) for each in events] == [
        f"Post: {drawn.arms[arm]}" for arm in drawn.drawn
    ]
    identifiers = [str(each["uid"]) for each in events]
    assert len(set(identifiers)) == len(drawn.drawn)
    drawn.write_calendar(tmp_path / "again.ics")
    assert (tmp_path / "again.ics").read_bytes() == content
    moved = plan(folder, arms=drawn.arms, start=date(2024, 4, 1))
    moved.write_calendar(tmp_path / "moved.ics")
    other = icalendar.Calendar.from_ical((tmp_path / "moved.ics").read_bytes()).walk("VEVENT")
    assert not set(identifiers) & {str(each["uid"]) for each in other}
