"""Calendar files, read by the package icalendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import icalendar
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evoked.advice.calendar_file import Event, write_calendar

MADE = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], include_characters="\n"),
    max_size=200,
)


def read(path: Path) -> list[icalendar.Event]:
    return list(icalendar.Calendar.from_ical(path.read_bytes()).walk("VEVENT"))


def test_instants_are_utc_and_identifiers_stay(tmp_path: Path) -> None:
    tokyo = timezone(timedelta(hours=9))
    event = Event("one@evoked", datetime(2024, 3, 1, 8, 30, tzinfo=tokyo), "Post", "It")
    write_calendar(tmp_path / "plan.ics", [event], MADE)
    content = (tmp_path / "plan.ics").read_bytes()
    assert b"DTSTART:20240229T233000Z\r\n" in content
    (found,) = read(tmp_path / "plan.ics")
    assert found.decoded("dtstart") == event.start
    assert found.decoded("dtend") - found.decoded("dtstart") == timedelta(minutes=15)
    assert found.decoded("dtstamp") == MADE
    assert found["uid"] == "one@evoked"


def test_hours_of_no_known_zone_float(tmp_path: Path) -> None:
    event = Event("one@evoked", datetime(2024, 3, 1, 23, 50), "Post", "It")
    write_calendar(tmp_path / "plan.ics", [event], MADE)
    content = (tmp_path / "plan.ics").read_bytes()
    assert b"DTSTART:20240301T235000\r\n" in content
    assert b"DTEND:20240302T000500\r\n" in content
    assert b"TZID" not in content
    (found,) = read(tmp_path / "plan.ics")
    assert found.decoded("dtstart") == event.start
    assert found.decoded("dtstart").tzinfo is None


@pytest.mark.parametrize("text", ["a, b; c \\ d\nnext \\n", "ü" * 100, "日本語" * 40, "🎉" * 50])
def test_texts_are_escaped_and_folded(tmp_path: Path, text: str) -> None:
    write_calendar(tmp_path / "plan.ics", [Event("a", MADE, text, text)], MADE)
    (found,) = read(tmp_path / "plan.ics")
    assert str(found["summary"]) == str(found["description"]) == text


@given(summary=TEXTS, description=TEXTS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(tmp_path: Path, summary: str, description: str) -> None:
    path = tmp_path / "plan.ics"
    write_calendar(path, [Event("a", MADE, summary, description)], MADE)
    content = path.read_bytes()
    assert content.endswith(b"END:VCALENDAR\r\n")
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    (found,) = read(path)
    assert str(found["description"]) == description.removesuffix("\n")
    assert str(found["summary"]) == summary.removesuffix("\n")


def test_control_characters_are_written_as_numbers(tmp_path: Path) -> None:
    event = Event("one@evoked", MADE, "a\x1b[2Jb\r\nATTENDEE:c", "\x07\x85BEGIN:VALARM")
    write_calendar(tmp_path / "plan.ics", [event], MADE)
    content = (tmp_path / "plan.ics").read_bytes()
    assert b"\r\nATTENDEE" not in content
    assert b"\r\nBEGIN:VALARM" not in content
    assert not set(content) & {0x07, 0x1B, 0x85}
