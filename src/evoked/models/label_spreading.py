"""Label spreading on a hypergraph: personal emotion from the viewings that resemble one.

A vertex is a viewing: a user and an image together. Hyperedges join viewings of images that look
alike, and of users who are related by contacts, groups, the comments that they make, and time.
Labels spread over them (Zhou, Huang and Schölkopf 2007; see
:mod:`evoked.models._hypergraph`). The weights of the relations (not of single hyperedges) and λ are
chosen on the validation viewings. Hyperedges, vertices and factors are those of RMTHG, see
:mod:`evoked.models.rmthg`, without what gave that its name.

The system is solved for the viewings that the graph shows, labelled or not. Any other viewing is
the limit of an unlabelled vertex that no other vertex sees: its D^-½ F is the weighted mean over
its hyperedges. So a prediction does not depend on other rows that are predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Self, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array, eye_array

from evoked.errors import DataError
from evoked.features.catalog import FeatureSettings
from evoked.features.social_graph import SocialGraph
from evoked.features.table import Column
from evoked.features.viewings import seconds
from evoked.files import read_object, write_json
from evoked.layers.losses import macro_f1
from evoked.models._hypergraph import Hypergraph, Integers, Relation, Values
from evoked.models._nearest import nearest
from evoked.models.base import MODEL_FILE, Examples, Model, ModelSettings
from evoked.models.viewings import class_weights, graph_of
from evoked.posts.schema import MIKELS
from evoked.targets import Emotion
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

# Relations that join viewings, and the node at which a vertex of each relation stands.
PLACES = {
    "everyone": "world",  # one hyperedge of all viewings
    "visual": "image",  # an image and its nearest ones
    "image": "image",  # the same image
    "user": "user",  # the same user
    "window": "window",  # the same user at the same time
    "social": "user",  # a user and the user's connections
    "group": "user",  # members of a group
    "comments": "user",  # a user and those whose comments are nearest
}
RELATIONS = {"visual": ("everyone", "visual"), "fused": tuple(PLACES)}

_LABEL_WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_WEIGHT_FACTORS = (0.0, 0.25, 4.0)
_DEFAULT_LABEL_WEIGHT = 1.0
# Viewings of the graph are predicted with the labels of their fold hidden.
FOLDS = 5
_DAY = 86_400.0
_LEAST_PROBABILITY = 1e-6


class LabelSpreadingSettings(ModelSettings):
    """Settings of the hypergraph."""

    relations: Literal["visual", "fused"] = Field(
        "fused", description="visual: images that look alike; fused: all relations"
    )
    neighbours: int = Field(
        10, ge=1, description="nearest images, and nearest commentators, in a hyperedge"
    )
    window_days: float = Field(7.0, gt=0, description="length of a hyperedge in time")
    label_weight: float | None = Field(
        None, ge=1e-3, description="λ; chosen on the validation viewings unless given"
    )
    class_balance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="weight of an emotion's labels: its frequency to the power of minus this (1: "
        "all emotions count the same)",
    )
    keep: Literal["macro_f1", "loss"] = Field(
        "macro_f1", description="score on the validation viewings that λ and weights are chosen by"
    )


class LabelSpreading(Model):
    """Labels that spread over hyperedges of viewings.

    Attributes
    ----------
    label_weight
        Chosen λ.
    relation_weights
        Chosen weight of each relation.
    """

    name = "label_spreading"
    description = "hypergraph of viewings: images that look alike, contacts, groups, time"
    source = "Zhou, Huang and Schölkopf 2007"
    tasks = (Emotion.name,)
    rows = "viewings"
    Settings = LabelSpreadingSettings

    settings: LabelSpreadingSettings

    def __init__(
        self,
        settings: LabelSpreadingSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.label_weight = self.settings.label_weight or _DEFAULT_LABEL_WEIGHT
        names = RELATIONS[self.settings.relations]
        self.relation_weights = dict.fromkeys(names, 1 / len(names))
        # Shares of emotions in the training viewings, used where the graph shows no viewing.
        self.shares: list[float] = []
        self._solved: Solution | None = None

    @property
    def features(self) -> list[str]:
        return ["image.vector"]

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        """Choose λ and the relations' weights, one after another, by how well the validation
        viewings are predicted; without any, λ is 1 and all relations weigh the same.

        Raises
        ------
        DataError
            As in :meth:`evoked.models.base.Model.fit`, or the examples have no graph.
        """
        values = self._learn_targets(train)
        self.widths = {name: train.features.widths[name] for name in self.features}
        self.shares = [float(share) for share in np.nanmean(values, axis=0)]
        self._solved = None
        if validation is None or validation.targets is None:
            return []
        known = np.isfinite(validation.targets.values).all(axis=1)
        if known.any():
            self._choose(validation.select(np.flatnonzero(known)))
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        graph = graph_of(self, examples)
        if self._solved is None or not _same(self._solved.vertices.graph, graph):
            self._solved = self._solution(
                Vertices(graph, self.settings), self.label_weight, self.relation_weights
            )
        queries = self._solved.vertices.queries(examples)
        return self._as_table(self._probabilities(self._solved, queries))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "widths": self.widths,
            "label_weight": self.label_weight,
            "relation_weights": self.relation_weights,
            "shares": self.shares,
        }
        write_json(folder / MODEL_FILE, {**self._description(), **state})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The file is missing or damaged.
        """
        description = read_object(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        try:
            model.widths = {str(name): int(width) for name, width in description["widths"].items()}
            model.label_weight = float(description["label_weight"])
            model.relation_weights = {
                name: float(description["relation_weights"][name])
                for name in model.relation_weights
            }
            model.shares = [float(share) for share in description["shares"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"not the state of this model ({error}).",
                file=folder / MODEL_FILE,
                fix="Train the model again.",
            ) from error
        return model

    def _choose(self, validation: Examples) -> None:
        """Coordinate descent, one round: λ, then the weight of each relation, then λ again."""
        assert validation.targets is not None
        truth = validation.targets.values
        counts, known = truth @ self._class_weights(), np.ones_like(truth)
        vertices = Vertices(graph_of(self, validation), self.settings)
        queries = vertices.queries(validation)

        def goodness(label_weight: float, weights: dict[str, float]) -> float:
            solution = self._solution(vertices, label_weight, weights)
            predicted = self._probabilities(solution, queries)
            if self.settings.keep == "macro_f1":
                return float(macro_f1(*map(torch.from_numpy, (predicted, truth, known))))
            of_truth = np.maximum((predicted * truth).sum(axis=1), _LEAST_PROBABILITY)
            return float((counts * np.log(of_truth)).mean())

        chosen = (self.label_weight, self.relation_weights)
        best = goodness(*chosen)
        for change in self._changes():
            tried = change(*chosen)
            if (found := goodness(*tried)) > best:
                best, chosen = found, tried
        self.label_weight, self.relation_weights = chosen
        # Usually the same graph is predicted on.
        self._solved = self._solution(vertices, self.label_weight, self.relation_weights)

    def _solution(
        self, vertices: Vertices, label_weight: float, weights: dict[str, float]
    ) -> Solution:
        return Solution(vertices, weights, label_weight, self._class_weights())

    def _changes(self) -> Iterator[Change]:
        """Changes of λ and of the relations' weights to try, one after another."""
        yield from self._other_label_weights()
        equal = 1 / len(self.relation_weights)
        for name in self.relation_weights:
            for factor in _WEIGHT_FACTORS:
                if name != "everyone" or factor:  # without it strangers have no hyperedge
                    yield partial(_with_relation_weight, name=name, value=factor * equal)
        yield from self._other_label_weights()

    def _other_label_weights(self) -> Iterator[Change]:
        if self.settings.label_weight is None:
            for value in _LABEL_WEIGHTS:
                yield partial(_with_label_weight, value=value)

    def _class_weights(self) -> Values:
        """Weight of a label of each class, (8,); 1 for the mean label."""
        return class_weights(self.shares, self.settings.class_balance)

    def _probabilities(self, solution: Solution, queries: Queries) -> Values:
        """Probabilities (n, 8) from the hyperedges of each row, with its own label hidden."""
        own, emotions = queries.viewings, solution.vertices.graph.emotions
        labelled = own >= 0
        labelled[labelled] = emotions[own[labelled]] >= 0
        folds = np.where(labelled, own % FOLDS, -1)
        scores = np.zeros((len(own), len(MIKELS)))
        for fold in np.unique(folds):
            rows = folds == fold
            scores[rows] = solution.scores(queries, int(fold))[rows]
        totals = scores.sum(axis=1, keepdims=True)
        return np.where(totals > 0, scores / np.where(totals > 0, totals, 1), self.shares)


# Changes λ and the relations' weights.
Change = Callable[[float, dict[str, float]], tuple[float, dict[str, float]]]


def _with_label_weight(
    _: float, weights: dict[str, float], value: float
) -> tuple[float, dict[str, float]]:
    return value, weights


def _with_relation_weight(
    label_weight: float, weights: dict[str, float], name: str, value: float
) -> tuple[float, dict[str, float]]:
    return label_weight, {**weights, name: value}


@dataclass(frozen=True)
class Queries:
    """Where n viewings would join the hypergraph.

    Attributes
    ----------
    viewings
        int64, (n,): row among the graph's viewings; -1 if the graph does not show the viewing.
    nodes
        By place, int64 (n,): the node of each viewing; -1 if it has none.
    times
        (n,): seconds since 1970, NaN where unknown.
    strange, near
        int64, (m,) and (m, neighbours): rows whose image nobody has viewed, and the hyperedges of
        the images that look most like it.
    """

    viewings: Integers
    nodes: dict[str, Integers]
    times: Values
    strange: Integers
    near: Integers


class Vertices:
    """The viewings of a graph, their relations, and where any other viewing would stand."""

    def __init__(self, graph: SocialGraph, settings: LabelSpreadingSettings) -> None:
        self.graph = graph
        self.neighbours = settings.neighbours
        users, images = graph.viewings
        # Images with a vector that somebody has viewed.
        self.viewed = np.unique(images[graph.image_vectors.present[images]])
        self.windows = _Windows(users, graph.times, settings.window_days * _DAY)
        places = self._places(users, images, graph.times)
        self.relations = {
            name: Relation(places[PLACES[name]], self._members(name))
            for name in RELATIONS[settings.relations]
        }

    def queries(self, examples: Examples) -> Queries:
        """Where the examples would join the hypergraph."""
        posts, vectors = examples.posts, cast(Column, examples.features.columns["image.vector"])
        users, images, viewings = (
            posts[name].to_numpy(np.int64) for name in ("user", "image", "viewing")
        )
        strange = np.flatnonzero(vectors.present & ~np.isin(images, self.viewed))
        times = seconds(posts["viewed_at"])
        nodes = self._places(users, images, times)
        return Queries(viewings, nodes, times, strange, self._lookalikes(vectors.select(strange)))

    def _places(self, users: Integers, images: Integers, times: Values) -> dict[str, Integers]:
        return {
            "world": np.zeros(len(users), dtype=np.int64),
            "user": users,
            "image": images,
            "window": self.windows.of(users, times),
        }

    def _lookalikes(self, vectors: Column) -> Integers:
        """Hyperedges of the viewed images that look most like each of n images, (n, neighbours)."""
        # Thousands of users may be asked about one image, which is looked up once.
        _, first, place = np.unique(vectors.index[:, 0], return_index=True, return_inverse=True)
        known = _values(self.graph.image_vectors, self.viewed)
        return nearest(_values(vectors, first), known, self.neighbours)[place]

    def _members(self, name: str) -> csr_array:
        graph = self.graph
        users, images = len(graph.users), len(graph.images)
        # Hyperedges that are the nodes themselves.
        nodes = {"everyone": 1, "image": images, "user": users, "window": len(self.windows)}
        if name in nodes:
            return csr_array(eye_array(nodes[name]))
        if name == "visual":
            vectors = _values(graph.image_vectors, self.viewed)
            return _circles(self.viewed, vectors, self.neighbours, images)
        if name == "social":
            return csr_array(_pairs(graph.connections, (users, users)) + eye_array(users))
        if name == "group":
            groups = int(graph.memberships[1].max(initial=-1)) + 1
            return _pairs(graph.memberships, (users, groups))
        return _circles(*self._commentators(), self.neighbours, users)

    def _commentators(self) -> tuple[Integers, NDArray[np.float32]]:
        """Users who have commented, and the mean of their comments' vectors."""
        written = np.flatnonzero(self.graph.comment_vectors.present)
        who, place = np.unique(self.graph.viewings[0, written], return_inverse=True)
        sums = _pairs(np.stack([place, np.arange(len(written))]), (len(who), len(written)))
        return who, (sums @ _values(self.graph.comment_vectors, written)).astype(np.float32)


class _Windows:
    """Stretches of time in which single users viewed something."""

    def __init__(self, users: Integers, times: Values, length: float) -> None:
        self.length = length
        stretches = np.floor(times[np.isfinite(times)] / length)
        self.first = int(stretches.min(initial=0))
        self.span = int(stretches.max(initial=0)) - self.first + 1
        keys = self._keys(users, times)
        self.keys = pd.Index(np.unique(keys[keys >= 0]))

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, users: Integers, times: Values) -> Integers:
        """Number of the window of each of n viewings; -1 if there is none."""
        return self.keys.get_indexer(pd.Index(self._keys(users, times))).astype(np.int64)

    def _keys(self, users: Integers, times: Values) -> Integers:
        """One number per user and stretch; -1 if either is unknown."""
        stretches = np.floor(np.nan_to_num(times) / self.length) - self.first
        known = (users >= 0) & np.isfinite(times) & (stretches >= 0) & (stretches < self.span)
        return np.where(known, users * self.span + stretches, -1).astype(np.int64)


class Solution:
    """Labels spread over the hyperedges with given weights.

    Parameters
    ----------
    vertices
        The hypergraph.
    weights
        Weight of each relation.
    label_weight
        λ.
    class_weights
        Weight of a label of each class, (8,).
    """

    def __init__(
        self,
        vertices: Vertices,
        weights: dict[str, float],
        label_weight: float,
        class_weights: Values,
    ) -> None:
        self.vertices = vertices
        self.label_weight = label_weight
        self.class_weights = class_weights
        # Relations without weight, or without a hyperedge, contribute nothing.
        self.weights = {
            name: weights[name]
            for name, relation in vertices.relations.items()
            if weights[name] > 0 and relation.sizes.any()
        }
        self._edge_scores: dict[int, dict[str, Values]] = {}

    def scores(self, queries: Queries, fold: int) -> Values:
        """The mean of D_v^-½ F over the hyperedges of each row, up to a factor; (n, 8).

        Parameters
        ----------
        fold
            Labels of the graph's viewings whose row number leaves this remainder are hidden; none
            if negative.
        """
        if fold not in self._edge_scores:
            self._edge_scores[fold] = self._of_edges(fold)
        sums = np.zeros((len(queries.viewings), len(MIKELS)))
        for name, edges in self._edge_scores[fold].items():
            if name not in PLACES:
                continue
            nodes = queries.nodes[PLACES[name]]
            rows = np.flatnonzero(nodes >= 0)
            sums[rows] += (self.vertices.relations[name].members @ edges)[nodes[rows]]
            if name == "visual":
                sums[queries.strange] += edges[queries.near].sum(axis=1)
        return sums

    def _of_edges(self, fold: int) -> dict[str, Values]:
        """Mean over each hyperedge of a relation, times its weight, (E, 8)."""
        if not self.weights:
            return {}
        hypergraph = Hypergraph(
            [self.vertices.relations[name] for name in self.weights], list(self.weights.values())
        )
        values = hypergraph.solve(self.labels(self.felt(fold)), self.label_weight)
        return dict(zip(self.weights, hypergraph.weighted_means(values), strict=True))

    def felt(self, fold: int) -> Integers:
        """Emotions of the graph's viewings, (n,); -1 where unknown or hidden."""
        emotions = self.vertices.graph.emotions
        return np.where(np.arange(len(emotions)) % FOLDS == fold, -1, emotions)

    def labels(self, felt: Integers) -> Values:
        """Y, (n, 8), of emotions (n,)."""
        labels = np.zeros((len(felt), len(MIKELS)))
        known = felt >= 0
        labels[known, felt[known]] = self.class_weights[felt[known]]
        return labels


def _same(one: SocialGraph, other: SocialGraph) -> bool:
    """Whether two graphs have the same hypergraph; every set of examples has its own copy."""
    arrays = ("viewings", "emotions", "connections", "memberships")
    columns = [(graph.image_vectors, graph.comment_vectors) for graph in (one, other)]
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and np.array_equal(one.times, other.times, equal_nan=True)
        and all(
            left.data is right.data and np.array_equal(left.index, right.index)
            for left, right in zip(*columns, strict=True)
        )
    )


def _values(column: Column, rows: Integers) -> NDArray[np.float32]:
    return cast(NDArray[np.float32], column.arrays(rows)[""])


def _circles(nodes: Integers, vectors: NDArray[np.float32], neighbours: int, n: int) -> csr_array:
    """A hyperedge for each of m nodes, which joins it and its nearest ones, (n, m)."""
    near = nearest(vectors, vectors, neighbours + 1)
    centres = np.arange(len(nodes))
    members = np.concatenate([nodes[near].ravel(), nodes])
    edges = np.concatenate([centres.repeat(near.shape[1]), centres])
    return _pairs(np.stack([members, edges]), (n, len(nodes)))


def _pairs(pairs: Integers, shape: tuple[int, int]) -> csr_array:
    """1 at every pair of row and column, (2, n), however often the pair occurs."""
    matrix = csr_array((np.ones(pairs.shape[1]), tuple(pairs)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
