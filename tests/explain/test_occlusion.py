"""What of a changed post is computed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evoked.explain.occlusion import _shows_face
from evoked.features.cache import FeatureCache
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import Column, FeatureTable
from evoked.testing.examples import random_examples, random_posts


def test_what_is_unchanged_is_left_out(tmp_path: Path) -> None:
    posts, cache = random_posts(2), FeatureCache(tmp_path)
    pipeline = FeaturePipeline(["affect.face", "metadata"]).fit(posts)
    assert list(pipeline.of_variants("image", posts, [None] * 2, cache)) == ["affect.face"]
    assert pipeline.of_variants("image", posts, [None] * 2, cache, ["affect.face"]) == {}


@pytest.mark.parametrize("faces", [0, 2])
def test_faces_are_looked_for_where_there_is_one(faces: int) -> None:
    examples = random_examples(2)
    values = np.full((2, 4), faces, dtype=np.float32)
    column = Column.dense(values, np.ones(2, dtype=bool))
    features = FeatureTable({**examples.features.columns, "affect.face": column})
    assert _shows_face(replace(examples, features=features)) == (faces > 0)


def test_where_no_faces_are_read_none_are_looked_for() -> None:
    examples = random_examples(2)
    columns = {k: v for k, v in examples.features.columns.items() if k != "affect.face"}
    assert not _shows_face(replace(examples, features=FeatureTable(columns)))
