"""Folders downloaded with Instaloader (https://instaloader.github.io)."""

from __future__ import annotations

import lzma
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.files import parse_json, read_bounded
from evoked.posts.readers.base import (
    PICTURE_SUFFIXES,
    PostRecord,
    ReadOptions,
    Remark,
    Skipped,
    Source,
    dig,
    file_image,
    refuse_options,
    require_folder,
    walk_files,
)
from evoked.posts.readers.flat_objects import named_fields

MAX_METADATA_BYTES = 32 * 2**20
"""Largest JSON document of one post, unpacked."""

_LZMA_MEMORY = 256 * 2**20
_MAX_TEXT_BYTES = 2**20
_JSON_SUFFIXES = (".json.xz", ".json")
_DATED = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)_UTC")
_PROFILE = re.compile(r".+_\d+")
_PROFILE_PICTURE = "_profile_pic"
# In newer releases, these names begin with XDT.
_MEDIA_TYPES = {"GraphImage": "image", "GraphVideo": "video", "GraphSidecar": "carousel"}
# Fields that are taken by their names where they are not in their usual place.
_BY_NAME = (
    "posted_at", "media_type", "paid", "followers", "following", "author_posts", "likes",
    "comments", "shares", "saves", "views",
)  # fmt: skip


@dataclass
class _Files:
    """The files of one post, which share a name such as 2022-09-13_17-02-48_UTC."""

    metadata: Path | None = None
    caption: Path | None = None
    picture: Path | None = None
    numbered: dict[int, Path] = field(default_factory=dict)

    @property
    def pictures(self) -> list[Path]:
        """The picture of the post itself, or those of a carousel in their order."""
        children = [self.numbered[number] for number in sorted(self.numbered)]
        return [self.picture, *children] if self.picture else children


def read(source: Path, options: ReadOptions) -> Source:
    """Posts from one Instaloader folder, or from a folder with one per account.

    A post is a ``.json.xz`` or ``.json`` file with the pictures (for a video, its cover) and the
    ``.txt`` caption of the same name. Without metadata, pictures and caption still make a post. The
    metadata of accounts adds what that of the post lacks: followers, following, number of posts.
    Stories, highlights and comments are not posts.

    Raises
    ------
    DataError
        There is no such folder, or no file of Instaloader in it.
    SettingsError
        A mapping or a scale was given.
    """
    refuse_options(options, "instaloader")
    require_folder(source)
    groups = _group(source)
    profiles = _profiles(groups)
    posts = {
        name: files
        for name, files in groups.items()
        if (files.metadata or files.pictures) and name not in profiles
    }
    if not posts:
        raise DataError(
            "no files of Instaloader in it.",
            file=source,
            fix="Give the folder that holds the .json.xz files, or the one above.",
        )
    accounts = {key: node for node in profiles.values() for key in _account_keys(node)}
    records = _records(source, posts, accounts)
    notes = [f"Metadata of {len(profiles)} accounts found."] if profiles else []
    warnings = []
    if not any(files.metadata for files in posts.values()):
        warnings.append(
            "There are no .json.xz files in it, which hold likes and followers: download the posts "
            "again without --no-metadata-json."
        )
    return Source(records=records, total=len(posts), notes=notes, warnings=warnings)


def is_download(names: Iterable[str]) -> bool:
    """Whether the files of a folder are those of a download."""
    return any(
        name.endswith(".json.xz")
        or (_DATED.search(name) and name.endswith((".json", ".txt", ".jpg")))
        for name in names
    )


def _group(source: Path) -> dict[str, _Files]:
    """The files of each post by their path without suffix, sorted."""
    groups: defaultdict[str, _Files] = defaultdict(_Files)
    paths = {path.relative_to(source).as_posix(): path for path in walk_files(source)}
    for name, path in paths.items():
        suffix = next((suffix for suffix in _JSON_SUFFIXES if name.endswith(suffix)), None)
        if suffix and not name.endswith(f"_comments{suffix}"):
            groups[name.removesuffix(suffix)].metadata = path
    for name, path in paths.items():
        stem = name.removesuffix(path.suffix)
        if path.suffix == ".txt" and (stem in groups or _DATED.search(stem)):
            groups[stem].caption = path
        elif path.suffix.lower() in PICTURE_SUFFIXES and not stem.endswith(_PROFILE_PICTURE):
            _add_picture(groups, stem, path)
    return dict(sorted(groups.items()))


def _add_picture(groups: defaultdict[str, _Files], stem: str, path: Path) -> None:
    parent, _, number = stem.rpartition("_")
    if stem in groups and groups[stem].metadata:
        groups[stem].picture = path
    elif number.isdecimal() and (parent in groups or _DATED.search(parent)):
        groups[parent].numbered[int(number)] = path
    elif _DATED.search(stem):
        groups[stem].picture = path


def _profiles(groups: dict[str, _Files]) -> dict[str, Any]:
    """Metadata of accounts by file name."""
    profiles = {}
    for name, files in groups.items():
        if files.metadata is None or not _PROFILE.fullmatch(Path(name).name):
            continue
        try:
            content = _load(files.metadata)
        except DataError:
            continue  # reported where posts are read
        if dig(content, "instaloader", "node_type") == "Profile":
            profiles[name] = dig(content, "node")
    return profiles


def _account_keys(node: Any) -> list[str]:
    return [str(key) for key in (dig(node, "id"), dig(node, "username")) if key]


def _load(path: Path) -> Any:
    content = read_bounded(path, MAX_METADATA_BYTES)
    if path.suffix == ".xz":
        content = _unpack(content, path)
    return parse_json(content, path)


def _unpack(content: bytes, path: Path) -> bytes:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)
    try:
        unpacked = decompressor.decompress(content, max_length=MAX_METADATA_BYTES)
    except lzma.LZMAError as error:
        raise DataError(f"not an .xz file ({error}).", file=path) from error
    if not decompressor.eof:
        raise DataError("cut short, or larger than 32 MiB when unpacked.", file=path)
    return unpacked


def _records(
    source: Path, posts: dict[str, _Files], accounts: dict[str, Any]
) -> Iterator[PostRecord | Remark]:
    for name, files in posts.items():
        if files.metadata is None:
            yield _without_metadata(source, name, files)
            continue
        try:
            content = _load(files.metadata)
        except DataError as error:
            yield Skipped("damaged metadata", f"{name}.json", value=error.problem)
            continue
        kind = dig(content, "instaloader", "node_type") or "Post"
        node = dig(content, "node")
        if kind != "Post" or not isinstance(node, dict):
            yield Skipped("not a post", f"{name}.json", value=str(kind))
            continue
        yield _record(source, name, files, node, accounts)


def _images(source: Path, files: _Files) -> list[Any]:
    return [file_image(source, path.relative_to(source).as_posix()) for path in files.pictures]


def _caption(files: _Files) -> str | None:
    if files.caption is None:
        return None
    try:
        return read_bounded(files.caption, _MAX_TEXT_BYTES).decode("utf-8", "replace")
    except DataError:
        return None


def _without_metadata(source: Path, name: str, files: _Files) -> PostRecord:
    dated = _DATED.search(name)
    fields = {
        "post_id": name,
        "author_id": Path(name).parent.name or source.resolve().name,
        "posted_at": f"{dated[1]}T{dated[2]}:{dated[3]}:{dated[4]}+00:00" if dated else None,
        "caption": _caption(files),
    }
    return PostRecord(fields, file=name, images=_images(source, files))


def _record(
    source: Path, name: str, files: _Files, node: dict[str, Any], accounts: dict[str, Any]
) -> PostRecord:
    owner = node.get("owner") if isinstance(node.get("owner"), dict) else {}
    known: Any = next((accounts[key] for key in _account_keys(owner) if key in accounts), {})
    caption = dig(node, "edge_media_to_caption", "edges", 0, "node", "text")
    # What is downloaded by somebody who is logged in has other names.
    named = named_fields(node)
    caption = named.get("caption") if caption is None else caption
    fields = {
        "post_id": node.get("shortcode") or node.get("id") or name,
        "author_id": dig(owner, "username")
        or dig(known, "username")
        or dig(owner, "id")
        or Path(name).parent.name
        or source.resolve().name,
        "posted_at": node.get("taken_at_timestamp") or node.get("date"),
        "title": node.get("title") or None,
        "caption": _caption(files) if caption is None else caption,
        "media_type": _media_type(node),
        "category": _first(owner, known, keys=("category_name",)),
        "paid": _is_paid(node),
        "has_location": _has_location(node),
        "followers": _first(owner, known, keys=("edge_followed_by", "count")),
        "following": _first(owner, known, keys=("edge_follow", "count")),
        "author_posts": _first(owner, known, keys=("edge_owner_to_timeline_media", "count")),
        "likes": _count_of(node, "edge_media_preview_like", "edge_liked_by"),
        "comments": _count_of(
            node,
            "edge_media_to_comment",
            "edge_media_to_parent_comment",
            "edge_media_preview_comment",
        ),
        "views": node.get("video_view_count") or node.get("video_play_count"),
    }
    fields |= {key: named[key] for key in _BY_NAME if fields.get(key) is None and key in named}
    return PostRecord(fields, file=f"{name}.json", images=_images(source, files))


def _has_location(node: dict[str, Any]) -> bool | None:
    """Whether a post names a place; None if its metadata would not say so."""
    places = [each["location"] for each in _with_places(node) if each.get("location")]
    known = "location" in node or isinstance(node.get("iphone_struct"), dict)
    return bool(places) if known else None


def _with_places(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in (node, node.get("iphone_struct")) if isinstance(each, dict)]


def _first(*nodes: Any, keys: tuple[str, ...]) -> Any:
    return next((found for node in nodes if (found := dig(node, *keys)) is not None), None)


def _count_of(node: dict[str, Any], *edges: str) -> Any:
    return next((found for edge in edges if (found := dig(node, edge, "count")) is not None), None)


def _media_type(node: dict[str, Any]) -> str | None:
    kind = _MEDIA_TYPES.get(str(node.get("__typename")).removeprefix("XDT"))
    return kind or ("video" if node.get("is_video") else None)


def _is_paid(node: dict[str, Any]) -> bool | None:
    sponsors = dig(node, "edge_media_to_sponsor_user", "edges")
    partnership = dig(node, "iphone_struct", "is_paid_partnership")
    if sponsors is None and partnership is None and "is_ad" not in node:
        return None
    return bool(sponsors) or bool(partnership) or bool(node.get("is_ad"))
