"""What is the baselines' of viewings own, beyond the contract of models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.errors import DataError
from evoked.models import VIEWING_BASELINES, Examples, Model, load_model
from evoked.models.baselines import ImageMean, UserMean
from evoked.models.comments_only import CommentsOnly, CommentsOnlySettings
from evoked.models.pooled import pooled_matrix
from evoked.models.viewing_boosting import ViewingBoosting, ViewingBoostingSettings
from evoked.testing.networks import small_network_examples
from evoked.training import TrainingSettings

QUICK = TrainingSettings(max_epochs=10, batch_size=64, device="cpu")


@pytest.fixture(scope="module")
def network() -> tuple[Examples, Examples, Examples]:
    return small_network_examples()


@pytest.mark.parametrize(("kind", "column"), [(UserMean, "user_id"), (ImageMean, "post_id")])
def test_shares_of_a_users_and_an_images_viewings(
    network: tuple[Examples, Examples, Examples], kind: type, column: str, tmp_path: Path
) -> None:
    train, _, test = network
    assert train.targets is not None
    model = kind()
    model.fit(train, folder=tmp_path)
    predicted = model.predict(test).to_numpy()
    values = pd.DataFrame(train.targets.values)
    shares = values.groupby(train.posts[column]).mean()
    expected = shares.reindex(test.posts[column]).fillna(values.mean()).to_numpy()
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    strangers = ~test.posts[column].isin(train.posts[column]).to_numpy()
    assert strangers.any()

    model.save(tmp_path)
    told = (tmp_path / "model.json").read_text()
    assert not any(f'"{name}"' in told for name in train.posts[column])  # it names nobody


def test_trivial_baselines_of_viewings_are_three() -> None:
    assert [model.name for model in VIEWING_BASELINES] == ["mean", "user_mean", "image_mean"]


def test_boosted_probabilities_are_catboosts_own(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    catboost = pytest.importorskip("catboost")
    train, _, test = network
    assert train.targets is not None
    settings = ViewingBoostingSettings(trees=15, feature_share=1.0, class_balance=0.0)
    model = ViewingBoosting(settings)
    model.fit(train, folder=tmp_path)
    known = np.flatnonzero(np.isfinite(train.targets.values).all(axis=1))
    booster = catboost.CatBoostClassifier(
        loss_function="MultiClass",
        iterations=15,
        depth=4,
        learning_rate=0.1,
        border_count=32,
        random_seed=0,
        rsm=1.0,
        thread_count=1,
        allow_writing_files=False,
        logging_level="Silent",
    )
    classes = train.targets.values[known].argmax(axis=1)
    assert len(np.unique(classes)) == 8
    booster.fit(pooled_matrix(train.features, model.features, known), classes)
    matrix = pooled_matrix(test.features, model.features, np.arange(len(test)))
    np.testing.assert_allclose(model.predict(test), booster.predict_proba(matrix), atol=1e-6)


@pytest.mark.parametrize(
    "kind",
    [
        lambda balance: ViewingBoosting(ViewingBoostingSettings(trees=20, class_balance=balance)),
        lambda balance: CommentsOnly(CommentsOnlySettings(class_balance=balance)),
    ],
)
def test_rare_emotions_are_named_more_often_where_they_weigh_more(
    network: tuple[Examples, Examples, Examples],
    kind: Callable[[float], Model],
    tmp_path: Path,
) -> None:
    train, validation, test = network
    assert train.targets is not None
    counts = np.nansum(train.targets.values, axis=0)
    rare = counts < np.median(counts)
    named = []
    for balance in (0.0, 1.0):
        model = kind(balance)
        model.fit(train, validation, folder=tmp_path / str(balance), training=QUICK)
        named.append(model.predict(test).to_numpy()[:, rare].sum())
    assert named[1] > 1.1 * named[0]


def test_trees_are_kept_by_macro_f1_or_by_loss(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    train, validation, _ = network
    kept = set()
    for keep in ("macro_f1", "loss"):
        model = ViewingBoosting(ViewingBoostingSettings(keep=keep, trees=100))
        model.fit(train, validation, folder=tmp_path)
        kept.add(len(next(iter(model.trees.values())).columns))
    assert len(kept) == 2


def test_boosting_sees_the_own_comment_only_if_asked() -> None:
    assert "viewing.comment" not in ViewingBoosting().features
    assert ViewingBoosting().caution == ""
    shown = ViewingBoosting(ViewingBoostingSettings(own_comment=True))
    assert shown.features[-1] == "viewing.comment"
    assert "LEAKAGE" in shown.caution


def test_damaged_trees_are_refused(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    model = ViewingBoosting(ViewingBoostingSettings(trees=3))
    model.fit(network[0], folder=tmp_path)
    model.save(tmp_path)
    file = tmp_path / "model.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "widths": {"image.vector": 1, "user.vector": 1}}))
    with pytest.raises(DataError, match="trees"):
        load_model(tmp_path)


def test_comments_alone_tell_what_was_felt(
    network: tuple[Examples, Examples, Examples], tmp_path: Path
) -> None:
    train, validation, test = network
    assert test.targets is not None
    model = CommentsOnly(CommentsOnlySettings(dropout=0.0))
    model.fit(train, validation, folder=tmp_path, training=QUICK)
    predicted = model.predict(test).to_numpy()
    commented = test.features.columns["viewing.comment"].present
    np.testing.assert_allclose(
        predicted[~commented],
        predicted[~commented][:1].repeat(int((~commented).sum()), axis=0),
        atol=1e-6,
    )
    known = np.isfinite(test.targets.values).all(axis=1)
    right = predicted.argmax(axis=1) == np.nan_to_num(test.targets.values).argmax(axis=1)
    assert right[commented & known].mean() > right[~commented & known].mean() + 0.2
