"""What captions have: length, opening, questions, hashtags, mentions, emoji, words and topics."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.analysis.popular_words import emoji_name, is_function_word
from evoked.analysis.works.traits import Surroundings, Trait, fewest_posts, trait
from evoked.features.captions import part_emoji, prepare
from evoked.features.phrases import phrases

LENGTH, HASHTAGS = "length of the caption", "number of hashtags"

_MOST = {"word": 40, "phrase": 15, "hashtag": 25, "emoji": 10, "mention": 8}
_MOST_TOPICS = 8
# Captions per topic.
_PER_TOPIC = 25
_NAME_WORDS = 3
_STARTS = 4

_HASHTAG = re.compile(r"[#＃](\w{1,200})")
_MENTION = re.compile(r"@([\w.]{1,64})")
_QUESTION = re.compile(r"[?？؟]|[¿]")
_DIGIT = re.compile(r"\d")
_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True)
class Read:
    """What stands in one caption.

    Attributes
    ----------
    text
        The caption, as it was written.
    words
        Its words in reading order, in lower case, without hashtags, mentions and addresses;
        where scripts don't set words apart, its phrases.
    hashtags, mentions, emoji
        Different ones, without signs, in lower case.
    """

    text: str
    words: list[str]
    hashtags: frozenset[str]
    mentions: frozenset[str]
    emoji: frozenset[str]

    @classmethod
    def of(cls, text: str, hashtags: Sequence[str], mentions: Sequence[str]) -> Read:
        """Read a caption, and the hashtags and mentions that some sources keep apart from it."""
        (plain,) = prepare([text], steps=["urls", "lower"])
        named = {*_HASHTAG.findall(plain), *(tag.lower() for tag in hashtags)}
        called = {name.strip(".").lower() for name in (*_MENTION.findall(plain), *mentions) if name}
        plain, symbols = part_emoji(_MENTION.sub(" ", _HASHTAG.sub(" ", plain)))
        pieces = (_EDGES.sub("", plain[start:end]) for start, end in phrases(plain))
        return cls(
            text.strip(),
            [piece for piece in pieces if piece],
            frozenset(named),
            frozenset(called),
            frozenset(symbols),
        )


def read_captions(posts: pd.DataFrame) -> list[Read]:
    """Read the captions of n posts; titles where there are no captions."""
    texts = posts["caption"].where(posts["caption"].notna(), posts["title"]).fillna("")
    return [
        Read.of(text, tags, names)
        for text, tags, names in zip(texts, posts["hashtags"], posts["mentions"], strict=True)
    ]


def caption_traits(read: Sequence[Read], seed: int = 0) -> Iterator[Trait]:
    """Everything that n captions have; nothing where all are empty.

    Parameters
    ----------
    read
        From :func:`read_captions`.
    seed
        Random seed of the topics.
    """
    if any(each.text for each in read):
        yield from _manner(read)
        yield from _counted(read)
        yield from _topics(read, seed)


def caption_surroundings(read: Sequence[Read]) -> Iterator[Surroundings]:
    """Length of n captions and number of their hashtags, as logarithms."""
    for name, amount in ((LENGTH, _characters), (HASHTAGS, _number_of_hashtags)):
        yield Surroundings(name, np.log1p([amount(each) for each in read])[:, None])


def _characters(read: Read) -> float:
    return float(len(read.text))


def _number_of_hashtags(read: Read) -> float:
    return float(len(read.hashtags))


def _first_line(read: Read) -> str:
    return read.text.partition("\n")[0]


def _manner(read: Sequence[Read]) -> Iterator[Trait]:
    """How captions are written."""
    written = np.array([bool(each.text) for each in read])
    yield trait("caption", "without a caption", ~written, LENGTH)
    yield from _thirds("length", "caption", [_characters(each) for each in read], written)
    first_lines = [float(len(_first_line(each))) for each in read]
    several = np.array(["\n" in each.text for each in read])
    yield from _thirds("opening", "first line", first_lines, several)
    yes: dict[str, tuple[str, Callable[[Read], object]]] = {
        "with a question": ("question", lambda each: _QUESTION.search(each.text)),
        "that open with a question": (
            "opening",
            lambda each: _QUESTION.search(_first_line(each)[:120]),
        ),
        "that open with an emoji": ("opening", lambda each: part_emoji(each.text[:2])[1]),
        "that open with a number": ("opening", lambda each: _DIGIT.match(each.text)),
        "with an exclamation mark": ("caption", lambda each: "!" in each.text or "！" in each.text),
        "with several lines": ("caption", lambda each: "\n" in each.text),
        "with emoji": ("emoji", lambda each: each.emoji),
        "with four emoji or more": ("emoji", lambda each: len(each.emoji) >= 4),
        "that mention an account": ("mention", lambda each: each.mentions),
    }
    for phrase, (kind, has) in yes.items():
        yield trait(kind, phrase, [bool(has(each)) for each in read], known=written)
    numbers = np.array([_number_of_hashtags(each) for each in read])
    yield trait("hashtags", "with hashtags", numbers > 0, HASHTAGS)
    for least in (3, 6, 11):
        yield trait("hashtags", f"with {least} hashtags or more", numbers >= least, HASHTAGS)


def _thirds(
    kind: str, what: str, lengths: Sequence[float], known: NDArray[np.bool_]
) -> Iterator[Trait]:
    """The lowest and the highest third of a length, its ends rounded to what people say."""
    values = np.asarray(lengths, np.float64)
    if not known.any():
        return
    low, high = (_round(end) for end in np.quantile(values[known], [1 / 3, 2 / 3]))
    short, long = f"whose {what} is under {low:,}", f"whose {what} is {high:,}"
    yield trait(kind, f"{short} characters long", values < low, LENGTH, known=known)
    yield trait(kind, f"{long} characters or longer", values >= high, LENGTH, known=known)


def _round(value: float) -> int:
    """To ten below two hundred, to fifty above."""
    step = 10 if value < 200 else 50
    return max(step, round(value / step) * step)


def _counted(read: Sequence[Read]) -> Iterator[Trait]:
    """Single hashtags, mentions, emoji, words and phrases, the commonest of each."""
    kinds: dict[str, tuple[str, list[frozenset[str]]]] = {
        "hashtag": ("with #{}", [each.hashtags for each in read]),
        "mention": ("that mention @{}", [each.mentions for each in read]),
        "emoji": ("with {}", [each.emoji for each in read]),
        "word": ("with the word “{}”", [_words(each) for each in read]),
        "phrase": ("with the words “{}”", [_phrases(each) for each in read]),
    }
    for kind, (phrase, found) in kinds.items():
        counts = Counter(thing for each in found for thing in each)
        least = fewest_posts(len(read))
        common = sorted(
            (thing for thing, number in counts.items() if number >= least),
            key=lambda thing: (-counts[thing], thing),
        )
        for thing in common[: _MOST[kind]]:
            name = f"{thing} ({emoji_name(thing)})" if kind == "emoji" else thing
            yield trait(kind, phrase.format(name), [thing in each for each in found])


def _words(read: Read) -> frozenset[str]:
    return frozenset(word for word in read.words if not _is_function(word))


def _phrases(read: Read) -> frozenset[str]:
    """Two or three words in a row that neither begin nor end with a function word."""
    rows = [*pairwise(read.words), *zip(read.words, read.words[1:], read.words[2:], strict=False)]
    return frozenset(
        " ".join(row) for row in rows if not (_is_function(row[0]) or _is_function(row[-1]))
    )


def _is_function(word: str) -> bool:
    """As :func:`is_function_word`, and "here's" is what "here" is."""
    return is_function_word(word.replace("’", "'").partition("'")[0])


def _topics(read: Sequence[Read], seed: int) -> Iterator[Trait]:
    """Groups of captions that share words, named by those that set each apart.

    Captions are vectors of their words' frequencies, weighted by rarity; K-means finds groups.
    """
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    said = [sorted(_words(each) | each.hashtags) for each in read]
    written = np.array([len(words) > 0 for words in said])
    number = min(_MOST_TOPICS, int(written.sum()) // _PER_TOPIC)
    if number < 2:
        return
    weigh = TfidfVectorizer(analyzer=lambda words: words, min_df=3, max_df=0.5, sublinear_tf=True)
    documents = [words for words, some in zip(said, written, strict=True) if some]
    try:
        vectors = weigh.fit_transform(documents)
    except ValueError:  # no word is in three captions and not in half of them
        return
    labels = KMeans(number, n_init=_STARTS, random_state=seed).fit_predict(vectors)
    words = weigh.get_feature_names_out()
    overall = np.asarray(vectors.mean(axis=0)).ravel()
    for topic in np.unique(labels):  # some are empty where captions are alike
        own = np.asarray(vectors[labels == topic].mean(axis=0)).ravel()
        first = np.argsort(overall - own, kind="stable")[:_NAME_WORDS]
        name = ", ".join(words[word] for word in first if own[word] > overall[word])
        has = np.zeros(len(read), bool)
        has[written] = labels == topic
        if name:
            yield trait("topic", f"about “{name}”", has, known=written)
