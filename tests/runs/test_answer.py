"""Answers and verdicts in sentences, with numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evoked.files import write_parquet
from evoked.runs.answer import add_answers, quantities, verdicts
from evoked.runs.spoken import base_in_words, base_of, spoken, spoken_alike, spoken_share
from evoked.runs.track_record import Held, TrackRecord, TypicalError
from evoked.targets import TASKS, EmotionEngagement, Task, Views


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.4, "0"),
        (4.6, "5"),
        (23.2, "23"),
        (145, "140"),
        (146, "150"),
        (4621, "4,600"),
        (99366, "99,000"),
        (999_900, "1 million"),
        (1_234_567, "1.2 million"),
    ],
)
def test_counts_are_said_in_two_figures(value: float, text: str) -> None:
    assert spoken(value) == text


def test_numbers_that_differ_are_said_in_as_many_figures_as_show_it() -> None:
    assert spoken_alike([4621, 3840, 6816]) == ["4,600", "3,800", "6,800"]
    assert spoken_alike([99_366, 99_120, 99_640]) == ["99,400", "99,100", "99,600"]
    assert spoken_alike([0.2, 0.0, 0.8]) == ["0", "0", "1"]


def test_rates_are_said_per_as_many_as_make_one() -> None:
    assert [base_of(rate) for rate in (0.0465, 0.01, 0.0081, 0.00081, 0.0)] == [
        100,
        100,
        1_000,
        10_000,
        1_000_000,
    ]
    assert base_in_words(1_000, "reach") == "1,000 people reached"
    assert [spoken_share(share) for share in (0.153, 0.004)] == ["15%", "under 1%"]


def test_typical_error_is_a_median_in_per_cent_unless_many_have_none() -> None:
    predicted = pd.Series([110.0, 180.0, 300.0, np.nan])
    # Errors 10, 20 and 100: 10 %, 10 % and 50 %.
    error = TypicalError.of(predicted, pd.Series([100.0, 200.0, 200.0, 1.0]))
    assert error == TypicalError(20.0, pytest.approx(0.1), 3)
    assert TypicalError.of(predicted, pd.Series([0.0, 0.0, 299.0, 1.0])) == (110.0, None, 3)
    assert TypicalError.of(predicted, pd.Series([np.nan] * 4)) is None


def test_promise_is_kept_unless_chance_makes_so_few_hold_in_one_of_twenty() -> None:
    # Of 30 at 80 %: P(20 or fewer) = 0.061, P(19 or fewer) = 0.026.
    assert Held(0.8, 20, 30).kept
    assert not Held(0.8, 19, 30).kept


def made(
    folder: Path,
    task: Task,
    intervals: dict[str, tuple[float, int]],
    **columns: tuple[list[float], list[float]],
) -> TrackRecord:
    """A record of predictions and truths by column, and of shares that held of so many posts."""
    write_parquet(
        folder / "predictions.parquet", pd.DataFrame({k: v[0] for k, v in columns.items()})
    )
    write_parquet(folder / "truth.parquet", pd.DataFrame({k: v[1] for k, v in columns.items()}))
    rows: list[dict[str, Any]] = [
        {"outcome": name, "nominal": 0.8, "coverage": share, "n": n}
        for name, (share, n) in intervals.items()
    ]
    return TrackRecord(folder, rows)


def engagement(denominator: str) -> EmotionEngagement:
    """The default task with posts of 1,000 followers, reached people or views and known counts."""
    posts = pd.DataFrame({"likes": [10.0, 20.0], "comments": [1.0, 2.0], "shares": np.nan})
    posts = posts.assign(saves=np.nan, valence=np.nan, arousal=np.nan)
    if denominator != "none":
        posts[denominator] = 1000.0
    return EmotionEngagement.fit(posts)


def predicted(**numbers: tuple[float, float, float]) -> pd.DataFrame:
    """One row of predictions: value, low and high by column."""
    ends = ("", "_low", "_high")
    return pd.DataFrame(
        {
            f"{name}{end}": [value]
            for name, values in numbers.items()
            for end, value in zip(ends, values, strict=True)
        }
    )


def answer(task: Task, table: pd.DataFrame, record: TrackRecord, **options: Any) -> str:
    coverage = options.pop("coverage", 0.8)
    recent = options.pop("recent", {})
    return str(add_answers(task, table, record, coverage, recent, **options)["answer"].iloc[0])


def test_answer_has_count_range_standing_record_and_error(tmp_path: Path) -> None:
    task = engagement("followers")
    record = made(tmp_path, task, {"likes": (0.78, 100)}, likes=([115.0], [100.0]))
    table = predicted(likes_rate=(0.0465, 0.038, 0.068), likes=(4621, 3840, 6816))
    recent = {"likes": np.array([[4000, 4100, 4200, 5000, 5100, 5200, 4621, 1, 2, 3.0]])}
    found = add_answers(task, table, record, 0.8, recent, whose="your")
    assert found["answer"].iloc[0] == (
        "About 4,600 likes (3,800 to 6,800), better than 6 of your last 10 posts; ranges like this "
        "held for 78 of 100 test posts; typically off by 15%."
    )
    assert found["coverage_measured"].iloc[0] == pytest.approx(0.78)
    assert found["coverage_n"].iloc[0] == 100


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([1.0, 2.0], ", better than all of the author's last 2 posts;"),
        ([9000.0, 9000.0], ", better than none of the author's last 2 posts;"),
        ([1.0, np.nan], ", better than the author's last post;"),
        ([9000.0, np.nan], ", not better than the author's last post;"),
        ([np.nan, np.nan], "6,800); how often such ranges hold was not measured."),
    ],
)
def test_last_posts_are_those_that_there_are(
    counts: list[float], text: str, tmp_path: Path
) -> None:
    table = predicted(likes=(4621, 3840, 6816))
    record = TrackRecord(tmp_path, [])
    assert text in answer(
        engagement("followers"), table, record, recent={"likes": np.array([counts])}
    )


@pytest.mark.parametrize(
    ("denominator", "text"),
    [
        ("followers", "About 4.7 likes per 100 followers (3.8 to 6.8); "),
        ("reach", "About 4.7 likes per 100 people reached (3.8 to 6.8); "),
        ("views", "About 4.7 likes per 100 views (3.8 to 6.8); "),
    ],
)
def test_rates_stand_for_counts_that_are_unknown(
    denominator: str, text: str, tmp_path: Path
) -> None:
    nan = np.nan
    table = predicted(likes_rate=(0.0466, 0.038, 0.068), likes=(nan, nan, nan))
    record = TrackRecord(tmp_path, [])
    assert answer(engagement(denominator), table, record).startswith(text)


def test_promise_that_was_not_kept_is_taken_back(tmp_path: Path) -> None:
    table = predicted(likes=(4621, 3840, 6816))
    record = made(tmp_path, engagement("followers"), {"likes": (14 / 30, 30)})
    assert answer(engagement("followers"), table, record) == (
        "About 4,600 likes (3,800 to 6,800); ranges that were to hold for 80% held for only 14 of "
        "30 test posts, so this one is wider."
    )


def test_ranges_of_another_coverage_are_named_and_not_measured(tmp_path: Path) -> None:
    table = predicted(likes=(4621, 3840, 6816))
    record = made(tmp_path, engagement("followers"), {"likes": (0.78, 100)})
    found = add_answers(engagement("followers"), table, record, 0.95, {})
    assert "; ranges of 80% held for 78 of 100 test posts." in found["answer"].iloc[0]
    assert found["coverage_measured"].isna().all()


def test_whole_range_is_no_range(tmp_path: Path) -> None:
    table = predicted(likes=(4621, 0, np.inf))
    assert answer(engagement("followers"), table, TrackRecord(tmp_path, [])) == (
        "About 4,600 likes; too few posts for a range."
    )

    table = predicted(likes=(4621, 0, 1e9))
    assert answer(
        engagement("followers"), table, TrackRecord(tmp_path, []), unbounded={"likes"}
    ).startswith("About 4,600 likes; too few posts")


def test_nothing_predicted_is_no_answer(tmp_path: Path) -> None:
    nan = np.nan
    table = predicted(likes=(nan, nan, nan))
    found = add_answers(engagement("followers"), table, TrackRecord(tmp_path, []), 0.8, {})
    assert found["answer"].iloc[0] is None


def test_classes_are_answered_by_the_most_probable_and_their_set(tmp_path: Path) -> None:
    table = pd.DataFrame({"level": ["high"], "level_set": ["medium|high"]}).assign(
        level_probability_high=0.62
    )
    level = TASKS["level"]
    task = level.fit(pd.DataFrame({"likes": np.arange(30.0)}))
    record = made(tmp_path, task, {"level": (0.81, 100)})
    assert answer(task, table, record) == (
        "Most probably high (62%), otherwise medium; such sets held the truth of 81 of 100 test "
        "posts."
    )


def test_counts_come_before_rates_and_emotion(tmp_path: Path) -> None:
    names = [each.column for each in quantities(engagement("followers"))]
    assert names[:2] == ["likes", "comments"]
    assert names.index("likes_rate") < names.index("valence")
    assert "likes_rate" not in [each.column for each in quantities(engagement("none"))]


def test_verdict_has_error_baseline_and_coverage(tmp_path: Path) -> None:
    task = engagement("followers")
    record = made(
        tmp_path,
        task,
        {"likes": (0.5, 2), "likes_rate": (0.5, 2)},
        likes=([110.0, 240.0], [100.0, 200.0]),
        likes_rate=([0.11, 0.24], [0.1, 0.2]),
        comments=([3.0, 5.0], [0.0, 1.0]),
    )
    assert verdicts(task, record, 0.8) == [
        "Likes: typically off by 15%, or 25 likes (median over 2 test posts). Ranges of 80% held "
        "for 1 of 2 test posts.",
        "Comments: typically off by 4 comments (median over 2 test posts).",
    ]
    trivial = tmp_path / "baselines" / "author_mean" / "predictions.parquet"
    write_parquet(trivial, pd.DataFrame({"likes": [120.0, 200.0]}))
    usual = "; what posts usually get (author_mean) is off by 10%."
    assert usual in verdicts(task, record, 0.8)[0]
    recent = tmp_path / "baselines" / "recent_posts" / "predictions.parquet"
    # Of posts without a date, the last ones are unknown, and the baseline is the author's mean.
    write_parquet(recent, pd.DataFrame({"likes": [120.0, 200.0]}))
    assert usual in verdicts(task, record, 0.8)[0]
    write_parquet(recent, pd.DataFrame({"likes": [130.0, 200.0]}))
    assert "; the median of the last posts is off by 15%." in verdicts(task, record, 0.8)[0]


def test_reach_is_a_number_of_people(tmp_path: Path) -> None:
    task = Views.fit(pd.DataFrame({"reach": [900.0, 1100.0]}))
    text = answer(task, predicted(reach=(1000, 500, 2000)), made(tmp_path, task, {}))
    assert text.startswith("About 1,000 people reached (500 to 2,000)")
