"""What is gradient boosting's own, beyond the contract of models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from evoked.errors import DataError
from evoked.evaluation.metrics import r2
from evoked.features.table import Column, FeatureTable
from evoked.models import Examples, Model, load_model
from evoked.models.gradient_boosting import GradientBoosting, GradientBoostingSettings
from evoked.models.linear import Linear, LinearSettings
from evoked.posts.author_history import attach_history
from evoked.targets import TASKS
from evoked.testing.examples import random_examples


def fitted(
    examples: Examples, folder: Path, task: str, start: Literal["level", "counts", "line"]
) -> GradientBoosting:
    settings = GradientBoostingSettings(trees=60, fixed=True, start=start)
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


def explained(start: Literal["level", "counts", "line"], folder: Path) -> float:
    """Share of the variance of the logarithm of likes, of unsteady authors."""
    examples = unsteady()
    task = TASKS["emotion_engagement"].fit(examples.posts.iloc[:200])
    learned, others = examples.select(np.arange(200)), examples.select(np.arange(200, 400))
    model = fitted(learned, folder, "emotion_engagement", start)
    counts = task.inverse_transform(model.predict(others), others.posts)["likes"]
    return float(r2(np.log1p(others.posts["likes"].astype(float)), np.log1p(counts)))


def test_levels_of_unsteady_authors_hide_what_counts_show(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    counts = explained("counts", tmp_path)
    assert counts > explained("level", tmp_path) + 0.05
    assert counts > 0.5


@pytest.mark.parametrize("start", ["counts", "line"])
def test_where_trees_start_is_kept(start: Literal["counts", "line"], tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    examples = unsteady(120)
    model = fitted(examples, tmp_path, "emotion_engagement", start)
    model.save(tmp_path / "saved")
    np.testing.assert_array_equal(
        load_model(tmp_path / "saved").predict(examples), model.predict(examples)
    )


def test_a_line_that_trees_start_from_has_to_be_there(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    fitted(unsteady(120), tmp_path, "emotion_engagement", "line").save(tmp_path / "saved")
    (tmp_path / "saved" / "line" / "weights.safetensors").unlink()
    with pytest.raises(DataError, match="the weights don't belong to this model or are damaged"):
        load_model(tmp_path / "saved")


def test_tasks_without_levels_are_learned_alike(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    examples = random_examples(60, seed=0, task="level")
    one, other = (
        fitted(examples, tmp_path / start, "level", start).predict(examples)
        for start in ("level", "counts")
    )
    np.testing.assert_array_equal(one, other)


# After a line -------------------------------------------------------------------------------------


def along_a_line(n: int = 300) -> Examples:
    """Posts whose likes rise with one fact and jump with another."""
    generator = np.random.default_rng(0)
    examples = unsteady(n)
    metadata = examples.features.columns["metadata"].arrays(np.arange(n))[""].copy()
    metadata[:, :2] = generator.normal(size=(n, 2))
    levels = 6 + metadata[:, 0] + (np.abs(metadata[:, 1]) > 0.7) + 0.1 * generator.normal(size=n)
    posts = attach_history(
        examples.posts.assign(likes=np.round(np.exp(levels)), author_id=None, followers=1000)
    )
    facts = Column.dense(metadata, np.ones(n, dtype=bool))
    features = FeatureTable({**examples.features.columns, "metadata": facts})
    return Examples(posts, features, TASKS["emotion_engagement"].fit(posts).transform(posts))


def missed(model: Model, examples: Examples) -> float:
    """Mean square of what is missed of likes."""
    assert examples.targets is not None
    likes = examples.targets.values[:, model.targets.index("likes")]
    return float(((model.predict(examples)["likes"] - likes) ** 2).mean())


def test_trees_learn_what_a_line_misses(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    examples = along_a_line()
    learned, others = examples.select(np.arange(200)), examples.select(np.arange(200, 300))
    line = Linear()
    line.fit(learned, folder=tmp_path)
    after = missed(fitted(learned, tmp_path, "emotion_engagement", "line"), others)
    assert after < 0.7 * missed(line, others)
    assert after < 0.9 * missed(fitted(learned, tmp_path, "emotion_engagement", "level"), others)


def test_a_line_misses_more_of_posts_that_it_has_not_learned_from(tmp_path: Path) -> None:
    examples = random_examples(100)
    line = Linear()
    parts = examples.select(np.arange(80)), examples.select(np.arange(80, 100))
    line.fit(*parts, folder=tmp_path)
    left_out = line.left_out(*parts)
    assert [each.shape for each in left_out] == [(80, len(line.targets)), (20, len(line.targets))]
    column = line.targets.index("likes")
    for part, predicted in zip(parts, left_out, strict=True):
        assert part.targets is not None
        likes = part.targets.values[:, column]
        again = line.task.bent("likes", predicted[:, column])
        assert np.nanmean((again - likes) ** 2) > missed(line, part)


def test_a_post_that_is_left_out_does_not_count(tmp_path: Path) -> None:
    """Whatever its own likes are, the lines of the others predict the same of it."""
    examples = random_examples(60)
    assert examples.targets is not None
    line = Linear(LinearSettings(penalties=(0.1,), vector_weights=(1.0,)))
    changed = examples.targets.values.copy()
    column = line.targets.index("likes")
    # Within the range of the others, which bounds what is predicted.
    changed[7, column] = np.nanmedian(changed[:, column])
    found = []
    for values in (examples.targets.values, changed):
        own = replace(examples, targets=replace(examples.targets, values=values))
        line.fit(own, folder=tmp_path)
        found.append(line.left_out(own, None)[0][:, column])
    assert found[0][7] == pytest.approx(found[1][7], abs=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-4
