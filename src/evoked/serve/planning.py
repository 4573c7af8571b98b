"""Plans at the desk: a schedule that tests a question, and what it has shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from evoked.errors import SettingsError
from evoked.runs.folder import SCHEDULE_FILE
from evoked.serve.desk import Desk
from evoked.serve.problems import RefusalError

if TYPE_CHECKING:
    from evoked.advice import Plan, Tested


@dataclass(frozen=True)
class Question:
    """What a plan is to test, as :func:`evoked.plan` takes it; None is its own default."""

    question: str | None = None
    arms: tuple[str, str] | None = None
    weeks: int | None = None
    per_week: int | None = None
    start: date | None = None
    by: str | None = None
    author: str | None = None
    seed: int | None = None


def kept(desk: Desk, run: str) -> Plan | None:
    """The plan that a run keeps; None where there is none."""
    from evoked.advice import Plan

    folder = desk.run_of_posts(run).folder
    return Plan.load(folder) if (folder / SCHEDULE_FILE).is_file() else None


def the_kept(desk: Desk, run: str) -> Plan:
    """The plan that a run keeps.

    Raises
    ------
    RefusalError
        There is none.
    """
    found = kept(desk, run)
    if found is None:
        raise RefusalError(404, "this run keeps no plan. Draw one.")
    return found


def draw(desk: Desk, run: str, asked: Question, *, replace: bool = False) -> Plan:
    """Draw a plan by lot and keep it with the run; the same question gives the same plan.

    Raises
    ------
    RefusalError
        The run keeps another plan, and ``replace`` is not set.
    """
    from evoked.advice import plan

    entry = desk.run_of_posts(run)
    given = {name: value for name, value in vars(asked).items() if value is not None}
    question = given.pop("question", None)
    drawn = plan(entry.folder, question, **given)
    try:
        drawn.save(entry.folder, replace)
    except SettingsError as error:
        raise RefusalError(
            409, "this run keeps another plan. Check it before you draw a new one in its place."
        ) from error
    return drawn


def check(desk: Desk, run: str, dataset: str) -> Tested:
    """Compare the arms of the kept plan on the posts of a dataset."""
    from evoked.advice import check_plan

    plan = the_kept(desk, run)
    return check_plan(plan, desk.dataset(dataset).open())


def keep_checked(desk: Desk, run: str, found: Tested) -> None:
    """Let advice know what a plan has shown, as ``evoked plan --check`` does."""
    from evoked.advice.tested import keep_tested

    keep_tested(desk.run_of_posts(run).folder, found)


def calendar(found: Plan) -> bytes:
    """A plan as a calendar file."""
    with TemporaryDirectory(prefix="evoked-") as folder:
        path = Path(folder) / "plan.ics"
        found.write_calendar(path)
        return path.read_bytes()
