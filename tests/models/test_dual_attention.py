"""Dual-Attention: its equations by hand, its task's labels, its parts, what it tells of a post."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from evoked.errors import DataError
from evoked.experiments import load_table
from evoked.features.table import Column, FeatureTable, RaggedColumn
from evoked.models import Examples, build_model, load_model
from evoked.models.dual_attention import (
    DualAttention,
    DualAttentionSettings,
    EmbeddedWords,
    ExplicitAttention,
    ImplicitAttention,
)
from evoked.models.dual_baselines import DualBaseline, DualBaselineSettings, divergence
from evoked.targets import AuthorPopularity, TargetTable, load_task, task_state
from evoked.testing.examples import MAP_CHANNELS, random_examples
from evoked.training import TrainingSettings

QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")


def fill(module: nn.Module, **weights: Any) -> None:
    """Set weights by name; biases that are not named are zero."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            values = weights.get(name.removesuffix(".weight"), torch.zeros_like(parameter))
            parameter.copy_(torch.as_tensor(values, dtype=torch.float32))


# The task.


def posts_with_likes(**likes: list[float | None]) -> pd.DataFrame:
    rows = [(author, count) for author, counts in likes.items() for count in counts]
    return pd.DataFrame(
        {
            "post_id": [f"p{row}" for row in range(len(rows))],
            "author_id": [author if author != "nobody" else None for author, _ in rows],
            "likes": pd.array([count for _, count in rows], dtype="Int64"),
        }
    )


def labels(posts: pd.DataFrame, task: AuthorPopularity | None = None) -> list[float]:
    return (task or AuthorPopularity.fit(posts)).transform(posts).values[:, 0].tolist()


NONE = np.nan


@pytest.mark.parametrize(
    ("likes", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], [0, 0, NONE, NONE, NONE, NONE, 1, 1]),
        ([4, 3, 2, 1], [1, NONE, NONE, 0]),
        ([1, 2, 3], [NONE] * 3),  # too few to have a quarter
        ([1, 2, 3, None], [NONE] * 4),
        ([5, None, 3, 2, 1], [1, NONE, NONE, NONE, 0]),
        ([7, 7, 7, 7], [NONE] * 4),  # nothing tells them apart
        ([7, 7, 7, 9], [0, 0, 0, 1]),  # ties share a label: quartiles 7 and 7.5
        ([6, 7, 7, 7, 7, 9], [0, NONE, NONE, NONE, NONE, 1]),  # both quartiles are 7
        ([1, 1, 1, 2, 3, 4, 4, 4], [0, 0, 0, NONE, NONE, 1, 1, 1]),  # as here
    ],
)
def test_quarters_of_one_author(likes: list[float | None], expected: list[float]) -> None:
    posts = posts_with_likes(a=likes, b=[1, 2, 3, 4])
    np.testing.assert_array_equal(labels(posts)[: len(likes)], expected)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=60, unique=True))
def test_about_a_quarter_of_distinct_likes_is_popular(likes: list[int]) -> None:
    found = np.array(labels(posts_with_likes(a=list(likes))))
    n = len(likes)
    for label in (0, 1):
        assert n / 4 - 1 <= (found == label).sum() <= n / 4 + 1
    ordered = found[np.argsort(likes)]
    assert np.nanargmax(ordered) > np.nanargmin(ordered)
    # Likes matter by their order alone.
    np.testing.assert_array_equal(labels(posts_with_likes(a=[3 * x + 5 for x in likes])), found)


def test_later_posts_are_held_against_the_training_posts() -> None:
    task = AuthorPopularity.fit(posts_with_likes(a=[10, 20, 30, 40], b=[1, 2]))
    later = posts_with_likes(a=[5, 25, 1000], b=[1, 2, 3, 4, 5], c=[1, 2, 3, 4], nobody=[1, 9])
    found = labels(later, task)
    assert found[0] == 0
    assert np.isnan(found[1])
    assert found[2] == 1
    # b had too few training posts; c is new and brings enough; nobody has no author.
    np.testing.assert_array_equal(found[3:], [NONE] * 5 + [0, NONE, NONE, 1] + [NONE] * 2)
    # One held-out post's likes say nothing of another's label.
    changed = later.assign(likes=later["likes"].mask(later.index == 2, 0))
    np.testing.assert_array_equal(labels(changed, task)[:2], found[:2])


def test_task_can_be_kept_and_names_nobody() -> None:
    posts = posts_with_likes(somebody=[1, 2, 3, 4], few=[1, 2])
    task = AuthorPopularity.fit(posts)
    state = json.dumps(task_state(task))
    assert "somebody" not in state
    loaded = load_task(json.loads(state))
    assert isinstance(loaded, AuthorPopularity)
    np.testing.assert_array_equal(labels(posts, loaded), labels(posts, task))


def test_what_people_read() -> None:
    posts = posts_with_likes(a=[1, 2, 3, 4])
    task = AuthorPopularity.fit(posts)
    truth = task.truth(posts)
    assert truth["popular"].tolist() == [False, pd.NA, pd.NA, True]
    read = task.inverse_transform(pd.DataFrame({"popular": [0.2, 0.5, 0.6, 1.2]}), posts)
    assert read["popular"].tolist() == [False, False, True, True]
    assert read["popular_probability"].tolist() == [0.2, 0.5, 0.6, 1.0]


def test_task_without_labels_says_so() -> None:
    with pytest.raises(DataError, match=r"no author has 4 training posts.*--map author_id"):
        AuthorPopularity.fit(posts_with_likes(a=[1, 2, 3], b=[None] * 9))


# The equations.


def test_explicit_attention_by_hand() -> None:
    """Eq. 1 and 2 with two channels each, and k = 1."""
    module = ExplicitAttention(2, 2, 1)
    fill(
        module,
        affinity=[[1.0, 0.0], [0.0, 2.0]],
        from_words=[[0.5, -0.5]],
        from_image=[[1.0, 1.0]],
        score=[[2.0]],
    )
    image, words = torch.tensor([[0.5, -0.25]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    # W_a V = (0.5, -0.5): the affinities are tanh(0.5) and tanh(-0.5); W_v V = 0.25.
    affinity = np.tanh([0.5, -0.5])
    states = np.tanh(np.array([0.5, -0.5]) + affinity * 0.25)
    expected = np.exp(2 * states) / np.exp(2 * states).sum()
    found = module.weights(image, words, torch.ones(1, 2, dtype=torch.bool))
    np.testing.assert_allclose(found.detach().numpy()[0], expected, rtol=1e-5)
    masked = module.weights(image, words, torch.tensor([[True, False]]))
    assert masked.tolist() == [[1.0, 0.0]]


def test_implicit_attention_by_hand() -> None:
    """Eq. 4 and 5 with one channel."""
    module = ImplicitAttention(2, 1, 1)
    fill(
        module,
        gate_image=[[1.0, 2.0]],
        gate_topics=[[3.0]],
        shortcut_image=[[0.5, 0.0]],
        shortcut_topics=[[-1.0]],
        output=[[2.0]],
    )
    found = module(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), torch.tensor([[2.0], [2.0]]))
    # F = 3 · 6 and H = 0.5 - 2 + 18; the second gate is shut: H = -0.5 - 2.
    np.testing.assert_allclose(found.detach().numpy()[:, 0], [2 * 16.5, 2 * -2.5], rtol=1e-5)


def test_head_is_equation_six(tmp_path: Path) -> None:
    """The whole network from the vectors that its parts give."""
    examples = labelled_examples(48)
    model = fitted(DualAttention(), examples, tmp_path)
    network = model.network.eval()
    batch = examples.features.take(np.arange(9))
    with torch.inference_mode():
        attended_image, attended_words = network.shared_vectors(batch).unbind(dim=1)
        words, _ = network.words(batch)
        weights = network.word_weights(batch)
        expected_words = (weights[:, :, None] * words).sum(dim=1)  # Eq. 3
        environment = network.implicit(*(each(batch) for each in network.environments.values()))
        joined = torch.cat([attended_image + attended_words, environment], dim=-1)
        hidden = torch.relu(network.hidden(joined))
        expected = torch.sigmoid(network.output(hidden))
        torch.testing.assert_close(attended_words, expected_words)
        torch.testing.assert_close(network(batch), expected)
        torch.testing.assert_close(network.fused_vectors(batch), hidden)


def test_loss_is_equation_seven() -> None:
    network: Any = DualAttention().build(widths_of(random_examples(1)))
    predicted = torch.tensor([[0.9], [0.2], [0.5]])
    targets, weights = torch.tensor([[1.0], [0.0], [0.0]]), torch.tensor([[1.0], [1.0], [0.0]])
    expected = -(np.log(0.9) + np.log(0.8)) / 2
    assert float(network.criterion(predicted, targets, weights)) == pytest.approx(expected)
    certain = torch.tensor([[1.0], [0.0], [1.0]], requires_grad=True)
    loss: Tensor = network.criterion(certain, 1 - targets, weights)
    assert torch.isfinite(loss)


def test_divergence_is_that_of_bernoulli_distributions() -> None:
    p, q = torch.tensor([0.3, 0.8]), torch.tensor([0.3, 0.4])
    expected = 0.8 * np.log(2) + 0.2 * np.log(0.2 / 0.6)
    np.testing.assert_allclose(divergence(p, q).numpy(), [0, expected], atol=1e-6)


# Learning, and the parts that can be left out.


def labelled_examples(n: int, seed: int = 0) -> Examples:
    return random_examples(n, seed, task="author_popularity")


def widths_of(examples: Examples) -> dict[str, int]:
    return examples.features.widths


def fitted(model: Any, examples: Examples, folder: Path, **training: Any) -> Any:
    model.fit(examples, folder=folder, training=QUICK.model_copy(update=training))
    return model


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("dual_attention", {"environment": False}),
    ("dual_attention", {"explicit_attention": False, "environment": False}),
    ("dual_attention", {"explicit_attention": False, "implicit_attention": False}),
    ("dual_attention", {"implicit_attention": False}),
    ("dual_attention", {"metadata": True}),
    ("dual_attention", {"contrast": True}),
    ("dual_attention", {"words": "embedding", "vocabulary": 50}),
    ("dual_baseline", {"words": "embedding", "vocabulary": 50}),
    *[
        ("dual_baseline", {"fusion": fusion})
        for fusion in ("visual", "textual", "late", "ccr", "similarity")
    ],
]


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=str)
def test_every_variant_learns_and_is_kept(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    examples = labelled_examples(48)
    model = build_model(name, {"width": 16, "dropout": 0.0, **settings})
    history = model.fit(
        examples,
        folder=tmp_path / "training",
        training=QUICK.model_copy(update={"max_epochs": 12, "schedule": "constant"}),
    )
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    model.save(tmp_path / "model")
    predicted = load_model(tmp_path / "model").predict(examples)
    pd.testing.assert_frame_equal(predicted, model.predict(examples))
    assert predicted["popular"].between(0, 1).all()
    # One post, and posts that have nothing at all.
    alone = model.predict(examples.select([5]))
    np.testing.assert_allclose(alone.to_numpy()[0], predicted.to_numpy()[5], atol=1e-5)
    assert np.isfinite(model.predict(without(examples, *model.features)).to_numpy()).all()


def without(examples: Examples, *names: str) -> Examples:
    columns = dict(examples.features.columns)
    for name in names:
        column = columns[name]
        if isinstance(column, RaggedColumn):
            columns[name] = replace(column, lengths=np.zeros_like(column.lengths))
        else:
            assert isinstance(column, Column)
            columns[name] = replace(column, index=np.full_like(column.index, -1))
    return Examples(examples.posts, FeatureTable(columns), examples.targets)


def test_parts_are_read_only_where_they_are_switched_on() -> None:
    def features(**settings: Any) -> set[str]:
        return set(DualAttention(DualAttentionSettings(**settings)).features)

    content, environment = (
        {"image.map", "caption.tokens"},
        {
            "environment.map",
            "environment.topics",
        },
    )
    assert features() == content | environment
    assert features(environment=False) == content
    assert features(metadata=True) == content | environment | {"metadata"}
    vectors = {"image.vector", "caption.vector", "environment.image", "environment.caption"}
    assert features(contrast=True) == content | environment | vectors
    assert features(words="embedding") == {"image.map", "caption.ids"} | environment
    assert DualBaseline(DualBaselineSettings(fusion="visual")).features == ["image.map"]
    assert DualBaseline(DualBaselineSettings(fusion="textual")).features == ["caption.tokens"]


def test_published_sizes_are_the_papers() -> None:
    settings = DualAttentionSettings.published()
    assert (settings.width, settings.attention_width, settings.words) == (512, 128, "embedding")
    examples = labelled_examples(8)
    network: Any = DualAttention(settings).build(widths_of(examples))
    assert network.words.lstm.hidden_size == 512
    assert network(examples.features.take(np.arange(8))).shape == (8, 1)


@pytest.mark.parametrize("model", [DualAttention, DualBaseline])
def test_what_is_published_has_nothing_of_ours(model: Any) -> None:
    examples = labelled_examples(8)
    published = model.Settings.published(width=16)
    assert (published.dropout, published.modality_dropout) == (0, 0)
    for chosen, ours in ((published, False), (model.Settings(), True)):
        network = model(chosen).build(widths_of(examples))
        assert any(isinstance(each, nn.LayerNorm) for each in network.modules()) == ours
    # Without the norm, V is the mean over the regions, and I_e is in the same space.
    batch = examples.features.take(np.arange(8))
    network = model(published).build(widths_of(examples)).eval()
    present = batch["image.map.present"]
    torch.testing.assert_close(network.image(batch)[present], batch["image.map"].mean(1)[present])
    if model is DualAttention:
        environment = network.environments["map"](batch)
        torch.testing.assert_close(environment[present], batch["environment.map"][present])


def test_posts_without_a_label_teach_nothing(tmp_path: Path) -> None:
    """Their features may be anything, and a batch is one of labelled posts."""
    examples = labelled_examples(48)
    assert examples.targets is not None
    known = np.isfinite(examples.targets.values[:, 0])
    assert 0 < known.sum() < 48
    rows = np.flatnonzero(known)
    every = fitted(DualAttention(), examples, tmp_path / "every")
    some = fitted(DualAttention(), examples.select(rows), tmp_path / "some")
    pd.testing.assert_frame_equal(every.predict(examples), some.predict(examples))


def test_environment_counts(tmp_path: Path) -> None:
    """A post's own environment moves its prediction, another's does not."""
    examples = labelled_examples(48)
    model = fitted(DualAttention(), examples, tmp_path)
    columns = dict(examples.features.columns)
    topics = columns["environment.topics"]
    assert isinstance(topics, Column)
    values = np.array(topics.data)
    values[3] = np.roll(values[3], 1)
    moved = Examples(
        examples.posts, FeatureTable({**columns, "environment.topics": Column.dense(values)})
    )
    change = (model.predict(moved) - model.predict(examples)).to_numpy()[:, 0]
    assert abs(change[3]) > 1e-6
    assert not np.delete(change, 3).any()


def test_contrast_is_the_post_without_what_its_author_usually_posts(tmp_path: Path) -> None:
    """A post that is like all others of its author has none, and nor has one without a caption."""
    examples = without(labelled_examples(48), "image.vector")
    model = fitted(DualAttention(DualAttentionSettings(contrast=True)), examples, tmp_path)
    columns = examples.features.columns
    usual = FeatureTable({**columns, "caption.vector": columns["environment.caption"]})
    none = without(examples, "caption.vector").features
    with torch.inference_mode():
        contrast = model.network.eval().contrast
        same, absent, real = (
            contrast(table.take(np.arange(48))) for table in (usual, none, examples.features)
        )
    present = columns["caption.vector"].present
    assert not absent.any()
    # A difference of zero is the norm's bias, the same for every post.
    torch.testing.assert_close(same[present], same[present][:1].expand(int(present.sum()), -1))
    assert not torch.allclose(real[present], same[present])


def test_word_embedding_knows_the_training_words_alone() -> None:
    module = EmbeddedWords(vocabulary=10, width=4)
    mask = torch.tensor([[True, True, False]])

    def words(*ids: int) -> Tensor:
        batch = {
            "caption.ids": torch.tensor([ids]),
            "caption.ids.mask": mask,
            "caption.ids.present": torch.tensor([True]),
        }
        return module(batch)[0][:, :2]

    module.train()
    seen = words(1, 2, 7)
    assert module.known.nonzero().flatten().tolist() == [1, 2]  # 7 is padding
    module.eval()
    torch.testing.assert_close(words(1, 2, 9), seen)
    torch.testing.assert_close(words(3, 2, 0), words(4, 2, 0))  # both are unknown
    assert not torch.allclose(words(1, 2, 0), words(3, 2, 0))
    torch.testing.assert_close(words(11, 2, 0), seen)  # beyond the table: rows are shared


# Figure 5.

WORD, REGIONS, LONGEST = 7, 9, 6


def planted_examples(n: int, seed: int) -> tuple[Examples, Any, Any]:
    """Posts that are popular if their caption has one word, or one region of their picture an
    object; with the place of each, -1 where it is missing."""
    examples, generator = labelled_examples(n, seed), np.random.default_rng(seed)
    columns = dict(examples.features.columns)
    word, region = (
        np.where(generator.random(n) < 0.3, generator.integers(0, places, n), -1)
        for places in (LONGEST, REGIONS)
    )
    ids = generator.integers(10, 40, (n, LONGEST))
    map_ = generator.normal(size=(n, REGIONS, MAP_CHANNELS)).astype(np.float32)
    said, seen = np.flatnonzero(word >= 0), np.flatnonzero(region >= 0)
    ids[said, word[said]] = WORD
    map_[seen, region[seen], 0] += 8
    starts, lengths = LONGEST * np.arange(n), np.full(n, LONGEST)
    vectors = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float16)
    columns |= {
        "image.map": Column.dense(map_),
        "caption.ids": RaggedColumn(ids.ravel(), starts, lengths),
        "caption.tokens": RaggedColumn(vectors[ids.ravel()], starts, lengths),
    }
    popular = ((word >= 0) | (region >= 0)).astype(np.float32)[:, None]
    targets = TargetTable(popular, np.zeros((n, 1), bool))
    return Examples(examples.posts, FeatureTable(columns), targets), word, region


@pytest.mark.parametrize("published", [False, True])
def test_attention_finds_planted_words_and_objects(published: bool, tmp_path: Path) -> None:
    shared: dict[str, Any] = {"environment": False, "width": 32, "attention_width": 16}
    form = DualAttentionSettings.published if published else DualAttentionSettings
    train, (test, word, region) = planted_examples(600, 0)[0], planted_examples(200, 1)
    model = DualAttention(form(**shared))
    model.fit(
        train,
        folder=tmp_path,
        training=QUICK.model_copy(
            update={"max_epochs": 20, "batch_size": 32, "learning_rate": 3e-3}
        ),
    )
    weights, regions = np.stack(model.word_attention(test)), model.region_probabilities(test)
    said, seen = np.flatnonzero(word >= 0), np.flatnonzero(region >= 0)
    assert (weights[said].argmax(axis=1) == word[said]).mean() > 0.9
    assert weights[said, word[said]].mean() > 3 / LONGEST
    # A region with the object is surer to be popular than any other, but for a rounding.
    found = regions[seen, region[seen]]
    assert (found >= regions[seen].max(axis=1) - 0.01).mean() > 0.9
    assert found.mean() > regions[seen].mean() + 0.2


# What it tells of a post.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[DualAttention, Examples]:
    examples = labelled_examples(48)
    return fitted(DualAttention(), examples, tmp_path_factory.mktemp("trained")), examples


def test_word_weights_sum_to_one_over_real_tokens(
    trained: tuple[DualAttention, Examples],
) -> None:
    model, examples = trained
    weights = model.word_attention(examples)
    column = examples.features.columns["caption.tokens"]
    assert isinstance(column, RaggedColumn)
    assert [len(each) for each in weights] == column.lengths.tolist()
    for each in weights:
        assert (each > 0).all()
        assert len(each) == 0 or each.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(model.word_attention(examples.select([4]))[0], weights[4], atol=1e-6)
    assert model.word_attention(examples.select([])) == []


def test_words_are_weighed_in_sight_of_the_image(trained: tuple[DualAttention, Examples]) -> None:
    model, examples = trained
    column = examples.features.columns["caption.tokens"]
    pictures = examples.features.columns["image.map"]
    blind = model.word_attention(without(examples, "image.map"))
    both = (column.present & pictures.present) & (np.asarray(column.lengths) > 1)  # type: ignore[attr-defined]
    seeing = model.word_attention(examples)
    changed = [not np.allclose(blind[row], seeing[row]) for row in np.flatnonzero(both)]
    assert np.mean(changed) > 0.9
    neither = np.flatnonzero(~pictures.present)
    assert all(np.allclose(blind[row], seeing[row]) for row in neither)


def test_region_probabilities_put_a_region_in_place_of_the_image(
    trained: tuple[DualAttention, Examples],
) -> None:
    model, examples = trained
    found = model.region_probabilities(examples)
    present = examples.features.columns["image.map"].present
    assert found.shape == (48, 9)
    assert np.isnan(found[~present]).all()
    assert ((found[present] > 0) & (found[present] < 1)).all()
    # A picture that is that region everywhere has the region's probability.
    row = int(np.flatnonzero(present)[0])
    regions = examples.features.take([row])["image.map"].numpy()[0]
    for position in (0, 4):
        flat = np.broadcast_to(regions[position], (48, 9, MAP_CHANNELS)).astype(np.float32)
        columns = {**examples.features.columns, "image.map": Column.dense(flat)}
        whole = model.predict(Examples(examples.posts, FeatureTable(columns)))
        assert found[row, position] == pytest.approx(whole["popular"].iloc[row], abs=1e-5)
    assert model.region_probabilities(examples.select([])).shape[0] == 0


def test_vectors_for_analyses(trained: tuple[DualAttention, Examples]) -> None:
    model, examples = trained
    shared, fused = model.modal_vectors(examples), model.fused_vectors(examples)
    assert shared is not None
    assert fused is not None
    assert shared.shape == (48, 2, 64)
    assert fused.shape == (48, 64)


# The published tables.


def test_tables_hold_what_was_published() -> None:
    first, second = (load_table(f"dual_attention/{name}") for name in ("table1", "table2"))
    full = [
        next(row for row in table.experiments if row.name == "dual_attention")
        for table in (first, second)
    ]
    assert full[0] == full[1].model_copy(update={"label": full[0].label, "source": full[0].source})
    for table in (first, second):
        assert table.validation == 0.1
        for row in table.experiments:
            if row.published:
                p, r = row.published["popular precision"], row.published["popular recall"]
                # The published F is that of precision and recall, to a rounding.
                assert row.published["popular F1"] == pytest.approx(2 * p * r / (p + r), abs=2e-4)
    settings = {tuple(sorted(row.settings.items())) for row in second.experiments}
    assert len(settings) == len(second.experiments)
