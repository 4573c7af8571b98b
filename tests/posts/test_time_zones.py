"""Local time: hours and weekdays by the clocks of where an account lives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.errors import DataError, SettingsError
from evoked.features.metadata import MetadataEncoder
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft, as_posts
from evoked.posts.importing import import_posts
from evoked.posts.time_zones import local_hour, local_weekday, zone_of
from evoked.runs.training import train_posts
from tests.support.reader_sources import write_csv
from tests.support.small_runs import by_hand

BERLIN = "Europe/Berlin"


def test_summer_time_counts_where_and_when_it_is_kept() -> None:
    berlin, tokyo = zone_of(BERLIN), zone_of("Asia/Tokyo")
    winter = datetime(2024, 1, 7, 23, 30, tzinfo=UTC)  # a Sunday
    summer = datetime(2024, 7, 7, 21, 30, tzinfo=UTC)
    assert (local_hour(winter, berlin), local_weekday(winter, berlin)) == (0.5, 0)
    assert (local_hour(summer, berlin), local_weekday(summer, berlin)) == (23.5, 6)
    assert (local_hour(winter, tokyo), local_hour(summer, tokyo)) == (8.5, 6.5)
    assert zone_of(None) is UTC


def test_a_wrong_name_is_refused_with_the_closest() -> None:
    with pytest.raises(SettingsError, match=r"Did you mean 'Europe/Berlin'\?"):
        zone_of("Europe/Berln")


def test_an_import_keeps_the_time_zone_and_local_hours(tmp_path: Path) -> None:
    dates = ["2024-01-07T23:30:00Z", "2024-07-07 09:00", "2024-07-07T09:00:00+09:00", ""]
    rows = [{"id": n, "caption": "x", "likes": 1, "date": date} for n, date in enumerate(dates)]
    source = write_csv(tmp_path / "posts.csv", rows)
    result = import_posts("csv", source, tmp_path / "out", time_zone=BERLIN)
    posts = result.dataset.posts
    assert result.dataset.time_zone == BERLIN
    assert posts["posted_at"].tolist()[:3] == [
        pd.Timestamp("2024-01-07T23:30Z"),
        pd.Timestamp("2024-07-07T07:00Z"),
        pd.Timestamp("2024-07-07T00:00Z"),
    ]
    np.testing.assert_array_equal(posts["posted_hour"], [0.5, 9, 2, np.nan])
    np.testing.assert_array_equal(posts["posted_weekday"], [0, 6, 6, np.nan])
    assert any("read as local time of Europe/Berlin" in note for note in result.notes)
    with pytest.raises(DataError, match="imported with other settings"):
        import_posts("csv", source, tmp_path / "out", time_zone="Asia/Tokyo")
    utc = import_posts("csv", source, tmp_path / "utc").dataset
    assert utc.time_zone is None
    assert utc.posts["posted_at"][1] == pd.Timestamp("2024-07-07T09:00Z")
    assert utc.posts["posted_hour"].isna().all()
    with pytest.raises(SettingsError, match="no time zone 'Mars'"):
        import_posts("csv", source, tmp_path / "mars", time_zone="Mars")


def test_features_go_by_local_clocks() -> None:
    date = pd.Timestamp("2024-07-07T21:30Z")
    local = pd.DataFrame({"posted_at": [date], "posted_hour": [6.0], "posted_weekday": [0.0]})
    encoder = MetadataEncoder.fit(pd.concat([local, local.assign(posted_hour=12.0)]))
    hour = encoder.names.index("hour (sine)")
    encoded = encoder.transform(pd.concat([local, local.assign(posted_hour=None)]))
    assert encoded[0, hour] > 0 > encoded[1, hour]  # 6:00 and, in UTC, 21:30


def test_drafts_of_a_run_are_dated_by_its_clocks(tmp_path: Path) -> None:
    rows = [
        {"id": n, "caption": "x", "author": "me", "likes": n, "date": f"2024-07-{n % 28 + 1:02d}"}
        for n in range(40)
    ]
    source = write_csv(tmp_path / "posts.csv", rows)
    dataset = import_posts("csv", source, tmp_path / "posts", time_zone="Asia/Tokyo").dataset
    run = train_posts(
        dataset, "author_mean", tmp_path / "run", split=by_hand(40, tests=10), estimate=False
    )
    assert run.description["data"]["time_zone"] == "Asia/Tokyo"
    local = datetime(2024, 7, 7, 8)
    (when,) = run.draft_posts([Draft(caption="x", posted_at=local)])[0]["posted_at"]
    assert when == pd.Timestamp("2024-07-06T23:00Z")
    posts, _ = as_posts([Draft(posted_at=local)], "Asia/Tokyo")
    assert (posts["posted_hour"][0], posts["posted_weekday"][0]) == (8, 6)
    given = local.replace(tzinfo=timezone(timedelta(hours=2)))
    assert as_posts([Draft(posted_at=given)], "Asia/Tokyo")[0]["posted_hour"][0] == 15
    assert as_posts([Draft(posted_at=local)])[0]["posted_at"][0] == pd.Timestamp(
        "2024-07-07T08:00Z"
    )
    assert PostDataset(dataset.folder).copy(tmp_path / "copy", {}).time_zone == "Asia/Tokyo"
