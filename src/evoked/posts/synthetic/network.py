"""A social network of known truth: who felt which of Mikels' emotions at whose image, and why.

For models of personal emotion (Bhattacharyya et al. 2024, *HMG-Emo*; see
:mod:`evoked.features.social_graph`). At scale 1 it has the size of the paper's Table I:
108,899 users, 85,157 images, 1,649,058 connections, 197,561 viewings. Connections are mutual here
and counted in both directions, so that many rows make as many directed edges of a graph.

**What is felt.** The log odds of the eight emotions at a viewing are base rates (60 % of all
viewings evoke contentment, as many as Table II implies, the others 12 % to 2 % each) and

    2 β × (what the user brings) + 2 (1 - β) × (what the image brings).

The user brings

- taste: each of eight communities feels an emotion of its own at each theme (5.0), and one a little
  more often at anything (1.0). So the same image is felt differently by different communities;
- what is the user's own (standard deviation 0.8).

The image brings

- what the picture shows: each of eight themes has an emotion that it favours in everybody (2.5),
  and valence and arousal (4 × 3 steps) favour the emotions near them (2.5);
- tone: a community means its images in a tone of its own (5.0), which no picture shows;
- what is the image's own (standard deviation 0.8).

β is what HMG-Emo's adaptive combination looks for (Eq. 5): half of the users go by their own mind,
and lively pictures speak for themselves; its log odds are 2 or -2 by the user, and 2, 0 or -2 by
the picture, from the calmest to the liveliest.

The emotion is drawn from these odds, so even who knows all errs.

**Where it shows.** Of all this, a viewing's own image and user show little:

- the picture shows theme, valence and arousal;
- a community shows in the groups that its members join, not surely: half of the groups are of its
  favourite theme, and a quarter of the users are in none. It shows in the groups of one's
  *contacts*: 70 % of them come from the community, the others from anywhere;
- an image comes out of its author's community, and 60 % of its viewers from there, the others by
  their liking for the theme: the *other viewers* of an image tell its tone;
- what an image and a user have of their own shows only in what was felt, and commented, at the
  image's and the user's *other viewings*;
- 34 % of the viewings have a comment. Of these, 72 % are written in words of the emotion felt,
  16 % in words of none, 12 % of another. A comment leaks the emotion of its own viewing. It tells
  legitimately of others: who goes by their own mind writes of themselves, the others of the picture
  (90 % of the comments). Beside that it shows only in what they felt elsewhere, to who knows the
  tastes and tones.

Contacts, viewings per user and per image, and images per author have heavy tails. Communities,
effects, pictures and groups' themes are the same in every network; people, images and edges are
drawn from the seed. ``planted`` in ``dataset.json`` says how far ideal observers get, who know the
model and a part of the causes and name the most probable emotion.

**Pictures.** There are 96 looks (theme, valence, arousal) and four pictures of each; images share
them, as reposts do. So the features of 384 pictures do for a network of any size, and what an image
has of its own can hardly be learned by heart from its picture.

**Rewired.** Does a model gain by the graph? In a rewired network every row is what it was, and
edges join anybody to anybody. Drawing all ends of edges anew would also part a viewing's emotion
from its own user's groups and its own picture, and every model would fail. So edges exchange
ends, in pairs and many times:

- connections with any other connection: everybody keeps the number of contacts, nothing else;
- a viewing, which keeps its place in the table, emotion, comment and time, takes the user of
  another viewing who is in the very same groups, and the image of another that has the very same
  picture.

A model that reads rows by themselves (own picture, own groups' descriptions, own comment) is given
exactly what it was given before, and scores the same where the same rows are held out (splits draw
by user and image, so they hold out others here). Nodes, vectors, memberships and all
degrees stay too. Among users of the same groups and images of the same picture the emotions are
dealt at random: who somebody's contacts are, what they felt elsewhere, and who else saw an image
and how, tells nothing that the row's own groups and picture do not. (Where groups or a picture are
rare there are few to exchange with: some 15 % of the viewings keep their user.) ``truth`` then
tells what made each emotion, not whose it has become.
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
from evoked.posts.schema import MIKELS, TIMESTAMP
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

# Raised by every change that changes a dataset.
_GENERATOR_VERSION = 2
_START = pd.Timestamp("2010-01-01", tz="UTC")
# Of its own, not the dataset's: the same pictures in every network.
_PICTURE_SEED = 96
# Seeds of independent streams of chance, beside those of the society.
_PICTURES, _COMMENTS, _GROUPS = range(100, 103)


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
    progress: Progress | None = None,
) -> PostDataset:
    """Make a dataset of a synthetic social network.

    Parameters
    ----------
    folder
        Where; an existing dataset there is replaced.
    scale
        Size as a share of the paper's: 1 has 108,899 users.
    seed
        The same arguments give the same dataset, byte by byte (with the same versions of the
        libraries that write JPEG and Parquet).
    users, images, connections, viewings
        Numbers instead of those of ``scale``; as many connections (both directions counted) per
        user and viewings per image as in the paper where they are left out.
    pictures
        At most so many different pictures (96 at least, one of each look); images share them.
    rewired
        Make the rewired copy of the network that the other arguments give.
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
        ``seed`` below 0, fewer than 96 pictures, or a size that can't be: everybody has a contact
        (2 connections per user) and every image a viewing.
    DataError
        Another import or synthesis is at work at ``folder``.

    References
    ----------
    HMG-Emo: Table I, Section IV-A.
    """
    if seed < 0:
        raise SettingsError(f"a seed is a whole number from 0, not {seed}.")
    if pictures < LOOKS:
        raise SettingsError(f"{LOOKS} pictures or more are needed, not {pictures}.")
    users = users or round(scale * PUBLISHED_SIZE.users)
    images = images or round(scale * PUBLISHED_SIZE.images)
    size = NetworkSize(
        users=users,
        images=images,
        connections=connections or round(users * PUBLISHED_SIZE.connections / PUBLISHED_SIZE.users),
        viewings=viewings or round(images * PUBLISHED_SIZE.viewings / PUBLISHED_SIZE.images),
    )
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
                {**_tables(society, shown, comments, seed), "truth": _truth_table(society)},
                images=drawn,
                provenance={
                    "source": "a synthetic social network made by evoked",
                    "format": "synthetic-network",
                    "settings": {**size._asdict(), "seed": seed, "pictures": pictures},
                    "rewired": rewired,
                    "generator_version": _GENERATOR_VERSION,
                    "licence": "CC0-1.0",
                },
                extra={"planted": planted},
            )
        finally:
            shutil.rmtree(drawn, ignore_errors=True)


# What can be known --------------------------------------------------------------------------------


def _planted(society: Society, rewired: bool) -> dict[str, Any]:
    """Shares of the emotions, and scores of ideal observers on all viewings.

    A rewired network has no observers of what only its edges told.
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
    """What is expected (V, or 1, emotions) by who has read the own comment too."""
    misleading = (1 - TRUTHFUL_SHARE - NEUTRAL_SHARE) / (len(MIKELS) - 1)
    told = np.where(np.eye(len(MIKELS)) > 0, TRUTHFUL_SHARE, misleading)
    nothing = np.ones((1, len(MIKELS)))
    return expected * np.concatenate([told, nothing])[society.comment_emotion]  # -1 is the last


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
    """Number of each image's picture, (I,): one of ``variants`` of its look, which is the
    remainder by LOOKS."""
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
    """Two or three motifs of the theme, about as glad and lively as the look has it."""
    theme, valence, arousal = looks()[look]
    rng = np.random.default_rng([_PICTURE_SEED, look, variant])
    count = int(rng.integers(2, 4))
    moods = np.clip(rng.normal([valence, arousal], 0.08, (count, 2)), -1, 1)
    motifs = [
        Motif(THEMES[theme], int(place), float(glad), float(lively))
        for place, (glad, lively) in zip(rng.permutation(PLACES), moods, strict=False)
    ]
    # The sign in the corner says nothing here.
    sign = CATEGORY_NAMES[rng.integers(len(CATEGORY_NAMES))]
    return draw_picture(motifs, rng.uniform(-9, 9, (count, 2)), 0.8 * valence, sign, rng)


# Tables -------------------------------------------------------------------------------------------


def _tables(
    society: Society, shown: Integers, comments: pa.Array, seed: int
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
                "emotion": _named(society.emotion, pa.array(MIKELS)),
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
    """What made each emotion, in the order of ``viewings``."""
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


def _named(numbers: Integers, names: pa.Array) -> pa.Array:
    return names.take(pa.array(numbers))


def _dates(seconds: Integers) -> pa.Array:
    start = int(_START.timestamp())
    return pa.array((seconds + start) * 1_000_000).cast(TIMESTAMP)
