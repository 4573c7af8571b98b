"""Rates against peers: sums are exact or refused, and nobody can be made out."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from evoked.cli import app
from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy import peer_page
from evoked.posts.privacy.peer_bins import (
    BINS,
    EDGES,
    RATES,
    Histograms,
    bins_of,
    histograms,
    parts_of,
    quantile,
    share_below,
    standing,
)

LIKES = RATES.index(("likes", "followers"))


def account(seed: int, n: int = 40, typical: float = 0.03) -> pd.DataFrame:
    """One account's posts, with formats, a category and some unknown counts."""
    random = np.random.default_rng(seed)
    followers = np.full(n, 10.0 ** random.integers(3, 7))
    likes = np.round(followers * typical * random.lognormal(0, 0.5, n))
    posts = pd.DataFrame(
        {
            "post_id": [f"p{number}" for number in range(n)],
            "author_id": f"account {seed}",
            "media_type": random.choice(["image", "video"], n),
            "category": random.choice(["Food", "travel"], n),
            "followers": followers,
            "likes": likes,
            "comments": np.where(random.random(n) < 0.5, np.nan, np.round(likes / 50)),
            "shares": np.nan,
            "saves": np.nan,
            "views": np.nan,
        }
    )
    return posts.convert_dtypes()


class TestBins:
    def test_are_fixed(self) -> None:
        """Members of different releases could not be added if a bin moved."""
        assert BINS == 122
        np.testing.assert_allclose(EDGES[[0, 1, 60, -1]], [1e-6, 1.122e-6, 1e-3, 1.0], rtol=1e-3)
        assert bins_of(np.array([0.0, 1e-7, 1e-6, 0.5, 1.0, 7.0])).tolist() == [
            0,
            0,
            1,
            114,
            121,
            121,
        ]
        assert parts_of(("food",)) == ("all", "image", "carousel", "video", "text", "category food")
        assert len(RATES) == 8

    @given(
        st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=60),
        st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9]),
    )
    def test_a_quantile_is_off_by_a_bin_at_most(self, values: list[float], share: float) -> None:
        counts = np.bincount(bins_of(np.array(values)), minlength=BINS)
        exact = float(np.quantile(values, share, method="inverted_cdf"))
        assert abs(np.log(quantile(counts, share) / exact)) <= np.log(10) / 20 + 1e-9

    @given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.floats(0, 2))
    def test_the_share_below_lies_within_its_bounds(
        self, values: list[float], value: float
    ) -> None:
        counts = np.bincount(bins_of(np.array(values)), minlength=BINS)
        below, low, high = share_below(counts, value)
        assert low <= below <= high
        assert low - 1e-12 <= np.mean(np.array(values) < value) <= high + 1e-12

    def test_what_is_counted(self) -> None:
        posts = account(1)
        found = histograms(posts, ("FOOD",))
        rate = (posts["likes"] / posts["followers"]).to_numpy(float)
        np.testing.assert_array_equal(
            found.posts[0, LIKES], np.bincount(bins_of(rate), minlength=BINS)
        )
        by_part = dict(zip(found.parts, found.posts[:, LIKES].sum(axis=1), strict=True))
        assert by_part["all"] == 40
        assert by_part["image"] == (posts["media_type"] == "image").sum()
        assert by_part["category FOOD"] == (posts["category"] == "Food").sum()
        assert by_part["carousel"] == 0
        comments = RATES.index(("comments", "followers"))
        assert found.posts[0, comments].sum() == posts["comments"].notna().sum()
        assert not found.accounts[:, RATES.index(("likes", "views"))].any()

    def test_where_an_account_stands(self) -> None:
        peers = [histograms(account(seed)) for seed in range(5)]
        summed = Histograms(
            peers[0].parts,
            np.sum([each.posts for each in peers], axis=0),
            np.sum([each.accounts for each in peers], axis=0),
        )
        better = standing(account(9, typical=0.1), summed, 3)
        row = better[(better["part"] == "all") & (better["count"] == "likes")].iloc[0]
        assert row["below"] > 0.9
        assert row["accounts"] == 5
        assert row["lower"] < row["median"] < row["upper"]
        assert set(better["part"]) == {"all", "image", "video"}
        assert not len(standing(account(9, n=4), summed, 3))
        assert not len(standing(account(9), summed, 6))


tenseal = pytest.importorskip("tenseal", reason="the extra 'privacy' is not installed")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's keys, a group, and five members' files."""
    from evoked.posts.privacy.keys import KeyFolder, make_keys
    from evoked.posts.privacy.peer_files import join_group, start_group

    folder = tmp_path_factory.mktemp("peers")
    make_keys(folder / "keys")
    start_group(KeyFolder(folder / "keys"), folder / "group.zip", ["food"])
    for seed in range(5):
        join_group(account(seed), folder / "group.zip", folder / f"member{seed}.zip")
    return folder


def _members(place: Path, *numbers: int) -> list[Path]:
    return [place / f"member{number}.zip" for number in numbers]


def _rewritten(file: Path, out: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A copy of an archive whose entries were changed."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out


def _about(**changes: object) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        entries["about.json"] = json.dumps(json.loads(entries["about.json"]) | changes).encode()

    return change


def test_sums_are_exact(place: Path, tmp_path: Path) -> None:
    from evoked.posts.privacy.keys import KeyFolder
    from evoked.posts.privacy.peer_files import add_members, read_peers, read_sum, write_peers

    assert add_members(place / "group.zip", _members(place, 0, 1, 2, 3, 4), tmp_path / "sum") == 5
    peers = read_sum(tmp_path / "sum", KeyFolder(place / "keys"))
    plain = [histograms(account(seed), ("food",)) for seed in range(5)]
    np.testing.assert_array_equal(peers.histograms.posts, sum(each.posts for each in plain))
    np.testing.assert_array_equal(peers.histograms.accounts, sum(each.accounts for each in plain))
    write_peers(peers, tmp_path / "peers.json")
    again = read_peers(tmp_path / "peers.json")
    assert again.members == 5
    np.testing.assert_array_equal(again.histograms.posts, peers.histograms.posts)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 2**20), min_size=6, max_size=6))
def test_the_noise_is_far_below_one_post(place: Path, counts: list[int]) -> None:
    from evoked.posts.privacy.ckks import Adder, Encryptor
    from evoked.posts.privacy.keys import KeyFolder

    with zipfile.ZipFile(place / "group.zip") as archive:
        archive.extract("public.key", place)
    encryptor, adder = Encryptor(place / "public.key"), Adder()
    total = None
    for _ in range(8):
        total = adder.add(total, encryptor.encrypt(np.array(counts) / 2**20))
    found = KeyFolder(place / "keys").fields().decrypt(total) * 2**20
    assert np.abs(found[:6] - 8 * np.array(counts)).max() < 0.01


class TestRefusals:
    def test_too_few_members(self, place: Path, tmp_path: Path) -> None:
        from evoked.posts.privacy.peer_files import add_members

        with pytest.raises(SettingsError, match="could be made out"):
            add_members(place / "group.zip", _members(place, 0, 1), tmp_path / "sum")
        assert not (tmp_path / "sum").exists()

    def test_a_group_of_two(self, place: Path, tmp_path: Path) -> None:
        from evoked.posts.privacy.keys import KeyFolder
        from evoked.posts.privacy.peer_files import start_group

        keys = KeyFolder(place / "keys")
        with pytest.raises(SettingsError, match="3 to 1,000 members"):
            start_group(keys, tmp_path / "g", minimum_members=2)
        with pytest.raises(SettingsError, match="at most 3 categories"):
            start_group(keys, tmp_path / "g", list("abcd"))

    def test_the_least_number_acts(self, place: Path, tmp_path: Path) -> None:
        from evoked.posts.privacy.keys import KeyFolder
        from evoked.posts.privacy.peer_files import add_members, join_group, start_group

        start_group(KeyFolder(place / "keys"), tmp_path / "g", minimum_members=4)
        files = [tmp_path / f"m{seed}" for seed in range(4)]
        for seed, file in enumerate(files):
            join_group(account(seed), tmp_path / "g", file)
        with pytest.raises(SettingsError, match="3 members; 4"):
            add_members(tmp_path / "g", files[:3], tmp_path / "sum")
        assert add_members(tmp_path / "g", files, tmp_path / "sum") == 4

    def test_a_member_twice(self, place: Path, tmp_path: Path) -> None:
        from evoked.posts.privacy.peer_files import add_members

        renamed = _rewritten(place / "member0.zip", tmp_path / "m", _about(member="another"))
        for same in (place / "member0.zip", renamed):
            with pytest.raises(DataError, match="the member's in"):
                add_members(place / "group.zip", [*_members(place, 0, 1), same], tmp_path / "sum")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (_about(group="0" * 16), "another group"),
            (_about(format_version=2), "format_version is 2"),
            (_about(bins=10), "bins is 10"),
            (_about(minimum_members=2), "which group"),
            (_about(kind="sum"), "is the file of a sum"),
            (lambda entries: entries.pop("histograms.ciphertext"), "can't be read"),
            (
                lambda entries: entries.update(
                    {"histograms.ciphertext": entries["histograms.ciphertext"][:-9] + b"tampered!"}
                ),
                "changed since",
            ),
            (
                lambda entries: entries.update({"histograms.ciphertext": b"0" * (5 * 2**20)}),
                "larger than",
            ),
        ],
    )
    def test_tampered_files(
        self,
        place: Path,
        tmp_path: Path,
        change: Callable[[dict[str, bytes]], None],
        message: str,
    ) -> None:
        from evoked.posts.privacy.peer_files import add_members

        bad = _rewritten(place / "member2.zip", tmp_path / "bad.zip", change)
        with pytest.raises(DataError, match=message):
            add_members(place / "group.zip", [*_members(place, 0, 1), bad], tmp_path / "sum")
        assert not (tmp_path / "sum").exists()

    def test_other_keys(self, place: Path, tmp_path: Path) -> None:
        from evoked.posts.privacy.keys import KeyFolder, make_keys
        from evoked.posts.privacy.peer_files import add_members, read_sum

        add_members(place / "group.zip", _members(place, 0, 1, 2), tmp_path / "sum")
        make_keys(tmp_path / "keys")
        with pytest.raises(DataError, match="no numbers of posts"):
            read_sum(tmp_path / "sum", KeyFolder(tmp_path / "keys"))

    def test_made_up_histograms(self, place: Path, tmp_path: Path) -> None:
        """More accounts than members, and halves of posts."""
        from evoked.posts.privacy import peer_files
        from evoked.posts.privacy.keys import KeyFolder

        for change, message in (
            (lambda slots: slots * 50, "made up"),
            (lambda slots: slots + 0.5, "no numbers of posts"),
            (lambda slots: -slots, "no numbers of posts"),
        ):
            with pytest.MonkeyPatch.context() as patch:
                honest = peer_files._slots
                patch.setattr(peer_files, "_slots", lambda own, c=change, h=honest: c(h(own)))
                peer_files.join_group(account(8), place / "group.zip", tmp_path / "bad")
            files = [*_members(place, 0, 1), tmp_path / "bad"]
            peer_files.add_members(place / "group.zip", files, tmp_path / "sum")
            with pytest.raises(DataError, match=message):
                peer_files.read_sum(tmp_path / "sum", KeyFolder(place / "keys"))

    def test_posts_without_rates_or_of_several_accounts(self, place: Path, tmp_path: Path) -> None:
        from evoked.posts.privacy.peer_files import join_group

        bare = account(1).assign(followers=np.nan)
        with pytest.raises(DataError, match="no post has likes"):
            join_group(bare, place / "group.zip", tmp_path / "m")
        with pytest.raises(DataError, match="posts of 2 accounts"):
            join_group(pd.concat([account(1), account(2)]), place / "group.zip", tmp_path / "m")

    def test_what_few_accounts_have_is_left_out(self, place: Path, tmp_path: Path) -> None:
        from evoked.posts.privacy.keys import KeyFolder
        from evoked.posts.privacy.peer_files import (
            add_members,
            join_group,
            read_peers,
            read_sum,
            write_peers,
        )

        rare = account(7).assign(media_type="text")
        join_group(rare, place / "group.zip", tmp_path / "m")
        files = [*_members(place, 0, 1), tmp_path / "m"]
        add_members(place / "group.zip", files, tmp_path / "sum")
        write_peers(read_sum(tmp_path / "sum", KeyFolder(place / "keys")), tmp_path / "p")
        peers = read_peers(tmp_path / "p").histograms
        assert not peers.posts[peers.parts.index("text")].any()
        assert not peers.posts[peers.parts.index("image")].any()  # of two accounts
        assert peers.posts[0, LIKES].sum() == 120


def test_the_tour_of_the_command_line(tmp_path: Path) -> None:
    def evoked(*command: object) -> str:
        found = CliRunner().invoke(app, [str(each) for each in command], catch_exceptions=False)
        assert found.exit_code == 0, found.output
        return " ".join(found.output.split())

    for seed in range(3):
        PostDataset.create(tmp_path / f"posts{seed}", {"posts": account(seed)})
    keys = tmp_path / "keys"
    evoked("privacy", "keys", keys)
    evoked("benchmark", "start", tmp_path / "group.zip", "--key", keys, "--category", "food")
    for seed in range(3):
        told = evoked(
            "benchmark", "join", tmp_path / f"posts{seed}", tmp_path / "group.zip",
            tmp_path / f"m{seed}.zip",
        )  # fmt: skip
        assert "40 of 40 posts" in told
    files = [tmp_path / f"m{seed}.zip" for seed in range(3)]
    evoked("benchmark", "add", tmp_path / "group.zip", *files, "--out", tmp_path / "sum.zip")
    assert "120 posts of 3 accounts" in evoked(
        "benchmark", "read", tmp_path / "sum.zip", tmp_path / "peers.json", "--key", keys
    )
    told = evoked("benchmark", "compare", tmp_path / "posts0", tmp_path / "peers.json")
    assert "of 100 posts of 3 accounts (120 posts)" in told
    found = json.loads(
        evoked("benchmark", "compare", tmp_path / "posts0", tmp_path / "peers.json", "--json")
    )
    assert found["members"] == 3
    likes = next(row for row in found["rates"] if row["part"] == "category food")
    assert likes["count"] == "likes"


def test_the_page_is_the_documentation() -> None:
    documentation = Path(__file__).resolve().parents[3] / "docs" / "peers.md"
    assert peer_page().strip() in documentation.read_text(encoding="utf-8")
