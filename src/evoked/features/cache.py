"""Features kept on disk: computed once, then memory-mapped.

A cache is a folder with one *store* per feature and encoder fingerprint. A store is three files:

- ``data.bin``: items of one fixed shape, one after the other;
- ``index.bin``: one record per key, which says where its items are;
- ``store.json``: what the store holds, for people.

A key is a SHA-256 of the content (bytes of a picture, a prepared text), so equal content is
computed once and changed content is never served a stale row. Items are written, and flushed to
the disk, before the records that name them. A record carries its own checksum and has to begin
where the one before it ended. So readers don't see
what a killed process or a full disk leaves after the last good record, and the next writer
overwrites it. A record also carries a checksum of its items, which is compared when they are first
looked up: items that a disk or anything else has damaged count as absent and are computed again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from evoked.errors import DataError
from evoked.features.packing import as_kept, is_packed
from evoked.files import check_plain_file, locked, write_json

FORMAT_VERSION = 2

KEY_BYTES = 32
_FILES = _DESCRIPTION, _DATA, _INDEX, _LOCK = ("store.json", "data.bin", "index.bin", "lock")
_RECORD = np.dtype(
    [("key", "<u8", 4), ("start", "<i8"), ("length", "<i8"), ("items", "<u8"), ("check", "<u8")]
)
# Odd multipliers of a checksum that numpy computes for all records at once.
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15 * (2 * i + 1) % 2**64 for i in range(7)], np.uint64)
_OFFSET = np.uint64(0xD6E8FEB86659FD93)  # so that a record of zeros is not valid

Keys = NDArray[np.uint8]


def default_folder() -> Path:
    """``$EVOKED_CACHE``, else ``evoked`` in the user's cache folder (``$XDG_CACHE_HOME``, or
    ``~/.cache``)."""
    if chosen := os.environ.get("EVOKED_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evoked"


def content_key(content: bytes, part: str = "") -> bytes:
    """The key of a content: 32 bytes.

    Parameters
    ----------
    content
        The bytes of a picture or text, or their digest.
    part
        Distinguishes what is derived from the same content, such as the views of a picture.
    """
    digest = hashlib.sha256(content)
    digest.update(b"\0" + part.encode())
    return digest.digest()


class FeatureCache:
    """A folder of stores.

    Parameters
    ----------
    folder
        The cache's folder, created when the first feature is kept; :func:`default_folder` by
        default.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     store = FeatureCache(folder).store("image.vector", "timm:…", "float16", (2048,))
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = default_folder() if folder is None else Path(folder)

    def store(
        self, feature: str, fingerprint: str, dtype: DTypeLike, shape: tuple[int, ...]
    ) -> Store:
        """The store for a feature as one encoder computes it.

        Parameters
        ----------
        feature
            Its name in the catalog.
        fingerprint
            The encoder's fingerprint; whatever changes it leads to another store.
        dtype, shape
            Type and shape of one item: a post's row, or one token of its sequence. A packed type
            (:func:`evoked.features.packing.packed_type`) stands for the last axis.

        Returns
        -------
        Store
            Where items are looked up and added.

        Raises
        ------
        DataError
            The folder can't be written, or there is a link in it, which would have other files
            written to.
        """
        kind = np.dtype(dtype)
        description = {
            "format_version": FORMAT_VERSION,
            "feature": feature,
            "fingerprint": fingerprint,
            "dtype": kind.descr if is_packed(kind) else kind.str,
            "shape": list(shape),
        }
        name = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:24]
        folder = self.folder / "features" / f"{feature}-{name}"
        for file in _FILES:
            check_plain_file(folder / file)
        try:
            if not (folder / _DESCRIPTION).is_file():
                write_json(folder / _DESCRIPTION, description)
            return Store(folder, kind, shape)
        except (DataError, OSError) as error:
            raise _unwritable(folder, error) from error


class Store:
    """Items of one dtype and shape, found by key; see :meth:`FeatureCache.store`.

    Safe for several processes: readers see only whole rows, writers take turns.
    """

    def __init__(self, folder: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
        self.folder = folder
        self.dtype = dtype
        self.shape = shape
        self._item_bytes = dtype.itemsize * math.prod(shape)
        self._records = np.zeros(0, _RECORD)
        # The sound records in the order of their keys' first words, and these words.
        self._order: NDArray[np.int64] | None = None
        self._sorted = np.zeros(0, np.uint64)
        # Of each record whether its items were compared with their checksum, and did not fit.
        self._compared = np.zeros(0, np.bool_)
        self._damaged = np.zeros(0, np.bool_)
        self._refresh()

    def __len__(self) -> int:
        """Number of keys."""
        return len(self._records)

    def find(self, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First item and number of items of every key.

        Parameters
        ----------
        keys
            uint8, (n, 32).

        Returns
        -------
        starts, lengths
            int64, (n,); a start of -1 marks a key that the store doesn't have, or whose items are
            damaged.
        """
        while True:
            records = self._records_of(keys)
            fresh = np.unique(records[records >= 0])
            fresh = fresh[~self._compared[fresh]]
            if not self._compare(fresh):
                break
        known = records >= 0
        if not known.any():
            return np.full(len(keys), -1, np.int64), np.zeros(len(keys), np.int64)
        found = self._records[np.maximum(records, 0)]
        return np.where(known, found["start"], -1), np.where(known, found["length"], 0)

    def _records_of(self, keys: Keys) -> NDArray[np.int64]:
        """Number of each key's record, (n,); -1 where there is none."""
        if self._order is None:
            sound = np.flatnonzero(~self._damaged)
            self._order = sound[np.argsort(self._records["key"][sound, 0], kind="stable")]
            self._sorted = self._records["key"][self._order, 0]
        if len(self._order) == 0 or len(keys) == 0:
            return np.full(len(keys), -1, np.int64)
        words = _words(keys)
        # Looked up by the first 8 of 32 bytes; where two keys share them, once in 10^8, the second
        # is computed anew.
        position = np.searchsorted(self._sorted, words[:, 0])
        records = self._order[np.minimum(position, len(self._order) - 1)]
        known = (self._records["key"][records] == words).all(axis=1)
        return np.where(known, records, -1)

    def _compare(self, records: NDArray[np.int64]) -> bool:
        """Compare the items of some records with their checksums; whether some are damaged."""
        if not len(records):
            return False
        content = self.items().reshape(-1).view(np.uint8)
        for number in records:
            record = self._records[number]
            begin = int(record["start"]) * self._item_bytes
            end = begin + int(record["length"]) * self._item_bytes
            self._damaged[number] = zlib.crc32(content[begin:end].data) != record["items"]
        self._compared[records] = True
        if not self._damaged[records].any():
            return False
        self._order = None
        return True

    def append(self, keys: Keys, items: NDArray[np.generic], lengths: NDArray[np.int64]) -> None:
        """Keep the items of some keys; keys that the store already has are skipped.

        Parameters
        ----------
        keys
            uint8, (n, 32).
        items
            (lengths.sum(), *shape), key after key; for a packed store as numbers, with their
            channels behind. What exceeds the range of a float16 store is cut to it, never stored as
            infinite.
        lengths
            int64, (n,): items of each key; 1 throughout for rows of a fixed shape.

        Raises
        ------
        DataError
            The disk is full or not writable; what the store held before is still there.
        """
        try:
            with locked(self.folder / _LOCK):
                self._refresh()
                absent = self.find(keys)[0] < 0
                if absent.any():
                    stored = as_kept(items[np.repeat(absent, lengths)], self.dtype)
                    self._write(_words(keys[absent]), stored, lengths[absent])
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def items(self) -> NDArray[np.generic]:
        """All items that records refer to, memory-mapped: (total, *shape)."""
        total = self._end
        if total * self._item_bytes == 0:  # nothing can be mapped
            return np.zeros((total, *self.shape), self.dtype)
        return np.memmap(self._data_file, self.dtype, mode="r", shape=(total, *self.shape))

    @property
    def _data_file(self) -> Path:
        return self.folder / _DATA

    @property
    def _index_file(self) -> Path:
        return self.folder / _INDEX

    @property
    def _end(self) -> int:
        """Number of items that records refer to."""
        if len(self._records) == 0:
            return 0
        return int(self._records["start"][-1] + self._records["length"][-1])

    def _write(
        self, keys: NDArray[np.uint64], items: NDArray[np.generic], lengths: NDArray[np.int64]
    ) -> None:
        records = np.zeros(len(keys), _RECORD)
        records["key"] = keys
        records["length"] = lengths
        records["start"] = self._end + np.cumsum(lengths) - lengths
        content = np.ascontiguousarray(items).reshape(-1).view(np.uint8)
        ends = (np.cumsum(lengths) * self._item_bytes).tolist()
        records["items"] = [
            zlib.crc32(content[begin:end].data) for begin, end in pairwise([0, *ends])
        ]
        records["check"] = _checksum(records)
        # In this order, so that a record reaches the disk only after the items that it refers to.
        _write_at(self._data_file, self._end * self._item_bytes, items, flush=True)
        # A record that never got there costs no more than computing its items again.
        _write_at(self._index_file, len(self._records) * _RECORD.itemsize, records, flush=False)
        self._extend(records)

    def _refresh(self) -> None:
        """Read the records that were added, by this process or another."""
        if not self._index_file.is_file():
            return
        with open(self._index_file, "rb") as stream:
            stream.seek(len(self._records) * _RECORD.itemsize)
            tail = stream.read()
        added = np.frombuffer(tail[: len(tail) // _RECORD.itemsize * _RECORD.itemsize], _RECORD)
        if len(added):
            self._extend(added[: self._whole(added)])

    def _whole(self, records: NDArray[np.void]) -> int:
        """Number of records, from the first on, that are sound and have all of their items."""
        size = self._data_file.stat().st_size if self._data_file.is_file() else 0
        held = size // max(self._item_bytes, 1)
        ends = records["start"] + records["length"]
        sound = (
            (records["check"] == _checksum(records))
            & (records["start"] == np.concatenate([[self._end], ends[:-1]]))
            & (ends <= held)
        )
        return len(sound) if sound.all() else int(np.argmin(sound))

    def _extend(self, records: NDArray[np.void]) -> None:
        self._records = np.concatenate([self._records, records])
        more = np.zeros(len(records), np.bool_)
        self._compared = np.concatenate([self._compared, more])
        self._damaged = np.concatenate([self._damaged, more])
        self._order = None


def _write_at(path: Path, offset: int, values: NDArray[np.generic], *, flush: bool) -> None:
    """Write at ``offset``, in place of whatever a killed writer left there."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        os.ftruncate(descriptor, offset)
        remaining = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        position = offset
        try:
            while remaining:
                written = os.pwrite(descriptor, remaining, position)
                remaining, position = remaining[written:], position + written
            if flush:
                os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, offset)  # give the space back
            raise
    finally:
        os.close(descriptor)


def _words(keys: Keys) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys).view("<u8")


def _checksum(records: NDArray[np.void]) -> NDArray[np.uint64]:
    words = np.ascontiguousarray(records).view("<u8").reshape(len(records), -1)[:, :-1]
    return np.asarray((words * _MULTIPLIERS).sum(axis=1, dtype=np.uint64) + _OFFSET)


def _unwritable(folder: Path, problem: DataError | OSError) -> DataError:
    error = problem if isinstance(problem, OSError) else problem.__cause__
    if not isinstance(error, OSError):
        raise problem
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return DataError(
        "the disk is full; what had been cached before is kept."
        if full
        else f"the cache can't be used ({error.strerror or error}).",
        file=folder,
        fix="Free some space and run again: it goes on where it stopped. Or set EVOKED_CACHE to "
        "another folder.",
    )
