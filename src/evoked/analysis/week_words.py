"""What posts show of hours and weekdays, in words: the same wherever it is said."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evoked.analysis.rhythm import HOURS
from evoked.analysis.week import APART, Week, hours_apart
from evoked.runs.spoken import WEEKDAYS, spoken


def about_hours(week: Week, noun: str) -> list[str]:
    """Whether an hour is reliably better or worse, and by how much.

    Parameters
    ----------
    noun
        What is counted, in words.
    """
    known = week.hours.dropna(subset=["gain"])
    if known.empty:
        few = f"{week.posts} posts of known time and {noun} are too few"
        return [f"No hour can be called better: {few}."]
    if np.ptp(known["hour"]) < APART:
        return ["No hour can be called better: all posts appeared at about the same time."]
    if week.best_hour is not None:
        best = known[known["hour"] == week.best_hour].iloc[0]
        near = known[hours_apart(known["hour"], best["hour"]) <= 1]
        return [
            f"Post at about {clock(best['hour'])}: {_gain(best, week, noun, 'hours')}"
            f"{_in_counts(best, week)}.",
            f"Of 100 such findings, the best hour really is {clock(best['hour'])} in "
            f"{100 * best['chance']:.0f}, and within an hour of it in "
            f"{100 * near['chance'].sum():.0f}.",
        ]
    if week.worst_hour is not None:
        worst = known[known["hour"] == week.worst_hour].iloc[0]
        return [
            f"No hour is reliably the best, but about {clock(worst['hour'])} is reliably worse: "
            f"{_gain(worst, week, noun, 'hours')}."
        ]
    guess = known.iloc[int(known["gain"].argmax())]
    if week.hours_differ:
        return [
            "Hours differ by more than chance explains, but none is reliably better. The best "
            f"guess is {clock(guess['hour'])}: {_gain(guess, week, noun, 'hours')}."
        ]
    return [
        f"No hour is reliably better: {noun} differ by the hour no more than chance makes them, or "
        f"too little to rely on. The best guess is {clock(guess['hour'])}: "
        f"{_gain(guess, week, noun, 'hours')}."
    ]


def about_weekdays(week: Week, noun: str) -> list[str]:
    """Whether a weekday is reliably better or worse, as of :func:`about_hours`; nothing where none
    is known."""
    known = week.weekdays.dropna(subset=["gain"])
    if known.empty:
        return []
    said = []
    if week.best_weekday is not None:
        best = known[known["weekday"] == week.best_weekday].iloc[0]
        said.append(
            f"The best weekday is {WEEKDAYS[week.best_weekday]}: {_gain(best, week, noun, 'days')}."
        )
    if week.worst_weekday is not None:
        worst = known[known["weekday"] == week.worst_weekday].iloc[0]
        but = "" if said else "No weekday is reliably the best, but "
        said.append(
            f"{but}{WEEKDAYS[week.worst_weekday]} is reliably worse: "
            f"{_gain(worst, week, noun, 'days')}."
        )
    if said:
        return said
    if week.weekdays_differ:
        best, worst = (
            known.iloc[int(each)] for each in (known["gain"].argmax(), known["gain"].argmin())
        )
        return [
            "Weekdays differ by more than chance explains, but none is reliably better. The best "
            f"guess is {WEEKDAYS[int(best['weekday'])]}: {_gain(best, week, noun, 'days')}; "
            f"{WEEKDAYS[int(worst['weekday'])]} looks worst: {_gain(worst, week, noun, 'days')}."
        ]
    return ["No weekday is reliably better."]


def usual_of(week: Week) -> str:
    """Whose hours others are compared with."""
    if week.authors == 1:
        return "your usual"
    return "the usual" if week.author is None else "the author's usual"


def clock(hour: float) -> str:
    """An hour of the day as a clock shows it: 18.5 as "18:30"."""
    minutes = int(float(hour) * 60 + 1e-6) % (HOURS * 60)
    return f"{minutes // 60}:{minutes % 60:02d}"


def percent(gain: float) -> str:
    """A gain as a share with its sign: 0.123 as "+12%"."""
    whole = round(100 * float(gain))
    return f"{'+' if whole > 0 else '−' if whole < 0 else ''}{abs(whole)}%"


def _gain(row: pd.Series, week: Week, noun: str, what: str) -> str:
    return (
        f"{percent(row['gain'])} {noun} against {usual_of(week)} {what} "
        f"({percent(row['low'])} to {percent(row['high'])})"
    )


def _in_counts(row: pd.Series, week: Week) -> str:
    level = week.level
    if not np.isfinite(level) or level * row["low"] < 1:
        return ""
    about, low, high = (spoken(level * row[name]) for name in ("gain", "low", "high"))
    return f", about {about} ({low} to {high}) more at the present level of {spoken(level)}"
