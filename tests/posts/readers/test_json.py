"""JSON as APIs, scrapers and archives write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evoked.errors import DataError
from evoked.posts.importing import import_posts
from evoked.posts.readers.base import ReadOptions
from evoked.posts.readers.jsonl_file import flatten, read

_POSTS = [
    {"id": "1", "caption": "tea", "likesCount": 5},
    {"id": "2", "caption": "two", "likesCount": 6},
]
_ARCHIVE = [{"tweet": {"id_str": "1", "full_text": "Tea", "favorite_count": "3"}}]

# What APIs answer, and what is in it.
_ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Facebook": (
        {
            "id": "1_2",
            "message": "Tea",
            "created_time": "2026-01-01T00:00:00+0000",
            "shares": {"count": 3},
            "likes": {"summary": {"total_count": 10}},
            "comments": {"summary": {"total_count": 2}},
        },
        {"caption": "Tea", "likes": 10, "comments": 2, "shares": 3},
    ),
    "Instagram": (
        {
            "pk": "1",
            "taken_at": 1_750_000_000,
            "media_type": 2,
            "like_count": 10,
            "play_count": 5000,
            "caption": {"text": "Tea #tea", "pk": "9"},
            "user": {"username": "someone", "pk": "17"},
        },
        {"author_id": "someone", "caption": "Tea #tea", "likes": 10, "views": 5000},
    ),
    "Instagram's pages": (
        {
            "node": {
                "shortcode": "AAA",
                "edge_media_to_caption": {"edges": [{"node": {"text": "Tea #tea"}}]},
                "edge_media_to_comment": {"count": 2},
                "edge_media_preview_like": {"count": 10},
                "owner": {"username": "someone", "edge_followed_by": {"count": 900}},
            }
        },
        {"post_id": "AAA", "caption": "Tea #tea", "likes": 10, "comments": 2, "followers": 900},
    ),
    "Instagram's insights": (
        {
            "id": "1",
            "caption": "Tea",
            "insights": {
                "data": [
                    {"name": "reach", "values": [{"value": 70}]},
                    {"name": "saved", "values": [{"value": 4}]},
                ]
            },
        },
        {"reach": 70, "saves": 4},
    ),
    "TikTok": (
        {
            "id": "7400",
            "desc": "Tea #tea",
            "createTime": 1_750_000_000,
            "author": {"uniqueId": "someone"},
            "authorStats": {"followerCount": 1200},
            "stats": {"diggCount": 150, "shareCount": 10, "playCount": 5000, "collectCount": "7"},
            "challenges": [{"title": "tea"}],
            "music": {"title": "Song", "playCount": 3},
        },
        {"author_id": "someone", "likes": 150, "followers": 1200, "saves": 7, "views": 5000},
    ),
    "X": (
        {
            "id": "1",
            "text": "Tea #tea",
            "created_at": "2026-01-01T00:00:00.000Z",
            "author_id": "17",
            "public_metrics": {"retweet_count": 3, "reply_count": 2, "like_count": 10},
            "entities": {"hashtags": [{"tag": "tea", "start": 4}]},
        },
        {"author_id": "17", "likes": 10, "comments": 2, "shares": 3, "hashtags": ["tea"]},
    ),
    "YouTube": (
        {
            "id": "abc",
            "snippet": {
                "publishedAt": "2026-01-01T00:00:00Z",
                "title": "Tea",
                "description": "all tea",
                "channelTitle": "Some",
            },
            "statistics": {"viewCount": "900", "likeCount": "40", "favoriteCount": "0"},
        },
        {"title": "Tea", "caption": "all tea", "author_id": "Some", "likes": 40, "views": 900},
    ),
}  # fmt: skip


def _written(path: Path, value: Any, **options: Any) -> Path:
    path.write_text(json.dumps(value, **options), encoding="utf-8")
    return path


@pytest.mark.parametrize("platform", _ANSWERS)
def test_answers_of_apis(platform: str, tmp_path: Path) -> None:
    answer, expected = _ANSWERS[platform]
    source = _written(tmp_path / "a.jsonl", answer)
    post = import_posts("jsonl", source, tmp_path / "out").dataset.posts.iloc[0]
    found = {name: list(post[name]) if name == "hashtags" else post[name] for name in expected}
    assert found == expected


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "document",
    [
        _POSTS,
        {"data": _POSTS, "paging": {"next": "x"}},
        {"kind": "Listing", "data": {"children": [{"data": post} for post in _POSTS]}},
        {"edge_owner_to_timeline_media": {"edges": [{"node": post} for post in _POSTS]}},
    ],
)  # fmt: skip
def test_arrays_alone_and_within_an_object(
    document: Any, indent: int | None, tmp_path: Path
) -> None:
    source = _written(tmp_path / "a.json", document, indent=indent)
    records: list[Any] = list(read(source, ReadOptions()).records)
    assert [record.fields["caption"] for record in records] == ["tea", "two"]
    assert [record.fields["likes"] for record in records] == [5, 6]


def test_archives_that_assign_an_array(tmp_path: Path) -> None:
    path = tmp_path / "tweets.js"
    path.write_text(f"window.YTD.tweets.part0 = {json.dumps(_ARCHIVE, indent=1)}\n")
    (record,) = read(path, ReadOptions()).records
    assert record.fields["caption"] == "Tea"  # type: ignore[union-attr]
    assert record.fields["likes"] == 3  # type: ignore[union-attr]


def test_a_single_post_with_a_list_stays_a_post(tmp_path: Path) -> None:
    post = {
        "id": "1",
        "caption": "Tea",
        "likes": 3,
        "latestComments": [{"text": "a"}],
    }
    for indent in (None, 2):
        source = _written(tmp_path / "a.json", post, indent=indent)
        (record,) = read(source, ReadOptions()).records
        assert record.fields["caption"] == "Tea"  # type: ignore[union-attr]


def test_elements_that_are_no_objects_are_left_out(tmp_path: Path) -> None:
    source = _written(tmp_path / "a.json", [_POSTS[0], 3, None])
    reading = list(read(source, ReadOptions()).records)
    assert [getattr(record, "why", "") for record in reading] == ["", *["not a JSON object"] * 2]
    with pytest.raises(DataError, match=r"holds no JSON object"):
        read(_written(tmp_path / "b.json", [1, 2]), ReadOptions())


def test_nothing_is_no_text() -> None:
    assert flatten({"edge_media_to_caption": {"edges": []}, "caption": {}, "tags": []}) == {
        "edge_media_to_caption.edges": None,
        "caption": None,
        "tags": [],
    }


def test_a_hundred_thousand_keys_make_no_hundred_thousand_columns() -> None:
    assert len(flatten({str(number): number for number in range(100_000)})) == 2000
