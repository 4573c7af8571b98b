"""Datasets from files, and made up."""

from __future__ import annotations

import json
from pathlib import Path

from evoked.posts.dataset import PostDataset
from tests.support.command_line import evoked


def test_import_shows_what_was_read_and_skipped(tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_text("id,text,like count\na,Hello #sun,5\na,Again,6\nb,Bye,-7\n", encoding="utf-8")
    shown = evoked("import", "csv", source, tmp_path / "posts").stdout
    assert "like count" in shown
    assert "skipped" in shown
    assert "row 2: the id is repeated (a)" in shown
    assert "nothing was done" in evoked("import", "csv", source, tmp_path / "posts").stdout
    found = json.loads(evoked("import", "csv", source, tmp_path / "posts", "--json").stdout)
    assert found["read"] == 2
    posts = PostDataset(tmp_path / "posts").posts
    assert posts["likes"].isna().tolist() == [False, True]


def test_import_says_how_much_more_was_skipped(tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_text("id,text\n" + "a,Hello\n" * 18, encoding="utf-8")
    shown = evoked("import", "csv", source, tmp_path / "posts").stdout
    assert shown.count("the id is repeated (a)") == 10
    assert "… and 7 more; --json lists up to twenty of each kind." in shown
    source.write_text("id,text\n" + "a,Hello\n" * 11, encoding="utf-8")
    shown = evoked("import", "csv", source, tmp_path / "posts", "--overwrite").stdout
    assert "more;" not in shown
