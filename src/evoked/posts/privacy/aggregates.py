"""Rates, sums, means and variances of encrypted fields: computed without the key, read with it.

The result is one file, a zip archive (stored, not compressed)::

    result.json              what was computed: groups, their sizes, quantities
    encrypted.json           the description of the encrypted fields
    scales.sealed            what the numbers were divided by, which only the owner can read
    likes-0003-mean          ciphertexts
    …

The owner's figures are rounded to seven digits. Decrypted numbers contain the noise of CKKS, and
whoever sees enough of them unrounded, together with their ciphertexts, can find the secret key (Li
and Micciancio 2021).
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
from evoked.files import MAX_JSON_BYTES, atomic_path, parse_json
from evoked.parquet import read_frame
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy import encrypted_fields as fields
from evoked.posts.privacy._entries import entry_content
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
"""Each takes two sums over all slots per quantity, about half a second, and 2 MB of memory."""

_RESULT_FILE, _ENCRYPTED_FILE = "result.json", "encrypted.json"
_DIGITS = 7
# Shares of the largest rate, and of the square of a mean, below which a number is noise.
_RATE_NOISE = 1e-12
_VARIANCE_NOISE = 1e-10
# Rates and squares of counts start with three primes and use up one.
_COLUMN_PRIMES = 3


@dataclass(frozen=True)
class Aggregation:
    """The result of a party without the key.

    Attributes
    ----------
    file
        The file for the owner.
    quantities
        Names of the columns and rates.
    groups
        Number of posts by group.
    too_small
        Number of posts by group, for the groups that were left out.
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
        A column of the posts that is not encrypted, such as ``category``; by default, all posts
        form one group. Posts without a value are in no group.
    minimum_group
        Groups of fewer posts, or with fewer known values of a quantity, are left out.
    progress
        Called with ``computing``, the number of quantities done and of all.

    Raises
    ------
    SettingsError
        There is no such column, none of its groups is large enough, or more than 100 are.
    DataError
        The dataset has no encrypted fields, or they are damaged.
    MissingExtraError
        The extra ``privacy`` isn't installed.
    """
    if minimum_group < 2:
        raise SettingsError(
            f"a group needs two posts or more, not {minimum_group}: "
            "the mean of one post is its value."
        )
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
        The dataset has no encrypted fields, they are damaged, or followers or counts are missing.
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
    """Decrypt the result of :func:`aggregate` or :func:`compute_rates`.

    Parameters
    ----------
    file
        The file that they wrote.
    keys
        The owner's keys.
    originals
        The dataset before it was protected. The true figures are then computed from it and given
        beside the decrypted ones.

    Returns
    -------
    DataFrame
        For groups: ``group``, ``quantity``, ``n``, ``sum``, ``mean``, ``variance`` (with n − 1);
        with originals also ``true_mean``, ``true_variance`` and the relative errors ``mean_error``
        and ``variance_error``. For posts: ``post_id`` and the rates; with originals also
        ``true_…`` and ``…_error`` for each rate. Where the true value is 0, errors are absolute.

    Raises
    ------
    DataError
        The file is no such result, damaged, or made with other keys; the originals are other posts.
    """
    file = Path(file)
    owner = keys.fields()
    with _ResultReader(file, owner) as read:
        description = fields.check_description(read.json(_ENCRYPTED_FILE), file)
        if description.get("key") != fields.key_name(keys.evaluation):
            raise DataError("was made with other keys.", file=file)
        scales = fields.open_scales(read.content(fields.SCALES_FILE, MAX_JSON_BYTES), keys)
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
        There is no such column, or it doesn't name groups.
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
    """Sums of values and of squares, weighted by 1 / n, over the pieces but not yet the slots."""
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
    """Mean and population variance of each group, the same in every slot."""
    for name, (values, squares) in sums.items():
        mean = party.rescale(party.sum_slots(values))
        variance = party.subtract(party.sum_slots(squares), party.square(mean))
        yield name, (party.drop_primes(mean, 1), party.drop_primes(variance, 2))


def _quantity(party: Party, folder: Path, quantity: str, piece: int) -> Ciphertext:
    """A column of 8,192 posts, or the product that gives their rates."""

    def load(name: str) -> Ciphertext:
        return party.load(folder / fields.ciphertext_file(name, piece))

    count = quantity.removesuffix("_rate")
    if count == quantity:
        return party.drop_primes(load(count), _COLUMN_PRIMES)
    return party.multiply(load(fields.shifted(count)), load(fields.RECIPROCAL))


def _read_known(folder: Path, description: dict[str, Any]) -> dict[str, NDArray[np.bool_]]:
    path = folder / fields.KNOWN_FILE
    needed = description["columns"] + [fields.rate(name) for name in description["rates"]]
    known = read_frame(path, needed)
    if len(known) != description["posts"] or any(known[name].dtype != bool for name in needed):
        raise DataError("does not say for every post which values are known.", file=path)
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
    """Reads entries of a result file, within bounds on their size."""

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
        return entry_content(self._archive, name, limit, self._file)

    def json(self, name: str) -> Any:
        return parse_json(self.content(name, MAX_JSON_BYTES), f"{self._file}, {name}")

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
        # Every slot holds the figure; the mean over slots has the least noise.
        mean = float(read.decrypted(f"{entry['name']}-mean").mean()) * scale
        variance = float(read.decrypted(f"{entry['name']}-variance").mean()) * scale**2
        # It is a difference of two squares: if it is lost in their noise, it counts as 0.
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
        # Counts are whole numbers, so a rate within the noise is 0.
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
    """Error as a share of the true value; where that is 0, the difference itself."""
    return np.asarray(np.abs(values - true) / np.where(true == 0, 1.0, np.abs(true)))
