"""Readers on real files, which are not part of evoked and may be absent."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evoked.posts.importing import ImportResult, import_posts
from evoked.posts.schema import convert_scale


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "posts"


def test_instagram_top20(shared_data: Path, dest: Path) -> None:
    result = import_posts("instaloader", shared_data / "instagram_top20", dest)
    described = result.dataset.describe()
    assert (described["posts"], described["authors"], described["with image"]) == (200, 20, 200)
    assert (described["with likes"], described["with caption"]) == (200, 189)
    assert result.dataset.posts["followers"].min() > 10**6
    assert not result.tally.skipped
    assert not result.tally.changed


def test_instaloader_sample(shared_data: Path, dest: Path) -> None:
    posts = import_posts("instaloader", shared_data / "instaloader_sample", dest).dataset.posts
    assert len(posts) == 9
    assert posts["media_type"].value_counts().to_dict() == {"image": 4, "video": 4, "carousel": 1}
    carousel = posts[posts["media_type"] == "carousel"].iloc[0]
    assert len(carousel["images"]) == 2
    assert carousel["likes"] == 428433
    assert posts["views"].notna().sum() == 4


def _csv(path: Path, dest: Path) -> ImportResult:
    return import_posts("csv", path, dest)


def test_instagram_insights(shared_data: Path, dest: Path) -> None:
    result = _csv(shared_data / "instagram_insights" / "Instagram data.csv", dest)
    # The file repeats 17 of its 99 rows, figures and all.
    assert (result.tally.read, sum(result.tally.skipped.values())) == (82, 17)
    first = result.dataset.posts.iloc[0]
    assert first["hashtags"][:3] == ["finance", "money", "business"]
    assert len(first["hashtags"]) == 22
    counts = first[["likes", "comments", "shares", "saves", "impressions"]]
    assert counts.tolist() == [162, 9, 5, 98, 3920]


def test_facebook_metrics(shared_data: Path, dest: Path) -> None:
    result = _csv(shared_data / "facebook_metrics" / "dataset_Facebook.csv", dest)
    posts = result.dataset.posts
    assert len(posts) == 500
    assert posts["posted_at"].isna().all()
    assert posts["posted_hour"].between(1, 23).all()
    assert sorted(posts["posted_weekday"].unique()) == [0, 1, 2, 3, 4, 5, 6]
    assert posts["paid"].notna().sum() == 499
    assert set(posts["media_type"]) == {"image", "video", "text"}
    assert posts["likes"].notna().sum() == 499


def test_instagram_authors(shared_data: Path, dest: Path) -> None:
    result = import_posts("jsonl", shared_data / "instagram_authors" / "posts.jsonl", dest)
    posts = result.dataset.posts
    assert result.tally.read + sum(result.tally.skipped.values()) == 8404
    assert posts["author_id"].nunique() == 455
    assert posts["followers"].notna().all()
    assert posts["posted_at"].dropna().dt.year.between(2012, 2017).all()
    assert (posts["media_type"] == "carousel").any()


def test_oasis(shared_data: Path, dest: Path) -> None:
    result = _csv(shared_data / "oasis" / "oasis.csv", dest)
    posts = result.dataset.posts
    source = pd.read_csv(shared_data / "oasis" / "oasis.csv")
    assert result.scales == {"valence": (1, 7), "arousal": (1, 7)}
    expected = convert_scale(source["valence_mean"], (1, 7), (-4, 4))
    assert posts["valence"].tolist() == pytest.approx(expected.tolist())
    assert result.tally.images == 900


def test_emobank(shared_data: Path, dest: Path) -> None:
    result = _csv(shared_data / "emobank" / "emobank.csv", dest)
    posts = result.dataset.posts
    source = pd.read_csv(shared_data / "emobank" / "emobank.csv")
    assert posts["post_id"].tolist() == source["id"].tolist()
    assert posts["split"].value_counts().to_dict() == {
        "train": 8062,
        "validation": 1000,
        "test": 1000,
    }
    assert posts["valence"].tolist() == pytest.approx((source["V"] * 2 - 6).tolist())
    assert posts["arousal"].tolist() == pytest.approx((source["A"] * 2 - 2).tolist())
    assert posts["dominance"].tolist() == pytest.approx((source["D"] * 2 - 6).tolist())
