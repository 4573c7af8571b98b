"""Runs side by side: how good each is, on which rows, and what differs between them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from evoked.errors import EvokedError
from evoked.serve import comparing
from evoked.serve.api.common import TheDesk
from evoked.serve.comparing import Comparison
from evoked.serve.pages.common import Page, render
from evoked.serve.problems import RefusalError

router = APIRouter()
page = Page("compare", None, router)

# A difference that chance makes in fewer than one of twenty comparisons.
_RELIABLE = 0.05


@router.get("/compare")
def compare(
    request: Request, desk: TheDesk, run: Annotated[list[str] | None, Query(max_length=50)] = None
) -> Response:
    """The runs that were chosen, and their choice."""
    asked = list(dict.fromkeys(run or []))
    values: dict[str, Any] = {"runs": desk.library.runs(), "asked": asked, "found": None}
    values |= {"problem": None, "verdicts": [], "most": comparing.MOST_RUNS}
    if asked:
        try:
            values["found"] = comparing.compare(desk, asked)
            values["verdicts"] = verdicts(values["found"])
        except (EvokedError, RefusalError) as error:
            values["problem"] = desk.places.left_out(str(error))
    return render(request, "compare.html", values)


def verdicts(found: Comparison) -> list[dict[str, Any]]:
    """Of each run but the first: in how many of the main scores the first is reliably better, and
    worse, of how many that both have; nothing where the rows are not the same."""
    first, *others = (run.name for run in found.runs)
    counted = []
    for name in others if found.paired else []:
        main = [score for score in found.scores if score.is_main and name in score.cells]
        better, worse = 0, 0
        for score in main:
            cell = score.cells[name]
            if cell["difference"] is None or cell["p"] is None or cell["p"] >= _RELIABLE:
                continue
            is_better = (cell["difference"] < 0) == score.lower_is_better
            better, worse = better + is_better, worse + (not is_better)
        counted.append(
            {"first": first, "other": name, "better": better, "worse": worse, "of": len(main)}
        )
    return counted
