"""The posts of the benchmark of growth, and how it measures."""

from __future__ import annotations

import sys
from pathlib import Path

import growth
import numpy as np
import pandas as pd
import pytest


@pytest.mark.parametrize("n", [30, 130, 1_005])
def test_as_many_posts_as_asked_for(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "BATCH_AUTHORS", 2)
    posts = pd.concat(growth.make_posts(n), ignore_index=True)
    assert len(posts) == n
    assert posts["post_id"].is_unique
    assert posts["author_id"].nunique() == max(1, n // growth.POSTS_PER_AUTHOR)
    again = pd.concat(growth.make_posts(n), ignore_index=True)
    pd.testing.assert_frame_equal(posts, again)


def test_authors_have_a_level_and_posts_follow_each_other() -> None:
    posts = pd.concat(growth.make_posts(2_000), ignore_index=True)
    logs = np.log1p(posts["likes"] / posts["followers"])
    within = logs - logs.groupby(posts["author_id"]).transform("mean")
    assert within.var() < 0.7 * logs.var()
    gaps = posts.groupby("author_id")["posted_at"].diff().dropna()
    assert (gaps >= pd.Timedelta(0)).all()


def test_the_last_days_are_appended(tmp_path: Path) -> None:
    first, last = growth.write_sources(2_000, tmp_path)
    base, more = pd.read_parquet(first), pd.read_parquet(last)
    assert len(base) + len(more) == 2_000
    assert len(more) > 20
    assert base["posted_at"].max() < more["posted_at"].min()


def test_a_process_and_its_children_are_measured(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time; block = bytearray(60_000_000); "
        "subprocess.run([sys.executable, '-c', "
        "'import time; block = bytearray(60_000_000); time.sleep(.5)'])"
    )
    found = growth.measure([sys.executable, "-c", program], tmp_path / "log")
    assert found.wall >= 0.5
    assert found.memory > 110
    assert found.cpu > 0
    with pytest.raises(SystemExit, match="broken"):
        growth.measure([sys.executable, "-c", "raise ValueError('broken')"], tmp_path / "log")
