"""Popularity for one author on real posts: Dual-Attention beside what a practitioner would try.

Reads a JSONL file of posts with author, caption and likes; they need no pictures. Labels are the
paper's: of each author's posts the top and the bottom quarter of likes, drawn over all posts.
Everything else (topics, environments, metadata) is learned from the training posts: of all posts
20 % are test posts, and of the others 10 % choose epochs and regularisation. Each seed draws
another split. Logistic regression and CatBoost get the same inputs: caption vector, environments,
metadata; both once more on what Dual-Attention's setting ``contrast`` takes, the caption vector
minus the author's mean, and metadata. Evoked's own linear model takes what it always does, hashtags
among it.

Run: ``python benchmarks/dual_attention.py posts.jsonl --json FILE``; the last line is JSON, too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from catboost import CatBoostClassifier
from numpy.typing import NDArray
from record import add_json_option, finish, table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import evoked
from evoked.features.cache import FeatureCache
from evoked.features.pipeline import FeaturePipeline
from evoked.features.table import FeatureTable
from evoked.models import Examples, build_model
from evoked.models.dual_attention import ENVIRONMENTS
from evoked.models.pooled import FEATURES as POOLED_FEATURES
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts
from evoked.targets import AuthorQuartiles
from evoked.training import TrainingSettings

INPUTS = ("caption.vector", "environment.caption", "environment.topics", "metadata")
NETWORK_FEATURES = ("caption.tokens", "image.map", "image.vector", *ENVIRONMENTS)
# Section IV-B of the paper.
TRAINING = TrainingSettings(
    max_epochs=12,
    patience=4,
    batch_size=128,
    learning_rate=1e-3,
    schedule="drop",
    warmup=0.0,
    weight_decay=0.0,
    device="cpu",
)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear, as evoked has it": ("linear", {}),
    "explicit attention": ("dual_attention", {"environment": False}),
    "dual-attention": ("dual_attention", {}),
    "dual-attention + metadata + contrast": (
        "dual_attention",
        {"metadata": True, "contrast": True},
    ),
}
REGULARISATION = (1e-5, 1e-4, 1e-3, 1e-2)

Floats = NDArray[np.float64]


class Parts(NamedTuple):
    """Rows of labelled posts."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split(labels: Floats, seed: int) -> tuple[Parts, NDArray[np.int64]]:
    """Labelled rows of each part, and all training rows."""
    order = np.random.default_rng(seed).permutation(len(labels))
    test, rest = np.split(order, [len(order) // 5])
    validation, train = np.split(rest, [len(rest) // 10])
    known = [rows[np.isfinite(labels[rows])] for rows in (train, validation, test)]
    return Parts(*known), train


def matrix(features: FeatureTable, *, contrast: bool) -> Floats:
    """Inputs of the models that are no networks, (n, width)."""
    batch = features.take(np.arange(len(features)))
    values = {name: batch[name].numpy().astype(np.float64) for name in INPUTS}
    if contrast:
        different = values["caption.vector"] - values["environment.caption"]
        return np.hstack([different, values["metadata"]])
    return np.hstack([*values.values()])


def logistic(inputs: Floats, labels: Floats, parts: Parts, seed: int) -> Floats:
    """Probabilities of the test posts; the regularisation is the validation posts' choice."""
    best, chosen = -1.0, None
    for strength in REGULARISATION:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        model.fit(inputs[parts.train], labels[parts.train])
        score = model.score(inputs[parts.validation], labels[parts.validation])
        if score > best:
            best, chosen = score, model
    assert chosen is not None
    return np.asarray(chosen.predict_proba(inputs[parts.test])[:, 1])


def boosted(inputs: Floats, labels: Floats, parts: Parts, seed: int) -> Floats:
    """Probabilities of the test posts; the number of trees is the validation posts' choice."""
    model = CatBoostClassifier(
        iterations=500,
        depth=4,
        learning_rate=0.05,
        rsm=0.2,
        border_count=32,
        early_stopping_rounds=50,
        random_seed=seed,
        thread_count=1,
        logging_level="Silent",
        allow_writing_files=False,
    )
    held_out = (inputs[parts.validation], labels[parts.validation])
    model.fit(inputs[parts.train], labels[parts.train], eval_set=held_out)
    return np.asarray(model.predict_proba(inputs[parts.test])[:, 1])


def own_model(
    name: str, settings: dict[str, Any], examples: Examples, parts: Parts, seed: int
) -> Floats:
    """Probabilities of the test posts by one of evoked's models."""
    model = build_model(name, settings, task=AuthorQuartiles.name)
    read = FeatureTable({name: examples.features.columns[name] for name in model.features})
    own = Examples(examples.posts, read, examples.targets)
    with tempfile.TemporaryDirectory() as folder:
        model.fit(
            own.select(parts.train),
            own.select(parts.validation),
            folder=Path(folder),
            training=TRAINING.model_copy(update={"seed": seed}),
        )
    return model.predict(own.select(parts.test))["popular"].to_numpy()


def scores(labels: Floats, probabilities: Floats) -> dict[str, float]:
    """Table I's four, and the area under the curve."""
    guessed = probabilities > 0.5
    return {
        "accuracy": float(accuracy_score(labels, guessed)),
        "F1": float(f1_score(labels, guessed, zero_division=0)),
        "precision": float(precision_score(labels, guessed, zero_division=0)),
        "recall": float(recall_score(labels, guessed)),
        "AUC": float(roc_auc_score(labels, probabilities)),
    }


def one_seed(
    dataset: PostDataset, cache: FeatureCache, seed: int
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Scores of every model on one split, and how many posts each part has."""
    posts, images = dataset.posts, dataset.cover_paths()
    targets = AuthorQuartiles.fit(posts).transform(posts)
    labels = targets.values[:, 0].astype(np.float64)
    parts, train = split(labels, seed)
    pipeline = FeaturePipeline([*INPUTS, *NETWORK_FEATURES, *POOLED_FEATURES])
    pipeline.fit(posts.iloc[train], seed, images=[images[row] for row in train], cache=cache)
    features, _ = pipeline.transform(posts, images, cache=cache)
    examples = Examples(posts, features, targets)
    majority = float(labels[parts.train].mean() > 0.5)
    probabilities = {"majority": np.full(len(parts.test), majority)}
    for suffix, contrast in (("", False), (", contrast", True)):
        inputs = matrix(features, contrast=contrast)
        probabilities[f"logistic regression{suffix}"] = logistic(inputs, labels, parts, seed)
        probabilities[f"CatBoost{suffix}"] = boosted(inputs, labels, parts, seed)
    for label, (name, settings) in MODELS.items():
        probabilities[label] = own_model(name, settings, examples, parts, seed)
    truth = labels[parts.test]
    rows = [
        {"model": name, "seed": seed, **scores(truth, found)}
        for name, found in probabilities.items()
    ]
    return rows, {name: len(rows) for name, rows in parts._asdict().items()}


def summary(scored: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, and the standard deviation of the accuracy."""
    grouped = scored.drop(columns="seed").groupby("model", sort=False)
    means = grouped.mean()
    means.insert(1, "SD", grouped["accuracy"].std())
    return means.reset_index()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="JSONL file of posts")
    parser.add_argument("--seeds", type=int, default=5, help="splits, each with its own seed")
    parser.add_argument("--work", type=Path, default=Path(".cache/instagram_authors"))
    add_json_option(parser)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    folder = chosen.work / "posts"
    dataset = (
        evoked.open(folder)
        if folder.is_dir()
        else import_posts("jsonl", chosen.source, folder).dataset
    )
    cache = FeatureCache(chosen.work / "cache")
    found: list[dict[str, Any]] = []
    parts: dict[str, int] = {}
    started = time.process_time()
    for seed in range(chosen.seeds):
        rows, parts = one_seed(dataset, cache, seed)
        found += rows
        accuracies = ", ".join(f"{row['model']} {row['accuracy']:.3f}" for row in rows)
        print(f"seed {seed}: {accuracies}", flush=True)
    means = summary(pd.DataFrame(found))
    minutes = (time.process_time() - started) / 60
    print(means.to_markdown(index=False, floatfmt=".3f"))
    figures = {
        "posts": len(dataset),
        "authors": dataset.describe()["authors"],
        "labelled posts of the last split": parts,
        "processor_minutes": round(minutes, 1),
    }
    finish(
        chosen,
        figures,
        tables={"models": table(means)},
        code=["src/evoked/models/dual_attention.py", "src/evoked/models/linear.py"],
    )


if __name__ == "__main__":
    main()
