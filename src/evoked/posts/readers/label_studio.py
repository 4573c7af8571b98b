"""Annotations exported from Label Studio (https://labelstud.io) as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from evoked.errors import DataError
from evoked.files import parse_json
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
from evoked.posts.readers.names import fields_named
from evoked.posts.readers.packed import content_of
from evoked.posts.readers.ratings import (
    Rating,
    mean_ratings,
    number_or_none,
    prevailing_emotion,
    rating_rows,
)
from evoked.posts.readers.tabular import with_media_type
from evoked.posts.readers.values import parse_names, plain_text
from evoked.posts.schema import EMOTIONS

_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)")
_RATED = (*EMOTIONS, "emotion")
_MOST_NAMED = 10
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # before the names of uploads


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from a JSON export, one per task, with the ratings of each annotator.

    Ratings are the answers of Rating, Number or Choices controls (a choice such as "7 – pleasant"
    gives its leading number) whose names hold ``valence``, ``arousal`` or ``dominance``, also in
    other languages, or that a person's mapping names, as in ``{"valence": "smiley"}``; a note lists
    the others. A post's own ratings are their means. Choices of ``emotion`` set the post's emotion
    if one of Mikels' eight was chosen most often. The task's data are mapped like the columns of a
    table. Pictures are searched beside the file and in ``images/`` there, with and without the
    prefix that uploads get.

    Raises
    ------
    DataError
        There is no such file, it is larger than 256 MiB, no export with tasks, or nothing in the
        tasks' data is recognised.
    SettingsError
        A mapping or a scale of something that doesn't exist.
    """
    require_file(source)
    tasks = parse_json(content_of(source, MAX_JSON_BYTES), source)
    tasks = tasks if isinstance(tasks, list) else []
    data = [found for task in tasks if isinstance(found := dig(task, "data"), dict)]
    if not data:
        raise DataError(
            "no tasks in it.", file=source, fix="Export the project in the format 'JSON'."
        )
    columns = list(dict.fromkeys(key for found in data for key in found))
    refuse_facts(options, "label-studio")
    controls = _controls(tasks)
    decided = {
        field: name
        for field, name in options.mapping.items()
        if field in _RATED and name not in columns and name in controls
    }
    rest = {field: name for field, name in options.mapping.items() if field not in decided}
    mapping = choose_mapping(columns, rest)
    if not mapping:
        raise DataError(
            f"nothing in the tasks' data is recognised: {', '.join(columns[:30])}.",
            file=source,
            fix="Say which entry holds what, for example --map caption=NAME.",
        )
    dimensions = _dimensions(controls, decided)
    answers = [_answers(task, dimensions) for task in tasks]
    scales, notes = choose_scales(_ranges(answers), options.scales)
    notes += _notes_on_controls(controls, dimensions)
    return Source(
        records=_records(source, tasks, answers, mapping, scales, options.images or source.parent),
        total=len(tasks),
        mapping=mapping,
        scales=scales,
        notes=notes,
    )


def _annotations(task: Any) -> list[Any]:
    """What people annotated of a task; before 1.0, Label Studio called it completions."""
    return _list(dig(task, "annotations")) or _list(dig(task, "completions"))


def _controls(tasks: Iterable[Any]) -> list[str]:
    """The names of the controls that somebody answered, in order."""
    names: dict[str, None] = {}
    for task in tasks:
        for annotation in _annotations(task):
            for result in _list(dig(annotation, "result")):
                if isinstance(dig(result, "from_name"), str):
                    names[result["from_name"]] = None
    return list(names)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dimensions(controls: Iterable[str], decided: Mapping[str, str]) -> dict[str, str]:
    """What each control asks for: a person's decision, its name, or a part of its name."""
    found = {name: field for field, name in decided.items()}
    for name in controls:
        words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
        meant = [field for word in (name, *words) for field in fields_named(word)]
        field = next((field for field in meant if field in _RATED), None)
        if field is not None and field not in decided:
            found.setdefault(name, field)
    return found


def _notes_on_controls(controls: Sequence[str], dimensions: Mapping[str, str]) -> list[str]:
    notes = [
        f"Answers of the control {name!r} are read as {field}."
        for name, field in dimensions.items()
        if name.casefold() != field
    ]
    unused = [name for name in controls if name not in dimensions]
    if unused:
        missed = next((field for field in _RATED if field not in dimensions.values()), "valence")
        notes.append(
            f"Answers of these controls are not used: {', '.join(unused[:_MOST_NAMED])}. If one "
            f"holds ratings: --map {missed}={unused[0]}"
        )
    return notes


def _answers(task: Any, dimensions: Mapping[str, str]) -> list[Rating]:
    answers = []
    for annotation in _annotations(task):
        if dig(annotation, "was_cancelled"):
            continue
        results = dig(annotation, "result")
        for result in results if isinstance(results, list) else ():
            dimension = dimensions.get(str(dig(result, "from_name")))
            if dimension is not None:
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
        emotion = prevailing_emotion(
            answer.value for answer in given if answer.dimension == "emotion"
        )
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
