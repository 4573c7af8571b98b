"""Versions of synthetic posts: the first stays as it was, and the second has what it plants."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from evoked.analysis.interactions import interaction_models, likability_bands, popular_posts
from evoked.analysis.positions import best_positions
from evoked.analysis.sharing import PUBLISHED_FACES, cover_faces
from evoked.errors import SettingsError
from evoked.features.encoders.faces import BuiltinFaces
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import ENGAGEMENT
from evoked.posts.synthetic.images import SKINS, Face, Motif, draw_picture
from evoked.posts.synthetic.population import (
    CATEGORY_NAMES,
    FACE_SHARE,
    HOUR_GAIN,
    TITLE_EFFECTS,
    TITLE_FORMS,
    VERSIONS,
    Planted,
    Population,
    draw_population,
)
from evoked.posts.synthetic.posts import planted_record, synthesise

EVERYTHING = Planted()
POSTS = 20_000
# Of 40 posts of the first version, and the mean light of their covers.
DIGEST = "d671b8487255384d77298e2aee6d70c5236244d01ccfa1c89ad955ef7ba716ce"
LIGHT = 139.54


def drawn(planted: Planted = EVERYTHING, n: int = POSTS, **settings: float) -> Population:
    return draw_population(n, np.random.default_rng(6), planted, **settings)


@pytest.fixture(scope="module")
def population() -> Population:
    return drawn()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return synthesise(tmp_path_factory.mktemp("versions") / "posts", n=250, seed=2)


def without(name: str) -> Planted:
    return EVERYTHING._replace(**{name: False})


class TestFirstVersion:
    def test_stays_as_it_was(self, tmp_path: Path) -> None:
        made = synthesise(tmp_path / "posts", n=40, seed=11, version=1)
        posts, truth = made.posts, made.table("truth")
        columns = ["author_id", "caption", "followers", "author_posts", *ENGAGEMENT]
        content = {name: posts[name].tolist() for name in columns}
        content |= {name: [list(row) for row in posts[name]] for name in ("hashtags", "images")}
        content["posted_at"] = [str(date) for date in posts["posted_at"]]
        content["rating"] = made.table("annotations")["rating"].tolist()
        content["saved"] = made.table("activity")["saves"].tolist()
        content["motifs"] = [list(row) for row in truth["motifs"]]
        written = json.dumps(content, ensure_ascii=False).encode()
        assert hashlib.sha256(written).hexdigest() == DIGEST
        paths = [path for path in made.cover_paths() if path is not None]
        light = [np.asarray(cv2.imread(str(path))).mean() for path in paths]
        assert np.mean(light) == pytest.approx(LIGHT, abs=0.3)
        assert posts[["title", "views", "reach"]].isna().all(axis=None)
        assert set(truth.columns).isdisjoint({"face", "best_hour", "title_form", "share_shift"})

    def test_has_the_moods_ratings_and_pictures_of_the_second(self, population: Population) -> None:
        first = drawn(VERSIONS[1])
        for name in ("valence", "arousal", "motif_kind", "motif_place", "caption_arousal"):
            np.testing.assert_array_equal(getattr(first, name), getattr(population, name))
        for dimension in first.ratings:
            np.testing.assert_array_equal(first.ratings[dimension], population.ratings[dimension])


class TestSettings:
    def test_the_record_says_how_to_make_them_again(self, tmp_path: Path) -> None:
        made = synthesise(tmp_path / "posts", n=6, version=2, without=["hours"], posts_per_author=3)
        provenance = made.description["provenance"]
        assert provenance["generator_version"] == 2
        assert provenance["command"].endswith("--version 2 --without hours --posts-per-author 3")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"version": 3}, "versions are 1, 2, not 3"),
            ({"without": ["weather"]}, "plants exposure, titles.*not 'weather'"),
            ({"version": 1, "without": ["faces"]}, "nothing that can be left out"),
            ({"posts_per_author": 0.5}, "1 or more"),
        ],
    )
    def test_refuses_what_it_cannot_make(
        self, tmp_path: Path, settings: dict, message: str
    ) -> None:
        with pytest.raises(SettingsError, match=message):
            synthesise(tmp_path / "posts", n=2, **settings)
        assert not list(tmp_path.iterdir())

    def test_posts_per_author(self) -> None:
        few, many = (drawn(n=4000, posts_per_author=size) for size in (200, 10))
        assert len(few.authors.effect) == pytest.approx(20, abs=4)
        assert len(many.authors.effect) == pytest.approx(400, abs=8)

    @pytest.mark.parametrize("name", [*Planted._fields])
    def test_what_is_left_out_leaves_no_trace(self, tmp_path: Path, name: str) -> None:
        """No column and no record of it, and all others."""
        made = synthesise(tmp_path / "posts", n=12, without=[name])
        posts, truth = made.posts, set(made.table("truth").columns)
        record = made.description["planted"]
        traces = {
            "exposure": posts["views"].notna().any() or posts["reach"].notna().any(),
            "titles": posts["title"].notna().any() or "title_form" in truth,
            "faces": "face" in truth or "face_share" in record,
            "interaction": "share_shift" in truth or "sharing" in record,
            "categories": "best_moods" in record,
            "hours": "best_hour" in truth or "hour_gain" in record,
        }
        gone = {"faces", "interaction"} if name == "faces" else {name}
        assert traces == {each: each not in gone for each in Planted._fields}


class TestExposure:
    def test_nobody_likes_what_they_have_not_seen(self, population: Population) -> None:
        assert (population.reach >= population.counts.max(axis=1)).all()
        assert (population.views >= population.reach).all()
        assert np.median(population.reach / population.followers) == pytest.approx(0.35, abs=0.03)

    def test_goes_with_engagement(self, population: Population) -> None:
        reach = np.log(population.reach / population.followers)
        rates = np.log(np.exp(population.log_rates).sum(axis=1))
        assert 0.5 < np.corrcoef(reach, rates)[0, 1] < 0.95

    def test_is_in_the_posts(self, dataset: PostDataset) -> None:
        posts = dataset.posts
        assert (posts["views"] >= posts["reach"]).all()
        assert (posts["reach"] >= posts["likes"]).all()


class TestTitles:
    @staticmethod
    def effects(views: np.ndarray, reach: np.ndarray, form: np.ndarray) -> np.ndarray:
        """What each form of title does to log views per person reached, beside plain ones."""
        ratio = np.log(views / reach)
        means = np.array([ratio[form == place].mean() for place in range(len(TITLE_FORMS))])
        return means - means[0]

    def test_their_form_raises_views(self, population: Population) -> None:
        found = self.effects(population.views, population.reach, population.title_form)
        np.testing.assert_allclose(found, TITLE_EFFECTS, atol=0.02)

    def test_the_form_can_be_read(self, dataset: PostDataset) -> None:
        titles, form = dataset.posts["title"], dataset.table("truth")["title_form"]
        np.testing.assert_array_equal(titles.str.endswith("?"), form == "question")
        numbers = titles.str.contains(r"^(?:Two|Three|Four|Five|Six|Eight|Nine|Ten|Tw\w+) ")
        np.testing.assert_array_equal(numbers, form == "list")
        read = np.where(titles.str.endswith("?"), 1, np.where(numbers, 2, 0))
        views, reach = (dataset.posts[name].to_numpy(float) for name in ("views", "reach"))
        found = self.effects(views, reach, read)
        np.testing.assert_allclose(found, TITLE_EFFECTS, atol=0.06)

    def test_a_post_without_a_caption_has_a_title_without_a_mood(
        self, dataset: PostDataset
    ) -> None:
        posts = dataset.posts
        without_caption = posts["caption"] == ""
        assert without_caption.any()
        said = posts["title"].str.contains(r"\bnew\b")
        np.testing.assert_array_equal(said, without_caption)

    def test_left_out_they_do_nothing(self) -> None:
        plain = drawn(without("titles"))
        assert not plain.title_form.any()


class TestFaces:
    def test_have_the_published_share(self, population: Population) -> None:
        assert FACE_SHARE == PUBLISHED_FACES
        covers = population.has_image
        assert population.face[covers].mean() == pytest.approx(PUBLISHED_FACES, abs=0.003)
        assert not population.face[~covers].any()

    def test_are_found_where_they_are(self, dataset: PostDataset) -> None:
        """By the detector that analyses use; without faces it takes 0.9 % of covers for one."""
        found, truth = cover_faces(dataset), dataset.table("truth")["face"].to_numpy()
        assert truth.sum() > 14
        assert (found[truth] == 1).all()
        assert np.nanmean(found[~truth]) < 0.03
        assert np.nanmean(found) == pytest.approx(PUBLISHED_FACES, abs=0.025)

    @pytest.mark.parametrize("tone", range(SKINS))
    @pytest.mark.parametrize("place", range(9))
    def test_show_whether_they_smile(self, tone: int, place: int) -> None:
        motifs = [Motif("sun", (place + 4) % 9, 0.5, 0.5)]
        smiles = [-0.9, 0.9]
        pictures = [
            draw_picture(
                motifs,
                np.zeros((1, 2)),
                0.0,
                "food",
                np.random.default_rng(3),
                Face(place, smile, tone),
            )
            for smile in smiles
        ]
        affect = BuiltinFaces().encode(np.stack(pictures))
        assert (affect[:, 3] == 1).all()
        assert affect[1, 2] > affect[0, 2] + 0.1

    def test_leave_the_rest_of_the_picture_alone(self) -> None:
        motifs = [Motif("kite", 0, -0.5, 0.5)]
        jitter = np.zeros((1, 2))
        plain, faced = (
            draw_picture(motifs, jitter, 0.2, "food", np.random.default_rng(3), face)
            for face in (None, Face(4, 0.5, 1))
        )
        changed = np.argwhere((plain != faced).any(axis=2))
        assert len(changed)
        assert (changed.min(axis=0) >= [98, 110]).all()
        assert (changed.max(axis=0) <= [204, 211]).all()

    def test_left_out_none_are_drawn(self) -> None:
        assert not drawn(without("faces")).face.any()


class TestInteraction:
    """EIJL's Eq. 1 on the posts, by the paper's model."""

    @staticmethod
    def products(population: Population) -> pd.DataFrame:
        likes, shares = (
            population.counts[:, ENGAGEMENT.index(name)] for name in ("likes", "shares")
        )
        variables = pd.DataFrame(
            {
                "text emotion": population.text_level,
                "image emotion": population.face,
                "likability": likability_bands(likes),
            }
        )
        found = interaction_models(variables, popular_posts(shares)[0]).terms
        chosen = found[(found["design"] == "Eq. 1") & (found["model"] == "linear")]
        return chosen.set_index("term")

    def test_the_published_products_are_found(self, population: Population) -> None:
        table = self.products(population)
        products = table[table.index.str.contains("text emotion × image")]
        assert len(products) == 2
        assert (products["p"] < 0.001).all()
        assert products["published"].between(products["low"], products["high"]).all()
        planted = pd.Series(planted_record(EVERYTHING)["sharing"])
        found = table.loc[planted.index]
        assert planted.between(found["low"] - 0.01, found["high"] + 0.01).all()

    def test_left_out_there_are_none(self) -> None:
        plain = drawn(without("interaction"))
        assert not plain.share_shift.any()
        table = self.products(plain)
        assert (table.loc[table.index.str.contains("text emotion × image"), "p_holm"] > 0.05).all()

    def test_moves_nothing_but_shares_on_covers_with_a_face(self) -> None:
        plain, moved = drawn(without("interaction")), drawn()
        shares = ENGAGEMENT.index("shares")
        others = [place for place in range(len(ENGAGEMENT)) if place != shares]
        np.testing.assert_array_equal(plain.counts[:, others], moved.counts[:, others])
        changed = plain.counts[:, shares] != moved.counts[:, shares]
        assert changed.any()
        assert moved.face[changed].all()


class TestCategories:
    """The best mood for likes, by the analysis of best positions."""

    @staticmethod
    def directions(planted: Planted) -> dict[str, str]:
        population = drawn(planted, 10_000)
        valence, arousal = population.annotated()
        posts = pd.DataFrame(
            {
                "post_id": np.arange(len(valence)).astype(str),
                "author_id": population.author.astype(str),
                "category": np.array(CATEGORY_NAMES, dtype=object)[population.category],
                "followers": population.followers,
                "likes": population.counts[:, 0],
                **dict.fromkeys(ENGAGEMENT[1:], np.nan),
                "valence": valence,
                "arousal": arousal,
            }
        )
        some = posts[posts["category"].isin(["beauty", "technology", "fitness"])]
        table = best_positions(some, draws=100, permutations=800)
        likes = table[table["metric"] == "likes"]
        return dict(zip(likes["category"], likes["direction"], strict=True))

    def test_each_categorys_best_mood_is_found(self) -> None:
        planted = planted_record(EVERYTHING)["best_moods"]
        found = self.directions(EVERYTHING)
        for category, words in (
            ("beauty", "calm and positive"),
            ("technology", "aroused and negative"),
            ("fitness", "aroused and positive"),
        ):
            assert planted[category]["likes"] == words
            assert found[category] == words

    def test_left_out_no_category_has_one_of_its_own(self) -> None:
        found = self.directions(without("categories"))
        assert "negative" not in found["technology"]


class TestHours:
    """Each author's best hour, from posts without the effects of emotion."""

    @staticmethod
    def best_hours(population: Population) -> tuple[np.ndarray, np.ndarray]:
        """Found and true best hour of the authors with 150 posts or more: the harmonics of the
        clock that fit what mood, and the author's level, leave of log rates."""
        angle = 2 * np.pi * (population.posted / 3600 % 24) / 24
        clock = 2 * np.pi * np.arange(0, 24, 0.1) / 24

        def waves(angle: np.ndarray) -> np.ndarray:
            return np.column_stack([f(k * angle) for k in (1, 2, 3) for f in (np.cos, np.sin)])

        found, true = [], []
        for author in np.flatnonzero(np.bincount(population.author) >= 150):
            own = population.author == author
            moods = np.column_stack([population.valence[own], population.arousal[own] - 4])
            moods = np.column_stack([moods, np.abs(moods), moods.prod(axis=1), moods**2])
            design = np.column_stack([np.ones(own.sum()), moods, waves(angle[own])])
            # A little ridge: hours at which the author hardly posts are not known.
            fitted = np.linalg.solve(
                design.T @ design + 0.5 * np.eye(design.shape[1]),
                design.T @ population.log_rates[own, 0],
            )
            found.append(clock[(waves(clock) @ fitted[-6:]).argmax()] * 24 / (2 * np.pi))
            true.append(population.authors.best_hour[author])
        return np.array(found), np.array(true)

    @staticmethod
    def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.abs((one - other + 12) % 24 - 12)

    def test_authors_have_their_own(self, population: Population) -> None:
        best = population.authors.best_hour
        assert self.apart(best, np.full(len(best), 19.0)).mean() > 2
        assert population.hour_effect.max() == pytest.approx(HOUR_GAIN, abs=0.001)

    def test_are_found_where_authors_have_many_posts(self) -> None:
        found, true = self.best_hours(drawn(n=8000, posts_per_author=250))
        assert len(true) > 20
        assert (self.apart(found, true) < 1.5).mean() > 0.7

    def test_left_out_all_have_the_same(self) -> None:
        plain = drawn(without("hours"), n=8000, posts_per_author=250)
        assert np.ptp(plain.authors.best_hour) == 0
