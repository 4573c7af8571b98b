"""The form of posts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evoked.features.form import FORM, form_of, opening_of, words_of
from evoked.posts.drafts import Draft, as_posts


def test_form_is_what_a_caption_looks_like() -> None:
    drafts = [
        Draft(caption="New in!\nWould you wear it? 😍 @anna #Shoes #shoes"),
        Draft(caption="新しい靴です。履きますか？#靴"),
        Draft(caption=None),
    ]
    form = form_of(as_posts(drafts)[0])
    assert tuple(form.columns) == FORM
    assert form["hashtags"].tolist() == [["shoes"], ["靴"], []]
    assert form["hashtag_count"].tolist() == [1, 1, 0]
    assert form["opening"].tolist()[:2] == [7, 7]
    assert form["characters"].tolist()[:2] == [34, 13]
    assert form["question"].tolist()[:2] == [1, 1]
    assert form["emoji"].tolist()[:2] == [1, 0]
    assert form["mention"].tolist()[:2] == [1, 0]
    assert form.loc[2, ["characters", "question", "emoji", "mention"]].isna().all()


def test_hours_are_local_where_posts_have_them() -> None:
    posts = pd.DataFrame(
        {
            "posted_at": pd.to_datetime(["2024-05-11T22:30Z", "2024-05-11T22:30Z", None], utc=True),
            "posted_hour": [np.nan, 0.5, 7.0],
            "posted_weekday": [np.nan, 6.0, np.nan],
        }
    )
    form = form_of(posts)
    assert form["hour"].tolist() == [22.5, 0.5, 7.0]
    assert form["weekday"].tolist()[:2] == [5, 6]
    assert np.isnan(form["weekday"].iloc[2])


@pytest.mark.parametrize(
    ("caption", "opening"),
    [
        ("Hello there. More", "Hello there."),
        ("Only #one line", "Only  line"),
        ("今日は晴れ！散歩", "今日は晴れ！"),
        ("", ""),
    ],
)
def test_openings_end_with_a_line_or_a_sentence(caption: str, opening: str) -> None:
    assert opening_of(caption) == opening
    assert words_of(caption).startswith(opening)
