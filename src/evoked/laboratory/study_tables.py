"""The statistics of a study, as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.accuracy import EMOTION_SCORES, ENGAGEMENT_SCORES
from evoked.evaluation.bootstrap import interval_bounds
from evoked.evaluation.corrections import holm
from evoked.evaluation.significance import (
    accuracy_correlations,
    bootstrap_p,
    compare_pairs,
    mean_and_deviation,
    t_interval,
)
from evoked.laboratory.study import StudyResults

P_VALUES = ("p_t", "p_corrected_t", "p_wilcoxon", "p_posts")
_EFFECTS = ("difference", "difference_low", "difference_high", "d_z", "g_z")
_COMPARISON = _EFFECTS + tuple(column for name in P_VALUES for column in (name, f"{name}_holm"))


def result_table(results: StudyResults) -> pd.DataFrame:
    """Every score of every row, beside what was published and against the reference row.

    Returns
    -------
    DataFrame
        A row per score and row of the table: ``target, metric, row, label, published, mean,
        deviation`` (over folds), ``low, high`` (95 % t interval over folds), ``posts_low,
        posts_high`` (95 % bootstrap over posts), ``difference`` (reference − row) with
        ``difference_low, difference_high`` and the effect sizes ``d_z, g_z``; ``p_t`` (paired t),
        ``p_corrected_t`` (Nadeau and Bengio), ``p_wilcoxon``, ``p_posts`` (paired bootstrap over
        posts), each followed by ``…_holm``, corrected over the rows of the score; ``folds, n``
        (posts scored, of all folds). Differences are absent for the reference itself, and
        everywhere if it was not run.
    """
    parts = results.scores.groupby(["target", "metric"], sort=False)
    tables = [_score_table(results, part, *map(str, key)) for key, part in parts]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def correlation_table(results: StudyResults) -> pd.DataFrame:
    """Do emotion and engagement accuracy go together (Figure 4), per row of the study?

    Returns
    -------
    DataFrame
        ``row``, ``unit`` (``fold``, or ``category of a fold``: more units, fewer posts in each),
        then as :func:`evoked.evaluation.significance.accuracy_correlations`; only scores that the
        dataset has.
    """
    parts = []
    for experiment in results.table.experiments:
        for unit, scores, keys in (
            ("fold", results.scores, ["fold"]),
            ("category of a fold", results.categories, ["fold", "category"]),
        ):
            own = scores[scores["row"] == experiment.name]
            own = own.assign(score=own["target"] + " " + own["metric"])
            wide = own.pivot(index=keys, columns="score", values="value")
            found = accuracy_correlations(
                wide,
                [name for name in EMOTION_SCORES if name in wide],
                [name for name in ENGAGEMENT_SCORES if name in wide],
            )
            found.insert(0, "unit", unit)
            found.insert(0, "row", experiment.name)
            parts.append(found[found["pearson"].notna()])
    return pd.concat(parts, ignore_index=True)


def _score_table(
    results: StudyResults, scores: pd.DataFrame, target: str, metric: str
) -> pd.DataFrame:
    """One score of all rows that have it."""
    values = scores.pivot(index="row", columns="fold", values="value")
    counts = scores.groupby("row")["n"].sum()
    name, reference = f"{target} {metric}", results.table.reference
    lines = []
    for experiment in results.table.experiments:
        row = experiment.name
        if row not in values.index:
            continue
        own = values.loc[row].to_numpy()
        draws = _draws(results, row, name)
        mean, deviation = mean_and_deviation(own)
        low, high = t_interval(own)
        posts_low, posts_high = interval_bounds(draws)
        line = {
            "target": target,
            "metric": metric,
            "row": row,
            "label": experiment.label,
            "published": experiment.published.get(name, np.nan),
            "mean": mean,
            "deviation": deviation,
            "low": low,
            "high": high,
            "posts_low": float(posts_low),
            "posts_high": float(posts_high),
            **dict.fromkeys(_COMPARISON, np.nan),
            "folds": int(np.isfinite(own).sum()),
            "n": int(counts[row]),
        }
        if row != reference and reference in values.index:
            best = values.loc[reference].to_numpy()
            found = compare_pairs(best, own, results.test_to_train)
            line |= {"difference_low": found.low, "difference_high": found.high}
            line |= {key: value for key, value in found._asdict().items() if key in _COMPARISON}
            line["p_posts"] = float(bootstrap_p(_draws(results, reference, name) - draws))
        lines.append(line)
    table = pd.DataFrame(lines)
    for p_value in P_VALUES:
        table[f"{p_value}_holm"] = holm(table[p_value].to_numpy(dtype=float))
    return table


def _draws(results: StudyResults, row: str, score: str) -> NDArray[np.float64]:
    """The score of resampled posts, (draws,); all NaN where none were kept."""
    draws = results.draws[row]
    if score not in draws:
        return np.full(max(len(draws), 1), np.nan)
    return draws[score].to_numpy(dtype=np.float64)
