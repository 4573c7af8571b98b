"""Exports of small runs, and drafts to compare them by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evoked.files import plain, records
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.runtime import ExportedRun
from evoked.scoring import Scorer
from tests.support.small_runs import Workshop

FEW_TREES = {"trees": 15}
AFTER_LINE = {**FEW_TREES, "fixed": True, "components": 4, "start": "line"}
# By the name of a run: its model, the task and settings. The last is what a run chooses by itself.
POOLED: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "line": ("linear", None, {}),
    "classes": ("linear", "level", {}),
    "trees": ("gradient_boosting", None, FEW_TREES),
    "counts": ("gradient_boosting", None, {**FEW_TREES, "start": "counts"}),
    "chosen": (
        "blend",
        None,
        {
            "members": [
                {"model": "recent_posts"},
                {"model": "gradient_boosting", "settings": AFTER_LINE},
            ],
            "weights": {"likes_rate": (0.7, 0.3)},
        },
    ),
}
NETWORKS: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "abmf": ("abmf", None, {}),
    "dual": ("dual_attention", "author_popularity", {"width": 16}),
}


def run_of(workshop: Workshop, dataset: PostDataset, name: str) -> Run:
    """A small run of :data:`POOLED` or :data:`NETWORKS`."""
    model, task, settings = {**POOLED, **NETWORKS}[name]
    return workshop.run(dataset, f"to-export-{name}", model=model, task=task, **settings)


def drafts_of(dataset: PostDataset) -> list[dict[str, Any]]:
    """Drafts of known and new authors, with and without pictures, captions and facts; some of
    them are wrong."""
    posts = dataset.posts
    covers = [path for path in dataset.cover_paths() if path is not None]
    day = "2031-05-13T18:30"
    return [
        {"image": str(covers[0]), "caption": "Golden hour 😍 #travel", "author": "new"},
        {"caption": posts["caption"].iloc[3], "author": posts["author_id"].iloc[3]},
        {"image": str(covers[1]), "author": posts["author_id"].iloc[5], "followers": 900},
        {"author": posts["author_id"].iloc[7], "category": "travel", "paid": True},
        {"caption": "WHAT? https://a.example/b @you #neverseen", "followers": 12, "views": 90},
        {"image": "missing.jpg", "caption": "words", "author": "new", "name": "unread"},
        {"image": str(covers[2]), "caption": "", "author": posts["author_id"].iloc[9]},
        {"likes": 3},
        {"caption": "half \ud83d", "author": "new"},
        {"caption": "late", "posted_at": "tomorrow"},
    ] + [
        {"image": str(cover), "caption": caption, "author": author, "posted_at": day}
        for cover, caption, author in zip(
            covers[3:7], posts["caption"].iloc[10:14], posts["author_id"].iloc[10:14], strict=True
        )
    ]


def check_equal(
    run: Run, export: ExportedRun, rows: Sequence[dict[str, Any]], error: float
) -> None:
    """Assert that an export says what its run says of drafts, numbers up to a relative error."""
    dated = [{"posted_at": "2031-05-14T08:00", **row} for row in rows]
    expected = plain(records(Scorer(run).score(dated)))
    found = plain(export.score(dated))
    assert [list(row) for row in found] == [list(row) for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for name, value in theirs.items():
            if isinstance(value, float) and ours[name] is not None:
                np.testing.assert_allclose(ours[name], value, rtol=error, atol=error, err_msg=name)
            else:
                assert ours[name] == value, name


def altered(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
