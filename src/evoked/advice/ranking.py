"""Which of several drafts: their order, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evoked.advice.pairs import Floats, HeldOut, WinCurve, flattery
from evoked.errors import SettingsError
from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.files import plain, records
from evoked.parquet import read_frame
from evoked.posts.author_hashes import AUTHOR_HASH
from evoked.posts.drafts import Draft
from evoked.runs.answer import Quantity, not_predicted, quantities
from evoked.runs.base import Callbacks
from evoked.runs.folder import CALIBRATION_FOLDER, PREDICTIONS_FILE, TRUTH_FILE
from evoked.runs.posts import Run
from evoked.runs.spoken import base_in_words, base_of, spoken

ENOUGH_POSTS = 20
"""Held-out posts of an author from which their own are enough."""
# A chance nearer to one half than this is one that nobody could use.
_CLOSE = 0.05
# Beyond these, a count's digits are the computer's.
_DECIMALS = 6


@dataclass(frozen=True)
class Ranking:
    """Drafts in order, the best first; made by :func:`rank`.

    Attributes
    ----------
    by
        What they are ordered by.
    table
        A row per draft: rank (from 1), post_id, the number predicted with its interval (named as
        :meth:`evoked.runs.posts.Run.predict` names them), answer, assumed, problem.
    pairs
        A row per pair of drafts: better, worse (post_ids), chance that the better is ahead with
        its 95 % interval (chance_low, chance_high), and close: whether it is too close to call.
    curve
        How the chances were learned from test posts.
    own
        Whether these are the drafts' author's own.
    widened
        The range of the best draft before it was widened for having been chosen; None if it wasn't.
    """

    by: Quantity
    table: pd.DataFrame
    pairs: pd.DataFrame
    curve: WinCurve
    own: bool
    widened: tuple[float, float] | None

    @property
    def sentences(self) -> list[str]:
        """What the order is worth, in words."""
        found = [self._headline(), self._evidence()]
        if self.widened is not None:
            whole = self.by.counts and not self.by.basis
            low, high = (spoken(each * self.base, whole=whole) for each in self.widened)
            found.append(
                f"The range of the first, {low} to {high} if it were the only draft, is wider "
                f"for having been chosen among {len(self.table)}: the best of several predictions "
                "flatters."
            )
        return found

    @property
    def base(self) -> int:
        """What numbers are multiplied by to be said: rates are said per so many followers."""
        first = float(self.table[self.by.column].iloc[0])
        return base_of(first) if self.by.basis else 1

    @property
    def noun(self) -> str:
        """What is ordered by, such as "likes", or "likes per 10,000 followers"."""
        if not self.by.basis:
            return self.by.noun
        return f"{self.by.noun} per {base_in_words(self.base, self.by.basis)}"

    @property
    def said(self) -> dict[str, dict[str, Any]]:
        """What the order says of each draft, by its post_id, as a ledger keeps it: see
        :func:`evoked.advice.ledger.keep`. A run that orders posts no better than chance says no
        chances."""
        pairs = self.pairs if self.curve.orders else self.pairs[:0]
        chances = {name: each["chance"].tolist() for name, each in pairs.groupby("better")}
        return {
            name: {"by": self.by.column, "place": place, "chances": chances.get(name, [])}
            for name, place in zip(self.table["post_id"], self.table["rank"], strict=True)
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        curve = self.curve
        return {
            "by": self.by.column,
            "drafts": plain(records(self.table)),
            "pairs": plain(records(self.pairs)),
            "measured": {
                "pairs": curve.pairs,
                "posts": curve.posts,
                "authors": curve.authors,
                "right": plain(curve.right),
                "own": self.own,
            },
            "sentences": self.sentences,
        }

    def _headline(self) -> str:
        first, second = self.table["post_id"].iloc[:2]
        noun = self.by.noun
        if not self.curve.pairs:
            return (
                "How often the first is ahead is not known: the run has no two test posts of one "
                f"author with known {noun}."
            )
        if not self.curve.orders:
            return (
                f"Of two posts that were kept aside for testing, this run puts the one with more "
                f"{noun} first no more reliably than chance does, so take the draft that you like "
                "best."
            )
        equals = self._level_with_first()
        if equals:
            names = f"The first {1 + len(equals)}"
            if len(equals) == 1:
                names = f"{first} and {equals[0]}"
            return f"{names} are too close to call: take the one that you like best."
        row = self.pairs.iloc[0]
        return (
            f"Take {first}: of 100 such pairs it gets more {noun} than {second} in about "
            f"{_of_100(row['chance'])} ({_of_100(row['chance_low'])} to "
            f"{_of_100(row['chance_high'])})."
        )

    def _level_with_first(self) -> list[str]:
        """The drafts that are too close to the first to call, in order."""
        first = self.table["post_id"].iloc[0]
        with_first = self.pairs[self.pairs["better"] == first]
        return with_first.loc[with_first["close"], "worse"].tolist()

    def _evidence(self) -> str:
        curve = self.curve
        if not curve.pairs:
            return "Train on more posts of the author, with dates, to know."
        whose = "the author's own"
        if not self.own:
            by = "1 author" if curve.authors == 1 else f"{curve.authors} authors"
            whose = f"by {by}, since the drafts' author has too few"
        pairs = "1 pair" if curve.pairs == 1 else f"{curve.pairs:,} pairs"
        return (
            f"Measured on {pairs} of {curve.posts:,} posts that were kept aside for testing, "
            f"{whose}: the run put {_of_100(curve.right)} of 100 pairs in the right order."
        )


def rank(
    run: Run,
    drafts: Sequence[Draft],
    by: str | None = None,
    coverage: float = DEFAULT_COVERAGE,
    callbacks: Callbacks | None = None,
) -> Ranking:
    """Put drafts in order.

    Parameters
    ----------
    run
        A run of posts.
    drafts
        Two or more, each with another name; they see nothing of each other.
    by
        What they are ordered by, a number that the run predicts, such as ``likes`` or ``valence``;
        the first of them by default.
    coverage
        How often the intervals are to hold the truth, between 0 and 1.
    callbacks
        Callbacks that report progress.

    Returns
    -------
    Ranking
        The drafts in order, and how sure that is.

    Raises
    ------
    SettingsError
        Fewer than two drafts, two of one name, or the run predicts no such number.
    DataError
        As of :func:`evoked.posts.drafts.as_posts`.
    """
    if len(drafts) < 2:
        raise SettingsError(f"an order needs two drafts or more, not {len(drafts)}.")
    known = {each.column: each for each in quantities(run.task)}
    if by is not None and by not in known:
        raise not_predicted("number", by, known)
    posts = run.draft_posts(drafts)[0]
    doubled = posts["post_id"][posts["post_id"].duplicated()].tolist()
    if doubled:
        raise SettingsError(f"two drafts are called {doubled[0]!r}. Give each another name.")
    authors = set(posts[AUTHOR_HASH])
    table = run.predict(drafts, callbacks, coverage)
    quantity = _quantity(table, known, by)
    held_out = held_out_posts(run, quantity)
    own = held_out.by(next(iter(authors))) if len(authors) == 1 else held_out
    enough = len(own) >= ENOUGH_POSTS
    shown = own if enough else held_out
    curve = WinCurve.fit(shown)
    ordered = table.iloc[np.argsort(-table[quantity.column].to_numpy(), kind="stable")]
    ordered = ordered.reset_index(drop=True)
    widening = flattery(shown, len(drafts), coverage)
    ordered, before = _widened(ordered, quantity, widening)
    return Ranking(
        by=quantity,
        table=_shown(ordered, quantity),
        pairs=_pairs(ordered, quantity, curve),
        curve=curve,
        own=enough and len(authors) == 1,
        widened=before,
    )


def held_out_posts(run: Run, quantity: Quantity, calibration: bool | None = None) -> HeldOut:
    """The posts that were predicted by a model that had not seen them, with what it said of a
    number and what that really was.

    Parameters
    ----------
    calibration
        Whether those that calibrated the intervals count beside the test posts. By default they do
        unless posts were held out by time: then models of far fewer posts predicted them, which
        puts posts in order worse than the run does.
    """
    if calibration is None:
        calibration = run.description["split"]["kind"] != "time"
    folders = [run.folder / CALIBRATION_FOLDER] * calibration + [run.folder]
    predicted, truth = (
        pd.concat(
            [read_frame(folder / name) for folder in folders if (folder / name).is_file()],
            ignore_index=True,
        )
        for name in (PREDICTIONS_FILE, TRUTH_FILE)
    )
    instants = run.parts.set_index("post_id")["posted_at"].reindex(predicted["post_id"])
    column = quantity.column
    return HeldOut.of(
        scaled(predicted[column], quantity),
        scaled(truth[column], quantity),
        truth["author"],
        instants.dt.tz_localize(None).to_numpy(),
    )


def scaled(values: Any, quantity: Quantity) -> Floats:
    """Numbers on the scale on which their errors are alike: counts as log(1 + count)."""
    numbers = np.asarray(values, np.float64)
    return np.log1p(numbers) if quantity.counts and not quantity.basis else numbers


def _unscaled(values: Floats, quantity: Quantity) -> Floats:
    return np.expm1(values) if quantity.counts and not quantity.basis else values


def _quantity(table: pd.DataFrame, known: Mapping[str, Quantity], by: str | None) -> Quantity:
    """What drafts are ordered by: the first number that is predicted for all of them."""
    usable = [name for name in known if name in table and table[name].notna().all()]
    if by is None and usable:
        return known[usable[0]]
    if by is None or by not in usable:
        what = "any number" if by is None else repr(by)
        others = f" There are: {', '.join(usable)}." if usable else ""
        raise SettingsError(
            f"not every draft can be ordered by {what}, since its prediction rests on something "
            f"unknown, such as the author's followers (--followers).{others}"
        )
    return known[by]


def _widened(
    table: pd.DataFrame, quantity: Quantity, widening: tuple[float, float]
) -> tuple[pd.DataFrame, tuple[float, float] | None]:
    """The table with the first draft's range widened, and what that was before."""
    low, high = f"{quantity.column}_low", f"{quantity.column}_high"
    if low not in table or not any(widening) or table[[low, high]].iloc[0].isna().any():
        return table, None
    before = (float(table[low].iloc[0]), float(table[high].iloc[0]))
    ends = scaled(before, quantity) + np.array([-1, 1]) * np.array(widening)
    wider = _unscaled(ends, quantity)
    wider[0] = max(wider[0], 0) if quantity.counts else wider[0]
    if quantity.counts and not quantity.basis:
        whole = wider.round(_DECIMALS)
        wider = np.array([np.floor(whole[0]), np.ceil(whole[1])])
    table = table.copy()
    table.loc[0, [low, high]] = wider
    return table, before


def _shown(table: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    numbers = [quantity.column, f"{quantity.column}_low", f"{quantity.column}_high"]
    columns = ["post_id", *(name for name in numbers if name in table)]
    notes = [name for name in ("assumed", "problem") if name in table]
    shown = table[[*columns, *notes]]
    shown.insert(0, "rank", np.arange(1, len(table) + 1))
    return shown


def _pairs(table: pd.DataFrame, quantity: Quantity, curve: WinCurve) -> pd.DataFrame:
    """Every pair of drafts, in the order of the table."""
    better, worse = np.triu_indices(len(table), 1)
    names = table["post_id"].to_numpy()
    values = scaled(table[quantity.column], quantity)
    chance, low, high = curve.chance(values[better] - values[worse])
    return pd.DataFrame(
        {
            "better": names[better],
            "worse": names[worse],
            "chance": chance,
            "chance_low": low,
            "chance_high": high,
            "close": (chance < 0.5 + _CLOSE) | (low <= 0.5),
        }
    )


def _of_100(share: float) -> str:
    """A share of a hundred: 0.62 as "62"."""
    return f"{100 * share:.0f}"
