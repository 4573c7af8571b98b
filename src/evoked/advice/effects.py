"""What a change of a post is worth, as an account's own past posts show it.

One regression on the logarithm of what each post got explains it by the level of its time (a line
with a knee every thirty posts, for each author), by the form of the post, by its commoner hashtags,
and by the few numbers that are kept of its picture and its caption. What a change is worth is the
difference between two such descriptions, so all changes are judged at once, each with the others
held equal.

A difference is believed if its interval excludes zero, where the intervals of all changes that were
looked at hold together in 95 of 100 cases (single-step maximum of t statistics: Hothorn, Bretz and
Westfall 2008). Their covariances come from leaving out one week of posts at a time, and one author
where there are several (MacKinnon, Nielsen and Webb 2023), since posts of a week share more than
what is known of them. What is believed is then drawn towards zero, for the largest of many
differences flatters: changes are expected to be worth as much as those of this account vary beyond
chance, and ten per cent before any post is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.runs.past import MODALITIES

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVEL = 0.95
# A knee of the line of levels every so many posts.
_POSTS_PER_KNEE = 30
# Posts that must have, and must lack, what a change is about.
FEWEST = 8
# Posts for each number that is learned of pictures, of captions, or of a hashtag.
_POSTS_PER_DIRECTION = 40
_POSTS_PER_TAG = 25
_MOST_TAGS = 12
# What changes are worth before any post is looked at, in logarithms, and as how many of them that
# counts.
_USUAL, _USUAL_COUNTS = 0.1, 5
_DRAWS = 10_000
_JUDGED = ("raw", "raw_low", "raw_high", "effect", "low", "high", "known")
# Hours of a part of the day.
_PART_OF_DAY = 4
UNKNOWN, OTHER = "unknown", "other"

# Facts of the form by what a change of them is about; each post has one value of each.
ASPECTS = ("question", "emoji", "mention", "number", "length", "opening", "hour", "day", "format")
_NUMBERS = {"none": 0, "1 to 3": 3, "4 to 8": 8, "9 or more": np.inf}
NUMBER_STARTS = {"none": 0, "1 to 3": 1, "4 to 8": 4, "9 or more": 9}


@dataclass(frozen=True)
class Bounds:
    """Where short captions and openings end for an account, in characters.

    Attributes
    ----------
    short, medium
        Longest short and longest medium caption: thirds of the account's own.
    opening
        Longest short opening: the median of its own.
    """

    short: float
    medium: float
    opening: float

    @classmethod
    def of(cls, form: pd.DataFrame) -> Bounds:
        """Those of past posts."""
        characters = form["characters"].to_numpy(np.float64)
        openings = form["opening"].to_numpy(np.float64)
        if not np.isfinite(characters).any():
            return cls(0, 0, 0)
        short, medium = np.nanquantile(characters, [1 / 3, 2 / 3])
        return cls(_tens(short), _tens(medium), _tens(float(np.nanmedian(openings))))


def aspects_of(form: pd.DataFrame, bounds: Bounds) -> pd.DataFrame:
    """The value of each of :data:`ASPECTS` for n posts, as texts.

    Parameters
    ----------
    form
        What :func:`evoked.features.form.form_of` returns.
    """
    number = form["hashtag_count"].to_numpy(np.float64)
    characters = form["characters"].to_numpy(np.float64)
    opening = form["opening"].to_numpy(np.float64)
    hour, day = (form[name].to_numpy(np.float64) for name in ("hour", "weekday"))
    part = np.nan_to_num(hour // _PART_OF_DAY * _PART_OF_DAY).astype(int)
    found: dict[str, Any] = {
        name: np.select([form[name] == 1, form[name] == 0], ["yes", "no"], UNKNOWN)
        for name in ("question", "emoji", "mention")
    }
    found["number"] = np.select([number <= most for most in _NUMBERS.values()], list(_NUMBERS), "")
    sizes = [characters <= bounds.short, characters <= bounds.medium, np.isfinite(characters)]
    found["length"] = np.select(sizes, ["short", "medium", "long"], UNKNOWN)
    ends = [opening <= bounds.opening, np.isfinite(opening)]
    found["opening"] = np.select(ends, ["short", "long"], UNKNOWN)
    found["hour"] = np.where(np.isfinite(hour), part.astype(str), UNKNOWN)
    found["day"] = np.select([day >= 5, day < 5], ["weekend", "weekday"], UNKNOWN)
    found["format"] = form["media_type"].fillna(UNKNOWN).to_numpy(object)
    return pd.DataFrame(found, dtype=object)


@dataclass(frozen=True)
class Design:
    """How descriptions of posts become columns of numbers.

    Attributes
    ----------
    bounds
        See :class:`Bounds`.
    values
        For each aspect its values with a column, the commonest first, which is the base and has
        none; values of too few posts share a column, unless there are none.
    tags
        Hashtags with a column.
    coordinates
        Names of the coordinates of pictures and captions with a column.
    """

    bounds: Bounds
    values: dict[str, tuple[str, ...]]
    tags: tuple[str, ...]
    coordinates: tuple[str, ...]

    @classmethod
    def of(cls, past: pd.DataFrame, with_tags: bool) -> Design:
        """The columns that n past posts allow.

        Parameters
        ----------
        past
            Rows of :attr:`evoked.runs.past.PastPosts.table`.
        with_tags
            Whether single hashtags have columns: those of several authors have no pool in common.
        """
        bounds = Bounds.of(past)
        values = {}
        for name, column in aspects_of(past, bounds).items():
            number = column[column != UNKNOWN].value_counts()
            values[str(name)] = tuple(number[number >= FEWEST].index)
        tags: list[str] = []
        if with_tags:
            used = past["hashtags"].explode().value_counts()
            usable = used[(used >= FEWEST) & (used <= len(past) - FEWEST)]
            tags = list(usable.index[: min(_MOST_TAGS, len(past) // _POSTS_PER_TAG)])
        directions = len(past) // _POSTS_PER_DIRECTION
        coordinates = [
            f"{modality}_{number}"
            for modality in MODALITIES
            for number in range(directions)
            # The last one is the distance from what the others say, no direction.
            if f"{modality}_{number + 1}" in past
        ]
        return cls(bounds, values, tuple(tags), tuple(coordinates))

    def columns(self, described: pd.DataFrame) -> pd.DataFrame:
        """The numbers of n posts.

        Parameters
        ----------
        described
            Columns of the form, and coordinates; a post without a picture or a caption is as the
            mean there.
        """
        found: dict[str, Any] = {}
        for name, column in aspects_of(described, self.bounds).items():
            known = self.values[str(name)]
            for value in known[1:]:
                found[f"{name}: {value}"] = column == value
            if known:
                found[f"{name}: {OTHER}"] = ~column.isin(known)
        for tag in self.tags:
            found[f"#{tag}"] = [tag in tags for tags in described["hashtags"]]
        for name in self.coordinates:
            found[name] = described[name].fillna(0.0)
        table = pd.DataFrame(found, index=described.index)
        return table.astype(np.float64)


@dataclass(frozen=True)
class Effects:
    """What changes of posts are worth, in logarithms; made by :meth:`fit`.

    Attributes
    ----------
    design
        How posts are described.
    names
        Columns whose worth is known, (columns,).
    worth, covariance
        Of a unit of each column, (columns,) and (columns, columns).
    groups
        Weeks or authors that were left out in turn.
    usual_variance
        How much what changes are worth varies beyond chance.
    relative
        Of each of the n posts, what it got against the level of its time, in logarithms.
    past
        The posts, (n,) rows.
    own
        Whether they are one author's.
    """

    design: Design
    names: tuple[str, ...]
    worth: Floats
    covariance: Floats
    groups: int
    usual_variance: float
    relative: Floats
    past: pd.DataFrame
    own: bool

    @classmethod
    def fit(cls, past: pd.DataFrame, got: Floats, own: bool) -> Effects | None:
        """Learn from past posts.

        Parameters
        ----------
        past
            n rows of :attr:`evoked.runs.past.PastPosts.table`, oldest first.
        got
            What each got, in logarithms, (n,), finite.
        own
            Whether they are one author's.

        Returns
        -------
        Effects or None
            None where the posts are all alike, or too few for what is different about them.
        """
        if len(past) < FEWEST:
            return None
        design = Design.of(past, with_tags=own)
        columns = design.columns(past)
        author, _ = pd.factorize(past["author"])
        both = np.column_stack([got, columns.to_numpy()])
        levelled = _without_levels(both, author)
        relative, numbers = levelled[:, 0], levelled[:, 1:]
        kept = _independent(numbers)
        group = _groups(past, own)
        known = len(past) - _knees(author).sum() - len(kept)
        if not kept or known < len(kept) or len(set(group)) < FEWEST:
            return None
        names = tuple(columns.columns[kept])
        worth, covariance = _regression(numbers[:, kept], relative, group)
        changes = [at for at, name in enumerate(names) if name not in design.coordinates]
        variances = np.diag(covariance)
        beyond = float((worth[changes] ** 2 - variances[changes]).sum())
        usual = (max(beyond, 0.0) + _USUAL_COUNTS * _USUAL**2) / (len(changes) + _USUAL_COUNTS)
        return cls(design, names, worth, covariance, len(set(group)), usual, relative, past, own)

    def contrast(self, some: Mask, others: Mask) -> tuple[float, float]:
        """By how much some of the n posts got more than others that are described alike, in
        logarithms, and its standard error; NaN where the description does not leave them apart."""
        described = self.design.columns(self.past)[list(self.names)].to_numpy(np.float64)
        author, _ = pd.factorize(self.past["author"])
        numbers = _without_levels(np.column_stack([some, others, described]).astype(float), author)
        kept = _independent(numbers)
        if kept[:2] != [0, 1]:
            return float("nan"), float("nan")
        worth, covariance = _regression(
            numbers[:, kept], self.relative, _groups(self.past, self.own)
        )
        variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
        return float(worth[0] - worth[1]), float(np.sqrt(variance))

    def judged(self, differences: pd.DataFrame) -> pd.DataFrame:
        """What m changes are worth, judged together.

        Parameters
        ----------
        differences
            (m, columns): by how much each change alters each column of the design.

        Returns
        -------
        DataFrame
            m rows: ``raw``, ``raw_low`` and ``raw_high``: the difference and its interval, which
            holds together with the others; ``effect``, ``low`` and ``high``: drawn towards what is
            usual, with its own 95 % interval; ``known``: whether every column that it alters is.
        """
        if not len(differences):
            return pd.DataFrame(columns=list(_JUDGED), dtype=np.float64)
        altered = differences.columns[(differences != 0).any()]
        lost = [name for name in altered if name not in self.names]
        known = ~(differences[lost] != 0).any(axis=1).to_numpy()
        contrasts = differences.reindex(columns=list(self.names), fill_value=0.0).to_numpy()
        raw = contrasts @ self.worth
        covariance = contrasts @ self.covariance @ contrasts.T
        spread = np.sqrt(np.maximum(np.diag(covariance), 1e-18))
        reach = _critical(covariance / np.outer(spread, spread), self.groups - 1)
        share = self.usual_variance / (self.usual_variance + spread**2)
        ends = 1.96 * spread * np.sqrt(share)
        return pd.DataFrame(
            {
                "raw": raw,
                "raw_low": raw - reach * spread,
                "raw_high": raw + reach * spread,
                "effect": share * raw,
                "low": share * raw - ends,
                "high": share * raw + ends,
                "known": known,
            }
        )


def _critical(correlations: Floats, freedom: int) -> float:
    """How many standard errors every one of m estimates is within, together, 95 times in 100."""
    generator = np.random.default_rng(0)
    values, axes = np.linalg.eigh(correlations)
    root = axes * np.sqrt(np.maximum(values, 0.0))
    drawn = generator.standard_normal((_DRAWS, len(values))) @ root.T
    scale = np.sqrt(generator.chisquare(freedom, _DRAWS) / freedom)
    return float(np.quantile(np.abs(drawn).max(axis=1) / scale, LEVEL))


def _regression(numbers: Floats, values: Floats, group: NDArray[Any]) -> tuple[Floats, Floats]:
    """Coefficients of least squares, and their covariance from leaving out a group at a time."""
    products, moments = numbers.T @ numbers, numbers.T @ values
    worth = np.asarray(np.linalg.solve(products, moments), np.float64)
    codes, known = pd.factorize(group)
    deviations = np.zeros((len(known), len(worth)))
    # A group that alone has something leaves it without any post.
    ridge = 1e-6 * np.diag(np.diag(products))
    for code in range(len(known)):
        part, got = numbers[codes == code], values[codes == code]
        left = np.linalg.solve(products - part.T @ part + ridge, moments - part.T @ got)
        deviations[code] = left - worth
    return worth, (len(known) - 1) / len(known) * deviations.T @ deviations


def _without_levels(values: Floats, author: NDArray[np.int64]) -> Floats:
    """Columns (n, columns) of posts, oldest first, less each author's line of levels."""
    left = values.copy()
    knees = _knees(author)
    order = np.argsort(author, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(author))[:-1]):
        place, number = np.arange(len(rows), dtype=np.float64), knees[author[rows[0]]]
        if number == 1:
            left[rows] -= values[rows].mean(axis=0)
            continue
        positions = np.linspace(0, len(rows) - 1, number)
        line = np.stack([np.interp(place, positions, one) for one in np.eye(number)], axis=1)
        left[rows] -= line @ np.linalg.lstsq(line, values[rows], rcond=None)[0]
    return left


def _knees(author: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers that describe each author's levels."""
    return 1 + np.bincount(author) // _POSTS_PER_KNEE


def _independent(numbers: Floats) -> list[int]:
    """Columns that are not made up of those before them."""
    kept: list[int] = []
    basis = np.zeros((len(numbers), 0))
    for at in range(numbers.shape[1]):
        column = numbers[:, at]
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        length = float(np.linalg.norm(rest))
        # A dummy of a few posts has a length of at least one.
        if length > 1e-3 * max(float(np.linalg.norm(column)), 1.0):
            basis = np.column_stack([basis, rest / length])
            kept.append(at)
    return kept


def _groups(past: pd.DataFrame, own: bool) -> NDArray[Any]:
    """What is left out in turn, (n,): weeks of one author, or authors."""
    return _weeks(past) if own else pd.factorize(past["author"])[0]


def _weeks(past: pd.DataFrame) -> NDArray[Any]:
    """The week of each post; without dates, or with few weeks, spans of five posts."""
    spans = np.arange(len(past)) // 5
    dates = pd.to_datetime(past["posted_at"], utc=True)
    if dates.isna().any():
        return spans
    weeks = ((dates - dates.min()).dt.days // 7).to_numpy()
    return weeks if len(set(weeks)) >= 20 else spans


def _tens(value: float) -> float:
    return float(max(10 * round(value / 10), 10))
