"""Write the texts of a synthetic network: comments on images and descriptions of groups.

The words of an emotion are those of :mod:`evoked.posts.synthetic.captions` that lie near it on the
plane of moods, and some that distinguish it from its neighbours there. Nearly all are in the
published norms of valence, arousal and dominance by Warriner et al. (2013), so the emotion can be
read from them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from evoked.posts.schema import MIKELS
from evoked.posts.synthetic.captions import ADJECTIVES, MOTIF_NAMES, NOUNS, Graded
from evoked.posts.synthetic.society import EMOTION_MOODS, THEMES, Floats, Integers

# Words that distinguish each emotion from its neighbours on the plane of moods: adjectives, nouns.
OWN_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "amusement": (
        ("funny", "hilarious", "silly", "witty", "comical", "goofy"),
        ("laughter", "fun", "joke", "comedy", "humor"),
    ),
    "awe": (
        ("majestic", "divine", "magical", "grand", "sublime", "epic"),
        ("wonder", "miracle", "majesty", "grandeur", "universe"),
    ),
    "contentment": (
        ("relaxing", "cozy", "comfortable", "content", "gentle", "homely"),
        ("comfort", "harmony", "relaxation", "home", "contentment"),
    ),
    "excitement": (
        ("exciting", "thrilled", "excited", "passionate", "explosive", "ecstatic"),
        ("thrill", "excitement", "passion", "adventure", "victory"),
    ),
    "anger": (
        ("angry", "mad", "unfair", "cruel", "irate", "outraged"),
        ("anger", "injustice", "fury", "hatred", "outrage"),
    ),
    "disgust": (
        ("disgusting", "gross", "nasty", "filthy", "rotten", "repulsive"),
        ("filth", "garbage", "vomit", "stench", "slime"),
    ),
    "fear": (
        ("scary", "creepy", "frightening", "spooky", "dangerous", "afraid"),
        ("fear", "nightmare", "danger", "horror", "panic"),
    ),
    "sadness": (
        ("sad", "tragic", "tearful", "lonely", "unhappy", "sorrowful"),
        ("grief", "loss", "tear", "sorrow", "sadness"),
    ),
}
_OWN_SHARE = 0.6
_WORD_SPREAD = 0.22  # distance of other words from the emotion on the plane of moods

# By whether the writers go by their own mind: if so they write about themselves, if not about the
# picture. There must be as many templates of one sort as of the other.
_COMMENTS = {
    True: (
        "I feel so {adjective}!",
        "For me it is {adjective} and {adjective2}",
        "How {adjective} I feel, I can't help it",
        "I find that {motif} {adjective}",
        "My {motif} was {adjective}, really {adjective2}, so I feel {noun}",
        "I feel nothing but {noun}",
        "To me this is {adjective}, full of {noun}",
        "I think of {noun}! So {adjective} to me",
        "I remember {noun}, I am {adjective} as ever",
        "My heart says {adjective}",
        "It makes me {adjective}, {adjective2}, just {adjective}",
        "It fills me with {noun}, {adjective} as I am",
    ),
    False: (
        "So {adjective} a picture!",
        "{adjective} and {adjective2} colours",
        "How {adjective} the light is",
        "That {adjective} {motif}",
        "That {motif} is {adjective}, really {adjective2}",
        "The {motif} shows nothing but {noun}",
        "This scene is {adjective}, full of {noun}",
        "{noun} in the frame! Such a {adjective} one",
        "There is {noun} in the shot, {adjective} as ever",
        "Your {motif} looks {adjective}",
        "{adjective}, {adjective2}, just a {adjective} image",
        "The picture is filled with {noun}, how {adjective} the {motif}",
    ),
}
_NEUTRAL_COMMENTS = {
    True: (
        "I would like to know my lens for this",
        "I must ask myself where I have been",
        "I remember the same {motif} from last week",
        "I am the second from the left, I think",
        "I added it to my list",
        "I was up at that time of day myself",
        "I never take my tripod along",
        "I like my frames plain",
        "I saw it in my {motif} pool",
        "I have number {number} of your series on my wall",
    ),
    False: (
        "Which lens did you use for this picture?",
        "Where was this picture taken?",
        "Is it the same {motif} as last week?",
        "Second from the left in the picture",
        "A picture for the list",
        "What time of day was the shot?",
        "Was the shot taken on a tripod?",
        "The frame of the picture has changed",
        "The picture was in the {motif} pool",
        "The picture is number {number} of the series",
    ),
}
_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

# Subjects of the groups of a theme.
_SUBJECTS: dict[str, tuple[str, ...]] = {
    "sun": ("sunsets", "sunrises", "summer skies", "golden light", "noon shadows", "dawn"),
    "flame": ("campfires", "candles", "bonfires", "fireplaces", "torches", "sparks at night"),
    "balloon": ("birthday parties", "carnivals", "fairs", "confetti", "parades", "balloons"),
    "flower": ("gardens", "blossoms", "tulips", "bouquets", "wild meadows", "rose petals"),
    "kite": ("kites", "windy beaches", "gliding", "flying machines", "sails", "open skies"),
    "pond": ("lakes", "reflections on water", "ponds", "rivers", "swans", "still water"),
    "umbrella": ("rainy streets", "umbrellas", "puddles", "city crowds", "storms", "wet windows"),
    "tree": ("forests", "old oaks", "woodland paths", "autumn leaves", "roots", "moss"),
}
_DESCRIPTIONS = (
    "A group for photographs of {0}, {1} and {2}. Add your own.",
    "We collect {0} and {1}. Pictures of {2} are welcome too.",
    "Share your best shots of {0}. Everything about {1} belongs here as well.",
    "For all who look for {0}, {1} or {2} with their camera. Three pictures a day at most.",
)


def write_comments(
    emotion: Integers, theme: Integers, own_mind: NDArray[np.bool_], rng: np.random.Generator
) -> list[str]:
    """Write n comments.

    Parameters
    ----------
    emotion
        (n,), the emotion whose words the comment uses: an index into MIKELS, or -1 for none.
    theme
        (n,), the theme of the image.
    own_mind
        (n,), whether the comment is about the writer rather than the picture.
    rng
        Random generator; the same state writes the same comments.
    """
    n = len(emotion)
    template = rng.integers(len(_COMMENTS[True]), size=n)
    neutral = rng.integers(len(_NEUTRAL_COMMENTS[True]), size=n)
    motif, number = rng.integers(4, size=n), rng.integers(len(_NUMBERS), size=n)
    adjectives, nouns = _palette(True), _palette(False)
    first, second, noun = (
        _drawn(palette[1][emotion], rng) for palette in (adjectives, adjectives, nouns)
    )
    second = np.where(second == first, (second + 1) % len(adjectives[0]), second)
    comments = []
    for row in range(n):
        name, own = MOTIF_NAMES[THEMES[theme[row]]][motif[row]], bool(own_mind[row])
        if emotion[row] < 0:
            text = _NEUTRAL_COMMENTS[own][neutral[row]].format(
                motif=name, number=_NUMBERS[number[row]]
            )
        else:
            text = _COMMENTS[own][template[row]].format(
                motif=name,
                adjective=adjectives[0][first[row]],
                adjective2=adjectives[0][second[row]],
                noun=nouns[0][noun[row]],
            )
        comments.append(text[0].upper() + text[1:])
    return comments


def describe_groups(theme: Integers, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Names and descriptions of groups, each (G,), by their ``theme`` (G,)."""
    names, descriptions = [], []
    for number, kind in enumerate(theme.tolist()):
        subjects = rng.permutation(_SUBJECTS[THEMES[kind]]).tolist()
        names.append(f"{subjects[0].capitalize()} no. {number + 1}")
        descriptions.append(_DESCRIPTIONS[rng.integers(len(_DESCRIPTIONS))].format(*subjects))
    return names, descriptions


@cache
def _palette(adjectives: bool) -> tuple[list[str], Floats]:
    """The words, and their cumulative probabilities by emotion, (emotions, words)."""
    graded: Graded = ADJECTIVES if adjectives else NOUNS
    own = [OWN_WORDS[emotion][0 if adjectives else 1] for emotion in MIKELS]
    words = [word for word, _, _ in graded]
    words += [word for each in own for word in each if word not in words]
    moods = np.array([mood for _, *mood in graded])
    distance = ((EMOTION_MOODS[:, None] - moods) ** 2).sum(axis=-1)
    near = np.exp(-distance / (2 * _WORD_SPREAD**2))
    share = np.zeros((len(MIKELS), len(words)))
    share[:, : len(graded)] = (1 - _OWN_SHARE) * near / near.sum(axis=1, keepdims=True)
    for emotion, each in enumerate(own):
        share[emotion, [words.index(word) for word in each]] += _OWN_SHARE / len(each)
    return words, share.cumsum(axis=1)


def _drawn(cumulative: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    chance = rng.random((len(cumulative), 1)) * cumulative[:, -1:]
    return (chance > cumulative).sum(axis=1)
