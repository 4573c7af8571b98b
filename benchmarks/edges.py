"""What HMG-Emo knows without any edge: the same viewings in a graph that joins nobody to anything.

Splits, settings and seeds are those of the row ``hmg_emo`` of ``evoked reproduce hmg_emo/table2``
on the same network, real or rewired, so the two rows say what its edges are worth.

Run: ``OMP_NUM_THREADS=1 python benchmarks/edges.py NETWORK``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from record import add_json_option, finish
from sklearn.metrics import f1_score

from evoked.evaluation.splits import repeated_runs
from evoked.experiments import load_table
from evoked.features.cache import FeatureCache
from evoked.features.viewings import read_network
from evoked.models.base import Examples
from evoked.models.viewings import viewing_examples
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import MIKELS
from evoked.targets import Emotion


def without_edges(examples: Examples) -> Examples:
    """The same rows in a graph of the same nodes, without viewings and connections."""
    graph = examples.graph
    assert graph is not None
    nothing = np.arange(0)
    empty = replace(graph.with_viewings(nothing), connections=np.zeros((2, 0), np.int64))
    return replace(examples, posts=examples.posts.assign(viewing=-1), graph=empty)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=None)
    add_json_option(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    [row] = load_table("hmg_emo/table2").select(["hmg_emo"]).experiments
    dataset, cache = PostDataset(arguments.network), FeatureCache(arguments.cache)
    network = read_network(dataset, row.features, cache=cache)
    scores = []
    for split in repeated_runs(network.viewings, arguments.runs, "random", 0):
        model, task = row.build(), Emotion.fit(network.viewings.iloc[split.train])
        train, validation, test = (
            without_edges(viewing_examples(network, model, task, split.train, rows))
            for rows in (split.train, split.validation, split.test)
        )
        with tempfile.TemporaryDirectory() as folder:
            model.fit(train, validation, folder=Path(folder), training=row.training)
        found = np.array(MIKELS)[model.predict(test).to_numpy().argmax(axis=1)]
        scores.append(f1_score(test.posts["emotion"], found, average="macro"))
        print(f"macro F1 {scores[-1]:.4f} of {len(test)} viewings", flush=True)
    mean, deviation = float(np.mean(scores)), float(np.std(scores, ddof=1))
    figures = {"macro F1": mean, "deviation": deviation, "runs": len(scores)}
    finish(arguments, figures, code=["src/evoked/models/hmg_emo.py"])


if __name__ == "__main__":
    main()
