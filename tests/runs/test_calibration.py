"""Quick models learn from every post before the test posts, and intervals hold all the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evoked.evaluation.splits import Split, choose_split
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from tests.support.small_runs import Workshop


def accounts(workshop: Workshop, name: str, spreads: list[float], posts: int) -> PostDataset:
    """Dated posts of accounts whose likes lie so far apart, as logarithms."""
    generator = np.random.default_rng(5)
    number = len(spreads) * posts
    hours = pd.to_timedelta(np.sort(generator.choice(9000, number, replace=False)), "h")
    author = generator.permutation(np.repeat(np.arange(len(spreads)), posts))
    logs = 6 + np.array(spreads)[author] * generator.normal(size=number)
    table = pd.DataFrame(
        {
            "post_id": [f"post{i}" for i in range(number)],
            "author_id": [f"author{each}" for each in author],
            "posted_at": pd.Timestamp("2025-01-01", tz="UTC") + hours,
            "likes": np.round(np.exp(logs)),
        }
    )
    return PostDataset.create(workshop.folder / name, {"posts": table})


@pytest.fixture(scope="module")
def uneven(workshop: Workshop) -> PostDataset:
    """Eight accounts, from steady to unsteady, of forty posts each."""
    return accounts(workshop, "uneven", list(np.geomspace(0.1, 1.5, 8)), posts=40)


@pytest.fixture(scope="module")
def run(workshop: Workshop, uneven: PostDataset) -> Run:
    """The median of the last posts, tested on the newest."""
    return workshop.run(uneven, "uneven-run", "recent_posts", choose_split(uneven.posts, "time"))


def test_a_quick_model_keeps_no_posts_for_calibration(run: Run, uneven: PostDataset) -> None:
    parts = run.parts["part"].value_counts()
    assert "calibration" not in parts
    # Five spans of the later half of what is learned from.
    learned = parts["train"] + parts["validation"]
    assert run.intervals.posts["likes"] == pytest.approx(learned / 2, abs=2)
    row = next(row for row in run.metrics["intervals"] if row["outcome"] == "likes")
    assert 0.75 <= row["coverage"] <= 0.9
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    assert "folds" in card


def test_steady_accounts_get_narrower_intervals(run: Run, uneven: PostDataset) -> None:
    table = run.predict(uneven).set_index(uneven.posts["author_id"].to_numpy())
    widths = np.log1p(table["likes_high"]) - np.log1p(table["likes_low"])
    last = widths.groupby(level=0).last()
    assert last["author7"] > 1.5 * last["author0"]


def test_where_all_accounts_are_alike_so_are_intervals(workshop: Workshop) -> None:
    even = accounts(workshop, "even", [0.4] * 4, posts=40)
    run = workshop.run(even, "even-run", "recent_posts", choose_split(even.posts, "time"))
    table = run.predict(even).set_index(even.posts["author_id"].to_numpy())
    widths = np.log1p(table["likes_high"]) - np.log1p(table["likes_low"])
    last = widths.groupby(level=0).last()
    assert last.max() < 1.5 * last.min()


def test_the_calibration_part_of_a_split_by_hand_stays(
    workshop: Workshop, uneven: PostDataset
) -> None:
    rows = np.arange(len(uneven))
    split = Split(rows[:200], rows[200:230], rows[260:], "time", "By hand.", rows[230:260])
    run = workshop.run(uneven, "uneven-by-hand", "recent_posts", split)
    assert (run.parts["part"] == "calibration").sum() == 30
    assert run.intervals.posts["likes"] == 30


def test_posts_of_the_test_part_change_nothing_before_them(
    workshop: Workshop, uneven: PostDataset
) -> None:
    """Neither the model nor its calibration sees them."""
    posts = uneven.posts
    split = choose_split(posts, "time")
    likes = posts["likes"].copy()
    likes.iloc[split.test] = 10**6
    changed = workshop.changed(uneven, "uneven-changed", likes=likes)
    before = workshop.run(uneven, "uneven-first", "linear", split)
    after = workshop.run(changed, "uneven-second", "linear", split)
    assert before.intervals.values["likes"].scores == after.intervals.values["likes"].scores
    assert before.model.penalties == after.model.penalties
