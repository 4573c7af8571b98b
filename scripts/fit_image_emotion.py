"""Fit the image emotion reader on pictures with ratings, such as OASIS, and say how good it is.

    python scripts/fit_image_emotion.py oasis.csv --scale 1 7 --out image_reader

The table has a column ``image`` with paths relative to it, and ``valence`` and ``arousal`` (or
``valence_mean`` and ``arousal_mean``), perhaps ``dominance`` too. Figures come from
cross-validation and are printed as one line of JSON; the reader is then fitted on all pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.affect.image import DIMENSIONS, fit_image
from evoked.affect.reader import cross_validate_image
from evoked.errors import DataError, EvokedError, ImageError
from evoked.features.encoders import image_encoder
from evoked.features.encoders.base import ImageEncoder
from evoked.posts.images import load_image
from evoked.posts.schema import convert_scale

BATCH = 64
PROJECT_SCALES = {"valence": (-4.0, 4.0), "arousal": (0.0, 8.0), "dominance": (-4.0, 4.0)}


def main() -> int:
    arguments = parse_arguments()
    try:
        report = fit(arguments)
    except EvokedError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(report))
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("table", type=Path, help="CSV with image, valence and arousal")
    parser.add_argument("--out", type=Path, help="folder for the reader; not saved by default")
    parser.add_argument(
        "--scale", type=float, nargs=2, default=(1.0, 7.0), help="ends of the ratings' scale"
    )
    parser.add_argument("--encoder", default="lite0", help="encoder of pictures; lite0 by default")
    parser.add_argument("--group", help="column whose values stay in one fold")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def fit(arguments: argparse.Namespace) -> dict[str, object]:
    table = pd.read_csv(arguments.table)
    ratings = project_ratings(table, tuple(arguments.scale))
    encoder = image_encoder(arguments.encoder)
    kept, vectors = encode([arguments.table.parent / name for name in table["image"]], encoder)
    groups = None if arguments.group is None else table[arguments.group].to_numpy()[kept]
    figures = cross_validate_image(
        vectors, ratings[kept], folds=arguments.folds, groups=groups, seed=arguments.seed
    )
    if arguments.out is not None:
        reader = fit_image(vectors, ratings[kept], seed=arguments.seed, encoder=arguments.encoder)
        reader.save(arguments.out)
    return {
        "encoder": encoder.fingerprint,
        "images": len(vectors),
        "skipped": len(table) - len(vectors),
        "folds": arguments.folds,
        "group": arguments.group,
        "scales": PROJECT_SCALES,
        **figures,
    }


def project_ratings(table: pd.DataFrame, scale: tuple[float, float]) -> NDArray[np.float64]:
    """Ratings on the project's scales, (n, 3); NaN where the table has none."""
    if "image" not in table:
        raise DataError("the table has no such column.", field="image")
    columns = np.full((len(table), len(DIMENSIONS)), np.nan)
    for index, name in enumerate(DIMENSIONS):
        found = next((c for c in (name, f"{name}_mean") if c in table), None)
        if found is not None:
            columns[:, index] = convert_scale(table[found], scale, PROJECT_SCALES[name])
    return columns


def encode(
    files: list[Path], encoder: ImageEncoder
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows whose picture can be read, and their vectors; says on stderr which can't be."""
    rows: list[int] = []
    parts = [np.zeros((0, encoder.vector_size), np.float32)]
    for start in range(0, len(files), BATCH):
        pictures = []
        for row in range(start, min(start + BATCH, len(files))):
            try:
                pictures.append(load_image(files[row], encoder.image_size))
                rows.append(row)
            except ImageError as error:
                print(f"left out: {error}", file=sys.stderr)
        if pictures:
            parts.append(encoder.encode(np.stack(pictures)).vector)
    return np.array(rows, dtype=np.int64), np.concatenate(parts)


if __name__ == "__main__":
    sys.exit(main())
