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
