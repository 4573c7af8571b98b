"""The synthetic social network: its size, planted effects, and the effect of rewiring."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import accuracy_score, f1_score
from typer.testing import CliRunner

from evoked.cli.application import app
from evoked.errors import SettingsError
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import MIKELS
from evoked.posts.synthetic import society as society_module
from evoked.posts.synthetic.comments import OWN_WORDS, describe_groups, write_comments
from evoked.posts.synthetic.network import _draw_look, synthesise_network
from evoked.posts.synthetic.society import (
    EMOTION_SHARES,
    LOOKS,
    OWN_MANNER,
    PUBLISHED_SIZE,
    THEMES,
    NetworkSize,
    check_size,
    draw_society,
    looks,
    rewire,
    structure,
    user_share,
)

SCALE = 0.003


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> PostDataset:
    folder = tmp_path_factory.mktemp("network") / "posts"
    return synthesise_network(folder, SCALE, seed=1, pictures=LOOKS)


@pytest.fixture(scope="module")
def rewired_network(tmp_path_factory) -> PostDataset:
    folder = tmp_path_factory.mktemp("rewired") / "posts"
    return synthesise_network(folder, SCALE, seed=1, pictures=LOOKS, rewired=True)


@pytest.fixture(scope="module")
def society():
    return draw_society(NetworkSize(*(number // 20 for number in PUBLISHED_SIZE)), seed=1)


@pytest.fixture(scope="module")
def large_society():
    """A society so large that no popular image dominates the observers' scores."""
    return draw_society(NetworkSize(*(number // 4 for number in PUBLISHED_SIZE)), seed=1)


@pytest.fixture(scope="module")
def rewired_society(society):
    return rewire(society, society.look, seed=1)


def _checksums(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _pairs(table: pd.DataFrame, one: str, other: str) -> set[tuple[str, str]]:
    return set(zip(table[one], table[other], strict=True))


class TestDataset:
    def test_same_seed_same_bytes(self, tmp_path):
        def made(name: str, seed: int, **options) -> dict[str, str]:
            size = {"users": 100, "images": 40, "pictures": LOOKS}
            return _checksums(
                synthesise_network(tmp_path / name, seed=seed, **size, **options).folder
            )

        first = made("a", 3)
        assert made("b", 3) == first
        assert made("c", 3, rewired=True) == made("d", 3, rewired=True) != first
        other = made("e", 4)
        assert other != first
        # Pictures are the same in every network, so that their features are cached only once.
        pictures = {name for name in first.keys() & other.keys() if name.endswith(".jpg")}
        assert pictures
        assert all(first[name] == other[name] for name in pictures)
        assert sorted(path.name for path in tmp_path.iterdir()) == list("abcde")

    def test_has_the_size_of_its_scale(self, network):
        users = round(SCALE * PUBLISHED_SIZE.users)
        images = round(SCALE * PUBLISHED_SIZE.images)
        assert len(network) == images
        viewings, connections = network.table("viewings"), network.table("connections")
        assert len(viewings) == pytest.approx(SCALE * PUBLISHED_SIZE.viewings, abs=2)
        assert len(connections) == pytest.approx(SCALE * PUBLISHED_SIZE.connections, abs=12)
        assert connections["user_id"].nunique() == users
        assert set(viewings["user_id"]) | set(network.posts["author_id"]) <= set(
            connections["user_id"]
        )
        assert set(viewings["post_id"]) == set(network.posts["post_id"])

    def test_edges_occur_once_and_connections_in_both_directions(self, network):
        viewings, connections = network.table("viewings"), network.table("connections")
        members = network.table("memberships")
        assert len(_pairs(viewings, "user_id", "post_id")) == len(viewings)
        assert len(_pairs(members, "user_id", "group_id")) == len(members)
        pairs = _pairs(connections, "user_id", "other_id")
        assert len(pairs) == len(connections)
        assert pairs == _pairs(connections, "other_id", "user_id")
        assert not any(one == other for one, other in pairs)
        assert set(members["group_id"]) <= set(network.table("groups")["group_id"])

    def test_viewings_are_in_order_of_time_and_after_the_post(self, network):
        viewings = network.table("viewings").merge(network.posts[["post_id", "posted_at"]])
        assert viewings["viewed_at"].is_monotonic_increasing
        assert (viewings["viewed_at"] >= viewings["posted_at"]).all()
        assert viewings["viewed_at"].dt.year.nunique() >= 6

    def test_images_that_look_alike_share_pictures(self, network):
        names = network.posts["images"].str[0]
        files = sorted(path.name for path in network.image_folder.iterdir())
        assert sorted(set(names)) == files
        assert len(files) <= LOOKS
        seen = network.table("truth").merge(
            pd.DataFrame({"post_id": network.posts["post_id"], "name": names})
        )
        shown = seen.groupby("name")[["theme", "picture_valence", "picture_arousal"]].nunique()
        assert (shown == 1).all(axis=None)

    def test_truth_goes_with_the_viewings(self, network):
        viewings, truth = network.table("viewings"), network.table("truth")
        assert (viewings[["user_id", "post_id"]] == truth[["user_id", "post_id"]]).all(axis=None)
        probability = truth[[f"probability_{name}" for name in MIKELS]]
        np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
        has_words = truth["comment_emotion"].notna()
        assert (viewings["comment"].notna() | ~has_words).all()
        assert (truth["comment_emotion"][has_words] == viewings["emotion"][has_words]).mean() > 0.75

    def test_a_third_of_the_comments_is_there(self, network):
        assert network.table("viewings")["comment"].notna().mean() == pytest.approx(0.34, abs=1e-3)

    def test_planted_scores_are_those_of_the_probabilities(self, network):
        truth = network.table("viewings")["emotion"]
        probability = network.table("truth")[[f"probability_{name}" for name in MIKELS]].to_numpy()
        found = np.array(MIKELS)[probability.argmax(axis=1)]
        planted = network.description["planted"]["observers"]["all but own comment"]
        assert planted["macro F1"] == pytest.approx(
            f1_score(truth, found, average="macro"), abs=1e-3
        )
        assert planted["accuracy"] == pytest.approx(accuracy_score(truth, found), abs=1e-3)

    def test_command(self, tmp_path):
        arguments = ["synth", str(tmp_path / "net"), "--network", "--users", "100"]
        done = CliRunner().invoke(app, [*arguments, "--images", "30", "--rewire"])
        assert done.exit_code == 0, done.output
        made = PostDataset(tmp_path / "net")
        assert len(made) == 30
        assert made.description["provenance"]["rewired"] is True

    def test_some_viewings_can_have_two_emotions_and_all_else_stays(self, tmp_path, network):
        several = synthesise_network(tmp_path / "x", SCALE, seed=1, pictures=LOOKS, several=0.2)
        own, usual = several.table("viewings"), network.table("viewings")
        two = own["emotion"].str.contains(";")
        assert 0.1 < two.mean() < 0.3
        assert own["emotion"].str.split(";").str[0].tolist() == usual["emotion"].tolist()
        assert own.drop(columns="emotion").equals(usual.drop(columns="emotion"))
        names = own["emotion"][two].str.split(";")
        assert (names.str[0] != names.str[1]).all()
        assert set(names.explode()) <= set(MIKELS)


class TestSize:
    def test_the_published_size_can_be_drawn(self):
        check_size(PUBLISHED_SIZE)
        assert PUBLISHED_SIZE == (108_899, 85_157, 1_649_058, 197_561)

    @pytest.mark.parametrize(
        "size",
        [
            NetworkSize(20, 10, 60, 20),
            NetworkSize(200, 0, 3000, 0),
            NetworkSize(200, 100, 300, 200),
            NetworkSize(200, 100, 30_000, 200),
            NetworkSize(200, 100, 3000, 99),
        ],
    )
    def test_impossible_sizes(self, size):
        with pytest.raises(SettingsError):
            draw_society(size, 0)

    def test_impossible_settings(self, tmp_path):
        with pytest.raises(SettingsError, match="seed"):
            synthesise_network(tmp_path / "x", seed=-1)
        with pytest.raises(SettingsError, match="96 pictures"):
            synthesise_network(tmp_path / "x", pictures=95)
        assert not list(tmp_path.iterdir())


class TestPlanted:
    def test_imbalanced_emotions(self, society):
        shares = np.bincount(society.emotion, minlength=len(MIKELS)) / len(society.emotion)
        np.testing.assert_allclose(shares, EMOTION_SHARES, atol=0.012)
        assert 0.55 < shares.max() < 0.65

    def test_degrees_have_heavy_tails(self, society):
        for ends in (*society.viewings, society.connections.ravel(), society.author):
            degrees = np.bincount(ends)
            degrees = degrees[degrees > 0]
            assert degrees.max() > 10 * degrees.mean()
            assert np.median(degrees) < degrees.mean()

    def test_each_observer_sees_more_than_the_one_before(self, large_society):
        """Each observer knows what the one before knows, and one cause more."""
        society = large_society
        observers = [*society.observers.values(), society.probability]
        scores = [f1_score(society.emotion, each.argmax(1), average="macro") for each in observers]
        assert list(society.observers) == [
            "image",
            "image and groups",
            "image and community",
            "image, community and tone",
            "image, community, tone and mind",
        ]
        majority = f1_score(society.emotion, np.full(len(society.emotion), 2), average="macro")
        assert scores[0] > majority + 0.1
        assert (np.diff(scores) > 0.03).all(), scores
        assert scores[-1] < 0.87

    def test_observers_are_calibrated(self, large_society):
        """Among viewings to which an observer gives probability p, a share of p has the emotion."""
        society = large_society
        for expected in [*society.observers.values(), society.probability]:
            np.testing.assert_allclose(expected.sum(axis=1), 1)
            happened = np.eye(len(MIKELS))[society.emotion]
            for low in np.arange(0, 1, 0.1):
                within = (expected >= low) & (expected < low + 0.1)
                n = within.sum()
                error = 3.5 * np.sqrt(expected[within].mean() * (1 - expected[within].mean()) / n)
                off = expected[within].mean() - happened[within].mean()
                assert abs(off) < error + 0.02, (low, off, n)

    def test_neither_community_nor_theme_shows_who_goes_by_their_own_mind(self, society):
        user = society.viewings[0]
        own = society.own_mind[user]
        written = society.has_comment
        np.testing.assert_array_equal(own, society.felt_by_own_mind)
        right = (society.comment_own_mind == own)[written].mean()
        assert right == pytest.approx(OWN_MANNER, abs=0.02)
        for other in (society.community[user], society.theme[society.viewings[1]]):
            shares = np.bincount(other, own) / np.bincount(other)
            assert np.ptp(shares) < 0.15  # as chance has it

    def test_own_mind_decides_between_user_and_image(self):
        look, calm = np.arange(LOOKS), np.array(looks())[:, 2] < 0
        own, others = user_share(look, look >= 0), user_share(look, look < 0)
        assert (own > others).all()
        np.testing.assert_allclose(own[calm], 1 / (1 + np.exp(-4)))
        np.testing.assert_allclose(own + others[::-1], 1)

    def test_groups_show_the_community_with_some_uncertainty(self, society):
        user, group = society.memberships
        in_none = ~np.isin(np.arange(len(society.community)), user)
        assert in_none.mean() == pytest.approx(0.25, abs=0.02)
        likely = structure().membership * structure().share[:, None]
        guessed = likely.argmax(axis=0)[society.group_theme[group]]
        assert 0.3 < (guessed == society.community[user]).mean() < 0.7

    def test_contacts_are_of_one_community_until_rewired(self, society, rewired_society):
        def alike(network) -> float:
            one, other = network.community[network.connections]
            return float((one == other).mean())

        shares = np.bincount(society.community) / len(society.community)
        assert alike(society) > 0.65
        assert alike(rewired_society) == pytest.approx((shares**2).sum(), abs=0.03)

    def test_contacts_and_members_of_a_group_feel_alike(self, society, rewired_society):
        def contacts(network) -> sparse.csr_array:
            return _matrix(*network.connections, len(network.community))

        member, group = society.memberships
        fellows = _matrix(member, group, len(society.community))
        assert _agreement(society, contacts(society)) > 0.03
        assert abs(_agreement(rewired_society, contacts(rewired_society))) < 0.02
        # Members of the same group, except oneself, since groups belong to the row itself.
        fellows = sparse.csr_array(fellows @ fellows.T)
        agreement = _agreement(society, fellows, own=False)
        assert agreement > 0.015
        assert _agreement(rewired_society, fellows, own=False) == pytest.approx(agreement, abs=0.01)


def _matrix(rows, columns, n: int) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))


def _agreement(society, joined: sparse.csr_array, own: bool = True) -> float:
    """How much users who are joined (users, users) agree on images of one theme: the covariance of
    what they feel, as a share of the variance over all users."""
    user, theme = society.viewings[0], society.theme[society.viewings[1]]
    joined = joined if own else joined - sparse.diags_array(joined.diagonal())
    covariance = pairs = 0.0
    for each in range(len(THEMES)):
        rows = theme == each
        felt = society.probability[rows] - society.probability[rows].mean(axis=0)
        by_user = _matrix(user[rows], np.arange(rows.sum()), len(society.community))[
            :, : rows.sum()
        ]
        total, count = by_user @ felt, by_user.sum(axis=1)
        covariance += (total * (joined @ total)).sum() / (felt**2).sum(axis=1).mean()
        pairs += count @ (joined @ count)
    return float(covariance / pairs)


def _rows(network: PostDataset) -> pd.DataFrame:
    members = network.table("memberships").groupby("user_id")["group_id"].agg(tuple)
    rows = network.table("viewings").merge(network.posts[["post_id", "images"]], how="left")
    rows["groups"] = rows["user_id"].map(members)
    return rows[["viewed_at", "comment", "emotion", "images", "groups"]]


def _same_emotion(society, ends) -> float:
    """How often two consecutive viewings at the same node evoke the same emotion."""
    order = np.argsort(ends, kind="stable")
    same = np.diff(ends[order]) == 0
    return float((np.diff(society.emotion[order]) == 0)[same].mean())


class TestRewired:
    def test_degrees_stay(self, society, rewired_society):
        for before, after in (
            (society.viewings[0], rewired_society.viewings[0]),
            (society.viewings[1], rewired_society.viewings[1]),
            (society.connections, rewired_society.connections),
        ):
            np.testing.assert_array_equal(np.bincount(before.ravel()), np.bincount(after.ravel()))

    def test_edges_occur_once(self, rewired_society):
        for edges in (rewired_society.viewings, rewired_society.connections):
            assert len(np.unique(edges, axis=1).T) == edges.shape[1]
        assert (rewired_society.connections[0] < rewired_society.connections[1]).all()

    def test_every_row_is_what_it_was(self, network, rewired_network):
        """Picture, groups, emotion, time and comment of each row are those before rewiring."""
        before, after = (_rows(each) for each in (network, rewired_network))
        pd.testing.assert_frame_equal(before, after)

    def test_nearly_everybody_has_moved(self, society, rewired_society):
        kept = (society.viewings == rewired_society.viewings).mean(axis=1)
        assert (kept < 0.2).all(), kept
        before, after = (
            edges[0] * len(society.community) + edges[1]
            for edges in (society.connections, rewired_society.connections)
        )
        assert np.isin(before, after).mean() < 0.05

    def test_neighbours_agree_less(self, society, rewired_society):
        for side in (0, 1):
            before = _same_emotion(society, society.viewings[side])
            after = _same_emotion(rewired_society, rewired_society.viewings[side])
            assert before > after + 0.03

    def test_nodes_stay_in_the_dataset(self, network, rewired_network):
        before, after = network.table("viewings"), rewired_network.table("viewings")
        assert (before["user_id"] != after["user_id"]).mean() > 0.3
        pd.testing.assert_frame_equal(network.posts, rewired_network.posts)
        pd.testing.assert_frame_equal(
            network.table("memberships"), rewired_network.table("memberships")
        )
        assert rewired_network.description["provenance"]["rewired"] is True
        assert set(rewired_network.description["planted"]["observers"]) == {
            "nothing",
            "own comment",
            "image",
            "image and groups",
        }


class TestPictures:
    def test_show_their_look(self):
        """Cheerful pictures are lighter than gloomy ones of the same theme and arousal."""
        places = {look: place for place, look in enumerate(looks())}
        for theme in range(len(THEMES)):
            for arousal in society_module.PICTURE_AROUSALS:
                light = [
                    _draw_look(places[theme, valence, arousal], 0).mean()
                    for valence in society_module.PICTURE_VALENCES
                ]
                assert (np.diff(light) > 0).all()

    def test_variants_differ(self):
        one, other = _draw_look(5, 0), _draw_look(5, 1)
        assert one.shape == other.shape == (320, 320, 3)
        assert cv2.absdiff(one, other).max() > 50


class TestComments:
    def test_words_show_the_emotion(self):
        rng = np.random.default_rng(0)
        emotion = np.repeat(np.arange(len(MIKELS)), 200)
        theme, own_mind = (
            rng.integers(len(THEMES), size=len(emotion)),
            rng.random(len(emotion)) < 0.5,
        )
        comments = write_comments(emotion, theme, own_mind, rng)
        for place, name in enumerate(MIKELS):
            words = {word for words in OWN_WORDS[name] for word in words}
            found = np.array([bool(words & _words(text)) for text in comments])
            assert found[emotion == place].mean() > 0.5
            assert found[emotion == place].mean() > 3 * found[emotion != place].mean()

    def test_neutral_comments_have_no_mood(self):
        comments = write_comments(
            np.full(100, -1),
            np.zeros(100, np.int64),
            np.arange(100) < 50,
            np.random.default_rng(0),
        )
        moods = {word for words in OWN_WORDS.values() for each in words for word in each}
        assert not any(moods & _words(text) for text in comments)

    def test_who_goes_by_their_own_mind_writes_of_themselves(self):
        rng = np.random.default_rng(0)
        emotion, own_mind = rng.integers(-1, len(MIKELS), size=400), np.arange(400) % 2 == 0
        comments = write_comments(emotion, np.zeros(400, np.int64), own_mind, rng)
        of_themselves = [bool({"i", "me", "my"} & _words(text)) for text in comments]
        np.testing.assert_array_equal(of_themselves, own_mind)

    def test_own_words_stand_in_the_norms(self, shared_data):
        norms = pd.read_csv(shared_data / "warriner" / "vad_norms.csv").set_index("Word")
        words = {name: [word for each in own for word in each] for name, own in OWN_WORDS.items()}
        known = [word in norms.index for each in words.values() for word in each]
        assert np.mean(known) > 0.95
        valence = {name: norms["V.Mean.Sum"].reindex(each).mean() for name, each in words.items()}
        assert min(valence[name] for name in MIKELS[:4]) > 6
        assert max(valence[name] for name in MIKELS[4:]) < 4

    def test_groups_are_described_by_what_they_collect(self):
        names, descriptions = describe_groups(
            np.repeat(np.arange(len(THEMES)), 5), np.random.default_rng(0)
        )
        assert len(set(names)) == len(names) == len(descriptions) == 40
        assert len(set(descriptions)) > 30


def _words(text: str) -> set[str]:
    return {word.strip("!.,?").lower() for word in text.split()}
