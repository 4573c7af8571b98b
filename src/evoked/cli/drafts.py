"""A draft of a post: the options that tell it, and the draft that they tell."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoked.cli.options import check_picture, moment
from evoked.errors import SettingsError

if TYPE_CHECKING:
    from evoked.posts.drafts import Draft

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


def draft_of(image: str | None, facts: dict[str, Any]) -> Draft:
    """The draft that options tell.

    Parameters
    ----------
    image
        Path of the picture.
    facts
        The other fields of a draft, hashtags as one text.

    Raises
    ------
    SettingsError
        Neither picture nor caption, or no such picture.
    """
    from evoked.posts.drafts import Draft
    from evoked.posts.readers.values import parse_tags

    if image is None and facts["caption"] is None:
        raise SettingsError("a draft needs --image or --caption (or give --posts).")
    picture = None if image is None else check_picture(Path(image))
    return Draft(image=picture, **{**facts, "hashtags": parse_tags(facts["hashtags"])})
