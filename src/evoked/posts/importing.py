"""Bring posts from any format that has a reader into a PostDataset.

Posts are read, cleaned and stored in batches, so memory doesn't grow with the source, and an import
that was killed continues after its last finished batch. The dataset appears at its destination
whole or not at all, and the same source always gives the same dataset.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evoked.errors import DataError, ImageError, SettingsError, did_you_mean
from evoked.files import (
    atomic_folder,
    lock_file,
    only_writer,
    parse_json,
    read_bounded,
    read_json,
    sha256_of_file,
)
from evoked.posts.appending import Appended, link_pictures
from evoked.posts.appending import append as append_posts
from evoked.posts.cleaning import clean, convert_ratings
from evoked.posts.dataset import (
    DESCRIPTION_FILE,
    PostDataset,
    describe_again,
    read_description,
)
from evoked.posts.face_blurring import FaceFinder, blur_faces
from evoked.posts.fact_leaks import OUTCOMES, too_good
from evoked.posts.facts import Fact, arrow_type
from evoked.posts.picture_warnings import LEFT_OUT, picture_warnings
from evoked.posts.readers import READERS
from evoked.posts.readers.base import (
    MAX_JSON_BYTES,
    PICTURE_SUFFIXES,
    ImageFile,
    PostRecord,
    Reader,
    ReadOptions,
    Remark,
    Skipped,
    Source,
    require_folder,
    walk_files,
)
from evoked.posts.readers.columns import check_scales
from evoked.posts.readers.fact_columns import split_choice
from evoked.posts.readers.text_encoding import badly_decoded, check_encoding
from evoked.posts.readers.values import plain_text, storable
from evoked.posts.schema import EMOTIONS, ENGAGEMENT, EXPOSURE, FACT_PREFIX, POSTS, TABLES
from evoked.posts.staging import REMARKS_FILE, Staging, Tally, fingerprint, remove_staging
from evoked.posts.time_zones import zone_of
from evoked.progress import Progress

IMPORT_VERSION = 3
"""Increased whenever the same source would give a different dataset than before."""

BATCH_POSTS = 512

# Different texts that are checked for a wrong encoding.
_SAMPLE_TEXTS = 20_000

_MEDIA_SUFFIXES = (*PICTURE_SUFFIXES, ".mp4", ".mov", ".webm")
_EXPECTED = {
    "likes": "known likes",
    "comments": "known comments",
    "caption": "a caption",
    "posted_at": "a date",
}
_DECODING_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class ImportResult:
    """What an import did.

    Attributes
    ----------
    dataset
        The posts.
    tally
        How many posts were read and skipped and what was corrected, with examples.
    mapping
        The source's column for each field; empty for formats with a fixed layout.
    scales
        The scales on which the source's ratings were made.
    notes
        What was guessed, and what else a person should know.
    warnings
        What a person should know first: that posts came without likes, captions, dates or pictures,
        and what to do about it.
    facts
        The columns of the source's own that were taken as facts.
    columns
        All columns of a table; empty for formats with a fixed layout.
    already_there
        Whether the destination held the result of this import already, so nothing was done.
    appended
        What became of the posts, where they were put to those of a dataset; else None.
    """

    dataset: PostDataset
    tally: Tally
    mapping: dict[str, str]
    scales: dict[str, tuple[float, float]]
    notes: list[str]
    warnings: list[str]
    facts: list[Fact]
    columns: list[str] = field(default_factory=list)
    already_there: bool = False
    appended: Appended | None = None

    def remarks(self) -> list[dict[str, Any]]:
        """What was skipped or put right, all of it; remarks on a network's tables are examples."""
        path = self.dataset.folder / REMARKS_FILE
        if not path.is_file():
            return self.tally.examples  # the dataset was made before remarks were kept
        stored = [
            parse_json(line, path) for line in read_bounded(path, MAX_JSON_BYTES).splitlines()
        ]
        return stored + [each for each in self.tally.examples if each not in stored]

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "dataset": str(self.dataset.folder),
            **self.tally.as_dict(),
            "remarks": self.remarks(),
            "mapping": self.mapping,
            "scales": {name: list(scale) for name, scale in self.scales.items()},
            "notes": self.notes,
            "warnings": self.warnings,
            "columns": self.columns,
            "facts": [fact.to_dict() for fact in self.facts],
            "already_there": self.already_there,
            **({} if self.appended is None else {"appended": asdict(self.appended)}),
        }


def import_posts(
    format: str | Reader,
    source: Path | str,
    dest: Path | str,
    *,
    mapping: Mapping[str, str] | None = None,
    scales: Mapping[str, tuple[float, float]] | None = None,
    images: Path | str | None = None,
    time_zone: str | None = None,
    facts: Sequence[str] = (),
    author: str | None = None,
    encoding: str | None = None,
    find_faces: FaceFinder | None = None,
    overwrite: bool = False,
    append: bool = False,
    progress: Progress | None = None,
) -> ImportResult:
    """Read posts in one of the supported formats and write them as a dataset.

    Parameters
    ----------
    format
        A name in :data:`evoked.posts.readers.READERS`, or a reader of your own.
    source
        The file or folder to read.
    dest
        The dataset's folder. While it is being made, a hidden folder beside it holds the finished
        batches; after a crash, the same call continues from there.
    mapping
        Column of the source by field, such as ``{"likes": "Like Count"}``, where the guess from
        the columns' names is wrong; an empty name leaves the field out.
    scales
        Lowest and highest rating by dimension, such as ``{"valence": (1, 5)}``, where they should
        not be guessed. Ratings are converted to this project's scales.
    images
        Folder of the pictures, from which the source's names of pictures start; paths that lead
        into it from elsewhere are taken as well, and so are bare names of files in its
        subfolders, if only one file has the name. By default the source's own folder.
    time_zone
        Where the account lives, such as ``Europe/Berlin``: hours and weekdays are counted by its
        clocks, summer time included, and dates without an offset are read as its local time. By
        default both are in UTC.
    facts
        Columns of a table that posts are to be predicted from beside the fields that every network
        has, such as ``["spend", "placement"]``. Their kinds are guessed: number, flag, class, or
        several classes; a kind can be given, as in ``"day:class"`` or ``"audience:classes"``.
        Columns known only after posting, such as clicks, are refused.
    author
        Whose posts they all are, where the source doesn't say: then each knows the earlier ones.
    encoding
        Encoding of a CSV file, such as ``cp1251``, where it should not be found out.
    find_faces
        Function that finds faces in a picture, such as
        :func:`evoked.features.encoders.faces.find_faces_to_hide`; several threads may call it at
        once. Every picture is then encoded again with its faces blurred (see
        :mod:`evoked.posts.face_blurring`). By default, only what
        cameras note beside a picture is left out: place, time, owner.
    overwrite
        Replace the dataset at ``dest``. Without it, a dataset from the same source with the same
        settings is left as it is, and any other is an error.
    append
        Put the posts to those of the dataset at ``dest``, if there is one: see
        :mod:`evoked.posts.appending`. The time zone and the author are those of its first import
        unless they are given. Of a source that was appended before, nothing is appended again.
    progress
        Called at the start and after each batch with ``reading``, the number of records done and
        their total (None if unknown).

    Returns
    -------
    ImportResult
        The dataset, how many posts were read, and what was skipped and why.

    Raises
    ------
    SettingsError
        An unknown format or time zone, a mapping, scale or fact of something that doesn't exist, a
        fact known only after posting, an author beside a column of authors, or a folder of
        pictures for a format that has its own.
    DataError
        The source can't be read or holds no posts; ``dest`` holds something else, or another
        process is writing there.

    Examples
    --------
    >>> result = import_posts("csv", "posts.csv", "my_posts")  # doctest: +SKIP
    >>> summary_rows(result)                                   # doctest: +SKIP
    """
    if isinstance(format, str) and format not in READERS:
        hint = did_you_mean(format, READERS)
        raise SettingsError(f"there is no format {format!r}; there are {', '.join(READERS)}.{hint}")
    source, dest = Path(source), Path(dest)
    if append and overwrite:
        raise SettingsError("posts are appended to a dataset, or replace it: choose one of them.")
    append = append and (dest / DESCRIPTION_FILE).is_file()
    if append:
        time_zone, author = _as_before(dest, time_zone, author)
    folder = None if images is None else Path(images)
    options = ReadOptions(
        mapping=dict(mapping or {}),
        scales=_as_floats(scales or {}),
        images=folder,
        time_zone=time_zone,
        facts=dict(map(split_choice, facts)),
        author=None if author is None else plain_text(author).strip() or None,
        encoding=None if encoding is None else check_encoding(encoding),
    )
    if append:
        options = _with_known_facts(options, PostDataset(dest).facts)
    zone_of(time_zone)  # before anything is read
    check_scales(options.scales)
    for origin in (source, folder) if folder else (source,):
        _check_apart(origin, dest)
    if folder is not None:
        require_folder(folder)
    name = format if isinstance(format, str) else _name_of(format)
    job = _describe(name, source, options, find_faces)
    left_by_a_crash = lock_file(dest).exists() or _working_folder(dest).exists()
    if not overwrite and _holds(dest, job, append) and not left_by_a_crash:
        return _result(dest, already_there=True)  # a lock would need a writable folder
    with only_writer(dest):
        read = READERS[format] if isinstance(format, str) else format
        if append:
            return _append(read, source, dest, options, job, find_faces, progress)
        return _import(read, source, dest, options, job, find_faces, overwrite, progress)


def _import(
    read: Reader,
    source: Path,
    dest: Path,
    options: ReadOptions,
    job: dict[str, Any],
    find_faces: FaceFinder | None,
    overwrite: bool,
    progress: Progress | None,
) -> ImportResult:
    working = _working_folder(dest)
    if not overwrite and _holds(dest, job):
        remove_staging(working)  # left by a crash while clearing up
        return _result(dest, already_there=True)
    _check_free(dest, overwrite)
    staging = Staging(working, job)
    if not staging.has_dataset:
        try:
            reading = read(source, options)
            count = _read_batches(reading, staging, options, find_faces, progress)
            _check_kept(staging, count, source)
            _write(reading, staging, source, job)
        except (DataError, SettingsError):
            remove_staging(working)  # nothing to continue from: the source itself is at fault
            raise
    staging.write_remarks()
    staging.move_dataset(dest)
    return _result(dest)


def _append(
    read: Reader,
    source: Path,
    dest: Path,
    options: ReadOptions,
    job: dict[str, Any],
    find_faces: FaceFinder | None,
    progress: Progress | None,
) -> ImportResult:
    """Import into the working folder, put both together there, and put that in the place."""
    working = _working_folder(dest)
    if _holds(dest, job, append=True):
        remove_staging(working)
        return _result(dest, already_there=True)
    base = PostDataset(dest)
    _check_grows(base)
    # Of a dataset that has changed since, what is staged would lose the changes.
    before = sha256_of_file(dest / DESCRIPTION_FILE)
    staging = Staging(working, {**job, "appended_to": before})
    if not staging.has_grown:
        try:
            if not staging.has_dataset:
                reading = read(source, options)
                count = _read_batches(reading, staging, options, find_faces, progress)
                _check_kept(staging, count, source)
                _write(reading, staging, source, job)
            _write_grown(base, staging, source, job)
        except (DataError, SettingsError):
            remove_staging(working)
            raise
    staging.move_grown(dest)
    return _result(dest)


def _check_grows(base: PostDataset) -> None:
    """Raise DataError if posts as a source has them don't belong with those of a dataset."""
    base.check_pictures()
    if "protected" in base.description:
        raise DataError(
            "a protected copy: what is put to it would be neither pseudonymous nor encrypted.",
            file=base.folder,
            fix="Append to the dataset that it was made from, and protect that again.",
        )


def _as_before(
    dest: Path, time_zone: str | None, author: str | None
) -> tuple[str | None, str | None]:
    """The time zone and the author of a dataset's import, unless others are given.

    Raises
    ------
    SettingsError
        Hours and weekdays would be counted by other clocks than those of the dataset.
    """
    description = read_description(dest)
    own = description.get("time_zone")
    if time_zone not in (None, own):
        raise SettingsError(
            f"--time-zone {time_zone}: hours and weekdays of the dataset are by the clocks of "
            f"{own or 'UTC'}. Import all posts anew to change that."
        )
    first = description.get("import")
    job = first.get("job") if isinstance(first, dict) else None
    known = job.get("author") if isinstance(job, dict) else None
    return own, author if author is not None or not isinstance(known, str) else known


def _with_known_facts(options: ReadOptions, facts: Sequence[Fact]) -> ReadOptions:
    """The options, with the kinds of the facts that a dataset has, unless they are given."""
    kinds = {fact.name: fact.kind for fact in facts}
    chosen = {name: kind or kinds.get(name) for name, kind in options.facts.items()}
    return replace(options, facts=chosen, known_facts=frozenset(kinds))


def _write_grown(base: PostDataset, staging: Staging, source: Path, job: Mapping[str, Any]) -> None:
    """Write the dataset with the posts of the staged one put to it."""
    more = PostDataset(staging.dataset)
    with atomic_folder(staging.grown) as temporary:
        counts, left_out = append_posts(base, more, temporary)
        own = more.description["import"]
        tally = Tally.from_dict(own["tally"])
        for remark in left_out:
            tally.add(replace(remark, file=source.name))
        staging.write_remarks(temporary, base.folder / REMARKS_FILE, tally.remarks)
        link_pictures(base, more, temporary)
        entry = {
            **own,
            "tally": tally.as_dict(),
            "counts": asdict(counts),
            "format": more.description["provenance"].get("format"),
            "source": more.description["provenance"].get("source"),
            "warnings": [*own["warnings"], *_facts_missing(base, more)],
        }
        earlier = [_shortened(each) for each in base.description.get("appended", ())]
        description = base.description | {"appended": [*earlier, entry]}
        if scales := {**more.description["scales"], **base.description.get("scales", {})}:
            description["scales"] = scales
        describe_again(temporary, description)


def _shortened(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of posts that were appended before others."""
    return {name: entry[name] for name in ("job", "counts", "format", "source") if name in entry}


def _facts_missing(base: PostDataset, more: PostDataset) -> list[str]:
    """A sentence if none of the appended posts has facts that the others have."""
    there = {fact.name for fact in more.facts}
    missing = [fact.name for fact in base.facts if fact.name not in there]
    if not missing:
        return []
    options = " ".join(f"--fact {shlex.quote(name)}" for name in missing)
    return [
        f"None of these posts has {_or(missing)}, which the posts before have. If the source has "
        f"it, import all posts anew, with {options}."
    ]


def summary_rows(result: ImportResult) -> list[tuple[str, int, str]]:
    """Rows of the closing table: what happened, how often, and why; the most frequent first."""
    tally = result.tally
    rows = [("read", tally.read, "posts"), ("read", tally.images, "pictures")]
    if (appended := result.appended) is not None:
        rows += [
            ("new", appended.new, "posts"),
            ("known", appended.known, "posts, by their ids"),
            ("changed", appended.changed, "of the known posts"),
        ]
    if tally.faces is not None:
        rows.append(("blurred", tally.faces, "faces; small, turned and covered ones are missed"))
    rows += [("read", count, name) for name, count in tally.rows.items()]
    rows += [("skipped", count, why) for why, count in tally.skipped.most_common()]
    rows += [("put right", count, why) for why, count in tally.changed.most_common()]
    return rows


def _name_of(read: Reader) -> str:
    """What the dataset's provenance calls a reader that has no name."""
    module, name = (getattr(read, each, "") for each in ("__module__", "__qualname__"))
    return f"{module}.{name}" if name else type(read).__name__


def _as_floats(scales: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    return {name: (float(low), float(high)) for name, (low, high) in scales.items()}


def _check_apart(source: Path, dest: Path) -> None:
    if not source.exists():
        raise DataError("there is no such file or folder.", file=source)
    if not source.is_file() and not source.is_dir():
        raise DataError("a pipe, a socket or a device, which is not read.", file=source)
    # Path.resolve() fails where links lead in a circle.
    inner, outer = Path(os.path.realpath(dest)), Path(os.path.realpath(source))
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise DataError(
            "the destination and the source lie within each other.",
            file=dest,
            fix="Choose a destination beside the source.",
        )


def _describe(
    format_name: str, source: Path, options: ReadOptions, find_faces: FaceFinder | None
) -> dict[str, Any]:
    """What the resulting dataset depends on, ready for JSON."""
    files = walk_files(source) if source.is_dir() else [source]
    job = {
        "import_version": IMPORT_VERSION,
        "format": format_name,
        "source_sha256": fingerprint(source, files, _MEDIA_SUFFIXES),
        "mapping": dict(options.mapping),
        "scales": {name: list(scale) for name, scale in options.scales.items()},
    }
    if options.images is not None:
        pictures = walk_files(options.images)
        job["images_sha256"] = fingerprint(options.images, pictures, _MEDIA_SUFFIXES)
    if options.time_zone is not None:
        job["time_zone"] = options.time_zone
    if options.facts:
        job["facts"] = dict(options.facts)
    if options.author is not None:
        job["author"] = options.author
    if options.encoding is not None:
        job["encoding"] = options.encoding
    return job if find_faces is None else job | {"faces": "blurred"}


def _working_folder(dest: Path) -> Path:
    return dest.with_name(f".{dest.name}.import")


def _holds(dest: Path, job: Mapping[str, Any], append: bool = False) -> bool:
    """Whether a dataset was made by an import, or holds what it appends."""
    try:
        description = read_json(dest / DESCRIPTION_FILE)
        appended = description.get("appended", [])
        done = [description.get("import", {}), *appended] if append else [description["import"]]
        # Posts that were put to it afterwards are not of that import alone.
        return any(each.get("job") == job for each in done) and bool(append or not appended)
    except (AttributeError, DataError, KeyError, TypeError):
        return False


def _check_free(dest: Path, overwrite: bool) -> None:
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return
    if not (dest / DESCRIPTION_FILE).is_file():
        raise DataError("exists and is not a dataset.", file=dest, fix="Choose another folder.")
    if not overwrite:
        raise DataError(
            "a dataset from another source, or imported with other settings, is there.",
            file=dest,
            fix="Choose another folder, or replace it with --overwrite.",
        )


def _read_batches(
    reading: Source,
    staging: Staging,
    options: ReadOptions,
    find_faces: FaceFinder | None,
    progress: Progress | None,
) -> int:
    """Store the batches that are not stored yet; return how many records the reader gave in all."""
    tally = staging.tally()
    posts = staging.table("posts")
    seen = set() if posts is None else set(posts["post_id"].to_pylist())
    records = iter(reading.records)
    done = sum(1 for _ in islice(records, tally.consumed))
    if progress is not None:
        progress("reading", done, reading.total)
    with ThreadPoolExecutor(_DECODING_THREADS) as pool:
        while batch := list(islice(records, BATCH_POSTS)):
            _read_batch(batch, reading, staging, seen, options, find_faces, pool)
            done += len(batch)
            if progress is not None:
                progress("reading", done, reading.total)
    return done


def _check_kept(staging: Staging, read: int, source: Path) -> None:
    kept = staging.tally().consumed
    if kept != read:
        raise DataError(
            f"{read} records were read, and {kept} are in the working folder {staging.folder}, "
            "which another program must have changed.",
            file=source,
            fix="Import again, with a fresh working folder.",
        )


def _read_batch(
    batch: list[PostRecord | Remark],
    reading: Source,
    staging: Staging,
    seen: set[str],
    options: ReadOptions,
    find_faces: FaceFinder | None,
    pool: ThreadPoolExecutor,
) -> None:
    tally = Tally(consumed=len(batch))
    kept: list[tuple[PostRecord, dict[str, Any]]] = []
    for record in batch:
        if isinstance(record, Remark):
            tally.add(record)
            continue
        row, remarks = clean(record, options.time_zone)
        if options.author is not None and row.get("author_id") is None:
            row["author_id"] = options.author
        if row["post_id"] in seen:
            tally.add(_duplicate(record, row["post_id"]))
            continue
        seen.add(row["post_id"])
        for remark in remarks:
            tally.add(remark)
        kept.append((record, row))
    for number, dimension in convert_ratings([row for _, row in kept], reading.scales):
        record = kept[number][0]
        why = "not on the scale of the ratings, left empty"
        tally.add(Remark(why, record.file, record.row, dimension, str(record.fields[dimension])))
    _add_images(kept, staging, tally, find_faces, pool)
    tally.read = len(kept)
    types = {FACT_PREFIX + name: arrow_type(kind) for name, kind in reading.facts.items()}
    staging.add_part(_tables(kept), tally, types)


def _duplicate(record: PostRecord, identifier: str) -> Skipped:
    given = bool(record.fields.get("post_id"))
    why = "the id is repeated" if given else "the content is repeated"
    return Skipped(why, record.file, record.row, "", identifier)


def _add_images(
    kept: list[tuple[PostRecord, dict[str, Any]]],
    staging: Staging,
    tally: Tally,
    find_faces: FaceFinder | None,
    pool: ThreadPoolExecutor,
) -> None:
    """Check and copy the pictures of a batch, several at a time."""

    def add(image: ImageFile) -> tuple[str, int] | ImageError:
        try:
            if find_faces is None:
                return staging.add_image(image), 0
            content, faces = blur_faces(image.read(), find_faces)
            return staging.add_image(ImageFile(image.name, lambda: content)), faces
        except ImageError as error:
            return error

    outcomes = pool.map(add, [image for record, _ in kept for image in record.images])
    tally.faces = None if find_faces is None else 0
    for record, row in kept:
        row["images"] = []
        for image, outcome in zip(record.images, islice(outcomes, len(record.images)), strict=True):
            if isinstance(outcome, tuple):
                name, faces = outcome
                row["images"].append(name)
                tally.faces = None if tally.faces is None else tally.faces + faces
            else:
                value = f"{image.name}: {outcome.problem}"
                tally.add(Remark(LEFT_OUT, record.file, record.row, "images", value[:200]))
        tally.images += len(row["images"])


def _tables(kept: list[tuple[PostRecord, dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {"posts": [row for _, row in kept]}
    for record, row in kept:
        for name, further in record.tables.items():
            identified = ({"post_id": row["post_id"], **item} for item in further)
            tables.setdefault(name, []).extend(identified)
    return tables


def _write(reading: Source, staging: Staging, source: Path, job: Mapping[str, Any]) -> None:
    tally = staging.tally()
    if tally.read == 0:
        reasons = "; ".join(f"{count} × {why}" for why, count in tally.skipped.most_common(5))
        raise DataError(
            f"no posts in it ({reasons or 'it is empty'}).",
            file=source,
            fix="Check that the format is the right one.",
        )
    tables: dict[str, Any] = {
        name: table for name in TABLES if (table := staging.table(name)) is not None
    }
    _check_content(tables["posts"], reading, source, tally)
    notes = list(reading.notes)
    if reading.network is not None:
        network = reading.network(tables["posts"]["post_id"].to_pandas())
        tables |= network.tables
        tally.rows = {name: len(table) for name, table in network.tables.items()}
        for remark, count in network.remarks:
            tally.add(remark, count)
        notes += network.notes
    warnings = [
        *reading.warnings,
        *_unknown_everywhere(tables["posts"], reading),
        *(_doubts(tables["posts"]) if reading.facts else ()),
        *picture_warnings(tally),
        *_wrongly_decoded(tables["posts"]),
    ]
    scales = {name: list(scale) for name, scale in reading.scales.items()}
    PostDataset.create(
        staging.dataset,
        tables,
        images=staging.linked_images(),
        provenance=storable(
            {"format": reading.taken_for or job["format"], "source": source.resolve().name}
        ),
        scales=scales if "annotations" in tables else {},
        extra={
            **({"time_zone": job["time_zone"]} if "time_zone" in job else {}),
            "import": {
                "job": dict(job),
                "tally": tally.as_dict(),
                "mapping": storable(reading.mapping),
                "scales": scales,
                "notes": storable(notes),
                "warnings": storable(warnings),
                "columns": storable(reading.columns),
            },
        },
    )


def _doubts(posts: pa.Table) -> list[str]:
    """A sentence for each fact that seems to be known only after posting; several classes of a post
    aren't judged."""
    facts = [
        field.name
        for field in posts.schema
        if field.name.startswith(FACT_PREFIX) and not pa.types.is_list(field.type)
    ]
    return too_good(posts.select(["author_id", *OUTCOMES, *facts]).to_pandas())


def _wrongly_decoded(posts: pa.Table) -> list[str]:
    """A sentence if texts look as if they had been decoded in a wrong encoding."""
    texts = pc.unique(pa.chunked_array([*posts["caption"].chunks, *posts["title"].chunks]))
    sample = badly_decoded(text for text in texts.drop_null().slice(0, _SAMPLE_TEXTS).to_pylist())
    if not sample:
        return []
    return [
        f"The text looks wrongly decoded, such as {sample!r}. If it does: --encoding NAME, such as "
        "utf-8, cp1251 or gbk, for CSV files."
    ]


def _unknown_everywhere(posts: pa.Table, reading: Source) -> list[str]:
    """A sentence if none of the posts has a value of fields that the source should have."""
    if reading.network is not None:
        return []
    # For sources with named columns, the reader knows which are missing altogether.
    read = reading.mapping or _EXPECTED
    unknown = [name for name in POSTS.names if posts[name].null_count == len(posts)]
    empty = [words for name, words in _EXPECTED.items() if name in read and name in unknown]
    others = [
        f"{name} ({column})"
        for name, column in reading.mapping.items()
        if name in unknown and name not in _EXPECTED and name not in reading.scales
    ]
    return [
        *([f"None of the posts has {_or(empty)}."] if empty else ()),
        *([f"Nothing in these columns can be read: {', '.join(others)}."] if others else ()),
    ]


def _or(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _check_content(posts: pa.Table, reading: Source, source: Path, tally: Tally) -> None:
    """Raise DataError if nothing can be learned from the posts, and nothing be learned of them."""
    wanted = ("caption", "title", *ENGAGEMENT, *EXPOSURE, *EMOTIONS, "emotion")
    known = any(posts[name].null_count < len(posts) for name in wanted)
    pictures = pc.sum(pc.list_value_length(posts["images"])).as_py()
    if known or pictures or reading.facts or reading.network is not None:
        return
    columns = ", ".join(reading.mapping.values())
    read = f" What was read: {columns}." if columns else ""
    fixes = [
        *picture_warnings(tally),
        *reading.warnings,
        "Say which column holds what, for example --map caption=COLUMN --map likes=COLUMN, or "
        "check that the format is the right one.",
    ]
    raise DataError(
        f"none of its {len(posts)} posts has a text, a picture, a count or a rating.{read}",
        file=source,
        fix=" ".join(fixes),
    )


def _result(dest: Path, *, already_there: bool = False) -> ImportResult:
    dataset = PostDataset(dest)
    appended = dataset.description.get("appended")
    done = appended[-1] if appended else dataset.description["import"]
    return ImportResult(
        dataset=dataset,
        tally=Tally.from_dict(done["tally"]),
        mapping=done["mapping"],
        scales={name: (scale[0], scale[1]) for name, scale in done["scales"].items()},
        notes=done["notes"],
        warnings=done.get("warnings", []),
        columns=done.get("columns", []),
        facts=dataset.facts,
        already_there=already_there,
        appended=Appended(**done["counts"]) if appended else None,
    )


def reasons(result: ImportResult) -> Iterator[str]:
    """A line for each example of what was skipped or corrected, saying where it is."""
    for example in result.tally.examples:
        place = [example["file"], f"row {example['row']}" if example["row"] else ""]
        where = ", ".join(part for part in place if part)
        yield f"{where}: {example['reason']}" + (
            f" ({example['value']})" if example["value"] else ""
        )
