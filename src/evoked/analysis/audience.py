"""What an audience feels at an image: predicted emotions of a user's contacts or a community.

A prediction for one person says little; an advertiser asks how many of the people who will see a
picture feel which emotion. The shares are shown with those of all users and, where the image has
been seen, with what its own viewers felt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from evoked.errors import DataError, SettingsError
from evoked.features.social_graph import Integers
from evoked.features.viewings import user_rows
from evoked.files import plain, records
from evoked.posts.schema import MIKELS
from evoked.runs.viewings import Image, NetworkRun

# Predictions for more people hardly make the shares more precise.
MOST_USERS = 2000
# Half the width of a 95 % interval in standard errors.
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Audience:
    """Predicted emotions of an audience at one image.

    Attributes
    ----------
    image, name
        Names of the image and of the audience.
    members
        How many belong to the audience.
    table
        A row per emotion: ``share`` (mean probability over the members) with ``low`` and ``high``,
        ``most_probable`` (share of members whose most probable emotion it is) with
        ``most_probable_low`` and ``most_probable_high``, ``everyone`` (mean probability over all
        users), ``viewers`` (share of the image's training viewings, NaN where there are none) and
        ``all_viewings`` (share of all training viewings: the trivial prediction).
    n
        Users or viewings behind ``share``, ``everyone``, ``viewers`` and ``all_viewings``.
    unknown
        Ids that were asked for and that the graph doesn't hold.
    note
        What the intervals mean.
    """

    image: str
    name: str
    members: int
    table: pd.DataFrame
    n: dict[str, int]
    unknown: list[str]
    note: str = (
        "95 % intervals show how much another audience of this kind and size would differ "
        "(normal approximation, Wilson); not how wrong the model is."
    )

    def to_dict(self) -> dict[str, Any]:
        """The audience as JSON takes it."""
        found: dict[str, Any] = plain({**vars(self), "table": records(self.table)})
        return found


def audience(
    run: NetworkRun,
    image: Image,
    *,
    followers_of: str | None = None,
    community: str | None = None,
    users: Sequence[str] | None = None,
    most: int = MOST_USERS,
    seed: int = 0,
) -> Audience:
    """Predict what an audience feels at an image.

    Parameters
    ----------
    run
        A run of viewings.
    image
        ``post_id`` of an image of the graph, or a picture: its ``Path`` or its bytes.
    followers_of, community, users
        One of the three: contacts of a user, members of a group (its id or name), or users by id.
    most
        From a larger audience, this many users are drawn at random.
    seed
        Random seed of the draw.

    Raises
    ------
    DataError
        A user, group or image that the graph doesn't hold, a picture that can't be read, or nobody
        in the audience.
    SettingsError
        None of the three is given, or several are.
    """
    name, rows, unknown = _find_members(run, followers_of, community, users)
    everyone = np.arange(len(run.graph.users))
    random = np.random.default_rng(seed)
    own, all_users = (
        _probabilities(run, _drawn(each, most, random), image) for each in (rows, everyone)
    )
    seen = run.graph.emotions[_viewings_of(run, image)]
    viewers, all_viewings = (each[each >= 0] for each in (seen, run.graph.emotions))
    table = pd.DataFrame({"emotion": MIKELS, **_shares(own)})
    table["everyone"] = all_users.mean(axis=0)
    table["viewers"], table["all_viewings"] = _felt(viewers), _felt(all_viewings)
    counts = {
        "share": len(own),
        "everyone": len(all_users),
        "viewers": len(viewers),
        "all_viewings": len(all_viewings),
    }
    shown = image if isinstance(image, str) else getattr(image, "name", "picture")
    return Audience(shown, name, len(rows), table, counts, unknown)


def _find_members(
    run: NetworkRun,
    followers_of: str | None,
    community: str | None,
    users: Sequence[str] | None,
) -> tuple[str, Integers, list[str]]:
    """Name of the audience, its rows in the graph, and the ids that aren't there."""
    asked = [followers_of is not None, community is not None, users is not None]
    if sum(asked) != 1:
        raise SettingsError("an audience is followers of a user, a community, or a list of users.")
    if followers_of is not None:
        return f"contacts of {followers_of}", _contacts(run, followers_of), []
    if community is not None:
        return f"members of {community}", _members(run, community), []
    assert users is not None
    rows, unknown = _listed(run, users)
    return "the users of the list", rows, unknown


def _contacts(run: NetworkRun, user: str) -> Integers:
    row = user_rows(run.graph, pd.Series([user]))[0]
    if row < 0:
        raise DataError(
            f"the run's graph holds no user {user!r}.",
            file=run.folder,
            fix="Give the id of a user of the network that it was trained on.",
        )
    one, other = run.graph.connections
    rows = other[one == row]
    if not len(rows):
        raise DataError(f"nobody is connected with the user {user!r}.", file=run.folder)
    return rows


def _members(run: NetworkRun, community: str) -> Integers:
    groups = run.groups
    number = np.flatnonzero(groups["group_id"].eq(community) | groups["name"].eq(community))
    if not len(number):
        known = [*groups["group_id"].dropna(), *groups["name"].dropna()]
        near = get_close_matches(community, known, n=3)
        hint = f"Nearest: {', '.join(near)}." if near else "Give the id or name of a group."
        raise DataError(
            f"the run's graph holds no group {community!r}; it has {len(groups)}.",
            file=run.folder,
            fix=hint,
        )
    members, group = run.graph.memberships
    rows = np.unique(members[np.isin(group, number)])
    if not len(rows):
        raise DataError(f"nobody is in the group {community!r}.", file=run.folder)
    return rows


def _listed(run: NetworkRun, users: Sequence[str]) -> tuple[Integers, list[str]]:
    names = pd.Series(list(dict.fromkeys(users)), dtype=object)
    rows = user_rows(run.graph, names)
    if not (rows >= 0).any():
        raise DataError(
            f"none of the {len(names)} users is in the run's graph.",
            file=run.folder,
            fix="Give ids of users of the network that it was trained on, one per line.",
        )
    return rows[rows >= 0], names[rows < 0].tolist()


def _drawn(rows: Integers, most: int, random: np.random.Generator) -> Integers:
    return rows if len(rows) <= most else np.sort(random.choice(rows, most, replace=False))


def _probabilities(run: NetworkRun, rows: Integers, image: Image) -> NDArray[np.float64]:
    """Probability of every emotion at the image, for n users of the graph: (n, 8)."""
    examples = run.of_users(rows, image)
    predicted = run.task.inverse_transform(run.model.predict(examples), examples.posts)
    names = [f"emotion_probability_{label}" for label in MIKELS]
    return predicted[names].to_numpy(dtype=np.float64)


def _viewings_of(run: NetworkRun, image: Image) -> NDArray[np.bool_]:
    """Which viewings of the graph are of the image: none for a picture from elsewhere."""
    if not isinstance(image, str):
        return np.zeros(run.graph.viewings.shape[1], dtype=bool)
    return np.asarray(run.graph.images[run.graph.viewings[1]] == image)


def _shares(probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """Shares of an audience's emotions with 95 % intervals, (8,) each."""
    n = len(probabilities)
    mean = probabilities.mean(axis=0)
    spread = probabilities.std(axis=0, ddof=1) if n > 1 else np.full(len(MIKELS), np.nan)
    reach = _NORMAL_95 * spread / np.sqrt(n)
    counts = np.bincount(probabilities.argmax(axis=1), minlength=len(MIKELS))
    bounds = [binomtest(int(count), n).proportion_ci(method="wilson") for count in counts]
    return {
        "share": mean,
        "low": np.clip(mean - reach, 0, 1),
        "high": np.clip(mean + reach, 0, 1),
        "most_probable": counts / n,
        "most_probable_low": [bound.low for bound in bounds],
        "most_probable_high": [bound.high for bound in bounds],
    }


def _felt(emotions: Integers) -> NDArray[np.float64]:
    """Share of each emotion, (8,); NaN where there are none."""
    if not len(emotions):
        return np.full(len(MIKELS), np.nan)
    return np.bincount(emotions, minlength=len(MIKELS)) / len(emotions)


def read_users(path: Path) -> list[str]:
    """User ids from a text file, one per line; empty lines are skipped.

    Raises
    ------
    DataError
        The file can't be read as text, or names nobody.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't be read as text ({error}).", file=path) from error
    users = [line.strip() for line in lines if line.strip()]
    if not users:
        raise DataError("names no user.", file=path, fix="Write one user id per line.")
    return users
