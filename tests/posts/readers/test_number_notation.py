"""Counts in every notation: each by itself, and as their column decides."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.posts.importing import ImportResult, import_posts
from evoked.posts.readers.number_notation import CountNotation, notation_notes
from evoked.posts.readers.values import parse_count, parse_number

ARABIC = str.maketrans("0123456789,.", "٠١٢٣٤٥٦٧٨٩٬٫")
FULL_WIDTH = str.maketrans("0123456789,.", "０１２３４５６７８９，．")


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("1.000", 1000), ("1.234.567", 1234567), ("1,234", 1234), ("1,234.0", 1234),
        ("1 234", 1234), ("1\xa0234", 1234), ("1\u202f234\u202f567", 1234567),
        ("1\u2009234", 1234),
        ("1'234", 1234), ("1’234’567", 1234567), ("1,23,456", 123456), ("12,34,56,789", 123456789),
        ("1,2K", 1200), ("1.2k", 1200), ("2,3 mil", 2300), ("3,4 Tsd.", 3400), ("1.2M", 1_200_000),
        ("1,2 Mio.", 1_200_000), ("4,5 mln", 4_500_000), ("1,1 Mrd.", 1_100_000_000),
        ("1.2万", 12000), ("3億", 300_000_000), ("2.5亿", 250_000_000), ("1.2만", 12000),
        ("1.2 lakh", 120_000), ("3 crore", 30_000_000), ("3 करोड़", 30_000_000), ("5 тыс.", 5000),
        ("2,316 Views", 2316), ("1.2K views", 1200), ("1,2 Mio. Aufrufe", 1_200_000),
        ("5 000 vues", 5000), ("1.2万回視聴", 12000), ("조회수 1.2만회", 12000),
        ("12 Me gusta", 12),
        ("999+", 999), ("1K+", 1000), ("~1.2K", 1200), ('="1234"', 1234), ("'1234", 1234),
        ("１２３", 123), ("١٬٢٣٤", 1234), ("1.23E+05", 123000), ("60.0", 60),
        ("–", None), ("N/A", None), ("--", None), ("#VALUE!", None), ("n.a.", None),
    ],
)  # fmt: skip
def test_counts_as_people_write_them(written: str, count: int | None) -> None:
    assert parse_count(written) == count


@pytest.mark.parametrize(
    "written",
    ["12.5", "12,34", "1.2.3", "2024.04.05", "12 34", "1,2345,678", "5 days", "3 xq", "10%",
     "1.5 views",
     "K", "1.234,5", "1e999"],
)  # fmt: skip
def test_what_is_no_count_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"not|finite"):
        parse_count(written)


@pytest.mark.parametrize(("written", "number"), [("3,5", 3.5), ("65 %", 65), ("1.234", 1.234)])
def test_ratings_have_decimals(written: str, number: float) -> None:
    assert parse_number(written) == number


def western(number: int, sign: str) -> str:
    return f"{number:,}".replace(",", sign)


def indian(number: int) -> str:
    head, tail = divmod(number, 1000)
    if not head:
        return str(number)
    groups = []
    while head:
        head, group = divmod(head, 100)
        groups.append(f"{group:02d}" if head else str(group))
    return ",".join([*reversed(groups), f"{tail:03d}"])


@given(
    st.integers(0, 10**11),
    st.sampled_from([",", ".", " ", "\xa0", "\u202f", "\u2009", "'", "’", "_"]),
)
def test_a_count_is_read_back_with_any_sign_between_thousands(number: int, sign: str) -> None:
    assert parse_count(western(number, sign)) == number
    assert parse_count(western(number, sign).translate(FULL_WIDTH)) == number


@given(st.integers(0, 10**11))
def test_a_count_is_read_back_in_other_digits_and_groups(number: int) -> None:
    assert parse_count(indian(number)) == number
    assert parse_count(f"{number:,}".translate(ARABIC)) == number
    assert parse_count(f"{number:,} likes") == number


@given(
    st.integers(1, 9999),
    st.sampled_from([("K", 10**3), (" mil", 10**3), ("万", 10**4), (" lakh", 10**5), ("M", 10**6)]),
    st.sampled_from([".", ","]),
)
def test_a_scaled_count_is_read_back(tenths: int, scale: tuple[str, int], sign: str) -> None:
    word, factor = scale
    written = f"{tenths // 10}{sign}{tenths % 10}{word}"
    assert parse_count(written) == tenths * factor // 10


@given(st.lists(st.integers(0, 10**8), min_size=1), st.sampled_from([",", "."]))
def test_a_column_decides_which_sign_separates_thousands(numbers: list[int], sign: str) -> None:
    notation = CountNotation()
    written = [western(number, sign) for number in [*numbers, 1_234_567]]
    for text in written:
        notation.add(text)
    assert notation.decimal == {",": ".", ".": ","}[sign]
    assert [parse_count(text, notation.decimal) for text in written[:-1]] == numbers


@given(st.lists(st.integers(0, 999), min_size=1))
def test_three_decimals_are_decimals_where_the_column_shows_it(numbers: list[int]) -> None:
    notation = CountNotation()
    for text in [*(f"{number}.000" for number in numbers), "12.0"]:
        notation.add(text)
    assert [parse_count(f"{n}.000", notation.decimal) for n in numbers] == numbers


def notes(*columns: list[str]) -> list[str]:
    notations = {name: CountNotation() for name, _ in zip("AB", columns, strict=False)}
    for notation, cells in zip(notations.values(), columns, strict=True):
        for cell in cells:
            notation.add(cell)
    return notation_notes(notations)


def test_notes_say_how_a_column_is_read_and_what_is_assumed() -> None:
    assert notes(["1.000", "1.234"], ["2.345"]) == [
        "Points separate thousands in A, B: 1.000 is read as 1000."
    ]
    assert notes(["1.000", "7"]) == [
        "Check A: 1.000 is read as 1000, as if points separated thousands, and no other number "
        "there shows whether that is right. If it is not, write counts without them."
    ]
    assert notes(["1.000", "2.0"]) == ["Points stand before decimals in A, such as 1.000."]
    assert notes(["1000", "1.2K", "1,234,567"]) == []


def import_text(folder: Path, text: str) -> ImportResult:
    (folder / "posts.csv").write_text(text, encoding="utf-8")
    return import_posts("csv", folder / "posts.csv", folder / "dataset")


def test_each_column_of_an_export_is_read_in_its_notation(tmp_path: Path) -> None:
    result = import_text(
        tmp_path,
        "Post ID;Description;Likes;Reach;Views;Shares\n"
        "1;Ein Tee;1.000;3.000;2.300;2.0\n2;Zwei Tees;1.234;12.345;1.234.567;3.000\n",
    )
    posts = result.dataset.posts
    assert posts["likes"].tolist() == [1000, 1234]
    assert posts["reach"].tolist() == [3000, 12345]
    assert posts["views"].tolist() == [2300, 1234567]
    assert posts["shares"].tolist() == [2, 3]
    assert (
        "Points separate thousands in Likes, Views, Reach: 1.000 is read as 1000." in result.notes
    )


def test_a_number_that_its_column_refuses_is_listed_once(tmp_path: Path) -> None:
    result = import_text(tmp_path, "id,text,likes\n1,a,2.50\n2,b,3.0\n3,c,4.0\n4,d,1.234\n")
    assert result.tally.changed == {"likes: not a whole number, left empty": 2}
    assert result.dataset.posts["likes"].dropna().tolist() == [3, 4]


@pytest.mark.parametrize(
    ("header", "cells", "read", "note"),
    [
        (["Gönderi kimliği", "Beğeniler"], ["2,3 B", "870"], [2300, 870], "as in Turkish"),
        (["id", "Beğeni", "Yorum"], ["1,2 B beğeni", "3 Mn"], [1200, 3_000_000], "as in Turkish"),
        (["id", "likes"], ["2,3 B", "1,1 Mn"], [2300, 1_100_000], "as in Turkish"),
        (["id", "likes"], ["2.3B", "870"], [2_300_000_000, 870], "in Turkish it would be 2,300"),
        (["id", "likes"], ["2.3B", "1.2M"], [2_300_000_000, 1_200_000], ""),
        (["id", "Gefällt mir"], ["2,3 Mrd.", "1 Tsd."], [2_300_000_000, 1000], ""),
    ],
)
def test_the_language_of_a_table_says_what_a_letter_stands_for(
    header: list[str], cells: list[str], read: list[int], note: str, tmp_path: Path
) -> None:
    rows = [[row, cell, *[""] * (len(header) - 2)] for row, cell in enumerate(cells)]
    path = tmp_path / "posts.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    result = import_posts("csv", path, tmp_path / "out")
    assert result.dataset.posts["likes"].tolist() == read
    notes = [each for each in result.notes if "Turkish" in each]
    assert [note in each for each in notes] == [True] * bool(note)
    assert all(each.startswith("Check ") == ("would" in note) for each in notes)
