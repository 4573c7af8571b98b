"""Make a dataset of synthetic posts with the published statistics of ABMF's dataset.

Pictures and captions are made from latent moods, from which also follows what a post evokes, how
people rate it and how they engage (see :mod:`evoked.posts.synthetic.population`). The table
``truth``, which no model reads, holds the latent values. The entry ``planted`` of ``dataset.json``
holds the figures that the posts were made to show, with the published figures beside them.

There are two versions (:data:`evoked.posts.synthetic.population.VERSIONS`). Moods, pictures,
captions and ratings are the same in both. The second, the default, plants further things:

- how many people a post reaches, how often it is viewed, and titles, whose form raises views;
- faces on 7.45 % of the covers (EIJL, Section 3), and an interaction of text emotion, face and
  likes that moves shares, to show the products of EIJL's Table 1;
- effects of emotion that differ by category, so that its best mood does;
- a best hour of each author's own.

Planted figures are those of a large population of the same generator, computed as in
:mod:`evoked.posts.emotion_and_rates` from what an analyst sees: mean ratings and counts.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from evoked.errors import SettingsError
from evoked.files import only_writer
from evoked.posts.dataset import PostDataset
from evoked.posts.emotion_and_rates import (
    DIMENSIONS,
    METRICS,
    PUBLISHED_CORRELATIONS,
    PUBLISHED_LIFTS,
    PUBLISHED_PEAK_HOURS,
    QUADRANTS,
    correlate,
    emotion_dimensions,
    engagement_rates,
    log_rates,
    mean_rate_lifts,
)
from evoked.posts.schema import ENGAGEMENT, SCALES
from evoked.posts.synthetic.captions import (
    Caption,
    Mood,
    choose_hashtags,
    write_caption,
    write_title,
)
from evoked.posts.synthetic.images import (
    MOTIFS,
    PLACES,
    SKINS,
    Face,
    Motif,
    draw_picture,
    encode_jpeg,
    motif_box,
)
from evoked.posts.synthetic.population import (
    ACTIVITY_HOURS,
    ANNOTATORS,
    CATEGORIES,
    CATEGORY_EFFECTS,
    CATEGORY_NAMES,
    FACE_SHARE,
    HOUR_GAIN,
    POSTS_PER_AUTHOR,
    PUBLISHED_ALPHA,
    TITLE_EFFECTS,
    TITLE_FORMS,
    VERSIONS,
    Floats,
    Integers,
    Planted,
    Population,
    draw_activity,
    draw_population,
    emotion_effects,
    emotion_terms,
)
from evoked.progress import Progress

RATING_SCALE = (1, 9)
MAX_POSTS = 1_000_000

# Every change that changes a dataset is a new version, and older ones stay.
LATEST_VERSION = max(VERSIONS)
_YEAR = pd.Timestamp("2024-01-01", tz="UTC")
_CAROUSEL_SHARE = 0.1
_PLANTED_POPULATION = 200_000
# Seeds of independent random streams.
_POSTS, _ACTIVITY, _PICTURES, _PLANTED, _FACES = range(5)


def synthesise(
    folder: Path | str,
    n: int = 10_000,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    version: int = LATEST_VERSION,
    without: Collection[str] = (),
    posts_per_author: float = POSTS_PER_AUTHOR,
) -> PostDataset:
    """Make a dataset of synthetic posts.

    Parameters
    ----------
    folder
        The dataset's folder; a dataset that is there already is replaced.
    n
        Number of posts, 1 … 1,000,000.
    seed
        The same ``n`` and ``seed`` give the same dataset, byte by byte (with the same versions
        of the libraries that write JPEG and Parquet).
    progress
        Called with ``drawing``, the number of posts drawn and ``n``.
    version
        Of the generator; 1 makes the posts of older tables.
    without
        What version 2 is not to plant: any of ``exposure``, ``titles``, ``faces``,
        ``interaction`` (none without faces, either), ``categories``, ``hours``.
    posts_per_author
        Posts of an author on average, 1 or more; each category has an author at least.

    Returns
    -------
    PostDataset
        Tables ``posts``, ``annotations`` (ratings 1 … 9 of three annotators), ``activity`` (counts
        over 72 hours) and ``truth``; 2 % of the posts lack a picture, 2 % a caption.

    Raises
    ------
    SettingsError
        A setting out of range, an unknown version, or something that it doesn't plant.
    DataError
        Another process is writing ``folder``.

    References
    ----------
    ABMF: categories, caption lengths, hashtags and rates of Table 2; Tables 8 and 9; Section 4.3.
    EIJL: Section 3, Table 1.
    """
    if not 1 <= n <= MAX_POSTS:
        raise SettingsError(f"n is the number of posts, 1 to {MAX_POSTS:,}, not {n}.")
    if seed < 0:
        raise SettingsError(f"a seed is a whole number from 0, not {seed}.")
    if posts_per_author < 1:
        raise SettingsError(f"posts per author are 1 or more, not {posts_per_author:g}.")
    planted = _planted(version, without)
    folder = Path(folder)
    rng = np.random.default_rng([seed, _POSTS])
    population = draw_population(n, rng, planted, posts_per_author)
    identifiers = [f"synthetic-{number:07d}" for number in range(n)]

    with only_writer(folder):
        pictures = folder.parent / f".{folder.name}.pictures.tmp"
        shutil.rmtree(pictures, ignore_errors=True)  # of a run that was killed
        pictures.mkdir()
        try:
            images, boxes = _draw_pictures(population, pictures, seed, progress)
            activity = draw_activity(population, np.random.default_rng([seed, _ACTIVITY]))
            return PostDataset.create(
                folder,
                {
                    "posts": _posts_table(population, identifiers, images, seed),
                    "annotations": _annotations_table(population, identifiers),
                    "activity": _activity_table(activity, identifiers),
                    "truth": _truth_table(population, identifiers, boxes),
                },
                images=pictures,
                provenance={
                    "source": "synthetic posts made by evoked",
                    "format": "synthetic",
                    "command": _command(n, seed, version, without, posts_per_author),
                    "generator_version": version,
                    "licence": "CC0-1.0",
                },
                scales={"valence": RATING_SCALE, "arousal": RATING_SCALE},
                extra={"planted": planted_record(planted)},
            )
        finally:
            shutil.rmtree(pictures, ignore_errors=True)


def _planted(version: int, without: Collection[str]) -> Planted:
    if version not in VERSIONS:
        raise SettingsError(f"versions are {', '.join(map(str, VERSIONS))}, not {version}.")
    planted = VERSIONS[version]
    known = [name for name, there in planted._asdict().items() if there]
    for name in without:
        if name not in known:
            raise SettingsError(
                f"version {version} plants {', '.join(known) or 'nothing that can be left out'}, "
                f"not {name!r}."
            )
    planted = planted._replace(**dict.fromkeys(without, False))
    return planted._replace(interaction=planted.interaction and planted.faces)


def _command(
    n: int, seed: int, version: int, without: Collection[str], posts_per_author: float
) -> str:
    parts = [f"evoked synth DEST --n {n} --seed {seed} --version {version}"]
    parts += [f"--without {name}" for name in without]
    if posts_per_author != POSTS_PER_AUTHOR:
        parts.append(f"--posts-per-author {posts_per_author:g}")
    return " ".join(parts)


@cache
def planted_record(
    planted: Planted = VERSIONS[LATEST_VERSION], n: int = _PLANTED_POPULATION
) -> dict[str, Any]:
    """The figures that synthetic posts are made to show, beside those of the paper.

    Returns
    -------
    dict
        ``correlations`` {dimension: {metric: {planted, published}}} (Table 8), ``lifts`` (Section
        4.3), ``peak_hours`` {quadrant: {metric: …}} (Table 9) and ``alpha`` (Section 3.2). Where
        planted, also ``face_share`` (of covers), ``sharing`` (coefficients of EIJL's Eq. 1, by
        the captions' true emotion), ``best_moods`` {category: {metric: …}} with
        ``category_effects`` per point, ``hour_gain`` and ``title_effects`` (in logarithms).
    """
    # A seed of its own: the planted figures don't depend on the dataset's seed.
    population = draw_population(n, np.random.default_rng([0, _PLANTED]), planted)
    valence, arousal = population.annotated()
    categories = np.array(CATEGORY_NAMES, dtype=object)[population.category]
    r, _ = correlate(
        emotion_dimensions(valence, arousal),
        log_rates(population.counts, population.followers, categories),
    )
    lifts = mean_rate_lifts(
        valence, arousal, engagement_rates(population.counts, population.followers)
    )
    return {
        "definitions": "evoked.posts.emotion_and_rates",
        "population": n,
        "correlations": _beside(DIMENSIONS, METRICS, r, PUBLISHED_CORRELATIONS),
        "lifts": {
            name: {"planted": _rounded(lifts[name]), "published": published}
            for name, published in PUBLISHED_LIFTS.items()
        },
        "peak_hours": _beside(QUADRANTS, ENGAGEMENT, PUBLISHED_PEAK_HOURS, PUBLISHED_PEAK_HOURS),
        "alpha": {
            name: {"planted": _rounded(_alpha(population.ratings[name])), "published": published}
            for name, published in PUBLISHED_ALPHA.items()
        },
        **_further_record(population),
    }


def _further_record(population: Population) -> dict[str, Any]:
    """What version 2 plants, of the things that are planted."""
    planted, record = population.planted, dict[str, Any]()
    if planted.faces:
        record["face_share"] = {"planted": FACE_SHARE, "published": FACE_SHARE}
    if planted.interaction:
        record["sharing"] = _sharing_coefficients(population)
    if planted.categories:
        record["category_effects"] = {
            name: dict(zip(SCALES, effects, strict=False))
            for name, effects in zip(CATEGORY_NAMES, CATEGORY_EFFECTS.tolist(), strict=True)
        }
        record["best_moods"] = _best_moods(planted)
    if planted.hours:
        record["hour_gain"] = HOUR_GAIN
    if planted.titles:
        record["title_effects"] = dict(zip(TITLE_FORMS, TITLE_EFFECTS.tolist(), strict=True))
    return record


def _sharing_coefficients(population: Population) -> dict[str, float]:
    """Coefficients of EIJL's Eq. 1: popular or not by text emotion, a face, and thirds of likes."""
    shares, likes = (population.counts[:, ENGAGEMENT.index(name)] for name in ("shares", "likes"))
    text, face = population.text_level, population.face
    third = np.searchsorted(np.quantile(likes, [1 / 3, 2 / 3]), likes)
    terms = {
        "text emotion": text,
        "image emotion": face,
        "likability": third,
        "text emotion × image emotion": text * face,
        "text emotion × image emotion × likability": text * face * third,
    }
    design = np.column_stack([np.ones(len(text)), *terms.values()])
    found, *_ = np.linalg.lstsq(design, shares >= np.quantile(shares, 0.8), rcond=None)
    return dict(zip(terms, map(_rounded, found[1:]), strict=True))


def _best_moods(planted: Planted) -> dict[str, dict[str, str]]:
    """By category and metric, where on the plane of emotions the expected rate is highest."""
    moods = {
        "calm and negative": (-3.0, 1.0),
        "calm and positive": (3.0, 1.0),
        "aroused and negative": (-3.0, 7.0),
        "aroused and positive": (3.0, 7.0),
    }
    terms = emotion_terms(*np.array(list(moods.values())).T)
    best = {}
    for place, name in enumerate(CATEGORY_NAMES):
        effects = emotion_effects(np.full(len(moods), place), terms, planted)
        best[name] = {
            metric: list(moods)[int(effects[:, i].argmax())] for i, metric in enumerate(ENGAGEMENT)
        }
    return best


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _beside(
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    planted: Floats,
    published: Floats,
) -> dict[str, dict[str, dict[str, float]]]:
    return {
        row: {
            column: {
                "planted": _rounded(planted[i, j]),
                "published": _rounded(published[i, j]),
            }
            for j, column in enumerate(columns)
        }
        for i, row in enumerate(rows)
    }


def _alpha(ratings: Floats) -> float:
    """Krippendorff's alpha for complete ratings: 1 minus the ratio of within to total variance.

    The general form is in :mod:`evoked.analysis.agreement`.
    """
    return 1 - float(ratings.var(axis=1, ddof=1).mean() / ratings.var(ddof=1))


def _draw_pictures(
    population: Population, folder: Path, seed: int, progress: Progress | None
) -> tuple[list[list[str]], list[list[list[float]]]]:
    """Draw all pictures; return their names and the boxes of the cover's motifs, for each post."""
    n = len(population.category)
    images: list[list[str]] = []
    boxes: list[list[list[float]]] = []
    for row in range(n):
        # A random stream for each post, so that a picture doesn't depend on those before it.
        rng = np.random.default_rng([seed, _PICTURES, row])
        face = _face_of(population, row, seed)
        names, found = _draw_post(population, row, folder, rng, face)
        images.append(names)
        boxes.append(found)
        if progress is not None and ((row + 1) % 100 == 0 or row + 1 == n):
            progress("drawing", row + 1, n)
    return images, boxes


def _face_of(population: Population, row: int, seed: int) -> Face | None:
    """The face on a post's cover, if there is one."""
    if not population.face[row]:
        return None
    rng = np.random.default_rng([seed, _FACES, row])
    place = int(population.motif_place[row, -1])
    return Face(place, float(population.smile[row]), int(rng.integers(SKINS)))


def _draw_post(
    population: Population,
    row: int,
    folder: Path,
    rng: np.random.Generator,
    face: Face | None,
) -> tuple[list[str], list[list[float]]]:
    if not population.has_image[row]:
        return [], []
    count = population.motif_count[row]
    places = population.motif_place[row, :count]
    pages = 1 + (rng.integers(1, 3) if rng.random() < _CAROUSEL_SHARE else 0)
    names, boxes = [], []
    for page in range(pages):
        motifs = [
            Motif(MOTIFS[kind], int(place), float(valence), float(arousal))
            for kind, place, valence, arousal in zip(
                population.motif_kind[row],
                places,
                population.motif_valence[row],
                population.motif_arousal[row],
                strict=False,
            )
        ]
        jitter = rng.uniform(-9, 9, (count, 2))
        scene = float(population.scene_valence[row])
        category = CATEGORY_NAMES[population.category[row]]
        picture = draw_picture(motifs, jitter, scene, category, rng, None if page else face)
        names.append(f"{row:07d}-{page}.jpg")
        (folder / names[-1]).write_bytes(encode_jpeg(picture))
        if page == 0:
            boxes = [
                [round(edge, 1) for edge in motif_box(motif, (x, y))]
                for motif, (x, y) in zip(motifs, jitter.tolist(), strict=True)
            ]
        # Further pages show the same motifs elsewhere.
        places = rng.permutation(PLACES)[:count]
    return names, boxes


def _posts_table(
    population: Population, identifiers: list[str], images: list[list[str]], seed: int
) -> pd.DataFrame:
    n = len(identifiers)
    captions, hashtags = _write_texts(population, seed)
    authors, author = population.authors, population.author
    valence, arousal = population.annotated()
    order = pd.Series(population.posted).groupby(author).rank(method="first").astype(np.int64)
    chance = np.random.default_rng([seed, _POSTS, 1])
    media = {0: "text", 1: "image"}
    further: dict[str, Any] = {}
    if population.planted.exposure:
        further |= {"reach": population.reach, "views": population.views}
    if population.planted.titles:
        further["title"] = _write_titles(population, seed)
    return pd.DataFrame(
        {
            "post_id": identifiers,
            "author_id": [f"author-{number:05d}" for number in author],
            "posted_at": _YEAR + pd.to_timedelta(population.posted, unit="s"),
            "caption": [caption.text for caption in captions],
            "hashtags": hashtags,
            "mentions": [caption.mentions for caption in captions],
            "images": images,
            "media_type": [media.get(len(names), "carousel") for names in images],
            "category": np.array(CATEGORY_NAMES, dtype=object)[population.category],
            "language": "en",
            "paid": chance.random(n) < 0.8,
            "has_location": chance.random(n) < 0.4,
            "followers": population.followers,
            "following": authors.following[author],
            "author_posts": authors.earlier_posts[author] + order.to_numpy() - 1,
            **{name: population.counts[:, i] for i, name in enumerate(ENGAGEMENT)},
            "valence": valence,
            "arousal": arousal,
            **further,
        }
    )


def _write_texts(population: Population, seed: int) -> tuple[list[Caption], list[list[str]]]:
    captions, hashtags = [], []
    for row, number in enumerate(population.category):
        rng = random.Random(f"{seed}-{row}")  # a text is hashed alike everywhere
        category = CATEGORY_NAMES[number]
        statistics = CATEGORIES[category]
        mood = Mood(float(population.caption_valence[row]), float(population.caption_arousal[row]))
        words = max(16.0, rng.gauss(statistics.caption_words, 0.28 * statistics.caption_words))
        motif = MOTIFS[population.motif_kind[row, 0]]
        caption = write_caption(rng, category, motif, mood, words)
        captions.append(caption if population.has_caption[row] else Caption("", []))
        hashtags.append(choose_hashtags(rng, category, mood, _poisson(rng, statistics.hashtags)))
    return captions, hashtags


def _write_titles(population: Population, seed: int) -> list[str]:
    titles = []
    for row, form in enumerate(population.title_form.tolist()):
        mood = Mood(float(population.caption_valence[row]), float(population.caption_arousal[row]))
        titles.append(
            write_title(
                random.Random(f"{seed}-{row}-title"),
                CATEGORY_NAMES[population.category[row]],
                mood if population.has_caption[row] else None,
                form,
            )
        )
    return titles


def _poisson(rng: random.Random, mean: float) -> int:
    """A Poisson number: arrivals within ``mean`` units of time at a rate of one per unit."""
    count, time = 0, rng.expovariate(1)
    while time < mean:
        count, time = count + 1, time + rng.expovariate(1)
    return count


def _annotations_table(population: Population, identifiers: list[str]) -> pd.DataFrame:
    raters = len(ANNOTATORS)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "post_id": np.repeat(np.array(identifiers, dtype=object), raters),
                    "annotator_id": np.tile(ANNOTATORS, len(identifiers)),
                    "dimension": dimension,
                    "rating": ratings.ravel(),
                }
            )
            for dimension, ratings in population.ratings.items()
        ],
        ignore_index=True,
    )


def _activity_table(activity: Integers, identifiers: list[str]) -> pa.Table:
    posts, hours, _ = activity.shape
    return pa.table(
        {
            # As plain text, the ids would take most of the memory.
            "post_id": pa.DictionaryArray.from_arrays(
                np.repeat(np.arange(posts, dtype=np.int32), hours), pa.array(identifiers)
            ).cast(pa.string()),
            "hours": np.tile(ACTIVITY_HOURS.round(2), posts),
            **{name: activity[:, :, i].ravel() for i, name in enumerate(ENGAGEMENT)},
        }
    )


def _truth_table(
    population: Population, identifiers: list[str], boxes: list[list[list[float]]]
) -> pd.DataFrame:
    kinds = np.array(MOTIFS, dtype=object)[population.motif_kind]
    return pd.DataFrame(
        {
            "post_id": identifiers,
            "valence": population.valence,
            "arousal": population.arousal,
            "congruent": population.congruent,
            "caption_valence": population.caption_valence,
            "caption_arousal": population.caption_arousal,
            "scene_valence": population.scene_valence,
            "named_motif": kinds[:, 0],
            # Lists over the picture's motifs, the named one first; boxes are in pixels.
            "motifs": _ragged(kinds, population),
            "motif_valence": _ragged(population.motif_valence, population),
            "motif_arousal": _ragged(population.motif_arousal, population),
            "motif_boxes": boxes,
            "author_effect": population.authors.effect[population.author],
            **{f"log_{name}_rate": population.log_rates[:, i] for i, name in enumerate(ENGAGEMENT)},
            **_further_truth(population),
        }
    )


def _further_truth(population: Population) -> dict[str, Any]:
    """The causes that version 2 plants, of the things that are planted."""
    planted, truth = population.planted, dict[str, Any]()
    if planted.faces:
        truth["face"] = population.face
        truth["face_smile"] = np.where(population.face, population.smile, np.nan)
    if planted.interaction:
        truth["text_emotion"] = population.text_level  # -2 … 2
        truth["share_shift"] = population.share_shift
    if planted.hours:
        truth["best_hour"] = population.authors.best_hour[population.author]  # UTC
        truth["hour_effect"] = population.hour_effect
    if planted.titles:
        truth["title_form"] = np.array(TITLE_FORMS, dtype=object)[population.title_form]
    return truth


def _ragged(values: np.ndarray[Any, Any], population: Population) -> list[list[Any]]:
    return [row[:count] for row, count in zip(values.tolist(), population.motif_count, strict=True)]
