"""Intervals keep what they promise, with few posts, ties and unknown truths too."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from typer.testing import CliRunner

from evoked.cli import app
from evoked.errors import DataError, SettingsError
from evoked.evaluation.conformal import (
    Intervals,
    LabelSets,
    Predicted,
    ResidualIntervals,
    conformal_quantile,
    fewest_posts,
    weighted_quantile,
)
from evoked.evaluation.splits import Split, with_calibration
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.posts.schema import ENGAGEMENT, MIKELS
from evoked.report import write_report
from evoked.runs.posts import Run
from evoked.targets import TASKS, EmotionEngagement, Task
from tests.support.small_runs import Workshop

ONE_UNIT: tuple[list[float], list[float]] = ([], [])


def drawn_posts(n: int, seed: int) -> pd.DataFrame:
    """Posts whose log rate of engagement and emotion partly follow from a number ``signal``."""
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=n)
    followers = np.exp(generator.normal(8, 1, size=n)).round() + 1
    noise = generator.normal(size=(n, 6))
    posts = {
        "post_id": [f"{seed}-{i}" for i in range(n)],
        "author_id": [f"author{i % 7}" for i in range(n)],
        "posted_at": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(range(n), "h"),
        "signal": signal,
        "followers": followers,
        "views": followers * 3,
        "reach": followers * 2,
        "impressions": followers * 4,
        "valence": np.clip(signal + noise[:, 0], -4, 4).round(1),
        "arousal": np.clip(4 + signal + noise[:, 1], 0, 8).round(1),
    }
    eighths = np.clip(np.floor(4 + 1.5 * (signal + noise[:, 0])), 0, 7).astype(int)
    posts["emotion"] = np.array(MIKELS, dtype=object)[eighths]
    for position, name in enumerate(ENGAGEMENT):
        rate = np.exp(-5 + signal + noise[:, 2 + position] * (1 + (signal > 0)))
        posts[name] = np.floor(followers * rate)
    return pd.DataFrame(posts)


def guessed(task: Task, posts: pd.DataFrame) -> pd.DataFrame:
    """Predictions of some use: the truth of a post shrunk, noise in it; the same for equal rows."""
    signal = posts["signal"].to_numpy()
    columns = {}
    for position, name in enumerate(task.columns):
        low, high = task.bounds(name)
        share = 1 / (1 + np.exp(-signal + position - len(task.columns) / 2))
        columns[name] = low + share * (min(high, 10.0) - low)
    return pd.DataFrame(columns)


def predicted(task: Task, n: int, seed: int) -> Predicted:
    posts = drawn_posts(n, seed)
    return Predicted(posts, guessed(task, posts))


@pytest.fixture(scope="module", params=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param].fit(drawn_posts(400, 99))


def test_the_rank_by_hand() -> None:
    scores = [5.0, 1.0, 3.0, 2.0, 4.0, 9.0, 7.0, 8.0, 6.0]
    assert conformal_quantile(scores, 0.8) == 8.0  # (9 + 1) · 0.8
    assert conformal_quantile(scores, 0.9) == 9.0
    assert conformal_quantile(scores, 0.75) == 8.0  # 7.5, rounded up
    assert conformal_quantile(scores, 0.91) == math.inf  # 9.1 of 9
    assert conformal_quantile([], 0.8) == math.inf
    assert conformal_quantile(range(19), 0.55) == 10  # 11.000000000000002 is the 11th


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_fewest_posts_is_the_first_number_that_bounds(level: float) -> None:
    fewest = fewest_posts(level)
    assert math.isfinite(conformal_quantile(np.zeros(fewest), level))
    assert conformal_quantile(np.zeros(fewest - 1), level) == math.inf


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 80.0, math.nan])
def test_a_level_is_between_0_and_1(level: float) -> None:
    with pytest.raises(SettingsError, match="between 0 and 1"):
        conformal_quantile([1.0], level)


@settings(max_examples=25)
@given(
    n=st.integers(1, 60),
    level=st.sampled_from([0.5, 0.8, 0.9]),
    skew=st.floats(0, 2),
    coarse=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_exchangeable_posts_are_covered(
    n: int, level: float, skew: float, coarse: bool, seed: int
) -> None:
    repetitions = 300
    generator = np.random.default_rng(seed)
    units, cuts = 30, 30 + n
    hits = 0
    for _ in range(repetitions):
        guess = generator.normal(size=cuts + 1)
        truth = guess + np.exp(skew * generator.normal(size=cuts + 1)) * (1 + (guess > 0)) - 1
        truth = truth.round() if coarse else truth  # ties
        found = ResidualIntervals.fit(
            (guess[:units], truth[:units]), (guess[units:cuts], truth[units:cuts])
        )
        low, high = found.bounds(guess[cuts:], level)
        hits += bool(low[0] <= truth[cuts] <= high[0])
    # One in 10⁷ is less often covered than this if the promise is kept.
    assert hits >= binom.ppf(1e-7, repetitions, level)


def test_coverage_is_not_more_than_promised_without_ties() -> None:
    generator = np.random.default_rng(1)
    hits = []
    for _ in range(400):
        guess = generator.normal(size=150)
        truth = guess + generator.normal(size=150)
        found = ResidualIntervals.fit((guess[:50], truth[:50]), (guess[50:99], truth[50:99]))
        low, high = found.bounds(guess[99:], 0.8)
        hits.append(np.mean((low <= truth[99:]) & (truth[99:] <= high)))
    assert np.mean(hits) == pytest.approx(0.8, abs=0.015)  # (49 + 1) · 0.8 is whole


def test_without_posts_for_units_the_interval_is_the_plain_one() -> None:
    residuals = np.array([0.5, -1.0, 2.0, -0.25, 1.5])
    found = ResidualIntervals.fit(ONE_UNIT, (np.zeros(5), residuals))
    low, high = found.bounds([10.0], 0.8)
    assert (low[0], high[0]) == (8.0, 12.0)


def test_uncertain_predictions_get_wider_intervals_on_the_uncertain_side() -> None:
    generator = np.random.default_rng(0)
    guess = generator.uniform(0, 10, size=600)
    truth = guess + np.abs(generator.normal(size=600)) * guess
    found = ResidualIntervals.fit((guess[:300], truth[:300]), (guess[300:], truth[300:]))
    low, high = found.bounds([1.0, 9.0], 0.8)
    assert high[1] - 9 > 1.5 * (high[0] - 1)
    assert high[1] - 9 > 2 * (9 - low[1])


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_posts_bound_nothing(n: int) -> None:
    found = ResidualIntervals.fit(ONE_UNIT, (np.zeros(n), np.arange(n)))
    low, high = found.bounds([0.0], 0.8)
    assert (low[0], high[0]) == (-math.inf, math.inf)


def test_unknown_truths_do_not_count() -> None:
    guess, truth = np.zeros(8), np.array([1, np.nan, 2, np.nan, 3, 4, np.nan, np.inf])
    assert ResidualIntervals.fit((guess, truth), (guess, truth)) == ResidualIntervals.fit(
        (np.zeros(4), [1, 2, 3, 4]), (np.zeros(4), [1, 2, 3, 4])
    )


def test_perfect_predictions_have_intervals_of_no_width() -> None:
    values = np.arange(10.0)
    low, high = ResidualIntervals.fit((values, values), (values, values)).bounds([3.3], 0.8)
    assert (low[0], high[0]) == (3.3, 3.3)


def test_scores_are_bounded_in_number() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    found = ResidualIntervals.fit(ONE_UNIT, (np.zeros(5000), values))
    assert len(found.scores) == 2000
    assert found.bounds([0.0], 0.8)[1][0] == pytest.approx(1.2816, abs=0.08)


def test_sets_hold_the_probable_classes() -> None:
    shares = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
    found = LabelSets.fit(shares, [0, 1, 2, -1])
    assert found.scores == pytest.approx([0.2, 0.3, 0.7])
    assert found.members(shares, 0.7).tolist() == [  # the 3rd of 3: a probability of 0.3
        [True, False, False],
        [True, True, False],
        [False, False, True],
        [True, True, False],
    ]
    assert found.members(shares, 0.8).all()  # three posts don't bound 80 %


@settings(max_examples=20)
@given(
    classes=st.integers(2, 6),
    n=st.integers(1, 60),
    level=st.sampled_from([0.5, 0.8, 0.9]),
    sharpness=st.floats(0, 3),
    seed=st.integers(0, 10_000),
)
def test_sets_cover_and_hold_the_most_probable(
    classes: int, n: int, level: float, sharpness: float, seed: int
) -> None:
    repetitions = 300
    generator = np.random.default_rng(seed)
    weights = np.exp(sharpness * generator.normal(size=(repetitions, n + 1, classes)))
    shares = weights / weights.sum(axis=2, keepdims=True)
    # The model is wrong: the truth follows other probabilities.
    truth = (generator.uniform(size=(repetitions, n + 1, 1)) > np.sqrt(shares).cumsum(2)).sum(2)
    truth = np.minimum(truth, classes - 1)
    hits = 0
    for share, true in zip(shares, truth, strict=True):
        members = LabelSets.fit(share[:n], true[:n]).members(share[n:], level)
        assert members[0, share[n].argmax()]
        hits += bool(members[0, true[n]])
    assert hits >= binom.ppf(1e-7, repetitions, level)


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_every_task_is_covered(task: Task, level: float) -> None:
    shares: dict[str, list[float]] = {}
    for seed in range(12):
        found = Intervals.fit(task, predicted(task, 60, seed), predicted(task, 150, 100 + seed))
        coverage = found.coverage(task, predicted(task, 300, 200 + seed), nominal=[level])
        assert set(coverage["outcome"]) >= {outcome.name for outcome in task.outcomes}
        for _, row in coverage.iterrows():
            assert row["low"] <= row["coverage"] <= row["high"]
            assert row["enough"]
            assert np.isfinite(row["width"])
            shares.setdefault(row["outcome"], []).append(row["coverage"])
    # Calibration and test both vary: a standard deviation of 4 points, a third of it in the mean.
    assert all(np.mean(values) >= level - 0.04 for values in shares.values()), shares


def test_intervals_enclose_what_is_predicted(task: Task) -> None:
    found = Intervals.fit(task, predicted(task, 60, 0), predicted(task, 150, 1))
    new = predicted(task, 40, 2)
    narrow, wide = found.table(task, new, 0.8), found.table(task, new, 0.9)
    plain = task.inverse_transform(new.columns, new.posts)
    pd.testing.assert_frame_equal(narrow[list(plain)], plain)
    for name in plain:
        if f"{name}_low" in narrow:
            low, high = (f"{name}_{end}" for end in ("low", "high"))
            ends = [wide[low], narrow[low], narrow[name], narrow[high], wide[high]]
            assert all((lower <= higher).all() for lower, higher in pairwise(ends))
        if f"{name}_set" in narrow:
            best = narrow[name].astype(str)
            best = best.replace({"True": "popular", "False": "not popular"})
            for label, labels in zip(best, narrow[f"{name}_set"], strict=True):
                assert label in labels.split("|")


@pytest.mark.parametrize("n", [0, 1, 5])
def test_few_calibration_posts_give_the_whole_range(task: Task, n: int) -> None:
    few = predicted(task, 150, 1)
    few = Predicted(few.posts.iloc[:n], few.columns.iloc[:n])
    found = Intervals.fit(task, predicted(task, 60, 0), few)
    new = predicted(task, 40, 2)
    rows = found.coverage(task, new, nominal=[0.9])
    assert not rows["enough"].any()
    assert (rows["calibration"] <= n).all()
    if isinstance(task, EmotionEngagement):
        table = found.table(task, new, 0.9)
        assert (table["valence_low"] == -4).all()
        assert (table["valence_high"] == 4).all()
        assert (table["likes_standing_high"] == 1).all()
    for outcome in task.outcomes:
        if outcome.kind != "value":
            chosen = found.table(task, new, 0.9)[f"{outcome.name}_set"]
            assert (chosen.str.count(r"\|") == max(len(outcome.labels), 2) - 1).all()


def test_counts_have_the_interval_of_their_rates() -> None:
    task = EmotionEngagement.fit(drawn_posts(400, 99))
    found = Intervals.fit(task, predicted(task, 60, 0), predicted(task, 150, 1))
    new = predicted(task, 40, 2)
    table = found.table(task, new)
    for end in ("low", "high"):
        counts = table[f"likes_rate_{end}"] * new.posts["followers"]
        enclosing = (
            np.minimum(np.ceil(counts.round(6)), np.floor(table["likes"].round(6)))
            if end == "low"
            else np.maximum(np.floor(counts.round(6)), np.ceil(table["likes"].round(6)))
        )
        np.testing.assert_array_equal(table[f"likes_{end}"], enclosing)


def test_emotion_that_nobody_rated_is_not_calibrated() -> None:
    task = EmotionEngagement.fit(drawn_posts(400, 99))
    calibration = predicted(task, 150, 1)
    calibration.posts[["valence", "arousal"]] = np.nan
    found = Intervals.fit(task, predicted(task, 60, 0), calibration)
    table = found.table(task, predicted(task, 5, 2))
    assert (table["valence_low"] == -4).all()
    assert (table["likes_standing_high"] - table["likes_standing_low"]).max() < 1


def test_authors_are_resampled_where_they_were_held_out() -> None:
    task = EmotionEngagement.fit(drawn_posts(400, 99))
    found = Intervals.fit(task, predicted(task, 60, 0), predicted(task, 150, 1))
    new = predicted(task, 100, 2)
    same = found.coverage(task, new, authors=np.repeat(["one", "other"], 50), nominal=[0.8])
    free = found.coverage(task, new, nominal=[0.8])
    assert same["coverage"].equals(free["coverage"])
    assert not same["low"].equals(free["low"])


def test_saved_and_loaded_are_equal(task: Task) -> None:
    found = Intervals.fit(task, predicted(task, 60, 0), predicted(task, 150, 1))
    again = Intervals.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found
    empty = Intervals.fit(task, predicted(task, 0, 0), predicted(task, 0, 1))
    assert Intervals.from_dict(json.loads(json.dumps(empty.to_dict(), allow_nan=False))) == empty


@pytest.mark.parametrize(
    "state", [{}, {"values": {"a": {"at": ["x"]}}, "sets": {}, "posts": {}}, {"values": 3}]
)
def test_damaged_intervals_are_refused(state: dict[str, object]) -> None:
    with pytest.raises(DataError, match="Train the model again"):
        Intervals.from_dict(state)


def validated_on(rows: np.ndarray, kind: str) -> Split:
    none = np.empty(0, dtype=np.int64)
    return Split(none, rows, none, kind, "By hand.")


@pytest.mark.parametrize("kind", ["random", "author", "time", "column"])
def test_halves_share_no_post_author_or_instant(kind: str) -> None:
    posts = drawn_posts(60, 0)
    rows = np.arange(10, 50)
    split = with_calibration(posts, validated_on(rows, kind), seed=0, fewest=4)
    first, second = split.validation, split.calibration
    assert sorted([*first, *second]) == rows.tolist()
    assert min(len(first), len(second)) >= 15
    if kind == "author":
        authors = posts["author_id"]
        assert not set(authors[first]) & set(authors[second])
    if kind == "time":
        assert posts["posted_at"][first].max() < posts["posted_at"][second].min()


@pytest.mark.parametrize(
    ("rows", "kind"),
    [(np.arange(7), "random"), (np.arange(0), "time"), (np.arange(0, 60, 7), "author")],
)
def test_a_small_part_stays_whole(rows: np.ndarray, kind: str) -> None:
    split = with_calibration(drawn_posts(60, 0), validated_on(rows, kind), seed=0, fewest=4)
    assert split.validation.tolist() == rows.tolist()
    assert not len(split.calibration)


@pytest.fixture(scope="module")
def made(workshop: Workshop, dataset: PostDataset) -> Run:
    """The mean of the training posts, its intervals calibrated on five posts."""
    rows = np.arange(len(dataset))
    split = Split(rows[20:], rows[10:15], rows[:10], "random", "By hand.", rows[15:20])
    return workshop.run(dataset, "calibrated", "mean", split)


def test_a_run_predicts_with_intervals_and_keeps_them(made: Run, dataset: PostDataset) -> None:
    assert (made.parts["part"] == "calibration").sum() == 5
    table = made.predict([Draft(caption="Golden hour", followers=1000)])
    wide = made.predict([Draft(caption="Golden hour", followers=1000)], coverage=0.95)
    assert table["likes_low"].item() < table["likes"].item() < table["likes_high"].item()
    assert wide["valence_high"].item() == 4  # five posts and ten tests don't bound 95 %
    again = Run.load(made.folder)
    assert again.intervals == made.intervals
    found = again.evaluate(dataset)
    assert len(found.predictions) == 10  # neither what it learned from nor what calibrated it
    rows = found.to_dict()["intervals"]
    assert rows == made.metrics["intervals"]
    assert {row["nominal"] for row in rows} == {0.8, 0.9}
    assert {row["outcome"] for row in rows} >= {"valence", "likes_rate", "likes"}
    assert [row["enough"] for row in rows] == [row["nominal"] == 0.8 for row in rows]


def test_card_and_report_show_coverage(made: Run, tmp_path: Path) -> None:
    card = (made.folder / "README.md").read_text(encoding="utf-8")
    assert "5 to\ncalibrate" in card
    assert "too few: the whole range" in card
    page = write_report(made, None, tmp_path / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="intervals"') : page.index('<section id="learning"')]
    assert "covered at 80%" in section
    assert "covered at 90%" in section
    assert "the whole range" in section


def test_the_console_shows_intervals(made: Run, dataset: PostDataset) -> None:
    shown = CliRunner().invoke(
        app,
        ["predict", str(made.folder), "--caption", "x", "--followers", "1000", "--author", "new"],
    )
    assert shown.exit_code == 0, shown.output
    assert "80% interval" in shown.output
    assert re.search(r"likes +[\d.,]+ \([\d.,]+–[\d.,]+\)", shown.output)
    draft = ["predict", str(made.folder), "--caption", "x", "--author", "new"]
    wide = [*draft, "--coverage", "0.95"]
    assert "Too few calibration posts for 95%" in CliRunner().invoke(app, wide).output
    result = CliRunner().invoke(app, ["evaluate", str(made.folder), str(dataset.folder)])
    assert re.search(r"likes_rate +80% +[\d.]+% \(\d+%…\d+%\)", result.output)
    refused = CliRunner().invoke(app, [*wide[:-1], "90"])
    assert refused.exit_code != 0


def test_a_run_without_its_intervals_is_refused(made: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(made.folder, tmp_path / "damaged")
    (folder / "intervals.json").unlink()
    with pytest.raises(DataError, match=r"intervals\.json.*does not exist"):
        Run.load(folder)
    shown = CliRunner().invoke(app, ["predict", str(folder), "--caption", "x"])
    assert isinstance(shown.exception, DataError)


def test_weighted_rank_by_hand() -> None:
    # Weights 1/4, 1/2, 1 and 1 for the post to come: 2.75 in all, of which 80 % are 2.2.
    assert weighted_quantile([9.0, 1.0, 2.0], 0.5, half_life=1) == 2.0  # 1.375: 1/2, then 1.5
    assert weighted_quantile([1.0, 2.0, 9.0], 0.25, half_life=1) == 2.0  # 0.6875: 1/4, then 3/4
    assert weighted_quantile([9.0, 1.0, 2.0], 0.8, half_life=1) == math.inf  # 1.75 is all there is
    values = np.random.default_rng(0).normal(size=40)
    equal = weighted_quantile(values, 0.8, half_life=1e12)
    assert equal == conformal_quantile(values, 0.8)


def test_each_post_in_turn_is_calibrated_on_what_is_past() -> None:
    found = ResidualIntervals([0.0], [1.0], [1.0], [1.0] * 100, half_life=2.0)
    # Two posts of one instant see none of each other; the third sees both.
    reaches = found.reach_in_turn(np.array([5.0, 5.0, 5.0]), np.array([1.0, 1.0, 2.0]), 0.5)
    # Of the weights, 3.41 and 1 for the post to come, the two fives have 1.71 and the ones 1.71,
    # which is less than half.
    assert reaches.tolist() == [1.0, 1.0, 5.0]
    alike = replace(found, half_life=None)
    assert set(alike.reach_in_turn(np.array([5.0] * 6), np.arange(6.0), 0.5)) == {1.0}


def test_drafts_are_calibrated_on_test_posts_and_test_posts_are_not() -> None:
    found = ResidualIntervals([0.0], [1.0], [1.0], [1.0] * 10)
    tested = found.with_tested(np.array([7.0] * 30 + [np.nan]))
    assert (found.reach(0.8), tested.reach(0.8)) == (1.0, 7.0)
    assert set(tested.reach_in_turn(np.array([7.0] * 3), np.arange(3.0), 0.8)) == {1.0}


def test_widened_ranges_would_have_held_for_the_test_posts() -> None:
    found = ResidualIntervals([0.0], [1.0], [1.0], [1.0] * 100)
    tested = found.with_tested(np.arange(1.0, 10.0))  # of 1 to 9 the eighth holds 80 %
    assert tested.reach(0.8) == 1.0
    assert tested.reach(0.8, widened=True) == 8.0


@pytest.mark.parametrize("drift", [0.0, 2.5])
def test_ranges_hold_though_an_account_drifts(drift: float) -> None:
    shares = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        when = np.arange(700) / 700
        misses = np.abs(0.4 * generator.normal(size=700) + drift * np.maximum(0, when - 0.7))
        found = ResidualIntervals([0.0], [1.0], [1.0], misses[540:595].tolist(), half_life=25.0)
        shares.append(np.mean(misses[595:] <= found.reach_in_turn(misses[595:], when[595:], 0.8)))
    assert 0.74 <= np.mean(shares) <= 0.87


def test_ranges_of_a_logistic_curve_multiply_its_odds() -> None:
    task = EmotionEngagement.fit(drawn_posts(400, 99))
    calibration = predicted(task, 150, 1)
    found = Intervals.fit(task, predicted(task, 0, 0), calibration)  # one unit for all
    columns = calibration.columns.iloc[:3].assign(likes=[0.5, 0.9, 0.99])
    table = found.table(task, Predicted(calibration.posts.iloc[:3], columns))
    share = table["likes_standing_high"].to_numpy()
    ratio = share / (1 - share) / np.array([1.0, 9.0, 99.0])
    assert ratio[0] > 1
    np.testing.assert_allclose(ratio, ratio[0])
