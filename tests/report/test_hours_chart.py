"""The picture of the week."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evoked.advice.hours import Hours
from evoked.analysis.week import Week
from evoked.report.hours_chart import _drawn, draw_hours
from tests.advice.test_hours import times_of


@pytest.mark.parametrize(
    ("size", "effect", "title"),
    [(200, 0.4, ":00 is best"), (60, 0.0, "no hour is reliably better"), (5, 0.0, "no hour")],
)
def test_the_picture_shows_the_week(tmp_path: Path, size: int, effect: float, title: str) -> None:
    week = Week.of(times_of(size, effect), "likes")
    found = Hours("likes", week, 0, week.posts, "Europe/Berlin")
    colours, curve, _ = _drawn(found).axes
    gains = np.ma.getdata(colours.collections[0].get_array()).reshape(7, 24)
    expected = week.slots["gain"].to_numpy().reshape(7, 24)
    np.testing.assert_array_equal(np.nan_to_num(gains, nan=-9), np.nan_to_num(expected, nan=-9))
    assert "Europe/Berlin" in colours.get_title(loc="left")
    assert title in curve.get_title(loc="left")
    path = draw_hours(found, tmp_path / "week.png")
    assert path.read_bytes().startswith(b"\x89PNG")
