"""Text preparation: what goes, what stays, and that nothing is too much for it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoked.features.captions import MAX_CHARACTERS, TEXT_STEPS, prepare, stems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See https://example.org/a?b=c now", "see now"),
        ("www.example.org/x and bit.ly/abc", "and"),
        ("3/4 e.g. and/or", "3/4 e.g. and/or"),
        ("Love it 😍", "love it smiling face with heart-eyes"),
        ("👍🏽👍", "thumbs up thumbs up"),
        ("❤️", "red heart"),
        ("1️⃣ first", "keycap 1 first"),
        ("🇺🇸", "united states"),
        ("👩‍👩‍👧", "family woman woman girl"),
        ("#goodVibes", "good vibes"),
        ("#one#twoThree", "one two three"),
        ("#BTSArmy #LA_life #日本", "bts army la life 日本"),
        ("We are #1", "we are 1"),
        ("𝓼𝓸 𝗴𝗼𝗼𝗱", "so good"),
        (" a\t\n b \u200b", "a b"),
        ("nul\x00byte", "nul byte"),
        ("half a pair \ud83d", "half a pair"),
        ("\u202eمرحبا بالعالم\u202c", "مرحبا بالعالم"),
        ("今日は いい天気", "今日は いい天気"),
        ("Ärger über ÉTÉ", "ärger über été"),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_prepares(text: str | None, expected: str) -> None:
    assert prepare([text]) == [expected]


RAW = "SO happy 😍 #goodVibes https://t.co/x"


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ("urls", "so happy smiling face with heart-eyes good vibes https://t.co/x"),
        ("hashtags", "so happy smiling face with heart-eyes #goodvibes"),
        ("emoji", "so happy 😍 good vibes"),
        ("lower", "SO happy smiling face with heart-eyes good Vibes"),
    ],
)
def test_each_step_can_be_left_out(left_out: str, expected: str) -> None:
    steps = [step for step in TEXT_STEPS if step != left_out]
    assert prepare([RAW], steps=steps) == [expected]


def test_without_steps_only_white_space_changes() -> None:
    assert prepare([f"  {RAW}\n"], steps=[]) == [RAW]


@pytest.mark.parametrize(
    "unit", ["😍", "👩‍👩‍👧", "a-", "a.", "#a", "#", "http://", "www.", "ﷺ", "\x00", "مرحبا "]
)
def test_is_bounded(unit: str) -> None:
    assert len(prepare([unit * 100_000])[0]) <= MAX_CHARACTERS


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text_can_be_encoded_and_has_no_control_characters(text: str) -> None:
    (prepared,) = prepare([text])
    prepared.encode("utf-8")
    assert prepared == " ".join(prepared.split())
    assert not any(unicodedata.category(character) == "Cc" for character in prepared)


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=10))
def test_every_text_is_prepared_by_itself(texts: list[str | None]) -> None:
    assert prepare(texts) == [prepare([text])[0] for text in texts]


def test_stems_are_porters() -> None:
    # From Porter's own list of examples.
    words = "caresses ponies relational hopefulness adjustable"
    assert stems([words]) == [["caress", "poni", "relat", "hope", "adjust"]]


def test_stems_leave_other_alphabets_alone() -> None:
    assert stems(["Été running", None, "日本"]) == [["été", "run"], [], ["日本"]]
