"""Instagram's own export, unpacked and zipped."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.errors import DataError
from evoked.posts.importing import import_posts
from evoked.posts.readers import READERS, instagram_export
from evoked.posts.readers.base import PostRecord, ReadOptions, Skipped
from evoked.posts.readers.instagram_export import repair_text
from tests.support.reader_sources import (
    export_documents,
    export_source,
    export_zip,
    mojibake,
    picture,
)


def test_posts_reels_and_their_figures(tmp_path: Path) -> None:
    result = import_posts("instagram-export", export_source(tmp_path / "in"), tmp_path / "out")
    posts = result.dataset.posts
    assert posts["caption"].tolist() == [
        "Sonne 😀 über #köln",
        "Two pictures",
        "A reel",
        "No longer listed",
    ]
    first = posts.iloc[0]
    figures = ["likes", "comments", "shares", "saves", "impressions", "reach", "followers"]
    assert first[figures].tolist() == [1234, 5, 6, 7, 9000, 8000, 10801]
    assert first["author_id"] == "my_shop"
    assert first["hashtags"] == ["köln"]
    assert posts["media_type"].tolist()[:3] == ["image", "carousel", "video"]
    assert posts["likes"].fillna(-1).tolist() == [1234, -1, 11, 3]
    assert posts["views"][2] == 500
    # A reel's cover comes from its figures; a picture that is gone is only noted.
    assert [len(images) for images in posts["images"]] == [1, 2, 1, 0]
    assert posts["posted_at"][1].timestamp() == 1_700_000_100
    assert dict(result.tally.changed) == {"images: a picture that can't be used, left out": 1}


@pytest.mark.parametrize("prefix", ["", "instagram-my_shop/", "deep/er/"])
def test_zip_and_folder_are_the_same(prefix: str, tmp_path: Path) -> None:
    folder = import_posts("instagram-export", export_source(tmp_path / "in"), tmp_path / "a")
    archive = export_zip(tmp_path / "in.zip", prefix)
    zipped = import_posts("instagram-export", archive, tmp_path / "b")
    tables = [(r.dataset.folder / "posts.parquet").read_bytes() for r in (folder, zipped)]
    assert tables[0] == tables[1]


def test_older_layout(tmp_path: Path) -> None:
    documents = export_documents()
    posts = documents["your_instagram_activity/media/posts_1.json"]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("content/posts_1.json", json.dumps(posts[:1]))
        archive.writestr("content/posts_2.json", json.dumps(posts[1]))
        archive.writestr("media/posts/202301/one.jpg", picture(1))
    result = import_posts("instagram-export", tmp_path / "in.zip", tmp_path / "out")
    assert len(result.dataset) == 2
    assert result.tally.images == 1


def test_figures_in_another_language_are_named(tmp_path: Path) -> None:
    folder = export_source(tmp_path)
    path = folder / "logged_information/past_instagram_insights"
    (path / "reels.json").unlink()
    figures = {"string_map_data": {mojibake("Contas alcançadas"): {"value": "5"}}}
    (path / "posts.json").write_text(json.dumps({"organic_insights_posts": [figures]}))
    reading = READERS["instagram-export"](folder, ReadOptions())
    assert "Contas alcançadas" in reading.notes[0]
    assert "in English" in reading.notes[0]


def test_figures_without_picture_and_time_stay_apart(tmp_path: Path) -> None:
    figures = [{"string_map_data": {"Likes": {"value": str(likes)}}} for likes in range(3)]
    path = tmp_path / "in/past_instagram_insights/posts.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"organic_insights_posts": figures}))
    dataset = import_posts("instagram-export", tmp_path / "in", tmp_path / "out").dataset
    assert dataset.posts["likes"].tolist() == [0, 1, 2]


def test_names_that_point_elsewhere_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(picture(5))
    media = [{"uri": uri} for uri in ("../secret.jpg", "/etc/passwd.jpg", "media/../../secret.jpg")]
    documents = {"content/posts_1.json": json.dumps([{"media": media}])}
    (tmp_path / "in/content").mkdir(parents=True)
    (tmp_path / "in/content/posts_1.json").write_text(documents["content/posts_1.json"])
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("content/posts_1.json", documents["content/posts_1.json"])
        archive.writestr("../evil.jpg", picture(1))
    for number, source in enumerate(("in", "in.zip")):
        result = import_posts("instagram-export", tmp_path / source, tmp_path / f"out{number}")
        assert result.tally.images == 0
    assert not (tmp_path.parent / "evil.jpg").exists()


def test_zip_members_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instagram_export, "MAX_JSON_BYTES", 10_000)
    posts = export_documents()["your_instagram_activity/media/posts_1.json"]
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("content/posts_1.json", json.dumps(posts))
        archive.writestr("content/posts_2.json", " " * 10_000_000)
    records = list(READERS["instagram-export"](tmp_path / "in.zip", ReadOptions()).records)
    assert [type(record) for record in records] == [PostRecord, PostRecord, Skipped]


def test_meaningless_items_are_skipped(tmp_path: Path) -> None:
    items = [None, 3, "text", {}, {"media": []}, {"media": "x"}, {"media": [{"uri": "a.jpg"}]}]
    (tmp_path / "content").mkdir()
    (tmp_path / "content/posts_1.json").write_text(json.dumps(items))
    records = list(READERS["instagram-export"](tmp_path, ReadOptions()).records)
    assert sum(isinstance(record, PostRecord) for record in records) == 1
    assert sum(isinstance(record, Skipped) for record in records) == 6


def test_an_archive_without_posts_is_an_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("content/stories.json", "{}")
    with pytest.raises(DataError, match=r"no posts in it.*format JSON"):
        READERS["instagram-export"](tmp_path / "in.zip", ReadOptions())


@given(st.text())
def test_repairs_every_text_that_was_garbled(text: str) -> None:
    assert repair_text(mojibake(text)) == text


@pytest.mark.parametrize("text", ["plain", "für", "日本", "", None, 3])
def test_leaves_healthy_text_alone(text: object) -> None:
    assert repair_text(text) == text
