"""What learning on a user–image graph costs at the paper's size, and how that grows.

The graph is that of a synthetic network (see ``evoked synth --network``) with 108,899 users, 85,157
images, 1.65 M connections and 198 k viewings times ``--scales``; vectors are random, as long as
ResNet-50's (2,048) and multilingual BERT's (768), in 16 bits. A tenth of the viewings are held out
for testing, a tenth for validation. Every side runs in a process of its own, one after another:

- *sampled*: HMG-Emo on sampled neighbourhoods, as ``evoked train`` does it, with the defaults and
  with the paper's depth; 20 steps are timed and the epoch is extrapolated. Then the validation
  viewings are predicted on the whole graph;
- *whole*: the same, every step on the whole graph (left out at full size, where it takes a step
  per batch and hours);
- *plain*: PyTorch Geometric's HeteroConv of GATConv on the whole graph, of the same depth and
  width, one step on all training viewings at once, which is its epoch;
- *label_spreading*: its hypergraph, built and solved for the validation viewings.

Peak memory is that of the whole process, data included; ``idle`` is the same process with the data
and before it learns.

Run: ``OMP_NUM_THREADS=1 python benchmarks/graph.py``; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from record import add_json_option, finish
from torch import Tensor, nn

from evoked.features.social_graph import SocialGraph
from evoked.features.table import Column, FeatureTable
from evoked.layers.heads import classifier
from evoked.models.base import Examples
from evoked.models.hmg_emo import HMGEmo, HMGEmoSettings
from evoked.models.label_spreading import LabelSpreading
from evoked.posts.schema import MIKELS
from evoked.posts.synthetic.society import PUBLISHED_SIZE, NetworkSize, Society, draw_society
from evoked.targets import Emotion
from evoked.training import TrainingSettings

IMAGE_WIDTH, TEXT_WIDTH = 2048, 768
BATCH_SIZE = 512
PAPER_LAYERS = 5
TIMED_STEPS = 20  # of an epoch, which would take minutes


def vectors(n: int, width: int, present: NDArray[np.bool_] | None = None) -> Column:
    """Random vectors in 16 bits."""
    random = np.random.default_rng(n)
    values = np.empty((n, width), dtype=np.float16)
    for start in range(0, n, 4096):
        part = values[start : start + 4096]
        part[:] = random.standard_normal(part.shape, dtype=np.float32)
    return Column.dense(values, present)


def graph_of(society: Society) -> SocialGraph:
    """The network with random vectors."""
    users, images = len(society.community), len(society.theme)
    grouped = np.bincount(society.memberships[0], minlength=users) > 0
    one, other = society.connections
    return SocialGraph(
        users=np.array([f"user-{user}" for user in range(users)], dtype=object),
        images=np.array([f"image-{image}" for image in range(images)], dtype=object),
        user_vectors=vectors(users, TEXT_WIDTH, grouped),
        image_vectors=vectors(images, IMAGE_WIDTH),
        comment_vectors=vectors(len(society.viewed), TEXT_WIDTH, society.has_comment),
        viewings=society.viewings,
        emotions=society.emotion,
        times=society.viewed.astype(np.float64),
        connections=np.stack([np.concatenate([one, other]), np.concatenate([other, one])]),
        memberships=society.memberships,
    )


def examples_at(scale: float) -> tuple[Examples, Examples]:
    """Training and validation viewings, 8 : 1."""
    size = NetworkSize(*(round(count * scale) for count in PUBLISHED_SIZE))
    graph = graph_of(draw_society(size, seed=0))
    order = np.random.default_rng(0).permutation(graph.viewings.shape[1])
    train, validation, _ = np.split(order, [int(0.8 * len(order)), int(0.9 * len(order))])
    shown = graph.with_viewings(train)
    return (
        viewing_examples(graph, train, shown, np.arange(len(train))),
        viewing_examples(graph, validation, shown, np.full(len(validation), -1)),
    )


def viewing_examples(
    graph: SocialGraph, rows: NDArray[np.int64], shown: SocialGraph, places: NDArray[np.int64]
) -> Examples:
    """The viewings at ``rows``, in the graph ``shown``."""
    users, images = graph.viewings[:, rows]
    posts = pd.DataFrame(
        {
            "user_id": graph.users[users],
            "post_id": graph.images[images],
            "viewed_at": pd.to_datetime(graph.times[rows], unit="s", utc=True),
            "emotion": np.array(MIKELS, dtype=object)[graph.emotions[rows]],
            "user": users,
            "image": images,
            "viewing": places,
        }
    )
    features = FeatureTable(
        {
            "user.vector": graph.user_vectors.select(users),
            "image.vector": graph.image_vectors.select(images),
        }
    )
    return Examples(posts, features, Emotion().transform(posts), shown)


def learn(
    train: Examples,
    validation: Examples,
    full_graph: str,
    layers: int,
    steps: int | None = None,
) -> dict[str, Any]:
    """One epoch of HMG-Emo, or so many steps of one, in the graph of all training viewings."""
    model = HMGEmo(HMGEmoSettings.model_validate({"full_graph": full_graph, "layers": layers}))
    training = TrainingSettings(
        max_epochs=1, batch_size=BATCH_SIZE, learning_rate=0.005, device="cpu"
    )
    in_epoch = -(-len(train) // BATCH_SIZE)
    measured = min(steps or in_epoch, in_epoch)
    part = train.select(np.arange(min(measured * BATCH_SIZE, len(train))))
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time(), time.perf_counter()
        model.fit(part, folder=Path(folder), training=training)
        learned = time.process_time(), time.perf_counter()
    model.predict(validation)
    share = measured / in_epoch
    return {
        "layers": layers,
        "width": model.settings.width,
        "steps": in_epoch,
        "steps_measured": measured,
        "epoch_is_extrapolated": measured < in_epoch,
        "epoch_seconds": round((learned[1] - started[1]) / share, 1),
        "epoch_processor_seconds": round((learned[0] - started[0]) / share, 1),
        "whole_graph_prediction_seconds": round(time.perf_counter() - learned[1], 1),
        "predicted": len(validation),
    }


class PlainNetwork(nn.Module):
    """What PyTorch Geometric's manual suggests: HeteroConv of GATConv, everything at once."""

    def __init__(self, settings: HMGEmoSettings) -> None:
        from torch_geometric.nn import GATConv, HeteroConv

        super().__init__()
        width = settings.width
        self.user = nn.Linear(TEXT_WIDTH, settings.user_width)
        self.image = nn.Linear(IMAGE_WIDTH, settings.image_width)
        self.comment = nn.Linear(TEXT_WIDTH, settings.comment_width)
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for layer in range(settings.layers):
            users, images = (width, width) if layer else (settings.user_width, settings.image_width)
            edge: dict[str, Any] = {"edge_dim": settings.comment_width, "add_self_loops": False}
            self.layers.append(
                HeteroConv(
                    {
                        ("user", "views", "image"): GATConv((users, images), width, **edge),
                        ("image", "viewed_by", "user"): GATConv((images, users), width, **edge),
                        ("user", "connects", "user"): GATConv((users, users), width),
                    }
                )
            )
            self.norms.append(
                nn.ModuleDict({kind: nn.BatchNorm1d(width) for kind in ("user", "image")})
            )
        self.classify = classifier(2 * width, 2 * width, len(MIKELS), settings.dropout)

    def forward(
        self, user: Tensor, image: Tensor, comment: Tensor, viewings: Tensor, connections: Tensor
    ) -> Tensor:
        """Scores of all viewings."""
        nodes = {"user": self.user(user), "image": self.image(image)}
        words = self.comment(comment)
        ends = {
            ("user", "views", "image"): viewings,
            ("image", "viewed_by", "user"): viewings.flip(0),
            ("user", "connects", "user"): connections,
        }
        features = {name: words for name in ends if name[1] != "connects"}
        stages: Any = zip(self.layers, self.norms, strict=True)
        for layer, norms in stages:
            said = layer(nodes, ends, edge_attr_dict=features)
            nodes = {kind: norms[kind](value).relu() for kind, value in said.items()}
        pairs = torch.cat([nodes["user"][viewings[0]], nodes["image"][viewings[1]]], dim=1)
        scores: Tensor = self.classify(pairs)
        return scores


def plain(train: Examples, layers: int) -> dict[str, Any]:
    """One step of PyTorch Geometric's network on everything."""
    graph = train.graph
    assert graph is not None
    settings = HMGEmoSettings(layers=layers)
    network = PlainNetwork(settings)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    columns = graph.user_vectors, graph.image_vectors, graph.comment_vectors
    tensors = [column.take(np.arange(len(column.index)))[""] for column in columns]
    ends = torch.from_numpy(graph.viewings), torch.from_numpy(graph.connections)
    started = time.process_time(), time.perf_counter()
    scores = network(*tensors, *ends)
    loss = nn.functional.cross_entropy(scores, torch.from_numpy(graph.emotions))
    loss.backward()
    optimizer.step()
    return {
        "layers": layers,
        "width": settings.width,
        "step_seconds": round(time.perf_counter() - started[1], 1),
        "step_processor_seconds": round(time.process_time() - started[0], 1),
    }


def solve(train: Examples, validation: Examples) -> dict[str, Any]:
    """Label spreading without the choice of its weights: one system, built and solved."""
    model = LabelSpreading()
    with tempfile.TemporaryDirectory() as folder:
        model.fit(train, folder=Path(folder))
    started = time.process_time(), time.perf_counter()
    model.predict(validation)
    return {
        "relations": list(model.relation_weights),
        "build_and_solve_seconds": round(time.perf_counter() - started[1], 1),
        "build_and_solve_processor_seconds": round(time.process_time() - started[0], 1),
    }


DEFAULT_LAYERS = HMGEmoSettings().layers
SIDES: dict[str, Callable[[Examples, Examples], dict[str, Any]]] = {
    "plain": lambda train, validation: plain(train, DEFAULT_LAYERS),
    "plain_paper_depth": lambda train, validation: plain(train, PAPER_LAYERS),
    "label_spreading": solve,
    "whole": lambda train, validation: learn(train, validation, "always", DEFAULT_LAYERS),
    "sampled_paper_depth": lambda train, validation: learn(
        train, validation, "never", PAPER_LAYERS, TIMED_STEPS
    ),
    "sampled": lambda train, validation: learn(
        train, validation, "never", DEFAULT_LAYERS, TIMED_STEPS
    ),
}


def peak_gigabytes() -> float:
    """Largest resident size of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def measure(side: str, scale: float) -> None:
    """What a child process does."""
    torch.set_num_threads(1)
    train, validation = examples_at(scale)
    idle = peak_gigabytes()
    found = SIDES[side](train, validation)
    print(json.dumps({**found, "peak_gigabytes": peak_gigabytes(), "idle_gigabytes": idle}))


def in_child(side: str, scale: float) -> dict[str, Any]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--side", side, "--scales", str(scale)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        return {"failed": finished.stderr.strip().splitlines()[-1:] or finished.returncode}
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def growth(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How many times the smallest scale's seconds and memory the largest one's are."""
    measured = [figures for figures in found.values() if "failed" not in figures]
    if len(measured) < 2:
        return {}
    names = [name for name in measured[0] if name.endswith(("processor_seconds", "gigabytes"))]
    small, large = measured[0], measured[-1]
    return {"growth": {name: round(large[name] / max(small[name], 0.05), 1) for name in names}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--side", choices=SIDES, help="measure one, in this process")
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.side:
        measure(arguments.side, arguments.scales[0])
        return
    figures: dict[str, Any] = {"batch_size": BATCH_SIZE, "threads": 1}
    for side in arguments.sides:
        found = {}
        for scale in arguments.scales:
            if side == "whole" and scale > 0.5:
                continue
            found[str(scale)] = in_child(side, scale)
            print(f"{side} at {scale}: {json.dumps(found[str(scale)])}", flush=True)
        figures[side] = found | growth(found)
    finish(
        arguments,
        figures,
        code=["src/evoked/models/hmg_emo.py", "src/evoked/models/label_spreading.py"],
        libraries=("torch", "torch-geometric"),
    )


if __name__ == "__main__":
    main()
