"""The features ``affect.text`` and ``affect.image``: what the emotion readers that come with evoked
read in captions and in pictures."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evoked.affect.classes import ClassEmotionReader
    from evoked.affect.text import TextEmotionReader

SHIPPED = Path(__file__).parents[1] / "affect" / "weights"
"""The readers that come with evoked: text, fitted on EmoBank by scripts/fit_text_emotion.py; image,
made from it by scripts/fit_class_emotion.py."""


@lru_cache(maxsize=1)
def text_reader() -> TextEmotionReader:
    """The shipped text emotion reader, loaded once.

    ``predict(texts)`` gives float32 (n, 3): valence [-4, 4], arousal [0, 8], dominance [-4, 4];
    NaN where a text can't be read. Fitted on EmoBank (Buechel and Hahn 2017).

    Raises
    ------
    DataError, SettingsError
        The weights of the reader, or MiniLM's beneath it, are missing or damaged.
    """
    from evoked.affect.text import TextEmotionReader

    return TextEmotionReader.load(SHIPPED / "text")


@lru_cache(maxsize=1)
def picture_reader() -> ClassEmotionReader:
    """The shipped picture emotion reader, loaded once.

    ``predict(vectors)`` gives float32 (n, 2): valence [-4, 4], arousal [0, 8], from vectors of the
    encoder that it names. Nobody's ratings of pictures are in it.

    Raises
    ------
    DataError
        The file of the reader is missing or damaged.
    """
    from evoked.affect.classes import ClassEmotionReader

    return ClassEmotionReader.load(SHIPPED / "image")
