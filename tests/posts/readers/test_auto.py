"""Sources whose format is found out: tables, workbooks, folders, archives; and encodings."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evoked.errors import DataError, SettingsError
from evoked.posts.importing import import_posts
from evoked.posts.readers import READERS, packed, tables, xlsx_file
from evoked.posts.readers.auto import find_format
from evoked.posts.readers.base import PostRecord, ReadOptions, Skipped
from evoked.posts.readers.text_encoding import badly_decoded, check_encoding, find_encoding
from tests.support.reader_sources import (
    csv_source,
    export_source,
    export_zip,
    iaed_source,
    instaloader_source,
    jsonl_source,
    label_studio_source,
    parquet_source,
    picture,
    pixelrec_source,
    table_rows,
    tables_source,
    write_csv,
    write_picture,
    write_xlsx,
    xlsx_source,
)

_SOURCES: dict[str, Callable[[Path], Path]] = {
    "csv": csv_source,
    "jsonl": jsonl_source,
    "parquet": parquet_source,
    "xlsx": xlsx_source,
    "tables": tables_source,
    "instaloader": instaloader_source,
    "instagram-export": export_source,
    "label-studio": label_studio_source,
    "iaed": iaed_source,
    "pixelrec": pixelrec_source,
}


@pytest.mark.parametrize("format_name", _SOURCES)
def test_every_format_is_found_out_and_read_as_by_its_name(
    format_name: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    source = _SOURCES[format_name](tmp_path / "in")
    assert find_format(source) == format_name
    found = import_posts("auto", source, tmp_path / "found")
    named = import_posts(format_name, source, tmp_path / "named").dataset
    assert found.notes[0].startswith(f"{source.name} is taken for ")
    assert found.dataset.posts.drop(columns="images").equals(named.posts.drop(columns="images"))
    assert found.dataset.description["provenance"]["format"] == format_name


def test_a_file_s_content_counts_not_its_name(tmp_path: Path) -> None:
    table = csv_source(tmp_path / "a")
    assert find_format(table.rename(tmp_path / "posts.json.txt")) == "csv"
    lines = jsonl_source(tmp_path / "b")
    assert find_format(lines.rename(tmp_path / "posts.csv")) == "jsonl"
    assert find_format(export_zip(tmp_path / "download")) == "instagram-export"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 100, "before 2007"),
        (b"<html><table>", "a web page"),
        (b"PK\x03\x04 cut", "zip archive"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "posts.xls"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        find_format(path)


def test_a_folder_with_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("Hello")
    with pytest.raises(DataError, match=r'no table.*"notes.md"'):
        find_format(tmp_path)


def _months(folder: Path) -> Path:
    """Three months, the last with other columns, a table of days, and pictures elsewhere."""
    rows = table_rows(6)
    write_csv(folder / "2024/01.csv", rows[:2])
    write_csv(folder / "2024/02.csv", rows[2:4])
    newer = [{"id": row["Post ID"], "Text": row["Caption"], "Likes": -1} for row in rows[4:]]
    write_csv(folder / "2025/01.csv", newer)
    write_csv(folder / "overview.csv", [{"Date": "2024-01-01", "Likes": 3, "Views": 9}])
    for number in range(4):
        write_picture(folder / f"pictures/{number}.jpg", number)
    return folder


def _zipped(folder: Path, dest: Path) -> Path:
    with zipfile.ZipFile(dest, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"download/{path.relative_to(folder)}")
    return dest


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_months_is_one_source(packed: bool, tmp_path: Path) -> None:
    folder = _months(tmp_path / "in")
    source = _zipped(folder, tmp_path / "in.zip") if packed else folder
    result = import_posts("auto", source, tmp_path / "out")
    posts = result.dataset.posts.sort_values("post_id")
    assert posts["post_id"].tolist() == [f"p{number}" for number in range(6)]
    assert posts["caption"].str.startswith("Caption").all()
    left_out = [
        remark["file"] for remark in result.remarks() if remark["reason"] == tables.LEFT_OUT
    ]
    assert [name.removeprefix("download/") for name in left_out] == ["overview.csv"]
    where = [(each["file"], each["row"]) for each in result.remarks() if each["field"] == "likes"]
    assert where == [("01.csv", 1), ("01.csv", 2)]
    if not packed:
        assert result.tally.images == 4


def test_rows_of_joined_tables_keep_their_file_and_number(tmp_path: Path) -> None:
    for month in (1, 2):
        rows = [{"id": f"{month}{n}", "likes": n, "valence": "x"} for n in range(3)]
        write_csv(tmp_path / f"{month}.csv", rows)
    reading = READERS["tables"](tmp_path, ReadOptions())
    places = [(r.file, r.row) for r in reading.records if isinstance(r, PostRecord)]
    assert places == [(f"{month}.csv", row) for month in (1, 2) for row in (1, 2, 3)]


def test_an_archive_leads_nowhere_and_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("posts.csv", "id,text,image\n1,Tea,../evil.jpg\n")
        archive.writestr("../evil.jpg", picture(1))
        archive.writestr("/tmp/evil.csv", "id,text\n2,Tea\n")
        archive.writestr("__MACOSX/posts.csv", "id,text\n3,Tea\n")
        archive.writestr("big.json", "[" + " " * 1_000_000 + "]")
    result = import_posts("auto", tmp_path / "a.zip", tmp_path / "out")
    assert result.dataset.posts["post_id"].tolist() == ["1"]
    assert result.tally.images == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]
    monkeypatch.setattr(packed, "MAX_UNPACKED_BYTES", 500_000)
    with pytest.raises(DataError, match="when unpacked"):
        import_posts("auto", tmp_path / "a.zip", tmp_path / "other")


def test_the_sheet_with_posts_is_read(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["Post ID", "Text", "Published at", "Likes", "Share"],
        ["00017", "Tea", datetime(2024, 5, 1, 10, 30), 12, 0.5],
        ["00018", "Two\nteas", datetime(2024, 5, 2), 3.0, None],
        [None, None, None, None, None],
    ]
    path = write_xlsx(tmp_path / "a.xlsx", rows)
    from openpyxl import load_workbook

    book = load_workbook(path)
    book.create_sheet("About", 0).append(["How to read this"])
    book.save(path)
    result = import_posts("auto", path, tmp_path / "out")
    posts = result.dataset.posts
    assert posts["post_id"].tolist() == ["00017", "00018"]
    assert posts["caption"].tolist() == ["Tea", "Two\nteas"]
    assert posts["likes"].tolist() == [12, 3]
    assert posts["posted_at"].dt.strftime("%d %H:%M").tolist() == ["01 10:30", "02 00:00"]
    assert "a.xlsx is read from the sheet 'Posts'." in result.notes
    assert any("About" in note for note in result.notes)


def test_workbooks_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_xlsx(tmp_path / "a.xlsx", [["id", "text"], *([n, "Tea"] for n in range(50))])
    monkeypatch.setattr(xlsx_file, "MAX_CELLS", 60)
    with pytest.raises(DataError, match=r"a\.xlsx: more than 60 cells"):
        READERS["xlsx"](source, ReadOptions())
    monkeypatch.setattr(xlsx_file, "MAX_UNPACKED_BYTES", 100)
    with pytest.raises(DataError, match="when unpacked"):
        READERS["xlsx"](source, ReadOptions())


_TEXTS = {
    "cp1251": "Пьём чай #чай",
    "cp1253": "Καλημέρα από την Αθήνα",
    "cp1256": "مرحبا بالعالم",
    "cp1250": "Zażółć gęślą jaźń",
    "cp1254": "Günaydın İstanbul",
    "gb18030": "今天喝热茶 #茶",
    "big5": "今天喝熱茶",
    "cp932": "お茶を飲む #お茶",
    "euc-kr": "오늘의 차 한 잔",
    "cp1252": "Schöne Grüße – déjà vu",
    "utf-16-le": "Ein Tee zu viert 🍵",
    "utf-16-be": "日本の写真",
    "utf-8": "Πρώτα τσάι",
    "iso8859-15": "Un cœur à 5 € près",
    "hz": "今天喝热茶 ~ 照片",
    "iso2022-kr": "오늘의 차 한 잔",
    "cp1257": "Šiandien žiūrint į Ačiū",
    "mac-cyrillic": "Пьём чай с друзьями",
}


@pytest.mark.parametrize("encoding", _TEXTS)
def test_encodings_are_found_by_their_characters(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    lines = "".join(f"{number},{_TEXTS[encoding]},5\n" for number in range(3))
    path.write_bytes(f"id,caption,likes\n{lines}".encode(encoding))
    assert find_encoding(path) == encoding
    posts = import_posts("csv", path, tmp_path / "out")
    assert posts.dataset.posts["caption"].tolist() == [_TEXTS[encoding]] * 3
    assert not any("wrongly decoded" in warning for warning in posts.warnings)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "Prix : ½ livre, 1½ heure, §3, l´été"),
        ("cp1252", "“½ cup” – 3¼ of it, 5 €"),
        ("utf-8", "a ~{ and ~} in ASCII, été"),
    ],
)
def test_fractions_and_signs_are_no_letters(encoding: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(f'id,caption,likes\n1,"{text}",5\n'.encode(encoding))
    assert import_posts("csv", path, tmp_path / "out").dataset.posts["caption"].tolist() == [text]


def test_a_damaged_byte_does_not_spoil_all_others(tmp_path: Path) -> None:
    rows = "".join(f"{number},Schöne Grüße 🍵,5\n" for number in range(9)).encode()
    path = tmp_path / "posts.csv"
    path.write_bytes(b"id,caption,likes\n" + rows + b"9,Bad \xff byte,5\n")
    captions = import_posts("csv", path, tmp_path / "out").dataset.posts["caption"].tolist()
    assert captions == ["Schöne Grüße 🍵"] * 9 + ["Bad \ufffd byte"]


@pytest.mark.parametrize(
    "text", ["CafÃ© au lait", "Ïðèâåò ìèð", "æ—¥æœ¬", "caf\ufffd\ufffd", "ðŸ˜€ ok"]
)
def test_texts_in_a_wrong_encoding_are_noticed(text: str, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", [{"id": 1, "caption": text, "likes": 3}])
    warnings = import_posts("csv", source, tmp_path / "out").warnings
    assert any("looks wrongly decoded" in each and "--encoding" in each for each in warnings)


@pytest.mark.parametrize("text", ["Ça va où ?", "ÄÖÜ groß", "Æøå", "Пьём", "日本", "naïve", "🍵"])
def test_texts_of_any_language_are_left_in_peace(text: str) -> None:
    assert badly_decoded([text]) == ""


def test_an_encoding_that_does_not_exist_is_refused() -> None:
    assert check_encoding("UTF8") == "utf-8"
    for name in ("klingon", "base64", "\0"):
        with pytest.raises(SettingsError, match="no encoding"):
            check_encoding(name)


def test_absolute_names_of_pictures_are_found_below_their_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / "pictures/2024/a.jpg", 1)
    write_picture(tmp_path / "pictures/b.jpg", 2)
    names = ("/home/somebody/2024/a.jpg", "C:\\Users\\me\\b.jpg", "/elsewhere/c.jpg")
    rows = [{"id": n, "likes": 1, "image": name} for n, name in enumerate(names)]
    source = write_csv(tmp_path / "in/posts.csv", rows)
    result = import_posts("csv", source, tmp_path / "out", images=tmp_path / "pictures")
    assert [len(images) for images in result.dataset.posts["images"]] == [1, 1, 0]


def test_a_name_with_separators_is_one_name_if_there_is_such_a_file(tmp_path: Path) -> None:
    name = "it's, ok;1.jpg"
    write_picture(tmp_path / name, 1)
    write_picture(tmp_path / "a.jpg", 2)
    rows = [{"id": 1, "likes": 1, "image": name}, {"id": 2, "likes": 1, "image": f"a.jpg;{name}"}]
    posts = list(READERS["csv"](write_csv(tmp_path / "p.csv", rows), ReadOptions()).records)
    assert [image.name for image in posts[0].images] == [name]  # type: ignore[union-attr]
    assert not isinstance(posts[1], Skipped)


def test_a_day_and_a_time_in_two_columns_are_one_date(tmp_path: Path) -> None:
    rows = [{"Message": "Bonjour", "Publishing date": "05/24/2026", "Publishing time": "17:45"}]
    source = write_csv(tmp_path / "a.csv", rows)
    posts = import_posts("csv", source, tmp_path / "out").dataset.posts
    assert posts["posted_at"].dt.strftime("%m-%d %H:%M").tolist() == ["05-24 17:45"]


def test_a_field_that_a_platform_s_posts_have_is_missed(tmp_path: Path) -> None:
    rows = [
        {
            "Tweet id": n,
            "Tweet text": f"A cup of tea, number {n}",
            "Tweet permalink": f"https://x.com/a/status/{n}",
            "time": "2024-05-01 10:00",
            "likes": n,
            "retweets": n,
            "answers": n,
        }
        for n in range(3)
    ]
    warnings = READERS["csv"](write_csv(tmp_path / "a.csv", rows), ReadOptions()).warnings
    assert warnings == [
        "No column is recognised to hold comments. If 'answers' does: --map comments=answers"
    ]
