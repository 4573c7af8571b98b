"""What a report says of when to post, and of what the run's ledger has become."""

from __future__ import annotations

from typing import NamedTuple

from evoked.advice.hours import when
from evoked.advice.review import Review, review
from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.report.charts import Chart
from evoked.report.hours_chart import week_chart
from evoked.runs.folder import LEDGER_FILE
from evoked.runs.posts import Run


class HoursSection(NamedTuple):
    """When to post, in sentences, and the week in colours; None where no hour is known."""

    sentences: list[str]
    chart: Chart | None


def hours_section(run: Run) -> HoursSection | None:
    """When to post, by :func:`evoked.when`; None for a run that predicts no counts."""
    try:
        found = when(run)
    except SettingsError:
        return None
    except DataError as error:
        return HoursSection([f"Not known: {error.problem}"], None)
    known = found.week.slots["gain"].notna().any()
    return HoursSection(found.sentences, week_chart(found) if known else None)


def kept_section(run: Run, dataset: PostDataset | None) -> Review | None:
    """What was kept of what the run said, beside what came; None where nothing was kept."""
    return review(run, dataset) if (run.folder / LEDGER_FILE).is_file() else None
