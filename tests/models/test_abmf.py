"""ABMF's own: what image and text have in common, and what is left of it without its parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from evoked.layers.heads import EmotionEngagementHeads
from evoked.models.abmf import ABMF, ABMFNetwork, ABMFSettings
from evoked.models.content import TrainableEncoders
from evoked.testing.examples import random_examples
from evoked.training import TrainingSettings
from evoked.training.batches import EpochBatches, loader

TOPICS, REGIONS, WORDS, CHANNELS = 6, 4, 3, 8


def posts_about_topics(n: int, seed: int) -> dict[str, torch.Tensor]:
    """One region and one word of each post show its topic; the others are noise."""
    generator = torch.Generator().manual_seed(seed)
    topics = torch.randint(TOPICS, (n,), generator=generator)
    regions = 0.5 * torch.randn(n, REGIONS, CHANNELS, generator=generator)
    words = 0.5 * torch.randn(n, WORDS, CHANNELS, generator=generator)
    regions[torch.arange(n), 1, topics] += 4
    words[torch.arange(n), 0, topics] += 4
    here = torch.ones(n, dtype=torch.bool)
    return {
        "image.map": regions,
        "image.map.present": here,
        "caption.tokens": words,
        "caption.tokens.mask": torch.ones(n, WORDS, dtype=torch.bool),
        "caption.tokens.present": here,
    }


def test_modal_relevance_is_higher_for_the_own_picture_once_matching_has_learned() -> None:
    torch.manual_seed(0)
    settings = ABMFSettings(width=16, heads=2, modality_dropout=0.0)
    widths = {"image.map": CHANNELS, "caption.tokens": CHANNELS}
    network = ABMFNetwork(settings, ("image", "caption"), widths, TrainableEncoders())
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    posts = posts_about_topics(128, seed=1)
    for step in range(60):
        rows = torch.arange(16) + 16 * (step % 8)
        network({name: values[rows] for name, values in posts.items()})
        assert network.matching_loss is not None
        optimizer.zero_grad()
        network.matching_loss.backward()
        optimizer.step()
    with torch.no_grad():
        vectors = network.eval().shared_vectors(posts_about_topics(64, seed=2))
    image, text = torch.nn.functional.normalize(vectors, dim=-1).unbind(dim=1)
    cosines = text @ image.T
    own = cosines.diag().mean()
    others = (cosines.sum() - cosines.diag().sum()) / (64 * 63)
    assert own > others + 0.08


def test_modal_relevance_is_given_up_where_nothing_matches_image_and_text(tmp_path: Path) -> None:
    examples = random_examples(16)
    quick = TrainingSettings(max_epochs=1, batch_size=8, device="cpu")
    variants: dict[str, dict[str, Any]] = {
        "matched": {},
        "apart": {"multi_task": False},
        "unmatched": {"matching_weight": 0.0},
        "early": {"late_fusion": False},
    }
    for name, changes in variants.items():
        model = ABMF(ABMFSettings(width=8, heads=2, **changes))
        model.fit(examples, folder=tmp_path / name, training=quick)
        vectors = model.modal_vectors(examples)
        assert (vectors is None) == (name in ("unmatched", "early"))
        if vectors is not None:
            assert vectors.shape == (16, 2, 8)
            assert np.isfinite(vectors).all()


def test_balance_lets_rare_categories_count_more() -> None:
    examples = random_examples(16)
    categories = pd.Series(["food"] * 12 + ["travel"] * 3 + [None])
    posts = dataclasses.replace(examples, posts=examples.posts.assign(category=categories))
    assert ABMF().post_weights(posts) is None
    weights = ABMF(ABMFSettings(category_balance=1.0)).post_weights(posts)
    assert weights is not None
    totals = [weights[:12].sum(), weights[12:15].sum(), weights[15]]
    np.testing.assert_allclose(totals, 16 / 3, rtol=1e-5)
    half = ABMF(ABMFSettings(category_balance=0.5)).post_weights(posts)
    assert half is not None
    assert half[12] / half[0] == pytest.approx(2)
    assert weights[12] / weights[0] == pytest.approx(4)
    batches = EpochBatches(16, 16)
    assert examples.targets is not None
    (plain,) = loader(examples.features, examples.targets, batches)
    (weighed,) = loader(examples.features, examples.targets, batches, post_weights=weights)
    expected = plain["weights"] * torch.from_numpy(weights)[:, None]
    torch.testing.assert_close(weighed["weights"], expected)


def test_sampling_draws_rare_categories_more_often(tmp_path: Path) -> None:
    examples = random_examples(16)
    categories = pd.Series(["food"] * 14 + ["travel"] * 2)
    posts = dataclasses.replace(examples, posts=examples.posts.assign(category=categories))
    weights = ABMF(ABMFSettings(category_balance=1.0)).post_weights(posts)
    batches = EpochBatches(16, 16, seed=3, chances=weights)
    drawn = []
    for epoch in range(200):
        batches.set_epoch(epoch)
        drawn += [rows for rows, _ in batches]
    assert all(len(rows) == 16 for rows in drawn)
    assert (np.concatenate(drawn) >= 14).mean() == pytest.approx(0.5, abs=0.04)
    again = EpochBatches(16, 16, seed=3, chances=weights)
    again.set_epoch(7)
    np.testing.assert_array_equal(next(iter(again))[0], drawn[7])
    fitted = []
    quick = TrainingSettings(max_epochs=1, batch_size=8, device="cpu")
    for name in ("weighed", "sampled"):
        settings = ABMFSettings(
            width=8, heads=2, category_balance=1.0, category_sampling=name == "sampled"
        )
        model = ABMF(settings)
        model.fit(posts, folder=tmp_path / name, training=quick)
        fitted.append(model.predict(posts).to_numpy())
    assert not np.allclose(*fitted)
    with pytest.raises(ValueError, match="does nothing unless category_balance is above 0"):
        ABMFSettings(category_sampling=True)


def test_chained_engagement_lets_earlier_targets_speak_to_later_ones() -> None:
    torch.manual_seed(0)
    heads: Any = EmotionEngagementHeads(8, 16, 0.0, chained=True).eval()
    vectors = torch.randn(4, 8)
    with torch.no_grad():
        before = heads(vectors)
        heads.engagement.heads[1][-1].bias += 2.0  # comments
        after = heads(vectors)
    changed = (after - before).abs().amax(dim=0) > 1e-4
    assert changed.tolist() == [False, False, False, True, True, True]
    assert after[:, 2:].min() > 0
    assert after[:, 2:].max() < 1
