"""The folder of an exported run: its manifest, and files that are read only as they were written.

::

    my_export/
        manifest.json         what the other files are for, their digests, and all that is small
        picture.onnx          from pixels to what a picture shows; also objects.onnx
        weights.bin           the graphs' weights, those that several share once
        text.onnx             from tokens to what a text says; also emotion.onnx
        head.onnx             from features to what is predicted
        tokenizer.json        how texts become tokens
        arrays.safetensors    vectors of hashtags, topics, environments
        history.json          what each author's posts achieved, authors as hashes
        profiles.json         each author's last known followers, authors as hashes
        README.md             the run's card

In the format ``openvino`` each graph is a pair of files, ``.xml`` and ``.bin``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from evoked.errors import DataError
from evoked.files import check_format_version, read_bounded, read_object

MANIFEST_FILE = "manifest.json"
FORMAT_VERSION = 1
EXPORT_AGAIN = "Export the run again"
HISTORY_FILE = "history.json"
PROFILES_FILE = "profiles.json"
ARRAYS_FILE = "arrays.safetensors"
WEIGHTS_FILE = "weights.bin"

Format = Literal["onnx", "openvino"]

# Larger than any graph that ONNX can hold.
_MOST_BYTES = 2**31
_DIGEST = "sha256"
# What a manifest holds, and of what type each entry is.
_ENTRIES: dict[str, type | tuple[type, ...]] = {
    "format": str,
    "evoked": str,
    "run": dict,
    "requires": list,
    "files": dict,
    "task": dict,
    "intervals": dict,
    "record": dict,
    "authors": dict,
    "drafts": dict,
    "sources": list,
    "fitted": dict,
    "head": dict,
    _DIGEST: str,
}
_OF_HEAD: dict[str, type | tuple[type, ...]] = {
    "features": list,
    "inputs": list,
    "known_targets": list,
    "last_posts": (dict, type(None)),
    "levels": (dict, type(None)),
}


@dataclass(frozen=True)
class ExportFolder:
    """A folder whose manifest has been read and found whole.

    Attributes
    ----------
    path
        Where it lies.
    manifest
        What :data:`MANIFEST_FILE` holds.
    """

    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path | str) -> ExportFolder:
        """Read the manifest of a folder.

        Raises
        ------
        DataError
            There is none, it is of another format version, or was altered.
        """
        folder = Path(path)
        file = folder / MANIFEST_FILE
        if not file.is_file():
            raise DataError(
                f"no {MANIFEST_FILE}, so no exported run.",
                file=folder,
                fix="Make one with 'evoked export RUN OUT'.",
            )
        manifest = read_object(file)
        check_format_version(manifest, FORMAT_VERSION, file, EXPORT_AGAIN)
        if manifest.get(_DIGEST) != digest_of_manifest(manifest):
            raise _altered(file)
        _check_types(manifest, _ENTRIES, file)
        _check_types(manifest["head"], _OF_HEAD, file)
        return cls(folder, manifest)

    @property
    def format(self) -> str:
        """``onnx`` or ``openvino``."""
        return str(self.manifest["format"])

    def content(self, name: str) -> bytes:
        """The content of a file that the manifest names.

        Raises
        ------
        DataError
            The file is missing, or not the one that was written.
        """
        return read_bounded(self.checked(name), _MOST_BYTES)

    def checked(self, name: str) -> Path:
        """The path of a file that the manifest names; errors as of :meth:`content`."""
        file = self.path / name
        if file.is_symlink():
            raise DataError("a link, where a file of the export is expected.", file=file)
        expected = self.manifest["files"].get(name)
        if expected is None or not file.is_file():
            raise DataError("the export lacks this file.", file=file, fix=f"{EXPORT_AGAIN}.")
        if name not in self._whole:
            with file.open("rb") as stream:
                if hashlib.file_digest(stream, _DIGEST).hexdigest() != expected:
                    raise _altered(file)
            self._whole.add(name)
        return file

    @cached_property
    def _whole(self) -> set[str]:
        """Files that were found to be as they were written."""
        return set()


def digest_of_manifest(manifest: Mapping[str, Any]) -> str:
    """Digest of all that a manifest holds but this digest itself."""
    own = {name: value for name, value in manifest.items() if name != _DIGEST}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def _altered(file: Path) -> DataError:
    return DataError(
        "the file is not as it was exported: damaged, altered, or of another export.",
        file=file,
        fix=f"{EXPORT_AGAIN}.",
    )


def _check_types(
    found: Mapping[str, Any], expected: Mapping[str, type | tuple[type, ...]], file: Path
) -> None:
    for name, kind in expected.items():
        if not isinstance(found.get(name), kind):
            raise DataError(
                "not what an export of this version holds.",
                file=file,
                field=name,
                fix=f"{EXPORT_AGAIN}.",
            )
