"""PixelRec's models, importer and experiments; the contract of models is in test_models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import catboost
import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from evoked.errors import DataError, SettingsError
from evoked.evaluation.collapse import collapse_warning
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import extract_posts
from evoked.features.named_encoders import allowing_others
from evoked.features.table import Column, FeatureTable
from evoked.features.text_fields import texts_of
from evoked.layers.attention import ScaledDotProductAttention
from evoked.models import Examples, build_model, load_model
from evoked.models._symmetric_trees import SymmetricTrees
from evoked.models.pixelrec import (
    ClassifierSettings,
    PixelRecClassifier,
    PixelRecRegressor,
    RegressorSettings,
)
from evoked.models.pixelrec_catboost import CatBoostSettings, PixelRecCatBoost
from evoked.posts.importing import import_posts
from evoked.posts.readers import READERS
from evoked.posts.readers.base import ReadOptions
from evoked.runs.base import modal_relevance
from evoked.targets import Level, Outcome, TargetTable
from evoked.testing.examples import random_examples, random_posts
from evoked.training import TrainingSettings
from tests.support.checkpoints import (
    TEXT_MODELS,
    clip,
    seeded,
    siglip,
    vit,
    word_pieces,
)
from tests.support.reader_sources import pixelrec_source

QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")
LEVEL = Level.outcomes[0]


def telling_examples(n: int, seed: int = 0) -> Examples:
    """Examples whose level of five stands in the text vector and tokens."""
    examples = random_examples(n, seed, signal=False, task="level")
    levels = np.random.default_rng(seed).integers(0, 5, n)
    columns = dict(examples.features.columns)
    tokens = columns["text.tokens"]
    signal = np.array(tokens.data)  # type: ignore[attr-defined]
    for level, start, length in zip(levels, tokens.starts, tokens.lengths, strict=True):  # type: ignore[attr-defined]
        signal[start : start + length, 0] = level - 2
    columns["text.tokens"] = replace(tokens, data=signal)  # type: ignore[type-var]
    vectors = np.zeros((n, 16), np.float32)
    vectors[:, 0] = levels
    columns["text.vector"] = Column.dense(vectors)
    values = np.eye(5, dtype=np.float32)[levels]
    targets = TargetTable(values, np.zeros(values.shape, bool))
    return Examples(examples.posts, FeatureTable(columns), targets)


# Texts.


def test_texts_of_a_post() -> None:
    posts = random_posts(3).assign(
        title=["A title", None, " "],
        caption=["Said #Sun", None, "x"],
        hashtags=[["sun", "board games"], ["sea"], []],
    )
    assert texts_of(posts, "title") == ["A title", None, None]
    assert texts_of(posts, "context") == ["#board games\nSaid #Sun", "#sea", "x"]
    assert texts_of(posts, "text") == ["A title\n#board games\nSaid #Sun", "#sea", "x"]
    assert texts_of(posts[["post_id"]], "text") == [None] * 3
    repeated = pd.DataFrame({"title": ["A title"], "caption": ["A title"]})
    assert texts_of(repeated, "context") == [None]
    assert texts_of(repeated, "text") == texts_of(repeated, "caption") == ["A title"]


def test_a_text_is_encoded_once_wherever_it_stands(tmp_path: Path) -> None:
    posts = random_posts(2).assign(title=["a sunny day", None], caption=["the sea", "a sunny day"])
    stages: list[tuple[str, int, int]] = []
    names = ["caption.tokens", "title.tokens", "context.tokens", "text.vector"]
    table, _ = extract_posts(
        posts,
        [None, None],
        names,
        cache=FeatureCache(tmp_path),
        progress=lambda *stage: stages.append(stage),
    )
    # At the start of each stage, what the cache had: both titles and contexts are known texts.
    first = {name: (done, total) for name, done, total in reversed(stages)}
    assert first["titles"] == (1, 1)
    assert first["contexts"] == (2, 2)
    assert table.columns["title.tokens"].present.tolist() == [True, False]
    batch = table.take([0, 1])
    torch.testing.assert_close(batch["title.tokens"][0], batch["caption.tokens"][1])


# Regressor.


def test_regressor_standardises_its_target_and_keeps_the_best_r2(tmp_path: Path) -> None:
    examples = random_examples(64, task="popularity")
    assert examples.targets is not None
    # In another unit: a constant far from 0 would take an unstandardised network ages.
    moved = replace(
        examples,
        targets=TargetTable(1000 + 50 * examples.targets.values, examples.targets.estimated),
    )
    model = PixelRecRegressor()
    settings = QUICK.model_copy(update={"max_epochs": 4})
    history = model.fit(
        moved.select(range(48)), moved.select(range(48, 64)), folder=tmp_path, training=settings
    )
    predicted = model.predict(moved)["log_popularity"]
    truth = moved.targets.values[:, 0]  # type: ignore[union-attr]
    assert abs(predicted.mean() - truth.mean()) < 2 * truth.std()
    held_out = slice(48, 64)
    r2 = (
        1
        - ((predicted[held_out] - truth[held_out]) ** 2).sum()
        / ((truth[held_out] - truth[held_out].mean()) ** 2).sum()
    )
    assert max(record["validation_score"] for record in history) == pytest.approx(r2, abs=1e-3)


def test_regressors_loss_is_the_reports() -> None:
    network = PixelRecRegressor().build({"image.map": 12, "title.tokens": 16, "context.tokens": 16})
    network.scale.copy_(torch.tensor([10.0, 2.0]))
    predicted, truth = torch.tensor([[12.0], [20.0], [0.0]]), torch.tensor([[10.0], [10.0], [0.0]])
    weights = torch.tensor([[1.0], [1.0], [0.0]])
    # Standardised errors 1 and 5; Huber with its bend at 1: 0.5 and 5 - 0.5.
    expected = 0.7 * (1 + 25) / 2 + 0.3 * (0.5 + 4.5) / 2
    assert float(network.criterion(predicted, truth, weights)) == pytest.approx(expected)


@pytest.mark.parametrize("modalities", [("metadata",), ("image",), ("title", "metadata")])
def test_regressor_of_what_there_is(modalities: tuple[str, ...], tmp_path: Path) -> None:
    model = PixelRecRegressor(RegressorSettings(modalities=modalities))  # type: ignore[arg-type]
    examples = random_examples(48, task="popularity")
    model.fit(examples, folder=tmp_path, training=QUICK)
    assert np.isfinite(model.predict(examples).to_numpy()).all()


def without(examples: Examples, name: str) -> Examples:
    column = examples.features.columns[name]
    empty = replace(column, lengths=np.zeros_like(column.lengths))  # type: ignore[type-var, attr-defined]
    return replace(examples, features=FeatureTable({**examples.features.columns, name: empty}))


def test_title_and_context_each_count(tmp_path: Path) -> None:
    examples = random_examples(48, task="popularity")
    model = PixelRecRegressor()
    model.fit(examples, folder=tmp_path, training=QUICK)
    before = model.predict(examples)["log_popularity"]
    for name in ("title.tokens", "context.tokens"):
        change = (model.predict(without(examples, name))["log_popularity"] - before).abs()
        present = examples.features.columns[name].present
        assert 0 < present.sum() < 48
        assert (change[present] > 1e-6).mean() > 0.9
        assert (change[~present] < 1e-6).all()


def test_image_and_one_text_are_enough_to_be_relevant_to_each_other(tmp_path: Path) -> None:
    examples = random_examples(48, task="popularity")
    model = PixelRecRegressor()
    model.fit(examples, folder=tmp_path, training=QUICK)
    untitled = without(examples, "title.tokens")
    has = {name: column.present for name, column in examples.features.columns.items()}
    found = modal_relevance(model, untitled)
    assert found is not None
    assert np.isfinite(found["value"])
    assert found["n"] == (has["image.map"] & has["context.tokens"]).sum()
    neither = modal_relevance(model, without(untitled, "context.tokens"))
    assert neither is not None
    assert neither["n"] == 0
    # A title that is missing has no part in the mean of the texts.
    vectors = model.modal_vectors(untitled)
    network, batch = model.network, untitled.features.take(np.arange(48))
    with torch.inference_mode():
        alone = network.pools["context"](*network.streams["context"](batch))
    assert vectors is not None
    known = has["context.tokens"]
    np.testing.assert_allclose(vectors[known, 1], alone.numpy()[known], atol=1e-5)


def test_modalities_that_make_no_sense() -> None:
    for modalities in ((), ("image", "image")):
        with pytest.raises(ValueError, match="at least one modality"):
            ClassifierSettings(modalities=modalities)


# Classifier and collapse.


def test_heads_are_those_of_cross_attention() -> None:
    widths = {"image.map": 12, "text.tokens": 16}

    def heads(settings: ClassifierSettings) -> set[int]:
        network = PixelRecClassifier(settings).build(widths)
        return {
            each.heads for each in network.modules() if isinstance(each, ScaledDotProductAttention)
        }

    assert heads(ClassifierSettings(fusion="cross_attention", heads=8)) == {8}
    assert heads(ClassifierSettings()) == set()
    for fusion in ("concatenation", "gated"):
        with pytest.raises(ValueError, match="heads are those of fusion=cross_attention"):
            ClassifierSettings(fusion=fusion, heads=8)  # type: ignore[arg-type]
        assert ClassifierSettings.published(fusion=fusion).heads == 4
    assert ClassifierSettings.published(fusion="cross_attention").heads == 8


@pytest.mark.parametrize("model", [PixelRecRegressor, PixelRecClassifier])
def test_what_is_published_has_nothing_of_ours(model: type[PixelRecRegressor]) -> None:
    published = model.Settings.published()
    assert published.finetune
    assert (published.dropout, published.modality_dropout, published.augment) == (0, 0, False)
    # Frozen, with the report's sizes; nothing is augmented then.
    assert model(model.Settings.published(finetune=False)).settings.width == 512


@pytest.mark.parametrize("fusion", ["concatenation", "cross_attention", "gated"])
def test_classifier_learns_and_does_not_collapse(fusion: str, tmp_path: Path) -> None:
    train, test = telling_examples(160), telling_examples(60, seed=1)
    model = PixelRecClassifier(ClassifierSettings(fusion=fusion))  # type: ignore[arg-type]
    settings = QUICK.model_copy(update={"max_epochs": 6, "learning_rate": 5e-3})
    model.fit(train, folder=tmp_path, training=settings)
    predicted = model.predict(test)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
    assert test.targets is not None
    known = test.features.columns["text.tokens"].present
    hits = predicted.to_numpy().argmax(axis=1) == test.targets.values.argmax(axis=1)
    assert hits[known].mean() > 0.4  # chance: 0.2
    assert warning(predicted, test) is None


def test_a_collapsed_classifier_is_caught(tmp_path: Path) -> None:
    train, test = telling_examples(160), telling_examples(60, seed=1)
    settings = QUICK.model_copy(update={"learning_rate": 30.0, "warmup": 0})
    model = PixelRecClassifier()
    model.fit(train, folder=tmp_path, training=settings)
    message = warning(model.predict(test), test)
    assert message is not None
    assert "COLLAPSED" in message
    assert "learning rate" in message


def warning(predicted: pd.DataFrame, examples: Examples) -> str | None:
    assert examples.targets is not None
    names = np.array(LEVEL.labels, dtype=object)
    truth = pd.DataFrame({"level": names[examples.targets.values.argmax(axis=1)]})
    task = Level(edges=(1.0, 2.0, 3.0, 4.0), exposure="none", counts=("likes",))
    return collapse_warning(task.inverse_transform(predicted, examples.posts), truth, LEVEL)


@pytest.mark.parametrize(
    ("predicted", "true", "collapsed"),
    [
        ("aaaaaaaaaaaaaaaaaaaa", "aabbccddeeaabbccddee", True),
        ("aaaaaaaaaaaaaaaaaaab", "aabbccddeeaabbccddee", True),
        ("abababababababababab", "aabbccddeeaabbccddee", False),
        ("aaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaa", False),  # they are of one class
        ("aaaaa", "abcde", False),  # too few to tell
    ],
)
def test_what_counts_as_collapse(predicted: str, true: str, collapsed: bool) -> None:
    outcome = Outcome("kind", "classes", tuple("abcde"))
    tables = [pd.DataFrame({"kind": list(letters)}) for letters in (predicted, true)]
    assert (collapse_warning(*tables, outcome) is not None) == collapsed
    unknown = tables[1].assign(kind=None)
    assert collapse_warning(tables[0], unknown, outcome) is None


def test_true_and_false_collapse_too() -> None:
    predicted = pd.DataFrame({"popular": [True] * 40})
    truth = pd.DataFrame({"popular": pd.array([True, False] * 20, dtype="boolean")})
    message = collapse_warning(predicted, truth, Outcome("popular", "binary"))
    assert message is not None
    assert "True for 100% of 40 rows, of which 50% are" in message


# CatBoost.


@pytest.mark.parametrize("classes", [(0, 1, 2, 3, 4), (1, 3)])
def test_trees_of_classes_are_catboosts_own(classes: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(200, 6)).astype(np.float32)
    labels = np.array(classes)[np.digitize(matrix[:, 0], np.linspace(-1, 1, len(classes) - 1))]
    booster = catboost.CatBoostClassifier(
        loss_function="MultiClass", iterations=15, depth=3, bootstrap_type="Bernoulli",
        thread_count=1, allow_writing_files=False, logging_level="Silent",
    )  # fmt: skip
    booster.fit(catboost.Pool(matrix, labels))
    matrix[::7, 0] = np.nan
    sums = np.stack([trees.predict(matrix) for trees in SymmetricTrees.per_output(booster)], 1)
    expected = booster.predict(matrix, prediction_type="RawFormulaVal")
    np.testing.assert_allclose(sums, expected, atol=1e-9)


def test_levels_that_no_training_post_has(tmp_path: Path) -> None:
    train, held_out = telling_examples(120), telling_examples(40, seed=1)
    assert train.targets is not None
    two = train.select(np.flatnonzero(train.targets.values[:, [1, 3]].any(axis=1)))
    model = PixelRecCatBoost(CatBoostSettings(trees=30))
    model.fit(two, held_out, folder=tmp_path)
    assert set(model.trees) == {"level_2", "level_4"}
    predicted = model.predict(held_out)
    np.testing.assert_allclose(predicted.sum(axis=1), 1)
    assert (predicted[["level_1", "level_3", "level_5"]] == 0).all(axis=None)


@pytest.mark.parametrize("name", ["pixelrec_catboost", "gradient_boosting"])
@pytest.mark.parametrize("task", ["level", "popularity"])
def test_trees_grow_of_very_few_posts(name: str, task: str, tmp_path: Path) -> None:
    for n in range(2, 6):
        examples = random_examples(n + 1, seed=1, task=task)
        model = build_model(name, {"trees": 200}, task=task)
        folder = tmp_path / str(n)
        model.fit(examples.select(range(n)), examples.select([n]), folder=folder)
        assert np.isfinite(model.predict(examples)[model.known_targets]).all(axis=None)


def test_importance_tells_modalities_apart(tmp_path: Path) -> None:
    train = telling_examples(150)
    model = PixelRecCatBoost(CatBoostSettings(trees=60, feature_share=1.0))
    model.fit(train, telling_examples(60, seed=1), folder=tmp_path)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert isinstance(loaded, PixelRecCatBoost)
    table = loaded.modality_importance()
    assert table["modality"].iloc[0] == "text"
    assert table[["importance", "shap"]].sum().to_numpy() == pytest.approx([100, 100])
    assert loaded.feature_importance()["feature"].iloc[0] == "text.vector 0"
    assert table["features"].sum() == len(loaded.columns()) == loaded.matrix(train).shape[1]


def test_as_published_leaks_and_says_so(tmp_path: Path) -> None:
    examples = random_examples(300, signal=False, task="level")
    posts = examples.posts.assign(views=examples.posts["followers"])
    examples = replace(examples, posts=posts, targets=Level.fit(posts).transform(posts))
    train, test = examples.select(range(200)), examples.select(range(200, 300))
    assert test.targets is not None
    scores = {}
    for published in (False, True):
        settings = {"trees": 40, "depth": 4, "learning_rate": 0.1, "feature_share": 1.0}
        model = PixelRecCatBoost(CatBoostSettings(as_published=published, **settings))
        model.fit(train, folder=tmp_path)
        hits = model.predict(test).to_numpy().argmax(1) == test.targets.values.argmax(1)
        scores[published] = hits.mean()
        assert ("LEAKAGE" in model.caution) == published
        assert ("counts (leak)" in set(model.modality_importance()["modality"])) == published
    # Nothing else in these posts tells the level.
    assert scores[False] < 0.4
    assert scores[True] > 0.6
    # The report has no metadata.
    assert "metadata" not in PixelRecCatBoost(CatBoostSettings(as_published=True)).features
    assert "metadata" in PixelRecCatBoost(CatBoostSettings()).features
    assert CatBoostSettings.published().as_published
    assert "LEAK" in str(CatBoostSettings.model_fields["as_published"].description)


def test_tags_come_from_the_training_posts(tmp_path: Path) -> None:
    examples = telling_examples(60)
    tags = [["Sea"] if row % 2 else ["sea", "once only" + str(row)] for row in range(60)]
    with_tags = replace(examples, posts=examples.posts.assign(hashtags=tags))
    model = PixelRecCatBoost(CatBoostSettings(trees=5))
    model.fit(with_tags, folder=tmp_path)
    assert model.tags == ["sea"]
    other = replace(examples, posts=examples.posts.assign(hashtags=[["new", "SEA"]] * 60))
    names = [column.name for column in model.columns()]
    matrix = model.matrix(other)
    assert matrix[0, names.index("#sea")] == 1
    assert matrix[0, names.index("number of tags")] == 2


# Encoders by folder: frozen vectors, and one step of fine-tuning.


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tiny checkpoints of the report's architectures, by what they are."""
    folder = tmp_path_factory.mktemp("encoders")
    for name, build in {"clip": clip, "siglip": siglip, "vit": vit}.items():
        seeded(build).save_pretrained(folder / name)
    for kind in ("bert", "deberta-v2"):
        write_tokenizer, build = TEXT_MODELS[kind]
        seeded(build).save_pretrained(folder / kind)
        write_tokenizer(folder / kind)
    word_pieces(folder / "clip")
    return {path.name: f"transformers:{path}" for path in folder.iterdir()}


def encoded(features: list[str], settings: FeatureSettings, folder: Path) -> FeatureTable:
    posts = random_posts(6).assign(
        title=["a sunny day", "sea", None, "the sea", "day", None],
        caption=["at the sea", None, "a day", "the day", "sunny", None],
    )
    source = pixelrec_source(folder / "source")
    pictures = [*sorted(source.rglob("*.jpg")), None, None, None]
    return extract_posts(posts, pictures, features, settings, cache=FeatureCache(folder / "c"))[0]


@pytest.mark.parametrize(("image", "text"), [("siglip", "deberta-v2"), ("clip", "deberta-v2")])
def test_regressor_fine_tunes_the_reports_encoders(
    image: str, text: str, encoders: dict[str, str], tmp_path: Path
) -> None:
    settings = FeatureSettings(
        image_encoder=encoders[image], text_encoder=encoders[text], max_tokens=16
    )
    model = PixelRecRegressor(RegressorSettings.published(width=16, heads=2), settings)
    assert model.features == ["image.pixels", "title.ids", "context.ids"]
    examples = random_examples(6, task="popularity")
    examples = replace(examples, features=encoded(model.features, settings, tmp_path))
    training = TrainingSettings(
        max_epochs=1, batch_size=3, accumulate=2, optimizer="adamw", learning_rate=1e-3,
        device="cpu", seed=0,
    )  # fmt: skip
    torch.manual_seed(0)
    before = model.build({"image.pixels": 3, "title.ids": 1, "context.ids": 1}).state_dict()
    model.fit(examples, folder=tmp_path / "training", training=training)
    after = model.network.state_dict()
    for part in ("image.network", "title.network", "context.network"):
        assert any(
            not torch.equal(before[name], after[name])
            for name in after
            if f"streams.{part}" in name
        ), part
    model.save(tmp_path / "model")
    with allowing_others(True):
        loaded = load_model(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(examples), model.predict(examples))


def test_classifier_fine_tunes_bert_and_vit(encoders: dict[str, str], tmp_path: Path) -> None:
    settings = FeatureSettings(
        image_encoder=encoders["vit"], text_encoder=encoders["bert"], max_tokens=16
    )
    model = PixelRecClassifier(ClassifierSettings.published(width=16), settings)
    assert model.features == ["image.pixels", "text.ids"]
    examples = random_examples(6, task="level")
    examples = replace(examples, features=encoded(model.features, settings, tmp_path))
    model.fit(examples, folder=tmp_path / "training", training=QUICK)
    predicted = model.predict(examples)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
    rates = [group["lr"] for group in model.network.parameter_groups(1e-3)]
    assert rates == [2e-5, 2e-5, 1e-3]


def test_cosine_is_clips_own(encoders: dict[str, str], tmp_path: Path) -> None:
    settings = FeatureSettings(
        image_encoder=encoders["clip"], text_encoder=encoders["clip"], max_tokens=16
    )
    model = PixelRecCatBoost(CatBoostSettings(trees=5, metadata=False), settings)
    examples = random_examples(6, task="level")
    features = encoded([*model.features, "image.pixels"], settings, tmp_path)
    examples = replace(examples, features=features)
    model.fit(examples, folder=tmp_path / "training")
    assert "shared space" in model.similarity
    names = [column.name for column in model.columns()]
    found = model.matrix(examples)[:, names.index("cosine of image and text")]
    reference = transformers.CLIPModel.from_pretrained(encoders["clip"].split(":", 1)[1]).eval()
    with torch.inference_mode():
        vision = reference.vision_model(pixel_values=pixels(features)[:1]).pooler_output
        seen = reference.visual_projection(vision)
        text = torch.from_numpy(np.array(features.take([0])["text.vector"]))
        read = reference.text_projection(text)
        expected = torch.nn.functional.cosine_similarity(seen, read)
    assert found[0] == pytest.approx(float(expected), abs=0.02)
    # The trees see the vectors in the shared space.
    matrix, shared = model.matrix(examples), seen.shape[1]
    assert names[:shared] == [f"image.vector {number}" for number in range(shared)]
    np.testing.assert_allclose(matrix[0, :shared], seen[0], atol=0.02)
    np.testing.assert_allclose(matrix[0, shared : 2 * shared], read[0], atol=0.02)
    assert np.isnan(found[3:]).all()  # no picture
    model.save(tmp_path / "model")
    pd.testing.assert_frame_equal(
        load_model(tmp_path / "model").predict(examples), model.predict(examples)
    )


def pixels(features: FeatureTable) -> torch.Tensor:
    from evoked.features.encoders.pretrained_image import _IMAGENET_MEAN, _IMAGENET_STD

    raw = features.take([0, 1, 2])["image.pixels"] / 255
    return ((raw - torch.tensor(_IMAGENET_MEAN)) / torch.tensor(_IMAGENET_STD)).movedim(-1, 1)


def test_vectors_of_different_encoders_are_not_compared(tmp_path: Path) -> None:
    model = PixelRecCatBoost(CatBoostSettings(trees=5))
    model.fit(telling_examples(40), folder=tmp_path)
    assert "share no space" in model.similarity
    assert not any("cosine" in column.name for column in model.columns())


# Importer.


def test_imports_pixelrecs_own_files(tmp_path: Path) -> None:
    source = pixelrec_source(tmp_path / "source")
    result = import_posts("pixelrec", source, tmp_path / "posts")
    posts = result.dataset.posts.set_index("post_id")
    assert posts.loc["i3", ["views", "likes", "comments", "shares", "saves"]].tolist() == [
        3000, 300, 30, 15, 60,
    ]  # fmt: skip
    assert posts.loc["i3", "title"] == "Title 3, 海"
    assert posts.loc["i3", "caption"] == "Description 3"
    assert posts.loc["i3", "category"] == "Board games"
    assert list(posts.loc["i3", "hashtags"]) == ["Board games"]
    assert posts["title"].isna().tolist() == [True, False, False, False]
    assert [path is not None for path in result.dataset.cover_paths()] == [True] * 3 + [False]
    assert result.tally.changed["images: no cover is named by the item's id"] == 1
    assert any("coin_number" in note for note in result.notes)


def test_comments_are_counted_where_the_items_lack_them(tmp_path: Path) -> None:
    source = pixelrec_source(tmp_path)
    table = pd.read_csv(source / "item_info.csv").drop(columns="comment_number")
    table.to_csv(source / "item_info.csv", index=False)
    records = list(READERS["pixelrec"](source, ReadOptions()).records)
    assert [record.fields["comments"] for record in records] == [1, 2, 3, 4]  # type: ignore[union-attr]


def test_two_item_tables_or_none_are_an_error(tmp_path: Path) -> None:
    source = pixelrec_source(tmp_path)
    (source / "copy.csv").write_bytes((source / "item_info.csv").read_bytes())
    with pytest.raises(DataError, match=r"copy\.csv, item_info\.csv"):
        READERS["pixelrec"](source, ReadOptions())
    with pytest.raises(SettingsError, match="fixed layout"):
        READERS["pixelrec"](source, ReadOptions(mapping={"likes": "x"}))
