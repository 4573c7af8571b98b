"""Message passing against Equations 2 and 3 written out for one node at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evoked.layers.message_passing import (
    NODES,
    RELATIONS,
    AttentionLayer,
    ConvolutionLayer,
    Edges,
    NodeNorm,
    Nodes,
    weighted_sum,
)

USERS, IMAGES, VIEWINGS = 7, 5, 12
WIDTHS = {"user": 6, "image": 4}
EDGE_WIDTH, WIDTH = 3, 8


def random_graph(seed: int) -> tuple[Nodes, dict[str, Edges], Tensor]:
    random = torch.Generator().manual_seed(seed)

    def drawn(n: int, count: int) -> Tensor:
        return torch.randint(n, (count,), generator=random)

    users, images = drawn(USERS, VIEWINGS), drawn(IMAGES, VIEWINGS)
    edges = {
        "views": by_target(users, images, torch.arange(VIEWINGS)),
        "viewed_by": by_target(images, users, torch.arange(VIEWINGS)),
        "connects": by_target(drawn(USERS, 9), drawn(USERS, 9), None),
    }
    nodes = {
        "user": torch.randn(USERS, WIDTHS["user"], generator=random),
        "image": torch.randn(IMAGES, WIDTHS["image"], generator=random),
    }
    return nodes, edges, torch.randn(VIEWINGS, EDGE_WIDTH, generator=random)


def by_target(source: Tensor, target: Tensor, viewing: Tensor | None) -> Edges:
    return Edges(source, target, viewing).select(torch.argsort(target, stable=True))


def written_out(
    layer: AttentionLayer,
    nodes: Nodes,
    edges: dict[str, Edges],
    viewings: Tensor,
    kind: str,
    i: int,
) -> Tensor:
    """x'ᵢ of Eq. 2, with the αᵢⱼ of Eq. 3 one after another."""

    def f(value: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu(value, 0.2)

    own = layer.theta[kind].weight @ nodes[kind][i]
    listens = layer.attend_self[kind] @ own
    exponents = [f(listens + layer.attend_neighbour[kind] @ own)]
    messages = [own]
    for name, (source, target) in RELATIONS.items():
        if target != kind:
            continue
        each = edges[name]
        for place in torch.nonzero(each.target == i).ravel().tolist():
            says = layer.theta[source].weight @ nodes[source][each.source[place]]
            exponent = listens + layer.attend_neighbour[name] @ says
            if each.viewing is not None:
                e = viewings[each.viewing[place]]
                exponent = exponent + layer.attend_edge[name] @ e
                if name in layer.edge_messages:
                    says = says + layer.edge_messages[name].weight @ e
            exponents.append(f(exponent))
            messages.append(says)
    alpha = torch.stack(exponents).softmax(dim=0)
    return alpha @ torch.stack(messages) + layer.bias[kind]


@pytest.mark.parametrize("edge_messages", [False, True])
def test_attention_is_equations_2_and_3(edge_messages: bool) -> None:
    nodes, edges, viewings = random_graph(0)
    layer = AttentionLayer(WIDTHS, WIDTH, EDGE_WIDTH, edge_messages)
    torch.nn.init.normal_(layer.bias["user"])
    sizes = {"user": USERS, "image": IMAGES}
    attention: dict[str, Tensor] = {}
    result = layer(nodes, edges, sizes, viewings, attention)
    for kind in NODES:
        expected = [written_out(layer, nodes, edges, viewings, kind, i) for i in range(sizes[kind])]
        torch.testing.assert_close(result[kind], torch.stack(expected))
        sums = attention[kind].clone()
        for name, (_, target) in RELATIONS.items():
            if target == kind:
                sums = sums.scatter_add(0, edges[name].target, attention[name])
        torch.testing.assert_close(sums, torch.ones(sizes[kind]))


def test_gradients_are_those_of_the_equations() -> None:
    nodes, edges, viewings = random_graph(1)
    layer = AttentionLayer(WIDTHS, WIDTH, EDGE_WIDTH, edge_messages=True)
    viewings.requires_grad_()
    parameters = [viewings, *layer.parameters()]
    result = layer(nodes, edges, {"user": USERS, "image": IMAGES}, viewings)
    found = torch.autograd.grad(sum(part.square().sum() for part in result.values()), parameters)
    expected = sum(
        written_out(layer, nodes, edges, viewings, kind, i).square().sum()
        for kind, size in (("user", USERS), ("image", IMAGES))
        for i in range(size)
    )
    for one, other in zip(found, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_node_without_neighbours_hears_itself() -> None:
    nodes, _, viewings = random_graph(2)
    nothing = torch.zeros(0, dtype=torch.int64)
    edges = dict.fromkeys(RELATIONS, Edges(nothing, nothing, nothing))
    layer = AttentionLayer(WIDTHS, WIDTH, EDGE_WIDTH)
    result = layer(nodes, edges, {"user": USERS, "image": IMAGES}, viewings)
    torch.testing.assert_close(result["user"], layer.theta["user"](nodes["user"]))


def test_enormous_exponents_stay_finite() -> None:
    nodes, edges, viewings = random_graph(3)
    layer = AttentionLayer(WIDTHS, WIDTH, EDGE_WIDTH)
    result = layer(nodes, edges, {"user": USERS, "image": IMAGES}, 1e4 * viewings)
    assert all(bool(part.isfinite().all()) for part in result.values())


@pytest.mark.parametrize(("kind", "mean"), [("sage", True), ("conv", False)])
def test_convolutions_add_up_relations(kind: str, mean: bool) -> None:
    """GraphSAGE: Wₗ·mean + Wᵣ·own; GraphConv: Wₗ·sum + Wᵣ·own."""
    nodes, edges, _ = random_graph(4)
    layer = ConvolutionLayer(kind, WIDTHS, WIDTH)  # type: ignore[arg-type]
    result = layer(nodes, edges, {"user": USERS, "image": IMAGES})
    expected = torch.zeros(IMAGES, WIDTH)
    relation = layer.relations["views"]
    to_neighbours, to_self = (
        (relation.lin_l, relation.lin_r) if mean else (relation.lin_rel, relation.lin_root)
    )
    for image in range(IMAGES):
        heard = nodes["user"][edges["views"].source[edges["views"].target == image]]
        message = heard.mean(0) if mean else heard.sum(0)
        if not len(heard):
            message = torch.zeros(WIDTHS["user"])
        expected[image] = to_neighbours(message) + to_self(nodes["image"][image])
    torch.testing.assert_close(result["image"], expected)


@given(st.integers(0, 2**31), st.integers(0, 40))
def test_weighted_sum_is_a_product_of_matrices(seed: int, e: int) -> None:
    random = np.random.default_rng(seed)
    n, m = 6, 4
    target = torch.from_numpy(np.sort(random.integers(n, size=e)))
    source = torch.from_numpy(random.integers(m, size=e))
    weights = torch.from_numpy(random.normal(size=e)).requires_grad_()
    values = torch.from_numpy(random.normal(size=(m, 3))).requires_grad_()
    dense = torch.zeros(n, m, dtype=torch.float64).index_put((target, source), weights, True)
    found = weighted_sum(weights, values, source, target, n)
    torch.testing.assert_close(found, dense @ values)
    pull = torch.from_numpy(random.normal(size=(n, 3)))
    ours = torch.autograd.grad((found * pull).sum(), [weights, values])
    theirs = torch.autograd.grad((dense @ values * pull).sum(), [weights, values])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_single_node_is_normalised_by_what_was_seen_before() -> None:
    norm = NodeNorm(3).train()
    norm(torch.randn(50, 3) + 2)
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    alone = torch.randn(1, 3)
    found = norm(alone)
    torch.testing.assert_close(norm.running_mean, before)
    torch.testing.assert_close(found, norm.eval()(alone))
    assert norm.train()(torch.zeros(0, 3)).shape == (0, 3)
