"""The demo makes everything that it names."""

from __future__ import annotations

import re
from pathlib import Path

from evoked.posts.dataset import PostDataset


def test_demo_makes_everything(demo: Path) -> None:
    assert len(PostDataset(demo / "posts")) == 60
    assert (demo / "run" / "run.json").is_file()
    assert list((demo / "explanation").glob("*.png"))
    report = (demo / "report.html").read_text()
    assert "<svg" in report or "data:image" in report
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?:", report)


def test_demo_ends_by_saying_how_to_open_the_desk(demo: Path) -> None:
    said = " ".join((demo.parent / "said.txt").read_text(encoding="utf-8").split())
    assert said.endswith(f"Open the desk on it: evoked serve {demo / 'run'} --data {demo / 'desk'}")
