"""Datasets from files, and made up."""

from __future__ import annotations

import json
import re
from pathlib import Path

from evoked.posts.dataset import PostDataset
from tests.support.command_line import evoked
from tests.support.reader_sources import write_csv


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
    assert "… and 7 more; --json lists them all." in shown
    source.write_text("id,text\n" + "a,Hello\n" * 11, encoding="utf-8")
    shown = evoked("import", "csv", source, tmp_path / "posts", "--overwrite").stdout
    assert "more;" not in shown


def test_a_forgotten_format_is_asked_for_with_the_formats(tmp_path: Path) -> None:
    answer = evoked("import", tmp_path / "posts.csv", tmp_path / "my_posts", fails=True)
    assert f"evoked import csv {tmp_path / 'posts.csv'} {tmp_path / 'my_posts'}" in answer.stderr
    assert "csv, xlsx, jsonl, parquet, tables" in answer.stderr
    answer = evoked("import", "csv", tmp_path / "posts.csv", fails=True)
    assert "say where the dataset goes as well" in answer.stderr
    answer = evoked("import", "cvs", tmp_path / "posts.csv", tmp_path / "my_posts", fails=True)
    assert "Did you mean 'csv'?" in answer.stderr


def test_import_ends_with_what_the_posts_lack(tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_text("id,text,liked,date\na,Hello,5,2024-05-01\n", encoding="utf-8")
    shown = evoked("import", "csv", source, tmp_path / "posts").stdout
    assert shown.splitlines()[-1] == (
        "No column is recognised to hold likes. If 'liked' does: --map likes=liked"
    )


def test_import_shows_facts_and_suggests_them(tmp_path: Path) -> None:
    source = tmp_path / "ads.csv"
    rows = [f"p{n},Hello,{n},{n},2024-05-01,{n % 7}.5,feed\n" for n in range(30)]
    rows[3] = rows[3].replace("3.5", "lots")
    source.write_text("id,text,likes,clicks,date,spend,place\n" + "".join(rows), encoding="utf-8")
    shown = " ".join(evoked("import", "csv", source, tmp_path / "posts").stdout.split())
    assert "known only after posting: clicks" in shown
    assert shown.count("--fact") == 1
    assert "--fact spend" in shown
    assert "--author NAME" in shown
    answer = evoked("import", "csv", source, tmp_path / "ads", "--fact", "Spend", "--author", "me")
    assert "spend number 29 0.5 to 6.5" in " ".join(answer.stdout.split())
    assert "row 4: spend: not a number, left empty (lots)" in answer.stdout
    assert PostDataset(tmp_path / "ads").posts["author_id"].eq("me").all()
    found = evoked("import", "csv", source, tmp_path / "x", "--fact", "clicks", fails=True)
    assert "--fact clicks: known only after posting" in found.stderr


def test_a_dry_run_shows_the_posts_and_writes_nothing(tmp_path: Path) -> None:
    rows = [{"id": "p1", "text": "Tea #tea", "likes": "3"}, {"id": "p2", "text": "", "likes": ""}]
    source = write_csv(tmp_path / "in/posts.csv", rows)
    for dest in ((), (str(tmp_path / "out"),)):
        output = evoked("import", "auto", source, *dest, "--dry-run").stdout
        assert "is taken for a CSV table" in output
        assert "Would be imported" in output
        assert re.search(r"likes +3 +–", output)
        assert "Nothing was written." in output
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_encoding_can_be_said(tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_bytes("id,text,likes\n1,Olá São,5\n".encode("mac-roman"))
    evoked("import", "csv", source, tmp_path / "out", "--encoding", "mac-roman")
    assert PostDataset(tmp_path / "out").posts["caption"].tolist() == ["Olá São"]
    failed = evoked("import", "csv", source, tmp_path / "no", "--encoding", "klingon", fails=True)
    assert "no encoding 'klingon'" in failed.stderr
