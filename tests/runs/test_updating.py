"""New posts are taken into a run, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import evoked
from evoked.errors import DataError
from evoked.features.cache import FeatureCache
from evoked.files import atomic_folder, remove_leftovers
from evoked.parquet import read_frame
from evoked.posts.author_hashes import hashes
from evoked.posts.author_history import published_history
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.posts import Run
from evoked.runs.training import train_posts
from evoked.runs.updating import _both, update

PROGRAM = """
import sys
import evoked
from evoked.runs.updating import update
print("ready", flush=True)
update(sys.argv[1], evoked.open(sys.argv[2]))
"""


def account(number: int, seed: int = 0) -> pd.DataFrame:
    """Posts of one account, a day apart."""
    draw = np.random.default_rng(seed)
    days = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(number), "D")
    tags = draw.integers(0, 4, number)
    likes = np.exp(6 + 0.2 * tags + draw.normal(0, 0.4, number)).round()
    return pd.DataFrame(
        {
            "post_id": [f"post-{place}" for place in range(number)],
            "author_id": "me",
            "posted_at": days,
            "caption": [f"Post {place}" for place in range(number)],
            "hashtags": [["x"] * each for each in tags],
            "likes": likes,
        }
    )


class Made:
    """A run of the first hundred of 160 posts, and datasets of posts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.posts = folder, account(160)
        self.cache = FeatureCache(folder / "cache")
        self.run = self.trained(self.dataset("first", self.posts[:100]), "run")

    def dataset(self, name: str, posts: pd.DataFrame) -> PostDataset:
        place = self.folder / name
        if not place.exists():
            PostDataset.create(place, {"posts": posts.reset_index(drop=True)})
        return PostDataset(place)

    def trained(self, dataset: PostDataset, name: str) -> Run:
        out = self.folder / name
        return train_posts(dataset, "linear", out, estimate=False, cache=self.cache)

    def copy(self, place: Path) -> Path:
        return Path(shutil.copytree(self.run.folder, place / "run"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("updating"))


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("only_new", [False, True])
def test_the_level_is_that_of_all_posts(made: Made, tmp_path: Path, only_new: bool) -> None:
    folder, everything = made.copy(tmp_path), made.dataset("all", made.posts)
    given = made.dataset("new", made.posts[100:]) if only_new else everything
    found = update(folder, given, cache=made.cache)
    expected = published_history(everything.posts)
    draft = pd.DataFrame({"author_id": ["me"], "posted_at": [pd.Timestamp("2024-12-01", tz="UTC")]})
    after = Run.load(folder, made.cache)
    ours, theirs = (each.before(draft) for each in (after.history, expected))
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, atol=1e-3, err_msg=name)
    level = found.levels[0]
    assert level.after == pytest.approx(made.posts["likes"][150:].median(), rel=1e-3)
    assert level.before == pytest.approx(made.posts["likes"][90:100].median(), rel=1e-3)
    assert (found.posts, found.authors, found.retrained) == (60, 1, False)


def test_new_posts_join_the_test_posts_and_the_model_stays(made: Made, tmp_path: Path) -> None:
    folder = made.copy(tmp_path)
    before = made.run
    (folder / "ledger.jsonl").write_text("kept\n")
    found = update(folder, made.dataset("all", made.posts), cache=made.cache)
    after = Run.load(folder, made.cache)
    tests = before.description["split"]["test"]
    assert len(after.tested[0]) == tests + 60 == after.description["split"]["test"]
    assert after.tested[0]["post_id"].tolist()[tests:] == made.posts["post_id"].tolist()[100:]
    assert after.metrics["posts"] == tests + 60
    assert after.parts["part"].value_counts()["test"] == tests + 60
    for name in after.intervals.values:
        assert len(after.intervals.values[name].tested) >= len(before.intervals.values[name].tested)
    likes = after.track_record.held("likes", 0.8)
    assert likes is not None
    assert likes.posts == tests + 60
    told = found.ranges[0]
    old = before.track_record.held("likes", 0.8)
    assert old is not None
    assert likes.held == old.held + told.held
    weights = [each / "weights.safetensors" for each in (folder, before.folder)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert (folder / "ledger.jsonl").read_text() == "kept\n"
    assert after.description["updates"][0]["posts"] == 60
    assert "60 new posts joined the test posts" in (folder / "README.md").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert read_frame(folder / "baselines/author_mean/predictions.parquet")["post_id"].is_unique
    again = update(folder, made.dataset("all", made.posts), cache=made.cache)
    assert again.posts == 0
    assert "nothing has changed" in again.sentences[0]


def test_noisier_posts_widen_the_ranges_and_steady_ones_dont(made: Made, tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    wild = made.posts.copy()
    wild.loc[100:, "likes"] = np.exp(6 + draw.normal(0, 1.6, 60)).round()
    folder = made.copy(tmp_path)
    found = update(folder, made.dataset("wild", wild), cache=made.cache).ranges[0]
    assert found.held < 45
    assert found.wider > 1.15
    other = made.copy(tmp_path / "other")
    steady = update(other, made.dataset("all", made.posts), cache=made.cache).ranges[0]
    assert steady.held >= 40
    assert steady.wider < found.wider


def test_changed_posts_and_taken_ids_are_told(made: Made, tmp_path: Path) -> None:
    posts = made.posts[:104].copy()
    posts.loc[3, "likes"] = 5000
    posts.loc[5, "caption"] = "Other"
    posts.loc[5, "posted_at"] = pd.Timestamp("2024-09-01", tz="UTC")
    found = update(made.copy(tmp_path), made.dataset("changed", posts), cache=made.cache)
    assert found.posts == 4
    assert any("have changed since: likes of 1" in note for note in found.notes)
    assert any("1 posts were left out" in note for note in found.notes)


def test_posts_of_strangers_are_counted_and_left_out(made: Made, tmp_path: Path) -> None:
    """Unless they are asked for; posts without an author are nobody else's."""
    strange = account(30, seed=5).assign(post_id=[f"other-{n}" for n in range(30)])
    strange["author_id"] = ["x", "y", "z"] * 10
    strange["posted_at"] += pd.Timedelta(110, "D")
    strange.loc[:3, "likes"] = np.nan  # drafts count as nothing
    nameless = account(3, seed=6).assign(post_id=["n0", "n1", "n2"], author_id=None)
    given = made.dataset("strangers", pd.concat([made.posts, strange, nameless]))
    folder = made.copy(tmp_path)
    found = update(folder, given, cache=made.cache)
    after = Run.load(folder, made.cache)
    assert (found.posts, found.authors, found.others) == (63, 1, (26, 3))
    assert found.to_dict()["left_out"] == {"posts": 26, "authors": 3}
    assert after.description["data"]["authors"] == made.run.description["data"]["authors"]
    assert not after.knows_author("x")
    assert not after.parts["post_id"].str.startswith("other").any()
    assert any(
        "26 posts of 3 authors, none of whom the run knows: left out" in line
        and "--all-authors" in line
        for line in found.sentences
    )
    kept = json.dumps({"author": str(hashes(pd.Series(["x"]))[0])})
    (folder / "ledger.jsonl").write_text(f"damaged\n[]\n{kept}\n")
    again = update(folder, given, cache=made.cache)
    assert (again.posts, again.authors, again.others) == (8, 1, (18, 2))
    assert "18 posts of 2 authors" in again.notes[-1]
    everybody = update(folder, given, all_authors=True, cache=made.cache)
    assert (everybody.posts, everybody.authors, everybody.others) == (18, 2, (0, 0))
    assert Run.load(folder, made.cache).knows_author("y")


def test_the_range_of_a_share_is_of_one_kind(made: Made, tmp_path: Path) -> None:
    """Before an update and after it: that of Clopper and Pearson."""
    folder = made.copy(tmp_path)
    update(folder, made.dataset("all", made.posts), cache=made.cache)
    for metrics in (made.run.metrics, Run.load(folder, made.cache).metrics):
        for row in metrics["intervals"]:
            exact = binomtest(round(row["coverage"] * row["n"]), row["n"]).proportion_ci()
            assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_posts_that_resemble_each_other_count_for_less() -> None:
    """Where a bootstrap of authors found a wider range, an update does not make it that of as many
    independent posts."""
    one = {"outcome": "likes", "nominal": 0.8, "coverage": 0.75, "n": 100, "width": 1.0}
    more = {**one, "low": 0.6, "high": 0.9}
    exact = binomtest(75, 100).proportion_ci()
    alone, shared = (
        _both({**one, "low": low, "high": high}, more)
        for low, high in ((exact.low, exact.high), (0.55, 0.95))
    )
    twice = binomtest(150, 200).proportion_ci()
    assert (alone["low"], alone["high"]) == pytest.approx((twice.low, twice.high))
    assert shared["high"] - shared["low"] == pytest.approx(0.4 / 2**0.5, abs=0.03)


def test_new_posts_are_predicted_once_where_the_model_stays(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    examples = Run.examples

    def counted(self: Run, posts: pd.DataFrame, *arguments: Any) -> Any:
        asked.append(len(posts))
        return examples(self, posts, *arguments)

    monkeypatch.setattr(Run, "examples", counted)
    update(made.copy(tmp_path), made.dataset("all", made.posts), cache=made.cache)
    assert asked == [60]


def test_learning_anew_needs_the_old_posts(made: Made, tmp_path: Path) -> None:
    folder = made.copy(tmp_path)
    before = content(folder)
    with pytest.raises(DataError, match="too few to learn"):
        update(folder, made.dataset("new", made.posts[100:]), retrain=True, cache=made.cache)
    assert content(folder) == before


def test_learning_anew_makes_the_run_of_all_posts(made: Made, tmp_path: Path) -> None:
    folder = made.copy(tmp_path)
    (folder / "ledger.jsonl").write_text("kept\n")
    (folder / "report.html").write_text("old")
    found = update(folder, made.dataset("all", made.posts), retrain=True, cache=made.cache)
    made.trained(made.dataset("all", made.posts), "anew")
    after, expected = (Run.load(each, made.cache) for each in (folder, made.folder / "anew"))
    draft = Draft(caption="Hello #x", posted_at=datetime(2024, 8, 1, tzinfo=UTC))
    pd.testing.assert_frame_equal(after.predict([draft]), expected.predict([draft]))
    assert found.retrained
    assert after.description["updates"][0]["retrained"]
    assert (folder / "ledger.jsonl").read_text() == "kept\n"
    assert not (folder / "report.html").exists()
    assert "It has learned anew, with 60 new posts." in found.sentences[0]


def test_an_update_that_fails_leaves_the_run_as_it_was(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made.copy(tmp_path)
    before = content(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evoked.runs.updating.write_json", full)
    with pytest.raises(DataError, match="disk is full"):
        update(folder, made.dataset("all", made.posts), cache=made.cache)
    assert content(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
@pytest.mark.slow
def test_killed_updates_leave_a_run_that_an_update_completes(made: Made, tmp_path: Path) -> None:
    folder, everything = made.copy(tmp_path), made.dataset("all", made.posts)
    command = [sys.executable, "-c", PROGRAM, str(folder), str(everything.folder)]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    draw = np.random.default_rng(0)
    for _ in range(6):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.uniform(0.1, 2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        Run.load(folder).predict([Draft(caption="Hello")])
    update(folder, everything)
    assert len(json.loads((folder / "run.json").read_text())["updates"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_a_folder_that_was_moved_aside_is_moved_back(made: Made, tmp_path: Path) -> None:
    folder = made.copy(tmp_path)
    program = f"""
import os
from evoked.files import atomic_folder
moved = os.replace
def once(source, target):
    moved(source, target)
    os.kill(os.getpid(), 9)
os.replace = once
with atomic_folder({str(folder)!r}) as new:
    pass
"""
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert killed.returncode == -9
    assert not folder.exists()
    assert evoked.load(folder).description["model"]["name"] == "linear"
    with atomic_folder(folder) as new:
        (new / "file").write_text("new")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (folder / "file").read_text() == "new"
