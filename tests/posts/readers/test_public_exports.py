"""Exports as networks and their tools write them, in shapes that are seldom tried first."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import unicodedata
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evoked.errors import DataError
from evoked.posts.importing import ImportResult, import_posts
from evoked.posts.readers import auto, csv_file, label_studio, packed
from evoked.posts.readers.jsonl_file import objects_in
from evoked.posts.readers.text_encoding import find_encoding
from tests.support.reader_sources import picture

TEXTS = ["Tea is ready #tea", "A film #tea #cup"]
LIKES, COMMENTS, SHARES, VIEWS = [1200, 640], [48, 12], [31, 9], [18400, 9100]
COUNTS = {"likes": LIKES, "comments": COMMENTS, "shares": SHARES, "views": VIEWS}
DATES = ["2026-08-02T19:05", "2026-08-13T07:30"]
SECONDS = [1785697500, 1786606200]


def table(
    header: Sequence[str], *rows: Sequence[Any], delimiter: str = ",", encoding: str = "utf-8"
) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue().encode(encoding)


def workbook(**sheets: Sequence[Sequence[Any]]) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name.replace("_", " "))
        for row in rows:
            sheet.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def archive(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed_files:
        for name, content in files.items():
            packed_files.writestr(name, content)
    return stream.getvalue()


def imported(files: Mapping[str, bytes], folder: Path, source: str = "") -> ImportResult:
    for name, content in files.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return import_posts("auto", folder / "in" / (source or next(iter(files))), folder / "out")


def check(result: ImportResult, key: str = "caption", **expected: Sequence[Any]) -> None:
    """Compare columns of the posts, in the order of those of ``key``."""
    posts = result.dataset.posts
    keys = list(map(str, expected[key]))
    posts = posts.set_index(posts[key].astype(str)).loc[keys]
    assert len(posts) == len(result.dataset)
    for name, values in expected.items():
        if name == "posted_at":
            found = posts[name].dt.strftime("%Y-%m-%dT%H:%M").tolist()
        elif name == "images":
            found = posts[name].map(len).tolist()
        else:
            found = [list(x) if hasattr(x, "tolist") else x for x in posts[name]]
        assert found == list(values), name


_INSTAGRAM = {
    "de": (
        "Beitrags-ID,Konto-ID,Benutzername des Kontos,Name des Kontos,Beschreibung,Dauer (Sek.),"
        "Veröffentlichungszeit,Permalink,Beitragsart,Datenkommentar,Datum,Aufrufe,Reichweite,"
        "„Gefällt mir“-Angaben,Geteilte Inhalte,Neue Follower,Kommentare,Gespeicherte Inhalte",
        "Gesamtlaufzeit", ("IG-Bild", "IG-Reel"),
    ),
    "sv": (
        "Inläggs-id,Konto-id,Kontots användarnamn,Kontonamn,Beskrivning,Längd (sek.),"
        "Publiceringstid,Permalänk,Inläggstyp,Datakommentar,Datum,Visningar,Räckvidd,"
        "Gilla-markeringar,Delningar,Följare,Kommentarer,Sparningar",
        "Totalt", ("IG-bild", "IG-reel"),
    ),
    "nl": (
        "Bericht-ID,Account-ID,Gebruikersnaam van account,Accountnaam,Beschrijving,Duur (sec.),"
        "Publicatietijd,Permalink,Berichttype,Opmerking over gegevens,Datum,Weergaven,Bereik,"
        "Vind-ik-leuks,Deelacties,Volgacties,Opmerkingen,Opgeslagen items",
        "Levensduur", ("IG-afbeelding", "IG-reel"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", _INSTAGRAM)
def test_instagram_in_further_languages(language: str, tmp_path: Path) -> None:
    header, lifetime, kinds = _INSTAGRAM[language]
    rows = [
        [f"1800000000000000{n + 1}", "17841400000000001", "me", "Me", TEXTS[n], "0",
         ("08/02/2026 19:05", "08/13/2026 07:30")[n], f"https://www.instagram.com/p/A{n}/",
         kinds[n], "", lifetime, VIEWS[n], 15000, LIKES[n], SHARES[n], 2, COMMENTS[n], 7 - n]
        for n in (0, 1)
    ]  # fmt: skip
    result = imported({"a.csv": table(header.split(","), *rows)}, tmp_path)
    ids = ["18000000000000001", "18000000000000002"]
    kinds_read = ["image", "video"]
    check(result, post_id=ids, caption=TEXTS, posted_at=DATES, media_type=kinds_read, saves=[7, 6],
          **COUNTS)  # fmt: skip


_STUDIO = {
    "ja": ("コンテンツ,動画のタイトル,動画公開時刻,長さ,視聴回数,総再生時間(単位: 時間),"
           "チャンネル登録者,インプレッション数,インプレッションのクリック率 (%),高評価数,"
           "追加されたコメント,共有数",
           "合計", "2026/08/02 2026/08/13"),
    "ru": ("Контент,Название видео,Время публикации видео,Длительность,Просмотры,"
           "Время просмотра (часы),Подписчики,Показы,CTR для значков (%),Отметки \"Нравится\","
           "Новые комментарии,Поделились", "Итого", "02.08.2026 13.08.2026"),
    "pl": ("Treść,Tytuł filmu,Czas publikacji filmu,Czas trwania,Wyświetlenia,"
           "Czas oglądania (w godzinach),Subskrybenci,Wyświetlenia miniatury,Klikalność (%),"
           "Kliknięcia „Podoba mi się”,Dodane komentarze,Udostępnienia", "Łącznie",
           "02.08.2026 13.08.2026"),
}  # fmt: skip


@pytest.mark.parametrize("language", _STUDIO)
def test_youtube_studio_in_further_languages(language: str, tmp_path: Path) -> None:
    header, total, dates = _STUDIO[language]
    rows = [
        [f"dQw4w9WgXc{n}", TEXTS[n], dates.split()[n], "60", VIEWS[n], "1.1", "3", 600, "4",
         LIKES[n], COMMENTS[n], SHARES[n]]
        for n in (0, 1)
    ]  # fmt: skip
    sums = [total, "", "", "", 27500, "90.1", "5", 990, "3.2", 1840, 60, 40]
    result = imported({"a.csv": table(header.split(","), sums, *rows)}, tmp_path)
    check(result, "title", title=TEXTS, impressions=[600, 600], **COUNTS)
    assert result.dataset.posts["followers"].isna().all()


def test_the_days_of_youtube_studio_do_not_displace_its_table(tmp_path: Path) -> None:
    ids = ["dQw4w9WgXc1", "dQw4w9WgXc2"]
    head = ["Content", "Video title", "Video publish time", "Views", "Likes", "Comments added"]
    whole = [[ids[n], TEXTS[n], "Aug 2, 2026", VIEWS[n], LIKES[n], COMMENTS[n]] for n in (0, 1)]
    days = [
        [f"2026-08-0{day}", ids[n], TEXTS[n], "Aug 2, 2026", day] for n in (0, 1) for day in (3, 4)
    ]
    files = {
        "Chart data.csv": table(["Date", *head[:4]], *days),
        "Table data.csv": table(head, ["Total", "", "", 27500, 1840, 60], *whole),
        "Totals.csv": table(["Date", "Views"], ["2026-08-02", 5]),
    }
    result = imported({"Content.zip": archive(files)}, tmp_path)
    check(result, "post_id", post_id=ids, views=VIEWS, likes=LIKES, comments=COMMENTS)


def test_pyktok_counts_are_the_videos_not_the_account_s(tmp_path: Path) -> None:
    head = ["video_id", "video_timestamp", "video_diggcount", "video_sharecount",
            "video_commentcount", "video_playcount", "video_description", "author_username",
            "author_name", "author_followercount", "author_heartcount",
            "author_diggcount"]  # fmt: skip
    rows = [
        [f"730000000000000000{n}", DATES[n], LIKES[n], SHARES[n], COMMENTS[n], VIEWS[n], TEXTS[n],
         "me", "Me", 9000, 777777, 5555]
        for n in (0, 1)
    ]  # fmt: skip
    result = imported({"a.csv": table(head, *rows)}, tmp_path)
    check(result, caption=TEXTS, followers=[9000] * 2, author_id=["me"] * 2, **COUNTS)


def test_a_table_of_several_networks_fills_the_gaps_of_one_from_another(tmp_path: Path) -> None:
    head = ["Post ID", "Network", "Post", "Reactions", "Likes", "Comments (Replies)"]
    rows = [["1", "Facebook", TEXTS[0], 1200, "", 48], ["2", "X", TEXTS[1], "", 640, 12]]
    result = imported({"a.csv": table(head, *rows)}, tmp_path)
    check(result, caption=TEXTS, likes=LIKES, comments=COMMENTS)
    assert any("empty, likes are read from" in note for note in result.notes)
    rows = [["1", "Facebook", TEXTS[0], 1200, 3, 48], ["2", "X", TEXTS[1], 640, 5, 12]]
    (tmp_path / "full").mkdir()
    full = imported({"a.csv": table(head, *rows)}, tmp_path / "full")
    check(full, caption=TEXTS, likes=full.dataset.posts["likes"].tolist())
    assert not any("empty, likes are read from" in note for note in full.notes)


_RECORDS = [{"id": str(n + 1), "caption": TEXTS[n], "likes": LIKES[n]} for n in (0, 1)]
_SHAPES: dict[str, Any] = {
    "under a key": {"posts": _RECORDS, "count": 2},
    "deep": {"result": {"payload": {"items": _RECORDS}}},
    "by id": {row["id"]: {k: v for k, v in row.items() if k != "id"} for row in _RECORDS},
    "columns": {key: {str(n): row[key] for n, row in enumerate(_RECORDS)} for key in _RECORDS[0]},
    "lists": {key: [row[key] for row in _RECORDS] for key in _RECORDS[0]},
    "split": {
        "columns": list(_RECORDS[0]), "index": [0, 1], "data": [list(r.values()) for r in _RECORDS]
    },
    "rows": [list(_RECORDS[0]), *(list(row.values()) for row in _RECORDS)],
    "pages": [{"data": [_RECORDS[0]], "next": "x"}, {"data": [_RECORDS[1]]}],
    "typed": [
        {**row, "id": {"$oid": row["id"]}, "likes": {"$numberLong": str(row["likes"])}}
        for row in _RECORDS
    ],
}  # fmt: skip


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_json_in_every_shape(shape: str, encoding: str, tmp_path: Path) -> None:
    content = json.dumps(_SHAPES[shape]).encode(encoding)
    check(imported({"a.json": content}, tmp_path), caption=TEXTS, likes=LIKES, post_id=["1", "2"])


def test_json_one_after_the_other_and_pages_line_by_line(tmp_path: Path) -> None:
    pretty = "\n".join(json.dumps(row, indent=2) for row in _RECORDS).encode()
    check(imported({"a.json": pretty}, tmp_path), caption=TEXTS, likes=LIKES)
    pages = b"\n".join(json.dumps({"data": [row], "next": "x"}).encode() for row in _RECORDS)
    (tmp_path / "pages").mkdir()
    check(imported({"a.jsonl": pages}, tmp_path / "pages"), caption=TEXTS, likes=LIKES)


@pytest.mark.parametrize(
    "value",
    [
        {"id": 1, "text": "Tea", "children": [{"id": 2}, {"id": 3}]},
        {"id": 1, "text": "Tea", "user": {"id": 7, "name": "Me"}, "place": {"id": 8, "name": "X"}},
    ],
)
def test_one_post_stays_one(value: dict[str, Any]) -> None:
    assert objects_in(value) == [value]


def test_the_metrics_of_a_pin_s_lifetime_count(tmp_path: Path) -> None:
    pins = [
        {"id": f"8130000000000000{n}", "created_at": DATES[n], "title": TEXTS[n],
         "pin_metrics": {"90d": {"impression": 5, "save": 1},
                         "lifetime_metrics": {"impression": VIEWS[n], "save": 7 - n,
                                              "reaction": LIKES[n]}}}
        for n in (0, 1)
    ]  # fmt: skip
    result = imported({"a.json": json.dumps({"items": pins}).encode()}, tmp_path)
    check(result, "title", title=TEXTS, impressions=VIEWS, saves=[7, 6], likes=LIKES)


def test_mentions_are_accounts_not_their_display_names(tmp_path: Path) -> None:
    nested = {"user_mentions": [{"screen_name": "bob", "name": "Bob B.", "id": 1}]}
    rows = [{"id": "1", "full_text": TEXTS[0], "entities": nested, "favorite_count": 3}]
    result = imported({"a.json": json.dumps(rows).encode()}, tmp_path)
    check(result, caption=TEXTS[:1], mentions=[["bob"]])
    text = "[{'screen_name': 'bob', 'name': 'Bob', 'id': '1'}]"
    (tmp_path / "b").mkdir()
    content = table(["id", "tweet", "mentions", "hashtags"], [1, TEXTS[0], text, "['tea', 'cup']"])
    result = imported({"b.csv": content}, tmp_path / "b")
    check(result, caption=TEXTS[:1], mentions=[["bob"]], hashtags=[["tea", "cup"]])


# Workbooks

_KEY = ["Post ID", "Permalink", "Post Message", "Type", "Countries", "Languages", "Posted",
        "Audience Targeting"]  # fmt: skip
_ACTIONS = {
    "in the first line": [[*_KEY, "share", "like", "comment"],
                          [*[None] * 8, "Lifetime: x", "Lifetime: y", "Lifetime: z"]],
    "below a title": [[*_KEY, "Lifetime Post Stories by action type", None, None],
                      [*[None] * 8, "share", "like", "comment"]],
}  # fmt: skip


@pytest.mark.parametrize("names", _ACTIONS)
def test_old_page_insights_join_their_sheets(names: str, tmp_path: Path) -> None:
    posts = [
        [f"100_{n}", "https://www.facebook.com/me/posts/1", TEXTS[n], "Photo", "", "",
         ("8/2/26 7:05 PM", "8/13/26 7:30 AM")[n], ""]
        for n in (0, 1)
    ]  # fmt: skip
    reach = ["Lifetime Post Total Reach", "Lifetime Post Total Impressions"]
    said = [*[None] * 8, "Lifetime: people", "Lifetime: impressions"]
    content = workbook(
        Key_Metrics=[[*_KEY, *reach], said, *([*posts[n], 15000, VIEWS[n]] for n in (0, 1))],
        Lifetime_Talking_About_This=[
            *_ACTIONS[names],
            *([*posts[n], SHARES[n], LIKES[n], COMMENTS[n]] for n in (1, 0)),
        ],
    )
    result = imported({"insights.xlsx": content}, tmp_path)
    counts = {"likes": LIKES, "comments": COMMENTS, "shares": SHARES, "impressions": VIEWS}
    check(result, caption=TEXTS, reach=[15000] * 2, posted_at=DATES, **counts)
    assert any("columns are added by their ids" in note for note in result.notes)


def test_tables_side_by_side_are_joined_not_read_across(tmp_path: Path) -> None:
    link = "https://www.linkedin.com/feed/update/urn:li:activity:722000000000000000"
    content = workbook(
        ENGAGEMENT=[["Date", "Impressions"], ["8/1/2026", 1]],
        TOP_POSTS=[
            ["Maximum of 50 posts available to include in this list"],
            [],
            ["Post URL", "Post Publish Date", "Likes", None,
             "Post URL", "Post Publish Date", "Impressions"],
            [f"{link}1", "8/2/2026", 12, None, f"{link}2", "8/13/2026", 9100],
            [f"{link}2", "8/13/2026", 6, None, f"{link}3", "8/14/2026", 8000],
        ],
    )  # fmt: skip
    posts = imported({"a.xlsx": content}, tmp_path).dataset.posts.set_index("post_id")
    numbers = posts[["likes", "impressions"]].astype(object).where(lambda t: t.notna(), None)
    prefix = "722000000000000000"
    assert numbers.loc[f"{prefix}1"].tolist() == [12, None]
    assert numbers.loc[f"{prefix}2"].tolist() == [6, 9100]
    assert numbers.loc[f"{prefix}3"].tolist() == [None, 8000]


def test_equal_ids_of_different_posts_are_not_joined(tmp_path: Path) -> None:
    content = workbook(
        Instagram=[
            ["id", "caption", "likes", "posted", "type"],
            [1, TEXTS[0], 5, "2026-01-02", ""],
        ],
        TikTok=[["id", "description", "plays", "likes"], [1, TEXTS[1], 99, 7]],
    )
    result = imported({"a.xlsx": content}, tmp_path)
    assert result.dataset.posts["caption"].tolist() == TEXTS[:1]
    assert result.dataset.posts["views"].isna().all()
    assert result.tally.skipped.total() == 1  # told, not mixed


def test_sheets_of_months_and_networks_are_all_read(tmp_path: Path) -> None:
    content = workbook(
        January=[["id", "caption", "likes", "posted"], [1, TEXTS[0], 5, "2026-01-02"]],
        February=[["id", "caption", "likes", "posted"], [2, TEXTS[1], 6, "2026-02-02"]],
        TikTok=[["Video ID", "Description", "Digg count"], [3, "Third", 7]],
        Comments=[["id", "text", "likes", "date"], [9, "Lovely", 1, "2026-01-03"]],
        Notes=[["Read me"]],
    )
    result = imported({"a.xlsx": content}, tmp_path)
    check(result, caption=[*TEXTS, "Third"], likes=[5, 6, 7])
    assert any("Comments" in note and "not read" in note for note in result.notes)


# What comes packed

_TABLE = table(
    ["id", "caption", "likes", "image"], [1, TEXTS[0], 1200, "a.jpg"], [2, TEXTS[1], 640, ""]
)
_PACKED: dict[str, tuple[dict[str, bytes], str]] = {
    "gz": ({"posts.csv.gz": gzip.compress(_TABLE), "a.jpg": picture(1)}, ""),
    "gz by another name": ({"posts.csv": gzip.compress(_TABLE), "a.jpg": picture(1)}, ""),
    "gz in a folder": ({"d/p.csv.gz": gzip.compress(_TABLE), "d/a.jpg": picture(1)}, "d"),
    "zip": ({"p.zip": archive({"x/p.csv": _TABLE, "x/a.jpg": picture(1)})}, ""),
    "zip in a folder": ({"d/p.zip": archive({"p.csv": _TABLE}), "d/a.jpg": picture(1)}, "d"),
    "zip in a zip": (
        {"p.zip": archive({"in.zip": archive({"p.csv": _TABLE}), "a.jpg": picture(1)})}, ""
    ),
}  # fmt: skip


@pytest.mark.parametrize("packing", _PACKED)
def test_what_comes_packed_is_read_with_its_pictures(packing: str, tmp_path: Path) -> None:
    files, source = _PACKED[packing]
    check(imported(files, tmp_path, source), caption=TEXTS, likes=LIKES, images=[1, 0])


def test_parts_of_one_export_are_unpacked_over_each_other(tmp_path: Path) -> None:
    uris = ["media/posts/a.jpg", "media/posts/b.jpg"]
    posts = [
        {"media": [{"uri": uri, "creation_timestamp": SECONDS[n], "title": TEXTS[n]}]}
        for n, uri in enumerate(uris)
    ]
    listed = json.dumps(posts).encode()
    first = {"your_instagram_activity/media/posts_1.json": listed, uris[0]: picture(1)}
    files = {"d/part-1.zip": archive(first), "d/part-2.zip": archive({uris[1]: picture(2)})}
    check(imported(files, tmp_path, "d"), caption=TEXTS, images=[1, 1])


def test_two_archives_with_the_same_names_both_count(tmp_path: Path) -> None:
    files = {
        f"d/{n}.zip": archive({"p.csv": table(["id", "caption", "likes"], [n, TEXTS[n], LIKES[n]])})
        for n in (0, 1)
    }
    check(imported(files, tmp_path, "d"), caption=TEXTS, likes=LIKES)


def test_a_download_of_instaloader_in_an_archive(tmp_path: Path) -> None:
    files = {}
    for n in (0, 1):
        node = {"shortcode": f"AB{n}", "__typename": "GraphImage", "owner": {"username": "me"},
                "taken_at_timestamp": SECONDS[n], "edge_media_preview_like": {"count": LIKES[n]},
                "edge_media_to_caption": {"edges": [{"node": {"text": TEXTS[n]}}]}}  # fmt: skip
        name = f"me/2026-08-0{n + 2}_19-05-00_UTC"
        post = {"node": node, "instaloader": {"node_type": "Post"}}
        files[f"{name}.json.xz"] = lzma.compress(json.dumps(post).encode())
        files[f"{name}.jpg"] = picture(n)
    result = imported({"me.zip": archive(files)}, tmp_path)
    check(result, caption=TEXTS, likes=LIKES, author_id=["me"] * 2, images=[1, 1])


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream)
    return stream.getvalue()


def _label_studio(rows: list[dict[str, Any]]) -> bytes:
    rated = [{"from_name": "valence", "type": "rating", "value": {"rating": 4}}]
    tasks = [{"data": row, "annotations": [{"result": rated}]} for row in rows]
    return json.dumps(tasks).encode()


_ROWS = [{"id": str(n), "caption": TEXTS[n], "likes": LIKES[n], "image": "a.jpg"} for n in (0, 1)]
_OF_ANY_FORMAT: dict[str, Callable[[], bytes]] = {
    "p.json": lambda: json.dumps(_ROWS).encode(),
    "p.parquet": lambda: _parquet(_ROWS),
    "p.xlsx": lambda: workbook(
        May=[list(_ROWS[0]), list(_ROWS[0].values())],
        June=[list(_ROWS[1]), list(_ROWS[1].values())],
    ),
    "labels.json": lambda: _label_studio(_ROWS),
}


@pytest.mark.parametrize("name", _OF_ANY_FORMAT)
@pytest.mark.parametrize("in_folder", [False, True])
def test_every_format_is_read_out_of_gzip(name: str, in_folder: bool, tmp_path: Path) -> None:
    content = gzip.compress(_OF_ANY_FORMAT[name]())
    files = {f"d/{name}.gz": content, "d/a.jpg": picture(1)}
    if in_folder and name == "labels.json":
        pytest.skip("not a table")
    result = imported(files, tmp_path, "d" if in_folder else "")
    counts = {} if name == "labels.json" else {"likes": LIKES}
    check(result, caption=TEXTS, images=[1, 1], **counts)


@pytest.mark.parametrize("name", _OF_ANY_FORMAT)
def test_every_format_out_of_gzip_is_bounded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MAX_UNPACKED_BYTES", 100)
    for module in (auto, label_studio):
        monkeypatch.setattr(module, "MAX_JSON_BYTES", 100)
    with pytest.raises(DataError, match=rf"{name}\.gz: larger than 0 MiB when unpacked"):
        imported({f"{name}.gz": gzip.compress(_OF_ANY_FORMAT[name]())}, tmp_path)


@pytest.mark.parametrize("name", ["p.json", "p.parquet"])
def test_several_pictures_in_a_list_stay_several(name: str, tmp_path: Path) -> None:
    rows = [
        {"id": "1", "caption": TEXTS[0], "images": ["a.jpg", "b;c.jpg"]},
        {"id": "2", "caption": TEXTS[1], "images": ["b;c.jpg"]},
    ]
    content = json.dumps(rows).encode() if name == "p.json" else _parquet(rows)
    files = {name: content, "a.jpg": picture(1), "b;c.jpg": picture(2)}
    check(imported(files, tmp_path), caption=TEXTS, images=[2, 1])


@pytest.mark.parametrize(
    "content", [gzip.compress(_TABLE)[:-9], b"\x1f\x8b\x08" + b"x" * 60], ids=["cut", "damaged"]
)
def test_damaged_packing_is_told(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be unpacked"):
        imported({"posts.csv.gz": content}, tmp_path)


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MAX_UNPACKED_BYTES", 100_000)
    bomb = _TABLE + b"\n" * 200_000
    for number, files in enumerate(
        (
            {"p.csv.gz": gzip.compress(bomb)},
            {"p.zip": archive({"p.csv": bomb})},
            {"p.zip": archive({"in.zip": archive({"p.csv": bomb})})},
        )
    ):
        with pytest.raises(DataError, match="when unpacked"):
            imported(files, tmp_path / str(number))


def test_what_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_SMALL_BYTES", 10_000)
    with pytest.raises(DataError, match="when unpacked"):
        imported({"p.csv.gz": gzip.compress(_TABLE + b"\n" * 2_000_000)}, tmp_path)


def test_endless_empty_lines_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "_MOST_BLANK_LINES", 500)
    check(imported({"p.csv": _TABLE + b"\n" * 500}, tmp_path), caption=TEXTS)
    with pytest.raises(DataError, match="empty lines"):
        imported({"p.csv": _TABLE + b"\n" * 501}, tmp_path / "more")


@pytest.mark.parametrize(
    "name",
    ["../p.csv", "/p.csv", "C:/p.csv", "..\\p.csv", "x/../../p.csv", "p.csv/../../q.csv"],
)
@pytest.mark.parametrize("inner", [False, True])
def test_no_name_in_an_archive_leads_out_of_it(name: str, inner: bool, tmp_path: Path) -> None:
    evil = archive({name: table(["id", "caption", "likes"], [9, "evil", 9]), "p.csv": _TABLE})
    files = {"in/p.zip": archive({"in.zip": evil}) if inner else evil}
    before = sorted(tmp_path.parent.iterdir())
    check(imported(files, tmp_path), caption=TEXTS, likes=LIKES)
    assert sorted(tmp_path.parent.iterdir()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("name", ["n" * 400 + ".csv", "p.csv/q.csv"])
def test_a_name_that_no_disk_takes_costs_itself_alone(name: str, tmp_path: Path) -> None:
    files = {"p.zip": archive({"p.csv": _TABLE, name: _TABLE.replace(b"1,", b"9,")})}
    check(imported(files, tmp_path), caption=TEXTS, likes=LIKES)


def test_a_link_in_an_archive_is_no_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(picture(5))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("p.csv", _TABLE)
        entry = zipfile.ZipInfo("a.jpg")
        entry.external_attr = 0o120777 << 16
        made.writestr(entry, str(secret))
    result = imported({"p.zip": stream.getvalue()}, tmp_path)
    check(result, caption=TEXTS, images=[0, 0])


def test_months_in_mixed_encodings(tmp_path: Path) -> None:
    head = ["Beitrags-ID", "Beschreibung", "Gefällt mir"]
    texts = ["Grüße aus Köln", "Schöne Straße", "Äpfel, frisch", "Übermut"]
    forms = [("utf-8-sig", ","), ("cp1252", ","), ("utf-16", ","), ("cp1252", ";")]
    files = {
        f"d/{n}.csv": table(head, [n, texts[n], 1000 + n], encoding=encoding, delimiter=delimiter)
        for n, (encoding, delimiter) in enumerate(forms)
    }
    check(imported(files, tmp_path, "d"), caption=texts, likes=[1000, 1001, 1002, 1003])


# Values

_ENCODED = {
    "koi8-r": "Пьём чай на балконе, хорошая погода",
    "iso8859-5": "Пьём чай на балконе, хорошая погода",
    "cp866": "Пьём чай на балконе, хорошая погода",
    "euc-jp": "お茶を飲みながら本を読む",
    "iso2022-jp": "お茶を飲みながら本を読む",
    "iso8859-2": "Zażółć gęślą jaźń, świeża herbata",
    "mac-roman": "Café à la crème, déjà vu",
}


@pytest.mark.parametrize("encoding", _ENCODED)
def test_further_encodings_are_found(encoding: str, tmp_path: Path) -> None:
    text = _ENCODED[encoding]
    path = tmp_path / "a.csv"
    path.write_bytes(table(["id", "caption"], *([n, text] for n in range(6)), encoding=encoding))
    assert find_encoding(path) == encoding
    posts = import_posts("csv", path, tmp_path / "out").dataset.posts
    assert posts["caption"].tolist() == [text] * 6


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("2 Agustus 2026 19.05", DATES[0]),
        ("2 ส.ค. 2569 19:05", DATES[0]),
        ("02-AUG-26 07.05.00 PM", DATES[0]),
        ("2026-08-02T21:05:00+02:00[Europe/Berlin]", DATES[0]),
        ("Aug 2, 2026, 7:05\u202fPM", DATES[0]),
        ("2 weeks ago", None),
        ("2026 19.05", None),
    ],
)
def test_further_dates(cell: str, read: str | None, tmp_path: Path) -> None:
    content = table(["id", "caption", "Published"], [1, "Tea", cell], [2, "Tea too", cell])
    found = imported({"a.csv": content}, tmp_path).dataset.posts["posted_at"]
    shown = [None if pd.isna(date) else date.strftime("%Y-%m-%dT%H:%M") for date in found]
    assert shown == [read] * 2


@pytest.mark.parametrize(
    ("cells", "read"),
    [(["1.5w", "1.2万"], [15000, 12000]), (["Likes: 2,316", "Likes: 1"], [2316, 1])],
)
def test_further_counts(cells: Sequence[str], read: Sequence[int], tmp_path: Path) -> None:
    content = table(["id", "Likes"], *enumerate(cells))
    assert imported({"a.csv": content}, tmp_path).dataset.posts["likes"].tolist() == read


@pytest.mark.parametrize(
    ("named", "is_called"),
    [
        ("my%20tea.jpg", "my tea.jpg"),
        ("img_1.jpg", "IMG_1.JPG"),
        (unicodedata.normalize("NFC", "für.jpg"), unicodedata.normalize("NFD", "für.jpg")),
        ("sub\\a.jpg", "sub/A.jpg"),
    ],
)
def test_names_of_pictures_in_another_spelling(named: str, is_called: str, tmp_path: Path) -> None:
    files = {"p.csv": table(["id", "caption", "image"], [1, TEXTS[0], named])}
    check(imported(files | {is_called: picture(1)}, tmp_path), caption=TEXTS[:1], images=[1])


def test_two_spellings_of_a_picture_decide_nothing(tmp_path: Path) -> None:
    files = {"p.csv": table(["id", "caption", "image"], [1, TEXTS[0], "a.jpg"])}
    files |= {"A.jpg": picture(1), "a.JPG": picture(2)}
    check(imported(files, tmp_path), caption=TEXTS[:1], images=[0])


def test_another_spelling_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "SECRET.JPG").write_bytes(picture(1))
    names = ["..%2Fsecret.jpg", "../secret.jpg", "%2e%2e/secret.jpg"]
    rows = [[n, f"Tea {n}", name] for n, name in enumerate(names)]
    result = imported({"p.csv": table(["id", "caption", "image"], *rows)}, tmp_path)
    assert result.tally.images == 0


def test_pictures_separated_by_commas(tmp_path: Path) -> None:
    files = {"p.csv": table(["id", "caption", "image"], [1, TEXTS[0], "a.jpg, b.jpg"])}
    files |= {"a.jpg": picture(1), "b.jpg": picture(2)}
    check(imported(files, tmp_path), caption=TEXTS[:1], images=[2])


@pytest.mark.parametrize(
    ("named", "is_called"),
    [
        ("pic1", "pic1.jpg"),
        ("pic1.jpg", "pic1.webp"),
        ("fotos/pic1.jpg", "fotos/pic1.png"),
        ("https://cdn.example.com/p/4484123_182736_n.jpg?stp=1#x", "4484123_182736_n.jpg"),
        ("v1.2 final", "v1.2 final.tif"),
    ],
)
def test_pictures_that_were_saved_with_another_ending(
    named: str, is_called: str, tmp_path: Path
) -> None:
    files = {
        "a.csv": table(["id", "caption", "image"], [1, TEXTS[0], named]),
        is_called: picture(1),
    }
    check(imported(files, tmp_path), caption=TEXTS[:1], images=[1])


@pytest.mark.parametrize(
    "others",
    [["pic1.png", "pic1.webp"], ["pic1.txt"], ["../pic1.png"], ["elsewhere/pic1.png"]],
)
def test_no_other_picture_is_taken_for_one(others: list[str], tmp_path: Path) -> None:
    files = {
        "d/a.csv": table(["id", "caption", "image"], [1, TEXTS[0], "pic1.jpg"]),
        **{f"d/{name}": picture(1) for name in others},
    }
    check(imported(files, tmp_path), caption=TEXTS[:1], images=[0])


@pytest.mark.parametrize(
    "named", ["https://x.com/../picture1.jpg", "https://x.com/%2e%2e%2fpicture1.jpg"]
)
def test_no_address_leads_out_of_the_folder(named: str, tmp_path: Path) -> None:
    files = {"d/a.csv": table(["id", "caption", "image"], [1, TEXTS[0], named])}
    check(imported(files | {"picture1.jpg": picture(1)}, tmp_path), caption=TEXTS[:1], images=[0])


def test_a_table_in_an_archive_s_folder_names_pictures_from_there(tmp_path: Path) -> None:
    rows = [[n, TEXTS[n], f"fotos\\ä{n}.jpg"] for n in (0, 1)]
    content = table(["id", "caption", "image"], *rows)
    pictures = {f"x/fotos/ä{n}.jpg": picture(n) for n in (0, 1)}
    result = imported({"a.zip": archive({"x/p.csv": content, **pictures})}, tmp_path)
    check(result, caption=TEXTS, images=[1, 1])
    other = {f"x/andere/ä{n}.jpg": picture(n) for n in (0, 1)}
    result = imported({"a.zip": archive({"x/p.csv": content, **other})}, tmp_path / "other")
    check(result, caption=TEXTS, images=[0, 0])


def test_pictures_that_are_objects_with_an_address(tmp_path: Path) -> None:
    rows = [
        {
            "id": n,
            "caption": TEXTS[n],
            "images": [{"url": f"a{n}.jpg", "width": 9}, {"uri": "b.jpg"}],
        }
        for n in (0, 1)
    ]
    files = {"a.json": json.dumps(rows).encode(), "b.jpg": picture(5)}
    files |= {f"a{n}.jpg": picture(n) for n in (0, 1)}
    check(imported(files, tmp_path), caption=TEXTS, images=[2, 2])


@pytest.mark.parametrize("ending", ["tif", "tiff"])
@pytest.mark.parametrize("packed_up", [False, True])
def test_tiff_becomes_a_picture_of_the_dataset(
    ending: str, packed_up: bool, tmp_path: Path
) -> None:
    content = table(["id", "caption", "image"], [1, TEXTS[0], f"a.{ending}"])
    files = {"p.csv": content, f"a.{ending}": picture(1, "TIFF")}
    result = imported({"a.zip": archive(files)} if packed_up else files, tmp_path)
    check(result, caption=TEXTS[:1], images=[1])
    assert next((result.dataset.folder / "images").iterdir()).suffix == ".jpg"
