"""Options that describe a draft, and the Draft they build."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import typer

from evoked.cli.application import say_aside
from evoked.cli.options import check_picture, flag_of, moment, option, pair
from evoked.errors import SettingsError, did_you_mean
from evoked.posts.drafts import Draft

if TYPE_CHECKING:
    from evoked.runs.posts import Run

# What a draft shows and says.
_CONTENT = ("image", "caption", "title", "hashtags")
# Categories of the training posts that a note names.
_SHOWN_CATEGORIES = 10
_PANEL = "The draft"
_TYPES = get_type_hints(Draft, include_extras=True)
# What an option adds to the text of its field, about how its value is typed.
_TYPED = {
    "image": "For a viewing, the post_id of one of the network's images will do, too.",
    "hashtags": "Separated by spaces or commas.",
    "posted_at": "For example 2024-05-13T18:30.",
    "facts": "For example --fact spend=120; repeatable.",
}


def _option(name: str) -> inspect.Parameter:
    """The option for a field of a draft; texts, pictures and lists are typed as text."""
    union, description = get_args(_TYPES[name])
    kinds, flag = get_args(union), flag_of(name)
    words: dict[str, Any] = {
        "help": f"{description} {_TYPED.get(name, '')}".strip(),
        "rich_help_panel": _PANEL,
    }
    if name == "facts":
        info = typer.Option("--fact", metavar="NAME=VALUE", **words)
        return option(name, list[str] | None, info)
    if bool in kinds:
        return option(name, bool | None, typer.Option(f"{flag}/--not-{name}", **words))
    if int in kinds:
        return option(name, int | None, typer.Option(flag, min=0, **words))
    if datetime in kinds:
        info = typer.Option(flag, parser=moment, metavar="DATE", **words)
        return option(name, datetime | None, info)
    return option(name, str | None, typer.Option(flag, **words))


DRAFT_OPTIONS = tuple(_option(field.name) for field in fields(Draft))
SHARED_OPTIONS = tuple(each for each in DRAFT_OPTIONS if each.name not in ("image", "caption"))
"""Those of commands that take pictures and captions in another way."""


def draft_of(run: Run, facts: dict[str, Any]) -> Draft:
    """The draft that options describe; a category unknown to the run, and options that change
    nothing, are pointed out.

    A run of one author needs none.

    Parameters
    ----------
    facts
        Values of :data:`DRAFT_OPTIONS`, hashtags as one text.

    Raises
    ------
    SettingsError
        There is no such picture, or no author is given and the run knows several.
    """
    draft = shared_draft(facts)
    check_authors(run, [draft])
    for note in _unknown(run, draft):
        say_aside(note)
    return draft


def check_authors(run: Run, drafts: Sequence[Draft]) -> None:
    """Raise SettingsError if a draft has no author, and the run knows several."""
    lacking = [draft.name for draft in drafts if draft.author is None]
    if not lacking or run.authors.number <= 1:
        return
    whose, how = "whose draft it is", "--author ID"
    if lacking[0] is not None:
        whose = f"whose draft {lacking[0]!r} is"
        how = "in a column author_id, or for all drafts with --author ID"
    raise SettingsError(
        f"this run knows {run.authors.number} authors. Say {whose}: {how}. "
        "With an id that none of them has, such as --author new, it is a new author's."
    )


def check_said(run: Run, facts: Mapping[str, Any]) -> None:
    """Raise SettingsError if options say nothing of a draft that the run has learned from: of one
    that has learned from texts or pictures, neither; of one that has learned from facts alone, no
    fact."""
    learned = set(run.learned_fields)
    if "caption" in learned:
        learned.add("title")
    asked = [name for name in _CONTENT if name in learned]
    if asked:
        missing = all(facts[name] is None for name in _CONTENT)
        kinds = "a draft needs what it shows or says"
    else:
        asked = [field.name for field in fields(Draft) if field.name in learned]
        missing = bool(asked) and all(facts[name] is None for name in asked)
        kinds = "this run has learned from neither pictures nor captions, but from facts: give some"
    if missing:
        raise SettingsError(f"{kinds}: {', '.join(map(_typed, asked))}.")


def learned_columns(run: Run) -> str:
    """Columns of a table of drafts that a run has learned from, in words."""
    facts = [fact.name for fact in run.known_facts]
    names = [name for name in run.learned_fields if name != "facts"]
    return ", ".join([*names, *facts]) or "none"


def _typed(name: str) -> str:
    """A field of a draft as its option is typed."""
    return "--fact NAME=VALUE" if name == "facts" else flag_of(name)


def shared_draft(facts: dict[str, Any]) -> Draft:
    """What options say of every draft of a table; the parameters are those of :func:`draft_of`."""
    from evoked.posts.readers.values import parse_tags

    image, hashtags = facts["image"], facts["hashtags"]
    picture = None if image is None else check_picture(Path(image))
    own = dict(pair(text, "--fact") for text in facts["facts"] or ())
    return replace(Draft(**facts), image=picture, hashtags=parse_tags(hashtags), facts=own)


def _unknown(run: Run, draft: Draft) -> list[str]:
    """A note for each fact of a draft that no training post shares, or that changes nothing."""
    from evoked.posts.schema import EXPOSURE

    found = []
    if draft.category is not None and not run.knows_category(draft.category):
        found.append(_unknown_category(draft.category, run.training_categories))
    if draft.followers is not None and not run.description["data"].get("with followers", 1):
        found.append("--followers changes nothing: the followers of no training post are known.")
    if draft.views is not None and run.task.count_basis not in EXPOSURE:
        found.append("--views changes nothing: no number of this run is per view.")
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
