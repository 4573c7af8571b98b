"""Columns of a person's own: their kinds, which say nothing, and which look useful."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.errors import SettingsError
from evoked.posts.importing import ImportResult, import_posts
from evoked.posts.readers.fact_columns import (
    Cells,
    choose_columns,
    guess_kind,
    settle_columns,
    split_choice,
    suggested,
)
from evoked.posts.readers.outcome_names import is_outcome
from tests.support.reader_sources import write_csv, write_picture

OUTCOMES = """
Clicks|Link clicks|engagement_rate|Engaged_Users|T_Interactions|LP_Reach|Impressions|
Video views|3-second video plays|ThruPlays|Watch time (hours)|averageViewDuration|Follows|
Profile Visits|CTR (all)|CPC (cost per link click) (USD)|Cost per result|Conversions|Results|
ROAS|From Explore|Total_Conversion|Approved_Conversion|Consumption|Reichweite|Klicks|Portée|
J'aime|Me gusta|Alcance|Curtidas|いいね数|リーチ|点赞数|播放量|조회수|Охват|
new followers|Subscribers gained|Frequency|Quality ranking
"""

KNOWN_BEFOREHAND = """
spend|Amount spent (USD)|placement|Age group|gender|Product|campaign|duration_seconds|
tags_count|subscribers|keyword|Month|Ad set budget|reach_goal|planned impressions|
bid per click|posting frequency|share of women|Video length|score_type|clickbait|
optimization goal: link clicks|previous likes|viewpoint|Page total likes target
"""


def named(text: str) -> list[str]:
    """The names in one of the lists above."""
    return [name.strip() for name in text.split("|")]


def cells(values: Iterable[Any]) -> Cells:
    found = Cells()
    for value in values:
        found.add(value)
    return found


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("spend", ["1,234.50", "€12", "", "4.2K"], "number"),
        ("share", ["12 %", "7,5 %"], "number"),
        ("spend", ["3", "4", "5", "6", "7", "8", "9", "10", "11", "n/a", "lots"], "number"),
        ("placement", ["Feed", "Story", "Feed"], "class"),
        ("age", ["18-24", "25-34", "18-24"], "class"),
        ("boosted", ["yes", "no", "yes"], "flag"),
        ("boosted", [0, 1, 1], "flag"),
        ("slides", [0, 1, 2], "number"),
        ("category_id", [22, 24, 22], "class"),
        ("campaignId", [22, 24, 22], "class"),
        ("month", [1, 2, 12], "number"),
        ("audience", ["runners; parents", "runners", "parents|runners"], "classes"),
        ("audience", [["runners"], ["parents", "runners"]], "classes"),
        ("place", ["Paris, France", "Rome, Italy", "Oslo, Norway"], "class"),
    ],
)
def test_guesses_kinds(column: str, values: list[Any], kind: str) -> None:
    assert guess_kind(column, cells(values)) == kind


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.booleans())
def test_numbers_are_guessed_and_read_as_they_were_written(
    numbers: list[float], decimal_comma: bool
) -> None:
    swap = str.maketrans(",.", ".,") if decimal_comma else {}
    found = cells(f"{number:,.2f} EUR".translate(swap) for number in [*numbers, 0.5, 1234.25])
    (column,), _ = settle_columns({"spend": None}, {"spend": found})
    assert column.kind == "number"
    assert column.decimal_comma == decimal_comma
    for number in numbers:
        text = f"{number:,.0f}".translate(swap)
        if "," in text or "." in text:
            assert column.parse(text) == round(number)


@given(st.lists(st.sampled_from(["feed", "story", "in stream", "réels"]), min_size=2, max_size=30))
def test_classes_are_guessed_whatever_their_order(names: list[str]) -> None:
    found, notes = settle_columns({"placement": None}, {"placement": cells([*names, "right"])})
    assert [column.kind for column in found] == ["class"]
    assert notes == []


def left_out(column: str, values: Iterable[Any], kind: Any = None) -> str:
    found, notes = settle_columns({column: kind}, {column: cells(values)})
    assert len(found) + len(notes) == 1
    return notes[0] if notes else ""


def test_columns_that_say_nothing_are_left_out() -> None:
    assert left_out("spend", ["", None]) == "spend is not taken as a fact: it is empty."
    assert "it is 'feed' for every post" in left_out("placement", ["feed"] * 3)
    assert left_out("placement", ["feed", "", "feed"]) == ""
    assert "differs for nearly every post" in left_out("ref", (f"x{n}" for n in range(30)))
    assert left_out("ref", (f"x{n}" for n in range(30)), "class") == ""
    assert "differs for nearly every post" in left_out("row", range(30))
    assert "differs for nearly every post" in left_out("ad_id", range(0, 300, 10))
    assert left_out("spend", range(0, 300, 10)) == ""
    assert left_out("ref", (f"x{n}" for n in range(5))) == ""


def test_useful_columns_are_suggested() -> None:
    n = range(60)
    columns = {
        "spend": [row * 1.5 for row in n],
        "placement": ["feed", "story", "reels"] * 20,
        "audience": ["runners, parents", "runners", "parents"] * 20,
        "boosted": ["yes", "no"] * 30,
        "clicks": [row % 7 for row in n],
        "ref": [f"r{row}" for row in n],
        "link": [f"https://example.org/{row % 5}" for row in n],
        "note": [f"Something that was written down about this, {row % 9}" for row in n],
        "ends": [f"2024-05-{1 + row % 9:02d}" for row in n],
        "sparse": ["a" if row % 10 else "b" if row < 10 else "" for row in n][:6] + [""] * 54,
        "constant": [1] * 60,
        "empty": [""] * 60,
    }
    found = suggested(columns, {name: cells(values) for name, values in columns.items()})
    assert found == ["spend", "placement", "audience", "boosted"]


@pytest.mark.parametrize("name", named(OUTCOMES))
def test_outcomes_are_known_by_name(name: str) -> None:
    assert is_outcome(name)


@pytest.mark.parametrize("name", named(KNOWN_BEFOREHAND))
def test_what_is_known_beforehand_is_no_outcome(name: str) -> None:
    assert not is_outcome(name)


def test_a_choice_may_end_in_a_kind() -> None:
    assert split_choice(" day : class ") == ("day", "class")
    assert split_choice("ratio 4:3") == ("ratio 4:3", None)
    with pytest.raises(SettingsError, match="takes COLUMN or COLUMN:KIND"):
        split_choice(":class")


def test_what_is_no_fact_is_refused_with_the_reason() -> None:
    columns, mapping = ["Spend", "Type", "T Reach", "Clicks"], {"reach": "T Reach"}
    mapping["media_type"] = "Type"
    assert choose_columns({"spend": None}, columns, mapping) == {"Spend": None}
    for name in ("clicks", "t_reach"):
        with pytest.raises(SettingsError, match="known only after posting"):
            choose_columns({name: None}, columns, mapping)
    with pytest.raises(SettingsError, match=r"read as media_type already.*--map media_type="):
        choose_columns({"type": "class"}, columns, mapping)
    with pytest.raises(SettingsError, match=r"no such column; it has Spend.*Did you mean"):
        choose_columns({"Spent": None}, columns, mapping)


ROWS = [
    {
        "id": f"p{row}",
        "caption": "Run better",
        "likes": 10 + row,
        "date": f"2024-05-{1 + row % 28:02d} 10:00",
        "spend": f"{row},50" if row else "much",
        "placement": ("Feed", "Story")[row % 2],
        "clicks": row,
    }
    for row in range(40)
]


def imported(folder: Path, rows: list[dict[str, Any]] = ROWS, **options: Any) -> ImportResult:
    return import_posts("csv", write_csv(folder / "in/ads.csv", rows), folder / "out", **options)


def test_facts_are_imported_and_listed(tmp_path: Path) -> None:
    result = imported(tmp_path, facts=["spend", "placement"])
    posts = result.dataset.posts
    assert posts["fact.spend"].iloc[1:3].tolist() == [1.5, 2.5]
    assert posts["fact.spend"].isna().sum() == 1
    assert posts["fact.placement"].iloc[:2].tolist() == ["feed", "story"]
    assert [(fact.name, fact.kind, fact.known) for fact in result.facts] == [
        ("placement", "class", 40),
        ("spend", "number", 39),
    ]
    assert result.tally.changed == {"spend: not a number, left empty": 1}
    assert result.as_dict()["facts"][1]["name"] == "spend"
    assert "Columns that are not used: clicks." in result.notes
    assert any("known only after posting: clicks." in note for note in result.notes)
    assert any("spend goes with likes so closely" in text for text in result.warnings)


def test_without_facts_useful_columns_are_named(tmp_path: Path) -> None:
    result = imported(tmp_path)
    assert result.facts == []
    assert not [name for name in result.dataset.posts if name.startswith("fact.")]
    assert any(note.endswith("--fact spend --fact placement") for note in result.notes)


def test_other_facts_make_another_import(tmp_path: Path) -> None:
    imported(tmp_path, facts=["placement"])
    assert imported(tmp_path, facts=["placement"]).already_there
    forced = imported(tmp_path, facts=["spend:class"], overwrite=True)
    assert [(fact.name, fact.kind, fact.known) for fact in forced.facts] == [("spend", "class", 40)]


def test_a_fact_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="known only after posting"):
        imported(tmp_path, facts=["clicks"])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    with pytest.raises(SettingsError, match="--fact goes with csv, jsonl and parquet"):
        import_posts("instaloader", tmp_path / "in", tmp_path / "out", facts=["spend"])


def test_lists_of_json_lines_are_several_classes(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    lines = ['{"id": 1, "likes": 3, "tones": ["warm", "Dark"]}', '{"id": 2, "likes": 5}']
    path.write_text("\n".join(lines), encoding="utf-8")
    result = import_posts("jsonl", path, tmp_path / "out", facts=["tones"])
    assert result.dataset.posts["fact.tones"].tolist() == [["warm", "dark"], []]


def test_all_posts_may_be_by_one_author(tmp_path: Path) -> None:
    assert any("--author NAME" in note for note in imported(tmp_path).notes)
    result = imported(tmp_path, author="shop", overwrite=True)
    assert set(result.dataset.posts["author_id"]) == {"shop"}
    assert not any("--author" in note for note in result.notes)
    named = [{**row, "account": "other"} for row in ROWS]
    with pytest.raises(SettingsError, match="'account' holds authors already"):
        imported(tmp_path / "named", named, author="shop")
    undated = [{"id": row["id"], "likes": row["likes"]} for row in ROWS]
    assert not any("--author" in note for note in imported(tmp_path / "undated", undated).notes)


def test_facts_of_drafts_may_all_be_the_same(tmp_path: Path) -> None:
    rows = [{"id": row["id"], "caption": "x", "spend": 5, "ref": row["id"]} for row in ROWS]
    drafts = imported(tmp_path / "drafts", rows, facts=["spend", "ref"])
    assert [fact.name for fact in drafts.facts] == ["ref", "spend"]
    published = [{**row, "likes": 3} for row in rows]
    result = imported(tmp_path / "posts", published, facts=["spend", "ref"])
    assert result.facts == []
    assert "spend is not taken as a fact: it is '5' for every post." in result.notes


def test_bare_names_of_pictures_are_found_in_subfolders(tmp_path: Path) -> None:
    for number, name in enumerate(["a/1.jpg", "a/2.jpg", "b/2.jpg", "3.jpg", "b/3.jpg"]):
        write_picture(tmp_path / "pictures" / name, number)
    rows = [{"id": n, "likes": n, "image": f"{n}.jpg"} for n in (1, 2, 3, 4)]
    result = imported(tmp_path, rows, images=tmp_path / "pictures")
    covers = result.dataset.cover_paths()
    assert [cover is not None for cover in covers] == [True, False, True, False]
    assert covers[2] is not None
    assert covers[2].read_bytes() == (tmp_path / "pictures/3.jpg").read_bytes()
    problems = [example["value"] for example in result.tally.examples]
    assert problems == [
        "2.jpg: several subfolders have a picture of this name (a/2.jpg, b/2.jpg).",
        "4.jpg: there is no such picture.",
    ]


def test_pictures_that_lie_flat_beside_their_table_are_found(tmp_path: Path) -> None:
    """As when a table and its pictures were dropped on a page, where folders are lost."""
    for number, name in enumerate(["1.jpg", "2.jpg", "3.JPG", "kept/5.jpg", "4.jpg"]):
        write_picture(tmp_path / "in" / name, number)
    write_picture(tmp_path / "6.jpg", 6)
    named = ["images/1.jpg", "a\\b\\2.jpg", "images/3.jpg", "kept/4.jpg", "https://x.org/1.jpg"]
    named += ["../6.jpg", "images/7.jpg"]
    rows = [{"id": n, "likes": n, "image": name} for n, name in enumerate(named)]
    covers = imported(tmp_path, rows).dataset.cover_paths()
    assert [cover is not None for cover in covers] == [True, True, True, *[False] * 4]
    for cover, name in zip(covers, ("1.jpg", "2.jpg", "3.JPG"), strict=False):
        assert cover is not None
        assert cover.read_bytes() == (tmp_path / "in" / name).read_bytes()
