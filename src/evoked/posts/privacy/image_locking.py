"""Locking the pictures of a dataset: they are encrypted in place until their owner unlocks them.

Each picture becomes a file of its own, ``NAME.locked``, encrypted and authenticated (AES-256-GCM)
and bound to its name and its dataset, so that changed and swapped files are noticed.

A killed run loses nothing: a picture is deleted only after its other form is on the disk as a
whole, and the same command continues where it stopped. ``images.lock.json`` is written first and
deleted last.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evoked.errors import DataError
from evoked.files import atomic_path, only_writer, read_object, write_json
from evoked.posts.dataset import LOCK_FILE, PostDataset
from evoked.posts.images import MAX_BYTES
from evoked.posts.privacy.keys import KeyFolder, fingerprint
from evoked.posts.privacy.sealing import OVERHEAD_BYTES, Sealer
from evoked.progress import Progress

SUFFIX = ".locked"


@dataclass(frozen=True)
class LockResult:
    """Number of pictures that this run locked or unlocked, and their size in bytes, unencrypted."""

    pictures: int
    bytes: int


def lock_images(
    dataset: PostDataset, keys: KeyFolder, progress: Progress | None = None
) -> LockResult:
    """Lock every picture of a dataset.

    Parameters
    ----------
    dataset
        The dataset, whose tables stay as they are.
    keys
        The owner's keys, which lie outside the dataset.
    progress
        Called with ``locking``, the number of pictures done and of all.

    Raises
    ------
    DataError
        The keys lie with the data or are not those of an earlier run; a picture is larger than
        64 MiB, or is a link; a post names a picture outside the folder of pictures; another
        process writes the dataset.
    MissingExtraError
        The extra ``privacy`` isn't installed.
    """
    keys.keep_apart(dataset.folder)
    with only_writer(dataset.folder):
        return _lock(dataset, keys, progress)


def _lock(dataset: PostDataset, keys: KeyFolder, progress: Progress | None) -> LockResult:
    dataset.check_image_names()
    _check_no_links(dataset.image_folder)
    _remove_halves(dataset.image_folder)
    marker = dataset.folder / LOCK_FILE
    if not marker.is_file():
        collection, key = secrets.token_hex(16), keys.storage()
        Sealer(key, collection)  # fails before anything is written if the extra is missing
        write_json(marker, {"collection": collection, "key": fingerprint(key)})
    sealer = _sealer(dataset, keys)
    names = [name for name in _files(dataset.image_folder) if not name.endswith(SUFFIX)]

    def lock(name: str) -> int:
        content = _read(dataset.image_folder / name, MAX_BYTES)
        with atomic_path(dataset.image_folder / (name + SUFFIX)) as temporary:
            temporary.write_bytes(sealer.seal(content, name))
        (dataset.image_folder / name).unlink()
        return len(content)

    return _each("locking", names, lock, progress)


def unlock_images(
    dataset: PostDataset, keys: KeyFolder, progress: Progress | None = None
) -> LockResult:
    """Unlock every locked picture, byte for byte.

    Raises
    ------
    DataError
        The keys are not those used for locking; a file is a link, and then all files stay as they
        are; or a file was changed or swapped, and then only the files before it are unlocked; or
        another process writes the dataset.
    MissingExtraError
        The extra ``privacy`` isn't installed.
    """
    with only_writer(dataset.folder):
        return _unlock(dataset, keys, progress) if is_locked(dataset) else LockResult(0, 0)


def _unlock(dataset: PostDataset, keys: KeyFolder, progress: Progress | None) -> LockResult:
    _check_no_links(dataset.image_folder)
    _remove_halves(dataset.image_folder)
    sealer = _sealer(dataset, keys)
    names = [
        name.removesuffix(SUFFIX) for name in _files(dataset.image_folder) if name.endswith(SUFFIX)
    ]

    def unlock(name: str) -> int:
        locked = dataset.image_folder / (name + SUFFIX)
        content = sealer.open(_read(locked, MAX_BYTES + OVERHEAD_BYTES), name)
        with atomic_path(dataset.image_folder / name) as temporary:
            temporary.write_bytes(content)
        locked.unlink()
        return len(content)

    result = _each("unlocking", names, unlock, progress)
    (dataset.folder / LOCK_FILE).unlink()
    return result


def is_locked(dataset: PostDataset) -> bool:
    """Whether pictures of the dataset are locked, or some of them after a killed run."""
    return (dataset.folder / LOCK_FILE).is_file()


def _sealer(dataset: PostDataset, keys: KeyFolder) -> Sealer:
    path = dataset.folder / LOCK_FILE
    marker: Any = read_object(path)
    if not isinstance(marker, dict) or not isinstance(marker.get("collection"), str):
        raise DataError("does not say which key the pictures were locked with.", file=path)
    if marker.get("key") != fingerprint(keys.storage()):
        raise DataError(
            "the pictures were locked with another key.",
            file=path,
            fix="Give the folder of keys that was used then.",
        )
    return Sealer(keys.storage(), marker["collection"])


def _check_no_links(folder: Path) -> None:
    """Raise DataError for a link, which may lead to files that are no part of the dataset."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise DataError(
                "is a link; only files in the folder itself are locked and unlocked.",
                file=path,
                fix="Put the picture in the link's place, or remove the link.",
            )


def _remove_halves(folder: Path) -> None:
    """Remove half-written files of a killed run, which may hold pictures unencrypted."""
    for path in folder.rglob(".*.tmp"):
        path.unlink()


def _files(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise DataError(f"larger than {limit // 2**20} MiB, which no picture may be.", file=path)
    return content


def _each(
    stage: str, names: list[str], change: Callable[[str], int], progress: Progress | None
) -> LockResult:
    total = 0
    for done, name in enumerate(names):
        total += change(name)
        if progress is not None:
            progress(stage, done + 1, len(names))
    return LockResult(len(names), total)
