"""The last known followers, followed accounts and numbers of posts of authors, for drafts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from evoked.errors import DataError
from evoked.files import read_json, write_json
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import known_counts

if TYPE_CHECKING:
    import pandas as pd

PROFILE = ("followers", "following", "author_posts")
"""Counts of an author that every post comes with."""

# As many as a run carries the history of: those who posted last.
_MAX_AUTHORS = 20_000


@dataclass(frozen=True)
class AuthorProfiles:
    """What the latest post that has it says of each author.

    Attributes
    ----------
    known
        Counts of :data:`PROFILE` by name, by the author's hash; unknown ones are left out.
    """

    known: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, posts: pd.DataFrame) -> Self:
        """The profiles of the authors of posts; posts without a date count as the oldest."""
        import pandas as pd

        dates = pd.to_datetime(posts["posted_at"], utc=True).reset_index(drop=True)
        order = dates.sort_values(kind="stable", na_position="first").index.to_numpy()
        table = pd.DataFrame({name: known_counts(posts, name) for name in PROFILE})
        table = table.assign(author=author_hashes(posts)).iloc[order]
        table = table[table["author"] != ""]
        latest = table["author"].iloc[::-1].drop_duplicates().iloc[:_MAX_AUTHORS]
        last = table.groupby("author", sort=False).last().loc[latest]
        return cls(
            {
                str(author): {str(name): int(count) for name, count in row.items() if count >= 0}
                for author, row in last.to_dict(orient="index").items()
            }
        )

    def updated_by(self, newer: AuthorProfiles) -> AuthorProfiles:
        """These profiles, with what newer posts say in their place."""
        known = {
            author: {**self.known.get(author, {}), **newer.known[author]} for author in newer.known
        }
        return AuthorProfiles({**self.known, **known})

    def save(self, path: Path) -> None:
        """Write the profiles as JSON."""
        write_json(path, self.known)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The file is missing or holds something else.
        """
        state = read_json(path)
        if not _is_profiles(state):
            raise DataError(
                "not the authors' last known followers.", file=path, fix="Train the model again."
            )
        return cls(state)


def _is_profiles(state: Any) -> bool:
    return isinstance(state, dict) and all(
        isinstance(counts, dict)
        and all(name in PROFILE and type(count) is int for name, count in counts.items())
        for counts in state.values()
    )
