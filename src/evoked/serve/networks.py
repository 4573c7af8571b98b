"""Runs of viewings at the desk: what an audience feels at an image, and why a user does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evoked.errors import SettingsError
from evoked.features.social_graph import IMAGES_FILE
from evoked.serve.desk import Desk
from evoked.serve.library import RunEntry
from evoked.serve.problems import RefusalError

if TYPE_CHECKING:
    from evoked.analysis.audience import Audience
    from evoked.explain.viewings import NetworkExplanation

_MOST_USERS, _MOST_IMAGES = 10_000, 200


@dataclass(frozen=True)
class Whom:
    """An audience: contacts of a user, members of a group (its id or name), or users by id."""

    followers_of: str | None = None
    community: str | None = None
    users: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.users is not None and len(self.users) > _MOST_USERS:
            raise SettingsError(f"an audience lists at most {_MOST_USERS:,} users here.")


def networks(desk: Desk) -> list[RunEntry]:
    """The runs of viewings, the newest first."""
    return [run for run in desk.library.runs() if not run.of_posts]


def network(desk: Desk, name: str) -> RunEntry:
    """A run of viewings by its name.

    Raises
    ------
    RefusalError
        There is none of this name, or it is of posts.
    """
    entry = desk.run(name)
    if entry.of_posts:
        raise RefusalError(422, f"the run {entry.name!r} is of posts; it knows no users.")
    return entry


def audience(desk: Desk, run: str, image: str, picture: str, whom: Whom) -> Audience:
    """Predict what an audience feels at an image: see
    :func:`evoked.analysis.audience.audience`.

    Parameters
    ----------
    run
        Name of a run of viewings.
    image, picture
        ``post_id`` of an image of the network, or the id of a picture that was brought; the
        picture if both are given.
    whom
        The audience.
    """
    from evoked.analysis.audience import audience as predicted

    entry = network(desk, run)
    shown = image_of(desk, image, picture)
    with desk.networks.taken(entry, desk.library.cache) as loaded:
        return predicted(
            loaded,
            shown,
            followers_of=whom.followers_of,
            community=whom.community,
            users=whom.users,
        )


def explain(
    desk: Desk,
    run: str,
    image: str,
    picture: str,
    user: str | None,
    groups: Sequence[str] = (),
    comment: str | None = None,
) -> tuple[NetworkExplanation, bool]:
    """Explain what a user feels at an image, and whether the network knows the user: see
    :func:`evoked.explain.viewings.explain_viewing`."""
    from evoked.explain.viewings import explain_viewing
    from evoked.runs.viewings import Viewing

    entry = network(desk, run)
    shown = image_of(desk, image, picture)
    with desk.networks.taken(entry, desk.library.cache) as loaded:
        found = explain_viewing(loaded, Viewing(user, shown, groups, comment))
        return found, user is not None and loaded.knows(user)


def known(entry: RunEntry) -> tuple[list[str], list[str], int]:
    """Names of a network's groups and of some of its images, and how many images it has, read
    without what loading the run needs.

    Raises
    ------
    DataError
        The run's folder is damaged.
    """
    from evoked.parquet import read_frame
    from evoked.runs.viewings import GRAPH_FOLDER, GROUPS_FILE

    groups = read_frame(entry.folder / GROUPS_FILE, ["group_id", "name"])
    images = read_frame(entry.folder / GRAPH_FOLDER / IMAGES_FILE, ["id"])["id"]
    names = groups["name"].fillna(groups["group_id"]).dropna().astype(str)
    return sorted(set(names)), images.head(_MOST_IMAGES).astype(str).tolist(), len(images)


def image_of(desk: Desk, image: str, picture: str) -> str | Path:
    """What is looked at.

    Raises
    ------
    RefusalError
        Neither is given, or the picture is not there any more.
    """
    if picture:
        path = desk.uploads.picture(picture)
        if path is None:
            raise RefusalError(
                404, f"there is no picture {picture[:40]!r} (any more). Bring it again."
            )
        return path
    if not image:
        raise RefusalError(422, "no image was given: name one of the network, or bring a picture.")
    return image
