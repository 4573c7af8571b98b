"""Rates, sums, means and variances of encrypted fields: computed without the key, read with it.

What is computed is one file, a zip archive (stored, not compressed)::

    result.json              what was computed: groups, their sizes, quantities
    encrypted.json           the description of the encrypted fields
    scales.sealed            for the owner
    likes-0003-mean          ciphertexts
    …

The owner's figures are rounded to seven digits. CKKS keeps its noise in the decrypted numbers, and
who sees enough of them unrounded beside their ciphertexts can find the secret key (Li and
Micciancio 2021).
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError
from evoked.files import atomic_path
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy import encrypted_fields as fields
from evoked.posts.privacy.ckks import (
    MAX_CIPHERTEXT_BYTES,
    Ciphertext,
    Floats,
    KeyOwner,
    Party,
    in_slots,
)
from evoked.posts.privacy.keys import KeyFolder
from evoked.posts.privacy.pseudonyms import Pseudonyms
from evoked.progress import Progress

MINIMUM_GROUP = 10
"""Smallest group whose figures are computed, by default."""

MAX_GROUPS = 100
"""Each takes two sums over all slots per quantity, half a second or so, and 2 MB of memory."""

_RESULT_FILE, _ENCRYPTED_FILE = "result.json", "encrypted.json"
_MAX_JSON_BYTES = 64 * 2**20
_DIGITS = 7
# Smaller shares of the largest rate are noise, and of a mean's square.
_RATE_NOISE = 1e-12
_VARIANCE_NOISE = 1e-10
# Rates and squares of counts start from three primes, and take one.
_COLUMN_PRIMES = 3


@dataclass(frozen=True)
class Aggregation:
    """What a party without the key has computed.

    Attributes
    ----------
    file
        For the owner.
    quantities
        Columns and rates.
    groups
        Posts by group.
    too_small
        Posts by group, of those left out.
    """

    file: Path
    quantities: list[str]
    groups: dict[str, int]
    too_small: dict[str, int]


def aggregate(
    protected: Path | str,
    out: Path | str,
    *,
    by: str | None = None,
    minimum_group: int = MINIMUM_GROUP,
    progress: Progress | None = None,
) -> Aggregation:
    """Compute group means and variances of all encrypted counts and rates, without the key.

    Parameters
    ----------
    protected
        A dataset with encrypted fields.
    out
        The file to write: 0.8 MB per group and quantity.
    by
        A column of the posts that stands in clear, such as ``category``; all posts are one group
        by default. Posts without a value are in none.
    minimum_group
        Groups of fewer posts, or with fewer known values of a quantity, are left out.
    progress
        Called with ``computing``, the number of quantities done and of all.

    Raises
    ------
    SettingsError
        No such column, or none of its groups is large enough, or more than 100 are.
    DataError
        Nothing encrypted is there, or it is damaged.
    MissingExtraError
        The extra ``privacy`` isn't installed.
    """
    if minimum_group < 2:
        raise SettingsError(f"a group of {minimum_group} is no group: a mean of one is its value.")
    protected, out = Path(protected), Path(out)
    folder = protected / fields.FOLDER
    description = fields.read_description(folder)
    known = _read_known(folder, description)
    labels = group_labels(PostDataset(protected).posts, by)
    groups, too_small = _group_sizes(labels, minimum_group, by)
    quantities = description["columns"] + [fields.rate(name) for name in description["rates"]]
    party = Party(folder)
    with _result_file(out, folder, description) as write:
        entries = []
        for done, quantity in enumerate(quantities):
            members = {
                name: (labels == group).to_numpy() & known[quantity]
                for name, group in zip(_names(quantity, len(groups)), groups, strict=True)
            }
            members = {name: rows for name, rows in members.items() if rows.sum() >= minimum_group}
            sums = _weighted_sums(party, folder, quantity, members)
            for name, (mean, variance) in _figures(party, sums):
                write.ciphertext(f"{name}-mean", mean)
                write.ciphertext(f"{name}-variance", variance)
            entries += [
                {"name": name, "quantity": quantity, "group": group, "n": int(members[name].sum())}
                for name, group in zip(_names(quantity, len(groups)), groups, strict=True)
                if name in members
            ]
            if progress is not None:
                progress("computing", done + 1, len(quantities))
        write.json(_RESULT_FILE, {"kind": "groups", "by": by, "entries": entries})
    return Aggregation(out, quantities, groups, too_small)


def compute_rates(
    protected: Path | str, out: Path | str, progress: Progress | None = None
) -> list[str]:
    """Compute every post's engagement rates, without the key.

    Parameters
    ----------
    protected
        A dataset whose followers and engagement counts are encrypted.
    out
        The file to write: 0.3 MB per rate and 8,192 posts.
    progress
        Called with ``computing``, the number of rates done and of all.

    Returns
    -------
    Names of the rates.

    Raises
    ------
    DataError
        Nothing encrypted is there, it is damaged, or followers or counts are not among it.
    MissingExtraError
        The extra ``privacy`` isn't installed.
    """
    protected, out = Path(protected), Path(out)
    folder = protected / fields.FOLDER
    description = fields.read_description(folder)
    rates = [fields.rate(name) for name in description["rates"]]
    if not rates:
        raise DataError(
            "rates need encrypted followers and an encrypted count.",
            file=folder,
            fix="Protect the dataset with both.",
        )
    known = _read_known(folder, description)
    party = Party(folder)
    with _result_file(out, folder, description) as write:
        for done, quantity in enumerate(rates):
            for piece in range(fields.pieces(description["posts"])):
                values = party.drop_primes(_quantity(party, folder, quantity, piece), 1)
                write.ciphertext(f"{quantity}-{piece:04d}", values)
            if progress is not None:
                progress("computing", done + 1, len(rates))
        write.json(
            _RESULT_FILE,
            {
                "kind": "posts",
                "posts": PostDataset(protected).posts["post_id"].tolist(),
                "unknown": {name: np.flatnonzero(~known[name]).tolist() for name in rates},
            },
        )
    return rates


def reveal(file: Path | str, keys: KeyFolder, originals: PostDataset | None = None) -> pd.DataFrame:
    """Decrypt what :func:`aggregate` or :func:`compute_rates` made.

    Parameters
    ----------
    file
        What they wrote.
    keys
        The owner's.
    originals
        The dataset as it was before it was protected: true figures are then computed from it and
        stand beside the decrypted ones.

    Returns
    -------
    DataFrame
        Of groups: ``group``, ``quantity``, ``n``, ``sum``, ``mean``, ``variance`` (with n − 1);
        with originals ``true_mean``, ``true_variance``, ``mean_error`` and ``variance_error``,
        relative. Of posts: ``post_id`` and the rates; with originals, for each, ``true_…`` and
        ``…_error``. Errors of what is truly 0 are absolute.

    Raises
    ------
    DataError
        Not such a file, damaged, or not made with these keys; the originals are other posts.
    """
    file = Path(file)
    owner = keys.fields()
    with _ResultReader(file, owner) as read:
        description = fields.check_description(read.json(_ENCRYPTED_FILE), file)
        if description.get("key") != fields.key_name(keys.evaluation):
            raise DataError("made with other keys than these.", file=file)
        scales = fields.open_scales(read.content(fields.SCALES_FILE, _MAX_JSON_BYTES), keys)
        result = read.json(_RESULT_FILE)
        if originals is not None and len(originals) != description["posts"]:
            raise DataError(
                f"{description['posts']} posts were encrypted; the originals are {len(originals)}.",
                file=originals.folder,
            )
        try:
            if result["kind"] == "posts":
                table = _reveal_posts(read, result, scales)
                return table if originals is None else _beside_true_rates(table, originals)
            table = _reveal_groups(read, result, scales)
        except (KeyError, TypeError, IndexError, ValueError, ZeroDivisionError) as error:
            raise DataError(f"not a result of evoked ({error!r}).", file=file) from error
    if originals is None:
        return table
    return _beside_true_figures(table, originals, result.get("by"), keys)


def group_labels(posts: pd.DataFrame, by: str | None) -> pd.Series:
    """The group of each post, as text; None where unknown. All are ``all`` without ``by``.

    Raises
    ------
    SettingsError
        No such column, or one that doesn't name groups.
    """
    if by is None:
        return pd.Series("all", index=posts.index)
    if by not in posts or isinstance(posts[by].dropna().iloc[:1].squeeze(), list | np.ndarray):
        raise SettingsError(f"posts can't be grouped by {by!r}.")
    return posts[by].astype(object).map(str, na_action="ignore")


def round_figures(values: Floats) -> Floats:
    """Numbers rounded to seven significant digits."""
    return np.array([float(f"{value:.{_DIGITS - 1}e}") for value in values.tolist()])


def _group_sizes(
    labels: pd.Series, minimum: int, by: str | None
) -> tuple[dict[str, int], dict[str, int]]:
    sizes = {str(name): int(n) for name, n in labels.value_counts().sort_index().items()}
    groups = {name: n for name, n in sizes.items() if n >= minimum}
    if not groups:
        raise SettingsError(f"no group by {by!r} has {minimum} posts.")
    if len(groups) > MAX_GROUPS:
        raise SettingsError(f"{len(groups)} groups by {by!r}; at most {MAX_GROUPS} are computed.")
    return groups, {name: n for name, n in sizes.items() if n < minimum}


def _names(quantity: str, groups: int) -> list[str]:
    return [f"{quantity}-{number:04d}" for number in range(groups)]


def _weighted_sums(
    party: Party, folder: Path, quantity: str, members: Mapping[str, NDArray[np.bool_]]
) -> dict[str, tuple[Ciphertext, Ciphertext]]:
    """Of values and of their squares, weighted by 1 / n, over the pieces but not yet the slots."""
    sums: dict[str, tuple[Ciphertext, Ciphertext]] = {}
    weights = {name: list(in_slots(rows / rows.sum())) for name, rows in members.items()}
    for piece in range(max(map(len, weights.values()), default=0)):
        values = _quantity(party, folder, quantity, piece)
        squares = party.multiply(values, values)
        for name in members:
            if weights[name][piece].any():
                first, second = sums.get(name, (None, None))
                sums[name] = (
                    party.add(first, party.weigh(values, weights[name][piece])),
                    party.add(second, party.weigh(squares, weights[name][piece])),
                )
    return sums


def _figures(
    party: Party, sums: Mapping[str, tuple[Ciphertext, Ciphertext]]
) -> Iterator[tuple[str, tuple[Ciphertext, Ciphertext]]]:
    """Mean and population variance, the same in every slot."""
    for name, (values, squares) in sums.items():
        mean = party.rescale(party.sum_slots(values))
        variance = party.subtract(party.sum_slots(squares), party.square(mean))
        yield name, (party.drop_primes(mean, 1), party.drop_primes(variance, 2))


def _quantity(party: Party, folder: Path, quantity: str, piece: int) -> Ciphertext:
    """A column, or the product that a rate is, of 8,192 posts."""

    def load(name: str) -> Ciphertext:
        return party.load(folder / fields.ciphertext_file(name, piece))

    count = quantity.removesuffix("_rate")
    if count == quantity:
        return party.drop_primes(load(count), _COLUMN_PRIMES)
    return party.multiply(load(fields.shifted(count)), load(fields.RECIPROCAL))


def _read_known(folder: Path, description: dict[str, Any]) -> dict[str, NDArray[np.bool_]]:
    path = folder / fields.KNOWN_FILE
    needed = description["columns"] + [fields.rate(name) for name in description["rates"]]
    try:
        known = pd.read_parquet(path, columns=needed)
    except (OSError, ValueError) as error:
        raise DataError(f"can't be read ({error}).", file=path) from error
    if len(known) != description["posts"] or any(known[name].dtype != bool for name in needed):
        raise DataError("doesn't say of every post what is known of it.", file=path)
    return {name: known[name].to_numpy() for name in needed}


class _ResultWriter:
    """Adds entries to a result file."""

    def __init__(self, archive: zipfile.ZipFile, scratch: Path) -> None:
        self._archive = archive
        self._scratch = scratch

    def ciphertext(self, name: str, encrypted: Ciphertext) -> None:
        encrypted.save(str(self._scratch))
        self._archive.write(self._scratch, name)

    def json(self, name: str, value: Any) -> None:
        self._archive.writestr(name, json.dumps(value, ensure_ascii=False))


@contextmanager
def _result_file(out: Path, folder: Path, description: dict[str, Any]) -> Iterator[_ResultWriter]:
    with (
        tempfile.TemporaryDirectory() as scratch,
        atomic_path(out) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        writer = _ResultWriter(archive, Path(scratch) / "ciphertext")
        writer.json(_ENCRYPTED_FILE, description)
        archive.write(folder / fields.SCALES_FILE, fields.SCALES_FILE)
        yield writer


class _ResultReader:
    """Reads entries of a result file, none larger than it may be."""

    def __init__(self, file: Path, owner: KeyOwner) -> None:
        self._file = file
        self._owner = owner
        try:
            self._archive = zipfile.ZipFile(file)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"not a result of evoked ({error}).", file=file) from error
        self._scratch = tempfile.TemporaryDirectory()

    def __enter__(self) -> _ResultReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()
        self._scratch.cleanup()

    def content(self, name: str, limit: int) -> bytes:
        try:
            with self._archive.open(name) as stream:
                content = stream.read(limit + 1)
        except (KeyError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise DataError(f"{name!r} can't be read ({error}).", file=self._file) from error
        if len(content) > limit:
            raise DataError(f"{name!r} is larger than {limit} bytes.", file=self._file)
        return content

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.content(name, _MAX_JSON_BYTES))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name!r} is not JSON ({error}).", file=self._file) from error

    def decrypted(self, name: str) -> Floats:
        path = Path(self._scratch.name) / "ciphertext"
        path.write_bytes(self.content(name, MAX_CIPHERTEXT_BYTES))
        try:
            return self._owner.decrypt(self._owner.load(path))
        except DataError as error:
            raise DataError(f"{name!r}: {error.problem}", file=self._file) from error


def _reveal_groups(
    read: _ResultReader, result: dict[str, Any], scales: dict[str, float]
) -> pd.DataFrame:
    rows = []
    for entry in result["entries"]:
        quantity, n = str(entry["quantity"]), int(entry["n"])
        scale = fields.scale_of(quantity, scales)
        # Every slot holds the figure: their mean has the least noise.
        mean = float(read.decrypted(f"{entry['name']}-mean").mean()) * scale
        variance = float(read.decrypted(f"{entry['name']}-variance").mean()) * scale**2
        # The difference of two squares: one that is lost in their noise is 0.
        variance = variance if variance > _VARIANCE_NOISE * mean**2 else 0.0
        rows.append(
            {
                "group": str(entry["group"]),
                "quantity": quantity,
                "n": n,
                "sum": mean * n,
                "mean": mean,
                "variance": variance * n / (n - 1),
            }
        )
    table = pd.DataFrame(rows, columns=["group", "quantity", "n", "sum", "mean", "variance"])
    for name in ("sum", "mean", "variance"):
        table[name] = round_figures(table[name].to_numpy(dtype=np.float64))
    return table


def _reveal_posts(
    read: _ResultReader, result: dict[str, Any], scales: dict[str, float]
) -> pd.DataFrame:
    n = len(result["posts"])
    table = {"post_id": result["posts"]}
    for quantity, unknown in result["unknown"].items():
        values = np.concatenate(
            [read.decrypted(f"{quantity}-{piece:04d}") for piece in range(fields.pieces(n))]
        )[:n]
        # Counts are whole: a rate within the noise is 0.
        values = np.where(np.abs(values) < _RATE_NOISE, 0.0, values)
        rates = round_figures(values * fields.scale_of(quantity, scales))
        rates[np.asarray(unknown, dtype=np.int64)] = np.nan
        table[quantity] = rates
    return pd.DataFrame(table)


def _true_quantities(posts: pd.DataFrame) -> dict[str, Floats]:
    counts = {
        name: posts[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in fields.COUNTS
    }
    followers = np.where(counts["followers"] > 0, counts["followers"], np.nan)
    rates = {fields.rate(name): counts[name] / followers for name in fields.ENGAGEMENT}
    return counts | rates


def _beside_true_rates(table: pd.DataFrame, originals: PostDataset) -> pd.DataFrame:
    true = _true_quantities(originals.posts)
    for name in table.columns.drop("post_id").tolist():
        table[f"true_{name}"] = true[name]
        table[f"{name}_error"] = relative_error(table[name].to_numpy(), true[name])
    return table


def _beside_true_figures(
    table: pd.DataFrame, originals: PostDataset, by: str | None, keys: KeyFolder
) -> pd.DataFrame:
    true = _true_quantities(originals.posts)
    labels = group_labels(originals.posts, by)
    if not set(table["group"]) <= set(labels):  # the groups are pseudonyms
        labels = group_labels(Pseudonyms(keys.pseudonyms()).table(originals.posts), by)
    for name, figure in (("mean", np.nanmean), ("variance", _variance)):
        table[f"true_{name}"] = [
            figure(true[quantity][(labels == group).to_numpy()])
            for group, quantity in zip(table["group"], table["quantity"], strict=True)
        ]
        table[f"{name}_error"] = relative_error(
            table[name].to_numpy(), table[f"true_{name}"].to_numpy()
        )
    return table


def _variance(values: Floats) -> float:
    return float(np.nanvar(values, ddof=1))


def relative_error(values: Floats, true: Floats) -> Floats:
    """How far off, as a share of the true value; of a true 0 the difference itself."""
    return np.asarray(np.abs(values - true) / np.where(true == 0, 1.0, np.abs(true)))
