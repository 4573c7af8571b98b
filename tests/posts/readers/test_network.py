"""Readers of networks: intact and damaged edge lists and IESN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import ImportResult, import_posts, summary_rows
from evoked.posts.readers.date_order import DateOrder
from evoked.posts.readers.network import _moments, _read_label
from evoked.posts.readers.values import parse_date
from evoked.posts.schema import MIKELS
from tests.support.reader_sources import iesn_source, write_csv, write_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    return source


def read(name: str, source: Path, **mapping: str) -> ImportResult:
    decided = {key.replace("__", "."): column for key, column in mapping.items()}
    dest = (source if source.is_dir() else source.parent).with_name("dataset")
    return import_posts(name, source, dest, mapping=decided, overwrite=True)


def pairs(dataset: PostDataset, table: str = "viewings") -> list[tuple[Any, ...]]:
    frame = dataset.table(table)
    return list(frame.iloc[:, :2].itertuples(index=False, name=None))


def table(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


class TestIesn:
    def test_keeps_what_the_paper_keeps_and_counts_the_rest(self, folder: Path) -> None:
        result = read("iesn", iesn_source(folder))
        viewings = result.dataset.table("viewings")
        assert pairs(result.dataset) == [
            ("2@N00", "500"),
            ("3@N00", "500"),
            ("2@N00", "501"),
            ("3@N00", "501"),
            ("3@N00", "502"),
        ]
        emotions = ["awe", "amusement", "fear;sadness", "contentment", "anger"]
        assert viewings["emotion"].tolist() == emotions
        assert viewings["comment"].notna().tolist() == [True, False, False, False, False]
        assert viewings["comment"][0] == "What a sky!"
        assert viewings["viewed_at"][0] == pd.Timestamp(1_400_000_000, unit="s", tz="UTC")
        assert dict(result.tally.skipped) == {
            "the image is gone": 1,
            "a viewing: the post is gone, or was left out": 1,
            "a viewing: the user is gone": 1,
            "a viewing: the emotion is unknown": 1,
            "a connection: the user is gone": 1,
        }
        assert result.tally.rows == {
            "viewings": 5,
            "connections": 2,
            "groups": 1,
            "memberships": 2,
        }
        assert "20% of 5 viewings have the text of a comment." in result.notes

    def test_images_groups_and_members(self, folder: Path) -> None:
        dataset = read("iesn", iesn_source(folder)).dataset
        posts = dataset.posts
        assert posts["post_id"].tolist() == ["500", "501", "502"]
        assert posts["author_id"].eq("1@N00").all()
        assert posts["hashtags"].str.len().eq(2).all()
        assert all(path is not None and path.is_file() for path in dataset.cover_paths())
        assert dataset.table("groups").iloc[0].tolist() == ["g1", "Storms", "Dark skies"]
        assert pairs(dataset, "memberships") == [("2@N00", "g1"), ("3@N00", "g1")]
        assert pairs(dataset, "connections") == [("1@N00", "2@N00"), ("1@N00", "3@N00")]

    def test_says_where_the_first_of_each_kind_stands(self, folder: Path) -> None:
        examples = read("iesn", iesn_source(folder)).tally.examples
        places = {example["reason"]: (example["file"], example["row"]) for example in examples}
        assert places["a viewing: the user is gone"] == ("actual_emotions.txt", 8)
        assert places["a connection: the user is gone"] == ("contacts.json", 1)

    def test_without_pictures_no_image_is_gone(self, folder: Path) -> None:
        iesn_source(folder)
        for path in (folder / "images").iterdir():
            path.unlink()
        assert len(read("iesn", folder).dataset) == 4

    def test_actual_emotions_alone_are_enough(self, folder: Path) -> None:
        table(folder, "actual.csv", "user,image,emotion\na,1,awe\nb,1,fear\nb,2,sadness\n")
        result = read("iesn", folder)
        assert pairs(result.dataset) == [("a", "1"), ("b", "1"), ("b", "2")]
        assert result.dataset.posts["post_id"].tolist() == ["1", "2"]

    def test_rows_of_a_pair_are_one_viewing_with_all_their_emotions(self, folder: Path) -> None:
        rows = "a,1,awe\na,1,fear\nb,1,awe\nb,1,awe\nc,1,\nc,2,joy\n"
        table(folder, "actual.csv", "user,image,emotion\n" + rows)
        result = read("iesn", folder)
        assert pairs(result.dataset) == [("a", "1"), ("b", "1")]
        assert result.dataset.table("viewings")["emotion"].tolist() == ["awe;fear", "awe"]
        assert any("1 of 2 viewings have several emotions" in note for note in result.notes)
        assert dict(result.tally.skipped) == {
            "a viewing: no emotion": 1,
            "a viewing: not one of Mikels' eight emotions": 1,
            "a viewing: its user and post are repeated": 2,
        }

    def test_a_user_list_may_be_left_out(self, folder: Path) -> None:
        result = read("iesn", iesn_source(folder), users="")
        assert ("gone@N00", "500") in pairs(result.dataset)

    def test_files_and_columns_of_any_name(self, folder: Path) -> None:
        table(folder, "a.txt", "x 7 u1 awe\nx 8 u2 fear\n")
        table(folder, "b.dat.csv", "who,whom\nu1,u2\n")
        result = read(
            "iesn",
            folder,
            viewings="a.txt",
            post_id="2",
            user_id="3",
            emotion="4",
            connections="b.dat.csv",
            connections__user_id="who",
            connections__other_id="whom",
        )
        assert pairs(result.dataset) == [("u1", "7"), ("u2", "8")]
        assert pairs(result.dataset, "connections") == [("u1", "u2")]

    def test_comments_with_users_and_images_stay_comments(self, folder: Path) -> None:
        table(folder, "actual.csv", "user,image,emotion,comment\na,1,awe,c1\nb,1,fear,c2\n")
        table(folder, "comments.csv", "comment_id,user,image,text\nc1,a,1,Wow\nc1,a,1,Later\n")
        comments = read("iesn", folder).dataset.table("viewings")["comment"]
        assert comments[0] == "Wow"
        assert pd.isna(comments[1])

    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ({"images.csv": "image\n1\n"}, "no table says who viewed what"),
            ({"actual.csv": "user,image\na,1\n"}, "no column holds emotion"),
            ({"actual.csv": "user,image,emotion\na,1,unknown\n"}, "no viewing is left"),
            (
                {name: "user,image,emotion\na,1,awe\n" for name in ("actual.csv", "emotions.csv")},
                "--map viewings=FILE",
            ),
        ],
    )
    def test_a_note_says_which_files_cannot_be_read(
        self, folder: Path, files: dict[str, str], problem: str
    ) -> None:
        for name, text in files.items():
            table(folder, name, text)
        with pytest.raises(DataError, match=problem):
            read("iesn", folder)
        assert not folder.with_name("dataset").exists()


class TestEdges:
    def test_real_likes(self, shared_data: Path, tmp_path: Path) -> None:
        source = shared_data / "instagram_likers"
        result = import_posts("edges", source, tmp_path / "likers")
        dataset = result.dataset
        viewings = dataset.table("viewings")
        likes = pd.read_csv(source / "likes.csv", dtype=str)
        assert viewings["user_id"].tolist() == likes["liker"].tolist()
        assert viewings["post_id"].tolist() == likes["post"].tolist()
        assert viewings["emotion"].isna().all()
        assert len(dataset) == 4999
        assert len(viewings) == 113_517
        assert viewings["user_id"].nunique() == 85_597
        authors = dataset.posts.set_index("post_id")["author_id"]
        assert likes["post"].map(authors).tolist() == likes["author"].tolist()
        assert not result.tally.skipped
        assert result.mapping["viewings.user_id"] == "liker"
        assert ("read", 113_517, "viewings") in summary_rows(result)
        again = import_posts("edges", source, tmp_path / "likers")
        assert again.already_there

    def test_one_file_makes_its_posts(self, folder: Path) -> None:
        path = table(folder, "what.csv", "fan;item;owner\n1;p;9\n2;p;9\n1;q;8\n")
        dataset = read("edges", path, user_id="fan").dataset
        assert dataset.posts[["post_id", "author_id"]].to_numpy().tolist() == [
            ["p", "9"],
            ["q", "8"],
        ]

    def test_no_header(self, folder: Path) -> None:
        dataset = read("edges", table(folder, "graph.txt", "u1 p1\nu2 p1\nu2 p2\n")).dataset
        assert pairs(dataset) == [("u1", "p1"), ("u2", "p1"), ("u2", "p2")]

    def test_byte_order_mark_and_foreign_encodings(self, folder: Path) -> None:
        text = "post,liker,comment\nö,ü,wie schön\n"
        for encoding in ("utf-8-sig", "utf-16", "cp1252"):
            viewings = read("edges", table(folder, "likes.csv", text, encoding)).dataset.table(
                "viewings"
            )
            first = viewings.iloc[0][["user_id", "post_id", "comment"]]
            assert first.tolist() == ["ü", "ö", "wie schön"]

    def test_broken_rows_are_counted_with_their_numbers(self, folder: Path) -> None:
        rows = ["p1,u1,a,b,c", "p1,u2", "p2", ',u3,"two\nlines"', "", "p2,-,x", "p2,u1,", "p2,u1,"]
        table(folder, "likes.csv", "post,user,comment\n" + "\n".join(rows) + "\n")
        result = read("edges", folder)
        assert pairs(result.dataset) == [("u2", "p1"), ("u1", "p2")]
        places = {each["reason"]: each["row"] for each in result.tally.examples}
        assert places == {
            "more cells than the header has columns": 1,
            "a viewing: no user": 3,
            "a viewing: no post": 4,
            "a viewing: its user and post are repeated": 7,
        }
        assert result.tally.skipped["a viewing: no user"] == 2

    def test_strange_ids(self, folder: Path) -> None:
        huge = 10**40
        likes = [
            {"post": huge, "user": 1.0, "when": "2020-01-01"},
            {"post": f" {huge} ", "user": "a\x00b\ud800", "when": 1_600_000_000_000},
            {"post": "x" * 5000, "user": "true"},
            {"post": [1], "user": {"a": 1}},
            ["not an object"],
        ]
        lines = [json.dumps(row) for row in likes] + ["{broken", "null"]
        table(folder, "likes.jsonl", "\n".join(lines))
        result = read("edges", folder, viewed_at="when")
        assert pairs(result.dataset)[:3] == [
            ("1", str(huge)),
            ("ab", str(huge)),
            ("true", "x" * 1000),
        ]
        assert result.tally.skipped["not JSON"] == 1
        assert result.tally.skipped["not a JSON object"] == 2
        assert result.dataset.table("viewings")["viewed_at"].notna().tolist()[:2] == [True, True]
        assert set(result.dataset.posts["post_id"]) == {post for _, post in pairs(result.dataset)}

    def test_ambiguous_dates_are_to_be_checked(self, folder: Path) -> None:
        table(folder, "likes.csv", "post,user,date\np,a,03/04/2020\np,b,05/06/2020\n")
        result = read("edges", folder)
        assert any("03/04/2020 is read as month/day/year" in note for note in result.notes)
        table(folder, "likes.csv", "post,user,date\np,a,03/04/2020\np,b,13/06/2020\n")
        result = read("edges", folder)
        assert "Dates with slashes are read as day/month/year." in result.notes

    def test_loops_repetitions_and_strangers(self, folder: Path) -> None:
        table(folder, "likes.csv", "post,user\np,a\np,b\ngone,a\nq,x\n")
        table(folder, "posts.csv", "id,caption\np,one\nq,two\n")
        table(folder, "friends.csv", "user,friend\na,a\na,b\na,b\nb,a\nb,\nx,a\n")
        table(folder, "memberships.csv", "user,group\na,g\na,g\nx,g\n,g\n")
        table(folder, "groups.csv", "id,name,about\ng,G,climbing\ng,G,again\n,H,none\n")
        table(folder, "users.csv", "id,age\na,1\nb,2\n")
        result = read("edges", folder)
        assert pairs(result.dataset) == [("a", "p"), ("b", "p")]
        assert pairs(result.dataset, "connections") == [("a", "b"), ("b", "a")]
        assert pairs(result.dataset, "memberships") == [("a", "g")]
        assert result.dataset.table("groups")["description"].tolist() == ["climbing"]
        assert dict(result.tally.skipped) == {
            "a viewing: the post is gone, or was left out": 1,
            "a viewing: the user is gone": 1,
            "a connection with oneself": 1,
            "a connection: one side is missing": 1,
            "a connection: the user is gone": 1,
            "a connection: repeated": 1,
            "a group: no id": 1,
            "a group: its id is repeated": 1,
            "a membership: one side is missing": 1,
            "a membership: the user is gone": 1,
            "a membership: repeated": 1,
        }

    def test_an_emotion_that_is_none_of_the_eight_is_left_empty(self, folder: Path) -> None:
        table(folder, "views.csv", "post,user,emotion\np,a,Awe\np,b,joy\np,c,awe|fear\np,d,\n")
        result = read("edges", folder)
        emotions = result.dataset.table("viewings")["emotion"]
        assert emotions.dropna().to_dict() == {0: "awe", 2: "awe;fear"}
        assert dict(result.tally.changed) == {
            "emotion: not one of Mikels' eight emotions, left empty": 1,
        }

    def test_posts_keep_their_own_columns(self, folder: Path) -> None:
        table(folder, "likes.csv", "post,liker,author\np,a,w\n")
        rows = [{"id": "p", "text": "Hello #sun", "Like Count": "1.2K", "image": "p_small.jpg"}]
        write_csv(folder / "posts.csv", rows)
        write_picture(folder / "p_small.jpg", 1)
        posts = read("edges", folder, posts__post_id="id").dataset.posts
        assert posts.iloc[0][["caption", "likes", "author_id"]].tolist() == [
            "Hello #sun",
            1200,
            "w",
        ]
        assert len(posts["images"][0]) == 1

    def test_empty_and_foreign_files_are_reported(self, folder: Path) -> None:
        table(folder, "likes.csv", "post,user\np,a\n")
        table(folder, "groups.csv", "")
        table(folder, "notes.json", "{")
        table(folder, "readme.txt", "Thanks for downloading.\n")
        notes = " ".join(read("edges", folder).notes)
        for name in ("groups.csv", "notes.json", "readme.txt"):
            assert f"{name} is not used" in notes

    def test_parquet(self, folder: Path) -> None:
        frame = pd.DataFrame({"post": [1, 2], "user": [5.0, None], "likers": [[1], [2]]})
        frame.to_parquet(folder / "likes.parquet")
        assert pairs(read("edges", folder).dataset) == [("5", "1")]

    @pytest.mark.parametrize(
        "mapping",
        [
            {"viewings.nothing": "post"},
            {"nothing.user_id": "post"},
            {"user_id": "nothing"},
            {"viewings": "nothing.csv"},
        ],
    )
    def test_unknown_names_in_a_mapping(self, folder: Path, mapping: dict[str, str]) -> None:
        table(folder, "likes.csv", "post,user\np,a\n")
        with pytest.raises(SettingsError, match="nothing"):
            import_posts("edges", folder, folder.with_name("dataset"), mapping=mapping)


IDS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)


@settings(max_examples=40)
@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=30))
def test_any_edge_list_gives_each_pair_once_and_only_posts_of_the_dataset(
    tmp_path_factory: pytest.TempPathFactory, edges: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("edges")
    rows = [{"post": "first", "user": "one"}, *({"post": p, "user": u} for p, u in edges)]
    result = import_posts("edges", write_csv(folder / "likes.csv", rows), folder / "dataset")
    found = pairs(result.dataset)
    assert len(set(found)) == len(found)
    assert {post for _, post in found} <= set(result.dataset.posts["post_id"])
    assert len(found) + sum(result.tally.skipped.values()) == len(rows)


@given(st.sets(st.sampled_from(MIKELS), min_size=1), st.sampled_from([";", ", ", "|", " / ", " "]))
def test_a_label_is_one_emotion_or_several(emotions: set[str], separator: str) -> None:
    label = separator.join(emotion.title() for emotion in sorted(emotions))
    expected = (";".join(sorted(emotions)), None)
    assert _read_label(label) == _read_label(f"['{label}']") == expected


DATES = [
    "2015-03-01", "2015-03-01T10:20:30Z", "2015-03-01 10:20:30+02:00", "1400000000",
    "1400000000.5", "1400000000000", "1400000000000000", "20150301", "25/03/2015 10:00",
    "01.03.2015", "Mar 1, 2015", "", "-", "never", "3015-01-01", "1950-01-01", "0", "1e300",
    "2015-03-01 10:20:30 UTC",
]  # fmt: skip


def test_columns_of_dates_are_read_like_single_dates() -> None:
    moments, wrong = _moments(pd.Series(DATES, dtype="str"), DateOrder())
    for text, moment, is_wrong in zip(DATES, moments, wrong, strict=True):
        try:
            expected, refused = parse_date(text, orders={"/": "dmy"}), False
        except ValueError:
            expected, refused = None, True
        assert is_wrong == refused, text
        assert (None if pd.isna(moment) else moment.to_pydatetime()) == expected, text
