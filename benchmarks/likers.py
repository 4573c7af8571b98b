"""Real likes on the graph: whose posts does a user like, and what do their captions evoke?

A network of likes without pictures or comments (``evoked import edges``). Every like gets the
emotion that the project's reader finds in the post's caption: of the eight the one whose own name
the reader puts nearest, each dimension by its spread over the captions. So all likes of a post have
one emotion, and only posts that are new when tested ask for more than memory.

*Link*: likes held out at random of users who like something else, too, each beside a post that the
same user does not like (drawn evenly); AUC of which of the two is the like, from HMG-Emo with
negative sampling, and from how many training likes the post has. *Emotion*: macro F1 on likes of
held-out posts, and on likes held out at random, where a post's own majority is the truth.

The last line is JSON, with times and the peak memory of the process. Run:

    evoked import edges LIKES likers
    python benchmarks/likers.py likers
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from record import add_json_option, finish

from evoked.affect import text_reader
from evoked.evaluation import classification, metrics
from evoked.evaluation.splits import VIEWING_FRACTIONS, Split, choose_split
from evoked.features.cache import FeatureCache
from evoked.features.viewings import ViewingData, read_network
from evoked.models import MODELS, VIEWING_BASELINES, Examples
from evoked.models.hmg_emo import HMGEmo, HMGEmoSettings
from evoked.models.viewings import viewing_examples
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import MIKELS
from evoked.targets import Emotion, emotion_classes
from evoked.training import TrainingSettings

Integers = NDArray[np.int64]


def read_emotions(captions: pd.Series) -> pd.Series:
    """The emotion nearest to what the reader finds in each caption; missing without a caption."""
    reader = text_reader()
    read = reader.predict([None if pd.isna(text) else text for text in captions])
    names = reader.predict(list(MIKELS))
    distances = np.abs((read[:, None] - names) / np.nanstd(read, axis=0)).sum(axis=2)
    known = np.isfinite(distances).all(axis=1)
    nearest = np.array(MIKELS, dtype=object)[np.nan_to_num(distances).argmin(axis=1)]
    return pd.Series(nearest).where(known)


def with_emotions(network: ViewingData, posts: pd.DataFrame) -> ViewingData:
    """The network whose viewings have the emotion of their post's caption."""
    emotions = read_emotions(posts["caption"])
    of_viewing = emotions.to_numpy()[network.graph.viewings[1]]
    codes = emotion_classes(pd.Series(of_viewing))
    return replace(
        network,
        graph=replace(network.graph, emotions=codes),
        viewings=network.viewings.assign(emotion=of_viewing),
    )


def others_of_users(network: ViewingData, rows: Integers, learned: Integers) -> Integers:
    """The rows whose user has a training like."""
    users = network.graph.viewings[0]
    return rows[np.isin(users[rows], users[learned])]


def pairs_never_met(network: ViewingData, rows: Integers, seed: int) -> Integers:
    """For each viewing a liked post that its user does not like: (n,) rows of images."""
    graph, random = network.graph, np.random.default_rng(seed)
    met = set(map(tuple, graph.viewings.T.tolist()))
    drawn = random.integers(len(graph.images), size=(len(rows), 20))
    users = graph.viewings[0, rows]
    return np.array(
        [
            next(int(image) for image in images if (int(user), int(image)) not in met)
            for user, images in zip(users, drawn, strict=True)
        ]
    )


def link_scores(
    network: ViewingData, split: Split, training: TrainingSettings, folder: Path
) -> dict[str, Any]:
    """AUC of likes against pairs that never met."""
    model = HMGEmo(HMGEmoSettings(negative_sampling=True))
    task = Emotion.fit(network.viewings)
    train, validation = (
        viewing_examples(network, model, task, split.train, rows)
        for rows in (split.train, split.validation)
    )
    started = time.perf_counter()
    model.fit(train, validation, folder=folder, training=training)
    seconds = time.perf_counter() - started
    rows = others_of_users(network, split.test, split.train)
    real = viewing_examples(network, model, None, split.train, rows)
    never = pairs_never_met(network, rows, training.seed)
    made_up = Examples(
        real.posts.assign(image=never, viewing=-1),
        network.features(model.features, rows),
        None,
        real.graph,
    )
    truth = np.repeat([1.0, 0.0], len(rows))
    images = np.concatenate([network.graph.viewings[1, rows], never])
    likes = np.bincount(network.graph.viewings[1, split.train], minlength=len(network.graph.images))
    found = np.concatenate([model.existence(real), model.existence(made_up)])
    return {
        "n": len(truth),
        "hmg_emo AUC": float(metrics.roc_auc(truth, found)),
        "likes of the post AUC": float(metrics.roc_auc(truth, likes[images].astype(float))),
        "chance AUC": 0.5,
        "fit_seconds": round(seconds, 1),
    }


def emotion_scores(
    network: ViewingData, split: Split, training: TrainingSettings, folder: Path
) -> dict[str, Any]:
    """Macro F1 of HMG-Emo and of the trivial baselines."""
    task = Emotion.fit(network.viewings)
    found: dict[str, Any] = {"n": len(split.test)}
    for kind in (*VIEWING_BASELINES, MODELS["hmg_emo"]):
        model = kind(task=task.name)
        train, validation, test = (
            viewing_examples(network, model, task, split.train, rows)
            for rows in (split.train, split.validation, split.test)
        )
        model.fit(train, validation, folder=folder / kind.name, training=training)
        predicted = model.predict(test).to_numpy().argmax(axis=1)
        truth = network.graph.emotions[split.test].astype(float)
        truth[truth < 0] = np.nan
        found[f"{kind.name} macro F1"] = float(classification.macro_f1(truth, predicted))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path(".cache/likers"))
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = PostDataset(arguments.dataset)
    # Posts without any known like would make pairs that never met too easy to recognise.
    liked = dataset.posts["post_id"].isin(dataset.table("viewings")["post_id"])
    dataset = dataset.select(liked.to_numpy())
    started = time.perf_counter()
    network = read_network(dataset, cache=FeatureCache(arguments.work / "cache"))
    network = with_emotions(network, dataset.posts)
    graph = network.graph
    result: dict[str, Any] = {
        "users": len(graph.users),
        "posts": len(graph.images),
        "likes": graph.viewings.shape[1],
        "emotions": network.viewings["emotion"].value_counts(dropna=False).to_dict(),
        "read_seconds": round(time.perf_counter() - started, 1),
    }
    training = TrainingSettings(
        max_epochs=arguments.epochs,
        batch_size=4096,
        learning_rate=0.003,
        weight_decay=0.0,
        device="cpu",
        seed=arguments.seed,
    )
    for kind in ("random", "image"):
        split = choose_split(network.viewings, kind, arguments.seed, VIEWING_FRACTIONS)
        place = arguments.work / f"{kind}-{arguments.seed}"
        if kind == "random":
            result["link"] = link_scores(network, split, training, place / "link")
        result[f"emotion, split by {kind}"] = emotion_scores(network, split, training, place)
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    finish(arguments, result, code=["src/evoked/models/hmg_emo.py"])


if __name__ == "__main__":
    main()
