"""Emotion without annotation: small readers of valence, arousal and dominance.

>>> from evoked.affect import text_reader                          # doctest: +SKIP
>>> text_reader().predict(["What a wonderful day!"]).round(1)      # doctest: +SKIP
array([[2. , 4.9, 0.6]], dtype=float32)

:func:`text_reader` reads captions and :func:`picture_reader` what is recognised in pictures; both
come with evoked, and :func:`fit_reader` fits others on rated posts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evoked.affect._recipes import Recipe as Recipe
    from evoked.affect._recipes import recipes_by_name as recipes_by_name
    from evoked.affect.classes import ClassEmotionReader as ClassEmotionReader
    from evoked.affect.image import ImageEmotionReader as ImageEmotionReader
    from evoked.affect.image import fit_image as fit_image
    from evoked.affect.reader import evaluate as evaluate
    from evoked.affect.reader import evaluate_reader as evaluate_reader
    from evoked.affect.reader import fit_reader as fit_reader
    from evoked.affect.text import TextEmotionReader as TextEmotionReader
    from evoked.affect.text_fitting import fit_text as fit_text
    from evoked.features.affect import picture_reader as picture_reader
    from evoked.features.affect import text_reader as text_reader

# Loaded when first used, for two reasons: they take seconds to import; and a feature is read by
# evoked.affect.text, while readers are fitted on features.
_LAZY = {
    "ClassEmotionReader": "evoked.affect.classes",
    "ImageEmotionReader": "evoked.affect.image",
    "Recipe": "evoked.affect._recipes",
    "TextEmotionReader": "evoked.affect.text",
    "evaluate": "evoked.affect.reader",
    "evaluate_reader": "evoked.affect.reader",
    "fit_image": "evoked.affect.image",
    "fit_reader": "evoked.affect.reader",
    "fit_text": "evoked.affect.text_fitting",
    "picture_reader": "evoked.features.affect",
    "recipes_by_name": "evoked.affect._recipes",
    "text_reader": "evoked.features.affect",
}

__all__ = [
    "ClassEmotionReader",
    "ImageEmotionReader",
    "Recipe",
    "TextEmotionReader",
    "evaluate",
    "evaluate_reader",
    "fit_image",
    "fit_reader",
    "fit_text",
    "picture_reader",
    "recipes_by_name",
    "text_reader",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'evoked.affect' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
