"""Whether the analyses find in a synthetic dataset what was planted there."""

from __future__ import annotations

import pandas as pd

from evoked.analysis.base import Analysis, PostContext
from evoked.analysis.engagement import emotion_engagement_table, lifts
from evoked.analysis.peaks import time_to_peak
from evoked.errors import DataError
from evoked.posts.dataset import PostDataset


def planted_recovery(dataset: PostDataset) -> pd.DataFrame:
    """What a synthetic dataset was made to show, and what the analyses find in it.

    Returns
    -------
    DataFrame
        ``analysis`` (correlation, lift, peak hours), ``row``, ``metric``, ``published``,
        ``planted``, ``measured``, ``difference`` (measured less planted).

    Raises
    ------
    DataError
        The dataset carries no record of what was planted.
    """
    planted = dataset.description.get("planted")
    if planted is None:
        raise DataError(
            "nothing is planted in this dataset.",
            file=dataset.folder,
            fix="Make one with 'evoked synth'.",
        )
    posts = dataset.posts
    correlations = emotion_engagement_table(posts)
    peaks = time_to_peak(posts, dataset.table("activity"), draws=0)
    found = lifts(posts, draws=0)
    records = _recovered("correlation", planted["correlations"], correlations, "dimension", "r")
    records += _recovered("peak hours", planted["peak_hours"], peaks, "quadrant", "hours")
    records += [
        {
            "analysis": "lift",
            "row": row.lift,
            "metric": str(row.lift).split(",")[0],
            **planted["lifts"][row.lift],
            "measured": row.value,
        }
        for row in found.itertuples()
    ]
    table = pd.DataFrame.from_records(records)
    columns = ["analysis", "row", "metric", "published", "planted", "measured"]
    return table[columns].assign(difference=table["measured"] - table["planted"])


def _recovered(
    analysis: str,
    planted: dict[str, dict[str, dict[str, float]]],
    measured: pd.DataFrame,
    row: str,
    value: str,
) -> list[dict[str, object]]:
    return [
        {
            "analysis": analysis,
            "row": record[row],
            "metric": record["metric"],
            **planted[record[row]][record["metric"]],
            "measured": record[value],
        }
        for record in measured.to_dict("records")
    ]


def _is_planted(context: PostContext) -> bool:
    """Whether the dataset is synthetic, and its emotions are those that were planted."""
    return not context.rated_anew and "planted" in context.dataset.description


def _compute(context: PostContext) -> pd.DataFrame:
    return planted_recovery(context.dataset)


RECOVERY_ANALYSIS = Analysis(
    name="recovery",
    title="Recovery of what was planted",
    explanation=(
        "This is a synthetic dataset. planted: what it was made to show; measured: what the "
        "analyses find."
    ),
    compute=_compute,
    concerns=_is_planted,
    folded=True,
)
