"""What models can say about their own predictions: where attention lies, which neighbours count.

Plain containers, which :meth:`evoked.models.base.Model.attention` and
:meth:`evoked.models.base.Model.explain_viewings` return and :mod:`evoked.explain` shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class RegionWeights:
    """Attention over the regions of a picture; all weights together sum to one.

    Attributes
    ----------
    grid
        (rows, columns): weight of each cell of the picture.
    objects
        (objects,): weight of each object found in the picture, in addition to the cells.
    """

    grid: Weights
    objects: Weights

    @property
    def n(self) -> int:
        """Number of regions, objects included."""
        return self.grid.size + self.objects.size

    @property
    def relative(self) -> Weights:
        """(rows, columns): weight of each cell as a multiple of an even share."""
        return self.grid * self.n

    @property
    def strongest(self) -> tuple[int, int]:
        """Row and column of the strongest cell."""
        row, column = divmod(int(self.grid.argmax()), self.grid.shape[1])
        return row, column


@dataclass(frozen=True)
class PostAttention:
    """Attention within one post; None for whatever the model or the post does not have.

    Attributes
    ----------
    regions
        Spatial attention.
    tokens
        (tokens,): attention that each caption token receives, averaged over the tokens that give
        it; sums to one together with ``hashtags`` and, when the encoder is fine-tuned, its special
        tokens.
    hashtags
        Attention that the hashtags receive; they are one token.
    token_matrix
        (tokens, tokens): share of its attention that the caption token of the row gives to the
        token of the column.
    token_regions
        For each caption token, its attention over the regions.
    popularity
        (rows, columns): probability of being popular with each cell in place of the whole picture.
    """

    regions: RegionWeights | None = None
    tokens: Weights | None = None
    hashtags: float | None = None
    token_matrix: Weights | None = None
    token_regions: list[RegionWeights] | None = None
    popularity: Weights | None = None


@dataclass(frozen=True)
class Neighbour:
    """A viewing or a connection close to the viewing that is predicted.

    Attributes
    ----------
    user
        Hash of a user, as in :attr:`evoked.features.social_graph.SocialGraph.users`: someone who
        viewed the same image or is connected with the user, or the user at another image.
    image
        Its post_id; None for a connection.
    emotion
        The emotion felt there; None where unknown and for a connection.
    attention
        Share of attention that the user or the image of the viewing gives to it, averaged over
        layers; None for backbones without attention.
    effect
        What it adds to the probability of the predicted emotion: the difference without it.
    """

    user: str
    image: str | None
    emotion: str | None
    attention: float | None
    effect: float


@dataclass(frozen=True)
class ViewingExplanation:
    """Why a model predicts an emotion for one viewing.

    Attributes
    ----------
    emotion, probability
        The most probable emotion.
    beta
        Weight of the user against the image's 1 - β (HMG-Emo, Eq. 5); None for models that do not
        weigh them adaptively.
    parts
        By name, what each part of the neighbourhood adds to the probability: the difference when
        all nodes and edges of the neighbourhood do without it.
    neighbours
        Those that receive most attention, sorted by the size of their effect.
    """

    emotion: str
    probability: float
    beta: float | None
    parts: dict[str, float]
    neighbours: list[Neighbour]
