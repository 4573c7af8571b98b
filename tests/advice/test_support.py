"""Whether a draft resembles past posts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evoked.advice.support import Support

NAMES = ["image_0", "image_1", "caption_0"]


def table(n: int, tests: int, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(n, 3))
    return pd.DataFrame(values, columns=NAMES).assign(held_out=np.arange(n) >= n - tests)


def test_one_in_twenty_is_too_far() -> None:
    """About as often as promised, of many held-out posts and of few."""
    fresh = np.random.default_rng(1).normal(size=(2000, 3))
    for tests in (100, 5):
        held = Support.of(table(600, tests), NAMES).holds(fresh)
        assert 0.88 < held.mean() < 0.99


def test_what_is_far_from_all_resembles_none() -> None:
    support = Support.of(table(300, 40), NAMES)
    assert support.holds(np.array([[0.1, 0.0, 0.1], [9.0, 9.0, 9.0]])).tolist() == [True, False]


def test_a_draft_without_a_picture_is_judged_by_its_caption() -> None:
    support = Support.of(table(300, 40), NAMES)
    drafts = np.array([[np.nan, np.nan, 0.2], [np.nan, np.nan, 30.0], [np.nan] * 3])
    assert support.holds(drafts).tolist() == [True, False, True]
