"""Small runs, all stages real, that tests of explanations and reports share."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import evoked
from evoked.evaluation.splits import Split
from evoked.features.cache import FeatureCache
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.training import TrainingSettings

QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")
HOSTILE = '<script>alert("1")</script> & $\\frac{1}{0}$ "><img src=x onerror=alert(1)> [red]a[/red]'
# A model for each task that is not emotion and engagement, with its settings.
OTHER_TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "level": ("pixelrec_classifier", {}),
    "popularity": ("gradient_boosting", {"trees": 20}),
    "author_popularity": ("dual_attention", {}),
    "shares": ("eijl", {}),
}

_CAPTION_CHARACTERS = 60


def by_hand(n: int, tests: int) -> Split:
    """The first posts to test, the next five to validate, the others to train."""
    rows = np.arange(n)
    return Split(rows[tests + 5 :], rows[tests : tests + 5], rows[:tests], "random", "By hand.")


class Workshop:
    """Makes datasets and runs below one folder, with one cache of features."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = FeatureCache(folder / "cache")

    def posts(self, n: int = 60) -> PostDataset:
        """Synthetic posts; their captions are cut, so that explaining them takes no time."""
        full = evoked.synthesise(self.folder / "synthetic", n=n, seed=3)
        return self.changed(full, "posts", caption=full.posts["caption"].str[:_CAPTION_CHARACTERS])

    def changed(self, dataset: PostDataset, name: str, **columns: Any) -> PostDataset:
        """A copy of a dataset with columns replaced."""
        images = self.folder / f"{name}-images"
        shutil.copytree(dataset.image_folder, images)
        posts = dataset.posts.assign(**columns)
        return PostDataset.create(self.folder / name, {"posts": posts}, images=images)

    def run(
        self,
        dataset: PostDataset,
        name: str,
        model: str = "abmf",
        split: Split | None = None,
        task: str | None = None,
        **settings: Any,
    ) -> Run:
        """A model trained for two epochs."""
        return train_posts(
            dataset,
            model,
            self.folder / name,
            task=task,
            model_settings={"width": 16, **settings} if model == "abmf" else settings,
            training=QUICK,
            split=split or by_hand(len(dataset), tests=25),
            estimate=False,
            cache=self.cache,
        )


def hostile_posts(workshop: Workshop, dataset: PostDataset) -> PostDataset:
    """Posts whose text is meant to break a page, and one whose picture is broken."""
    posts = dataset.posts
    captions = posts["caption"].where(posts.index % 2 == 0, HOSTILE)
    odd = {1: None, 2: "", 3: "今天天气很好 🌅", 4: "מזג אוויר נהדר היום", 5: "🎉" * 500}
    captions = captions.where(~captions.index.isin(odd), pd.Series(odd))
    changed = workshop.changed(
        dataset,
        "hostile",
        caption=captions,
        category=posts["category"].where(posts.index % 3 != 0, HOSTILE),
        post_id=posts["post_id"] + "<b>",
    )
    for path in changed.cover_paths()[:30]:
        if path is not None:
            path.write_bytes(b"not a picture")
    return changed
