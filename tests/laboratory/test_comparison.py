"""Comparisons of runs: on common test posts, paired, refused where they can't be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from evoked.cli import app
from evoked.errors import DataError, SettingsError
from evoked.evaluation.metrics import concordance_correlation, mean_absolute_error
from evoked.laboratory import compare_runs, table_of_runs, write_comparison
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from tests.support.small_runs import Workshop, by_hand


@pytest.fixture(scope="module")
def runs(workshop: Workshop, dataset: PostDataset) -> list[Run]:
    """One tested on the first 25 posts, the other on the first 20."""
    first = workshop.run(dataset, "first")
    split = by_hand(len(dataset), tests=20)
    second = workshop.run(dataset, "second", split=split, modalities=("image", "metadata"))
    return [first, second]


def test_scores_are_those_of_the_common_posts(runs: list[Run], dataset: PostDataset) -> None:
    found = compare_runs([run.folder for run in runs], draws=200)
    assert (found.posts, found.of) == (20, {"first": 25, "second": 20})
    table = found.table.set_index(["target", "metric", "run"]).sort_index()
    posts = dataset.posts.iloc[:20]
    predicted = [run.predict(dataset).iloc[:20] for run in runs]
    errors = [mean_absolute_error(posts["valence"], each["valence"]) for each in predicted]
    assert table.loc[("valence", "MAE", "first"), "value"] == pytest.approx(errors[0], abs=1e-5)
    line = table.loc[("valence", "MAE", "second")]
    assert line["difference"] == pytest.approx(errors[0] - errors[1], abs=1e-5)
    assert line["difference_low"] <= line["difference"] <= line["difference_high"]
    agreement = concordance_correlation(posts["arousal"], predicted[1]["arousal"])
    assert table.loc[("arousal", "CCC", "second"), "value"] == pytest.approx(agreement, abs=1e-5)
    assert {"mean", "author_mean", "category_mean", "recent_posts"} <= set(found.table["run"])
    assert ("overall", "MAP", "mean") in table.index
    assert (table["p_holm"].dropna() >= table["p"].dropna()).all()


def test_a_copy_of_a_run_is_no_better(runs: list[Run], tmp_path: Path) -> None:
    shutil.copytree(runs[0].folder, tmp_path / "copy")
    table = compare_runs([runs[0].folder, tmp_path / "copy"], rows=["copy"], draws=100).table
    copied = table[table["run"] == "copy"]
    assert set(table["run"]) == {"first", "copy"}
    np.testing.assert_array_equal(copied["difference"].dropna(), 0.0)
    assert (copied["p"].dropna() == 1).all()


def test_truth_beats_its_noise(runs: list[Run], tmp_path: Path) -> None:
    # Of two runs the one whose predictions are nearer to the truth wins, with a small p-value.
    truth = pd.read_parquet(runs[0].folder / "truth.parquet").set_index("post_id")
    generator = np.random.default_rng(0)
    for name, noise in (("near", 0.2), ("far", 2.0)):
        shutil.copytree(runs[0].folder, tmp_path / name)
        path = tmp_path / name / "predictions.parquet"
        table = pd.read_parquet(path)
        rated = truth.loc[table["post_id"], "valence"].to_numpy()
        table["valence"] = rated + generator.normal(size=len(table)) * noise
        table.to_parquet(path, index=False)
    found = compare_runs([tmp_path / "near", tmp_path / "far"], draws=1000).table
    line = found.set_index(["target", "metric", "run"]).loc[("valence", "CCC", "far")]
    assert line["difference"] > 0.2
    assert line["p_holm"] < 0.05


def test_what_cannot_be_compared_is_refused(
    runs: list[Run], workshop: Workshop, dataset: PostDataset, tmp_path: Path
) -> None:
    first = runs[0].folder
    with pytest.raises(SettingsError, match="two runs or more"):
        compare_runs([first])
    with pytest.raises(SettingsError, match="compared with itself"):
        compare_runs([first, first])
    with pytest.raises(DataError, match="not a finished run"):
        compare_runs([first, tmp_path])
    with pytest.raises(SettingsError, match=r"no row nonsense.*first, second, mean"):
        compare_runs([run.folder for run in runs], rows=["nonsense"])
    # Posts that only share their ids are not the same posts.
    strange = tmp_path / "strange"
    shutil.copytree(first, strange)
    parts = pd.read_parquet(strange / "split.parquet")
    parts.assign(caption="another").to_parquet(strange / "split.parquet", index=False)
    with pytest.raises(DataError, match="no post is a test post of all"):
        compare_runs([first, strange])
    viewings = tmp_path / "viewings"
    shutil.copytree(first, viewings)
    description = json.loads((viewings / "run.json").read_text())
    (viewings / "run.json").write_text(json.dumps({**description, "rows": "viewings"}))
    with pytest.raises(DataError, match="a run of viewings, and only runs of posts"):
        compare_runs([first, viewings])
    older = tmp_path / "older"
    shutil.copytree(first, older)
    (older / "predictions.parquet").unlink()
    with pytest.raises(DataError, match="Train the run again"):
        compare_runs([first, older])


def test_pages_are_written(runs: list[Run], tmp_path: Path) -> None:
    comparison = compare_runs([run.folder for run in runs], draws=50)
    paths = write_comparison(comparison, tmp_path, "evoked compare first second")
    names = ["comparison.csv", "comparison.md", "comparison.html"]
    assert [path.name for path in paths] == names
    text = paths[1].read_text()
    assert "20 posts that are test posts of every run" in text
    assert "evoked compare first second" in paths[2].read_text()


def test_runs_are_rows_to_fit_again(runs: list[Run]) -> None:
    table = table_of_runs([run.folder for run in runs])
    assert [each.name for each in table.experiments] == ["first", "second"]
    assert table.reference == "first"
    model = table.experiments[1].build()
    assert model.settings == runs[1].model.settings


def test_command_line_compares(runs: list[Run], workshop: Workshop, dataset: PostDataset) -> None:
    folders = [str(run.folder) for run in runs]
    found = CliRunner().invoke(app, ["compare", *folders, "--rows", "second", "--json"])
    assert found.exit_code == 0, found.output
    printed = json.loads(found.stdout)
    assert printed["posts"] == 20
    assert {line["run"] for line in printed["table"]} == {"first", "second"}
    printed = CliRunner().invoke(app, ["compare", *folders])
    assert "valence CCC" in printed.stdout
    again = ["compare", *folders, "--data", str(dataset.folder), "--folds", "2", "--json"]
    again += ["--out", str(workshop.folder / "study"), "--workers", "1"]
    again += ["--cache", str(workshop.cache.folder)]
    refitted = CliRunner().invoke(app, again)
    assert refitted.exit_code == 0, refitted.output
    assert {"first", "second", "mean"} <= {
        row["row"] for row in json.loads(refitted.stdout)["table"]
    }
    alone = CliRunner().invoke(app, ["compare", *folders, "--folds", "2"])
    assert "together" in str(alone.exception)
