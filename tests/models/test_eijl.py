"""EIJL: what is its own beside the contract of all models, and the task that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import evoked
from evoked.errors import DataError
from evoked.experiments import load_table
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.encoders.registry import text_encoder
from evoked.features.table import Column, FeatureTable
from evoked.laboratory.study import Study
from evoked.models import Examples
from evoked.models.eijl import (
    EIJL,
    EIJLSettings,
    EmotionalInteraction,
    VectorCNN,
    image_emotion,
    text_emotion,
)
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.targets.shares import SHARE_CLASSES, Shares
from evoked.testing.examples import random_examples
from evoked.training import TrainingSettings
from tests.support.checkpoints import TEXT_MODELS, byte_pairs, clip_with_texts, seeded

QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")


def posts_shared(shares: list[float | None]) -> pd.DataFrame:
    return pd.DataFrame({"post_id": [f"p{i}" for i in range(len(shares))], "shares": shares})


# The task.


def test_classes_part_the_training_range_in_13() -> None:
    top = np.expm1(13.0)
    task = Shares.fit(posts_shared([0, top, 5, None]))
    np.testing.assert_allclose(task.edges, np.arange(14.0), atol=1e-9)
    # Inside, on an edge, and beyond both ends of what was trained on.
    values = task.transform(posts_shared([np.expm1(2.5), np.expm1(3.0) + 1e-6, 0, 10 * top, None]))
    assert values.values.shape == (5, 14)
    assert values.values[:4, 1:].argmax(axis=1).tolist() == [2, 3, 0, 12]
    assert (values.values[:4, 1:].sum(axis=1) == 1).all()
    assert np.isnan(values.values[4]).all()
    narrow = Shares.fit(posts_shared([9, 99]))
    assert narrow.transform(posts_shared([0, 1000])).values[:, 1:].argmax(axis=1).tolist() == [
        0,
        12,
    ]


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=100, deadline=None)
def test_classes_say_which_counts_they_hold(first: int, second: int) -> None:
    task = Shares.fit(posts_shared([first, second]))
    meanings = task.meanings(task.outcomes[-1])
    counts = np.arange(3 * max(first, second) + 20)
    classes = task.truth(posts_shared(counts.tolist()))["share_class"]
    for label, own in pd.Series(counts).groupby(classes):
        low, high = own.min(), own.max()
        span = "1 share" if low == high == 1 else f"{low}–{high} shares"
        span = f"{low} shares" if low == high != 1 else span
        assert meanings[label] == (f"{low} shares or more" if label == "13" else span)
    empty = set(meanings) - set(classes)
    assert {meanings[label] for label in empty} <= {"no whole number of shares"}
    assert task.meanings(task.outcomes[0]) == {}


def test_edges_come_from_the_training_posts_alone() -> None:
    train, test = posts_shared([1, 10, 100]), posts_shared([0, 50, 24547])
    task = Shares.fit(train)
    before = task.edges
    task.transform(test)
    task.truth(test)
    np.testing.assert_array_equal(task.edges, before)
    assert (task.lowest, task.highest) == (np.log1p(1), np.log1p(100))
    assert Shares.from_dict(task.to_dict()) == task


def test_posts_shared_alike_make_one_class() -> None:
    task = Shares.fit(posts_shared([7, 7]))
    assert np.isfinite(task.edges).all()
    assert task.transform(posts_shared([7, 3, 999])).values[:, 1:].argmax(axis=1).tolist() == [
        0,
        0,
        12,
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_truth_restores_to_itself(shares: list[int]) -> None:
    posts = posts_shared([float(count) for count in shares])
    task = Shares.fit(posts)
    learned = pd.DataFrame(task.transform(posts).values, columns=list(task.columns))
    restored, truth = task.inverse_transform(learned, posts), task.truth(posts)
    np.testing.assert_allclose(restored["shares"], shares, rtol=1e-5, atol=1e-4)
    assert restored["share_class"].tolist() == truth["share_class"].tolist()
    assert truth["shares"].tolist() == shares
    probabilities = restored.filter(like="share_class_probability_")
    assert probabilities.shape[1] == SHARE_CLASSES
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_shares_are_never_negative_and_unknown_ones_are_missing() -> None:
    task = Shares.fit(posts_shared([0, 3]))
    predicted = pd.DataFrame(np.zeros((1, 14)), columns=list(task.columns))
    predicted["log_shares"] = -2.0
    restored = task.inverse_transform(predicted, posts_shared([None]))
    assert restored.loc[0, "shares"] == restored.loc[0, "log_shares"] == 0
    truth = task.truth(posts_shared([None, -4]))
    assert truth[["log_shares", "shares", "share_class"]].isna().all(axis=None)
    with pytest.raises(DataError, match="no training post has its number of shares"):
        Shares.fit(posts_shared([None]))


# The network.


def test_equation_2_by_hand() -> None:
    layer = EmotionalInteraction(2, likability=True)
    phi = torch.tensor([[1.0, 2.0]])
    none = layer(phi, torch.ones(1, 1), torch.ones(1, 2), torch.ones(1, 1))
    torch.testing.assert_close(none, phi)  # emotion has no say before it is learned
    assert layer.likability is not None
    with torch.no_grad():
        layer.text.copy_(torch.tensor([[10.0, 20.0]]))
        layer.image.copy_(torch.tensor([[1.0, -1.0], [100.0, 200.0]]))
        layer.likability.copy_(torch.tensor([[0.5, 0.25]]))
    result = layer(phi, torch.tensor([[-0.5]]), torch.tensor([[1.0, 0.1]]), torch.tensor([[2.0]]))
    # 1 - 5 + 1 + 10 + 1 and 2 - 10 - 1 + 20 + 0.5
    torch.testing.assert_close(result, torch.tensor([[8.0, 11.5]]))


def test_emotions_are_zero_where_they_are_unknown_or_hidden() -> None:
    levels = np.concatenate([np.full((6, 1), 0.3), np.eye(6)[[1, 2, 3, 4, 5, 5], 1:]], axis=1)
    faces = np.array([[2, 0.3, 0.7, 1]] * 5 + [[0, 0, 0, 0]])
    table = FeatureTable(
        {
            "sentiment.text": Column.dense(levels.astype(np.float32), [True] * 5 + [False]),
            "affect.face": Column.dense(
                faces.astype(np.float32), [True] * 3 + [False] + [True] * 2
            ),
        }
    )
    batch = table.take(np.arange(6))
    assert text_emotion(batch)[:, 0].tolist() == [-1, -0.5, 0, 0.5, 1, 0]
    found = image_emotion(batch)
    assert found[:, 0].tolist() == [1, 1, 1, 0, 1, 0]
    torch.testing.assert_close(found[:, 1], 0.7 * found[:, 0])
    expressed = np.concatenate([faces, np.eye(7)[:6]], axis=1).astype(np.float32)
    more = FeatureTable({"affect.face": Column.dense(expressed)}).take(np.arange(6))
    assert image_emotion(more).shape == (6, 9)
    assert image_emotion(more)[1].tolist() == pytest.approx([1, 0.7, 0, 1, 0, 0, 0, 0, 0])
    assert not text_emotion(batch, {"caption"}).any()
    assert not image_emotion(batch, {"image"}).any()


def test_cnn_keeps_the_strongest_answer_of_each_part() -> None:
    cnn = VectorCNN(width=3, kernel=5, positions=4)
    vector = torch.randn(2, 20)
    whole = cnn.layers[:-1](vector[:, None])
    expected = whole.unflatten(-1, (4, 5)).amax(dim=-1).transpose(1, 2)
    torch.testing.assert_close(cnn(vector), expected)
    assert cnn(torch.randn(2, 3)).shape == (2, 4, 3)  # fewer entries than positions


def built(**settings: object) -> tuple[EIJL, dict[str, torch.Tensor]]:
    """An unfitted network and a batch with targets."""
    model = EIJL(EIJLSettings.model_validate({"dropout": 0.0, "modality_dropout": 0.0, **settings}))
    examples = random_examples(32, task="shares")
    torch.manual_seed(0)
    model.network = model.build({name: examples.features.widths[name] for name in model.features})
    batch = examples.features.take(np.arange(32))
    assert examples.targets is not None
    batch["targets"] = torch.from_numpy(examples.targets.values)
    return model, batch


def gradients(model: EIJL, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    network = model.network.train()
    targets = batch["targets"]
    network.criterion(network(batch), targets, torch.ones_like(targets)).backward()
    return {name: each.grad for name, each in network.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("cnn", ["separate", "joint", "none"])
@pytest.mark.parametrize("modalities", [("caption", "image"), ("caption",), ("image",)])
def test_every_parameter_learns(cnn: str, modalities: tuple[str, ...]) -> None:
    model, batch = built(cnn=cnn, modalities=modalities, protocol="published")
    found = gradients(model, batch)
    parameters = dict(model.network.named_parameters())
    assert set(found) == set(parameters)
    still = {name for name, gradient in found.items() if not gradient.abs().any()}
    assert not still
    assert (model.network(batch)[:, 1:].sum(dim=1) - 1).abs().max() < 1e-5


def test_classes_help_only_in_joint_learning() -> None:
    for joint in (True, False):
        model, batch = built(joint_learning=joint, likability="none")
        network = model.network.train()
        classes = network(batch)[:, 1:]
        (-(batch["targets"][:, 1:] * classes.log()).sum()).backward()
        assert bool(network.fuse[0].weight.grad.abs().any()) is joint
        assert network.classification[0].weight.grad.abs().any()


def test_guessed_likability_is_shaped_by_likes_alone() -> None:
    model, batch = built()
    assert "likability.known" not in model.features
    gradient = gradients(model, batch)  # a batch without likes to learn
    assert not any(name.startswith("guess_likability") for name in gradient)
    model, batch = built()
    batch["likability.training"] = torch.randn(32, 1)
    batch["likability.training.present"] = torch.ones(32, dtype=torch.bool)
    gradient = gradients(model, batch)
    assert gradient["guess_likability.0.weight"].abs().any()
    # Outside training nobody looks at them.
    network = model.network.eval()
    with torch.inference_mode():
        before = network(batch)
        batch["likability.training"] += 100
        torch.testing.assert_close(network(batch), before)


def test_guessing_likability_is_learned(tmp_path: Path) -> None:
    examples = random_examples(96, task="shares")
    likes = np.log1p(examples.posts["likes"].to_numpy(float))
    vectors = np.random.default_rng(0).normal(size=(96, 12)).astype(np.float32)
    vectors[:, 3:6] += 4 * (likes - likes.mean())[:, None]
    columns = {**examples.features.columns, "image.vector": Column.dense(vectors)}
    examples = replace(examples, features=FeatureTable(columns))
    model = EIJL(EIJLSettings(likability_weight=3.0))
    training = QUICK.model_copy(update={"max_epochs": 10})
    model.fit(examples, folder=tmp_path, training=training)
    network = model.network.eval()
    guessed = []
    network.guess_likability.register_forward_hook(lambda *called: guessed.append(called[-1]))
    model.predict(examples)
    assert np.corrcoef(guessed[0][:, 0], likes)[0, 1] > 0.6


def with_other_likes(examples: Examples) -> Examples:
    return replace(examples, posts=examples.posts.assign(likes=10**6))


def test_draft_protocol_never_reads_likes_to_predict(tmp_path: Path) -> None:
    examples = random_examples(48, task="shares")
    for likability in ("predicted", "none"):
        model = EIJL(EIJLSettings(likability=likability))
        model.fit(examples, folder=tmp_path / likability, training=QUICK)
        table = model.predict(examples)
        pd.testing.assert_frame_equal(model.predict(with_other_likes(examples)), table)
        unread = {
            name: column
            for name, column in examples.features.columns.items()
            if name in model.features
        }
        assert not any(name.startswith("likability") for name in unread)
        pd.testing.assert_frame_equal(
            model.predict(Examples(examples.posts, FeatureTable(unread))), table
        )


def test_published_protocol_reads_known_likes_and_does_without(tmp_path: Path) -> None:
    examples = random_examples(48, task="shares")
    model = EIJL(EIJLSettings(protocol="published"))
    assert "likability.known" in model.features
    model.fit(examples, folder=tmp_path, training=QUICK)
    batch = examples.features.take(np.arange(48))
    absent = {**batch, "likability.known.present": torch.zeros(48, dtype=torch.bool)}
    with torch.inference_mode():
        network = model.network.eval()
        assert not torch.allclose(network(absent), network(batch))
        torch.testing.assert_close(network(absent), network(batch, hidden={"metadata"}))


@pytest.mark.parametrize("modality", ["caption", "image"])
def test_hidden_modality_equals_an_absent_one(modality: str, tmp_path: Path) -> None:
    examples = random_examples(48, task="shares")
    model = EIJL()
    model.fit(examples, folder=tmp_path, training=QUICK)
    batch = examples.features.take(np.arange(48))
    absent = dict(batch)
    emotion = {"caption": "sentiment.text", "image": "affect.face"}[modality]
    vector = {"caption": "text.vector", "image": "image.vector"}[modality]
    for name in (vector, emotion):
        absent[f"{name}.present"] = torch.zeros(48, dtype=torch.bool)
    with torch.inference_mode():
        network = model.network.eval()
        torch.testing.assert_close(network(batch, hidden={modality}), network(absent))
        assert not torch.allclose(network(batch, hidden={modality}), network(batch))


def test_learns_shares_that_stand_in_the_vectors(tmp_path: Path) -> None:
    examples = random_examples(160, task="shares")
    generator = np.random.default_rng(0)
    shares = np.round(np.exp(generator.normal(4, 1.5, 160)))
    posts = examples.posts.assign(shares=shares)
    vectors = generator.normal(size=(160, 16)).astype(np.float32)
    vectors[:, :4] += 2 * (np.log1p(shares) - 4)[:, None]
    columns = {**examples.features.columns, "text.vector": Column.dense(vectors)}
    task = Shares.fit(posts)
    whole = Examples(posts, FeatureTable(columns), task.transform(posts))
    train, test = whole.select(np.arange(120)), whole.select(np.arange(120, 160))
    model = EIJL()
    training = QUICK.model_copy(update={"max_epochs": 12})
    model.fit(train, folder=tmp_path, training=training)
    restored = task.inverse_transform(model.predict(test), test.posts)
    error = (restored["shares"] - test.posts["shares"]).abs().mean()
    median = (test.posts["shares"] - train.posts["shares"].median()).abs().mean()
    assert error < 0.7 * median
    truth = task.truth(test.posts)["share_class"].astype(int)
    assert (restored["share_class"].astype(int) - truth).abs().median() <= 1


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one of"):
        EIJLSettings(modalities=())
    with pytest.raises(ValueError, match="reads the likes"):
        EIJLSettings(protocol="published", emotional_interaction=False)
    assert EIJLSettings(emotional_interaction=False).likes == "none"
    assert EIJL(EIJLSettings(emotional_interaction=False)).features == [
        "text.vector",
        "image.vector",
    ]


# Encoders as a user has them, in local folders.


@pytest.fixture(scope="module")
def few_posts(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return evoked.synthesise(tmp_path_factory.mktemp("data") / "posts", n=40, seed=5)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoders") / "clip"
    seeded(clip_with_texts).save_pretrained(folder)
    byte_pairs(folder)
    return f"transformers:{folder}"


@pytest.mark.parametrize("finetune", [True, False], ids=["fine-tuned", "frozen"])
def test_clip_from_a_folder(
    finetune: bool, few_posts: PostDataset, clip_folder: str, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    run = train_posts(
        few_posts,
        "eijl",
        tmp_path / "run",
        model_settings={"width": 8, "heads": 2, "finetune": finetune},
        training=QUICK,
        features=FeatureSettings(
            text_encoder=clip_folder, image_encoder=clip_folder, max_tokens=16
        ),
        cache=cache,
    )
    assert run.model.network.inputs["caption"].placeholder.shape == (32,)
    if finetune:
        groups = run.model.network.parameter_groups(1.0)
        assert [group["lr"] for group in groups] == [1e-5, 1e-5, 1.0]
        loaded = text_encoder(clip_folder).network().state_dict()
        trained = run.model.network.encoders["caption"].state_dict()
        assert any(not torch.equal(loaded[name], trained[name]) for name in loaded)
    predicted = run.predict(few_posts)
    pd.testing.assert_frame_equal(Run.load(tmp_path / "run", cache).predict(few_posts), predicted)
    drafts = run.predict([evoked.Draft(caption="a sunny day"), evoked.Draft()])
    assert np.isfinite(drafts["shares"]).all()


def test_roberta_and_resnet_from_files(few_posts: PostDataset, tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    row = next(r for r in load_table("eijl/table2").experiments if r.name == "roberta_resnet_cnn")
    write_tokenizer, roberta = TEXT_MODELS["roberta"]
    seeded(roberta).save_pretrained(tmp_path / "roberta")
    write_tokenizer(tmp_path / "roberta")
    weights = tmp_path / "resnet18-tiny.safetensors"  # resnet50, in small
    save_file(seeded(torchvision.models.resnet18).state_dict(), weights)
    features = FeatureSettings(
        text_encoder=f"transformers:{tmp_path / 'roberta'}",
        image_encoder=f"torchvision:{weights}?image_size=64",
    )
    run = train_posts(
        few_posts,
        row.model,
        tmp_path / "run",
        model_settings=row.settings,
        training=QUICK,
        features=features,
        cache=FeatureCache(tmp_path / "cache"),
    )
    assert run.model.widths == {"text.vector": 32, "image.vector": 512}
    assert np.isfinite(run.predict(few_posts)["shares"]).all()


def test_rows_without_their_encoders_are_skipped_with_a_reason(
    few_posts: PostDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    table = load_table("eijl/table2")
    rows = [row.name for row in table.experiments if "encoders" in row.needs] + ["separate_cnn"]
    absent = FeatureSettings(text_encoder=f"transformers:{tmp_path / 'nowhere'}")
    offline = tuple(
        row.model_copy(update={"features": absent}) if "encoders" in row.needs else row
        for row in table.select(rows).experiments
    )
    study = Study(
        few_posts, table.model_copy(update={"experiments": offline}), tmp_path / "study", folds=2
    )
    assert set(study.skipped) == set(rows) - {"separate_cnn"}
    assert "no folder" in study.skipped["separate_cnn_joint_emotion_clip"]


def test_published_runs_caution_and_drafts_of_both_protocols_are_scored(
    few_posts: PostDataset, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    for protocol in ("draft", "published"):
        run = train_posts(
            few_posts,
            "eijl",
            tmp_path / protocol,
            model_settings={"protocol": protocol, "width": 8, "heads": 2},
            training=QUICK,
            cache=cache,
        )
        card = (tmp_path / protocol / "README.md").read_text()
        assert ("reads the likes" in card) is (protocol == "published")
        # The caption is read; the likes that a draft does not have are not missed.
        drafts = run.predict([evoked.Draft(caption="I love it"), evoked.Draft()])
        assert np.isfinite(drafts["shares"]).all()
        known = few_posts.posts
        posts = known.assign(likes=(known["likes"] + 1) * 50)
        images = few_posts.cover_paths()
        before, after = (
            run.model.predict(run.examples(each, images)[0])["log_shares"]
            for each in (known, posts)
        )
        assert np.array_equal(before, after) is (protocol == "draft")


def test_attention_can_be_left_out_and_changes_what_is_predicted(tmp_path: Path) -> None:
    examples = random_examples(32, task="shares")
    models = [EIJL(EIJLSettings(attention=wanted)) for wanted in (True, False)]
    for model in models:
        model.fit(examples, folder=tmp_path / str(model.settings.attention), training=QUICK)
    assert models[1].network.content.attention is None
    first, second = (model.predict(examples)["log_shares"].to_numpy() for model in models)
    assert not np.allclose(first, second)


def test_published_turns_off_what_is_ours() -> None:
    settings = EIJLSettings.published()
    assert (settings.protocol, settings.dropout, settings.normalise) == ("published", 0.0, False)
    assert EIJLSettings.published(emotional_interaction=False).likes == "none"
    model = EIJL(settings)
    network = model.build({"text.vector": 24, "image.vector": 24, "affect.face": 4})
    assert not [part for part in network.modules() if isinstance(part, torch.nn.LayerNorm)]


def test_a_title_is_read_beside_and_without_a_caption(
    few_posts: PostDataset, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    run = train_posts(few_posts, "eijl", tmp_path / "run", training=QUICK, cache=cache)
    titled = [
        evoked.Draft(title=title, caption=caption)
        for title in (None, "I hate this awful day")
        for caption in (None, "a walk")
    ]
    shares = run.predict(titled)["shares"].to_numpy()
    assert len(set(shares.round(6))) == 4
