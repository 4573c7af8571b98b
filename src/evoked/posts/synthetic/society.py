"""Draw the numbers behind a synthetic network: users, images, edges and feelings.

:mod:`evoked.posts.synthetic.network` describes the model in words. Everything here is vectorised:
the paper's full size takes a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoked.errors import SettingsError
from evoked.posts.schema import MIKELS
from evoked.posts.synthetic.images import MOTIFS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

THEMES = MOTIFS
COMMUNITIES = 8
EMOTIONS = len(MIKELS)
# The look of an image: its theme and the mood that its picture shows.
PICTURE_VALENCES = np.array([-0.75, -0.25, 0.25, 0.75])
PICTURE_AROUSALS = np.array([-0.7, 0.0, 0.7])
LOOKS = len(THEMES) * len(PICTURE_VALENCES) * len(PICTURE_AROUSALS)
COMMENT_SHARE = 0.34  # HMG-Emo, Section IV-A
# Shares of comments in words of the emotion felt and of none; the others are of another emotion.
TRUTHFUL_SHARE, NEUTRAL_SHARE = 0.72, 0.16
OWN_MANNER = 0.9  # share of comments in the manner of users who decide alike
GROUPS_PER_THEME = 4

# In the order of MIKELS. Table II implies the size of the largest class: models predict it nearly
# always, with a precision of 0.65.
EMOTION_SHARES = np.array([0.12, 0.07, 0.60, 0.08, 0.02, 0.025, 0.03, 0.055])
# Place of each emotion on the plane of moods: valence and arousal in [-1, 1].
EMOTION_MOODS = np.array(
    [
        (0.75, 0.35),
        (0.45, 0.2),
        (0.7, -0.65),
        (0.7, 0.85),
        (-0.7, 0.75),
        (-0.75, 0.25),
        (-0.65, 0.6),
        (-0.75, -0.5),
    ]
)

# Strengths on the scale of log odds.
_PICTURE_EFFECT = 2.5
_THEME_EFFECT = 2.5
_TASTE_EFFECT = 5.0
_MOOD_EFFECT = 1.0
_TONE_EFFECT = 5.0
_IMAGE_SPREAD = 0.8
_USER_SPREAD = 0.8
# Effects on the log odds that the user decides and not the image: of users who go by their own
# mind, and of the liveliest pictures.
_OWN_MIND_SHARE = 0.5
_MIND_EFFECT = 2.0
_VIVID_EFFECT = 2.0

_SAME_TASTE = 0.2  # share of themes at which a community feels what most people feel
_HOMOPHILY = 0.7  # share of connections within the community, besides those by chance
_OWN_AUDIENCE = 0.6  # share of viewings by the image's own community, likewise
_GROUPS_JOINED = np.array([0.25, 0.4, 0.35])  # shares of users in none, one and two
_STRAY_GROUP = 0.1  # share of memberships in a group of any theme
_UPLOADERS = 0.2
_VIEWERS = 0.45
_NEVER = 1e-9  # weight of all others: not zero, so that no community is empty
# Exponents of Pareto laws.
_CONTACT_TAIL, _VIEWER_TAIL, _AUTHOR_TAIL, _POPULARITY_TAIL = 2.2, 1.8, 1.5, 1.3
_LARGEST_WEIGHT = 1000.0

_STRUCTURE_SEED = 2016
_ROUNDS = 200
_SWAP_ROUNDS = 10

_YEARS = 6
_SECONDS_A_DAY = 24 * 3600
# Seeds of independent random streams.
_USERS, _TIES, _IMAGES, _VIEWINGS, _FEELINGS, _REWIRING = range(6)


class NetworkSize(NamedTuple):
    """How many users, images, connections (both directions counted) and viewings."""

    users: int
    images: int
    connections: int
    viewings: int


PUBLISHED_SIZE = NetworkSize(108_899, 85_157, 1_649_058, 197_561)
"""HMG-Emo, Table I."""


@dataclass(frozen=True)
class Structure:
    """The part of the model that is the same in every network.

    Attributes
    ----------
    share
        Communities' shares of the users, (COMMUNITIES,).
    interest
        How often a community's images and groups are of each theme, (COMMUNITIES, themes).
    theme
        Effect of a theme on everybody, (themes, EMOTIONS).
    taste
        Effect of a theme on a community, (COMMUNITIES, themes, EMOTIONS).
    mood
        Effect of a community at any theme, (COMMUNITIES, EMOTIONS).
    tone
        How a community means its images, which no picture shows, (COMMUNITIES, EMOTIONS).
    """

    share: Floats
    interest: Floats
    theme: Floats
    taste: Floats
    mood: Floats
    tone: Floats

    @property
    def membership(self) -> Floats:
        """How often a community's members join a group of each theme, (COMMUNITIES, themes)."""
        return (1 - _STRAY_GROUP) * self.interest + _STRAY_GROUP / len(THEMES)

    @property
    def audience(self) -> Floats:
        """Community of a viewer who is drawn by the theme alone, (themes, COMMUNITIES)."""
        weight = (self.share[:, None] * self.interest).T
        return weight / weight.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Society:
    """A network: U users, G groups, M memberships, P mutual connections, I images, V viewings."""

    community: Integers  # (U,)
    own_mind: Booleans  # (U,): who goes by their own mind more than by the image
    group_theme: Integers  # (G,)
    memberships: Integers  # (2, M): user, group
    connections: Integers  # (2, P)
    author: Integers  # (I,)
    theme: Integers  # (I,)
    look: Integers  # (I,): place in looks()
    posted: Integers  # (I,): seconds since the network began
    viewings: Integers  # (2, V): user, image
    viewed: Integers  # (V,): likewise
    emotion: Integers  # (V,): place in MIKELS
    probability: Floats  # (V, EMOTIONS): of each emotion, given all causes
    observers: dict[str, Floats]  # what ideal observers expect, each (V, EMOTIONS)
    has_comment: Booleans  # (V,)
    comment_emotion: Integers  # (V,): emotion of the comment's words; -1 for none
    comment_own_mind: Booleans  # (V,): whether the comment is about the user, not the picture
    # Causes of the emotion; in a rewired network, no longer those of the row's user and image.
    felt_in: Integers  # (V,): community of the user
    felt_by_own_mind: Booleans  # (V,): own_mind of the user
    meant_in: Integers  # (V,): community of the image's author

    @property
    def group_sets(self) -> Integers:
        """The groups that each user has joined, (U,), as bits; 0 for none."""
        user, group = self.memberships
        sets = np.zeros(len(self.community), np.int64)
        np.bitwise_or.at(sets, user, 1 << group)
        return sets


def looks() -> list[tuple[int, float, float]]:
    """Theme, valence and arousal of every look."""
    return list(product(range(len(THEMES)), PICTURE_VALENCES.tolist(), PICTURE_AROUSALS.tolist()))


@cache
def structure() -> Structure:
    """The communities and their effects, the same for every seed."""
    rng = np.random.default_rng(_STRUCTURE_SEED)
    communities, themes = np.arange(COMMUNITIES), np.arange(len(THEMES))
    share = (communities + 3.0) ** -0.5
    interest = np.full((COMMUNITIES, len(THEMES)), 0.04)
    interest[communities, communities] += 0.45
    interest[communities, (3 * communities + 1) % len(THEMES)] += 0.23
    amusement, awe, contentment, excitement, anger, disgust, fear, sadness = range(EMOTIONS)
    usual = np.array([amusement, awe, excitement, sadness, anger, fear, disgust, amusement])
    theme = rng.normal(0, 0.5, (len(THEMES), EMOTIONS))
    theme[themes, usual] += _THEME_EFFECT
    others = np.array([amusement, awe, excitement, anger, disgust, fear, sadness])
    tastes = rng.choice(others, (COMMUNITIES, len(THEMES)))
    tastes = np.where(rng.random(tastes.shape) < _SAME_TASTE, usual, tastes)
    moods = np.array([sadness, amusement, contentment, excitement, disgust, awe, fear, anger])
    tones = np.array([amusement, anger, awe, sadness, excitement, fear, disgust, contentment])
    return Structure(
        share=share / share.sum(),
        interest=interest / interest.sum(axis=1, keepdims=True),
        theme=theme,
        taste=_TASTE_EFFECT * np.eye(EMOTIONS)[tastes],
        mood=_MOOD_EFFECT * np.eye(EMOTIONS)[moods],
        tone=_TONE_EFFECT * np.eye(EMOTIONS)[tones],
    )


def draw_society(size: NetworkSize, seed: int) -> Society:
    """Draw a network.

    Raises
    ------
    SettingsError
        The size leaves somebody without a connection, or has too many for so few people.
    """
    check_size(size)
    users, ties, images, watching, feeling = (
        np.random.default_rng([seed, stream]) for stream in range(5)
    )
    fixed = structure()
    community = users.choice(COMMUNITIES, size.users, p=fixed.share)
    community[:COMMUNITIES] = np.arange(COMMUNITIES)  # no community is empty
    group_theme, memberships = _draw_groups(community, users)
    own_mind = users.random(size.users) < _OWN_MIND_SHARE
    origin = images.choice(COMMUNITIES, size.images, p=fixed.share)
    theme = _draw_rows(fixed.interest[origin], images)
    moods = LOOKS // len(THEMES)
    look = theme * moods + images.integers(moods, size=size.images)
    author_weight = _some(_pareto(size.users, _AUTHOR_TAIL, images), _UPLOADERS, images)
    author = _Urn(author_weight, community).draw(origin, images)
    posted = images.integers(_YEARS * 365 * _SECONDS_A_DAY, size=size.images)
    user, image = viewings = _draw_viewings(community, origin, theme, size.viewings, watching)
    delay = watching.lognormal(np.log(5 * _SECONDS_A_DAY), 1.5, size.viewings).astype(np.int64)
    causes = look[image], community[user], origin[image], own_mind[user]
    feelings = _draw_feelings(*causes, viewings, size, feeling)
    themes_joined = np.bincount(
        memberships[0] * len(THEMES) + group_theme[memberships[1]],
        minlength=size.users * len(THEMES),
    ).reshape(-1, len(THEMES))
    emotion = _draw_rows(feelings.probability, feeling)
    has_comment, comment_emotion = _draw_comments(emotion, feeling)
    in_manner = feeling.random(size.viewings) < OWN_MANNER
    society = Society(
        community=community,
        own_mind=own_mind,
        group_theme=group_theme,
        memberships=memberships,
        connections=_draw_connections(community, size.connections // 2, ties),
        author=author,
        theme=theme,
        look=look,
        posted=posted,
        viewings=viewings,
        viewed=posted[image] + delay,
        emotion=emotion,
        probability=feelings.probability,
        observers=_observers(feelings, *causes, themes_joined[user]),
        has_comment=has_comment,
        comment_emotion=comment_emotion,
        comment_own_mind=own_mind[user] == in_manner,
        felt_in=community[user],
        felt_by_own_mind=own_mind[user],
        meant_in=origin[image],
    )
    return _in_order_of_time(society)


def check_size(size: NetworkSize) -> None:
    """Raise SettingsError unless a network of this size can be drawn."""
    users, images, connections, viewings = size
    if users < 100 or images < 1:
        raise SettingsError(
            f"a network needs 100 users and an image or more, not {users} and {images}."
        )
    if not 2 * users <= connections <= users * (users - 1) // 4:
        raise SettingsError(
            f"{users} users have {2 * users} to {users * (users - 1) // 4} connections, both "
            f"directions counted, not {connections}."
        )
    if not images <= viewings <= users * images // 4:
        raise SettingsError(
            f"{images} images have {images} to {users * images // 4} viewings by {users} users, "
            f"not {viewings}."
        )


def rewire(society: Society, picture: Integers, seed: int) -> Society:
    """The same rows in a network whose edges join anybody to anybody.

    Edges exchange their ends in pairs, so all degrees stay. A connection exchanges ends with any
    other. A viewing keeps its emotion, comment and time; it exchanges its user with viewings by
    users of exactly the same groups, and its image with viewings of exactly the same picture.

    Parameters
    ----------
    picture
        Number of each image's picture, (I,).
    """
    rng = np.random.default_rng([seed, _REWIRING])
    first, second = society.connections
    anybody = np.zeros(len(first), np.int64)
    for _ in range(_SWAP_ROUNDS):
        turned = rng.random(len(first)) < 0.5
        first, second = np.where(turned, second, first), np.where(turned, first, second)
        second = _exchanged(first, second, anybody, rng, mutual=True)
    user, image = society.viewings
    groups = society.group_sets
    for _ in range(_SWAP_ROUNDS):
        user = _exchanged(image, user, groups[user], rng)
        image = _exchanged(user, image, picture[image], rng)
    return replace(
        society,
        connections=_sorted(np.sort(np.stack([first, second]), axis=0)),
        viewings=np.stack([user, image]),
    )


def _exchanged(
    ends: Integers,
    others: Integers,
    kinds: Integers,
    rng: np.random.Generator,
    mutual: bool = False,
) -> Integers:
    """``others`` (E,) after random pairs of edges of the same kind have exchanged them.

    An exchange is skipped if it would repeat an edge or join somebody to themselves. ``mutual``
    means that both ends are of the same sort and edges have no direction.
    """
    order = np.lexsort([rng.random(len(kinds)), kinds])
    start = int(rng.integers(2))
    left, right = order[start:-1:2], order[start + 1 :: 2]
    alike = kinds[left] == kinds[right]
    left, right = left[alike], right[alike]

    def keys(one: Integers, other: Integers) -> Integers:
        low, high = (np.minimum(one, other), np.maximum(one, other)) if mutual else (one, other)
        return low * (others.max() + 1) + high

    wanted = np.stack([keys(ends[left], others[right]), keys(ends[right], others[left])])
    _, place, count = np.unique(wanted, return_inverse=True, return_counts=True)
    free = (count[place.reshape(wanted.shape)] == 1) & ~np.isin(wanted, keys(ends, others))
    if mutual:
        free &= np.stack([ends[left] != others[right], ends[right] != others[left]])
    left, right = left[free.all(axis=0)], right[free.all(axis=0)]
    result = others.copy()
    result[left], result[right] = others[right], others[left]
    return result


# People ------------------------------------------------------------------------------------------


class _Urn:
    """Draws members of a class with probabilities in proportion to their weights."""

    def __init__(self, weight: Floats, kind: Integers) -> None:
        self._order = np.argsort(kind, kind="stable")
        self._cumulative = np.concatenate([[0.0], np.cumsum(weight[self._order])])
        self._starts = np.searchsorted(kind[self._order], np.arange(kind.max() + 2))
        self.weights = np.diff(self._cumulative[self._starts])

    def draw(self, kinds: Integers, rng: np.random.Generator) -> Integers:
        """A member of each of ``kinds`` (n,)."""
        start, end = self._starts[kinds], self._starts[kinds + 1]
        low, high = self._cumulative[start], self._cumulative[end]
        found = np.searchsorted(self._cumulative, rng.uniform(low, high), side="right") - 1
        return self._order[np.clip(found, start, end - 1)]


def _pareto(n: int, tail: float, rng: np.random.Generator) -> Floats:
    return np.minimum((1 - rng.random(n)) ** (-1 / tail), _LARGEST_WEIGHT)


def _some(weight: Floats, share: float, rng: np.random.Generator) -> Floats:
    """The weights for a random share of all, and almost zero for the others."""
    return np.where(rng.random(len(weight)) < share, weight, _NEVER)


def _draw_rows(probability: Floats, rng: np.random.Generator) -> Integers:
    """A column for each row (n,), drawn by the probabilities in the row."""
    cumulative = probability.cumsum(axis=1)
    drawn = (rng.random((len(probability), 1)) * cumulative[:, -1:] > cumulative).sum(axis=1)
    return drawn.astype(np.int64)


def _draw_groups(community: Integers, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Theme of each group, and memberships."""
    group_theme = np.repeat(np.arange(len(THEMES)), GROUPS_PER_THEME)
    size = 1 / (1.0 + np.tile(np.arange(GROUPS_PER_THEME), len(THEMES)))
    joined = rng.choice(len(_GROUPS_JOINED), len(community), p=_GROUPS_JOINED)
    user = np.repeat(np.arange(len(community)), joined)
    theme = _draw_rows(structure().membership[community[user]], rng)
    group = _Urn(size, group_theme).draw(theme, rng)
    return group_theme, _sorted(np.unique(np.stack([user, group]), axis=1))


def _draw_connections(community: Integers, count: int, rng: np.random.Generator) -> Integers:
    """``count`` different pairs, (2, count); everybody is in at least one."""
    n = len(community)
    urn = _Urn(_pareto(n, _CONTACT_TAIL, rng), community)
    anybody = urn.weights / urn.weights.sum()
    pairs = np.empty((2, 0), np.int64)
    first = rng.permutation(n)
    for _ in range(_ROUNDS):
        within = rng.random(len(first)) < _HOMOPHILY
        other = rng.choice(COMMUNITIES, len(first), p=anybody)
        second = urn.draw(np.where(within, community[first], other), rng)
        drawn = np.sort(np.stack([first, second])[:, first != second], axis=0)
        pairs = np.concatenate([pairs, drawn], axis=1)
        _, place = np.unique(pairs[0] * n + pairs[1], return_index=True)
        pairs = pairs[:, np.sort(place)]
        if pairs.shape[1] >= count:
            return _sorted(pairs[:, :count])
        missing = count - pairs.shape[1]
        first = urn.draw(rng.choice(COMMUNITIES, missing + missing // 4 + 10, p=anybody), rng)
    raise SettingsError(f"found {pairs.shape[1]} connections among {n} users, not {count}.")


def _sorted(pairs: Integers) -> Integers:
    return pairs[:, np.lexsort(pairs[::-1])]


def _draw_viewings(
    community: Integers, origin: Integers, theme: Integers, count: int, rng: np.random.Generator
) -> Integers:
    """``count`` different viewings, (2, count); every image is viewed."""
    fixed = structure()
    activity = _pareto(len(community), _VIEWER_TAIL, rng)
    urn = _Urn(_some(activity, _VIEWERS, rng), community)
    popularity = _Urn(_pareto(len(origin), _POPULARITY_TAIL, rng), np.zeros_like(origin))

    def popular(n: int) -> Integers:
        return popularity.draw(np.zeros(n, np.int64), rng)

    def viewers(images: Integers) -> Integers:
        own = rng.random(len(images)) < _OWN_AUDIENCE
        drawn_by_theme = _draw_rows(fixed.audience[theme[images]], rng)
        return urn.draw(np.where(own, origin[images], drawn_by_theme), rng)

    image = np.concatenate([np.arange(len(origin)), popular(count - len(origin))])
    user = viewers(image)
    for _ in range(_ROUNDS):
        _, place = np.unique(user * len(origin) + image, return_index=True)
        again = np.setdiff1d(np.arange(count), place)
        if not len(again):
            return np.stack([user, image])
        image[again] = popular(len(again))
        user[again] = viewers(image[again])
    raise SettingsError(f"found {len(place)} different viewings, not {count}.")


# Feelings ----------------------------------------------------------------------------------------


class _Feelings(NamedTuple):
    """Probability of each emotion at a viewing, (V, EMOTIONS), and the base rates that it has."""

    probability: Floats
    base: Floats


def _shown(look: Integers) -> Floats:
    """Effect of a picture on everybody by its look, (n, EMOTIONS)."""
    theme, valence, arousal = np.array(looks()).T
    moods = np.stack([valence, arousal], axis=1) @ EMOTION_MOODS.T
    return (_PICTURE_EFFECT * moods + structure().theme[theme.astype(np.int64)])[look]


def user_share(look: Integers, own_mind: Booleans) -> Floats:
    """The weight of the user against the image, β, (n,), between 0 and 1."""
    arousal = np.array(looks())[look, 2] / PICTURE_AROUSALS.max()
    return 1 / (1 + np.exp(_VIVID_EFFECT * arousal - np.where(own_mind, 1, -1) * _MIND_EFFECT))


def _causes(
    look: Integers,
    felt_in: Integers,
    meant_in: Integers,
    own_mind: Booleans,
    users_own: Floats,
    images_own: Floats,
) -> Floats:
    """Contribution of user and image to the log odds, (n, EMOTIONS)."""
    fixed = structure()
    theme = look // (LOOKS // len(THEMES))
    user = fixed.taste[felt_in, theme] + fixed.mood[felt_in] + users_own
    image = _shown(look) + fixed.tone[meant_in] + images_own
    return _weighed(user_share(look, own_mind), user, image)


def _weighed(share: Floats, user: Floats, image: Floats) -> Floats:
    """Influences of both, weighted by the user's share (n,); unchanged where that is a half."""
    return 2 * share[:, None] * user + 2 * (1 - share[:, None]) * image


def _softmax(odds: Floats) -> Floats:
    powers = np.exp(odds - odds.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _draw_feelings(
    look: Integers,
    felt_in: Integers,
    meant_in: Integers,
    own_mind: Booleans,
    viewings: Integers,
    size: NetworkSize,
    rng: np.random.Generator,
) -> _Feelings:
    users_own = rng.normal(0, _USER_SPREAD, (size.users, EMOTIONS))[viewings[0]]
    images_own = rng.normal(0, _IMAGE_SPREAD, (size.images, EMOTIONS))[viewings[1]]
    odds = _causes(look, felt_in, meant_in, own_mind, users_own, images_own)
    # Fit base rates so that the shares come out; a sample of a full network is enough.
    base, some = np.log(EMOTION_SHARES), odds[:: max(1, len(odds) // 50_000)]
    for _ in range(50):
        base += np.log(EMOTION_SHARES / _softmax(some + base).mean(axis=0))
    return _Feelings(_softmax(odds + base), base)


def _draw_comments(emotion: Integers, rng: np.random.Generator) -> tuple[Booleans, Integers]:
    """Which viewings have a comment, and the emotion of its words, -1 for none."""
    n = len(emotion)
    has_comment = np.zeros(n, bool)
    has_comment[rng.permutation(n)[: round(COMMENT_SHARE * n)]] = True
    another = (emotion + rng.integers(1, EMOTIONS, n)) % EMOTIONS
    chance = rng.random(n)
    written = np.where(chance < TRUTHFUL_SHARE, emotion, another)
    neutral = (chance >= TRUTHFUL_SHARE) & (chance < TRUTHFUL_SHARE + NEUTRAL_SHARE)
    return has_comment, np.where(has_comment & ~neutral, written, -1)


def _observers(
    feelings: _Feelings,
    look: Integers,
    felt_in: Integers,
    meant_in: Integers,
    own_mind: Booleans,
    themes_joined: Integers,
) -> dict[str, Floats]:
    """What observers expect who know the model and some of the causes, each (V, EMOTIONS)."""
    fixed = structure()
    by_mind = _expected(feelings.base)
    expected = np.average(by_mind, axis=-2, weights=[1 - _OWN_MIND_SHARE, _OWN_MIND_SHARE])
    theme = np.arange(LOOKS) // (LOOKS // len(THEMES))
    # Community of viewer and author at an image of a theme: (themes, COMMUNITIES, COMMUNITIES).
    chance_audience = np.broadcast_to(
        fixed.audience[:, :, None], (len(THEMES), COMMUNITIES, COMMUNITIES)
    )
    audience = _OWN_AUDIENCE * np.eye(COMMUNITIES) + (1 - _OWN_AUDIENCE) * chance_audience
    joint = audience * (fixed.share[:, None] * fixed.interest).T[:, None, :]
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    viewer = joint.sum(axis=2)
    by_viewer = np.einsum("lcoe,lco->lce", expected, (joint / viewer[:, :, None])[theme])
    by_look = np.einsum("lce,lc->le", by_viewer, viewer[theme])
    community = np.exp(themes_joined @ np.log(fixed.membership).T) * viewer[theme[look]]
    community /= community.sum(axis=1, keepdims=True)
    return {
        "image": by_look[look],
        "image and groups": np.einsum("vce,vc->ve", by_viewer[look], community),
        "image and community": by_viewer[look, felt_in],
        "image, community and tone": expected[look, felt_in, meant_in],
        "image, community, tone and mind": by_mind[look, felt_in, meant_in, own_mind.astype(int)],
    }


@cache
def _own_deviations() -> tuple[Floats, Floats]:
    """Samples of the own deviations of users and images, to average over."""
    rng = np.random.default_rng(_STRUCTURE_SEED)
    return rng.normal(0, _USER_SPREAD, (200, EMOTIONS)), rng.normal(
        0, _IMAGE_SPREAD, (200, EMOTIONS)
    )


def _expected(base: Floats) -> Floats:
    """Mean probabilities, (LOOKS, COMMUNITIES, COMMUNITIES, 2, EMOTIONS).

    By look, community of the viewer and of the author, and whether viewers go by their own mind.
    """
    sizes = LOOKS, COMMUNITIES, COMMUNITIES, 2
    look, felt_in, meant_in, own_mind = np.indices(sizes).reshape(4, -1)
    share, nothing = user_share(look, own_mind > 0), np.zeros(EMOTIONS)
    odds = base + _causes(look, felt_in, meant_in, own_mind > 0, nothing, nothing)
    mean = np.zeros_like(odds)
    for users_own, images_own in zip(*_own_deviations(), strict=True):
        mean += _softmax(odds + _weighed(share, users_own, images_own))
    mean /= len(_own_deviations()[0])
    return mean.reshape(*sizes, EMOTIONS)


def _in_order_of_time(society: Society) -> Society:
    order = np.argsort(society.viewed, kind="stable")
    return replace(
        society,
        viewings=society.viewings[:, order],
        viewed=society.viewed[order],
        emotion=society.emotion[order],
        probability=society.probability[order],
        observers={name: known[order] for name, known in society.observers.items()},
        has_comment=society.has_comment[order],
        comment_emotion=society.comment_emotion[order],
        comment_own_mind=society.comment_own_mind[order],
        felt_in=society.felt_in[order],
        felt_by_own_mind=society.felt_by_own_mind[order],
        meant_in=society.meant_in[order],
    )
