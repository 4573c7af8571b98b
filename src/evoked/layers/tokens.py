"""From features to the streams of tokens and the vectors that models fuse.

Every stream has a learned *placeholder* for posts that lack it. In training, some posts hide what
they have, so that the placeholders learn (*modality dropout*).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evoked.features.table import Batch

# A picture has at most this many positions: 512 pixels at a stride of 16.
MAX_POSITIONS = 1024


class ImageTokens(nn.Module):
    """The positions of the image's map as tokens, followed by the objects found in it.

    Parameters
    ----------
    widths
        Channels of ``image.map`` and, if objects are used, ``image.objects``.
    width
        Channels of the tokens.
    modality_dropout
        Probability that a post hides its image in training.
    network
        An encoder to train, from uint8 pixels to a map; with it, ``image.pixels`` is read in place
        of ``image.map``.
    normalise
        Layer norms around the projections.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        width: int,
        modality_dropout: float = 0.0,
        network: nn.Module | None = None,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.network = network
        self.project = project(widths["image.map"], width, normalise)
        objects = widths.get("image.objects")
        self.project_objects = None if objects is None else project(objects, width, normalise)
        self.position = nn.Parameter(torch.randn(MAX_POSITIONS, width) * 0.02)
        self.placeholder = nn.Parameter(torch.randn(width) * 0.02)
        self.modality_dropout = modality_dropout

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> tuple[Tensor, Tensor]:
        """Tokens (b, positions + objects, width) and which of them exist (b, positions + objects);
        one placeholder where there is no image or ``hidden`` names "image"."""
        if self.network is not None:
            regions, present = self.network(batch["image.pixels"]), "image.pixels.present"
        else:
            regions, present = batch["image.map"], "image.map.present"
        tokens = self.project(regions) + self.position[: regions.shape[1]]
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        if self.project_objects is not None:
            objects = self.project_objects(batch["image.objects"])
            found = batch.get("image.objects.mask")
            if found is None:
                found = batch["image.objects.present"][:, None].expand(objects.shape[:2])
            tokens, mask = torch.cat([tokens, objects], dim=1), torch.cat([mask, found], dim=1)
        dropout = self.modality_dropout if self.training else 0.0
        kept = shown(batch[present], "image" in hidden, dropout)
        return or_placeholder(tokens, mask, kept, self.placeholder)


class CaptionTokens(nn.Module):
    """The tokens of the caption, or of another text of the post.

    Parameters
    ----------
    widths
        Channels of ``caption.tokens``, or of the tokens of ``field``.
    width
        Channels of the tokens.
    modality_dropout
        Probability that a post hides its caption in training.
    network
        An encoder to train, from ids and mask to token vectors; with it, ``caption.ids`` is read in
        place of ``caption.tokens``.
    field
        The text, one of :data:`evoked.features.text_fields.TEXT_FIELDS`.
    normalise
        Layer norms around the projection.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        width: int,
        modality_dropout: float = 0.0,
        network: nn.Module | None = None,
        field: str = "caption",
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.network = network
        self.feature = f"{field}.tokens" if network is None else f"{field}.ids"
        self.project = project(widths[f"{field}.tokens"], width, normalise)
        self.placeholder = nn.Parameter(torch.randn(width) * 0.02)
        self.modality_dropout = modality_dropout

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> tuple[Tensor, Tensor]:
        """Tokens (b, longest, width) and which of them exist (b, longest); one placeholder where
        there is no such text or ``hidden`` names "caption", which hides all texts."""
        words, mask, present = (
            batch[self.feature],
            batch[f"{self.feature}.mask"],
            self.present(batch),
        )
        if self.network is not None:
            # A text without tokens is masked entirely, which attention can't handle.
            words = self.network(words, mask | ~present[:, None])
        dropout = self.modality_dropout if self.training else 0.0
        kept = shown(present, "caption" in hidden, dropout)
        return or_placeholder(self.project(words), mask, kept, self.placeholder)

    def present(self, batch: Batch) -> Tensor:
        """Which posts have the text, (b,)."""
        return batch[f"{self.feature}.present"]


class VectorInput(nn.Module):
    """A feature that is one vector per post: hashtags or metadata.

    Parameters
    ----------
    feature
        Name in the catalog.
    modality
        Name in ``hidden``.
    encoder
        Module that maps the feature to ``width`` channels.
    width
        Channels of the result.
    modality_dropout
        Probability that a post hides it in training.
    """

    def __init__(
        self,
        feature: str,
        modality: str,
        encoder: nn.Module,
        width: int,
        modality_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.feature, self.modality = feature, modality
        self.encoder = encoder
        self.placeholder = nn.Parameter(torch.randn(width) * 0.02)
        self.modality_dropout = modality_dropout

    def forward(self, batch: Batch, hidden: Collection[str] = ()) -> Tensor:
        """(b, width): the encoded vector, or the placeholder."""
        encoded = self.encoder(batch[self.feature])
        dropout = self.modality_dropout if self.training else 0.0
        kept = shown(batch[f"{self.feature}.present"], self.modality in hidden, dropout)
        return torch.where(kept[:, None], encoded, self.placeholder)


class NormalisedPixels(nn.Module):
    """An image encoder's normalisation of uint8 pixels, as the first part of a network."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self._normalise = encoder.normalise

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (b, size, size, 3) to float (b, 3, size, size)."""
        normalised: Tensor = self._normalise(pixels)
        return normalised


def layer_norm(width: int, wanted: bool = True) -> nn.Module:
    """A layer norm, or nothing in its place."""
    return nn.LayerNorm(width) if wanted else nn.Identity()


def project(channels: int, width: int, normalise: bool = True) -> nn.Module:
    """Project a feature of any scale to ``width`` channels."""
    # Features have different scales; with a norm in front, one learning rate fits all.
    return nn.Sequential(
        layer_norm(channels, normalise), nn.Linear(channels, width), layer_norm(width, normalise)
    )


def metadata_encoder(inputs: int, width: int, dropout: float, normalise: bool = True) -> nn.Module:
    """Encoder of metadata with ``width`` channels (128 in ABMF's Table 4)."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        layer_norm(width, normalise),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, width),
    )


def shown(present: Tensor, hidden: bool, dropout: float) -> Tensor:
    """Which posts show a modality, bool (b,): none if it is hidden; otherwise each post that has it
    shows it with probability 1 - ``dropout``."""
    if hidden:
        return torch.zeros_like(present)
    if not dropout:
        return present
    return present & (torch.rand(present.shape, device=present.device) >= dropout)


def or_placeholder(
    tokens: Tensor, mask: Tensor, shown: Tensor, placeholder: Tensor
) -> tuple[Tensor, Tensor]:
    """Tokens and mask, with one placeholder token in place of a modality that is not shown."""
    tokens = torch.where(shown[:, None, None], tokens, placeholder)
    first = torch.zeros_like(mask)
    first[:, 0] = True
    kept = shown[:, None]
    # Not by where(), which ONNX Runtime knows for numbers alone.
    return tokens, (kept & mask) | (~kept & first)


def mean_pool(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the tokens (b, t, width) that exist, (b, t), to (b, width)."""
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)
