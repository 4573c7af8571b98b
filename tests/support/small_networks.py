"""A small dataset of viewings with pictures and comments, shared by tests of networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from evoked.posts.dataset import PostDataset
from evoked.posts.schema import MIKELS

_GROUPS = ["Sunsets over quiet water", "Street dogs and their people", "Abandoned factories"]
_WORDS = ["so funny", "breathtaking", "lovely calm", "wow amazing", "outrageous", "gross", "creepy"]


def network_tables(
    n_users: int = 40, n_images: int = 30, n_viewings: int = 400, seed: int = 0
) -> dict[str, pd.DataFrame]:
    """Tables of a network: what a user feels follows from the picture's colour and their group.

    The emotions are the first four of Mikels'; a third of the viewings has a comment, one in
    twenty no known emotion.
    """
    random = np.random.default_rng(seed)
    group = random.integers(len(_GROUPS), size=n_users)
    colour = random.integers(4, size=n_images)
    pairs = random.permutation(n_users * n_images)[:n_viewings]
    user, image = np.divmod(pairs, n_images)
    felt = (colour[image] + (group[user] == 0)) % 4
    comment = np.array(_WORDS, dtype=object)[felt]
    return {
        "posts": pd.DataFrame(
            {
                "post_id": [f"p{row}" for row in range(n_images)],
                "author_id": [f"u{row % n_users}" for row in range(n_images)],
                "images": [[f"{row}-{colour[row]}.png"] for row in range(n_images)],
            }
        ),
        "viewings": pd.DataFrame(
            {
                "user_id": [f"u{row}" for row in user],
                "post_id": [f"p{row}" for row in image],
                "viewed_at": pd.date_range("2024-01-01", periods=n_viewings, freq="h", tz="UTC"),
                "comment": np.where(random.random(n_viewings) < 0.34, comment, None),
                "emotion": np.where(
                    random.random(n_viewings) < 0.95, np.array(MIKELS, dtype=object)[felt], None
                ),
            }
        ),
        "connections": pd.DataFrame(
            [
                (f"u{one}", f"u{other}")
                for one in range(n_users)
                for other in random.choice(np.flatnonzero(group == group[one]), 2)
            ],
            columns=["user_id", "other_id"],
        ),
        "groups": pd.DataFrame(
            {
                "group_id": [f"g{row}" for row in range(len(_GROUPS))],
                "name": ["water", "dogs", "factories"],
                "description": _GROUPS,
            }
        ),
        "memberships": pd.DataFrame(
            {
                "user_id": [f"u{row}" for row in range(n_users)],
                "group_id": [f"g{number}" for number in group],
            }
        ),
    }


def create_network(folder: Path, tables: dict[str, pd.DataFrame]) -> PostDataset:
    """The dataset of :func:`network_tables`, with a picture of the colour in each image's name."""
    pictures = folder.with_name(f"{folder.name}-images")
    pictures.mkdir(parents=True)
    for names in tables["posts"]["images"]:
        for name in names:
            draw_picture(pictures / name)
    return PostDataset.create(folder, tables, images=pictures)


def draw_picture(path: Path, **save: Any) -> Path:
    """A picture of noise, in the colour and with the noise that its name (``7-2.png``) gives."""
    seed, colour = (int(part) for part in path.stem.split("-"))
    noise = np.random.default_rng(seed).integers(-40, 40, size=(24, 24, 3))
    base = np.array([[220, 60, 50], [50, 190, 70], [60, 80, 220], [230, 210, 60]])[colour]
    Image.fromarray((base + noise).clip(0, 255).astype(np.uint8)).save(path, **save)
    return path
