"""The text emotion reader: valence, arousal and dominance of a caption, without annotation.

MiniLM reads the words. Its lower layers stay as they are; a few *members* each add a low-rank
difference to the upper ones and a small head, and the reading is the members' mean. So a reader is
a few megabytes beside MiniLM's weights, whose checksum it remembers.
"""

from __future__ import annotations

import copy
import hashlib
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import load, save
from torch import nn

from evoked.affect._low_rank import add_low_rank, merge_low_rank
from evoked.errors import DataError
from evoked.features.encoders._inference import fast_inference, inference_device
from evoked.features.encoders.builtin_text import MINILM_SHA256, minilm_folder
from evoked.features.encoders.transformers_text import (
    batches_by_length,
    load_pretrained,
    mean_over_tokens,
    padded_ids,
)
from evoked.features.table import RaggedColumn
from evoked.features.text import prepare
from evoked.files import atomic_folder, read_json, write_json
from evoked.layers.losses import concordance_loss, masked_mean
from evoked.posts.schema import EMOTIONS, SCALES

FORMAT_VERSION = 1
MAX_TOKENS = 128
SETTINGS_FILE = "reader.json"
WEIGHTS_FILE = "weights.safetensors"

# Chosen on EmoBank's dev split.
RANK = 16
FROZEN_LAYERS = 2
EPOCHS = 4
MIN_STEPS = 200
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
WARM_UP = 0.06  # share of the steps
BATCH_SIZE = 16
RANK_DROPOUT = 0.1
HEAD_DROPOUT = 0.2
TOKEN_DROPOUT = 0.1  # tokens left out in training, so that no single word decides
CONCORDANCE_WEIGHT = 0.2
AVERAGING = 0.995  # decay of the running mean of the weights, which is what is kept

_LETTER = re.compile(r"[^\W\d_]")
_LATIN_LETTER = re.compile(r"[A-Za-zÀ-ɏ]")

Ratings = NDArray[np.float32]
Progress = Callable[[int, int], None]


class TextEmotionReader:
    """Reads valence, arousal and dominance from texts. Made by :func:`fit_text` or :meth:`load`.

    Parameters
    ----------
    weights
        What was trained: tensors named ``member.parameter``.
    settings
        Rank, frozen layers, mean and spread of the ratings: what :meth:`save` writes as JSON.

    Attributes
    ----------
    fingerprint
        Changes whenever the readings could change.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor], settings: Mapping[str, Any]) -> None:
        self.settings = dict(settings)
        # Half the size on disk; what was just fitted reads exactly as what is loaded.
        self._weights = save({name: tensor.half() for name, tensor in weights.items()})
        self.settings["weights_sha256"] = hashlib.sha256(self._weights).hexdigest()
        self.fingerprint = (
            f"text-emotion:{self.settings['weights_sha256'][:16]}:{MINILM_SHA256[:16]}"
        )
        self._mean, self._spread = _numbers(settings["mean"]), _numbers(settings["spread"])
        self._minilm = _MiniLM(settings["frozen_layers"])
        self._members = [
            self._member(load(self._weights), f"{index}.") for index in range(settings["members"])
        ]

    def predict(self, texts: Sequence[str | None]) -> Ratings:
        """Read texts as they stand in posts.

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
            poorly). A dimension without ratings in the fit is NaN everywhere.
        """
        rows, ids = self._minilm.readable(texts)
        readings = np.full((len(texts), len(EMOTIONS)), np.nan, dtype=np.float32)
        for batch in batches_by_length(_lengths(ids)):
            states, mask = self._minilm.lower_states([ids[i] for i in batch])
            with fast_inference():
                outputs = torch.stack([member(states, mask) for member in self._members])
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
            The folder is no reader, is damaged, or belongs to other MiniLM weights.
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

    def _member(self, weights: Mapping[str, torch.Tensor], prefix: str) -> _Member:
        with torch.random.fork_rng():  # the first weights are random, and at once replaced
            member = _Member(self._minilm.upper, self.settings["rank"])
        own = {
            name.removeprefix(prefix): tensor.float()
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
        shapes = {name: each.shape for name, each in member.trained().items()}
        if shapes != {name: tensor.shape for name, tensor in own.items()}:
            raise DataError("the weights are not those of a text emotion reader.")
        member.load_state_dict(own, strict=False)
        merge_low_rank(member)
        return member.to(inference_device()).eval().requires_grad_(False)


def fit_text(
    texts: Sequence[str | None],
    ratings: ArrayLike,
    *,
    validation: tuple[Sequence[str | None], ArrayLike] | None = None,
    members: int = 2,
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
        Texts and ratings on which each member's best epoch is chosen; the last one by default.
    members
        Networks to average; each adds about 1 MB.
    epochs
        Passes of each member over the texts; by default 4, or more so that there are 200 steps.
    seed
        Decides initial weights, order and dropped tokens.
    progress
        Called with the steps done and the steps in all.

    Raises
    ------
    DataError
        Ratings of another shape, or fewer than two readable rated texts.
    """
    minilm = _MiniLM(FROZEN_LAYERS)
    with ExitStack() as files:
        known = _Examples(minilm, texts, ratings, files)
        held_out = _Examples(minilm, *validation, files) if validation else None
        if len(known) < 2:
            raise DataError("fewer than two rated texts that can be read: nothing to learn from.")
        mean, spread = known.moments()
        steps = math.ceil(len(known) / BATCH_SIZE)
        epochs = epochs or max(EPOCHS, math.ceil(MIN_STEPS / steps))
        plan = _Plan(epochs, steps, members, progress)
        weights: dict[str, torch.Tensor] = {}
        for index in range(members):
            with torch.random.fork_rng():
                torch.manual_seed(seed + index)
                member = _Member(minilm.upper, RANK).to(inference_device())
                trained = _train(member, known, held_out, mean, spread, plan)
            weights |= {f"{index}.{name}": tensor.cpu() for name, tensor in trained.items()}
    settings = {
        "format_version": FORMAT_VERSION,
        "base": "all-MiniLM-L6-v2",
        "base_sha256": MINILM_SHA256,
        "dimensions": list(EMOTIONS),
        "members": members,
        "rank": RANK,
        "frozen_layers": FROZEN_LAYERS,
        "epochs": epochs,
        "seed": seed,
        "texts": len(known),
        "mean": _json_numbers(mean),
        "spread": _json_numbers(spread),
    }
    return TextEmotionReader(weights, settings)


class _MiniLM:
    """The sentence model, cut in two: frozen lower layers, and upper ones for members to adapt."""

    def __init__(self, frozen_layers: int) -> None:
        self._tokenizer, model = load_pretrained(minilm_folder())
        model.pooler = None
        self.upper = copy.deepcopy(model)
        self.upper.embeddings = _GivenEmbeddings()
        self.upper.encoder.layer = self.upper.encoder.layer[frozen_layers:]
        self._lower = model
        self._lower.encoder.layer = model.encoder.layer[:frozen_layers]

    def readable(self, texts: Sequence[str | None]) -> tuple[NDArray[np.int64], list[list[int]]]:
        """Rows of the texts that can be read, and the token ids of each of them."""
        prepared = prepare(texts)
        if not prepared:  # which the tokenizer does not take
            return np.zeros(0, dtype=np.int64), []
        encodings = self._tokenizer(prepared, truncation=True, max_length=MAX_TOKENS).input_ids
        rows = [
            row
            for row, (text, ids) in enumerate(zip(prepared, encodings, strict=True))
            if _is_latin(text) and self._knows(ids)
        ]
        return np.array(rows, dtype=np.int64), [encodings[row] for row in rows]

    def lower_states(self, ids: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Output of the frozen layers, (n, longest, 384), and the mask of tokens."""
        tokens, mask = padded_ids(ids, self._tokenizer.pad_token_id)
        tokens, mask = tokens.to(inference_device()), mask.to(inference_device())
        with fast_inference():
            return self._lower(input_ids=tokens, attention_mask=mask).last_hidden_state, mask

    def _knows(self, ids: list[int]) -> bool:
        tokens = len(ids) - 2  # without [CLS] and [SEP]
        return tokens > 0 and ids.count(self._tokenizer.unk_token_id) <= tokens / 2


class _GivenEmbeddings(nn.Module):
    """Takes the place of the embeddings where a network starts from given states."""

    def forward(self, inputs_embeds: torch.Tensor, **_unused: Any) -> torch.Tensor:
        return inputs_embeds


class _Member(nn.Module):
    """Upper layers with a low-rank difference, a mix of their outputs, and a head.

    The text's vector is the mean over its tokens beside their weighted mean by learned attention.
    """

    def __init__(self, upper: Any, rank: int) -> None:
        super().__init__()
        self.upper = copy.deepcopy(upper)
        add_low_rank(self.upper, rank, RANK_DROPOUT)
        channels = upper.config.hidden_size
        mix = torch.zeros(len(upper.encoder.layer) + 1)
        mix[-1] = 1
        self.mix = nn.Parameter(mix)
        self.attention = nn.Linear(channels, 1)
        self.dropout = nn.Dropout(HEAD_DROPOUT)
        self.head = nn.Linear(2 * channels, len(EMOTIONS))

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Lower states (n, longest, 384) and mask to standardised readings (n, 3)."""
        layers = self.upper(
            inputs_embeds=states, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        mixed = torch.einsum("l,lntc->ntc", self.mix.softmax(0), torch.stack(layers))
        scores = self.attention(mixed).squeeze(-1).masked_fill(~mask, -torch.inf)
        attended = (scores.softmax(1).unsqueeze(1) @ mixed).squeeze(1)
        pooled = torch.cat([mean_over_tokens(mixed, mask), attended], dim=1)
        output: torch.Tensor = self.head(self.dropout(pooled))
        return output

    def trained(self) -> dict[str, nn.Parameter]:
        """What training changes, and what a reader keeps."""
        return {name: each for name, each in self.named_parameters() if each.requires_grad}


class _Examples:
    """Rated texts as the frozen layers leave them, on disk: they are computed once.

    Parameters
    ----------
    minilm
        Whose lower layers.
    texts, ratings
        n texts and their ratings, (n, 3).
    files
        Closes (and so removes) the file of states.
    """

    def __init__(
        self, minilm: _MiniLM, texts: Sequence[str | None], ratings: ArrayLike, files: ExitStack
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
        shape = (max(int(self.lengths.sum()), 1), minilm.upper.config.hidden_size)
        states = np.memmap(file, np.float16, "w+", shape=shape)
        for batch in batches_by_length(self.lengths):
            values, mask = minilm.lower_states([ids[i] for i in batch])
            for row, value, present in zip(batch, values, mask, strict=True):
                states[self._starts[row] : ends[row]] = value[present].cpu().numpy()
        self._column = RaggedColumn(states, self._starts, self.lengths)

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Lower states, mask and targets of a batch, on the device."""
        batch = self._column.take(rows)
        parts = (batch[""], batch["mask"], self.targets[torch.from_numpy(rows)])
        states, mask, targets = (part.to(inference_device()) for part in parts)
        return states, mask, targets

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of each dimension, (3,); NaN without ratings."""
        mean = self.targets.nanmean(0)
        spread = (self.targets - mean).square().nanmean(0).sqrt()
        return mean, torch.where(spread == 0, 1.0, spread)


class _Plan:
    """How long to train, at which rate, and how much of it is done."""

    def __init__(
        self, epochs: int, steps_per_epoch: int, members: int, progress: Progress | None
    ) -> None:
        self.epochs = epochs
        self._steps = epochs * steps_per_epoch
        self._all_steps = members * self._steps
        self._done = 0
        self._progress = progress

    def rate(self, step: int) -> float:
        """Factor of the learning rate: a short rise, then half a cosine down to zero."""
        rise = min(1.0, (step + 1) / (WARM_UP * self._steps))
        return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self._steps)))

    def advance(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._all_steps)


def _train(
    member: _Member,
    known: _Examples,
    held_out: _Examples | None,
    mean: torch.Tensor,
    spread: torch.Tensor,
    plan: _Plan,
) -> dict[str, torch.Tensor]:
    """Train in place; the running mean of the trained weights, from the best epoch if known."""
    trained = member.trained()
    parameters: list[torch.Tensor] = list(trained.values())
    averages = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, plan.rate)
    step, best, kept = 0, -math.inf, averages
    for _ in range(plan.epochs):
        member.train()
        for rows in _shuffled_batches(known.lengths):
            states, mask, targets = known.take(rows)
            outputs = member(states, _without_some_tokens(mask))
            loss = _loss(outputs, (targets - mean) / spread)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            # Follows closely at first, so that the initial weights are soon forgotten.
            decay = min(AVERAGING, step / (step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - decay)
            plan.advance()
        if held_out is not None:
            score = _score_with(member, averages, held_out)
            if score > best:
                best, kept = score, [average.clone() for average in averages]
    return dict(zip(trained, kept, strict=True))


def _loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Squared error and 1 - CCC over the known ratings; both (b, 3), targets NaN where unknown."""
    known = targets.isfinite().float()
    targets = targets.nan_to_num()
    squared = masked_mean((outputs - targets) ** 2, known)
    concordance = torch.stack(
        [
            concordance_loss(outputs[:, i], targets[:, i], known[:, i])
            for i in range(targets.shape[1])
        ]
    ).mean()
    return (1 - CONCORDANCE_WEIGHT) * squared + CONCORDANCE_WEIGHT * concordance


@torch.no_grad()
def _score_with(member: _Member, weights: list[torch.Tensor], examples: _Examples) -> float:
    """Mean correlation over the rated dimensions with other weights than the member's own."""
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


def _shuffled_batches(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Batches in random order, each of texts of similar length."""
    noise = torch.rand(len(lengths)).numpy() * 0.2 + 0.9
    order = np.argsort(lengths * noise)
    starts = np.arange(0, len(order), BATCH_SIZE)
    for index in torch.randperm(len(starts)).tolist():
        yield order[starts[index] : starts[index] + BATCH_SIZE]


def _without_some_tokens(mask: torch.Tensor) -> torch.Tensor:
    """Leave out tokens at random; never the first, which is [CLS]."""
    kept = torch.rand(mask.shape, device=mask.device) >= TOKEN_DROPOUT
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
