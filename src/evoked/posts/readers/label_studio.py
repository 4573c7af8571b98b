"""Annotations exported from Label Studio (https://labelstud.io) as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from evoked.errors import DataError
from evoked.files import parse_json, read_bounded
from evoked.posts.readers.base import (
    MAX_JSON_BYTES,
    ImageFile,
    PostRecord,
    ReadOptions,
    Remark,
    Skipped,
    Source,
    dig,
    file_image,
    refuse_facts,
    require_file,
)
from evoked.posts.readers.columns import choose_mapping, choose_scales
from evoked.posts.readers.ratings import Rating, mean_ratings, number_or_none, rating_rows
from evoked.posts.readers.tabular import with_media_type
from evoked.posts.readers.values import parse_names, plain_text
from evoked.posts.schema import EMOTIONS, MIKELS

_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)")
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # before the names of uploads


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a JSON export, one per task, with the ratings of each annotator.

    Ratings are the answers of Rating, Number or Choices controls named ``valence``, ``arousal`` or
    ``dominance`` (a choice such as "7 – pleasant" gives its leading number); a post's own ratings
    are their means. Choices named ``emotion`` set the post's emotion if one of Mikels' eight was
    chosen most often. The task's data are mapped like the columns of a table. Pictures are searched
    beside the file and in ``images/`` there, with and without the prefix that uploads get.

    Raises
    ------
    DataError
        There is no such file, it is larger than 256 MiB, no export with tasks, or nothing in the
        tasks' data is recognised.
    SettingsError
        A mapping or a scale of something that doesn't exist.
    """
    require_file(source)
    tasks = parse_json(read_bounded(source, MAX_JSON_BYTES), source)
    tasks = tasks if isinstance(tasks, list) else []
    data = [found for task in tasks if isinstance(found := dig(task, "data"), dict)]
    if not data:
        raise DataError(
            "no tasks in it.", file=source, fix="Export the project in the format 'JSON'."
        )
    columns = list(dict.fromkeys(key for found in data for key in found))
    refuse_facts(options, "label-studio")
    mapping = choose_mapping(columns, options.mapping)
    if not mapping:
        raise DataError(
            f"nothing in the tasks' data is recognised: {', '.join(columns[:30])}.",
            file=source,
            fix="Say which entry holds what, for example --map caption=NAME.",
        )
    answers = [_answers(task) for task in tasks]
    scales, notes = choose_scales(_ranges(answers), options.scales)
    return Source(
        records=_records(source, tasks, answers, mapping, scales, options.images or source.parent),
        total=len(tasks),
        mapping=mapping,
        scales=scales,
        notes=notes,
    )


def _answers(task: Any) -> list[Rating]:
    answers = []
    annotations = dig(task, "annotations")
    for annotation in annotations if isinstance(annotations, list) else ():
        if dig(annotation, "was_cancelled"):
            continue
        results = dig(annotation, "result")
        for result in results if isinstance(results, list) else ():
            dimension = str(dig(result, "from_name")).casefold()
            if dimension in (*EMOTIONS, "emotion"):
                answers.append(Rating(_annotator(annotation), dimension, _value(result)))
    return answers


def _annotator(annotation: Any) -> str | None:
    person = dig(annotation, "completed_by")
    person = dig(person, "id") if isinstance(person, dict) else person
    return None if person is None else plain_text(person)


def _value(result: Any) -> Any:
    value = dig(result, "value")
    choice = dig(value, "choices", 0)
    if choice is None:
        rating = dig(value, "rating")
        return dig(value, "number") if rating is None else rating
    match = _LEADING_NUMBER.match(str(choice))
    return match[1] if match else choice


def _ranges(tasks: list[list[Rating]]) -> dict[str, tuple[float, float]]:
    found: dict[str, list[float]] = {}
    for answer in (answer for answers in tasks for answer in answers):
        rating = number_or_none(answer.value)
        if answer.dimension in EMOTIONS and rating is not None:
            found.setdefault(answer.dimension, []).append(rating)
    return {name: (min(values), max(values)) for name, values in found.items()}


def _records(
    source: Path,
    tasks: list[Any],
    answers: list[list[Rating]],
    mapping: Mapping[str, str],
    scales: Mapping[str, tuple[float, float]],
    pictures: Path,
) -> Iterator[PostRecord | Remark]:
    for number, (task, given) in enumerate(zip(tasks, answers, strict=True), start=1):
        data = dig(task, "data")
        if not isinstance(data, dict):
            yield Skipped("a task without data", source.name, number)
            continue
        fields = {name: data.get(column) for name, column in mapping.items()}
        names = parse_names(fields.pop("images", None)) or []
        fields.setdefault("post_id", dig(task, "id"))
        rows, remarks = rating_rows(given, scales, source.name, number)
        fields |= mean_ratings(rows)
        emotion = _emotion(given)
        if emotion is not None:
            fields["emotion"] = emotion
        yield PostRecord(
            with_media_type(fields),
            file=source.name,
            row=number,
            images=[_image(pictures, name) for name in names],
            tables={"annotations": rows},
            remarks=remarks,
        )


def _emotion(answers: list[Rating]) -> str | None:
    """The emotion chosen most often; None on a draw, or if no choice is one of Mikels' eight."""
    chosen = (
        str(answer.value).strip().casefold() for answer in answers if answer.dimension == "emotion"
    )
    votes = Counter(name for name in chosen if name in MIKELS).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return None
    return votes[0][0]


def _image(folder: Path, address: str) -> ImageFile:
    """The picture of a task, which Label Studio names by address, path or upload."""
    path = _path_of(address)
    name = path.rsplit("/", 1)[-1]
    names = (name, _UPLOAD_PREFIX.sub("", name))
    candidates = [path, *(below + name for name in names for below in ("", "images/"))]
    found = next((path for path in candidates if _is_file(folder / path)), address)
    return ImageFile(address, file_image(folder, found).read)


def _path_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:  # for example an unclosed bracket in place of a host
        return address
    local = parse_qs(parts.query).get("d", [])
    return local[0] if local else unquote(parts.path).lstrip("/") or address


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
