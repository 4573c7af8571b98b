"""Past posts that are alike to the model, with what they got."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.models.base import Examples, Model
from evoked.models.pooled import pooled_matrix
from evoked.posts.author_history import PREFIX, known_counts
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run

Vectors = NDArray[np.float32]

SIMILAR_POSTS = 4
_CONTENT = ("image.vector", "caption.vector", "text.vector")
# Of larger datasets the newest posts are searched.
_MOST_POSTS = 20_000
_CAPTION_CHARACTERS = 60


def similar_posts(run: Run, examples: Examples, dataset: PostDataset) -> list[pd.DataFrame]:
    """The past posts most like each of n posts in the model's own space (cosine).

    Parameters
    ----------
    run
        The run that predicts.
    examples
        n posts.
    dataset
        Where past posts are taken from: those with a date before the post's. The post itself is
        never among them.

    Returns
    -------
    list of DataFrame
        For each post, four rows at most, the most alike first: post_id, posted_at, caption (its
        beginning), likeness (cosine), and for each kind of count that the run predicts the count
        ``likes`` and ``usual_likes``, the median of the author's ten posts before it; NaN where
        unknown. Empty for models that read neither pictures nor captions.
    """
    posts = run.dataset_posts(dataset)
    dates = pd.to_datetime(posts["posted_at"], utc=True)
    newest = np.argsort(-dates.fillna(pd.Timestamp(0, tz="UTC")).astype("int64").to_numpy())
    chosen = np.sort(newest[:_MOST_POSTS])
    posts, dates = posts.iloc[chosen].reset_index(drop=True), dates.iloc[chosen]
    covers = dataset.cover_paths()
    past, _ = run.examples(posts, [covers[row] for row in chosen])
    vectors = _vectors(run.model, examples, past)
    kinds = [each.count for each in run.task.outcomes if each.count and each.columns]
    kinds = [kind for kind in kinds if np.isfinite(known_counts(posts, kind)).any()]
    if vectors is None:
        return [_table(posts, np.zeros(0, np.int64), np.zeros(0), kinds)] * len(examples)
    likeness = _unit(vectors[0]) @ _unit(vectors[1]).T
    found = []
    for own, date, name in zip(
        likeness,
        pd.to_datetime(examples.posts["posted_at"], utc=True),
        examples.posts["post_id"],
        strict=True,
    ):
        earlier = (dates < date).to_numpy() & (posts["post_id"] != name).to_numpy()
        ordered = np.flatnonzero(earlier)[np.argsort(-own[earlier], kind="stable")]
        rows = ordered[own[ordered] > 0][:SIMILAR_POSTS]
        found.append(_table(posts, rows, own[rows], kinds))
    return found


def _vectors(model: Model, examples: Examples, past: Examples) -> tuple[Vectors, Vectors] | None:
    """Vectors of posts and of past posts: those that a network makes of them; otherwise the encoded
    pictures and texts that the model reads, standardised, both alike."""
    own = model.fused_vectors(examples)
    others = None if own is None else model.fused_vectors(past)
    if own is not None and others is not None:
        return own, others
    names = [name for name in model.features if name in _CONTENT]
    parts: list[tuple[Vectors, Vectors]] = []
    for name in names:
        values, known = (
            pooled_matrix(each.features, [name], np.arange(len(each))) for each in (examples, past)
        )
        seen = known[np.isfinite(known).all(axis=1)]
        if not len(seen):
            continue
        mean, spread = seen.mean(axis=0), seen.std(axis=0)
        scale = np.where(spread > 0, spread, np.inf) * np.sqrt(known.shape[1])
        first, second = (np.nan_to_num((each - mean) / scale) for each in (values, known))
        parts.append((first, second))
    if not parts:
        return None
    first, second = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
    return first, second


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _table(
    posts: pd.DataFrame, rows: NDArray[np.int64], likeness: NDArray[np.floating], kinds: list[str]
) -> pd.DataFrame:
    chosen = posts.iloc[rows]
    table = chosen[["post_id", "posted_at"]].reset_index(drop=True)
    captions = chosen["caption"].fillna("").str.split().str.join(" ")
    table["caption"] = captions.str[:_CAPTION_CHARACTERS].to_numpy()
    table["likeness"] = likeness
    for kind in kinds:
        table[kind] = known_counts(chosen, kind)
        table[f"usual_{kind}"] = np.expm1(chosen[f"{PREFIX}median10_{kind}"].to_numpy(np.float64))
    return table
