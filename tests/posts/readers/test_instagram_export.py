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
    write_picture,
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


@pytest.mark.parametrize(
    ("likes", "reach", "saves"),
    [
        ("„Gefällt mir“-Angaben", "Erreichte Konten", "Gespeicherte Inhalte"),
        ("Mentions J’aime", "Comptes touchés", "Enregistrements"),
        ("Me gusta", "Cuentas alcanzadas", "Veces guardado"),
        ("Curtidas", "Contas alcançadas", "Salvamentos"),
        ("Mi piace", "Account raggiunti", "Salvataggi"),
        ("いいね！", "リーチ", "保存数"),
    ],
)
def test_figures_in_the_account_s_language(
    likes: str, reach: str, saves: str, tmp_path: Path
) -> None:
    figures = {likes: {"value": "5"}, reach: {"value": "70"}, saves: {"value": "3"}}
    item = {"string_map_data": {mojibake(label): value for label, value in figures.items()}}
    path = tmp_path / "past_instagram_insights/posts.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"organic_insights_posts": [item]}))
    (record,) = READERS["instagram-export"](tmp_path, ReadOptions()).records
    assert isinstance(record, PostRecord)
    assert {name: record.fields[name] for name in ("likes", "reach", "saves")} == {
        "likes": "5",
        "reach": "70",
        "saves": "3",
    }


def test_posts_as_a_list_of_labels(tmp_path: Path) -> None:
    posts = [
        {
            "timestamp": 1_780_000_000,
            "media": [{"uri": "media/a.jpg", "creation_timestamp": 1_780_000_000}],
            "label_values": [
                {"label": "URL", "value": "https://www.instagram.com/p/ABC/"},
                {"label": "Caption", "value": mojibake("Noch ein Tee 🍵 #tee")},
                {"label": "Title", "value": ""},
            ],
            "fbid": "18000000000000001",
        },
        {
            "timestamp": 1_780_000_100,
            "media": [],
            "label_values": [
                {"label": mojibake("Légende"), "value": "Tee zwei #tee"},
                {"label": mojibake("Média"), "media": [{"uri": "media/a.jpg"}]},
                {"label": "URL", "value": "https://www.instagram.com/reel/XYZ/"},
            ],
        },
    ]
    path = tmp_path / "in/your_instagram_activity/media/posts.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(posts))
    write_picture(tmp_path / "in/media/a.jpg", 1)
    found = import_posts("instagram-export", tmp_path / "in", tmp_path / "out").dataset.posts
    assert found["post_id"].tolist() == ["18000000000000001", "XYZ"]
    assert found["caption"].tolist() == ["Noch ein Tee 🍵 #tee", "Tee zwei #tee"]
    assert [list(tags) for tags in found["hashtags"]] == [["tee"], ["tee"]]
    assert [len(images) for images in found["images"]] == [1, 1]
    assert found["posted_at"].notna().all()


def test_pictures_with_any_ending_are_taken_or_missed_aloud(tmp_path: Path) -> None:
    names = ("a.heic", "b", "c.jxl", "d.mp4")
    posts = [{"media": [{"uri": name, "creation_timestamp": 1_780_000_000 + number}]}
             for number, name in enumerate(names)]  # fmt: skip
    path = tmp_path / "in/content/posts_1.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(posts))
    (tmp_path / "in/b").write_bytes(picture(1))
    (tmp_path / "in/c.jxl").write_bytes(b"\xff\x0a not decoded")
    result = import_posts("instagram-export", tmp_path / "in", tmp_path / "out")
    assert result.dataset.posts["media_type"].tolist() == ["image", "image", "image", "video"]
    assert result.tally.images == 1
    assert sum(result.tally.changed.values()) == 2  # a is not there, c can't be read


def test_figures_in_another_language_are_named(tmp_path: Path) -> None:
    folder = export_source(tmp_path)
    path = folder / "logged_information/past_instagram_insights"
    (path / "reels.json").unlink()
    figures = {"string_map_data": {mojibake("Gegenüber gestern"): {"value": "5"}}}
    (path / "posts.json").write_text(json.dumps({"organic_insights_posts": [figures]}))
    reading = READERS["instagram-export"](folder, ReadOptions())
    assert "Gegenüber gestern" in reading.notes[0]
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
    documents = {"content/posts_1.json": json.dumps([{"title": "Tea", "media": media}])}
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
