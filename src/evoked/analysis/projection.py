"""How posts lie before and after a model fuses their features: t-SNE, and separate emotions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.features.table import FeatureTable

Floats = NDArray[np.float64]

_BATCH = 256
_COMPONENTS = 50
_NEIGHBOURS = 15
_MOST_POSTS = 3000
_PERPLEXITY = 30.0
FEWEST_POSTS = 40


@dataclass(frozen=True)
class Projection:
    """Posts as points, and how far their labels separate.

    Attributes
    ----------
    points
        (n, 2): t-SNE (van der Maaten and Hinton 2008); only which points are near each other means
        something.
    rows
        (n,): which of the given posts these are.
    neighbours
        Balanced accuracy with which the label of a post follows from its 15 nearest others.
    silhouette
        Mean silhouette of the labels, [-1, 1]; 0 where they don't separate.
    chance
        Balanced accuracy by guessing: one over the number of labels.
    """

    points: Floats
    rows: NDArray[np.int64]
    neighbours: float
    silhouette: float
    chance: float


def pooled_features(features: FeatureTable) -> Floats:
    """Features of n posts as one vector each, (n, width), before any model has fused them.

    Tokens are averaged, columns standardised, and every feature weighs as much as any other. A
    feature that a post lacks is at its mean.
    """
    n = len(features)
    parts: dict[str, list[Floats]] = {}
    for start in range(0, n, _BATCH):
        batch = features.take(np.arange(start, min(start + _BATCH, n)))
        for name in features.columns:
            values = batch[name].numpy().astype(np.float64)
            values = _mean_of_tokens(values, batch.get(f"{name}.mask"))
            present = batch[f"{name}.present"].numpy()
            values[~present] = np.nan
            parts.setdefault(name, []).append(values)
    return np.concatenate([_standardised(np.concatenate(part)) for part in parts.values()], axis=1)


def project(vectors: ArrayLike, labels: ArrayLike, seed: int = 0) -> Projection:
    """Project vectors onto a plane, and measure how far labels separate in the vectors' own space.

    Parameters
    ----------
    vectors
        (n, width). Beyond 3,000 posts a sample is taken; beyond 50 columns their first 50
        principal components.
    labels
        (n,) whole numbers; posts with a negative one are left out.
    seed
        Random seed of the sample and of the projection.

    Raises
    ------
    DataError
        Fewer than 40 posts have a label.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score

    label = np.asarray(labels, dtype=np.int64)
    rows = np.flatnonzero(label >= 0)
    if len(rows) < FEWEST_POSTS:
        raise DataError(
            f"only {len(rows)} posts have an emotion; a projection takes at least {FEWEST_POSTS}."
        )
    if len(rows) > _MOST_POSTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST_POSTS, replace=False))
    x, label = np.asarray(vectors, dtype=np.float64)[rows], label[rows]
    if x.shape[1] > _COMPONENTS:
        x = PCA(min(_COMPONENTS, len(x) - 1), random_state=seed).fit_transform(x)
    perplexity = min(_PERPLEXITY, (len(x) - 1) / 3)
    points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(x)
    several = len(np.unique(label)) > 1
    return Projection(
        points.astype(np.float64),
        rows,
        _neighbour_accuracy(x, label),
        float(silhouette_score(x, label)) if several else float("nan"),
        1 / len(np.unique(label)),
    )


def _mean_of_tokens(values: Floats, mask: object) -> Floats:
    if values.ndim == 2:
        return values
    flat = values.reshape(len(values), values.shape[1], -1)
    if mask is None:
        return np.asarray(flat.mean(axis=1))
    kept = np.asarray(mask, dtype=np.float64)[..., None]
    return np.asarray((flat * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1))


def _standardised(values: Floats) -> Floats:
    known = ~np.isnan(values).any(axis=1)
    if not known.any():
        return np.zeros((len(values), 1))
    mean, spread = values[known].mean(axis=0), values[known].std(axis=0)
    scaled = (values - mean) / np.where(spread > 1e-9, spread, 1.0)
    return np.nan_to_num(scaled) / np.sqrt(values.shape[1])


def _neighbour_accuracy(x: Floats, label: NDArray[np.int64]) -> float:
    """Balanced accuracy of the vote of the nearest others, each weighted by its label's rarity."""
    from sklearn.neighbors import NearestNeighbors

    number = min(_NEIGHBOURS, len(x) - 1)
    near = NearestNeighbors(n_neighbors=number).fit(x).kneighbors(return_distance=False)
    classes, codes, counts = np.unique(label, return_inverse=True, return_counts=True)
    votes = np.stack([(codes[near] == code).sum(axis=1) for code in range(len(classes))], axis=1)
    guessed = (votes / counts).argmax(axis=1)
    return float(np.mean([(guessed[codes == code] == code).mean() for code in range(len(classes))]))
