"""Would the ledger have noticed, and when? Accounts replayed month by month.

Synthetic accounts: a run of the model ``linear`` learns from the first ten months, 20 posts each;
five more months are replayed. At the start of each month the run predicts its posts as drafts, and
the predictions are kept; at its end the posts have come, and ``evoked update`` takes them in (or
never does). Log likes are the account's level, what the post's hour, hashtags and question add, and
noise. In some accounts nothing changes, or the level grows tenfold over all fifteen months; in the
others, from the third replayed month on, the level is half of what it was, or all effects are
reversed, or the noise is twice as large.

*within 30*: share of accounts in which an alarm was raised within 30 posts of the change. *false*:
share with an alarm where nothing had changed: over the 40 posts before a change, and over all 100
where there is none. Beside the ledger's martingale stands what one would try first: after each
post, whether fewer of the last 20 ranges held than promised, by a one-sided binomial test at 5 %.

Real accounts are replayed the same way: a third of the posts, the newest, in five steps.

Run: ``python benchmarks/ledger.py --data FOLDER --json FILE``; what is absent is skipped, with the
reason. The last line is JSON.
"""

from __future__ import annotations

import argparse
import shutil
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peers import DATASETS
from record import add_json_option, finish, table
from scipy.special import bdtr

import evoked
from evoked.advice.ledger import keep
from evoked.advice.review import Review, review
from evoked.evaluation.coverage import DEFAULT_COVERAGE, share_range
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import ENGAGEMENT, EXPOSURE
from evoked.runs.posts import Run
from evoked.runs.updating import update

Floats = NDArray[np.float64]

MONTHS, LEARNED, PER_MONTH = 15, 10, 20
REPLAYED = (MONTHS - LEARNED) * PER_MONTH
CHANGE = 2 * PER_MONTH  # posts of the replay before the change
WITHIN = 30
NOISE, EFFECT = 0.45, 0.2
LAST = 20
LEARNED_SHARE = 2 / 3
FEWEST_POSTS = 60
CHANGES = ("nothing", "growth", "level halves", "effects reversed", "noise doubles")
ACCOUNTS = 20


class Account(NamedTuple):
    """What a synthetic account's posts are like, oldest first, (n,) each."""

    days: NDArray[np.int64]
    hours: NDArray[np.int64]
    tags: NDArray[np.int64]
    question: NDArray[np.bool_]
    likes: Floats
    content: Floats


def drawn_account(seed: int, change: str) -> Account:
    """Draw an account; likes and what content adds as it was at first, as logarithms."""
    draw = np.random.default_rng(seed)
    number = MONTHS * PER_MONTH
    hours = draw.integers(0, 24, number)
    days = np.sort(draw.uniform(0, 30 * MONTHS, number)).astype(int)
    tags, question = draw.integers(0, 6, number), draw.random(number) < 0.4
    features = np.column_stack(
        [np.sin(2 * np.pi * hours / 24), np.cos(2 * np.pi * hours / 24), tags / 2 - 1.25, question]
    )
    effects = draw.choice([-1, 1], 4) * EFFECT * np.array([1.4, 1.4, 1.0, 2.0])
    content = (features - features.mean(axis=0)) @ effects
    noise = draw.normal(0, NOISE, number)
    level = np.full(number, np.log(draw.uniform(300, 5000)))
    changed = np.arange(number) >= LEARNED * PER_MONTH + CHANGE
    adds = content
    if change == "growth":
        level = level + np.log(10) * np.arange(number) / number
    elif change == "level halves":
        level = level - np.log(2) * changed
    elif change == "effects reversed":
        adds = np.where(changed, -content, content)
    elif change == "noise doubles":
        noise = np.where(changed, 2 * noise, noise)
    return Account(days, hours, tags, question, level + adds + noise, content)


def account(seed: int, change: str) -> pd.DataFrame:
    """Posts of one synthetic account, oldest first, with their likes."""
    found = drawn_account(seed, change)
    start = pd.Timestamp("2023-01-01", tz="UTC")
    captions = [
        f"Post {place}{' what do you think?' if asks else ''} "
        + " ".join(f"#tag{each}" for each in range(many))
        for place, (asks, many) in enumerate(zip(found.question, found.tags, strict=True))
    ]
    posts = pd.DataFrame(
        {
            "post_id": [f"post-{place:04d}" for place in range(len(captions))],
            "author_id": "me",
            "posted_at": start
            + pd.to_timedelta(found.days, "D")
            + pd.to_timedelta(found.hours, "h"),
            "caption": captions,
            "hashtags": [[f"tag{each}" for each in range(many)] for many in found.tags],
            "likes": np.round(np.exp(found.likes)),
        }
    )
    return posts.sort_values("posted_at", kind="stable").reset_index(drop=True)


def without_counts(posts: pd.DataFrame) -> pd.DataFrame:
    """The posts before they appeared."""
    names = [name for name in (*ENGAGEMENT, *EXPOSURE) if name in posts]
    return posts.assign(**{name: pd.Series(pd.NA, posts.index, "Int64") for name in names})


def stored(posts: pd.DataFrame, folder: Path) -> PostDataset:
    """The posts as a dataset."""
    return PostDataset.create(folder, {"posts": posts.reset_index(drop=True)})


def replayed(
    posts: pd.DataFrame, learned: int, steps: int, trained: Path, work: Path, updates: bool
) -> Review:
    """The ledger of a run after the posts beyond the first ``learned`` have come in steps."""
    folder = work / "run"
    shutil.copytree(trained, folder)
    cuts = np.linspace(learned, len(posts), steps + 1).round().astype(int)
    for number, (start, stop) in enumerate(pairwise(cuts)):
        run = Run.load(folder)
        drafts = stored(without_counts(posts[start:stop]), work / f"drafts{number}")
        now = posts["posted_at"].iloc[start].to_pydatetime()
        keep(run, "prediction", drafts, run.predict(drafts), kept_at=now)
        if updates and stop < len(posts):
            update(folder, stored(posts[:stop], work / f"came{number}"))
    return review(Run.load(folder), stored(posts, work / "all"))


class Seen(NamedTuple):
    """Positions in a replay at which alarms were raised, and whether each range held."""

    alarms: list[int]
    held: NDArray[np.bool_]


def seen(found: Review, number: str) -> Seen:
    """What a review shows of the posts in the order in which they appeared."""
    came = found.table.dropna(subset=["post_id", f"{number}_low"]).sort_values("posted_at")
    true = came[f"{number}_true"]
    held = (came[f"{number}_low"] <= true) & (true <= came[f"{number}_high"])
    at = [int(came["posted_at"].searchsorted(each.noticed)) for each in found.drift]
    return Seen(at, held.to_numpy())


def last_ranges(held: NDArray[np.bool_]) -> list[int]:
    """Where fewer of the last ranges held than promised, by a test at every post."""
    return [
        end - 1
        for end in range(LAST, len(held) + 1)
        if bdtr(int(held[end - LAST : end].sum()), LAST, DEFAULT_COVERAGE) < 0.05
    ]


def replay_account(seed: int) -> list[dict[str, Any]]:
    """What was seen of one account under every change."""
    rows = []
    with TemporaryDirectory() as place:
        work = Path(place)
        for change in CHANGES:
            posts, learned = account(seed, change), LEARNED * PER_MONTH
            trained = work / ("growing" if change == "growth" else "still")
            if not trained.exists():
                evoked.train(
                    stored(posts[:learned], work / f"first-{trained.name}"),
                    "linear",
                    trained,
                    estimate=False,
                )
            for updates in (True, False):
                here = work / f"{change}-{updates}"
                found = seen(
                    replayed(posts, learned, MONTHS - LEARNED, trained, here, updates), "likes"
                )
                watched = {
                    "martingale": found.alarms,
                    "last 20 ranges": last_ranges(found.held),
                }
                rows += [
                    {
                        "seed": seed,
                        "change": change,
                        "updated": "monthly" if updates else "never",
                        "rule": rule,
                        "alarms": alarms,
                        "held before": float(found.held[:CHANGE].mean()),
                        "held after": float(found.held[CHANGE:].mean()),
                    }
                    for rule, alarms in watched.items()
                ]
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each change, way of updating and rule."""
    found = []
    for (change, updated, rule), group in rows.groupby(["change", "updated", "rule"], sort=False):
        changes = change not in ("nothing", "growth")
        false, delays = [], []
        for alarms in group["alarms"]:
            early = [each for each in alarms if each < CHANGE or not changes]
            false.append(bool(early))
            late = [each - CHANGE + 1 for each in alarms if each >= CHANGE and changes]
            delays.append(late[0] if late else np.inf)
        within = np.array(delays) <= WITHIN
        low, high = share_range(sum(false), len(false))
        found.append(
            {
                "change": change,
                "updated": updated,
                "rule": rule,
                "accounts": len(group),
                "within 30": float(within.mean()) if changes else np.nan,
                "median delay": float(np.median(np.array(delays)[within]))
                if within.any()
                else np.nan,
                "false": float(np.mean(false)),
                "false, 95 %": f"[{low:.2f}, {high:.2f}]",
                "held before": float(group["held before"].mean()),
                "held after": float(group["held after"].mean()),
            }
        )
    return pd.DataFrame(found)


def real_accounts(data: Path, work: Path) -> list[tuple[str, pd.DataFrame]]:
    """Accounts of real sets to replay: all of instagram_authors together, and the largest channels
    of youtube_titles."""
    found = []
    for name in ("instagram_authors", "youtube_titles"):
        source = DATASETS.get(name)
        if source is None or not (data / source.path).exists():
            print(f"{name} is skipped: not at {data.name}.")
            continue
        posts = source.imported(data, work / name).posts.dropna(subset=["posted_at"])
        posts = posts.sort_values("posted_at", kind="stable").reset_index(drop=True)
        if name == "youtube_titles":
            sizes = posts["author_id"].value_counts()
            found += [
                (f"{name}, channel {place}", posts[posts["author_id"] == author])
                for place, author in enumerate(sizes.index[:3], start=1)
                if sizes[author] >= FEWEST_POSTS
            ]
        else:
            largest = posts["author_id"].value_counts().index[:20]
            found.append((f"{name}, 20 authors", posts[posts["author_id"].isin(largest)]))
    return found


def replay_real(name: str, posts: pd.DataFrame, work: Path) -> dict[str, Any]:
    """What the ledger would have said of a real account in the end."""
    posts = posts.reset_index(drop=True)
    learned = round(LEARNED_SHARE * len(posts))
    work.mkdir()
    evoked.train(stored(posts[:learned], work / "first"), "linear", work / "run0", estimate=False)
    found = replayed(posts, learned, MONTHS - LEARNED, work / "run0", work / "replay", True)
    ranges = found.ranges[0] if found.ranges else None
    return {
        "account": name,
        "learned": learned,
        "came": found.came,
        "held": "–" if ranges is None else f"{ranges.held} of {ranges.posts}",
        "alarms": len(found.drift),
        "after posts": ", ".join(
            str((found.table["posted_at"] <= each.noticed).sum()) for each in found.drift
        )
        or "–",
        "says": found.sentences[-1],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--processes", type=int, default=2)
    add_json_option(parser)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.processes) as pool:
        parts = list(pool.map(replay_account, range(arguments.accounts)))
    rows = pd.DataFrame([row for part in parts for row in part])
    with TemporaryDirectory() as place:
        work = Path(place)
        accounts = real_accounts(arguments.data, work)
        real = [
            replay_real(name, posts, work / f"real{number}")
            for number, (name, posts) in enumerate(accounts)
        ]
    shown, formats = summary(rows), {"median delay": ".0f"}
    print(shown.to_string(index=False))
    finish(
        arguments,
        {"synthetic": shown.to_dict("records"), "real": real},
        tables={
            "synthetic": table(shown, ".2f", **formats),
            "real": table(pd.DataFrame(real)),
        },
        code=["src/evoked/advice", "src/evoked/evaluation/drift.py", "src/evoked/runs/updating.py"],
    )


if __name__ == "__main__":
    main()
