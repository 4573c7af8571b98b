"""Dates in the spellings of exports: each by itself, and as their column decides."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.posts.importing import import_posts
from evoked.posts.readers.date_order import DateOrder
from evoked.posts.readers.dates import clock_hours, has_time, read_moment
from evoked.posts.readers.values import parse_hour, parse_weekday

EVENING = [
    "2024-04-05 18:15", "2024-4-5 18:15", "Apr 5, 2024 6:15 PM", "April 5, 2024 at 6:15 PM",
    "5 Apr 2024 18:15", "05-Apr-24 18:15", "2024/04/05 6:15 PM", "6:15 PM · Apr 5, 2024",
    "Fri, 5 April 2024, 6:15pm", "5. April 2024, 18:15 Uhr", "Freitag, 5. April 2024 um 18:15",
    "5 avril 2024 à 18:15", "vendredi 5 avril 2024 18h15", "5 de abril de 2024 6:15 p. m.",
    "vie, 5 abr 2024 18:15", "5 de abril de 2024 às 18h15", "5 aprile 2024 alle ore 18:15",
    "5 aprile 2024 ore 18.15", "vr 5 apr. 2024 18:15", "5 kwietnia 2024 18:15",
    "5 nisan 2024 18:15",
    "5 апр. 2024 г., 18:15", "5 Απρ 2024, 6:15 μ.μ.", "5. huhtikuuta 2024 klo 18.15",
    "2024年4月5日 18:15", "2024年4月5日(金) 午後6:15", "2024年4月5日下午6点15分",
    "2024年04月05日 18時15分",
    "2024년 4월 5일 오후 6:15", "2024. 4. 5. 오후 6:15", "５ Apr ２０２４ １８：１５",
    "٥ أبريل ٢٠٢٤ ٦:١٥ م",
    "20240405181500", "20240405 1815", "45387.760417",
]  # fmt: skip
ABSOLUTE = [
    "2024-04-05T18:15:00Z", "2024-04-05 18:15:00 GMT", "2024-04-05 18:15:00 UTC",
    "2024-04-05 20:15:00 +0200", "5 Apr 2024 20:15 CEST", "2024-04-05 11:15:00 PDT",
    "Fri Apr 05 18:15:00 +0000 2024", "Fri, 05 Apr 2024 18:15:00 GMT", "1712340900",
    "Fri Apr 05 2024 20:15:00 GMT+0200 (Central European Summer Time)", "1712340900000",
    "05/Apr/2024:18:15:00 +0000", 1712340900, 1712340900.0,
]  # fmt: skip


@pytest.mark.parametrize("written", EVENING)
def test_local_times_in_many_spellings(written: str) -> None:
    assert read_moment(written) == datetime(2024, 4, 5, 18, 15)
    assert has_time(written)


@pytest.mark.parametrize("written", ABSOLUTE)
def test_times_with_a_zone(written: object) -> None:
    assert read_moment(written) == datetime(2024, 4, 5, 18, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    ["Fri, Apr 5, 2024", "5. 4. 2024", "05.04.24", "5 apr '24", "2024.04.05", "Apr 5th, 2024",
     "45387",
     "5-abr-2024", "2024 Apr 5", "5 เมษายน 2567", "5 tháng 4, 2024", "20240405", 45387.0],
)  # fmt: skip
def test_days_in_many_spellings(written: object) -> None:
    assert read_moment(written) == datetime(2024, 4, 5)
    assert not has_time(written)


@pytest.mark.parametrize(
    "written",
    ["Lifetime", "18:15", "April 2024", "5 apr", "2024-04", "Mar 1, 2026 - Mar 31, 2026",
     "Thursday",
     "03/01/2026 - 03/31/2026", "5 minutes ago", "Apr 31, 2024", "5 Apr 2024 25:00", "10.0.0.1",
     "1.2.3", "5 Apr 2024 18:15 XYT", "tea for two"],
)  # fmt: skip
def test_what_is_no_date_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a date"):
        read_moment(written)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("datetime(2024, 5, 1, 10, 0)", "2024-05-01T10:00:00"),
        ("datetime.datetime(2024, 5, 1, 10, 0, 5, tzinfo=datetime.timezone.utc)",
         "2024-05-01T10:00:05+00:00"),
        ("datetime.datetime(2024, 5, 1, 10, 0, tzinfo=tzutc())", "2024-05-01T10:00:00+00:00"),
        ("Timestamp('2024-05-01 10:00:00')", "2024-05-01T10:00:00"),
        ("Timestamp('2024-05-01 10:00:00', tz='UTC')", "2024-05-01T10:00:00+00:00"),
        ("numpy.datetime64('2024-05-01T10:00')", "2024-05-01T10:00:00"),
        ('ISODate("2024-05-01T10:00:00Z")', "2024-05-01T10:00:00+00:00"),
        ('new Date("2024-05-01T10:00:00Z")', "2024-05-01T10:00:00+00:00"),
        ("/Date(1714557600000+0200)/", "2024-05-01T10:00:00+00:00"),
        ("2024-122T10:00", "2024-05-01T10:00:00"),
        ("2024-05-01 10:00:00.123456789 +0000 UTC", "2024-05-01T10:00:00.123456+00:00"),
        ('"2024-05-01 10:00"', "2024-05-01T10:00:00"),
        ("'2024-05-01 10:00'", "2024-05-01T10:00:00"),
    ],
)  # fmt: skip
def test_dates_as_programs_print_them(written: str, moment: str) -> None:
    assert read_moment(written) == datetime.fromisoformat(moment)
    assert has_time(written)


def test_a_printed_date_without_a_time_has_none() -> None:
    assert read_moment("datetime.date(2024, 5, 1)") == datetime(2024, 5, 1)
    assert not has_time("datetime.date(2024, 5, 1)")


@pytest.mark.parametrize(
    "written",
    ["datetime(2024, 13, 1)", "datetime(2024)", "new Date(2024, 4, 1)", "2023-366", "2024-000",
     "0000-001", "open('2024-05-01')", "datetime(datetime(datetime(2024, 5, 1)))"],
)  # fmt: skip
def test_what_a_program_prints_otherwise_is_refused(written: str) -> None:
    """The months of JavaScript begin at 0: what a date of numbers means is not certain."""
    with pytest.raises(ValueError, match="not a date"):
        read_moment(written)


@pytest.mark.parametrize(
    ("written", "day"), [("mar. 5 mars 2024", 5), ("mar, 5 mar 2024", 5), ("sáb. 2 mar 2024", 2)]
)
def test_a_weekday_with_the_name_of_a_month_is_a_weekday(written: str, day: int) -> None:
    assert read_moment(written) == datetime(2024, 3, day)


@pytest.mark.parametrize(
    ("written", "hours"),
    [("12:30 AM", 0.5), ("12:30 pm", 12.5), ("17h45", 17.75), ("오후 5:45", 17.75), ("5 PM", 17.0)],
)
def test_clocks(written: str, hours: float) -> None:
    assert clock_hours(written) == parse_hour(written) == hours


def test_weekdays_in_other_languages() -> None:
    assert [parse_weekday(name) for name in ("Montag", "dimanche", "mié.", "пт")] == [0, 6, 2, 4]


DAYS = st.dates(date(1990, 1, 2), datetime.now(UTC).date() - timedelta(days=1))
SPELLINGS = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%b %d, %Y", "%d %B %Y", "%A, %d %b %Y", "%d-%b-%Y",
    "%Y年%m月%d日", "%Y%m%d", "%B %d %Y",
]  # fmt: skip
CLOCKS = ["", " %H:%M", " %I:%M %p", ", %I:%M:%S %p", " %H:%M:%S"]


@given(DAYS, st.times(), st.sampled_from(SPELLINGS), st.sampled_from(CLOCKS))
def test_a_date_is_read_back_from_any_spelling(
    day: date, time: object, spelling: str, clock: str
) -> None:
    moment = datetime.combine(day, time)  # type: ignore[arg-type]
    written = moment.strftime(spelling + clock)
    expected = datetime.strptime(moment.strftime(spelling + clock), spelling + clock)
    assert read_moment(written) == expected


@given(
    st.lists(DAYS, max_size=20),
    st.sampled_from(["%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%Y{0}%d{0}%m", "%y{0}%d{0}%m"]),
    st.sampled_from("/.-"),
)
def test_a_column_of_dates_is_read_back_in_its_order(
    days: list[date], spelling: str, sign: str
) -> None:
    # These two are impossible in any other order.
    days = [*days, date(2017, 11, 28), date(2018, 12, 31)]
    written = [day.strftime(spelling.format(sign)) for day in days if day.year > 2000]
    order = DateOrder()
    for text in written:
        order.add(text)
    read = [read_moment(text, order.orders).date() for text in written]
    assert read == [day for day in days if day.year > 2000]


def orders_of(*written: str) -> tuple[str, list[str]]:
    order = DateOrder()
    for text in written:
        order.add(text)
    return read_moment(written[0], order.orders).date().isoformat(), order.notes()


def test_dates_in_the_future_decide_the_order() -> None:
    year = datetime.now(UTC).year + 1
    read, notes = orders_of(f"01/12/{year}", "02/12/2020")
    assert "day" not in read
    assert orders_of("17.14.11", "17.02.03")[0] == "2017-11-14"
    assert orders_of("24-04-05", "24-04-06")[0] == "2024-04-05"
    assert notes


def test_an_undecided_order_says_how_else_to_write_it() -> None:
    read, (note,) = orders_of("03-04-2020", "05-06-2020")
    assert read == "2020-04-03"
    assert "03-04-2020 is read as day-month-year, 2020-04-03" in note
    assert "such as 2020-03-04" in note


@pytest.mark.parametrize("written", ["2023-01-15 8:45:00", "45299.5", "1/8/24 9:05 AM"])
def test_dates_of_an_export(written: str, tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_text(f"Text,Timestamp,Likes\nEarly tea,{written},10\nLate tea,1/28/2023,12\n")
    posts = import_posts("csv", source, tmp_path / "dataset").dataset.posts
    assert posts["posted_at"].notna().all()
    assert posts["posted_at"].dt.month.eq(1).all()


def test_a_date_its_column_refuses_is_listed_and_left_empty(tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_text("id,text,date\n1,a,25/03/2024\n2,b,26/03/2024\n3,c,03/27/2024\n")
    result = import_posts("csv", source, tmp_path / "dataset")
    assert result.tally.changed == {"posted_at: not a date, left empty": 1}
    assert "Dates with slashes are read as day/month/year." in result.notes
