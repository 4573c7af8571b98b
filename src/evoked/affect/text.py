"""The text emotion reader: valence, arousal and dominance of a caption, without annotation.

MiniLM reads the words. A few *members* each change some of its layers and add a small head, and
the reading is the members' mean. Members of one recipe are a *group*: they share the first layers,
which are computed once. Changes are kept as low-rank differences, so a reader takes a few megabytes
in addition to MiniLM's weights, whose checksum it keeps.
"""

from __future__ import annotations

import copy
import hashlib
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import load, save
from torch import nn

from evoked.affect._low_rank import add_low_rank, averaged, compressed, expanded, merge_low_rank
from evoked.affect._recipes import RECIPES, Recipe
from evoked.errors import DataError
from evoked.features.captions import prepare
from evoked.features.encoders._inference import fast_inference, inference_device
from evoked.features.encoders.builtin_text import MINILM_SHA256, minilm_folder
from evoked.features.encoders.transformers_text import (
    batches_by_length,
    load_pretrained,
    mean_over_tokens,
    padded_ids,
)
from evoked.features.table import RaggedColumn
from evoked.files import atomic_folder, read_json, write_json
from evoked.layers.losses import concordance_loss, masked_mean
from evoked.posts.schema import EMOTIONS, SCALES
from evoked.progress import Progress

FORMAT_VERSION = 2
MAX_TOKENS = 128
SETTINGS_FILE = "reader.json"
WEIGHTS_FILE = "weights.safetensors"

MIN_STEPS = 200
WEIGHT_DECAY = 0.01
WARM_UP = 0.06  # share of the steps

_LAYER = re.compile(r"layers\.encoder\.layer\.(\d+)\.")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN_LETTER = re.compile(r"[A-Za-zÀ-ɏ]")

Ratings = NDArray[np.float32]


class TextEmotionReader:
    """Reads valence, arousal and dominance from texts. Made by :func:`fit_text` or :meth:`load`.

    Parameters
    ----------
    weights
        Tensors named ``group.shared.parameter`` and ``group.members.member.parameter``. A matrix of
        MiniLM's has two, ``….up`` (m, rank) and ``….down`` (rank, n), whose product is the
        difference from it; what is absent is as in MiniLM.
    settings
        Groups, mean and spread of the ratings: what :meth:`save` writes as JSON.

    Attributes
    ----------
    fingerprint
        Changes whenever the readings could change.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor], settings: Mapping[str, Any]) -> None:
        self.settings = dict(settings)
        # Half the size on disk, and a reader that was just fitted reads exactly as a loaded one.
        self._weights = save({name: tensor.half() for name, tensor in weights.items()})
        self.settings["weights_sha256"] = hashlib.sha256(self._weights).hexdigest()
        self.fingerprint = (
            f"text-emotion:{self.settings['weights_sha256'][:16]}:{MINILM_SHA256[:16]}"
        )
        self._mean, self._spread = _numbers(settings["mean"]), _numbers(settings["spread"])
        self._minilm = _MiniLM()
        self._groups = [
            self._group(load(self._weights), f"{index}.", group)
            for index, group in enumerate(settings["groups"])
        ]

    def predict(self, texts: Sequence[str | None]) -> Ratings:
        """Read texts, as they were written in posts.

        Parameters
        ----------
        texts
            n captions.

        Returns
        -------
        float32, (n, 3)
            Valence [-4, 4], arousal [0, 8], dominance [-4, 4]. NaN where the text can't be read:
            it is empty, more than half of its tokens are unknown to MiniLM, or more than half of
            its letters are not Latin (MiniLM is English; other languages in Latin script are read,
            poorly). A dimension that had no ratings in the fit is NaN everywhere.
        """
        rows, ids = self._minilm.readable(texts)
        readings = np.full((len(texts), len(EMOTIONS)), np.nan, dtype=np.float32)
        for batch in batches_by_length(_lengths(ids)):
            embeddings, mask = self._minilm.embed([ids[i] for i in batch])
            with fast_inference():
                outputs = torch.cat([group(embeddings, mask) for group in self._groups])
            readings[rows[batch]] = outputs.float().mean(0).cpu() * self._spread + self._mean
        lowest, highest = np.array([SCALES[name] for name in EMOTIONS]).T
        return np.clip(readings, lowest, highest).astype(np.float32)

    def save(self, folder: Path | str) -> None:
        """Write ``reader.json`` and ``weights.safetensors`` (float16) to ``folder``."""
        with atomic_folder(folder) as temporary:
            (temporary / WEIGHTS_FILE).write_bytes(self._weights)
            write_json(temporary / SETTINGS_FILE, self.settings)

    @classmethod
    def load(cls, folder: Path | str) -> TextEmotionReader:
        """Read what :meth:`save` wrote. Nothing in the folder is executed.

        Raises
        ------
        DataError
            The folder holds no reader, a damaged one, or one for other MiniLM weights.
        """
        folder = Path(folder)
        settings, weights = read_json(folder / SETTINGS_FILE), folder / WEIGHTS_FILE
        if settings.get("format_version") != FORMAT_VERSION:
            raise DataError(
                f"not a text emotion reader of format version {FORMAT_VERSION}.",
                file=folder / SETTINGS_FILE,
                fix="Fit one with 'evoked affect fit'.",
            )
        if settings["base_sha256"] != MINILM_SHA256:
            raise DataError("fitted to other MiniLM weights than those installed.", file=folder)
        content = weights.read_bytes() if weights.is_file() else b""
        if hashlib.sha256(content).hexdigest() != settings["weights_sha256"]:
            raise DataError("the weights are missing or damaged.", file=weights)
        return cls(load(content), settings)

    def _group(
        self, weights: Mapping[str, torch.Tensor], prefix: str, settings: Mapping[str, Any]
    ) -> _Group:
        with torch.random.fork_rng():  # the first weights are random, and replaced at once
            group = _Group(self._minilm, settings)
        own = {
            name.removeprefix(prefix): tensor.float()
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
        try:
            group.load_state_dict(expanded(own, _layers_of(group)))
        except (RuntimeError, KeyError) as error:
            raise DataError("the weights are not those of a text emotion reader.") from error
        return group.to(inference_device()).eval().requires_grad_(False)


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
    return TextEmotionReader(weights, settings)


class _MiniLM:
    """The sentence model, in parts: embeddings, which stay the same, and layers, which change.

    Attributes
    ----------
    channels, layers
        Size of the states (384) and number of layers (6).
    """

    def __init__(self) -> None:
        self._tokenizer, self._model = load_pretrained(minilm_folder())
        self._embeddings = self._model.embeddings
        self._model.embeddings, self._model.pooler = _GivenEmbeddings(), None
        self.channels: int = self._model.config.hidden_size
        self.layers: int = self._model.config.num_hidden_layers

    def part(self, first: int, end: int) -> Any:
        """A copy of the layers from ``first`` to before ``end``, under their own numbers.

        It takes states instead of token ids.
        """
        part = copy.deepcopy(self._model)
        for index in range(self.layers):
            if not first <= index < end:
                part.encoder.layer[index] = _NoLayer()
        return part

    def readable(self, texts: Sequence[str | None]) -> tuple[NDArray[np.int64], list[list[int]]]:
        """Rows of the texts that can be read, and the token ids of each of them."""
        prepared = prepare(texts)
        if not prepared:  # the tokenizer takes no empty list
            return np.zeros(0, dtype=np.int64), []
        encodings = self._tokenizer(prepared, truncation=True, max_length=MAX_TOKENS).input_ids
        rows = [
            row
            for row, (text, ids) in enumerate(zip(prepared, encodings, strict=True))
            if _is_latin(text) and self._knows(ids)
        ]
        return np.array(rows, dtype=np.int64), [encodings[row] for row in rows]

    def embed(self, ids: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (n, longest, 384) and the mask of tokens."""
        tokens, mask = padded_ids(ids, self._tokenizer.pad_token_id)
        tokens, mask = tokens.to(inference_device()), mask.to(inference_device())
        with fast_inference():
            return self._embeddings(input_ids=tokens), mask

    def _knows(self, ids: list[int]) -> bool:
        tokens = len(ids) - 2  # without [CLS] and [SEP]
        return tokens > 0 and ids.count(self._tokenizer.unk_token_id) <= tokens / 2


class _GivenEmbeddings(nn.Module):
    """Takes the place of the embeddings where a network starts from given states."""

    def forward(self, inputs_embeds: torch.Tensor, **_unused: Any) -> torch.Tensor:
        return inputs_embeds


class _NoLayer(nn.Module):
    """Takes the place of a layer in a part without that layer."""

    def forward(self, states: torch.Tensor, *_unused: Any, **_also_unused: Any) -> torch.Tensor:
        return states


class _Attention(nn.Linear):
    """Scores of tokens. There may be no scores, about which ``nn.Linear`` would warn."""

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(self.in_features**-0.5), self.in_features**-0.5)


class _Member(nn.Module):
    """Some of MiniLM's layers, a mix of their last outputs, and a head.

    The head reads the mean over the text's tokens, and a weighted mean for each attention.

    Parameters
    ----------
    layers
        The last layers of MiniLM.
    mixed
        Number of outputs that are mixed, counting the input of the first layer as one.
    attentions
        Number of learned weightings of the tokens.
    last_layer
        Initial weight of the last layer in the mix, before the softmax; 0 for the others.
    dropout
        Share of the head's inputs that are dropped in training.
    """

    def __init__(
        self,
        layers: Any,
        mixed: int,
        attentions: int,
        last_layer: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels = layers.config.hidden_size
        mix = torch.zeros(mixed)
        mix[-1] = last_layer
        self.mix = nn.Parameter(mix)
        self.layers = layers
        self.attention = _Attention(channels, attentions)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear((1 + attentions) * channels, len(EMOTIONS))

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """States before the layers, (n, longest, 384), and mask to standardised readings (n, 3)."""
        outputs = self.layers(
            inputs_embeds=states, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        last = torch.stack(outputs[-len(self.mix) :])
        mixed = torch.einsum("l,lntc->ntc", self.mix.softmax(0), last)
        scores = self.attention(mixed).masked_fill(~mask.unsqueeze(-1), -torch.inf)
        attended = scores.softmax(1).transpose(1, 2) @ mixed
        pooled = torch.cat([mean_over_tokens(mixed, mask), attended.flatten(1)], dim=1)
        output: torch.Tensor = self.head(self.dropout(pooled))
        return output

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes, by name."""
        return {name: each for name, each in self.named_parameters() if each.requires_grad}


class _Group(nn.Module):
    """Members and the first layers that they share."""

    def __init__(self, minilm: _MiniLM, settings: Mapping[str, Any]) -> None:
        super().__init__()
        first = settings["shared_layers"]
        self.shared = minilm.part(0, first)
        mixed = minilm.layers - first + 1
        self.members = nn.ModuleList(
            _Member(minilm.part(first, minilm.layers), mixed, settings["attentions"])
            for _ in range(settings["members"])
        )

    def forward(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, longest, 384) and mask to standardised readings (members, n, 3)."""
        states = self.shared(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
        return torch.stack([member(states, mask) for member in self.members])


def _layers_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights that come from MiniLM."""
    return {
        name: each.cpu().clone()
        for name, each in module.state_dict().items()
        if ".encoder.layer." in name
    }


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
        minilm: _MiniLM,
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
        rows, ids = minilm.readable([texts[int(row)] for row in rated])
        self.targets = torch.from_numpy(targets[rated[rows]])
        self.lengths = _lengths(ids)
        ends = np.cumsum(self.lengths)
        self._starts = ends - self.lengths
        file = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (closed by the stack)
        shape = (max(int(self.lengths.sum()), 1), minilm.channels)
        states = np.memmap(file, np.float16, "w+", shape=shape)
        frozen = minilm.part(0, frozen_layers)
        for batch in batches_by_length(self.lengths):
            embeddings, mask = minilm.embed([ids[i] for i in batch])
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
        self._minilm = _MiniLM()
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
            member = _Member(layers, *shape).to(inference_device())
            member.load_state_dict(self._train(member, advance), strict=False)
        merge_low_rank(member)
        weights = {name: each.detach().cpu() for name, each in member.state_dict().items()}
        whole = minilm.part(recipe.frozen_layers, minilm.layers)
        base = {f"layers.{name}": each.cpu() for name, each in whole.state_dict().items()}
        return compressed(weights, base, recipe.rank)

    def _train(self, member: _Member, advance: Callable[[], None]) -> dict[str, torch.Tensor]:
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
def _score_with(member: _Member, weights: list[torch.Tensor], examples: _Examples) -> float:
    """Mean correlation over the rated dimensions, with weights other than the member's own."""
    parameters: list[torch.Tensor] = list(member.trained().values())
    own = [parameter.detach().clone() for parameter in parameters]
    torch._foreach_copy_(parameters, weights)
    member.eval()
    outputs = torch.zeros_like(examples.targets)
    for rows in batches_by_length(examples.lengths):
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


def _is_latin(text: str) -> bool:
    letters = len(_LETTER.findall(text))
    return 2 * len(_LATIN_LETTER.findall(text)) >= letters


def _lengths(ids: list[list[int]]) -> NDArray[np.int64]:
    return np.array([len(each) for each in ids], dtype=np.int64)


def _json_numbers(values: torch.Tensor) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _numbers(values: list[float | None]) -> torch.Tensor:
    return torch.tensor([math.nan if value is None else value for value in values])
