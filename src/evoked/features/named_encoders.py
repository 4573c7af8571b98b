"""Encoders that a run's files name: what may be fetched or read because a folder says so.

A run comes from somebody else as often as not. Fetching what it names would let its maker know who
opens it and when, and reading a folder that it names would let it look around on this machine. So
a name of a run leads only to what is installed, to hub models in the local cache, and to folders
that a person of this machine has trained with before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from evoked.errors import DataError
from evoked.features.cache import default_folder
from evoked.features.catalog import FeatureSettings
from evoked.files import read_json, write_json

_KNOWN_FILE = "named_encoders.json"
_MOST_KNOWN = 1000
_ALLOWED: ContextVar[bool] = ContextVar("allowed", default=False)


@contextmanager
def allowing_others(allowed: bool) -> Iterator[None]:
    """Whether runs that are loaded in the block may name what is to be fetched, and any folder."""
    token = _ALLOWED.set(allowed)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def remember_encoders(settings: FeatureSettings) -> None:
    """Note the folders and files that a person named, so that their own runs may name them."""
    named = {where for where in _places(settings) if _is_local(where)}
    known = _known()
    if not named <= known:
        # Without a cache that can be written, such runs need --allow-download.
        with suppress(DataError, OSError):
            write_json(default_folder() / _KNOWN_FILE, sorted([*named, *known][:_MOST_KNOWN]))


def check_named_encoders(settings: FeatureSettings, file: Path) -> None:
    """Refuse encoders that ``file`` names and that are neither here nor known.

    Raises
    ------
    DataError
        One would have to be fetched, or lies in a folder that no person of this machine has named.
    """
    if _ALLOWED.get():
        return
    for name, where in zip(_names(settings), _places(settings), strict=True):
        if _is_local(where):
            if where not in _known():
                raise DataError(
                    f"names the encoder {name!r}, a folder or file of this machine with which no "
                    "run was trained here.",
                    file=file,
                    fix="Add --allow-download (from Python allow_download=True) if you trust "
                    "whoever made the run.",
                )
        elif not _has_random_weights(name) and not _is_here(name, where):
            raise DataError(
                f"names the encoder {name!r}, which is not on this machine. A run fetches nothing "
                "by itself.",
                file=file,
                fix="Add --allow-download (from Python allow_download=True) to fetch it.",
            )


def _names(settings: FeatureSettings) -> list[str]:
    """The encoders that are no part of evoked: ``KIND:WHERE``."""
    every = (
        settings.image_encoder,
        settings.text_encoder,
        settings.object_encoder,
        settings.face_encoder,
    )
    return [name for name in dict.fromkeys(every) if ":" in name]


def _has_random_weights(name: str) -> bool:
    kind, _, rest = name.partition(":")
    where, _, query = rest.partition("?")
    # Of a model of the hub, or of a folder, even the architecture would be fetched or read.
    is_architecture = not re.search(r"[:/\\]", where)
    return (
        kind in ("timm", "torchvision")
        and is_architecture
        and "pretrained=false" in query.split("&")
    )


def _places(settings: FeatureSettings) -> list[str]:
    """Of each encoder where it is: a path as it is from the root, or the name of a model."""
    found = []
    for name in _names(settings):
        where = name.partition(":")[2].partition("?")[0]
        path = Path(where).expanduser()
        is_path = name.startswith("fer:") or path.is_absolute() or where.startswith(("~", "."))
        found.append(str(path.absolute()) if is_path or _exists(path) else where)
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_local(where: str) -> bool:
    return Path(where).is_absolute()


def _known() -> set[str]:
    try:
        return set(map(str, read_json(default_folder() / _KNOWN_FILE)))
    except (DataError, TypeError):
        return set()


def _is_here(name: str, where: str) -> bool:
    """Whether a model's weights lie in the local cache; nothing is sent to find out."""
    kind = name.partition(":")[0]
    if kind == "torchvision":
        return _torchvision_file_is_here(where)
    from evoked.features.encoders._checkpoints import cached_checkpoint

    return any(cached_checkpoint(each) is not None for each in _hub_names(kind, where))


def _hub_names(kind: str, where: str) -> Iterable[str]:
    if kind != "timm" or "/" in where:
        return [where]
    try:
        import timm
    except ImportError:
        return []
    known = timm.get_pretrained_cfg(where) if timm.is_model(where) else None
    return [(known and known.hf_hub_id) or where]


def _torchvision_file_is_here(architecture: str) -> bool:
    try:
        from evoked.features.encoders.pretrained_image import torchvision_file
    except ImportError:
        return False
    file = torchvision_file(architecture)
    return file is not None and file.is_file()
