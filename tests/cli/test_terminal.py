"""Nothing that data hold acts on a terminal or a spreadsheet."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evoked.cli.application import out
from evoked.cli.printing import print_json, print_table
from evoked.runtime.__main__ import main as score_by_export
from evoked.sentences import visible
from tests.support.command_line import evoked

HARMFUL = "\x1b]0;TITLE\x1b\\\x1b[2J\x9b31m\u202etxt.exe\u2066\x00\x08\x07\u200f\ud800"
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def test_characters_are_written_as_their_numbers() -> None:
    assert visible("a\x1bb\u202ec\U000e0041") == "a\\x1bb\\u202ec\\U000e0041"
    assert visible("Zoë 日本語 🌅👩‍👩‍👧\n") == "Zoë 日本語 🌅👩‍👩‍👧\n"


def test_tables_and_json_show_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HARMFUL, ["id"], [[HARMFUL]])
    out.print(HARMFUL, markup=False)
    printed = capsys.readouterr().out
    assert not UNSAFE.search(printed)
    assert "\\x1b[2J" in printed
    print_json({HARMFUL: HARMFUL})
    printed = capsys.readouterr().out
    assert not UNSAFE.search(printed)
    assert json.loads(printed) == {HARMFUL: HARMFUL}


def test_names_of_columns_values_and_files_in_messages(tmp_path: Path) -> None:
    source = tmp_path / "a\x1b[2J.csv"
    header = 'post_id,caption,likes,"x\x1b]0;T\x1b\\\x1b[2J"\n'
    source.write_text(header + '1,a,\x1b[31mbad,3\n"2\x1b[1A",b,4,\u202e5\n', encoding="utf-8")
    answer = evoked("import", "csv", source, tmp_path / "posts")
    assert not UNSAFE.search(answer.stdout + answer.stderr)
    assert "\\x1b[31mbad" in answer.stdout + answer.stderr
    answer = evoked("import", "csv", tmp_path / "no\x1b[2J", tmp_path / "other", fails=True)
    assert not UNSAFE.search(answer.stdout + answer.stderr)


def test_no_name_passes_for_a_line(tmp_path: Path) -> None:
    name = "a\nError: everything is fine"
    source = tmp_path / "posts.jsonl"
    rows = [{"id": f"{number}{name}", "caption": "b", "likes": name} for number in range(3)]
    source.write_text("\n".join(map(json.dumps, rows)))
    answers = [
        evoked("import", "jsonl", source, tmp_path / "posts"),
        evoked("import", "csv", tmp_path / name, tmp_path / "other", fails=True),
        evoked("predict", tmp_path, "--image", tmp_path / name, fails=True),
        evoked("sql", tmp_path / "posts", "select post_id from posts"),
    ]
    for answer in answers:
        printed = (answer.stdout + answer.stderr).splitlines()
        assert not [line for line in printed if line.startswith("Error: everything")]


def test_exports_print_no_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drafts = tmp_path / "drafts.json"
    drafts.write_text("[]")
    assert score_by_export([str(tmp_path / "no\x1b[2J\nfine"), str(drafts)]) == 2
    printed = capsys.readouterr().err
    assert not UNSAFE.search(printed)
    assert len(printed.splitlines()) == 1


def test_what_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    source = tmp_path / "posts.csv"
    source.write_text("post_id,caption,likes\n1,a,2\n")
    (tmp_path / "file").write_text("")
    answer = evoked("import", "csv", source, tmp_path / "file" / "posts", fails=True)
    assert answer.status == 2
    assert "a file, where a folder was to be made" in answer.stderr
