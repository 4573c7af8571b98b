"""The pages in a real browser: the whole way, by mouse and by keyboard, wide and narrow."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvicorn

from evoked.posts.dataset import PostDataset
from evoked.serve.app import create_app
from evoked.serve.server import bound
from evoked.serve.settings import DeskSettings
from tests.serve.conftest import QUICK
from tests.support.desk_runs import desk_run, picture
from tests.support.small_runs import HOSTILE, Workshop

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).parent / "axe.min.js"
PAGES = ("/", "/draft", "/table", "/when", "/works", "/ledger", "/library", "/nothing")
SECONDS = 60_000

if CHROMIUM is None:
    pytest.skip("needs a browser: install chromium", allow_module_level=True)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install playwright"
)


class Visit:
    """A browser's window at a desk; what it says and asks for is kept."""

    def __init__(self, context: Any, address: str) -> None:
        self.page, self.address = context.new_page(), address
        self.page.set_default_timeout(SECONDS)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def go(self, path: str) -> None:
        self.page.goto(self.address + path)

    def check(self) -> None:
        """Nothing left the machine, and the console is free of errors."""
        outside = [url for url in self.requests if not url.startswith((self.address, "blob:"))]
        assert outside == []
        assert self.errors == []

    def axe(self) -> list[str]:
        """What of the page keeps people from using it."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['html'][:120]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        wider: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wider


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(
    workshop: Workshop, dataset: PostDataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A desk at a port of this machine, with a run and a worker."""
    folder = tmp_path_factory.mktemp("browser")
    # A copy, as its ledger is written.
    run = shutil.copytree(desk_run(workshop, dataset).folder, folder / "browser-run")
    listening = bound("127.0.0.1", 0)
    settings = DeskSettings(
        folder / "desk",
        runs=(run,),
        cache=workshop.cache.folder,
        limits=QUICK,
    )
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en-GB")
    yield Visit(context, address)
    context.close()


def test_a_draft_is_scored_as_one_types_and_variants_are_compared(
    visit: Visit, dataset: PostDataset
) -> None:
    page = visit.page
    visit.go("/draft")
    page.fill("#caption", "Golden hour over the bay")
    page.wait_for_selector(".answer")
    with page.expect_request(lambda each: each.url.endswith("/draft/score")) as asked:
        page.set_input_files("#file", picture(dataset))
    page.wait_for_selector("img.preview")
    assert re.search(r"picture=[0-9a-f]{32}", asked.value.post_data)
    page.wait_for_selector("#why figure img")
    page.click("text=Keep as variant")
    page.wait_for_selector(".variants li")
    page.fill("#caption", f"Another {HOSTILE}")
    page.click("text=Keep as variant")
    page.wait_for_selector(".variants li >> nth=1")
    assert page.locator(".variants .lead, section .lead").count() >= 1
    assert page.locator(".variants img").count() == 2
    assert visit.axe() == []
    page.click("text=Leave out >> nth=0")
    page.wait_for_selector(".variants li >> nth=1", state="detached")
    page.click("text=Remove the picture")
    page.wait_for_selector("img.preview", state="detached")
    visit.check()


def test_a_draft_is_advised_and_kept_and_the_week_is_drawn(visit: Visit) -> None:
    page = visit.page
    visit.go("/draft")
    page.fill("#author", "author-1")
    # Typed, so that leaving the field is a change: it must not take the advice away.
    page.type("#caption", "Golden hour over the bay #sunset")
    page.wait_for_selector(".answer")
    page.click("text=What should I change?")
    page.wait_for_selector("#advice-title")
    page.click("text=Keep this answer")
    page.wait_for_selector("#kept-answer a")
    assert page.locator("#advice-title").count() == 1
    assert visit.axe() == []
    page.click("#kept-answer a")
    page.wait_for_selector("#lines-title")
    assert visit.axe() == []
    page.click("nav >> text=When")
    page.wait_for_selector(".heat")
    assert page.locator(".heat tbody td").count() % 7 == 0
    assert visit.axe() == []
    with page.expect_download() as download:
        page.click("text=Download picture")
    assert download.value.suggested_filename == "when.png"
    page.click("nav >> text=What works")
    page.wait_for_selector("h1")
    assert visit.axe() == []
    visit.check()


def test_a_draft_is_scored_by_keyboard_alone(visit: Visit) -> None:
    page = visit.page
    visit.go("/draft")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(12):
        if page.evaluate("document.activeElement.id") == "caption":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "caption"
    page.keyboard.type("A quiet morning")
    page.wait_for_selector(".answer")
    visit.check()


def test_a_picture_is_dropped_and_pasted(visit: Visit, dataset: PostDataset) -> None:
    page = visit.page
    content = list(picture(dataset).read_bytes())
    # What a browser gives to scripts of a file that is dropped or pasted.
    event = """([name, bytes]) => {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(bytes)], "a.jpg", {type: "image/jpeg"}));
        const zone = document.querySelector("[data-paste]");
        const options = {bubbles: true, cancelable: true};
        zone.dispatchEvent(name == "drop"
            ? new DragEvent("drop", {...options, dataTransfer: files})
            : new ClipboardEvent("paste", {...options, clipboardData: files}));
    }"""
    for name in ("drop", "paste"):
        visit.go("/draft")
        page.evaluate(event, [name, content])
        page.wait_for_selector("img.preview")
        page.wait_for_selector(".answer")
    visit.check()


def test_a_table_is_scored_and_downloaded(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    rows = {"caption": ["Golden hour", "A quiet morning", "x"], "followers": ["10", "20", "many"]}
    pd.DataFrame(rows).to_csv(tmp_path / "drafts.csv", index=False)
    visit.go("/table")
    page.set_input_files("#files", tmp_path / "drafts.csv")
    page.click("text=Score all rows")
    page.wait_for_selector("#scores-title", timeout=2 * SECONDS)
    assert page.locator("tbody tr").count() == 3
    with page.expect_download() as download:
        page.click("text=Download CSV")
    download.value.save_as(tmp_path / "scores.csv")
    assert pd.read_csv(tmp_path / "scores.csv")["likes"].notna().sum() >= 2
    assert visit.axe() == []
    visit.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_usable_by_all_and_fit_a_phone(browser: Any, address: str, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, locale="de-DE"
    )
    visit = Visit(context, address)
    for path in PAGES:
        visit.go(path)
        assert visit.axe() == [], path
        assert visit.overflow() <= 0, path
    visit.errors = [error for error in visit.errors if "404" not in error]
    visit.check()
    context.close()


@pytest.mark.slow
def test_from_an_export_to_a_scored_draft(
    visit: Visit, dataset: PostDataset, tmp_path: Path
) -> None:
    """Read, corrected, imported, cancelled and resumed, trained, reported, scored, deleted."""
    page = visit.page
    columns = ["posted_at", "caption", "likes", "comments", "followers"]
    export = dataset.posts[columns].rename(columns={"likes": "hearts given"})
    export.to_csv(tmp_path / "posts.csv", index=False)
    visit.go("/")
    page.set_input_files("#files", tmp_path / "posts.csv")
    page.click("text=See what is in it")
    page.wait_for_selector("#read-title")
    page.click("summary:has-text('Columns')")
    page.select_option("#column-likes", "hearts given")
    page.click("text=Read again")
    page.wait_for_selector("#read-title")
    page.click("summary:has-text('Columns')")
    assert page.input_value("#column-likes") == "hearts given"
    page.fill("#name", f"My {HOSTILE}")
    assert visit.axe() == []
    page.click("text=Import and train")
    page.wait_for_selector("li.done")
    page.click("text=Cancel")
    page.click("text=Resume", timeout=SECONDS)
    page.wait_for_selector(".good", timeout=10 * SECONDS)
    assert visit.axe() == []
    page.click(".good >> text=Score a draft")
    page.fill("#caption", "Golden hour over the bay")
    page.wait_for_selector(".answer")
    assert "likes" in str(page.text_content(".answer"))
    visit.go("/library")
    name = "my-script-alert-1-script"
    run = page.locator(".card", has_text=name).first
    run.locator("summary").click()
    run.locator("button.danger").click()
    page.wait_for_load_state()
    assert page.locator("section >> nth=0").locator(".card", has_text=name).count() == 0
    visit.check()
