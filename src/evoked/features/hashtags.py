"""The feature ``hashtags.vector``: the mean of a post's tag vectors (ABMF, Section 3.2).

The vectors come from Word2Vec trained on the training posts' tags, or from a word2vec text file.
A tag without a vector gets one from its spelling, in the manner of fastText: each of its character
n-grams stands for the mean vector of the known tags that share it, and the tag gets their mean.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy import sparse

from evoked.errors import DataError
from evoked.features.captions import stem
from evoked.files import atomic_folder, read_object, write_json, write_safetensors

Vectors = NDArray[np.float32]

_VERSION = 1
_WEIGHTS_FILE = "vectors.safetensors"
_VOCABULARY_FILE = "vocabulary.json"
# Only the commonest tags are kept: 60 MB of vectors.
_MAX_TAGS = 50_000
_MAX_TAG_CHARACTERS = 100
_MAX_FILE_TAGS = 200_000
_MAX_SIZE = 4096
# Longest line of a word2vec file: a word and 4096 numbers.
_MAX_LINE = 128 * 1024
# Instagram allows a post as many tags.
_WINDOW = 30
# Small corpora are read more often, large ones less: about this many tags in all.
_TRAINING_TAGS = 300_000
_EPOCHS = (3, 100)
_NGRAMS = (3, 5)
# N-grams are hashed into this many columns, few enough to share one, and no table of them is kept.
_NGRAM_COLUMNS = 2**20


@dataclass(frozen=True, eq=False)
class HashtagVectors:
    """Vectors of known tags; made by :meth:`fit`, :meth:`from_word2vec` or :meth:`load`.

    Attributes
    ----------
    tags
        Known tags in lower case without ``#``, possibly none.
    vectors
        float32, (tags, size).
    stemmed
        Whether tags are read by Porter's stems.
    """

    tags: tuple[str, ...]
    vectors: Vectors
    stemmed: bool = False

    @classmethod
    def fit(
        cls,
        tags: Iterable[Sequence[str] | None],
        size: int = 300,
        seed: int = 0,
        stemmed: bool = False,
    ) -> Self:
        """Train Word2Vec (skip-gram, Mikolov et al. 2013) on the tags of the training posts.

        All tags of a post are each other's context. Training runs on one thread, so that the same
        tags in the same order and the same seed give the same vectors.

        Parameters
        ----------
        tags
            Tags of each post, with or without ``#``; None or empty for a post without.
        size
            Length of a vector.
        seed
            Random seed for the initial vectors and for sampling.
        stemmed
            Read tags by Porter's stems: sunset and sunsets are one (ABMF Table 3).
        """
        documents = [document for document in _documents(tags, stemmed) if document]
        if not documents:
            return cls((), np.zeros((0, size), dtype=np.float32), stemmed)
        # gensim takes a second to import, and most commands don't train tags.
        from gensim.models import Word2Vec

        number = sum(map(len, documents))
        model = Word2Vec(
            documents,
            vector_size=size,
            window=_WINDOW,
            shrink_windows=False,
            # A tag used once in a large corpus says nothing that its spelling doesn't.
            min_count=2 if number > 10 * _MAX_TAGS else 1,
            max_final_vocab=_MAX_TAGS,
            sg=1,
            # Twice the usual rate predicts held-out tags of real posts better in the same epochs.
            alpha=0.05,
            sample=0,  # made for words such as "the"; it would drop most of a few hundred tags
            epochs=int(np.clip(_TRAINING_TAGS // number, *_EPOCHS)),
            seed=seed,
            workers=1,
        )
        # What all tags have in common distinguishes none of them, and outweighs what does.
        vectors = model.wv.vectors - model.wv.vectors.mean(axis=0)
        return cls(tuple(model.wv.index_to_key), vectors.astype(np.float32), stemmed)

    @classmethod
    def from_word2vec(cls, path: Path | str, stemmed: bool = False) -> Self:
        """Read vectors in word2vec's text format: a line "number size", then "word v1 v2 …".

        The first 200,000 words are read, which by convention are the commonest.

        Raises
        ------
        DataError
            The file is missing or not in this format; the message names the line.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError("the file does not exist.", file=path)
        with path.open("rb") as stream:
            number, size = _header(stream.readline(_MAX_LINE), path)
            known: dict[str, Vectors] = {}
            lines = iter(lambda: stream.readline(_MAX_LINE), b"")
            for row, line in enumerate(islice(lines, min(number, _MAX_FILE_TAGS)), start=2):
                word, vector = _word_vector(line, size, path, row)
                known.setdefault(_read(word, stemmed), vector)
        known.pop("", None)
        if not known:
            raise DataError("it holds no words.", file=path)
        return cls(tuple(known), np.stack(list(known.values())), stemmed)

    @property
    def size(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def transform(self, tags: Iterable[Sequence[str] | None]) -> tuple[Vectors, NDArray[np.bool_]]:
        """Mean vector of each post's tags.

        Parameters
        ----------
        tags
            Tags of n posts, as in :meth:`fit`.

        Returns
        -------
        vectors, present
            float32, (n, size), and bool, (n,): zeros and False for a post without tags, and for
            every post if no tag has a vector.
        """
        documents = list(_documents(tags, self.stemmed))
        lengths = np.fromiter(map(len, documents), dtype=np.int64, count=len(documents))
        if not self.tags:
            blank = np.zeros((len(documents), self.size), dtype=np.float32)
            return blank, np.zeros(len(documents), dtype=bool)
        position: dict[str, int] = {}
        columns = [position.setdefault(tag, len(position)) for tag in chain(*documents)]
        shares = np.repeat(1 / np.maximum(lengths, 1), lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        means = sparse.csr_matrix(
            (shares, columns, starts), shape=(len(documents), len(position)), dtype=np.float32
        )
        return means @ self._vectors_of(list(position)), lengths > 0

    def save(self, folder: Path | str) -> None:
        """Write safetensors and a JSON vocabulary into a folder of their own."""
        with atomic_folder(folder) as temporary:
            vectors = np.ascontiguousarray(self.vectors)
            write_safetensors(temporary / _WEIGHTS_FILE, {"vectors": vectors})
            vocabulary: dict[str, Any] = {"version": _VERSION, "tags": list(self.tags)}
            vocabulary |= {"stemmed": True} if self.stemmed else {}
            write_json(temporary / _VOCABULARY_FILE, vocabulary)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The folder doesn't hold hashtag vectors, or holds another version of them.
        """
        folder = Path(folder)
        state = read_object(folder / _VOCABULARY_FILE)
        try:
            version, tags = state["version"], tuple(map(str, state["tags"]))
            vectors = load_file(folder / _WEIGHTS_FILE)["vectors"]
        except (KeyError, TypeError, OSError, SafetensorError) as error:
            raise DataError(f"not hashtag vectors ({error!r}).", file=folder) from error
        if version != _VERSION:
            raise DataError(f"version {version!r}; this release reads {_VERSION}.", file=folder)
        if vectors.ndim != 2 or len(vectors) != len(tags) or vectors.dtype != np.float32:
            raise DataError(
                f"{len(tags)} tags do not fit vectors {vectors.dtype} {vectors.shape}.",
                file=folder,
            )
        return cls(tags, vectors, state.get("stemmed") is True)

    def _vectors_of(self, tags: list[str]) -> Vectors:
        """Vectors of distinct tags, known or not; (tags, size)."""
        known = {tag: row for row, tag in enumerate(self.tags)}
        rows = np.array([known.get(tag, -1) for tag in tags], dtype=np.int64)
        vectors = self.vectors[rows] if len(rows) else np.zeros((0, self.size), dtype=np.float32)
        strange = np.flatnonzero(rows < 0)
        if len(strange):
            vectors[strange] = self._from_spelling([tags[row] for row in strange])
        return vectors

    @cached_property
    def _spelling(self) -> tuple[sparse.csr_matrix, Vectors]:
        """N-grams of the known tags, and the number of tags that share each."""
        ngrams = _ngrams(self.tags)
        return ngrams, np.asarray(ngrams.sum(axis=0)).ravel()

    def _from_spelling(self, tags: list[str]) -> Vectors:
        """Vectors of unknown tags; the mean of all where no n-gram is shared with a known one."""
        ours, sharing = self._spelling
        theirs = _ngrams(tags)
        theirs = theirs.multiply(sharing > 0).tocsr()
        theirs.eliminate_zeros()
        number = np.diff(theirs.indptr)
        per_ngram = sparse.diags_array(1 / np.maximum(sharing, 1)).tocsr()
        weights = (theirs @ per_ngram @ ours.T).tocsr()
        vectors = (weights @ self.vectors) / np.maximum(number, 1)[:, None]
        vectors[number == 0] = self.vectors.mean(axis=0)
        return np.asarray(vectors, dtype=np.float32)


def _documents(tags: Iterable[Sequence[str] | None], stemmed: bool) -> Iterator[list[str]]:
    """Normalised tags of each post, or their stems."""
    seen: dict[str, str] = {}
    for post in tags:
        known = post if isinstance(post, list | tuple | np.ndarray) else ()
        names = [seen.get(tag) or seen.setdefault(tag, _read(tag, stemmed)) for tag in known]
        yield [name for name in names if name]


def _read(tag: str, stemmed: bool) -> str:
    return stem(_normalised(tag)) if stemmed else _normalised(tag)


def _normalised(tag: str) -> str:
    """Lower case, one form per character, no ``#``, bounded."""
    text = unicodedata.normalize("NFKC", str(tag)[:_MAX_TAG_CHARACTERS])
    return text.encode("utf-8", "ignore").decode("utf-8").strip("# \t\r\n\x00").lower()


def _ngrams(tags: Sequence[str]) -> sparse.csr_matrix:
    """Which n-grams each tag contains, with its ends marked; 0 and 1, (tags, columns)."""
    # scikit-learn takes a second to import, and only unknown tags need it.
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer="char",
        ngram_range=_NGRAMS,
        n_features=_NGRAM_COLUMNS,
        lowercase=False,
        alternate_sign=False,
        binary=True,
        norm=None,
        dtype=np.float32,
    )
    return vectorizer.transform(f"<{tag}>" for tag in tags).tocsr()


def _header(line: bytes, path: Path) -> tuple[int, int]:
    """Number of words and length of a vector."""
    words = line.split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        raise DataError(
            "the first line of word2vec text is the number of words and the length of a vector.",
            file=path,
            row=1,
            fix="Add that line if the file comes from GloVe; binary files are not read.",
        )
    number, size = map(int, words)
    if not 1 <= size <= _MAX_SIZE:
        raise DataError(f"vectors of length {size}; 1 to {_MAX_SIZE} are read.", file=path, row=1)
    return number, size


def _word_vector(line: bytes, size: int, path: Path, row: int) -> tuple[str, Vectors]:
    word, *values = line.rstrip(b" \r\n").split(b" ")
    try:
        vector = np.array(values, dtype=np.float32)
    except ValueError:
        vector = np.empty(0, dtype=np.float32)
    if len(vector) != size or not np.isfinite(vector).all():
        raise DataError(f"not a word and {size} finite numbers.", file=path, row=row)
    return word.decode("utf-8", "replace"), vector
