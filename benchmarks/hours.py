"""Are the hours found at which posts get more, and none where there is none?

Synthetic accounts: log likes are a level that wanders and goes up and down with the seasons, an
hour's effect, and chance with a standard deviation of .55. Half of the posts appear around an
author's usual hour, the others anywhen from 7 to 23. The effect is a cosine or a narrower bump with
its peak at any hour from 8 to 21, 25 % or 40 % above the account's usual hours. Null accounts have
none: their chance is normal or heavy-tailed (Student's t with 3 degrees of freedom), or their hours
move from morning to evening while the account grows fivefold.

Beside ours stand what schedulers do, the hour with the largest mean of likes, the same among hours
with at least 5 posts, and any hour. Regret is the mean of log likes that are lost against the true
best hour, times 100: about per cent.

Real posts: what runs of evoked's default model say, and whether what the first half of each
author's posts shows of the hours predicts the second half (halves by lot where posts have no
dates): the share of the variance within authors that it explains there, with a 95 % interval of
1,000 resamples of posts; beside it the mean of each hour.

Run: ``python benchmarks/hours.py --data FOLDER --json FILE``. What is absent is skipped, with the
reason. The last line is JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from peers import DATASETS
from record import add_json_option, finish, table

import evoked
from evoked.analysis.week import Week, hours_apart
from evoked.evaluation.bootstrap import bootstrap_draws, interval_bounds
from evoked.runs.past import EXPECTED, read_past

Floats = NDArray[np.float64]
Curve = Callable[[ArrayLike], Floats]

SIZES, NULL_SIZES = (50, 100, 200), (50, 200)
GAINS = (0.25, 0.4)
ACCOUNTS, NULL_ACCOUNTS = 200, 300
CHANCE = 0.55
COMMON_SETS, COMMON_AUTHORS, COMMON_POSTS = 4, 20, 50
NULLS = ("normal", "heavy tails", "hours move while it grows")
REAL = ("instagram_top20", "facebook_metrics", "youtube_titles")
FEWEST_OF_HOUR = 5
RESAMPLES = 1000


@dataclass(frozen=True)
class Account:
    """Posts of an account whose truth is known.

    Attributes
    ----------
    posts
        As a run keeps them.
    peak
        The best hour, from 0 to 23.
    curve
        Log likes that an hour adds.
    """

    posts: pd.DataFrame
    peak: int
    curve: Curve


def account(
    generator: np.random.Generator,
    size: int,
    gain: float,
    kind: str = "normal",
    peak: int | None = None,
    author: str = "a",
) -> Account:
    """Draw an account."""
    peak = int(generator.integers(8, 22)) if peak is None else peak
    sharp = generator.random() < 0.5
    days = np.sort(generator.uniform(0, 1.5 * size, size))
    usual = generator.uniform(9, 21)
    around = generator.normal(usual, 3.5, size) % 24
    level = np.cumsum(generator.normal(0, 0.2 / np.sqrt(size), size)) + 0.3 * np.sin(days / 60)
    hour = np.where(generator.random(size) < 0.5, around, generator.uniform(7, 23, size))
    chance = generator.standard_normal(size)
    if kind == "heavy tails":
        chance = generator.standard_t(3, size) / np.sqrt(3)
    if kind == "hours move while it grows":
        share = days / days.max()
        hour = (8 + 11 * share + generator.normal(0, 2, size)) % 24
        level += np.log(5) * share

    def shape(at: ArrayLike) -> Floats:
        turn = np.cos(2 * np.pi * (np.asarray(at) - peak - 0.5) / 24)
        return np.asarray(np.exp(2 * (turn - 1)) if sharp else turn)

    size_of = np.log1p(gain) / (1 - shape(hour).mean()) if gain else 0.0

    def curve(at: ArrayLike) -> Floats:
        return np.asarray(size_of * shape(at))

    likes = np.round(np.exp(7 + level + curve(hour) + CHANCE * chance))
    start = pd.Timestamp("2023-01-01", tz="UTC")
    posts = pd.DataFrame(
        {
            "author": author,
            "posted_at": start + pd.to_timedelta(np.floor(days) * 24 + hour, unit="h"),
            "hour": hour,
            "likes": likes,
            f"likes{EXPECTED}": np.nan,
        }
    )
    posts["weekday"] = posts["posted_at"].dt.day_of_week
    return Account(posts, peak, curve)


def busiest(posts: pd.DataFrame, fewest: int) -> int | None:
    """The hour with the largest mean of likes, among hours with enough posts."""
    likes = posts.groupby(posts["hour"].astype(int))["likes"].agg(["mean", "size"])
    likes = likes[likes["size"] >= fewest]
    return None if likes.empty else int(likes.index.to_numpy()[likes["mean"].argmax()])


def within_an_hour(hour: int | None, peak: int) -> bool:
    return hour is not None and bool(hours_apart(hour, peak) <= 1)


def judged(truth: Account, week: Week) -> dict[str, float]:
    """What one account's answer is worth, beside the others'."""
    usual = float(truth.curve(truth.posts["hour"].to_numpy()).mean())
    best = float(truth.curve(truth.peak + 0.5))
    naive, of_five = busiest(truth.posts, 1), busiest(truth.posts, FEWEST_OF_HOUR)

    def lost(hour: int | None) -> float:
        got = usual if hour is None else float(truth.curve(hour + 0.5))
        return 100 * (best - got)

    return {
        "answered": week.best_hour is not None,
        "found": within_an_hour(week.best_hour, truth.peak),
        "guessed": within_an_hour(week.to_try[0], truth.peak),
        "naive": within_an_hour(naive, truth.peak),
        "naive of 5": within_an_hour(of_five, truth.peak),
        "regret": lost(week.best_hour),
        "regret, best guess": lost(week.to_try[0]),
        "regret, naive": lost(naive),
        "regret, naive of 5": lost(of_five),
        "regret, any hour": lost(None),
    }


def planted() -> pd.DataFrame:
    """Accounts of their own with a planted peak."""
    rows = []
    for gain in GAINS:
        for size in SIZES:
            generator = np.random.default_rng([size, round(100 * gain)])
            accounts = [account(generator, size, gain) for _ in range(ACCOUNTS)]
            found = [judged(each, Week.of(each.posts, "likes")) for each in accounts]
            rows.append(
                {"peak": f"+{gain:.0%}", "posts": size, "accounts": ACCOUNTS, **mean_of(found)}
            )
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def common() -> pd.DataFrame:
    """Authors whose peaks lie within an hour of each other: alone, and drawn to everyone's."""
    alone, together = [], []
    for number in range(COMMON_SETS):
        generator = np.random.default_rng([3, number])
        peak = int(generator.integers(9, 21))
        peaks = peak + generator.integers(-1, 2, COMMON_AUTHORS)
        accounts = [
            account(generator, COMMON_POSTS, GAINS[0], "normal", int(own), str(name))
            for name, own in enumerate(peaks)
        ]
        posts = pd.concat([each.posts for each in accounts], ignore_index=True)
        for name, each in enumerate(accounts):
            alone.append(judged(each, Week.of(each.posts, "likes")))
            together.append(judged(each, Week.of(posts, "likes", str(name))))
    rows = [
        {"authors": how, "posts of each": COMMON_POSTS, "accounts": len(found), **mean_of(found)}
        for how, found in (("each alone", alone), ("drawn to all 20", together))
    ]
    print(rows, flush=True)
    return pd.DataFrame(rows)


def nulls() -> pd.DataFrame:
    """How often nothing is found where nothing is."""
    rows = []
    for kind in NULLS:
        for size in NULL_SIZES:
            generator = np.random.default_rng([size, NULLS.index(kind), 9])
            weeks = [
                Week.of(account(generator, size, 0, kind).posts, "likes")
                for _ in range(NULL_ACCOUNTS)
            ]
            hours = np.array([week.best_hour is None for week in weeks])
            days = np.array([week.best_weekday is None for week in weeks])
            rows.append(
                {
                    "chance": kind,
                    "posts": size,
                    "accounts": NULL_ACCOUNTS,
                    "no hour": hours.mean(),
                    "no weekday": days.mean(),
                    "neither": (hours & days).mean(),
                }
            )
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def mean_of(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


def real(name: str, data: Path, work: Path) -> dict[str, Any]:
    """What a run of real posts says, and whether its first half predicts the second."""
    posts = DATASETS[name].imported(data, work / name)
    run = evoked.train(posts, None, work / f"{name}-run")
    found = evoked.when(run)
    times, kinds = read_past(run.folder)
    kind = kinds[0]
    values = np.log1p(times[kind]) - times[f"{kind}{EXPECTED}"].fillna(0)
    times = times.assign(
        value=values, group=times["author"] + times[f"{kind}{EXPECTED}"].notna().astype(str)
    )
    times = times[times["value"].notna()]
    order = np.random.default_rng(0).permutation(len(times))
    times = times.iloc[order].sort_values("posted_at", kind="stable")
    place = times.groupby("group").cumcount() / times.groupby("group")["group"].transform("size")
    first, second = times[place < 0.5], times[place >= 0.5]
    week = Week.of(first, kind)
    ours = week.effects(second["hour"], second["weekday"]).mean(axis=0)
    off = first["value"] - first.groupby("group")["value"].transform("mean")
    by_hour = off.groupby(first["hour"].astype(int)).mean()
    naive = second["hour"].astype(int).map(by_hour).fillna(0).to_numpy(np.float64)
    several = second.groupby("group")["group"].transform("size") > 1
    true, ours, naive = (
        (series - series.groupby(second["group"]).transform("mean"))[several].to_numpy(np.float64)
        for series in (
            second["value"],
            pd.Series(ours, second.index),
            pd.Series(naive, second.index),
        )
    )
    gains = np.stack([true**2 - (true - guess) ** 2 for guess in (ours, naive)])

    def explained(weights: Floats) -> Floats:
        return (weights @ gains.T) / (weights @ true**2)[:, None]

    low, high = interval_bounds(bootstrap_draws(explained, len(true), n=RESAMPLES))
    middle = gains.sum(axis=1) / (true**2).sum()
    guess = found.week.hours.iloc[found.week.to_try[0]]
    row = {
        "set": name,
        "posts": found.week.posts,
        "authors": found.week.authors,
        "says": "none" if found.week.best_hour is None else f"{found.week.best_hour}:00",
        "best guess": f"{found.week.to_try[0]}:00, {100 * guess['gain']:+.0f} % "
        f"({100 * guess['low']:+.0f} to {100 * guess['high']:+.0f})",
        "weekday": "none" if found.week.best_weekday is None else str(found.week.best_weekday),
        "later posts": len(true),
        "explained": f"{middle[0]:.3f} [{low[0]:.3f}, {high[0]:.3f}]",
        "explained, mean by hour": f"{middle[1]:.3f} [{low[1]:.3f}, {high[1]:.3f}]",
    }
    print(row, flush=True)
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    add_json_option(parser)
    arguments = parser.parse_args()
    found, together, none = planted(), common(), nulls()
    rows, skipped = [], {}
    for name in REAL:
        if not (arguments.data / DATASETS[name].path).exists():
            skipped[name] = f"{DATASETS[name].path} is absent"
            continue
        with TemporaryDirectory() as place:
            rows.append(real(name, arguments.data, Path(place)))
    shares = ["answered", "found", "guessed", "naive", "naive of 5"]
    names = ["peak", "posts", "accounts"]
    regrets = [str(name) for name in found if str(name).startswith("regret")]
    own = ["authors", "posts of each", "accounts"]
    finish(
        arguments,
        {"skipped": skipped, "chance": CHANCE},
        tables={
            "found": table(found[[*names, *shares]], ".2f"),
            "regret": table(found[[*names, *regrets]], ".1f"),
            "common": table(together[[*own, "answered", "found", *regrets]], ".2f"),
            "nulls": table(none, ".3f"),
            "real": table(pd.DataFrame(rows), ".3f"),
        },
        code=["src/evoked/analysis/week.py", "src/evoked/analysis/rhythm.py"],
    )


if __name__ == "__main__":
    main()
