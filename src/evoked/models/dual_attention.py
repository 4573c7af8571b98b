"""Dual-Attention: will a post be among its author's popular ones?

Zhang et al. (2018), *How to Become Instagram Famous: Post Popularity Prediction with
Dual-Attention*. Explicit attention weighs the caption's words in sight of the image (Eq. 1-3),
implicit attention joins the two environments of the author (Eq. 4, 5; see
:mod:`evoked.features.environment`), and a hierarchical head puts them together (Eq. 6).

What the paper leaves open, and what we add, is marked *ours*; the settings' ``published()`` turn
all of it off. The image V is the mean over the positions of ``image.map``: for a ResNet-50 that is
its last pooling layer, the paper's V. I_e is the mean of V over the author's other posts. For every
encoder, a region of the map lies in the same space as the whole image, so that Figure 5 can replace
the image by a region.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import isqrt
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from evoked.features.table import Batch
from evoked.layers.losses import masked_mean
from evoked.layers.tokens import (
    CaptionTokens,
    VectorInput,
    layer_norm,
    mean_pool,
    metadata_encoder,
    or_placeholder,
    shown,
)
from evoked.models.base import Examples, ModelSettings
from evoked.models.explanations import PostAttention
from evoked.models.neural import NeuralModel
from evoked.targets import AUTHOR_TASKS
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

# I_e and T_e.
ENVIRONMENTS = ("environment.map", "environment.topics")
# What a post is compared with, in the same space as the post (ours).
CONTRASTS = {"image.vector": "environment.image", "caption.vector": "environment.caption"}
_POSTS_PER_BATCH = 256


class ImageCaptionSettings(ModelSettings):
    """Settings that Dual-Attention and its baselines share."""

    width: int = Field(
        64, ge=8, description="channels of words and of all later layers (paper: 512)"
    )
    words: Literal["encoder", "embedding"] = Field(
        "encoder",
        description="the text encoder's contextual tokens, or the paper's word embedding and LSTM, "
        "learned from the training posts alone",
    )
    vocabulary: int = Field(
        30_522, ge=1, description="rows of the word embedding; larger token ids share rows"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="before the head (ours)")
    modality_dropout: float = Field(
        0.05, ge=0, lt=1, description="probability that a modality is hidden in training (ours)"
    )
    normalise: bool = Field(
        True, description="layer norms of the image and of the environments (ours)"
    )

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """The paper's configuration: 512 channels, word embedding and LSTM, nothing of ours.

        How it is trained stands in the experiments ``dual_attention/table1``.
        """
        ours: dict[str, Any] = {"dropout": 0.0, "modality_dropout": 0.0, "normalise": False}
        return cls(**{"width": 512, "words": "embedding", **ours, **changes})


class ImageCaptionModel(NeuralModel):
    """A network that learns popularity from posts that have a label, and from no others."""

    tasks = AUTHOR_TASKS

    settings: ImageCaptionSettings

    @property
    def caption_feature(self) -> str:
        """The feature that words are read from."""
        return "caption.tokens" if self.settings.words == "encoder" else "caption.ids"

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        """As :meth:`evoked.models.base.Model.fit`; posts without a label are left out, so that
        batches hold labelled posts only."""
        return super().fit(
            _labelled(train),
            validation and _labelled(validation),
            folder=folder,
            training=training,
            progress=progress,
        )


class DualAttentionSettings(ImageCaptionSettings):
    """Settings of Dual-Attention. The defaults suit frozen encoders and few posts;
    :meth:`published` gives the paper's sizes. The parts can be left out as in Table II."""

    attention_width: int = Field(32, ge=1, description="k in Eq. 2 (paper: 128)")
    explicit_attention: bool = Field(
        True, description="weigh words given the image (Eq. 1-3); otherwise early fusion"
    )
    environment: bool = Field(True, description="use what the author usually posts")
    implicit_attention: bool = Field(
        True, description="join the environments by Eq. 4 and 5; otherwise by concatenation"
    )
    contrast: bool = Field(
        False, description="use how a post differs from what its author usually posts (ours)"
    )
    metadata: bool = Field(False, description="also use what is known before posting (ours)")

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """As :meth:`ImageCaptionSettings.published`, with k = 128."""
        return super().published(**{"attention_width": 128, **changes})


class DualAttention(ImageCaptionModel):
    """Explicit attention over words, implicit attention over the author's environment."""

    name = "dual_attention"
    description = "attention over words in sight of the image, and over the author's environment"
    source = "Zhang et al. 2018"
    Settings = DualAttentionSettings

    settings: DualAttentionSettings

    @property
    def features(self) -> list[str]:
        names = ["image.map", self.caption_feature]
        if self.settings.environment:
            names += ENVIRONMENTS
        if self.settings.contrast:
            names += [*CONTRASTS, *CONTRASTS.values()]
        if self.settings.metadata:
            names.append("metadata")
        return list(dict.fromkeys(names))

    def build(self, widths: dict[str, int]) -> nn.Module:
        return DualAttentionNetwork(self.settings, widths)

    def modal_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        """The two addends of h_w in Eq. 6, which share a space."""
        return self._outputs(examples, "shared_vectors") if len(examples) else None

    def fused_vectors(self, examples: Examples) -> NDArray[np.float32] | None:
        """O_1 of Eq. 6."""
        return self._outputs(examples, "fused_vectors") if len(examples) else None

    def attention(self, examples: Examples) -> list[PostAttention]:
        """Weights of the caption's words and probabilities of the picture's regions (Figure 5)."""
        regions = self.region_probabilities(examples)
        # A learned word embedding also weighs the special tokens, one at each end.
        special = int(self.caption_feature == "caption.ids")
        found = []
        for words, region in zip(self.word_attention(examples), regions, strict=True):
            own = words[special : max(len(words) - special, special)]
            weighed = self.settings.explicit_attention and len(own)
            seen = np.isfinite(region).all()
            found.append(
                PostAttention(
                    tokens=own if weighed else None,
                    popularity=region.reshape(isqrt(len(region)), -1) if seen else None,
                )
            )
        return found

    @torch.inference_mode()
    def word_attention(self, examples: Examples) -> list[NDArray[np.float32]]:
        """Weight of each token of the caption, a^q in Eq. 2 (Figure 5).

        Returns
        -------
        list
            For each post (tokens,), in the order of ``caption.tokens``; they sum to one. With
            ``words="embedding"``, in the order of ``caption.ids``, special tokens included. Empty
            for a post without a caption; equal weights without explicit attention.
        """
        self.check_features(examples.features)
        self.network.eval()
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(examples), _POSTS_PER_BATCH):
            rows = np.arange(start, min(start + _POSTS_PER_BATCH, len(examples)))
            batch = examples.features.take(rows)
            weights = self.network.word_weights(batch).numpy()
            present = batch[f"{self.caption_feature}.present"].numpy()
            lengths = batch[f"{self.caption_feature}.mask"].sum(1).numpy() * present
            found += [own[:length] for own, length in zip(weights, lengths, strict=True)]
        return found

    def region_probabilities(self, examples: Examples) -> NDArray[np.float32]:
        """Probability of being popular with one region of the image in place of the whole
        (Section IV-D, Figure 5).

        Returns
        -------
        ndarray
            (n, positions) in the order of ``image.map``, whose positions are a square grid; NaN
            for posts without an image.
        """
        self.check_features(examples.features)
        positions = examples.features.take([0])["image.map"].shape[1] if len(examples) else 0
        if not len(examples):
            return np.zeros((0, positions), dtype=np.float32)
        found = self._outputs(examples, "region_probabilities")
        found[~examples.features.columns["image.map"].present] = np.nan
        return found


class DualAttentionNetwork(nn.Module):
    """The network of Figure 2.

    Parameters
    ----------
    settings
        Sizes and parts.
    widths
        Channels of the features by catalog name.
    """

    def __init__(self, settings: DualAttentionSettings, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.settings = settings
        width, hiding, dropout = settings.width, settings.modality_dropout, settings.dropout
        channels = widths["image.map"]
        self.image = ImageVector(channels, hiding, settings.normalise)
        self.words = word_encoder(settings, widths)
        self.image_to_words = nn.Sequential(  # F_2(F_1(V)) in Eq. 3
            nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.explicit = (
            ExplicitAttention(channels, width, settings.attention_width)
            if settings.explicit_attention
            else None
        )
        self.environments: Any = nn.ModuleDict()
        if settings.environment:
            for name in ENVIRONMENTS:
                # Environments come on different scales, as V does.
                norm = layer_norm(widths[name], settings.normalise)
                self.environments[name.partition(".")[2]] = VectorInput(
                    name, "environment", norm, widths[name], hiding
                )
            join = ImplicitAttention if settings.implicit_attention else ConcatenatedEnvironments
            image, topics = (widths[name] for name in ENVIRONMENTS)
            self.implicit = join(image, topics, width)
        self.contrast = Contrast(widths, width, dropout) if settings.contrast else None
        self.metadata = (
            VectorInput(
                "metadata",
                "metadata",
                metadata_encoder(widths["metadata"], width, dropout),
                width,
                hiding,
            )
            if settings.metadata
            else None
        )
        parts = 1 if settings.explicit_attention else 2
        parts += settings.environment + settings.contrast + settings.metadata
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(parts * width, width)  # W_1
        self.output = nn.Linear(width, 1)  # W_2

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """Probability of being popular, (b, 1).

        Parameters
        ----------
        batch
            Features as :meth:`evoked.features.table.FeatureTable.take` gives them.
        hidden
            Modalities (image, caption, environment, metadata) to replace by a placeholder.
        """
        return self._probability(self.fused_vectors(batch, hidden))

    def fused_vectors(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """O_1 of Eq. 6, (b, width)."""
        image, (words, mask) = self.image(batch, hidden), self.words(batch, hidden)
        return self._fuse(image, words, mask, self._surroundings(batch, hidden))

    def shared_vectors(self, batch: Batch) -> Tensor:
        """The attended image and caption of Eq. 3, (b, 2, width)."""
        image, (words, mask) = self.image(batch), self.words(batch)
        return torch.stack([self.image_to_words(image), self._attended(image, words, mask)], dim=1)

    def word_weights(self, batch: Batch) -> Tensor:
        """a^q of Eq. 2, (b, longest); zero beyond the caption."""
        words, mask = self.words(batch)
        if self.explicit is None:
            return mask / mask.sum(dim=1, keepdim=True)
        weights: Tensor = self.explicit.weights(self.image(batch), words, mask)
        return weights

    def region_probabilities(self, batch: Batch) -> Tensor:
        """Probabilities with each region in place of V, (b, positions)."""
        (words, mask), surroundings = self.words(batch), self._surroundings(batch, ())
        found = [
            self._probability(self._fuse(region, words, mask, surroundings))
            for region in self.image.regions(batch).unbind(dim=1)
        ]
        return torch.cat(found, dim=1)

    def criterion(self, predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Binary cross-entropy (Eq. 7)."""
        return cross_entropy(predicted, targets, weights)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """All parameters with one learning rate."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def _attended(self, image: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        if self.explicit is None:
            return mean_pool(words, mask)
        weights: Tensor = self.explicit.weights(image, words, mask)
        return torch.einsum("bt,btw->bw", weights, words)  # Eq. 3

    def _surroundings(self, batch: Batch, hidden: Collection[str]) -> list[Tensor]:
        """Environment (e_w), contrast and metadata, as far as they are used, (b, width) each."""
        found = []
        if self.settings.environment:
            read = [each(batch, hidden) for each in self.environments.values()]
            found.append(self.implicit(*read))
        if self.contrast is not None:
            found.append(self.contrast(batch, hidden))
        if self.metadata is not None:
            found.append(self.metadata(batch, hidden))
        return found

    def _fuse(
        self, image: Tensor, words: Tensor, mask: Tensor, surroundings: list[Tensor]
    ) -> Tensor:
        """Eq. 6: O_1 = ReLU(W_1 [h_w, e_w])."""
        seen, read = self.image_to_words(image), self._attended(image, words, mask)
        post = [seen + read] if self.explicit is not None else [seen, read]
        joined = torch.cat([*post, *surroundings], dim=-1)
        return functional.relu(self.hidden(self.dropout(joined)))

    def _probability(self, fused: Tensor) -> Tensor:
        """Eq. 6: O_2 = sigmoid(W_2 O_1)."""
        return torch.sigmoid(self.output(fused))


class ExplicitAttention(nn.Module):
    """Weights of words given an image (Eq. 1, 2).

    Parameters
    ----------
    image, words
        Channels d_1 of V and d_2 of a word.
    width
        k, the length of H^q's columns.
    """

    def __init__(self, image: int, words: int, width: int) -> None:
        super().__init__()
        self.affinity = nn.Linear(image, words)  # W_a
        self.from_words = nn.Linear(words, width)  # W_q
        self.from_image = nn.Linear(image, width)  # W_v
        self.score = nn.Linear(width, 1, bias=False)  # W_h

    def weights(self, image: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """a^q (b, t) from V (b, image), Q^e (b, t, words) and which words exist (b, t); it sums to
        one over these words and is zero for the others."""
        affinity = torch.tanh(torch.einsum("btw,bw->bt", words, self.affinity(image)))  # Eq. 1
        sight = affinity[:, :, None] * self.from_image(image)[:, None]
        states = torch.tanh(self.from_words(words) + sight)
        scores = self.score(states)[:, :, 0].masked_fill(~mask, -torch.inf)
        return scores.softmax(dim=1)


class ImplicitAttention(nn.Module):
    """Two environments to one representation e_w by multimodal residual learning (Eq. 4, 5;
    Kim et al. 2016).

    Parameters
    ----------
    image, topics
        Channels of the environments.
    width
        Length of the result.
    """

    def __init__(self, image: int, topics: int, width: int) -> None:
        super().__init__()
        self.gate_image = nn.Linear(image, width)  # W_i
        self.gate_topics = nn.Linear(topics, width)  # W_t
        self.shortcut_image = nn.Linear(image, width)  # W_i2
        self.shortcut_topics = nn.Linear(topics, width)  # W_t2
        self.output = nn.Linear(width, width)

    def forward(self, image: Tensor, topics: Tensor) -> Tensor:
        """e_w (b, width) from I_e (b, image) and T_e (b, topics)."""
        gates = [self.gate_image(image), self.gate_topics(topics)]
        residual = functional.relu(gates[0]) * functional.relu(gates[1])  # Eq. 4
        mapping = self.shortcut_image(image) + self.shortcut_topics(topics) + residual  # Eq. 5
        represented: Tensor = self.output(mapping)
        return represented


class ConcatenatedEnvironments(nn.Module):
    """Fully connected layers and a concatenation, "Env" in Table II; parameters as of
    :class:`ImplicitAttention`."""

    def __init__(self, image: int, topics: int, width: int) -> None:
        super().__init__()
        self.from_image, self.from_topics = nn.Linear(image, width), nn.Linear(topics, width)
        self.output = nn.Linear(2 * width, width)

    def forward(self, image: Tensor, topics: Tensor) -> Tensor:
        """(b, image) and (b, topics) to (b, width)."""
        encoded = [self.from_image(image), self.from_topics(topics)]
        joined: Tensor = self.output(functional.relu(torch.cat(encoded, dim=-1)))
        return joined


class Contrast(nn.Module):
    """How a post differs from what its author usually posts (ours).

    Whether a post is popular *for its author* depends on how it differs from the author's other
    posts. Other layers would have to find this difference; here it is computed.

    Parameters
    ----------
    widths
        Channels of the features by catalog name.
    width
        Length of the result.
    dropout
        Probability that an element of the differences is dropped.
    """

    def __init__(self, widths: Mapping[str, int], width: int, dropout: float) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(
            {
                name.partition(".")[0]: nn.Sequential(
                    nn.LayerNorm(widths[name]), nn.Dropout(dropout), nn.Linear(widths[name], width)
                )
                for name in CONTRASTS
            }
        )

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """(b, width); a difference is zero if the post or the environment lacks it."""
        parts = []
        for (name, usual), (modality, encode) in zip(
            CONTRASTS.items(), self.encoders.items(), strict=True
        ):
            encoded = encode(batch[name] - batch[usual])
            known = batch[f"{name}.present"] & batch[f"{usual}.present"]
            if {modality, "environment"} & set(hidden):
                known = torch.zeros_like(known)
            parts.append(encoded * known[:, None])
        return torch.stack(parts).sum(dim=0)


class ImageVector(nn.Module):
    """The image as one vector V in the space of its regions.

    Parameters
    ----------
    channels
        Channels of ``image.map``.
    modality_dropout
        Probability that a post hides its image in training.
    normalise
        A layer norm of V and of its regions.
    """

    def __init__(
        self, channels: int, modality_dropout: float = 0.0, normalise: bool = True
    ) -> None:
        super().__init__()
        self.norm = layer_norm(channels, normalise)
        self.placeholder = nn.Parameter(torch.randn(channels) * 0.02)
        self.modality_dropout = modality_dropout

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """(b, channels): the mean over the map's positions, or the placeholder where there is no
        image or ``hidden`` names "image"."""
        dropout = self.modality_dropout if self.training else 0.0
        kept = shown(batch["image.map.present"], "image" in hidden, dropout)
        whole = self.norm(batch["image.map"].mean(dim=1))
        return torch.where(kept[:, None], whole, self.placeholder)

    def regions(self, batch: Batch) -> Tensor:
        """Each position as if it were the whole image, (b, positions, channels)."""
        regions: Tensor = self.norm(batch["image.map"])
        return regions


class EmbeddedWords(nn.Module):
    """Word embedding and a one-layer LSTM, learned from the training posts alone.

    Token ids that no training post had are the zero vector, as padding is.

    Parameters
    ----------
    vocabulary
        Rows of the embedding.
    width
        Channels of embedding and LSTM.
    modality_dropout
        Probability that a post hides its caption in training.
    """

    known: Tensor

    def __init__(self, vocabulary: int, width: int, modality_dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.register_buffer("known", torch.zeros(vocabulary, dtype=torch.bool))
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.placeholder = nn.Parameter(torch.randn(width) * 0.02)
        self.modality_dropout = modality_dropout

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> tuple[Tensor, Tensor]:
        """Words (b, longest, width) and which of them exist (b, longest); one placeholder where
        there is no caption or ``hidden`` names "caption"."""
        mask = batch["caption.ids.mask"]
        ids = batch["caption.ids"].long() % len(self.known)
        if self.training:
            self.known[ids[mask]] = True
        # The LSTM reads the words first; padding follows them.
        words, _ = self.lstm(self.embedding(ids) * (mask & self.known[ids])[:, :, None])
        dropout = self.modality_dropout if self.training else 0.0
        kept = shown(batch["caption.ids.present"], "caption" in hidden, dropout)
        return or_placeholder(words, mask, kept, self.placeholder)


def word_encoder(settings: ImageCaptionSettings, widths: Mapping[str, int]) -> nn.Module:
    """A module that maps a batch to words Q^e (b, longest, width) and their mask."""
    if settings.words == "embedding":
        return EmbeddedWords(settings.vocabulary, settings.width, settings.modality_dropout)
    return CaptionTokens(widths, settings.width, settings.modality_dropout)


def cross_entropy(predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy of probabilities over known targets, scalar; all (b, 1)."""
    # The logarithm of an exact 0 or 1 has no usable gradient.
    safe = predicted.clamp(1e-6, 1 - 1e-6)
    losses = functional.binary_cross_entropy(safe, targets, reduction="none")
    return masked_mean(losses, weights)


def _labelled(examples: Examples) -> Examples:
    """The posts with a label; all posts if none has one, which fitting then reports."""
    if examples.targets is None:
        return examples
    known = np.isfinite(examples.targets.values).any(axis=1)
    return examples.select(np.flatnonzero(known)) if known.any() else examples
