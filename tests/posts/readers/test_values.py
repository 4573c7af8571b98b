"""Converting values as sources write them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.posts.readers import values
from evoked.posts.schema import MAX_COUNT

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "count"),
    [
        (12, 12),
        ("1234", 1234),
        ("1,234", 1234),
        ("12\xa0345", 12345),
        ("1'234'567", 1234567),
        ("79.0", 79),
        (79.0, 79),
        ("1.2K", 1200),
        ("3m", 3_000_000),
        (0, 0),
        ("", None),
        ("--", None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_counts(written: object, count: int | None) -> None:
    assert values.parse_count(written) == count


@pytest.mark.parametrize(
    "written", [-1, "-5", 10**30, "9" * 400, "12.5", "many", True, "inf", float("inf"), [3]]
)
def test_counts_that_cannot_be(written: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        values.parse_count(written)


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2021-03-04", "2021-03-04T00:00:00+00:00"),
        ("20210304", "2021-03-04T00:00:00+00:00"),
        ("2021-03-04T05:06:07Z", "2021-03-04T05:06:07+00:00"),
        ("2021-03-04 05:06:07+02:00", "2021-03-04T03:06:07+00:00"),
        (1614834367, "2021-03-04T05:06:07+00:00"),
        ("1614834367000", "2021-03-04T05:06:07+00:00"),
        (1614834367.0, "2021-03-04T05:06:07+00:00"),
        ("04.03.2021 05:06", "2021-03-04T05:06:00+00:00"),
        ("03/04/2021", "2021-03-04T00:00:00+00:00"),
        ("03/04/2021 11:06 PM", "2021-03-04T23:06:00+00:00"),
        ("Mar 04, 2021", "2021-03-04T00:00:00+00:00"),
        ("Thu, 04 Mar 2021 05:06:07 +0000", "2021-03-04T05:06:07+00:00"),
    ],
)
def test_dates(written: object, iso: str) -> None:
    assert values.parse_date(written, now=NOW) == datetime.fromisoformat(iso)


def test_dates_with_the_day_first() -> None:
    assert values.parse_date("03/04/2021", orders={"/": "dmy"}) == datetime(2021, 4, 3, tzinfo=UTC)


@pytest.mark.parametrize("written", ["2031-01-01", "1970-01-01", "0", "inf", "soon", "31/31/2020"])
def test_dates_that_cannot_be(written: str) -> None:
    with pytest.raises(ValueError, match="date"):
        values.parse_date(written, now=NOW)


@pytest.mark.parametrize(
    ("written", "day"), [("Monday", 0), ("sun", 6), (0, 0), ("6", 6), ("", None)]
)
def test_weekdays(written: object, day: float | None) -> None:
    assert values.parse_weekday(written) == day


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("#one #two_2", ["one", "two_2"]),
        ("#a#b,#c.", ["a", "b", "c"]),
        ("in #café and #日本語 and #हिन्दी", ["café", "日本語", "हिन्दी"]),
        ("#love❤️ #☀️", ["love❤️", "☀️"]),
        ("we are #1 and &#39; and http://a.b/#top", []),
        ("#مرحبا\u200f", ["مرحبا"]),
    ],
)
def test_hashtags_of_a_caption(caption: str, tags: list[str]) -> None:
    assert values.hashtags_in(caption) == tags


def test_mentions_of_a_caption() -> None:
    assert values.mentions_in("by @r.e.m.beauty. and (@a_b) but not a@b.com") == [
        "r.e.m.beauty",
        "a_b",
    ]


@pytest.mark.parametrize(
    "written",
    [
        "#finance\xa0#money\xa0#data",
        "#finance#money#data",
        "finance, money; data",
        ["#finance", "money", "#data"],
        "['finance', 'money', 'data']",
    ],
)
def test_tags_with_any_separator(written: object) -> None:
    assert values.parse_tags(written) == ["finance", "money", "data"]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("a b.jpg", ["a b.jpg"]),
        ("a.jpg; b.jpg", ["a.jpg", "b.jpg"]),
        ("['a.jpg', 'b.jpg']", ["a.jpg", "b.jpg"]),
        (["a.jpg"], ["a.jpg"]),
        ("", None),
    ],
)
def test_names_of_pictures(written: object, names: list[str] | None) -> None:
    assert values.parse_names(written) == names


ANYTHING = st.one_of(
    st.none(),
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.lists(st.text(max_size=5), max_size=3),
    st.sampled_from(["1e400", "-0", "١٢", "0x10", "1_000", "1/1/0001", "99999999999999999"]),
)


@given(ANYTHING)
def test_anything_gives_a_value_or_a_value_error(anything: object) -> None:
    for name in dir(values):
        if name.startswith("parse_"):
            with contextlib.suppress(ValueError):
                getattr(values, name)(anything)


@given(ANYTHING)
def test_counts_stay_within_bounds(anything: object) -> None:
    try:
        count = values.parse_count(anything)
    except ValueError:
        return
    assert count is None or 0 <= count <= MAX_COUNT


@given(st.text())
def test_text_becomes_storable(text: str) -> None:
    stored = values.plain_text(text + "\x00\ud800")
    assert stored.encode("utf-8").decode("utf-8") == stored
    assert "\x00" not in stored
