"""What is the blend's own, beyond the contract of models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError
from evoked.models import MODELS, Examples, build_model, load_model
from evoked.models.blend import Blend, BlendSettings, blended, learned_weights
from evoked.targets import TASKS, EmotionEngagement
from evoked.testing.examples import random_examples

SETTINGS = {"members": [{"model": "linear"}, {"model": "author_mean"}]}


def fitted(examples: Examples, folder: Path, task: str = "emotion_engagement") -> Blend:
    model = Blend(BlendSettings.model_validate(SETTINGS), task=task)
    model.fit(examples, folder=folder)
    return model


@pytest.mark.parametrize("task", ["emotion_engagement", "level"])
def test_it_predicts_the_mean_of_its_members(task: str, tmp_path: Path) -> None:
    examples, others = (random_examples(60, seed=seed, task=task) for seed in (0, 1))
    predicted = fitted(examples, tmp_path, task).predict(others)
    parts = []
    for name in ("linear", "author_mean"):
        member = MODELS[name](task=task)
        member.fit(examples, folder=tmp_path / name)
        parts.append(member.predict(others).to_numpy())
    np.testing.assert_allclose(predicted, (parts[0] + parts[1]) / 2, atol=1e-6)
    assert np.abs(parts[0] - parts[1]).max() > 0.01
    if task == "level":
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)


def test_it_is_saved_with_its_members(tmp_path: Path) -> None:
    examples = random_examples(60)
    model = fitted(examples, tmp_path / "training")
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    pd.testing.assert_frame_equal(again.predict(examples), model.predict(examples))
    path = tmp_path / "model" / "model.json"
    state = json.loads(path.read_text())
    state["settings"]["members"].reverse()
    path.write_text(json.dumps(state))
    with pytest.raises(DataError, match=r"not a whole blend.*a member is linear, not author_mean"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("member", ["blend", "stack"])
def test_what_has_members_is_no_member(member: str) -> None:
    with pytest.raises(SettingsError, match=f"a {member} can't be a member"):
        build_model("blend", {"members": [{"model": member}]})


@pytest.mark.parametrize(("member", "quick"), [("author_mean", True), ("text_bert", False)])
def test_it_is_quick_if_all_members_are(member: str, quick: bool) -> None:
    members = [{"model": "linear"}, {"model": member}]
    assert Blend(BlendSettings.model_validate({"members": members})).quick == quick


# Weights ------------------------------------------------------------------------------------------


def predictions(
    n: int, seed: int, *, informed: float, task: str = "emotion_engagement"
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """What three members predict of n posts, the first 0 and the others mere noise but for what one
    of them knows of the truth; and the truth, of the first column alone."""
    generator = np.random.default_rng(seed)
    shape = (n, len(TASKS[task].columns))
    signal, noise = generator.normal(size=(2, *shape))
    truth = np.full(shape, np.nan)
    column = TASKS[task].columns.index("likes")
    truth[:, column] = signal[:, column]
    others = [informed * signal + noise, generator.normal(size=shape)]
    return [np.zeros(shape), *others], truth


def test_each_outcome_has_weights_of_its_own(tmp_path: Path) -> None:
    examples = random_examples(60)
    members = [MODELS[name]() for name in ("linear", "author_mean")]
    for member in members:
        member.fit(examples, folder=tmp_path)
    line, mean = (member.predict(examples) for member in members)
    weights = {"likes_rate": [1.0, 0.0], "comments_rate": [1.0, 3.0]}
    model = Blend(BlendSettings.model_validate({**SETTINGS, "weights": weights}))
    model.fit(examples, folder=tmp_path)
    predicted = model.predict(examples)
    np.testing.assert_allclose(predicted["likes"], line["likes"], atol=1e-6)
    expected = (line["comments"] + 3 * mean["comments"]) / 4
    np.testing.assert_allclose(predicted["comments"], expected, atol=1e-6)
    # Those that are not named are equal.
    np.testing.assert_allclose(
        predicted["shares"], (line["shares"] + mean["shares"]) / 2, atol=1e-6
    )


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.1], [0.0, 0.0]])
def test_weights_that_make_no_mean_are_refused(weights: list[float]) -> None:
    with pytest.raises(SettingsError, match="likes_rate: one for each of the 2 members"):
        build_model("blend", {**SETTINGS, "weights": {"likes_rate": weights}})


def test_who_knows_something_gets_weight_and_noise_gets_none() -> None:
    # The best weight of signal plus noise of the same size is a half.
    members, truth = predictions(2000, 0, informed=1.0)
    first, informed, noise = learned_weights(EmotionEngagement, members, truth)["likes_rate"]
    assert informed == pytest.approx(0.5, abs=0.05)
    assert (noise, first) == (0, pytest.approx(1 - informed))
    # Outcomes of which nothing is known get the same.
    assert learned_weights(EmotionEngagement, members, truth)["valence"] == (first, informed, noise)


def test_of_mere_noise_the_first_member_has_nearly_all() -> None:
    left = []
    for seed in range(20):
        members, truth = predictions(100, seed, informed=0.0)
        left.append(learned_weights(EmotionEngagement, members, truth)["likes_rate"][0])
    assert np.median(left) == 1
    assert min(left) > 0.8


def test_timid_members_are_chosen_between_and_not_scaled_down() -> None:
    # All are timid, so that without a bound the best weights add up to more than one.
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(4000, 1))
    members = [truth * share + 0.01 * generator.normal(size=truth.shape) for share in (0, 0.6, 0.3)]
    wide = [np.repeat(each, len(EmotionEngagement.columns), axis=1) for each in (*members, truth)]
    weights = learned_weights(EmotionEngagement, wide[:-1], wide[-1])["likes_rate"]
    np.testing.assert_allclose(weights, (0, 1, 0), atol=0.01)


def test_fewer_posts_are_believed_less() -> None:
    shares = []
    for posts in (30, 3000):
        found = [predictions(posts, seed, informed=0.4) for seed in range(20)]
        weights = [learned_weights(EmotionEngagement, *each) for each in found]
        shares.append(np.mean([each["likes_rate"][1] for each in weights]))
    assert shares[0] < 0.8 * shares[1]


def test_classes_have_weights_together_so_that_chances_add_up_to_one() -> None:
    task = TASKS["level"]
    generator = np.random.default_rng(0)
    size, classes = 200, len(task.columns)
    labels = generator.integers(classes, size=size)
    truth = np.eye(classes)[labels]
    known = 0.5 * truth + 0.5 * generator.dirichlet(np.ones(classes), size)
    members = [np.full((size, classes), 1 / classes), known]
    weights = learned_weights(task, members, truth)
    assert weights["level"][1] > 0.9
    np.testing.assert_allclose(blended(task, weights, members).sum(axis=1), 1)


def test_where_nothing_is_known_there_are_no_weights() -> None:
    members, truth = predictions(20, 0, informed=1.0)
    assert learned_weights(EmotionEngagement, members, truth * np.nan) == {}
