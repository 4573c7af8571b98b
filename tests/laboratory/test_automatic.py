"""``--model auto`` and stacking: the rule, honest folds, and runs that work like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.linear_model import Ridge
from typer.testing import CliRunner

import evoked
from evoked.cli import app
from evoked.errors import DataError, SettingsError
from evoked.evaluation.splits import Split, choose_split, kind_of_folds
from evoked.laboratory.automatic import (
    train_automatically,
)
from evoked.laboratory.leaderboard import Leaderboard, one_standard_error, standings_of
from evoked.models import MODELS, Examples, build_model
from evoked.models.gradient_boosting import GradientBoosting
from evoked.models.neural import NeuralModel
from evoked.models.stacking import PENALTY, Line, Stack, StackSettings, combined, learn_lines
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.targets import TASKS, EmotionEngagement, Level
from evoked.testing.examples import random_examples
from evoked.training import TrainingSettings
from tests.support.small_runs import Workshop, by_hand

QUICK = TrainingSettings(max_epochs=1, batch_size=16, device="cpu")


def scores(**rows: list[float]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float)


# The rule -----------------------------------------------------------------------------------------


def test_simplest_within_one_standard_error_is_chosen() -> None:
    table = scores(
        simple=[0.40, 0.50, 0.60],  # 0.10, 0.12, 0.14 behind: 0.12 > 0.0115
        middle=[0.50, 0.58, 0.77],  # 0.00, 0.04, -0.03 behind: 0.0033 <= 0.0203
        best=[0.50, 0.62, 0.74],
    )
    order = ("simple", "middle", "best")
    assert one_standard_error(table, order) == ("best", "middle")
    places = {each.model: each for each in standings_of(table, costs(table), "best", "middle")}
    assert places["middle"].behind == pytest.approx(0.01 / 3)
    assert places["middle"].behind_error == pytest.approx(
        np.std([0, 0.04, -0.03], ddof=1) / np.sqrt(3)
    )
    assert places["simple"].mean == pytest.approx(0.5)
    assert places["simple"].standard_error == pytest.approx(0.1 / np.sqrt(3))
    assert [each.model for each in places.values()] == ["best", "middle", "simple"]
    assert places["middle"].chosen


def test_a_trivial_baseline_is_chosen_only_if_nothing_is_better() -> None:
    table = scores(mean=[0.5, 0.5, 0.5], simple=[0.4, 0.9, 0.6], best=[0.7, 0.8, 0.6])
    order = ("mean", "simple", "best")
    # 0.2 behind by 0.058 at most; 0.067 behind by 0.120 at most.
    assert one_standard_error(table, order, trivial={"mean"}) == ("best", "simple")
    table.loc["mean"] = 1.0
    assert one_standard_error(table, order, trivial={"mean"}) == ("mean", "mean")
    table.loc["mean"] = [0.3, 1.1, 0.5]
    assert one_standard_error(table, order) == ("best", "mean")
    assert one_standard_error(table, order, trivial={"mean"}) == ("best", "simple")


def test_nothing_worse_than_a_trivial_baseline_is_chosen() -> None:
    table = scores(mean=[0.65, 0.66, 0.64], simple=[0.4, 0.9, 0.6], best=[0.7, 0.8, 0.6])
    # 0.067 behind the best by 0.120 at most, but 0.017 behind the mean.
    order = ("mean", "simple", "best")
    assert one_standard_error(table, order, trivial={"mean"}) == ("best", "best")
    errors = -table
    chosen = one_standard_error(errors, order, trivial={"mean"}, lower_is_better=True)
    assert chosen == ("best", "best")


def costs(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"seconds": 1.0, "weights": 0, "n": 30}, index=table.index)


def test_errors_are_better_the_lower() -> None:
    table = scores(simple=[1.0, 1.2], good=[0.5, 0.9], worst=[3.0, 3.0])
    order = ("simple", "good", "worst")
    # 0.5 and 0.3 behind: 0.4 > 0.1.
    assert one_standard_error(table, order, lower_is_better=True) == ("good", "good")
    assert one_standard_error(table, order) == ("worst", "worst")
    ranked = standings_of(table, costs(table), "good", "good", lower_is_better=True)
    assert [each.model for each in ranked] == ["good", "simple", "worst"]


def test_of_equals_the_simplest_is_the_best() -> None:
    table = scores(first=[0.5, 0.5], second=[0.5, 0.5])
    assert one_standard_error(table, ("second", "first")) == ("second", "second")
    assert one_standard_error(table, ("first", "second")) == ("first", "first")
    # Always behind by the same: no error at all excuses it.
    table = scores(first=[0.25, 0.5], second=[0.5, 0.75])
    assert one_standard_error(table, ("first", "second")) == ("second", "second")


def test_models_without_a_score_on_a_fold_are_not_chosen() -> None:
    nan = float("nan")
    table = scores(constant=[nan, nan, nan], partly=[0.9, nan, nan], whole=[0.1, 0.2, nan])
    order = ("constant", "partly", "whole")
    assert one_standard_error(table, order) == ("whole", "whole")
    ranked = {each.model: each for each in standings_of(table, costs(table), "whole", "whole")}
    assert ranked["constant"].mean is None
    assert "undefined" in ranked["partly"].note
    assert ranked["partly"].behind is None
    with pytest.raises(DataError, match="no model has a score on every fold"):
        one_standard_error(scores(first=[0.9, nan], second=[nan, 0.9]), ("first", "second"))
    with pytest.raises(DataError, match="no model has a score on every fold"):
        one_standard_error(pd.DataFrame(index=["first"]), ("first",))


def test_short_lists_learn_their_tasks() -> None:
    for name, task in TASKS.items():
        assert task.short_list
        assert all(name in MODELS[model].tasks for model in task.short_list)


def test_models_rank_from_simple_to_complex() -> None:
    order = ["mean", "category_mean", "author_mean", "recent_posts", "linear", "gradient_boosting"]
    order += ["pixelrec_catboost", "abmf", "stack"]
    ranks = [MODELS[name].complexity for name in order]
    assert ranks == sorted(set(ranks))
    networks = [model for model in MODELS.values() if issubclass(model, NeuralModel)]
    assert {model.complexity for model in networks} == {MODELS["abmf"].complexity}


def test_folds_ask_what_the_split_asks() -> None:
    rows = np.arange(8)
    split = Split(rows[:4], rows[4:6], rows[6:], "column", "By hand.")
    dates = pd.Series(pd.date_range("2024-01-01", periods=8, tz="UTC"))
    same = pd.Series(["a"] * 8)
    posts = pd.DataFrame({"author_id": same, "posted_at": dates})
    assert kind_of_folds(posts, split) == "time"
    posts["posted_at"] = dates[::-1].to_numpy()
    assert kind_of_folds(posts, split) == "random"
    posts["author_id"] = list("aabbccdd")
    assert kind_of_folds(posts, split) == "author"
    posts.loc[0, "author_id"] = None
    assert kind_of_folds(posts, split) == "random"


# Runs ---------------------------------------------------------------------------------------------


def auto(workshop: Workshop, dataset: PostDataset, name: str, **arguments: Any) -> Run:
    defaults: dict[str, Any] = {
        "models": ("linear",),
        "folds": 3,
        "training": QUICK,
        "split": by_hand(len(dataset), tests=15),
        "estimate": False,
        "cache": workshop.cache,
    }
    return train_automatically(dataset, workshop.folder / name, **(defaults | arguments))


@pytest.fixture(scope="module")
def chosen(workshop: Workshop, dataset: PostDataset) -> Run:
    return auto(workshop, dataset, "chosen", metric="likes Spearman", models=("linear", "abmf"))


def test_chosen_run_is_a_run_like_any_other(
    chosen: Run, workshop: Workshop, dataset: PostDataset
) -> None:
    board = Leaderboard.load(chosen.folder)
    assert board.metric == "likes Spearman"
    assert board.posts == len(dataset) - 15
    names = {"linear", "abmf", "mean", "author_mean", "category_mean", "recent_posts"}
    assert {each.model for each in board.standings} == names
    (winner,) = [each for each in board.standings if each.chosen]
    assert winner.model == board.chosen == chosen.model.name
    assert "s.e." in (chosen.folder / "README.md").read_text()
    assert board.why in (chosen.folder / "README.md").read_text()
    sizes = {each.model: each.weights for each in board.standings}
    assert sizes["abmf"] > 1000
    assert sizes["linear"] == 0
    loaded = Run.load(chosen.folder, workshop.cache)
    drafts = loaded.predict([evoked.Draft(caption="Hello")])
    assert np.isfinite(drafts["likes_standing"]).all()
    pd.testing.assert_frame_equal(
        loaded.predict(dataset).set_index("post_id").loc[dataset.posts["post_id"][:15]],
        chosen.predict(dataset).set_index("post_id").loc[dataset.posts["post_id"][:15]],
    )


def test_same_call_goes_on_where_it_stopped(
    chosen: Run, workshop: Workshop, dataset: PostDataset
) -> None:
    board = (chosen.folder / "leaderboard.json").read_text()
    fits = chosen.folder / "auto" / "fits"
    times = {path: path.stat().st_mtime_ns for path in fits.rglob("scores.json")}
    removed = fits / "linear" / "fold-2" / "scores.json"
    removed.unlink()
    again = auto(workshop, dataset, "chosen", metric="likes Spearman", models=("linear", "abmf"))
    kept = {path: path.stat().st_mtime_ns for path in fits.rglob("scores.json")}
    assert [path for path in times if kept[path] != times[path]] == [removed]
    before, after = json.loads(board), Leaderboard.load(again.folder).to_dict()
    for board in (before, after):
        for standing in board["standings"]:
            standing.pop("seconds")
    assert after == before


def test_test_posts_have_no_say(chosen: Run, workshop: Workshop, dataset: PostDataset) -> None:
    posts = dataset.posts
    poison = {
        name: posts[name].where(posts.index >= 15, 10.0**6 - posts[name])
        for name in ("likes", "comments", "shares", "saves")
    }
    captions = posts["caption"].where(posts.index >= 15, "poison")
    other = workshop.changed(dataset, "poisoned", caption=captions, **poison)
    run = auto(workshop, other, "chosen-poisoned", metric="likes Spearman")
    ours, theirs = (Leaderboard.load(each.folder) for each in (chosen, run))
    means = {each.model: each.mean for each in ours.standings}
    for standing in theirs.standings:
        assert standing.mean == pytest.approx(means[standing.model], nan_ok=True)


def test_model_that_fails_is_listed(
    workshop: Workshop, dataset: PostDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any, **keywords: Any) -> None:
        raise DataError("out of trees.")

    monkeypatch.setattr(GradientBoosting, "fit", fails)
    posts = dataset.posts
    bare = workshop.changed(dataset, "imageless", images=pd.Series([[]] * len(posts)))
    run = auto(
        workshop, bare, "failing", models=("linear", "gradient_boosting", "visual_cnn"), folds=2
    )
    board = Leaderboard.load(run.folder)
    notes = {each.model: each.note for each in board.standings}
    assert "out of trees" in notes["gradient_boosting"]
    assert "no post has a picture" in notes["visual_cnn"]
    assert board.chosen in ("linear", "mean", "category_mean", "author_mean", "recent_posts")


def test_what_is_true_or_false_is_decided_by_auc(workshop: Workshop, dataset: PostDataset) -> None:
    task, models = "author_popularity", ("linear",)
    run = auto(workshop, dataset, "popular", task=task, models=models, split="random", folds=2)
    assert Leaderboard.load(run.folder).metric == "popular AUC"


def test_unknown_metrics_models_and_folders_are_refused(
    chosen: Run, workshop: Workshop, dataset: PostDataset
) -> None:
    with pytest.raises(SettingsError, match=r"Did you mean 'likes Spearman'\?.*valence MAE"):
        auto(workshop, dataset, "unknown", metric="likes Spearmann")
    with pytest.raises(SettingsError, match="eijl does not learn the task"):
        auto(workshop, dataset, "unknown", models=("eijl",))
    with pytest.raises(SettingsError, match="holds another study"):
        auto(workshop, dataset, "chosen", folds=2)
    (workshop.folder / "taken").mkdir()
    (workshop.folder / "taken" / "thesis.txt").write_text("mine")
    with pytest.raises(SettingsError, match="holds something else"):
        auto(workshop, dataset, "taken")
    assert not (workshop.folder / "unknown").exists()


def test_stack_is_chosen_when_asked_for(workshop: Workshop, dataset: PostDataset) -> None:
    run = auto(
        workshop, dataset, "stacked", task="level", metric="level macro F1", stack="always", folds=2
    )
    board = Leaderboard.load(run.folder)
    assert board.chosen == run.model.name == "stack"
    assert "as asked" in board.why
    assert board.settings["lines"]
    loaded = Run.load(run.folder, workshop.cache)
    assert isinstance(loaded.model, Stack)
    predicted = loaded.predict(dataset)
    shares = predicted.filter(like="level_probability")
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert not list(run.folder.rglob("*.pkl"))


def test_python_and_the_command_line_choose_a_model(
    workshop: Workshop, dataset: PostDataset, tmp_path: Path
) -> None:
    split = choose_split(dataset.posts, "random", 0)
    with pytest.raises(SettingsError, match=r"evoked\.train_automatically"):
        evoked.train(dataset, "auto", tmp_path / "run")
    run = evoked.train_automatically(
        dataset, tmp_path / "run", split=split, models=("linear",), folds=2,
        estimate=False, cache=workshop.cache,
    )  # fmt: skip
    assert Leaderboard.load(run.folder).metric == "valence MAE"
    place = ["train", str(dataset.folder), "--out", str(tmp_path / "cli"), "--split", "random"]
    options = ["--models", "linear", "--folds", "2", "--no-estimate", "--workers", "1"]
    shown = CliRunner().invoke(
        app, [*place, "--model", "auto", *options, "--cache", str(workshop.cache.folder)]
    )
    assert shown.exit_code == 0, shown.output
    assert "Leaderboard" in shown.stdout
    printed = Leaderboard.load(tmp_path / "cli")
    for standing in printed.standings:
        assert standing.mean is None or f"{standing.mean:.4f}" in shown.stdout
    assert printed.chosen == Leaderboard.load(run.folder).chosen
    refused = CliRunner().invoke(app, [*place, "--metric", "likes MAP", "--stack"])
    assert isinstance(refused.exception, SettingsError)
    assert "--metric, --stack: only with --model auto" in str(refused.exception)


# Stacking -----------------------------------------------------------------------------------------


def test_lines_of_values_are_ridge_with_weights_of_at_least_zero() -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(200, 6)) * 3 + 1
    good, poor = truth + generator.normal(size=(2, 200, 6)) * [[[1.0]], [[2.0]]]
    predicted = np.stack([good, poor, -truth])
    lines = learn_lines(EmotionEngagement, predicted, truth)
    for place, name in enumerate(EmotionEngagement.columns):
        members = predicted[:, :, place].T
        alpha = PENALTY * 200 * truth[:, place].var()
        reference = Ridge(alpha, positive=True, tol=1e-10).fit(members, truth[:, place])
        np.testing.assert_allclose(lines[name].weights, reference.coef_, atol=1e-3)
        assert lines[name].bias == pytest.approx(reference.intercept_, abs=1e-3)
        assert lines[name].weights[2] == 0


def test_line_by_hand() -> None:
    # One member that says 2y - 1: weight s / (s + PENALTY · n · var y), s its centred sum of
    # squares over what it shares with the truth.
    truth = np.array([[0.0], [1.0], [2.0], [3.0]]).repeat(6, axis=1)
    lines = learn_lines(EmotionEngagement, 2 * truth[None] - 1, truth)
    squares, product, variance = 20.0, 10.0, 1.25
    weight = product / (squares + PENALTY * 4 * variance)
    assert lines["valence"].weights == pytest.approx((weight,))
    assert lines["valence"].bias == pytest.approx(1.5 - 2 * weight)
    table = pd.DataFrame([[1.0, 2, 0.5, 0.5, 0.5, 0.5]], columns=list(EmotionEngagement.columns))
    made = combined(
        EmotionEngagement, {"valence": Line(weights=(0.5, 2.0), bias=0.25)}, [table] * 2
    )
    assert made[0, 0] == pytest.approx(0.5 * 1 + 2 * 1 + 0.25)
    assert np.isnan(made[0, 1:]).all()


def test_lines_of_probabilities_minimise_the_penalised_log_loss() -> None:
    generator = np.random.default_rng(1)
    chances = generator.uniform(0.05, 0.95, 300)
    truth = np.zeros((300, 5))
    truth[:, 0] = generator.random(300) < chances
    members = np.stack([chances, generator.uniform(0.1, 0.9, 300), 1 - chances])
    predicted = np.repeat(members[:, :, None], 5, axis=2)
    line = learn_lines(Level, predicted, truth)["level_1"]
    assert line.weights[2] == 0
    columns = logit(members[:2].T)

    def loss(line: np.ndarray) -> float:
        made = expit(columns @ np.abs(line[:2]) + line[2])
        likelihoods = np.where(truth[:, 0] == 1, made, 1 - made)
        return float(-np.log(likelihoods).mean() + PENALTY * (line[:2] ** 2).sum())

    found = minimize(
        loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6, "maxiter": 5000}
    )
    assert loss(np.array([*line.weights[:2], line.bias])) == pytest.approx(found.fun, abs=1e-5)
    # A level that nobody has is as good as impossible, and its line is finite.
    assert np.isfinite(learn_lines(Level, predicted, truth)["level_2"].bias)


def test_stack_predicts_its_members_weighted(tmp_path: Path) -> None:
    examples = random_examples(60)
    lines = {name: Line(weights=(0.25, 0.75), bias=0.0) for name in EmotionEngagement.columns}
    settings = StackSettings.model_validate(
        {"members": [{"model": "linear"}, {"model": "author_mean"}], "lines": lines}
    )
    model = Stack(settings)
    model.fit(examples, folder=tmp_path)
    parts = [
        fit_alone(name, examples, tmp_path).predict(examples) for name in ("linear", "author_mean")
    ]
    np.testing.assert_allclose(
        model.predict(examples), 0.25 * parts[0] + 0.75 * parts[1], atol=1e-6
    )


def fit_alone(name: str, examples: Examples, folder: Path) -> Any:
    model = MODELS[name]()
    model.fit(examples, folder=folder / name)
    return model


def test_stack_of_stacks_and_damaged_stacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be a member"):
        build_model("stack", {"members": [{"model": "stack"}]})
    examples = random_examples(30)
    model = Stack(StackSettings.model_validate({"members": [{"model": "linear"}], "folds": 2}))
    model.fit(examples, folder=tmp_path / "training")
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    state = json.loads(path.read_text())
    state["lines"]["valence"]["weights"] = [1, 2]
    path.write_text(json.dumps(state))
    with pytest.raises(DataError, match="a weight for each member"):
        Stack.load(tmp_path / "model")
