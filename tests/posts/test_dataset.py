"""PostDataset and its schema."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.errors import DataError
from evoked.files import atomic_folder, atomic_path, link, read_json
from evoked.posts.dataset import PostDataset, _check_image_names
from evoked.posts.schema import POSTS, TABLES, convert_scale
from tests.support.examples import tamper_with_names

SMALL = pd.DataFrame(
    {
        "post_id": ["a", "b", "c"],
        "caption": ["Hello", None, ""],
        "hashtags": [["sun", "sea"], None, []],
        "likes": [5, None, 7],
        "images": [["x.jpg", "y.jpg"], None, []],
        "posted_at": pd.to_datetime(["2024-01-01", None, "2024-02-01"], utc=True),
    }
)


def test_missing_columns_and_values_are_filled_in(tmp_path: Path) -> None:
    dataset = PostDataset.create(tmp_path / "d", {"posts": SMALL})
    posts = dataset.posts
    assert list(posts.columns) == POSTS.names
    assert posts["hashtags"].tolist() == [["sun", "sea"], [], []]
    assert posts["likes"].isna().tolist() == [False, True, False]
    assert posts["saves"].isna().all()
    assert dataset.cover_paths() == [tmp_path / "d" / "images" / "x.jpg", None, None]
    summary = dataset.describe()
    assert (summary["posts"], summary["with image"], summary["with caption"]) == (3, 1, 1)
    assert summary["first"].startswith("2024-01-01")


def test_selection_takes_further_tables_along(tmp_path: Path) -> None:
    activity = pd.DataFrame({"post_id": ["a", "a", "b"], "hours": [1.0, 2.0, 1.0]})
    dataset = PostDataset.create(tmp_path / "d", {"posts": SMALL, "activity": activity})
    chosen = dataset.select([1, 0]).select([1])
    assert len(chosen) == 1
    assert chosen.posts["post_id"].tolist() == ["a"]
    assert chosen.table("activity")["hours"].tolist() == [1.0, 2.0]
    by_mask = dataset.select(np.array([False, False, True]))
    assert by_mask.posts["post_id"].tolist() == ["c"]
    assert dataset.table("groups").empty
    assert dataset.tables == ["posts", "activity"]
    with pytest.raises(DataError, match="no table is called"):
        dataset.table("secrets")


@pytest.mark.parametrize(
    ("posts", "message"),
    [
        (SMALL.drop(columns="post_id").assign(post_id=["a", "a", "b"]), "row 2.*occurs twice"),
        (SMALL.assign(post_id=["a", None, "b"]), "row 2, field post_id.*needs an id"),
        (SMALL.assign(lieks=[1, 2, 3]), "unknown columns.*lieks"),
        (SMALL.assign(likes=["many", "few", "none"]), "field likes"),
    ],
)
def test_bad_tables_are_refused_and_leave_nothing(
    posts: pd.DataFrame, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        PostDataset.create(tmp_path / "d", {"posts": posts})
    assert not any(tmp_path.iterdir())


def test_folder_that_is_no_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="evoked import"):
        PostDataset(tmp_path)
    PostDataset.create(tmp_path / "d", {"posts": SMALL})
    description = tmp_path / "d" / "dataset.json"
    description.write_text(json.dumps({**read_json(description), "format_version": 99}))
    with pytest.raises(DataError, match="format version 99"):
        PostDataset(tmp_path / "d")
    description.write_text("{")
    with pytest.raises(DataError, match="not a JSON file"):
        PostDataset(tmp_path / "d")


def test_damaged_table_is_named(tmp_path: Path) -> None:
    dataset = PostDataset.create(tmp_path / "d", {"posts": SMALL})
    path = tmp_path / "d" / "posts.parquet"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"posts\.parquet"):
        _ = dataset.posts


def test_empty_dataset_is_a_dataset(tmp_path: Path) -> None:
    dataset = PostDataset.create(tmp_path / "d", {"posts": SMALL.iloc[:0]})
    assert len(dataset) == 0
    assert dataset.describe()["posts"] == 0


def test_every_table_can_be_written_and_read_back(tmp_path: Path) -> None:
    tables = {
        name: pd.DataFrame({field: ["a"] for field in schema.names if field.endswith("_id")})
        for name, schema in TABLES.items()
        if schema is not None
    }
    dataset = PostDataset.create(tmp_path / "d", tables, provenance={"source": "a test"})
    assert dataset.tables == [name for name in TABLES if name != "truth"]
    assert all(len(dataset.table(name)) == 1 for name in tables)
    assert dataset.description["provenance"] == {"source": "a test"}


def test_failed_write_keeps_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="halfway"), atomic_path(path) as temporary:
        _write_and_fail(temporary)
    assert path.read_text() == "old"
    folder = tmp_path / "folder"
    with atomic_folder(folder) as temporary:
        (temporary / "old").touch()
    with pytest.raises(OSError, match="halfway"), atomic_folder(folder) as temporary:
        _write_and_fail(temporary / "new")
    assert [entry.name for entry in folder.iterdir()] == ["old"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def _write_and_fail(path: Path) -> None:
    path.write_text("new")
    raise OSError("halfway")


def test_scales_of_nine_points_are_the_papers() -> None:
    ratings = np.array([1, 5, 9])
    assert convert_scale(ratings, (1, 9), (-4, 4)).tolist() == [-4, 0, 4]  # rating - 5
    assert convert_scale(ratings, (1, 9), (0, 8)).tolist() == [0, 4, 8]  # rating - 1


@given(
    st.lists(st.floats(1, 7), min_size=1),
    st.sampled_from([(-4.0, 4.0), (0.0, 8.0)]),
)
def test_scales_convert_there_and_back(ratings: list[float], target: tuple[float, float]) -> None:
    there = convert_scale(ratings, (1, 7), target)
    assert ((there >= target[0] - 1e-9) & (there <= target[1] + 1e-9)).all()
    back = convert_scale(np.clip(there, *target), target, (1, 7))
    np.testing.assert_allclose(back, ratings, atol=1e-9)


def test_ratings_off_their_scale_are_refused() -> None:
    with pytest.raises(DataError, match="outside the scale 1 to 5"):
        convert_scale([3, 7], (1, 5), (-4, 4))
    with pytest.raises(DataError, match="lower to a higher"):
        convert_scale([3], (5, 5), (-4, 4))
    assert np.isnan(convert_scale([np.nan], (1, 5), (-4, 4))).all()


# Names of pictures come from whoever made the dataset.
OUTSIDE = [
    "../x.jpg", "../../.bashrc", "..", ".", "", " ", "... ", None,
    "/etc/passwd", "//host/share/x.jpg", "sub/x.jpg", "./x.jpg", "x.jpg/", "a/../x.jpg",
    "..\\x.jpg", "sub\\x.jpg", "\\\\host\\share", "C:x.jpg", "c:\\x.jpg", "C:/x.jpg",
    "x\0.jpg", "\0", "x.jpg\n/../y",
]  # fmt: skip
PLAIN = ["x.jpg", "..x.jpg", "x..jpg", ".x", "a b.JPG", "ü.jpg", "10:00.jpg", "-x", "~", "x\n"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("is_cover", [True, False])
def test_names_that_lead_out_of_the_folder_of_pictures_are_refused(
    name: str | None, is_cover: bool, tmp_path: Path
) -> None:
    dataset = PostDataset.create(tmp_path / "d", {"posts": SMALL})
    tamper_with_names(dataset.folder, [name] if is_cover else ["x.jpg", name])
    where = r"posts\.parquet, row 1, field images: the post 'a' names .* expected .* images/"
    for use in (
        lambda: dataset.posts,
        dataset.cover_paths,
        dataset.check_image_names,
        lambda: dataset.linked_pictures(tmp_path / "linked"),
        lambda: dataset.copy(tmp_path / "copy", {}),
        lambda: dataset.select([1]).posts,
    ):
        with pytest.raises(DataError, match=where):
            use()
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out_are_not_written(name: str | None, tmp_path: Path) -> None:
    posts = SMALL.assign(images=[None, ["x.jpg", name], []])
    with pytest.raises(DataError, match="row 2, field images"):
        PostDataset.create(tmp_path / "d", {"posts": posts})
    assert not any(tmp_path.iterdir())


def test_names_that_lead_nowhere_else_are_taken(tmp_path: Path) -> None:
    posts = SMALL.assign(images=[PLAIN, None, []])
    dataset = PostDataset.create(tmp_path / "d", {"posts": posts})
    assert dataset.posts["images"][0] == PLAIN


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_that_is_taken_stays_below_its_folder(name: str) -> None:
    posts = pa.table({"post_id": ["a"], "images": pa.array([[name]], pa.list_(pa.string()))})
    plain = name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}
    try:
        _check_image_names(posts, "d")
    except DataError:
        assert not plain or not name.strip(". ") or name[1] == ":"
    else:
        assert plain
        assert PureWindowsPath(name).drive == ""
        assert PurePosixPath("images", name).parts == ("images", name)


@pytest.mark.parametrize(
    "images",
    [
        pa.array(["x.jpg", "y.jpg", "z.jpg"]),
        pa.array([[{"name": "x.jpg"}], [], []]),
        pa.array([[b"\xff"], [], []]),
    ],
    ids=["texts", "structures", "bytes"],
)
def test_names_of_another_type_are_refused(images: pa.Array, tmp_path: Path) -> None:
    dataset = PostDataset.create(tmp_path / "d", {"posts": SMALL})
    pq.write_table(
        pa.table({"post_id": ["a", "b", "c"], "images": images}), tmp_path / "d/posts.parquet"
    )
    with pytest.raises(DataError, match="field images"):
        _ = dataset.posts


def with_pictures(folder: Path, *names: str) -> PostDataset:
    """The small posts, the first with these pictures, each holding its name."""
    (folder / "pictures").mkdir()
    for name in names:
        (folder / "pictures" / name).write_text(name)
    posts = SMALL.assign(images=[list(names), None, []])
    return PostDataset.create(folder / "d", {"posts": posts}, images=folder / "pictures")


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("is_relative", [True, False])
def test_a_linked_picture_that_leads_out_is_neither_read_nor_copied(
    is_there: bool, is_relative: bool, tmp_path: Path
) -> None:
    dataset = with_pictures(tmp_path, "x.jpg", "y.jpg")
    secret = tmp_path / "secret"
    if is_there:
        secret.write_text("secret")
    link = dataset.image_folder / "x.jpg"
    link.unlink()
    link.symlink_to(Path("../../secret") if is_relative else secret)
    for use in (
        dataset.cover_paths,
        lambda: dataset.linked_pictures(tmp_path / "linked"),
        lambda: dataset.copy(tmp_path / "copy", {}),
    ):
        with pytest.raises(
            DataError, match=r"x\.jpg: is a link that leads out of the folder"
        ) as no:
            use()
        assert "secret" not in str(no.value)  # nor does it say what is there
    assert not (tmp_path / "copy").exists()
    assert not (tmp_path / "linked").exists()


@pytest.mark.parametrize("name", ["dataset.json", "posts.parquet", "annotations.parquet"])
def test_a_file_of_a_dataset_that_leads_out_is_not_read(name: str, tmp_path: Path) -> None:
    """A copy of the dataset would otherwise carry another dataset's table along."""
    annotations = pd.DataFrame({"post_id": ["a"], "rating": [1.0]})
    tables = {"posts": SMALL, "annotations": annotations}
    PostDataset.create(tmp_path / "other", tables)
    PostDataset.create(tmp_path / "d", tables)
    (tmp_path / "d" / name).unlink()
    (tmp_path / "d" / name).symlink_to(tmp_path / "other" / name)
    with pytest.raises(DataError, match=f"{name}: is a link that leads out of the folder"):
        PostDataset(tmp_path / "d").copy(tmp_path / "copy", {})
    if name == "posts.parquet":
        with pytest.raises(DataError, match="leads out"):
            len(PostDataset(tmp_path / "d"))
    assert not (tmp_path / "copy").exists()


def test_a_table_may_be_a_link_within_the_dataset(tmp_path: Path) -> None:
    dataset = PostDataset.create(tmp_path / "d", {"posts": SMALL})
    (dataset.folder / "posts.parquet").rename(dataset.folder / "posts-1.parquet")
    (dataset.folder / "posts.parquet").symlink_to("posts-1.parquet")
    assert len(dataset) == len(dataset.posts) == len(SMALL)


def test_links_through_other_links_are_followed_to_their_end(tmp_path: Path) -> None:
    dataset = with_pictures(tmp_path, "x.jpg")
    (tmp_path / "secret").write_text("secret")
    (dataset.image_folder / "way").symlink_to(tmp_path)
    (dataset.image_folder / "x.jpg").unlink()
    (dataset.image_folder / "x.jpg").symlink_to("way/secret")
    with pytest.raises(DataError, match="leads out"):
        dataset.cover_paths()


def test_a_link_among_the_pictures_is_copied_as_the_picture(tmp_path: Path) -> None:
    dataset = with_pictures(tmp_path, "x.jpg")
    (dataset.image_folder / "x.jpg").rename(dataset.image_folder / "unnamed.jpg")
    (dataset.image_folder / "x.jpg").symlink_to("unnamed.jpg")
    assert dataset.cover_paths()[0] == dataset.image_folder / "x.jpg"
    copied = dataset.copy(tmp_path / "copy", {}).image_folder / "x.jpg"
    assert copied.read_text() == "x.jpg"
    assert not copied.is_symlink()


def test_links_that_lead_to_themselves_are_lost_pictures(tmp_path: Path) -> None:
    dataset = with_pictures(tmp_path, "x.jpg", "y.jpg")
    (dataset.image_folder / "x.jpg").unlink()
    (dataset.image_folder / "x.jpg").symlink_to("x.jpg")
    assert [path.name for path in dataset.linked_pictures(tmp_path / "linked").iterdir()] == [
        "y.jpg"
    ]


def test_the_folder_of_pictures_is_no_link(tmp_path: Path) -> None:
    dataset = with_pictures(tmp_path, "x.jpg")
    dataset.image_folder.rename(tmp_path / "elsewhere")
    (dataset.folder / "images").symlink_to(tmp_path / "elsewhere")
    for use in (
        lambda: dataset.image_folder,
        dataset.cover_paths,
        lambda: dataset.copy(tmp_path / "copy", {}),
    ):
        with pytest.raises(DataError, match="images: is a link"):
            use()
    assert not (tmp_path / "copy").exists()


def test_pictures_that_share_a_name_at_the_destination_are_not_mixed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = with_pictures(tmp_path, "X.jpg", "x.jpg")

    def ignoring_case(source: Path, target: Path) -> None:
        if any(path.name.lower() == target.name.lower() for path in target.parent.iterdir()):
            raise FileExistsError
        link(source, target)

    monkeypatch.setattr("evoked.posts.dataset.link", ignoring_case)
    with pytest.raises(DataError, match=r"x\.jpg: .* another picture"):
        dataset.copy(tmp_path / "copy", {})
    assert not (tmp_path / "copy").exists()
