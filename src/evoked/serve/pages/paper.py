"""What a page shows, on paper: sheets, and advice that is kept so that it can be downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evoked.serve.desk import Desk, rows_of
from evoked.serve.wording import Wording

if TYPE_CHECKING:
    import pandas as pd

    from evoked.report.sheets import Sheet

SHEET_FILE = "advice_sheet.json"
_COLUMNS = ("about", "do", "label")


def sheet_of(
    title: str,
    sentences: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    foot: str,
) -> Sheet:
    """A sheet at whose foot a run or a dataset is named."""
    from evoked.report.sheets import Sheet

    return Sheet(title, list(sentences), columns, rows, f"evoked · {foot}" if foot else "evoked")


def keep_advice(desk: Desk, sheet: Sheet, table: pd.DataFrame) -> str:
    """Keep advice so that it can be downloaded; returns the id of the downloads."""
    columns = list(table.columns) or list(_COLUMNS)  # of advice that had nothing to look at
    kept = {"sheet": sheet.to_dict(), "columns": columns, "table": rows_of(table)}
    return desk.uploads.add_made({SHEET_FILE: json.dumps(kept).encode()})


def advice_sheet(values: dict[str, Any], run: str, answer: str | None, t: Wording) -> Sheet:
    """The sheet of what the page of a draft advises."""
    rows = [
        [
            each["do"],
            f"{each['worth'][:1].upper()}{each['worth'][1:]}.",
            t.known(f"advice.labels.{each['label']}", each["label"]),
            each["evidence"],
        ]
        for each in values["advised"]
    ]
    heads = [t("advice.change"), t("advice.worth"), t("works.sure"), t("advice.evidence")]
    said = [answer] if answer else []
    return sheet_of(
        t("advice.heading"), [*said, *values["sentences"], *values["notes"]], heads, rows, foot=run
    )
