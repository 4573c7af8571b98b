"""The reader of folders that Instaloader downloaded."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from evoked.errors import DataError, SettingsError
from evoked.posts.cleaning import clean
from evoked.posts.importing import import_posts
from evoked.posts.readers import READERS, instaloader
from evoked.posts.readers.base import PostRecord, ReadOptions, Skipped
from tests.support.reader_sources import (
    instaloader_node,
    instaloader_source,
    picture,
    write_instaloader_json,
    write_picture,
)


def records_of(folder: Path) -> list[PostRecord]:
    records = READERS["instaloader"](folder, ReadOptions()).records
    return [record for record in records if isinstance(record, PostRecord)]


def test_pictures_carousels_and_videos(tmp_path: Path) -> None:
    instaloader_source(tmp_path)
    image, carousel, video = records_of(tmp_path)
    assert [len(record.images) for record in (image, carousel, video)] == [1, 2, 1]
    # Child 2 comes before child 10, although its name comes later.
    assert [Path(i.name).stem.rpartition("_")[2] for i in carousel.images] == ["2", "10"]
    rows = [clean(record)[0] for record in (image, carousel, video)]
    assert [row["media_type"] for row in rows] == ["image", "carousel", "video"]
    assert rows[0]["likes"] == 100
    assert rows[0]["hashtags"] == ["sun"]
    assert rows[0]["has_location"] is False
    assert rows[0]["posted_at"].isoformat() == "2023-11-14T22:13:20+00:00"


def test_account_metadata_fills_the_gaps(tmp_path: Path) -> None:
    instaloader_source(tmp_path)
    row, _ = clean(records_of(tmp_path)[0])
    assert (row["followers"], row["following"], row["author_posts"]) == (5000, 50, 300)


def test_one_account_or_many_give_the_same_posts(tmp_path: Path) -> None:
    instaloader_source(tmp_path)
    above = [record.fields for record in records_of(tmp_path)]
    within = [record.fields for record in records_of(tmp_path / "someone")]
    assert above == within


def test_owner_of_the_post_comes_first(tmp_path: Path) -> None:
    owner = {"id": "7", "username": "someone", "edge_followed_by": {"count": 9}}
    instaloader_source(tmp_path)
    write_instaloader_json(tmp_path / "someone/2024_UTC.json", instaloader_node(9, owner=owner))
    assert clean(records_of(tmp_path)[-1])[0]["followers"] == 9


def test_hidden_likes_are_missing(tmp_path: Path) -> None:
    node = instaloader_node(0, edge_media_preview_like={"count": -1})
    write_instaloader_json(tmp_path / "a_UTC.json", node)
    row, remarks = clean(records_of(tmp_path)[0])
    assert row.get("likes") is None
    assert [remark.why for remark in remarks] == ["negative count, left empty"]


def test_pictures_without_metadata_are_posts(tmp_path: Path) -> None:
    write_picture(tmp_path / "me/2023-11-14_22-13-20_UTC_1.jpg", 1)
    write_picture(tmp_path / "me/2023-11-14_22-13-20_UTC_2.jpg", 2)
    (tmp_path / "me/2023-11-14_22-13-20_UTC.txt").write_text("Two #views")
    (record,) = records_of(tmp_path)
    row, _ = clean(record)
    assert len(record.images) == 2
    assert (row["author_id"], row["hashtags"], row["media_type"]) == ("me", ["views"], "carousel")
    assert row["posted_at"].isoformat() == "2023-11-14T22:13:20+00:00"


def test_what_is_no_post_is_skipped(tmp_path: Path) -> None:
    instaloader_source(tmp_path)
    write_instaloader_json(tmp_path / "s_UTC.json", instaloader_node(5), "StoryItem")
    (tmp_path / "t_UTC_comments.json").write_text("[]")
    (tmp_path / "u_UTC.json.xz").write_bytes(lzma.compress(b"{}" * 100)[:-20])
    (tmp_path / "v_UTC.json").write_text('{"node": ' + "[" * 100_000)
    (tmp_path / "w_UTC.json").write_text('{"node": {"owner": [], "edge_media_to_caption": 3}}')
    result = import_posts("instaloader", tmp_path, tmp_path.parent / "posts")
    assert dict(result.tally.skipped) == {"not a post": 1, "damaged metadata": 2}
    assert result.tally.read == 4


def test_unpacked_metadata_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instaloader, "MAX_METADATA_BYTES", 10_000)
    bomb = json.dumps({"node": instaloader_node(0), "filler": "0" * 1_000_000})
    (tmp_path / "a_UTC.json.xz").write_bytes(lzma.compress(bomb.encode()))
    (record,) = READERS["instaloader"](tmp_path, ReadOptions()).records
    assert isinstance(record, Skipped)
    assert "larger" in record.value


def test_a_damaged_picture_costs_only_itself(tmp_path: Path) -> None:
    source = tmp_path / "source"
    instaloader_source(source)
    broken = source / "someone/2023-11-14_22-13-21_UTC_2.jpg"
    broken.write_bytes(picture(1)[:200])
    result = import_posts("instaloader", source, tmp_path / "posts")
    assert [len(images) for images in result.dataset.posts["images"]] == [1, 1, 1]
    assert result.dataset.posts["media_type"][1] == "carousel"
    assert dict(result.tally.changed) == {"images: a picture that can't be used, left out": 1}
    assert broken.name in result.tally.examples[0]["value"]


def test_other_folders_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no files of Instaloader"):
        READERS["instaloader"](tmp_path, ReadOptions())
    with pytest.raises(SettingsError, match="no column mapping"):
        READERS["instaloader"](tmp_path, ReadOptions(mapping={"likes": "likes"}))


def test_posts_that_somebody_logged_in_downloads(tmp_path: Path) -> None:
    common = {"__typename": "GraphImage", "owner": {"id": "17", "username": "someone"}}
    nodes = [
        {
            **common,
            "shortcode": "A",
            "caption": "Tea #tea",
            "comments": 15,
            "date": 1_724_336_231,
            "edge_media_preview_like": {"count": 259},
            "iphone_struct": {"like_count": 259, "comment_count": 15, "media_type": 1},
        },
        {
            **common,
            "__typename": "GraphVideo",
            "shortcode": "B",
            "caption": "Tea film #tea",
            "date": 1_724_422_631,
            "iphone_struct": {
                "like_count": 460,
                "comment_count": 20,
                "view_count": None,
                "play_count": 9000,
                "ig_play_count": 8800,
                "location": {"name": "Here"},
                "user": {"follower_count": 700},
            },
        },
    ]
    for number, node in enumerate(nodes):
        write_instaloader_json(tmp_path / f"2024-08-2{number}_10-00-00_UTC.json", node)
    first, second = _fields(tmp_path)
    assert (first["caption"], first["comments"], first["likes"]) == ("Tea #tea", 15, 259)
    assert (first["has_location"], second["has_location"]) == (False, True)
    assert (second["caption"], second["comments"], second["likes"]) == ("Tea film #tea", 20, 460)
    assert (second["views"], second["followers"]) == (9000, 700)


def _fields(folder: Path) -> list[dict[str, Any]]:
    records = READERS["instaloader"](folder, ReadOptions()).records
    return [record.fields for record in records if isinstance(record, PostRecord)]
