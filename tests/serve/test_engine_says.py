"""Every turn that the engine's sentences can take, said again: none is left in English."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evoked.advice import tested
from evoked.advice.actions import PICTURE, Action
from evoked.advice.advising import LABELS, Advice, Advised, Label, _uncompared
from evoked.advice.effects import UNKNOWN
from evoked.advice.hours import DraftHours, Hours
from evoked.advice.planning import HOURS_QUESTION, OWN_QUESTION, QUESTIONS, Plan
from evoked.advice.ranking import Ranking
from evoked.advice.review import Drift, Followed, Orders
from evoked.advice.review_words import sentences
from evoked.analysis.works.findings import Works
from evoked.runs.answer import Quantity
from evoked.runs.drafts import _assumption, unknown_author
from evoked.serve.said import said
from evoked.serve.wording import DEFAULT, languages

OTHERS = [code for code in languages() if code != DEFAULT]
LIKES = Quantity("likes", "likes")
RATE = Quantity("likes_rate", "likes", "followers")
VALENCE = Quantity("valence", "valence", counts=False)
NOON = pd.Timestamp("2030-01-07 12:00", tz="UTC")


def varied(
    usual: Mapping[str, Any], others: Mapping[str, Iterable[Any]]
) -> Iterator[dict[str, Any]]:
    """What is usual, and with each other value of one thing."""
    yield dict(usual)
    for name, values in others.items():
        for value in values:
            yield {**usual, name: value}


def week(**facts: Any) -> Any:
    gains = {"low": -0.3, "high": 0.4, "posts": 3}
    hours = pd.DataFrame({"hour": range(24), "gain": np.linspace(-0.2, 0.3, 24), "chance": 1 / 24})
    days = pd.DataFrame({"weekday": range(7), "gain": np.linspace(-0.2, 0.3, 7), "chance": 1 / 7})
    usual: dict[str, Any] = {
        "hours": hours.assign(**gains),
        "weekdays": days.assign(**gains),
        **dict.fromkeys(("best_hour", "worst_hour", "best_weekday", "worst_weekday", "author")),
        **{"hours_differ": False, "weekdays_differ": False, "dated": True, "adjusted": 0},
        **{"posts": 50, "own_posts": 10, "authors": 1, "level": 1234.5, "spread": 0.8},
        "to_try": (18, 9),
    }
    return SimpleNamespace(**usual | facts)


def of_hours() -> Iterator[str]:
    usual = week()
    sure = usual.hours.assign(low=0.1)
    weeks = [
        usual,
        week(best_hour=23),
        week(best_hour=23, hours=sure),
        week(best_hour=23, hours=sure, authors=3, author="x"),
        week(worst_hour=0),
        week(hours_differ=True),
        week(hours=usual.hours.assign(gain=np.nan)),
        week(hours=usual.hours.head(1)),
        week(best_weekday=6),
        week(worst_weekday=0),
        week(best_weekday=6, worst_weekday=0),
        week(weekdays_differ=True, authors=2),
        week(weekdays=usual.weekdays.assign(gain=np.nan)),
        week(adjusted=40, authors=12, author="x"),
        week(adjusted=50, dated=False, authors=3),
        week(dated=False),
        *(week(spread=spread) for spread in (9.0, float("nan"))),
    ]
    draft = DraftHours(0, 18.5, 120.0, 80.0, 200.0, 18, 150.0, 100.0, 180.0)
    drafts = [None, draft, draft._replace(low=math.nan), draft._replace(best_hour=3)]
    for each in weeks:
        for made in varied(
            {"by": "likes", "undated": 0, "known_posts": 50, "time_zone": None, "draft": None},
            {"by": ["reach"], "undated": [5], "known_posts": [60], "draft": drafts}
            | {"time_zone": ["Europe/Berlin"]},
        ):
            yield from Hours(week=each, **made).sentences


def of_orders() -> Iterator[str]:
    curve = SimpleNamespace(pairs=1200, posts=2000, authors=3, right=0.66, orders=True)
    curves = [
        SimpleNamespace(**vars(curve) | changed)
        for changed in ({"pairs": 0}, {"orders": False}, {"pairs": 1, "authors": 1})
    ]
    names = ["1", "2", "3"]
    for by in (LIKES, RATE, VALENCE):
        table = pd.DataFrame({"post_id": names, "rank": [1, 2, 3], by.column: [0.5, 0.4, 0.3]})
        pairs = pd.DataFrame({"better": ["1", "1", "2"], "worse": ["2", "3", "3"]})
        pairs = pairs.assign(chance=0.62, chance_low=0.55, chance_high=0.7, close=False)
        for made in varied(
            {"pairs": pairs, "curve": curve, "own": True, "widened": None},
            {"pairs": [pairs.assign(close=close) for close in ([True, False, False], True)]}
            | {"curve": curves, "own": [False], "widened": [(0.1, 0.9)]},
        ):
            yield from Ranking(by=by, table=table, **made).sentences


def advised(about: str, label: Label, gain: float, before: str) -> Advised:
    action = Action(about, "", before, "yes")
    return Advised(action, 0.2, 0.1, 0.4, gain, 10.0, 60.0, 1200, 30, 1.234, 0.91, label, 0.1)


def of_advice() -> Iterator[str]:
    usual = {"about": "question", "label": "adjusted", "gain": 30.0, "before": "no"}
    others: dict[str, Iterable[Any]] = {"about": [PICTURE, "hour"], "label": LABELS}
    for made in varied(usual, others | {"gain": [math.nan], "before": [UNKNOWN]}):
        one = advised(**made)
        yield from (one.evidence(True), one.evidence(False), f"{one.worth('likes')}.")
    later = advised("hour", "adjusted", 30.0, UNKNOWN)
    yield from (later.evidence(True), *LABELS.values())
    rows = pd.DataFrame({"about": ["question", "day"], "label": "adjusted"})
    rows = rows.assign(raw=0.1, raw_high=0.4)
    tables = [rows.head(1), rows.tail(1), rows.iloc[:0]]
    for own in (True, False):
        for made in varied(
            {"looked_at": rows, "advised": (later,), "posts": 60, "known_posts": 60},
            {"looked_at": tables, "advised": [()], "posts": [0], "known_posts": [70]}
            | {"resembles": [False]},
        ):
            facts: dict[str, Any] = {"draft": None, "answer": None, "own_posts": 12, "notes": ()}
            yield from Advice(by=LIKES, own=own, authors=12, **facts | made).sentences
        yield from _uncompared([PICTURE], [], own, 60)  # type: ignore[list-item]


def plan(question: str, arms: tuple[str, str], zone: str | None, spread: float, posts: int) -> Plan:
    start = datetime(2030, 1, 7, 18, tzinfo=UTC)
    moments = tuple(start + timedelta(days=2 * number) for number in range(posts))
    drawn = tuple(number % 2 for number in range(posts))
    return Plan(question, arms, "likes", "", zone, 0, spread, start, moments, drawn)


def of_plans() -> Iterator[str]:
    own = ("a “quoted” & one", "b, and c")
    arms = {HOURS_QUESTION: ("at 18:00", "at 9:30"), OWN_QUESTION: own, **QUESTIONS}
    for question, both in arms.items():
        for made in varied(
            {"zone": "Europe/Berlin", "spread": 0.5, "posts": 12},
            {"zone": [None], "spread": [3.0, math.nan], "posts": [1]},
        ):
            yield from plan(question, both, **made).sentences
        drawn = plan(question, both, None, 0.5, 12)
        differences = [
            tested.Difference(-0.5, -0.7, -0.1, 0.01),
            tested.Difference(0.1, -0.2, 0.4, 0.5),
            None,
        ]
        for made in varied(
            {"missing": 0, "ahead": 0, "strayed": None}
            | {"difference": tested.Difference(0.5, 0.1, 0.9, 0.01)},
            {"missing": [2], "ahead": [3, 12], "strayed": [1], "difference": differences},
        ):
            yield from tested.Tested(plan=drawn, counts=(6, 5), newest=NOON, **made).sentences


def ranges(name: str = "likes", low: float = 0.5, kept: bool = True, posts: int = 10) -> Any:
    facts = {"promised": 0.8, "held": 8, "posts": posts, "high": 0.95, "too_high": 4}
    return SimpleNamespace(name=name, low=low, kept=kept, **facts)


def of_ledgers() -> Iterator[str]:
    why = ["author"] * 5 + ["undated", "ahead", "backdated", "older", "unlike", ""]
    kinds = ["prediction", "rank", "advice", "hours"]
    table = pd.DataFrame({"unmatched": why, "kept_at": NOON})
    table["kind"] = [kinds[row % 4] for row in range(len(table))]
    order = Orders(7.0, 10, 8, 0.6, 0.9, 0.2, 9)
    orders = [order, order._replace(brier=0.3, low=0.4), order._replace(of_chances=0)]
    follow = Followed("any", 6, 7, 2.5, 1.5, 3.0, 1.2)
    follows = [follow, follow._replace(low=0.8), follow._replace(followed=1, times=math.nan)]
    drift = [Drift("likes", kind, NOON, NOON) for kind in ("lower", "higher", "wider")]
    usual: dict[str, Any] = {
        **{"kept": 3, "came": 3, "table": table, "ranges": [ranges()], "orders": None},
        **{"advice": [], "trust": "yes", "current_drift": None, "drift": [], "watched": 30},
        **dict.fromkeys(("newest", "updated_at"), NOON),
    }
    known = [[ranges("likes rate"), ranges("valence", kept=False)], [ranges(low=0.85)]]
    some: dict[str, Iterable[Any]] = {
        **{"kept": [0], "came": [0], "table": [table.tail(1)], "ranges": known, "orders": orders},
        **{"advice": [[each] for each in follows], "trust": ["less"], "current_drift": drift},
        **{"drift": [drift[: number + 1] for number in range(3)], "watched": [0]},
    }
    reviews = [
        *varied(usual, some),
        *varied(usual | {"trust": "less", "orders": order}, {"orders": orders}),
        *varied(usual | {"trust": "unknown"}, {"ranges": [[], [ranges(posts=1)]]}),
        *varied(usual | {"came": 0, "table": table.tail(1)}, {}),
    ]
    for review in reviews:
        yield from sentences(SimpleNamespace(**review))  # type: ignore[arg-type]


def of_works() -> Iterator[str]:
    phrases = ("with a question", "with #sun", "whose caption is under 80 characters long", "x: y")
    table = pd.DataFrame({"phrase": [*phrases[:3], "between 3:00 and 6:00 UTC"]})
    table["effect"] = [0.28, -0.2, 1.5, 0.001]
    table["low"], table["high"] = table["effect"] - 0.1, table["effect"] + 0.2
    table["kind"] = list(phrases)
    table = table.assign(having=1200, lacking=30, p=0.01, beside="", stands=True)
    table["p_corrected"] = [0.004, 0.3, 0.02, 0.5]
    around = ["hour", "day of the week", "length of the caption", "number of hashtags"]
    for dated in (True, False):
        for made in varied(
            {"table": table, "around": [*around, "format", "faces"], "week": None},
            {"table": [table.assign(stands=False), table.head(0)], "around": [[], ["hour"]]}
            | {"week": [week(best_hour=23)]},
        ):
            facts = {"dated": dated, "relative": np.zeros(1234)}
            effects: Any = SimpleNamespace(table=made["table"], **facts)
            found = Works("likes", effects, 321.0, {}, made["around"], "", made["week"])
            yield from (*found.sentences, found.how)
    hour: Any = SimpleNamespace(table=table.assign(kind="hour"), dated=True, relative=np.zeros(9))
    yield from Works("likes", hour, 321.0, {}, [], "", None).sentences


def of_drafts() -> Iterator[str]:
    counts = {"followers": 1200, "following": 300, "author_posts": 56}
    for own in ("your", "the author's"):
        for filled in ({}, {"followers": 1200}, counts):
            for text in (_assumption(True, filled, own), _assumption(False, filled, own)):
                if text:
                    yield text
    for number in (1, 5):
        authors: Any = SimpleNamespace(number=number)
        yield from (unknown_author(authors, None), unknown_author(authors, "somebody else"))


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize(
    "made", [of_hours, of_orders, of_advice, of_plans, of_ledgers, of_works, of_drafts]
)
def test_no_turn_of_a_sentence_stays_english(made: Callable[[], Iterator[str]], code: str) -> None:
    found = set(made())
    assert len(found) > 5
    assert [text for text in sorted(found) if said(text, code).code != code] == []
