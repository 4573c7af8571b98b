"""Make a synthetic social network: who felt which of Mikels' emotions at whose image, and why.

It is meant for models of personal emotion (Bhattacharyya et al. 2024, *HMG-Emo*; see
:mod:`evoked.features.social_graph`). At scale 1 it has the size of the paper's Table I:
108,899 users, 85,157 images, 1,649,058 connections, 197,561 viewings. Connections are mutual here
and counted in both directions, so that many rows make as many directed edges of a graph.

**Emotions.** The log odds of the eight emotions at a viewing are the sum of base rates (60 % of all
viewings evoke contentment, as Table II implies, each other emotion 2 % to 12 %) and

    2 β × (influence of the user) + 2 (1 - β) × (influence of the image).

The user's influence consists of

- taste: each of eight communities feels an emotion of its own at each theme (5.0), and one emotion
  slightly more often at any theme (1.0). So different communities feel differently at one image;
- a deviation of the user's own (standard deviation 0.8).

The image's influence consists of

- the picture: each of eight themes favours one emotion in everybody (2.5), and valence and arousal
  (4 × 3 steps) favour the emotions near them (2.5);
- tone: each community means its images in a tone of its own (5.0), which no picture shows;
- a deviation of the image's own (standard deviation 0.8).

β is what HMG-Emo's adaptive combination estimates (Eq. 5). Half of the users go by their own mind,
and lively pictures speak for themselves: the log odds of β are 2 or -2 for the user plus 2, 0 or -2
for the picture, from the calmest to the liveliest.

The emotion is drawn at random with these odds, so even an observer who knows everything errs.

**What can be observed.** A viewing's own image and user show only part of this:

- the picture shows theme, valence and arousal;
- a user's groups show the community with some uncertainty: half of them have its favourite theme,
  and a quarter of the users are in no group. The groups of *contacts* show it too: 70 % of the
  contacts are from the community, the others from anywhere;
- an image comes from its author's community, and so do 60 % of its viewers; the others come for the
  theme. So the *other viewers* of an image show its tone;
- the own deviations of images and users show only in the emotions and comments of their *other
  viewings*;
- 34 % of the viewings have a comment. Of these, 72 % use words of the emotion felt, 16 % of no
  emotion and 12 % of another. A comment leaks the emotion of its own viewing, but it is
  legitimate evidence on other viewings: in 90 % of the comments, users who go by their own mind
  write about themselves and the others about the picture. Otherwise, that shows only in what they
  felt elsewhere, to an observer who knows the tastes and tones.

Contacts, viewings per user and per image, and images per author have heavy tails. Communities,
effects, pictures and the themes of groups are the same in every network; people, images and edges
depend on the seed. ``planted`` in ``dataset.json`` gives the scores of ideal observers, who know
the model and some of the causes and name the most probable emotion.

**Pictures.** There are 96 looks (theme, valence, arousal) with four pictures each, which images
share, as reposts do. So the features of 384 pictures suffice for a network of any size, and the own
deviation of an image can hardly be memorised from its picture.

**Rewired networks.** They answer whether a model gains from the graph: every row stays as it was,
while edges join anybody to anybody. Drawing all ends of edges anew would also separate a viewing's
emotion from the groups of its user and from its picture, and every model would fail. So edges
exchange their ends, in pairs and many times:

- a connection exchanges ends with any other connection: everybody keeps the number of contacts, and
  nothing else;
- a viewing keeps its place in the table, its emotion, comment and time. It gets the user of another
  viewing who is in exactly the same groups, and the image of another with exactly the same picture.

A model that uses rows alone (the picture, the descriptions of the user's groups, the comment) gets
exactly the same input as before, and the same scores if the same rows are held out (splits draw by
user and image, so they hold out other rows here). Nodes, vectors, memberships and all degrees stay
too. Among users with the same groups and images with the same picture, emotions are assigned at
random: a user's contacts, what they felt elsewhere, and who else saw an image and how, give no
information beyond the row's own groups and picture. (Users with rare groups and images with rare
pictures have few others to exchange with: about 15 % of the viewings keep their user.) The table
``truth`` then says what made each emotion, but not for the user and image that it now belongs to.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from evoked.errors import SettingsError
from evoked.files import only_writer
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import EMOTION_SEPARATOR, MIKELS, TIMESTAMP
from evoked.posts.synthetic.captions import MOTIF_NAMES
from evoked.posts.synthetic.comments import describe_groups, write_comments
from evoked.posts.synthetic.images import (
    PLACES,
    Motif,
    draw_picture,
    encode_jpeg,
)
from evoked.posts.synthetic.population import CATEGORY_NAMES
from evoked.posts.synthetic.society import (
    LOOKS,
    NEUTRAL_SHARE,
    PUBLISHED_SIZE,
    THEMES,
    TRUTHFUL_SHARE,
    Floats,
    Integers,
    NetworkSize,
    Society,
    check_size,
    draw_society,
    looks,
    rewire,
    user_share,
)
from evoked.progress import Progress

# Increased by every change that changes a dataset.
_GENERATOR_VERSION = 2
_START = pd.Timestamp("2010-01-01", tz="UTC")
# Not the dataset's seed, so that every network has the same pictures.
_PICTURE_SEED = 96
# Seeds of independent random streams, beside those of the society.
_PICTURES, _COMMENTS, _GROUPS, _SECOND = range(100, 104)


def synthesise_network(
    folder: Path | str,
    scale: float = 0.1,
    seed: int = 0,
    *,
    users: int | None = None,
    images: int | None = None,
    connections: int | None = None,
    viewings: int | None = None,
    pictures: int = 4 * LOOKS,
    rewired: bool = False,
    several: float = 0.0,
    progress: Progress | None = None,
) -> PostDataset:
    """Make a dataset of a synthetic social network.

    Parameters
    ----------
    folder
        The dataset's folder; a dataset that is there already is replaced.
    scale
        Size as a share of the paper's: 1 has 108,899 users.
    seed
        The same arguments give the same dataset, byte by byte (with the same versions of the
        libraries that write JPEG and Parquet).
    users, images, connections, viewings
        Numbers in place of those of ``scale``. By default, there are as many connections per user
        (both directions counted) and viewings per image as in the paper.
    pictures
        Largest number of different pictures, which images share (96 or more, one of each look).
    rewired
        Make the rewired copy of the network given by the other arguments.
    several
        Share of the viewings that get a second emotion, drawn from the same odds.
    progress
        Called with ``drawing``, the number of pictures drawn and the number of all.

    Returns
    -------
    PostDataset
        ``posts`` (the images, with their author), ``viewings`` in order of time, ``connections``
        (each in both directions), ``groups``, ``memberships``, and ``truth``, a row per viewing.

    Raises
    ------
    SettingsError
        ``seed`` is below 0, there are fewer than 96 pictures, or the size is impossible: everybody
        has a contact (2 connections per user) and every image a viewing.
    DataError
        Another process is writing ``folder``.

    References
    ----------
    HMG-Emo: Table I, Section IV-A.
    """
    if seed < 0:
        raise SettingsError(f"a seed is a whole number from 0, not {seed}.")
    if not 0 <= several <= 1:
        raise SettingsError(f"several is a share from 0 to 1, not {several}.")
    if pictures < LOOKS:
        raise SettingsError(f"{LOOKS} pictures or more are needed, not {pictures}.")
    size = _size(scale, users, images, connections, viewings)
    check_size(size)
    folder = Path(folder)
    society = draw_society(size, seed)
    planted = _planted(society, rewired)
    shown = _choose_pictures(society, pictures // LOOKS, seed)
    # Comments stay with their rows, so they are written before edges are rewired.
    comments = _comments(society, seed)
    if rewired:
        society = rewire(society, shown, seed)

    with only_writer(folder):
        drawn = folder.parent / f".{folder.name}.pictures.tmp"
        shutil.rmtree(drawn, ignore_errors=True)  # of a run that was killed
        drawn.mkdir()
        try:
            _draw_pictures(np.unique(shown).tolist(), drawn, progress)
            return PostDataset.create(
                folder,
                {
                    **_tables(society, shown, comments, seed, several),
                    "truth": _truth_table(society),
                },
                images=drawn,
                provenance={
                    "source": "a synthetic social network made by evoked",
                    "format": "synthetic-network",
                    "settings": {**size._asdict(), "seed": seed, "pictures": pictures},
                    "rewired": rewired,
                    "several": several,
                    "generator_version": _GENERATOR_VERSION,
                    "licence": "CC0-1.0",
                },
                extra={"planted": planted},
            )
        finally:
            shutil.rmtree(drawn, ignore_errors=True)


def _size(
    scale: float,
    users: int | None,
    images: int | None,
    connections: int | None,
    viewings: int | None,
) -> NetworkSize:
    """The given numbers, and those of the paper in proportion for the ones left out."""
    users = users or round(scale * PUBLISHED_SIZE.users)
    images = images or round(scale * PUBLISHED_SIZE.images)
    return NetworkSize(
        users=users,
        images=images,
        connections=connections or round(users * PUBLISHED_SIZE.connections / PUBLISHED_SIZE.users),
        viewings=viewings or round(images * PUBLISHED_SIZE.viewings / PUBLISHED_SIZE.images),
    )


# What can be known --------------------------------------------------------------------------------


def _planted(society: Society, rewired: bool) -> dict[str, Any]:
    """Shares of the emotions, and scores of ideal observers on all viewings.

    In a rewired network, observers who use the edges are left out.
    """
    observers: dict[str, Floats] = {
        "nothing": np.ones((len(society.emotion), 1)) * _shares(society),
        "own comment": _with_comment(_shares(society), society),
        **society.observers,
        "all but own comment": society.probability,
        "all": _with_comment(society.probability, society),
    }
    if rewired:
        observers = {
            name: observers[name]
            for name in ("nothing", "own comment", "image", "image and groups")
        }
    return {
        "viewings": len(society.emotion),
        "shares": {
            name: round(float(share), 4)
            for name, share in zip(MIKELS, _shares(society), strict=True)
        },
        "observers": {name: _scores(society.emotion, known) for name, known in observers.items()},
    }


def _shares(society: Society) -> Floats:
    return np.bincount(society.emotion, minlength=len(MIKELS)) / len(society.emotion)


def _with_comment(expected: Floats, society: Society) -> Floats:
    """Expectations (V or 1, emotions) updated by the comment of the viewing itself."""
    misleading = (1 - TRUTHFUL_SHARE - NEUTRAL_SHARE) / (len(MIKELS) - 1)
    words = np.where(np.eye(len(MIKELS)) > 0, TRUTHFUL_SHARE, misleading)
    no_words = np.ones((1, len(MIKELS)))
    return expected * np.concatenate([words, no_words])[society.comment_emotion]  # -1: the last


def _scores(truth: Integers, expected: Floats) -> dict[str, float]:
    """Macro F1 and accuracy of the most probable emotion."""
    found = expected.argmax(axis=1)
    right = np.bincount(truth[found == truth], minlength=len(MIKELS))
    both = np.bincount(truth, minlength=len(MIKELS)) + np.bincount(found, minlength=len(MIKELS))
    f1 = 2 * right[both > 0] / both[both > 0]
    return {
        "macro F1": round(float(f1.mean()), 4),
        "accuracy": round(float(right.sum() / len(truth)), 4),
    }


# Pictures -----------------------------------------------------------------------------------------


def _choose_pictures(society: Society, variants: int, seed: int) -> Integers:
    """Number of each image's picture, (I,): one of ``variants`` of its look.

    The look is the remainder of the number modulo LOOKS.
    """
    rng = np.random.default_rng([seed, _PICTURES])
    return society.look + LOOKS * rng.integers(variants, size=len(society.look))


def _picture_name(number: int) -> str:
    return f"look-{number % LOOKS:02d}-{number // LOOKS:03d}.jpg"


def _draw_pictures(numbers: list[int], folder: Path, progress: Progress | None) -> None:
    for done, number in enumerate(numbers, start=1):
        picture = _draw_look(number % LOOKS, number // LOOKS)
        (folder / _picture_name(number)).write_bytes(encode_jpeg(picture))
        if progress is not None:
            progress("drawing", done, len(numbers))


def _draw_look(look: int, variant: int) -> NDArray[np.uint8]:
    """Draw two or three motifs of the theme, with about the valence and arousal of the look."""
    theme, valence, arousal = looks()[look]
    rng = np.random.default_rng([_PICTURE_SEED, look, variant])
    count = int(rng.integers(2, 4))
    moods = np.clip(rng.normal([valence, arousal], 0.08, (count, 2)), -1, 1)
    motifs = [
        Motif(THEMES[theme], int(place), float(glad), float(lively))
        for place, (glad, lively) in zip(rng.permutation(PLACES), moods, strict=False)
    ]
    # The sign in the corner has no meaning here.
    sign = CATEGORY_NAMES[rng.integers(len(CATEGORY_NAMES))]
    return draw_picture(motifs, rng.uniform(-9, 9, (count, 2)), 0.8 * valence, sign, rng)


# Tables -------------------------------------------------------------------------------------------


def _tables(
    society: Society,
    shown: Integers,
    comments: pa.Array,
    seed: int,
    several: float,
) -> dict[str, pa.Table | pd.DataFrame]:
    users = _identifiers("user", len(society.community))
    images = _identifiers("image", len(society.look))
    groups = _identifiers("group", len(society.group_theme))
    group_names, descriptions = describe_groups(
        society.group_theme, np.random.default_rng([seed, _GROUPS])
    )
    user, image = society.viewings
    one, other = society.connections
    member, group = society.memberships
    titles = [MOTIF_NAMES[theme][0].capitalize() for theme in THEMES]
    return {
        "posts": pa.table(
            {
                "post_id": images,
                "author_id": _named(society.author, users),
                "posted_at": _dates(society.posted),
                "title": _named(society.theme, pa.array(titles)),
                "images": pa.array([[_picture_name(number)] for number in shown.tolist()]),
                "media_type": pa.array(["image"] * len(shown)),
            }
        ),
        "viewings": pa.table(
            {
                "user_id": _named(user, users),
                "post_id": _named(image, images),
                "viewed_at": _dates(society.viewed),
                "comment": comments,
                "emotion": _emotions(society, several, seed),
            }
        ),
        "connections": pa.table(
            {
                "user_id": _named(np.concatenate([one, other]), users),
                "other_id": _named(np.concatenate([other, one]), users),
            }
        ),
        "groups": pa.table({"group_id": groups, "name": group_names, "description": descriptions}),
        "memberships": pa.table(
            {"user_id": _named(member, users), "group_id": _named(group, groups)}
        ),
    }


def _truth_table(society: Society) -> pa.Table:
    """The causes of each emotion, in the order of ``viewings``."""
    user, image = society.viewings
    look = society.look[image]
    theme, valence, arousal = np.array(looks())[look].T
    return pa.table(
        {
            "user_id": _named(user, _identifiers("user", len(society.community))),
            "post_id": _named(image, _identifiers("image", len(society.look))),
            "community": society.felt_in,
            "image_community": society.meant_in,
            "own_mind": society.felt_by_own_mind,
            "theme": _named(theme.astype(np.int64), pa.array(THEMES)),
            "picture_valence": valence,
            "picture_arousal": arousal,
            "user_share": user_share(look, society.felt_by_own_mind),
            "comment_emotion": pa.array(MIKELS).take(
                pa.array(society.comment_emotion, mask=society.comment_emotion < 0)
            ),
            **{
                f"probability_{name}": society.probability[:, place].astype(np.float32)
                for place, name in enumerate(MIKELS)
            },
        }
    )


def _comments(society: Society, seed: int) -> pa.Array:
    """The comment of each viewing, null where it has none."""
    rows = np.flatnonzero(society.has_comment)
    theme = society.theme[society.viewings[1][rows]]
    texts = write_comments(
        society.comment_emotion[rows],
        theme,
        society.comment_own_mind[rows],
        np.random.default_rng([seed, _COMMENTS]),
    )
    place = society.has_comment.cumsum() - 1
    return pa.array(texts, pa.string()).take(pa.array(place, mask=~society.has_comment))


def _identifiers(kind: str, count: int) -> pa.Array:
    return pa.array([f"{kind}-{number:06d}" for number in range(count)], pa.string())


def _emotions(society: Society, several: float, seed: int) -> pa.Array:
    """The emotion of each viewing; of some also a second one."""
    random = np.random.default_rng([seed, _SECOND])
    n = len(society.emotion)
    others = society.probability.copy()
    others[np.arange(n), society.emotion] = 0
    noise = random.gumbel(size=others.shape)
    with np.errstate(divide="ignore"):
        second = (np.log(others) + noise).argmax(axis=1)
    chosen = random.random(n) < several
    names = np.array(MIKELS, dtype=object)
    found = names[society.emotion]
    found[chosen] = found[chosen] + EMOTION_SEPARATOR + names[second[chosen]]
    return pa.array(found, type=pa.string())


def _named(numbers: Integers, names: pa.Array) -> pa.Array:
    return names.take(pa.array(numbers))


def _dates(seconds: Integers) -> pa.Array:
    start = int(_START.timestamp())
    return pa.array((seconds + start) * 1_000_000).cast(TIMESTAMP)
