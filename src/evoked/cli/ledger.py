"""What a run said, kept and held against what came: ledger and update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evoked.cli.application import say_aside
from evoked.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from evoked.advice.ledger import Kind
    from evoked.runs.posts import Run
    from evoked.runs.viewings import NetworkRun


def keep_answer(
    run: Run | NetworkRun,
    kind: Kind,
    drafts: Any,
    table: pd.DataFrame,
    coverage: float,
    said: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Keep an answer in the run's ledger (:func:`evoked.advice.ledger.keep`), and say so."""
    from evoked.advice.ledger import LEDGER_FILE, keep
    from evoked.runs.posts import Run

    if not isinstance(run, Run):
        raise SettingsError("--keep goes with runs of posts; this one is of viewings.")
    number = keep(run, kind, drafts, table, coverage, said)
    left = len(table) - number
    posts = "1 draft" if number == 1 else f"{number:,} drafts"
    say_aside(
        f"Kept {posts} in {run.folder / LEDGER_FILE}: no texts, no pictures, only hashes."
        + (f" {left:,} posts that have counts already are no drafts." if left else "")
    )
