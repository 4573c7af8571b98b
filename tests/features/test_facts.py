"""Facts as columns of the metadata."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evoked.features.facts import FactEncoder, fit_facts
from evoked.features.metadata import MetadataEncoder


def posts_with(**facts: Any) -> pd.DataFrame:
    columns = {f"fact.{name}": values for name, values in facts.items()}
    n = len(next(iter(facts.values())))
    return pd.DataFrame({"post_id": [f"p{row}" for row in range(n)], **columns})


def encoded(train: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
    encoder = MetadataEncoder.fit(train)
    again = MetadataEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    values = again.transform(posts)
    np.testing.assert_array_equal(values, encoder.transform(posts))
    return pd.DataFrame(values, columns=list(again.names))


def test_numbers_are_standardised_and_bounded_by_the_training_posts() -> None:
    train = posts_with(spend=[1.0, 2.0, 3.0, None])
    table = encoded(train, posts_with(spend=[1.0, 2.0, 3.0, 900.0, None]))
    assert table["spend"].tolist() == pytest.approx([-1.2247, 0, 1.2247, 1.2247, 0], abs=1e-3)
    assert table["spend unknown"].tolist() == [0, 0, 0, 0, 1]


def test_skewed_numbers_are_taken_in_logarithms() -> None:
    amounts = np.exp(np.linspace(0, 8, 50))
    names = MetadataEncoder.fit(posts_with(spend=amounts, day=np.arange(50.0))).names
    assert "spend (log)" in names
    assert "spend" not in names
    assert "day" in names
    assert "spend" in MetadataEncoder.fit(posts_with(spend=-amounts)).names


def test_classes_flags_and_several_classes_have_columns() -> None:
    train = posts_with(
        placement=["feed", "story", None, "feed"],
        boosted=[True, False, None, False],
        audience=[["x", "y"], ["x"], [], ["y"]],
    )
    table = encoded(train, train)
    assert table["placement: feed"].tolist() == [1, 0, 0, 1]
    assert table["placement: story"].tolist() == [0, 1, 0, 0]
    assert table["placement unknown"].tolist() == [0, 0, 1, 0]
    assert table["boosted"].tolist() == [1, 0, 0, 0]
    assert table["boosted unknown"].tolist() == [0, 0, 1, 0]
    assert table["audience: x"].tolist() == [1, 1, 0, 0]
    assert table["audience: y"].tolist() == [1, 0, 0, 1]
    assert table["audience unknown"].tolist() == [0, 0, 1, 0]


def test_new_classes_count_as_unknown() -> None:
    train = posts_with(placement=["feed", "story", None])
    table = encoded(train, posts_with(placement=["radio", "feed"]))
    assert table["placement unknown"].tolist() == [1, 0]
    assert table[["placement: feed", "placement: story"]].to_numpy().tolist() == [[0, 0], [1, 0]]


def test_rare_classes_share_columns() -> None:
    campaigns = [f"c{row // 2:03d}" for row in range(150)] + [f"r{row}" for row in range(20)]
    encoder, *_ = fit_facts(posts_with(campaign=campaigns))
    _, flags = encoder.columns(posts_with(campaign=["c001", "r1", "r1", "never seen"]))
    shared = np.column_stack([own for name, own in flags.items() if "rarer ones" in name])
    assert shared.shape == (4, 16)
    assert shared.sum(axis=1).tolist() == [0, 1, 1, 1]
    assert (shared[1] == shared[2]).all()
    assert flags["campaign: c001"].tolist() == [1, 0, 0, 0]
    assert flags["campaign unknown"].sum() == 0


def test_posts_without_facts_have_unknown_ones() -> None:
    train = posts_with(spend=[1.0, 2.0, None], placement=["feed", "story", None])
    table = encoded(train, pd.DataFrame({"post_id": ["new"]}))
    assert table["spend unknown"].tolist() == table["placement unknown"].tolist() == [1]
    assert table["spend"].tolist() == [0]


def test_facts_of_another_kind_in_other_posts_are_read_as_far_as_they_go() -> None:
    train = posts_with(code=["22", "24", None], spend=[1.0, 2.0, None])
    others = posts_with(code=[22.0, None, 7.0], spend=["2", ["a"], "much"])
    table = encoded(train, others)
    assert table["code: 22"].tolist() == [1, 0, 0]
    assert table["code unknown"].tolist() == [0, 1, 1]
    assert table["spend unknown"].tolist() == [0, 1, 1]


def test_a_fact_never_takes_the_place_of_another_column() -> None:
    train = posts_with(paid=[True, False, None]).assign(paid=[False, True, True])
    table = encoded(train, train)
    assert table["paid"].tolist() == [0, 1, 1]
    assert table["paid (own)"].tolist() == [1, 0, 0]


def test_without_facts_nothing_changes() -> None:
    posts = pd.DataFrame({"post_id": ["a", "b"], "caption": ["x", "y z"]})
    state = MetadataEncoder.fit(posts).to_dict()
    assert state["facts"] == []
    assert MetadataEncoder.from_dict(state).facts == ()
    unknown = posts.assign(**{"fact.spend": [np.nan, np.nan]})
    assert MetadataEncoder.fit(unknown).names == MetadataEncoder.from_dict(state).names


def test_an_encoder_of_something_else_is_refused() -> None:
    with pytest.raises((KeyError, TypeError)):
        FactEncoder.from_dict({"name": "spend"})
