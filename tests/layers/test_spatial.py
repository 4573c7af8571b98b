"""Spatial attention reaches what attends to the image."""

from __future__ import annotations

import torch

from evoked.layers.attention import (
    AttentionBlock,
    AttentionPooling,
    ScaledDotProductAttention,
    SpatialAttention,
)

WIDTH, REGIONS = 8, 5


def regions_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    mask = torch.ones(3, REGIONS, dtype=torch.bool)
    mask[1, 3:] = False
    return torch.randn(3, REGIONS, WIDTH), mask


def test_weights_sum_to_one_over_regions_that_exist() -> None:
    regions, mask = regions_and_mask()
    prior = SpatialAttention(WIDTH)(regions, mask)
    weights = prior.exp() / mask.sum(dim=1, keepdim=True) * mask
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert prior[~mask].eq(0).all()


def test_attention_multiplies_its_weights_by_the_prior_ones() -> None:
    regions, mask = regions_and_mask()
    words, attention = torch.randn(3, 4, WIDTH), ScaledDotProductAttention(WIDTH, 2)
    factor = torch.tensor([2.0, 1.0, 0.5, 1.0, 3.0]).expand(3, -1)
    with torch.no_grad():
        _, plain = attention(words, regions, mask, want_weights=True)
        attended, weighed = attention(words, regions, mask, True, factor.log())
        quick, _ = attention(words, regions, mask, prior=factor.log())
    assert plain is not None
    assert weighed is not None
    torch.testing.assert_close(attended, quick)
    assert weighed[1, :, 3:].eq(0).all()
    one_head = ScaledDotProductAttention(WIDTH, 1)
    with torch.no_grad():
        _, plain = one_head(words, regions, mask, want_weights=True)
        _, weighed = one_head(words, regions, mask, True, factor.log())
    assert plain is not None
    expected = plain * factor[:, None]
    torch.testing.assert_close(weighed, expected / expected.sum(dim=-1, keepdim=True))


def test_one_regions_weight_changes_what_words_see_and_even_weights_change_nothing() -> None:
    regions, mask = regions_and_mask()
    words = torch.randn(3, 4, WIDTH)
    block = AttentionBlock(WIDTH, 2, torch.nn.LeakyReLU, dropout=0.0).eval()
    pooling = AttentionPooling(WIDTH)
    even, one = torch.full((3, REGIONS), 1.7), torch.zeros(3, REGIONS)
    one[:, 2] = 3.0
    with torch.no_grad():
        plain, pooled = block(words, regions, mask)[0], pooling(regions, mask)
        torch.testing.assert_close(block(words, regions, mask, prior=even)[0], plain)
        torch.testing.assert_close(pooling(regions, mask, even), pooled)
        assert (block(words, regions, mask, prior=one)[0] - plain).abs().max() > 0.01
        assert (pooling(regions, mask, one) - pooled).abs().max() > 0.01


def test_words_find_the_region_that_matters_through_spatial_attention() -> None:
    # One region of each picture is marked, by a sign that is positive or negative, and holds the
    # number to predict; words know nothing of where it is.
    torch.manual_seed(0)
    posts, marked = 512, torch.randint(REGIONS, (512,))
    regions, words = torch.randn(posts, REGIONS, WIDTH), torch.randn(posts, 2, WIDTH)
    regions[..., 0] *= 0.2
    regions[torch.arange(posts), marked, 0] = torch.randn(posts).sign() * 4
    value = regions[torch.arange(posts), marked, 1]
    mask = torch.ones(posts, REGIONS, dtype=torch.bool)

    def share_and_error(spatial: bool) -> tuple[float, float]:
        torch.manual_seed(1)
        weigh = SpatialAttention(WIDTH)
        block = AttentionBlock(WIDTH, 2, torch.nn.LeakyReLU, dropout=0.0)
        head = torch.nn.Linear(WIDTH, 1)
        parameters = [*weigh.parameters(), *block.parameters(), *head.parameters()]
        optimizer = torch.optim.Adam(parameters, 0.01)
        for _ in range(120):
            prior = weigh(regions, mask) if spatial else None
            seen, _ = block(words, regions, mask, prior=prior)
            loss = (head(seen.mean(dim=1))[:, 0] - value).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            prior = weigh(regions, mask) if spatial else None
            _, weights = block(words, regions, mask, True, prior)
        assert weights is not None
        own = weights.mean(dim=1)[torch.arange(posts), marked].mean()
        return float(own), float(loss.detach())

    with_it, without = share_and_error(True), share_and_error(False)
    assert with_it[0] > 0.6 > without[0]
    assert with_it[1] < without[1]
