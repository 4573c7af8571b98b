"""Synthetic posts: the published statistics, the planted record, and a truth that both
modalities are needed for."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from evoked.analysis.agreement import krippendorff_alpha
from evoked.analysis.recovery import planted_recovery
from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.posts.emotion_and_rates import (
    correlate,
    emotion_dimensions,
    engagement_rates,
    log_rates,
)
from evoked.posts.importing import import_posts
from evoked.posts.synthetic.captions import MOTIF_NAMES, Mood, write_caption
from evoked.posts.synthetic.images import IMAGE_SIZE, MOTIFS, Motif, draw_picture, motif_box
from evoked.posts.synthetic.network import synthesise_network
from evoked.posts.synthetic.population import (
    CATEGORIES,
    CATEGORY_NAMES,
    PUBLISHED_ALPHA,
    VERSIONS,
    draw_population,
)
from evoked.posts.synthetic.posts import planted_record, synthesise

POSTS = 300


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> PostDataset:
    return synthesise(tmp_path_factory.mktemp("synthetic") / "posts", n=POSTS, seed=1)


@pytest.fixture(scope="module", params=VERSIONS)
def version(request) -> int:
    return request.param


@pytest.fixture(scope="module")
def planted(version) -> dict:
    return planted_record(VERSIONS[version])


@pytest.fixture(scope="module")
def population():
    return draw_population(20_000, np.random.default_rng(5))


def _checksums(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


class TestDestination:
    def test_has_one_writer(self, tmp_path: Path) -> None:
        folder, tried = tmp_path / "posts", []

        def try_another(stage: str, done: int, total: int) -> None:
            source = tmp_path / "posts.csv"
            source.write_text("id,caption\n1,one\n")
            for another in (
                lambda: synthesise(folder, n=5),
                lambda: synthesise_network(folder, scale=0.01),
                lambda: import_posts("csv", source, folder, overwrite=True),
            ):
                with pytest.raises(DataError, match=r"posts: another run of evoked"):
                    another()
                tried.append(done)

        dataset = synthesise(folder, n=5, progress=try_another)
        assert tried == [5, 5, 5]
        named = {name for names in dataset.posts["images"] for name in names}
        assert {path.name for path in dataset.image_folder.iterdir()} == named
        assert sorted(path.name for path in tmp_path.iterdir()) == ["posts", "posts.csv"]

    def test_of_a_network_has_one_writer(self, tmp_path: Path) -> None:
        folder, tried = tmp_path / "posts", []

        def try_another(stage: str, done: int, total: int) -> None:
            if not tried:
                with pytest.raises(DataError, match=r"posts: another run of evoked"):
                    synthesise(folder, n=5)
                tried.append(done)

        dataset = synthesise_network(folder, scale=0.01, progress=try_another)
        assert len(tried) == 1
        assert dataset.describe()["with image"] == len(dataset)
        assert [path.name for path in tmp_path.iterdir()] == ["posts"]


class TestDataset:
    def test_same_seed_same_bytes(self, tmp_path):
        first = synthesise(tmp_path / "a", n=12, seed=3)
        again = synthesise(tmp_path / "b", n=12, seed=3)
        other = synthesise(tmp_path / "c", n=12, seed=4)
        assert _checksums(first.folder) == _checksums(again.folder)
        assert _checksums(first.folder) != _checksums(other.folder)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]

    def test_tables(self, dataset):
        assert dataset.tables == ["posts", "annotations", "activity", "truth"]
        assert len(dataset) == POSTS
        assert len(dataset.table("annotations")) == POSTS * 3 * 2
        assert dataset.posts["post_id"].tolist() == dataset.table("truth")["post_id"].tolist()

    def test_pictures(self, dataset):
        posts = dataset.posts
        named = [name for names in posts["images"] for name in names]
        assert sorted(path.name for path in dataset.image_folder.iterdir()) == sorted(named)
        assert posts["images"].map(len).max() > 1
        picture = cv2.imread(str(dataset.image_folder / named[0]))
        assert picture.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)

    def test_some_modalities_are_missing_but_never_both(self, dataset):
        without_image = dataset.posts["images"].map(len) == 0
        without_caption = dataset.posts["caption"] == ""
        assert 0 < without_image.sum() < 0.06 * POSTS
        assert 0 < without_caption.sum() < 0.06 * POSTS
        assert not (without_image & without_caption).any()

    def test_emotions_are_mean_ratings(self, dataset):
        ratings = dataset.table("annotations")
        assert ratings["rating"].isin(range(1, 10)).all()
        mean = ratings.pivot_table(index="post_id", columns="dimension", values="rating")
        posts = dataset.posts.set_index("post_id").loc[mean.index]
        np.testing.assert_allclose(posts["valence"], mean["valence"] - 5)
        np.testing.assert_allclose(posts["arousal"], mean["arousal"] - 1)

    def test_activity_ends_with_the_posts_counts(self, dataset):
        activity = dataset.table("activity")
        last = activity.groupby("post_id")[["likes", "saves"]].last()
        posts = dataset.posts.set_index("post_id")
        assert (last == posts.loc[last.index, ["likes", "saves"]]).all(axis=None)
        rise = activity.groupby("post_id")["likes"].diff().dropna()
        assert (rise >= 0).all()

    def test_captions_name_the_named_motif_and_no_other(self, dataset):
        captions = dataset.posts["caption"]
        for caption, motif in zip(captions, dataset.table("truth")["named_motif"], strict=True):
            if not caption:
                continue
            said = {
                kind
                for kind, names in MOTIF_NAMES.items()
                if any(
                    f"the {name}" in caption.lower() or f"that {name}" in caption.lower()
                    for name in names
                )
            }
            assert said == {motif}, caption

    def test_author_history(self, dataset):
        posts = dataset.posts.sort_values("posted_at")
        for _, own in posts.groupby("author_id"):
            assert (own["author_posts"].diff().dropna() == 1).all()
            assert own["category"].nunique() == 1
            assert own["followers"].is_monotonic_increasing

    def test_provenance(self, dataset):
        command = dataset.description["provenance"]["command"]
        assert command == "evoked synth DEST --n 300 --seed 1 --version 2"
        assert dataset.description["scales"] == {"valence": [1, 9], "arousal": [1, 9]}

    @pytest.mark.parametrize("n", [1, 2, 9])
    def test_small(self, tmp_path, n):
        heard = []
        made = synthesise(tmp_path / "few", n=n, progress=lambda *state: heard.append(state))
        assert len(made) == n
        assert heard[-1] == ("drawing", n, n)

    def test_refuses_what_it_cannot_make(self, tmp_path):
        with pytest.raises(SettingsError, match="number of posts"):
            synthesise(tmp_path / "none", n=0)
        with pytest.raises(SettingsError, match="seed"):
            synthesise(tmp_path / "none", n=1, seed=-1)
        assert not list(tmp_path.iterdir())


class TestPublishedStatistics:
    def test_category_shares_are_exact(self):
        population = draw_population(10_000, np.random.default_rng(0))
        posts = np.bincount(population.category)
        assert posts.tolist() == [row.posts for row in CATEGORIES.values()]

    @pytest.mark.parametrize("category", CATEGORY_NAMES)
    def test_engagement_spans_the_published_range(self, population, category):
        chosen = population.category == CATEGORY_NAMES.index(category)
        rates = engagement_rates(population.counts, population.followers)[chosen, 4]
        found = 100 * np.quantile(rates, [0.1, 0.9])
        np.testing.assert_allclose(found, CATEGORIES[category].rate_range, rtol=0.15)

    def test_alpha(self, population):
        for dimension, published in PUBLISHED_ALPHA.items():
            alpha = krippendorff_alpha(population.ratings[dimension])
            assert alpha == pytest.approx(published, abs=0.02)

    @pytest.mark.parametrize("category", CATEGORY_NAMES)
    def test_caption_lengths(self, category):
        rng = random.Random(2)
        wanted = CATEGORIES[category].caption_words
        lengths = [
            len(write_caption(rng, category, "kite", Mood(0.3, 0.3), words).text.split())
            for words in np.random.default_rng(0).normal(wanted, 0.28 * wanted, 300)
        ]
        assert np.mean(lengths) == pytest.approx(wanted, rel=0.1)

    def test_hashtags_per_post(self, dataset):
        expected = np.average(
            [row.hashtags for row in CATEGORIES.values()],
            weights=[row.posts for row in CATEGORIES.values()],
        )
        tags = dataset.posts["hashtags"]
        assert tags.map(len).mean() == pytest.approx(expected, abs=0.5)
        assert all(len(set(own)) == len(own) for own in tags)


class TestPlantedRecord:
    @pytest.mark.parametrize("seed", range(12))
    def test_4000_posts_show_every_planted_correlation(self, planted, version, seed):
        population = draw_population(4000, np.random.default_rng(seed), VERSIONS[version])
        categories = np.array(CATEGORY_NAMES)[population.category]
        r, n = correlate(
            emotion_dimensions(*population.annotated()),
            log_rates(population.counts, population.followers, categories),
        )
        expected = [
            [cell["planted"] for cell in row.values()] for row in planted["correlations"].values()
        ]
        assert np.abs(r - expected).max() < 0.05
        assert n.min() > 1500

    def test_lies_near_the_published_table(self, planted, version):
        gaps = [
            abs(cell["planted"] - cell["published"])
            for row in planted["correlations"].values()
            for cell in row.values()
        ]
        # What differs by category and on covers with faces isn't in Table 8.
        assert np.mean(gaps) < {1: 0.05, 2: 0.08}[version]
        assert max(gaps) < {1: 0.16, 2: 0.21}[version]

    def test_recovery(self, dataset):
        table = planted_recovery(dataset)
        assert table.groupby("analysis").size().to_dict() == {
            "correlation": 25,
            "lift": 3,
            "peak hours": 20,
        }
        peaks = table[(table["analysis"] == "peak hours") & (table["metric"] == "likes")]
        np.testing.assert_allclose(peaks["measured"], peaks["planted"], rtol=0.15)

    def test_recovery_needs_a_record(self, dataset, tmp_path):
        plain = PostDataset.create(tmp_path / "plain", {"posts": dataset.posts[["post_id"]]})
        with pytest.raises(DataError, match="nothing is planted"):
            planted_recovery(plain)


class TestTruth:
    def test_needs_both_modalities(self, population):
        """The interaction of caption and named motif explains what neither explains alone."""
        shown = population.has_image & population.has_caption
        named, words = population.motif_valence[shown, 0], population.caption_valence[shown]
        valence = population.valence[shown]
        ironic = (named < -0.3) & (words > 0.3)
        grim = (named < -0.3) & (words < -0.3)
        # Cheerful words about a gloomy motif raise the valence no more than gloomy ones.
        assert valence[ironic].mean() < -1
        assert abs(valence[ironic].mean() - valence[grim].mean()) < 0.4
        # The other motifs have little effect.
        other = population.motif_valence[shown, 1]
        assert np.corrcoef(valence, named)[0, 1] > 0.75
        assert np.corrcoef(valence, other)[0, 1] < 0.2

    def test_contradiction_stirs(self, population):
        shown = population.has_image & population.has_caption
        congruent = population.congruent[shown]
        arousal = population.arousal[shown]
        assert arousal[~congruent].mean() - arousal[congruent].mean() > 0.8


class TestPictures:
    @staticmethod
    def _inside(motif: Motif) -> np.ndarray:
        """Grey values around the middle of a motif."""
        jitter = np.zeros((1, 2))
        picture = draw_picture([motif], jitter, 0.0, "food", np.random.default_rng(0))
        left, top, right, bottom = motif_box(motif, (0, 0))
        x, y = round((left + right) / 2), round((top + bottom) / 2)
        return picture[y - 15 : y + 5, x - 15 : x + 16].mean(axis=2)

    @pytest.mark.parametrize("kind", MOTIFS)
    def test_mood_shows_in_the_motifs_region(self, kind):
        cheerful, gloomy = (self._inside(Motif(kind, 4, v, -1)) for v in (0.9, -0.9))
        assert cheerful.mean() > gloomy.mean() + 30
        calm, excited = (self._inside(Motif(kind, 4, 0.9, a)) for a in (-0.9, 0.9))
        assert excited.std() > calm.std() + 10

    @pytest.mark.parametrize("place", range(9))
    def test_boxes_lie_within_the_picture(self, place):
        box = motif_box(Motif("sun", place, 0, 1), (9, -9))
        assert min(box) >= 0
        assert max(box) <= IMAGE_SIZE
