"""HMG-Emo: which emotion a user feels at an image, on the graph of users and images.

Bhattacharyya, Yang and Wang (2024), *A Heterogeneous Multimodal Graph Learning Framework for
Recognizing User Emotions in Social Networks*. Equations are the paper's. What we add is a setting
marked *ours*, and :meth:`HMGEmoSettings.published` turns it off. The paper does not describe how
neighbourhoods are sampled; that is ours throughout.

Viewings of a training batch are taken out of message passing: otherwise what a user wrote, from
which the emotion was read, would reach the prediction of that same emotion.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from evoked.errors import SettingsError
from evoked.features.social_graph import SocialGraph
from evoked.features.table import Batch, FeatureTable
from evoked.layers.gathering import gathered
from evoked.layers.heads import classifier
from evoked.layers.losses import macro_f1, masked_log_loss
from evoked.layers.message_passing import (
    NODES,
    RELATIONS,
    AttentionLayer,
    ConvolutionLayer,
    Edges,
    NodeNorm,
    Nodes,
)
from evoked.models.base import Examples, ModelSettings
from evoked.models.explanations import Neighbour, ViewingExplanation
from evoked.models.neural import NeuralModel
from evoked.models.viewings import class_weights, graph_of
from evoked.posts.schema import MIKELS
from evoked.targets import Emotion
from evoked.training.loop import fit_network, predict_network
from evoked.training.neighbours import ALL, UNKNOWN_EMOTION, ViewingBatches, WholeGraph
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

# Edges and nodes of the graph, times layers. In larger graphs, sampling takes less than a third of
# the time (a tenth of the paper's network, batches of 512: 7 in place of 30 s an epoch).
_LARGEST_WHOLE_GRAPH = 300_000
_ROWS_AT_A_TIME = 8192
# Of β with the bounded gate.
_LARGEST_EXPONENT = 3.0
_MOST_NEIGHBOURS = 8
# Parts of a neighbourhood that can be hidden, to see how much each matters.
PARTS = ("image", "user", "comment", "emotions", "viewings", "connections")


class HMGEmoSettings(ModelSettings):
    """Settings of HMG-Emo; the defaults are what we found best, :meth:`published` the paper's."""

    backbone: Literal["gat", "sage", "conv"] = Field(
        "gat",
        description="attention, GraphSAGE or GraphConv (Table IV); the latter two use no "
        "features of viewings",
    )
    layers: int = Field(3, ge=1, description="layers of message passing (paper: 5)")
    width: int = Field(64, ge=4, description="channels of nodes within the graph")
    user_width: int = Field(64, ge=4, description="channels of a user's groups (paper: 128)")
    image_width: int = Field(64, ge=4, description="channels of a picture (paper: 128)")
    comment_width: int = Field(64, ge=4, description="channels of a comment (paper: 256)")
    comments: bool = Field(True, description="use the comments of viewings (without: -{T})")
    adaptive: bool = Field(True, description="adaptive combination, Eq. 5 (without: -{AC})")
    gate: Literal["channels", "scalar", "bounded", "published"] = Field(
        "channels",
        description="β of the adaptive combination: one per channel in (0, 1) or one in (0, 1) "
        "(ours), or as published, where β starts at 1, which silences the image, and has no bound; "
        "bounded: the same up to 20 (ours)",
    )
    combination: Literal["concatenation", "sum", "product"] = "concatenation"
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout in the classification module")
    graph_dropout: float = Field(
        0.2, ge=0, lt=1, description="dropout of vectors and after each layer (ours; paper: 0)"
    )
    own_comment: bool = Field(
        False,
        description="the viewing under prediction is in the graph, with its comment if comments "
        "are used (the paper's protocol; most labels were read from these comments)",
    )
    negative_sampling: bool = Field(
        False,
        description="also learn to distinguish viewings from as many random pairs of the same "
        "users and images (Table V)",
    )
    class_balance: float = Field(
        0.3,
        ge=0,
        le=1,
        description="weight of an emotion: its frequency to the power of minus "
        "this (1: all emotions count the same)",
    )
    fan_out: tuple[int, ...] = Field(
        (10, 5, 3, 2, 2),
        min_length=1,
        description="neighbours per relation that are sampled at "
        "each hop in training; the last one holds for all further ones",
    )
    most_neighbours: int = Field(
        1024,
        ge=1,
        description="users, and images, that a hop may add to a sample (ours), so that the cost of "
        "a step does not grow with the network",
    )
    full_graph: Literal["auto", "always", "never"] = Field(
        "auto",
        description="train on the whole graph at every step; auto: if it is small and a sample "
        "would contain most of it",
    )
    input_norm: bool = Field(
        True, description="bring what vectors differ in to one scale before all else (ours)"
    )
    known_emotions: bool = Field(
        True, description="the emotion of other viewings is a feature of them (ours)"
    )
    edge_messages: bool = Field(
        True, description="features of viewings are part of messages, not only of attention (ours)"
    )
    residual: bool = Field(
        True, description="each layer adds to the output of the one before (ours)"
    )
    jump: bool = Field(
        True,
        description="combine the inputs and the outputs of all layers, not only of the last one "
        "(ours)",
    )
    keep: Literal["macro_f1", "loss"] = Field(
        "macro_f1", description="score on the validation viewings that decides which epoch is kept"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> HMGEmoSettings:
        reads = [name for name in ("comments", "known_emotions") if getattr(self, name)]
        if self.backbone != "gat" and reads:
            raise ValueError(
                f"the backbone {self.backbone!r} uses no features of viewings: set "
                f"{' and '.join(reads)} to false"
            )
        compared = self.combination != "concatenation" or self.gate == "channels"
        if compared and self.jump and self.user_width != self.image_width:
            raise ValueError(
                "users and images need equal user_width and image_width, unless gate is another "
                "than 'channels' and combination 'concatenation', or jump is false"
            )
        return self

    @classmethod
    def published(cls, **changes: Any) -> HMGEmoSettings:
        """The paper's configuration (Sections III-C and IV-B), without our additions to the network
        and the loss.

        ``own_comment=True`` adds its protocol, with ``comments=False`` that of Tables IV and V.
        How it is trained is :attr:`HMGEmo.published_training`. What stays ours is the sampling of
        neighbourhoods, which the paper does not describe.
        """
        sizes = {
            "layers": 5,
            "width": 64,
            "user_width": 128,
            "image_width": 128,
            "comment_width": 256,
        }
        switches = ("input_norm", "known_emotions", "edge_messages", "residual", "jump")
        ours = {"class_balance": 0.0, "graph_dropout": 0.0, "gate": "published", "keep": "loss"}
        ours |= dict.fromkeys(switches, False)
        return cls(**{**sizes, **ours, **changes})

    @property
    def sampled(self) -> tuple[int, ...]:
        """Neighbours per relation at each hop."""
        last = self.fan_out[-1:]
        return (self.fan_out + last * self.layers)[: self.layers]


class HMGEmo(NeuralModel):
    """Heterogeneous multimodal graph learning of users' emotions."""

    name = "hmg_emo"
    description = "attention over a graph of users, images, comments and connections"
    source = "Bhattacharyya et al. 2024"
    tasks = (Emotion.name,)
    rows = "viewings"
    Settings = HMGEmoSettings

    settings: HMGEmoSettings
    default_training = TrainingSettings(
        max_epochs=20, batch_size=256, learning_rate=0.003, weight_decay=0.0
    )
    # Section IV-B: Adam with a cosine.
    published_training = TrainingSettings(
        max_epochs=20,
        patience=20,
        batch_size=512,
        learning_rate=0.005,
        weight_decay=0.0,
        warmup=0.0,
        clip=0,
    )

    @property
    def features(self) -> list[str]:
        own = ["viewing.comment"] if self.settings.own_comment else []
        return ["image.vector", "user.vector", *own]

    @property
    def caution(self) -> str:
        if not self.settings.own_comment:
            return ""
        if not self.settings.comments:
            return (
                "Its graph shows the viewing that it predicts, without comment and emotion: it "
                "knows that the user will view the image."
            )
        return (
            "It reads the comment of the viewing that it predicts, which does not exist before the "
            "user has commented, and from which the emotion was often read."
        )

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        training = training or self.default_training
        if training.processes > 1 and self.settings.full_graph == "always":
            raise SettingsError(
                f"{self.name}: with full_graph=always each device would compute the whole graph "
                "at every step, and several do no more than one. Leave it out, and each samples "
                "the neighbourhoods of its own viewings; or train on one device."
            )
        values = self._learn_targets(train)
        graph = graph_of(self, train)
        self.widths = graph.widths
        torch.manual_seed(training.seed)
        self.device = training.device
        self.network = self.build(self.widths)
        self.network.weigh_classes(values)
        assert train.targets is not None
        learned = self._batches(
            train,
            None if self._sees_whole_graph(train, training) else self.settings.sampled,
            self.settings.most_neighbours,
            learning=True,
            keep_edges=self.settings.own_comment,
            negatives=int(self.settings.negative_sampling),
            seed=training.seed,
        )
        held_out = None
        if validation is not None and validation.targets is not None and len(validation):
            held_out = (self._batches(validation), validation.targets)
        return fit_network(
            self.network,
            (learned, train.targets),
            held_out,
            training,
            folder,
            estimated_weight=self.estimated_weight,
            progress=progress,
        )

    @torch.inference_mode()
    def explain_viewings(self, examples: Examples) -> list[ViewingExplanation]:
        """Why each viewing is predicted as it is, with the names of up to 8 neighbours.

        A viewing that the graph shows is taken out of it first, so that it does not explain
        itself. Each viewing takes some ten passes over its neighbourhood.
        """
        self.check_features(examples.features)
        self.network.cpu().eval()
        near = self._batches(
            examples,
            (ALL,) * self.settings.layers,
            learning=True,
            keep_edges=self.settings.own_comment,
        )
        graph = graph_of(self, examples)
        rows = np.arange(len(examples))
        return [self._explain(near.take(rows[row : row + 1]), graph) for row in rows]

    def _explain(self, batch: Batch, graph: SocialGraph) -> ViewingExplanation:
        attention: list[dict[str, Tensor]] = []
        predicted = self.network(batch, attention=attention)[0]
        felt = int(predicted.argmax())

        def lost(without: Batch, hidden: Collection[str] = ()) -> float:
            return float(predicted[felt] - self.network(without, hidden)[0, felt])

        neighbours = []
        for alpha, relation, place in _strongest(batch, attention, _MOST_NEIGHBOURS):
            effect = lost(_left_out(batch, relation, place))
            who = int(
                batch[f"{relation}.source" if relation != "viewed_by" else "viewed_by.target"][
                    place
                ]
            )
            user, image, emotion = str(graph.users[int(batch["user.rows"][who])]), None, None
            if relation != "connects":
                viewing = int(batch["viewing.rows"][batch[f"{relation}.viewing"][place]])
                image = str(graph.images[graph.viewings[1, viewing]])
                emotion = [*MIKELS, None][graph.emotions[viewing]]
            neighbours.append(Neighbour(user, image, emotion, alpha, effect))
        return ViewingExplanation(
            MIKELS[felt],
            float(predicted[felt]),
            float(self.network.beta(batch)[0]) if self.settings.adaptive else None,
            {part: lost(batch, {part}) for part in self._parts},
            sorted(neighbours, key=lambda each: -abs(each.effect)),
        )

    @property
    def _parts(self) -> list[str]:
        unread = {
            "comment": not self.settings.comments,
            "emotions": not self.settings.known_emotions,
        }
        return [part for part in PARTS if not unread.get(part)]

    def existence(self, examples: Examples) -> NDArray[np.float32]:
        """Probability that a user views an image at all, (n,), whatever they feel.

        It is learned from viewings beside as many random pairs of the same users and images, so it
        says how well the two suit each other beyond how active the user and how popular the image
        is; it is not a share of viewings. With ``own_comment`` it says what the graph shows.

        Raises
        ------
        SettingsError
            The model was trained without ``negative_sampling``.
        """
        found = self.pair_probabilities(examples)
        if found is None:
            raise SettingsError(
                f"this {self.name} learned nothing about random pairs: train it with "
                "negative_sampling=true."
            )
        existence: NDArray[np.float32] = found[:, : len(MIKELS)].sum(axis=1)
        return existence

    def pair_probabilities(self, examples: Examples) -> NDArray[np.float32] | None:
        if not self.settings.negative_sampling:
            return None
        return self._outputs(examples, "pairs")

    def build(self, widths: dict[str, int]) -> nn.Module:
        return HMGEmoNetwork(self.settings, widths)

    def _outputs(self, examples: Examples, method: str = "forward") -> NDArray[np.float32]:
        return predict_network(
            self.network, self._batches(examples), self.device, method, _ROWS_AT_A_TIME
        )

    def _batches(
        self,
        examples: Examples,
        fan_out: Sequence[int] | None = None,
        most: int | None = None,
        **options: Any,
    ) -> ViewingBatches:
        graph = graph_of(self, examples)
        for name, width in graph.widths.items():
            if width != self.widths[name]:
                raise SettingsError(
                    f"{self.name} was trained on {name} of width {self.widths[name]}, and the "
                    f"graph holds {width}; use the encoders it was trained with."
                )
        return ViewingBatches(_places(examples), examples.features, graph, fan_out, most, **options)

    def _sees_whole_graph(self, train: Examples, training: TrainingSettings) -> bool:
        """Whether every training step uses the whole graph; several devices sample, since each
        would compute it in full."""
        if training.processes > 1:
            return False
        if self.settings.full_graph != "auto":
            return bool(self.settings.full_graph == "always")
        graph = graph_of(self, train)
        edges = 2 * graph.viewings.shape[1] + graph.connections.shape[1]
        nodes = len(graph.users) + len(graph.images)
        frontier, reached = 2.0 * training.batch_size, 0.0
        for neighbours in self.settings.sampled:
            # A user has neighbours of two relations, an image of one.
            found = 1.5 * neighbours * frontier
            frontier = min(found, 2.0 * self.settings.most_neighbours)
            reached += found
        return edges + nodes < min(_LARGEST_WHOLE_GRAPH / self.settings.layers, reached)


class HMGEmoNetwork(nn.Module):
    """The network of Figure 2.

    Parameters
    ----------
    settings
        Sizes and parts.
    widths
        Widths of ``user.vector``, ``image.vector`` and ``viewing.comment``.
    """

    class_weights: Tensor

    def __init__(self, settings: HMGEmoSettings, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.settings = settings

        # Unimodal processing (Section III-B).
        sizes = {"user": settings.user_width, "image": settings.image_width}
        encoder = partial(PresentVectors, dropout=settings.graph_dropout, norm=settings.input_norm)
        self.inputs = nn.ModuleDict(
            {kind: encoder(f"{kind}.vector", kind, widths, size) for kind, size in sizes.items()}
        )
        edge_width = settings.comment_width
        self.comment: nn.Module | None = None
        if settings.comments:
            self.comment = encoder("viewing.comment", "comment", widths, edge_width)
        self.emotion: nn.Module | None = (
            nn.Embedding(UNKNOWN_EMOTION + 1, edge_width) if settings.known_emotions else None
        )
        if self.comment is None and self.emotion is None:
            edge_width = 0

        # Graph learning (Section III-C1): batch normalisation and ReLU after each layer.
        self.dropout = nn.Dropout(settings.graph_dropout)
        self.layers, self.norms, self.skips = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        incoming = sizes
        for _ in range(settings.layers):
            self.layers.append(_layer(settings, incoming, edge_width))
            self.norms.append(nn.ModuleDict({kind: NodeNorm(settings.width) for kind in NODES}))
            skips = {kind: nn.Linear(incoming[kind], settings.width, bias=False) for kind in NODES}
            self.skips.append(nn.ModuleDict(skips if settings.residual else {}))
            incoming = dict.fromkeys(NODES, settings.width)

        # Adaptive combination (Section III-C2) and classification.
        final = incoming
        if settings.jump:
            final = {kind: size + settings.layers * settings.width for kind, size in sizes.items()}
        weights = {
            kind: nn.Linear(size, final["user"] if settings.gate == "channels" else 1, bias=False)
            for kind, size in final.items()
        }
        self.weight = nn.ModuleDict(weights if settings.adaptive else {})
        together = sum(final.values()) if settings.combination == "concatenation" else final["user"]
        # The class after the emotions is that of random pairs.
        classes = len(MIKELS) + int(settings.negative_sampling)
        self.classify = classifier(together, 2 * settings.width, classes, settings.dropout)
        self.register_buffer("class_weights", torch.ones(len(MIKELS)), persistent=False)
        if settings.keep == "macro_f1":
            self.validation_score = macro_f1
        # Loss of the last batch, in training.
        self.existence_loss: Tensor | None = None
        # The last whole graph and its nodes, until the weights change.
        self._seen: tuple[WholeGraph, Nodes] | None = None

    def forward(
        self,
        batch: Batch,
        hidden: Collection[str] = (),
        attention: list[dict[str, Tensor]] | None = None,
    ) -> Tensor:
        """Probabilities of the emotions, (b, 8).

        Parameters
        ----------
        batch
            As :class:`evoked.training.neighbours.ViewingBatches` gives it.
        hidden
            Names of :data:`PARTS` to hide, if a neighbourhood was sampled.
        attention
            A list to fill with the attention of each layer, see
            :class:`evoked.layers.message_passing.AttentionLayer`.
        """
        scores: Tensor = self.classify(self._combined(batch, hidden, attention))
        emotions = scores[:, : len(MIKELS)]
        if self.training and self.settings.negative_sampling:
            emotions = self._learn_existence(scores)
        return emotions.float().softmax(dim=-1)

    def beta(self, batch: Batch) -> Tensor:
        """Weight of the user, (b,); that of the image is 1 - β (Eq. 5)."""
        return self._beta(*self._ends(batch)).mean(dim=1)

    def pairs(self, batch: Batch) -> Tensor:
        """Probabilities of the emotions and of having never met, (b, 9), as learned with negative
        sampling."""
        scores: Tensor = self.classify(self._combined(batch, (), None))
        return scores.float().softmax(dim=-1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy; in training with negative sampling, plus that of existence."""
        loss = masked_log_loss(predicted, targets, weights * self.class_weights)
        if self.training and self.existence_loss is not None:
            return loss + self.existence_loss
        return loss

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """All parameters at one rate."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def weigh_classes(self, targets: NDArray[np.float32]) -> None:
        """Set the weight of each emotion from the training targets, (n, 8); 1 on average."""
        counts = np.nansum(targets, axis=0, dtype=np.float64)
        weights = class_weights(counts, self.settings.class_balance)
        self.class_weights.copy_(torch.from_numpy(weights))

    def train(self, mode: bool = True) -> Self:
        """Also forgets the nodes that were computed with earlier weights."""
        self._seen = None
        return super().train(mode)

    def _combined(
        self, batch: Batch, hidden: Collection[str], attention: list[dict[str, Tensor]] | None
    ) -> Tensor:
        """Input of the classification module, (b, channels)."""
        users, images = self._ends(batch, hidden, attention)
        if self.settings.adaptive:
            beta = self._beta(users, images)
            users, images = beta * users, (1 - beta) * images  # Eq. 6
        if self.settings.combination == "sum":
            return users + images
        if self.settings.combination == "product":
            return users * images
        return torch.cat([users, images], dim=-1)

    def _beta(self, users: Tensor, images: Tensor) -> Tensor:
        """β, (b, 1), or (b, channels) if each channel has its own."""
        balance = self.weight["user"](users) + self.weight["image"](images)
        if self.settings.gate in ("channels", "scalar"):
            return balance.sigmoid()
        exponent = functional.leaky_relu(balance)
        if self.settings.gate == "bounded":
            # Without a bound one user can make the whole loss infinite.
            exponent = exponent.clamp(max=_LARGEST_EXPONENT)
        return exponent.exp()  # Eq. 5

    def _learn_existence(self, scores: Tensor) -> Tensor:
        """Set the loss of distinguishing viewings (first half of the batch) from random pairs
        (second half), and return the emotion scores of the viewings.

        A cross-entropy of nine classes is the sum of that of existence and, for pairs that exist,
        that of eight emotions.
        """
        emotions, nothing = scores[:, : len(MIKELS)], scores[:, -1]
        real, made_up = (emotions.logsumexp(dim=-1) - nothing).chunk(2)
        self.existence_loss = (
            functional.softplus(-gathered(real)).mean()
            + functional.softplus(gathered(made_up)).mean()
        )
        return emotions[: len(real)]

    def _ends(
        self,
        batch: Batch,
        hidden: Collection[str] = (),
        attention: list[dict[str, Tensor]] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Users and images of the batch's viewings after graph learning, (b, channels) each."""
        if "graph" in batch:
            nodes = self._all_nodes(batch)
        else:
            nodes = self._seeds(batch, hidden, attention)
        ends = []
        for kind in NODES:
            rows = nodes[kind]
            if f"stranger.{kind}.vector" in batch:
                rows = torch.cat([rows, self._strangers(kind, batch, hidden)])
            ends.append(rows[batch[kind]])
        return ends[0], ends[1]

    def _seeds(
        self,
        batch: Batch,
        hidden: Collection[str],
        attention: list[dict[str, Tensor]] | None,
    ) -> Nodes:
        """The nodes around which a neighbourhood was sampled."""
        edges = {
            name: Edges(
                batch[f"{name}.source"], batch[f"{name}.target"], batch.get(f"{name}.viewing")
            )
            for name in RELATIONS
        }
        counts = {name: batch[f"{name}.hops"].tolist() for name in (*NODES, *RELATIONS)}
        for name in RELATIONS:
            if ("connections" if name == "connects" else "viewings") in hidden:
                edges[name] = edges[name].select(slice(0, 0))
        nodes = {kind: self.inputs[kind](batch, hidden) for kind in NODES}
        comments = None if self.comment is None else self.comment(batch, hidden)
        emotions = batch["viewing.emotion"].index_fill(0, batch["own"], UNKNOWN_EMOTION)
        if "emotions" in hidden:
            emotions = torch.full_like(emotions, UNKNOWN_EMOTION)
        viewings = self._viewings(comments, emotions)
        return self._propagate(nodes, edges, counts, viewings, attention)

    def _all_nodes(self, batch: Batch) -> Nodes:
        """All nodes of the graph, computed once until the weights change."""
        graph: Any = batch["graph"]
        if not self.training and self._seen is not None and self._seen[0] is graph:
            return self._seen[1]
        edges, own = graph.edges, batch["own"]
        if not self.settings.own_comment:
            shown = torch.ones(len(graph.emotions), dtype=torch.bool, device=own.device)
            shown[own] = False
            edges = {
                name: each if each.viewing is None else each.select(shown[each.viewing])
                for name, each in edges.items()
            }
        nodes = {kind: self._encoded(graph.tables[kind], self.inputs[kind]) for kind in NODES}
        counts = {kind: [len(nodes[kind])] * (len(self.layers) + 1) for kind in NODES}
        counts |= {name: [len(edges[name].source)] * len(self.layers) for name in RELATIONS}
        comments = (
            None if self.comment is None else self._encoded(graph.tables["viewing"], self.comment)
        )
        viewings = self._viewings(comments, graph.emotions.index_fill(0, own, UNKNOWN_EMOTION))
        computed = self._propagate(nodes, edges, counts, viewings)
        if not self.training:
            self._seen = graph, computed
        return computed

    def _encoded(self, table: FeatureTable, encoder: nn.Module) -> Tensor:
        """Every row of a table, encoded; a part at a time unless gradients are needed."""
        device = self.class_weights.device
        step = max(len(table), 1) if self.training else _ROWS_AT_A_TIME
        parts = []
        for start in range(0, max(len(table), 1), step):
            batch = table.take(np.arange(start, min(start + step, len(table))))
            parts.append(encoder({name: value.to(device) for name, value in batch.items()}))
        return torch.cat(parts)

    def _strangers(self, kind: str, batch: Batch, hidden: Collection[str]) -> Tensor:
        """Users or images that the graph doesn't hold: nodes without neighbours."""
        prefix = "stranger."
        vectors = {name.removeprefix(prefix): batch[name] for name in batch if prefix in name}
        device = self.class_weights.device
        nothing = torch.zeros(0, dtype=torch.int64, device=device)
        inputs: Any = self.inputs
        nodes = {other: inputs[other].placeholder[None][:0] for other in NODES}
        nodes[kind] = self.inputs[kind](vectors, hidden)
        counts = {other: [len(nodes[other])] * (len(self.layers) + 1) for other in NODES}
        counts |= {name: [0] * len(self.layers) for name in RELATIONS}
        edges = dict.fromkeys(RELATIONS, Edges(nothing, nothing, nothing))
        return self._propagate(nodes, edges, counts, None)[kind]

    def _viewings(self, comments: Tensor | None, emotions: Tensor) -> Tensor | None:
        """Features of viewings, (v, comment_width): the comment and the emotion (ours)."""
        if self.emotion is None:
            return comments
        felt: Tensor = self.emotion(emotions)
        return felt if comments is None else comments + felt

    def _propagate(
        self,
        nodes: Nodes,
        edges: Mapping[str, Edges],
        counts: Mapping[str, list[int]],
        viewings: Tensor | None,
        attention: list[dict[str, Tensor]] | None = None,
    ) -> Nodes:
        """Graph learning (Eq. 2 and 3); returns the seeds by kind.

        ``counts`` are the numbers of nodes up to each hop (hops + 1 numbers by kind) and of edges
        (hops numbers by relation). A layer computes only what later layers use.
        """
        kept = {kind: [nodes[kind][: counts[kind][0]]] for kind in NODES}
        stages: Any = zip(self.layers, self.norms, self.skips, strict=True)
        for done, (layer, norms, skips) in enumerate(stages, start=1):
            hop = len(self.layers) - done
            targets = {kind: counts[kind][hop] for kind in NODES}
            near = {name: edges[name].select(slice(0, counts[name][hop])) for name in RELATIONS}
            weights: dict[str, Tensor] | None = None if attention is None else {}
            messages = layer(nodes, near, targets, viewings, weights)
            after = {kind: functional.relu(norms[kind](messages[kind])) for kind in NODES}
            for kind, skip in skips.items():
                after[kind] = after[kind] + skip(nodes[kind][: targets[kind]])
            nodes = {kind: self.dropout(value) for kind, value in after.items()}
            for kind in NODES:
                kept[kind].append(nodes[kind][: counts[kind][0]])
            if attention is not None and weights is not None:
                attention.append(weights)
        if not self.settings.jump:
            return nodes
        return {kind: torch.cat(kept[kind], dim=-1) for kind in NODES}


class SharedDropout(nn.Module):
    """Dropout of the same elements in all rows of a batch.

    A mask per row would cost more than everything else that is done with long vectors.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, rows: Tensor) -> Tensor:
        """(n, channels) to (n, channels)."""
        if not self.training:
            return rows
        return rows * functional.dropout(rows.new_ones(1, rows.shape[1]), self.p)


class PresentVectors(nn.Module):
    """Vectors of an encoder, projected where they are present; elsewhere one learned vector, the
    uniform feature tensor of the paper.

    Parameters
    ----------
    feature
        Name in the catalog.
    part
        Name in ``hidden``, one of :data:`PARTS`.
    widths
        Length of the vectors by name.
    width
        Channels of the result.
    dropout
        Probability that an element of the vectors is dropped.
    norm
        Whether the differences between vectors, which have much in common, are brought to one scale
        first.
    """

    def __init__(
        self,
        feature: str,
        part: str,
        widths: Mapping[str, int],
        width: int,
        *,
        dropout: float,
        norm: bool,
    ) -> None:
        super().__init__()
        self.feature, self.part = feature, part
        size = widths[feature]
        self.encoder = nn.Sequential(
            NodeNorm(size, affine=False) if norm else nn.Identity(),
            SharedDropout(dropout),
            nn.Linear(size, width),
        )
        self.placeholder = nn.Parameter(torch.randn(width) * 0.02)

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """(n, width)."""
        vectors, present = batch[self.feature], batch[f"{self.feature}.present"]
        absent = self.placeholder.expand(len(vectors), -1)
        if self.part in hidden:
            return absent
        encoded: Tensor = self.encoder(vectors[present])
        return absent.masked_scatter(present[:, None], encoded.to(absent.dtype))


def _layer(settings: HMGEmoSettings, widths: Mapping[str, int], edge_width: int) -> nn.Module:
    if settings.backbone == "gat":
        return AttentionLayer(widths, settings.width, edge_width, settings.edge_messages)
    return ConvolutionLayer(settings.backbone, widths, settings.width)


def _strongest(
    batch: Batch, attention: list[dict[str, Tensor]], most: int
) -> list[tuple[float | None, str, int]]:
    """Attention, relation and position of the edges to the seeds that receive most attention."""
    found: list[tuple[float | None, str, int]] = []
    for name in RELATIONS:
        near = int(batch[f"{name}.hops"][0])
        if name in attention[0]:
            mean = torch.stack([layer[name][:near] for layer in attention]).mean(dim=0)
            found += [(alpha, name, place) for place, alpha in enumerate(mean.tolist())]
        else:
            found += [(None, name, place) for place in range(near)]
    return sorted(found, key=lambda each: -(each[0] or 0.0))[:most]


def _left_out(batch: Batch, relation: str, place: int) -> Batch:
    """The neighbourhood without one viewing or connection, in both directions and at every hop."""
    result = dict(batch)
    for name in ("connects",) if relation == "connects" else ("views", "viewed_by"):
        source, target = batch[f"{name}.source"], batch[f"{name}.target"]
        if name == "connects":
            ends = (int(source[place]), int(target[place]))
            gone = (source == ends[0]) & (target == ends[1])
            gone |= (source == ends[1]) & (target == ends[0])
        else:
            gone = batch[f"{name}.viewing"] == batch[f"{relation}.viewing"][place]
        for part in ("source", "target", "viewing"):
            if f"{name}.{part}" in batch:
                result[f"{name}.{part}"] = batch[f"{name}.{part}"][~gone]
        until = batch[f"{name}.hops"]
        before = torch.cat([torch.zeros(1, dtype=torch.int64), gone.cumsum(0)])
        result[f"{name}.hops"] = until - before[until]
    return result


def _places(examples: Examples) -> NDArray[np.int64]:
    """Rows of users, images and viewings in the graph, (3, n)."""
    return examples.posts[["user", "image", "viewing"]].to_numpy(np.int64).T
