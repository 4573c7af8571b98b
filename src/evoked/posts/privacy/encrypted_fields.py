"""Counts of posts under homomorphic encryption, stored in the dataset that they belong to.

::

    protected/encrypted/
        description.json         columns, rates, parameters, which key
        known.parquet            which posts have a value, not encrypted
        scales.sealed            what the numbers were divided by, which only the owner can read
        relinearisation.keys     keys with which anybody can compute and nobody can decrypt
        rotation.keys
        likes-0000.ciphertext    8,192 posts each
        …

CKKS has sums and products but no division, and its errors are absolute. So the owner splits the
followers f of a post into 2^e · m with m in [1, 2) and also encrypts 1 / m and, for every count c,
c / 2^e. A rate is then (c / 2^e) · (1 / m), as precise for a hundred followers as for a hundred
million. Columns are divided by their largest value, which only the owner knows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError
from evoked.files import parse_json, read_object, sha256_of_file, write_json
from evoked.posts.privacy.ckks import (
    DEGREE,
    PRIME_BITS,
    RELINEARISATION_KEYS,
    ROTATION_KEYS,
    SECURITY_BITS,
    SLOTS,
    Floats,
    KeyOwner,
    in_slots,
)
from evoked.posts.privacy.keys import KeyFolder
from evoked.posts.privacy.sealing import Sealer
from evoked.posts.schema import COUNTS, ENGAGEMENT

FOLDER = "encrypted"
FORMAT_VERSION = 1
DESCRIPTION_FILE = "description.json"
KNOWN_FILE = "known.parquet"
SCALES_FILE = "scales.sealed"
RECIPROCAL = "reciprocal"

Booleans = NDArray[np.bool_]


def shifted(count: str) -> str:
    """Name of the column with a count divided by the power of two in the followers."""
    return f"{count}_shifted"


def rate(count: str) -> str:
    """Name of the rate of a count."""
    return f"{count}_rate"


def check_columns(columns: Sequence[str], posts: pd.DataFrame) -> list[str]:
    """The columns in the schema's order.

    Raises
    ------
    SettingsError
        A column isn't a count, or no post has a value in it.
    """
    unknown = [name for name in columns if name not in COUNTS]
    if unknown:
        raise SettingsError(f"can't encrypt {', '.join(unknown)}: counts are {', '.join(COUNTS)}.")
    empty = [name for name in columns if not posts[name].notna().any()]
    if empty:
        raise SettingsError(f"no post has {', '.join(empty)}: there is nothing to encrypt.")
    return [name for name in COUNTS if name in columns]


def write_encrypted(
    posts: pd.DataFrame, columns: Sequence[str], keys: KeyFolder, folder: Path
) -> None:
    """Encrypt columns of posts.

    Parameters
    ----------
    posts
        (n,) posts.
    columns
        Counts; see :func:`check_columns`. With ``followers`` and engagement counts among them,
        rates can be computed later.
    keys
        The owner's keys.
    folder
        The folder to create, such as ``protected/encrypted``.
    """
    owner = keys.fields()
    numbers, known = _numbers(posts, columns)
    folder.mkdir()
    scales: dict[str, float] = {}
    for name, values in numbers.items():
        scales[name] = _write_column(owner, name, values, folder)
    for file in (RELINEARISATION_KEYS, ROTATION_KEYS):
        shutil.copyfile(keys.evaluation / file, folder / file)
    known.to_parquet(folder / KNOWN_FILE, index=False)
    (folder / SCALES_FILE).write_bytes(_sealer(keys).seal(json.dumps(scales).encode(), SCALES_FILE))
    write_json(
        folder / DESCRIPTION_FILE,
        {
            "format_version": FORMAT_VERSION,
            "scheme": "CKKS",
            "degree": DEGREE,
            "prime_bits": list(PRIME_BITS),
            "security_bits": SECURITY_BITS,
            "key": key_name(keys.evaluation),
            "posts": len(posts),
            "columns": [name for name in columns if name in numbers],
            "rates": [name for name in ENGAGEMENT if rate(name) in known],
        },
    )


def ciphertext_file(name: str, piece: int) -> str:
    """File of one piece of a column."""
    return f"{name}-{piece:04d}.ciphertext"


def key_name(evaluation: Path) -> str:
    """A name that differs between owners' keys: 16 hexadecimal digits."""
    return sha256_of_file(evaluation / RELINEARISATION_KEYS)[:16]


def pieces(posts: int) -> int:
    """How many ciphertexts a column of posts takes."""
    return -(-posts // SLOTS)


def read_description(folder: Path) -> dict[str, Any]:
    """The description of encrypted fields.

    Raises
    ------
    DataError
        There are no encrypted fields, or they have another format or other parameters; or one of
        the files is a link, which could give files away that lie elsewhere.
    """
    for path in (folder, *folder.glob("*")):
        if path.is_symlink():
            raise DataError(
                "is a link; encrypted fields lie in a folder of their own.",
                file=path,
                fix="Don't use the dataset if somebody else made it: it may be after other files. "
                "If it is yours, put the file in the link's place.",
            )
    if not (folder / DESCRIPTION_FILE).is_file():
        raise DataError(
            "there are no encrypted fields.",
            file=folder,
            fix="Make them with 'evoked privacy protect'.",
        )
    return check_description(read_object(folder / DESCRIPTION_FILE), folder)


def check_description(description: Any, file: Path) -> dict[str, Any]:
    """The description; DataError if this release can't compute with what it describes."""
    expected = {
        "format_version": FORMAT_VERSION,
        "scheme": "CKKS",
        "degree": DEGREE,
        "prime_bits": list(PRIME_BITS),
    }
    if not isinstance(description, dict):
        raise DataError("not a description of encrypted fields.", file=file)
    for name, value in expected.items():
        if description.get(name) != value:
            raise DataError(
                f"{name} is {description.get(name)!r}; this release reads {value!r}.", file=file
            )
    lists = all(
        isinstance(description.get(name), list)
        and all(column in COUNTS for column in description[name])
        for name in ("columns", "rates")
    )
    if not lists or not isinstance(description.get("posts"), int):
        raise DataError("columns, rates or the number of posts are missing.", file=file)
    return description


def open_scales(sealed: bytes, keys: KeyFolder) -> dict[str, float]:
    """The number that each column was divided by; DataError with other keys."""
    return dict(parse_json(_sealer(keys).open(sealed, SCALES_FILE), SCALES_FILE))


def scale_of(quantity: str, scales: Mapping[str, float]) -> float:
    """The number by which a decrypted count or rate has to be multiplied."""
    count = quantity.removesuffix("_rate")
    return scales[count] if count == quantity else scales[shifted(count)] * scales[RECIPROCAL]


def _sealer(keys: KeyFolder) -> Sealer:
    return Sealer(keys.storage(), "scales of encrypted fields")


def _numbers(posts: pd.DataFrame, columns: Sequence[str]) -> tuple[dict[str, Floats], pd.DataFrame]:
    """The numbers to encrypt, with 0 for unknown values, and which values are known."""
    counts = {name: posts[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in columns}
    known = {name: ~np.isnan(values) for name, values in counts.items()}
    numbers = {name: np.nan_to_num(values) for name, values in counts.items()}
    engaged = [name for name in ENGAGEMENT if name in columns]
    if "followers" in columns and engaged:
        followers = numbers["followers"]
        some = followers > 0
        mantissa, exponent = np.frexp(np.where(some, followers, 1.0))
        power = np.exp2(exponent - 1)
        numbers[RECIPROCAL] = np.where(some, 1 / (2 * mantissa), 0.0)
        for name in engaged:
            numbers[shifted(name)] = np.where(some, numbers[name] / power, 0.0)
            known[rate(name)] = some & known[name]
    return numbers, pd.DataFrame(known)


def _write_column(owner: KeyOwner, name: str, values: Floats, folder: Path) -> float:
    scale = float(np.abs(values).max(initial=0.0)) or 1.0
    for piece, slots in enumerate(in_slots(values / scale)):
        owner.encrypt(slots).save(str(folder / ciphertext_file(name, piece)))
    return scale
