"""Fit the text emotion reader that comes with evoked, on EmoBank, and print its figures.

    python scripts/fit_text_emotion.py emobank.csv --out src/evoked/affect/weights/text

EmoBank (Buechel and Hahn 2017, https://github.com/JULIELab/EmoBank, CC BY-SA 4.0) is a CSV file
with the columns split (train, dev, test), V, A, D (1 to 5) and text. The dev split chooses the
epoch, the test split is only scored. The last line printed is JSON. About 25 minutes on two cores
that do nothing else; --recipe low-rank or --recipe whole trains one half of the members.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import Progress

from evoked.affect import TextEmotionReader, evaluate, fit_text, recipes_by_name
from evoked.posts.schema import EMOTIONS, SCALES, convert_scale

EMOBANK_SCALE = (1.0, 5.0)


def main() -> None:
    """Fit, save, score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("emobank", type=Path, help="emobank.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the reader")
    parser.add_argument(
        "--recipe", action="append", default=[], help="low-rank or whole; both by default"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    table = pd.read_csv(arguments.emobank)
    began = time.perf_counter()
    with Progress() as progress:
        task = progress.add_task("Fitting", total=None)
        fit_text(
            *emobank_part(table, "train"),
            validation=emobank_part(table, "dev"),
            recipes=recipes_by_name(arguments.recipe),
            seed=arguments.seed,
            progress=lambda _stage, done, total: progress.update(task, completed=done, total=total),
        ).save(arguments.out)
    seconds = time.perf_counter() - began

    reader = TextEmotionReader.load(arguments.out)
    figures = {}
    for part in ("dev", "test"):
        texts, ratings = emobank_part(table, part)
        figures[part] = evaluate(reader.predict(texts), ratings)
    print(json.dumps({"seconds": round(seconds)} | figures))


def emobank_part(table: pd.DataFrame, split: str) -> tuple[list[str | None], NDArray[np.float64]]:
    """Texts of a split, and their ratings on the project's scales, (n, 3)."""
    rows = table[table["split"] == split]
    texts = [text if isinstance(text, str) else None for text in rows["text"]]
    ratings = [
        convert_scale(rows[column], EMOBANK_SCALE, SCALES[name])
        for column, name in zip("VAD", EMOTIONS, strict=True)
    ]
    return texts, np.column_stack(ratings)


if __name__ == "__main__":
    main()
