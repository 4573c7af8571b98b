"""The owner's keys: a folder that only the owner may read, never beside the data.

::

    my_keys/                      0700
        pseudonyms.key            0600   32 random bytes, for HMAC-SHA256
        storage.key               0600   32 random bytes, for AES-256-GCM
        fields.key                0600   the secret key of CKKS
        evaluation/               public; a copy goes along with encrypted fields
            relinearisation.keys
            rotation.keys
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from evoked.errors import DataError
from evoked.files import atomic_path, writing
from evoked.posts.privacy.ckks import MAX_KEY_BYTES, KeyOwner, make_evaluation_keys, make_secret_key

KEY_BYTES = 32
PSEUDONYMS_KEY = "pseudonyms.key"
STORAGE_KEY = "storage.key"
FIELDS_KEY = "fields.key"
EVALUATION_FOLDER = "evaluation"


class KeyFolder:
    """The keys in a folder.

    Parameters
    ----------
    folder
        Made by ``evoked privacy keys`` or :func:`make_keys`.

    Raises
    ------
    DataError
        There is no such folder. The methods raise it for a missing key, or one that others may
        read.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DataError(
                "there is no such folder of keys.",
                file=self.folder,
                fix="Make one with 'evoked privacy keys', away from the data.",
            )

    def pseudonyms(self) -> bytes:
        """The key for pseudonyms, 32 bytes."""
        return self._symmetric(PSEUDONYMS_KEY)

    def storage(self) -> bytes:
        """The key for locked and sealed files, 32 bytes."""
        return self._symmetric(STORAGE_KEY)

    def fields(self) -> KeyOwner:
        """The owner's means to encrypt and decrypt fields."""
        return KeyOwner(self._private(FIELDS_KEY, MAX_KEY_BYTES))

    @property
    def evaluation(self) -> Path:
        """The folder of evaluation keys, which may be given away."""
        return self.folder / EVALUATION_FOLDER

    def keep_apart(self, *places: Path | str) -> None:
        """Raise DataError if the keys lie in one of these datasets, or a dataset among the keys."""
        # Path.resolve() fails where links lead in a circle.
        own = Path(os.path.realpath(self.folder))
        for place in places:
            other = Path(os.path.realpath(place))
            if own.is_relative_to(other) or other.is_relative_to(own):
                raise DataError(
                    f"the keys and the data at {place} lie within each other: whoever gets the "
                    "data gets the keys.",
                    file=self.folder,
                    fix="Keep the keys in a folder of their own.",
                )

    def _symmetric(self, name: str) -> bytes:
        key = self._private(name, KEY_BYTES).read_bytes()
        if len(key) != KEY_BYTES:
            raise DataError(f"{len(key)} bytes; a key has {KEY_BYTES}.", file=self.folder / name)
        return key

    def _private(self, name: str, limit: int) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise DataError(
                "there is no such key.",
                file=path,
                fix=f"'evoked privacy keys {self.folder}' makes those that are missing.",
            )
        status = path.stat()
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise DataError(
                f"others may read it (mode {stat.S_IMODE(status.st_mode):o}).",
                file=path,
                fix=f"Keep it to yourself: chmod 600 {path}",
            )
        if status.st_size > limit:
            raise DataError(f"larger than any key ({limit} bytes).", file=path)
        return path


def make_keys(folder: Path | str, *, fields: bool = True) -> list[str]:
    """Make the keys that a folder doesn't have yet; none is ever replaced.

    Parameters
    ----------
    folder
        The folder of keys. If it doesn't exist, it is created with rights for its owner alone.
    fields
        Also make the keys for encrypted fields, which needs the extra ``privacy``.

    Returns
    -------
    Names of the keys that were made.

    Raises
    ------
    MissingExtraError
        ``fields`` without the extra.
    DataError
        The folder lies in a dataset.
    """
    folder = Path(folder)
    _check_no_dataset(folder)
    if not folder.is_dir():
        # The rights of an existing folder, maybe somebody's home, stay; each key has its own.
        with writing(folder):
            folder.mkdir(parents=True)
            folder.chmod(0o700)
    makers: dict[str, Callable[[Path], object]] = {
        name: lambda path: path.write_bytes(secrets.token_bytes(KEY_BYTES))
        for name in (PSEUDONYMS_KEY, STORAGE_KEY)
    }
    if fields:
        makers[FIELDS_KEY] = make_secret_key
    made = [name for name, make in makers.items() if _make_private(folder / name, make)]
    if fields:
        make_evaluation_keys(folder / FIELDS_KEY, folder / EVALUATION_FOLDER)
    return made


def fingerprint(key: bytes) -> str:
    """A name for a key that doesn't reveal it: 16 hexadecimal digits."""
    return hashlib.sha256(b"evoked fingerprint\0" + key).hexdigest()[:16]


def _check_no_dataset(folder: Path) -> None:
    real = Path(os.path.realpath(folder))
    for parent in (real, *real.parents):
        if (parent / "dataset.json").is_file():
            raise DataError(
                f"lies in the dataset {parent}: whoever gets the data would get the keys.",
                file=folder,
                fix="Keep the keys in a folder of their own.",
            )


def _make_private(path: Path, make: Callable[[Path], object]) -> bool:
    """Write a key that only the owner can ever read; False if it exists already."""
    with writing(path):
        if path.exists():
            return False
    with atomic_path(path) as temporary:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        make(temporary)
    return True
