"""Text networks of the transformers library: BERT, RoBERTa, DeBERTa, MiniLM, CLIP's text tower."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evoked.errors import SettingsError
from evoked.features.encoders._inference import fast_inference, inference_device
from evoked.features.encoders._token_batches import (
    TOKENS_PER_BATCH,
    Floats,
    Ids,
    Mask,
    offsets_of,
    padded,
    text_features,
)
from evoked.features.encoders.base import TextEncoder, TextFeatures

_TOKENS_ON_A_CARD = 65536


class TransformersTextEncoder(TextEncoder):
    """Any encoder that transformers' ``AutoModel`` loads, with its own fast tokenizer.

    The vector of a text is the mean over its tokens, including special ones, scaled to length 1 (as
    in sentence-transformers). For CLIP it is the state of the token that ends the text, the only
    one that depends on all others. A text without tokens has the zero vector. A folder with the
    whole of CLIP will do.

    Parameters
    ----------
    source
        A local folder, or the name of a model on the Hugging Face hub (with ``HF_HUB_OFFLINE=1``
        only one that was downloaded before).
    max_tokens
        Longest sequence, including special tokens; the network may impose a lower limit.

    Raises
    ------
    SettingsError
        The folder or model can't be loaded, has no safetensors weights, has no fast tokenizer
        (which character offsets need), or needs code from its folder (which is never run).
    """

    def __init__(self, source: Path | str, max_tokens: int = 128) -> None:
        self._tokenizer, self._model = load_pretrained(source)
        self.max_tokens = min(max_tokens, self._tokenizer.model_max_length)
        self.token_channels = self.vector_size = int(self._model.config.hidden_size)
        self.fingerprint = (
            f"transformers:{self._model.config.model_type}:{self._checksum()}:{self.max_tokens}"
        )

    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode prepared texts; see :class:`TextFeatures`. Batches are sorted by length."""
        encodings = self._encodings(texts)
        return text_features(
            encodings, self._padding_id, self.token_channels, self._run, tokens_per_batch()
        )

    def tokenize(self, texts: list[str]) -> list[list[tuple[int, int]]]:
        """Character offsets (start, end) of every token except the special ones."""
        return offsets_of(self._encodings(texts))

    def token_ids(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids (int64) and mask (bool), (n, longest), special tokens included."""
        ids = [encoding.ids for encoding in self._encodings(texts)]
        filled, mask = padded(ids, self._padding_id)
        return torch.from_numpy(filled), torch.from_numpy(mask)

    def network(self) -> nn.Module:
        """A trainable float32 copy of the network: (ids, mask) to (n, longest, token_channels)."""
        return _TokenStates(copy.deepcopy(self._model).float().requires_grad_(True).train())

    def _run(self, ids: Ids, mask: Mask) -> tuple[Floats, Floats]:
        given, real = (torch.from_numpy(each).to(inference_device()) for each in (ids, mask))
        with fast_inference():
            states = self._model(input_ids=given, attention_mask=real).last_hidden_state.float()
            whole = _text_vectors(self._model, states, real)
        return states.cpu().numpy(), whole.cpu().numpy()

    @property
    def _padding_id(self) -> int:
        return self._tokenizer.pad_token_id or 0

    def _encodings(self, texts: list[str]) -> list[Any]:
        if not texts:
            return []
        batch = self._tokenizer(texts, truncation=True, max_length=self.max_tokens)
        return list(batch.encodings)

    def _checksum(self) -> str:
        """Checksum of weights and tokenizer, which decide the output, wherever they come from."""
        digest = hashlib.sha256(self._tokenizer.backend_tokenizer.to_str().encode())
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


class _TokenStates(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return states

    def vector(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """One vector per text, (n, token_channels), not scaled to length 1."""
        return _text_vectors(self.model, self(ids, mask), mask)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """The words' own vectors, (n, longest, token_channels), before any layer reads them."""
        embeddings: torch.Tensor = self.model.get_input_embeddings()(ids)
        return embeddings

    def read(
        self, embeddings: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """Token vectors for any embeddings (n, length, token_channels), not only those of words.

        ``positions``: int64, (length,), from 0; those beyond the network's last count as its last.
        """
        config = self.model.config
        # RoBERTa and its kin start counting after the id of the padding.
        first = config.pad_token_id + 1 if "roberta" in config.model_type else 0
        numbers = (positions + first).clamp(max=config.max_position_embeddings - 1)
        states: torch.Tensor = self.model(
            inputs_embeds=embeddings, attention_mask=mask, position_ids=numbers[None]
        ).last_hidden_state
        return states


def load_pretrained(source: Path | str) -> tuple[Any, Any]:
    """The tokenizer and the frozen network, from a folder or the hub; reads only safetensors, and
    runs no code of others.

    Raises
    ------
    SettingsError
        See :class:`TransformersTextEncoder`.
    """
    # Takes seconds to import, so only where a network is used.
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    options = {"local_files_only": Path(source).is_dir(), "trust_remote_code": False}
    try:
        # Loading draws random numbers, which must not change the ones that the caller draws next.
        with quietly(), torch.random.fork_rng():
            tokenizer = AutoTokenizer.from_pretrained(str(source), **options)
            whole = AutoConfig.from_pretrained(str(source), **options)
            # For a model of pictures and texts, only the tower that reads texts.
            config = getattr(whole, "text_config", None) or whole
            model, report = AutoModel.from_pretrained(
                str(source),
                config=config,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (ImportError, OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"the text encoder {str(source)!r} can't be loaded: {error} Give a folder with "
            "config.json, tokenizer.json and model.safetensors, or the name of a model on the hub."
        ) from error
    # The pooling, which many networks are published without, is never used.
    missing = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    if missing:
        raise SettingsError(
            f"the text encoder {str(source)!r} lacks {len(missing)} of the network's weights, "
            f"{sorted(missing)[0]} for one."
        )
    if not tokenizer.is_fast:
        raise SettingsError(
            f"the text encoder {str(source)!r} has no fast tokenizer (tokenizer.json), which is "
            "needed for the words' positions."
        )
    return tokenizer, model.to(inference_device()).requires_grad_(False).eval()


def tokens_per_batch() -> int:
    """Padded tokens that go through a network at a time."""
    return TOKENS_PER_BATCH if inference_device().type == "cpu" else _TOKENS_ON_A_CARD


def mean_over_tokens(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of ``states`` (n, longest, channels) over the tokens of ``mask`` (n, longest)."""
    weights = mask.to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def _text_vectors(model: Any, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One vector per text, (n, channels), from its tokens' ``states`` (n, longest, channels)."""
    if model.config.model_type == "clip_text_model":
        last = mask.sum(1).clamp(min=1) - 1
        return states[torch.arange(len(states), device=states.device), last]
    return mean_over_tokens(states, mask)


@contextmanager
def quietly() -> Iterator[None]:
    """Load without progress bars, and without a report on weights that a tower doesn't use."""
    from transformers.utils import logging

    was_on, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if was_on:
            logging.enable_progress_bar()
