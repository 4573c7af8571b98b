"""Draw the numbers behind synthetic posts: moods, evoked emotion, ratings and engagement.

Everything here is vectorised and fast, so the statistics that a dataset is meant to show can be
taken from a large population of the same generator.

The emotion that a post evokes depends on both its picture and its caption:

- The caption names one motif of the picture. The mood of that motif makes up most of what the
  picture contributes, the moods of the other motifs and of the landscape little.
- In 70 % of the posts, the congruent ones, caption and motif have the same mood and reinforce each
  other. In the others they contradict each other. Cheerful words about a gloomy motif are irony:
  they *lower* the valence. Every contradiction is a tension that raises arousal.

What engagement follows from differs by version, as :class:`Planted` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoked.posts.emotion_and_rates import AROUSAL_MIDPOINT, PUBLISHED_PEAK_HOURS, emotion_quadrant
from evoked.posts.schema import ENGAGEMENT, SCALES
from evoked.posts.synthetic.images import MOTIFS, PLACES

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


class CategoryStatistics(NamedTuple):
    """A row of ABMF's Table 2, and the category's place in the plane of emotions.

    ``rate_range`` is the range of overall engagement in per cent of followers, read as the 10th to
    the 90th percentile. The shifts are ours, following the description of Figure 2.
    """

    posts: int
    caption_words: float
    hashtags: float
    rate_range: tuple[float, float]
    valence_shift: float
    arousal_shift: float


CATEGORIES: dict[str, CategoryStatistics] = {
    "fashion": CategoryStatistics(1820, 42.3, 6.7, (1.2, 3.8), 0.5, 0.0),
    "beauty": CategoryStatistics(1752, 56.2, 8.2, (1.5, 4.2), 0.4, -0.3),
    "food": CategoryStatistics(1435, 38.7, 5.1, (0.9, 3.1), 0.4, -0.2),
    "technology": CategoryStatistics(1327, 61.8, 4.3, (0.7, 2.6), -0.1, 0.0),
    "travel": CategoryStatistics(1218, 64.2, 7.8, (1.8, 4.5), 0.5, 0.3),
    "fitness": CategoryStatistics(953, 52.9, 9.3, (1.9, 5.1), 0.1, 0.6),
    "entertainment": CategoryStatistics(825, 37.6, 5.5, (2.1, 6.3), 0.0, 0.6),
    "automotive": CategoryStatistics(670, 48.3, 3.9, (0.6, 2.2), -0.2, 0.2),
}
CATEGORY_NAMES = tuple(CATEGORIES)
_TABLE = list(CATEGORIES.values())


class Planted(NamedTuple):
    """What is planted in posts beside moods and their effects, which all versions have.

    Attributes
    ----------
    exposure
        How many people a post reaches, and how often it is viewed.
    titles
        A title, whose form raises views: a question or a list does better than a plain one.
    faces
        A face on the published share of covers, at random.
    interaction
        On covers with a face, text emotion and likes together move shares, so that the regression
        of EIJL's Eq. 1 has the products of its Table 1. Needs ``faces``.
    categories
        Effects of emotion that differ by category, so that its best position does.
    hours
        A best hour of each author's own, in place of one for all.
    """

    exposure: bool = True
    titles: bool = True
    faces: bool = True
    interaction: bool = True
    categories: bool = True
    hours: bool = True


VERSIONS = {1: Planted(*(False,) * len(Planted._fields)), 2: Planted()}
"""What each version of the generator plants; the last is the default."""

MAX_MOTIFS = 4
CONGRUENT_SHARE = 0.7
MISSING_SHARE = 0.02  # of pictures, and of captions

# Factor from moods in [-1, 1] to the scales of emotion; deviation that no content explains.
_EMOTION_GAIN = 3.4
_OWN_SPREAD = 0.45

ANNOTATORS = ("annotator-1", "annotator-2", "annotator-3")
_ANNOTATOR_BIAS = np.array([-0.25, 0.0, 0.25])
# Standard deviation of an annotator's ratings in points of the 9-point scale, chosen so that
# Krippendorff's alpha is close to the published one.
_ANNOTATOR_NOISE = {"valence": 0.79, "arousal": 0.90}
PUBLISHED_ALPHA = {"valence": 0.78, "arousal": 0.71}

# Shares of likes, comments, shares and saves in all engagement at the middle of the plane.
METRIC_SHARES = np.array([0.60, 0.12, 0.13, 0.15])
# Effects on log rates, fitted by scripts/calibrate_synthetic.py to Table 8 and the lifts as far
# as these are compatible. Rows: see emotion_terms; columns: ENGAGEMENT.
EFFECTS = np.array(
    [
        [0.369, 0.490, 0.473, 0.336],
        [0.145, 1.080, 0.671, 0.260],
        [0.312, 0.898, 0.757, 0.171],
        [0.102, 0.018, -0.134, 0.611],
        [-0.045, -0.325, -0.485, 0.688],
        [0.037, 0.203, 0.024, -0.107],
    ]
)
# With these effects, the deviation of every metric (column) in every category (row) at the middle
# of the category's overall engagement, and the distance from the 10th to the 90th percentile of
# overall engagement.
_MEAN_DEVIATION = np.array(
    [
        [0.719, 1.603, 1.224, 0.935],
        [0.705, 1.531, 1.166, 0.950],
        [0.672, 1.540, 1.159, 0.913],
        [0.673, 1.800, 1.308, 0.930],
        [0.766, 1.722, 1.325, 0.955],
        [0.783, 1.977, 1.493, 0.993],
        [0.765, 2.003, 1.492, 0.990],
        [0.697, 1.954, 1.409, 0.968],
    ]
)
_DEVIATION_WIDTH = 1.248

# Effects of a point of valence and of arousal on all log rates, beside the others, where categories
# differ: beauty does better with calm posts, technology with negative ones. The other categories
# make up for it, so that effects over all posts stay.
CATEGORY_EFFECTS = np.array(
    [
        [0.035, 0.045],
        [0.035, -0.21],
        [0.035, 0.045],
        [-0.23, 0.045],
        [0.035, 0.045],
        [0.035, 0.045],
        [0.035, 0.045],
        [0.035, 0.045],
    ]
)
# As the three constants above, with these.
VARIED_EFFECTS = np.array(
    [
        [0.380, 0.482, 0.482, 0.345],
        [0.156, 1.094, 0.675, 0.264],
        [0.266, 0.880, 0.760, 0.163],
        [0.096, 0.022, -0.141, 0.618],
        [-0.052, -0.330, -0.476, 0.681],
        [0.023, 0.202, 0.025, -0.109],
    ]
)
_VARIED_MEAN_DEVIATION = np.array(
    [
        [0.734, 1.599, 1.240, 0.966],
        [0.782, 1.644, 1.268, 1.053],
        [0.687, 1.581, 1.190, 0.960],
        [0.774, 1.890, 1.420, 1.061],
        [0.786, 1.747, 1.369, 1.009],
        [0.791, 2.008, 1.534, 1.042],
        [0.773, 2.027, 1.533, 1.038],
        [0.687, 1.892, 1.396, 0.967],
    ]
)
_VARIED_WIDTH = 1.421

FACE_SHARE = 0.0745  # EIJL, Section 3
# Change in log shares per level of text emotion (-2 … 2) on covers with a face, by the third of
# likes. Chosen so that Eq. 1 has the products of Table 1, 0.049 and -0.057.
SHARE_SHIFTS = np.array([0.75, 0.1, -0.15])

# Reach as a share of followers; what of engagement goes with it; deviation by chance.
_REACH = 0.35
_REACH_EFFECT, _REACH_SPREAD = 0.5, 0.2
# Views per person reached, and their deviation by chance.
_VIEWS_EACH, _VIEWS_SPREAD = 1.3, 0.1
TITLE_FORMS = ("plain", "question", "list")
TITLE_EFFECTS = np.array([0.0, 0.35, 0.2])  # on log views
_TITLE_SHARES = (0.6, 0.2, 0.2)

_AUTHOR_SPREAD = 0.12
_HOUR_SPREAD = 0.09
_NOISE_SPREAD = 0.12
_BUSIEST_HOUR = 19
# An author's own best hour: gain in log rates at its height over hours far from it, concentration
# of the bell curve around the clock (about five hours wide), and spread among authors in hours.
HOUR_GAIN = 0.35
_HOUR_CONCENTRATION = 4.0
_BEST_HOUR_SPREAD = 4.0
# Deviation of posts from the author's usual hour, where all have the same best one, and else.
_TIME_SPREAD, _WIDE_TIME_SPREAD = 2.5, 4.0
POSTS_PER_AUTHOR = 25

_SHARES = ENGAGEMENT.index("shares")

ACTIVITY_HOURS = np.geomspace(0.5, 72, 24)
# Width of the burst of events in the logarithm of time.
_BURST_WIDTH = 0.6

_SECONDS_A_YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Authors:
    """Authors of a population, arrays of shape (authors,)."""

    category: Integers
    followers: Floats
    following: Integers
    earlier_posts: Integers
    effect: Floats
    usual_hour: Floats
    best_hour: Floats


@dataclass(frozen=True)
class Population:
    """Numbers of n posts. Motif arrays are (n, MAX_MOTIFS); the caption names the first motif.

    ``motif_place`` has one place more, where a face is if there is one.
    """

    planted: Planted
    category: Integers
    authors: Authors
    author: Integers
    posted: Integers  # seconds since the year began
    has_image: Booleans
    has_caption: Booleans
    motif_count: Integers
    motif_kind: Integers
    motif_place: Integers
    motif_valence: Floats
    motif_arousal: Floats
    scene_valence: Floats
    congruent: Booleans
    caption_valence: Floats
    caption_arousal: Floats
    valence: Floats  # evoked, [-4, 4]
    arousal: Floats  # evoked, [0, 8]
    ratings: dict[str, Floats]  # (n, annotators), 1 … 9
    followers: Integers
    log_rates: Floats  # (n, 4)
    counts: Integers  # (n, 4)
    hour_effect: Floats  # part of every log rate
    face: Booleans
    smile: Floats  # of the face, [-1, 1]
    text_level: Integers  # fifth of the caption's valence, -2 … 2
    share_shift: Floats  # part of log_rates for shares
    title_form: Integers  # an index into TITLE_FORMS
    reach: Integers
    views: Integers

    def annotated(self) -> tuple[Floats, Floats]:
        """Mean ratings as valence in [-4, 4] and arousal in [0, 8]."""
        return self.ratings["valence"].mean(axis=1) - 5, self.ratings["arousal"].mean(axis=1) - 1


def draw_population(
    n: int,
    rng: np.random.Generator,
    planted: Planted | None = None,
    posts_per_author: float = POSTS_PER_AUTHOR,
) -> Population:
    """Draw ``n`` posts.

    Moods, captions and ratings are the same whatever is ``planted``, by default everything.
    """
    planted = planted or Planted()
    # Has no effect on what ``rng`` draws.
    (own,) = rng.spawn(1)
    category = rng.permutation(_apportion(n))
    authors = _draw_authors(category, posts_per_author, planted, rng, own)
    author = _choose_authors(category, authors, rng)
    spread = _WIDE_TIME_SPREAD if planted.hours else _TIME_SPREAD
    posted = _draw_times(authors.usual_hour[author], spread, rng)
    content = _draw_content(n, rng)
    valence = _evoke_valence(category, content, rng)
    stir = _draw_arousal(category, content, valence, rng)
    arousal = stir.evoked
    growth = 1 + 0.2 * posted / _SECONDS_A_YEAR
    followers = np.round(authors.followers[author] * growth).astype(np.int64)
    terms = emotion_terms(valence, arousal)
    hour_effect = hour_effects(posted, authors.best_hour[author], planted)
    disturbance = draw_disturbance(terms, authors.effect[author], hour_effect, rng)
    effect = emotion_effects(category, terms, planted)
    mean = mean_deviation(planted)[category]
    log_rates = log_rates_of(category, effect + disturbance - mean, planted)
    ratings = {
        "valence": _annotate(valence + 5, terms, _ANNOTATOR_NOISE["valence"], rng),
        "arousal": _annotate(arousal + 1, terms, _ANNOTATOR_NOISE["arousal"], rng),
    }
    counts = rng.poisson(np.exp(log_rates) * followers[:, None])
    face = (_stratified(n, own) < FACE_SHARE) & content.has_image & planted.faces
    text_level = _text_levels(np.where(content.has_caption, content.caption_valence, 0.0))
    shift = _share_shift(face, text_level, counts, planted)
    log_rates[:, _SHARES] += shift
    shares = own.poisson(np.exp(log_rates[:, _SHARES]) * followers)
    counts[:, _SHARES] = np.where(shift == 0, counts[:, _SHARES], shares)
    title_form = own.choice(len(TITLE_FORMS), n, p=_TITLE_SHARES) * planted.titles
    reach, views = _draw_exposure(category, log_rates, followers, counts, title_form, own)
    return Population(
        planted=planted,
        category=category,
        authors=authors,
        author=author,
        posted=posted,
        has_image=content.has_image,
        has_caption=content.has_caption,
        motif_count=content.motif_count,
        motif_kind=content.motif_kind,
        motif_place=content.motif_place,
        motif_valence=content.motif_valence,
        motif_arousal=stir.motif,
        scene_valence=content.scene_valence,
        congruent=content.congruent,
        caption_valence=content.caption_valence,
        caption_arousal=stir.caption,
        valence=valence,
        arousal=arousal,
        ratings=ratings,
        followers=followers,
        log_rates=log_rates,
        counts=counts,
        hour_effect=hour_effect,
        face=face,
        smile=own.uniform(-1, 1, n),
        text_level=text_level,
        share_shift=shift,
        title_form=title_form,
        reach=reach,
        views=views,
    )


def emotion_terms(valence: Floats, arousal: Floats) -> Floats:
    """The terms on which log rates depend, (n, 6), in the order of the rows of EFFECTS.

    Positive valence, negative valence, excitement and calm (arousal above and below its
    midpoint), and the products of |valence| and of valence with arousal.
    """
    energy = arousal - AROUSAL_MIDPOINT
    return np.column_stack(
        [
            np.maximum(valence, 0),
            np.maximum(-valence, 0),
            np.maximum(energy, 0),
            np.maximum(-energy, 0),
            np.abs(valence) * energy / 4,
            valence * energy / 4,
        ]
    )


def emotion_effects(category: Integers, terms: Floats, planted: Planted) -> Floats:
    """What emotion adds to log rates, (n, 4), by the terms of :func:`emotion_terms`, (n, 6)."""
    if not planted.categories:
        return np.asarray(terms @ EFFECTS)
    moods = np.column_stack([terms[:, 0] - terms[:, 1], terms[:, 2] - terms[:, 3]])
    own = (CATEGORY_EFFECTS[category] * moods).sum(axis=1)
    return np.asarray(terms @ VARIED_EFFECTS + own[:, None])


def mean_deviation(planted: Planted) -> Floats:
    """Deviation of every metric in every category at the middle of its engagement, (8, 4)."""
    return _VARIED_MEAN_DEVIATION if planted.categories else _MEAN_DEVIATION


def hour_effects(posted: Integers, best_hour: Floats, planted: Planted) -> Floats:
    """What the hour of posting adds to all log rates, (n,)."""
    angle = 2 * np.pi * (posted / 3600 % 24 - best_hour) / 24
    if planted.hours:
        return np.asarray(HOUR_GAIN * np.exp(_HOUR_CONCENTRATION * (np.cos(angle) - 1)))
    return np.asarray(_HOUR_SPREAD * np.sqrt(2) * np.cos(angle))


def _text_levels(valence: Floats) -> Integers:
    """Fifths of [-1, 1] as -2 … 2, as EIJL's classes of text emotion, (n,)."""
    return np.asarray(np.searchsorted([-0.6, -0.2, 0.2, 0.6], valence) - 2, dtype=np.int64)


def _share_shift(
    face: Booleans, text_level: Integers, counts: Integers, planted: Planted
) -> Floats:
    """What emotion of text and cover and likes together add to log shares, (n,)."""
    if not planted.interaction:
        return np.zeros(len(face))
    likes = counts[:, ENGAGEMENT.index("likes")]
    third = np.searchsorted(np.quantile(likes, [1 / 3, 2 / 3]), likes)
    return np.asarray(face * text_level * SHARE_SHIFTS[third])


def _draw_exposure(
    category: Integers,
    log_rates: Floats,
    followers: Integers,
    counts: Integers,
    title_form: Integers,
    rng: np.random.Generator,
) -> tuple[Integers, Integers]:
    """People reached, at least one for each like, and views, at least one for each of them."""
    overall = np.log(np.exp(log_rates).sum(axis=1))
    middle = np.log([row.rate_range for row in _TABLE]).mean(axis=1)[category] - np.log(100)
    chance = rng.standard_normal((len(category), 2))
    share = _REACH * np.exp(_REACH_EFFECT * (overall - middle) + _REACH_SPREAD * chance[:, 0])
    reach = np.maximum(rng.poisson(share * followers), counts.max(axis=1))
    each = _VIEWS_EACH * np.exp(TITLE_EFFECTS[title_form] + _VIEWS_SPREAD * chance[:, 1])
    return reach, np.maximum(reach, rng.poisson(each * reach))


def draw_activity(population: Population, rng: np.random.Generator) -> Integers:
    """Counts so far at ACTIVITY_HOURS, (n, hours, 4); the last are the post's counts.

    New events per hour follow a bell curve in the logarithm of time. Its peak is Table 9's hour for
    the metric and the quadrant of the post's mean ratings, varied by about a tenth.
    """
    n = len(population.counts)
    peak = PUBLISHED_PEAK_HOURS[emotion_quadrant(*population.annotated())]
    peak = peak * np.exp(0.1 * rng.standard_normal((n, len(ENGAGEMENT))))
    # The density of a log-normal time is a bell curve in log time with its peak one variance lower.
    mean = np.log(peak) + _BURST_WIDTH**2
    shares = _normal_cdf((np.log(ACTIVITY_HOURS) - mean[..., None]) / _BURST_WIDTH)
    new = np.diff(shares / shares[..., -1:], prepend=0)
    events = rng.multinomial(population.counts, new)
    return np.asarray(events.cumsum(axis=2).transpose(0, 2, 1), dtype=np.int64)


def _apportion(n: int) -> Integers:
    """Categories of n posts in the proportions of Table 2, by largest remainder, (n,)."""
    exact = n * np.array([row.posts for row in _TABLE]) / sum(row.posts for row in _TABLE)
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: n - whole.sum()]] += 1
    return np.repeat(np.arange(len(_TABLE)), whole)


def _draw_authors(
    category: Integers,
    posts_per_author: float,
    planted: Planted,
    rng: np.random.Generator,
    own: np.random.Generator,
) -> Authors:
    """As many authors as there are posts for, and at least one in each category that occurs."""
    posts = np.bincount(category, minlength=len(_TABLE))
    number = np.maximum(1, np.round(posts / posts_per_author))
    number = np.where(posts > 0, number, 0).astype(np.int64)
    n = int(number.sum())
    followers = np.clip(np.exp(rng.normal(np.log(60_000), 1.0, n)), 3_000, 5_000_000)
    best_hour = _BUSIEST_HOUR + planted.hours * _BEST_HOUR_SPREAD * own.standard_normal(n)
    return Authors(
        category=np.repeat(np.arange(len(_TABLE)), number),
        followers=followers,
        following=rng.integers(80, 2_000, n),
        earlier_posts=rng.integers(50, 1_500, n),
        effect=_AUTHOR_SPREAD * rng.standard_normal(n),
        usual_hour=rng.normal(17, 3, n),
        best_hour=best_hour % 24,
    )


def _choose_authors(category: Integers, authors: Authors, rng: np.random.Generator) -> Integers:
    """An author of the post's category, some more often than others, (n,)."""
    first = np.searchsorted(authors.category, np.arange(len(_TABLE)))
    number = np.bincount(authors.category, minlength=len(_TABLE))
    # The square root prefers the later authors of a category.
    position = np.floor(np.sqrt(rng.random(len(category))) * number[category]).astype(np.int64)
    return np.asarray(first[category] + position, dtype=np.int64)


def _draw_times(usual_hour: Floats, spread: float, rng: np.random.Generator) -> Integers:
    n = len(usual_hour)
    hour = (usual_hour + spread * rng.standard_normal(n)) % 24
    return np.asarray(rng.integers(0, 365, n) * 86_400 + (hour * 3600).astype(np.int64))


def _mean_of(values: Floats, count: Integers, first: int = 0) -> Floats:
    """Mean over the motifs that a picture has, from ``first`` on, (n,)."""
    used = (np.arange(MAX_MOTIFS) < count[:, None]) & (np.arange(MAX_MOTIFS) >= first)
    return np.asarray((values * used).sum(axis=1) / used.sum(axis=1))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def _stratified(n: int, rng: np.random.Generator) -> Floats:
    """One random number from each of n equal parts of [0, 1], in random order, (n,)."""
    return np.asarray((rng.permutation(n) + rng.random(n)) / n)


def _pair_evenly(
    group: Integers, valence: Floats, arousal: Floats, rng: np.random.Generator
) -> Integers:
    """Whose arousal each post's valence is combined with, (n,): a permutation in each group.

    The ranks form a lattice by the golden ratio, which fills the plane more evenly than random
    pairs: a few thousand posts then show hardly any relation that was not planted.
    """
    partner = np.empty(len(group), dtype=np.int64)
    for code in np.unique(group):
        posts = np.flatnonzero(group == code)
        step = round(len(posts) * 0.618) or 1
        while math.gcd(step, len(posts)) > 1:
            step += 1
        order = (np.arange(len(posts)) * step + rng.integers(len(posts))) % len(posts)
        partner[posts[valence[posts].argsort()]] = posts[arousal[posts].argsort()[order]]
    return partner


def _normal_cdf(x: Floats) -> Floats:
    from scipy.special import ndtr  # SciPy takes a moment to import

    return np.asarray(ndtr(x))


class _Content(NamedTuple):
    """Content of posts except for its arousal; see :class:`Population`."""

    has_image: Booleans
    has_caption: Booleans
    motif_count: Integers
    motif_kind: Integers
    motif_place: Integers
    motif_valence: Floats
    scene_valence: Floats
    congruent: Booleans
    caption_valence: Floats


class _Arousal(NamedTuple):
    """Arousal of the motifs (n, MAX_MOTIFS), of the caption (n,) and as evoked, in [0, 8], (n,)."""

    motif: Floats
    caption: Floats
    evoked: Floats


def _draw_content(n: int, rng: np.random.Generator) -> _Content:
    has_image = rng.random(n) >= MISSING_SHARE
    has_caption = (rng.random(n) >= MISSING_SHARE) | ~has_image
    count = rng.integers(2, MAX_MOTIFS + 1, n)
    kind = rng.random((n, len(MOTIFS))).argsort(axis=1)[:, :MAX_MOTIFS]
    place = rng.random((n, PLACES)).argsort(axis=1)[:, : MAX_MOTIFS + 1]
    valence = rng.uniform(-1, 1, (n, MAX_MOTIFS))
    valence[:, 0] = 2 * _stratified(n, rng) - 1
    scene = 0.5 * _mean_of(valence, count) + 0.5 * rng.uniform(-1, 1, n)
    congruent = _stratified(n, rng) < CONGRUENT_SHARE
    side = np.where(congruent, 1, -1) * np.sign(valence[:, 0])
    return _Content(
        has_image=has_image,
        has_caption=has_caption,
        motif_count=count,
        motif_kind=kind,
        motif_place=place,
        motif_valence=valence,
        scene_valence=scene,
        congruent=congruent,
        caption_valence=side * (0.2 + 0.8 * _stratified(n, rng)),
    )


def _draw_arousal(
    category: Integers, content: _Content, valence: Floats, rng: np.random.Generator
) -> _Arousal:
    """Draw arousal so that it fills the plane evenly with ``valence``, as evoked, (n,)."""
    n = len(category)
    motif = rng.uniform(-1, 1, (n, MAX_MOTIFS))
    motif[:, 0] = 2 * _stratified(n, rng) - 1
    caption = 0.3 * motif[:, 0] + 0.7 * (2 * _stratified(n, rng) - 1)
    own = _OWN_SPREAD * rng.standard_normal(n)
    evoked = _evoke_arousal(category, content, motif, caption, own)
    partner = _pair_evenly(2 * category + content.congruent, valence, evoked, rng)
    motif, caption = motif[partner], caption[partner]
    evoked = _evoke_arousal(category, content, motif, caption, own[partner])
    return _Arousal(motif, caption, evoked)


def _evoke_valence(category: Integers, content: _Content, rng: np.random.Generator) -> Floats:
    """Evoked valence in [-4, 4], (n,)."""
    named, scene = content.motif_valence[:, 0], content.scene_valence
    others = _mean_of(content.motif_valence, content.motif_count, first=1)
    # Without a caption no motif is named, and all count the same.
    every = _mean_of(content.motif_valence, content.motif_count)
    looked_at = np.where(content.has_caption, 0.8 * named + 0.1 * others, 0.9 * every)
    image = content.has_image * (looked_at + 0.1 * scene)
    words = content.has_caption * content.caption_valence
    irony = content.has_image * _sigmoid(-8 * named) * _sigmoid(8 * words)
    pleasure = 0.62 * image + 0.38 * words * (1 - 2 * irony)
    shift = np.array([row.valence_shift for row in _TABLE])[category]
    own = _OWN_SPREAD * rng.standard_normal(len(category))
    return np.clip(0.15 + shift + _EMOTION_GAIN * pleasure + own, *SCALES["valence"])


def _evoke_arousal(
    category: Integers,
    content: _Content,
    motif_arousal: Floats,
    caption_arousal: Floats,
    own: Floats,
) -> Floats:
    """Evoked arousal in [0, 8], (n,)."""
    others = _mean_of(motif_arousal, content.motif_count, first=1)
    every = _mean_of(motif_arousal, content.motif_count)
    looked_at = np.where(content.has_caption, 0.85 * motif_arousal[:, 0] + 0.15 * others, every)
    tension = _sigmoid(-10 * content.motif_valence[:, 0] * content.caption_valence)
    both = content.has_image & content.has_caption
    stir = 0.62 * content.has_image * looked_at + 0.3 * content.has_caption * caption_arousal
    stir += 0.5 * both * (tension - 0.35)  # 0.35 is what tension is on average
    shift = np.array([row.arousal_shift for row in _TABLE])[category]
    return np.clip(AROUSAL_MIDPOINT + shift + _EMOTION_GAIN * stir + own, *SCALES["arousal"])


def _annotate(ratings: Floats, terms: Floats, noise: float, rng: np.random.Generator) -> Floats:
    """Ratings from 1 to 9 by each annotator, (n, annotators)."""
    error = _balance(noise * rng.standard_normal((len(ratings), len(ANNOTATORS))), terms)
    return np.clip(np.rint(ratings[:, None] + _ANNOTATOR_BIAS + error), 1, 9)


def draw_disturbance(
    terms: Floats, author_effect: Floats, hour_effect: Floats, rng: np.random.Generator
) -> Floats:
    """Influences on log rates other than emotion, (n, 4): the author, the hour and chance."""
    chance = _NOISE_SPREAD * rng.standard_normal((len(terms), len(ENGAGEMENT)))
    return _balance((author_effect + hour_effect)[:, None] + chance, terms)


def log_rates_of(category: Integers, deviation: Floats, planted: Planted) -> Floats:
    """Logarithms of likes, comments, shares and saves per follower, (n, 4).

    Deviations (n, 4), with a mean of about 0 in every category, are scaled so that overall
    engagement spans the category's range.
    """
    low, high = np.log([row.rate_range for row in _TABLE]).T
    middle = (low + high) / 2 - np.log(100)
    width = (high - low) / (_VARIED_WIDTH if planted.categories else _DEVIATION_WIDTH)
    scaled = width[category, None] * deviation
    return np.asarray(middle[category, None] + np.log(METRIC_SHARES) + scaled)


def _balance(disturbance: Floats, terms: Floats) -> Floats:
    """Remove from the disturbance what it shares with emotion by chance.

    As in a balanced design, a few thousand posts then show what was planted; chance alone would
    shift a correlation among 2,000 posts by 0.02 to 0.05.
    """
    design = np.column_stack([np.ones(len(terms)), terms, terms[:, :4] > 0])
    fitted, *_ = np.linalg.lstsq(design, disturbance, rcond=None)
    return np.asarray(disturbance - design @ fitted)
