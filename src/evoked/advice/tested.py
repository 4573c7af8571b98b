"""What a plan has shown: the two arms compared, once its posts have appeared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evoked.advice.actions import Action
from evoked.advice.effects import UNKNOWN
from evoked.advice.planning import DAYS_TO_WAIT, HOURS_QUESTION, OWN_QUESTION, Plan
from evoked.advice.power import SIGNIFICANCE, difference_interval
from evoked.analysis.week import hours_apart
from evoked.analysis.week_words import percent
from evoked.errors import DataError
from evoked.features.form import QUESTION_MARK
from evoked.files import plain, read_object, write_json
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import known_counts
from evoked.posts.dataset import PostDataset
from evoked.posts.time_zones import local_hour, zone_of
from evoked.runs.folder import TESTED_FILE
from evoked.runs.spoken import basis_in_words

Floats = NDArray[np.float64]

LABEL = "tested"
# A post answers a plan's if it appeared within so many hours of it.
_WITHIN = timedelta(hours=18)
# A post that appeared so far from the planned hour did not follow the plan.
_HOURS_OFF = 1.5
_FEWEST_PER_ARM = 2
_MOST_KEPT = 100


class Difference(NamedTuple):
    """How much more the first arm gets than the second.

    Attributes
    ----------
    gain, low, high
        As a share, with its 95 % interval: 0.1 is a tenth more.
    chance
        How often posts would differ as much if the arms did not matter: p of a t test.
    """

    gain: float
    low: float
    high: float
    chance: float


@dataclass(frozen=True)
class Tested:
    """What a plan has shown; made by :func:`check_plan`.

    Attributes
    ----------
    plan
        The plan.
    counts
        How many posts of each arm appeared and have a known count.
    missing
        How many planned posts have none, though their time has come.
    ahead
        How many are still to come.
    newest
        When the newest of the posts appeared.
    strayed
        How many did not follow the plan, None where that can't be seen; they count as planned.
    difference
        None where too few posts appeared.
    """

    plan: Plan
    counts: tuple[int, int]
    missing: int
    ahead: int
    newest: datetime
    strayed: int | None
    difference: Difference | None

    @property
    def sentences(self) -> list[str]:
        """What the test has shown, in words."""
        started = self.ahead < len(self.plan.drawn)
        return [self._verdict(), *([self._posts()] if started else [])]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        found = self.difference
        return {
            "label": LABEL,
            "question": self.plan.question,
            "arms": list(self.plan.arms),
            "by": self.plan.by,
            "posts": list(self.counts),
            "missing": self.missing,
            "ahead": self.ahead,
            "strayed": self.strayed,
            "difference": None if found is None else plain(found._asdict()),
            "sentences": self.sentences,
        }

    def _verdict(self) -> str:
        (one, other), noun = self.plan.arms, basis_in_words(self.plan.by)
        found = self.difference
        if self.ahead == len(self.plan.drawn):
            first, last = min(self.plan.local), max(self.plan.local) + DAYS_TO_WAIT
            return (
                f"The plan starts on {first:%Y-%m-%d}, so there is nothing to compare yet. Check "
                f"it from {last:%Y-%m-%d} on, when its last post is a week old."
            )
        if found is None:
            return f"Too few posts of the plan have appeared to compare “{one}” with “{other}”."
        ends = f"{percent(found.low)} to {percent(found.high)}"
        if found.chance > SIGNIFICANCE:
            return (
                f"Tested: no difference that you could rely on. “{one}” got {percent(found.gain)} "
                f"{noun} against “{other}” ({ends})."
            )
        better, worse, gain = one, other, found
        if found.gain < 0:
            low, high = 1 / (1 + found.high) - 1, 1 / (1 + found.low) - 1
            gain = found._replace(gain=1 / (1 + found.gain) - 1, low=low, high=high)
            better, worse = other, one
        return (
            f"Tested: “{better}” gets {percent(gain.gain)} {noun} against “{worse}” "
            f"({percent(gain.low)} to {percent(gain.high)}). Drawn by lot, the difference is the "
            "arm's doing."
        )

    def _posts(self) -> str:
        text = f"{sum(self.counts)} posts were compared, {self.counts[0]} and {self.counts[1]}."
        if self.missing:
            text += (
                f" {self.missing} planned posts did not appear, or their count is not known; the "
                f"newest post that was given is of {self.newest:%Y-%m-%d}."
            )
        if self.ahead:
            text += f" {self.ahead} planned posts are still to come."
        if self.strayed:
            text += f" {self.strayed} did not follow the plan; they count as planned."
        return text


def check_plan(plan: Plan, posts: PostDataset, now: datetime | None = None) -> Tested:
    """Compare the arms of a plan.

    Each planned post is joined with the post that appeared nearest to it, within 18 hours, one to
    one. Logarithms of counts are compared within weeks: least squares of the arm and a constant for
    each week, and a t interval. Posts count as planned even where they strayed from the plan (by
    intention to treat; Hollis and Campbell 1999), or the lot would no longer decide.

    Parameters
    ----------
    plan
        The plan.
    posts
        Posts of the account, imported again.
    now
        The time, with a time zone; this moment by default.

    Returns
    -------
    Tested
        The difference between the arms with its interval, and how the plan was kept.

    Raises
    ------
    DataError
        None of the posts is the author's, or none has a date and a known count.
    """
    table = posts.posts
    if plan.author:
        table = table[np.isin(author_hashes(table).astype(str), [plan.author, ""])]
        if table.empty:
            raise DataError("no post in it is by the plan's author.", file=posts.folder)
    usable = table["posted_at"].notna() & np.isfinite(known_counts(table, plan.by))
    table = table[usable].reset_index(drop=True)
    if table.empty:
        raise DataError(
            f"no post in it has a date and known {basis_in_words(plan.by)}.", file=posts.folder
        )
    dates = pd.to_datetime(table["posted_at"], utc=True)
    joined = _joined(plan, dates)
    planned, rows = np.array(list(joined)), np.array(list(joined.values()))
    arms = np.array(plan.drawn)[planned] if joined else np.empty(0, np.int64)
    counts = (int((arms == 0).sum()), int((arms == 1).sum()))
    difference = None
    if min(counts) >= _FEWEST_PER_ARM:
        values = np.log1p(known_counts(table.iloc[rows], plan.by))
        difference = _difference(values, arms, np.array(plan.weeks)[planned])
    followed = [_followed(plan, number, table.iloc[row]) for number, row in joined.items()]
    strayed = None if None in followed else followed.count(False)
    until = now or datetime.now(UTC)
    waiting = [each > until for each in plan.moments]
    ahead = sum(each for number, each in enumerate(waiting) if number not in joined)
    return Tested(
        plan=plan,
        counts=counts,
        missing=len(plan.drawn) - len(joined) - ahead,
        ahead=ahead,
        newest=dates.max().to_pydatetime(),
        strayed=strayed,
        difference=difference,
    )


def _joined(plan: Plan, posted_at: pd.Series) -> dict[int, int]:
    """By planned post the row of the post that appeared nearest to it; the nearest pairs first."""
    pairs = [
        (abs(moment - when), number, row)
        for row, moment in enumerate(posted_at)
        for number, when in enumerate(plan.moments)
        if abs(moment - when) <= _WITHIN
    ]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, number, row in sorted(pairs):
        if number not in found and row not in taken:
            found[number] = row
            taken.add(row)
    return dict(sorted(found.items()))


def _difference(
    values: Floats, arms: NDArray[np.int64], weeks: NDArray[np.int64]
) -> Difference | None:
    """Of values of the first arm and the second, within weeks; None where no week has both, or no
    post is left to show the spread."""
    groups = pd.Series(weeks)
    within = [
        (series - series.groupby(groups).transform("mean")).to_numpy(np.float64)
        for series in (pd.Series(values), pd.Series((arms == 0).astype(np.float64)))
    ]
    freedom, squares = len(values) - groups.nunique() - 1, float(within[1] @ within[1])
    if freedom < 1 or squares == 0:
        return None
    gain = float(within[1] @ within[0]) / squares
    left = within[0] - gain * within[1]
    error = float(np.sqrt(left @ left / freedom / squares))
    low, high, chance = difference_interval(gain, error, freedom)
    gain, low, high = (float(np.expm1(each)) for each in (gain, low, high))
    return Difference(gain, low, high, chance)


def _followed(plan: Plan, number: int, post: pd.Series) -> bool | None:
    """Whether a post is what was planned; None where that can't be seen."""
    first = plan.drawn[number] == 0
    if plan.question == HOURS_QUESTION:
        zone = zone_of(plan.time_zone)
        hours = (local_hour(moment, zone) for moment in (post["posted_at"], plan.moments[number]))
        return bool(hours_apart(*hours) <= _HOURS_OFF)
    if plan.question == "question":
        return (QUESTION_MARK.search(post["caption"] or "") is not None) == first
    if plan.question == "hashtags":
        return (len(post["hashtags"]) > 0) == first
    if plan.question == "format":
        return (len(post["images"]) > 1 or post["media_type"] == "carousel") == first
    return None


class KeptTest(BaseModel):
    """What a checked plan has shown, as a run's folder keeps it.

    Attributes
    ----------
    question
        As of :class:`evoked.advice.planning.Plan`.
    by, author
        The count that was compared, and whose posts.
    hours
        The hour of each arm.
    posts
        How many posts of each arm were compared.
    gain, low, high
        As of :class:`Difference`.
    """

    model_config = ConfigDict(strict=True)

    question: str
    by: str
    author: str
    hours: list[int] = Field(min_length=2, max_length=2)
    posts: list[int] = Field(min_length=2, max_length=2)
    gain: float = Field(gt=-1)
    low: float = Field(gt=-1)
    high: float = Field(gt=-1)

    def of(self, action: Action, usual_number: str) -> Measured | None:
        """What a change of a draft is worth by this test; None where it asked something else.

        Parameters
        ----------
        action
            The change.
        usual_number
            How many hashtags the account usually uses, as of
            :func:`evoked.advice.effects.aspects_of`.
        """
        change = action.before, action.after
        arms: dict[tuple[str, str], tuple[str, str]] = {
            ("question", "question"): ("yes", "no"),
            ("hashtags", "number"): (usual_number, "none"),
            ("format", "format"): ("carousel", "image"),
        }
        one, other = arms.get((self.question, action.about), ("", ""))
        first = change == (other, one)
        second = change == (one, other)
        if self.question == HOURS_QUESTION and action.about == "hour" and UNKNOWN not in change:
            before, after = (int(each) for each in change)
            first = self._are_hours(after, before)
            second = self._are_hours(before, after)
        if not first and not second:
            return None
        effect, low, high = (float(np.log1p(each)) for each in (self.gain, self.low, self.high))
        if first:
            return Measured(effect, low, high, self.posts[0], self.posts[1])
        return Measured(-effect, -high, -low, self.posts[1], self.posts[0])

    def _are_hours(self, one: int, other: int) -> bool:
        """Whether two hours are those of the arms, to within an hour."""
        return bool(max(hours_apart([one, other], self.hours)) <= 1)


class Measured(NamedTuple):
    """What a test has shown of a change: its worth in logarithms with its 95 % interval, and how
    many posts did so and did not."""

    effect: float
    low: float
    high: float
    did: int
    did_not: int


class _State(BaseModel):
    """What the file of kept tests holds."""

    model_config = ConfigDict(strict=True)

    format_version: Literal[1]
    tests: list[KeptTest] = Field(max_length=_MOST_KEPT)


def keep_tested(run: Path | str, found: Tested) -> None:
    """Keep what a plan has shown in a run's folder, in the place of an earlier answer to the same
    question; nothing where too few posts appeared, nor of arms of one's own, which only a person
    can distinguish."""
    plan, difference = found.plan, found.difference
    if difference is None or plan.question == OWN_QUESTION:
        return
    hours = [plan.local[plan.drawn.index(arm)].hour for arm in (0, 1)]
    test = KeptTest(
        question=plan.question,
        by=plan.by,
        author=plan.author,
        hours=hours,
        posts=list(found.counts),
        gain=difference.gain,
        low=difference.low,
        high=difference.high,
    )
    asked = (test.question, test.by, test.author)
    others = [each for each in kept_tests(run) if (each.question, each.by, each.author) != asked]
    kept = _State(format_version=1, tests=[*others, test][-_MOST_KEPT:])
    write_json(Path(run) / TESTED_FILE, kept.model_dump())


def kept_tests(run: Path | str) -> list[KeptTest]:
    """What plans of a run have shown, oldest first; empty where none was checked.

    Raises
    ------
    DataError
        The file is damaged.
    """
    path = Path(run) / TESTED_FILE
    if not path.is_file():
        return []
    try:
        return _State.model_validate(read_object(path)).tests
    except ValidationError as error:
        raise DataError(
            "not what plans have shown, as evoked writes it.",
            file=path,
            fix="Delete it, and check the plan again: 'evoked plan RUN --check POSTS'.",
        ) from error
