"""Copies of datasets that can be given away: pseudonyms in place of names, counts encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from evoked.files import atomic_folder, only_writer
from evoked.posts.dataset import PostDataset
from evoked.posts.facts import find_fact
from evoked.posts.privacy import encrypted_fields
from evoked.posts.privacy.keys import KeyFolder
from evoked.posts.privacy.pseudonyms import Pseudonyms
from evoked.posts.schema import COUNTS

# Synthetic datasets keep what is true of their posts there, counts among it.
_LEFT_OUT = ("truth",)


@dataclass(frozen=True)
class Protection:
    """What a protected copy holds.

    Attributes
    ----------
    dataset
        The copy.
    encrypted
        Columns that it holds in encrypted form only.
    accounts
        How many different authors got pseudonyms; None if names were kept.
    pictures
        How many pictures were copied.
    facts
        Names of the facts that it holds, as they are.
    facts_left_out
        Names of those that it doesn't.
    """

    dataset: PostDataset
    encrypted: list[str]
    accounts: int | None
    pictures: int
    facts: list[str]
    facts_left_out: list[str]


def protect(
    dataset: PostDataset,
    dest: Path | str,
    keys: KeyFolder,
    *,
    pseudonyms: bool = True,
    encrypt: Sequence[str] | None = None,
    pictures: bool = False,
    facts: Sequence[str] = (),
) -> Protection:
    """Write a copy of a dataset without what its owner keeps for themselves.

    Parameters
    ----------
    dataset
        The owner's dataset.
    dest
        A folder that doesn't exist yet; it appears whole or not at all.
    keys
        The owner's keys, in neither dataset.
    pseudonyms
        Replace the ids of accounts and posts and the accounts that texts mention.
    encrypt
        Counts to encrypt; by default all that any post has. The copy has them in no table. An
        empty list encrypts nothing; otherwise the extra ``privacy`` is needed.
    pictures
        Copy the pictures too, unchanged.
    facts
        Names of facts to copy, unchanged. The others are left out: what was spent is nobody else's
        business, and a product or a place can identify an account.

    Raises
    ------
    DataError
        The keys lie with the data, a key is missing or readable by others, ``dest`` exists, lies
        in the dataset or is being written by another process, or the pictures are locked.
    SettingsError
        A column that can't be encrypted, or no such fact.
    MissingExtraError
        The extra ``privacy`` isn't installed.
    """
    dest = Path(dest)
    keys.keep_apart(dataset.folder, dest)
    dataset.check_apart(dest)
    if pictures:
        dataset.check_pictures()
    posts = dataset.posts
    if encrypt is None:
        encrypt = [name for name in COUNTS if posts[name].notna().any()]
    columns = encrypted_fields.check_columns(encrypt, posts)
    kept = [find_fact(dataset.facts, name).name for name in facts]
    left_out = [fact for fact in dataset.facts if fact.name not in kept]
    withheld = [*columns, *(fact.column for fact in left_out)]
    names = Pseudonyms(keys.pseudonyms()) if pseudonyms else None
    tables = {
        name: _protected_table(dataset.table(name), names, withheld)
        for name in dataset.tables
        if name not in _LEFT_OUT
    }
    if not pictures:
        tables["posts"]["images"] = [[] for _ in range(len(posts))]
    with only_writer(dest):
        dataset.check_apart(dest)  # another process may have made it meanwhile
        with atomic_folder(dest) as temporary:
            # The copy has neither source nor notes of the import: both may name people.
            PostDataset.create(
                temporary,
                tables,
                images=dataset.stripped_pictures(temporary / "pictures") if pictures else None,
                provenance=_licence(dataset) | {"format": "protected"},
                scales=dataset.description.get("scales"),
                extra={"protected": {"pseudonyms": pseudonyms, "encrypted": columns}},
            )
            if columns:
                folder = temporary / encrypted_fields.FOLDER
                encrypted_fields.write_encrypted(posts, columns, keys, folder)
            copied = sum(1 for _ in (temporary / "images").iterdir())
    accounts = int(posts["author_id"].nunique()) if pseudonyms else None
    return Protection(
        dataset=PostDataset(dest),
        encrypted=columns,
        accounts=accounts,
        pictures=copied,
        facts=kept,
        facts_left_out=[fact.name for fact in left_out],
    )


def _protected_table(
    table: pd.DataFrame, names: Pseudonyms | None, withheld: Sequence[str]
) -> pd.DataFrame:
    table = table.drop(columns=[name for name in withheld if name in table])
    return table if names is None else names.table(table)


def _licence(dataset: PostDataset) -> dict[str, str]:
    provenance = dataset.description.get("provenance", {})
    return {"licence": str(provenance["licence"])} if "licence" in provenance else {}
