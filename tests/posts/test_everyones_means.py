"""What the last posts of all authors achieved is the same from disk as from all posts at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.errors import DataError
from evoked.posts import everyones_means
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import (
    AuthorHistory,
    attach_history,
    published_history,
    published_posts,
)
from evoked.posts.everyones_means import MEANS_FILE, EveryonesMeans, MeansWriter


def some_posts(n: int = 700) -> pd.DataFrame:
    """Posts of forty authors, some of nobody's, many of the same instant, with gaps everywhere."""
    random = np.random.default_rng(0)
    posts = pd.DataFrame(
        {
            "post_id": [str(row) for row in range(n)],
            "author_id": [f"author {row}" if row else None for row in random.integers(0, 40, n)],
            "posted_at": pd.to_datetime(random.integers(0, 90, n) * 25_200, unit="s", utc=True),
            "likes": random.integers(0, 900, n).astype(float),
            "views": random.integers(0, 9000, n).astype(float),
            "followers": random.integers(1, 99, n),
        }
    )
    posts.loc[random.random(n) < 0.2, "likes"] = np.nan
    posts.loc[random.random(n) < 0.1, ["likes", "views"]] = np.nan
    posts.loc[random.random(n) < 0.05, "posted_at"] = pd.NaT
    return posts


@pytest.mark.parametrize("age", [0.0, 30.0])
def test_authors_apart_see_what_they_see_together(
    age: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everyones_means, "_EVENTS_PER_STRETCH", 50)
    posts = some_posts()
    # A run that knows a third of the posts, some of them by authors who are not among these.
    third = posts.iloc[::3]
    strangers = "stranger " + third["author_id"].fillna("")
    carried = published_history(
        third.assign(author_id=third["author_id"].where(third.index % 2 == 0, strangers))
    )
    together = attach_history(posts, carried, min_age_hours=age)

    bucket = np.array([int(each, 16) % 5 if each else 0 for each in author_hashes(posts)])
    groups = [posts[bucket == number] for number in range(5)]
    instants = posts["posted_at"].dropna().dt.as_unit("us").astype("int64").to_numpy()
    writer = MeansWriter(tmp_path, len(posts), instants[::7])
    unseen = set(carried.author)
    for group in groups:
        authors = set(author_hashes(group))
        history = AuthorHistory.of(published_posts(group))
        writer.add(history.completed_by(carried.of_authors(authors & unseen)))
        unseen -= authors
    writer.add(carried.of_authors(unseen))
    writer.finish()
    means = EveryonesMeans(tmp_path)
    apart = [
        attach_history(
            group, carried.of_authors(set(author_hashes(group))), min_age_hours=age, everyones=means
        )
        for group in groups
    ]

    assert together["history.everyone_likes"].notna().sum() > 500
    pd.testing.assert_frame_equal(pd.concat(apart).loc[posts.index], together, check_exact=True)
    assert [path.name for path in tmp_path.iterdir()] == [MEANS_FILE]


def test_without_a_post_nothing_is_known(tmp_path: Path) -> None:
    MeansWriter(tmp_path, 0, np.zeros(0, np.int64)).finish()
    columns = EveryonesMeans(tmp_path).columns(some_posts(5))
    assert all(np.isnan(values).all() for values in columns.values())
    (tmp_path / MEANS_FILE).write_bytes(b"half")
    with pytest.raises(DataError, match="cut off"):
        EveryonesMeans(tmp_path)
