"""JSON as APIs, scrapers and archives write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evoked.errors import DataError
from evoked.posts.importing import import_posts
from evoked.posts.readers.base import PostRecord, ReadOptions, Skipped
from evoked.posts.readers.flat_objects import flatten
from evoked.posts.readers.json_values import values_in
from evoked.posts.readers.jsonl_file import read

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


_THREE = [{"id": str(number), "caption": f"Tea {number}", "likes": number} for number in (1, 2, 3)]


def _read(path: Path) -> tuple[list[str], list[tuple[str, int | None, str]]]:
    """Captions of a file's posts, and its remarks: reason, row and value."""
    found = list(read(path, ReadOptions()).records)
    captions = [each.fields["caption"] for each in found if isinstance(each, PostRecord)]
    remarks = [(each.why, each.row, each.value) for each in found if isinstance(each, Skipped)]
    assert len(captions) + len(remarks) == len(found)
    return captions, remarks


@pytest.mark.parametrize("damaged", [0, 1, 2])
@pytest.mark.parametrize("line", ['{"id": "9", "caption": "Te', '{"id": 9,}', "[1, 2", "x"])
def test_a_damaged_line_costs_itself_alone(damaged: int, line: str, tmp_path: Path) -> None:
    lines = [json.dumps(post) for post in _THREE]
    lines[damaged] = line
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + "\n".join(lines) + "\n")
    captions, remarks = _read(path)
    assert captions == [f"Tea {number}" for number in (1, 2, 3) if number != damaged + 1]
    assert remarks == [("not JSON", damaged + 1, f"line {damaged + 2}: {line}")]


@pytest.mark.parametrize("layout", ["objects", "array", "lines of an array", "side by side"])
@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_damaged_value_costs_itself_alone(layout: str, damaged: int, tmp_path: Path) -> None:
    """However values stand one after the other; the first sign of the damaged one is kept."""
    indent = 2 if layout in ("objects", "array") else None
    texts = [json.dumps({**post, "tags": [{"a": 1}, {"b": 2}]}, indent=indent) for post in _THREE]
    texts[damaged] = texts[damaged].replace('"caption":', '"caption"')
    text = {
        "objects": "\n".join(texts),
        "array": "[\n  " + ",\n".join(texts).replace("\n", "\n  ") + "\n]",
        "lines of an array": "[" + ",\n".join(texts) + "]",
        "side by side": " ".join(texts),
    }[layout]
    path = tmp_path / "a.json"
    path.write_text(text)
    captions, remarks = _read(path)
    assert captions == [f"Tea {number}" for number in (1, 2, 3) if number != damaged + 1]
    ((why, row, value),) = remarks
    assert (why, row) == ("not JSON", damaged + 1)
    before = text[: text.index('"caption"' + ' "Tea')].rindex("{")
    line = text[:before].count("\n") + 1
    assert value.startswith(f"line {line}: {{")


def test_the_end_of_a_cut_array_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_THREE)[:-20])
    captions, ((why, row, value),) = _read(path)
    assert captions == ["Tea 1", "Tea 2"]
    assert (why, row) == ("not JSON", 3)
    assert value.startswith('line 1: {"id": "3"')


@pytest.mark.parametrize("lines", [True, False])
def test_pages_are_taken_apart_though_some_hold_no_posts(lines: bool, tmp_path: Path) -> None:
    """An empty page, a page that is damaged and an error lose nothing of the others."""
    pages: list[Any] = [
        {"data": [], "paging": {"next": "x"}},
        {"data": _THREE[:2], "paging": {"next": "y"}},
        {"error": {"message": "Rate limit", "code": 4}},
        {"data": _THREE[2:], "paging": {}},
    ]
    texts = [json.dumps(page, indent=None if lines else 1) for page in pages]
    texts.insert(2, '{"data": [{"id": 7, "cap')
    path = tmp_path / "a.json"
    path.write_text("\n".join(texts))
    captions, remarks = _read(path)
    assert captions == ["Tea 1", "Tea 2", "Tea 3"]
    assert [why for why, _, _ in remarks] == ["not JSON", "a page without posts"]


def test_pages_that_are_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_THREE[:2], indent=1) + "\n" + json.dumps(_THREE[2:], indent=1))
    assert _read(path) == (["Tea 1", "Tea 2", "Tea 3"], [])


def test_what_is_damaged_all_over_is_refused_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value is looked at once; so are those that are none, but for a bound."""
    with pytest.raises(ValueError, match="damaged all over"):
        list(values_in("[\n" * 100_000))
    values = list(values_in('{"a": [1, 2, {"b": 3}]}\n' * 50_000))
    assert len(values) == 50_000
    looked_at: list[int] = []
    decode = json.JSONDecoder.raw_decode

    def counted(self: json.JSONDecoder, text: str, at: int = 0) -> tuple[Any, int]:
        looked_at.append(at)
        return decode(self, text, at)

    monkeypatch.setattr(json.JSONDecoder, "raw_decode", counted)
    broken = list(values_in('{"a": [}\n' * 1000 + '{"a": 1}'))
    assert len(broken) == 1001 == len(looked_at) == len(set(looked_at))
    assert broken[-1] == {"a": 1}


def test_a_file_without_any_json_says_where_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"data": [\n {"id": 1,}\n]}')
    with pytest.raises(DataError, match=r"a\.json: not a JSON file.*line 2"):
        read(path, ReadOptions())


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251"])
@pytest.mark.parametrize("lines", [True, False])
def test_json_in_another_encoding_than_it_may_have(
    encoding: str, lines: bool, tmp_path: Path
) -> None:
    texts = {"cp1252": ["Schöne Grüße", "Déjà vu"], "cp1251": ["Пьём чай", "Доброе утро"]}[encoding]
    posts = [{"id": n, "caption": text, "likes": n} for n, text in enumerate(texts)]
    rows = [json.dumps(post, ensure_ascii=False) for post in posts]
    path = tmp_path / "a.json"
    path.write_bytes(("\n".join(rows) if lines else f"[{', '.join(rows)}]").encode(encoding))
    reading = read(path, ReadOptions())
    assert [each.fields["caption"] for each in reading.records] == texts  # type: ignore[union-attr]
    assert f"a.json is read as {encoding}; JSON ought to be UTF-8." in reading.notes


@pytest.mark.parametrize("lines", [True, False])
def test_a_byte_that_is_no_utf_8_costs_itself_alone(lines: bool, tmp_path: Path) -> None:
    rows = [
        json.dumps({"id": n, "caption": "Grüße", "likes": 1}, ensure_ascii=False).encode()
        for n in range(9)
    ]
    rows[4] = rows[4].replace("ü".encode(), b"\xff")
    path = tmp_path / "a.json"
    path.write_bytes(b"\n".join(rows) if lines else b"[" + b", ".join(rows) + b"]")
    captions, remarks = _read(path)
    assert captions == ["Grüße"] * 4 + ["Gr\ufffdße"] + ["Grüße"] * 4
    assert not remarks


@pytest.mark.parametrize(
    "wrapped",
    ["callback({});", "/**/ f.x({})", "// exported\n{}", ")]}}',\n{}", "for (;;);{}", "\x1e{}",
     "var posts = {};", "/* by a tool */\n{}"],
)  # fmt: skip
@pytest.mark.parametrize("indent", [None, 1])
def test_what_stands_around_json(wrapped: str, indent: int | None, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(wrapped.format(json.dumps(_THREE, indent=indent)))
    assert _read(path) == (["Tea 1", "Tea 2", "Tea 3"], [])


def test_json_that_was_written_as_a_text(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.json", json.dumps(_THREE))
    assert _read(path) == (["Tea 1", "Tea 2", "Tea 3"], [])


def test_a_sequence_of_json_texts(tmp_path: Path) -> None:
    """RFC 7464: a record separator before each."""
    path = tmp_path / "a.json"
    path.write_text("".join(f"\x1e{json.dumps(post)}\n" for post in _THREE))
    assert _read(path) == (["Tea 1", "Tea 2", "Tea 3"], [])


def test_a_number_without_end_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(_THREE).replace('"likes": 2', '"likes": ' + "9" * 5000))
    posts = import_posts("jsonl", path, tmp_path / "out").dataset.posts
    assert posts["likes"].fillna(-1).tolist() == [1, -1, 3]


def test_parts_of_a_text_are_one_text() -> None:
    parts = ["Tea is ready ", {"type": "hashtag", "text": "#tea"}, "!"]
    assert flatten({"text": parts, "tags": ["a", "b"], "mixed": ["a", {"b": 1}]}) == {
        "text": "Tea is ready #tea!",
        "tags": ["a", "b"],
        "mixed": ["a", {"b": 1}],
    }


def test_posts_in_lists_within_lists(tmp_path: Path) -> None:
    """As answers for a page have them: a list of instructions, some with entries."""
    entries = [{"entryId": f"t{post['id']}", "content": {"item": post}} for post in _THREE]
    steps = [{"type": "Clear"}, {"type": "Add", "entries": entries}]
    path = _written(tmp_path / "a.json", {"data": {"user": {"timeline": {"instructions": steps}}}})
    assert _read(path) == (["Tea 1", "Tea 2", "Tea 3"], [])
