"""Posts of many files come into batches, each author's together, and a bad row sinks no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoked.errors import DataError
from evoked.posts import gathering
from evoked.posts.author_hashes import hashes
from evoked.posts.gathering import GatheredPosts, gather
from evoked.posts.post_parts import PostParts
from tests.posts.test_everyones_means import some_posts


def write_parts(folder: Path, posts: pd.DataFrame, parts: int = 3) -> Path:
    """Posts in so many files, in folders of their own."""
    for number, rows in enumerate(np.array_split(np.arange(len(posts)), parts)):
        (folder / f"month={number}").mkdir(parents=True)
        posts.iloc[rows].to_parquet(folder / f"month={number}" / "part.parquet", index=False)
    return folder


def all_batches(gathered: GatheredPosts) -> list[pd.DataFrame]:
    found = []
    for number, size in enumerate(gathered.sizes):
        posts, others = gathered.batch(number)
        assert len(posts) == size + others
        found.append(posts.to_pandas().iloc[:size])
    return found


def test_each_author_is_in_one_batch_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_ROWS_PER_BUCKET", 200)
    monkeypatch.setattr(gathering, "_WAITING_BYTES", 5_000)  # so that buckets are added to
    posts = some_posts()
    parts = PostParts(write_parts(tmp_path / "parts", posts))
    reported: list[tuple[int, int | None]] = []
    gathered = gather(
        parts,
        tmp_path / "gathered",
        rows_per_batch=50,
        progress=lambda stage, done, total: reported.append((done, total)),
    )
    batches = all_batches(gathered)
    whole = pd.concat(batches)
    assert sorted(whole["post_id"]) == sorted(posts["post_id"])
    of_author = pd.concat(
        [batch[["author_id"]].assign(batch=at) for at, batch in enumerate(batches)]
    )
    assert (of_author.dropna().groupby("author_id")["batch"].nunique() == 1).all()
    assert max(gathered.sizes) <= 50
    assert reported[-1] == (700, 700)
    merged = whole.set_index("post_id").loc[posts["post_id"], "likes"].to_numpy()
    np.testing.assert_array_equal(merged, posts["likes"].to_numpy())


def test_an_author_of_many_posts_is_cut_and_sees_the_others(tmp_path: Path) -> None:
    posts = some_posts(60).assign(author_id="one", caption="hello")
    draft = pd.DataFrame({"post_id": ["draft"], "caption": ["mine"]})
    source = write_parts(tmp_path / "parts", pd.concat([posts, draft]), parts=1)
    only = hashes(pd.Series(["one"]))[0]
    gathered = gather(PostParts(source), tmp_path / "gathered", None, only, rows_per_batch=25)
    assert gathered.sizes == [25, 25, 11]
    published = posts[posts[["likes", "views"]].notna().any(axis=1)]
    seen = set()
    for number, size in enumerate(gathered.sizes):
        batch, others = gathered.batch(number)
        rows = batch.to_pandas()
        assert set(published["post_id"]) <= set(rows["post_id"])
        assert rows["caption"].iloc[size:].isna().all()  # of which nobody sees anything
        assert others
        seen |= set(rows["post_id"].iloc[:size])
    assert seen == {*posts["post_id"], "draft"}


def test_bad_rows_say_why_and_the_others_are_kept(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "post_id": pa.array(["a", "b", None, "d", "", "a", "g"]),
            "likes": pa.array([1, -1, 2, 3, 4, 5, 6]),
            "followers": pa.array(["10", "11", "12", "many", "13", "14", "15"]),
            "images": pa.array(["a.jpg", None, None, None, None, None, "g.jpg"]),
        }
    )
    pq.write_table(rows, tmp_path / "posts.parquet")
    gathered = gather(PostParts(tmp_path / "posts.parquet"), tmp_path / "gathered")
    posts = pd.concat(all_batches(gathered)).set_index("post_id")
    assert set(posts.index) == {"a", "g"}
    assert posts.loc["a", "likes"] == 1
    assert posts.loc["g", "images"].tolist() == ["g.jpg"]
    wrong = gathered.wrong(0).to_pylist()
    assert gathered.wrong_sizes == [5] == [len(wrong)]
    said = {row["post_id"]: row["error"] for row in wrong}
    assert "row 2, field likes: -1 can't be" in said["b"]
    assert "row 3, field post_id" in said[None]
    assert "row 4, field followers" in said["d"]
    assert "row 5, field post_id: every post needs an id" in said[""]
    assert "row 6, field post_id: the id 'a' occurs twice" in said["a"]


def test_what_is_wrong_with_a_whole_file_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Parquet file"):
        PostParts(tmp_path / "*.parquet")
    pq.write_table(pa.table({"post_id": ["a"], "shoe_size": [4]}), tmp_path / "odd.parquet")
    with pytest.raises(DataError, match=r"odd\.parquet.*shoe_size"):
        gather(PostParts(tmp_path), tmp_path / "gathered")
    assert not (tmp_path / "gathered").exists()
    pq.write_table(pa.table({"likes": [4]}), tmp_path / "odd.parquet")
    with pytest.raises(DataError, match="no row has an id"):
        gather(PostParts(tmp_path), tmp_path / "gathered")
    for number, kind in enumerate((pa.string(), pa.float64())):
        fact = pa.array(["1"]).cast(kind)
        table = pa.table({"post_id": [str(number)], "fact.size": fact})
        pq.write_table(table, tmp_path / f"{number}.parquet")
    with pytest.raises(DataError, match="of one kind in one file and of another"):
        gather(PostParts(tmp_path / "[01].parquet"), tmp_path / "gathered")
