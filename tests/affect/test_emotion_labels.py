"""Emotions read from comments by the norms of words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from evoked.affect.emotion_labels import (
    UNKNOWN,
    WordNorms,
    average_ratings,
    emotion_labels,
    label_dataset,
    read_norms,
)
from evoked.cli.application import app
from evoked.errors import DataError
from evoked.files import only_writer
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import MIKELS
from tests.support.examples import tamper_with_names

# Valence, arousal and dominance on a 9-point scale.
EMOTION_PLACES = {
    "amusement": (7, 5, 6),
    "awe": (7, 4, 4),
    "contentment": (7, 2, 6),
    "excitement": (8, 8, 6),
    "anger": (2, 7, 6),
    "disgust": (3, 5, 4),
    "fear": (2, 7, 2),
    "sadness": (2, 2, 3),
}
WORDS = {
    **EMOTION_PLACES,
    "sky": (7, 4, 4),
    "love": (8, 6, 6),
    "sunset": (8, 3, 5),
    "dog": (6, 5, 6),
    "car": (5, 5, 5),
    "care": (7, 3, 6),
    "stop": (4, 4, 5),
    "storm": (3, 7, 2),
}


def norms_of(words: dict[str, tuple[float, float, float]]) -> WordNorms:
    places = {word: row for row, word in enumerate(words)}
    return WordNorms(Path("norms.csv"), places, np.array(list(words.values()), dtype=float))


NORMS = norms_of(WORDS)


def norms_file(folder: Path, words: dict[str, tuple[float, float, float]] = WORDS) -> Path:
    path = folder / "norms.csv"
    rows = [f"{word},{v},{a},{d}" for word, (v, a, d) in words.items()]
    path.write_text("\n".join(["Word,V.Mean.Sum,A.Mean.Sum,D.Mean.Sum", *rows]))
    return path


@pytest.fixture(scope="session")
def warriner(shared_data: Path) -> WordNorms:
    return read_norms(shared_data / "warriner" / "vad_norms.csv")


class TestNorms:
    def test_warriner(self, warriner: WordNorms) -> None:
        frame = pd.read_csv(warriner.file, keep_default_na=False)
        words = frame["Word"].str.strip().str.lower()
        assert len(warriner.places) == words[words != ""].nunique()  # one row has no word
        assert warriner.emotions[MIKELS.index("awe")].tolist() == [6.85, 3.83, 5.85]
        assert warriner.ratings.min() >= 1
        assert warriner.ratings.max() <= 9

    def test_any_names_of_columns_scale_and_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "lexicon.txt"
        rows = [f"{word}\t{v / 9}\t{a / 9}\t{d / 9}" for word, (v, a, d) in WORDS.items()]
        path.write_text("\n".join(["\ufeffTerm\tValence\tArousal\tDominance", *rows]))
        labels = emotion_labels(["the storm in the sky"], read_norms(path))
        assert labels.tolist() == emotion_labels(["the storm in the sky"], NORMS).tolist()

    def test_broken_rows_are_left_out_and_repeated_words_averaged(self, tmp_path: Path) -> None:
        path = norms_file(tmp_path, {"up": (7, 6, 5), "Down": (3, 2, 1)})
        with path.open("a") as stream:
            stream.write("\nUP,9,8,7\nbad,x,2,3\nshort,1\n,4,4,4\nendless,inf,1,1\n")
        norms = read_norms(path)
        assert dict(norms.places) == {"down": 0, "up": 1}
        assert norms.ratings.tolist() == [[3, 2, 1], [8, 7, 6]]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "no header"),
            ("a,b\n1,2\n", "no column for valence, arousal, dominance, word"),
            ("word,valence,arousal,dominance\n", "0 words"),
            ("word,valence,arousal,dominance\na,1,1,1\nb,1,2,3\n", "no spread"),
        ],
    )
    def test_what_is_not_norms_is_refused(self, tmp_path: Path, text: str, problem: str) -> None:
        path = tmp_path / "norms.csv"
        path.write_text(text)
        with pytest.raises(DataError, match=problem):
            read_norms(path)

    def test_a_missing_emotion_is_named(self) -> None:
        words = {word: places for word, places in WORDS.items() if word != "awe"}
        with pytest.raises(DataError, match=r"lack the word awe, .*Add the word"):
            emotion_labels(["sky and storm"], norms_of(words))

    @pytest.mark.parametrize(
        ("word", "lemma"),
        [
            ("sky", "sky"),
            ("skies", "sky"),
            ("dogs", "dog"),
            ("dog's", "dog"),
            ("loving", "love"),
            ("loved", "love"),
            ("loves", "love"),
            ("storming", "storm"),
            ("stopped", "stop"),
            ("stopping", "stop"),
            ("caring", "care"),
            ("cars", "car"),
            ("this", None),
            ("cares", "care"),
            ("carss", None),
            ("ing", None),
            ("s", None),
        ],
    )
    def test_endings(self, word: str, lemma: str | None) -> None:
        assert NORMS.place(word) == (-1 if lemma is None else NORMS.places[lemma])


class TestLabels:
    def test_by_hand(self) -> None:
        means, counts = average_ratings(
            ["Loved the SUNSET, loved it!", "#DogStorm @sky http://sky.com/sky", "", None], NORMS
        )
        assert counts.tolist() == [3, 2, 0, 0]
        assert means[0].tolist() == pytest.approx([8, 5, 17 / 3])
        assert means[1].tolist() == [4.5, 6, 4]
        assert np.isnan(means[2:]).all()

    def test_nearest_after_standardising(self) -> None:
        texts = ["sky sunset love", "storm and storm", "car car dog", "dogs, stop!"]
        means, _ = average_ratings(texts, NORMS)
        values = np.array(list(WORDS.values()), dtype=float)
        emotions = np.array([EMOTION_PLACES[name] for name in MIKELS], dtype=float)
        for text, mean, label in zip(texts, means, emotion_labels(texts, NORMS), strict=True):
            distances = [sum(((mean - place) / values.std(axis=0)) ** 2) for place in emotions]
            assert label == MIKELS[int(np.argmin(distances))], text

    @pytest.mark.parametrize("emotion", MIKELS)
    def test_a_name_is_read_as_its_own_emotion(self, emotion: str, warriner: WordNorms) -> None:
        assert emotion_labels([f"{emotion}, {emotion}!"], warriner).tolist() == [emotion]

    def test_too_few_words(self) -> None:
        texts = ["Sky!", "wow", "", None, "sky sky"]
        assert emotion_labels(texts, NORMS).tolist() == [UNKNOWN] * 4 + ["awe"]
        assert emotion_labels(texts, NORMS, min_words=1).tolist() == [
            "awe",
            UNKNOWN,
            UNKNOWN,
            UNKNOWN,
            "awe",
        ]
        assert emotion_labels([], NORMS).tolist() == []

    def test_texts_as_the_reference(self) -> None:
        texts = ["sunset love", "sky sky", "dog car", "storm stop", "car"]
        means, counts = average_ratings(texts, NORMS)
        read = means[counts >= 2]
        values = np.array(list(WORDS.values()), dtype=float)
        names = np.array([EMOTION_PLACES[name] for name in MIKELS], dtype=float)
        places = (names - values.mean(axis=0)) / values.std(axis=0)
        scores = (read - read.mean(axis=0)) / read.std(axis=0)
        nearest = [MIKELS[int(((places - score) ** 2).sum(axis=1).argmin())] for score in scores]
        found = emotion_labels(texts, NORMS, standardise="texts").tolist()
        assert found == [*nearest, UNKNOWN]

    def test_texts_that_do_not_differ_tell_no_spread(self) -> None:
        with pytest.raises(DataError, match="don't differ"):
            emotion_labels(["sky sky", "sky sky"], NORMS, standardise="texts")

    @given(st.lists(st.text() | st.none(), max_size=5), st.integers(1, 3))
    def test_any_text_gets_a_label_of_its_own(
        self, texts: list[str | None], min_words: int
    ) -> None:
        texts = [*texts, "sky and storm"]
        together = emotion_labels(texts, NORMS, min_words=min_words).tolist()
        alone = [emotion_labels([text], NORMS, min_words=min_words)[0] for text in texts]
        assert together == alone
        assert set(together) <= {*MIKELS, UNKNOWN}

    @given(st.permutations(["sky", "storm", "dogs", "love", "car"]), st.floats(0.1, 10))
    def test_order_and_scale_do_not_matter(self, words: list[str], scale: float) -> None:
        scaled = WordNorms(NORMS.file, NORMS.places, NORMS.ratings * scale - 3)
        text = " ".join(words)
        assert (
            emotion_labels([text], scaled).tolist()
            == emotion_labels(["sky storm dogs love car"], NORMS).tolist()
        )

    def test_emobank_is_read_better_by_the_spread_of_the_texts(
        self, shared_data: Path, warriner: WordNorms
    ) -> None:
        """The figures in the module's text; the reference is the emotion nearest to ratings."""
        from sklearn.metrics import cohen_kappa_score, f1_score

        rated = pd.read_csv(shared_data / "emobank" / "emobank.csv").dropna(subset=["text"])
        scores = rated[["V", "A", "D"]].to_numpy()
        scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
        places = (warriner.emotions - warriner.ratings.mean(axis=0)) / warriner.ratings.std(axis=0)
        nearest = np.square(scores[:, None] - places).sum(axis=2).argmin(axis=1)
        truth = np.array(MIKELS, dtype=object)[nearest]
        for reference, awe, macro_f1, kappa in (
            ("norms", 0.77, 0.15, 0.12),
            ("texts", 0.44, 0.20, 0.13),
        ):
            found = emotion_labels(rated["text"].tolist(), warriner, standardise=reference)
            known = found != UNKNOWN
            assert (found[known] == "awe").mean() == pytest.approx(awe, abs=0.015)
            score = f1_score(truth[known], found[known], average="macro")
            assert score == pytest.approx(macro_f1, abs=0.01)
            agreement = cohen_kappa_score(truth[known], found[known])
            assert agreement == pytest.approx(kappa, abs=0.01)


@pytest.fixture
def network(tmp_path: Path) -> PostDataset:
    viewings = pd.DataFrame(
        {
            "user_id": list("abcdef"),
            "post_id": ["p", "p", "p", "q", "q", "q"],
            "comment": ["storm storm", "sky, sky", None, "Nice", " ", "sky sky"],
            "emotion": [None, "sadness", "anger", None, None, None],
            "generated": [None, False, None, None, None, True],
        }
    )
    posts = pd.DataFrame({"post_id": ["p", "q"], "caption": ["love love #sunset", None]})
    return PostDataset.create(
        tmp_path / "network", {"posts": posts, "viewings": viewings}, provenance={"format": "test"}
    )


class TestDataset:
    def test_fills_what_is_empty_and_keeps_what_is_there(
        self, network: PostDataset, tmp_path: Path
    ) -> None:
        found = label_dataset(network, read_norms(norms_file(tmp_path)), tmp_path / "out")
        emotions = found.dataset.table("viewings")["emotion"]
        assert emotions.dropna().to_dict() == {0: "fear", 1: "sadness", 2: "anger"}
        assert {name: count for name, count in found.counts.items() if count} == {"fear": 1}
        assert (found.unknown, found.without_text, found.kept) == (1, 2, 2)
        assert found.dataset.posts.equals(network.posts)
        assert found.dataset.description["provenance"] == {"format": "test"}
        assert found.dataset.description["emotion labels"]["norms"] == "norms.csv"

    def test_replace_leaves_no_other_labels(self, network: PostDataset, tmp_path: Path) -> None:
        norms = read_norms(norms_file(tmp_path))
        found = label_dataset(network, norms, tmp_path / "out", replace=True)
        emotions = found.dataset.table("viewings")["emotion"]
        assert emotions.dropna().to_dict() == {0: "fear", 1: "awe"}
        assert (found.unknown, found.without_text, found.kept) == (1, 3, 0)

    def test_captions_label_posts(self, network: PostDataset, tmp_path: Path) -> None:
        norms = read_norms(norms_file(tmp_path))
        found = label_dataset(network, norms, tmp_path / "out", of="captions")
        posts = found.dataset.posts
        assert posts["emotion"].notna().tolist() == [True, False]
        assert found.dataset.table("viewings").equals(network.table("viewings"))
        with pytest.raises(DataError, match="exists already"):
            label_dataset(network, norms, tmp_path / "out")

    def test_a_destination_has_one_writer(self, network: PostDataset, tmp_path: Path) -> None:
        norms = read_norms(norms_file(tmp_path))
        with only_writer(tmp_path / "out"), pytest.raises(DataError, match="out: another run"):
            label_dataset(network, norms, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_nothing_to_read(self, network: PostDataset, tmp_path: Path) -> None:
        silent = network.table("viewings").assign(comment=None)
        folder = tmp_path / "silent"
        dataset = PostDataset.create(folder, {"posts": network.posts, "viewings": silent})
        with pytest.raises(DataError, match="--of captions"):
            label_dataset(dataset, NORMS, tmp_path / "out")

    def test_command(self, network: PostDataset, tmp_path: Path) -> None:
        arguments = ["label", str(network.folder), "--norms", str(norms_file(tmp_path))]
        shown = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "one")])
        assert shown.exit_code == 0
        assert "fear" in shown.output
        printed = CliRunner().invoke(
            app, [*arguments, "--out", str(tmp_path / "two"), "--replace", "--json"]
        )
        assert json.loads(printed.output)["counts"]["awe"] == 1

    @pytest.mark.parametrize("of", ["captions", "comments"])
    def test_names_of_pictures_write_no_files_elsewhere(
        self, of: str, network: PostDataset, tmp_path: Path
    ) -> None:
        (tmp_path / "profile").write_text("theirs")
        mine = tmp_path / "home/profile"
        mine.parent.mkdir()
        mine.write_text("mine")
        norms = norms_file(tmp_path)
        tamper_with_names(network.folder, ["../../profile"])
        arguments = ["label", str(network.folder), "--norms", str(norms), "--of", of, "--replace"]
        shown = CliRunner().invoke(app, [*arguments, "--out", str(mine.parent / "out")])
        assert isinstance(shown.exception, DataError)
        assert "posts.parquet" in str(shown.exception)
        assert mine.read_text() == "mine"
        assert [path.name for path in mine.parent.iterdir()] == ["profile"]

    def test_captions_of_real_posts(self, shared_data: Path, tmp_path: Path) -> None:
        from evoked.posts.importing import import_posts

        source = shared_data / "instagram_likers" / "posts.jsonl"
        dataset = import_posts(
            "jsonl", source, tmp_path / "posts", mapping={"post_id": "post"}
        ).dataset
        norms = read_norms(shared_data / "warriner" / "vad_norms.csv")
        found = label_dataset(dataset, norms, tmp_path / "out", of="captions")
        emotions = found.dataset.posts["emotion"]
        assert emotions.notna().sum() == sum(found.counts.values()) > 4000
        assert sum(found.counts.values()) + found.unknown + found.without_text == 4999
