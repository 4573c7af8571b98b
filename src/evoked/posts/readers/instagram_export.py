"""Instagram's own export of an account ("Download your information", format JSON)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from evoked.errors import DataError, ImageError
from evoked.files import parse_json, read_bounded
from evoked.posts.images import MAX_BYTES as MAX_IMAGE_BYTES
from evoked.posts.readers.addresses import id_in_address
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
    open_zip,
    refuse_options,
    walk_files,
)
from evoked.posts.readers.names import fields_named
from evoked.posts.schema import ENGAGEMENT, EXPOSURE

MAX_MEMBERS = 1_000_000
"""Largest number of files in a zip archive that can be an export."""

_POSTS = re.compile(r"(?:^|/)(?:content|media)/(posts(?:_\d+)?|reels|igtv_videos)\.json$")
_INSIGHTS = re.compile(r"(?:^|/)past_instagram_insights/(posts|reels)\.json$")
_ACCOUNT = re.compile(r"(?:^|/)personal_information\.json$")
_AUDIENCE = re.compile(r"(?:^|/)past_instagram_insights/audience_insights\.json$")
_TOP_FOLDER = re.compile(
    r"(?:^|(?<=/))(?:your_instagram_activity|logged_information|content|media"
    r"|past_instagram_insights)/"
)
_VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".m4v", ".3gp", ".mkv")
_NO_MEDIA = (".srt", ".vtt", ".json", ".mp3", ".m4a", ".aac")
_MAX_DEPTH = 6
_METRICS = (*ENGAGEMENT, *EXPOSURE)


class _Archive(Protocol):
    """An export, unpacked or not."""

    names: list[str]

    def read(self, name: str) -> Any:
        """The JSON document called ``name``; DataError if it is none."""

    def image(self, name: str) -> ImageFile:
        """The picture called ``name``."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.names = [path.relative_to(root).as_posix() for path in walk_files(root)]

    def read(self, name: str) -> Any:
        return parse_json(read_bounded(self.root / name, MAX_JSON_BYTES), name)

    def image(self, name: str) -> ImageFile:
        return file_image(self.root, name)


class _Zip:
    """A zip archive. Nothing is unpacked to disk, so a name that points elsewhere does no harm."""

    def __init__(self, path: Path) -> None:
        self.archive = open_zip(path)
        self.names = sorted(
            member.filename for member in self.archive.infolist() if not member.is_dir()
        )
        if len(self.names) > MAX_MEMBERS:
            raise DataError(f"more than {MAX_MEMBERS:,} files in one archive.", file=path)

    def read(self, name: str) -> Any:
        return parse_json(self._bytes(name, MAX_JSON_BYTES), name)

    def image(self, name: str) -> ImageFile:
        return ImageFile(name, lambda: self._image(name))

    def _image(self, name: str) -> bytes:
        try:
            return self._bytes(name, MAX_IMAGE_BYTES)
        except KeyError:
            raise ImageError("there is no such picture.") from None
        except DataError as error:
            raise ImageError(error.problem) from error

    def _bytes(self, name: str, limit: int) -> bytes:
        try:
            with self.archive.open(name) as stream:
                content = stream.read(limit + 1)  # the size that the archive states may be wrong
        except KeyError:
            raise
        except Exception as error:  # damaged, encrypted, compressed in an unknown way …
            raise DataError(f"can't be unpacked ({error}).", file=name) from error
        if len(content) > limit:
            raise DataError(f"larger than {limit // 2**20} MiB when unpacked.", file=name)
        return content


@dataclass(frozen=True)
class _Export:
    """Where pictures are, and what is known about the account."""

    archive: _Archive
    root: str
    author: str | None
    followers: Any

    def record(self, file: str, row: int, post: dict[str, Any], figures: _Figures) -> PostRecord:
        """One post with its figures."""
        media = [medium for medium in post["media"] if isinstance(medium, dict)]
        labelled = _labelled(post)
        uris = [str(medium["uri"]) for medium in media if medium.get("uri")]
        timestamp = _timestamp(post)
        caption = (
            post.get("title")
            or labelled.get("caption")
            or labelled.get("title")
            or dig(media, 0, "title")
            or figures.caption
        )
        fields = {
            "post_id": post.get("fbid") or labelled.get("post_id"),
            "author_id": self.author,
            "posted_at": timestamp or figures.timestamp,
            "caption": repair_text(caption),
            "media_type": _media_type(uris),
            "followers": self.followers,
            **{name: value for name, value in labelled.items() if name in _METRICS},
            **figures.metrics,
        }
        fields = {name: value for name, value in fields.items() if value is not None}
        # The thumbnail of a video's figures is its cover.
        pictures = _pictures(uris) or _pictures([figures.uri])
        return PostRecord(
            fields,
            file=file,
            row=row,
            images=[self._image(uri) for uri in pictures],
            # Counts grow between exports, so an id is made from them only if all else is absent.
            content={"uri": uris[:1], "timestamp": timestamp} if uris or timestamp else None,
        )

    def _image(self, uri: str) -> ImageFile:
        return ImageFile(uri, self.archive.image(uri if "://" in uri else self.root + uri).read)


def read(source: Path, options: ReadOptions) -> Source:
    """Posts and reels from an account's export: a folder, or the zip archive itself.

    They come from ``posts_1.json`` … and ``reels.json`` (below ``content/`` or ``media/``) and, for
    professional accounts, the figures below ``past_instagram_insights/``, which are joined to the
    posts by picture, then by time. Figures of posts that the export doesn't list become posts of
    their own. Texts whose UTF-8 was exported as Latin-1 are repaired. Posts in exports have no id:
    it is made from the name of the first medium and the time.

    Raises
    ------
    DataError
        The source is neither a folder nor a zip archive, or has no posts.
    SettingsError
        A mapping or a scale was given.
    """
    refuse_options(options, "instagram-export")
    archive = _open(source)
    posts = list(filter(_POSTS.search, archive.names))
    insights = list(filter(_INSIGHTS.search, archive.names))
    if not posts and not insights:
        raise DataError(
            "no posts in it: there is neither content/posts_1.json nor media/posts_1.json.",
            file=source,
            fix="Ask Instagram for the export again, with posts and in the format JSON.",
        )
    damaged: list[Skipped] = []
    figures = [_Figures(item) for _, _, item in _items(archive, insights, damaged)]
    unknown = sorted({label for figure in figures for label in figure.unknown})
    notes = []
    if figures and not any(figure.metrics for figure in figures):
        notes.append(
            f"No figure is understood ({', '.join(unknown[:10])}): export the account in English."
        )
    export = _Export(
        archive,
        _root(posts + insights),
        repair_text(_first_value(archive, _ACCOUNT, "author_id")),
        _first_value(archive, _AUDIENCE, "followers"),
    )
    return Source(records=_records(export, posts, figures, damaged), notes=notes)


def is_export(names: Iterable[str]) -> bool:
    """Whether the files of a folder or an archive are those of an account's export."""
    return any(_POSTS.search(name) or _INSIGHTS.search(name) for name in names)


def _open(source: Path) -> _Archive:
    if source.is_dir():
        return _Folder(source)
    if not source.is_file():
        raise DataError("there is no such file or folder.", file=source)
    return _Zip(source)


def _root(names: list[str]) -> str:
    """Folder of the archive to which the names of pictures are relative."""
    match = _TOP_FOLDER.search(names[0])
    return names[0][: match.start()] if match else ""


def _items(
    archive: _Archive, names: Iterable[str], damaged: list[Skipped]
) -> Iterator[tuple[str, int, Any]]:
    """Document, number and content of every item, with one document in memory at a time."""
    for name in names:
        try:
            document = archive.read(name)
        except DataError as error:
            damaged.append(Skipped("damaged metadata", name, value=error.problem))
            continue
        for number, item in enumerate(_as_list(document), start=1):
            yield name, number, item


def _as_list(document: Any) -> list[Any]:
    """The list in a document: itself, or the first list that it holds, or its only post."""
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        return []
    if "media" in document:
        return [document]
    return next((value for value in document.values() if isinstance(value, list)), [])


def _first_value(archive: _Archive, pattern: re.Pattern[str], label: str) -> Any:
    """A labelled value about the account in the documents, or None."""
    names = filter(pattern.search, archive.names)
    return next((_value(item, label) for _, _, item in _items(archive, names, [])), None)


def _value(item: Any, label: str) -> Any:
    labelled = dig(item, "string_map_data")
    values = labelled.items() if isinstance(labelled, dict) else ()
    return next((dig(value, "value") for key, value in values if _is_label(key, label)), None)


def _is_label(label: str, field: str) -> bool:
    """Whether a label, in whatever language, is that of a field."""
    return field in fields_named(repair_text(label))


def _metric(label: str) -> str | None:
    """The count that a label of the insights names, in whatever language."""
    bare = re.sub(r"^instagram\W*", "", label, flags=re.IGNORECASE)
    return next((field for field in fields_named(bare) if field in _METRICS), None)


def _labelled(post: Mapping[str, Any]) -> dict[str, Any]:
    """What newer exports give as a list of labels and values, by field."""
    found: dict[str, Any] = {}
    labels = post.get("label_values")
    for item in labels if isinstance(labels, list) else ():
        label, value = dig(item, "label"), dig(item, "value")
        if isinstance(label, str) and value not in (None, ""):
            for field in fields_named(repair_text(label))[:1]:
                found.setdefault(field, value)
    address = found.get("post_id")
    found["post_id"] = (isinstance(address, str) and id_in_address(address)) or address
    return found


def _with_media(item: Any) -> Any:
    """A post whose media stand among its labels, with them in their usual place."""
    labels = dig(item, "label_values")
    if not isinstance(labels, list) or dig(item, "media", 0):
        return item
    return {**item, "media": [medium for label in labels for medium in _media_below(label, 1)]}


def _media_below(value: Any, depth: int) -> list[Any]:
    """The media of a label, which may hold labels of its own."""
    media, inner = dig(value, "media"), dig(value, "dict")
    found = list(media) if isinstance(media, list) else []
    for item in inner if isinstance(inner, list) and depth < _MAX_DEPTH else ():
        found += _media_below(item, depth + 1)
    return found


def repair_text(text: Any) -> Any:
    """Repair text whose UTF-8 was read as Latin-1, as in Instagram's exports."""
    if not isinstance(text, str):
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


class _Figures:
    """The insights about one post; empty if there are none."""

    def __init__(self, item: Any = None) -> None:
        thumbnails = dig(item, "media_map_data")
        self.medium = (
            next(iter(thumbnails.values()), None) if isinstance(thumbnails, dict) else None
        )
        self.uri = dig(self.medium, "uri")
        self.caption = dig(self.medium, "title") or _value(item, "caption")
        self.timestamp = dig(self.medium, "creation_timestamp")
        self.metrics: dict[str, Any] = {}
        self.unknown: list[str] = []
        labelled = dig(item, "string_map_data")
        for key, value in labelled.items() if isinstance(labelled, dict) else ():
            label = repair_text(key)
            field = _metric(label)
            if field:
                self.metrics.setdefault(field, dig(value, "value"))
            else:
                self.unknown.append(label)
            self.timestamp = self.timestamp or dig(value, "timestamp")


def _timestamp(post: dict[str, Any]) -> Any:
    return (
        post.get("creation_timestamp")
        or dig(post, "media", 0, "creation_timestamp")
        or post.get("timestamp")
    )


def _media_type(uris: list[str]) -> str | None:
    if len(uris) > 1:
        return "carousel"
    if not uris:
        return None
    return "video" if uris[0].lower().endswith(_VIDEO_SUFFIXES) else "image"


def _pictures(uris: list[Any]) -> list[str]:
    """Whatever is no video, with any ending or none: what can't be read gets a remark."""
    return [
        uri
        for uri in uris
        if isinstance(uri, str) and not uri.lower().endswith((*_VIDEO_SUFFIXES, *_NO_MEDIA))
    ]


def _records(
    export: _Export, names: list[str], figures: list[_Figures], damaged: list[Skipped]
) -> Iterator[PostRecord | Remark]:
    by_uri = {figure.uri: figure for figure in figures if isinstance(figure.uri, str)}
    by_time = {str(figure.timestamp): figure for figure in figures if figure.timestamp}
    used: set[int] = set()
    for name, number, found_item in _items(export.archive, names, damaged):
        item = _with_media(found_item)
        if not isinstance(dig(item, "media"), list) or not dig(item, "media", 0):
            yield Skipped("a post without media", name, number)
            continue
        found = by_uri.get(str(dig(item, "media", 0, "uri"))) or by_time.get(str(_timestamp(item)))
        used.add(id(found))
        yield export.record(name, number, item, found or _Figures())
    for number, figure in enumerate(figures, start=1):
        if id(figure) not in used:
            post = {"media": [figure.medium], "creation_timestamp": figure.timestamp}
            yield export.record("past_instagram_insights", number, post, figure)
    yield from damaged
