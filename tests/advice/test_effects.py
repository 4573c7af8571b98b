"""What changes are worth, held to planted truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evoked.advice.effects import UNKNOWN, Bounds, Design, Effects, aspects_of
from tests.support.past_posts import past_posts

PLANTED = {"question": 0.3, "sale": -0.3, "evening": 0.35}


def fitted(past: pd.DataFrame, own: bool = True) -> Effects:
    effects = Effects.fit(past, np.log1p(past["likes"].to_numpy()), own)
    assert effects is not None
    return effects


def judged(effects: Effects) -> pd.DataFrame:
    """Every column of what can be changed, altered by one."""
    names = [name for name in effects.names if name not in effects.design.coordinates]
    table = pd.DataFrame(np.eye(len(names)), columns=names)
    return effects.judged(table).set_axis(names)


def test_planted_effects_are_found_with_their_size() -> None:
    found = judged(fitted(past_posts(effects=PLANTED)))
    sure = found[(found["raw_low"] > 0) | (found["raw_high"] < 0)]
    asked = "question: yes" if "question: yes" in found.index else "question: no"
    sign = 1 if asked.endswith("yes") else -1
    assert sign * found.loc[asked, "effect"] == pytest.approx(0.3, abs=0.12)
    assert found.loc["#sale", "effect"] == pytest.approx(-0.3, abs=0.12)
    assert {asked, "#sale"} <= set(sure.index)
    assert (found["effect"].abs() <= found["raw"].abs()).all()


def test_nothing_is_found_where_nothing_is_planted() -> None:
    """Of forty accounts, with topics that go with questions and a level that doubles."""
    false = 0
    for seed in range(40):
        found = judged(fitted(past_posts(150, seed)))
        false += bool(((found["raw_low"] > 0) | (found["raw_high"] < 0)).any())
    assert false <= 4


def test_topics_do_not_pass_for_what_goes_with_them() -> None:
    """Posts that ask are of the better topic: by raw means asking seems worth a tenth."""
    past = past_posts(600, seed=2)
    got = np.log1p(past["likes"].to_numpy())
    asks = past["question"].to_numpy() == 1
    assert got[asks].mean() - got[~asks].mean() > 0.1
    found = judged(fitted(past)).filter(like="question", axis="index")["raw"]
    assert abs(found.iloc[0]) < 0.07


def test_posts_of_several_authors_have_no_single_hashtags() -> None:
    past = past_posts(400, effects=PLANTED, authors=20)
    effects = fitted(past, own=False)
    assert effects.groups == 20
    assert not [name for name in effects.names if name.startswith("#")]
    assert fitted(past, own=True).design.tags


def test_what_was_never_seen_is_not_known() -> None:
    effects = fitted(past_posts())
    change = pd.DataFrame({"question: yes": [1.0, 0.0], "format: video": [0.0, 1.0]})
    names = [name for name in effects.names if name.startswith("question")]
    found = effects.judged(change.rename(columns={"question: yes": names[0]}))
    assert found["known"].tolist() == [True, False]
    assert effects.judged(change.iloc[:0]).empty


def test_too_few_or_equal_posts_say_nothing() -> None:
    few = past_posts(20)
    assert Effects.fit(few.iloc[:5], np.ones(5), True) is None
    assert Effects.fit(few, np.log1p(few["likes"].to_numpy()), True) is None


def test_values_of_few_posts_have_no_column_of_their_own() -> None:
    past = past_posts(100)
    past.loc[:2, "media_type"] = "video"
    design = Design.of(past, with_tags=True)
    assert design.values["format"] == ("image",)
    columns = design.columns(past)
    assert columns["format: other"].sum() == 3
    assert "format: video" not in columns


def test_aspects_follow_the_accounts_own_lengths() -> None:
    past = past_posts(100)
    bounds = Bounds.of(past)
    lengths = aspects_of(past, bounds)["length"].value_counts(normalize=True)
    assert lengths.between(0.25, 0.42).all()
    unknown = past.head(1).assign(hour=np.nan, weekday=np.nan, characters=np.nan, opening=np.nan)
    row = aspects_of(unknown, bounds).iloc[0]
    assert (row[["hour", "day", "length", "opening"]] == UNKNOWN).all()
    assert Bounds.of(unknown) == Bounds(0, 0, 0)
