"""Authenticated encryption of stored files: AES-256-GCM, each file bound to its name."""

from __future__ import annotations

import os
from typing import Any

from evoked.errors import DataError, MissingExtraError

_MAGIC = b"EVOKED1\0"
_NONCE_BYTES = 12
OVERHEAD_BYTES = len(_MAGIC) + _NONCE_BYTES + 16
"""By how many bytes a sealed piece is larger than its content."""


class Sealer:
    """Seals and opens pieces that belong together.

    Every collection gets a key of its own, derived from the owner's (HKDF-SHA256). So the number of
    random nonces per key stays far below the limit of AES-GCM, and a piece can't be passed off as
    one of another collection.

    Parameters
    ----------
    key
        The owner's key, 32 random bytes.
    collection
        A name of the collection that the pieces belong to, such as a random number kept with them.

    Raises
    ------
    MissingExtraError
        The extra ``privacy`` isn't installed.
    """

    def __init__(self, key: bytes, collection: str) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        except ImportError as error:
            raise MissingExtraError("cryptography", "privacy", "Locking") from error
        info = f"evoked sealing\0{collection}".encode()
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key)
        self._cipher: Any = AESGCM(derived)

    def seal(self, content: bytes, name: str) -> bytes:
        """``content``, encrypted, authenticated and bound to ``name``."""
        nonce = os.urandom(_NONCE_BYTES)
        return _MAGIC + nonce + self._cipher.encrypt(nonce, content, _MAGIC + name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """The content of a sealed piece.

        Raises
        ------
        DataError
            The piece was changed, cut short, or sealed with another key or under another name.
        """
        from cryptography.exceptions import InvalidTag

        start = len(_MAGIC) + _NONCE_BYTES
        if not sealed.startswith(_MAGIC) or len(sealed) < OVERHEAD_BYTES:
            raise DataError("was not sealed by evoked.", file=name)
        try:
            return bytes(
                self._cipher.decrypt(
                    sealed[len(_MAGIC) : start], sealed[start:], _MAGIC + name.encode()
                )
            )
        except InvalidTag as error:
            raise DataError(
                "can't be opened: changed since it was sealed, another file's content, or the "
                "wrong key.",
                file=name,
                fix="Use the keys it was sealed with, or an intact copy.",
            ) from error
