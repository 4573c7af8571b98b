"""When to post: hours and weekdays as a map, each with how many posts it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from evoked.errors import EvokedError
from evoked.serve import advice
from evoked.serve.api.common import TheDesk
from evoked.serve.desk import rows_of
from evoked.serve.library import RunEntry
from evoked.serve.pages.common import Page, render
from evoked.serve.pages.ranges import WIDTH, shades, with_places

if TYPE_CHECKING:
    from evoked.advice import Hours

router = APIRouter()
page = Page("when", "/when", router)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONGEST = 500


@router.get("/when")
def when(
    request: Request, desk: TheDesk, run: str = "", by: str = "", author: str = ""
) -> Response:
    """The week of a run's posts."""
    runs, entry = desk.choice_of_runs(run)
    values: dict[str, Any] = {
        "runs": runs,
        "entry": entry,
        "by": by[:_LONGEST],
        "author": author[:_LONGEST],
        "week": None,
        "problem": None,
    }
    if entry is not None:
        values |= {"counts": counts_of(entry), "authors": _authors(entry)}
        try:
            found = advice.when(desk, entry, by[:_LONGEST] or None, author[:_LONGEST] or None)
        except EvokedError as error:
            values["problem"] = str(error)
        else:
            values["week"] = shown(found)
            values["query"] = _query(entry.name, by, author)
    return render(request, "when.html", values)


def counts_of(entry: RunEntry) -> list[str]:
    """What can be asked for; nothing where the run does not keep when its posts appeared."""
    from evoked.runs.past import read_past

    try:
        return read_past(entry.folder)[1]
    except EvokedError:
        return []


def _authors(entry: RunEntry) -> int:
    return int(entry.description["data"].get("authors", 1))


def _query(run: str, by: str, author: str) -> str:
    """The part of an address that asks for the same."""
    asked = {"run": run, "by": by, "author": author}
    return f"?{urlencode({name: value for name, value in asked.items() if value})}"


def shown(found: Hours) -> dict[str, Any]:
    """Sentences, and the tables that are drawn."""
    from evoked.analysis.rhythm import HOURS
    from evoked.analysis.week_words import clock, percent

    week = found.week
    slots = rows_of(week.slots)
    cells: dict[tuple[int, int], dict[str, Any]] = {}
    for slot, shade in zip(slots, shades([slot["gain"] for slot in slots]), strict=True):
        said = None if slot["gain"] is None else percent(slot["gain"])
        cell = {"shade": shade, "said": said, "posts": slot["posts"], "detail": None}
        if said is not None:
            cell["detail"] = {
                "gain": said,
                "low": percent(slot["low"]),
                "high": percent(slot["high"]),
                "chance": round(100 * slot["chance"]),
            }
        cells[slot["hour"], slot["weekday"]] = cell
    days = range(len(DAYS))
    # Hours at which nothing is known and nothing was posted would only make the map longer.
    known = [
        {"clock": clock(hour), "cells": [cells[hour, day] for day in days]}
        for hour in range(HOURS)
        if any(cells[hour, day]["said"] or cells[hour, day]["posts"] for day in days)
    ]
    first, *others = found.sentences
    return {
        "first": first,
        "others": others,
        "noun": found.noun,
        "hours": _with_words(rows_of(week.hours), "hour", clock),
        "weekdays": _with_words(rows_of(week.weekdays), "weekday", lambda day: DAYS[int(day)]),
        "map": known,
        "posts": week.own_posts,
        "width": WIDTH,
    }


def _with_words(rows: list[dict[str, Any]], what: str, named: Any) -> list[dict[str, Any]]:
    """Rows of which something is known: their names, and gains and ranges in words."""
    from evoked.analysis.week_words import percent

    known = [row for row in rows if row["gain"] is not None]
    return [
        {
            **row,
            "name": named(row[what]),
            "said": percent(row["gain"]),
            "ends": [percent(row["low"]), percent(row["high"])],
            "chance": round(100 * row["chance"]),
        }
        for row in with_places(known, "gain")
    ]
