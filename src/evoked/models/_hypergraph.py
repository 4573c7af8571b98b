"""Transductive learning on a hypergraph.

Zhou, Huang and Schölkopf (2007), *Learning with hypergraphs: clustering, classification, and
embedding*: with vertex degrees D_v, sizes of hyperedges D_e and their weights W, labels spread by
Θ = D_v^-½ H W D_e^-1 Hᵀ D_v^-½, and the Laplacian is Δ = I - Θ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Values = NDArray[np.float64]
Integers = NDArray[np.int64]

# Far more than any weight of the labels that the settings accept needs.
_STEPS = 2000


@dataclass(frozen=True)
class Relation:
    """E hyperedges of one kind over n vertices.

    Each vertex stands at a node (its user, its image) and belongs to the hyperedges of its node. So
    the incidence H is the product of two sparse matrices, vertices × nodes and nodes × hyperedges,
    which is never computed: ten viewings of a user with a hundred contacts take 110 numbers, not a
    thousand.

    Attributes
    ----------
    nodes
        int64, (n,): node of each vertex; -1 if it belongs to none of the hyperedges.
    members
        float64, (nodes, E), 0 and 1: which hyperedges a node belongs to.
    """

    nodes: Integers
    members: csr_array

    @cached_property
    def standing(self) -> csr_array:
        """Which vertices stand at each node, (nodes, n)."""
        known = np.flatnonzero(self.nodes >= 0)
        shape = (self.members.shape[0], len(self.nodes))
        return csr_array((np.ones(len(known)), (self.nodes[known], known)), shape=shape)

    @cached_property
    def sizes(self) -> Values:
        """Vertices of each hyperedge, δ(e), (E,)."""
        return self.edge_sums(np.ones((len(self.nodes), 1)))[:, 0]

    def edge_sums(self, values: Values) -> Values:
        """Hᵀ values: (n, k) to (E, k)."""
        return np.asarray(self.members.T @ (self.standing @ values))

    def vertex_sums(self, values: Values) -> Values:
        """H values: (E, k) to (n, k)."""
        return np.asarray(self.standing.T @ (self.members @ values))


class Hypergraph:
    """n vertices joined by hyperedges of several kinds.

    Parameters
    ----------
    relations
        At least one, all over the same vertices.
    weights
        Weight of each relation, (relations,), at least 0: the degree that it gives to the mean
        vertex. Hyperedges of one relation weigh the same unless ``edge_weights`` says otherwise.
    edge_weights
        Of each relation the weight of each hyperedge, (E,), in place of ``weights``.
    """

    def __init__(
        self,
        relations: Sequence[Relation],
        weights: Sequence[float],
        edge_weights: Sequence[Values] | None = None,
    ) -> None:
        self.relations, self.weights = relations, weights
        self.edge_weights = edge_weights or [
            _edge_weight(relation, weight)
            for relation, weight in zip(relations, weights, strict=True)
        ]
        degrees = sum(
            relation.vertex_sums(weight[:, None])[:, 0]
            for relation, weight in zip(relations, self.edge_weights, strict=True)
        )
        self.degrees: Values = np.asarray(degrees)
        known = self.degrees > 0
        # D_v^-½; 0 for vertices that no hyperedge joins.
        self.scale = np.where(known, 1 / np.sqrt(np.where(known, self.degrees, 1)), 0)[:, None]

    def spread(self, values: Values) -> Values:
        """Θ values, (n, k)."""
        means = self.edge_means(self.scale * values)
        sums = sum(
            relation.vertex_sums(weight[:, None] * mean)
            for relation, weight, mean in zip(self.relations, self.edge_weights, means, strict=True)
        )
        return self.scale * np.asarray(sums)

    def edge_means(self, values: Values) -> list[Values]:
        """D_e^-1 Hᵀ values of every relation, each (E, k)."""
        return [
            relation.edge_sums(values) / np.maximum(relation.sizes, 1)[:, None]
            for relation in self.relations
        ]

    def weighted_means(self, values: Values) -> list[Values]:
        """Mean of D_v^-½ F over the vertices of each hyperedge, times its weight; of every relation
        (E, k)."""
        means = self.edge_means(self.scale * values)
        return [
            weight[:, None] * mean for weight, mean in zip(self.edge_weights, means, strict=True)
        ]

    def with_learned_weights(self, values: Values, cost: float) -> Hypergraph:
        """The hypergraph whose weights suit ``values`` F (n, k) best, all k classes at once.

        Each weight is multiplied by a factor x ≥ 0. The factors minimise the sum over hyperedges of
        what a hyperedge adds to the degrees, times x (its members' disagreement) + ``cost`` x²/2,
        while the degrees keep their sum. Disagreement is a hyperedge's part of the Laplacian's
        Fᵀ Δ F, per member and relative to the mean of all hyperedges; one more member that
        disagrees as the mean does keeps hyperedges of one vertex, which can't disagree, from taking
        all weight.
        """
        flat = self.scale * values
        apart = np.concatenate([_disagreement(relation, flat) for relation in self.relations])
        sizes = np.concatenate([relation.sizes for relation in self.relations])
        usual = apart.sum() / max(sizes.sum(), 1)
        relative = (apart + usual) / ((sizes + 1) * usual) if usual > 0 else np.ones(len(sizes))
        start = [
            _edge_weight(relation, weight)
            for relation, weight in zip(self.relations, self.weights, strict=True)
        ]
        weights = np.concatenate(start)
        weights = weights * _cheapest(relative / cost, weights * sizes)
        bounds = np.cumsum([len(each) for each in start])[:-1]
        return Hypergraph(self.relations, self.weights, np.split(weights, bounds))

    def solve(self, labels: Values, label_weight: float) -> Values:
        """F = (I + Δ/λ)^-1 Y: values that are smooth over hyperedges and close to the labels.

        Parameters
        ----------
        labels
            Y, (n, classes): 0 in the rows of vertices whose label is unknown.
        label_weight
            λ > 0: weight of closeness to the labels, relative to smoothness.
        """
        return conjugate_gradients(
            lambda values: (1 + label_weight) * values - self.spread(values),
            label_weight * labels,
        )


def conjugate_gradients(
    apply: Callable[[Values], Values], right: Values, tolerance: float = 1e-6
) -> Values:
    """Solve a symmetric positive definite system for k right-hand sides (n, k) at once.

    Parameters
    ----------
    apply
        Multiplies the system's matrix with (n, k).
    right
        The right-hand sides.
    tolerance
        Largest norm of each residual, relative to its right-hand side.
    """
    solution = np.zeros_like(right)
    residual = right.copy()
    direction = right.copy()
    squares = (residual**2).sum(axis=0)
    enough = tolerance**2 * squares
    for _ in range(_STEPS):
        if (squares <= enough).all():
            break
        applied = apply(direction)
        step = _ratio(squares, (direction * applied).sum(axis=0))
        solution += step * direction
        residual -= step * applied
        before, squares = squares, (residual**2).sum(axis=0)
        direction = residual + _ratio(squares, before) * direction
    return solution


def _edge_weight(relation: Relation, weight: float) -> Values:
    """Weight of every hyperedge, (E,), which gives the mean vertex the degree ``weight``."""
    share = weight * len(relation.nodes) / max(relation.sizes.sum(), 1)
    return np.full(len(relation.sizes), share)


def _disagreement(relation: Relation, values: Values) -> Values:
    """Sum of squared differences from the mean of each hyperedge's members, (E,)."""
    squares = relation.edge_sums(values**2).sum(axis=1)
    sums = (relation.edge_sums(values) ** 2).sum(axis=1)
    return np.maximum(squares - sums / np.maximum(relation.sizes, 1), 0)


def _cheapest(prices: Values, masses: Values) -> Values:
    """x ≥ 0, (E,), that minimises Σ mass (price x + x²/2) where Σ mass x = Σ mass: the water level
    minus the price."""
    order = np.argsort(prices, kind="stable")
    held = np.cumsum(masses[order])
    levels = _ratio(masses.sum() + np.cumsum((masses * prices)[order]), held)
    above = np.flatnonzero((held > 0) & (levels > prices[order]))
    level = levels[above[-1]] if len(above) else 0.0
    return np.maximum(level - prices, 0)


def _ratio(above: Values, below: Values) -> Values:
    """Quotients; 0 where a right-hand side is solved, or was zero from the start."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
