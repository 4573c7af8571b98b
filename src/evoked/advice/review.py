"""The ledger closed with what came: how often a run was right, and whether to trust it still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.special import bdtr, stdtrit

from evoked.advice.ledger import Entry, facts_of, read_ledger
from evoked.advice.pairs import Floats, HeldOut
from evoked.advice.ranking import ENOUGH_POSTS, held_out_posts, scaled
from evoked.advice.recognising import Match, recognise, unmatched
from evoked.advice.review_words import sentences
from evoked.evaluation.coverage import share_range
from evoked.evaluation.drift import Series, series_of, watch
from evoked.files import plain, records
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import are_published
from evoked.posts.dataset import PostDataset
from evoked.runs.answer import Quantity, quantities
from evoked.runs.posts import Run

# Fewer predictions that came true or not say nothing of whether to trust a run.
FEWEST = 10
# Fewer posts that followed an advice, or that didn't, say nothing of what following it does.
FEWEST_FOLLOWED = 5
# Ranges that held for so few would be chance in one of a hundred cases.
_RARE = 0.01
_JOINED = (
    "id",
    "set",
    "kind",
    "kept_at",
    "run",
    "post_id",
    "posted_at",
    "recognised_by",
    "could_be",
    "unmatched",
)


class Ranges(NamedTuple):
    """How often the ranges of one number held.

    Attributes
    ----------
    what
        Column of the number.
    noun
        What people call it.
    promised
        The share that was promised.
    held, posts
        How many held the truth, of how many posts.
    low, high
        95 % range of the share that holds.
    too_high
        How many posts got less than predicted.
    """

    what: str
    noun: str
    promised: float
    held: int
    posts: int
    low: float
    high: float
    too_high: int

    @property
    def name(self) -> str:
        """The number in a table: a rate by its column, a count by what it counts."""
        return self.noun if self.what == self.noun else self.what.replace("_", " ")

    @property
    def kept(self) -> bool:
        """Whether so few would hold by chance in more than one of a hundred cases."""
        return bool(bdtr(self.held, self.posts, self.promised) >= _RARE)


class Orders(NamedTuple):
    """How often the draft that was put first got more than the other.

    Attributes
    ----------
    right, pairs, posts
        How many pairs came in the order that was said, of how many, of how many posts.
    low, high
        95 % range of the share of pairs.
    brier, of_chances
        Mean squared distance between the chances that were said and what came, and the number of
        pairs of which one was said; 0.25 is what one half for each gets. NaN of none.
    """

    right: float
    pairs: int
    posts: int
    low: float
    high: float
    brier: float
    of_chances: int


class Followed(NamedTuple):
    """What posts got beside their prediction, those that followed an advice and those that didn't.

    Attributes
    ----------
    action
        Name of the action; "any" for all together.
    followed, others
        How many posts did as advised, and how many didn't.
    times, low, high
        By how much more those that followed got, as a factor, with its 95 % range (Welch's); NaN
        for fewer than five of either.
    advised
        The factor that was advised, in the middle; NaN where none was.
    """

    action: str
    followed: int
    others: int
    times: float
    low: float
    high: float
    advised: float


class Drift(NamedTuple):
    """That a number no longer comes as it did when the run was made.

    Attributes
    ----------
    noun
        What people call the number.
    kind
        One of :data:`evoked.evaluation.drift.KINDS`.
    since, noticed
        When it most probably began, and the post with which it was certain.
    """

    noun: str
    kind: str
    since: pd.Timestamp
    noticed: pd.Timestamp


@dataclass(frozen=True)
class Review:
    """A ledger held against the posts that came; made by :func:`review`.

    Attributes
    ----------
    kept, damaged
        How many lines the ledger has, and how many more could not be read.
    since
        When the first was kept; None for an empty ledger.
    table
        A row per line: what identifies it, when it was kept, ``post_id`` and ``posted_at`` of the
        post that it became, what that was ``recognised_by``, ``could_be`` (post_ids, where it could
        be one of several), ``unmatched`` (why it is none of the posts that were given, as of
        :data:`evoked.advice.recognising.Unmatched`, or ""), and of each number ``<name>``,
        ``<name>_low``, ``<name>_high`` as predicted and ``<name>_true``.
    ranges
        Of each number, on the last forecast of each post.
    orders
        None where no two drafts of an order have come.
    advice
        Of all actions together first; empty where no advice can be checked.
    drift
        Each time that misses had changed, oldest first.
    course
        A row per post that was watched for it: ``posted_at``, and ``wealth``, of
        :func:`evoked.evaluation.drift.watch`; empty where too few posts were held out to compare
        with.
    watched_noun
        What people call the number that was watched.
    newest
        When the newest of the posts that were given appeared; None where none was given.
    updated_at, taken_in
        When the run last took in new posts, and the date of the newest of these; None for never.
    """

    kept: int
    damaged: int
    since: pd.Timestamp | None
    table: pd.DataFrame
    ranges: list[Ranges]
    orders: Orders | None
    advice: list[Followed]
    drift: list[Drift]
    course: pd.DataFrame
    watched_noun: str
    newest: pd.Timestamp | None
    updated_at: pd.Timestamp | None
    taken_in: pd.Timestamp | None

    @property
    def watched(self) -> int:
        """How many posts were watched for drift."""
        return len(self.course)

    @property
    def came(self) -> int:
        """How many lines have become posts."""
        return int(self.table["post_id"].notna().sum())

    @property
    def ambiguous(self) -> pd.DataFrame:
        """Lines that could be one of several posts, or share a post with others of their set."""
        return self.table[self.table["could_be"].map(bool)]

    @property
    def current_drift(self) -> Drift | None:
        """The last change, unless the run has taken in the post with which it was noticed."""
        last = self.drift[-1] if self.drift else None
        if last is None or (self.taken_in is not None and self.taken_in >= last.noticed):
            return None
        return last

    @property
    def trust(self) -> str:
        """Whether to trust the run still: ``unknown``, ``no``, ``less`` (ranges hold for fewer than
        promised) or ``yes``."""
        if not self.ranges or max(each.posts for each in self.ranges) < FEWEST:
            return "unknown"
        if self.current_drift is not None:
            return "no"
        return "yes" if self.ranges[0].kept else "less"

    @property
    def sentences(self) -> list[str]:
        """What the ledger shows, in words; the last says whether to trust the run."""
        return sentences(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "kept": self.kept,
            "damaged": self.damaged,
            "since": None if self.since is None else self.since.isoformat(),
            "came": self.came,
            "ranges": [plain(each._asdict()) for each in self.ranges],
            "orders": None if self.orders is None else plain(self.orders._asdict()),
            "advice": [plain(each._asdict()) for each in self.advice],
            "drift": [plain(each._asdict()) for each in self.drift],
            "watched": self.watched,
            "updated_at": None if self.updated_at is None else self.updated_at.isoformat(),
            "trust": self.trust,
            "lines": plain(records(self.table)),
            "sentences": self.sentences,
        }


def review(run: Run, posts: PostDataset | None = None, *, now: datetime | None = None) -> Review:
    """Hold a run's ledger against the posts that have come since.

    Parameters
    ----------
    run
        The run.
    posts
        A dataset with the posts that came, imported anew; without it, nothing has come.
    now
        The time, with a time zone; this moment by default.

    Raises
    ------
    DataError
        The ledger is larger than 64 MiB or can't be read.
    """
    ledger = read_ledger(run.folder)
    joined = _Joined.of(run, ledger.entries, posts, now or datetime.now(UTC))
    updates = run.description.get("updates", [])
    retrained = [each["at"] for each in updates if each["retrained"]]
    # What another model said shows nothing of this one.
    current = joined.since(retrained[-1]) if retrained else joined
    drift, course, noun = _drift(run, current)
    return Review(
        kept=len(ledger.entries),
        damaged=ledger.damaged,
        since=pd.Timestamp(ledger.entries[0].kept_at) if ledger.entries else None,
        table=joined.table(),
        ranges=_ranges(current),
        orders=_orders(current),
        advice=_advice(current),
        drift=drift,
        course=course,
        watched_noun=noun,
        newest=joined.newest,
        updated_at=pd.Timestamp(updates[-1]["at"]) if updates else None,
        taken_in=max(
            (pd.Timestamp(each["last"]) for each in updates if each["last"]), default=None
        ),
    )


@dataclass(frozen=True)
class _Joined:
    """Lines with the posts that they became, and what those really got.

    truth has a row per post; facts are what each post is like; reasons are why lines became none,
    '' where they did or no posts were given; newest is when the newest of all posts appeared.
    """

    entries: list[Entry]
    matches: list[Match]
    posts: pd.DataFrame
    truth: pd.DataFrame
    facts: list[dict[str, Any]]
    numbers: dict[str, Quantity]
    reasons: list[str]
    newest: pd.Timestamp | None = None

    @classmethod
    def of(cls, run: Run, entries: list[Entry], dataset: PostDataset | None, now: datetime) -> Self:
        numbers = {each.column: each for each in quantities(run.task)}
        nothing = pd.DataFrame({"post_id": [], "posted_at": pd.to_datetime([], utc=True)})
        if dataset is None or not entries:
            matches, reasons = [Match()] * len(entries), [""] * len(entries)
            return cls(entries, matches, nothing, nothing, [], numbers, reasons)
        first = pd.Timestamp(entries[0].kept_at).tz_convert("UTC").normalize()
        dates = pd.to_datetime(dataset.posts["posted_at"], utc=True)
        came = np.flatnonzero(are_published(dataset.posts) & (dates >= first).to_numpy())
        posts = run.dataset_posts(dataset).iloc[came].reset_index(drop=True)
        covers = dataset.cover_paths()
        images = [covers[row] for row in came]
        facts = facts_of(posts)
        matches = recognise(entries, posts, images)
        newest = None if dates.isna().all() else dates.max()
        reasons = _reasons(entries, matches, dataset.posts, dates, now)
        truth = run.task.truth(posts)
        return cls(entries, matches, posts, truth, facts, numbers, reasons, newest)

    def since(self, when: str) -> _Joined:
        """The lines that were kept after a moment."""
        moment = pd.Timestamp(when)
        chosen = [row for row, each in enumerate(self.entries) if each.kept_at >= moment]
        return _Joined(
            [self.entries[row] for row in chosen],
            [self.matches[row] for row in chosen],
            self.posts,
            self.truth,
            self.facts,
            self.numbers,
            [self.reasons[row] for row in chosen],
            self.newest,
        )

    def true(self, row: int, name: str) -> float:
        """What a post got of a number; NaN where unknown."""
        return float(self.truth[name].iloc[row]) if name in self.truth else float("nan")

    def forecasts(self, name: str) -> list[tuple[Entry, int]]:
        """The last forecast of a number for each post of which it is known, with the post's
        position, in the order in which the posts appeared."""
        last: dict[int, Entry] = {}
        for entry, match in zip(self.entries, self.matches, strict=True):
            if match.row is not None and name in entry.predicted:
                last[match.row] = entry
        known = [row for row in last if np.isfinite(self.true(row, name))]
        known.sort(key=lambda row: self.posts["posted_at"].iloc[row])
        return [(last[row], row) for row in known]

    def table(self) -> pd.DataFrame:
        """See :attr:`Review.table`."""
        rows = []
        names = [name for name in self.numbers if any(name in e.predicted for e in self.entries)]
        for entry, match, why in zip(self.entries, self.matches, self.reasons, strict=True):
            post = None if match.row is None else self.posts.iloc[match.row]
            row = {
                "id": entry.id,
                "set": entry.set,
                "kind": entry.kind,
                "kept_at": pd.Timestamp(entry.kept_at),
                "run": entry.run,
                "post_id": None if post is None else post["post_id"],
                "posted_at": pd.NaT if post is None else post["posted_at"],
                "recognised_by": match.by,
                "could_be": "|".join(self.posts["post_id"].iloc[list(match.candidates)]),
                "unmatched": why,
            }
            for name in names:
                middle, low, high = entry.predicted.get(name, (None, None, None))
                row |= {name: middle, f"{name}_low": low, f"{name}_high": high}
                row[f"{name}_true"] = np.nan if match.row is None else self.true(match.row, name)
            rows.append(row)
        numbers = [f"{name}{end}" for name in names for end in ("", "_low", "_high", "_true")]
        table = pd.DataFrame(rows, columns=[*_JOINED, *numbers])
        return table.astype({name: np.float64 for name in numbers})


def _reasons(
    entries: Sequence[Entry],
    matches: Sequence[Match],
    posts: pd.DataFrame,
    dates: pd.Series,
    now: datetime,
) -> list[str]:
    """Why each line is none of the posts, '' where it is one or could be one of several."""
    whose = author_hashes(posts)
    newest = dates.groupby(whose).max().dropna()
    found: list[str] = []
    for entry, match in zip(entries, matches, strict=True):
        own = newest[[not entry.author or each in (entry.author, "") for each in newest.index]]
        last = own.max() if len(own) else None
        clear = match.row is None and not match.candidates
        found.append(unmatched(entry, set(whose), last, now) if clear else "")
    return found


def _ranges(joined: _Joined) -> list[Ranges]:
    found = []
    for name, quantity in joined.numbers.items():
        inside, below, promised = [], 0, set()
        for entry, row in joined.forecasts(name):
            middle, low, high = entry.predicted[name]
            if low is None or high is None:
                continue
            true = joined.true(row, name)
            inside.append(low <= true <= high)
            below += true < middle
            promised.add(entry.coverage)
        # Ranges that promise differently can't be counted together.
        if inside and len(promised) == 1:
            held, number = sum(inside), len(inside)
            ends = share_range(held, number)
            found.append(
                Ranges(name, quantity.noun, promised.pop(), held, number, *ends, too_high=below)
            )
    return found


def _orders(joined: _Joined) -> Orders | None:
    sets: dict[str, list[tuple[Entry, int]]] = {}
    for entry, match in zip(joined.entries, joined.matches, strict=True):
        if entry.kind == "rank" and match.row is not None and "place" in entry.said:
            sets.setdefault(entry.set, []).append((entry, match.row))
    right, pairs, squares, posts = 0, 0, [], set()
    for drafts in sets.values():
        drafts.sort(key=lambda each: each[0].said["place"])
        for (first, one), (second, other) in combinations(drafts, 2):
            name = str(first.said.get("by"))
            got = joined.true(one, name) - joined.true(other, name)
            if not got or not np.isfinite(got):
                continue
            won, pairs = got > 0, pairs + 1
            right += won
            posts |= {one, other}
            between = second.said["place"] - first.said["place"]
            chances = first.said.get("chances", [])
            if between <= len(chances):
                squares.append((chances[between - 1] - won) ** 2)
    if not pairs:
        return None
    # Pairs that share a post say less: together they count as many as if each stood in one.
    share = min(len(posts) / 2 / pairs, 1.0)
    low, high = share_range(right * share, pairs * share)
    brier = float(np.mean(squares)) if squares else float("nan")
    return Orders(right, pairs, len(posts), low, high, brier, len(squares))


def _advice(joined: _Joined) -> list[Followed]:
    beside: dict[str, list[tuple[bool, float, float]]] = {}
    last = {
        match.row: entry
        for entry, match in zip(joined.entries, joined.matches, strict=True)
        if match.row is not None and entry.said.get("actions")
    }
    for row, entry in last.items():
        name = str(entry.said.get("by", next(iter(entry.predicted), "")))
        true = joined.true(row, name)
        if name not in entry.predicted or not np.isfinite(true):
            continue
        quantity = joined.numbers[name]
        got, expected = scaled([true, entry.predicted[name][0]], quantity)
        did = []
        for action in entry.said["actions"]:
            followed = has_followed(entry.facts, action["facts"], joined.facts[row])
            did.append(followed)
            effect = float((action.get("effect") or [np.nan])[0])
            beside.setdefault(action["action"], []).append((followed, got - expected, effect))
        effects = [(action.get("effect") or [np.nan])[0] for action in entry.said["actions"]]
        beside.setdefault("any", []).append((any(did), got - expected, float(np.mean(effects))))
    names = ["any", *(name for name in beside if name != "any")] if beside else []
    return [_compared(name, beside[name]) for name in names]


def has_followed(
    before: Mapping[str, Any], advised: Mapping[str, Any], came: Mapping[str, Any]
) -> bool:
    """Whether a post is what an action would have made of the draft.

    Numbers are if they are nearer to what was advised than to the draft's (hours around the clock),
    hashtags if those that were to be added are there and those to be left out aren't, everything
    else if it is the same.

    Parameters
    ----------
    before, advised, came
        Facts of the draft, those that the action changes, and those of the post.
    """
    return bool(advised) and all(
        _is_done(name, before.get(name), wanted, came.get(name)) for name, wanted in advised.items()
    )


def _is_done(name: str, before: Any, wanted: Any, came: Any) -> bool:
    if isinstance(wanted, list):
        had, now = set(before or []), set(came or [])
        return set(wanted) - had <= now and not (had - set(wanted)) & now
    numbers = [each for each in (before, wanted, came) if isinstance(each, int | float)]
    if len(numbers) < 3 or isinstance(wanted, bool):
        return bool(came == wanted)
    size = {"hour": 24, "weekday": 7}.get(name, np.inf)
    near, far = (abs(came - each) for each in (wanted, before))
    return bool(min(near, size - near) < min(far, size - far))


def _compared(action: str, rows: Sequence[tuple[bool, float, float]]) -> Followed:
    did = np.array([followed for followed, _, _ in rows])
    miss, effects = (np.array([row[place] for row in rows]) for place in (1, 2))
    groups = miss[did], miss[~did]
    advised = float(np.exp(np.nanmean(effects))) if np.isfinite(effects).any() else float("nan")
    followed, others = map(len, groups)
    times, low, high = [float("nan")] * 3
    if min(followed, others) >= FEWEST_FOLLOWED:
        times, low, high = np.exp(_welch(*groups)).tolist()
    return Followed(action, followed, others, times, low, high, advised)


def _welch(one: Floats, other: Floats) -> Floats:
    """Difference of two means, with its 95 % range (Welch 1947), (3,)."""
    parts = [each.var(ddof=1) / len(each) for each in (one, other)]
    error = float(np.sqrt(sum(parts)))
    middle = float(one.mean() - other.mean())
    if error == 0:
        return np.array([middle] * 3)
    shares = [part**2 / (len(each) - 1) for part, each in zip(parts, (one, other), strict=True)]
    reach = float(stdtrit(error**4 / sum(shares), 0.975)) * error
    return np.array([middle, middle - reach, middle + reach])


def _drift(run: Run, joined: _Joined) -> tuple[list[Drift], pd.DataFrame, str]:
    """When the first number with forecasts had changed, what watching its posts has shown, and what
    people call it."""
    nothing = pd.DataFrame({"posted_at": pd.to_datetime([], utc=True), "wealth": np.empty(0)})
    name = next((each for each in joined.numbers if joined.forecasts(each)), None)
    if name is None:
        return [], nothing, ""
    came, quantity = joined.forecasts(name), joined.numbers[name]
    past = _reference(run, quantity, [entry for entry, _ in came])
    if len(past) < ENOUGH_POSTS:
        return [], nothing, quantity.noun
    true = scaled([joined.true(row, name) for _, row in came], quantity)
    predicted = scaled([entry.predicted[name][0] for entry, _ in came], quantity)
    authors = [*past.authors, *(entry.author for entry, _ in came)]
    series = series_of(
        [*past.true, *true], [*(past.true - past.predicted), *(true - predicted)], authors
    )
    known = np.isfinite(series.values)
    new = np.arange(len(known)) >= len(past)
    reference, watched = (Series(*(each[known & part] for each in series)) for part in (~new, new))
    dates = [joined.posts["posted_at"].iloc[row] for (_, row) in came]
    dates = [date for date, kept in zip(dates, known[new], strict=True) if kept]
    shown = watch(reference, watched)
    found = [
        Drift(quantity.noun, each.kind, dates[each.since], dates[each.at]) for each in shown.alarms
    ]
    course = pd.DataFrame({"posted_at": pd.to_datetime(dates, utc=True), "wealth": shown.wealth})
    return found, course, quantity.noun


def _reference(run: Run, quantity: Quantity, entries: Sequence[Entry]) -> HeldOut:
    """Posts that were held out when the run was made, and appeared before anything was kept: their
    author's own, if all that came is by one whose are enough."""
    first = np.datetime64(min(entry.kept_at for entry in entries).replace(tzinfo=None))
    held_out: HeldOut = held_out_posts(run, quantity, calibration=True)
    held_out = held_out.select(~(held_out.posted_at >= first))
    authors = {entry.author for entry in entries}
    own = held_out.by(next(iter(authors)))
    return own if len(authors) == 1 and len(own) >= ENOUGH_POSTS else held_out
