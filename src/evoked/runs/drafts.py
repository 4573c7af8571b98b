"""What a run takes for granted about drafts: whose they are, and how many follow their author."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoked.posts.author_hashes import AUTHOR_HASH, author_hashes
from evoked.posts.author_profiles import PROFILE, AuthorProfiles
from evoked.posts.columns import as_column, numbers_of, values_of
from evoked.posts.facts import Fact, describe_facts, fact_notes
from evoked.posts.vocabulary import EXPECTED_VIEWS
from evoked.runs.spoken import basis_in_words, spoken
from evoked.sentences import listed
from evoked.targets import Task
from evoked.targets.base import numeric

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts

ASSUMED = "assumed"
"""Column of posts and predictions: what was taken for granted, in words; None if nothing was."""

DOUBT = "doubt"
"""Column of posts: why a prediction has little to rest on, in words; None if there is no reason."""

# No author's hash: stands for one who has posted nothing yet, where a draft names nobody.
_NEWCOMER = "newcomer"

_WORDS = {"followers": "followers", "following": "followed accounts", "author_posts": "posts"}


@dataclass(frozen=True)
class KnownAuthors:
    """The authors of a run's posts.

    Attributes
    ----------
    number
        How many there are.
    hashes
        The hash of each whose posts the run has learned from or keeps the history of.
    profiles
        Their last known followers.
    """

    number: int
    hashes: frozenset[str]
    profiles: AuthorProfiles

    @property
    def only(self) -> str:
        """The hash of the author if there is only one, else ''."""
        return next(iter(self.hashes)) if self.number == len(self.hashes) == 1 else ""

    def of_posts(self, posts: Posts) -> NDArray[np.bool_]:
        """Whether each of n posts is by one of them, (n,)."""
        return np.isin(author_hashes(posts).astype(str), list(self.hashes))


def complete_drafts(posts: Posts, authors: KnownAuthors, drafts: NDArray[np.bool_]) -> Any:
    """Posts with what drafts among them leave out and the run knows.

    Parameters
    ----------
    posts
        n posts.
    authors
        The authors of the run's posts. If there is only one, drafts without an author are theirs;
        of several, such drafts are a new author's.
    drafts
        Which of the posts are drafts, (n,): those get their author's last known followers, followed
        accounts and number of posts where they have none.

    Returns
    -------
    DataFrame
        The posts with the columns :data:`ASSUMED` and :data:`DOUBT`, and the hash of each author.
    """
    given = author_hashes(posts)
    taken = drafts & (given == "")
    author = np.where(taken, authors.only or (_NEWCOMER if authors.number else ""), given)
    own = "your" if authors.number == 1 else "the author's"
    completed = posts.assign(**{AUTHOR_HASH: author})
    counts = {name: numbers_of(posts, name).copy() for name in PROFILE}
    assumed: list[str | None] = []
    for row, name in enumerate(author):
        known = authors.profiles.known.get(name, {}) if drafts[row] else {}
        filled = {each: count for each, count in known.items() if np.isnan(counts[each][row])}
        for each, count in filled.items():
            counts[each][row] = count
        assumed.append(_assumption(bool(taken[row] and authors.only), filled, own))
    is_known = authors.of_posts(completed)
    doubts = [
        unknown_author(authors, name if given[row] else None)
        if authors.number and not is_known[row]
        else None
        for row, name in enumerate(values_of(posts, "author_id"))
    ]
    texts = {ASSUMED: assumed, DOUBT: doubts}
    columns = {name: as_column(posts, text) for name, text in texts.items()}
    return completed.assign(**counts, **columns)


def with_fact_notes(posts: Posts, facts: Sequence[Fact], drafts: NDArray[np.bool_]) -> Any:
    """Posts with what is unusual about the facts of drafts in the column :data:`ASSUMED`.

    Parameters
    ----------
    posts
        n posts, as :func:`complete_drafts` returns them.
    facts
        Those that the run has learned from.
    drafts
        Which of the posts are drafts, (n,).
    """
    if not facts or not drafts.any():
        return posts
    notes = np.full(len(posts), "", dtype=object)
    notes[drafts] = fact_notes(facts, posts, np.flatnonzero(drafts).tolist())
    return _with_notes(posts, notes)


def with_usual_views(posts: Posts, task: Task, drafts: NDArray[np.bool_]) -> Any:
    """Posts that say in the column :data:`ASSUMED` how often drafts among them are taken to be
    seen, where the task's rates are per view and the drafts don't say it.

    Parameters
    ----------
    posts
        n posts, as :func:`complete_drafts` returns them, with their history.
    task
        Fitted on the training posts.
    drafts
        Which of the posts are drafts, (n,).
    """
    usual = task.usual_basis(posts)
    if usual is None or task.count_basis is None:
        return posts
    notes, unit = np.full(len(posts), "", dtype=object), basis_in_words(task.count_basis)
    unsaid = drafts & np.isnan(numeric(posts, EXPECTED_VIEWS))
    notes[unsaid] = [
        f"Reckoned with about {spoken(number)} {unit}, as is usual." for number in usual[unsaid]
    ]
    return _with_notes(posts, notes)


def _with_notes(posts: Posts, notes: NDArray[np.object_]) -> Any:
    """n posts with a note each, '' for none, at the end of what is assumed."""
    said = [
        " ".join(filter(None, pair)) or None
        for pair in zip(values_of(posts, ASSUMED), notes, strict=True)
    ]
    return posts.assign(**{ASSUMED: as_column(posts, said)})


def lacking_facts(facts: Sequence[Fact], posts: pd.DataFrame) -> str | None:
    """The sentence on facts that none of n posts has though a run has learned from them; None if
    there are none."""
    return lacking_note(facts, {fact.name for fact in describe_facts(posts)})


def lacking_note(facts: Sequence[Fact], has: Collection[str]) -> str | None:
    """:func:`lacking_facts` of posts that have facts of some names."""
    lacking = [fact.name for fact in facts if fact.name not in has]
    if not lacking:
        return None
    options = " ".join(f"--fact {shlex.quote(name)}" for name in lacking)
    return (
        f"None of the posts has {listed(lacking)}, from which the run has learned: predicted as "
        f"unknown. Import the posts with {options}"
    )


def unknown_author(authors: KnownAuthors, name: str | None) -> str:
    """The sentence on a post by an author of whom the run knows no post; None if none is given."""
    beginning = "No author given" if name is None else f"No training post is by the author {name!r}"
    learned = "its only author" if authors.number == 1 else f"all its {authors.number} authors"
    return (
        f"{beginning}: predicted as a new author's, by what the run has learned from posts of "
        f"{learned}."
    )


def _assumption(is_only_author: bool, filled: Mapping[str, int], own: str) -> str | None:
    parts = ["taken for a post of the run's only author"] if is_only_author else []
    if filled:
        names = listed([_WORDS[name] for name in filled])
        parts.append(
            f"{names} as of {own} last post: {listed([f'{n:,}' for n in filled.values()])}"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else None
