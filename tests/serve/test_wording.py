"""The texts of the pages: every language has all of them, and every page asks for what there is."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from evoked.advice.planning import HOURS_QUESTION, OWN_QUESTION, QUESTIONS
from evoked.evaluation.drift import KINDS
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import ENGAGEMENT, EXPOSURE
from evoked.serve.desk import Desk
from evoked.serve.jobs import State
from evoked.serve.pages import PAGES
from evoked.serve.pages.start import FIELDS
from evoked.serve.said import said
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


SENTENCES = (
    "About 4,600 likes (3,800 to 6,800), better than 7 of your last 10 posts; ranges like this "
    "held for 78 of 100 test posts; typically off by 15%.",
    "About 1.2 million views, not better than your last post; too few posts for a range.",
    "About 4.6 likes per 1,000 followers (3.8 to 6.8), better than all of the author's last 10 "
    "posts; how often such ranges hold was not measured; typically off by under 1%.",
    "Valence about -0.3 (-1 to 0.4); ranges that were to hold for 80% held for only 50 of 90 test "
    "posts, so this one is wider; typically off by 0.4.",
    "Likes: typically off by 15%, or 400 likes (median over 90 test posts); the median of the last "
    "posts is off by 20%. Ranges of 80% held for 71 of 90 test posts.",
    "Comments: typically off by 3 comments (median over 9 test posts); what posts usually get "
    "(author_mean) is off by 4 comments.",
)


def test_answers_and_verdicts_are_said_in_german() -> None:
    words = re.compile(r"\b(about|likes|posts?|the|held|than|off|ranges?|of|or|million)\b")
    for sentence in SENTENCES:
        assert said(sentence, "en") == (sentence, "en")
        german = said(sentence, "de")
        assert german.code == "de", sentence
        assert not words.search(german.text), german.text
        figures = [sorted(re.findall(r"\d+", text)) for text in (sentence, german.text)]
        assert figures[0] == figures[1]
    assert said(SENTENCES[0], "de").text == (
        "Etwa 4.600 Likes (3.800 bis 6.800), besser als 7 Ihrer letzten 10 Beiträge; solche "
        "Spannen stimmten bei 78 von 100 Testbeiträgen; typischer Fehler 15\xa0%."
    )
    assert said("About 4,600 likes, and then some.", "de").code == "en"


def test_what_runs_really_say_has_all_its_pieces(desk: Desk, dataset: PostDataset) -> None:
    """A sentence that runs say otherwise one day would quietly stay English."""
    scorer = desk.scorer("")
    author = str(dataset.posts["author_id"].iloc[0])
    table = scorer.score([{"caption": "Golden hour"}, {"caption": "x", "author": author}])
    answers = [*table["answer"], *desk.run("").verdicts()]
    assert len(answers) > 3
    for answer in answers:
        assert said(answer, "de").code == "de", answer


def test_german_pages_say_answers_in_german(desk_client: TestClient, desk: Desk) -> None:
    german = {"accept-language": "de"}
    form = {"caption": "Golden hour over the bay", "posted_at": "2024-05-13T18:30"}
    page = html.unescape(desk_client.post("/draft/score", data=form, headers=german).text)
    (answer,) = desk.scorer("").score([form])["answer"]
    assert said(answer, "de").text in page
    assert answer not in page
    verdicts = desk_client.get(f"/runs/{desk.run('').name}/verdicts", headers=german).text
    assert "typischer Fehler" in verdicts
    when = desk_client.get("/when", headers=german).text
    assert "Um mehr zu wissen, werfen Sie" in when
    assert '<span lang="en">' not in desk_client.get("/when").text
