"""Fitting the text emotion reader on rated texts."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import save
from torch import nn

from evoked.affect._low_rank import add_low_rank, averaged, compressed, merge_low_rank
from evoked.affect._recipes import RECIPES, Recipe
from evoked.affect._text_network import Member, MiniLM
from evoked.affect.text import FORMAT_VERSION, TextEmotionReader, readable
from evoked.errors import DataError
from evoked.features.encoders._inference import fast_inference, inference_device
from evoked.features.encoders._minilm import MINILM_SHA256, PADDING_ID
from evoked.features.encoders._token_batches import batches_by_length, padded
from evoked.features.encoders.transformers_text import tokens_per_batch
from evoked.features.table import RaggedColumn
from evoked.layers.losses import concordance_loss, masked_mean
from evoked.posts.schema import EMOTIONS
from evoked.progress import Progress

MIN_STEPS = 200
WEIGHT_DECAY = 0.01
WARM_UP = 0.06  # share of the steps

_LAYER = re.compile(r"layers\.encoder\.layer\.(\d+)\.")


def fit_text(
    texts: Sequence[str | None],
    ratings: ArrayLike,
    *,
    validation: tuple[Sequence[str | None], ArrayLike] | None = None,
    recipes: Sequence[Recipe] = RECIPES,
    epochs: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> TextEmotionReader:
    """Fit a reader; the same seed gives the same reader on the same machine.

    Parameters
    ----------
    texts
        n captions; those that can't be read (see :meth:`TextEmotionReader.predict`) are left out.
    ratings
        (n, 3): valence [-4, 4], arousal [0, 8], dominance [-4, 4], NaN where unknown.
    validation
        Texts and ratings on which each member's best epoch is chosen; by default, the last epoch is
        kept.
    recipes
        Members to train and average. Each adds 1 MB (low-rank) or 2 MB (whole).
    epochs
        Passes of each member over the texts; by default the recipe's, or as many more as make 200
        steps.
    seed
        Random seed of each recipe's first member, which decides initial weights, order and what is
        dropped; the other members have the numbers after it.
    progress
        Called with ``fitting``, the number of steps done and of all.

    Raises
    ------
    DataError
        The ratings have another shape, or fewer than two rated texts can be read.
    """
    weights: dict[str, torch.Tensor] = {}
    with ExitStack() as files:
        fits = [_Fit(each, texts, ratings, validation, epochs, files) for each in recipes]
        steps, done = sum(fit.all_steps for fit in fits), count(1)

        def advance() -> None:
            if progress is not None:
                progress("fitting", next(done), steps)

        for index, fit in enumerate(fits):
            for name, tensor in fit.group(seed, advance).items():
                weights[f"{index}.{name}"] = tensor
    settings = {
        "format_version": FORMAT_VERSION,
        "base": "all-MiniLM-L6-v2",
        "base_sha256": MINILM_SHA256,
        "dimensions": list(EMOTIONS),
        "groups": [fit.settings | {"seed": seed} for fit in fits],
        "texts": len(fits[0].known),
        "mean": _json_numbers(fits[0].mean),
        "spread": _json_numbers(fits[0].spread),
    }
    return TextEmotionReader(save({name: each.half() for name, each in weights.items()}), settings)


class _Examples:
    """Outputs of the frozen layers for rated texts, computed once and kept on disk.

    Parameters
    ----------
    minilm
        The model with the layers.
    frozen_layers
        Number of frozen layers.
    texts, ratings
        n texts and their ratings, (n, 3).
    files
        Closes (and so removes) the file of states.
    """

    def __init__(
        self,
        minilm: MiniLM,
        frozen_layers: int,
        texts: Sequence[str | None],
        ratings: ArrayLike,
        files: ExitStack,
    ) -> None:
        targets = np.asarray(ratings, dtype=np.float32)
        if targets.shape != (len(texts), len(EMOTIONS)):
            raise DataError(
                f"ratings of shape {targets.shape} for {len(texts)} texts; expected one row per "
                f"text with {', '.join(EMOTIONS)}."
            )
        rated = np.flatnonzero(np.isfinite(targets).any(axis=1))
        rows, ids = readable([texts[int(row)] for row in rated])
        self.targets = torch.from_numpy(targets[rated[rows]])
        self.lengths = np.array([len(each) for each in ids], dtype=np.int64)
        ends = np.cumsum(self.lengths)
        self._starts = ends - self.lengths
        file = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (closed by the stack)
        shape = (max(int(self.lengths.sum()), 1), minilm.channels)
        states = np.memmap(file, np.float16, "w+", shape=shape)
        frozen = minilm.part(0, frozen_layers)
        for batch in batches_by_length(self.lengths, tokens_per_batch()):
            embeddings, mask = minilm.embed(*padded([ids[i] for i in batch], PADDING_ID))
            with fast_inference():
                values = frozen(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
            for row, value, present in zip(batch, values, mask, strict=True):
                states[self._starts[row] : ends[row]] = value[present].cpu().numpy()
        self._column = RaggedColumn(states, self._starts, self.lengths)

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """States, mask and targets of a batch, on the device."""
        batch = self._column.take(rows)
        parts = (batch[""], batch["mask"], self.targets[torch.from_numpy(rows)])
        states, mask, targets = (part.to(inference_device()) for part in parts)
        return states, mask, targets

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of each dimension, (3,); NaN without ratings."""
        mean = self.targets.nanmean(0)
        spread = (self.targets - mean).square().nanmean(0).sqrt()
        return mean, torch.where(spread == 0, 1.0, spread)


class _Fit:
    """One recipe on one set of texts.

    Attributes
    ----------
    settings
        Settings of its group, as they are kept with the weights.
    all_steps
        Number of steps of all its members.
    mean, spread
        Mean and standard deviation of the ratings, (3,).
    """

    def __init__(
        self,
        recipe: Recipe,
        texts: Sequence[str | None],
        ratings: ArrayLike,
        validation: tuple[Sequence[str | None], ArrayLike] | None,
        epochs: int | None,
        files: ExitStack,
    ) -> None:
        self.recipe = recipe
        self._minilm = MiniLM()
        frozen = recipe.frozen_layers
        self.known = _Examples(self._minilm, frozen, texts, ratings, files)
        self._held_out = _Examples(self._minilm, frozen, *validation, files) if validation else None
        if len(self.known) < 2:
            raise DataError("fewer than two rated texts that can be read: nothing to learn from.")
        self.mean, self.spread = self.known.moments()
        steps = math.ceil(len(self.known) / recipe.batch_size)
        self._epochs = epochs or max(recipe.epochs, math.ceil(MIN_STEPS / steps))
        self._steps = self._epochs * steps
        self.all_steps = recipe.members * self._steps
        self.settings = {
            "recipe": recipe.name,
            "members": recipe.members,
            "shared_layers": recipe.shared_layers,
            "attentions": recipe.attentions,
            "rank": recipe.rank,
            "epochs": self._epochs,
        }

    def group(self, seed: int, advance: Callable[[], None]) -> dict[str, torch.Tensor]:
        """Weights of a group, as they are kept; ``advance`` is called after every step."""
        members = [self._member(seed + index, advance) for index in range(self.recipe.members)]
        kept = averaged([{k: v for k, v in each.items() if self._shares(k)} for each in members])
        weights = {name.replace("layers.", "shared.", 1): each for name, each in kept.items()}
        for index, member in enumerate(members):
            own = {name: each for name, each in member.items() if not self._shares(name)}
            weights |= {f"members.{index}.{name}": each for name, each in own.items()}
        return weights

    def _shares(self, name: str) -> bool:
        layer = _LAYER.match(name)
        return layer is not None and int(layer[1]) < self.recipe.shared_layers

    def _member(self, seed: int, advance: Callable[[], None]) -> dict[str, torch.Tensor]:
        """Train a member: its differences, including those of shared layers, and its head."""
        recipe, minilm = self.recipe, self._minilm
        layers = minilm.part(recipe.frozen_layers, minilm.layers)
        mixed = minilm.layers - recipe.shared_layers + 1
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if recipe.whole:
                layers.requires_grad_(True)
            else:
                add_low_rank(layers, recipe.rank, recipe.rank_dropout)
            shape = (mixed, recipe.attentions, recipe.last_layer, recipe.head_dropout)
            member = Member(layers, *shape).to(inference_device())
            member.load_state_dict(self._train(member, advance), strict=False)
        merge_low_rank(member)
        weights = {name: each.detach().cpu() for name, each in member.state_dict().items()}
        whole = minilm.part(recipe.frozen_layers, minilm.layers)
        base = {f"layers.{name}": each.cpu() for name, each in whole.state_dict().items()}
        return compressed(weights, base, recipe.rank)

    def _train(self, member: Member, advance: Callable[[], None]) -> dict[str, torch.Tensor]:
        """Running mean of the trained weights after the last epoch, or the best one if known."""
        recipe, trained = self.recipe, member.trained()
        parameters: list[torch.Tensor] = list(trained.values())
        averages = [parameter.detach().clone() for parameter in parameters]
        optimizer = torch.optim.AdamW(self._groups(trained), weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        step, best, kept = 0, -math.inf, averages
        for _ in range(self._epochs):
            member.train()
            for rows in _shuffled_batches(self.known.lengths, recipe.batch_size):
                states, mask, targets = self.known.take(rows)
                outputs = member(states, _without_some_tokens(mask, recipe.token_dropout))
                loss = _loss(outputs, (targets - self.mean) / self.spread, recipe.concordance)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                step += 1
                # Follows closely at first, so that the initial weights soon stop mattering.
                decay = min(recipe.averaging, step / (step + 10))
                with torch.no_grad():
                    torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - decay)
                advance()
            if self._held_out is not None:
                score = _score_with(member, averages, self._held_out)
                if score > best:
                    best, kept = score, [average.clone() for average in averages]
        return dict(zip(trained, kept, strict=True))

    def _groups(self, trained: Mapping[str, nn.Parameter]) -> list[dict[str, Any]]:
        """Parameters of the layers, and of what reads them, with their learning rates."""
        of_layers = [each for name, each in trained.items() if name.startswith("layers.")]
        of_head = [each for name, each in trained.items() if not name.startswith("layers.")]
        return [
            {"params": of_layers, "lr": self.recipe.learning_rate},
            {"params": of_head, "lr": self.recipe.head_learning_rate},
        ]

    def _rate(self, step: int) -> float:
        """Factor of the learning rates: a short rise, then down to zero."""
        rise = min(1.0, (step + 1) / (WARM_UP * self._steps))
        done = min(1.0, step / self._steps)
        left = 1 - done if self.recipe.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return rise * left


def _loss(outputs: torch.Tensor, targets: torch.Tensor, concordance: float) -> torch.Tensor:
    """Squared error and 1 - CCC over the known ratings; both arrays (b, 3), targets NaN where
    unknown."""
    known = targets.isfinite().float()
    targets = targets.nan_to_num()
    squared = masked_mean((outputs - targets) ** 2, known)
    discordance = torch.stack(
        [
            concordance_loss(outputs[:, i], targets[:, i], known[:, i])
            for i in range(targets.shape[1])
        ]
    ).mean()
    return (1 - concordance) * squared + concordance * discordance


@torch.no_grad()
def _score_with(member: Member, weights: list[torch.Tensor], examples: _Examples) -> float:
    """Mean correlation over the rated dimensions, with weights other than the member's own."""
    parameters: list[torch.Tensor] = list(member.trained().values())
    own = [parameter.detach().clone() for parameter in parameters]
    torch._foreach_copy_(parameters, weights)
    member.eval()
    outputs = torch.zeros_like(examples.targets)
    for rows in batches_by_length(examples.lengths, tokens_per_batch()):
        states, mask, _ = examples.take(rows)
        outputs[torch.from_numpy(rows)] = member(states, mask).cpu()
    torch._foreach_copy_(parameters, own)
    pairs = torch.stack([examples.targets, outputs]).double().unbind(2)  # (2, n) each
    known = [pair[:, pair.isfinite().all(0)] for pair in pairs]
    scores = [float(pair.corrcoef()[0, 1]) for pair in known if pair.shape[1] > 1]
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else -math.inf


def _shuffled_batches(lengths: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Batches in random order, each of texts of similar length."""
    noise = torch.rand(len(lengths)).numpy() * 0.2 + 0.9
    order = np.argsort(lengths * noise)
    starts = np.arange(0, len(order), size)
    for index in torch.randperm(len(starts)).tolist():
        yield order[starts[index] : starts[index] + size]


def _without_some_tokens(mask: torch.Tensor, share: float) -> torch.Tensor:
    """Leave out tokens at random; never the first, which is [CLS]."""
    if not share:
        return mask
    kept = torch.rand(mask.shape, device=mask.device) >= share
    kept[:, 0] = True
    return mask & kept


def _json_numbers(values: torch.Tensor) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
