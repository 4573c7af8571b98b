"""Corrections for several tests, against SciPy, hand-worked cases and their defining properties."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from evoked.evaluation.corrections import benjamini_hochberg, holm

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([[0.01, 0.02], [0.04, 0.5]]), [[0.04, 0.06], [0.08, 0.5]])


@given(p_values)
def test_benjamini_hochberg_equals_scipy(p):
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))


@given(p_values)
def test_holm_is_between_raw_and_bonferroni_and_keeps_the_order(p):
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(len(p) * np.array(p), 1) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()
    assert (benjamini_hochberg(p) <= corrected + 1e-12).all()


def test_unknown_is_not_counted():
    np.testing.assert_array_equal(holm([np.nan, 0.03]), [np.nan, 0.03])
    assert benjamini_hochberg([]).shape == (0,)
