"""Which kinds of covers are popular: iterative K-means (Dual-Attention, Section IV-E, Table III).

Pictures are clustered; clusters whose share R of unpopular posts lies far from that of all are
picked out, and the others clustered again, until none stands out. Picking clusters by R makes R
look farther from one half than it is, and small clusters stand out by luck. Therefore a cluster has
to pass a test before it is picked, corrected over the clusters and the rounds; and all of it is
done on one half of the authors, so that R can be measured anew on the other half, which played no
part in the choice.

Table III has twelve rows, picked and remaining together, so twelve clusters are divided among the
rounds: after three were picked, the remaining posts are clustered into nine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats
from sklearn.cluster import KMeans

from evoked.errors import DataError
from evoked.evaluation.corrections import holm
from evoked.evaluation.sign_flips import (
    FEWEST_UNITS,
    column_p,
    flipping_units,
    unit_differences,
)

# Dual-Attention, Table III: names that the authors gave their clusters, and R.
PUBLISHED_RATIOS = {
    "poster": 0.760,
    "text poster": 0.700,
    "meal and drink": 0.696,
    "picture with a caption on": 0.627,
    "landscape photo": 0.602,
    "phone screen shot": 0.595,
    "car and daily commodities": 0.495,
    "image combined by small pictures": 0.492,
    "photos of daily life": 0.475,
    "selfie": 0.461,
    "small group photo": 0.396,
    "group photo": 0.393,
}
CLUSTERS = len(PUBLISHED_RATIOS)
# The paper does not give t. In Table III, 0.602 and 0.396 may have been picked by it, 0.595 not.
THRESHOLD = 0.1
MIN_POSTS = 20
_STARTS = 4
_SHOWN = 6
_MOST_WORDS = 3
_LEAST_ABOVE = 0.02
# Half the width of a 95 % interval in standard errors.
_NORMAL_95 = 1.96

Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ImageClusters:
    """Clusters of pictures.

    Attributes
    ----------
    table
        A row per cluster, the least popular first: ``cluster`` (number from 1), ``picked`` (whether
        it stood out where clusters were found), ``round`` (in which it was picked, or last
        clustered), ``n``, ``ratio`` (R, the share of unpopular posts, where clusters were found),
        ``n_held_out``, ``ratio_held_out``, ``low``, ``high`` (Wilson's 95 % interval of it, with
        the variance over authors), ``p`` (of ``ratio``: exact test of authors, see
        :func:`evoked.evaluation.sign_flips.sign_flip_p`), ``p_corrected`` (Holm over the round's
        clusters, and the error rate shared between rounds), ``p_posts`` (binomial, as if posts were
        independent), ``p_held_out``, ``p_held_out_holm`` (over the picked clusters only).
    members
        (n,): number of each post's cluster.
    found_on
        (n,) bool: posts that clusters were found on; the others are held out.
    examples
        Per cluster of ``table``, up to six posts next to its centre, by as many authors as it has.
    base
        Share of unpopular posts among all.
    split
        Whether ``authors`` or ``posts`` were held out.
    unit
        Whether the tests treat an ``author`` or a ``post`` as one observation.
    """

    table: pd.DataFrame
    members: Integers
    found_on: Booleans
    examples: list[Integers]
    base: float
    split: str
    unit: str


def cluster_words(
    probabilities: ArrayLike, words: Sequence[str], members: Integers, clusters: int
) -> list[str]:
    """What sets the pictures of each cluster apart, in up to three words.

    Parameters
    ----------
    probabilities
        (n, words): probability that each post's picture shows what a word says.
    words
        The words.
    members
        (n,): number of each post's cluster, from 1.
    clusters
        Number of clusters.

    Returns
    -------
    list of str
        The words whose mean probability in the cluster lies furthest above that of all posts, by
        0.02 at least, the furthest first, as "seashore, swimsuit"; "" where there are none.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    shown = []
    for number in range(1, clusters + 1):
        own = chances[members == number]
        above = own.mean(axis=0) - chances.mean(axis=0) if len(own) else np.zeros(len(words))
        first = np.argsort(-above, kind="stable")[:_MOST_WORDS]
        shown.append(", ".join(words[word] for word in first if above[word] >= _LEAST_ABOVE))
    return shown


@dataclass(frozen=True)
class _Round:
    """Centres of one round, and the cluster of each; -1 where its posts are clustered again."""

    centres: Floats
    clusters: Integers


def popular_clusters(
    vectors: ArrayLike,
    popular: ArrayLike,
    authors: ArrayLike | None = None,
    *,
    k: int = CLUSTERS,
    threshold: float = THRESHOLD,
    min_posts: int = MIN_POSTS,
    level: float = 0.05,
    seed: int = 0,
) -> ImageClusters:
    """Cluster pictures so that popular and unpopular ones separate (Section IV-E).

    Parameters
    ----------
    vectors
        (n, d), finite: ``image.vector`` of posts that are popular or unpopular. Standardised by the
        half that clusters are found on, then brought to unit length.
    popular
        (n,) bool: popular or unpopular among their author's posts.
    authors
        (n,): author of each post; with at least 24 who have both kinds of posts half the authors
        are held out, otherwise half of the posts.
    k
        Final number of clusters (Table III: 12); fewer where posts are few.
    threshold
        t of the paper: clusters with |R − share of unpopular posts| > t are picked. Table III fits
        0.1.
    min_posts
        Where clusters are found, a cluster with fewer posts can't be picked.
    level
        Probability that any cluster is picked where popularity is unrelated to pictures.
    seed
        Random seed of the halves and of K-means.

    Raises
    ------
    DataError
        Too few posts for two clusters, or only one kind of posts.
    """
    pictures = np.asarray(vectors, dtype=np.float32)
    unpopular = ~np.asarray(popular, dtype=bool)
    found_on, split = _halves(authors, unpopular, seed)
    if found_on.sum() < 2 * min_posts or not 0 < unpopular[found_on].mean() < 1:
        raise DataError(
            f"{len(unpopular)} popular and unpopular posts with a picture are too few to cluster: "
            f"each half needs {2 * min_posts}, of both kinds."
        )
    pictures = _scaled(pictures, found_on)
    units = flipping_units(authors, unpopular)
    search = _Search(k, threshold, min_posts, level, seed)
    rounds, found = search.run(
        pictures[found_on], unpopular[found_on], None if units is None else units[found_on]
    )
    members, distance = _assign(pictures, rounds)
    held_out = ~found_on
    measured = _measure(
        members[held_out],
        unpopular[held_out],
        None if units is None else units[held_out],
        len(found),
    )
    table = pd.concat([found, measured], axis=1)
    picked = table["picked"].to_numpy()
    table["p_held_out_holm"] = holm(table["p_held_out"].where(picked))
    order = table["ratio"].sort_values(ascending=False, kind="stable").index.to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    table = table.loc[order].reset_index(drop=True)
    table.insert(0, "cluster", np.arange(1, len(table) + 1))
    return ImageClusters(
        table,
        rank[members] + 1,
        found_on,
        [_typical(members == each, distance, authors) for each in order],
        float(unpopular.mean()),
        split,
        "post" if units is None else "author",
    )


def _scaled(pictures: NDArray[np.float32], found_on: Booleans) -> NDArray[np.float32]:
    """Vectors standardised by the posts of ``found_on``, and brought to unit length."""
    mean, deviation = pictures[found_on].mean(axis=0), pictures[found_on].std(axis=0)
    scaled = (pictures - mean) / np.where(deviation > 0, deviation, 1)
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    return np.asarray(scaled)


def _halves(authors: ArrayLike | None, unpopular: Booleans, seed: int) -> tuple[Booleans, str]:
    """The posts to find clusters on: half of the authors, or half of each author's posts."""
    generator = np.random.default_rng(seed)
    names = np.zeros(len(unpopular)) if authors is None else np.asarray(authors, dtype=object)
    codes = pd.factorize(names, use_na_sentinel=False)[0]
    units = flipping_units(authors, unpopular)
    if units is not None and len(np.unique(units[units >= 0])) >= 4 * FEWEST_UNITS:
        chosen = generator.permutation(codes.max() + 1) % 2 == 0
        return chosen[codes], "authors"
    # Every second post of either kind, so that each author's posts are as balanced in both halves.
    shuffled = generator.permutation(len(unpopular))
    groups = pd.DataFrame({"author": codes[shuffled], "kind": unpopular[shuffled]})
    turn = groups.groupby(["author", "kind"]).cumcount().to_numpy()
    first = generator.integers(0, 2, int(codes.max()) + 1)
    found_on = np.zeros(len(unpopular), dtype=bool)
    found_on[shuffled] = (turn + first[codes[shuffled]]) % 2 == 0
    return found_on, "posts"


@dataclass(frozen=True)
class _Search:
    """Section IV-E2, steps 1 to 4, on the half that clusters are found on."""

    k: int
    threshold: float
    min_posts: int
    level: float
    seed: int

    def run(
        self, pictures: NDArray[np.float32], unpopular: Booleans, units: Integers | None
    ) -> tuple[list[_Round], pd.DataFrame]:
        """The rounds, and a row per cluster in the order of their numbers."""
        base = float(unpopular.mean())
        rounds: list[_Round] = []
        tables: list[pd.DataFrame] = []
        remaining, left = np.arange(len(unpopular)), self.k
        while len(remaining):
            clusters = max(1, min(left, len(remaining) // self.min_posts))
            fitted = KMeans(clusters, n_init=_STARTS, random_state=self.seed)
            fitted.fit(pictures[remaining])
            labels = fitted.labels_.astype(np.int64)
            own = None if units is None else units[remaining]
            table = _ratios(labels, unpopular[remaining], own, clusters)
            table = self._pick(table, base, len(rounds) + 1)
            picked = table["picked"].to_numpy()
            final = picked if picked.any() else np.ones(clusters, dtype=bool)
            numbers = np.full(clusters, -1, dtype=np.int64)
            numbers[final] = sum(map(len, tables)) + np.arange(final.sum())
            rounds.append(_Round(fitted.cluster_centers_, numbers))
            tables.append(table[final])
            remaining, left = remaining[~final[labels]], left - int(final.sum())
        columns = ["picked", "round", "n", "ratio", "p", "p_corrected", "p_posts"]
        return rounds, pd.concat(tables, ignore_index=True)[columns]

    def _pick(self, table: pd.DataFrame, base: float, number: int) -> pd.DataFrame:
        enough = table["n"] >= self.min_posts
        # A round gets half of the error rate that the one before it had, all together the level.
        corrected = np.minimum(holm(table["p"].where(enough)) * 2**number, 1)
        far = (table["ratio"] - base).abs() > self.threshold
        picked = enough & far & (corrected < self.level)
        return table.assign(round=number, p_corrected=corrected, picked=picked)


def _ratios(
    labels: Integers, unpopular: Booleans, units: Integers | None, clusters: int
) -> pd.DataFrame:
    """Size, R and its tests of every cluster."""
    n = np.bincount(labels, minlength=clusters)
    count = np.bincount(labels, unpopular, minlength=clusters)
    rows = np.arange(len(labels))
    membership = sparse.csr_array((np.ones(len(rows)), (rows, labels)), (len(rows), clusters))
    differences = unit_differences(membership, unpopular, units)
    base = unpopular.mean() if len(unpopular) else np.nan
    return pd.DataFrame(
        {
            "n": n,
            "ratio": count / np.where(n, n, np.nan),
            "p": column_p(differences),
            "p_posts": [
                stats.binomtest(int(k), int(m), base).pvalue if m else np.nan
                for k, m in zip(count, n, strict=True)
            ],
        }
    )


def _measure(
    members: Integers, unpopular: Booleans, units: Integers | None, clusters: int
) -> pd.DataFrame:
    """R of the clusters, measured anew on posts that played no part in finding them."""
    table = _ratios(members, unpopular, units, clusters)
    ratio = table["ratio"].to_numpy()
    low, high = _wilson(ratio, _effective(members, unpopular - ratio[members], units, clusters))
    return pd.DataFrame(
        {
            "n_held_out": table["n"],
            "ratio_held_out": ratio,
            "low": low,
            "high": high,
            "p_held_out": table["p"],
        }
    )


def _effective(
    members: Integers, residual: Floats, units: Integers | None, clusters: int
) -> Floats:
    """Effective size of each cluster, given that its authors' posts resemble each other.

    Kish 1965: the size over the design effect, which is not taken to be below 1.
    """
    size = np.bincount(members, minlength=clusters).astype(np.float64)
    if units is None:
        return size
    alone = units < 0
    unit = np.where(alone, units.max(initial=-1) + 1 + np.arange(len(units)), units)
    shape = (int(unit.max(initial=-1)) + 1, clusters)
    summed = sparse.coo_array((residual, (unit, members)), shape).tocsc()
    together = np.asarray(summed.power(2).sum(axis=0))
    apart = np.bincount(members, residual**2, minlength=clusters)
    # Where all are of one kind nothing varies: there, an author's posts count as one.
    pairs = np.unique(np.stack([members, unit]), axis=1)
    effect = size / np.maximum(np.bincount(pairs[0], minlength=clusters), 1)
    np.divide(together, apart, out=effect, where=apart > 0)
    return np.asarray(size / np.maximum(effect, 1))


def _wilson(share: Floats, n: Floats) -> tuple[Floats, Floats]:
    """95 % interval of a share (Wilson 1927)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        extra = _NORMAL_95**2 / n
        centre = (share + extra / 2) / (1 + extra)
        half = np.sqrt(share * (1 - share) * extra + extra**2 / 4) / (1 + extra)
    return centre - half, centre + half


def _assign(pictures: NDArray[np.float32], rounds: list[_Round]) -> tuple[Integers, Floats]:
    """Cluster of every post, found round by round, and its distance from the cluster's centre."""
    members = np.full(len(pictures), -1, dtype=np.int64)
    distance = np.zeros(len(pictures))
    for each in rounds:
        waiting = np.flatnonzero(members < 0)
        # All have unit length, so the nearest centre needs no length of the picture.
        near = (each.centres**2).sum(axis=1) - 2 * pictures[waiting] @ each.centres.T
        nearest = near.argmin(axis=1)
        members[waiting] = each.clusters[nearest]
        distance[waiting] = near[np.arange(len(waiting)), nearest]
    return members, distance


def _typical(member: Booleans, distance: Floats, authors: ArrayLike | None) -> Integers:
    """Posts next to the centre, a second one of an author only when every author has one."""
    rows = np.flatnonzero(member)
    rows = rows[distance[rows].argsort(kind="stable")]
    if authors is None:
        return rows[:_SHOWN]
    names = pd.Series(np.asarray(authors, dtype=object)[rows])
    turn = names.groupby(names, dropna=False).cumcount().to_numpy()
    return rows[turn.argsort(kind="stable")][:_SHOWN]
