"""How long attaching authors' histories to posts takes: python benchmarks/author_history.py"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from evoked.posts.author_history import attach_history, published_history
from evoked.posts.schema import ENGAGEMENT

SIZES = (1_000, 10_000, 100_000)
POSTS_PER_AUTHOR = 50


def made_up(size: int) -> pd.DataFrame:
    """Posts by authors with fifty posts each, at random instants."""
    random = np.random.default_rng(0)
    posts = pd.DataFrame({name: random.integers(0, 10**5, size) for name in ENGAGEMENT})
    return posts.assign(
        author_id=[f"author{row % (size // POSTS_PER_AUTHOR)}" for row in range(size)],
        posted_at=pd.Timestamp("2026-01-01", tz="UTC")
        + pd.to_timedelta(random.integers(0, 10**8, size), unit="s"),
        followers=random.integers(0, 10**6, size),
    )


def main() -> None:
    """Print seconds of CPU time by number of posts."""
    print("| posts | attach (s) | carry (s) |\n| ---: | ---: | ---: |")
    for size in SIZES:
        posts = made_up(size)
        start = time.process_time()
        attach_history(posts)
        attached = time.process_time()
        published_history(posts)
        print(f"| {size:,} | {attached - start:.2f} | {time.process_time() - attached:.2f} |")


if __name__ == "__main__":
    main()
