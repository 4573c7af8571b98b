"""The ledger of a run: what it has said of drafts, and what was known then, kept to be checked.

A line of ``ledger.jsonl`` in the run's folder is one draft of one answer (of ``predict``, ``rank``,
``advise`` …). Lines are only ever added, by one process at a time, and are on the disk before
:func:`keep` returns: a process that is killed while it writes leaves at most an unfinished last
line, which the next one ends and readers pass over.

A line holds no text and no path: captions, hashtags and names are hashes, a picture is 64 bits of
brighter and darker (:mod:`evoked.posts.picture_hashes`), and an author is the hash by which the run
knows them. That is enough to recognise the post when it comes.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evoked.errors import DataError
from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.features.extract import ImageSource
from evoked.features.metadata import form_counts, local_times
from evoked.files import append_lines, kept_still, plain, read_bounded
from evoked.posts.author_hashes import author_hashes
from evoked.posts.author_history import are_published
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.posts.picture_hashes import picture_hash
from evoked.posts.schema import FACT_PREFIX
from evoked.runs.answer import quantities
from evoked.runs.description import RUN_FILE
from evoked.runs.folder import LEDGER_FILE
from evoked.runs.posts import Run

Kind = Literal["prediction", "rank", "advice", "hours"]

_VERSION = 1
_LONGEST_LINE = 2**16


class Entry(BaseModel):
    """A line of the ledger; further entries stay as they are.

    Attributes
    ----------
    id, set
        Of the line, and of all that were kept together: the drafts of one order.
    kind
        What was asked for.
    kept_at
        When it was kept, which is before anything was known of the post.
    run
        SHA-256 of the run's run.json, in part: which state of the run spoke.
    author
        Hash; empty where unknown.
    post, caption, picture
        What the post can be recognised by: hashes of its id, caption and cover; None for none.
    posted_at
        When it was to appear; None where nobody said so.
    facts
        What was known of the draft: see :func:`facts_of`.
    coverage
        How often its intervals are to hold the truth.
    predicted
        By number predicted: the number, and the lower and the upper end of its interval (None where
        there is none).
    said
        What else was said of it, by kind: see :func:`keep`.
    """

    model_config = ConfigDict(extra="allow")

    version: Literal[1]
    id: str = Field(max_length=64)
    set: str = Field(max_length=64)
    kind: Kind
    kept_at: datetime
    run: str
    author: str
    post: str | None = None
    caption: str | None = None
    picture: str | None = Field(None, pattern=r"\A[0-9a-f]{16}\z")
    posted_at: datetime | None = None
    facts: dict[str, Any] = {}
    coverage: float = Field(gt=0, lt=1)
    predicted: dict[str, tuple[float, float | None, float | None]]
    said: dict[str, Any] = {}


class Ledger(NamedTuple):
    """What a run's ledger holds: its lines, oldest first, and how many could not be read."""

    entries: list[Entry]
    damaged: int


class _Drafts(NamedTuple):
    """Drafts as posts, with their pictures, and the date of each if somebody gave it."""

    posts: pd.DataFrame
    images: Sequence[ImageSource]
    dated: Sequence[bool]
    named: Sequence[bool]


def keep(
    run: Run,
    kind: Kind,
    drafts: Sequence[Draft] | PostDataset,
    table: pd.DataFrame,
    coverage: float = DEFAULT_COVERAGE,
    said: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    kept_at: datetime | None = None,
) -> int:
    """Keep what a run said of drafts, so that it can be checked when the posts have come.

    Parameters
    ----------
    run
        The run that spoke.
    kind
        What was asked for.
    drafts
        What it was asked about. Of a dataset, the posts without any count; the others have come
        already, and what is said of them is no forecast.
    table
        Its numbers: a row for each draft, in any order, with ``post_id`` and the columns of
        :meth:`evoked.runs.posts.Run.predict`.
    coverage
        How often the intervals are to hold the truth.
    said
        What else was said, by the draft's ``post_id``. Of ``rank``: ``by``, what it is ordered by,
        ``place`` (from 1), and ``chances``, those of being ahead of each later place. Of
        ``advice``: ``by``, and ``actions``, each with ``action`` (its name), ``facts`` (what the
        post is like if it is followed, see :func:`changed_facts`), ``effect`` (on the logarithm of
        the count: how much, from, to) and ``label``.
    kept_at
        The time; now by default.

    Returns
    -------
    The number of lines that were added.

    Raises
    ------
    DataError
        The ledger can't be written, or has become as large as the largest that is read.
    """
    asked = _drafts_of(run, drafts)
    now = kept_at or datetime.now(UTC)
    together, state = uuid.uuid4().hex[:16], state_of(run.folder)
    numbers = table.set_index("post_id")
    names = [each.column for each in quantities(run.task) if each.column in table]
    endless = run.intervals.unbounded(run.task, coverage)
    hashed, facts = hashes_of(asked.posts, asked.images), facts_of(asked.posts)
    lines = []
    for row, name in enumerate(asked.posts["post_id"]):
        found = numbers.loc[name]
        predicted = {
            each: _with_ends(found, each, each not in endless)
            for each in names
            if pd.notna(found[each])
        }
        when = asked.posts["posted_at"].iloc[row] if asked.dated[row] else None
        entry = {
            "version": _VERSION,
            "id": uuid.uuid4().hex[:16],
            "set": together,
            "kind": kind,
            "kept_at": now.isoformat(),
            "run": state,
            **hashed[row],
            "post": hashed[row]["post"] if asked.named[row] else None,
            "posted_at": None if when is None else pd.Timestamp(when).isoformat(),
            "facts": facts[row],
            "coverage": coverage,
            "predicted": predicted,
            "said": dict((said or {}).get(name, {})),
        }
        lines.append(json.dumps(plain(entry), separators=(",", ":")))
    _append(run.folder, lines)
    return len(lines)


def read_ledger(folder: Path) -> Ledger:
    """What a run's folder keeps.

    Raises
    ------
    DataError
        The file is larger than 64 MiB, or can't be read.
    """
    path = folder / LEDGER_FILE
    if not path.exists():
        return Ledger([], 0)
    lines = [line for line in read_bounded(path).split(b"\n") if line.strip()]
    entries = list(filter(None, map(_entry, lines)))
    entries.sort(key=lambda entry: entry.kept_at)
    return Ledger(entries, len(lines) - len(entries))


def state_of(folder: Path) -> str:
    """Which state of a run a folder holds: updating and training change it."""
    return hashlib.sha256(read_bounded(folder / RUN_FILE)).hexdigest()[:16]


def hashes_of(posts: pd.DataFrame, images: Sequence[ImageSource]) -> list[dict[str, Any]]:
    """What each of n posts can be recognised by: author, post, caption and picture."""
    return [
        {
            "author": author,
            "post": _hashed(str(name)),
            "caption": _caption_hash(caption),
            "picture": picture_hash(image),
        }
        for author, name, caption, image in zip(
            author_hashes(posts), posts["post_id"], posts["caption"], images, strict=True
        )
    ]


def facts_of(posts: pd.DataFrame) -> list[dict[str, Any]]:
    """What is known of each of n posts before it appears, unknown facts left out: hour and weekday
    (Monday = 0) by local clocks; format, category, paid, followers, following, author_posts;
    numbers of words, emoji, question marks, exclamation marks, URLs, characters, hashtags, mentions
    and images; ``tags``, hashes of its hashtags; facts of a person's own by name."""
    hour, weekday = local_times(posts)
    columns: dict[str, Any] = {"hour": hour, "weekday": weekday}
    named = {"media_type": "format", "category": "category", "paid": "paid"}
    profile = ("followers", "following", "author_posts")
    for name, called in {**named, **{each: each for each in profile}}.items():
        if name in posts:
            columns[called] = posts[name]
    columns |= form_counts(posts)
    columns["tags"] = [sorted(map(_tag_hash, tags)) for tags in posts["hashtags"]]
    for name in map(str, posts):
        if name.startswith(FACT_PREFIX):
            columns[name.removeprefix(FACT_PREFIX)] = posts[name]
    rows = zip(*columns.values(), strict=True)
    return [
        {name: plain(value) for name, value in zip(columns, row, strict=True) if _is_known(value)}
        for row in rows
    ]


def changed_facts(run: Run, draft: Draft, edited: Draft) -> dict[str, Any]:
    """What an action changes of a draft: the facts and the picture that the edited one has
    otherwise, as a ledger keeps them."""
    posts, images = run.draft_posts([draft, edited])
    before, after = facts_of(posts)
    before, after = (
        facts | {"picture": picture_hash(image)}
        for facts, image in zip((before, after), images, strict=True)
    )
    return {name: value for name, value in after.items() if value != before.get(name)}


def _drafts_of(run: Run, drafts: Sequence[Draft] | PostDataset) -> _Drafts:
    if isinstance(drafts, PostDataset):
        unseen = drafts.select(np.flatnonzero(~are_published(drafts.posts)))
        posts = run.dataset_posts(unseen).reset_index(drop=True)
        given = posts["posted_at"].notna().tolist()
        return _Drafts(posts, unseen.cover_paths(), given, [True] * len(posts))
    posts, images = run.draft_posts(drafts)
    return _Drafts(
        posts,
        images,
        [draft.posted_at is not None for draft in drafts],
        [draft.name is not None for draft in drafts],
    )


def _with_ends(row: pd.Series, name: str, bounded: bool) -> list[float | None]:
    """A number and the ends of its range; None for ends that nothing bounds."""
    ends = [row.get(f"{name}_{end}", np.nan) if bounded else np.nan for end in ("low", "high")]
    return [float(row[name]), *(float(end) if np.isfinite(end) else None for end in ends)]


def _tag_hash(tag: str) -> str:
    return _hashed(tag.lstrip("#＃").casefold())


def _caption_hash(caption: Any) -> str | None:
    """Hash of a caption, however it is spaced and capitalised; None for none."""
    if not isinstance(caption, str) or not caption.strip():
        return None
    return _hashed(" ".join(unicodedata.normalize("NFKC", caption).casefold().split()))


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _is_known(value: Any) -> bool:
    return bool(np.ndim(value) or pd.notna(value))


def _append(folder: Path, lines: Sequence[str]) -> None:
    """Add lines at the end of a run's ledger: all of them, or none."""
    path, longest = folder / LEDGER_FILE, max(map(len, lines), default=0)
    if longest > _LONGEST_LINE:
        raise DataError(f"a line of {longest:,} characters; at most {_LONGEST_LINE:,}.", file=path)
    with kept_still(folder):
        append_lines(path, lines)


def _entry(line: bytes) -> Entry | None:
    """One line; None for one that is damaged or unfinished."""
    if len(line) > _LONGEST_LINE:
        return None
    try:
        return Entry.model_validate_json(line)
    except ValidationError:
        return None
