"""Rates against peers: how far off quantiles from fixed bins are, and are encrypted sums exact?

Groups of real accounts, drawn at random. Quartiles of their posts' likes per follower from bins
beside those of the posts themselves, and the share of posts below an account's median beside the
true one. Beside both, what averaging encrypted figures could give (``evoked privacy aggregate``):
the mean rate in the median's place, and the share below of a log-normal law with the posts' mean
and variance. One group is encrypted, added and decrypted, files included.

Run: ``OMP_NUM_THREADS=1 python benchmarks/peer_rates.py --data FOLDER``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peers import DATASETS
from privacy import Clock, megabytes
from record import add_json_option, finish, table
from scipy import stats

from evoked.posts.privacy.keys import KeyFolder, make_keys
from evoked.posts.privacy.peer_bins import BINS, bins_of, histograms, quantile, rates, share_below
from evoked.posts.privacy.peer_files import add_members, join_group, read_sum, start_group

Floats = NDArray[np.float64]

SET = "instagram_all_authors"
FEWEST_POSTS = 15
SIZES = (3, 10, 30)
QUARTILES = (0.25, 0.5, 0.75)


def accounts_of(data: Path, work: Path) -> list[pd.DataFrame]:
    """The posts of each account that has enough with known rates."""
    source = DATASETS[SET]
    posts = source.imported(data, work / SET).posts
    known = posts[np.isfinite(rates(posts, "likes", "followers"))]
    return [own for _, own in known.groupby("author_id") if len(own) >= FEWEST_POSTS]


def errors_of(group: list[Floats]) -> dict[str, float]:
    """Errors of quartiles, relative, and of the first account's standing, in points."""
    pooled = np.concatenate(group)
    counts = np.bincount(bins_of(pooled), minlength=BINS)
    exact = np.quantile(pooled, QUARTILES)
    found = np.array([quantile(counts, share) for share in QUARTILES])
    own = float(np.median(group[0]))
    below = float(np.mean(pooled < own))
    # The log-normal law with this mean and variance.
    mean, variance = pooled.mean(), pooled.var(ddof=1)
    spread = np.sqrt(np.log1p(variance / mean**2))
    law = stats.norm.cdf((np.log(max(own, 1e-9)) - np.log(mean) + spread**2 / 2) / spread)
    return {
        "quartiles": float(np.abs(found / exact - 1).max()),
        "median": float(abs(found[1] / exact[1] - 1)),
        "mean for median": float(abs(mean / exact[1] - 1)),
        "below": 100 * abs(share_below(counts, own)[0] - below),
        "below, by mean and variance": 100 * abs(float(law) - below),
    }


def binned(accounts: list[Floats], groups: int, seed: int) -> pd.DataFrame:
    """Errors over groups of each size, a row per size."""
    random = np.random.default_rng(seed)
    rows = []
    for size in SIZES:
        errors = pd.DataFrame(
            [
                errors_of([accounts[each] for each in random.choice(len(accounts), size, False)])
                for _ in range(groups)
            ]
        )
        worst = errors.quantile(0.95)
        rows.append(
            {
                "accounts": size,
                "groups": groups,
                "median, error": errors["median"].mean(),
                "in 95 % at most": worst["median"],
                "worst quartile, error": errors["quartiles"].mean(),
                "mean for median, error": errors["mean for median"].mean(),
                "share below, points off": errors["below"].mean(),
                "in 95 % at most ": worst["below"],
                "by mean and variance, points off": errors["below, by mean and variance"].mean(),
            }
        )
    return pd.DataFrame(rows)


def encrypted(accounts: list[pd.DataFrame], size: int, work: Path) -> dict[str, Any]:
    """One group, from keys to the decrypted sum."""
    clock = Clock()
    with clock.step("keys"):
        make_keys(work / "keys")
    keys = KeyFolder(work / "keys")
    with clock.step("start"):
        start_group(keys, work / "group.zip")
    files = [work / f"member{number}.zip" for number in range(size)]
    with clock.step("join, all members"):
        for own, file in zip(accounts[:size], files, strict=True):
            join_group(own, work / "group.zip", file)
    with clock.step("add"):
        add_members(work / "group.zip", files, work / "sum.zip")
    with clock.step("read"):
        peers = read_sum(work / "sum.zip", keys)
    plain = sum(histograms(own).posts for own in accounts[:size])
    return {
        "members": size,
        "numbers": int(peers.histograms.posts.size),
        "numbers that differ": int((peers.histograms.posts != plain).sum()),
        "posts": int(peers.histograms.posts[0].sum(axis=1).max()),
        "MB, group's file": megabytes(work / "group.zip"),
        "MB, member's file": megabytes(files[0]),
        "MB, sum": megabytes(work / "sum.zip"),
        **{f"processor seconds, {name}": each for name, each in clock.processor.items()},
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--members", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    add_json_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        accounts = accounts_of(arguments.data, Path(place))
        measured = [rates(own, "likes", "followers") for own in accounts]
        errors = binned(measured, arguments.groups, arguments.seed)
        costs = encrypted(accounts, arguments.members, Path(place))
    finish(
        arguments,
        {"accounts": len(accounts), **costs},
        tables={
            "bins": table(errors, ".3f"),
            "sums": table(pd.DataFrame(costs.items(), columns=["what", "measured"]), ".6g"),
        },
        code=["src/evoked/posts/privacy/peer_bins.py", "src/evoked/posts/privacy/peer_files.py"],
        libraries=("tenseal",),
    )


if __name__ == "__main__":
    main()
