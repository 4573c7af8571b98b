"""Every page and every sheet of paper in every language, on a real small run: nothing of the
English texts is left on it."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from matplotlib.figure import Figure
from matplotlib.text import Text

from evoked.analysis.works.findings import what_works
from evoked.files import plain, records, write_json
from evoked.posts.dataset import PostDataset
from evoked.report import hours_chart, sheets, works_figures
from evoked.serve.desk import Desk
from evoked.serve.jobs import State
from evoked.serve.wording import DEFAULT, languages, texts
from tests.serve.conftest import client_of
from tests.support.desk_runs import desk_run
from tests.support.small_runs import Workshop

ONE, OTHER = "translated", "translated-too"
OTHERS = [code for code in languages() if code != DEFAULT]
DRAFT = {"caption": "Golden hour over the bay #sunset", "posted_at": "2024-05-13T15:00"}
PAGES = (
    *("/", "/draft", "/table", "/when", "/when?by=comments", f"/plan?run={ONE}", "/works"),
    *(f"/ledger?run={ONE}", f"/ledger?run={ONE}&posts=cafe", "/audience", "/library"),
    f"/compare?run={ONE}&run={OTHER}",
    *(f"/runs/{ONE}/drift?posts=cafe", f"/runs/{ONE}/verdicts", "/nothing"),
)
PAPER = [
    f"/downloads/{name}run={ONE}"
    for name in ("when.pdf?", "when.png?", "ledger.pdf?", "ledger.pdf?posts=cafe&", "plan.pdf?")
]
FEWEST_WORDS = 3


@pytest.fixture(scope="module")
def client(
    workshop: Workshop, dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """A desk with two runs, posts of which is known what works, a kept answer and a plan."""
    place = tmp_path_factory.mktemp("translated")
    for name in (ONE, OTHER):
        shutil.copytree(desk_run(workshop, dataset).folder, place / name)
    (place / "desk" / "datasets").mkdir(parents=True)
    shutil.copytree(dataset.folder, place / "desk" / "datasets" / "cafe")
    author = str(dataset.posts["author_id"].iloc[0])
    with client_of(
        place / "desk", place / OTHER, place / ONE, cache=workshop.cache.folder
    ) as found:
        kept = {"drafts": [DRAFT, DRAFT | {"name": "mine"}]}
        assert found.post(f"/api/v1/runs/{ONE}/ledger", json=kept).status_code == 201
        asked = {"question": "question", "weeks": 3, "author": author, "start": "2030-01-07"}
        assert found.post(f"/api/v1/runs/{ONE}/plan", json=asked).status_code == 201
        app: Any = found.app
        _look(app.state.desk, dataset, workshop)
        yield found


def _look(desk: Desk, dataset: PostDataset, workshop: Workshop) -> None:
    """What works for a dataset, as the job leaves it."""
    job = desk.look_at_posts(desk.dataset("cafe"), "likes")
    found = what_works(dataset, "likes", cache=workshop.cache)
    folder = desk.jobs.folder(job) / "analysis"
    (folder / "tables").mkdir(parents=True)
    table = found.effects.table
    table.to_csv(folder / "tables" / "works.csv", index=False)
    record = {"works": plain(found.to_dict()), "posts": len(dataset), "skipped": {}}
    write_json(folder / "analysis.json", record | {"tables": {"works": plain(records(table))}})
    desk.jobs.end(job, State.done)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written on sheets of paper, and in the pictures on them."""
    found: list[str] = []

    def of_figure(figure: Figure) -> bytes:
        found.extend(each.get_text() for each in figure.findobj(Text))
        return original(figure)

    def of_sheet(sheet: sheets.Sheet, picture: bytes | None = None) -> bytes:
        found.extend([sheet.title, *sheet.sentences, *sheet.columns])
        found.extend(cell for row in sheet.rows for cell in row)
        return drawn(sheet, picture)

    original, drawn = hours_chart.to_png, sheets.sheet_pdf
    monkeypatch.setattr(hours_chart, "to_png", of_figure)
    monkeypatch.setattr(works_figures, "to_png", of_figure)
    monkeypatch.setattr(sheets, "sheet_pdf", of_sheet)
    return found


def left_in(text: str, code: str) -> list[str]:
    """What of the English texts stands in a text of another language: runs of three words or
    more, between gaps, which that language has not as well."""
    seen = " ".join(html.unescape(text).lower().split())
    own = "\n".join(texts(code).values()).lower()
    pieces = {
        part.strip(" .:;,()“”").lower()
        for each in texts(DEFAULT).values()
        for part in re.split(r"\{\w+\}", each)
    }
    return sorted(
        piece
        for piece in pieces
        if len(piece.split()) >= FEWEST_WORDS and piece in seen and piece not in own
    )


def english_in(page: str) -> list[str]:
    """What is marked as English on a page."""
    return re.findall(r'<\w+ lang="en"[^>]*>[^<]*', page)


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("path", PAGES)
def test_pages_are_all_in_the_language(client: TestClient, path: str, code: str) -> None:
    asked = {"accept-language": code, "accept": "text/html"}  # for problems, too
    page = client.get(path, headers=asked).text
    assert f'<html lang="{code}"' in page
    assert left_in(page, code) == []
    assert english_in(page) == []


@pytest.mark.parametrize("code", OTHERS)
def test_answers_to_drafts_are_all_in_the_language(
    client: TestClient, dataset: PostDataset, written: list[str], code: str
) -> None:
    language = {"accept-language": code}
    authors = [str(dataset.posts["author_id"].iloc[0]), "nobody", ""]
    for author in authors:
        form = DRAFT | {"run": ONE, "author": author}
        for path in ("score", "why", "advice", "keep"):
            part = client.post(f"/draft/{path}", data=form, headers=language).text
            assert left_in(part, code) == [], path
            # Pictures of an explanation are English, and so are their captions and most notes.
            assert path == "why" or english_in(part) == []
            for link in re.findall(r"/downloads/advice/\w+\.pdf", part):
                assert client.get(link, headers=language).content.startswith(b"%PDF")
    variants: list[str] = []
    for caption in ("One", "Why not #sunset two?"):
        form = {"run": ONE, "caption": caption, "variant": variants}
        part = client.post("/draft/variants", data=form, headers=language).text
        variants = [
            html.unescape(each) for each in re.findall(r'name="variant" value="([^"]*)"', part)
        ]
    assert len(variants) == 2
    assert left_in(part, code) == english_in(part) == []
    assert len(written) > 3
    assert left_in("\n".join(written), code) == []


@pytest.mark.parametrize("code", OTHERS)
def test_paper_is_all_in_the_language(client: TestClient, written: list[str], code: str) -> None:
    language = {"accept-language": code}
    links = re.findall(r"/downloads/works/[^\"]+\.pdf", client.get("/works").text)
    for link in [*PAPER, *links]:
        written.clear()
        answer = client.get(link, headers=language)
        assert answer.content.startswith((b"%PDF", b"\x89PNG")), link
        assert written, link
        assert left_in("\n".join(written), code) == [], link
    assert len(links) == 1


def test_what_is_left_is_found() -> None:
    assert left_in("<p>Post at about 18:00: all is well</p>", "de") == ["post at about"]
    assert left_in("<p>Veröffentlichen Sie etwa um 18:00 Uhr</p>", "de") == []
    assert english_in('<p><span lang="en">Dogs bark.</span></p>') == ['<span lang="en">Dogs bark.']
