"""From which word to which word a model's textual self-attention goes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from evoked.explain.attention import _caption_tokens, tells_attention
from evoked.explain.words import Words
from evoked.models.base import Examples, Model


@torch.inference_mode()
def word_matrix(
    model: Model, examples: Examples, words: pd.DataFrame
) -> NDArray[np.float64] | None:
    """Self-attention between the words of one caption.

    Parameters
    ----------
    model
        Any model.
    examples
        One post.
    words
        The post's :attr:`evoked.explain.Explanation.words`.

    Returns
    -------
    ndarray or None
        (words, words): the share of its attention that the word of the row gives to the word of
        the column (hashtags and special tokens get the rest). None for models or posts without
        textual self-attention.
    """
    if not len(words) or not tells_attention(model):
        return None
    network = model.network  # type: ignore[attr-defined]
    network.eval()
    weights: dict[str, Tensor] = {}
    network(examples.features.take(np.arange(1)), attention=weights)
    if "words" not in weights:
        return None
    (tokens,) = _caption_tokens(model, examples, np.arange(1))  # type: ignore[arg-type]
    matrix = weights["words"][0].float().numpy()[tokens, tokens]
    spans = list(zip(words["start"], words["end"], strict=True))
    merged = Words("", spans, np.repeat(np.arange(len(words)), words["tokens"]))
    if len(matrix) != len(merged.word_of_token):
        return None
    return merged.total(merged.mean(matrix).T).T
