"""Pseudonyms of accounts and posts: a keyed hash (HMAC-SHA256).

The same key gives the same pseudonym in every dataset and table, so that authors, users, friends
and mentioned accounts still match. Without the key, nobody can find out whether a guessed name
belongs to a pseudonym; with a plain hash, anybody could.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pandas as pd

from evoked.posts.readers.values import replace_accounts

# 80 bits: among a million accounts the chance that any two share one is 4e-13.
_DIGITS = 20

# Columns that name a person's account, and those that name a post, in any table.
ACCOUNT_COLUMNS = ("author_id", "user_id", "other_id", "annotator_id")
POST_COLUMNS = ("post_id",)
TEXT_COLUMNS = ("title", "caption", "comment", "description")


class Pseudonyms:
    """Pseudonyms under one key.

    Parameters
    ----------
    key
        32 random bytes (:meth:`evoked.posts.privacy.keys.KeyFolder.pseudonyms`).

    Examples
    --------
    >>> names = Pseudonyms(bytes(32))
    >>> names.account("ines.makes") == names.account("ines.makes")
    True
    >>> names.text("Thanks, @ines.makes!") == f"Thanks, @{names.account('ines.makes')}!"
    True
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def account(self, identifier: str) -> str:
        """The pseudonym of an account, short enough to be an @mention."""
        return f"account_{self._digits('account', identifier)}"

    def post(self, identifier: str) -> str:
        """The pseudonym of a post, whose own id would lead to it on the network."""
        return f"post_{self._digits('post', identifier)}"

    def address(self, identifier: str) -> str:
        """The pseudonym of an address, of the web or of e-mail, that a text holds."""
        return f"address_{self._digits('address', identifier)}"

    def text(self, text: str) -> str:
        """A text whose mentions of accounts and addresses are pseudonyms.

        Networks ignore the case of mentioned names, so the pseudonym is that of the lower case.
        """
        return replace_accounts(
            text,
            lambda name: self.account(name.lower()),
            lambda address: self.address(address.lower()),
        )

    def table(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table with pseudonyms for every account, post and mention; missing values stay so."""
        changed: dict[str, pd.Series] = {}
        for columns, change in (
            (ACCOUNT_COLUMNS, self.account),
            (POST_COLUMNS, self.post),
            (TEXT_COLUMNS, self.text),
        ):
            present = [name for name in columns if name in table]
            changed |= {name: _changed(table[name], change) for name in present}
        if "mentions" in table:
            changed["mentions"] = table["mentions"].map(
                lambda names: [self.account(name.lower()) for name in names]
            )
        return table.assign(**changed)

    def _digits(self, kind: str, identifier: str) -> str:
        message = f"{kind}\0{identifier}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_DIGITS]


def _changed(values: pd.Series, change: Callable[[str], str]) -> pd.Series:
    """Change each distinct value once, however often it occurs."""
    known = {value: change(value) for value in values.dropna().unique()}
    return values.map(known).astype(object).where(values.notna(), None)
