"""The task of Mikels' eight emotions, whose rows are posts or viewings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evoked.errors import DataError
from evoked.posts.schema import MIKELS
from evoked.targets import Emotion, emotion_classes
from evoked.targets.emotion import emotion_shares


def viewings(emotions: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"post_id": [f"p{row}" for row in range(len(emotions))]}).assign(
        emotion=emotions
    )


def test_known_emotions_become_columns_and_others_teach_nothing() -> None:
    table = viewings(["amusement", "sadness", "unknown", None])
    targets = Emotion.fit(table).transform(table).values
    assert targets.shape == (4, 8)
    assert targets[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert targets[1].tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
    assert np.isnan(targets[2:]).all()
    assert emotion_classes(table["emotion"]).tolist() == [0, 7, -1, -1]
    assert Emotion().truth(table)["emotion"].tolist()[:2] == ["amusement", "sadness"]
    assert Emotion().truth(table)["emotion"].isna().tolist() == [False, False, True, True]


def test_the_most_probable_emotion_is_read_out() -> None:
    shares = np.full((1, 8), 0.05)
    shares[0, 2] = 0.65
    predicted = pd.DataFrame(shares, columns=list(Emotion.columns))
    read = Emotion().inverse_transform(predicted, viewings([None]))
    assert read["emotion"].tolist() == [MIKELS[2]]
    assert read["emotion_probability_contentment"].tolist() == pytest.approx([0.65])


@pytest.mark.parametrize("table", [viewings(["unknown", None]), pd.DataFrame({"post_id": ["a"]})])
def test_rows_without_any_emotion_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="none of"):
        Emotion.fit(table)


def test_several_emotions_are_learned_by_their_shares_and_not_scored() -> None:
    table = viewings(["awe;fear", "awe", "joy;fear", None])
    shares = emotion_shares(table["emotion"])
    assert shares[0, [1, 6]].tolist() == [0.5, 0.5]
    assert shares[:3].sum(axis=1).tolist() == [1, 1, 1]
    assert np.isnan(shares[3]).all()
    task = Emotion.fit(table.iloc[:1])
    np.testing.assert_array_equal(task.transform(table).values, shares)
    assert task.truth(table)["emotion"].isna().tolist() == [True, False, True, True]
    assert emotion_classes(table["emotion"]).tolist() == [-1, 1, -1, -1]
