"""The pages in a real browser: the whole way, by mouse and by keyboard, wide and narrow."""

from __future__ import annotations

import os
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
PAGES = (
    *("/", "/draft", "/table", "/when", "/plan", "/works", "/ledger", "/audience", "/library"),
    *("/compare?run=browser-run&run=browser-mean", "/runs/browser-run/drift?posts=cafe"),
    f"/compare?run={'x' * 200}",
    "/nothing",
)
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
    other = shutil.copytree(
        workshop.run(dataset, "browsed-mean", "mean").folder, folder / "browser-mean"
    )
    os.utime(other / "run.json", (0, 0))  # the other run is the newest
    (folder / "desk" / "datasets").mkdir(parents=True)
    shutil.copytree(dataset.folder, folder / "desk" / "datasets" / "cafe")
    listening = bound("127.0.0.1", 0)
    settings = DeskSettings(
        folder / "desk",
        runs=(run, other),
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


def test_the_map_of_the_week_says_its_numbers(visit: Visit) -> None:
    """Pointed at, and by arrow keys from one stop for Tab."""
    page = visit.page
    visit.go("/when?run=browser-run")
    slot = page.locator("#slot")
    hint = slot.text_content()
    cells = page.locator(".heat tbody td")
    assert page.locator(".heat td[tabindex='0']").count() == 1
    cells.nth(2).hover()
    assert str(slot.text_content()).startswith("Wednesday, ")
    assert "posts" in str(slot.text_content())
    page.mouse.move(0, 0)
    assert slot.text_content() == hint
    cells.first.focus()
    first = slot.text_content()
    assert str(first).startswith("Monday, ")
    page.keyboard.press("ArrowRight")
    assert str(slot.text_content()).startswith("Tuesday, ")
    page.keyboard.press("ArrowDown")
    second = slot.text_content()
    page.keyboard.press("ArrowUp")
    assert slot.text_content() != second
    page.keyboard.press("End")
    assert str(slot.text_content()).startswith("Sunday, ")
    page.keyboard.press("ArrowRight")
    assert str(slot.text_content()).startswith("Sunday, ")
    page.keyboard.press("Control+Home")
    assert slot.text_content() == first
    assert visit.axe() == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.heat')") is None
    assert slot.text_content() == hint
    visit.check()


def test_the_map_of_the_week_is_a_table_without_script(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/when?run=browser-run")
    assert page.locator(".heat tbody td").count() % 7 == 0
    assert page.locator(".heat tbody td >> nth=0").text_content()
    assert not page.locator("#slot").is_visible()
    assert page.locator("a[download]").count() == 3
    context.close()


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


class Keyboard:
    """A page used by keys alone; every stop of Tab has to show that it has the focus."""

    def __init__(self, visit: Visit) -> None:
        self.visit, self.page = visit, visit.page

    def tab_to(self, selector: str, most: int = 80) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            self._check_focus()
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} is not reached by {most} stops")

    def press(self, selector: str, key: str = "Enter") -> None:
        """Go to an element and press a key there."""
        self.tab_to(selector)
        self.page.keyboard.press(key)

    def start(self, path: str, first: str) -> None:
        """Open a page, and skip to its content."""
        self.visit.go(path)
        self.page.keyboard.press("Tab")
        skip = self.page.locator(".skip")
        assert self.page.evaluate("document.activeElement.className") == "skip"
        box = skip.bounding_box()
        assert box is not None
        assert box["x"] >= 0, "the link that skips to the content is not seen"
        self.page.keyboard.press("Enter")
        self.tab_to(first, most=3)

    def _check_focus(self) -> None:
        shown = self.page.evaluate(
            """() => {
                const at = document.activeElement, style = getComputedStyle(at);
                const box = at.getBoundingClientRect();
                return {
                    name: at.outerHTML.slice(0, 120),
                    outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
                    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
                    whole: at === document.body,
                };
            }"""
        )
        assert shown["whole"] or (shown["outline"] and shown["seen"]), shown["name"]


@pytest.mark.slow
def test_from_an_export_to_an_advised_draft_by_keyboard_alone(
    visit: Visit, dataset: PostDataset, tmp_path: Path
) -> None:
    """Wide, and the draft once more on a phone: in the order of the page, with the focus seen."""
    page, keys = visit.page, Keyboard(visit)
    columns = ["posted_at", "caption", "likes", "comments", "followers"]
    dataset.posts[columns].to_csv(tmp_path / "posts.csv", index=False)
    # From the beginning, so that the browser has heard of it when the key is pressed.
    page.on("filechooser", lambda chooser: chooser.set_files(tmp_path / "posts.csv"))
    keys.start("/", "#files")
    page.keyboard.press("Enter")
    page.wait_for_selector("#files:valid")
    keys.press("form button.main")
    page.wait_for_selector("#read-title")
    assert visit.axe() == []
    keys.tab_to("#name")
    page.keyboard.press("Control+A")
    page.keyboard.type("By keys")
    keys.press("button[value=import]")
    page.wait_for_selector(".good", timeout=15 * SECONDS)
    keys.press(".good a.main")
    page.wait_for_selector("#draft")
    for width, height in ((1200, 900), (390, 780)):
        page.set_viewport_size({"width": width, "height": height})
        keys.start("/draft?run=by-keys", "#file")
        keys.tab_to("#caption")
        page.keyboard.type("Golden hour over the bay #sunset")
        page.wait_for_selector(".answer")
        keys.press("#actions > button")
        page.wait_for_selector("#advice-title")
        keys.tab_to("a[href*='/downloads/advice/']")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "advice.csv"
        assert visit.axe() == []
        assert visit.overflow() <= 0
    keys.start("/library", "a[href='/compare']")
    name = "form[action='/runs/by-keys/delete'] button"
    keys.press(f"details:has({name}) > summary")
    keys.tab_to(name)
    page.keyboard.press("Escape")
    assert not page.locator(name).is_visible()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    keys.press(name)
    page.wait_for_load_state()
    assert page.locator(name).count() == 0
    visit.check()
