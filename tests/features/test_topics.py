"""Topics of captions: learned from training posts alone, the same each time, safe to load."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import LatentDirichletAllocation

from evoked.errors import DataError
from evoked.features.topics import Topics, _counts, _documents

WORDS = (
    ["beach", "sunset", "ocean", "waves", "sand", "surf", "coast", "island"],
    ["pasta", "recipe", "dinner", "tomato", "oven", "cheese", "sauce", "kitchen"],
    ["marathon", "training", "gym", "muscle", "runner", "sprint", "coach", "stretch"],
)


@pytest.fixture(scope="module")
def captions() -> list[str | None]:
    """240 captions about one of three things each."""
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS[row % 3], 8)) for row in range(240)]


@pytest.fixture(scope="module")
def topics(captions: list[str | None]) -> Topics:
    return Topics.fit(captions, topics=6)


def test_captions_about_the_same_thing_share_topics(
    topics: Topics, captions: list[str | None]
) -> None:
    shares, present = topics.transform(captions)
    assert present.all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    by_subject = np.stack([shares[subject::3].mean(axis=0) for subject in range(3)])
    likeness = by_subject @ by_subject.T
    own = np.diag(likeness)
    assert (likeness < 0.3 * own[:, None]).sum() == 6


def test_shares_are_those_of_the_fitted_estimator(captions: list[str | None]) -> None:
    """What is rebuilt from saved weights infers as scikit-learn's own estimator does."""
    topics = Topics.fit(captions, topics=4)
    counts = _counts(list(_documents(captions)), topics.words)
    model = LatentDirichletAllocation(
        4, learning_method="online", batch_size=64, max_iter=5, random_state=0, n_jobs=1
    ).fit(counts)
    np.testing.assert_allclose(topics.weights, model.components_, rtol=1e-5)
    np.testing.assert_allclose(topics.transform(captions)[0], model.transform(counts), atol=1e-4)


def test_saved_topics_are_the_same(
    topics: Topics, captions: list[str | None], tmp_path: Path
) -> None:
    topics.save(tmp_path / "topics")
    loaded = Topics.load(tmp_path / "topics")
    np.testing.assert_array_equal(loaded.transform(captions)[0], topics.transform(captions)[0])
    assert {path.suffix for path in (tmp_path / "topics").iterdir()} == {".json", ".safetensors"}
    again = Topics.fit(captions, topics=6)
    np.testing.assert_array_equal(again.weights, topics.weights)


def test_vocabulary_is_that_of_training(topics: Topics) -> None:
    assert "volcano" not in topics.words
    shares, present = topics.transform(["volcano lava", "beach volcano", "", None])
    assert present.tolist() == [False, True, False, False]
    np.testing.assert_array_equal(shares[1], topics.transform(["beach"])[0][0])
    assert not shares[[0, 2, 3]].any()


def test_a_caption_does_not_depend_on_the_others(
    topics: Topics, captions: list[str | None]
) -> None:
    alone = topics.transform([captions[7]])[0][0]
    np.testing.assert_allclose(alone, topics.transform(captions)[0][7], atol=1e-6)


def test_few_captions_make_few_topics(captions: list[str | None]) -> None:
    few = Topics.fit(captions[:45])
    assert few.size == 4
    assert "4 topics in place of 400" in str(few.note)
    assert Topics.fit(captions, topics=24).note is None


@pytest.mark.parametrize(
    "captions", [[], [None, ""], ["🎉"], ["the and"], ["same"] * 30, ["a"] * 5]
)
def test_hardly_any_words(captions: list[str | None]) -> None:
    topics = Topics.fit(captions)
    shares, present = topics.transform([*captions, "beach"])
    assert shares.shape == (len(captions) + 1, topics.size)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), present.astype(float), atol=1e-5)


def test_common_and_function_words_are_left_out() -> None:
    captions = [f"the beach with {word} today" for word in ("surf", "sand") for _ in range(10)]
    assert Topics.fit(captions).words == ("sand", "surf")


def test_damaged_folders_are_named(topics: Topics, tmp_path: Path) -> None:
    folder = tmp_path / "topics"
    topics.save(folder)
    state = json.loads((folder / "vocabulary.json").read_text())
    (folder / "vocabulary.json").write_text(json.dumps({**state, "words": state["words"][:-1]}))
    with pytest.raises(DataError, match="do not fit"):
        Topics.load(folder)
    (folder / "vocabulary.json").write_text(json.dumps({**state, "version": 99}))
    with pytest.raises(DataError, match="version 99"):
        Topics.load(folder)
    (folder / "topics.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="not topics"):
        Topics.load(folder)


def test_topics_of_a_caption_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import LatentDirichletAllocation

    from evoked.features.captions import stems

    captions = [
        f"sunny beach day {number % 7} " + ("mountain snow ski" if number % 2 else "city music")
        for number in range(80)
    ]
    topics = Topics.fit(captions, 20)
    model = LatentDirichletAllocation(topics.size)
    weights = topics.weights.astype(np.float64)
    model.components_, model.exp_dirichlet_component_ = weights, topics.expected
    model.doc_topic_prior_, model.n_features_in_ = 1 / topics.size, len(topics.words)
    asked = ["beach beach snow", "city music in the mountain snow", captions[3]]
    counts = [[words.count(each) for each in topics.words] for words in stems(asked)]
    found, present = topics.transform(asked)
    assert present.all()
    np.testing.assert_allclose(
        found, model.transform(np.array(counts, dtype=np.float64)), atol=1e-6
    )
