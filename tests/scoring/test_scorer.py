"""One scorer: rows in, rows out, whoever asks, and whatever is wrong with one of them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import evoked
from evoked.errors import DataError, ImageError, SettingsError
from evoked.files import plain, records
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.scoring import Scorer
from tests.support import command_line
from tests.support.desk_runs import as_options, desk_run, twenty_drafts
from tests.support.small_runs import Workshop

# What single precision leaves of the order in which numbers are added.
_SINGLE = 1e-5


@pytest.fixture(scope="module")
def scorer(workshop: Workshop, dataset: PostDataset) -> Scorer:
    return Scorer(desk_run(workshop, dataset))


@pytest.fixture(scope="module")
def drafts(dataset: PostDataset) -> list[dict[str, Any]]:
    return twenty_drafts(dataset)


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return plain(records(table))


def test_all_ways_lead_to_the_same_numbers(
    scorer: Scorer, drafts: list[dict[str, Any]], tmp_path: Path
) -> None:
    """One by one they are equal to the last digit, in Python and on the command line; the desk's
    own test compares its page and interface with these. Batches of other sizes add single
    precision numbers in another order."""
    expected = scorer.score(drafts)
    assert expected["error"].isna().all()
    assert expected["likes"].nunique() > 10
    one_by_one = pd.concat([scorer.score([row]) for row in drafts], ignore_index=True)
    few = Scorer(scorer.run, batch=7).score(drafts)
    run = scorer.run
    typed = [
        json.loads(
            command_line.evoked(
                "predict", run.folder, *as_options(row), "--json", "--cache", run.cache.folder
            ).stdout
        )[0]
        for row in drafts[:6]
    ]
    expected_names = [row["name"] for row in drafts]
    assert one_by_one["post_id"].tolist() == expected_names
    pd.testing.assert_frame_equal(one_by_one, expected, rtol=_SINGLE)
    pd.testing.assert_frame_equal(few, expected, rtol=_SINGLE)
    assert typed == rows_of(one_by_one.drop(columns="error"))[: len(typed)]


def test_a_table_of_drafts_gives_the_same_numbers(
    scorer: Scorer, dataset: PostDataset, drafts: list[dict[str, Any]], tmp_path: Path
) -> None:
    expected = scorer.score(drafts)
    shutil.copytree(dataset.image_folder, tmp_path / "images")
    table = pd.DataFrame(
        [
            {
                "post_id": row["name"],
                "author": row["author"],
                "date": row["posted_at"],
                "caption": row.get("caption"),
                "image": "images/" + Path(row["image"]).name if "image" in row else None,
                "hashtags": ",".join(row.get("hashtags", [])) or None,
                "followers": row.get("followers"),
            }
            for row in drafts
        ]
    )
    run = scorer.run
    for suffix, write in {".csv": table.to_csv, ".xlsx": table.to_excel}.items():
        source, out = tmp_path / f"drafts{suffix}", tmp_path / f"scores{suffix}.parquet"
        write(source, index=False)
        command_line.evoked(
            *("predict", run.folder, "--drafts", source, "--out", out),
            *("--cache", run.cache.folder),
        )
        found = pd.read_parquet(out)
        assert found["error"].isna().all()
        assert found["post_id"].tolist() == expected["post_id"].tolist()
        numbers = expected.select_dtypes("number").columns
        for name in numbers:
            np.testing.assert_allclose(found[name], expected[name], rtol=_SINGLE, err_msg=name)


def test_one_bad_row_never_sinks_the_others(scorer: Scorer, drafts: list[dict[str, Any]]) -> None:
    good = drafts[:4]
    bad: list[Any] = [
        {"caption": "ok", "followers": -1},
        {"capton": "ok"},
        {"caption": 3},
        {"caption": "ok", "posted_at": "yesterday"},
        {"caption": "ok", "followers": "many"},
        {"caption": "a" * 200_000},
        {"caption": "half \ud800"},
        ImageError("can't be opened.", file="x.jpg"),
        {"caption": "ok", "facts": {"spend": 3}},
    ]
    mixed = [row for pair in zip(bad, [*good, *good, good[0]], strict=True) for row in pair]
    found = scorer.score([{**row, "name": None} if isinstance(row, dict) else row for row in mixed])
    assert len(found) == len(mixed)
    assert found["error"].notna().tolist() == [True, False] * len(bad)
    assert found["likes"].notna().tolist() == [False, True] * len(bad)
    assert found["post_id"].tolist() == [f"draft-{n}" for n in range(1, len(mixed) + 1)]
    expected = ["not a number of people", "Did you mean 'caption'?", "text", "not a date"]
    expected += ["whole number", "characters", "UTF-8", "x.jpg", "spend"]
    for text, error in zip(expected, found["error"].dropna(), strict=True):
        assert text in error
        assert "row" not in error.split(":")[0]
    alone = scorer.score(good)
    np.testing.assert_allclose(found["likes"].dropna()[:4], alone["likes"], rtol=_SINGLE)


def test_rows_that_all_fail_and_no_rows_at_all(scorer: Scorer) -> None:
    found = scorer.score([{"followers": -1}, {"followers": -2}])
    assert found["post_id"].tolist() == ["draft-1", "draft-2"]
    assert found["error"].notna().all()
    assert list(scorer.score([]).columns) == ["post_id", "error"]


def test_a_picture_that_cannot_be_read_is_a_problem_and_not_an_error(
    scorer: Scorer, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    row = {"image": tmp_path / "broken.jpg", "caption": "Golden hour"}
    found = scorer.score([row]).iloc[0]
    assert "broken.jpg" in found["problem"]
    assert found["error"] is None


def test_predict_raises_what_score_keeps(scorer: Scorer) -> None:
    with pytest.raises(DataError, match="row 1, field followers"):
        scorer.predict([evoked.Draft(followers=-1)])
    with pytest.raises(SettingsError, match="coverage"):
        scorer.score([], coverage=1.5)


def all_at_once(
    scorer: Scorer, calls: Sequence[tuple[list[Any], float]]
) -> tuple[list[Any], list[int]]:
    """What each of several threads is answered, or why it was not, all of them waiting when the
    scorer becomes free; and of how many drafts each prediction was."""
    sizes = []
    predict = scorer.run.predict

    def counted(drafts: Sequence[Any], *rest: Any) -> pd.DataFrame:
        sizes.append(len(drafts))
        return predict(drafts, *rest)

    def answer(call: tuple[list[Any], float]) -> Any:
        try:
            return scorer.predict(call[0], coverage=call[1])
        except DataError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool, patch.object(scorer.run, "predict", counted):
        with scorer.turn:
            answers = [pool.submit(answer, call) for call in calls]
            while len(scorer._waiting) < len(calls):
                time.sleep(0.01)
        return [each.result() for each in answers], sizes


def test_who_waits_is_answered_together(scorer: Scorer, drafts: list[dict[str, Any]]) -> None:
    """Each thread gets its own drafts' answers, those of one coverage in one prediction that is no
    larger than a batch."""
    own = [[scorer.draft(row, 1)] for row in drafts[:5]] + [
        [scorer.draft(row, n) for n, row in enumerate(drafts[5:8])]
    ]
    calls = [(each, 0.8) for each in own] + [(own[0], 0.5)]
    expected = [scorer.predict(*each[:1], coverage=each[1]) for each in calls]
    found, sizes = all_at_once(scorer, calls)
    assert sorted(sizes) == [1, 8]
    for table, alone in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(table, alone, rtol=_SINGLE)
    few = Scorer(scorer.run, batch=3)
    assert max(all_at_once(few, calls)[1]) == 3
    assert not scorer._waiting


def test_who_asks_for_what_cannot_be_scored_sinks_nobody_else(
    scorer: Scorer, drafts: list[dict[str, Any]]
) -> None:
    bad = evoked.Draft(caption="Hello", followers=-1)
    calls = [([scorer.draft(row, 1)], 0.8) for row in drafts[:3]]
    found, _ = all_at_once(scorer, [*calls, ([bad], 0.8)])
    assert isinstance(found[3], DataError)
    assert "row 1, field followers" in str(found[3])
    for table, (own, coverage) in zip(found, calls, strict=False):
        pd.testing.assert_frame_equal(table, scorer.predict(own, coverage=coverage))


def test_coverage_widens_ranges_and_nothing_else(
    scorer: Scorer, drafts: list[dict[str, Any]]
) -> None:
    usual, wide = (scorer.score(drafts, coverage=each) for each in (0.8, 0.95))
    pd.testing.assert_series_equal(usual["likes"], wide["likes"])
    width = wide["likes_high"] - wide["likes_low"] - (usual["likes_high"] - usual["likes_low"])
    assert (width >= 0).all()
    assert (width > 0).any()


def test_a_damaged_run_is_no_error_of_a_row(
    workshop: Workshop, dataset: PostDataset, tmp_path: Path
) -> None:
    run = desk_run(workshop, dataset)
    broken = Run.load(run.folder, run.cache)
    broken.pipeline.fitted = {}
    with pytest.raises((DataError, KeyError)):
        Scorer(broken).score([{"caption": "Golden hour"}])


def test_a_scorer_reads_scores_anew_when_the_run_is_replaced(scorer: Scorer) -> None:
    first = scorer.run.track_record
    assert scorer.run.track_record is first
    metrics = scorer.run.folder / "metrics.json"
    metrics.write_text(metrics.read_text(encoding="utf-8"), encoding="utf-8")
    assert scorer.run.track_record is not first
