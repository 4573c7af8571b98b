"""Sheets of paper: whole sentences, whole tables, as many pages as they need."""

from __future__ import annotations

import io
import re
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from evoked.report.sheets import Sheet, _is_number_column, _wrapped, sheet_pdf, sheet_png

HOSTILE = "$5 <b> \\frac{1}{0} 今天 🌅 مرحبا\x00"


def pages_of(content: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", content))


def size_of(content: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(content)).size


@pytest.fixture(scope="module")
def picture() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((60, 120, 3), 90, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_a_long_table_goes_on_over_pages() -> None:
    rows = [[f"row {number}", f"+{number}%"] for number in range(90)]
    short = sheet_pdf(Sheet("Title", ["One sentence."], ["what", "gain"], rows[:3]))
    long = sheet_pdf(Sheet("Title", ["One sentence."], ["what", "gain"], rows))
    assert short.startswith(b"%PDF")
    assert pages_of(short) == 1
    assert pages_of(long) >= 3
    assert len(sheet_pdf(Sheet("Title", []))) < len(short)


def test_the_same_sheet_gives_the_same_file() -> None:
    sheet = Sheet("Title", ["One."], ["a"], [["1"]])
    assert sheet_pdf(sheet) == sheet_pdf(sheet)
    assert Sheet.from_dict(sheet.to_dict()) == Sheet("Title", ["One."], ["a"], [["1"]])


def test_a_picture_is_drawn_between_sentences_and_table(picture: bytes) -> None:
    sheet = Sheet("Title", ["One."], ["a"], [["1"]])
    without, beside = sheet_png(sheet), sheet_png(sheet, picture)
    assert size_of(beside)[0] == size_of(without)[0]
    assert size_of(beside)[1] > size_of(without)[1] + 300
    drawn = np.asarray(Image.open(io.BytesIO(beside)).convert("RGB"))
    assert (np.abs(drawn.astype(int) - 90).max(axis=2) < 3).any(axis=1).sum() > 300
    assert b"/XObject" in sheet_pdf(sheet, picture)


@pytest.mark.parametrize("text", [HOSTILE, "x" * 900, "word " * 500, ""])
def test_any_text_is_set_within_the_page(text: str) -> None:
    sheet = Sheet(text, [text, text], [text[:400], "b"], [[text, "1"], ["", ""]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sheet_pdf(sheet).startswith(b"%PDF")
        drawn = np.asarray(Image.open(io.BytesIO(sheet_png(sheet))).convert("L"))
    assert (drawn[:, -60:] > 250).all(), "something is drawn beyond the margin"


def test_metadata_names_no_machine_and_no_time() -> None:
    content = sheet_pdf(Sheet("A title", ["One."]))
    assert b"CreationDate" not in content
    assert b"A title" in content


def test_words_can_be_found_again() -> None:
    """Text stays text: streams hold the codes of its letters."""
    content = sheet_pdf(Sheet("T", ["Findable"]))
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
    plain = b""
    for stream in streams:
        try:
            plain += zlib.decompress(stream)
        except zlib.error:
            continue
    letters = b"".join(re.findall(rb"\(((?:[^()\\]|\\.)*)\)", plain))
    assert b"Findable" in letters


def test_lines_break_at_no_blank_that_holds_words_together() -> None:
    for number in range(20, 60):
        lines = _wrapped(f"{'m ' * number}19\xa0%", 10, 3, False)
        assert len(lines) > 1
        assert "19\xa0%" in lines[-1]


def test_sentences_that_begin_with_a_number_are_no_numbers() -> None:
    assert _is_number_column(["+3 %", "–", "1,200 likes (800 to 1,500)"])
    assert not _is_number_column(["221 of your posts did so.", "–"])
