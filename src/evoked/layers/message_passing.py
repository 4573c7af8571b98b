"""Message passing between users and images: attention over neighbours, GraphSAGE, GraphConv.

Bhattacharyya et al. (2024), *HMG-Emo*, Section III-C. PyTorch Geometric's ``GATConv`` takes its
softmax over the neighbours of one kind, and between two kinds of nodes its self-loops would join
user k to image k. Equation 3 sums over all neighbours and the node itself, so this layer is ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from evoked.errors import MissingExtraError

# Kind of the source and of the target. Messages go both ways along a viewing, and a connection is
# listed in both directions.
RELATIONS: dict[str, tuple[str, str]] = {
    "views": ("user", "image"),
    "viewed_by": ("image", "user"),
    "connects": ("user", "user"),
}
NODES = ("user", "image")
Nodes = dict[str, Tensor]


@dataclass(frozen=True)
class Edges:
    """Edges of one relation, in the order of their targets.

    Attributes
    ----------
    source, target
        int64, (e,): rows among the nodes of their kinds.
    viewing
        int64, (e,): row among the features of viewings; None for connections, which have none.
    """

    source: Tensor
    target: Tensor
    viewing: Tensor | None = None

    def select(self, rows: slice | Tensor) -> Edges:
        """The edges at ``rows``."""
        viewing = None if self.viewing is None else self.viewing[rows]
        return Edges(self.source[rows], self.target[rows], viewing)


class AttentionLayer(nn.Module):
    """Graph attention in which only viewings have edge features (Eq. 2 and 3).

    Parameters
    ----------
    widths
        Channels of users and of images.
    width
        Channels of the result.
    edge_width
        Channels of a viewing's features; None uses none.
    edge_messages
        Whether viewings' features are part of the neighbours' messages (ours), and not only of
        their attention weights, as in the paper.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        width: int,
        edge_width: int | None = None,
        edge_messages: bool = False,
    ) -> None:
        super().__init__()
        # Θ: users and images come from different spaces, so each kind has its own.
        self.theta = nn.ModuleDict(
            {kind: nn.Linear(widths[kind], width, bias=False) for kind in NODES}
        )
        # a_s per kind of the receiving node; a_t per relation, and for the node itself.
        self.attend_self = _vectors(NODES, width)
        self.attend_neighbour = _vectors([*RELATIONS, *NODES], width)
        self.bias = nn.ParameterDict({kind: nn.Parameter(torch.zeros(width)) for kind in NODES})
        directions = ("views", "viewed_by") if edge_width else ()
        # aₑᵀΘₑ as one vector: the attention uses only their product.
        self.attend_edge = _vectors(directions, edge_width or 1)
        self.edge_messages = nn.ModuleDict(
            {name: nn.Linear(edge_width or 1, width, bias=False) for name in directions}
            if edge_messages
            else {}
        )

    def forward(
        self,
        nodes: Nodes,
        edges: Mapping[str, Edges],
        targets: Mapping[str, int],
        viewings: Tensor | None = None,
        attention: dict[str, Tensor] | None = None,
    ) -> Nodes:
        """One layer.

        Parameters
        ----------
        nodes
            Vectors by kind, (n, channels).
        edges
            Edges by relation.
        targets
            By kind, how many nodes to compute, from the first on.
        viewings
            Features of viewings, (v, edge_width).
        attention
            A dictionary to fill with α: by relation, that of each edge, (e,); by kind, that of the
            node itself, (targets,).

        Returns
        -------
        dict
            By kind, (targets, width).
        """
        transformed = {kind: self.theta[kind](nodes[kind]) for kind in NODES}
        result = {}
        for kind in NODES:
            own = transformed[kind][: targets[kind]]
            receiving = own @ self.attend_self[kind]
            incoming = [name for name in RELATIONS if RELATIONS[name][1] == kind]
            # The exponents of Eq. 3.
            to_self = _f(receiving + own @ self.attend_neighbour[kind])
            logits = {
                name: self._logits(name, receiving, transformed, edges[name], viewings)
                for name in incoming
            }
            highest = to_self.detach()
            for name in incoming:
                highest = highest.scatter_reduce(
                    0, edges[name].target, logits[name].detach(), "amax"
                )
            own_weight = (to_self - highest).exp()
            weights = {
                name: (logits[name] - highest[edges[name].target]).exp() for name in incoming
            }
            total = own_weight
            for name in incoming:
                total = total.scatter_add(0, edges[name].target, weights[name])
            # Eq. 2; the division by Eq. 3's denominator comes last.
            messages = own_weight[:, None] * own
            for name in incoming:
                messages = messages + self._messages(
                    name, weights[name], transformed, edges[name], viewings, len(own)
                )
            result[kind] = messages / total[:, None] + self.bias[kind]
            if attention is not None:
                attention[kind] = own_weight / total
                for name in incoming:
                    attention[name] = weights[name] / total[edges[name].target]
        return result

    def _logits(
        self, name: str, receiving: Tensor, nodes: Nodes, edges: Edges, viewings: Tensor | None
    ) -> Tensor:
        sending = nodes[RELATIONS[name][0]] @ self.attend_neighbour[name]
        logits = receiving[edges.target] + sending[edges.source]
        if name in self.attend_edge and viewings is not None and edges.viewing is not None:
            logits = logits + (viewings @ self.attend_edge[name])[edges.viewing]
        return _f(logits)

    def _messages(
        self,
        name: str,
        weights: Tensor,
        nodes: Nodes,
        edges: Edges,
        viewings: Tensor | None,
        n: int,
    ) -> Tensor:
        senders = nodes[RELATIONS[name][0]]
        messages = weighted_sum(weights, senders, edges.source, edges.target, n)
        if name in self.edge_messages and viewings is not None and edges.viewing is not None:
            features = self.edge_messages[name](viewings)
            messages = messages + weighted_sum(weights, features, edges.viewing, edges.target, n)
        return messages


class ConvolutionLayer(nn.Module):
    """GraphSAGE (mean over neighbours) or GraphConv (sum) per relation, added up (Table IV).

    They use no edge features. Parameters as of :class:`AttentionLayer`.

    Raises
    ------
    MissingExtraError
        PyTorch Geometric is not installed.
    """

    def __init__(
        self, kind: Literal["sage", "conv"], widths: Mapping[str, int], width: int
    ) -> None:
        super().__init__()
        try:
            from torch_geometric.nn import GraphConv, SAGEConv
        except ImportError as error:
            raise MissingExtraError("torch-geometric", "graph", f"The backbone {kind!r}") from error
        layer = {"sage": SAGEConv, "conv": GraphConv}[kind]
        self.relations = nn.ModuleDict(
            {
                name: layer((widths[source], widths[target]), width)
                for name, (source, target) in RELATIONS.items()
            }
        )

    def forward(
        self,
        nodes: Nodes,
        edges: Mapping[str, Edges],
        targets: Mapping[str, int],
        viewings: Tensor | None = None,
        attention: dict[str, Tensor] | None = None,
    ) -> Nodes:
        """As of :class:`AttentionLayer`, without attention."""
        result: Nodes = {}
        for name, (source, target) in RELATIONS.items():
            own = nodes[target][: targets[target]]
            ends = torch.stack([edges[name].source, edges[name].target])
            message = self.relations[name]((nodes[source], own), ends)
            result[target] = result[target] + message if target in result else message
        return result


class NodeNorm(nn.BatchNorm1d):
    """Batch normalisation over nodes; a single node, which has no variance, is normalised with the
    running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) < 2:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


def weighted_sum(weights: Tensor, values: Tensor, source: Tensor, target: Tensor, n: int) -> Tensor:
    """For each target, the sum over edges of weight times the source's value.

    Parameters
    ----------
    weights
        Weight of each edge, (e,).
    values
        Value of each source, (m, channels).
    source, target
        Rows of each edge, int64, (e,); targets in ascending order.
    n
        Number of targets.

    Returns
    -------
    Tensor
        (n, channels). Unlike gathering and scattering, this keeps no (e, channels) tensor for the
        backward pass, and takes a third of the time on a processor.
    """
    result: Tensor = _WeightedSum.apply(weights, values, source, target, n)
    return result


class _WeightedSum(torch.autograd.Function):
    """A product of a sparse matrix, whose values have a gradient, with a dense one."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, values: Tensor, source: Tensor, target: Tensor, n: int
    ) -> Tensor:
        starts = torch.zeros(n + 1, dtype=torch.int64, device=target.device)
        starts[1:] = torch.bincount(target, minlength=n).cumsum(0)
        ctx.save_for_backward(weights, values, source, target, starts)
        return _sparse(starts, source, weights, values) @ values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weights, values, source, target, starts = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        to_weights = (gradient[target] * values[source]).sum(dim=1)
        to_values = _sparse(starts, source, weights, values).t() @ gradient
        return to_weights, to_values, None, None, None


def _sparse(starts: Tensor, source: Tensor, weights: Tensor, values: Tensor) -> Tensor:
    with warnings.catch_warnings():
        # torch warns that sparse matrices are in beta; only their products are used here.
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        return torch.sparse_csr_tensor(
            starts, source, weights, size=(len(starts) - 1, len(values)), check_invariants=False
        )


def _vectors(names: Any, width: int) -> nn.ParameterDict:
    scale = (6 / (width + 1)) ** 0.5  # Glorot, as in the published graph attention
    return nn.ParameterDict(
        {name: nn.Parameter((2 * torch.rand(width) - 1) * scale) for name in names}
    )


def _f(values: Tensor) -> Tensor:
    return functional.leaky_relu(values, 0.2)
