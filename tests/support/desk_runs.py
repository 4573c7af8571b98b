"""A run and twenty drafts that tests of scoring and of the desk share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evoked.posts.dataset import PostDataset
    from evoked.runs.posts import Run
    from tests.support.small_runs import Workshop

NUMBER = 20


def desk_run(workshop: Workshop, dataset: PostDataset) -> Run:
    """The linear model trained on the sixty posts, once per session, as its folder has it: that
    rounds what authors achieved."""
    from evoked.runs.posts import Run

    folder = workshop.folder / "desk-run"
    if not (folder / "run.json").is_file():
        workshop.run(dataset, "desk-run", "linear")
    return Run.load(folder, workshop.cache)


def twenty_drafts(dataset: PostDataset) -> list[dict[str, Any]]:
    """The facts of twenty drafts as JSON has them: with and without picture, caption, hashtags,
    date and followers."""
    pictures = [str(path) for path in dataset.cover_paths() if path is not None]
    authors = dataset.posts["author_id"].tolist()
    rows = []
    for number in range(NUMBER):
        row: dict[str, Any] = {
            "name": f"draft {number}",
            "author": authors[number],
            "posted_at": f"2024-05-{1 + number:02d}T{number:02d}:30",
        }
        if number % 4:
            row["image"] = pictures[number]
        if number % 3:
            row["caption"] = f"Golden hour {number} over the bay — “quiet” & <warm> 🌅 #sunset"
        if number % 5 == 0:
            row["hashtags"] = ["sea", "summer"]
        if number % 7 == 0:
            row["followers"] = 1000 * (number + 1)
        rows.append(row)
    return rows


def as_options(row: dict[str, Any]) -> list[str]:
    """The options of ``evoked predict`` that describe a draft."""
    words: list[str] = []
    for name, value in row.items():
        text = " ".join(value) if isinstance(value, list) else str(value)
        words += [f"--{name.replace('_', '-')}", text]
    return words if {"image", "caption"} & set(row) else [*words, "--caption", ""]


def picture(dataset: PostDataset) -> Path:
    """A picture of the posts."""
    return next(path for path in dataset.cover_paths() if path is not None)
