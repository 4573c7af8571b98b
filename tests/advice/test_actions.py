"""Changes of a draft: each does what it says, and stays away where it can't."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evoked.advice.actions import (
    MOST_ALTERNATIVES,
    Action,
    actions_on,
    alternatives_in,
    pictures_for,
    with_tags,
)
from evoked.advice.effects import Design
from evoked.errors import SettingsError
from evoked.features.form import form_of
from evoked.posts.drafts import Draft, as_posts
from tests.support.past_posts import past_posts

PAST = past_posts()
DESIGN = Design.of(PAST, with_tags=True)
DRAFT = Draft(
    caption="Good morning to all of you. Have a nice day! 🌿 #daily",
    posted_at=datetime(2030, 5, 13, 9, 30, tzinfo=UTC),
)


def changes(draft: Draft = DRAFT) -> dict[str, Action]:
    found = actions_on(draft, form_of(as_posts([draft])[0]).iloc[0], DESIGN, PAST)
    return {f"{each.about} {each.after}": each for each in found}


def edited(name: str, draft: Draft = DRAFT) -> Draft:
    edit = changes(draft)[name].edit
    assert edit is not None
    return edit(draft)


def test_captions_ask_show_and_name() -> None:
    found = changes()
    assert found["question yes"].form == {"question": 1.0}
    assert not found["question yes"].mechanical
    assert "question no" not in found
    assert edited("emoji no").caption == "Good morning to all of you. Have a nice day! #daily"
    assert "emoji yes" not in found
    # Nobody is named in any past post, so that nothing is known of it.
    assert not [name for name in found if name.startswith("mention")]
    asking = replace(DRAFT, caption="履きますか？")
    assert edited("question no", asking).caption == "履きますか"


def test_lengths_and_openings_follow_the_accounts_own() -> None:
    found = changes()
    assert "length short" not in found  # it is short
    assert found["length long"].form["characters"] == DESIGN.bounds.medium + 1
    assert found["length long"].edit is None
    long = replace(DRAFT, caption="word " * 80)
    assert len(edited("length short", long).caption or "") == DESIGN.bounds.short
    assert found.get("opening short") is None
    assert changes(long)["opening short"].form == {"opening": DESIGN.bounds.opening}
    assert "\n" in (edited("opening short", long).caption or "")


def test_hashtags_are_the_accounts_own() -> None:
    found = changes()
    assert edited("#daily no").caption == "Good morning to all of you. Have a nice day! 🌿"
    assert (edited("#sale yes").caption or "").endswith("#daily #sale")
    assert found["#sale yes"].form == {"hashtags": ["daily", "sale"], "hashtag_count": 2.0}
    assert edited("number none").hashtags is None
    assert "#daily" not in (edited("number none").caption or "")
    # More than it has ever used can't be added.
    assert "number 4 to 8" not in found
    listed = replace(DRAFT, caption="Hello", hashtags=["#Daily"])
    assert edited("#daily no", listed) == replace(listed, hashtags=[])
    assert edited("#sale yes", listed).hashtags == ["#Daily", "sale"]


def test_tags_that_begin_alike_are_kept_apart() -> None:
    draft = Draft(caption="＃靴 #靴下 end #Shoe")
    assert with_tags(draft, dropped=["靴", "shoe"]).caption == "#靴下 end"


def test_formats_need_a_picture_and_posts_of_both(tmp_path: Path) -> None:
    past = past_posts()
    past.loc[past.index % 3 == 0, "media_type"] = "carousel"
    design = Design.of(past, with_tags=True)
    Image.new("RGB", (200, 200)).save(tmp_path / "a.png")
    for draft, expected in ((DRAFT, []), (replace(DRAFT, image=tmp_path / "a.png"), ["carousel"])):
        found = actions_on(draft, form_of(as_posts([draft])[0]).iloc[0], design, past)
        assert [each.after for each in found if each.about == "format"] == expected


def test_pictures_are_others_and_parts(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 160, 3), np.uint8)).save(
        tmp_path / "a.png"
    )
    Image.new("RGB", (40, 40)).save(tmp_path / "small.png")
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    others = alternatives_in(tmp_path)
    assert [path.name for path in others] == ["a.png", "small.png"]
    draft = replace(DRAFT, image=tmp_path / "a.png")
    found = pictures_for(draft, DESIGN, others)
    assert [each.after for each in found][:2] == ["a.png", "small.png"]
    assert len(found) == 2 + 5
    assert len(pictures_for(replace(DRAFT, image=others[1]), DESIGN, [])) == 0
    assert pictures_for(draft, replace(DESIGN, coordinates=()), others) == []


@pytest.mark.parametrize(("number", "message"), [(0, "no picture"), (31, "at most 30")])
def test_alternatives_are_few(tmp_path: Path, number: int, message: str) -> None:
    assert MOST_ALTERNATIVES == 30
    for each in range(number):
        (tmp_path / f"{each}.jpg").touch()
    with pytest.raises(SettingsError, match=message):
        alternatives_in(tmp_path)
    with pytest.raises(SettingsError, match="there is no folder"):
        alternatives_in(tmp_path / "nowhere")
