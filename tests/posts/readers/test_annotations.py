"""IAED and Label Studio: posts with the ratings of each annotator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evoked.errors import DataError
from evoked.posts.importing import import_posts
from evoked.posts.readers import READERS
from evoked.posts.readers.base import ReadOptions
from tests.support.reader_sources import (
    iaed_source,
    label_studio_result,
    label_studio_source,
    write_csv,
)


def test_iaed_ratings_and_their_means(tmp_path: Path) -> None:
    dataset = import_posts("iaed", iaed_source(tmp_path / "in"), tmp_path / "out").dataset
    assert dataset.posts["valence"].tolist() == [1.0, 1.0, 1.0]  # mean rating 6
    assert dataset.posts["arousal"].tolist() == [0.0, 1.0, 2.0]  # ratings 1, 2, 3
    annotations = dataset.table("annotations")
    assert len(annotations) == 18
    assert annotations["rating"].between(1, 9).all()
    assert set(annotations["annotator_id"]) == {"a0", "a1", "a2"}
    assert dataset.description["scales"] == {"valence": [1.0, 9.0], "arousal": [1.0, 9.0]}
    assert dataset.posts["followers"].tolist() == [10_000] * 3


def test_iaed_ratings_that_cannot_be(tmp_path: Path) -> None:
    source = iaed_source(tmp_path / "in")
    write_csv(
        source / "annotations.csv",
        [
            {"id": "ad0", "annotator": "x", "valence": "10", "arousal": "9"},
            {"id": "ad0", "annotator": "y", "valence": "", "arousal": "good"},
            {"id": "unknown", "annotator": "y", "valence": "3", "arousal": "3"},
        ],
    )
    result = import_posts("iaed", source, tmp_path / "out")
    assert result.tally.read == 3
    assert dict(result.tally.changed) == {
        "valence: not on the scale of the ratings, left out": 1,
        "arousal: not on the scale of the ratings, left out": 1,
        "id: annotations of a post that posts.csv lacks": 1,
    }
    assert len(result.dataset.table("annotations")) == 1
    assert result.dataset.posts["valence"].isna().all()


def test_iaed_without_annotations_is_an_error(tmp_path: Path) -> None:
    source = iaed_source(tmp_path)
    (source / "annotations.csv").unlink()
    with pytest.raises(DataError, match=r"annotations\.csv"):
        READERS["iaed"](source, ReadOptions())


def test_label_studio_answers(tmp_path: Path) -> None:
    result = import_posts("label-studio", label_studio_source(tmp_path / "in"), tmp_path / "out")
    dataset = result.dataset
    posts = dataset.posts
    assert posts["post_id"].tolist() == ["1", "2", "3"]
    assert posts["caption"].tolist() == ["On the beach", "In the street", "Not rated yet"]
    assert [len(images) for images in posts["images"]] == [1, 1, 0]
    assert posts["valence"].dropna().tolist() == [3.5, -4.0]  # 8.5 and 1 of 1 to 9
    assert posts["arousal"].dropna().tolist() == [1.0]
    assert posts["emotion"].dropna().tolist() == ["awe"]
    assert sorted(dataset.table("annotations")["annotator_id"]) == ["4", "4", "4", "5"]
    assert any("guessed as 1 to 9" in note for note in result.notes)


def test_label_studio_with_a_declared_scale(tmp_path: Path) -> None:
    source = label_studio_source(tmp_path / "in")
    scales = {"valence": (1, 5), "arousal": (1, 5)}
    result = import_posts("label-studio", source, tmp_path / "out", scales=scales)
    assert result.dataset.posts["valence"].dropna().tolist() == [-4.0]
    assert dict(result.tally.changed) == {"valence: not on the scale of the ratings, left out": 2}


@pytest.mark.parametrize(
    "task",
    [
        None,
        {"id": 9},
        {"data": {"text": "x"}, "annotations": "none"},
        {"data": {"text": "x"}, "annotations": [None, {"result": 3}, {"result": [None]}]},
        {"data": {"text": "x", "image": "http://[broken"}, "annotations": []},
        {"data": {"text": "\ud800", "image": "\ud800.jpg", "\ud800": 1}, "annotations": []},
        {
            "data": {"text": "x"},
            "annotations": [
                {
                    "completed_by": "\ud800",
                    "result": [
                        label_studio_result("valence", "rating", 3),
                        label_studio_result("arousal", "rating", "\ud800"),
                    ],
                }
            ],
        },
        {
            "data": {"text": ["x"]},
            "annotations": [{"result": [label_studio_result("valence", "rating", {})]}],
        },
    ],
)
def test_label_studio_odd_tasks_do_no_harm(task: Any, tmp_path: Path) -> None:
    source = label_studio_source(tmp_path / "in")
    source.write_text(json.dumps([*json.loads(source.read_text()), task]))
    result = import_posts("label-studio", source, tmp_path / "out")
    assert result.tally.read + sum(result.tally.skipped.values()) == 4


def _export(folder: Path, *controls: str) -> Path:
    tasks = [
        {
            "id": number,
            "data": {"text": f"Post {number}"},
            "annotations": [
                {
                    "completed_by": 1,
                    "result": [
                        label_studio_result(name, "rating", 1 + 8 * number) for name in controls
                    ],
                }
            ],
        }
        for number in range(2)
    ]
    path = folder / "export.json"
    path.write_text(json.dumps(tasks))
    return path


@pytest.mark.parametrize(
    "name", ["Valence", "valence_rating", "ratingValence", "Valenz", "1: valence"]
)
def test_controls_are_found_by_parts_of_their_names(name: str, tmp_path: Path) -> None:
    reading = READERS["label-studio"](_export(tmp_path, name), ReadOptions())
    assert list(reading.scales) == ["valence"]
    assert not any("not used" in note for note in reading.notes)


def test_controls_that_are_not_used_are_named_and_can_be_mapped(tmp_path: Path) -> None:
    source = _export(tmp_path, "smiley", "arousal")
    reading = READERS["label-studio"](source, ReadOptions())
    assert list(reading.scales) == ["arousal"]
    assert any(
        "not used: smiley" in note and "--map valence=smiley" in note for note in reading.notes
    )
    reading = READERS["label-studio"](source, ReadOptions(mapping={"valence": "smiley"}))
    assert set(reading.scales) == {"valence", "arousal"}
