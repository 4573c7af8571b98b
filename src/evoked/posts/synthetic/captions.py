"""Write the captions, titles and hashtags of synthetic posts from a mood and a motif.

A caption begins with one motif of the picture, describes the feeling in graded words, and adds what
posts usually say about their products. The graded words have places on a plane of valence and
arousal; those near the wanted mood are chosen.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from heapq import nsmallest


@dataclass(frozen=True)
class Mood:
    """A point on the plane of moods: valence and arousal, each in [-1, 1]."""

    valence: float
    arousal: float


@dataclass(frozen=True)
class Caption:
    """A caption and the accounts that it mentions."""

    text: str
    mentions: list[str]


# Names for each motif of the pictures.
MOTIF_NAMES: dict[str, tuple[str, ...]] = {
    "sun": ("sun", "midday sun", "sun in the sky", "sun up there"),
    "flame": ("flame", "fire", "flame over there", "single flame"),
    "balloon": ("balloon", "party balloon", "balloon on its string", "drifting balloon"),
    "flower": ("flower", "blossom", "flower in bloom", "wild flower"),
    "kite": ("kite", "paper kite", "kite in the wind", "kite on its line"),
    "pond": ("pond", "lake", "little lake", "pond between the hills"),
    "umbrella": ("umbrella", "parasol", "open umbrella", "umbrella on the hill"),
    "tree": ("tree", "old tree", "lone tree", "oak tree"),
}

Graded = tuple[tuple[str, float, float], ...]

ADJECTIVES: Graded = (
    ("ecstatic", 0.95, 0.9), ("thrilling", 0.8, 0.95), ("exhilarating", 0.85, 0.95),
    ("electrifying", 0.7, 0.95), ("dazzling", 0.8, 0.7), ("euphoric", 0.95, 0.85),
    ("triumphant", 0.85, 0.75), ("joyful", 0.9, 0.5), ("exuberant", 0.85, 0.8),
    ("vibrant", 0.7, 0.5), ("playful", 0.65, 0.4), ("wild", 0.35, 0.85),
    ("energetic", 0.6, 0.8), ("breathtaking", 0.8, 0.6), ("amazing", 0.85, 0.65),
    ("fantastic", 0.9, 0.65), ("delightful", 0.8, 0.2), ("cheerful", 0.75, 0.3),
    ("lively", 0.55, 0.55), ("bold", 0.35, 0.5), ("bright", 0.55, 0.2),
    ("magnificent", 0.9, 0.45), ("happy", 0.85, 0.2), ("glorious", 0.9, 0.55),
    ("lovely", 0.75, 0.0), ("charming", 0.65, 0.0), ("wonderful", 0.9, 0.3),
    ("beautiful", 0.8, 0.1), ("pleasant", 0.5, -0.2), ("comforting", 0.6, -0.5),
    ("warm", 0.55, -0.2), ("peaceful", 0.7, -0.9), ("serene", 0.75, -0.95),
    ("tranquil", 0.65, -0.95), ("soothing", 0.65, -0.8), ("gentle", 0.5, -0.7),
    ("cosy", 0.6, -0.6), ("calm", 0.4, -0.85), ("restful", 0.5, -0.9),
    ("dreamy", 0.5, -0.5), ("tender", 0.55, -0.4), ("blissful", 0.95, -0.3),
    ("graceful", 0.55, -0.3), ("mellow", 0.35, -0.7), ("sweet", 0.65, -0.1),
    ("heavenly", 0.95, -0.1), ("idyllic", 0.85, -0.6), ("unhurried", 0.3, -0.85),
    ("plain", -0.05, -0.5), ("ordinary", -0.1, -0.4), ("quiet", 0.15, -0.8),
    ("unusual", 0.05, 0.2), ("curious", 0.2, 0.2), ("surprising", 0.2, 0.6),
    ("busy", -0.05, 0.5), ("loud", -0.2, 0.75), ("restless", -0.3, 0.6),
    ("intense", 0.0, 0.85), ("strange", -0.2, 0.2), ("sleepy", 0.05, -0.9),
    ("still", 0.05, -0.85), ("mild", 0.2, -0.6), ("frenzied", -0.25, 0.95),
    ("terrifying", -0.9, 0.95), ("furious", -0.85, 0.95), ("horrifying", -0.95, 0.9),
    ("panicked", -0.8, 0.95), ("frantic", -0.55, 0.95), ("violent", -0.85, 0.9),
    ("chaotic", -0.55, 0.85), ("alarming", -0.6, 0.75), ("savage", -0.75, 0.8),
    ("hostile", -0.75, 0.6), ("shocking", -0.5, 0.85), ("dreadful", -0.85, 0.4),
    ("disturbing", -0.7, 0.5), ("ugly", -0.7, 0.1), ("awful", -0.8, 0.3),
    ("tense", -0.4, 0.6), ("nervous", -0.4, 0.55), ("harsh", -0.55, 0.45),
    ("nightmarish", -0.95, 0.75), ("hateful", -0.9, 0.6), ("horrible", -0.9, 0.45),
    ("dull", -0.4, -0.7), ("dreary", -0.6, -0.6), ("gloomy", -0.65, -0.5),
    ("bleak", -0.75, -0.45), ("lonely", -0.7, -0.4), ("sad", -0.75, -0.3),
    ("weary", -0.5, -0.75), ("hopeless", -0.9, -0.4), ("lifeless", -0.75, -0.8),
    ("empty", -0.6, -0.7), ("mournful", -0.75, -0.35), ("miserable", -0.9, -0.1),
    ("grim", -0.7, -0.1), ("faded", -0.35, -0.7), ("drained", -0.55, -0.8),
    ("forgotten", -0.5, -0.6), ("boring", -0.5, -0.9), ("tired", -0.35, -0.8),
    ("sour", -0.5, -0.1), ("disappointing", -0.65, -0.15), ("cold", -0.35, -0.3),
    ("shabby", -0.45, -0.3), ("melancholy", -0.5, -0.4), ("desolate", -0.85, -0.6),
    ("heartbroken", -0.95, -0.2), ("depressing", -0.85, -0.5),
)  # fmt: skip

NOUNS: Graded = (
    ("joy", 0.9, 0.5), ("bliss", 0.95, -0.2), ("triumph", 0.85, 0.75),
    ("delight", 0.8, 0.35), ("ecstasy", 0.95, 0.9), ("exhilaration", 0.8, 0.95),
    ("excitement", 0.7, 0.85), ("celebration", 0.85, 0.7), ("adventure", 0.55, 0.65),
    ("wonder", 0.75, 0.25), ("happiness", 0.9, 0.15), ("love", 0.95, 0.2),
    ("hope", 0.65, 0.0), ("comfort", 0.6, -0.55), ("peace", 0.75, -0.85),
    ("serenity", 0.75, -0.95), ("calm", 0.45, -0.9), ("tenderness", 0.6, -0.4),
    ("warmth", 0.6, -0.25), ("stillness", 0.15, -0.9), ("routine", -0.1, -0.5),
    ("curiosity", 0.3, 0.35), ("noise", -0.3, 0.75), ("surprise", 0.2, 0.7),
    ("tension", -0.4, 0.65), ("unease", -0.5, 0.3), ("chaos", -0.6, 0.9),
    ("panic", -0.8, 0.95), ("rage", -0.85, 0.95), ("terror", -0.95, 0.95),
    ("dread", -0.85, 0.4), ("anger", -0.75, 0.75), ("disgust", -0.8, 0.35),
    ("misery", -0.9, -0.15), ("grief", -0.9, -0.2), ("sorrow", -0.8, -0.35),
    ("despair", -0.95, -0.35), ("loneliness", -0.7, -0.45), ("gloom", -0.65, -0.5),
    ("emptiness", -0.65, -0.75), ("boredom", -0.45, -0.9), ("fatigue", -0.45, -0.75),
    ("regret", -0.6, -0.3), ("decay", -0.7, -0.45),
)  # fmt: skip

_ACTIONS: Graded = (
    ("cheer out loud", 0.85, 0.85), ("dance all night", 0.8, 0.8), ("smile", 0.75, 0.05),
    ("laugh until it hurts", 0.9, 0.65), ("jump up", 0.4, 0.85), ("grin", 0.7, 0.3),
    ("breathe out slowly", 0.45, -0.85), ("rest our eyes", 0.45, -0.9),
    ("sink into the cushions", 0.55, -0.85), ("hum along", 0.55, -0.1),
    ("stop and wonder", 0.45, 0.1), ("look twice", 0.05, 0.35), ("shrug", -0.2, -0.4),
    ("sigh", -0.35, -0.5), ("yawn", -0.3, -0.9), ("shiver", -0.5, 0.4),
    ("run for cover", -0.7, 0.95), ("scream", -0.75, 1.0), ("slam the door", -0.75, 0.85),
    ("grind our teeth", -0.6, 0.6), ("look away", -0.6, 0.0), ("weep quietly", -0.85, -0.3),
    ("give up", -0.7, -0.55), ("stare at the wall", -0.5, -0.75), ("tremble", -0.65, 0.7),
    ("pull the blanket over our heads", -0.55, -0.5), ("count the minutes", -0.3, -0.5),
)  # fmt: skip

# Each names the motif and how it feels.
_OPENINGS = (
    "Look at that {motif}, so {adjective}",
    "All eyes on the {motif}: {adjective}, {adjective2}",
    "Start with the {motif}, {adjective} as it is",
    "That {motif} is simply {adjective}",
    "It is the {motif} we keep coming back to, {adjective} and {adjective2}",
    "The {motif} says it all, and it is {adjective}",
    "You will notice the {motif} first, {adjective} and {adjective2}",
    "We can't stop thinking of the {motif}, so {adjective}",
    "This one is about the {motif}: pure {noun}",
    "See the {motif}? That is {noun}",
    "Forget the rest and watch the {motif}, {adjective} through and through",
    "Our whole week looks like that {motif}: {adjective}, {adjective2}",
)
_FEELINGS = (
    "It feels {adjective}, almost {adjective2}",
    "{adjective}, that is the only word for it",
    "What a {adjective}, {adjective2} day",
    "Nothing here but {noun} and {noun2}",
    "There is {noun} in every corner",
    "It made us {action}",
    "The mood around here is {adjective}",
    "So {adjective} that we had to {action}",
    "Honestly, it leaves us {adjective} and a little {adjective2}",
    "Call it {noun}, call it {noun2}",
    "Everything about today is {adjective}",
    "It is a {adjective} kind of {noun}",
    "You may {action} too",
    "From morning to evening it stays {adjective}",
    "Mostly {noun}, with some {noun2} on the side",
)

_ITEMS: dict[str, tuple[str, ...]] = {
    "fashion": (
        "linen jacket", "denim skirt", "wool coat", "leather belt", "silk scarf",
        "pleated dress", "canvas tote", "cotton shirt", "wide trousers", "knitted vest",
    ),
    "beauty": (
        "face serum", "lip tint", "hand cream", "clay mask", "brow pencil",
        "hair oil", "day cream", "eye palette", "cleansing foam", "nail lacquer",
    ),
    "food": (
        "sourdough loaf", "noodle bowl", "tomato soup", "oat cookie", "lunch box",
        "pasta sauce", "granola", "rice salad", "cheese board", "filter coffee",
    ),
    "technology": (
        "laptop stand", "phone case", "desk speaker", "tablet pen", "smart watch",
        "wireless keyboard", "travel charger", "home camera", "reading lamp", "headset",
    ),
    "travel": (
        "weekend bag", "train pass", "mountain cabin", "city guide", "cabin suitcase",
        "harbour tour", "night bus", "hiking map", "beach house", "island ferry",
    ),
    "fitness": (
        "yoga mat", "rowing plan", "running shoe", "kettlebell set", "training band",
        "climbing course", "bike session", "stretching class", "water bottle", "gym pass",
    ),
    "entertainment": (
        "concert ticket", "film festival", "board game", "podcast", "comedy show",
        "record sleeve", "quiz night", "theatre pass", "series finale", "book club",
    ),
    "automotive": (
        "estate car", "roof rack", "floor mat set", "electric van", "winter tyre",
        "city hatchback", "dash camera", "engine oil", "child seat", "charging cable",
    ),
}  # fmt: skip
_FACTS: dict[str, tuple[str, ...]] = {
    "fashion": (
        "The {item} comes in {number} colours and sizes from small to extra large",
        "We cut the {item} in our own workshop near {town}",
        "Pair the {item} with the {item2} or wear it by itself",
        "The pattern was drawn by hand and printed in {town}",
        "Each {item} is sewn from cloth that was left over last season",
        "It washes at thirty degrees and dries on the line",
    ),
    "beauty": (
        "The {item} holds {number} millilitres and has no added perfume",
        "Apply the {item} in the evening after the {item2}",
        "Our lab in {town} tested the {item} for {number} weeks",
        "It comes in a glass jar that you can bring back and have filled again",
        "One small drop of the {item} is enough for the whole face",
        "The list of ingredients is short and printed on the back",
    ),
    "food": (
        "The {item} takes {number} minutes from the shelf to the table",
        "We bake and pack in {town} from Monday to Saturday",
        "Serve the {item} with the {item2} and some bread",
        "The recipe has {number} ingredients and they are all on the label",
        "Each {item} is made to order in our kitchen",
        "Ask at the counter for the menu of the week",
    ),
    "technology": (
        "The {item} charges in {number} minutes and weighs less than the {item2}",
        "It connects to the {item2} over the usual cable or without one",
        "We designed the {item} in {town} and made it easy to open and repair",
        "The update adds {number} settings and a menu that you can rearrange",
        "The {item} works with the phones and computers of the last five years",
        "You will find the manual and the drawings on our page",
    ),
    "travel": (
        "The trip to {town} takes {number} hours and leaves on Friday",
        "Bring the {item} and the {item2} and leave the rest at home",
        "We kept {number} places for the tour around {town}",
        "The {item} can be booked until the end of the month",
        "There is a bus every half hour between the station and {town}",
        "Our guide lists the museums, the markets and the paths along the coast",
    ),
    "fitness": (
        "The plan has {number} sessions of half an hour each",
        "You only need the {item} and a bit of space on the floor",
        "Our coaches in {town} show every exercise step by step",
        "Use the {item} twice a week and the {item2} on the other days",
        "The course runs for {number} weeks and starts on Monday",
        "Keep your back straight and count to ten",
    ),
    "entertainment": (
        "The doors open at {number} past seven at the hall in {town}",
        "The new {item} runs for {number} evenings",
        "There are seats in the stalls and a few in the balcony",
        "Swap your {item} for the {item2} at the desk",
        "The cast is the same as in {town} last year",
        "Part two follows in {number} weeks",
    ),
    "automotive": (
        "The {item} fits all models of the last {number} years",
        "Our garage in {town} mounts the {item} while you wait",
        "It runs {number} hundred kilometres before the next stop",
        "Book a test drive with the {item} and the {item2}",
        "The boot takes two suitcases and a folded bike",
        "We checked {number} points from the brakes to the mirrors",
    ),
}
_ENDINGS = (
    "Link in bio",
    "More about it on our page",
    "Which one would you pick",
    "Tell us what you think below",
    "Save this for later",
    "Made together with {mention}",
    "Photo and styling by {mention}",
    "Available from Thursday in {town} and online",
    "Swipe for the details",
    "Tag someone who should see this",
)
_TOWNS = (
    "Lisbon", "Bergen", "Porto", "Leeds", "Ghent", "Turin", "Austin", "Osaka", "Quito",
    "Graz", "Malmö", "Cork", "Lyon", "Tampere", "Seville", "Kraków", "Denver", "Hobart",
)  # fmt: skip
_MENTIONS = (
    "studio.lina", "north_atelier", "cafe.miro", "tomas.w", "the_daily_frame", "ines.makes",
    "hello.harbour", "oakandco", "two_wheels", "mira.films", "little.press", "juno_lab",
)  # fmt: skip
_NUMBERS = ("two", "three", "four", "five", "six", "eight", "nine", "ten", "twelve", "twenty")

_EMOJI = {
    (True, True): "🎉🔥🤩🥳✨😍",
    (True, False): "😌🌿☕😊💛🍃",
    (False, True): "😱😡⚡💥😠🚨",
    (False, False): "😔🥀💤😞🖤😢",
}
_CATEGORY_TAGS: dict[str, tuple[str, ...]] = {
    "fashion": (
        "fashion", "ootd", "streetstyle", "slowfashion", "lookbook", "wardrobe",
        "madetowear", "denimlove", "capsulewardrobe", "styleinspo", "tailored", "outfit",
    ),
    "beauty": (
        "beauty", "skincare", "makeup", "selfcare", "cleanbeauty", "haircare",
        "beautyroutine", "lipstick", "nailart", "skintips", "facecare", "mua",
    ),
    "food": (
        "food", "foodie", "homemade", "recipe", "bakery", "lunch", "dinnerideas",
        "eatlocal", "coffeetime", "foodphotography", "kitchen", "seasonal",
    ),
    "technology": (
        "tech", "gadgets", "innovation", "workspace", "setup", "smarthome", "design",
        "electronics", "desksetup", "productivity", "newrelease", "hardware",
    ),
    "travel": (
        "travel", "wanderlust", "roadtrip", "weekendaway", "explore", "citybreak",
        "travelgram", "hiking", "bytrain", "coast", "mountains", "travelguide",
    ),
    "fitness": (
        "fitness", "workout", "training", "gym", "running", "yoga", "strength",
        "fitfam", "homeworkout", "mobility", "cardio", "coach",
    ),
    "entertainment": (
        "entertainment", "movies", "livemusic", "theatre", "boardgames", "series",
        "podcast", "comedy", "festival", "nightout", "newmusic", "onstage",
    ),
    "automotive": (
        "cars", "automotive", "roadready", "electriccar", "garage", "drive",
        "carcare", "testdrive", "ontheroad", "engine", "ev", "familycar",
    ),
}  # fmt: skip
_MOOD_TAGS = {
    (True, True): ("goodvibes", "letsgo", "celebrate", "hyped", "party", "energy"),
    (True, False): ("slowliving", "calm", "cosy", "mindful", "peaceful", "gratitude"),
    (False, True): ("chaos", "rant", "stress", "wakeup", "outrage", "drama"),
    (False, False): ("melancholy", "rainyday", "tired", "alone", "mondayblues", "nostalgia"),
}
_COMMON_TAGS = ("instagood", "photooftheday", "new", "inspiration", "ad", "sponsored", "daily")

# By form, in the order of TITLE_FORMS of evoked.posts.synthetic.population.
_TITLES = (
    ("The {adjective} {item}", "Our {item}: {adjective}", "A {adjective} day with the {item}"),
    (
        "Have you seen the {adjective} {item}?",
        "Who needs our {adjective} {item}?",
        "Who else finds the {item} {adjective}?",
    ),
    (
        "{number} reasons for the {adjective} {item}",
        "{number} {adjective} ideas with the {item}",
        "{number} ways to use our {adjective} {item}",
    ),
)

# Standard deviation of graded words around the mood, on the plane of moods.
_WORD_SPREAD = 0.16


def write_caption(
    rng: random.Random, category: str, motif: str, mood: Mood, words: float
) -> Caption:
    """Write a caption.

    Parameters
    ----------
    rng
        Random generator; the same state writes the same caption.
    category
        One of the eight product categories.
    motif
        The motif that the caption names, a key of :data:`MOTIF_NAMES`.
    mood
        The mood of the caption.
    words
        Wanted number of words, met to within half a sentence. A caption always has an opening and
        one more sentence of feeling.
    """
    palette = _Palette(rng, mood)
    name = rng.choice(MOTIF_NAMES[motif])
    sentences = [palette.sentence(rng.choice(_OPENINGS), name)]
    feelings = rng.sample(_FEELINGS, len(_FEELINGS))
    facts = rng.sample(_FACTS[category], len(_FACTS[category]))
    mentions: list[str] = []
    sentences.append(palette.sentence(feelings.pop(), name))
    length = _count_words(sentences)
    while words - length > 4:
        # Facts and feelings alternate; an ending closes the caption.
        if words - length < 8:
            ending = rng.choice(_ENDINGS)
            mention = rng.choice(_MENTIONS)
            if "{mention}" in ending:
                mentions.append(mention)
            sentences.append(ending.format(mention=f"@{mention}", town=rng.choice(_TOWNS)) + ".")
            break
        if len(sentences) % 2 == 0 and facts:
            sentences.append(_fact_sentence(rng, facts.pop(), category))
        elif feelings:
            sentences.append(palette.sentence(feelings.pop(), name))
        else:
            break
        length = _count_words(sentences)
    if rng.random() < 0.45:
        sentences[rng.choice((0, -1))] += " " + "".join(_emoji(rng, mood))
    return Caption(" ".join(sentences), mentions)


def write_title(rng: random.Random, category: str, mood: Mood | None, form: int) -> str:
    """Write a title.

    Parameters
    ----------
    rng
        Random generator; the same state writes the same title.
    category
        One of the eight product categories.
    mood
        The mood of the caption, or None where there is no caption: then the title shows none.
    form
        0 plain, 1 a question, 2 a list.
    """
    adjective = "new" if mood is None else _draw(rng, _Palette(rng, mood).adjectives, 1)[0]
    title = rng.choice(_TITLES[form]).format(
        adjective=adjective, item=rng.choice(_ITEMS[category]), number=rng.choice(_NUMBERS)
    )
    return _with_article(title[0].upper() + title[1:])


def choose_hashtags(rng: random.Random, category: str, mood: Mood, count: int) -> list[str]:
    """``count`` different tags: most of the category, some of the mood, some common ones."""
    pools = [
        (0.6, _CATEGORY_TAGS[category]),
        (0.25, _MOOD_TAGS[_quadrant(mood)]),
        (0.15, _COMMON_TAGS),
    ]
    return _draw(rng, [(weight / len(tags), tag) for weight, tags in pools for tag in tags], count)


def _draw(rng: random.Random, rates: list[tuple[float, str]], count: int) -> list[str]:
    """``count`` different words by weight: the first of exponential arrivals at these rates."""
    arrivals = [(rng.expovariate(rate), word) for rate, word in rates]
    return [word for _, word in nsmallest(count, arrivals)]


def _quadrant(mood: Mood) -> tuple[bool, bool]:
    return mood.valence > 0, mood.arousal > 0


def _count_words(sentences: list[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def _emoji(rng: random.Random, mood: Mood) -> list[str]:
    return rng.choices(_EMOJI[_quadrant(mood)], k=rng.choice((1, 1, 2, 3)))


class _Palette:
    """Graded words near a mood, weighted by a Gaussian kernel around it."""

    def __init__(self, rng: random.Random, mood: Mood) -> None:
        self.rng = rng
        self.mood = mood
        self.adjectives = self._rates(ADJECTIVES)
        self.nouns = self._rates(NOUNS)
        self.actions = self._rates(_ACTIONS)

    def _rates(self, words: Graded) -> list[tuple[float, str]]:
        return [
            (
                math.exp(
                    -((v - self.mood.valence) ** 2 + (a - self.mood.arousal) ** 2)
                    / (2 * _WORD_SPREAD**2)
                )
                + 1e-9,
                word,
            )
            for word, v, a in words
        ]

    def sentence(self, template: str, motif: str) -> str:
        """Fill a template and add punctuation that suits the mood."""
        adjectives = _draw(self.rng, self.adjectives, 2) if "{adjective" in template else ("", "")
        nouns = _draw(self.rng, self.nouns, 2) if "{noun" in template else ("", "")
        action = _draw(self.rng, self.actions, 1)[0] if "{action" in template else ""
        sentence = template.format(
            motif=motif,
            adjective=adjectives[0],
            adjective2=adjectives[1],
            noun=nouns[0],
            noun2=nouns[1],
            action=action,
        )
        sentence = _with_article(sentence[0].upper() + sentence[1:])
        if self.mood.arousal > 0.35 and self.rng.random() < 0.7:
            loud = self.mood.arousal > 0.7 and self.rng.random() < 0.4
            return sentence + ("!!" if loud else "!")
        if self.mood.arousal < -0.5 and self.rng.random() < 0.3:
            return sentence + "…"
        return sentence + "."


def _with_article(sentence: str) -> str:
    """Replace 'a' with 'an' before a vowel."""
    words = sentence.split(" ")
    for position, following in enumerate(words[1:]):
        if words[position] in ("a", "A") and following[0] in "aeiou":
            words[position] += "n"
    return " ".join(words)


def _fact_sentence(rng: random.Random, template: str, category: str) -> str:
    item, item2 = rng.sample(_ITEMS[category], 2)
    return (
        template.format(
            item=item, item2=item2, town=rng.choice(_TOWNS), number=rng.choice(_NUMBERS)
        )
        + "."
    )
