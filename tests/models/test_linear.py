"""What is the linear models' own, beyond the contract of models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file
from scipy.special import expit, logit
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evoked.errors import DataError
from evoked.features.table import Column, FeatureTable
from evoked.models import Examples, linear, load_model
from evoked.models.linear import Linear, LinearSettings, _simplest_of_the_best
from evoked.models.pooled import fold_numbers
from evoked.targets import TargetTable
from evoked.testing.examples import random_examples


def fitted(task: str, folder: Path, n: int = 150, **settings: float) -> tuple[Linear, Examples]:
    examples = random_examples(n, task=task)
    model = Linear(LinearSettings.model_validate(settings), task=task)
    model.fit(examples, folder=folder)
    return model, examples


def columns_of(model: Linear, examples: Examples) -> np.ndarray:
    """What scikit-learn is given: features end to end, then what is there, each standardised by
    scikit-learn and weighed by the width of its feature, or by that of the metadata."""
    batch = examples.features.take(np.arange(len(examples)))
    present = [batch[f"{name}.present"].numpy() for name in model.features]
    values = [
        np.where(there[:, None], batch[name].numpy(), np.nan)
        for name, there in zip(model.features, present, strict=True)
    ]
    widths = [part.shape[1] for part in values] + [1] * len(present)
    scaled = make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=0))
    columns = scaled.fit_transform(np.column_stack([*values, *present]))
    sizes = np.repeat(widths, widths)
    sizes[sum(model.widths.values()) :] = model.widths["metadata"]
    return columns / np.sqrt(sizes)


def reduced_columns_of(model: Linear, examples: Examples) -> np.ndarray:
    """The same, but of each vector the principal components that scikit-learn finds of the posts
    that have it, all divided by the root of its variance."""
    columns, parts, first = columns_of(model, examples), [], 0
    batch = examples.features.take(np.arange(len(examples)))
    for name, width in model.widths.items():
        part = columns[:, first : first + width]
        if name.endswith(".vector"):
            there = batch[f"{name}.present"].numpy().astype(bool)
            own = batch[name].numpy()[there].astype(np.float64)
            components = min(model.settings.components, len(own) // 5)
            part = np.zeros((len(columns), components))
            part[there] = PCA(components).fit_transform(own) / np.sqrt(own.var(axis=0).sum())
        parts.append(part)
        first += width
    return np.hstack([*parts, columns[:, first:]])


@pytest.mark.parametrize("components", [0, 6])
def test_values_are_those_of_scikit_learns_ridge(components: int, tmp_path: Path) -> None:
    model, examples = fitted(
        "emotion_engagement", tmp_path, penalty=0.2, min_validation_posts=0, components=components
    )
    assert examples.targets is not None
    columns = (reduced_columns_of if components else columns_of)(model, examples)
    known = examples.targets.values.astype(np.float64)
    # Standings are a logistic curve of what the line predicts.
    known[:, 2:] = logit(known[:, 2:])
    line = Ridge(0.2 * len(examples)).fit(columns, known)
    expected = line.predict(columns).clip(known.min(0), known.max(0))
    expected[:, 2:] = expit(expected[:, 2:])
    np.testing.assert_allclose(model.predict(examples), expected, atol=1e-3)
    assert model.penalties == dict.fromkeys(model.targets, 0.2)


@pytest.mark.parametrize("task", ["level", "author_popularity"])
def test_classes_are_those_of_scikit_learns_logistic_regression(task: str, tmp_path: Path) -> None:
    model, examples = fitted(task, tmp_path, penalty=0.05, min_validation_posts=0)
    assert examples.targets is not None
    values = examples.targets.values
    told = np.isfinite(values[:, 0])
    labels = values[told].argmax(axis=1) if values.shape[1] > 1 else values[told, 0]
    columns = columns_of(model, examples)
    solver = LogisticRegression(C=20 / told.sum(), max_iter=1000).fit(columns[told], labels)
    expected = solver.predict_proba(columns)
    expected = expected if task == "level" else expected[:, 1:]
    np.testing.assert_allclose(model.predict(examples), expected, atol=1e-2)


def test_penalty_is_the_one_that_predicts_the_validation_posts_best(tmp_path: Path) -> None:
    train, validation = random_examples(150), random_examples(100, seed=1)
    assert validation.targets is not None
    errors = {}
    for penalty in (10.0, 0.1, 0.0001):
        one = Linear(LinearSettings(penalty=penalty, min_validation_posts=0))
        one.fit(train, folder=tmp_path)
        errors[penalty] = (one.predict(validation).to_numpy() - validation.targets.values) ** 2
    model = Linear(LinearSettings(penalties=tuple(errors), vector_weights=(1.0,)))
    model.fit(train, validation, folder=tmp_path)
    for place, name in enumerate(model.targets[:2]):
        best = min(errors, key=lambda penalty: errors[penalty][:, place].mean())
        assert model.penalties[name] == best
    # With that penalty, it learns from the validation posts as well.
    kept = (model.penalties["valence"],)
    both = Linear(LinearSettings(penalties=kept, vector_weights=(1.0,)))
    both.fit(train, validation, folder=tmp_path)
    missed = (model.predict(validation)["valence"] - validation.targets.values[:, 0]) ** 2
    pd.testing.assert_series_equal(
        model.predict(validation)["valence"], both.predict(validation)["valence"]
    )
    assert missed.mean() < errors[model.penalties["valence"]][:, 0].mean()


def test_few_validation_posts_leave_the_choice_to_cross_validation(tmp_path: Path) -> None:
    train, validation = random_examples(80), random_examples(30, seed=1)
    assert train.targets is not None
    assert validation.targets is not None
    penalties = (3.0, 0.1, 0.001)
    model = Linear(LinearSettings(penalties=penalties, vector_weights=(1.0,)))
    model.fit(train, validation, folder=tmp_path)
    folds = np.concatenate(fold_numbers(train.posts, validation.posts))
    assert set(folds) == set(range(5))
    columns = scaled_by(model, [train, validation])
    values = np.concatenate([train.targets.values, validation.targets.values])
    errors = np.zeros((len(penalties), values.shape[1]))
    for number, penalty in enumerate(penalties):
        for fold in range(5):
            own, held = folds != fold, folds == fold
            line = Ridge(penalty * own.sum()).fit(columns[own], values[own])
            errors[number] += ((line.predict(columns[held]) - values[held]) ** 2).sum(axis=0)
    for place, name in enumerate(model.targets):
        assert model.penalties[name] == penalties[errors[:, place].argmin()]
    line = Ridge(model.penalties["valence"] * len(values)).fit(columns, values[:, 0])
    known = train.targets.values[:, 0]
    np.testing.assert_allclose(
        np.concatenate([model.predict(part)["valence"] for part in (train, validation)]),
        line.predict(columns).clip(known.min(), known.max()),
        atol=1e-3,
    )
    many = tuple(np.geomspace(3, 0.001, 30))
    judged = Linear(LinearSettings(penalties=many, min_validation_posts=30))
    judged.fit(train, validation, folder=tmp_path)
    model = Linear(LinearSettings(penalties=many))
    model.fit(train, validation, folder=tmp_path)
    assert not judged.predict(train).equals(model.predict(train))


def scaled_by(model: Linear, parts: list[Examples]) -> np.ndarray:
    """The columns that the model's lines see."""
    return np.concatenate([model._scaled(model._raw(part)) for part in parts])


def test_folds_keep_authors_together_where_validation_asks_for_strangers() -> None:
    def posts(authors: list[str | None], first: int) -> pd.DataFrame:
        ids = [f"post-{first + number}" for number in range(len(authors))]
        return pd.DataFrame({"post_id": ids, "author_id": authors, "posted_at": pd.NaT})

    train = posts([f"author-{number % 8}" for number in range(40)], 0)
    strangers = posts([f"author-{8 + number % 4}" for number in range(20)] + [None], 40)
    folds = fold_numbers(train, strangers)
    assert [len(part) for part in folds] == [40, 21]
    both = pd.concat([train, strangers]).assign(fold=np.concatenate(folds))
    assert (both.groupby("author_id")["fold"].nunique() == 1).all()
    assert both["fold"].nunique() == 5
    acquainted = posts([f"author-{number % 8}" for number in range(20)], 40)
    both = pd.concat([train, acquainted]).assign(
        fold=np.concatenate(fold_numbers(train, acquainted))
    )
    assert (both.groupby("author_id")["fold"].nunique() > 1).any()
    # The same posts in another order keep their folds.
    shuffled = train.sample(frac=1, random_state=1)
    again = pd.Series(fold_numbers(shuffled, strangers)[0], index=shuffled.index).sort_index()
    assert again.tolist() == folds[0].tolist()


def test_folds_are_spans_of_time_where_validation_asks_for_later_posts() -> None:
    days = pd.date_range("2024-01-01", periods=100, freq="D", tz="UTC").to_series()
    posts = pd.DataFrame({"post_id": np.arange(100).astype(str), "author_id": "one"})
    posts = posts.assign(posted_at=days.to_numpy()).sample(frac=1, random_state=0)
    later = posts["posted_at"] > days.iloc[79]
    train, validation = posts[~later], posts[later]
    folds = np.concatenate(fold_numbers(train, validation))
    ordered = pd.concat([train, validation]).assign(fold=folds).sort_values("posted_at")
    assert ordered["fold"].tolist() == np.repeat(np.arange(5), 20).tolist()
    # Asked of posts of the same time, or of some whose time is unknown, folds are drawn.
    undated = validation.assign(posted_at=validation["posted_at"].where(validation.index != 99))
    for parts in ((train[10:], train[:10]), (train, undated)):
        drawn = pd.concat(parts).assign(fold=np.concatenate(fold_numbers(*parts)))
        assert not drawn.sort_values("posted_at")["fold"].is_monotonic_increasing


def test_the_simplest_of_what_is_as_good_as_the_best_is_taken() -> None:
    generator = np.random.default_rng(0)
    best = generator.uniform(0, 1, 400)
    near, far = best + generator.normal(0.001, 0.1, 400), best + generator.normal(0.1, 0.1, 400)
    errors = np.stack([far, near, best])[:, :, None]
    assert _simplest_of_the_best(errors) == [1]
    assert _simplest_of_the_best(errors[[0, 2, 1]]) == [1]
    assert _simplest_of_the_best(np.concatenate([errors, errors[[2, 1, 0]]], axis=2)).tolist() == [
        1,
        0,
    ]


def with_oddity(examples: Examples, oddity: str, odd: np.ndarray) -> Examples:
    """Posts that nothing tells apart but what is odd about some, (n,)."""
    n = len(examples)
    alike, marked = np.zeros((n, 2), np.float32), np.zeros((n, 2), np.float32)
    marked[odd, 0] = 10 if oddity == "number" else 1
    told = oddity in ("flag", "number")
    columns = {
        "image.vector": Column.dense(alike, ~odd if oddity == "no picture" else None),
        "caption.vector": Column.dense(alike),
        "hashtags.vector": Column.dense(alike, odd if oddity == "tags" else None),
        "metadata": Column.dense(marked if told else alike),
        "affect.text": Column.dense(alike),
        "affect.face": Column.dense(marked if oddity == "face" else alike),
    }
    return replace(examples, features=FeatureTable(columns))


@pytest.mark.parametrize(("odd_posts", "effect"), [(1, 0), (4, 0), (5, 2), (20, 2)])
@pytest.mark.parametrize("oddity", ["flag", "number", "no picture", "tags", "face"])
def test_what_is_odd_about_few_posts_decides_no_other(
    oddity: str, odd_posts: int, effect: float, tmp_path: Path
) -> None:
    examples = random_examples(200, signal=False)
    odd = np.arange(200) < odd_posts
    values = np.full((200, 6), np.nan, np.float32)
    values[:, 0] = np.where(odd, 3, 0)
    targets = TargetTable(values, np.zeros(values.shape, bool))
    model = Linear(LinearSettings(penalty=0.001, min_validation_posts=0))
    model.fit(replace(with_oddity(examples, oddity, odd), targets=targets), folder=tmp_path)
    ordinary, strange = (
        model.predict(with_oddity(examples, oddity, np.full(200, each)))["valence"].mean()
        for each in (False, True)
    )
    assert strange - ordinary >= effect
    assert (strange == ordinary) == (effect == 0)


def test_signal_is_found_and_beats_the_mean(tmp_path: Path) -> None:
    model, _ = fitted("emotion_engagement", tmp_path, n=300)
    others = random_examples(200, seed=5)
    assert others.targets is not None
    truth = others.targets.values[:, 0]
    error = np.abs(model.predict(others)["valence"] - truth).mean()
    assert error < 0.9 * np.abs(truth - truth.mean()).mean()


def test_classes_that_no_training_post_has_are_never_predicted(tmp_path: Path) -> None:
    examples = random_examples(60, task="level")
    assert examples.targets is not None
    of_two = examples.select(np.flatnonzero(examples.targets.values[:, :2].any(axis=1)))
    model = Linear(task="level")
    model.fit(of_two, folder=tmp_path)
    predicted = model.predict(examples).to_numpy()
    np.testing.assert_allclose(predicted[:, :2].sum(axis=1), 1, atol=1e-6)
    assert (predicted[:, 2:] == 0).all()


def test_one_class_alone_is_certain(tmp_path: Path) -> None:
    examples = random_examples(60, task="author_popularity")
    assert examples.targets is not None
    always = TargetTable(np.ones_like(examples.targets.values), examples.targets.estimated)
    model = Linear(task="author_popularity")
    model.fit(replace(examples, targets=always), folder=tmp_path)
    assert (model.predict(examples) == 1).all(axis=None)


def test_estimated_targets_weigh_less(tmp_path: Path) -> None:
    examples = random_examples(100)
    assert examples.targets is not None
    values = examples.targets.values.copy()
    estimated = np.zeros_like(values, dtype=bool)
    estimated[50:, 0] = True
    values[:50, 0], values[50:, 0] = -1, 1
    told = replace(examples, targets=TargetTable(values, estimated))
    model = Linear(LinearSettings(penalty=1e5, estimated_weight=0.25, min_validation_posts=0))
    model.fit(told, folder=tmp_path)
    # So strong a penalty leaves the weighted mean: (50 · -1 + 12.5 · 1) / 62.5.
    np.testing.assert_allclose(model.predict(examples)["valence"], -0.6, atol=1e-2)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="above 0"):
        LinearSettings(penalties=(1.0, 0.0))
    assert LinearSettings(penalties=(1.0, 10.0)).penalties == (10.0, 1.0)


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    model, _ = fitted("level", tmp_path / "training", n=50)
    model.save(tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    arrays = load_file(weights)
    save_file({**arrays, "bias": arrays["bias"][:2]}, weights)
    with pytest.raises(DataError, match=r"weights\.safetensors.*bias is \(2,\), not \(5,\)"):
        load_model(tmp_path / "model")


def alone(train: Examples, folder: Path, weight: float) -> Linear:
    """A model that has one weight for vectors, and nothing to choose."""
    settings = LinearSettings(penalty=0.1, vector_weights=(weight,), min_validation_posts=0)
    model = Linear(settings)
    model.fit(train, folder=folder)
    return model


def test_weight_of_vectors_is_the_one_that_predicts_the_validation_posts_best(
    tmp_path: Path,
) -> None:
    train, validation = random_examples(150), random_examples(100, seed=1)
    assert validation.targets is not None
    truth, errors = validation.targets.values[:, 0], {}
    for weight in (1.0, 0.05, 0.0):
        predicted = alone(train, tmp_path, weight).predict(validation)["valence"]
        errors[weight] = ((predicted - truth) ** 2).mean()
    assert len({round(error, 3) for error in errors.values()}) == 3
    both = Linear(LinearSettings(penalties=(0.1,), vector_weights=tuple(errors)))
    both.fit(train, validation, folder=tmp_path)
    # With that weight, it learns from the validation posts as well.
    best = min(errors, key=lambda weight: errors[weight])
    chosen = Linear(LinearSettings(penalties=(0.1,), vector_weights=(best,)))
    chosen.fit(train, validation, folder=tmp_path)
    predicted = [model.predict(validation)["valence"] for model in (both, chosen)]
    np.testing.assert_allclose(*predicted, atol=1e-4)
    assert ((predicted[0] - truth) ** 2).mean() < errors[best]


@pytest.mark.parametrize("task", ["emotion_engagement", "author_popularity"])
@pytest.mark.parametrize("posts", [40, 400])
def test_without_weight_vectors_are_not_read(task: str, posts: int, tmp_path: Path) -> None:
    train = random_examples(posts, task=task)
    models = [Linear(LinearSettings(vector_weights=(weight,)), task=task) for weight in (0.0, 1.0)]
    for model in models:
        model.fit(train, folder=tmp_path)
    changes = {}
    for name in ("image.vector", "metadata"):
        columns = dict(train.features.columns)
        width = train.features.widths[name]
        blank = np.zeros((posts, width), np.float32)
        columns[name] = Column.dense(blank, train.features.columns[name].present)
        other = replace(train, features=FeatureTable(columns))
        changes[name] = [
            np.abs(model.predict(other) - model.predict(train)).to_numpy().max() for model in models
        ]
    assert changes["image.vector"][0] == 0 < changes["image.vector"][1]
    assert min(changes["metadata"]) > 0


@pytest.mark.parametrize(("have", "read"), [(4, False), (9, True)])
def test_a_component_takes_five_posts(have: int, read: bool, tmp_path: Path) -> None:
    train = random_examples(60)
    width = train.features.widths["hashtags.vector"]
    values = np.random.default_rng(0).normal(size=(60, width)).astype(np.float32)
    rare = Column.dense(values, np.arange(60) < have)
    columns = {**train.features.columns, "hashtags.vector": rare}
    train = replace(train, features=FeatureTable(columns))
    model = Linear(LinearSettings(components=6, penalty=1e-3, min_validation_posts=0))
    model.fit(train, folder=tmp_path)
    blank = Column.dense(np.zeros_like(values), rare.present)
    other = replace(train, features=FeatureTable({**columns, "hashtags.vector": blank}))
    changed = np.abs(model.predict(other) - model.predict(train)).to_numpy().max() > 0
    assert changed == read


def test_what_components_are_learned_from_more_posts_than_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = random_examples(120)
    settings = LinearSettings(components=6, min_validation_posts=0)
    every = Linear(settings)
    every.fit(train, folder=tmp_path)
    monkeypatch.setattr(linear, "_POSTS_ENOUGH", 50)
    some = Linear(settings)
    some.fit(train, folder=tmp_path)
    assert not np.allclose(every.arrays["weights"], some.arrays["weights"])
    valences = [model.predict(train)["valence"] for model in (every, some)]
    assert np.corrcoef(*valences)[0, 1] > 0.9


@pytest.mark.parametrize("task", ["emotion_engagement", "level", "author_popularity"])
def test_lines_on_components_are_kept_as_lines_on_columns(task: str, tmp_path: Path) -> None:
    whole, (reduced, examples) = (
        fitted(task, tmp_path, min_validation_posts=0)[0],
        fitted(task, tmp_path, min_validation_posts=0, components=4),
    )
    reduced.save(tmp_path)
    loaded = load_model(tmp_path)
    pd.testing.assert_frame_equal(loaded.predict(examples), reduced.predict(examples))
    assert np.abs(reduced.predict(examples) - whole.predict(examples)).to_numpy().max() > 1e-3
    # Four numbers decide what two thousand are worth.
    first = 0
    for name, width in reduced.widths.items():
        if name.endswith(".vector"):
            weights = reduced.arrays["weights"][:, first : first + width]
            assert np.linalg.matrix_rank(weights, tol=1e-6) <= 4
        first += width


def test_a_weight_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        LinearSettings(vector_weights=(1.0, -1.0))
