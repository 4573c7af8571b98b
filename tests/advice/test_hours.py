"""When to post: from what a run keeps of the times of its posts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evoked
from evoked.advice.hours import when
from evoked.analysis.week import Week
from evoked.analysis.week_words import clock, percent
from evoked.analysis.works.findings import what_works
from evoked.errors import DataError, SettingsError
from evoked.features.form import FORM
from evoked.posts.author_hashes import hashes
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.past import EXPECTED, PAST_FILE
from evoked.runs.posts import Run


def times_of(
    size: int = 200,
    effect: float = 0.4,
    peak: float = 19.5,
    author: str = "author-001",
    seed: int = 0,
    expected: bool = True,
) -> pd.DataFrame:
    """Times and likes as a run keeps them: a peak of likes at an hour, about 1,000 likes."""
    generator = np.random.default_rng(seed)
    hour = np.floor(60 * generator.uniform(7, 23, size)) / 60  # to the minute, as datasets keep it
    gain = effect * np.cos(2 * np.pi * (hour - peak) / 24)
    content = generator.normal(0, 1, size) if expected else np.zeros(size)
    logs = np.log(1000) + content + gain + generator.normal(0, 0.5, size)
    days = pd.to_timedelta(np.arange(size), unit="D") + pd.to_timedelta(hour, unit="h")
    posted = pd.Timestamp("2024-01-01", tz="UTC") + days.round("min")
    return pd.DataFrame(
        {
            "post_id": [f"{author}-{number}" for number in range(size)],
            "author": hashes(pd.Series([author]))[0],
            "posted_at": posted,
            "hour": hour,
            "weekday": posted.day_of_week.astype(float),
            "likes": np.round(np.exp(logs)),
            f"likes{EXPECTED}": np.log(1000) + content if expected else np.nan,
        }
    )


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """A copy of a run, whose times can be replaced."""
    return Path(shutil.copytree(run.folder, tmp_path / "run"))


def keep(folder: Path, *tables: pd.DataFrame) -> Path:
    table = pd.concat(tables, ignore_index=True)
    form = pd.DataFrame(None, table.index, [name for name in FORM if name not in table])
    table.join(form).assign(held_out=False).to_parquet(folder / PAST_FILE, index=False)
    return folder


def test_a_planted_peak_is_said_with_its_gain(folder: Path) -> None:
    found = when(keep(folder, times_of()))
    assert found.week.best_hour in (18, 19, 20)
    assert evoked.when is when
    best = found.week.hours.iloc[found.week.best_hour or 0]
    assert best["low"] > 0
    # The best hour's true gain over posts from 7 to 23: .4 - .4 · mean of the cosine there.
    usual = np.cos(2 * np.pi * (np.linspace(7, 23, 999) - 19.5) / 24).mean()
    assert best["low"] < np.expm1(0.4 * (1 - usual)) < best["high"]
    first, second, *_ = found.sentences
    assert first.startswith(f"Post at about {found.week.best_hour}:00: +")
    assert "likes against your usual hours" in first
    assert "more at the present level of" in first
    assert "within an hour of it in" in second
    assert found.week.hours["chance"].sum() == pytest.approx(1)
    assert found.week.slots["chance"].sum() == pytest.approx(1)


def test_none_is_an_answer_and_comes_with_a_test(folder: Path) -> None:
    found = when(keep(folder, times_of(effect=0.0)))
    assert found.week.best_hour is None
    assert found.week.best_weekday is None
    text = " ".join(found.sentences)
    assert text.startswith("No hour is reliably better")
    assert "No weekday is reliably better." in text
    sizes = found.test_sizes
    assert 4 * (sizes[0.4] or 0) > (sizes[0.2] or 0) > 2 * (sizes[0.4] or 0)
    one, other = found.week.to_try
    assert f"between {one}:00 and {other}:00" in text
    assert min(abs(one - other), 24 - abs(one - other)) >= 3
    assert "time zones the audience lives" in text


def test_what_content_lets_expect_is_taken_out(folder: Path) -> None:
    table = times_of(size=120, effect=0.35)
    known = when(keep(folder, table)).week
    unknown = when(keep(folder, table.assign(**{f"likes{EXPECTED}": np.nan}))).week
    assert (known.adjusted, unknown.adjusted) == (120, 0)
    assert known.spread == pytest.approx(0.5, rel=0.2)
    assert unknown.spread > 1.5 * known.spread
    # Content that happens to appear at an hour is not the hour's doing.
    better = 2.0 * (np.abs(table["hour"] - 9) < 2)
    moved = table.assign(
        likes=table["likes"] * np.exp(better), likes_expected=table["likes_expected"] + better
    )
    assert when(keep(folder, moved)).week.to_try[0] == known.to_try[0]
    blamed = moved.assign(likes_expected=np.nan)
    assert 7 <= when(keep(folder, blamed)).week.to_try[0] <= 11


def test_several_authors_are_asked_together_or_one_by_one(folder: Path) -> None:
    tables = [times_of(40, 0.4, 12.5, f"author-{number:03}", number) for number in range(12)]
    other = times_of(200, 0.6, 21.5, "late", 99)
    keep(folder, *tables, other)
    every, late = when(folder), when(folder, author="late")
    assert every.week.author is None
    assert every.week.authors == 13
    assert every.week.best_hour in (11, 12, 13, 14)
    assert np.isnan(every.week.level)
    assert late.week.best_hour in (20, 21, 22)
    assert late.week.own_posts == 200
    assert "against the author's usual hours" in late.sentences[0]
    assert any("200 of them the author's" in each for each in late.sentences)
    alone = when(keep(folder, *tables, times_of(1, author="alone")))
    assert "Learned from 480 of 481 posts with known likes" in " ".join(alone.sentences)
    assert "as their author's only ones: 1." in " ".join(alone.sentences)
    with pytest.raises(SettingsError, match="no post of known time is by the author 'nobody'"):
        when(folder, author="nobody")


@pytest.mark.parametrize("effect", [0.5, 0.0])
def test_what_works_says_of_hours_what_when_says(
    folder: Path, tmp_path: Path, effect: float
) -> None:
    table = times_of(effect=effect, expected=False)
    table["likes"] *= np.where(table["weekday"] == 5, 0.5, 1) if effect else 1
    table["likes"] = table["likes"].round()
    posts = table[["post_id", "posted_at", "likes"]].assign(author_id="author-001")
    works = what_works(PostDataset.create(tmp_path / "posts", {"posts": posts}), "likes")
    found = when(keep(folder, table))
    assert works.week is not None
    assert found.sentences[: len(works.about_time)] == works.about_time
    assert works.about_time[-1] in works.sentences
    named = works.effects.table[works.effects.table["kind"].isin(["hour", "day"])]
    standing = named.loc[named["stands"], "phrase"].tolist()
    if effect:
        assert found.week.worst_weekday == 5
        assert "Saturday is reliably worse" in " ".join(found.sentences)
        assert "on Saturdays" in standing
        assert f"Post at about {found.week.best_hour}:00" in works.about_time[0]
    else:
        assert standing == []
        assert works.about_time[0].startswith("No hour is reliably better")


def test_an_hour_without_posts_is_never_the_best(folder: Path) -> None:
    table = times_of(300, effect=0.6, peak=14.5)
    gap = table[np.floor(table["hour"]) != 14].reset_index(drop=True)
    week = when(keep(folder, gap)).week
    assert week.hours.set_index("hour")["posts"][14] == 0
    assert week.hours.set_index("hour")[["gain", "chance"]].loc[14].isna().all()
    assert week.best_hour in (13, 15)
    assert week.slots.loc[week.slots["posts"] == 0, "gain"].isna().all()
    assert week.slots.loc[week.slots["posts"] > 0, "gain"].notna().any()


def test_few_posts_and_posts_at_one_time_can_say_nothing(folder: Path) -> None:
    few = when(keep(folder, times_of(8)))
    assert "8 posts of known time and likes are too few" in few.sentences[0]
    assert few.test_sizes == {}
    assert few.week.to_try[0] != few.week.to_try[1]
    one = when(keep(folder, times_of(1)))
    assert one.week.best_hour is None
    assert json.loads(json.dumps(one.to_dict(), allow_nan=False))["posts"] == 0
    same = when(keep(folder, times_of(60, 0.0).assign(hour=19.2)))
    assert "all posts appeared at about the same time" in same.sentences[0]
    assert same.week.to_try == (same.week.to_try[0], 12)


def test_hours_without_posts_are_left_blank(folder: Path) -> None:
    table = times_of(150)
    hours = when(keep(folder, table)).week.hours.set_index("hour")
    assert hours["gain"].isna()[[2, 3, 4]].all()
    assert hours["gain"].notna()[range(7, 23)].all()
    weekdays = table[table["weekday"] < 5]
    slots = when(keep(folder, weekdays)).week.slots
    assert slots.loc[slots["weekday"] >= 5, "gain"].isna().all()
    assert slots.loc[slots["weekday"] < 5, "gain"].notna().any()


def test_dates_alone_are_no_times(folder: Path) -> None:
    table = times_of(100)
    dates = table.assign(posted_at=table["posted_at"].dt.floor("D"), hour=0.0)
    with pytest.raises(DataError, match=r"dates without a time of day.*2024-05-13 18:30"):
        when(keep(folder, dates))
    half = pd.concat([times_of(60), dates.head(40)])
    found = when(keep(folder, half))
    assert found.undated == 40
    assert found.week.posts == 60
    assert any("Left out for want of a time of day: 40" in each for each in found.sentences)
    assert any("Learned from 60 of 100 posts with known likes" in each for each in found.sentences)
    # A few posts at midnight are just that.
    assert when(keep(folder, times_of(100), dates.head(5))).undated == 0
    nothing = pd.Series(pd.NaT, range(100), "datetime64[us, UTC]")
    unknown = table.assign(posted_at=nothing, hour=np.nan)
    with pytest.raises(DataError, match="neither a date nor an hour"):
        when(keep(folder, unknown))


def test_an_hour_is_enough_without_a_date(folder: Path) -> None:
    table = times_of(200).assign(posted_at=pd.Series(pd.NaT, range(200), "datetime64[us, UTC]"))
    found = when(keep(folder, table.assign(hour=np.floor(table["hour"]))))
    assert found.week.best_hour in (18, 19, 20)
    assert not found.week.dated
    assert "level at that time" not in " ".join(found.sentences)


def test_a_draft_is_told_its_count_now_and_then(run: Run, folder: Path) -> None:
    keep(folder, times_of())
    copied = Run.load(folder, run.cache)
    draft = Draft(
        caption="Hello",
        author="author-001",
        followers=5000,
        posted_at=pd.Timestamp("2024-06-05 08:30").to_pydatetime(),
    )
    found = when(copied, draft)
    told = found.draft
    assert told is not None
    assert (told.weekday, told.hour) == (2, 8.5)
    predicted = copied.predict([draft]).iloc[0]
    assert told.predicted == predicted["likes"]
    assert told.low == predicted["likes_low"]
    assert told.at_best_low < told.at_best < told.at_best_high
    assert told.at_best > 1.3 * told.predicted
    assert any(
        "at its time, Wednesday 8:30; at 19:00 about" in each.replace("20:00", "19:00")
        for each in found.sentences
    )
    none = replace(found, week=replace(found.week, best_hour=None))
    assert any("no other hour promises reliably more" in each for each in none.sentences)
    with pytest.raises(SettingsError, match="loaded run"):
        when(folder, draft)


def test_what_is_not_counted_is_refused(folder: Path) -> None:
    keep(folder, times_of(30))
    with pytest.raises(SettingsError, match="Did you mean 'likes'"):
        when(folder, by="lieks")
    (folder / PAST_FILE).unlink()
    with pytest.raises(DataError, match="Train the run again"):
        when(folder)
    keep(folder, times_of(30).assign(hour="late"))
    with pytest.raises(DataError, match="expected numbers"):
        when(folder)


def test_the_same_question_gets_the_same_answer(folder: Path) -> None:
    keep(folder, times_of(80, 0.2))
    assert when(folder).to_dict() == when(folder).to_dict()
    assert when(folder, seed=1).to_dict() != when(folder).to_dict()


def test_order_of_rows_decides_nothing() -> None:
    table = times_of(100, 0.3)
    mixed = table.sample(frac=1, random_state=3)
    one, other = (Week.of(each, "likes") for each in (table, mixed))
    pd.testing.assert_frame_equal(one.hours, other.hours)
    assert one.best_hour == other.best_hour


@pytest.mark.parametrize(
    ("hour", "text"), [(0, "0:00"), (18.5, "18:30"), (23.99, "23:59"), (8 + 59 / 60, "8:59")]
)
def test_clocks(hour: float, text: str) -> None:
    assert clock(hour) == text


@pytest.mark.parametrize(("gain", "text"), [(0.123, "+12%"), (-0.05, "−5%"), (-0.001, "0%")])
def test_percents(gain: Any, text: str) -> None:
    assert percent(gain) == text


def test_a_best_hour_is_tried_against_the_most_usual_one(folder: Path) -> None:
    table = times_of(240)
    usual = table.assign(hour=np.where(np.arange(240) % 3 == 0, 10.5, table["hour"]))
    found = when(keep(folder, usual))
    assert found.week.best_hour is not None
    assert found.week.to_try == (found.week.best_hour, 10)
