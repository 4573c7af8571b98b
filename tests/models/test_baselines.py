"""What is the baselines' own, beyond the contract of models."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from evoked.errors import DataError, MissingExtraError, SettingsError
from evoked.features.table import FeatureTable
from evoked.layers.fusion import LowRankBilinear
from evoked.layers.heads import EmotionEngagementHeads, EmotionEngagementLoss
from evoked.models import MODELS, Examples, load_model
from evoked.models._symmetric_trees import SymmetricTrees, growing_options
from evoked.models.baselines import RecentPosts
from evoked.models.content import ContentModel
from evoked.models.fusion import BilinearPoolingSettings, LateFusion
from evoked.models.gradient_boosting import GradientBoosting, GradientBoostingSettings
from evoked.models.hiding import hide
from evoked.models.mmbt import MMBTSettings
from evoked.models.pooled import fold_numbers
from evoked.targets import TARGETS, TargetTable
from evoked.testing.examples import random_examples
from evoked.training import TrainingSettings

QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")
FUSING = ("early_fusion", "late_fusion", "bilinear_pooling", "mmbt")
FEW_TREES = GradientBoostingSettings(trees=20)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return random_examples(48)


def trained(name: str, examples: Examples, folder: Path) -> ContentModel:
    model = MODELS[name]()
    assert isinstance(model, ContentModel)
    model.fit(examples, folder=folder, training=QUICK)
    return model


def without(examples: Examples, modality: str) -> Examples:
    return hide(examples, pd.DataFrame({modality: np.ones(len(examples), dtype=bool)}))


# networks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "modality"), [("visual_cnn", "image"), ("text_bert", "caption")])
def test_one_modality_alone_is_read(
    name: str, modality: str, examples: Examples, tmp_path: Path
) -> None:
    model = trained(name, examples, tmp_path)
    predicted = model.predict(examples)
    for other in {"image", "caption", "hashtags", "metadata"} - {modality}:
        pd.testing.assert_frame_equal(model.predict(without(examples, other)), predicted)
    blind = model.predict(without(examples, modality))
    assert (blind.std() < 1e-5).all()
    assert (predicted.std() > 1e-3).all()


@pytest.mark.parametrize("name", FUSING)
def test_what_fuses_reads_all_that_abmf_reads(
    name: str, examples: Examples, tmp_path: Path
) -> None:
    model = trained(name, examples, tmp_path)
    assert set(model.features) == set(MODELS["abmf"]().features)
    batch = examples.features.take(np.arange(8))
    network = model.network.eval()
    with torch.inference_mode():
        predicted = network(batch)
        for modality in ("image", "caption", "hashtags", "metadata"):
            hidden = network(batch, hidden={modality})
            assert not torch.allclose(hidden, predicted)
            absent = without(examples, modality).features.take(np.arange(8))
            torch.testing.assert_close(network(absent), hidden)


@pytest.mark.parametrize("name", FUSING)
def test_modalities_can_be_left_out(name: str, examples: Examples, tmp_path: Path) -> None:
    kind = MODELS[name]
    model = kind(kind.Settings.model_validate({"modalities": ("image", "caption")}))
    model.fit(examples, folder=tmp_path, training=QUICK)
    assert model.features == ["image.map", "caption.tokens"]
    assert np.isfinite(model.predict(examples).to_numpy()).all()


@pytest.mark.parametrize("settings", [BilinearPoolingSettings, MMBTSettings])
def test_pairs_need_both(settings: type[MMBTSettings]) -> None:
    with pytest.raises(ValidationError, match="both 'image' and 'caption'"):
        settings.model_validate({"modalities": ("caption", "metadata")})


def test_low_rank_bilinear_is_its_formula() -> None:
    torch.manual_seed(0)
    pooling = LowRankBilinear(3, 4, rank=5, outputs=2)
    x, y = torch.randn(6, 3), torch.randn(6, 4)
    left, right, out = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy())
        for layer in (pooling.left, pooling.right, pooling.output)
    )
    product = np.tanh(x.numpy() @ left[0].T + left[1]) * np.tanh(y.numpy() @ right[0].T + right[1])
    expected = product @ out[0].T + out[1]
    np.testing.assert_allclose(pooling(x, y).detach().numpy(), expected, atol=1e-6)


def test_late_fusion_is_a_weighted_mean_of_its_modalities(
    examples: Examples, tmp_path: Path
) -> None:
    model = trained(LateFusion.name, examples, tmp_path)
    network = model.network.eval()
    batch = examples.features.take(np.arange(8))
    with torch.inference_mode():
        votes = torch.zeros_like(network.votes)
        votes[0] = 1e4  # the image decides alone
        network.votes.copy_(votes)
        image = network.outputs["image"](network.pooled(batch, ())["image"])
        torch.testing.assert_close(network(batch), image)


def test_heads_keep_to_the_scales_and_the_loss_ignores_what_is_unknown() -> None:
    torch.manual_seed(0)
    predicted = EmotionEngagementHeads(4, 8, 0.0)(100 * torch.randn(50, 4))
    low = torch.tensor([-4.0, 0, 0, 0, 0, 0])
    high = torch.tensor([4.0, 8, 1, 1, 1, 1])
    assert bool(((predicted >= low) & (predicted <= high)).all())
    loss = EmotionEngagementLoss()
    truth, weights = low + (high - low) * torch.rand(50, 6), torch.ones(50, 6)
    weights[25:, 0] = 0
    other = truth.clone()
    other[25:, 0] = 3
    assert loss(predicted, truth, weights) == loss(predicted, other, weights)
    assert loss(truth, truth, weights) < 1e-3 < loss(predicted, truth, weights)


# recent posts -------------------------------------------------------------------------------------


def with_history(examples: Examples, **columns: list[float]) -> Examples:
    """Examples with columns of their authors' history, as log(1 + count)."""
    attached = {f"history.{name}": np.log1p(values) for name, values in columns.items()}
    return replace(examples, posts=examples.posts.assign(**attached))


def test_recent_posts_are_as_many_as_say_most(tmp_path: Path) -> None:
    examples = random_examples(48, task="shares")
    own = examples.posts["shares"].to_numpy(float)
    off = np.where(np.arange(48) % 2, 3.0, 0.0)
    known = with_history(
        examples, last_shares=own + 9, median3_shares=own + off, median5_shares=own + 5
    )
    model = RecentPosts(task="shares")
    model.fit(known, folder=tmp_path)
    assert set(model.recent.values()) == {"median3"}
    new = with_history(
        random_examples(4, task="shares"),
        last_shares=[9, 9, 9, 9],
        median3_shares=[0, 19, np.nan, 98],
        median5_shares=[9, 9, 9, 9],
    )
    predicted = model.predict(new)
    np.testing.assert_allclose(np.expm1(predicted["log_shares"])[[0, 1, 3]], [0, 19, 98], rtol=1e-5)
    assert model.fitted_task is not None
    restored = model.fitted_task.inverse_transform(predicted, new.posts)
    assert restored["share_class"].tolist()[0] == "1"
    # A post without a history gets what its author's training posts got on average.
    average = MODELS["author_mean"](task="shares")
    average.fit(known, folder=tmp_path)
    pd.testing.assert_series_equal(predicted.loc[2], average.predict(new).loc[2])
    model.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(load_model(tmp_path / "saved").predict(new), predicted)


def test_recent_posts_are_read_as_a_mean_where_that_says_more(tmp_path: Path) -> None:
    examples = random_examples(48, task="shares")
    own = examples.posts["shares"].to_numpy(float)
    known = with_history(examples, median10_shares=own + 5, mean10_shares=own + 1)
    model = RecentPosts(task="shares")
    model.fit(known, folder=tmp_path)
    assert set(model.recent.values()) == {"mean10"}
    new = with_history(
        random_examples(2, task="shares"), median10_shares=[4, 4], mean10_shares=[9, 99]
    )
    np.testing.assert_allclose(np.expm1(model.predict(new)["log_shares"]), [9, 99], rtol=1e-5)


def test_a_baseline_of_another_release_is_refused(tmp_path: Path) -> None:
    model = RecentPosts()
    model.fit(with_history(random_examples(48), median5_likes=list(range(48))), folder=tmp_path)
    model.save(tmp_path)
    path = tmp_path / "model.json"
    state = json.loads(path.read_text())
    state["numbers"] = {"likes_rate": 5}
    del state["recent"]
    path.write_text(json.dumps(state))
    with pytest.raises(DataError, match=r"model\.json, field recent.*Train the model again"):
        load_model(tmp_path)


def test_a_post_never_shows_what_it_got_itself(tmp_path: Path) -> None:
    examples = with_history(random_examples(48), median5_likes=list(range(48)))
    model = RecentPosts()
    model.fit(examples, folder=tmp_path)
    assert set(model.recent) == {"likes_rate"}
    hidden = ["valence", "arousal", "likes", "comments", "shares", "saves", "views", "reach"]
    blind = replace(examples, posts=examples.posts.assign(**dict.fromkeys(hidden, np.nan)))
    pd.testing.assert_frame_equal(model.predict(blind), model.predict(examples))
    average = MODELS["author_mean"]()
    average.fit(examples, folder=tmp_path)
    others = ["valence", "arousal", "comments", "shares", "saves"]
    pd.testing.assert_frame_equal(
        model.predict(examples)[others], average.predict(examples)[others]
    )


def test_without_a_history_recent_posts_are_the_authors_mean(tmp_path: Path) -> None:
    examples = random_examples(48)
    predicted = []
    for name in ("recent_posts", "author_mean"):
        model = MODELS[name]()
        model.fit(examples, folder=tmp_path)
        predicted.append(model.predict(examples))
    pd.testing.assert_frame_equal(*predicted)


# gradient boosting --------------------------------------------------------------------------------


def boosted(examples: Examples, folder: Path, validation: Examples | None = None) -> pd.DataFrame:
    model = GradientBoosting(FEW_TREES)
    model.fit(examples, validation, folder=folder)
    return model.predict(random_examples(30, seed=1))


def test_same_posts_same_trees(examples: Examples, tmp_path: Path) -> None:
    first = boosted(examples, tmp_path)
    pd.testing.assert_frame_equal(boosted(examples, tmp_path), first)
    assert not list(tmp_path.iterdir())


def test_trees_find_what_is_there(tmp_path: Path) -> None:
    model = GradientBoosting(GradientBoostingSettings(trees=40, learning_rate=0.2))
    model.fit(random_examples(300), folder=tmp_path)
    held_out = random_examples(200, seed=1)
    assert held_out.targets is not None
    seen = held_out.features.columns["image.vector"].present
    predicted = model.predict(held_out)["valence"]
    assert np.corrcoef(predicted[seen], held_out.targets.values[seen, 0])[0, 1] > 0.7
    assert predicted[~seen].std() < predicted[seen].std() / 2


def test_validation_posts_stop_the_growth(examples: Examples, tmp_path: Path) -> None:
    model = GradientBoosting(GradientBoostingSettings(trees=60, patience=5, min_validation_posts=0))
    model.fit(examples, folder=tmp_path)
    assert {len(trees.leaves) for trees in model.trees.values()} == {60}
    model.fit(examples, random_examples(40, seed=2), folder=tmp_path)
    assert min(len(trees.leaves) for trees in model.trees.values()) < 60


def test_a_fixed_number_of_trees_is_grown_whatever_validation_says(
    examples: Examples, tmp_path: Path
) -> None:
    validation = random_examples(40, seed=2)
    settings = {"trees": 60, "patience": 5, "min_validation_posts": 0}
    stopped, fixed = (
        GradientBoosting(GradientBoostingSettings(**settings, fixed=each)) for each in (False, True)
    )
    for model in (stopped, fixed):
        model.fit(examples, validation, folder=tmp_path)
    assert {len(trees.leaves) for trees in fixed.trees.values()} == {60}
    assert min(len(trees.leaves) for trees in stopped.trees.values()) < 60
    # They learn from the validation posts as well.
    alone = GradientBoosting(fixed.settings)
    alone.fit(examples, folder=tmp_path)
    assert not alone.predict(examples).equals(fixed.predict(examples))


def test_a_penalty_on_leaves_keeps_predictions_near_the_mean(
    examples: Examples, tmp_path: Path
) -> None:
    spread = []
    for penalty in (1, 1000):
        settings = {"trees": 20, "leaf_penalty": penalty}
        model = GradientBoosting(GradientBoostingSettings(**settings))
        model.fit(examples, folder=tmp_path)
        spread.append(model.predict(examples)["valence"].std())
    assert spread[1] < 0.2 * spread[0]


def test_trees_see_long_vectors_as_their_principal_components(tmp_path: Path) -> None:
    examples = random_examples(48)
    model = GradientBoosting(FEW_TREES.model_copy(update={"components": 14}))
    model.fit(examples, folder=tmp_path)
    # 12 numbers of the picture stay as they are, and metadata are no vector.
    assert set(model.projections) == {"caption.vector", "hashtags.vector"}
    assert model.matrix(examples).shape == (48, 12 + 14 + 14 + 9 + 3 + 4) == (48, model.width())
    column = examples.features.columns["hashtags.vector"]
    there = np.flatnonzero(column.present)
    values = column.take(there, None)[""].numpy().astype(np.float64)
    centred = values - values.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    seen = model.matrix(examples)[:, 26:40]
    np.testing.assert_allclose(np.abs(seen[there]), np.abs(left * sizes)[:, :14], atol=1e-3)
    assert np.isnan(seen[~column.present]).all()
    model.save(tmp_path / "saved")
    again = load_model(tmp_path / "saved")
    pd.testing.assert_frame_equal(again.predict(examples), model.predict(examples))
    arrays = load_file(tmp_path / "saved" / "weights.safetensors")
    arrays["projection.hashtags.vector"] = arrays["projection.hashtags.vector"][:, :5]
    save_file(arrays, tmp_path / "saved" / "weights.safetensors")
    with pytest.raises(DataError, match="projection of hashtags"):
        load_model(tmp_path / "saved")


def test_with_the_chosen_number_trees_grow_on_validation_posts_too(tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost")
    train, validation = random_examples(60), random_examples(40, seed=2)
    model = GradientBoosting(GradientBoostingSettings(trees=60, patience=5, min_validation_posts=0))
    model.fit(train, validation, folder=tmp_path)
    assert train.targets is not None
    assert validation.targets is not None
    parts, place = (train, validation), model.targets.index("valence")
    pools = [
        catboost.Pool(model.matrix(part), part.targets.values[:, place])
        for part in parts
        if part.targets is not None
    ]
    options = {**growing_options(model.settings, None), "l2_leaf_reg": 10}
    judged = catboost.CatBoostRegressor(**options).fit(pools[0], eval_set=pools[1])
    number = judged.tree_count_
    matrix = np.concatenate([model.matrix(part) for part in parts])
    values = np.concatenate([train.targets.values[:, place], validation.targets.values[:, place]])
    whole = catboost.CatBoostRegressor(**{**options, "iterations": number}).fit(matrix, values)
    assert len(model.trees["valence"].leaves) == number
    expected = whole.predict(matrix[:60])
    np.testing.assert_allclose(model.predict(train)["valence"], expected, atol=1e-5)


def test_few_validation_posts_leave_the_number_of_trees_to_cross_validation(tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost")
    train, validation = random_examples(60), random_examples(20, seed=2)
    model = GradientBoosting(GradientBoostingSettings(trees=40, patience=40))
    model.fit(train, validation, folder=tmp_path)
    assert train.targets is not None
    assert validation.targets is not None
    place = model.targets.index("arousal")
    values = np.concatenate([part.targets.values[:, place] for part in (train, validation)])
    matrix = np.concatenate([model.matrix(part) for part in (train, validation)])
    folds = np.concatenate(fold_numbers(train.posts, validation.posts))
    options = {**growing_options(model.settings, None), "l2_leaf_reg": 10}
    curves = []
    for fold in range(5):
        own, held = folds != fold, folds == fold
        pools = [catboost.Pool(matrix[rows], values[rows]) for rows in (own, held)]
        one = catboost.CatBoostRegressor(**options).fit(pools[0], eval_set=pools[1])
        curves.append(one.get_evals_result()["validation"]["RMSE"])
    best = int(np.argmin(np.mean(curves, axis=0))) + 1
    assert len(model.trees["arousal"].leaves) == best < 40
    whole = catboost.CatBoostRegressor(**{**options, "iterations": best}).fit(matrix, values)
    expected = whole.predict(model.matrix(validation))
    np.testing.assert_allclose(model.predict(validation)["arousal"], expected, atol=1e-5)


def test_what_the_emotion_reader_says_can_be_left_out(examples: Examples, tmp_path: Path) -> None:
    columns = dict(examples.features.columns)
    del columns["affect.text"]
    unread = replace(examples, features=FeatureTable(columns))
    model = GradientBoosting(FEW_TREES.model_copy(update={"emotion_reader": False}))
    model.fit(unread, folder=tmp_path)
    model.save(tmp_path / "saved")
    again = load_model(tmp_path / "saved").predict(unread)
    pd.testing.assert_frame_equal(again, model.predict(unread))
    reading = GradientBoosting(FEW_TREES)
    reading.fit(examples, folder=tmp_path)
    with pytest.raises(SettingsError, match=r"affect\.text"):
        reading.predict(unread)


def test_estimates_weigh_what_the_setting_says(examples: Examples, tmp_path: Path) -> None:
    assert examples.targets is not None
    values, half = examples.targets.values.copy(), np.arange(48) < 24
    values[half, 0] += 3  # estimates are off
    guessed = np.zeros_like(examples.targets.estimated)
    guessed[half, 0] = True
    noisy = replace(examples, targets=TargetTable(values, guessed))
    known = values.copy()
    known[half, 0] = np.nan
    certain = replace(examples, targets=TargetTable(known, np.zeros_like(guessed)))
    means = {}
    for weight in (0.0, 0.5, 1.0):
        model = GradientBoosting(FEW_TREES.model_copy(update={"estimated_weight": weight}))
        model.fit(noisy, folder=tmp_path)
        means[weight] = model.predict(examples)["valence"]
    expected = boosted(certain, tmp_path)["valence"]
    without_estimates = GradientBoosting(FEW_TREES.model_copy(update={"estimated_weight": 0.0}))
    without_estimates.fit(noisy, folder=tmp_path)
    found = without_estimates.predict(random_examples(30, seed=1))["valence"]
    pd.testing.assert_series_equal(found, expected)
    assert means[0.0].mean() < means[0.5].mean() < means[1.0].mean()


def test_arrays_predict_as_catboost_does() -> None:
    catboost = pytest.importorskip("catboost")
    random = np.random.default_rng(0)
    matrix = random.normal(size=(300, 6)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    truth = np.nan_to_num(matrix[:, 0]) * 2 + np.isnan(matrix[:, 1]) + 5
    regressor = catboost.CatBoostRegressor(
        iterations=40, depth=5, logging_level="Silent", allow_writing_files=False, thread_count=1
    ).fit(matrix, truth)
    trees = SymmetricTrees.of(regressor)
    new = random.normal(size=(500, 6)).astype(np.float32)
    new[random.random(new.shape) < 0.3] = np.nan
    np.testing.assert_allclose(trees.predict(new), regressor.predict(new), rtol=1e-12)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("columns", lambda values: values + 10_000),
        ("columns", lambda values: values - 10_000),
        ("columns", lambda values: values.astype(np.float32)),
        ("borders", lambda values: values[:, :1]),
        ("leaves", lambda values: values[:-1]),
        ("bias", lambda values: values[:0]),
        ("leaves", None),
    ],
)
def test_damaged_trees_are_named(
    part: str, change: object, examples: Examples, tmp_path: Path
) -> None:
    model = GradientBoosting(FEW_TREES)
    model.fit(examples, folder=tmp_path / "training")
    model.save(tmp_path / "model")
    file = tmp_path / "model" / "weights.safetensors"
    arrays = load_file(file)
    values = arrays.pop(f"likes.{part}")
    if callable(change):
        arrays[f"likes.{part}"] = np.ascontiguousarray(change(values))
    save_file(arrays, file)
    with pytest.raises(DataError, match=r"weights\.safetensors.*damaged"):
        load_model(tmp_path / "model")


def test_a_saved_model_needs_no_catboost(
    examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = GradientBoosting(FEW_TREES)
    model.fit(examples, folder=tmp_path)
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "catboost", None)
    loaded = load_model(tmp_path / "model")
    assert list(loaded.predict(examples).columns) == list(TARGETS)
    with pytest.raises(MissingExtraError, match=r"evoked\[boosting\]"):
        GradientBoosting(FEW_TREES).fit(examples, folder=tmp_path)
