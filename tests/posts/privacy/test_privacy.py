"""Privacy: secrets stay with the owner, and figures that others compute are right."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from evoked.cli import app
from evoked.errors import DataError, MissingExtraError, SettingsError
from evoked.files import only_writer
from evoked.posts.dataset import PostDataset
from evoked.posts.face_blurring import blur_faces, count_faces
from evoked.posts.importing import import_posts, summary_rows
from evoked.posts.privacy import encrypted_fields, page
from evoked.posts.privacy.aggregates import aggregate, compute_rates, reveal, round_figures
from evoked.posts.privacy.ckks import DEGREE, PRIME_BITS, SECURITY_BITS, SLOTS, Party, in_slots
from evoked.posts.privacy.image_locking import is_locked, lock_images, unlock_images
from evoked.posts.privacy.keys import KeyFolder, make_keys
from evoked.posts.privacy.protecting import protect
from evoked.posts.privacy.pseudonyms import Pseudonyms
from evoked.posts.privacy.sealing import Sealer
from evoked.posts.readers.values import mentions_in
from tests.support.examples import tamper_with_names
from tests.support.reader_sources import csv_source, picture

pytest.importorskip("tenseal", reason="the extra 'privacy' is not installed")

# Homomorphic encryption standard (2018), Table 1: bits of the modulus that a degree allows.
STANDARD = {(16_384, 128): 438, (16_384, 192): 305}


def posts_table(n: int, seed: int = 0) -> pd.DataFrame:
    """Posts with counts from 0 to a billion, some unknown, by authors who mention each other."""
    random = np.random.default_rng(seed)
    followers = np.round(10 ** random.uniform(2, 9, n))
    likes = np.round(followers * random.uniform(0, 0.1, n))
    likes[0], likes[1], followers[2], followers[3] = 0, np.nan, np.nan, 0
    names = [f"ines.{number % 7}" for number in range(n)]
    return pd.DataFrame(
        {
            "post_id": [f"shortcode-{number}" for number in range(n)],
            "author_id": names,
            "caption": [f"Thanks @{name.upper()}, mail x@ines.com #{name[:4]}" for name in names],
            "mentions": [[name] for name in names],
            "category": ["food" if number % 2 else "travel" for number in range(n)],
            "language": ["en" if number > 3 else "de" for number in range(n)],
            "followers": followers,
            "likes": likes,
        }
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    folder = tmp_path_factory.mktemp("owner") / "keys"
    make_keys(folder)
    return KeyFolder(folder)


@pytest.fixture(scope="module")
def others_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    folder = tmp_path_factory.mktemp("other") / "keys"
    make_keys(folder)
    return KeyFolder(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    folder = tmp_path_factory.mktemp("own")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.jpg").write_bytes(picture(number))
    posts = posts_table(60)
    posts["images"] = [[f"{number}.jpg"] if number < 3 else [] for number in range(60)]
    return PostDataset.create(
        folder / "posts",
        {
            "posts": posts,
            "connections": pd.DataFrame({"user_id": ["ines.1"], "other_id": ["ines.2"]}),
            "viewings": pd.DataFrame(
                {"user_id": ["ines.1"], "post_id": ["shortcode-1"], "comment": ["so @ines.2"]}
            ),
            "memberships": pd.DataFrame({"user_id": ["ines.3"], "group_id": ["g"]}),
            "activity": pd.DataFrame({"post_id": ["shortcode-1"], "hours": [1.0], "likes": [5]}),
            "truth": pd.DataFrame({"post_id": ["shortcode-1"], "log_likes_rate": [0.5]}),
        },
        images=pictures,
        provenance={"source": "ines.1", "licence": "CC0-1.0"},
    )


@pytest.fixture(scope="module")
def protected(
    dataset: PostDataset, keys: KeyFolder, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("shared") / "posts"
    protect(dataset, folder, keys)
    return folder


@pytest.fixture(scope="module")
def figures(protected: Path, keys: KeyFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Figures of groups, computed while the keys are out of reach."""
    out = tmp_path_factory.mktemp("figures") / "figures.zip"
    away = keys.folder.with_name("away")
    keys.folder.rename(away)
    try:
        done = aggregate(protected, out, by="category")
    finally:
        away.rename(keys.folder)
    assert done.groups == {"food": 30, "travel": 30}
    return out


def test_links_in_a_circle_are_no_place_for_keys(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="loop"):
        make_keys(tmp_path / "loop" / "keys", fields=False)
    make_keys(tmp_path / "keys", fields=False)
    KeyFolder(tmp_path / "keys").keep_apart(tmp_path / "loop")


# Pseudonyms


def test_pseudonyms_are_hmacs() -> None:
    digest = hmac.new(b"k" * 32, b"account\0ines.1", hashlib.sha256).hexdigest()
    assert Pseudonyms(b"k" * 32).account("ines.1") == f"account_{digest[:20]}"
    assert Pseudonyms(b"l" * 32).account("ines.1") != Pseudonyms(b"k" * 32).account("ines.1")
    assert Pseudonyms(b"k" * 32).post("ines.1")[-20:] != digest[:20]


@given(st.text(alphabet="@ab.c_ \n/", max_size=60))
def test_no_mention_survives_in_a_text(text: str) -> None:
    names = Pseudonyms(bytes(32))
    expected = [names.account(name.lower()) for name in mentions_in(text)]
    assert mentions_in(names.text(text)) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("thanks .@alice ＠bob /@carol ﹫dan", ["alice", "bob", "carol", "dan"]),
        ("@a_name_of_more_than_thirty_characters_smith", None),
        ("@zoé_martin @用户名 @иван @أحمد @दीपक", ["zoé_martin", "用户名", "иван", "أحمد", "दीपक"]),
        ("你好@用户名 谢谢", ["用户名"]),
        (
            "@alice.bsky.social and @bob@mastodon.social.",
            ["alice.bsky.social", "bob@mastodon.social"],
        ),
        ("@\u200bbob @b\u2060ob", ["bob", "bob"]),
        ("@[100001:274:John Doe] hi", ["[100001:274:John Doe]"]),
        ("https://tiktok.com/@carol/video _@dan_ -@eve", ["carol", "dan_", "eve"]),
        ("@a@b@c", ["a@b@c"]),
    ],
)
def test_mentions_of_every_script_and_spelling(text: str, names: list[str] | None) -> None:
    names = names or [text[1:]]
    assert mentions_in(text) == names
    protected = Pseudonyms(bytes(32)).text(text)
    assert protected.count("@account_") == len(names)
    for name in names:
        assert name.strip("_") not in protected


def test_addresses_of_e_mail_are_no_mentions() -> None:
    assert mentions_in("a.b@example.com, x1@example.com, and @ noon") == []


@pytest.mark.parametrize(
    "text",
    [
        "write to alice@example.org or ALICE+shop@mail.example.co.uk",
        "alice＠example.org",
        "bio: t.me/alice",
        "https://www.instagram.com/alice/?hl=en",
        "www.alice.example",
        "my shop: alice-makes.com",
        "by u/alice and /u/alice_makes",
        "thanks@alice",
        "http://user:alice@example.org",
        "[https://x.com/alice](https://x.com/alice)",
        "https://mastodon.social/@alice",
    ],
)
def test_no_other_way_to_an_account_survives(text: str) -> None:
    names = Pseudonyms(bytes(32))
    protected = names.text(text)
    assert "alice" not in protected.lower()
    assert names.text(text) == protected
    assert [names.account(name) for name in mentions_in(text)] == mentions_in(protected)


def test_texts_without_accounts_stay() -> None:
    text = "5 a.m., and/or 3/4 of it. Really? e.g. u/k, v1.2.3; we do.Then off @ noon"
    assert Pseudonyms(bytes(32)).text(text) == text


@pytest.mark.parametrize("part", ["a.", "-", "\u200b", ".", "@", "a\u200b", "@a"])
def test_no_text_takes_long_to_search(part: str) -> None:
    for text in ("@a" + part * 30_000, ("@a" + part * 300) * 100):
        mentions_in(text)
        Pseudonyms(bytes(32)).text(text)


def test_missing_accounts_stay_missing() -> None:
    table = pd.DataFrame({"user_id": ["a", None, "a"], "comment": [None, "hi @a", ""]})
    changed = Pseudonyms(bytes(32)).table(table)
    assert changed["user_id"].isna().tolist() == [False, True, False]
    assert changed["user_id"][0] == changed["user_id"][2]
    assert changed["comment"].tolist()[1:] == [f"hi @{Pseudonyms(bytes(32)).account('a')}", ""]


# Keys


def test_keys_are_the_owners_alone(keys: KeyFolder) -> None:
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700
    for name in ("pseudonyms.key", "storage.key", "fields.key"):
        assert stat.S_IMODE((keys.folder / name).stat().st_mode) == 0o600
    before = keys.pseudonyms(), keys.storage()
    assert make_keys(keys.folder) == []
    assert (keys.pseudonyms(), keys.storage()) == before


def test_keys_that_others_may_read_are_refused(keys: KeyFolder) -> None:
    path = keys.folder / "pseudonyms.key"
    path.chmod(0o640)
    try:
        with pytest.raises(DataError, match=r"others may read it.*chmod 600"):
            keys.pseudonyms()
    finally:
        path.chmod(0o600)


def test_keys_are_kept_apart_from_data(
    dataset: PostDataset, keys: KeyFolder, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="lies in the dataset"):
        make_keys(dataset.folder / "keys")
    assert not (dataset.folder / "keys").exists()
    (tmp_path / "data").symlink_to(keys.folder)
    for place in (keys.folder / "copy", keys.folder.parent, tmp_path / "data" / "copy"):
        with pytest.raises(DataError, match="lie within each other"):
            protect(dataset, place, keys)


def test_the_extra_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tenseal", None)
    with pytest.raises(MissingExtraError, match=r"evoked\[privacy\]"):
        make_keys(tmp_path / "keys")
    assert make_keys(tmp_path / "less", fields=False) == ["pseudonyms.key", "storage.key"]


# Protected copies


def test_a_protected_copy_holds_no_names_and_no_counts(
    dataset: PostDataset, protected: Path, keys: KeyFolder
) -> None:
    copy = PostDataset(protected)
    names = Pseudonyms(keys.pseudonyms())
    assert copy.posts["followers"].isna().all()
    assert copy.posts["likes"].isna().all()
    assert copy.tables == ["posts", "viewings", "connections", "memberships", "activity"]
    assert copy.table("activity")["likes"].isna().all()
    assert copy.posts["author_id"].tolist() == [*map(names.account, dataset.posts["author_id"])]
    expected = f"Thanks @{names.account('ines.1')}, mail {names.address('x@ines.com')} #ines"
    assert copy.posts["caption"][1] == expected
    assert copy.table("connections").iloc[0].tolist() == [*map(names.account, ("ines.1", "ines.2"))]
    assert copy.table("viewings")["post_id"][0] == copy.posts["post_id"][1]
    assert copy.table("memberships")["user_id"][0] == copy.posts["author_id"][3]
    assert copy.description["provenance"] == {"licence": "CC0-1.0", "format": "protected"}
    assert copy.cover_paths() == [None] * 60
    content = b"".join(path.read_bytes() for path in protected.rglob("*") if path.is_file())
    assert b"ines.1" not in content
    assert b"shortcode" not in content
    for secret in (keys.pseudonyms(), keys.storage(), (keys.folder / "fields.key").read_bytes()):
        assert secret not in content


def test_what_is_protected_can_be_chosen(
    dataset: PostDataset, keys: KeyFolder, tmp_path: Path
) -> None:
    protect(dataset, tmp_path / "posts", keys, pseudonyms=False, encrypt=[], pictures=True)
    copy = PostDataset(tmp_path / "posts")
    assert copy.posts["author_id"].equals(dataset.posts["author_id"])
    assert copy.posts["likes"].equals(dataset.posts["likes"])
    assert copy.cover_paths()[0].read_bytes() == picture(0)  # type: ignore[union-attr]
    with pytest.raises(DataError, match="no encrypted fields"):
        aggregate(tmp_path / "posts", tmp_path / "figures.zip")
    with pytest.raises(DataError, match="exists already"):
        protect(dataset, tmp_path / "posts", keys)
    with pytest.raises(DataError, match="lies in the dataset"):
        protect(dataset, dataset.folder / "copy", keys)
    with pytest.raises(SettingsError, match="valence"):
        protect(dataset, tmp_path / "more", keys, encrypt=["valence"])
    with pytest.raises(SettingsError, match="nothing to encrypt"):
        protect(dataset, tmp_path / "more", keys, encrypt=["shares"])


# Computing on ciphertext


def test_parameters_are_those_of_the_standard() -> None:
    assert sum(PRIME_BITS) <= STANDARD[DEGREE, SECURITY_BITS]
    assert SECURITY_BITS >= 128


def test_group_figures_are_those_of_the_posts(
    dataset: PostDataset, figures: Path, keys: KeyFolder
) -> None:
    table = reveal(figures, keys)
    posts = dataset.posts.assign(
        likes_rate=dataset.posts["likes"] / dataset.posts["followers"].replace(0, np.nan)
    )
    expected = posts.groupby("category")[["followers", "likes", "likes_rate"]]
    for statistic in ("mean", "var", "sum"):
        true = expected.agg(statistic)
        name = "variance" if statistic == "var" else statistic
        shown = table.pivot_table(index="group", columns="quantity", values=name)
        np.testing.assert_allclose(shown[true.columns], true, rtol=1e-5)
    sizes = table.pivot_table(index="group", columns="quantity", values="n")
    assert (sizes[["followers", "likes", "likes_rate"]] == expected.count()).all(axis=None)
    with_errors = reveal(figures, keys, dataset)
    assert with_errors[["mean_error", "variance_error"]].max(axis=None) <= 1e-5


def test_rates_of_posts_hold_over_all_magnitudes(
    dataset: PostDataset, protected: Path, keys: KeyFolder, tmp_path: Path
) -> None:
    assert compute_rates(protected, tmp_path / "rates.zip") == ["likes_rate"]
    table = reveal(tmp_path / "rates.zip", keys, dataset)
    names = Pseudonyms(keys.pseudonyms())
    assert table["post_id"].tolist() == [*map(names.post, dataset.posts["post_id"])]
    assert table["likes_rate"][0] == 0
    assert table["likes_rate"].isna().tolist() == [1 <= row <= 3 for row in range(60)]
    true = dataset.posts["likes"] / dataset.posts["followers"].replace(0, np.nan)
    np.testing.assert_allclose(table["likes_rate"], true, rtol=1e-5)
    assert table["likes_rate_error"].max() <= 1e-5


def test_sums_run_over_several_ciphertexts(keys: KeyFolder, tmp_path: Path) -> None:
    """Posts of the same count: the variance is nothing but noise and is given as 0."""
    n = SLOTS + 50
    posts = pd.DataFrame({"post_id": [f"p{row}" for row in range(n)], "likes": np.full(n, 7)})
    posts["category"] = np.where(np.arange(n) < SLOTS, "first", "last")
    whole = PostDataset.create(tmp_path / "posts", {"posts": posts})
    protect(whole, tmp_path / "protected", keys, pseudonyms=False)
    aggregate(tmp_path / "protected", tmp_path / "out.zip")
    (row,) = reveal(tmp_path / "out.zip", keys).to_dict(orient="records")
    assert (row["group"], row["n"]) == ("all", n)
    assert row["sum"] == pytest.approx(7 * n, rel=1e-6)
    assert row["variance"] == 0


def test_small_groups_are_left_out(protected: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no group"):
        aggregate(protected, tmp_path / "out.zip", by="category", minimum_group=31)
    with pytest.raises(SettingsError, match="can't be grouped"):
        aggregate(protected, tmp_path / "out.zip", by="hashtags")
    with pytest.raises(SettingsError, match="can't be grouped"):
        aggregate(protected, tmp_path / "out.zip", by="nothing")
    with pytest.raises(SettingsError, match="two posts or more"):
        aggregate(protected, tmp_path / "out.zip", minimum_group=1)
    done = aggregate(protected, tmp_path / "out.zip", by="language")
    assert (done.groups, done.too_small) == ({"en": 56}, {"de": 4})


def test_other_keys_and_other_posts_are_refused(
    dataset: PostDataset, figures: Path, keys: KeyFolder, others_keys: KeyFolder
) -> None:
    with pytest.raises(DataError, match="other keys"):
        reveal(figures, others_keys)
    with pytest.raises(DataError, match="the originals are 5"):
        reveal(figures, keys, dataset.select(range(5)))


@pytest.mark.parametrize("damage", ["empty", "noise", "cut", "other kind", "huge", "absent"])
def test_damaged_ciphertexts_are_reported(
    protected: Path, keys: KeyFolder, tmp_path: Path, damage: str
) -> None:
    file = protected / "encrypted" / "likes-0000.ciphertext"
    path = tmp_path / "damaged"
    content = {
        "empty": lambda: b"",
        "noise": lambda: os.urandom(5000),
        "cut": lambda: file.read_bytes()[:-1000],
        "other kind": (keys.folder / "fields.key").read_bytes,
        "huge": lambda: bytes(5 * 2**20),
    }
    if damage in content:
        path.write_bytes(content[damage]())
    with pytest.raises(DataError, match="damaged"):
        Party(keys.evaluation).load(path)


def test_damaged_results_are_reported(figures: Path, keys: KeyFolder, tmp_path: Path) -> None:
    path = tmp_path / "figures.zip"
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match="not a result"):
        reveal(path, keys)
    one = {"name": "likes-0000", "quantity": "likes", "group": "food", "n": 1}
    forged = json.dumps({"kind": "groups", "entries": [one]}).encode()
    for name, content in (
        ("result.json", b"{}"),
        ("result.json", forged),
        ("result.json", b"[" * 100_000),
        ("encrypted.json", b"[]"),
        ("scales.sealed", bytes(90)),
    ):
        with zipfile.ZipFile(figures) as whole, zipfile.ZipFile(path, "w") as damaged:
            for entry in whole.namelist():
                damaged.writestr(entry, content if entry == name else whole.read(entry))
        with pytest.raises(DataError):
            reveal(path, keys)


@given(st.floats(1e-30, 1e30))
def test_figures_are_rounded_to_seven_digits(value: float) -> None:
    rounded = round_figures(np.array([value, -value]))
    np.testing.assert_allclose(rounded, [value, -value], rtol=5.1e-7)
    assert f"{rounded[0]:.12e}".endswith(f"000000e{f'{rounded[0]:e}'.split('e')[1]}")


@given(st.integers(1, 3 * SLOTS))
def test_slots_hold_every_number_once(n: int) -> None:
    pieces = list(in_slots(np.arange(1, n + 1)))
    assert {len(piece) for piece in pieces} == {SLOTS}
    joined = np.concatenate(pieces)
    assert joined[:n].tolist() == list(range(1, n + 1))
    assert not joined[n:].any()


def test_a_protected_copy_takes_no_files_from_elsewhere(
    dataset: PostDataset, keys: KeyFolder, tmp_path: Path
) -> None:
    """A file beside the destination has the same name as one beside the downloaded posts."""
    posts = tmp_path / "downloads/posts"
    shutil.copytree(dataset.folder, posts)
    (tmp_path / "downloads/profile").write_text("theirs")
    mine = tmp_path / "home/profile"
    mine.parent.mkdir()
    mine.write_text("mine")
    tamper_with_names(posts, ["../../profile"])
    command = ["privacy", "protect", str(posts), str(tmp_path / "home/shared")]
    for more in (["--pictures"], []):
        shown = CliRunner().invoke(app, [*command, "--key", str(keys.folder), *more])
        assert isinstance(shown.exception, DataError)
        assert "posts.parquet" in str(shown.exception)
    assert mine.read_text() == "mine"
    assert [path.name for path in mine.parent.iterdir()] == ["profile"]

    tamper_with_names(posts, ["0.jpg"])
    (posts / "images/0.jpg").unlink()
    (posts / "images/0.jpg").symlink_to(mine)
    with pytest.raises(DataError, match=r"0\.jpg: is a link that leads out"):
        protect(PostDataset(posts), tmp_path / "home/shared", keys, pictures=True)
    assert [path.name for path in mine.parent.iterdir()] == ["profile"]


def test_a_protected_copy_has_one_writer(
    dataset: PostDataset, keys: KeyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "shared"
    with only_writer(dest), pytest.raises(DataError, match="shared: another run"):
        protect(dataset, dest, keys, encrypt=[])
    assert not any(tmp_path.iterdir())

    def protected_by_another_process(*arguments: Any) -> list[str]:
        monkeypatch.undo()
        protect(dataset, dest, keys, encrypt=["likes"])
        return []

    monkeypatch.setattr(encrypted_fields, "check_columns", protected_by_another_process)
    with pytest.raises(DataError, match="shared: exists already"):
        protect(dataset, dest, keys, encrypt=[])
    assert PostDataset(dest).description["protected"]["encrypted"] == ["likes"]


@pytest.mark.parametrize("name", ["scales.sealed", "known.parquet", "description.json", "."])
def test_links_among_encrypted_fields_hand_out_nothing(
    name: str, protected: Path, tmp_path: Path
) -> None:
    """The owner gets a copy of what is computed, and must not get the computing party's files."""
    shutil.copytree(protected, tmp_path / "posts")
    private = tmp_path / "private"
    (tmp_path / "posts/encrypted" / name).rename(private)
    (tmp_path / "posts/encrypted" / name).symlink_to(private)
    for compute in (aggregate, compute_rates):
        with pytest.raises(DataError, match="is a link"):
            compute(tmp_path / "posts", tmp_path / "figures.zip")
    assert not (tmp_path / "figures.zip").exists()


# Locked pictures


@pytest.fixture
def pictures(dataset: PostDataset, tmp_path: Path) -> PostDataset:
    """A copy of the dataset whose pictures a test may lock."""
    shutil.copytree(dataset.folder, tmp_path / "posts")
    return PostDataset(tmp_path / "posts")


def files(dataset: PostDataset) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dataset.image_folder.iterdir()}


def test_pictures_come_back_byte_for_byte(pictures: PostDataset, keys: KeyFolder) -> None:
    before = files(pictures)
    assert lock_images(pictures, keys).pictures == 3
    locked = files(pictures)
    assert set(locked) == {f"{name}.locked" for name in before}
    assert all(content not in locked[f"{name}.locked"] for name, content in before.items())
    with pytest.raises(DataError, match="privacy unlock"):
        pictures.cover_paths()
    assert lock_images(pictures, keys).pictures == 0
    assert unlock_images(pictures, keys).pictures == 3
    assert files(pictures) == before
    assert not is_locked(pictures)
    assert unlock_images(pictures, keys).pictures == 0


def test_nothing_is_locked_while_another_writes(pictures: PostDataset, keys: KeyFolder) -> None:
    """An import that ends meanwhile would put the pictures as they were into the place."""
    with only_writer(pictures.folder), pytest.raises(DataError, match="another run of evoked"):
        lock_images(pictures, keys)
    assert not is_locked(pictures)
    lock_images(pictures, keys)
    with only_writer(pictures.folder), pytest.raises(DataError, match="another run of evoked"):
        unlock_images(pictures, keys)
    assert is_locked(pictures)


def test_changed_and_swapped_pictures_are_noticed(
    pictures: PostDataset, keys: KeyFolder, others_keys: KeyFolder
) -> None:
    lock_images(pictures, keys)
    first, second = (pictures.image_folder / f"{number}.jpg.locked" for number in (0, 1))
    one, two = first.read_bytes(), second.read_bytes()
    changed = one[:50] + bytes([one[50] ^ 1]) + one[51:]
    for wrong in (two, changed, one[:-1], b"", b"EVOKED1\0"):
        first.write_bytes(wrong)
        with pytest.raises(DataError, match=r"0\.jpg"):
            unlock_images(pictures, keys)
        assert not (pictures.image_folder / "0.jpg").exists()
    first.write_bytes(one)
    with pytest.raises(DataError, match="another key"):
        unlock_images(pictures, others_keys)
    assert unlock_images(pictures, keys).pictures == 3


def test_nothing_is_locked_without_the_extra(
    pictures: PostDataset, keys: KeyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtraError, match=r"evoked\[privacy\]"):
        lock_images(pictures, keys)
    assert not is_locked(pictures)


@pytest.mark.parametrize("what", ["picture", "folder of pictures", "folder among them"])
def test_what_links_lead_to_is_never_locked(
    what: str, pictures: PostDataset, keys: KeyFolder, tmp_path: Path
) -> None:
    album = tmp_path / "album"
    shutil.copytree(pictures.image_folder, album)
    (album / ".half.tmp").write_bytes(b"somebody else's")
    if what == "picture":
        (pictures.image_folder / "0.jpg").unlink()
        (pictures.image_folder / "0.jpg").symlink_to(album / "0.jpg")
    elif what == "folder among them":
        (pictures.image_folder / "album").symlink_to(album)
    else:
        shutil.rmtree(pictures.image_folder)
        (pictures.folder / "images").symlink_to(album)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match="is a link"):
        lock_images(pictures, keys)
    (pictures.folder / "images.lock.json").write_text(json.dumps({"collection": "c", "key": "k"}))
    with pytest.raises(DataError, match="is a link"):
        unlock_images(pictures, keys)
    (pictures.folder / "images.lock.json").unlink()
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_pictures_of_posts_that_name_other_files_are_not_locked(
    pictures: PostDataset, keys: KeyFolder
) -> None:
    before = files(pictures)
    tamper_with_names(pictures.folder, ["/etc/passwd"])
    with pytest.raises(DataError, match="field images"):
        lock_images(pictures, keys)
    assert files(pictures) == before
    assert not is_locked(pictures)


def test_sealed_pieces_open_only_where_they_belong() -> None:
    sealed = Sealer(bytes(32), "one").seal(b"content", "name")
    assert Sealer(bytes(32), "one").open(sealed, "name") == b"content"
    for sealer, name in (
        (Sealer(bytes(32), "two"), "name"),
        (Sealer(b"k" * 32, "one"), "name"),
        (Sealer(bytes(32), "one"), "other"),
    ):
        with pytest.raises(DataError, match="can't be opened"):
            sealer.open(sealed, name)


# Locks and unlocks, killed (as by kill -9) before the n-th step that changes the disk's names.
KILLED_SCRIPT = """
import itertools, os, signal, sys
from pathlib import Path
from evoked.posts.dataset import PostDataset
from evoked.posts.privacy.image_locking import lock_images, unlock_images
from evoked.posts.privacy.keys import KeyFolder

dataset, keys, function, after = PostDataset(sys.argv[1]), KeyFolder(sys.argv[2]), *sys.argv[3:]
whole = {path.name: path.read_bytes() for path in dataset.image_folder.iterdir()}
change = {"lock": lock_images, "unlock": unlock_images}[function]
if function == "unlock":
    lock_images(dataset, keys)

def killed(last):
    steps = itertools.count(1)
    def counted(original):
        def step(*arguments, **settings):
            is_last = next(steps) == last
            if is_last and after == "0":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return original(*arguments, **settings)
            finally:
                if is_last:
                    os.kill(os.getpid(), signal.SIGKILL)
        return step
    for name in ("replace", "unlink", "fsync"):
        setattr(os, name, counted(getattr(os, name)))
    change(dataset, keys)

for last in range(1, 100):
    child = os.fork()
    if child == 0:
        killed(last)
        os._exit(0)
    finished = os.waitpid(child, 0)[1] == 0
    change(dataset, keys)  # once more, undisturbed
    if function == "lock":
        unlock_images(dataset, keys)
    now = {path.name: path.read_bytes() for path in dataset.image_folder.iterdir()}
    assert now == whole, (last, sorted(now))
    assert not (dataset.folder / "images.lock.json").exists()
    if finished:
        print(last)
        break
    if function == "unlock":
        lock_images(dataset, keys)
"""


@pytest.mark.parametrize("after", ["0", "1"])
@pytest.mark.parametrize("function", ["lock", "unlock"])
def test_killed_runs_lose_nothing(
    pictures: PostDataset, keys: KeyFolder, function: str, after: str
) -> None:
    arguments = [str(pictures.folder), str(keys.folder), function, after]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 6  # every step of three pictures was the last one once


# Blurred faces


def photograph() -> bytes:
    """A picture full of detail, whose file says where it was taken."""
    pixels = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "at home with Ines"
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


def test_a_blurred_face_keeps_no_detail() -> None:
    box = np.array([[0.4, 0.4, 0.2, 0.2]], dtype=np.float32)
    content, faces = blur_faces(photograph(), lambda _: box)
    assert faces == 1
    before, after = (
        np.asarray(Image.open(io.BytesIO(each)), dtype=float) for each in (photograph(), content)
    )
    inside, outside = (slice(48, 72), slice(80, 120)), (slice(0, 24), slice(0, 40))
    assert after[inside].std() < before[inside].std() / 4
    assert after[outside].std() > before[outside].std() / 1.5
    assert b"Ines" in photograph()
    assert b"Ines" not in content


def test_faces_beyond_the_border_and_no_faces_at_all() -> None:
    box = np.array([[0.9, -0.1, 0.3, 0.3], [0.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    assert blur_faces(photograph(), lambda _: box)[1] == 2
    none = np.zeros((0, 4), dtype=np.float32)
    content, faces = blur_faces(photograph(), lambda _: none)
    assert faces == 0
    assert b"Ines" not in content


def test_boxes_around_one_face_count_once() -> None:
    boxes = np.array([[0.1, 0.1, 0.2, 0.2], [0.12, 0.1, 0.2, 0.2], [0.6, 0.6, 0.2, 0.2]])
    assert count_faces(boxes.astype(np.float32)) == 2


def test_an_import_reports_how_many_faces_it_blurred(tmp_path: Path) -> None:
    source = csv_source(tmp_path / "source")
    box = np.array([[0.2, 0.2, 0.5, 0.5]], dtype=np.float32)
    result = import_posts("csv", source, tmp_path / "blurred", find_faces=lambda _: box)
    assert result.tally.faces == 3
    assert [row[:2] for row in summary_rows(result)][:3] == [
        ("read", 3),
        ("read", 3),
        ("blurred", 3),
    ]
    plain = import_posts("csv", source, tmp_path / "plain")
    assert plain.tally.faces is None
    assert not {path.name for path in result.dataset.image_folder.iterdir()} & {
        path.name for path in plain.dataset.image_folder.iterdir()
    }


def test_a_real_face_is_not_found_again(shared_data: Path) -> None:
    """Close-ups of OASIS: faces that were found are not found again after blurring."""
    from evoked.features.encoders.faces import find_faces_to_hide

    folder = shared_data / "oasis" / "images"
    paths = [folder / f"{name}_face_1.jpg" for name in ("Happy", "Neutral")]
    if not all(path.is_file() for path in paths):
        pytest.skip("the pictures of OASIS are absent")
    found = left = 0
    for path in paths:
        content, faces = blur_faces(path.read_bytes(), find_faces_to_hide)
        found += faces
        left += count_faces(find_faces_to_hide(np.asarray(Image.open(io.BytesIO(content)))))
    assert found >= 1
    assert left < found


# The command line


def test_the_tour_of_the_command_line(dataset: PostDataset, tmp_path: Path) -> None:
    def evoked(*arguments: object) -> str:
        done = CliRunner().invoke(app, ["privacy", *map(str, arguments)])
        assert done.exit_code == 0, done.output
        return done.stdout

    own, keys = tmp_path / "keys", ["--key", tmp_path / "keys"]
    shared, result = tmp_path / "shared", tmp_path / "figures.zip"
    assert "pseudonyms.key" in evoked("keys", own)
    printed = json.loads(evoked("protect", dataset.folder, shared, *keys, "--json"))
    assert printed["encrypted"] == ["followers", "likes"]
    assert printed["accounts"] == 7
    assert json.loads(evoked("aggregate", shared, "--out", result, "--json"))["groups"] == {
        "all": 60
    }
    rows = json.loads(evoked("reveal", result, *keys, "--originals", dataset.folder, "--json"))
    assert max(row["mean_error"] for row in rows) <= 1e-5
    assert "192 bit" in evoked("reveal", result, *keys)
    evoked("rates", shared, "--out", tmp_path / "rates.zip")
    evoked("reveal", tmp_path / "rates.zip", *keys, "--out", tmp_path / "rates.csv")
    assert len(pd.read_csv(tmp_path / "rates.csv")) == 60
    copy = shutil.copytree(dataset.folder, tmp_path / "posts")
    assert "3 pictures locked" in evoked("lock", copy, *keys)
    assert "3 pictures unlocked" in evoked("unlock", copy, *keys)


def test_the_page_is_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    documentation = Path(__file__).resolve().parents[3] / "docs" / "privacy.md"
    assert page().strip() in documentation.read_text(encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "100")
    assert "What is not protected" in CliRunner().invoke(app, ["privacy", "explain"]).stdout


def test_facts_are_left_out_unless_they_are_named(
    dataset: PostDataset, keys: KeyFolder, tmp_path: Path
) -> None:
    facts = {"fact.product": "secret shoe", "fact.spend": 12.5}
    whole = dataset.copy(tmp_path / "whole", {"posts": dataset.posts.assign(**facts)})
    done = protect(whole, tmp_path / "without", keys, encrypt=[])
    assert (done.facts, done.facts_left_out) == ([], ["product", "spend"])
    assert done.dataset.facts == []
    content = b"".join(
        path.read_bytes() for path in (tmp_path / "without").rglob("*") if path.is_file()
    )
    assert b"secret shoe" not in content
    assert b"product" not in content
    kept = protect(whole, tmp_path / "with", keys, encrypt=[], facts=["Spend"])
    assert (kept.facts, kept.facts_left_out) == (["spend"], ["product"])
    assert set(kept.dataset.posts["fact.spend"]) == {12.5}
    with pytest.raises(SettingsError, match="there is no fact 'colour'"):
        protect(whole, tmp_path / "other", keys, encrypt=[], facts=["colour"])
