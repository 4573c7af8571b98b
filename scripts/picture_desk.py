"""Take the picture of the desk that the README shows: a draft of the demo, scored.

    evoked demo demo
    python scripts/picture_desk.py demo docs/desk.png

Needs a browser (chromium) and Playwright, as tests of the pages do. The picture is made smaller
with a palette of 256 colours, by which drawings and texts lose nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

import evoked
from evoked.files import atomic_path
from evoked.posts.dataset import PostDataset
from evoked.serve.app import create_app
from evoked.serve.server import bound
from evoked.serve.settings import DeskSettings

MOST_BYTES = 300_000
WIDTH, HEIGHT, SCALE = 1160, 770, 2
COLOURS = 256
EMOJI = 0x2600
SECONDS = 180_000


def picture(demo: Path, folder: Path) -> bytes:
    """The page of a scored draft, as PNG."""
    run, dataset = evoked.load(demo / "run"), PostDataset(demo / "posts")
    whole = (run.parts["part"] == "test") & dataset.posts["caption"].fillna("").ne("")
    whole &= dataset.posts["images"].str.len() > 0
    post = dataset.posts.iloc[int(whole.to_numpy().argmax())]
    listening = bound("127.0.0.1", 0)
    # The demo's own name for its run would say nothing to a reader.
    named = folder / "my-account"
    shutil.copytree(demo / "run", named)
    settings = DeskSettings(folder / "desk", runs=(named,), cache=demo / "cache")
    server = uvicorn.Server(uvicorn.Config(create_app(settings, worker=False), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        return _taken(address, demo / "draft.jpg", post)
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def _taken(address: str, image: Path, post: Any) -> bytes:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            device_scale_factor=SCALE,
            locale="en-GB",
        )
        page.set_default_timeout(SECONDS)
        page.goto(f"{address}/draft")
        page.set_input_files("#file", image)
        page.wait_for_selector("img.preview")
        # Without emoji, for which not every machine has a font.
        drawn = "".join(each for each in post["caption"] if ord(each) < EMOJI)
        page.fill("#caption", " ".join(drawn.split()))
        page.fill("#posted_at", f"{post['posted_at']:%Y-%m-%dT%H:%M}")
        if page.locator("#author").count():
            page.fill("#author", post["author_id"])
        page.wait_for_selector(".answer")
        page.wait_for_load_state("networkidle")
        page.evaluate("document.activeElement.blur()")
        page.evaluate("document.getElementById('caption').scrollTop = 0")
        page.evaluate("window.scrollTo(0, 0)")
        taken: bytes = page.screenshot()
        browser.close()
    return taken


def small(content: bytes) -> bytes:
    """The same picture with a palette."""
    stream = io.BytesIO()
    image = Image.open(io.BytesIO(content)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="Folder that 'evoked demo' made.")
    parser.add_argument("out", type=Path, help="The picture.")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        content = small(picture(asked.demo, Path(folder)))
    if len(content) > MOST_BYTES:
        raise SystemExit(f"{len(content):,} bytes, more than {MOST_BYTES:,}")
    with atomic_path(asked.out) as temporary:
        temporary.write_bytes(content)
    print(json.dumps({"picture": str(asked.out), "bytes": len(content)}))


if __name__ == "__main__":
    main()
