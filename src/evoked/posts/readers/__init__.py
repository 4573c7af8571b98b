"""Readers of posts, one per source format, by the name that ``evoked import`` takes.

A new format: a file here with a function ``read(source, options) -> Source`` (see
:mod:`evoked.posts.readers.base`), and a line in ``_MODULES``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evoked.posts.readers.base import Reader

_MODULES = {
    "auto": "auto",
    "csv": "csv_file",
    "xlsx": "xlsx_file",
    "jsonl": "jsonl_file",
    "parquet": "parquet_file",
    "tables": "tables",
    "instaloader": "instaloader",
    "instagram-export": "instagram_export",
    "iaed": "iaed",
    "label-studio": "label_studio",
    "pixelrec": "pixelrec",
    "edges": "edges",
    "iesn": "iesn",
}


class _Readers(Mapping[str, "Reader"]):
    """Readers by name. Each is imported when it is asked for: the names alone need no pandas."""

    def __getitem__(self, name: str) -> Reader:
        reader: Reader = import_module(f"{__name__}.{_MODULES[name]}").read
        return reader

    def __contains__(self, name: object) -> bool:
        return name in _MODULES  # without the import that Mapping would make

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


READERS: Mapping[str, Reader] = _Readers()
"""The function ``read`` of every format, by the format's name."""
