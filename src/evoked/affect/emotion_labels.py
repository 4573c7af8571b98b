"""Which of Mikels' eight emotions a comment expresses, from published norms of words.

Bhattacharyya et al. (2024), *HMG-Emo*, Section IV-A, on the labels of IESN: the mean valence,
arousal and dominance of a comment's words by the norms of Warriner et al. (2013), then the nearest
emotion. Neither says where the emotions are in that space; here they are where the norms put their
names ("amusement", "awe" …), so that nothing is chosen by hand. Distances are Euclidean after each
dimension is standardised, for people spread their ratings of valence more widely than the others.

Norms list lemmas: where they lack a word, endings of plurals and verbs are removed from it
("sunsets", "loving"). Negation, irony and languages other than the norms' are not understood.

**These labels are weak.** A mean over several words is near the middle of all words, whose nearest
emotion is awe: with Warriner's norms, 77 % of 8,754 English sentences (EmoBank, two known words or
more) are labelled awe. ``standardise="texts"`` measures instead how far a text is from other texts,
in units of their own spread; then 44 % are labelled awe, and a text's label depends on the texts
that it is read with. Against the emotion nearest to the ratings of people, macro F1 is 0.15 and
0.20, Cohen's kappa 0.12 and 0.13.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError, SettingsError
from evoked.features.captions import prepare
from evoked.files import only_writer, sha256_of_file
from evoked.posts.dataset import PostDataset
from evoked.posts.readers.columns import choose_mapping, normalise
from evoked.posts.readers.csv_file import open_table
from evoked.posts.readers.tabular import read_columns
from evoked.posts.readers.values import without_mentions
from evoked.posts.schema import EMOTIONS, MIKELS

UNKNOWN = "unknown"
MIN_WORDS = 2
"""Fewest words of a text that the norms must know; one alone says little about a sentence."""

Standardise = Literal["norms", "texts"]
Of = Literal["comments", "captions"]

_TEXTS_AT_ONCE = 10_000  # bounds the memory
_WORD = re.compile(r"[^\W\d_]{1,100}(?:['’][^\W\d_]{1,10})?")
_WORD_COLUMNS = ("word", "words", "lemma", "term", "entry", "english", "englishword")
# An ending, what replaces it, and the fewest letters before it.
_ENDINGS = (
    ("ies", "y", 2),
    ("ied", "y", 2),
    ("ing", "e", 3),
    ("ing", "", 3),
    ("ed", "e", 3),
    ("ed", "", 3),
    ("es", "e", 3),
    ("es", "", 3),
    ("s", "", 3),
)


@dataclass(frozen=True)
class WordNorms:
    """Words with their mean ratings.

    Attributes
    ----------
    file
        The file that they were read from.
    places
        Row in ``ratings`` of each word, in lower case.
    ratings
        float64, (W, 3): valence, arousal and dominance on the file's own scale.
    """

    file: Path
    places: Mapping[str, int]
    ratings: NDArray[np.float64]

    @cached_property
    def emotions(self) -> NDArray[np.float64]:
        """The ratings of the emotions' names, (8, 3), in the order of
        :data:`evoked.posts.schema.MIKELS`.

        Raises
        ------
        DataError
            The norms lack one of the names.
        """
        missing = [name for name in MIKELS if name not in self.places]
        if missing:
            raise DataError(
                f"the norms lack the word {', '.join(missing)}, so it is unknown where the "
                f"emotion lies.",
                file=self.file,
                fix="Add the word with its ratings, or use norms that have it.",
            )
        return self.ratings[[self.places[name] for name in MIKELS]]

    def place(self, word: str) -> int:
        """Row of a word, or of the lemma that remains without the ending of a plural or verb; -1
        if the norms have neither."""
        word = re.sub("['’]s$", "", word)
        if word in self.places:
            return self.places[word]
        for ending, replacement, least in _ENDINGS:
            stem = word.removesuffix(ending)
            if stem == word or len(stem) < least or word.endswith("ss"):
                continue
            doubled = not replacement and len(stem) > least and stem[-1] == stem[-2]
            for lemma in (stem + replacement, *([stem[:-1]] if doubled else [])):
                if lemma in self.places:
                    return self.places[lemma]
        return -1


@dataclass(frozen=True)
class Labelling:
    """The result of :func:`label_dataset`.

    Attributes
    ----------
    dataset
        The copy with the labels.
    counts
        Number of rows by the emotion that was read.
    unknown
        Number of texts with too few words that the norms know.
    without_text, kept
        Number of rows without a text to read (or with a generated one), and of rows that kept the
        emotion they had.
    """

    dataset: PostDataset
    counts: dict[str, int]
    unknown: int
    without_text: int
    kept: int

    def as_dict(self) -> dict[str, Any]:
        """Everything for programs, ready for JSON."""
        return {**vars(self), "dataset": str(self.dataset.folder)}


def read_norms(path: Path | str) -> WordNorms:
    """Read norms of words from a CSV file with columns for word, valence, arousal and dominance.

    The ratings may be on any scale; Warriner's columns are ``Word``, ``V.Mean.Sum``, ``A.Mean.Sum``
    and ``D.Mean.Sum``. A word that is listed several times gets its mean; rows without a
    word and three numbers are left out.

    Raises
    ------
    DataError
        The file is missing, lacks one of the columns, has fewer than two words, or a dimension on
        which all words are the same.
    """
    path = Path(path)
    table = open_table(path)
    mapping = choose_mapping(table.columns, {})
    word = next((name for name in table.columns if normalise(name) in _WORD_COLUMNS), None)
    missing = [name for name in EMOTIONS if name not in mapping] + ["word"] * (word is None)
    if word is None or missing:
        raise DataError(
            f"no column for {', '.join(missing)}; there are {', '.join(table.columns)}.",
            file=path,
            fix="Name the columns word, valence, arousal and dominance.",
        )
    cells, _ = read_columns(table, [word, *(mapping[name] for name in EMOTIONS)])
    ratings = (
        cells[[mapping[name] for name in EMOTIONS]]
        .apply(pd.to_numeric, errors="coerce")
        .astype("float64")
    )
    ratings = (
        ratings.where(np.isfinite(ratings)).groupby(cells[word].str.strip().str.lower()).mean()
    )
    ratings = ratings[ratings.index != ""].dropna()
    values = ratings.to_numpy(np.float64)
    if len(values) < 2 or (values.std(axis=0) == 0).any():
        raise DataError(
            f"{len(values)} words with three numbers, which have no spread to compare with.",
            file=path,
            fix="Check that the columns hold words and their ratings.",
        )
    return WordNorms(path, {name: row for row, name in enumerate(ratings.index)}, values)


def average_ratings(
    texts: Sequence[str | None], norms: WordNorms
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean valence, arousal and dominance of each text's words.

    Links and accounts are left out, hashtags are read as words, and a word counts as often as it
    occurs.

    Returns
    -------
    (n, 3), NaN where the norms know no word, and how many words they know, (n,).
    """
    sums, counts = np.zeros((len(texts), 3)), np.zeros(len(texts), dtype=np.int64)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = slice(start, start + _TEXTS_AT_ONCE)
        sums[part], counts[part] = _summed_ratings(texts[part], norms)
    with np.errstate(invalid="ignore"):
        return sums / counts[:, None], counts


def _summed_ratings(
    texts: Sequence[str | None], norms: WordNorms
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    plain = [without_mentions(text) if text else "" for text in texts]
    words = [_WORD.findall(text) for text in prepare(plain, steps=("urls", "hashtags", "lower"))]
    said = np.array([word for text in words for word in text], dtype=object)
    codes, vocabulary = pd.factorize(said)
    place = np.array([norms.place(word) for word in vocabulary], dtype=np.int64)[codes]
    text_of = np.repeat(np.arange(len(texts)), [len(text) for text in words])[place >= 0]
    ratings = norms.ratings[place[place >= 0]]
    sums = [np.bincount(text_of, each, minlength=len(texts)) for each in ratings.T]
    return np.stack(sums, axis=1), np.bincount(text_of, minlength=len(texts))


def emotion_labels(
    texts: Sequence[str | None],
    norms: WordNorms,
    *,
    min_words: int = MIN_WORDS,
    standardise: Standardise = "norms",
) -> NDArray[np.object_]:
    """The emotion that each text expresses.

    Parameters
    ----------
    texts
        n comments or captions; None is an empty one.
    norms
        See :func:`read_norms`.
    min_words
        A text with fewer words that the norms know is ``unknown``.
    standardise
        Whose mean and standard deviation a text's ratings are standardised by: ``norms``, those of
        all words in the norms, as for the emotions; ``texts``, those of the texts that are read
        here (with at least ``min_words`` known words).

    Returns
    -------
    (n,): one of Mikels' eight, or ``unknown``.

    Raises
    ------
    DataError
        The norms lack the name of an emotion, or ``standardise`` is ``texts`` and these don't
        differ.
    """
    means, counts = average_ratings(texts, norms)
    known = counts >= max(min_words, 1)
    labels = np.full(len(means), UNKNOWN, dtype=object)
    emotions = _standardised(norms.emotions, norms.ratings)
    if not known.any():
        return labels
    read = means[known]
    reference = norms.ratings if standardise == "norms" else read
    if (reference.std(axis=0) == 0).any():
        raise DataError(
            f"the {len(read)} texts don't differ, so their spread can't distinguish them.",
            fix="Standardise by the norms.",
        )
    distances = _standardised(read, reference)[:, None] - emotions
    labels[known] = np.array(MIKELS, dtype=object)[np.square(distances).sum(axis=2).argmin(axis=1)]
    return labels


def label_dataset(
    dataset: PostDataset,
    norms: WordNorms,
    dest: Path | str,
    *,
    of: Of = "comments",
    replace: bool = False,
    min_words: int = MIN_WORDS,
    standardise: Standardise = "norms",
) -> Labelling:
    """Copy a dataset, with the emotions that its texts express.

    Parameters
    ----------
    dataset
        A dataset with viewings, or with captions.
    norms
        See :func:`read_norms`.
    dest
        A folder beside the dataset; an existing one is an error.
    of
        ``comments`` sets the emotion of viewings, ``captions`` that of posts. Comments that a
        model wrote are not read: the model was given the emotion.
    replace
        Replace every emotion by what is read, even where no emotion can be read. Otherwise,
        emotions that are known stay.
    min_words, standardise
        See :func:`emotion_labels`; what is unknown stays empty.

    Raises
    ------
    DataError
        No text to read; ``dest`` exists, lies in the dataset or is being written by another
        process; the norms lack an emotion's name.
    SettingsError
        ``of`` is neither of the two.
    """
    if of not in ("comments", "captions"):
        raise SettingsError(f"labels can be read from comments or captions, not from {of!r}.")
    dataset.check_apart(dest)
    name, column = ("viewings", "comment") if of == "comments" else ("posts", "caption")
    table = dataset.table(name).copy()
    texts = table[column].where(table[column].fillna("").str.strip().ne(""))
    if of == "comments":
        texts = texts.mask(table["generated"].eq(True))
    if not texts.notna().any():
        raise DataError(
            f"no {of} to read in its {len(table)} {name}.",
            file=dataset.folder,
            fix="Read the posts' captions with --of captions." if of == "comments" else None,
        )
    labels = np.full(len(table), UNKNOWN, dtype=object)
    present = texts.notna().to_numpy()
    labels[present] = emotion_labels(
        texts[present].tolist(), norms, min_words=min_words, standardise=standardise
    )
    kept = np.zeros(len(table), bool) if replace else table["emotion"].notna().to_numpy()
    read = pd.Series(labels, dtype=object, index=table.index).replace(UNKNOWN, None)
    table["emotion"] = table["emotion"].astype(object).where(kept, read)
    counts = pd.Series(labels[~kept & present]).value_counts()
    settings = {
        "of": of,
        "norms": norms.file.name,
        "norms_sha256": sha256_of_file(norms.file),
        "min_words": min_words,
        "standardise": standardise,
        "replace": replace,
    }
    with only_writer(Path(dest)):
        labelled = dataset.copy(dest, {name: table}, extra={"emotion labels": settings})
    return Labelling(
        labelled,
        counts={emotion: int(counts.get(emotion, 0)) for emotion in MIKELS},
        unknown=int(counts.get(UNKNOWN, 0)),
        without_text=int((~present & ~kept).sum()),
        kept=int(kept.sum()),
    )


def _standardised(
    values: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    return (values - reference.mean(axis=0)) / reference.std(axis=0)
