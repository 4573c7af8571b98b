"""Some of very many posts: what a run learns from and is tested on, where all would not fit.

What a model finds in two hundred thousand posts, it finds in five million; what doesn't fit is the
memory. The parts of a split are made of all posts, and each part is drawn from in proportion, by a
hash of the ids, so that the same posts are drawn everywhere. What an author's earlier posts
achieved is known of all posts, whichever are drawn.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evoked.evaluation.splits import PARTS, Rows, Split, choose_split
from evoked.posts.dataset import PostDataset

_SPLIT_BY = ("post_id", "author_id", "posted_at", "split")


def draw(
    dataset: PostDataset, split: str | Split | None, seed: int, most: int
) -> tuple[PostDataset, Split]:
    """At most so many posts of a larger dataset, and the parts that they are in.

    Parameters
    ----------
    dataset
        Of n posts.
    split
        Of all n posts; made here unless it is given.
    seed
        Of the split and of the drawing.
    most
        Number of posts that are drawn, less than n.

    Returns
    -------
    A selection of the dataset, in its order, and the split of that selection, whose reason says
    what was drawn.
    """
    posts = dataset.frame(_SPLIT_BY)
    if not isinstance(split, Split):
        split = choose_split(posts, split, seed)
    sizes = {name: len(getattr(split, name)) for name in PARTS}
    share = most / sum(sizes.values())
    drawn = {
        name: some_rows(posts["post_id"], getattr(split, name), round(share * size), seed)
        for name, size in sizes.items()
    }
    rows = np.sort(np.concatenate(list(drawn.values())))
    parts: dict[str, Rows] = {
        name: np.searchsorted(rows, chosen).astype(np.int64) for name, chosen in drawn.items()
    }
    reason = (
        f"{split.reason} Of these {len(posts):,} posts, {len(rows):,} were drawn, from each part "
        "in proportion, to learn from and to test on; what authors' earlier posts achieved is "
        "known of all of them."
    )
    return dataset.select(rows), Split(kind=split.kind, reason=reason, **parts)


def some_rows(identifiers: pd.Series, rows: Rows, most: int, seed: int) -> Rows:
    """At most so many of some rows, ascending, by a hash of the posts' ids."""
    if len(rows) <= most:
        return rows
    key = f"{seed % 10**16:016d}"
    names = identifiers.iloc[rows].to_numpy(dtype=object)
    hashes = pd.util.hash_array(names, hash_key=key, categorize=False)
    return np.sort(rows[np.argsort(hashes, kind="stable")[:most]])
