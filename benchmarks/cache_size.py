"""How much disk the features of 1,000 posts take, and what would make them smaller.

Maps of pictures and tokens of captions, as the builtin encoders compute them in float32 for the
posts of a dataset, are kept in several ways. For each: megabytes per 1,000 posts, the time to read
these back as float32, and the error. The error of a row (a region, a word) is the length of its
difference from float32 over its own length; shown are the median, and the lowest cosine of all.

*Shuffled*: all first bytes, then all second ones, as HDF5 and Blosc do before they compress. *n
bits*: a row's values as integers of n bits, its largest one the largest integer, without what their
unpacking would cost. *8 bits by 32*: what the cache does, see ``evoked.features.packing``. The last
way is what a Gaussian source needs at least for the error that float16 has (Cover and Thomas,
"Elements of Information Theory", 10.3.2), each channel by itself.

The second table is what a cache takes after ``extract`` of everything that the default models and
ABMF read together: the files of each feature, index included.

    python benchmarks/cache_size.py my_posts
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from record import add_json_option, finish, table

from evoked.features.cache import FeatureCache
from evoked.features.captions import prepare
from evoked.features.catalog import CATALOG
from evoked.features.encoders import image_encoder, text_encoder
from evoked.features.extract import extract
from evoked.features.packing import pack, packed_type, unpack
from evoked.models import build_model
from evoked.posts.dataset import PostDataset
from evoked.posts.images import load_image

BATCH = 32
MAX_TOKENS = 128
MODELS = ("linear", "gradient_boosting", "abmf")  # the default ones read what the first two do
Floats = NDArray[np.float32]
Kept = tuple[int, Callable[[], Floats]]  # bytes, and how they are read


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("posts", type=Path, help="a dataset with pictures and captions")
    add_json_option(parser)
    arguments = parser.parse_args()
    dataset = PostDataset(arguments.posts)
    rows: list[dict[str, Any]] = [
        {"feature": feature, "kept as": way, **measured(values, keep, len(dataset))}
        for feature, values in (("image.map", maps(dataset)), ("caption.tokens", tokens(dataset)))
        for way, keep in WAYS.items()
    ]
    rows += [{"feature": "both", "kept as": way, **total(rows, way)} for way in WAYS]
    formats = {"error, 1e-4": ".1f", "lowest cosine": ".5f", "MB": ".1f", "ms": ".0f"}
    finish(
        arguments,
        {"posts": len(dataset)},
        tables={
            "ways": table(pd.DataFrame(rows), **formats),
            "features": table(pd.DataFrame(sizes(dataset)), MB=".2f"),
        },
        code=[
            "src/evoked/features/cache.py",
            "src/evoked/features/packing.py",
            "src/evoked/features/_sources.py",
            "src/evoked/features/encoders",
        ],
        libraries=("pyarrow",),
    )


def maps(dataset: PostDataset) -> Floats:
    """Regions of all covers, (regions, channels)."""
    encoder = image_encoder("builtin")
    covers = [path for path in dataset.cover_paths() if path is not None]
    parts = []
    for start in range(0, len(covers), BATCH):
        pictures = [load_image(path, encoder.image_size) for path in covers[start : start + BATCH]]
        parts.append(encoder.encode(np.stack(pictures)).map)
    return np.concatenate(parts).reshape(-1, encoder.map_channels)


def tokens(dataset: PostDataset) -> Floats:
    """Tokens of all captions, (tokens, channels)."""
    encoder = text_encoder("builtin", MAX_TOKENS)
    captions = [text for text in prepare(dataset.posts["caption"].tolist()) if text]
    return np.concatenate(encoder.encode(captions).tokens).astype(np.float32)


def sizes(dataset: PostDataset) -> list[dict[str, Any]]:
    """Megabytes per 1,000 posts of each feature's files, and of all."""
    models = [build_model(name) for name in MODELS]
    names = {name for model in models for name in model.features if not CATALOG[name].fitted}
    with tempfile.TemporaryDirectory() as folder:
        extract(dataset, sorted(names), cache=FeatureCache(folder))
        stores = sorted((Path(folder) / "features").iterdir())
        size = {
            store.name: sum(file.stat().st_size for file in store.iterdir()) for store in stores
        }
    per_thousand = 1000 / len(dataset) / 1e6
    rows = [{"feature": name.split("-")[0], "MB": per_thousand * n} for name, n in size.items()]
    return [*rows, {"feature": "all", "MB": per_thousand * sum(size.values())}]


def measured(values: Floats, keep: Callable[[Floats], Kept], posts: int) -> dict[str, float]:
    """Size and time for 1,000 posts, and the error."""
    size, read = keep(values)
    read()
    begun = time.process_time()
    found = read()
    seconds = time.process_time() - begun
    lengths = np.maximum(np.linalg.norm(values, axis=1), 1e-9)
    error = np.median(np.linalg.norm(found - values, axis=1) / lengths)
    cosines = (found * values).sum(axis=1) / np.maximum(np.linalg.norm(found, axis=1), 1e-9)
    per_thousand = 1000 / posts
    return {
        "MB": size / 1e6 * per_thousand,
        "ms": seconds * 1e3 * per_thousand,
        "error, 1e-4": 1e4 * float(error),
        "lowest cosine": float((cosines / lengths).min()),
    }


def total(rows: list[dict[str, Any]], way: str) -> dict[str, float]:
    """Both features together."""
    own = [row for row in rows if row["kept as"] == way]
    return {name: sum(row[name] for row in own) for name in ("MB", "ms")}


def packed(values: Floats) -> Kept:
    """What the cache does."""
    kept = pack(values, packed_type(values.shape[1]))
    return kept.nbytes, lambda: unpack(kept)


def halves(values: Floats) -> Kept:
    """What the cache did before, and does with vectors of whole pictures and captions."""
    kept = values.astype(np.float16)
    return kept.nbytes, lambda: kept.astype(np.float32)


def compressed(codec: str, shuffled: bool) -> Callable[[Floats], Kept]:
    """Halves, compressed losslessly in one piece, which flatters what has to be read by rows."""

    def keep(values: Floats) -> Kept:
        kept = values.astype(np.float16)
        planes = kept.reshape(-1, 1).view(np.uint8)
        content = np.ascontiguousarray(planes.T if shuffled else planes)
        packed = pa.Codec(codec).compress(content, asbytes=True)

        def read() -> Floats:
            buffer = pa.Codec(codec).decompress(packed, content.nbytes, asbytes=True)
            again = np.frombuffer(buffer, np.uint8)
            again = np.ascontiguousarray(again.reshape(2, -1).T) if shuffled else again
            return again.reshape(-1).view(np.float16).reshape(kept.shape).astype(np.float32)

        return len(packed), read

    return keep


def integers(bits: int) -> Callable[[Floats], Kept]:
    """Integers of so many bits, and a float32 for each row."""

    def keep(values: Floats) -> Kept:
        largest = 2 ** (bits - 1) - 1
        scale = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-9) / largest
        kept = np.round(values / scale).astype(np.int16)
        return kept.size * bits // 8 + scale.nbytes, lambda: kept * scale

    return keep


def bound(values: Floats) -> Kept:
    """The least for float16's error, were each channel Gaussian and independent of the others."""
    found = values.astype(np.float16).astype(np.float32)
    error = np.mean((found - values) ** 2)
    bits = 0.5 * np.log2(np.maximum(values.var(axis=0) / error, 1)).mean()
    return int(bits * values.size / 8), lambda: found


WAYS: dict[str, Callable[[Floats], Kept]] = {
    "8 bits by 32 (the cache)": packed,
    "float16": halves,
    "lz4": compressed("lz4", False),
    "lz4, shuffled": compressed("lz4", True),
    "zstd": compressed("zstd", False),
    "zstd, shuffled": compressed("zstd", True),
    "12 bits": integers(12),
    "11 bits": integers(11),
    "10 bits": integers(10),
    "8 bits": integers(8),
    "bound for float16's error": bound,
}


if __name__ == "__main__":
    main()
