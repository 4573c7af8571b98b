"""ABMF's Table 2 for any posts: their number, length, hashtags and engagement by category."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from evoked.analysis.base import Analysis, PostContext
from evoked.analysis.counts import engagement_counts
from evoked.analysis.excerpts import one_decimal, two_decimals, whole
from evoked.posts.emotion_and_rates import METRICS, engagement_rates
from evoked.posts.synthetic.population import CATEGORIES

_TAG = re.compile(r"#\w+")


def category_table(posts: pd.DataFrame) -> pd.DataFrame:
    """Statistics of every category (Table 2).

    Parameters
    ----------
    posts
        Posts with the columns of :data:`evoked.posts.schema.POSTS`.

    Returns
    -------
    DataFrame
        A row per category, the largest first, and one for all posts: ``category``, ``posts``,
        ``share`` (of all posts), ``caption_words`` (mean over the captions, hashtags not counted),
        ``hashtags`` (mean), ``rate_low``, ``rate_median``, ``rate_high`` (10th, 50th and 90th
        percentile of all engagement per follower, in per cent), ``with_rate`` (posts with an
        engagement rate), ``valence`` and ``arousal`` (means), ``with_emotion`` (posts that have
        both); those that begin with ``published_`` are the paper's figures for a category of this
        name, whose range of rates is taken for the 10th to the 90th percentile.
        Posts without a category are in the row "none".
    """
    category = posts["category"].fillna("none")
    table = _describe(posts).groupby(category.to_numpy())
    rows = [
        _summary(str(name), part, len(posts))
        for name, part in sorted(table, key=lambda item: -len(item[1]))
    ]
    rows.append(_summary("all", _describe(posts), len(posts)))
    return pd.DataFrame(rows)


def _describe(posts: pd.DataFrame) -> pd.DataFrame:
    captions = posts["caption"].astype("string").fillna("").str.replace(_TAG, " ", regex=True)
    words = pd.Series([float(len(caption.split())) for caption in captions])
    rates = engagement_rates(*engagement_counts(posts))
    return pd.DataFrame(
        {
            "words": words.where(words > 0).to_numpy(dtype=float),
            "hashtags": [float(len(tags)) for tags in posts["hashtags"]],
            "rate": 100 * rates[:, METRICS.index("overall")],
            "valence": posts["valence"].to_numpy(dtype=float, na_value=np.nan),
            "arousal": posts["arousal"].to_numpy(dtype=float, na_value=np.nan),
        }
    )


def _summary(name: str, part: pd.DataFrame, total: int) -> dict[str, object]:
    known = CATEGORIES.get(name.casefold())
    low, median, high = part["rate"].quantile([0.1, 0.5, 0.9])
    return {
        "category": name,
        "posts": len(part),
        "share": len(part) / max(total, 1),
        "caption_words": part["words"].mean(),
        "hashtags": part["hashtags"].mean(),
        "rate_low": low,
        "rate_median": median,
        "rate_high": high,
        "with_rate": int(part["rate"].notna().sum()),
        "valence": part["valence"].mean(),
        "arousal": part["arousal"].mean(),
        "with_emotion": int(part[["valence", "arousal"]].notna().all(axis=1).sum()),
        "published_posts": known.posts if known else np.nan,
        "published_caption_words": known.caption_words if known else np.nan,
        "published_hashtags": known.hashtags if known else np.nan,
        "published_rate_low": known.rate_range[0] if known else np.nan,
        "published_rate_high": known.rate_range[1] if known else np.nan,
    }


def _compute(context: PostContext) -> pd.DataFrame:
    return category_table(context.posts)


CATEGORY_ANALYSIS = Analysis(
    name="categories",
    title="Categories (ABMF, Table 2)",
    explanation=(
        "caption_words: mean length of captions in words, without hashtags; rate_low, rate_median, "
        "rate_high: the 10th, 50th and 90th percentile of all engagement, in per cent, of the "
        "posts with_rate; valence, arousal: means over the posts that have both, with_emotion; "
        "published: the paper's figure, where it has a category of this name."
    ),
    compute=_compute,
    columns={
        "category": str,
        "posts": whole,
        "caption_words": one_decimal,
        "hashtags": one_decimal,
        "rate_low": two_decimals,
        "rate_high": two_decimals,
    },
)
