"""Posts in one file or in one per month, read some columns and rows at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoked.errors import DataError
from evoked.posts import post_files
from evoked.posts.dataset import PostDataset
from evoked.posts.post_files import are_by_month
from evoked.runs.folder import data_description

N = 90
POSTS = pd.DataFrame(
    {
        "post_id": [f"p{number:02d}" for number in range(N)],
        "posted_at": pd.date_range("2024-01-01", periods=N, freq="D", tz="UTC").where(
            np.arange(N) != 7
        ),
        "hashtags": [["sun"], [], None] * (N // 3),
        "likes": pd.array([None, *range(1, N)], dtype="Int64"),
        "images": [["x.jpg"], None, []] * (N // 3),
        "fact.spend": [float(number) for number in range(N)],
    }
)


@pytest.fixture(params=["one file", "by month"])
def dataset(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PostDataset:
    if request.param == "by month":
        monkeypatch.setattr(post_files, "POSTS_BY_MONTH", 1)
    found = PostDataset.create(tmp_path / "d", {"posts": POSTS})
    assert are_by_month(found.folder) == (request.param == "by month")
    return found


def in_order(posts: pd.DataFrame) -> pd.DataFrame:
    return posts.sort_values("post_id", ignore_index=True)


def test_it_opens_whole_all_the_same(dataset: PostDataset) -> None:
    assert len(dataset) == N
    posts = in_order(dataset.posts)
    assert posts["likes"].fillna(-1).tolist() == [-1, *range(1, N)]
    assert posts["hashtags"].tolist() == [["sun"], [], []] * (N // 3)
    assert dataset.tables == ["posts"]
    assert dataset.description["facts"][0]["known"] == N


def test_parts_make_up_the_whole(dataset: PostDataset) -> None:
    parts = list(dataset.scan(batch=20))
    assert max(part.num_rows for part in parts) <= 20
    assert pa.concat_tables(parts, promote_options="default").equals(dataset.arrow("posts"))
    some = ["likes", "fact.spend", "images"]
    assert next(part.column_names for part in dataset.scan(some, batch=50)) == some
    pd.testing.assert_frame_equal(dataset.frame(some), dataset.posts[some])


def test_a_selection_is_scanned_in_the_order_of_the_dataset(dataset: PostDataset) -> None:
    rows = [3, 4, 50, 88]
    chosen = dataset.select(rows)
    assert chosen.frame(["post_id"])["post_id"].tolist() == chosen.posts["post_id"].tolist()
    own = dataset.posts.iloc[rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(chosen.posts, own, check_dtype=False)  # gaps make floats
    backwards = dataset.select(rows[::-1])
    assert backwards.frame(["likes"])["likes"].tolist() == backwards.posts["likes"].tolist()
    assert sum(part.num_rows for part in backwards.scan(batch=10)) == 4
    none = dataset.select([])
    assert list(none.scan()) == []
    assert none.frame(["likes", "fact.spend"]).shape == (0, 2)
    assert len(none.posts) == 0


def test_a_column_that_no_post_can_have_is_refused(dataset: PostDataset) -> None:
    with pytest.raises(DataError, match="no columns"):
        list(dataset.scan(["secret"]))
    assert dataset.frame(["fact.none"])["fact.none"].isna().all()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"images": [["../../secret"]]}, "images"),
        ({"likes": [-1]}, "likes"),
        ({"post_id": [""]}, "post_id"),
        ({"post_id": ["p11"]}, "post_id"),
    ],
)
def test_values_and_names_are_checked_batch_by_batch(
    dataset: PostDataset, changes: dict[str, list[object]], field: str
) -> None:
    file = dataset.files("posts")[0]
    table = pq.read_table(file).to_pandas()
    for name, values in changes.items():
        table.at[12, name] = values[0]
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), file)
    damaged = PostDataset(dataset.folder)
    with pytest.raises(DataError, match=rf"row 13, field {field}"):
        list(damaged.scan([field], batch=5 if field != "post_id" else 20))
    with pytest.raises(DataError, match=field):
        _ = damaged.posts


def test_links_and_strangers_among_the_months_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_files, "POSTS_BY_MONTH", 1)
    dataset = PostDataset.create(tmp_path / "d", {"posts": POSTS})
    part = dataset.files("posts")[0]
    part.rename(tmp_path / "outside.parquet")
    part.symlink_to(tmp_path / "outside.parquet")
    for use in (lambda: dataset.posts, lambda: list(dataset.scan()), lambda: len(dataset)):
        with pytest.raises(DataError, match="leads out"):
            use()
    part.unlink()
    (dataset.folder / "posts/other.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="beside the files"):
        _ = dataset.posts


def test_a_run_knows_posts_by_month_by_their_content(dataset: PostDataset) -> None:
    before = data_description(dataset, [])["sha256"]
    assert data_description(PostDataset(dataset.folder), [])["sha256"] == before
    file = dataset.files("posts")[-1]
    table = pq.read_table(file)
    place = table.schema.get_field_index("likes")
    more = pa.array([1_000] * table.num_rows, pa.int64())
    pq.write_table(table.set_column(place, "likes", more), file)
    assert data_description(PostDataset(dataset.folder), [])["sha256"] != before
