"""Textual self-attention between the words of a caption."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.explain.words import Words
from evoked.models.base import Examples, Model


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
        (words, words): share of its attention that the word of the row gives to the word of the
        column; hashtags and special tokens get the rest. None for models or posts without textual
        self-attention.
    """
    if not len(words):
        return None
    attention = model.attention(examples)
    matrix = None if attention is None else attention[0].token_matrix
    if matrix is None:
        return None
    spans = list(zip(words["start"], words["end"], strict=True))
    merged = Words("", spans, np.repeat(np.arange(len(words)), words["tokens"]))
    if len(matrix) != len(merged.word_of_token):
        return None
    return merged.total(merged.mean(matrix).T).T
