"""The script that renders tables into pages, and the measurements that it reads."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import record
import reference
import render

REPOSITORY = Path(__file__).resolve().parents[1]
MEASUREMENTS = sorted((REPOSITORY / "results").rglob("*.json"))
PAGE = "# Speed\n\nBy hand.\n\n<!-- table: speed.sides -->\nold\n<!-- end -->\n\nBy hand, too.\n"


def write_measurement(folder: Path, **changes: Any) -> Path:
    """A page, and a measurement with one table beside it."""
    table = {
        "columns": [
            {"name": "side"},
            {"name": "posts/s", "format": ",.1f"},
            {"name": "p", "align": "right"},
            {"name": "met"},
        ],
        "rows": [["ours | plain", 1234.56, "< 0.001", True], ["theirs", None, "0.2", False]],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(PAGE, encoding="utf-8")
    file = folder / "speed.json"
    file.write_text(record.as_json({"tables": {"sides": table}, **changes}), encoding="utf-8")
    return file


def test_tables_are_rendered_between_marks_and_prose_stays(tmp_path: Path) -> None:
    write_measurement(tmp_path / "results" / "speed")
    page = tmp_path / "results" / "speed" / "README.md"
    assert render.main(["--check"], tmp_path) == 1
    assert page.read_text(encoding="utf-8") == PAGE
    assert render.main([], tmp_path) == 0
    assert page.read_text(encoding="utf-8") == (
        "# Speed\n\nBy hand.\n\n<!-- table: speed.sides -->\n"
        "| side | posts/s | p | met |\n"
        "| --- | --: | --: | --- |\n"
        "| ours \\| plain | 1,234.6 | < 0.001 | yes |\n"
        "| theirs | – | 0.2 | no |\n"
        "<!-- end -->\n\nBy hand, too.\n"
    )
    assert render.main(["--check"], tmp_path) == 0


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- table: nothing.sides -->\n<!-- end -->\n", "nothing is called 'nothing.sides'"),
        ("<!-- table: speed.rows -->\n<!-- end -->\n", "no table 'rows'; it has sides"),
        ("<!-- table: speed.sides -->\n| a |\n", "never closed"),
    ],
)
def test_marks_that_name_nothing_are_errors(tmp_path: Path, page: str, message: str) -> None:
    write_measurement(tmp_path)
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    with pytest.raises(render.RenderError, match=message):
        render.rendered(tmp_path / "README.md", {})


def test_measurements_older_than_their_code_are_listed(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        command = ["git", *identity, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    code = tmp_path / "src" / "model.py"
    code.parent.mkdir()
    code.write_text("1\n", encoding="utf-8")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "One")
    commit = git("rev-parse", "--short=10", "HEAD")
    assert record.current_commit(tmp_path) == commit
    write_measurement(tmp_path / "results" / "speed", commit=commit, code=["src/model.py"])
    assert list(render.outdated(tmp_path)) == []

    code.write_text("2\n", encoding="utf-8")
    assert record.current_commit(tmp_path) == record.UNCOMMITTED
    git("commit", "--quiet", "-a", "-m", "Two")
    (line,) = render.outdated(tmp_path)
    assert line == "results/speed: commits to its code since it was measured: speed (1)"


def test_benchmarks_record_what_made_their_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = REPOSITORY / "benchmarks" / "training.py"
    monkeypatch.setattr("sys.argv", [str(script), "--posts", "8"])
    parser = argparse.ArgumentParser()
    record.add_json_option(parser)
    file = tmp_path / "made" / "training.json"
    frame = pd.DataFrame({"side": ["ours"], "posts/s": [np.float64(12.5)], "n": [8]})
    record.finish(
        parser.parse_args(["--json", str(file)]),
        {"ratio": np.float32(1.5), "none": float("nan")},
        tables={"sides": record.table(frame)},
        code=["src/evoked/models/abmf.py"],
    )
    written = json.loads(file.read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == written
    assert written["command"] == "python benchmarks/training.py --posts 8"
    assert written["code"] == ["benchmarks/training.py", "src/evoked/models/abmf.py"]
    assert written["figures"] == {"ratio": 1.5, "none": None}
    assert set(written["versions"]) == {"evoked", "torch", "python"}
    assert written["cores"] >= 1
    assert "12.500 |" in render.measured_table(written["tables"]["sides"])
    assert {"commit", "date"} <= set(written)


def test_json_for_people_keeps_strings_as_they_are() -> None:
    measurement = {"rows": [["[ a ]", "{ b", "c\n  d"], [1, None]], "empty": [], "table": {"x": 1}}
    text = record.as_json(measurement)
    assert json.loads(text) == measurement
    assert "[1, null]" in text


@pytest.mark.parametrize("file", MEASUREMENTS, ids=lambda file: file.stem)
def test_every_measurement_says_what_made_it(file: Path) -> None:
    measurement = json.loads(file.read_text(encoding="utf-8"))
    assert measurement["command"]
    assert measurement["commit"]
    assert measurement["versions"]["evoked"]
    for path in measurement["code"]:
        assert (REPOSITORY / path).exists(), f"{file.name} names {path}, which isn't there"
    page = "".join(each.read_text(encoding="utf-8") for each in file.parent.glob("*.md"))
    for name, table in measurement["tables"].items():
        assert f"<!-- table: {file.stem}.{name} -->" in page
        assert all(len(row) == len(table["columns"]) for row in table["rows"])


def test_settings_show_default_bounds_and_choices() -> None:
    rows = reference.training_settings().splitlines()
    assert "| `max_epochs` | `40` | int ≥ 1 | " in "\n".join(rows)
    assert any(row.startswith("| `schedule` | `'cosine'` | `constant`, `cosine`, ") for row in rows)


def test_commands_show_examples_and_options() -> None:
    text = reference.commands()
    assert "## evoked affect fit\n" in text
    assert "evoked train my_posts --out my_run\n" in text
    assert "| `--model` |" in text
    assert "[dim]" not in text
