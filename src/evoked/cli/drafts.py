"""A draft of a post: the options that tell it, and the draft that they tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.application import notes
from evoked.cli.options import check_picture, moment
from evoked.errors import did_you_mean

if TYPE_CHECKING:
    from evoked.posts.drafts import Draft
    from evoked.runs.posts import Run

# Categories of the training posts that a note names.
_SHOWN_CATEGORIES = 10

CaptionOption = Annotated[str | None, typer.Option("--caption", help="Caption of the draft.")]
TitleOption = Annotated[
    str | None, typer.Option("--title", help="Its heading, where the network has such.")
]
HashtagsOption = Annotated[
    str | None,
    typer.Option("--hashtags", help="Separated by spaces or commas; the caption's if left out."),
]
AuthorOption = Annotated[str | None, typer.Option("--author", help="Author id, if a known one.")]
CategoryOption = Annotated[
    str | None, typer.Option("--category", help="One of the training posts'.")
]
FollowersOption = Annotated[
    int | None, typer.Option("--followers", min=0, help="How many the author has.")
]
FollowingOption = Annotated[
    int | None, typer.Option("--following", min=0, help="How many the author follows.")
]
AuthorPostsOption = Annotated[
    int | None, typer.Option("--author-posts", min=0, help="How many the author has published.")
]
PaidOption = Annotated[
    bool | None, typer.Option("--paid/--not-paid", help="Whether it is advertising.")
]
PostedAtOption = Annotated[
    datetime | None,
    typer.Option(
        "--posted-at",
        parser=moment,
        metavar="DATE",
        help="When it is to appear, UTC, such as 2024-05-13T18:30; this hour if left out.",
    ),
]


def draft_of(run: Run, image: str | None, facts: dict[str, Any]) -> Draft:
    """The draft that options tell; a category or author that the run does not know is pointed out.

    Parameters
    ----------
    image
        Path of the picture.
    facts
        The other fields of a draft, hashtags as one text.

    Raises
    ------
    SettingsError
        No such picture.
    """
    from evoked.posts.drafts import Draft
    from evoked.posts.readers.values import parse_tags

    picture = None if image is None else check_picture(Path(image))
    draft = Draft(image=picture, **{**facts, "hashtags": parse_tags(facts["hashtags"])})
    for note in _unknown(run, draft):
        notes.print(note, markup=False, highlight=False, soft_wrap=True)
    return draft


def _unknown(run: Run, draft: Draft) -> list[str]:
    """What a draft says that no training post does, a note for each."""
    found = []
    if draft.category is not None and not run.knows_category(draft.category):
        found.append(_unknown_category(draft.category, run.training_categories))
    if draft.author is not None and not run.knows_author(draft.author):
        found.append(
            f"No training post is by the author {draft.author!r}: predicted as a new author's."
        )
    return found


def _unknown_category(category: str, known: Sequence[str]) -> str:
    note = f"No training post is of the category {category!r}: predicted as of an unknown one."
    if not known:
        return f"{note} None of them has a category."
    more = len(known) - _SHOWN_CATEGORIES
    return (
        f"{note}{did_you_mean(category, known)} There are: {', '.join(known[:_SHOWN_CATEGORIES])}"
        + (f" and {more} more." if more > 0 else ".")
    )
