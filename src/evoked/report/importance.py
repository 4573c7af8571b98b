"""What a model looks at: modalities that move its predictions, and features of trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evoked.explain.modalities import modality_sizes
from evoked.explain.posts import examples_of
from evoked.explain.readings import readings_of
from evoked.files import records
from evoked.models.hiding import MODALITY_NAMES
from evoked.posts.dataset import PostDataset
from evoked.report import charts
from evoked.report.charts import Chart
from evoked.report.held_out import HeldOutPosts
from evoked.runs.posts import Run

_POSTS = 64
_FEATURES = 12


@dataclass(frozen=True)
class ModalityShares:
    """How much each modality moves predictions.

    Attributes
    ----------
    charts
        Figures of the rows.
    rows
        One per modality: modality, and for each reading the size of the effect, as people are
        shown it, and its share (per cent of all).
    n
        Number of posts that they come from.
    """

    charts: list[Chart]
    rows: list[dict[str, Any]]
    n: int


@dataclass(frozen=True)
class TreeFeatures:
    """Which features trees use.

    Attributes
    ----------
    charts
        Figures of the rows.
    modalities
        One row per modality: modality, features (how many), importance, shap (per cent of all).
    features
        The most important ones: feature, modality, importance, shap.
    of
        Number of all features.
    """

    charts: list[Chart]
    modalities: list[dict[str, Any]]
    features: list[dict[str, Any]]
    of: int


def modalities_of_posts(run: Run, dataset: PostDataset, tested: HeldOutPosts) -> ModalityShares:
    """Mean size of the modalities' Shapley values over some test posts, drawn with a seed."""
    rows = np.sort(np.random.default_rng(0).permutation(len(tested))[:_POSTS])
    posts, paths = tested.posts.iloc[rows].reset_index(drop=True), dataset.cover_paths()
    images = [paths[row] for row in tested.rows[rows]]
    examples, _ = examples_of(run, posts, images, history=dataset.posts)
    sizes = modality_sizes(run.model, examples).rename(index=MODALITY_NAMES)
    shares = 100 * sizes / sizes.sum().where(sizes.sum() > 0)
    readings = readings_of(type(run.task))
    drawn = [
        charts.importances(
            {str(k): float(v) for k, v in shares[each.name].sort_values()[::-1].items()},
            each.title,
            f"{each.title}: share of each modality in what moves the prediction (mean size of its "
            f"Shapley value, n = {len(rows)} test posts).",
        )
        for each in readings
        if shares[each.name].notna().all()
    ]
    table = []
    for modality in sizes.index:
        row: dict[str, Any] = {"modality": modality}
        for each in readings:
            row[each.name] = {
                "size": sizes.loc[modality, each.name] * each.scale,
                "share": shares.loc[modality, each.name],
            }
        table.append(row)
    return ModalityShares(drawn, table, len(rows))


def features_of_trees(run: Run) -> TreeFeatures | None:
    """Importance of features and of their modalities; None for models that don't measure it."""
    modalities, features = run.model.modality_importance(), run.model.feature_importance()
    if modalities is None or features is None:
        return None
    if run.pipeline.metadata is not None:
        names = enumerate(run.pipeline.metadata.names)
        features = features.replace({"feature": {f"metadata {n}": name for n, name in names}})
    shown = features.head(_FEATURES)
    of = "share of the mean size of SHAP values over validation posts (training posts if none)"
    drawn = [
        charts.importances(
            dict(zip(modalities["modality"], modalities["shap"], strict=True)),
            "By modality",
            f"By modality: {of}; n = {len(features)} features.",
        ),
        charts.importances(
            dict(zip(shown["feature"], shown["shap"], strict=True)),
            "By feature",
            f"By feature: {of}; the {len(shown)} with most of n = {len(features)}.",
        ),
    ]
    return TreeFeatures(drawn, records(modalities), records(shown), len(features))
