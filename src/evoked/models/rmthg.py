"""RMTHG: rolling multi-task hypergraph learning of personal emotion.

Zhao et al. (2016), *Predicting personalized emotion perceptions of social images*, the baseline of
Bhattacharyya et al. (2024), *HMG-Emo*, Table II. Built from the latter's description (Section
IV-C1) and the abstracts of the former and of its journal version (2018): of the formulas that are
not in them, those that we chose are named below.

Vertices, hyperedges and how other viewings join are those of
:mod:`evoked.models.label_spreading`. What the name adds:

- *Temporal evolution*: hyperedges join viewings before which their users last felt the same.
- *Multi-task*: the eight emotions are tasks that share the weights of single hyperedges. Learning
  starts from the weights of their relations, which are chosen on the validation viewings, and goes
  in turn with the emotions. Its quadratic cost is ours, see
  :meth:`evoked.models._hypergraph.Hypergraph.with_learned_weights`.
- *Rolling*: the graph's viewings whose emotion is unknown are predicted one stretch of time after
  another, and what was predicted is history of later ones.

Left out is the influence of places: no network that evoked reads says where a picture was taken.
The history of a viewing that is not in the graph is that of the graph, so that no prediction
depends on other rows that are predicted.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array, eye_array

from evoked.models._hypergraph import Hypergraph, Integers, Relation, Values
from evoked.models.label_spreading import (
    LabelSpreading,
    LabelSpreadingSettings,
    Queries,
    Solution,
    Vertices,
)
from evoked.posts.schema import MIKELS

_EARLIER = "earlier"


class RMTHGSettings(LabelSpreadingSettings):
    """Settings of the hypergraph and of its weights."""

    weight_cost: float = Field(
        1.0,
        gt=0,
        description="how much unequal weights of hyperedges cost: the less, the more weight goes "
        "to those whose members agree",
    )
    rounds: int = Field(2, ge=0, description="how often weights and emotions are learned in turn")
    stretches: int = Field(
        3, ge=1, description="stretches of time in which unknown emotions become history"
    )


class RMTHG(LabelSpreading):
    """Labels that spread over hyperedges whose weights are learned, with the history of users."""

    name = "rmthg"
    description = "hypergraph of viewings with learned weights and the history of users"
    source = "Zhao et al. 2016; HMG-Emo, Table II"
    Settings = RMTHGSettings

    settings: RMTHGSettings

    def _solution(
        self, vertices: Vertices, label_weight: float, weights: dict[str, float]
    ) -> Solution:
        shares = self._class_weights()
        return RollingSolution(vertices, weights, label_weight, shares, self.settings)


class RollingSolution(Solution):
    """Labels spread with learned weights, from one stretch of time to the next.

    Parameters
    ----------
    vertices, weights, label_weight, class_weights
        As in :class:`evoked.models.label_spreading.Solution`; ``weights`` are where learning
        starts, that of the history is their mean.
    settings
        Of the model.
    """

    def __init__(
        self,
        vertices: Vertices,
        weights: dict[str, float],
        label_weight: float,
        class_weights: Values,
        settings: RMTHGSettings,
    ) -> None:
        super().__init__(vertices, weights, label_weight, class_weights)
        self.settings = settings
        # By fold: emotions of the graph's viewings, those included that were predicted.
        self._rolled: dict[int, Integers] = {}

    def scores(self, queries: Queries, fold: int) -> Values:
        sums = super().scores(queries, fold)
        earlier = self._edge_scores[fold].get(_EARLIER)
        if earlier is not None:
            last = self._last_felt(queries.nodes["user"], queries.times, self._rolled[fold])
            sums[last >= 0] += earlier[last[last >= 0]]
        return sums

    def _of_edges(self, fold: int) -> dict[str, Values]:
        if not self.weights:
            return {}
        graph, felt = self.vertices.graph, self.felt(fold)
        labels = self.labels(felt)
        unknown = np.flatnonzero((felt < 0) & np.isfinite(graph.times))
        in_turn = unknown[np.argsort(graph.times[unknown], kind="stable")]
        rolled = felt.copy()
        for rows in np.array_split(in_turn, self.settings.stretches):
            if len(rows):
                _, values = self._learned(labels, rolled)
                rolled[rows] = values[rows].argmax(axis=1)
        hypergraph, values = self._learned(labels, rolled)
        self._rolled[fold] = rolled
        return dict(zip(self._names, hypergraph.weighted_means(values), strict=True))

    @property
    def _names(self) -> list[str]:
        history = "user" in self.weights
        return [*self.weights, *([_EARLIER] if history else [])]

    def _learned(self, labels: Values, felt: Integers) -> tuple[Hypergraph, Values]:
        """Weights and emotions (n, 8), learned in turn, with the history that ``felt`` gives."""
        relations = [self.vertices.relations[name] for name in self.weights]
        weights = list(self.weights.values())
        if _EARLIER in self._names:
            graph = self.vertices.graph
            last = self._last_felt(graph.viewings[0], graph.times, felt)
            relations.append(Relation(last, csr_array(eye_array(len(MIKELS)))))
            weights.append(float(np.mean(weights)))
        hypergraph = Hypergraph(relations, weights)
        values = hypergraph.solve(labels, self.label_weight)
        for _ in range(self.settings.rounds):
            hypergraph = hypergraph.with_learned_weights(values, self.settings.weight_cost)
            values = hypergraph.solve(labels, self.label_weight)
        return hypergraph, values

    def _last_felt(self, users: Integers, times: Values, felt: Integers) -> Integers:
        """What each of n users felt at their last viewing of the graph before a time, (n,); -1
        where there is none."""
        graph = self.vertices.graph
        known = np.flatnonzero((felt >= 0) & np.isfinite(graph.times))
        moments = np.unique(graph.times[known])
        span = len(moments) + 1

        def keys(who: Integers, when: Values) -> Integers:
            return who * span + np.searchsorted(moments, when)

        own = keys(graph.viewings[0, known], graph.times[known])
        order = np.argsort(own, kind="stable")
        place = np.searchsorted(own[order], keys(users, times)) - 1
        before = known[order][place] if len(known) else np.full(len(users), -1, dtype=np.int64)
        found = (place >= 0) & (users >= 0) & np.isfinite(times)
        found &= graph.viewings[0, before] == users
        return np.where(found, felt[before], -1)
