"""CSV, JSON Lines and Parquet: encodings, delimiters, mappings, scales, bad rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evoked.errors import DataError, SettingsError
from evoked.posts.cleaning import clean
from evoked.posts.importing import ImportResult, import_posts
from evoked.posts.readers import READERS, csv_file
from evoked.posts.readers.base import PostRecord, ReadOptions, Remark, Skipped, Source
from evoked.posts.readers.columns import choose_mapping, choose_scales
from tests.support.reader_sources import write_csv


def read_csv(path: Path, content: str | bytes, **options: Any) -> Source:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return READERS["csv"](path, ReadOptions(**options))


def posts_of(reading: Source) -> list[dict[str, Any]]:
    return [clean(record)[0] for record in reading.records if isinstance(record, PostRecord)]


def import_csv(folder: Path, content: str, **options: Any) -> ImportResult:
    path = folder / "posts.csv"
    path.write_text(content, encoding="utf-8")
    return import_posts("csv", path, folder / "dataset", **options)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("cp1252", "cp1252"),
    ],
)
def test_detects_the_encoding(encoding: str, shown: str, tmp_path: Path) -> None:
    reading = read_csv(tmp_path / "a.csv", "id,caption\n1,“Café” für 5 €\n".encode(encoding))
    assert posts_of(reading)[0]["caption"] == "“Café” für 5 €"
    assert reading.notes[0] == f"a.csv is read as {shown}, separated by commas."


def test_falls_back_to_latin_1(tmp_path: Path) -> None:
    reading = read_csv(tmp_path / "a.csv", b"id,caption\n1,\x81 caf\xe9\n")
    assert posts_of(reading)[0]["caption"] == "\x81 café"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_detects_the_delimiter(delimiter: str, tmp_path: Path) -> None:
    rows = [{"id": n, "caption": "one, two; three | four\tfive", "likes": n} for n in range(5)]
    reading = READERS["csv"](write_csv(tmp_path / "a.csv", rows, delimiter), ReadOptions())
    assert [post["likes"] for post in posts_of(reading)] == [0, 1, 2, 3, 4]


def test_guesses_columns_without_case_and_signs() -> None:
    columns = ["POST_ID", "Like Count", "comments-count", "Text", "Follower Count", "Whatever"]
    assert choose_mapping(columns, {}) == {
        "post_id": "POST_ID",
        "caption": "Text",
        "followers": "Follower Count",
        "likes": "Like Count",
        "comments": "comments-count",
    }


def test_mapping_can_be_overridden_and_left_out() -> None:
    columns = ["id", "text", "body", "likes"]
    mapping = choose_mapping(columns, {"caption": "Body", "likes": ""})
    assert mapping == {"post_id": "id", "caption": "body"}


def test_a_column_named_post_is_the_id_only_beside_a_caption() -> None:
    assert choose_mapping(["post", "caption"], {})["post_id"] == "post"
    assert choose_mapping(["post", "valence"], {}) == {"caption": "post", "valence": "valence"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [({"lykes": "id"}, "no field 'lykes'"), ({"likes": "gone"}, "no column 'gone'; it has id")],
)
def test_refuses_mappings_of_what_is_not_there(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        choose_mapping(["id"], overrides)


def test_refuses_an_unknown_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the columns is recognised: foo, bar.*--map"):
        read_csv(tmp_path / "a.csv", "foo,bar\n1,2\n")


@pytest.mark.parametrize(
    ("ranges", "guess"),
    [
        ({"valence": (1.2, 4.6), "arousal": (1.8, 4.4)}, (1, 5)),
        ({"valence": (1.1, 6.5), "arousal": (1.7, 4.9)}, (1, 7)),
        ({"valence": (1, 9)}, (1, 9)),
        ({"valence": (0.02, 0.97)}, (0, 1)),
        ({"valence": (-0.9, 0.8)}, (-1, 1)),
        ({"valence": (2, 99)}, (0, 100)),
    ],
)
def test_guesses_common_scales(ranges: dict[str, Any], guess: tuple[float, float]) -> None:
    scales, notes = choose_scales(ranges, {})
    assert scales == dict.fromkeys(ranges, guess)
    assert all("guessed" in note and "--scale" in note for note in notes)


@pytest.mark.parametrize("ranges", [{"valence": (3, 3.2)}, {"valence": (-7, 300)}])
def test_guesses_no_scale_if_none_is_likely(ranges: dict[str, Any]) -> None:
    scales, notes = choose_scales(ranges, {})
    assert scales == {}
    assert "left out" in notes[0]


def test_a_declared_scale_is_not_changed() -> None:
    scales, notes = choose_scales({"valence": (1, 4)}, {"valence": (1, 9)})
    assert scales == {"valence": (1, 9)}
    assert notes == []


def test_ratings_are_converted_and_bad_ones_left_empty(tmp_path: Path) -> None:
    content = "id,text,valence,arousal\na,x,1,3\nb,x,5,5\nc,x,6,\nd,x,?,good\n"
    result = import_csv(tmp_path, content, scales={"valence": (1, 5), "arousal": (1, 5)})
    posts = result.dataset.posts.set_index("post_id")
    assert posts["valence"].dropna().to_dict() == {"a": -4.0, "b": 4.0}
    assert posts["arousal"].dropna().to_dict() == {"a": 4.0, "b": 8.0}
    assert dict(result.tally.changed) == {
        "valence: not on the scale of the ratings, left empty": 1,
        "arousal: not a number, left empty": 1,
    }


def test_one_annotator_per_column(tmp_path: Path) -> None:
    content = "Anonymized Message,Valence1,Valence2,Arousal1,Arousal2\nHello,9,7,1,3\nBye,1,1,5,0\n"
    result = import_csv(tmp_path, content, scales={"valence": (1, 9), "arousal": (1, 9)})
    posts = result.dataset.posts
    assert posts["valence"].tolist() == [3.0, -4.0]
    assert posts["arousal"].tolist() == [1.0, 4.0]
    annotations = result.dataset.table("annotations")
    assert len(annotations) == 7  # the 0 isn't on the scale
    assert set(annotations["annotator_id"]) == {"1", "2"}
    assert result.dataset.description["scales"] == {"valence": [1.0, 9.0], "arousal": [1.0, 9.0]}


def test_split_is_kept(tmp_path: Path) -> None:
    result = import_csv(tmp_path, "id,text,split\n1,a,train\n2,b,dev\n3,c,TEST\n4,d,holdout\n")
    assert result.dataset.posts["split"].fillna("").tolist() == ["train", "validation", "test", ""]
    assert "split: neither train, validation nor test, left empty" in result.tally.changed


def test_bad_values_become_missing_and_are_listed(tmp_path: Path) -> None:
    content = "id,text,likes,date\n1,a,-5,2020-01-01\n2,b,1e30,2999-01-01\n3,c,7,soon\n"
    result = import_csv(tmp_path, content)
    posts = result.dataset.posts
    assert posts["likes"].dropna().tolist() == [7.0]
    assert posts["posted_at"].notna().tolist() == [True, False, False]
    assert dict(result.tally.changed) == {
        "likes: negative count, left empty": 1,
        "likes: larger than any count can be, left empty": 1,
        "posted_at: a date in the future, left empty": 1,
        "posted_at: not a date, left empty": 1,
    }
    assert {(e["row"], e["value"]) for e in result.tally.examples} >= {(1, "-5"), (3, "soon")}


def test_the_first_of_equal_ids_is_kept(tmp_path: Path) -> None:
    result = import_csv(tmp_path, "id,text\n1,first\n1,second\n2,other\n")
    assert result.dataset.posts["caption"].tolist() == ["first", "other"]
    assert dict(result.tally.skipped) == {"the id is repeated": 1}


def test_ids_are_made_from_content(tmp_path: Path) -> None:
    result = import_csv(tmp_path, "text,likes\na,1\nb,2\na,1\n")
    identifiers = result.dataset.posts["post_id"].tolist()
    assert len(set(identifiers)) == 2
    assert dict(result.tally.skipped) == {"the content is repeated": 1}
    (tmp_path / "more").mkdir()
    more = import_csv(tmp_path / "more", "text,likes\nc,3\nb,2\n")
    assert more.dataset.posts["post_id"].tolist()[1] == identifiers[1]


def test_a_column_of_hashtags_comes_before_the_caption(tmp_path: Path) -> None:
    content = "id,text,hashtags\n1,see #this,#a\xa0#b\n2,see #that,\n"
    posts = import_csv(tmp_path, content).dataset.posts
    assert posts["hashtags"].tolist() == [["a", "b"], []]


def test_hashtags_and_mentions_come_from_the_caption(tmp_path: Path) -> None:
    posts = import_csv(tmp_path, "id,text\n1,see #this by @me\n").dataset.posts
    assert posts["hashtags"].tolist() == [["this"]]
    assert posts["mentions"].tolist() == [["me"]]


def test_long_and_null_texts(tmp_path: Path) -> None:
    result = import_csv(tmp_path, f"id,text\n1,{'é' * 150_000}\n2,a\x00b\n3,😀\u202eא\n")
    captions = result.dataset.posts["caption"].tolist()
    assert [len(caption) for caption in captions] == [100_000, 2, 3]
    assert set(result.tally.changed) == {
        "caption: longer than 100,000 characters, cut",
        "caption: characters that can't be stored, removed",
    }


def test_rows_of_another_width(tmp_path: Path) -> None:
    result = import_csv(tmp_path, "id,text,likes\n1,a,1\n2,b\n\n3,c,3,,\n4,d,4,more\n")
    assert result.dataset.posts["post_id"].tolist() == ["1", "2", "3"]
    assert dict(result.tally.skipped) == {"more cells than the header has columns": 1}
    (note,) = (note for note in result.notes if "fewer cells" in note)
    assert "columns: 1 (the first: 2)" in note


def test_rows_that_are_too_short_are_counted_and_the_first_named(tmp_path: Path) -> None:
    rows = [f"{n},text,{n}" if n % 2 else f"{n},text" for n in range(1, 21)]
    reading = read_csv(tmp_path / "a.csv", "\n".join(["id,text,likes", *rows]))
    assert len(posts_of(reading)) == 20
    (note,) = (note for note in reading.notes if "fewer cells" in note)
    assert "columns: 10 (the first: 2, 4, 6, 8, 10)" in note


def test_rows_of_json_lines_need_not_have_every_field(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text('{"id": 1, "text": "a"}\n{"id": 2}\n')
    assert not any("fewer" in note for note in READERS["jsonl"](path, ReadOptions()).notes)


def test_an_open_quotation_mark_costs_no_other_post(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "MAX_CELL_CHARACTERS", 1000)
    rows = "".join(f"{n},text {n}\n" for n in range(1000))
    reading = read_csv(tmp_path / "a.csv", f'id,text\nx,"never closed\n{rows}')
    records = list(reading.records)
    assert any(isinstance(record, Skipped) for record in records)
    assert sum(isinstance(record, PostRecord) for record in records) > 500


@pytest.mark.parametrize(
    "later",
    [
        {},
        {5: '"Hello, you",5'},
        {5: 'size 5"'},
        {5: '"Hello, you",5', 7: '"two\nlines, ""one"" post\n",7'},
    ],
    ids=["nothing", "another quote", "a stray quote", "a quote, then whole captions"],
)
def test_a_quote_that_is_never_closed_costs_its_own_row_alone(
    later: dict[int, str], tmp_path: Path
) -> None:
    rows = {n: f"text {n},{n}" for n in range(1, 10)} | {3: '"open,3'} | later
    reading = read_csv(tmp_path / "a.csv", "\n".join(["text,likes", *rows.values()]))
    records = list(reading.records)
    skipped = [record for record in records if isinstance(record, Skipped)]
    assert [(each.row, each.why, each.value) for each in skipped] == [
        (3, csv_file.NEVER_CLOSED, '"open,3')
    ]
    rows_read = [record.row for record in records if isinstance(record, PostRecord)]
    assert rows_read == [1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "caption",
    [
        'one\ntwo, ""three""\n\n""four"", five',
        'one\n"",two"",three',
        "one\r\n,",
        'he said\n""',
        "one\ntwo,three,four",
    ],
)
def test_captions_of_several_lines_stay_whole(caption: str, tmp_path: Path) -> None:
    content = f'text,likes,id\nfirst,1,a\n"{caption}",2,b\nlast,3,c\n'
    posts = posts_of(read_csv(tmp_path / "a.csv", content))
    assert [post["post_id"] for post in posts] == ["a", "b", "c"]
    assert posts[1]["caption"] == caption.replace('""', '"')


def test_a_stray_quote_in_a_caption_of_several_lines_costs_nothing(tmp_path: Path) -> None:
    content = 'text,likes\n"one\nhe said "hi" there",1\nlast,2\n'
    posts = posts_of(read_csv(tmp_path / "a.csv", content))
    assert [post["likes"] for post in posts] == [1, 2]


def test_a_quote_that_is_never_closed_in_the_header(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"a\.csv: the header can't be read.*never closed: close it"
    ):
        read_csv(tmp_path / "a.csv", 'id,"text,likes\n1,a,2\n')


def test_weekdays_from_1_to_7_begin_with_sunday(tmp_path: Path) -> None:
    reading = read_csv(tmp_path / "a.csv", "id,weekday,hour\n1,1,3\n2,2,23\n3,7,24\n")
    assert any("Sunday" in note for note in reading.notes)
    posts = posts_of(reading)
    assert [post["posted_weekday"] for post in posts] == [6, 0, 5]
    assert [post.get("posted_hour") for post in posts] == [3, 23, None]


def test_dates_with_slashes_follow_the_whole_column(tmp_path: Path) -> None:
    reading = read_csv(tmp_path / "a.csv", "id,date\n1,01/02/2020\n2,31/12/2020\n")
    assert [post["posted_at"].date() for post in posts_of(reading)] == [
        date(2020, 2, 1),
        date(2020, 12, 31),
    ]
    assert any("day/month/year" in note for note in reading.notes)
    assert any("counts as midnight UTC" in note for note in reading.notes)


def date_notes(path: Path, *dates: str) -> list[str]:
    reading = read_csv(path / "a.csv", "\n".join(["id;date", *(f"1;{date}" for date in dates)]))
    return [note for note in reading.notes if "ates with" in note]


@pytest.mark.parametrize(
    ("dates", "note"),
    [
        (["31/12/2020", "03/04/2020"], "slashes are read as day/month/year"),
        (["12/31/2020", "03/04/2020 5:06 PM"], "slashes are read as month/day/year"),
        (["13.05.2024", "03.04.2024"], "dots are read as day.month.year"),
    ],
)
def test_a_note_says_how_dates_are_read(dates: list[str], note: str, tmp_path: Path) -> None:
    assert date_notes(tmp_path, *dates) == [f"Dates with {note}."]


def test_ambiguous_dates_are_to_be_checked(tmp_path: Path) -> None:
    (slashes,) = date_notes(tmp_path, "1/1/2024", "3/4/2024", "05/06/2024")
    assert "Check the dates with slashes: 3/4/2024 is read as month/day/year, 2024-03-04" in slashes
    assert "such as 2024-04-03" in slashes
    (dots,) = date_notes(tmp_path, "3.4.2024")
    assert "day.month.year, 2024-04-03" in dots
    assert "such as 2024-03-04" in dots


def test_dots_do_not_decide_how_slashes_are_read(tmp_path: Path) -> None:
    slashes, dots = date_notes(tmp_path, "13.05.2024", "03/04/2024")
    assert "Check the dates with slashes" in slashes
    assert dots == "Dates with dots are read as day.month.year."


@pytest.mark.parametrize("date", ["2024-03-04", "05/05/2024", "1709510400", "4 Mar 2024", ""])
def test_unambiguous_dates_need_no_note(date: str, tmp_path: Path) -> None:
    assert date_notes(tmp_path, date) == []


def test_pictures_lie_beside_the_table_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    folder = tmp_path / "source"
    folder.mkdir()
    names = ("../secret.jpg", "https://a.b/c.jpg", "gone.jpg", "a\x00b")
    content = "id,likes,image\n" + "".join(f"{n},{n},{name}\n" for n, name in enumerate(names))
    result = import_csv(folder, content)
    assert len(result.dataset) == 4
    assert result.tally.images == 0
    values = " ".join(example["value"] for example in result.tally.examples)
    assert "outside" in values
    assert "web address" in values
    assert "no such picture" in values


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        {"id": 1, "text": "a\ud800b", "owner": {"followers": 5}, "tags": ["#x"], "likes": None},
        {"id": 2, "text": "b", "carousel": True, "location": "Rome"},
        [1, 2],
    ]
    path = tmp_path / "posts.jsonl"
    path.write_text("\ufeff" + "\n".join(map(json.dumps, lines)) + "\n\n{broken\n")
    options = ReadOptions(mapping={"followers": "owner.followers"})
    records = list(READERS["jsonl"](path, options).records)
    first, second = (clean(r)[0] for r in records if isinstance(r, PostRecord))
    assert (first["post_id"], first["caption"], first["followers"]) == ("1", "ab", 5)
    assert first["hashtags"] == ["x"]
    assert (second["media_type"], second["has_location"]) == ("carousel", True)
    skipped = [r for r in records if isinstance(r, Skipped)]
    assert [(s.why, s.row) for s in skipped] == [("not a JSON object", 3), ("not JSON", 4)]


def test_deeply_nested_json_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text('{"id": 1, "text": "a"}\n{"id": ' + "[" * 100_000 + "\n")
    records = list(READERS["jsonl"](path, ReadOptions()).records)
    assert [type(record) for record in records] == [PostRecord, Skipped]


def test_parquet_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1.0, 2.0],
            "text": ["a", None],
            "created_at": [datetime(2020, 1, 1, 5), None],
            "hashtags": [["x", "y"], None],
            "likes": [3.0, float("nan")],
        }
    )
    pq.write_table(table, tmp_path / "posts.parquet")
    result = import_posts("parquet", tmp_path / "posts.parquet", tmp_path / "dataset")
    posts = result.dataset.posts
    assert posts["post_id"].tolist() == ["1", "2"]
    assert posts["likes"].dropna().tolist() == [3.0]
    assert posts["hashtags"].tolist() == [["x", "y"], []]
    assert posts["posted_at"][0].isoformat() == "2020-01-01T05:00:00+00:00"
    assert not result.tally.changed


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet", "label-studio"])
def test_a_folder_in_place_of_a_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder, not a file\. Give the path of a file in it"):
        READERS[name](tmp_path, ReadOptions())


@pytest.mark.parametrize("name", ["instaloader", "iaed", "pixelrec", "iesn"])
def test_a_file_in_place_of_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DataError, match=r"a file, not a folder\. Give the path of its folder"):
        READERS[name](tmp_path / "a.json", ReadOptions())


def test_no_header_and_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no header"):
        read_csv(tmp_path / "a.csv", "")
    with pytest.raises(DataError, match="no posts in it"):
        import_csv(tmp_path, "id,caption\n")
    assert not list(tmp_path.glob(".dataset*"))


COLUMNS = ("id", "caption", "likes", "date", "hashtags", "image", "valence", "weekday", "type")
CELLS = st.one_of(
    st.text(max_size=20),
    st.text('"\r\n,;\t|\x00\ud800#@/', max_size=8).map(lambda t: t.replace("\ud800", "")),
    st.sampled_from(["-1", "1e999", "NaN", "9" * 30, "2024-02-30", "=1+1", "../x.jpg", "7"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.lists(CELLS, max_size=len(COLUMNS) + 1), max_size=6),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
)
def test_arbitrary_cells_never_crash(rows: list[list[str]], encoding: str, tmp_path: Path) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerows([COLUMNS, *rows])
    path = tmp_path / "posts.csv"
    path.write_bytes(stream.getvalue().encode(encoding, "replace"))
    for record in READERS["csv"](path, ReadOptions()).records:
        assert isinstance(record, PostRecord | Remark)
        if isinstance(record, PostRecord):
            row, _ = clean(record)
            assert row["post_id"]
            pa.Table.from_pylist([{k: v for k, v in row.items() if k != "images"}])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=300))
def test_arbitrary_bytes_never_crash(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "posts"
    path.write_bytes(b"id,caption\n" + content)
    list(READERS["csv"](path, ReadOptions()).records)
    path.write_bytes(b'{"id": 1}\n' + content)
    list(READERS["jsonl"](path, ReadOptions()).records)


def test_what_a_table_lacks_is_said_with_the_columns_that_may_hold_it(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"p{number}",
            "スキ数": 100 + number,
            "words_of_mine": f"A morning in the hills, number {number}",
            "when": f"2024-05-1{number} 10:00",
            "pic": f"pictures/{number}.jpg",
            "mood": "calm",
        }
        for number in range(4)
    ]
    path = write_csv(tmp_path / "a.csv", rows)
    assert READERS["csv"](path, ReadOptions()).warnings == [
        "No column is recognised to hold likes. If 'スキ数' does: --map 'likes=スキ数'",
        "No column is recognised to hold captions. If 'words_of_mine' does: "
        "--map caption=words_of_mine",
        "No column is recognised to hold a date. If 'when' does: --map posted_at=when",
        "No column is recognised to hold pictures. If 'pic' does: --map images=pic",
    ]
    decided = {
        "likes": "スキ数",
        "caption": "words_of_mine",
        "posted_at": "when",
        "images": "pic",
    }
    assert READERS["csv"](path, ReadOptions(decided)).warnings == []


def test_of_several_columns_that_may_hold_likes_all_are_named(tmp_path: Path) -> None:
    rows = [
        {"id": f"p{n}", "caption": "x", "taken at": "2024-05-01", "up": n, "n2": 7} for n in "12"
    ]
    path = write_csv(tmp_path / "a.csv", rows)
    assert READERS["csv"](path, ReadOptions()).warnings == [
        "No column is recognised to hold likes. Say which does: --map likes=COLUMN, perhaps up, n2."
    ]


def test_rated_texts_lack_neither_likes_nor_dates(tmp_path: Path) -> None:
    rows = [{"id": number, "text": "x", "valence": number, "arousal": 3} for number in (1, 5)]
    path = write_csv(tmp_path / "a.csv", rows)
    assert READERS["csv"](path, ReadOptions()).warnings == []


def test_a_title_is_the_text_of_a_post_without_a_caption(tmp_path: Path) -> None:
    both = import_csv(tmp_path, "id,title,text\n1,A #walk @ada,\n2,A title,Said #sea\n")
    posts = both.dataset.posts
    assert posts["caption"].tolist() == ["A #walk @ada", "Said #sea"]
    assert posts["title"].tolist() == ["A #walk @ada", "A title"]
    assert [list(tags) for tags in posts["hashtags"]] == [["walk"], ["sea"]]
    assert list(posts["mentions"].iloc[0]) == ["ada"]


def test_titles_and_views_are_not_said_to_lack_captions_and_likes(tmp_path: Path) -> None:
    videos = read_csv(tmp_path / "a.csv", "id,title,plays\n1,A walk by the sea,5\n")
    assert "No column holds captions: titles are read as such." in videos.notes
    assert not any(word in text for text in videos.warnings for word in ("caption", "likes"))
    bare = read_csv(tmp_path / "b.csv", "id,posted_at\n1,2024-01-01\n")
    assert any("captions" in text for text in bare.warnings)
    assert any("likes" in text for text in bare.warnings)


@pytest.mark.parametrize("caption", ["", "   ", "n/a"])
def test_a_title_is_the_text_where_there_is_no_caption(tmp_path: Path, caption: str) -> None:
    content = f"id,title,caption,likes\na,Tea for @ada #tea,{caption},5\nb,Sea,By the sea,6\n"
    first, second = posts_of(read_csv(tmp_path / "posts.csv", content))
    assert (first["caption"], first["hashtags"], first["mentions"]) == (
        "Tea for @ada #tea",
        ["tea"],
        ["ada"],
    )
    assert second["caption"] == "By the sea"


@pytest.mark.parametrize("write", [json.dumps, str], ids=["JSON", "Python"])
def test_objects_in_cells_are_read_by_the_names_in_them(
    write: Callable[[Any], str], tmp_path: Path
) -> None:
    rows = [
        {
            "id": n,
            "caption": f"Tea {n}",
            "stats": write({"diggCount": 5 + n, "commentCount": n, "more": {"shareCount": 3}}),
            "author": write({"uniqueId": "me"}),
            "valence": write([{"rating": 1 + 8 * n}]),
        }
        for n in (0, 1)
    ]
    rows.append({"id": 2, "caption": "Tea 2", "stats": "", "author": "", "valence": ""})
    source = write_csv(tmp_path / "posts.csv", rows)
    result = import_posts("csv", source, tmp_path / "out")
    posts = result.dataset.posts
    assert posts["likes"].fillna(-1).tolist() == [5, 6, -1]
    assert posts["comments"].fillna(-1).tolist() == [0, 1, -1]
    assert posts["author_id"].fillna("").tolist() == ["me", "me", ""]
    assert posts["valence"].notna().tolist() == [True, True, False]
    assert any("stats, author, valence hold" in note for note in result.notes)
    mapped = import_posts("csv", source, tmp_path / "mapped", mapping={"category": "author"})
    assert mapped.dataset.posts["category"][0] == write({"uniqueId": "me"})


@pytest.mark.parametrize(
    "cell",
    ["{Tea} is ready", "[link](x)", "{'a': open('x')}", "{" * 5000, "{1:" + "-" * 9000 + "1}"],
)
def test_texts_in_braces_are_no_objects(cell: str, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "posts.csv", [{"id": 1, "caption": cell, "likes": 3}])
    posts = import_posts("csv", source, tmp_path / "out").dataset.posts
    assert posts["caption"].tolist() == [cell]
