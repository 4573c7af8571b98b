"""Which of a stranger's posts get more likes than others of theirs, from caption and picture?

Each author of a folder of Instaloader downloads is left out in turn, and a run learns from the
others. What is scored is the rank correlation of the predicted standing of likes, beside what the
author usually gets, with the likes of the author's own posts, and its mean over authors: who posts
decides nothing of it. An author whose posts are all predicted alike counts as 0.

Run: ``python benchmarks/within_authors.py FOLDER --json FILE``; the last line is JSON, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from record import add_json_option, finish, table

import evoked
from evoked.evaluation.metrics import spearman
from evoked.evaluation.splits import leave_one_author_out
from evoked.posts.importing import import_posts
from evoked.runs.choice import quick_candidates
from evoked.targets import DEFAULT_TASK

# By their names among what the default tries.
SIDES = {
    "the last posts": "recent_posts",
    "a line": "linear",
    "a line on components": "linear on components",
}


def correlations(dataset: evoked.PostDataset, place: Path) -> pd.DataFrame:
    """Rank correlation within every author, by side, (authors, sides)."""
    likes, rows = dataset.posts["likes"].to_numpy(np.float64), []
    cache = evoked.FeatureCache(place / "cache")
    candidates = quick_candidates(DEFAULT_TASK, len(dataset))
    for number, split in enumerate(leave_one_author_out(dataset.posts["author_id"])):
        found = {}
        for side, name in SIDES.items():
            model, settings = candidates[name]
            out = place / f"{number} {side}"
            run = evoked.train(
                dataset, model, out, split=split, cache=cache, model_settings=settings
            )
            own = dataset.select(split.test)
            standing = run.predict(own)["likes_standing"].to_numpy(np.float64)
            value = spearman(likes[split.test], standing)
            found[side] = value if np.isfinite(value) else 0.0
        rows.append(found)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    add_json_option(parser)
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        place = Path(name)
        import_posts("instaloader", arguments.folder, place / "posts")
        found = correlations(evoked.PostDataset(place / "posts"), place)
    summary = pd.DataFrame(
        {
            "side": found.columns,
            "mean of authors": found.mean().to_numpy(),
            "standard error": found.sem().to_numpy(),
            "authors": len(found),
        }
    )
    formats = {"mean of authors": ".3f", "standard error": ".3f", "authors": "d"}
    finish(
        arguments,
        summary.to_dict("records"),
        tables={"authors": table(summary, **formats)},
        code=["src/evoked/models/linear.py", "src/evoked/features"],
        libraries=("scikit-learn",),
    )


if __name__ == "__main__":
    main()
