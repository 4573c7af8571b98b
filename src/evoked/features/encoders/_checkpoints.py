"""Where an encoder's weights are, and which they are: local folders, hub models, checksums.

A hub model is first fetched into the local cache, as a folder, and then treated as any other
folder. Only safetensors and plain-text files are fetched and read, so nothing in a folder is ever
executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from evoked.errors import EvokedError, SettingsError
from evoked.files import check_nothing_to_wait_for, read_object, sha256_of_file

_TEXT_FILES = ("*.json", "*.txt", "*.model")
_WEIGHTS = "*.safetensors"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")

Network = TypeVar("Network", bound=nn.Module)


def checkpoint_folder(name: str) -> Path:
    """The folder of a checkpoint.

    Parameters
    ----------
    name
        A local folder, or a hub model such as ``openai/clip-vit-base-patch32``, which is fetched
        unless it is in the local cache. ``HF_HUB_OFFLINE=1`` is respected.

    Raises
    ------
    SettingsError
        It is neither of the two, or holds no safetensors, or names weights or code elsewhere.
    DataError
        It holds a pipe or a device.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _fetched(name)
    if not any(folder.glob(_WEIGHTS)):
        raise SettingsError(_no_safetensors(folder))
    check_nothing_to_wait_for(folder)
    _check_shards(folder)
    _check_kernels(folder)
    return folder


def fingerprint_of(folder: Path) -> str:
    """Checksum of all files in a checkpoint folder that decide what its network computes."""
    files = (path for pattern in (_WEIGHTS, *_TEXT_FILES) for path in folder.glob(pattern))
    return fingerprint_of_files(files)


def fingerprint_of_files(files: Iterable[Path]) -> str:
    """Checksum of files, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(files):
        status = path.stat()
        checksum = _checksum(path.resolve(), status.st_mtime_ns, status.st_size)
        digest.update(f"{path.name}:{checksum}\n".encode())
    return digest.hexdigest()[:16]


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Turn whatever a library raises for a checkpoint that it can't load into one clear error."""
    try:
        yield
    except EvokedError:
        raise
    except Exception as error:  # timm, torchvision and transformers raise errors of every kind
        raise SettingsError(
            f"the encoder {name!r} can't be loaded ({first_line(error)}). Check that its folder "
            "holds a complete checkpoint of an architecture that the installed library knows."
        ) from error


def with_random_weights(build: Callable[[], Network]) -> Network:
    """Build a network whose random weights are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


def first_line(error: Exception) -> str:
    """The part of another library's error that a person needs."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def cached_checkpoint(name: str) -> Path | None:
    """The folder of a hub model in the local cache, if it has weights there; nothing is sent."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except Exception:  # not in the cache, or no name of a hub model
        return None
    return folder if any(folder.glob(_WEIGHTS)) else None


def _check_shards(folder: Path) -> None:
    """Raise SettingsError if an index of weights names anything but safetensors beside it, since
    libraries would open whatever it names."""
    for index in folder.glob("*.index.json"):
        shards = read_object(index).get("weight_map")
        names = shards.values() if isinstance(shards, dict) else [None]
        for name in names:
            plain = isinstance(name, str) and name.endswith(".safetensors")
            if not plain or Path(str(name)).name != name or not (folder / str(name)).is_file():
                raise SettingsError(
                    f"{index}: names {name!r} as weights; expected the plain name of a "
                    "safetensors file beside it. Don't use the folder if somebody else made it."
                )


def _check_kernels(folder: Path) -> None:
    """Raise SettingsError if a configuration asks for code of the hub to compute its attention."""
    file = folder / "config.json"
    configuration = read_object(file) if file.is_file() else {}
    for name in ("attn_implementation", "_attn_implementation"):
        if "/" in str(configuration.get(name) or ""):
            raise SettingsError(
                f"{file}: {name} names code on the hub ({configuration[name]!r}), which is never "
                "run. Remove the entry."
            )


def _fetched(name: str) -> Path:
    cached = cached_checkpoint(name)  # a person's own model works offline, and asks nobody
    if cached is not None:
        return cached
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=[_WEIGHTS, *_TEXT_FILES], ignore_patterns=["*/*"]
            )
        )
    except Exception as error:  # HTTP, offline, authentication and naming errors of the hub client
        raise SettingsError(
            f"there is no folder {name!r}, and no such hub model could be fetched or found in the "
            f"local cache ({type(error).__name__}).\nGive a local folder; or go online once (and "
            "unset HF_HUB_OFFLINE) to fetch it; or use the encoder 'builtin', which needs nothing."
        ) from error


def _no_safetensors(folder: Path) -> str:
    pickled = [path.name for pattern in _PICKLED for path in folder.glob(pattern)]
    if not pickled:
        return f"{folder} holds no weights: expected a *.safetensors file."
    return (
        f"{folder} holds its weights only as {pickled[0]}, which is not read, because reading that "
        "format can run code.\nConvert it: load it where you trust it, and save_pretrained() (or "
        "safetensors.torch.save_file) it to a new folder."
    )


@lru_cache(maxsize=256)
def _checksum(path: Path, modified: int, size: int) -> str:
    """Checksum of a file, remembered until its date or size changes."""
    return sha256_of_file(path)
