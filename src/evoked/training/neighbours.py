"""Viewings with their neighbourhood in the graph, a batch at a time.

Sampling is our own: PyTorch Geometric's needs pyg-lib, which is on no package index, and can't
leave out different edges in each batch, which the viewings of the batch are.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from evoked.features.social_graph import SocialGraph, derangement
from evoked.features.table import Batch, FeatureTable
from evoked.layers.message_passing import NODES, RELATIONS, Edges
from evoked.posts.schema import MIKELS

Integers = NDArray[np.int64]

ALL = -1  # all neighbours, in place of a number
UNKNOWN_EMOTION = len(MIKELS)


class IncomingEdges(NamedTuple):
    """Edges of a relation by their target, as compressed columns.

    Attributes
    ----------
    starts
        (targets + 1,): where the edges of each target begin.
    source
        (e,): row of the source.
    edge
        (e,): column of the edge in the graph's viewings or connections.
    """

    starts: Integers
    source: Integers
    edge: Integers


class Hop(NamedTuple):
    """Edges of one relation found in one hop.

    Attributes
    ----------
    source
        (e,): rows in the graph.
    target
        (e,): positions among the nodes found.
    edge
        (e,): columns in the graph's viewings or connections.
    """

    source: Integers
    target: Integers
    edge: Integers


@dataclass(frozen=True)
class Neighbourhood:
    """Nodes and edges around seeds.

    Attributes
    ----------
    nodes
        By kind: rows in the graph, first the seeds, then the nodes of each hop.
    edges
        By relation, (3, e): source and target as positions in ``nodes``, and column in the graph;
        in the order of hops and, within a hop, of targets.
    nodes_by_hop, edges_by_hop
        Number of nodes (hops + 1 numbers by kind) and of edges (hops numbers by relation) up to
        each hop.
    """

    nodes: dict[str, Integers]
    edges: dict[str, Integers]
    nodes_by_hop: dict[str, list[int]]
    edges_by_hop: dict[str, list[int]]


class NeighbourSampler:
    """Samples neighbourhoods, with whole arrays at every step.

    Parameters
    ----------
    graph
        A graph of any size; it takes two numbers of memory per direction of an edge.
    fan_out
        Neighbours per node and relation at each hop; :data:`ALL` takes all.
    most
        Largest number of nodes of a kind that a hop adds; if there are more, a random choice is
        kept, with their edges. None sets no limit.
    """

    def __init__(self, graph: SocialGraph, fan_out: Sequence[int], most: int | None = None) -> None:
        self.fan_out, self.most = tuple(fan_out), most
        self.incoming = incoming_edges(graph)
        # Position of a node among those found; -1 between calls.
        self._places = {
            "user": np.full(len(graph.users), -1, dtype=np.int64),
            "image": np.full(len(graph.images), -1, dtype=np.int64),
        }

    def sample(
        self,
        seeds: dict[str, Integers],
        random: np.random.Generator,
        hidden: Integers | None = None,
    ) -> Neighbourhood:
        """Sample the neighbourhood of ``seeds``.

        Parameters
        ----------
        seeds
            By kind ("user", "image"): distinct rows in the graph.
        random
            Random generator; the sample depends only on its state.
        hidden
            Viewings that no message passes along.
        """
        found = {kind: [seeds[kind]] for kind in NODES}
        counts = {kind: [len(seeds[kind])] for kind in NODES}
        hops: dict[str, list[Hop]] = {name: [] for name in RELATIONS}
        for kind in NODES:
            self._places[kind][seeds[kind]] = np.arange(len(seeds[kind]))
        for neighbours in self.fan_out:
            frontier = {kind: found[kind][-1] for kind in NODES}
            for name, (_, target) in RELATIONS.items():
                hop = self._expand(name, frontier[target], neighbours, random, hidden)
                hops[name].append(hop)
            for kind in NODES:
                sources = [
                    hops[name][-1].source for name in RELATIONS if RELATIONS[name][0] == kind
                ]
                new = np.unique(np.concatenate(sources))
                new = new[self._places[kind][new] < 0]
                if self.most is not None and len(new) > self.most:
                    new = np.sort(random.choice(new, self.most, replace=False))
                self._places[kind][new] = counts[kind][-1] + np.arange(len(new))
                found[kind].append(new)
                counts[kind].append(counts[kind][-1] + len(new))
            for name in RELATIONS:
                hops[name][-1] = self._within(name, hops[name][-1])
        edges = {name: self._joined(name, hops[name]) for name in RELATIONS}
        nodes = {kind: np.concatenate(found[kind]) for kind in NODES}
        for kind in NODES:
            self._places[kind][nodes[kind]] = -1
        edge_counts = {
            name: np.cumsum([len(hop.edge) for hop in hops[name]]).tolist() for name in RELATIONS
        }
        return Neighbourhood(nodes, edges, counts, edge_counts)

    def _expand(
        self,
        name: str,
        targets: Integers,
        neighbours: int,
        random: np.random.Generator,
        hidden: Integers | None,
    ) -> Hop:
        incoming = self.incoming[name]
        first = incoming.starts[targets]
        owner, offset = choose(incoming.starts[targets + 1] - first, neighbours, random)
        place = first[owner] + offset
        edge = incoming.edge[place]
        if hidden is not None and len(hidden) and name != "connects":
            shown = ~np.isin(edge, hidden)
            owner, place, edge = owner[shown], place[shown], edge[shown]
        target = self._places[RELATIONS[name][1]][targets[owner]]
        return Hop(incoming.source[place], target, edge)

    def _within(self, name: str, hop: Hop) -> Hop:
        """The edges whose source was kept."""
        if self.most is None:
            return hop
        kept = self._places[RELATIONS[name][0]][hop.source] >= 0
        return Hop(*(part[kept] for part in hop))

    def _joined(self, name: str, hops: list[Hop]) -> Integers:
        source, target, edge = (np.concatenate(part) for part in zip(*hops, strict=True))
        return np.stack([self._places[RELATIONS[name][0]][source], target, edge])


def choose(degrees: Integers, most: int, random: np.random.Generator) -> tuple[Integers, Integers]:
    """For each of n nodes, at most ``most`` of its neighbours; every set is equally likely.

    Returns
    -------
    tuple
        Number of the node, and position among its ``degrees`` neighbours, both (chosen,); nodes in
        ascending order.
    """
    counts = degrees if most == ALL else np.minimum(degrees, most)
    owner = np.repeat(np.arange(len(degrees)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    offset = np.arange(len(owner)) - before
    many = degrees > counts
    if many.any():
        # Floyd's algorithm: draw from the first j + 1; a repeated draw means j itself.
        chosen = np.full((int(many.sum()), most), -1, dtype=np.int64)
        for step in range(most):
            last = degrees[many] - most + step
            drawn = random.integers(last + 1)
            taken = (chosen[:, :step] == drawn[:, None]).any(axis=1)
            chosen[:, step] = np.where(taken, last, drawn)
        offset[many[owner]] = chosen.ravel()
    return owner, offset


def incoming_edges(graph: SocialGraph) -> dict[str, IncomingEdges]:
    """Every relation's edges by target."""
    sizes = {"user": len(graph.users), "image": len(graph.images)}
    ends = {
        "views": graph.viewings,
        "viewed_by": graph.viewings[::-1],
        "connects": graph.connections,
    }
    return {name: _by_target(ends[name], sizes[target]) for name, (_, target) in RELATIONS.items()}


def _by_target(ends: Integers, n: int) -> IncomingEdges:
    source, target = ends
    order = np.argsort(target, kind="stable")
    starts = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(target, minlength=n), out=starts[1:])
    return IncomingEdges(starts, source[order], order)


class WholeGraph:
    """All nodes and edges of a graph, for networks that use all of it at once.

    It is part of a batch, like a tensor.
    """

    def __init__(self, graph: SocialGraph) -> None:
        self.tables = {
            "user": FeatureTable({"user.vector": graph.user_vectors}),
            "image": FeatureTable({"image.vector": graph.image_vectors}),
            "viewing": FeatureTable({"viewing.comment": graph.comment_vectors}),
        }
        self.emotions = emotion_numbers(graph.emotions)
        self._graph = graph

    @cached_property
    def edges(self) -> dict[str, Edges]:
        """Edges by relation; made when first used, which sampling never does."""
        return {
            name: Edges(
                torch.from_numpy(incoming.source),
                torch.from_numpy(
                    np.repeat(np.arange(len(incoming.starts) - 1), np.diff(incoming.starts))
                ),
                None if name == "connects" else torch.from_numpy(incoming.edge),
            )
            for name, incoming in incoming_edges(self._graph).items()
        }

    def to(self, device: torch.device, non_blocking: bool = False) -> WholeGraph:
        """The same graph with its edges on the device; vectors follow when they are needed."""
        self.emotions = self.emotions.to(device)
        self.edges = {
            name: Edges(
                edges.source.to(device),
                edges.target.to(device),
                None if edges.viewing is None else edges.viewing.to(device),
            )
            for name, edges in self.edges.items()
        }
        return self


def emotion_numbers(emotions: Integers) -> torch.Tensor:
    """Emotions of viewings with :data:`UNKNOWN_EMOTION` in place of -1, int64."""
    return torch.from_numpy(np.where(emotions < 0, UNKNOWN_EMOTION, emotions))


class ViewingBatches:
    """Gives viewings with their neighbourhood, as a feature table gives posts with their features.

    Parameters
    ----------
    viewings
        ``user``, ``image`` and ``viewing``, int64 (3, n): rows in the graph; -1 for what the graph
        doesn't hold.
    features
        Features of the same viewings: ``user.vector`` and ``image.vector``, for users and images
        that the graph doesn't hold.
    graph
        The graph around the viewings.
    fan_out, most
        As in :class:`NeighbourSampler`; without ``fan_out`` every batch gets the whole graph.
    learning
        Whether the viewings are training viewings: a batch then names them, so that the network
        can ignore them.
    keep_edges
        Whether messages nevertheless pass along the batch's own viewings; otherwise a sample leaves
        them out.
    negatives
        Number of random pairs of a user and an image added for each training viewing: each user of
        the batch beside the image of another of its viewings. So users and images are as active
        among the pairs as among the viewings, and have lost as many viewings to the batch; only who
        met whom differs. As in noise-contrastive estimation, some pairs may have met.
    seed
        Random seed for sampling. A sample depends only on the seed and the batch's rows, so that a
        resumed run repeats an uninterrupted one.
    """

    lengths = None

    def __init__(
        self,
        viewings: Integers,
        features: FeatureTable,
        graph: SocialGraph,
        fan_out: Sequence[int] | None = None,
        most: int | None = None,
        *,
        learning: bool = False,
        keep_edges: bool = False,
        negatives: int = 0,
        seed: int = 0,
    ) -> None:
        self.viewings, self.features, self.graph = viewings, features, graph
        self.learning, self.keep_edges = learning, keep_edges
        self.negatives, self.seed = negatives, seed
        self.sampler = None if fan_out is None else NeighbourSampler(graph, fan_out, most)
        self.whole = WholeGraph(graph)

    def __len__(self) -> int:
        return self.viewings.shape[1]

    def take(self, rows: Integers, view: Integers | None = None) -> Batch:
        """Tensors of the viewings at ``rows`` (b,).

        Returns
        -------
        dict
            ``user`` and ``image`` (b,): positions among the seeds (all nodes if ``graph`` is given)
            followed by the ``stranger.…`` vectors. ``own``: positions of the batch's own viewings
            if they are training viewings. For a sampled neighbourhood also the vectors of nodes and
            viewings, their ``….rows`` in the graph, ``viewing.emotion``, and for each relation
            ``….source``, ``….target``, ``….viewing`` and ``….hops`` (how many up to each hop).
        """
        random = np.random.default_rng([self.seed, zlib.crc32(rows.tobytes())])
        wanted = {"user": self.viewings[0, rows], "image": self.viewings[1, rows]}
        own = self.viewings[2, rows]
        own = own[own >= 0] if self.learning else own[:0]
        if self.learning and self.negatives:
            wanted = self._with_pairs(wanted, random)
        seeds = {
            kind: np.unique(nodes[nodes >= 0]) if self.sampler else np.arange(self._count(kind))
            for kind, nodes in wanted.items()
        }
        batch: Batch = {}
        for kind, nodes in wanted.items():
            place = np.searchsorted(seeds[kind], nodes)
            strange = np.flatnonzero(nodes < 0)
            place[strange] = len(seeds[kind]) + np.arange(len(strange))
            batch[kind] = torch.from_numpy(place)
            if len(strange):
                name = f"{kind}.vector"
                for part, tensor in self.features.columns[name].take(rows[strange], None).items():
                    batch[f"stranger.{name}{part}"] = tensor
                batch[f"stranger.{name}.present"] = torch.from_numpy(
                    self.features.columns[name].present[rows[strange]]
                )
        if self.sampler is None:
            batch["graph"] = self.whole  # type: ignore[assignment]
            batch["own"] = torch.from_numpy(own)
            return batch
        hidden = None if self.keep_edges else own
        found = self.sampler.sample(seeds, random, hidden)
        return batch | self._tensors(found, own)

    def _with_pairs(
        self, wanted: dict[str, Integers], random: np.random.Generator
    ) -> dict[str, Integers]:
        """Users and images of the viewings, followed by those of random pairs."""
        users, images = [wanted["user"]], [wanted["image"]]
        for _ in range(self.negatives):
            users.append(wanted["user"])
            images.append(wanted["image"][derangement(len(wanted["image"]), random)])
        return {"user": np.concatenate(users), "image": np.concatenate(images)}

    def _count(self, kind: str) -> int:
        return len(self.graph.users if kind == "user" else self.graph.images)

    def _tensors(self, found: Neighbourhood, own: Integers) -> Batch:
        batch: Batch = {}
        along = [found.edges[name][2] for name in ("views", "viewed_by")]
        viewings = np.unique(np.concatenate(along))
        for name, edges in found.edges.items():
            batch[f"{name}.source"] = torch.from_numpy(edges[0])
            batch[f"{name}.target"] = torch.from_numpy(edges[1])
            if name != "connects":
                batch[f"{name}.viewing"] = torch.from_numpy(np.searchsorted(viewings, edges[2]))
            batch[f"{name}.hops"] = torch.tensor(found.edges_by_hop[name])
        for kind in NODES:
            batch |= self.whole.tables[kind].take(found.nodes[kind])
            batch[f"{kind}.rows"] = torch.from_numpy(found.nodes[kind])
            batch[f"{kind}.hops"] = torch.tensor(found.nodes_by_hop[kind])
        batch |= self.whole.tables["viewing"].take(viewings)
        batch["viewing.rows"] = torch.from_numpy(viewings)
        batch["viewing.emotion"] = self.whole.emotions[torch.from_numpy(viewings)]
        batch["own"] = torch.from_numpy(np.flatnonzero(np.isin(viewings, own)))
        return batch
