"""Readers of the formats in which posts come, by the name that ``evoked import`` takes."""

from evoked.posts.readers import (
    csv_file,
    edges,
    iaed,
    iesn,
    instagram_export,
    instaloader,
    jsonl_file,
    label_studio,
    parquet_file,
    pixelrec,
)
from evoked.posts.readers.base import Reader

READERS: dict[str, Reader] = {
    "csv": csv_file.read,
    "jsonl": jsonl_file.read,
    "parquet": parquet_file.read,
    "instaloader": instaloader.read,
    "instagram-export": instagram_export.read,
    "iaed": iaed.read,
    "label-studio": label_studio.read,
    "pixelrec": pixelrec.read,
    "edges": edges.read,
    "iesn": iesn.read,
}
"""Each is ``read(source, options) -> Source``; see :mod:`evoked.posts.readers.base`."""
