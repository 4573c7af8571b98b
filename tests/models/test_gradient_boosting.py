"""What is gradient boosting's own, beyond the contract of models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evoked.evaluation.metrics import r2
from evoked.features.table import Column, FeatureTable
from evoked.models import Examples, load_model
from evoked.models.gradient_boosting import GradientBoosting, GradientBoostingSettings
from evoked.posts.author_history import attach_history
from evoked.targets import TASKS
from evoked.testing.examples import random_examples


def fitted(examples: Examples, folder: Path, task: str, from_level: bool) -> GradientBoosting:
    settings = GradientBoostingSettings(trees=60, fixed=True, from_level=from_level)
    model = GradientBoosting(settings, task=task)
    model.fit(examples, folder=folder)
    return model


def unsteady(n: int = 400) -> Examples:
    """Posts whose likes follow a fact alone, by authors of a few posts each: what an author's
    earlier posts got says nothing of the next one."""
    generator = np.random.default_rng(0)
    blank = random_examples(n, seed=0, task="emotion_engagement")
    fact = generator.normal(size=n)
    likes = np.round(np.exp(6 + 1.5 * fact + 0.1 * generator.normal(size=n)))
    authors = [f"author{number}" for number in generator.integers(n // 3, size=n)]
    posts = attach_history(blank.posts.assign(likes=likes, author_id=authors, followers=1000))
    values = generator.normal(size=(n, blank.features.widths["metadata"]))
    values[:, 0] = fact
    facts = Column.dense(values.astype(np.float32), np.ones(n, dtype=bool))
    task = TASKS["emotion_engagement"].fit(posts.iloc[: n // 2])
    features = FeatureTable({**blank.features.columns, "metadata": facts})
    return Examples(posts, features, task.transform(posts))


def test_levels_of_unsteady_authors_hide_what_counts_show(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    examples = unsteady()
    task = TASKS["emotion_engagement"].fit(examples.posts.iloc[:200])
    learned, others = examples.select(np.arange(200)), examples.select(np.arange(200, 400))
    explained = {}
    for from_level in (True, False):
        model = fitted(learned, tmp_path / str(from_level), "emotion_engagement", from_level)
        counts = task.inverse_transform(model.predict(others), others.posts)["likes"]
        truth = np.log1p(others.posts["likes"].astype(float))
        explained[from_level] = float(r2(truth, np.log1p(counts)))
    assert explained[False] > explained[True] + 0.05
    assert explained[False] > 0.5


def test_what_counts_are_learned_from_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    examples = unsteady(120)
    model = fitted(examples, tmp_path, "emotion_engagement", from_level=False)
    model.save(tmp_path / "saved")
    np.testing.assert_array_equal(
        load_model(tmp_path / "saved").predict(examples), model.predict(examples)
    )


def test_tasks_without_levels_are_learned_alike(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    examples = random_examples(60, seed=0, task="level")
    one, other = (
        fitted(examples, tmp_path / str(from_level), "level", from_level).predict(examples)
        for from_level in (True, False)
    )
    np.testing.assert_array_equal(one, other)
