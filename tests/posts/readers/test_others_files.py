"""Sources with one thing that nobody can read, or that leads elsewhere: the rest is read."""

from __future__ import annotations

import os
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoked.errors import DataError
from evoked.posts.importing import ImportResult, import_posts
from tests.support.reader_sources import write_csv, write_xlsx

FAR = 2**52
UNREADABLE = {
    "seconds": pa.array([1, FAR, -FAR], pa.timestamp("s")),
    "microseconds": pa.array([1, 2**61, 3], pa.timestamp("us")),
    "day": pa.array([1, 2**30, 3], pa.date32()),
    "duration": pa.array([1, 2**61, 3], pa.duration("ms")),
    "nowhere": pa.array([1, 2, 3], pa.timestamp("us", "Nowhere/Land")),
    "in a list": pa.array([[1], [2**61], None], pa.list_(pa.timestamp("us"))),
    "in a record": pa.array([{"at": 1}, {"at": 2**61}, None], pa.struct([("at", pa.date64())])),
    "no UTF-8": pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string()),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("column", ["caption", "posted_at", "further"])
def test_a_value_without_a_twin_in_python_is_left_empty(
    name: str, column: str, tmp_path: Path
) -> None:
    table = {"post_id": ["1", "2", "3"], "caption": ["a", "b", "c"], "likes": [1, 2, 3]}
    pq.write_table(pa.table({**table, column: UNREADABLE[name]}), tmp_path / "posts.parquet")
    result = import_posts("parquet", tmp_path / "posts.parquet", tmp_path / "out")
    posts = result.dataset.posts
    assert list(posts["likes"]) == [1, 2, 3]
    if column == "caption" and name in ("seconds", "no UTF-8"):
        assert posts["caption"].isna()[1]
        assert any(e["row"] == 2 and e["field"] == "caption" for e in result.tally.examples)


def with_picture(folder: Path, name: str) -> ImportResult:
    source = write_csv(folder / "in" / "posts.csv", [{"id": 1, "caption": "a", "image": name}])
    return import_posts("csv", source, folder / "out")


@pytest.mark.parametrize("name", ["loop.jpg", "one.jpg", "loopdir/x.jpg"])
def test_a_picture_whose_name_leads_in_a_circle_is_left_out(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "one.jpg").symlink_to("two.jpg")
    (folder / "two.jpg").symlink_to("one.jpg")
    (folder / "loopdir").symlink_to("loopdir")
    result = with_picture(tmp_path, name)
    assert result.tally.images == 0
    assert result.tally.examples[0]["value"].startswith(name)


def test_a_destination_that_is_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("out")
    with pytest.raises(DataError):
        with_picture(tmp_path, "a.jpg")


ROWS = "post_id,caption,likes\n1,héllo wörld,3\n2,日本語の文章,4\n"


@pytest.mark.parametrize(
    "encoding",
    ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8", "utf-8-sig"],
)
def test_every_unicode_encoding_is_found(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "posts.csv").write_bytes(ROWS.encode(encoding))
    result = import_posts("csv", tmp_path / "posts.csv", tmp_path / "out")
    assert list(result.dataset.posts["caption"]) == ["héllo wörld", "日本語の文章"]
    assert encoding.removesuffix("-le") in result.notes[0] or encoding in result.notes[0]


def test_a_file_full_of_null_bytes_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "posts.csv").write_bytes(ROWS.encode() + b"\0" * 500)
    with pytest.raises(DataError, match=r"posts\.csv: null bytes"):
        import_posts("csv", tmp_path / "posts.csv", tmp_path / "out")


@pytest.mark.parametrize("number", [2**20 + 1, 10**12])
def test_rows_of_a_workbook_are_not_made_up(number: int, tmp_path: Path) -> None:
    """A row's number is what its file says: those before it would be read as empty ones."""
    plain, changed = tmp_path / "plain.xlsx", tmp_path / "posts.xlsx"
    write_xlsx(plain, [["post_id", "caption", "likes"], ["1", "a", 2]])
    with ZipFile(plain) as old, ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                row = f'<row r="{number}"><c r="A{number}"><v>2</v></c></row></sheetData>'
                content = content.replace(b"</sheetData>", row.encode())
            new.writestr(name, content)
    with pytest.raises(DataError, match="more than 1,048,576 rows"):
        import_posts("xlsx", changed, tmp_path / "out")


@pytest.mark.parametrize("format_name", ["csv", "auto"])
def test_no_pipe_is_waited_for(format_name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "posts.csv")
    with pytest.raises(DataError, match="a pipe"):
        import_posts(format_name, tmp_path / "posts.csv", tmp_path / "out")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_more_columns_than_any_export_has_are_refused(suffix: str, tmp_path: Path) -> None:
    """Each is looked at, several times, before a row is read."""
    source = tmp_path / f"posts.{suffix}"
    names = ["post_id", "caption", *(f"c{number}" for number in range(5_000))]
    table = pd.DataFrame([["1"] * len(names)], columns=names)
    table.to_csv(source, index=False) if suffix == "csv" else table.to_parquet(source)
    with pytest.raises(DataError, match="5,002 columns, where at most 2,000 are read"):
        import_posts(suffix, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
