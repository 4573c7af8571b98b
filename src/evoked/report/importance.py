"""What a model looks at: modalities that move its predictions, and features of trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evoked.explain.modalities import modality_shares
from evoked.explain.posts import examples_of
from evoked.explain.readings import readings_of
from evoked.files import records
from evoked.models.pixelrec_catboost import PixelRecCatBoost
from evoked.posts.dataset import PostDataset
from evoked.report import charts
from evoked.report.charts import Chart
from evoked.report.held_out import HeldOutPosts
from evoked.run import Run

_POSTS = 64
_FEATURES = 12


@dataclass(frozen=True)
class ModalityShares:
    """How much each modality moves predictions.

    Attributes
    ----------
    charts
        Of the rows.
    rows
        Per modality: modality, and by reading its share in per cent.
    n
        Posts that they come from.
    """

    charts: list[Chart]
    rows: list[dict[str, Any]]
    n: int


@dataclass(frozen=True)
class TreeFeatures:
    """What trees look at.

    Attributes
    ----------
    charts
        Of the rows.
    modalities
        Per modality: modality, features (how many), importance, shap (per cent of all).
    features
        The most important ones: feature, modality, importance, shap.
    of
        How many features there are.
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
    shares = modality_shares(run.model, examples)
    drawn = [
        charts.importances(
            shares[each.name].sort_values(ascending=False).to_dict(),
            each.title,
            f"{each.title}: share of each modality in what moves the prediction (mean size of its "
            f"Shapley value, n = {len(rows)} test posts).",
        )
        for each in readings_of(type(run.task))
        if shares[each.name].notna().any()
    ]
    return ModalityShares(drawn, records(shares.reset_index()), len(rows))


def features_of_trees(run: Run) -> TreeFeatures | None:
    """Importance of features and of their modalities, of a model that tells it."""
    if not isinstance(run.model, PixelRecCatBoost) or not run.model.importance.any():
        return None
    modalities, features = run.model.modality_importance(), run.model.feature_importance()
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
