"""Readers of the formats in which posts come, by the name that ``evoked import`` takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evoked.posts.readers.base import Reader

MODULES = {
    "csv": "csv_file",
    "jsonl": "jsonl_file",
    "parquet": "parquet_file",
    "instaloader": "instaloader",
    "instagram-export": "instagram_export",
    "iaed": "iaed",
    "label-studio": "label_studio",
    "pixelrec": "pixelrec",
    "edges": "edges",
    "iesn": "iesn",
}
"""Each format's module in this package; its function ``read`` is the reader."""


class _Readers(Mapping[str, "Reader"]):
    """Readers by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> Reader:
        reader: Reader = import_module(f"{__name__}.{MODULES[name]}").read
        return reader

    def __contains__(self, name: object) -> bool:
        return name in MODULES  # without the import that Mapping would make

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


READERS: Mapping[str, Reader] = _Readers()
"""Each is ``read(source, options) -> Source``; see :mod:`evoked.posts.readers.base`."""
