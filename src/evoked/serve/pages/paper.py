"""What a page shows, on paper: sheets, and advice that is kept so that it can be downloaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from evoked.serve.desk import Desk, rows_of
from evoked.serve.said import said
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


def all_said(sentences: Iterable[str], t: Wording) -> list[str]:
    """What a run says, in the person's language where that is known."""
    return [said(sentence, t.code).text for sentence in sentences]


def keep_advice(desk: Desk, sheet: Sheet, table: pd.DataFrame) -> str:
    """Keep advice so that it can be downloaded; returns the id of the downloads."""
    columns = list(table.columns) or list(_COLUMNS)  # of advice that had nothing to look at
    kept = {"sheet": sheet.to_dict(), "columns": columns, "table": rows_of(table)}
    return desk.uploads.add_made({SHEET_FILE: json.dumps(kept).encode()})


def advice_sheet(values: dict[str, Any], run: str, answer: str | None, t: Wording) -> Sheet:
    """The sheet of what the page of a draft advises."""
    rows = [
        [
            *all_said((each["do"], each["worth"]), t),
            t.known(f"advice.labels.{each['label']}", each["label"]),
            *all_said((each["evidence"],), t),
        ]
        for each in values["advised"]
    ]
    heads = [t("advice.change"), t("advice.worth"), t("works.sure"), t("advice.evidence")]
    answered = [answer] if answer else []
    sentences = all_said([*answered, *values["sentences"], *values["notes"]], t)
    return sheet_of(t("advice.heading"), sentences, heads, rows, foot=run)
