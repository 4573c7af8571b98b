"""The feature ``topics``: what a caption is about (Zhang et al. 2018, Section III-C).

Latent Dirichlet Allocation (Blei, Ng and Jordan 2003), learned online (Hoffman, Blei and Bach 2010)
on the captions of the training posts: 400 topics in the paper. The words are stems of prepared
captions, so that hashtags and the names of emoji count as words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy import sparse

from evoked.errors import DataError
from evoked.features.captions import stems
from evoked.files import atomic_folder, read_object, write_json, write_safetensors

_VERSION = 1
_WEIGHTS_FILE = "topics.safetensors"
_VOCABULARY_FILE = "vocabulary.json"
_BATCH = 2048  # most documents (sized for millions of them)
# Topics are learned from one batch to the next: a small corpus is divided into at least so many.
_BATCHES = 16
_LEAST_BATCH = 64
_MAX_WORDS = 20_000
# A stem in a larger share of the captions says nothing about a topic.
_COMMON = 0.5
# Nor does a stem in fewer than two captions, or in a smaller share of them.
_RARE = 0.001
# Captions per topic: fewer can't distinguish so many topics.
_DOCUMENTS_PER_TOPIC = 10
# Small corpora are read more often, large ones less: about this many captions in all.
_TRAINING_DOCUMENTS = 20_000
_PASSES = (1, 5)


@dataclass(frozen=True, eq=False)
class Topics:
    """Topics of captions; made by :meth:`fit` or :meth:`load`.

    Attributes
    ----------
    words
        The vocabulary: stems, possibly none.
    weights
        float32, (topics, words): pseudo-count of each word in each topic.
    wanted
        Number of topics that were asked for; there are fewer if there are few captions.
    """

    words: tuple[str, ...]
    weights: NDArray[np.float32]
    wanted: int

    @classmethod
    def fit(cls, captions: Sequence[str | None], topics: int = 400, seed: int = 0) -> Self:
        """Learn vocabulary and topics from the captions of the training posts.

        The same captions in the same order and the same seed give the same topics.

        Parameters
        ----------
        captions
            A caption per post; None or empty for a post without one.
        topics
            Most topics: there is one per ten captions, and at least two.
        seed
            Random seed for the initial topics.
        """
        documents = [words for words in _documents(captions) if words]
        vocabulary = _vocabulary(documents)
        number = int(np.clip(len(documents) // _DOCUMENTS_PER_TOPIC, 2, max(topics, 2)))
        if not vocabulary:
            return cls((), np.zeros((number, 0), dtype=np.float32), topics)
        counts = _counts(documents, vocabulary)
        counts = counts[np.diff(counts.indptr) > 0]
        model = _allocation(
            number,
            seed,
            batch=int(np.clip(len(documents) // _BATCHES, _LEAST_BATCH, _BATCH)),
            passes=int(np.clip(_TRAINING_DOCUMENTS // len(documents), *_PASSES)),
        )
        model.fit(counts)
        return cls(vocabulary, model.components_.astype(np.float32), topics)

    @property
    def size(self) -> int:
        """Number of topics."""
        return int(self.weights.shape[0])

    @property
    def note(self) -> str | None:
        """What a person should know about these topics."""
        if self.size >= self.wanted:
            return None
        return (
            f"{self.size} topics in place of {self.wanted}: the training posts have too few "
            f"captions for more (one topic per {_DOCUMENTS_PER_TOPIC})."
        )

    def transform(
        self, captions: Sequence[str | None]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Share of each topic in each caption.

        Parameters
        ----------
        captions
            Captions of n posts, as in :meth:`fit`.

        Returns
        -------
        shares, present
            float32, (n, topics), rows that sum to one, and bool, (n,): zeros and False for a post
            without a known word.
        """
        shares = np.zeros((len(captions), self.size), dtype=np.float32)
        present = np.zeros(len(captions), dtype=bool)
        if not self.words:
            return shares, present
        for start in range(0, len(captions), _BATCH):
            rows = slice(start, start + _BATCH)
            counts = _counts(list(_documents(captions[rows])), self.words)
            known = np.diff(counts.indptr) > 0
            present[rows] = known
            if known.any():
                shares[rows][known] = self._inference.transform(counts[known])
        return shares, present

    def top_words(self, topic: int, number: int = 10) -> list[str]:
        """The commonest stems of a topic, the commonest first."""
        order = np.argsort(-self.weights[topic], kind="stable")
        return [self.words[word] for word in order[:number]]

    def save(self, folder: Path | str) -> None:
        """Write safetensors and a JSON vocabulary into a folder of their own."""
        with atomic_folder(folder) as temporary:
            weights = np.ascontiguousarray(self.weights)
            write_safetensors(temporary / _WEIGHTS_FILE, {"weights": weights})
            state = {"version": _VERSION, "wanted": self.wanted, "words": list(self.words)}
            write_json(temporary / _VOCABULARY_FILE, state)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The folder doesn't hold topics, or holds another version of them.
        """
        folder = Path(folder)
        state = read_object(folder / _VOCABULARY_FILE)
        try:
            version, words = state["version"], tuple(map(str, state["words"]))
            wanted = int(state["wanted"])
            weights = load_file(folder / _WEIGHTS_FILE)["weights"]
        except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
            raise DataError(f"not topics of captions ({error!r}).", file=folder) from error
        if version != _VERSION:
            raise DataError(f"version {version!r}; this release reads {_VERSION}.", file=folder)
        fits = weights.ndim == 2 and weights.shape[1] == len(words) and weights.dtype == np.float32
        if not fits or not (weights > 0).all():
            raise DataError(
                f"{len(words)} words do not fit weights {weights.dtype} {weights.shape}, or these "
                "are not positive.",
                file=folder,
            )
        return cls(words, weights, wanted)

    @cached_property
    def _inference(self) -> Any:
        """scikit-learn's estimator, in the state that fitting leaves it in."""
        from scipy.special import digamma

        model = _allocation(self.size, seed=0, batch=_BATCH, passes=1)
        weights = self.weights.astype(np.float64)
        model.components_ = weights
        # exp E[log β], β being a topic's distribution over words.
        expected = digamma(weights) - digamma(weights.sum(axis=1))[:, None]
        model.exp_dirichlet_component_ = np.exp(expected)
        model.doc_topic_prior_ = 1 / self.size
        model.n_features_in_ = len(self.words)
        return model


def _allocation(topics: int, seed: int, batch: int, passes: int) -> Any:
    # scikit-learn takes a second to import, and most models don't read topics.
    from sklearn.decomposition import LatentDirichletAllocation

    return LatentDirichletAllocation(
        topics,
        learning_method="online",
        batch_size=batch,
        max_iter=passes,
        random_state=seed,
        n_jobs=1,
    )


def _documents(captions: Sequence[str | None]) -> Iterator[list[str]]:
    """Stems of each caption."""
    for start in range(0, len(captions), _BATCH):
        yield from stems(list(captions[start : start + _BATCH]))


def _vocabulary(documents: list[list[str]]) -> tuple[str, ...]:
    """The stems that most documents use, without those that say nothing about a topic; with them
    if nothing would be left."""
    # Imports scikit-learn, see _allocation.
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    used = Counter(chain.from_iterable(set(words) for words in documents))
    least, most = max(_RARE * len(documents), 2), max(_COMMON * len(documents), 1)
    function_words = set(chain.from_iterable(stems(sorted(ENGLISH_STOP_WORDS))))
    useful = {
        word: number
        for word, number in used.items()
        if least <= number <= most and len(word) > 1 and word not in function_words
    }
    ranked = sorted((useful or used).items(), key=lambda item: (-item[1], item[0]))
    return tuple(word for word, _ in ranked[:_MAX_WORDS])


def _counts(documents: list[list[str]], vocabulary: Sequence[str]) -> sparse.csr_matrix:
    """Count of each word in each document, (documents, words)."""
    position = {word: column for column, word in enumerate(vocabulary)}
    columns = [[position[word] for word in words if word in position] for words in documents]
    lengths = [len(found) for found in columns]
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    flat = np.fromiter(chain.from_iterable(columns), dtype=np.int64, count=int(starts[-1]))
    shape = (len(documents), len(vocabulary))
    counts = sparse.csr_matrix((np.ones(len(flat)), flat, starts), shape=shape)
    counts.sum_duplicates()
    return counts
