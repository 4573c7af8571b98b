"""Which post a draft became: recognised by its id, caption, picture or time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import pandas as pd

from evoked.advice.ledger import Entry, hashes_of
from evoked.features.extract import ImageSource
from evoked.posts.picture_hashes import same_picture

Unmatched = Literal["author", "undated", "ahead", "backdated", "older", "unlike"]
"""Why a line is none of the posts that were given: they are none of its author's, they have no
dates, it is still to come, its date is before the day on which it was kept, the posts are older
than that, or none of them is like it."""

# How far from the time that was planned a post may appear.
_TOLERANCE = timedelta(hours=1)


class Match(NamedTuple):
    """What a line of a ledger became.

    Attributes
    ----------
    row
        Position of the post; None where none was found, or where it could be one of several.
    by
        What it was recognised by: ``id``, ``caption``, ``picture`` or ``time``; None without one.
    candidates
        Positions of the posts that it could be, where these are several.
    """

    row: int | None = None
    by: str | None = None
    candidates: tuple[int, ...] = ()


class _Known(NamedTuple):
    """What a post is recognised by."""

    author: str
    post: str
    caption: str | None
    picture: str | None
    posted_at: pd.Timestamp


# From the surest to the least.
_SIGNS: dict[str, Callable[[Entry, _Known], bool]] = {
    "id": lambda entry, post: entry.post == post.post,
    "caption": lambda entry, post: entry.caption is not None and entry.caption == post.caption,
    "picture": lambda entry, post: same_picture(entry.picture, post.picture),
    "time": lambda entry, post: (
        entry.posted_at is not None and abs(post.posted_at - entry.posted_at) <= _TOLERANCE
    ),
}
_ORDER = tuple(_SIGNS)


def recognise(
    entries: Sequence[Entry], posts: pd.DataFrame, images: Sequence[ImageSource]
) -> list[Match]:
    """Find the posts that n drafts became, n matches.

    A post is a draft's if it appeared on the day on which the draft was kept or later, is not by
    another author, and has the draft's id, else its caption, else its picture, else appeared within
    an hour of the time planned. Of several, the further signs decide; where they don't, nothing is
    guessed. Of drafts that were kept together, one alone can have become a post: the one of which
    the surest sign says so.

    Parameters
    ----------
    entries
        n lines of a ledger.
    posts, images
        m posts that appeared, and their covers; those without a date are no draft's.
    """
    known = {
        row: _Known(posted_at=when, **signs)
        for row, (when, signs) in enumerate(
            zip(
                pd.to_datetime(posts["posted_at"], utc=True),
                hashes_of(posts, images),
                strict=True,
            )
        )
        if pd.notna(when)
    }
    found = [_match(entry, known) for entry in entries]
    claims: dict[tuple[str, int], list[int]] = {}
    for number, match in enumerate(found):
        if match.row is not None:
            claims.setdefault((entries[number].set, match.row), []).append(number)
    for (_, row), numbers in claims.items():
        ranks = [_ORDER.index(str(found[number].by)) for number in numbers]
        surest = [number for number, rank in zip(numbers, ranks, strict=True) if rank == min(ranks)]
        for number in numbers:
            if number not in surest:
                found[number] = Match()
            elif len(surest) > 1:
                found[number] = Match(candidates=(row,))
    return found


def unmatched(
    entry: Entry, authors: Collection[str], newest: pd.Timestamp | None, now: datetime
) -> Unmatched:
    """Why a line became none of the posts that were given.

    Parameters
    ----------
    entry
        The line.
    authors
        Hashes of the posts' authors, '' among them where one is unknown.
    newest
        When the newest of the posts that can be the line's author's appeared; None for none.
    now
        The time, with a time zone.
    """
    if entry.author and not {entry.author, ""} & set(authors):
        return "author"
    if newest is None:
        return "undated"
    if entry.posted_at is not None and entry.posted_at > now:
        return "ahead"
    day = _day(entry)
    if entry.posted_at is not None and pd.Timestamp(entry.posted_at) < day:
        return "backdated"
    if newest < day:
        return "older"
    return "unlike"


def _day(entry: Entry) -> pd.Timestamp:
    """The beginning of the day on which a line was kept."""
    return pd.Timestamp(entry.kept_at).tz_convert("UTC").normalize()


def _match(entry: Entry, known: dict[int, _Known]) -> Match:
    day = _day(entry)
    possible = [
        row
        for row, post in known.items()
        if post.posted_at >= day and (not entry.author or post.author in (entry.author, ""))
    ]
    for place, sign in enumerate(_ORDER):
        rows = [row for row in possible if _SIGNS[sign](entry, known[row])]
        for further in _ORDER[place + 1 :]:
            if len(rows) > 1:
                fewer = [row for row in rows if _SIGNS[further](entry, known[row])]
                rows = fewer or rows
        if len(rows) == 1:
            return Match(rows[0], sign)
        if rows:
            return Match(candidates=tuple(rows))
    return Match()
