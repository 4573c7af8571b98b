"""The features ``affect.text`` and ``affect.image``: what the emotion readers that come with evoked
read in captions and in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from evoked.features.captions import prepare
from evoked.features.languages import READS, UNDECIDED, UNIVERSAL, languages_of
from evoked.posts.vocabulary import EMOTIONS

if TYPE_CHECKING:
    from evoked.affect.classes import ClassEmotionReader
    from evoked.affect.text import TextEmotionReader
    from evoked.affect.universal_text import UniversalEmotionReader
    from evoked.features.encoders.universal_text import UniversalTextEncoder

SHIPPED = Path(__file__).parents[1] / "affect" / "weights"
"""The readers that come with evoked: text, fitted on EmoBank by scripts/fit_text_emotion.py;
universal, for other languages, by scripts/fit_universal_emotion.py; image, made from text by
scripts/fit_class_emotion.py."""

Ratings = NDArray[np.float32]

_SMALLEST_SHARE = 0.1


class EnglishReader(Protocol):
    """Reads captions in English."""

    fingerprint: str

    def predict(self, texts: Sequence[str | None]) -> Ratings:
        """See :meth:`evoked.affect.text.TextEmotionReader.predict`."""


class MultilingualEmotionReader:
    """Reads English with one reader, and the other languages of USE with another.

    A text whose language is undecided goes to the reader of English, which leaves out what it
    doesn't know.

    Attributes
    ----------
    english, others
        The two readers.
    fingerprint
        Changes whenever the readings could change.
    """

    def __init__(
        self,
        english: EnglishReader,
        others: UniversalEmotionReader,
        encoder: UniversalTextEncoder,
    ) -> None:
        self.english, self.others, self._encoder = english, others, encoder
        self.fingerprint = f"{english.fingerprint}+{others.fingerprint}"

    def predict(self, texts: Sequence[str | None]) -> Ratings:
        """Valence [-4, 4], arousal [0, 8], dominance [-4, 4] of n texts as they were written,
        float32 (n, 3); NaN for a text that neither reader can read."""
        languages = languages_of(texts)
        readings = np.full((len(texts), len(EMOTIONS)), np.nan, dtype=np.float32)
        english = [row for row, name in enumerate(languages) if name in ("English", UNDECIDED)]
        others = READS[UNIVERSAL] - {"English"}
        prepared = prepare(
            [text if name in others else None for text, name in zip(texts, languages, strict=True)]
        )
        known = [row for row, text in enumerate(prepared) if text and self._encoder.knows(text)]
        if english:
            readings[english] = self.english.predict([texts[row] for row in english])
        if known:
            vectors = self._encoder.vectors([prepared[row] for row in known])
            readings[known] = self.others.predict(vectors)
        return readings


@lru_cache(maxsize=2)
def text_reader(name: str = "builtin") -> TextEmotionReader | MultilingualEmotionReader:
    """A shipped text emotion reader, loaded once.

    ``predict(texts)`` gives float32 (n, 3): valence [-4, 4], arousal [0, 8], dominance [-4, 4];
    NaN where a text can't be read. Fitted on EmoBank (Buechel and Hahn 2017).

    Parameters
    ----------
    name
        ``builtin``, which reads English, or ``use``, which reads the languages of the text encoder
        of that name as well.

    Raises
    ------
    DataError, SettingsError
        The weights of the reader, or of the encoder beneath it, are missing or damaged.
    MissingExtraError
        The encoder of other languages is not installed.
    """
    from evoked.affect.text import TextEmotionReader

    english = TextEmotionReader.load(SHIPPED / "text")
    if name != UNIVERSAL:
        return english
    from evoked.affect.universal_text import UniversalEmotionReader
    from evoked.features.encoders.universal_text import UniversalTextEncoder

    others = UniversalEmotionReader.load(SHIPPED / "universal")
    return MultilingualEmotionReader(english, others, UniversalTextEncoder())


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


def enough_read(number: int, wanted: int) -> bool:
    """Whether what a reader made of so many of the wanted captions stands for all of them: eight
    English captions among hundreds of Japanese ones don't."""
    return number >= _SMALLEST_SHARE * wanted and number > 0


def without_other_languages(
    readings: Ratings, captions: Sequence[str | None], reader: str
) -> Ratings:
    """The readings of captions, (n, …), by a reader of this name, NaN where the caption is in a
    language that it doesn't read: the reader of English sees Latin letters, and guesses."""
    reads = READS[reader] | {UNDECIDED}
    foreign = [name is not None and name not in reads for name in languages_of(captions)]
    kept = readings.copy()
    kept[np.array(foreign, dtype=bool)] = np.nan
    return kept
