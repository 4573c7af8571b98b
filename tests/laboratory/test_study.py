"""Studies: the same folds for every row, honest statistics, the same tables however interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from evoked.cli import app
from evoked.cli.laboratory import _command
from evoked.errors import DataError, SettingsError
from evoked.evaluation.splits import Split, k_fold
from evoked.experiments import Experiment, PublishedTable
from evoked.laboratory import (
    FitsDone,
    Study,
    StudyCallbacks,
    StudyResults,
    correlation_table,
    result_table,
    write_results,
)
from evoked.laboratory.study_data import Posts, StudyContext
from evoked.laboratory.writing import is_headline, score_blocks
from evoked.posts.dataset import PostDataset
from evoked.runs.training import train_posts
from evoked.targets import AuthorPopularity
from evoked.training import TrainingSettings
from tests.support.small_runs import Workshop

TABLES = ("table.csv", "table.md", "table.html", "correlations.csv")
QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")
SMALL = {"width": 16, "heads": 2}


def table_of(*names: str, training: TrainingSettings = QUICK, **changes: Any) -> PublishedTable:
    """ABMF and parts of it, made small."""
    rows = {
        "full": Experiment(
            name="full",
            label="Full | <b>",
            model="abmf",
            settings=SMALL,
            training=training,
            published={"valence CCC": 0.712},
            source="a paper",
        ),
        "image_only": Experiment(
            name="image_only",
            label="Image only",
            model="abmf",
            needs=("image",),
            settings={**SMALL, "modalities": ("image", "metadata")},
            training=training,
        ),
        "caption_only": Experiment(
            name="caption_only",
            label="Caption only",
            model="abmf",
            needs=("caption",),
            settings={**SMALL, "modalities": ("caption", "hashtags")},
            training=training,
        ),
    }
    chosen = tuple(rows[name] for name in names)
    described = {"name": "test/table1", "title": "A table", "source": "S", "reference": "full"}
    described |= changes
    return PublishedTable(**described, experiments=chosen)


def study_of(workshop: Workshop, dataset: PostDataset, name: str, *rows: str, **more: Any) -> Study:
    table = more.pop("table", None) or table_of(*rows)
    settings = {"folds": 3, "cache": workshop.cache, **more}
    return Study(dataset, table, workshop.folder / name, **settings)


@pytest.fixture(scope="module")
def unbroken(workshop: Workshop, dataset: PostDataset) -> tuple[Study, StudyResults]:
    study = study_of(workshop, dataset, "unbroken", "image_only", "full")
    results = study.run(workers=1)
    write_results(study, results, "evoked …")
    return study, results


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


def test_fold_scores_as_a_run_on_the_same_split(
    unbroken: tuple[Study, StudyResults], workshop: Workshop, dataset: PostDataset
) -> None:
    split = list(k_fold(dataset.posts, 3, "random", 0))[1]
    run = train_posts(
        dataset,
        "abmf",
        workshop.folder / "fold",
        model_settings=SMALL,
        training=QUICK,
        split=split,
        cache=workshop.cache,
    )
    expected = pd.DataFrame(run.metrics["scores"]).set_index(["model", "target", "metric"])
    scores = unbroken[1].scores
    for row, model in (("full", "abmf"), ("author_mean", "author_mean")):
        own = scores[(scores["row"] == row) & (scores["fold"] == 2)]
        assert {"valence", "likes", "overall"} <= set(own["target"])
        for line in own.to_dict(orient="records"):
            known = expected.loc[model, line["target"], line["metric"]]
            np.testing.assert_allclose(line["value"], float(known["value"]), atol=1e-5)
            assert line["n"] == known["n"]


def test_a_table_says_what_share_of_a_fold_is_held_out(
    workshop: Workshop, dataset: PostDataset
) -> None:
    shares = []
    for validation in (0.1, 0.3):
        table = table_of("image_only", validation=validation)
        study = study_of(workshop, dataset, f"held-out-{validation}", table=table)
        split = study.context.splits[0]
        shares.append(len(split.validation) / (len(split.train) + len(split.validation)))
    assert shares == pytest.approx([0.1, 0.3], abs=0.02)


def test_each_part_of_a_fold_is_labelled_on_its_own(
    workshop: Workshop, dataset: PostDataset
) -> None:
    rows = np.arange(60)
    split = Split(rows[:40], rows[40:50], rows[50:], "time", "By hand.")
    authors = np.where(rows < 40, "known", "stranger")
    posts = workshop.changed(dataset, "strangers", author_id=authors, likes=rows)
    row = Experiment(name="row", label="Row", model="linear", task="author_popularity")
    context = StudyContext(
        folder=workshop.folder / "strangers-study",
        dataset=posts,
        splits=(split,),
        experiments=(row,),
        task=AuthorPopularity,
        seed=0,
        estimate=False,
        cache=workshop.cache.folder,
    )
    fold = Posts(context).fold(row, row.build(), 1)
    # Together, the stranger's posts would have the quartiles 44.75 and 54.25.
    for part in (fold.validation, fold.test):
        assert part.targets is not None
        np.testing.assert_array_equal(part.targets.values[:, 0], [0] * 3 + [np.nan] * 4 + [1] * 3)


def test_every_post_is_predicted_once(
    unbroken: tuple[Study, StudyResults], dataset: PostDataset
) -> None:
    predictions = unbroken[0].predictions("full")
    assert sorted(predictions["post_id"]) == sorted(dataset.posts["post_id"])
    assert set(predictions["fold"]) == {1, 2, 3}


def test_statistics_are_those_of_the_folds(unbroken: tuple[Study, StudyResults]) -> None:
    results = unbroken[1]
    table = result_table(results).set_index(["target", "metric", "row"]).sort_index()
    wide = results.scores.set_index(["target", "metric", "row", "fold"])["value"].unstack()
    ours, theirs = wide.loc["valence", "MAE", "full"], wide.loc["valence", "MAE", "image_only"]
    line = table.loc["valence", "MAE", "image_only"]
    reference = stats.ttest_rel(ours, theirs)
    assert line["mean"] == pytest.approx(theirs.mean())
    assert line["deviation"] == pytest.approx(theirs.std(ddof=1))
    assert line["difference"] == pytest.approx((ours - theirs).mean())
    assert line["p_t"] == pytest.approx(reference.pvalue)
    assert line["p_t_holm"] >= line["p_t"]
    assert line["posts_low"] < line["mean"] < line["posts_high"]
    assert line["n"] == 60
    full = table.loc["valence", "CCC", "full"]
    assert full["published"] == 0.712
    assert np.isnan([full["difference"], full["p_t"]]).all()
    # Holm over the five rows that are compared: full with image_only and the trivial four.
    p = table.loc["arousal", "MAE"]["p_t"].dropna()
    assert len(p) == 5
    assert table.loc["arousal", "MAE"]["p_t_holm"].min() == pytest.approx(min(1, 5 * p.min()))


def test_trivial_rows_are_always_there(unbroken: tuple[Study, StudyResults]) -> None:
    table = result_table(unbroken[1])
    assert {"mean", "author_mean", "category_mean", "recent_posts"} <= set(table["row"])
    assert (table.loc[table["row"] == "mean", "n"] > 0).all()


def test_correlations_cover_the_figure(unbroken: tuple[Study, StudyResults]) -> None:
    table = correlation_table(unbroken[1])
    own = table[(table["row"] == "full") & (table["unit"] == "fold")]
    assert set(own["emotion"]) == {"valence MAE", "arousal MAE", "valence CCC", "arousal CCC"}
    assert {"likes MAP", "overall MAP", "overall AUC", "overall NDCG@10"} <= set(own["engagement"])
    assert (own["n"] == 3).all()


def test_pages_are_for_people(unbroken: tuple[Study, StudyResults]) -> None:
    study, _ = unbroken
    page = (study.folder / "table.html").read_text()
    assert "Full | &lt;b&gt;" in page
    assert "Full | <b>" not in page
    text = (study.folder / "table.md").read_text()
    assert "Full \\| <b>" in text
    assert "p Wilcoxon can't fall below 0.25" in text
    record = json.loads((study.folder / "record.json").read_text())
    assert record["sessions"][0]["fits"] == 18
    assert record["sessions"][0]["command"] is None  # nobody typed one
    assert record["environment"]["torch"]


def dies_at_write(study: Study, number: int) -> bool:
    """Run the study in a process that is killed in the midst of a write; False if it ended first.

    The kill is a real one (no handler, no clean-up), at a moment that needs no clock: between
    writing a file and putting it in its place.
    """
    child = os.fork()
    if child == 0:
        writes, rename = iter(range(1, number)), os.replace

        def replace(*arguments: Any) -> None:
            if next(writes, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*arguments)

        os.replace = replace  # type: ignore[assignment]
        try:
            study.run(workers=1)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_study_ends_with_the_same_tables(
    workshop: Workshop, dataset: PostDataset, unbroken: tuple[Study, StudyResults]
) -> None:
    study = study_of(workshop, dataset, "killed", "image_only", "full")
    generator = np.random.default_rng(0)
    kills = sum(dies_at_write(study, int(generator.integers(1, 12))) for _ in range(5))
    assert kills == 5
    assert not all(job.is_finished(study.folder) for job in study.jobs)
    again = study_of(workshop, dataset, "killed", "image_only", "full")
    write_results(again, again.run(workers=1), "evoked …")
    assert contents(again.folder) == contents(unbroken[0].folder)
    assert not list(again.folder.glob("fits/*/*/training"))


def test_finished_study_fits_nothing_again(
    workshop: Workshop, dataset: PostDataset, unbroken: tuple[Study, StudyResults]
) -> None:
    reported: list[FitsDone] = []
    before = (unbroken[0].folder / "record.json").read_bytes()
    again = study_of(workshop, dataset, "unbroken", "image_only", "full")
    again.run(workers=1, callbacks=StudyCallbacks(fits=reported.append))
    assert [(done.fits, done.of, done.folds) for done in reported] == [(18, 18, 3)]
    assert (again.folder / "record.json").read_bytes() == before


def test_killed_after_the_last_fit_it_is_recorded_all_the_same(
    workshop: Workshop, dataset: PostDataset, unbroken: tuple[Study, StudyResults], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(unbroken[0].folder, copy)
    for name in ("record.json", *TABLES):
        (copy / name).unlink()
    again = Study(dataset, unbroken[0].table, copy, folds=3, cache=workshop.cache)
    write_results(again, again.run(workers=1), "evoked …")
    assert contents(copy) == contents(unbroken[0].folder)
    assert json.loads((copy / "record.json").read_text())["sessions"][0]["fits"] == 0


def test_progress_counts_fits_and_folds(workshop: Workshop, dataset: PostDataset) -> None:
    reported: list[FitsDone] = []
    study = study_of(workshop, dataset, "reported", table=table_of())
    study.run(workers=1, callbacks=StudyCallbacks(fits=reported.append))
    assert [done.fits for done in reported] == list(range(13))
    assert [done.folds for done in reported] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert reported[0].seconds_left is None
    assert reported[-1].seconds_left == 0


def test_further_thresholds_of_relevance_add_scores_and_change_none(
    workshop: Workshop, dataset: PostDataset
) -> None:
    table = table_of("full").model_copy(update={"experiments": (), "reference": "mean"})
    usual = study_of(workshop, dataset, "quarter", table=table).run(workers=1).scores
    study = study_of(workshop, dataset, "shares", table=table, relevant_shares=(0.1, 0.5))
    results = study.run(workers=1)
    further = results.scores["metric"].str.contains("top")
    assert set(results.scores.loc[further, "metric"]) == {
        f"{metric} (top {share} %)" for metric in ("MAP", "AUC") for share in (10, 50)
    }
    pd.testing.assert_frame_equal(results.scores[~further].reset_index(drop=True), usual)
    # A ranking that knows nothing finds more relevant posts where there are more.
    means = results.scores[results.scores["row"] == "mean"].groupby("metric")["value"].mean()
    assert means["MAP"] < means["MAP (top 50 %)"]
    assert means["MAP"] != means["MAP (top 10 %)"]
    titles = [title for title, _ in score_blocks(result_table(results))]
    assert titles.index("overall MAP (top 10 %) ↑") < titles.index("likes MAP ↑")
    assert is_headline("overall MAP (top 10 %) ↑")
    assert not is_headline("overall Spearman (top 10 %) ↑")
    with pytest.raises(SettingsError, match="relevant_shares differ"):
        study_of(workshop, dataset, "quarter", table=table, relevant_shares=(0.1,))
    with pytest.raises(SettingsError, match=r"between 0 and 1, such as 0\.1, not at 1"):
        study_of(workshop, dataset, "none", table=table, relevant_shares=(1,))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "data, seed"),
        ({"folds": 2}, "folds"),
        ({"split": "author"}, "split"),
        ({"table": table_of("full")}, "rows"),
        ({"table": table_of("image_only", "full").with_training(max_epochs=9)}, "rows"),
    ],
)
def test_folder_refuses_another_study(
    change: dict[str, Any],
    named: str,
    workshop: Workshop,
    dataset: PostDataset,
    unbroken: tuple[Study, StudyResults],
) -> None:
    with pytest.raises(SettingsError, match=f"holds another study.*{named}"):
        study_of(workshop, dataset, "unbroken", "image_only", "full", **change)


def test_a_study_of_another_format_version_is_refused(
    workshop: Workshop, dataset: PostDataset, unbroken: tuple[Study, StudyResults]
) -> None:
    folder = shutil.copytree(unbroken[0].folder, workshop.folder / "older")
    plan = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert plan["format_version"] == 1
    (folder / "study.json").write_text(json.dumps({**plan, "format_version": 2}))
    message = r"study\.json: format version 2; this release reads version 1\. Run the study again"
    with pytest.raises(DataError, match=message):
        study_of(workshop, dataset, "older", "image_only", "full")


def test_a_study_prints_what_makes_it(
    unbroken: tuple[Study, StudyResults], dataset: PostDataset
) -> None:
    study = unbroken[0]
    assert repr(study) == (
        f"Study({dataset!r}, table='test/table1', folder='{study.folder}', folds=3, "
        "split='random', seed=0, estimate=True)"
    )


def test_folder_refuses_other_posts_and_what_is_no_study(
    workshop: Workshop, dataset: PostDataset, unbroken: tuple[Study, StudyResults]
) -> None:
    with pytest.raises(SettingsError, match=r"another study \(data differ"):
        study_of(workshop, dataset.select(range(50)), "unbroken", "image_only", "full")
    (workshop.folder / "diary").mkdir()
    (workshop.folder / "diary" / "monday.txt").write_text("Rain.")
    with pytest.raises(SettingsError, match="not empty and not a study"):
        study_of(workshop, dataset, "diary", "full")


def test_rows_with_nothing_to_read_are_skipped_and_targets_that_lack_left_out(
    workshop: Workshop, dataset: PostDataset
) -> None:
    counts = dict.fromkeys(("likes", "comments", "shares", "saves"), None)
    pictures = workshop.changed(dataset, "pictures", caption=None, **counts)
    table = table_of("caption_only", "image_only", reference="image_only")
    study = study_of(workshop, pictures, "pictures-study", table=table, folds=2)
    results = study.run(workers=1)
    assert results.skipped == {"caption_only": "no post has a caption"}
    found = result_table(results)
    assert set(found["target"]) == {"valence", "arousal"}
    assert "caption_only" not in set(found["row"])
    write_results(study, results)
    assert "no post has a caption" in (study.folder / "table.md").read_text()


def test_row_that_fails_is_told_and_spoils_no_other(
    workshop: Workshop, dataset: PostDataset
) -> None:
    wild = TrainingSettings(max_epochs=1, batch_size=16, device="cpu", learning_rate=1e30)
    study = study_of(workshop, dataset, "wild", table=table_of("full", training=wild), folds=2)
    results = study.run(workers=1)
    assert "training loss" in results.skipped["full"]
    table = result_table(results)
    assert set(table["row"]) == {"mean", "author_mean", "category_mean", "recent_posts"}
    assert table["difference"].isna().all()
    write_results(study, results)
    assert "no row is compared" in (study.folder / "table.md").read_text()


def test_unreadable_pictures_and_remarks_are_printed(
    workshop: Workshop, dataset: PostDataset
) -> None:
    damaged = workshop.changed(dataset, "damaged")
    picture = damaged.cover_paths()[3]
    assert picture is not None
    picture.write_bytes(b"no picture")
    notes: list[str] = []
    table = table_of("image_only")
    (row,) = table.experiments
    remarked = row.model_copy(update={"remarks": ("its figures are of one split.",)})
    table = table.model_copy(update={"experiments": (remarked,)})
    study = study_of(workshop, damaged, "damaged-study", table=table, folds=2)
    results = study.run(workers=1, callbacks=StudyCallbacks(note=notes.append), command="evoked x")
    assert notes == list(results.notes)
    assert notes == [
        "1 pictures could not be read; their posts count as imageless: "
        f"{damaged.posts['post_id'].iloc[3]}.",
        "Image only: its figures are of one split.",
    ]
    write_results(study, results)
    assert notes[0] in (study.folder / "table.md").read_text()
    assert json.loads((study.folder / "record.json").read_text())["sessions"][0]["command"]


def test_more_folds_than_posts_are_refused(workshop: Workshop, dataset: PostDataset) -> None:
    with pytest.raises(DataError, match="need at least as many posts"):
        study_of(workshop, dataset.select(range(3)), "few", "full", folds=5)


def test_command_line_reproduces(workshop: Workshop, dataset: PostDataset) -> None:
    options = ["--data", str(dataset.folder), "--folds", "2", "--rows", "text_bert"]
    options += ["--out", str(workshop.folder / "line"), "--epochs", "1", "--workers", "1"]
    options += ["--cache", str(workshop.cache.folder), "--split", "author", "--json"]
    found = CliRunner().invoke(app, ["reproduce", "abmf/table6", *options])
    assert found.exit_code == 0, found.output
    printed = json.loads(found.stdout)
    assert printed["plan"]["split"] == "author"
    rows = {line["row"]: line for line in printed["table"] if line["metric"] == "CCC"}
    assert set(rows) == {"text_bert", "mean", "author_mean", "category_mean", "recent_posts"}
    assert rows["text_bert"]["published"] == 0.412
    assert rows["mean"]["published"] is None
    assert (workshop.folder / "line" / "table.csv").is_file()


def test_command_line_reproduces_as_published_and_says_what_it_replaced(
    workshop: Workshop, dataset: PostDataset
) -> None:
    options = ["--data", str(dataset.folder), "--folds", "2", "--rows", "text_bert"]
    options += ["--out", str(workshop.folder / "published"), "--epochs", "1", "--workers", "1"]
    options += ["--as", "published", "--text-encoder", "builtin", "--image-encoder", "lite0"]
    options += ["--object-encoder", "salient", "--views", "1", "--learning-rate", "0.001"]
    options += ["--set", "text_bert.finetune=false", "--set", "text_bert.width=16"]
    options += ["--cache", str(workshop.cache.folder), "--json"]
    found = CliRunner().invoke(app, ["reproduce", "abmf/table6", *options])
    assert found.exit_code == 0, found.output
    printed = json.loads(found.stdout)
    row = printed["plan"]["rows"]["text_bert"]
    assert row["training"]["clip"] == 0
    assert (row["training"]["learning_rate"], row["features"]["views"]) == (0.001, 1)
    assert row["settings"]["normalise"] is False
    notes = " ".join(printed["notes"])
    assert "text_encoder is builtin, not transformers:google-bert/bert-base-uncased." in notes
    assert "the paper names no loss" in notes
    page = (workshop.folder / "published" / "table.md").read_text()
    assert "The row Text-BERT, as published runs text_bert: ContentSettings(width=16" in page


def test_command_line_lists_and_refuses() -> None:
    runner = CliRunner()
    listed = json.loads(runner.invoke(app, ["reproduce", "--json"]).stdout)
    assert {"abmf/table6", "abmf/table7"} <= {table["name"] for table in listed}
    for arguments, message in (
        (["reproduce", "abmf/table6"], "--data"),
        (["reproduce", "abmf/table1", "--data", "x", "--out", "y"], "no table is called"),
    ):
        error = runner.invoke(app, arguments).exception
        assert isinstance(error, SettingsError)
        assert message in str(error)


def test_command_in_the_tables_is_what_decides_them() -> None:
    typed = ["reproduce", "abmf/table6", "--out", "a", "--data", "my posts", "--workers=2"]
    typed += ["--json", "--cache", "c", "--folds", "3"]
    expected = "evoked reproduce abmf/table6 --data 'my posts' --folds 3"
    assert _command(typed) == expected
    assert _command(["compare", "/home/me/a", "b"]) == "evoked compare a b"


def _reproduce(workshop: Workshop, dataset: PostDataset, name: str) -> list[str]:
    """A study of two networks with two processes, as a person starts it."""
    options = ["--data", str(dataset.folder), "--cache", str(workshop.cache.folder)]
    options += ["--out", str(workshop.folder / name), "--folds", "3", "--epochs", "3"]
    options += ["--rows", "early_fusion,abmf", "--workers", "2"]
    return [sys.executable, "-m", "evoked", "reproduce", "abmf/table6", *options]


@pytest.mark.slow
def test_study_killed_ten_times_at_random_ends_with_the_same_tables(
    workshop: Workshop, dataset: PostDataset
) -> None:
    # One process; the killed one has two: the tables don't depend on it either.
    whole = [*_reproduce(workshop, dataset, "whole")[:-1], "1"]
    subprocess.run(whole, check=True, capture_output=True)
    command = _reproduce(workshop, dataset, "hunted")
    generator, kills = np.random.default_rng(0), 0
    started = time.perf_counter()
    while kills < 10:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=float(generator.uniform(5, 40)))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    print(f"{kills} kills in {time.perf_counter() - started:.0f} s")
    subprocess.run(command, check=True, capture_output=True)
    ours, theirs = contents(workshop.folder / "hunted"), contents(workshop.folder / "whole")
    assert ours == theirs


def test_a_study_says_what_stands_for_views(
    workshop: Workshop, dataset: PostDataset, tmp_path: Path
) -> None:
    posts = dataset.posts.drop(columns=["views", "reach", "impressions"])
    shutil.copytree(dataset.image_folder, tmp_path / "images")  # which the new dataset takes over
    viewless_posts = PostDataset.create(
        tmp_path / "posts", {"posts": posts}, images=tmp_path / "images"
    )
    row = Experiment(name="lines", label="Lines", model="linear", task="popularity")
    table = table_of("full").model_copy(update={"experiments": (row,), "reference": "lines"})
    study = study_of(workshop, viewless_posts, "without-views", table=table, folds=2)
    viewless = [note for note in study.run(workers=1).notes if "lack their views" in note]
    assert len(viewless) == 1
    assert "followers take their place" in viewless[0]
