"""Posts that are not published yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from evoked.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.facts import Fact

# The command line makes its options from a draft's fields, so what is slow to import (pandas,
# pyarrow) is imported within the functions.

MEDIA_TYPES = ("image", "carousel", "video", "text")
"""Formats of a post."""
_TEXTS = ("name", "author", "category", "title", "caption")


@dataclass(frozen=True)
class Draft:
    """A post to be scored before it is published; anything may be left out.

    Each field's annotation ends in the text that describes it, which is also the help of its option
    of ``evoked predict``.
    """

    image: Annotated[Path | str | bytes | None, "Cover picture."] = None
    caption: Annotated[str | None, "Text of the post, hashtags included."] = None
    hashtags: Annotated[Sequence[str] | None, "Hashtags; those in the caption if left out."] = None
    author: Annotated[
        str | None,
        "Id of an author of the training posts, whose earlier posts then count. If left out, the "
        "only author of these posts; of several, a new one.",
    ] = None
    category: Annotated[str | None, "One of the training posts' categories."] = None
    followers: Annotated[
        int | None,
        "Number of accounts that follow the author; by default as of the author's last post.",
    ] = None
    following: Annotated[int | None, "Number of accounts that the author follows."] = None
    author_posts: Annotated[int | None, "Number of posts that the author has published."] = None
    paid: Annotated[bool | None, "Whether the post is advertising."] = None
    posted_at: Annotated[
        datetime | None,
        "When it will appear, in the time zone of the training posts (UTC if they have none) "
        "unless an offset is given; this hour if left out.",
    ] = None
    _: KW_ONLY
    name: Annotated[str | None, "Id of the draft in the output."] = None
    title: Annotated[
        str | None,
        "Heading, on networks whose posts have one; it is the text of a post without a caption.",
    ] = None
    views: Annotated[
        int | None,
        "How often it is expected to be seen, where likes are per view, per person reached or per "
        "impression; by default as often as the author's posts usually are.",
    ] = None
    media_type: Annotated[
        str | None,
        "Format: image, carousel, video or text; by default image with a picture, else text.",
    ] = None
    facts: Annotated[
        Mapping[str, Any] | None,
        "Facts of your own by name, such as spend, if the run has learned from them; unknown if "
        "left out.",
    ] = None


def as_posts(
    drafts: Sequence[Draft], time_zone: str | None = None, facts: Sequence[Fact] = ()
) -> tuple[pd.DataFrame, list[Path | bytes | None]]:
    """Drafts as a posts table, (n, columns of the schema and :data:`EXPECTED_VIEWS`), and their
    pictures.

    Parameters
    ----------
    drafts
        n drafts.
    time_zone
        IANA name of the time zone of dates without an offset, by whose clocks hours and weekdays
        are counted; UTC by default.
    facts
        Those that drafts may have.

    Raises
    ------
    DataError
        A count that is negative or beyond any account, a caption beyond any network's bound, or a
        text that can't be stored as UTF-8, or a fact that is not of its kind.
    SettingsError
        A fact that isn't among ``facts``.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from evoked.posts.facts import arrow_type, draft_facts
    from evoked.posts.schema import EXPECTED_VIEWS, with_facts

    rows = [
        _row(number, draft, time_zone) | draft_facts(facts, draft.facts, number)
        for number, draft in enumerate(drafts, start=1)
    ]
    schema = with_facts({fact.column: arrow_type(fact.kind) for fact in facts})
    frame = pa.Table.from_pylist(rows, schema=schema).to_pandas()
    frame[EXPECTED_VIEWS] = [np.nan if draft.views is None else draft.views for draft in drafts]
    for fact in facts:
        if fact.kind == "classes":
            lists = [None if value is None else list(value) for value in frame[fact.column]]
            frame[fact.column] = pd.Series(lists, frame.index, dtype=object)
    for name in ("hashtags", "mentions", "images"):
        frame[name] = [[] if value is None else list(value) for value in frame[name]]
    images = [
        Path(draft.image) if isinstance(draft.image, str) else draft.image for draft in drafts
    ]
    return frame, images


def _check_counts(number: int, draft: Draft) -> None:
    from evoked.posts.schema import MAX_COUNT

    for name in ("followers", "following", "author_posts", "views"):
        count = getattr(draft, name)
        if count is not None and not 0 <= count <= MAX_COUNT:
            raise DataError(
                f"{count} is not a number of people, posts or views.",
                row=number,
                field=name,
                fix=f"Give one from 0 to {MAX_COUNT}, or leave it out.",
            )


def _check_texts(number: int, draft: Draft) -> None:
    from evoked.posts.schema import MAX_CAPTION_CHARACTERS

    named = [(name, getattr(draft, name)) for name in _TEXTS]
    for name, text in [*named, *(("hashtags", tag) for tag in draft.hashtags or ())]:
        if text is not None and not _is_utf8(text):
            raise DataError(
                f"not UTF-8 text: {ascii(text)[:80]}.",
                row=number,
                field=name,
                fix="Give it as UTF-8, without halves of surrogate pairs.",
            )
    if draft.caption is not None and len(draft.caption) > MAX_CAPTION_CHARACTERS:
        raise DataError(
            f"{len(draft.caption)} characters; at most {MAX_CAPTION_CHARACTERS} are read.",
            row=number,
            field="caption",
        )


def _check_media_type(number: int, draft: Draft) -> None:
    if draft.media_type is not None and draft.media_type not in MEDIA_TYPES:
        raise DataError(
            f"{draft.media_type!r} is no format.{did_you_mean(draft.media_type, MEDIA_TYPES)}",
            row=number,
            field="media_type",
            fix=f"Give one of {', '.join(MEDIA_TYPES)}, or leave it out.",
        )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _row(number: int, draft: Draft, time_zone: str | None) -> dict[str, object]:
    from evoked.posts.readers.values import hashtags_in, mentions_in
    from evoked.posts.time_zones import local_hour, local_weekday, zone_of

    _check_counts(number, draft)
    _check_texts(number, draft)
    _check_media_type(number, draft)
    caption = draft.title if draft.caption is None else draft.caption
    when = draft.posted_at or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    zone = zone_of(time_zone)
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone)
    tags = draft.hashtags if draft.hashtags is not None else hashtags_in(caption or "")
    return {
        "post_id": draft.name or f"draft-{number}",
        "author_id": draft.author,
        "posted_at": when,
        "posted_hour": None if time_zone is None else local_hour(when, zone),
        "posted_weekday": None if time_zone is None else local_weekday(when, zone),
        "title": draft.title,
        "caption": caption,
        "hashtags": [tag.lstrip("#") for tag in tags],
        "mentions": mentions_in(caption or ""),
        "images": ["cover"] if draft.image is not None else [],
        "media_type": draft.media_type or ("text" if draft.image is None else "image"),
        "category": draft.category,
        "followers": draft.followers,
        "following": draft.following,
        "author_posts": draft.author_posts,
        "paid": draft.paid,
    }
