"""Emotion without annotation: small readers of valence, arousal and dominance.

>>> from evoked.affect import text_reader                          # doctest: +SKIP
>>> text_reader().predict(["What a wonderful day!"]).round(1)      # doctest: +SKIP
array([[2. , 4.9, 0.6]], dtype=float32)
"""

from evoked.affect.image import ImageEmotionReader, fit_image
from evoked.affect.reader import evaluate, evaluate_reader, fit_reader
from evoked.affect.text import TextEmotionReader, fit_text
from evoked.features.affect import text_reader

__all__ = [
    "ImageEmotionReader",
    "TextEmotionReader",
    "evaluate",
    "evaluate_reader",
    "fit_image",
    "fit_reader",
    "fit_text",
    "text_reader",
]
