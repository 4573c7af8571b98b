"""Words and phrases, with the segmenters of the extra ``languages`` and without."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.features import phrases as module
from evoked.features.phrases import phrases, segmenters_fingerprint

SEGMENTERS = ("budoux", "rjieba", "newmm_tokenizer")


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in phrases(text)]


@pytest.fixture
def without_segmenters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in SEGMENTERS:
        monkeypatch.setitem(sys.modules, name, None)
    module._cut_by.cache_clear()
    yield
    module._cut_by.cache_clear()


@pytest.mark.parametrize(
    ("segmenter", "text", "expected"),
    [
        (
            "budoux",
            "新作のコーヒーが3月1日から発売されます!",
            ["新作の", "コーヒーが", "3月1日から", "発売されます!"],
        ),
        (
            "budoux",
            "今日は公園で犬と散歩しました。",
            ["今日は", "公園で", "犬と", "散歩しました。"],
        ),
        (
            "rjieba",
            "这是我吃过最好吃的蛋糕,太幸福了",
            ["这是", "我吃过", "最好吃的", "蛋糕,", "太幸福了"],
        ),
        ("rjieba", "新款咖啡明天开始发售", ["新款", "咖啡", "明天", "开始", "发售"]),
        (
            "newmm_tokenizer",
            "กาแฟใหม่เริ่มขายพรุ่งนี้ มาลองกันนะ",
            ["กาแฟ", "ใหม่", "เริ่ม", "ขาย", "พรุ่งนี้", "มา", "ลอง", "กัน", "นะ"],
        ),
    ],
)
def test_segmenters_find_what_is_written_without_spaces(
    segmenter: str, text: str, expected: list[str]
) -> None:
    pytest.importorskip(segmenter)
    assert cut(text) == expected


@pytest.mark.usefixtures("without_segmenters")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今日は公園で犬と散歩しました。", ["今日は", "公園で", "犬と", "散歩しました。"]),
        ("今天天气很好,我们去公园", ["今天天气很好,", "我们去公园"]),
        ("ขอบคุณ ครับ", ["ขอบคุณ", "ครับ"]),
    ],
)
def test_without_segmenters_scripts_and_spaces_decide(text: str, expected: list[str]) -> None:
    assert cut(text) == expected
    assert segmenters_fingerprint() == ""


def test_words_with_spaces_are_what_stands_between_them() -> None:
    assert cut("so (good) ... -- day!") == ["so", "(good) ... --", "day!"]
    assert cut("좋은 하루 2024") == ["좋은", "하루", "2024"]
    assert cut("... !?") == []


@given(st.text(alphabet="今天天气好のカフェดีมาก abc12!,。", max_size=40))
def test_phrases_follow_each_other_and_leave_out_spaces_alone(text: str) -> None:
    text = " ".join(text.split())
    spans = phrases(text)
    assert all(start < end for start, end in spans)
    between = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(text)]
    if spans:
        assert all(not text[end:start].strip() for end, start in zip(*between, strict=True))
