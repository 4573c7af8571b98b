"""Facts of a person's own: what models learn from them, and what drafts are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evoked.errors import SettingsError
from evoked.explain import explain
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.base import Callbacks
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from tests.support.small_runs import by_hand

SETTINGS: dict[str, dict[str, Any]] = {
    "linear": {},
    "gradient_boosting": {"trees": 60},
    "text_bert": {"width": 16},
}


def ads(n: int = 160) -> pd.DataFrame:
    """Advertisements whose likes follow from what was spent and where they were shown."""
    random = np.random.default_rng(2)
    spend = np.exp(random.normal(3, 1, n))
    reels = random.random(n) < 0.4
    likes = np.exp(2 + np.log(spend) + 1.5 * reels + random.normal(0, 0.3, n))
    return pd.DataFrame(
        {
            "post_id": [f"p{row}" for row in range(n)],
            "caption": [f"Run better with shoe {row % 7}" for row in range(n)],
            "likes": likes.astype(int),
            "fact.spend": spend.round(2),
            "fact.placement": np.where(reels, "reels", "feed"),
        }
    )


def run_of(folder: Path, posts: pd.DataFrame, model: str, notes: list[str] | None = None) -> Run:
    dataset = PostDataset.create(folder / "posts", {"posts": posts})
    return train_posts(
        dataset,
        model,
        folder / "run",
        model_settings=SETTINGS[model],
        split=by_hand(len(posts), tests=40),
        estimate=False,
        callbacks=None if notes is None else Callbacks(note=notes.append),
    )


def score(run: Run) -> float:
    """Rank correlation of predicted and true likes of the test posts."""
    (row,) = (
        each
        for each in run.metrics["scores"]
        if each["model"] == run.model.name
        and (each["target"], each["metric"]) == ("likes", "Spearman of log count")
    )
    return float(row["value"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(tmp_path_factory.mktemp("facts"), ads(), "linear")


@pytest.mark.parametrize("model", ["linear", "gradient_boosting"])
def test_models_learn_from_facts_and_not_without(model: str, tmp_path: Path) -> None:
    posts = ads()
    assert score(run_of(tmp_path / "with", posts, model)) > 0.8
    bare = posts[["post_id", "caption", "likes"]]
    without = run_of(tmp_path / "without", bare, model)
    assert abs(score(without)) < 0.5
    assert without.known_facts == []


def test_a_draft_is_predicted_by_its_facts(run: Run) -> None:
    again = Run.load(run.folder)
    drafts = [Draft(caption="Run", facts={"spend": amount}) for amount in (3, "€60,00")]
    drafts += [Draft(caption="Run", facts={"spend": 60, "placement": "Reels"})]
    few, many, reels = again.predict(drafts)["likes"]
    assert few * 3 < many < reels
    alone = again.predict([drafts[1]])["likes"][0]
    assert alone == pytest.approx(many)


def test_what_a_draft_leaves_out_is_said_beside_its_answer(run: Run) -> None:
    (answer,) = run.answer([Draft(caption="Run", facts={"placement": "radio"})])
    assert "Spend not given: predicted as unknown." in answer
    assert "Placement 'radio' is new to the run" in answer
    table = run.predict([Draft(caption="Run", facts={"spend": 20, "placement": "feed"})])
    assert "unknown" not in (table["assumed"][0] or "")
    with pytest.raises(
        SettingsError, match="there is no fact 'colour'; there are placement, spend"
    ):
        run.predict([Draft(facts={"colour": "red"})])


def test_amounts_beyond_the_training_posts_count_as_the_most_of_them(run: Run) -> None:
    most = next(fact.high for fact in run.known_facts if fact.name == "spend")
    found = run.predict([Draft(caption="Run", facts={"spend": each}) for each in (most, 1e7)])
    assert found["likes"][0] == pytest.approx(found["likes"][1])
    assert "spend 10,000,000 counts as" in found["assumed"][1].lower()
    assert "counts as" not in found["assumed"][0]


def test_facts_are_of_the_training_posts_alone(tmp_path: Path) -> None:
    posts = ads()
    posts.loc[0, ["fact.spend", "fact.placement"]] = [1e6, "radio"]  # a test post
    found = {fact.name: fact for fact in run_of(tmp_path, posts, "linear").known_facts}
    assert found["spend"].high is not None
    assert found["spend"].high < 1e5
    assert set(found["placement"].classes) == {"feed", "reels"}


def test_posts_of_a_dataset_that_lack_the_facts_are_pointed_out(run: Run, tmp_path: Path) -> None:
    bare = ads(5)[["post_id", "caption"]].assign(post_id=[f"new {row}" for row in range(5)])
    notes: list[str] = []
    drafts = PostDataset.create(tmp_path / "bare", {"posts": bare})
    table = run.predict(drafts, Callbacks(note=notes.append))
    (said,) = (text for text in notes if "None of the posts has" in text)
    assert "placement and spend, from which the run has learned" in said
    assert said.endswith("--fact placement --fact spend")
    assert "not given: predicted as unknown" in table["assumed"][0]
    whole = ads(5).drop(columns="likes").assign(post_id=bare["post_id"])
    notes.clear()
    given = PostDataset.create(tmp_path / "whole", {"posts": whole})
    full = run.predict(given, Callbacks(note=notes.append))
    assert not any("None of the posts has placement" in text for text in notes)
    assert not any("not given" in (text or "") for text in full["assumed"])
    assert full["likes"].corr(whole["fact.spend"], method="spearman") > 0.5


def test_evaluation_on_posts_that_lack_the_facts_warns(run: Run, tmp_path: Path) -> None:
    others = ads(40).assign(post_id=[f"new {row}" for row in range(40)])
    whole = PostDataset.create(tmp_path / "whole", {"posts": others})
    assert not any("None of the posts has" in text for text in run.evaluate(whole).warnings)
    bare = others.drop(columns="fact.spend")
    lacking = run.evaluate(PostDataset.create(tmp_path / "bare", {"posts": bare})).warnings
    assert any("None of the posts has spend" in text for text in lacking)


def test_facts_that_changed_since_training_are_noticed(run: Run) -> None:
    posts = PostDataset(run.folder.parent / "posts").posts
    assert run.changes_since(posts) is None
    posts.loc[:2, "fact.spend"] *= 2
    assert "spend of 3" in (run.changes_since(posts) or "")


def test_explanations_name_facts(run: Run) -> None:
    why = explain(run, Draft(caption="Run", facts={"spend": 2, "placement": "reels"}))
    assert set(why.facts.index[:2]) == {"spend: 2", "placement: reels"}


def test_a_model_that_reads_no_facts_says_so(tmp_path: Path) -> None:
    notes: list[str] = []
    run = run_of(tmp_path, ads(80), "text_bert", notes)
    assert (
        "The model text_bert reads no facts about a post, so it learns nothing from placement, "
        "spend." in notes
    )
    assert run.known_facts == []
    with pytest.raises(SettingsError, match="no column of your own"):
        run.predict([Draft(facts={"spend": 3})])


def test_a_fact_that_shows_the_likes_is_warned_of_in_training(tmp_path: Path) -> None:
    notes: list[str] = []
    posts = ads(80)
    run_of(tmp_path, posts.assign(**{"fact.taps": posts["likes"] * 2.0}), "linear", notes)
    doubted = [text for text in notes if "goes with likes so closely" in text]
    assert [text.split()[2] for text in doubted] == ["taps"]
