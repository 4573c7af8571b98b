"""The texts of the pages: every language has all of them, and every page asks for what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from evoked.advice.planning import HOURS_QUESTION, OWN_QUESTION, QUESTIONS
from evoked.evaluation.drift import KINDS
from evoked.posts.schema import ENGAGEMENT, EXPOSURE
from evoked.serve.jobs import State
from evoked.serve.pages import PAGES
from evoked.serve.pages.start import FIELDS
from evoked.serve.wording import Wording, chosen, languages, texts

TEMPLATES = sorted((Path(__file__).parents[2] / "src/evoked/serve/templates").glob("*.html"))
GAP = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("code", [code for code in languages() if code != "en"])
def test_a_translation_has_the_same_keys_and_gaps(code: str) -> None:
    english, other = texts("en"), texts(code)
    assert list(other) == list(english)
    for key, text in english.items():
        assert sorted(GAP.findall(other[key])) == sorted(GAP.findall(text)), key
        assert other[key].strip() == other[key] != "", key


def test_templates_ask_for_texts_that_there_are() -> None:
    asked: set[str] = set()
    for path in TEMPLATES:
        asked |= set(re.findall(r"""\bt\(["']([\w.]+)["'][,)]""", path.read_text("utf-8")))
    assert len(asked) > 80
    assert asked <= set(texts("en"))


def test_what_is_named_in_code_has_texts() -> None:
    known = set(texts("en"))
    assert {f"fields.{field}" for field in FIELDS} <= known
    assert {f"states.{state}" for state in State} <= known
    assert {f"{page.name}.title" for page in PAGES} <= known
    assert {
        f"plan.questions.{name}" for name in (HOURS_QUESTION, OWN_QUESTION, *QUESTIONS)
    } <= known
    assert {f"plan.arms.{name}_{arm}" for name in QUESTIONS for arm in (0, 1)} <= known
    assert {f"drift.kinds.{kind}" for kind in KINDS} <= known
    assert {f"nouns.{kind}" for kind in ENGAGEMENT} <= known
    assert {f"fields.{kind}" for kind in (*ENGAGEMENT, *EXPOSURE)} <= known


def test_the_language_is_what_was_chosen_or_what_the_browser_asks_for() -> None:
    assert chosen("de", "en") == "de"
    assert chosen("xx", "de-AT,de;q=0.9,en;q=0.8") == "de"
    assert chosen(None, "fr,en;q=0.3,de;q=0.5") == "de"
    assert chosen(None, "fr;q=x,,;q=") == "en"
    assert chosen(None, "") == "en"
    assert Wording("de").number(1234.5, 1) == "1.234,5"
    assert Wording("en").number(float("nan")) == "–"


def test_pages_are_in_the_language(desk_client: TestClient) -> None:
    german = desk_client.get("/", headers={"accept-language": "de"}).text
    assert '<html lang="de">' in german
    assert "Bringen Sie Ihre Beiträge" in german
    answer = desk_client.get("/table?lang=de")
    assert "evoked_language=de" in answer.headers["set-cookie"]
    assert '<html lang="de">' in desk_client.get("/library").text
    desk_client.cookies.clear()
    assert '<html lang="en">' in desk_client.get("/library").text
