"""What works for an account: is what is planted found, and nothing where nothing is?

Synthetic accounts of 300 posts in two years, and of 600. Every account grows tenfold (or shrinks,
or jumps once), its posts' luck carries over a little from one to the next, and its habits change:
hashtags come and go, captions get longer, a word is used in the second year alone. In some accounts
things have an effect: a hashtag, a question, three hours of the day, one look of the pictures; in
the others nothing has. Noise about the level of the time is 0.45 in logarithms, so that two thirds
of posts lie between 0.64 and 1.57 times of what is expected.

Beside ``evoked analyse`` stands what many tools do: the quarter of posts with most likes of all
time is compared with the others, thing by thing (Fisher's exact test), with p below 0.05, and with
Holm's correction over the same things.

On real posts nobody knows the truth: there, what is found in the earlier half of each account's
posts is looked up in the later half.

Run: ``python benchmarks/works.py --data FOLDER --json FILE``. The last line is JSON.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peers import DATASETS
from record import add_json_option, finish, table
from scipy import stats

from evoked.analysis.works.effects import Effects
from evoked.analysis.works.findings import what_works
from evoked.evaluation.corrections import holm
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.captions import MOTIF_NAMES, Mood, write_caption
from evoked.posts.synthetic.images import Motif, draw_picture, encode_jpeg

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

SIZES = (300, 600)
CATEGORY = "fashion"
NOISE = 0.45
CARRIED = 0.25
PICTURES_PER_LOOK = 20
LOOKS: tuple[Any, ...] = ("sun", "pond", "umbrella", "tree", "kite", "flame")
TAGS = ("travel", "food", "morning", "team", "studio", "weekend", "city", "colours", "music", "run")
WHEN_WORD = "chapter"
EFFECTS = {"hashtag": 0.30, "question": 0.25, "hour": 0.35, "picture group": -0.30}
REAL = ("instagram_authors", "youtube_titles")
ALL_REAL = (*REAL, "instagram_top20", "facebook_metrics", "instagram_insights")


@dataclass(frozen=True)
class Account:
    """A synthetic account.

    Attributes
    ----------
    dataset
        Its posts.
    has
        By kind of what could be planted, which posts have it, (n,).
    hours
        The three hours that could be planted, from and to.
    """

    dataset: PostDataset
    has: dict[str, Booleans]
    hours: tuple[float, float]


def draw_pictures(folder: Path) -> list[list[str]]:
    """Names of the pictures of each look, drawn into a folder that all accounts share."""
    folder.mkdir()
    names = []
    for look, motif in enumerate(LOOKS):
        names.append([f"look{look}_{number}.jpg" for number in range(PICTURES_PER_LOOK)])
        for number, name in enumerate(names[-1]):
            rng = np.random.default_rng([look, number])
            scene = (-0.9, 0.9, -0.5, 0.5, 0.0, -0.1)[look] + rng.normal(0, 0.05)
            motifs = [Motif(motif, place, scene, 0.2) for place in (0, 2, 4, 6, 8)]
            picture = draw_picture(motifs, rng.normal(0, 6, (5, 2)), scene, CATEGORY, rng)
            small = np.asarray(cv2.resize(picture, (160, 160)), np.uint8)
            (folder / name).write_bytes(encode_jpeg(small))
    return names


def draw_account(
    place: Path, pictures: list[list[str]], seed: int, planted: bool, size: int
) -> Account:
    """An account; its seed decides everything else about it."""
    rng, words = np.random.default_rng([seed, planted]), random.Random(seed)
    when = np.sort(rng.uniform(0, 730, size)).astype(int) + 0.0
    hour = np.clip(
        rng.choice([9, 13, 19], size, p=[0.3, 0.3, 0.4]) + rng.normal(0, 2, size), 0, 23.9
    )
    order = np.argsort(when + hour / 24)
    when, hour = when[order], hour[order]
    progress = when / 730
    growth = (
        np.log(10) * progress,
        -np.log(10) * progress,
        np.log(10) * (progress > 0.55),
    )[seed % 3 if seed % 6 else 0]
    question = rng.random(size) < 0.15 + 0.25 * progress
    look = rng.integers(0, len(LOOKS), size)
    # Habits come and go: each hashtag has its times.
    waves = np.sin(
        2 * np.pi * (np.outer(progress, rng.uniform(0.5, 3, len(TAGS))) + rng.random(len(TAGS)))
    )
    tagged = rng.random((size, len(TAGS))) < 0.25 + 0.2 * waves
    start = float(rng.uniform(8, 19))
    has = {
        "hashtag": tagged[:, 0],
        "question": question,
        "hour": (hour >= start) & (hour < start + 3),
        "picture group": look == 0,
        "word of a time": (progress > 0.55) & (rng.random(size) < 0.8),
    }
    luck = np.empty(size)
    steps = rng.normal(0, 1, size)
    luck[0] = steps[0]
    for each in range(1, size):
        luck[each] = CARRIED * luck[each - 1] + np.sqrt(1 - CARRIED**2) * steps[each]
    level = np.log(300) + growth - min(growth.min(), 0) + NOISE * luck
    level += sum(EFFECTS[name] * has[name] for name in EFFECTS) * planted
    captions = [
        _caption(words, rng, question[each], has["word of a time"][each], progress[each])
        for each in range(size)
    ]
    minutes = pd.to_timedelta((60 * (24 * when + hour)).round(), "min")
    tags = [[tag for tag, one in zip(TAGS, row, strict=True) if one] for row in tagged]
    posts = pd.DataFrame(
        {
            "post_id": [f"p{each}" for each in range(size)],
            "author_id": "account",
            "posted_at": pd.Timestamp("2022-01-03", tz="UTC") + minutes,
            "caption": captions,
            "hashtags": tags,
            "images": [[words.choice(pictures[each])] for each in look],
            "media_type": np.where(rng.random(size) < 0.3, "carousel", "image"),
            "likes": rng.poisson(np.exp(level)),
        }
    )
    images = place.with_name(f"{place.name}_images")  # which becomes the dataset's
    shutil.copytree(place.parent / "pictures", images, copy_function=os.link)
    dataset = PostDataset.create(place, {"posts": posts}, images=images)
    return Account(dataset, has, (start, start + 3))


def _caption(
    words: random.Random, rng: np.random.Generator, question: bool, late: bool, progress: float
) -> str:
    mood = Mood(*rng.uniform(-0.5, 1, 2))
    motif = words.choice(sorted(MOTIF_NAMES))
    text = write_caption(words, CATEGORY, motif, mood, float(rng.uniform(8, 25 + 30 * progress)))
    parts = [f"A new {WHEN_WORD}."] * bool(late) + [text.text]
    parts += [words.choice(("What do you think?", "Would you go?", "Yes or no?"))] * bool(question)
    return " ".join(parts)


@dataclass(frozen=True)
class Found:
    """What a method found in an account: positions of the traits, and its sizes of effects."""

    rows: NDArray[np.int64]
    sizes: Floats


def ours(found: Effects) -> Found:
    """What stands out."""
    shown = found.table["stands"] & (found.table["beside"] == "")
    return Found(np.flatnonzero(shown), np.log1p(found.table["effect"].to_numpy()))


def top_quarter(found: Effects, counts: Floats, corrected: bool) -> Found:
    """Things that the quarter with most likes of all time has more, or less, than the others."""
    top = counts >= np.quantile(counts, 0.75)
    p, sizes = [], []
    for each in found.traits:
        has, known = each.values == 1, np.isfinite(each.values)
        cells = [[(has & top).sum(), (has & ~top).sum()]]
        cells += [[(known & ~has & top).sum(), (known & ~has & ~top).sum()]]
        p.append(stats.fisher_exact(cells)[1])
        sizes.append(np.log(1 + counts[has].mean()) - np.log(1 + counts[known & ~has].mean()))
    level = holm(p) if corrected else np.array(p)
    return Found(np.flatnonzero(level < 0.05), np.array(sizes))


METHODS = ("evoked", "top quarter, p < 0.05", "top quarter, Holm")


def methods_of(found: Effects, counts: Floats) -> dict[str, Found]:
    """What each method found."""
    each = [ours(found), top_quarter(found, counts, False), top_quarter(found, counts, True)]
    return dict(zip(METHODS, each, strict=True))


def overlap(first: Booleans, second: Booleans) -> float:
    """Correlation of what two things say of the posts."""
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def judged(
    account: Account, found: Effects, by: Found, effects: dict[str, float]
) -> dict[str, Any]:
    """Which planted things a method found, how large, and what else it found."""
    values = [each.values == 1 for each in found.traits]
    row: dict[str, Any] = {}
    near = np.zeros(len(values), bool)
    for name, truth in effects.items():
        alike = np.array([overlap(each, account.has[name]) for each in values])
        near |= np.abs(alike) > 0.2
        # Hours come in bands that the planted ones need not begin with.
        same = alike > (0.3 if name == "hour" else 0.7)
        hits = [each for each in by.rows if same[each] and by.sizes[each] * truth > 0]
        row[name] = bool(hits)
        if hits and name != "hour":
            best = max(hits, key=lambda each: alike[each])
            row[f"{name} ratio"] = by.sizes[best] / truth
            row[f"{name} held"] = bool(
                np.log1p(found.table["low"][best]) <= truth <= np.log1p(found.table["high"][best])
            )
    row["others"] = sum(not near[each] for each in by.rows)
    timed = np.array([overlap(each, account.has["word of a time"]) > 0.7 for each in values])
    row["word of a time"] = bool(any(timed[each] for each in by.rows))
    row["anything"] = bool(len(by.rows))
    return row


def synthetic(accounts: int, planted: bool, size: int, work: Path) -> pd.DataFrame:
    """A row per account and method."""
    work.mkdir()
    pictures = draw_pictures(work / "pictures")
    rows = []
    for seed in range(accounts):
        account = draw_account(work / f"account{seed}", pictures, seed, planted, size)
        found = what_works(account.dataset, "likes").effects
        counts = account.dataset.posts["likes"].to_numpy(np.float64)
        for name, by in methods_of(found, counts).items():
            judgement = judged(account, found, by, EFFECTS if planted else {})
            looked = {"looked at": len(found.table)}
            rows.append({"posts": size, "method": name, "account": seed, **looked, **judgement})
        print(seed, rows[-len(METHODS)], flush=True)
    return pd.DataFrame(rows)


def planted_table(found: pd.DataFrame) -> pd.DataFrame:
    """How often each planted thing was found, and how its size compares with the truth."""
    rows = []
    for (size, method), own in found.groupby(["posts", "method"], sort=False):
        ratios = np.concatenate(
            [own[name].dropna() for name in own if str(name).endswith(" ratio")]
        )
        held = np.concatenate([own[name].dropna() for name in own if str(name).endswith(" held")])
        rows.append(
            {
                "posts": size,
                "accounts": len(own),
                "method": method,
                **{f"{name} found": own[name].mean() for name in EFFECTS},
                "size over truth": np.median(ratios) if len(ratios) else np.nan,
                "range holds truth": held.astype(float).mean() if method == "evoked" else np.nan,
                "other things per account": own["others"].mean(),
                "word of a time found": own["word of a time"].mean(),
            }
        )
    return pd.DataFrame(rows)


def null_table(found: pd.DataFrame) -> pd.DataFrame:
    """How often anything was found where nothing is."""
    rows = []
    for (size, method), own in found.groupby(["posts", "method"], sort=False):
        low, high = stats.binomtest(int(own["anything"].sum()), len(own)).proportion_ci(
            method="wilson"
        )
        rows.append(
            {
                "posts": size,
                "accounts": len(own),
                "method": method,
                "nothing found": 1 - own["anything"].mean(),
                "95 % interval": f"{1 - high:.2f} to {1 - low:.2f}",
                "things found per account": own["others"].mean(),
                "word of a time found": own["word of a time"].mean(),
            }
        )
    return pd.DataFrame(rows)


def halves(dataset: PostDataset, count: str) -> Iterator[PostDataset]:
    """The earlier and the later half of every account's posts."""
    posts = dataset.posts
    known = posts[count].notna() & posts["posted_at"].notna()
    place = posts[known].sort_values("posted_at", kind="stable").groupby("author_id").cumcount()
    size = posts[known].groupby("author_id")["post_id"].transform("size")
    early = (place.reindex(posts.index) < size.reindex(posts.index) / 2).to_numpy()
    for rows in (early & known, ~early & known):
        yield dataset.select(np.flatnonzero(rows))


def held_later(name: str, dataset: PostDataset, count: str) -> list[dict[str, Any]]:
    """Whether what was found in the earlier half is there in the later half."""
    first, second = (what_works(half, count) for half in halves(dataset, count))
    later = dict(zip(second.effects.table["phrase"], second.effects.traits, strict=True))
    slopes = dict(
        zip(second.effects.table["phrase"], np.log1p(second.effects.table["effect"]), strict=True)
    )
    rows = []
    counts = [half.posts[count].dropna().to_numpy(np.float64) for half in halves(dataset, count)]
    naive_later = dict(zip(later, top_quarter(second.effects, counts[1], False).sizes, strict=True))
    for method, by in methods_of(first.effects, counts[0]).items():
        phrases = first.effects.table["phrase"].to_numpy()
        seen = [row for row in by.rows if phrases[row] in later]
        own = np.array([by.sizes[row] for row in seen])
        fair = np.array([slopes[phrases[row]] for row in seen])
        same = np.array([naive_later[phrases[row]] for row in seen])
        rows.append(
            {
                "set": name,
                "method": method,
                "found early": len(by.rows),
                "there later": len(seen),
                "same sign later, freed of time": _share(own * fair > 0),
                "same sign later, as counted": _share(own * same > 0),
                "size later over size early": float(np.sum(own * fair) / np.sum(own**2))
                if seen
                else np.nan,
            }
        )
    return rows


def _share(values: Booleans) -> float:
    return float(values.mean()) if len(values) else float("nan")


def opened(name: str, data: Path, work: Path) -> PostDataset:
    """The posts of a real set."""
    return DATASETS[name].imported(data, work / name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--accounts", type=int, default=60, help="with planted effects")
    parser.add_argument("--null-accounts", type=int, default=200)
    add_json_option(parser)
    arguments = parser.parse_args()
    skipped: dict[str, str] = {}
    said: dict[str, Any] = {}
    later: list[dict[str, Any]] = []
    with TemporaryDirectory() as place:
        work = Path(place)
        planted = pd.concat(
            [synthetic(arguments.accounts, True, size, work / f"planted{size}") for size in SIZES]
        )
        null = synthetic(arguments.null_accounts, False, SIZES[0], work / "null")
        for name in ALL_REAL:
            if name not in DATASETS or not (arguments.data / DATASETS[name].path).exists():
                skipped[name] = "absent"
                continue
            dataset = opened(name, arguments.data, work)
            found = what_works(dataset)
            said[name] = found.to_dict()
            if name in REAL:
                later += held_later(name, dataset, found.count)
    real = pd.DataFrame(
        [
            {
                "set": name,
                "count": each["count"],
                "things looked at": each["looked_at"],
                "says": " ".join(each["sentences"]),
            }
            for name, each in said.items()
        ]
    )
    tables = {
        "planted": table(planted_table(planted), ".2f"),
        "null": table(null_table(null), ".2f"),
    }
    if len(later):
        tables["later"] = table(pd.DataFrame(later), ".2f")
    if len(real):
        tables["real"] = table(real)
    finish(
        arguments,
        {"skipped": skipped, "real": said, "looked_at": float(planted["looked at"].mean())},
        tables=tables,
        code=["src/evoked/analysis/works"],
        libraries=("scikit-learn",),
    )


if __name__ == "__main__":
    main()
