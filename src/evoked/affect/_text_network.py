"""The text emotion reader's network in torch: to fit it, and to read where no graph does."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from evoked.affect._kept_weights import Kept, group_weights
from evoked.features.encoders._inference import fast_inference, inference_device
from evoked.features.encoders._minilm import minilm_folder
from evoked.features.encoders._token_batches import Floats, Ids, Mask
from evoked.features.encoders.transformers_text import (
    load_pretrained,
    mean_over_tokens,
    tokens_per_batch,
)
from evoked.posts.schema import EMOTIONS


class MiniLM:
    """The sentence model, in parts: embeddings, which stay the same, and layers, which change.

    Attributes
    ----------
    channels, layers
        Size of the states (384) and number of layers (6).
    """

    def __init__(self) -> None:
        _, self._model = load_pretrained(minilm_folder())
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

    def embed(self, ids: Ids, mask: Mask) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (n, longest, 384) of ids (n, longest), and the mask as a tensor."""
        tokens, real = (torch.from_numpy(each).to(inference_device()) for each in (ids, mask))
        with fast_inference():
            return self._embeddings(input_ids=tokens), real


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


class Member(nn.Module):
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


class Group(nn.Module):
    """Members and the first layers that they share."""

    def __init__(self, minilm: MiniLM, settings: Mapping[str, Any]) -> None:
        super().__init__()
        first = settings["shared_layers"]
        self.shared = minilm.part(0, first)
        mixed = minilm.layers - first + 1
        self.members = nn.ModuleList(
            Member(minilm.part(first, minilm.layers), mixed, settings["attentions"])
            for _ in range(settings["members"])
        )

    def forward(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, longest, 384) and mask to standardised readings (members, n, 3)."""
        states = self.shared(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
        return torch.stack([member(states, mask) for member in self.members])


class TorchReading:
    """What the members of a reader read: as :class:`evoked.affect._text_graph.GraphReading`."""

    def __init__(self, groups: Iterable[tuple[Kept, Mapping[str, Any]]]) -> None:
        self.tokens_per_batch = tokens_per_batch()
        self._minilm = MiniLM()
        self._groups = [self._group(kept, settings) for kept, settings in groups]

    def __call__(self, ids: Ids, mask: Mask) -> Floats:
        """Standardised readings of each member, (members, n, 3), for ids and mask (n, longest)."""
        embeddings, real = self._minilm.embed(ids, mask)
        with fast_inference():
            outputs = torch.cat([group(embeddings, real) for group in self._groups])
        return outputs.float().cpu().numpy()

    def _group(self, kept: Kept, settings: Mapping[str, Any]) -> Group:
        with torch.random.fork_rng():  # the first weights are random, and replaced at once
            group = Group(self._minilm, settings)
        weights = group_weights(kept, settings)
        group.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})
        return group.to(inference_device()).eval().requires_grad_(False)
