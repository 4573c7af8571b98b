"""The ledger: what was kept of what a run said, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from evoked.errors import EvokedError
from evoked.runs.answer import quantities
from evoked.runs.posts import Run
from evoked.serve import advice
from evoked.serve.api.common import TheDesk
from evoked.serve.desk import rows_of
from evoked.serve.pages.common import Page, render
from evoked.serve.pages.draft import in_words

if TYPE_CHECKING:
    from evoked.advice.review import Review

router = APIRouter()
page = Page("ledger", "/ledger", router)

_LINES = 50


@router.get("/ledger")
def ledger(request: Request, desk: TheDesk, run: str = "", posts: str = "") -> Response:
    """What a run's ledger holds, beside the posts of a dataset."""
    runs, entry = desk.choice_of_runs(run)
    values: dict[str, Any] = {
        "runs": runs,
        "entry": entry,
        "datasets": desk.library.datasets(),
        "posts": posts[:100],
        "found": None,
        "problem": None,
    }
    if entry is not None:
        try:
            found = advice.review(desk, entry, posts[:100])
        except EvokedError as error:
            values["problem"] = str(error)
        else:
            values["query"] = f"?{urlencode({'run': entry.name, 'posts': posts[:100]})}"
            values["found"] = shown(found, desk.scorer(entry).run)
    return render(request, "ledger.html", values)


def shown(found: Review, run: Run) -> dict[str, Any]:
    """The review in words: the verdict first, as it is what people come for."""
    *others, verdict = found.sentences
    return {
        "kept": found.kept,
        "since": found.since,
        "came": found.came,
        "damaged": found.damaged,
        "unclear": len(found.ambiguous),
        "verdict": verdict,
        "others": others,
        "ranges": [
            {
                "what": each.name,
                "held": each.held,
                "posts": each.posts,
                "low": round(100 * each.low),
                "high": round(100 * each.high),
                "promised": round(100 * each.promised),
                "too_high": each.too_high,
            }
            for each in found.ranges
        ],
        "lines": _lines(found, run),
        "more": max(0, found.kept - _LINES),
    }


def _lines(found: Review, run: Run) -> list[dict[str, Any]]:
    """The last lines, the newest first, each with the first number that it predicted: a count, or
    a rate where there is none."""
    known = [each for each in quantities(run.task) if each.column in found.table]
    numbers = sorted(known, key=lambda each: not each.counts or bool(each.basis))
    lines = []
    for row in rows_of(found.table.tail(_LINES))[::-1]:
        first = next((each for each in numbers if row[each.column] is not None), None)
        lines.append(
            {
                "kept_at": datetime.fromisoformat(row["kept_at"]).astimezone(),
                "kind": row["kind"],
                "number": None if first is None else in_words(first, row),
                "post": row["post_id"],
                "by": row["recognised_by"],
                "unclear": bool(row["could_be"]),
            }
        )
    return lines
