"""Annotations exported from Label Studio (https://labelstud.io) as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from evoked.errors import DataError
from evoked.posts.readers.base import (
    ImageFile,
    PostRecord,
    Reading,
    ReadOptions,
    Remark,
    Skipped,
    dig,
    file_image,
    parse_json,
    read_bounded,
    require_file,
)
from evoked.posts.readers.columns import choose_mapping, choose_scales
from evoked.posts.readers.iaed import rating_within
from evoked.posts.readers.tabular import mean_ratings
from evoked.posts.readers.values import parse_names
from evoked.posts.schema import EMOTIONS, MIKELS

_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)")
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts it before an upload's name


@dataclass(frozen=True)
class _Answer:
    """One rating or choice by one annotator."""

    annotator: str | None
    dimension: str
    value: Any


def read(source: Path, options: ReadOptions) -> Reading:
    """Posts from a JSON export, one per task, with the ratings of each annotator.

    Answers count that were given by a Rating, Number or Choices control named ``valence``,
    ``arousal`` or ``dominance`` (of a choice such as "7 – pleasant", the leading number); a post's
    own ratings are their means. Choices named ``emotion`` set the post's emotion where one of
    Mikels' eight was chosen most. The task's data are mapped like the columns of a table. Pictures
    are looked for beside the file and in ``images/`` there, with and without the prefix that
    uploads get.

    Raises
    ------
    DataError
        No such file, larger than 256 MiB, not an export with tasks, or nothing in the tasks' data
        that is recognised.
    SettingsError
        A mapping or a scale of something that doesn't exist.
    """
    require_file(source)
    tasks = parse_json(read_bounded(source), source)
    if not isinstance(tasks, list) or not any(isinstance(dig(t, "data"), dict) for t in tasks):
        raise DataError(
            "no tasks in it.", file=source, fix="Export the project in the format 'JSON'."
        )
    columns = list(dict.fromkeys(key for task in tasks for key in dig(task, "data") or ()))
    mapping = choose_mapping(columns, options.mapping)
    if not mapping:
        raise DataError(
            f"nothing in the tasks' data is recognised: {', '.join(columns[:30])}.",
            file=source,
            fix="Say which holds what, for example --map caption=NAME.",
        )
    answers = [_answers(task) for task in tasks]
    scales, notes = choose_scales(_ranges(answers), options.scales)
    return Reading(
        records=_records(source, tasks, answers, mapping, scales),
        total=len(tasks),
        mapping=mapping,
        scales=scales,
        notes=notes,
    )


def _answers(task: Any) -> list[_Answer]:
    answers = []
    annotations = dig(task, "annotations")
    for annotation in annotations if isinstance(annotations, list) else ():
        if dig(annotation, "was_cancelled"):
            continue
        results = dig(annotation, "result")
        for result in results if isinstance(results, list) else ():
            dimension = str(dig(result, "from_name")).casefold()
            if dimension in (*EMOTIONS, "emotion"):
                answers.append(_Answer(_annotator(annotation), dimension, _value(result)))
    return answers


def _annotator(annotation: Any) -> str | None:
    person = dig(annotation, "completed_by")
    person = dig(person, "id") if isinstance(person, dict) else person
    return None if person is None else str(person)


def _value(result: Any) -> Any:
    value = dig(result, "value")
    choice = dig(value, "choices", 0)
    if choice is None:
        rating = dig(value, "rating")
        return dig(value, "number") if rating is None else rating
    match = _LEADING_NUMBER.match(str(choice))
    return match[1] if match else choice


def _ranges(tasks: list[list[_Answer]]) -> dict[str, tuple[float, float]]:
    anything = (float("-inf"), float("inf"))
    found: dict[str, list[float]] = {}
    for answer in (answer for answers in tasks for answer in answers):
        rating = rating_within(answer.value, anything)
        if answer.dimension in EMOTIONS and rating is not None:
            found.setdefault(answer.dimension, []).append(rating)
    return {name: (min(values), max(values)) for name, values in found.items()}


def _records(
    source: Path,
    tasks: list[Any],
    answers: list[list[_Answer]],
    mapping: Mapping[str, str],
    scales: Mapping[str, tuple[float, float]],
) -> Iterator[PostRecord | Remark]:
    for number, (task, given) in enumerate(zip(tasks, answers, strict=True), start=1):
        data = dig(task, "data")
        if not isinstance(data, dict):
            yield Skipped("a task without data", source.name, number)
            continue
        fields = {name: data.get(column) for name, column in mapping.items()}
        names = parse_names(fields.pop("images", None)) or []
        fields.setdefault("post_id", dig(task, "id"))
        rows = [row for answer in given if (row := _rating_row(answer, scales))]
        fields |= mean_ratings(rows)
        emotion = _emotion(given)
        if emotion is not None:
            fields["emotion"] = emotion
        yield PostRecord(
            fields,
            file=source.name,
            row=number,
            images=[_image(source.parent, name) for name in names],
            tables={"annotations": rows},
            remarks=[
                Remark(
                    "not a rating on the scale", source.name, number, a.dimension, str(a.value)[:80]
                )
                for a in given
                if a.dimension in scales and rating_within(a.value, scales[a.dimension]) is None
            ],
        )


def _rating_row(
    answer: _Answer, scales: Mapping[str, tuple[float, float]]
) -> dict[str, Any] | None:
    if answer.dimension not in scales:
        return None
    rating = rating_within(answer.value, scales[answer.dimension])
    if rating is None:
        return None
    return {
        "annotator_id": answer.annotator,
        "dimension": answer.dimension,
        "rating": rating,
    }


def _emotion(answers: list[_Answer]) -> str | None:
    """The emotion chosen most; None on a draw, or where no choice is one of Mikels'."""
    chosen = (
        str(answer.value).strip().casefold() for answer in answers if answer.dimension == "emotion"
    )
    votes = Counter(name for name in chosen if name in MIKELS).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return None
    return votes[0][0]


def _image(folder: Path, address: str) -> ImageFile:
    """The picture of a task, which Label Studio names by address, path or upload."""
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d", [])
    path = local[0] if local else unquote(parts.path).lstrip("/") or address
    name = path.rsplit("/", 1)[-1]
    candidates = [path, *(f"{below}{n}" for n in _names(name) for below in ("", "images/"))]
    found = next((c for c in candidates if _is_file(folder / c)), None)
    return ImageFile(address, file_image(folder, found or address).read)


def _names(name: str) -> tuple[str, str]:
    return name, _UPLOAD_PREFIX.sub("", name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
