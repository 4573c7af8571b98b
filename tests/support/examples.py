"""Small tables of posts that tests share; examples for models are in evoked.testing.examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def posts_by_few_authors(seed: int, uneven: bool = False) -> pd.DataFrame:
    """400 posts by 25 authors: emotions and rates differ by author, unrelated to each other.

    ``uneven`` lets a few authors write most of the posts.
    """
    generator = np.random.default_rng(seed)
    n, authors = 400, 25
    shares = 1.0 / np.arange(1, authors + 1) if uneven else np.ones(authors)
    author = generator.choice(authors, n, p=shares / shares.sum())

    def by_author(between: float, within: float) -> np.ndarray:
        return generator.normal(0, between, authors)[author] + generator.normal(0, within, n)

    followers = np.exp(generator.normal(8.5, 1, authors))[author].round()
    return pd.DataFrame(
        {
            "post_id": [str(number) for number in range(n)],
            "author_id": [f"a{number}" for number in author],
            "category": generator.choice(["food", "travel"], authors)[author],
            "followers": followers,
            "valence": by_author(1.5, 1.2).clip(-4, 4),
            "arousal": (4 + by_author(1.5, 1.2)).clip(0, 8),
            **{
                name: generator.poisson(0.02 * followers * np.exp(by_author(0.8, 0.5)))
                for name in ("likes", "comments", "shares", "saves")
            },
        }
    )


def tamper_with_names(folder: Path, names: Sequence[str | None]) -> None:
    """Make a dataset's first post name other pictures, as nobody but an attacker writes it."""
    path = folder / "posts.parquet"
    table = pq.read_table(path)
    column = table.schema.get_field_index("images")
    images = [list(names), *table["images"].to_pylist()[1:]]
    values = pa.array(images, pa.list_(pa.string()))
    pq.write_table(table.set_column(column, "images", values), path)
