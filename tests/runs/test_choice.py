"""Where no model is asked for, a quick trial on the posts chooses one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evoked
from evoked.errors import SettingsError
from evoked.features.cache import FeatureCache
from evoked.models.baselines import RecentPosts
from evoked.posts.dataset import PostDataset
from evoked.runs.base import Callbacks
from evoked.runs.choice import Candidate, _chosen, _folds, quick_candidates
from evoked.runs.notes import beside_recent_posts
from evoked.runs.posts import Run
from evoked.targets import TASKS, EmotionEngagement, Outcome
from evoked.testing.examples import random_posts

POSTS = 160


def account(folder: Path, levels: np.ndarray, media: np.ndarray) -> PostDataset:
    """Posts of one author, one a day, whose likes are exp(``levels``)."""
    blank = random_posts(POSTS)
    nothing = {name: pd.NA for name in ("comments", "shares", "saves", "views", "valence")}
    posts = blank.assign(
        **nothing,
        arousal=pd.NA,
        author_id="one",
        followers=1000,
        posted_at=pd.date_range("2024-01-01 12:00", periods=POSTS, freq="D", tz="UTC"),
        caption=None,
        title=None,
        hashtags=[[] for _ in range(POSTS)],
        images=[[] for _ in range(POSTS)],
        media_type=media,
        likes=np.round(np.exp(levels)),
    )
    return PostDataset.create(folder / "posts", {"posts": posts})


def trained(dataset: PostDataset, folder: Path) -> tuple[Run, list[str]]:
    notes: list[str] = []
    cache = FeatureCache(folder / "cache")
    run = evoked.train(
        dataset, out=folder / "run", cache=cache, callbacks=Callbacks(note=notes.append)
    )
    assert isinstance(run, Run)
    return run, notes


def test_where_the_last_posts_are_all_there_is_they_predict(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    levels = np.full(POSTS, 6.0)
    for row in range(5, POSTS):
        levels[row] = np.median(levels[row - 5 : row]) + generator.laplace(0, 0.3)
    dataset = account(tmp_path, levels, np.full(POSTS, "image"))
    run, notes = trained(dataset, tmp_path)
    assert run.model.name == "recent_posts"
    said = "For these posts, the author's last posts predict as well as any model"
    assert sum(said in note for note in notes) == 1
    assert said in (run.folder / "README.md").read_text()
    # A draft is predicted by the last posts that the run knows, and by nothing that it holds.
    when = datetime(2025, 1, 1, tzinfo=UTC)
    drafts = [
        evoked.Draft(caption=text, author="one", followers=1000, posted_at=when) for text in "ab"
    ]
    predicted = run.predict(drafts)["likes"]
    known = dataset.posts["likes"].astype(float).to_numpy()
    assert isinstance(run.model, RecentPosts)
    # The last five, by which they were made.
    assert run.model.recent["likes_rate"] in ("median5", "mean5", "median3")
    last = np.log1p(known[-int(run.model.recent["likes_rate"][-1]) :])
    middle = np.mean if "mean" in run.model.recent["likes_rate"] else np.median
    assert predicted[0] == predicted[1]
    assert predicted[0] == pytest.approx(np.expm1(middle(last)), rel=0.02)


def test_what_posts_show_is_learned_where_it_says_more(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    media = generator.choice(["image", "video"], POSTS)
    levels = 6 + 1.5 * (media == "video") + generator.normal(0, 0.2, POSTS)
    run, notes = trained(account(tmp_path, levels, media), tmp_path)
    choice = run.description["choice"]
    assert run.model.name == choice["model"] in ("linear", "gradient_boosting", "blend")
    assert choice["weights"].get("recent_posts", 0) < 0.3
    assert choice["explained"][choice["model"]] > choice["explained"]["recent_posts"] + 0.3
    assert (choice["kind"], choice["folds"]) == ("time", 3)
    assert choice["reason"] in notes
    assert "weighed by trial: " in choice["reason"]
    assert all(
        f"{name} {share:.0%}" in choice["reason"] for name, share in choice["weights"].items()
    )
    scores = pd.DataFrame(run.metrics["scores"]).set_index(["model", "target", "metric"])["value"]
    metric = ("likes", "R2 of log count")
    assert scores[(run.model.name, *metric)] > scores[("recent_posts", *metric)] + 0.3
    assert not [each for each in run.metrics["warnings"] if "no better than" in each]


def test_few_posts_are_predicted_by_the_last_ones(tmp_path: Path) -> None:
    levels = np.random.default_rng(2).normal(6, 1, POSTS)
    dataset = account(tmp_path, levels, np.full(POSTS, "image")).select(np.arange(4))
    run, notes = trained(dataset, tmp_path)
    assert run.model.name == "recent_posts"
    assert any("too few to try models on" in note for note in notes)


def test_what_has_no_weight_is_left_out() -> None:
    names = ("recent_posts", "linear", "gradient_boosting")
    candidates = {name: Candidate(name, {"own": name}) for name in names}
    weights = {"likes_rate": (0.75, 0.0, 0.25), "comments_rate": (1.0, 0.0, 0.0)}
    chosen, used = _chosen(candidates, weights)
    assert chosen.model == "blend"
    assert [each["model"] for each in chosen.settings["members"]] == [names[0], names[2]]
    assert chosen.settings["members"][1]["settings"] == {"own": "gradient_boosting"}
    assert chosen.settings["weights"] == {"likes_rate": [0.75, 0.25], "comments_rate": [1.0, 0.0]}
    assert used == {"recent_posts": 0.875, "gradient_boosting": 0.125}


@pytest.mark.parametrize(("row", "name"), [((1.0, 0.0), "recent_posts"), ((0.0, 1.0), "linear")])
def test_what_has_all_weight_is_no_blend(row: tuple[float, ...], name: str) -> None:
    candidates = {each: Candidate(each, {}) for each in ("recent_posts", "linear")}
    assert _chosen(candidates, {"likes_rate": row}) == (candidates[name], {name: 1.0})


def test_without_a_trial_the_last_posts_predict() -> None:
    candidates = quick_candidates(EmotionEngagement, 100)
    assert _chosen(candidates, {}) == (candidates["recent_posts"], {"recent_posts": 1.0})


def test_slow_models_are_tried_on_many_posts_only() -> None:
    few, many = (quick_candidates(EmotionEngagement, posts) for posts in (9_999, 10_000))
    assert "abmf" not in few
    assert "abmf" in many
    for task in TASKS.values():
        assert next(iter(quick_candidates(task, 100))) == "recent_posts"


def test_folds_that_cannot_be_made_are_random() -> None:
    posts = random_posts(60)
    assert _folds(posts, "author", 0)[0] == "author"
    kind, folds = _folds(posts.assign(author_id=None), "author", 0)
    assert kind == "random"
    assert len(folds) == 3
    assert _folds(posts.iloc[:2], "random", 0) == ("random", [])


def test_trees_start_from_counts_and_after_a_line() -> None:
    candidates = quick_candidates(EmotionEngagement, 100)
    assert candidates["gradient_boosting"].settings["start"] == "counts"
    assert candidates["gradient_boosting after linear"].settings["start"] == "line"
    # A line of classes has nothing to go on from.
    assert "gradient_boosting after linear" not in quick_candidates(TASKS["level"], 100)


def test_components_are_tried_where_there_is_content() -> None:
    candidates = quick_candidates(EmotionEngagement, 100)
    assert candidates["linear on components"].settings["components"] > 1
    assert not candidates["linear"].settings
    assert "linear on components" not in quick_candidates(EmotionEngagement, 100, content=False)


def test_more_posts_are_worth_more_trees() -> None:
    few, many = (quick_candidates(EmotionEngagement, posts) for posts in (999, 1000))
    for name in ("gradient_boosting", "gradient_boosting after linear"):
        assert few[name].settings["trees"] < many[name].settings["trees"]


def test_settings_without_a_model_are_refused(tmp_path: Path) -> None:
    dataset = PostDataset.create(tmp_path / "posts", {"posts": random_posts(20)})
    with pytest.raises(SettingsError, match="width: settings are for one model"):
        evoked.train(dataset, out=tmp_path / "run", model_settings={"width": 16})


# Beside the last posts ----------------------------------------------------------------------------

COUNTED = Outcome("likes_rate", "value", columns=("likes",), count="likes")
LEVELS = Outcome("level", "classes", ("low", "high"), columns=("low", "high"))


def test_a_model_that_is_no_better_than_the_last_posts_is_named() -> None:
    truth = pd.DataFrame({"likes": [99.0] * 8, "level": ["low"] * 8})
    predicted = pd.DataFrame(
        {"likes": [119.0] * 4 + [83.0, 79.0, 99.0, 99.0], "level": ["low"] * 8}
    )
    recent = pd.DataFrame({"likes": [109.0] * 8, "level": ["high"] * 8})
    outcomes = (COUNTED, LEVELS)
    # log errors 0.18 four times, 0.17, 0.22 and twice 0 against 0.095; of levels all are right.
    assert beside_recent_posts("linear", outcomes, predicted, recent, truth) == (
        "Post by post, on 8 test posts, linear is not clearly better than the author's last posts "
        "(recent_posts), by the mean difference and its 95 % range: its misses of likes are 1.05 "
        "times theirs, 0.97 to 1.13 (in the median off by 20%, the last posts by 10%)."
    )
    assert beside_recent_posts("linear", (LEVELS,), predicted, recent, truth) is None
    said = beside_recent_posts("linear", (LEVELS,), recent, predicted, truth)
    assert said is not None
    assert "of 100 posts it gets the level of +100 more wrong" in said
    assert "so it is worse (wrong for 100%, the last posts for 0%)" in said


def test_a_smaller_median_error_that_shows_nothing_says_why() -> None:
    truth = pd.DataFrame({"likes": [1000.0] * 6})
    predicted = pd.DataFrame({"likes": [1100.0] * 4 + [3000.0, 4000.0]})
    recent = pd.DataFrame({"likes": [1400.0] * 6})
    said = beside_recent_posts("linear", (COUNTED,), predicted, recent, truth)
    assert said is not None
    assert "in the median off by 10%, the last posts by 40%" in said
    low, high = re.search(r"times theirs, ([\d.]+) to ([\d.]+) ", said).groups()  # type: ignore[union-attr]
    assert float(low) < 1 < float(high)


def test_better_post_by_post_is_better() -> None:
    truth = pd.DataFrame({"likes": np.arange(10, 60, dtype=float)})
    noise = np.where(np.arange(50) % 2, 1.0, 1.2)
    near, far = truth * (1.1 * noise[:, None]), truth * (1.3 * noise[:, None])
    assert beside_recent_posts("linear", (COUNTED,), near, far, truth) is None
    assert beside_recent_posts("linear", (COUNTED,), far, near, truth) is not None
    # Nothing is known, so nothing is said.
    nothing = truth * np.nan
    assert beside_recent_posts("linear", (COUNTED,), near, far, nothing) is None
