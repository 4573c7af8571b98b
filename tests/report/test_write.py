"""The HTML report: self-contained, safe, and whole for every kind of run."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torchmetrics.functional.classification import binary_calibration_error

from evoked.advice.ledger import keep
from evoked.analysis.analyses import analyse_posts
from evoked.analysis.emotions import PostsWithEmotion
from evoked.errors import DataError
from evoked.evaluation.reliability import reliability
from evoked.evaluation.splits import Split
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.report import charts, write_report
from evoked.report.held_out import HeldOutPosts
from evoked.report.outcome_results import results_by_outcome
from evoked.report.post_stories import story_lists
from evoked.report.run_analysis import analyse_run
from evoked.runs.answer import verdicts
from evoked.runs.card import posts_of
from evoked.runs.posts import Run
from evoked.runs.training import train
from tests.support.examples import tamper_with_names
from tests.support.pages import Page
from tests.support.small_runs import HOSTILE, OTHER_TASKS, Workshop, by_hand, hostile_posts

_MEBIBYTES = 2**20


@pytest.fixture(scope="module")
def report(workshop: Workshop, run: Run, dataset: PostDataset) -> Page:
    return Page(write_report(run, dataset, workshop.folder / "report.html"))


def assert_self_contained(page: Page) -> None:
    names = {name for name, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for name, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")]
        for key in ("src", "href", "srcset"):
            address = attributes.get(key)
            assert address is None or address.startswith("data:image/" if name == "img" else "#")
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert len(page.source.encode()) < 3 * _MEBIBYTES
    assert page.open == []


def assert_accessible(page: Page) -> None:
    assert page.of("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in page.of("img"))
    assert all(header["scope"] in ("row", "col") for header in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {link["href"] for link in page.of("a")} <= {f"#{name}" for name in targets}
    assert sum("id" in attributes for _, attributes in page.tags) == len(targets)


def test_is_one_accessible_file_without_requests(report: Page) -> None:
    assert_self_contained(report)
    assert_accessible(report)
    policy = next(m["content"] for m in report.of("meta") if "http-equiv" in m)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_shows_everything_about_a_run(report: Page, run: Run) -> None:
    for shown in (
        "Summary",
        "When to post",
        "What hours add to likes, by weekday",
        "Loss per epoch",
        "author_mean",
        "Best predicted",
        "Worst predicted",
        "Most promising",
        "Results by category",
        "Valence: observed and predicted means",
        "does not predict what one person will feel",
        run.description["data"]["sha256"],
        run.description["split"]["reason"],
        "Every picture of the test posts could be read",
        run.description["environment"]["torch"],
    ):
        assert shown in report.text
    assert "learned from estimates" not in report.text
    assert "nan" not in report.text.lower().split()
    scores = pd.DataFrame(run.metrics["scores"]).set_index(["model", "target", "metric"])
    assert f"{scores.loc[('abmf', 'valence', 'MAE'), 'value']:.3f}" in report.text


def test_what_was_kept_stands_beside_what_came(
    workshop: Workshop, dataset: PostDataset, tmp_path: Path
) -> None:
    run = workshop.run(dataset, "reported-ledger", "linear")
    assert "What was kept" not in write_report(run, None, tmp_path / "a.html").read_text("utf-8")
    draft = Draft(caption="Hello", author="author-001")
    keep(run, "prediction", [draft], run.predict([draft]))
    shown = write_report(run, None, tmp_path / "b.html").read_text("utf-8")
    assert "What was kept and came" in shown
    assert "1 answer was kept" in shown
    assert "None of it can be checked yet" in shown


def test_the_command_repeats_the_run(report: Page) -> None:
    command = next(text for text in report.texts if text.startswith("evoked train"))
    words = shlex.split(command)
    assert words[:3] == ["evoked", "train", "posts"]
    options = dict(zip(words[3::2], words[4::2], strict=False))
    assert options["--epochs"] == "2"
    assert options["--batch-size"] == "16"
    assert options["--set"] == "width=16"
    assert "--no-estimate" in words
    python = next(text for text in report.texts if "evoked.train(" in text)
    compile(python, "report", "exec")
    assert "TrainingSettings(max_epochs=2, batch_size=16, device='cpu')" in python


def test_same_run_same_report(
    workshop: Workshop, run: Run, dataset: PostDataset, report: Page
) -> None:
    again = Page(write_report(Run.load(run.folder, workshop.cache), dataset, workshop.folder / "b"))
    assert again.source == report.source


def test_hostile_posts_stay_text(workshop: Workshop, dataset: PostDataset) -> None:
    posts = hostile_posts(workshop, dataset)
    rows = np.arange(len(posts))
    split = Split(rows[30:], rows[:0], rows[:30], "random", HOSTILE)
    run = workshop.run(posts, "hostile-run", split=split)
    page = Page(write_report(run, posts, workshop.folder / "hostile.html"))
    assert_self_contained(page)
    assert "<script>alert" not in page.source
    assert " ".join(HOSTILE.split()) in page.text
    assert "test posts could not be read" in page.text
    assert "not a picture that can be read" in page.text
    assert "no validation posts" in page.text


@pytest.mark.parametrize("model", ["mean", "author_mean"])
def test_trivial_baselines_have_a_report(
    workshop: Workshop, dataset: PostDataset, model: str
) -> None:
    run = workshop.run(dataset, model, model=model)
    page = Page(write_report(run, dataset, workshop.folder / f"{model}.html"))
    assert_self_contained(page)
    assert_accessible(page)
    assert "not trained in epochs" in page.text
    assert f"The model {model} reads no pictures and no captions." in page.text


def test_without_the_dataset_it_says_what_is_left_out(workshop: Workshop, run: Run) -> None:
    page = Page(write_report(run, None, workshop.folder / "alone.html"))
    assert_self_contained(page)
    assert_accessible(page)
    assert "The dataset was not given" in page.text
    assert "Best predicted" not in page.text


def test_another_dataset_is_not_taken_for_the_runs_own(
    workshop: Workshop, run: Run, dataset: PostDataset
) -> None:
    other = workshop.changed(dataset, "other", post_id="other" + dataset.posts["post_id"])
    page = Page(write_report(run, other, workshop.folder / "other.html"))
    assert "holds none of the run's test posts" in page.text


@pytest.mark.parametrize("way", ["absolute", "relative", "link", "linked folder"])
def test_pictures_from_elsewhere_are_never_shown(
    way: str, run: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    posts = PostDataset(shutil.copytree(dataset.folder, tmp_path / "posts"))
    passport = tmp_path / "passport.jpg"
    shutil.copy(next(posts.image_folder.glob("*.jpg")), passport)
    cover = next(path for path in posts.cover_paths() if path is not None)
    if way == "link":
        cover.unlink()
        cover.symlink_to(passport)
    elif way == "linked folder":
        posts.image_folder.rename(tmp_path / "album")
        (posts.folder / "images").symlink_to(tmp_path / "album")
    else:
        tamper_with_names(
            posts.folder, [str(passport) if way == "absolute" else "../../passport.jpg"]
        )
    uses: list[Callable[[PostDataset], object]] = [
        lambda posts: write_report(run, posts, tmp_path / "report.html"),
        lambda posts: train(posts, "linear", tmp_path / "run"),
        run.predict,
        run.evaluate,
        analyse_posts,
    ]
    for use in uses:
        with pytest.raises(DataError, match=r"field images|is a link"):
            use(PostDataset(posts.folder))
    assert sorted(path.name for path in tmp_path.glob("*.html")) == []


def test_without_ratings_and_categories(workshop: Workshop, dataset: PostDataset) -> None:
    bare = workshop.changed(
        dataset, "bare", valence=np.nan, arousal=np.nan, category=None, shares=None, saves=None
    )
    run = workshop.run(bare, "bare-run")
    page = Page(write_report(run, bare, workshop.folder / "bare.html"))
    assert_accessible(page)
    assert "The posts have no categories." in page.text
    assert "No emotion was predicted" in page.text
    assert "Likes: observed and predicted means" in page.text
    assert "Saves: observed" not in page.text


def test_cards_show_counts_and_no_emotion_that_nobody_rated(
    workshop: Workshop, run: Run, dataset: PostDataset
) -> None:
    tested = HeldOutPosts.find(run, dataset)
    assert tested is not None
    likes = dataset.posts.set_index("post_id")["likes"]
    for story in (story for each in story_lists(run, dataset, tested) for story in each.stories):
        targets = {target["name"]: target for target in story.targets}
        assert targets["likes"]["got"] == f"{likes[story.post_id]:,.0f}"
        row = tested.predictions.set_index("post_id").loc[story.post_id]
        assert targets["likes"]["said"] == f"{row['likes']:,.0f}"
        assert {"valence", "arousal"} <= set(targets)
    unrated = Run.load(run.folder, workshop.cache)
    unrated.description["data"] |= {"with valence": 0, "with arousal": 0}
    tested = HeldOutPosts.find(unrated, dataset)
    assert tested is not None
    for story in (s for each in story_lists(unrated, dataset, tested) for s in each.stories):
        assert not {"valence", "arousal"} & {target["name"] for target in story.targets}
        assert story.headline == ["likes"]


def test_report_begins_with_the_verdict(report: Page, run: Run) -> None:
    first, *others = verdicts(run.task, run.track_record, 0.8)
    assert first.startswith("Likes: typically off by ")
    assert "Ranges " in first
    assert others
    assert report.text.index(first) < report.text.index("MAP")


def test_ratings_alone(workshop: Workshop, dataset: PostDataset) -> None:
    rated = workshop.changed(
        dataset, "rated", category="one", likes=None, comments=None, shares=None, saves=None
    )
    run = workshop.run(rated, "rated-run")
    page = Page(write_report(run, rated, workshop.folder / "rated.html"))
    assert "Most promising" in page.text
    assert "engagement MAP" not in page.text


@pytest.mark.parametrize("tests", [0, 1, 3])
def test_few_or_no_test_posts(workshop: Workshop, dataset: PostDataset, tests: int) -> None:
    run = workshop.run(dataset, f"few-{tests}", split=by_hand(len(dataset), tests))
    page = Page(write_report(run, dataset, workshop.folder / "few.html"))
    assert_accessible(page)
    if tests:
        assert f"Only {tests} posts were kept aside" in page.text
        assert "Best predicted" in page.text
        assert ("Worst predicted" in page.text) == (tests > 1)
    else:
        assert "No posts were kept aside" in page.text
        assert "there are no scores" in page.text


def test_estimated_emotion_is_marked(workshop: Workshop, run: Run, dataset: PostDataset) -> None:
    estimated = Run.load(run.folder, workshop.cache)
    estimated.description["estimated_emotions"] = True
    said = "Valence and arousal of 7 of 7 unrated posts are estimated by the moon."
    estimated.description["emotions_note"] = said
    page = Page(write_report(estimated, dataset, workshop.folder / "estimated.html"))
    assert "Estimated emotion." in page.text
    assert said in page.text
    assert "learned from estimates" in page.text
    assert "valence estimated" in page.text


def test_tested_posts_carry_what_they_got(run: Run, dataset: PostDataset) -> None:
    tested = HeldOutPosts.find(run, dataset)
    assert tested is not None
    truth = dataset.posts.set_index("post_id").loc[tested.predictions["post_id"]]
    np.testing.assert_allclose(tested.true["valence"], truth["valence"], atol=1e-6)
    assert (tested.posts["post_id"] == tested.predictions["post_id"]).all()
    whole = run.task.transform(run.attach_history(dataset.posts)).values
    likes = whole[tested.rows, list(run.task.columns).index("likes")]
    np.testing.assert_allclose(tested.true["likes"], likes, atol=1e-6)
    ranks = (
        tested.truth["likes_rate"]
        .rank()
        .corr((truth["likes"] / truth["followers"]).rank().reset_index(drop=True))
    )
    assert ranks > 0.99
    worst = tested.error.idxmax()
    by_hand = [
        abs(tested.true[name][worst] - tested.predicted[name][worst])
        / (8 if name in ("valence", "arousal") else 1)
        for name in tested.true
    ]
    assert tested.error[worst] == pytest.approx(np.mean(by_hand))


def test_calibration_groups_by_prediction() -> None:
    predicted = np.repeat([0.1, 0.9], 10)
    observed = np.where(predicted < 0.5, 0.3, 0.7)
    chart = charts.calibration(predicted, observed, "Likes", "quantile")
    assert chart is not None
    assert "lowest group is predicted 0.10 and observed 0.30" in chart.alternative
    assert "n = 20 posts, 5 per group" in chart.caption
    assert charts.calibration(predicted[:9], observed[:9], "Likes", "quantile") is None
    unknown = np.full(20, np.nan)
    assert charts.calibration(predicted, unknown, "Likes", "quantile") is None


class TestOtherTasks:
    @pytest.mark.parametrize("task", OTHER_TASKS)
    def test_shows_everything_about_a_run(
        self, workshop: Workshop, dataset: PostDataset, task_runs: dict[str, Run], task: str
    ) -> None:
        run = task_runs[task]
        page = Page(write_report(run, dataset, workshop.folder / f"{task}.html"))
        assert_self_contained(page)
        assert_accessible(page)
        for shown in (
            "Predicted and true",
            "What the model looks at",
            "Calibration",
            "Best predicted",
            "author_mean",
            "By how many followers the author has",
            "Most promising",
            type(run.task).description,
        ):
            assert shown in page.text
        for absent in ("Valence", "quantile", "CCC is", "nan"):
            assert absent not in page.text.replace(",", " ").split()
        command = next(text for text in page.texts if text.startswith("evoked train"))
        other = run.model.tasks[0] != task
        assert (f"--task {task}" in command) == other
        assert (f"task='{task}'" in page.text) == other
        for row in run.metrics["scores"]:
            if row["value"] is not None and np.isfinite(row["value"]):
                assert f"{row['value']:.3f}".replace("-", "−") in page.text

    @pytest.mark.parametrize("task", ["level", "author_popularity", "shares"])
    def test_classes_are_counted_as_scikit_learn_does(
        self, task_runs: dict[str, Run], task: str
    ) -> None:
        run = task_runs[task]
        outcome = run.task.outcomes[-1]
        labels = list(outcome.labels) or [False, True]
        tables = [
            pd.read_parquet(run.folder / f"{name}.parquet")[outcome.name]
            for name in ("truth", "predictions")
        ]
        known = tables[0].notna().to_numpy()
        places = [[labels.index(each) for each in table[known]] for table in tables]
        result = results_by_outcome(run)[-1]
        everything = range(len(labels))
        np.testing.assert_array_equal(result.counts, confusion_matrix(*places, labels=everything))
        scores = precision_recall_fscore_support(*places, labels=everything, zero_division=np.nan)
        for name, expected in zip(("precision", "recall", "f1"), scores, strict=False):
            found = [np.nan if row[name] is None else row[name] for row in result.classes]
            np.testing.assert_allclose(found, expected, err_msg=name)
        assert result.n == known.sum()

    def test_what_is_true_or_false_is_summed_up_by_auc_alone(
        self, workshop: Workshop, task_runs: dict[str, Run]
    ) -> None:
        page = Page(write_report(task_runs["author_popularity"], None, workshop.folder / "a.html"))
        assert "Popular: AUC" in page.text
        assert "Popular: accuracy" not in page.text
        assert "Popular: F1" not in page.text

    def test_classes_of_shares_say_what_they_hold(
        self, workshop: Workshop, task_runs: dict[str, Run]
    ) -> None:
        run = task_runs["shares"]
        page = Page(write_report(run, None, workshop.folder / "s.html"))
        for label, meaning in run.task.meanings(run.task.outcomes[-1]).items():
            assert f"{label} ({meaning})" in page.text

    def test_without_the_dataset(self, workshop: Workshop, task_runs: dict[str, Run]) -> None:
        page = Page(write_report(task_runs["level"], None, workshop.folder / "alone-level.html"))
        assert_self_contained(page)
        assert_accessible(page)
        assert "The dataset was not given" in page.text
        assert "Level, class by class" in page.text

    def test_authors_are_counted_only_where_there_are_any(self) -> None:
        data = {"posts": 500, "authors": 0}
        assert posts_of(data) == "500 posts"
        assert posts_of({**data, "authors": 1}) == "500 posts by 1 author"
        assert posts_of({**data, "authors": 2}) == "500 posts by 2 authors"

    @pytest.mark.parametrize("tests", [0, 1])
    def test_few_or_no_test_posts(
        self, workshop: Workshop, dataset: PostDataset, tests: int
    ) -> None:
        for task in ("level", "popularity"):
            split = by_hand(len(dataset), tests)
            run = workshop.run(dataset, f"few-{task}-{tests}", "mean", split, task)
            page = Page(write_report(run, dataset, workshop.folder / "few.html"))
            assert_accessible(page)
            assert ("Best predicted" in page.text) == bool(tests)
            assert ("nothing to compare" in page.text) == (not tests)

    def test_posts_of_one_class_without_pictures_and_captions(
        self, workshop: Workshop, dataset: PostDataset
    ) -> None:
        bare = workshop.changed(
            dataset, "one-class", caption=None, likes=5, comments=0, shares=0, saves=0, views=100
        )
        for path in bare.cover_paths():
            if path is not None:
                path.write_bytes(b"not a picture")
        run = workshop.run(bare, "one-class-run", "mean", task="level")
        page = Page(write_report(run, bare, workshop.folder / "one-class.html"))
        assert_accessible(page)
        (result,) = results_by_outcome(run)
        assert (result.counts > 0).sum() == 1
        assert result.warning is None

    def test_collapse_stands_in_the_summary(self, workshop: Workshop, dataset: PostDataset) -> None:
        run = workshop.run(dataset, "collapsed", "mean", task="level")
        page = Page(write_report(run, dataset, workshop.folder / "collapsed.html"))
        assert "COLLAPSED: level is predicted as" in page.text

    def test_features_of_trees_are_shown(self, workshop: Workshop, dataset: PostDataset) -> None:
        run = workshop.run(dataset, "trees", "pixelrec_catboost", trees=10)
        page = Page(write_report(run, dataset, workshop.folder / "trees.html"))
        assert_accessible(page)
        table = run.model.modality_importance()
        assert "Modalities by SHAP values" in page.text
        for share in table["shap"]:
            assert f"{share:.1f}" in page.text

    def test_analyses_leave_out_what_needs_emotion(
        self, dataset: PostDataset, task_runs: dict[str, Run], run: Run
    ) -> None:
        emotions = PostsWithEmotion(dataset.posts, np.zeros(len(dataset), dtype=bool))
        found = analyse_run(task_runs["author_popularity"], dataset, emotions, draws=10)
        assert found.n == 25
        assert "accuracy by emotion" in found.skipped
        with pytest.raises(DataError, match="same task"):
            analyse_run(task_runs["level"], dataset, emotions, [run])

    def test_errors_are_those_of_what_is_read(
        self, dataset: PostDataset, task_runs: dict[str, Run]
    ) -> None:
        tested = HeldOutPosts.find(task_runs["level"], dataset)
        assert tested is not None
        labels = task_runs["level"].task.outcomes[0].labels
        chances = tested.predictions[[f"level_probability_{label}" for label in labels]]
        expected = (chances.to_numpy() * [1, 2, 3, 4, 5]).sum(axis=1)
        true = [labels.index(label) + 1 for label in tested.truth["level"]]
        np.testing.assert_allclose(tested.error, np.abs(expected - true) / 4, rtol=1e-6)


def test_reliability_is_torchmetrics() -> None:
    generator = np.random.default_rng(1)
    chance = generator.random(500)
    came_true = generator.random(500) < chance**2
    found = reliability(chance, came_true)
    expected = binary_calibration_error(torch.tensor(chance), torch.tensor(came_true), n_bins=10)
    assert found.error == pytest.approx(float(expected), abs=1e-6)
    assert found.posts.sum() == 500
    assert np.isnan(reliability(chance[:0], came_true[:0]).error)
    exact = reliability(np.array([0.0, 1.0, 0.5, 0.5]), np.array([False, True, True, False]))
    assert exact.error == 0
    assert exact.predicted.tolist() == [0, 0.5, 1]


def test_many_posts_make_small_charts() -> None:
    generator = np.random.default_rng(0)
    points = generator.normal([0, 4], 1, size=(20_000, 2))
    for chart in (
        charts.emotion_plane(points, "predicted emotion"),
        charts.predicted_and_true(points[:, 0], points[:, 1], "arousal"),
    ):
        assert "n = 20000 posts" in chart.caption
        assert len(chart.source) < 300_000
