"""Values on their way into JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.files import plain

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_is_nested_becomes_strict_json(value: Any) -> None:
    json.dumps(plain(value), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.array([[1.0, np.nan], [np.inf, 2.0]]), [[1.0, None], [None, 2.0]]),
        ({"a": (np.int64(3), True)}, {"a": [3, True]}),
        ({1: Path("there")}, {"1": "there"}),
        (datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01 00:00:00+00:00"),
        (pd.Timestamp("2024-01-01", tz="UTC"), "2024-01-01 00:00:00+00:00"),
        (pd.NaT, None),
        (np.array("a word"), "a word"),
    ],
)
def test_values_of_other_libraries_become_pythons_own(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_fractions_are_rounded_on_demand() -> None:
    assert plain({"a": [1 / 3, np.float32(2 / 3)], "n": 7}, digits=3) == {
        "a": [0.333, 0.667],
        "n": 7,
    }
