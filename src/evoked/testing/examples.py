"""Small random examples of posts for trying out models and tasks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from evoked.features.table import Column, FeatureTable, RaggedColumn
from evoked.models.base import Examples
from evoked.posts.schema import EXPOSURE, MIKELS, POSTS
from evoked.targets import Task, task_class

MAP_CHANNELS = 12
OBJECT_CHANNELS = 10
TOKEN_CHANNELS = 16
METADATA_WIDTH = 9


def random_posts(n: int, seed: int = 0) -> pd.DataFrame:
    """n posts with a value for every task, by five authors in two categories."""
    generator = np.random.default_rng(seed)
    rows = {
        "post_id": [f"p{row}" for row in range(n)],
        "author_id": [f"a{row % 5}" for row in range(n)],
        "category": ["food" if row % 2 else "travel" for row in range(n)],
        "posted_at": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"),
        "caption": ["a caption"] * n,
        "followers": generator.integers(100, 10_000, n),
        **{
            name: generator.integers(0, 100, n) for name in ("likes", "comments", "shares", "saves")
        },
        "valence": generator.uniform(-4, 4, n),
        "arousal": generator.uniform(0, 8, n),
    }
    rows |= {name: generator.integers(100, 10_000, n) for name in EXPOSURE}
    # From the most pleasant emotion to the least, so that features can predict it.
    places = pd.Series(rows["valence"]).rank(ascending=False, pct=True).to_numpy()
    rows["emotion"] = np.array(MIKELS)[np.ceil(places * len(MIKELS)).astype(int) - 1]
    frame = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    columns = {name: frame[name] for name in frame.column_names}
    filled = pa.Table.from_arrays(
        [
            columns[field.name].cast(field.type)
            if field.name in columns
            else pa.nulls(n, field.type)
            for field in POSTS
        ],
        schema=POSTS,
    ).to_pandas()
    for name in ("hashtags", "mentions", "images"):
        filled[name] = [[] for _ in range(n)]
    return filled


def random_examples(
    n: int,
    seed: int = 0,
    *,
    signal: bool = True,
    task: str | type[Task] = "emotion_engagement",
) -> Examples:
    """Random examples of posts, with every feature that a model of posts can name.

    About one in ten posts lacks a picture, one in ten a caption, half of them hashtags.

    Parameters
    ----------
    n
        Number of posts.
    seed
        Random seed.
    signal
        Whether the image map shows the posts' valence and the caption tokens their arousal.
    task
        Whose targets the examples have; it is fitted on the posts.
    """
    generator = np.random.default_rng(seed)
    posts = random_posts(n, seed)
    regions = generator.normal(size=(n, 9, MAP_CHANNELS)).astype(np.float32)
    lengths = generator.integers(1, 7, n)
    tokens = generator.normal(size=(int(lengths.sum()), TOKEN_CHANNELS)).astype(np.float16)
    if signal:
        regions[:, :, 0] += posts["valence"].to_numpy()[:, None]
        tokens[:, 0] = np.repeat(posts["arousal"].to_numpy() - 4, lengths)
    has_image, has_caption = generator.random(n) > 0.1, generator.random(n) > 0.1
    lengths = np.where(has_caption, lengths, 0)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    features = FeatureTable(
        {
            "image.map": Column.dense(regions, has_image),
            "image.objects": Column.dense(
                generator.normal(size=(n, 3, OBJECT_CHANNELS)).astype(np.float32), has_image
            ),
            "caption.tokens": RaggedColumn(tokens, starts, lengths),
            "hashtags.vector": Column.dense(
                generator.normal(size=(n, 300)).astype(np.float32), generator.random(n) > 0.5
            ),
            "metadata": Column.dense(generator.normal(size=(n, METADATA_WIDTH)).astype(np.float32)),
            "image.vector": Column.dense(regions.mean(axis=1), has_image),
            "caption.vector": Column.dense(
                generator.normal(size=(n, TOKEN_CHANNELS)).astype(np.float16), has_caption
            ),
            "affect.text": Column.dense(
                generator.normal(size=(n, 3)).astype(np.float32), has_caption
            ),
            "affect.face": Column.dense(
                generator.normal(size=(n, 4)).astype(np.float32), has_image
            ),
            "title.tokens": RaggedColumn(tokens, starts, np.where(starts % 2, 0, lengths)),
            "context.tokens": RaggedColumn(tokens, starts, lengths),
            "text.tokens": RaggedColumn(tokens, starts, lengths),
            "text.vector": Column.dense(
                generator.normal(size=(n, TOKEN_CHANNELS)).astype(np.float16), has_caption
            ),
            "sentiment.text": Column.dense(
                np.eye(6, dtype=np.float32)[generator.integers(1, 6, n)], has_caption
            ),
            "likability.known": Column.dense(generator.normal(size=(n, 1)).astype(np.float32)),
            "caption.ids": RaggedColumn(
                generator.integers(0, 40, int(lengths.sum())), starts, lengths
            ),
            "environment.image": Column.dense(
                generator.normal(size=(n, MAP_CHANNELS)).astype(np.float32), has_image
            ),
            "environment.caption": Column.dense(
                generator.normal(size=(n, TOKEN_CHANNELS)).astype(np.float32), has_caption
            ),
            "environment.topics": Column.dense(
                generator.dirichlet(np.ones(7), n).astype(np.float32)
            ),
            "environment.map": Column.dense(
                generator.normal(size=(n, MAP_CHANNELS)).astype(np.float32), has_image
            ),
        }
    )
    ids = features.columns["caption.ids"]
    features = FeatureTable({**features.columns, "text.ids": ids})
    kind = task_class(task) if isinstance(task, str) else task
    # Few posts are not enough to fit every task.
    fitted = kind.fit(posts if n >= 48 else random_posts(48))
    return Examples(posts, features, fitted.transform(posts))
