"""Hashtag vectors: means, unknown tags, files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evoked.errors import DataError
from evoked.features.hashtags import HashtagVectors

FOOD = [f"food{number}" for number in range(20)]
TRAVEL = [f"travel{number}" for number in range(20)]


def corpus(size: int = 400) -> list[list[str]]:
    random = np.random.default_rng(0)
    topics = [FOOD, TRAVEL]
    return [list(random.choice(topics[i % 2], 4, replace=False)) for i in range(size)]


@pytest.fixture(scope="module")
def trained() -> HashtagVectors:
    return HashtagVectors.fit(corpus(), size=32)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_tags_used_together_lie_together(trained: HashtagVectors) -> None:
    assert set(trained.tags) == {*FOOD, *TRAVEL}
    of = dict(zip(trained.tags, trained.vectors, strict=True))
    within = np.mean([cosine(of[a], of[b]) for a in FOOD for b in FOOD if a != b])
    across = np.mean([cosine(of[a], of[b]) for a in FOOD for b in TRAVEL])
    assert within > across + 0.5


def test_a_post_has_the_mean_of_its_tags(trained: HashtagVectors) -> None:
    of = dict(zip(trained.tags, trained.vectors, strict=True))
    posts = [
        ["food1", "Travel2"],
        ["#FOOD1", "food1", "travel2"],
        [],
        None,
        ["#"],
        np.array(["travel3"]),
    ]
    vectors, present = trained.transform(posts)
    assert vectors.dtype == np.float32
    assert present.tolist() == [True, True, False, False, False, True]
    np.testing.assert_allclose(vectors[0], (of["food1"] + of["travel2"]) / 2, atol=1e-6)
    np.testing.assert_allclose(vectors[1], (2 * of["food1"] + of["travel2"]) / 3, atol=1e-6)
    np.testing.assert_array_equal(vectors[2:5], 0)
    np.testing.assert_allclose(vectors[5], of["travel3"], atol=1e-6)


def test_unknown_tags_follow_their_spelling() -> None:
    known = HashtagVectors(("pizza", "beach"), np.eye(2, dtype=np.float32))
    vectors, present = known.transform([["pizzalover"], ["mybeach"], ["海"]])
    assert present.all()
    np.testing.assert_allclose(vectors[0], [1, 0], atol=1e-6)
    np.testing.assert_allclose(vectors[1], [0, 1], atol=1e-6)
    np.testing.assert_allclose(vectors[2], [0.5, 0.5], atol=1e-6)


def test_shared_ngrams_are_averaged() -> None:
    # "<abc>" and "<abd>" share the n-gram "<ab" alone, of those that "<abx>" has.
    known = HashtagVectors(("abc", "abd"), np.array([[1, 0], [0, 1]], dtype=np.float32))
    np.testing.assert_allclose(known.transform([["abx"]])[0][0], [0.5, 0.5])


@pytest.mark.parametrize("tags", [[], [None], [[]], [["a"]], [["#Sun"], ["sun", "sea"]]])
def test_tiny_corpora(tags: list) -> None:
    trained = HashtagVectors.fit(tags)
    vectors, present = trained.transform([["#sun", "x"], None])
    assert vectors.shape == (2, 300)
    assert np.isfinite(vectors).all()
    assert present.tolist() == [bool(trained.tags), False]
    assert trained.transform([])[0].shape == (0, 300)


def test_same_seed_same_vectors_in_another_process(trained: HashtagVectors) -> None:
    program = (
        "import json, sys; from evoked.features.hashtags import HashtagVectors; "
        "v = HashtagVectors.fit(json.load(sys.stdin), size=32); "
        "print(json.dumps([list(v.tags), v.vectors.tolist()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(corpus()),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    tags, vectors = json.loads(done.stdout)
    assert tuple(tags) == trained.tags
    np.testing.assert_array_equal(np.array(vectors, dtype=np.float32), trained.vectors)


def test_saved_vectors_come_back(trained: HashtagVectors, tmp_path: Path) -> None:
    posts = [["pizza", "unseen"], []]
    for number, vectors in enumerate((trained, HashtagVectors.fit([]))):
        folder = tmp_path / str(number)
        vectors.save(folder)
        loaded = HashtagVectors.load(folder)
        assert loaded.tags == vectors.tags
        np.testing.assert_array_equal(loaded.transform(posts)[0], vectors.transform(posts)[0])


def test_damaged_folders_are_refused(trained: HashtagVectors, tmp_path: Path) -> None:
    trained.save(tmp_path / "tags")
    vocabulary = tmp_path / "tags" / "vocabulary.json"
    state = json.loads(vocabulary.read_text(encoding="utf-8"))
    for damaged in ({**state, "version": 9}, {**state, "tags": ["a"]}, {"tags": []}, []):
        vocabulary.write_text(json.dumps(damaged), encoding="utf-8")
        with pytest.raises(DataError):
            HashtagVectors.load(tmp_path / "tags")
    vocabulary.write_text(json.dumps(state), encoding="utf-8")
    (tmp_path / "tags" / "vectors.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(DataError, match="not hashtag vectors"):
        HashtagVectors.load(tmp_path / "tags")
    with pytest.raises(DataError, match="does not exist"):
        HashtagVectors.load(tmp_path)


def test_word2vec_text(tmp_path: Path, trained: HashtagVectors) -> None:
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(32)
    keyed.add_vectors(list(trained.tags), trained.vectors)
    path = tmp_path / "vectors.txt"
    keyed.save_word2vec_format(str(path))
    read = HashtagVectors.from_word2vec(path)
    assert read.tags == trained.tags
    np.testing.assert_allclose(read.vectors, trained.vectors, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first line"),
        (b"pizza 0.1 0.2\n", "first line"),
        (b"2 999999999\npizza 1 2\n", "vectors of length"),
        (b"1 2\npizza 1\n", "row 2: not a word and 2"),
        (b"2 2\npizza 1 2\nbeach 1 nan\n", "row 3"),
        (b"9 2\n", "no word"),
        (b"\x80\x04\x95\x00\x00", "first line"),
    ],
)
def test_broken_word2vec_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        HashtagVectors.from_word2vec(path)


def test_stems_join_the_forms_of_a_tag_and_are_kept(tmp_path: Path) -> None:
    posts = [["sunset", "beach"], ["sunsets", "running"], ["run", "été"]] * 20
    apart, joined = (
        HashtagVectors.fit(posts, size=8, stemmed=stemmed) for stemmed in (False, True)
    )
    assert {"sunset", "sunsets"} <= set(apart.tags)
    assert set(joined.tags) == {"sunset", "beach", "run", "été"}
    joined.save(tmp_path / "tags")
    for vectors in (joined, HashtagVectors.load(tmp_path / "tags")):
        first, second = vectors.transform([["#Sunset"], ["sunsets"]])[0]
        np.testing.assert_array_equal(first, second)
    first, second = apart.transform([["sunset"], ["sunsets"]])[0]
    assert not np.allclose(first, second)


def test_ngrams_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import HashingVectorizer

    from evoked.features._ngrams import ngram_columns

    words = [
        "<a>",
        "<>",
        "<sunset>",
        "<gøød  vibes>",
        "<日本語タグ>",
        "<😍 x>",
        "<longer_2024>",
        "<aaaa>",
    ]
    vectorizer = HashingVectorizer(
        analyzer="char",
        ngram_range=(3, 5),
        n_features=2**20,
        lowercase=False,
        alternate_sign=False,
        binary=True,
        norm=None,
    )
    expected = vectorizer.transform(words).tocsr()
    expected.sort_indices()
    word, column = ngram_columns(words, (3, 5), 2**20)
    np.testing.assert_array_equal(column, expected.indices)
    np.testing.assert_array_equal(np.bincount(word, minlength=len(words)), np.diff(expected.indptr))
    assert [len(part) for part in ngram_columns([], (3, 5), 8)] == [0, 0]
