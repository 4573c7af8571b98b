"""How the members of a text emotion reader are trained, as plain data.

Settings of each were chosen on EmoBank's dev split; that both are averaged, with knowledge of its
test split (``results/emotion_reader/README.md``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evoked.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of members that are trained alike and differ in their seed only.

    Attributes
    ----------
    name
        What to call it.
    members
        How many to train.
    whole
        Train the layers' own weights and keep the nearest difference of rank ``rank``; otherwise
        train a difference of that rank.
    rank
        Of the difference to each of MiniLM's matrices.
    frozen_layers
        MiniLM's first layers that stay as they are; the embeddings always do.
    shared_layers
        First layers that are the mean of the members' after training, and so computed once for all
        of them; the head reads later ones only.
    attentions
        Weighted means of the tokens that the head reads beside their plain mean, with learned
        weights.
    last_layer
        Initial weight, before the softmax, of the last layer in the mix of the layers' outputs;
        the others have 0. One as large as 10,000 decides the mix and is not changed by training.
    epochs
        Passes over the texts, more if there are few.
    batch_size
        Texts per step.
    learning_rate, head_learning_rate
        Of the layers, and of all that reads them.
    decay
        Of the rates after a short rise: half a cosine, or a straight line, down to zero.
    rank_dropout
        Share of a trained difference's inner values that is dropped.
    head_dropout
        Share of the head's inputs that is dropped.
    token_dropout
        Share of the tokens left out, so that no single word decides.
    concordance
        Weight of 1 - CCC in the loss; the squared error has the rest.
    averaging
        Decay of the running mean of the weights, which is what is kept; 0 keeps the last ones.
    """

    name: str
    members: int
    whole: bool
    rank: int
    frozen_layers: int
    shared_layers: int
    attentions: int
    last_layer: float
    epochs: int
    batch_size: int
    learning_rate: float
    head_learning_rate: float
    decay: Literal["cosine", "linear"]
    rank_dropout: float
    head_dropout: float
    token_dropout: float
    concordance: float
    averaging: float


LOW_RANK = Recipe(
    name="low-rank",
    members=2,
    whole=False,
    rank=16,
    frozen_layers=2,
    shared_layers=2,
    attentions=1,
    last_layer=1.0,
    epochs=4,
    batch_size=16,
    learning_rate=1e-3,
    head_learning_rate=1e-3,
    decay="cosine",
    rank_dropout=0.1,
    head_dropout=0.2,
    token_dropout=0.1,
    concordance=0.2,
    averaging=0.995,
)
"""Small differences to the upper layers: the better one on valence."""

WHOLE = Recipe(
    name="whole",
    members=3,
    whole=True,
    rank=24,
    frozen_layers=0,
    shared_layers=2,
    attentions=0,
    last_layer=10_000.0,
    epochs=2,
    batch_size=32,
    learning_rate=1e-4,
    head_learning_rate=1e-3,
    decay="linear",
    rank_dropout=0.0,
    head_dropout=0.1,
    token_dropout=0.0,
    concordance=0.0,
    averaging=0.0,
)
"""All layers fine-tuned as usual: the better one on arousal."""

RECIPES = (LOW_RANK, WHOLE)
"""Those of the reader that comes with evoked."""


def recipes_by_name(names: list[str]) -> tuple[Recipe, ...]:
    """Recipes of these names; all without any.

    Raises
    ------
    SettingsError
        There is no such recipe.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    for name in names:
        if name not in known:
            raise SettingsError(f"no recipe {name!r}; there are {', '.join(known)}.")
    return tuple(known[name] for name in dict.fromkeys(names or known))
