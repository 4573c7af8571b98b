"""What a run is asked for: evaluate, predict, explain."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from evoked.posts.dataset import PostDataset
from tests.support.command_line import evoked


def test_evaluate_predict_and_explain_print_json(demo: Path) -> None:
    scores = json.loads(
        evoked("evaluate", demo / "run", demo / "posts", "--json", "--cache", demo / "cache").stdout
    )
    assert {row["model"] for row in scores["scores"]} >= {"abmf", "mean", "author_mean"}
    picture = next(path for path in PostDataset(demo / "posts").cover_paths() if path is not None)
    draft = ["--image", picture, "--caption", "What a view! #travel", "--followers", "5000"]
    draft += ["--author", "new"]
    (row,) = json.loads(evoked("predict", demo / "run", *draft, "--json").stdout)
    assert -4 <= row["valence"] <= 4
    assert row["likes"] > 0
    reasons = json.loads(evoked("explain", demo / "run", *draft, "--json").stdout)
    assert reasons
    shown = evoked("predict", demo / "run", *draft).stdout
    assert "valence" in shown
    assert " ".join(shown.split()).startswith(row["answer"])
    assert row["answer"].startswith("About ")
    assert 0 <= row["coverage_measured"] <= 1
    assert row["coverage_n"] > 0
    assert not re.search(r"^(likes_rate|likes_quantile|likes_standing|answer|post_id)", shown, re.M)
    assert re.search(r"^likes +[\d,]+ .*\d+ of \d+ *$", shown, re.M)


def test_scores_fit_a_narrow_terminal(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ("evaluate", demo / "run", demo / "posts", "--cache", demo / "cache")
    lines = evoked(*arguments).stdout.splitlines()
    assert lines[0].startswith("Split by time: ")
    (row,) = (line for line in lines if re.match(r"valence +MAE", line))
    assert re.search(r"\d \(-?\d+\.\d\d…-?\d+\.\d\d\) ", row)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_predictions_of_a_dataset_go_to_a_file(demo: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scores{suffix}"
    evoked(
        *("predict", demo / "run", "--posts", demo / "posts"),
        *("--out", path, "--cache", demo / "cache"),
    )
    readers = {".csv": pd.read_csv, ".json": pd.read_json, ".parquet": pd.read_parquet}
    table = readers[suffix](path)  # type: ignore[operator]
    assert len(table) == 60
    assert table["arousal"].between(0, 8).all()
