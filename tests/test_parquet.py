"""Parquet files of others: bounds, and values that Python or pandas can't hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoked.errors import DataError
from evoked.parquet import count_rows, read_frame, read_rows, read_table

NESTED = pa.table(
    {
        "text": ["a", None, "b"],
        "list": [["a"], None, [None, "b"]],
        "record": [{"x": "a", "y": [1]}, None, {"x": None, "y": None}],
        "map": pa.array([[("a", ["b"])], None, []], pa.map_(pa.string(), pa.list_(pa.string()))),
        "fixed": pa.array([[1, 2], [3, 4], None], pa.list_(pa.int32(), 2)),
        "bytes": [b"a", b"\xff", None],
        "nothing": pa.nulls(3),
    }
)


def written(folder: Path, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, folder / "table.parquet", **options)
    return folder / "table.parquet"


def test_values_come_as_they_are(tmp_path: Path) -> None:
    file = written(tmp_path, NESTED)
    assert [row for batch in read_rows(file) for row in batch.to_pylist()] == NESTED.to_pylist()
    flat = written(tmp_path, NESTED.select(["text", "list", "fixed"]))
    assert read_table(flat).to_pylist() == NESTED.select(["text", "list", "fixed"]).to_pylist()
    assert read_table(flat).schema.field("list").type == pa.list_(pa.string())
    assert count_rows(flat) == 3


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x" * 1_100_000] * 1024),
        pa.array([["x" * 1_100_000]] * 1024),
        pa.array([{"a": "x" * 1_100_000}] * 1024),
        pa.array([list(range(1_100_000))]),
    ],
    ids=["text", "list", "record", "long list"],
)
def test_a_cell_has_bounds(column: pa.Array, tmp_path: Path) -> None:
    file = written(tmp_path, pa.table({"caption": column}), compression="zstd")
    with pytest.raises(DataError, match=r"table\.parquet, row 1, field caption: .* million"):
        list(read_rows(file))
    with pytest.raises(DataError, match=r"million|unpack"):
        read_table(file)


def test_a_small_file_may_not_unpack_to_a_large_table(tmp_path: Path) -> None:
    many = pa.table({"caption": pa.array(["x" * 900_000] * 400)})
    with pytest.raises(DataError, match="unpack to more than 256 MiB"):
        read_table(written(tmp_path, many))
    # 40 million values in 160 kB: their number alone is too large for the file.
    repeated = pa.table({"n": pa.array([1], pa.int64()).take(pa.array([0] * 40_000_000))})
    with pytest.raises(DataError, match="unpack to more than 256 MiB"):
        list(read_rows(written(tmp_path, repeated)))


def test_rows_come_in_parts_of_bounded_size(tmp_path: Path) -> None:
    file = written(tmp_path, pa.table({"caption": ["x" * 900_000] * 30}))
    sizes = [len(batch) for batch in read_rows(file)]
    assert sum(sizes) == 30
    assert max(sizes) <= 5


def test_text_that_is_not_utf8_is_refused_in_a_dataset(tmp_path: Path) -> None:
    broken = pa.array([b"a", b"\xff"], pa.binary()).view(pa.string())
    with pytest.raises(DataError, match=r"table\.parquet: .*UTF8"):
        read_table(written(tmp_path, pa.table({"caption": broken})))


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.parquet: the file does not exist"):
        read_frame(tmp_path / "no.parquet")
    file = written(tmp_path, NESTED.select(["text"]))
    with pytest.raises(DataError, match=r"'post_id'\] are missing"):
        read_frame(file, ["post_id"])
    assert read_frame(file, ["text"])["text"].dropna().tolist() == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1" + b"\xff" * 40 + b"PAR1"])
def test_files_of_another_kind_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_bytes(content)
    for read in (read_table, count_rows, lambda file: list(read_rows(file))):
        with pytest.raises(DataError, match=r"table\.parquet: can't be read as Parquet"):
            read(tmp_path / "table.parquet")
