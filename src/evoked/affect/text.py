"""The text emotion reader: valence, arousal and dominance of a caption, without annotation.

MiniLM reads the words. A few *members* each change some of its layers and add a small head, and
the reading is the members' mean. Members of one recipe are a *group*: they share the first layers,
which are computed once. Changes are kept as low-rank differences, so a reader takes a few megabytes
in addition to MiniLM's weights, whose checksum it keeps. One is fitted by
:mod:`evoked.affect.text_fitting`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from evoked.affect._kept_weights import check_group
from evoked.affect._readable import is_readable
from evoked.affect._text_graph import GraphReading, exported_reader
from evoked.errors import DataError
from evoked.features.captions import prepare
from evoked.features.encoders._minilm import MINILM_SHA256, PADDING_ID, minilm_tokenizer
from evoked.features.encoders._sessions import without_torch
from evoked.features.encoders._token_batches import batches_by_length, padded
from evoked.files import atomic_folder, read_object, write_json
from evoked.posts.vocabulary import EMOTIONS, SCALES

if TYPE_CHECKING:
    from evoked.affect._text_network import TorchReading

FORMAT_VERSION = 2
MAX_TOKENS = 128
SETTINGS_FILE = "reader.json"
WEIGHTS_FILE = "weights.safetensors"


Ratings = NDArray[np.float32]


class TextEmotionReader:
    """Reads valence, arousal and dominance from texts. Made by
    :func:`evoked.affect.text_fitting.fit_text` or :meth:`load`.

    Parameters
    ----------
    content
        Weights as safetensors, in float16: half the size on disk, and a reader that was just fitted
        reads exactly as a loaded one. They are named ``group.shared.parameter`` and
        ``group.members.member.parameter``. A matrix of MiniLM's has two, ``….up`` (m, rank) and
        ``….down`` (rank, n), whose product is the difference from it; what is absent is as in
        MiniLM.
    settings
        Groups, mean and spread of the ratings: what :meth:`save` writes as JSON.

    Attributes
    ----------
    fingerprint
        Changes whenever the readings could change.
    """

    def __init__(self, content: bytes, settings: Mapping[str, Any]) -> None:
        self.settings = dict(settings)
        self.settings["weights_sha256"] = hashlib.sha256(content).hexdigest()
        self.fingerprint = (
            f"text-emotion:{self.settings['weights_sha256'][:16]}:{MINILM_SHA256[:16]}"
        )
        self._content = content
        for kept, group in self._groups():
            check_group(kept, group)

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
        rows, ids = readable(texts)
        readings = np.full((len(texts), len(EMOTIONS)), np.nan, dtype=np.float32)
        mean, spread = (_numbers(self.settings[name]) for name in ("mean", "spread"))
        lengths = np.array([len(each) for each in ids], dtype=np.int64)
        for batch in batches_by_length(lengths, self._reading.tokens_per_batch):
            outputs = self._reading(*padded([ids[i] for i in batch], PADDING_ID))
            readings[rows[batch]] = outputs.mean(axis=0) * spread + mean
        lowest, highest = np.array([SCALES[name] for name in EMOTIONS]).T
        return np.clip(readings, lowest, highest).astype(np.float32)

    def exported(self) -> bytes:
        """What the members read as the content of an ONNX file: see
        :func:`evoked.affect._text_graph.exported_reader`."""
        return exported_reader(self._groups())

    def save(self, folder: Path | str) -> None:
        """Write ``reader.json`` and ``weights.safetensors`` (float16) to ``folder``."""
        with atomic_folder(folder) as temporary:
            (temporary / WEIGHTS_FILE).write_bytes(self._content)
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
        settings, weights = read_object(folder / SETTINGS_FILE), folder / WEIGHTS_FILE
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
        return cls(content, settings)

    @cached_property
    def _reading(self) -> GraphReading | TorchReading:
        if without_torch():
            return GraphReading(self._groups())
        from evoked.affect._text_network import TorchReading

        return TorchReading(self._groups())

    def _groups(self) -> Iterator[tuple[dict[str, NDArray[np.float16]], Mapping[str, Any]]]:
        """Weights as they are kept, and settings, of each group."""
        weights = load(self._content)
        for index, group in enumerate(self.settings["groups"]):
            prefix = f"{index}."
            own = {
                name.removeprefix(prefix): values
                for name, values in weights.items()
                if name.startswith(prefix)
            }
            yield own, group


def readable(texts: Sequence[str | None]) -> tuple[NDArray[np.int64], list[list[int]]]:
    """Rows of the texts that can be read (see :meth:`TextEmotionReader.predict`), and the token ids
    of each of them."""
    prepared = prepare(texts)
    tokenizer = minilm_tokenizer(MAX_TOKENS)
    unknown = tokenizer.token_to_id("[UNK]")
    ids = [encoding.ids for encoding in tokenizer.encode_batch(prepared)]
    rows = [
        row
        for row, (text, own) in enumerate(zip(prepared, ids, strict=True))
        if is_readable(text, own, unknown)
    ]
    return np.array(rows, dtype=np.int64), [ids[row] for row in rows]


def _numbers(values: list[float | None]) -> NDArray[np.float32]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32)
