"""Runs: from a dataset to a folder that predicts, all stages real."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evoked
from evoked.errors import DataError, SettingsError
from evoked.evaluation.splits import Split
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.models.linear import Linear
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import as_posts
from evoked.posts.schema import ENGAGEMENT, EXPOSURE
from evoked.runs.base import Callbacks
from evoked.runs.folder import data_description
from evoked.runs.posts import Run
from evoked.runs.training import calibrated_split, part_examples, train
from evoked.training import TrainingSettings

QUICK = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")
SMALL_NETWORK = {"width": 16}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return evoked.synthesise(tmp_path_factory.mktemp("data") / "posts", n=80, seed=3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def run(dataset: PostDataset, cache: FeatureCache, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(
        dataset, model="abmf", out=out, model_settings=SMALL_NETWORK, training=QUICK, cache=cache
    )


def without(dataset: PostDataset, folder: Path, **columns: object) -> PostDataset:
    """A copy of the dataset with columns replaced."""
    posts = dataset.posts.assign(**columns)
    shutil.copytree(dataset.image_folder, folder.parent / "images")
    return PostDataset.create(folder, {"posts": posts}, images=folder.parent / "images")


def test_run_is_a_folder_without_code(run: Run) -> None:
    names = {path.name for path in run.folder.iterdir()}
    assert {"README.md", "run.json", "model.json", "weights.safetensors", "metrics.json"} <= names
    suffixes = {path.suffix for path in run.folder.rglob("*") if path.is_file()}
    assert suffixes <= {".md", ".json", ".safetensors", ".parquet", ".csv", ".ckpt"}
    card = (run.folder / "README.md").read_text()
    assert "trivial baselines" in card
    assert "author_mean" in card
    assert run.description["split"]["reason"] in card


def test_run_names_no_author(run: Run, dataset: PostDataset) -> None:
    content = b"".join(path.read_bytes() for path in run.folder.rglob("*") if path.is_file())
    assert not [name for name in dataset.posts["author_id"].unique() if name.encode() in content]


def test_author_mean_knows_its_authors(run: Run, dataset: PostDataset) -> None:
    rows = run.evaluate(dataset).table.set_index(["model", "target", "metric"])["value"]
    known = dataset.posts.merge(run.parts, on="post_id")
    train = known[known["part"] == "train"]
    tested = known[known["part"] == "test"]
    own = tested["author_id"].map(train.groupby("author_id")["valence"].mean())
    error = (tested["valence"] - own.fillna(train["valence"].mean())).abs().mean()
    assert rows["author_mean", "valence", "MAE"] == pytest.approx(error, abs=1e-5)


def test_loaded_run_predicts_the_same(run: Run, dataset: PostDataset, cache: FeatureCache) -> None:
    loaded = Run.load(run.folder, cache)
    pd.testing.assert_frame_equal(loaded.predict(dataset), run.predict(dataset))


def test_scores_are_those_of_held_out_posts(run: Run, dataset: PostDataset) -> None:
    evaluation = run.evaluate(dataset)
    tested = run.parts.loc[run.parts["part"] == "test", "post_id"]
    assert set(evaluation.predictions["post_id"]) == set(tested)
    assert evaluation.excluded == len(dataset) - len(tested)
    table = evaluation.table
    assert set(table["model"]) == {"abmf", "mean", "author_mean", "category_mean", "recent_posts"}
    again = pd.DataFrame(run.metrics["scores"])
    np.testing.assert_allclose(
        again["value"].astype(float), table["value"].astype(float), atol=1e-6
    )


def test_other_posts_that_bear_the_same_ids_are_new(run: Run, tmp_path: Path) -> None:
    others = evoked.synthesise(tmp_path / "others", n=30, seed=4)
    assert others.posts["post_id"].isin(run.parts["post_id"]).all()
    evaluation = run.evaluate(others)
    assert (len(evaluation.predictions), evaluation.excluded) == (30, 0)
    assert evaluation.split == "posts new to the run"


def test_own_posts_are_recognised_though_caption_or_date_was_changed(
    run: Run, dataset: PostDataset
) -> None:
    part = run.parts["part"].tolist()
    assert run.part_of(dataset.posts.assign(caption="edited")).tolist() == part
    assert run.part_of(dataset.posts.assign(posted_at=pd.NaT)).tolist() == part
    reversed_posts = dataset.posts.iloc[::-1]
    assert run.part_of(reversed_posts).tolist() == part[::-1]


def test_scores_agree_with_predictions_by_hand(run: Run, dataset: PostDataset) -> None:
    evaluation = run.evaluate(dataset)
    truth = dataset.posts.set_index("post_id").loc[evaluation.predictions["post_id"]]
    by_hand = np.abs(truth["valence"].to_numpy() - evaluation.predictions["valence"]).mean()
    rows = evaluation.table.set_index(["model", "target", "metric"])
    assert rows.loc[("abmf", "valence", "MAE"), "value"] == pytest.approx(by_hand, abs=1e-6)


def test_few_validation_posts_are_reported_in_whatever_number(dataset: PostDataset) -> None:
    rows, notes = np.arange(80), list[str]()
    split = Split(rows[2:], rows[:1], rows[1:2], "random", "By hand.")
    calibrated_split(dataset.posts, split, 0, Callbacks(note=notes.append))
    assert notes[1].startswith("Too few validation rows (1) to calibrate intervals on half of them")


@pytest.mark.parametrize(("calibrating", "note"), [(1, "by 1 author only"), (9, None)])
def test_few_authors_that_calibrate_are_reported(calibrating: int, note: str | None) -> None:
    # Half of the authors that validate calibrate.
    authors = np.repeat([f"a{number}" for number in range(2 * calibrating + 2)], 20)
    posts = pd.DataFrame({"post_id": np.arange(len(authors)).astype(str), "author_id": authors})
    rows, notes = np.arange(len(posts)), list[str]()
    for kind in ("author", "random"):
        split = Split(rows[:20], rows[40:], rows[20:40], kind, "By hand.")
        calibrated_split(posts, split, 0, Callbacks(note=notes.append))
    assert notes[0] == notes[-1] == "By hand."
    assert len(notes) == (2 if note is None else 3)
    assert note is None or note in notes[1]


def test_draft_needs_nothing_but_something(run: Run) -> None:
    table = run.predict(
        [
            evoked.Draft(caption="A quiet morning by the lake #calm"),
            evoked.Draft(caption="A quiet morning", followers=1000, category="travel"),
            evoked.Draft(),
        ]
    )
    assert len(table) == 3
    assert table["valence"].between(-4, 4).all()
    assert table["likes_rate"].notna().all()
    assert table["likes"].isna().tolist() == [True, False, True]  # no followers, no count


def test_answer_is_the_prediction_in_a_sentence(run: Run, dataset: PostDataset) -> None:
    author = dataset.posts["author_id"].value_counts().index[0]
    drafts = [evoked.Draft(caption="hi", followers=5000, author=author), evoked.Draft(caption="hi")]
    known, unknown = run.answer(drafts)
    assert "better than " in known
    assert "of the author's last " in known
    assert "better than" not in unknown
    table = run.predict(drafts)
    # What was assumed about a draft follows its answer.
    assert known.startswith(table["answer"][0])
    assert unknown.startswith(table["answer"][1])
    (row,) = (
        row
        for row in run.metrics["intervals"]
        if (row["outcome"], row["nominal"]) == ("likes", 0.8)
    )
    assert table["coverage_measured"].tolist() == pytest.approx([row["coverage"]] * 2)
    assert table["coverage_n"].tolist() == [row["n"]] * 2


def test_drafts_are_calibrated_on_test_posts(run: Run) -> None:
    tests = len(run.parts.query("part == 'test'"))
    assert len(run.intervals.values["likes"].tested) == tests
    assert run.intervals.tested["likes"] == tests


def test_unreadable_picture_is_named_and_sinks_nothing(
    run: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    (tmp_path / "fake.jpg").write_text("not a picture")
    author = dataset.posts["author_id"][0]
    table = run.predict(
        [
            evoked.Draft(image=tmp_path / "fake.jpg", caption="One", author=author),
            evoked.Draft(caption="Two", author=author),
        ]
    )
    assert table["valence"].notna().all()
    assert "fake.jpg" in table["problem"][0]
    assert table["problem"].isna()[1]


def test_same_command_again_changes_nothing_other_settings_are_refused(
    run: Run, dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    weights = (run.folder / "weights.safetensors").read_bytes()
    train(
        dataset,
        out=run.folder,
        model="abmf",
        model_settings=SMALL_NETWORK,
        training=QUICK,
        cache=cache,
    )
    assert (run.folder / "weights.safetensors").read_bytes() == weights
    with pytest.raises(SettingsError, match="another run"):
        train(
            dataset,
            out=run.folder,
            model="abmf",
            model_settings={"width": 32},
            training=QUICK,
            cache=cache,
        )
    changed = PostDataset(shutil.copytree(dataset.folder, tmp_path / dataset.folder.name))
    assert data_description(changed, []) == data_description(dataset, [])
    shutil.copyfile(*[path for path in changed.cover_paths() if path is not None][:2])
    with pytest.raises(SettingsError, match="another run"):
        train(
            changed,
            out=run.folder,
            model="abmf",
            model_settings=SMALL_NETWORK,
            training=QUICK,
            cache=cache,
        )
    with pytest.raises(SettingsError, match="not empty"):
        train(dataset, out=dataset.folder, training=QUICK, cache=cache)
    with pytest.raises(SettingsError, match=r"abmf: .*'witdh'.*'width'"):
        train(dataset, out=run.folder, model="abmf", model_settings={"witdh": 32}, cache=cache)


def test_run_that_failed_before_it_began_bars_no_other(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    mistyped = FeatureSettings(text_encoder=f"transformers:{tmp_path / 'nowhere'}")
    with pytest.raises(SettingsError, match="nowhere"):
        train(dataset, "abmf", tmp_path / "run", features=mistyped, training=QUICK, cache=cache)
    train(
        dataset,
        out=tmp_path / "run",
        model="abmf",
        model_settings=SMALL_NETWORK,
        training=QUICK,
        cache=cache,
    )


def test_same_seed_makes_the_same_run(
    run: Run, dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    again = train(
        dataset,
        out=tmp_path / "run",
        model="abmf",
        model_settings=SMALL_NETWORK,
        training=QUICK,
        cache=cache,
    )
    pd.testing.assert_frame_equal(again.predict(dataset), run.predict(dataset))


def test_posts_that_nobody_rated_are_estimated_and_marked(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    unrated = without(dataset, tmp_path / "posts", valence=np.nan, arousal=np.nan)
    notes: list[str] = []
    estimated = train(
        unrated,
        out=tmp_path / "run",
        model="abmf",
        model_settings=SMALL_NETWORK,
        training=QUICK,
        cache=cache,
        callbacks=Callbacks(note=notes.append),
    )
    assert estimated.estimated
    said = estimated.description["emotions_note"]
    ways = ("caption and picture", "the caption alone", "the picture alone")
    assert re.search(", ".join(rf"\d+ from {way}" for way in ways), said)
    assert said in notes
    card = (tmp_path / "run" / "README.md").read_text()
    assert "**estimated**" in card
    assert said in card
    assert estimated.predict(unrated)["valence"].notna().all()
    # Estimates teach, but they are never truth: no score of emotion comes from them.
    assert {row["target"] for row in estimated.metrics["scores"]}.isdisjoint({"valence"})
    untaught = train(
        unrated,
        out=tmp_path / "untaught",
        model="abmf",
        model_settings=SMALL_NETWORK,
        training=QUICK,
        cache=cache,
        estimate=False,
    )
    assert untaught.predict(unrated)["valence"].isna().all()


@pytest.mark.parametrize(
    "columns",
    [
        {"author_id": "one author"},
        {"likes": 5, "comments": 5, "shares": 5, "saves": 5, "followers": 100, "valence": 1.0},
        {"followers": 0},
        {"caption": None, "hashtags": [[] for _ in range(80)]},
        {"images": [[] for _ in range(80)]},
        {"posted_at": pd.NaT, "category": None},
    ],
    ids=["one author", "equal targets", "no followers", "no captions", "no images", "no dates"],
)
def test_poor_data_trains_all_the_same(
    columns: dict[str, object], dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    poor = without(dataset, tmp_path / "posts", **columns)
    run = train(
        poor,
        out=tmp_path / "run",
        model="abmf",
        model_settings=SMALL_NETWORK,
        training=QUICK,
        cache=cache,
    )
    table = run.predict(poor)
    assert len(table) == 80
    assert table["likes_standing"].between(0, 1).all()


def later(dataset: PostDataset) -> datetime:
    """An instant after all posts."""
    return dataset.posts["posted_at"].max().to_pydatetime()


def test_drafts_are_nobodys_past(run: Run, dataset: PostDataset) -> None:
    """Several drafts of one author get what each gets alone, in whatever order."""
    author = dataset.posts["author_id"].value_counts().index[0]
    drafts = [
        evoked.Draft(
            caption="Golden hour",
            author=author,
            followers=1000,
            posted_at=later(dataset) + timedelta(hours=hours),
            name=f"after {hours} hours",
        )
        for hours in (30, 60, 90)
    ]
    alone = pd.concat([run.predict([draft]) for draft in drafts], ignore_index=True)
    pd.testing.assert_frame_equal(run.predict(drafts), alone, rtol=1e-4)
    backwards = run.predict(drafts[::-1]).iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(backwards, alone, rtol=1e-4)


def test_a_drafts_level_is_that_of_the_newest_posts(run: Run, dataset: PostDataset) -> None:
    """What a run carries includes its test posts, whose authors' next posts drafts are."""
    author = dataset.posts["author_id"].value_counts().index[0]
    draft = evoked.Draft(author=author, posted_at=later(dataset) + timedelta(days=1))
    attached = run.attach_history(as_posts([draft])[0], drafts=True)
    own = dataset.posts[dataset.posts["author_id"] == author].sort_values("posted_at")
    assert attached["history.posts"][0] == len(own)
    median = np.log1p(own["likes"].astype(float)).tail(10).median()
    assert attached["history.median10_likes"][0] == pytest.approx(median, abs=1e-4)


def test_posts_without_counts_are_nobodys_past(
    run: Run, dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    hours = pd.to_timedelta(24 * np.arange(1, 81), unit="h")
    unknown = without(
        dataset,
        tmp_path / "posts",
        **dict.fromkeys((*ENGAGEMENT, *EXPOSURE), np.nan),
        author_id=dataset.posts["author_id"].value_counts().index[0],
        posted_at=later(dataset) + hours,
    )
    attached = run.attach_history(unknown.posts)
    assert attached["history.posts"].nunique() == 1
    assert attached["history.median10_likes"].nunique() == 1


def test_what_test_posts_got_teaches_nothing(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    rows = np.arange(80)
    split = Split(rows[:50], rows[50:60], rows[60:], "time", "By hand.")
    columns = {
        "author_id": np.where(rows < 50, "known", "stranger"),
        "posted_at": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rows, unit="D"),
    }
    runs = []
    for name, likes in (("true", rows), ("poisoned", np.where(rows < 60, rows, 0))):
        posts = without(dataset, tmp_path / name / "posts", **columns, likes=likes)
        run = train(
            posts,
            "linear",
            tmp_path / name / "run",
            task="author_popularity",
            model_settings={"min_validation_posts": 0},
            split=split,
            cache=cache,
        )
        runs.append(run)
        part = part_examples(run.examples(posts.posts, [None] * 80)[0], split.validation, run.task)
        assert part.targets is not None
        # The stranger's validation posts have 50 to 59 likes, with quartiles 52.25 and 56.75.
        expected = [0] * 3 + [np.nan] * 4 + [1] * 3
        np.testing.assert_array_equal(part.targets.values[:, 0], expected)
        popular = run.task.truth(part.posts)["popular"].astype("Float64")
        np.testing.assert_array_equal(popular.to_numpy(float, na_value=np.nan), expected)
    true, poisoned = (run.model for run in runs)
    assert isinstance(true, Linear)
    assert isinstance(poisoned, Linear)
    assert true.penalties == poisoned.penalties
    for name, values in true.arrays.items():
        np.testing.assert_array_equal(values, poisoned.arrays[name], err_msg=name)


def test_what_no_training_post_had_is_reported(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    nothing = {"caption": None, "title": None, "hashtags": [[] for _ in range(80)]}
    bare = without(dataset, tmp_path / "bare" / "posts", **nothing, images=[[] for _ in range(80)])
    notes: list[str] = []
    callbacks = Callbacks(note=notes.append)
    run = train(
        bare,
        "eijl",
        tmp_path / "bare" / "run",
        training=QUICK,
        cache=cache,
        callbacks=callbacks,
    )
    reason = (
        "None of the training posts has a caption or a picture, which is all that eijl reads: "
        "to it, all posts are alike."
    )
    assert reason in notes
    # Another learning rate would not help.
    assert run.metrics["warnings"] == [reason]
    assert "COLLAPSED" not in "".join(notes)
    notes.clear()
    Run.load(run.folder, cache).predict([evoked.Draft(caption="A quiet morning")], callbacks)
    assert notes == [reason]

    untagged = without(dataset, tmp_path / "untagged" / "posts", **nothing)
    notes.clear()
    run = train(
        untagged,
        "linear",
        tmp_path / "untagged" / "run",
        cache=cache,
        callbacks=callbacks,
    )
    reason = (
        "None of the training posts has a caption or hashtags, so linear has not learned what "
        "that says about a post."
    )
    assert reason in notes
    notes.clear()
    run.predict(untagged, callbacks)
    assert notes == []
    run.predict([evoked.Draft(caption="A quiet morning")], callbacks)
    assert notes == [reason]


def test_too_few_posts_is_said(dataset: PostDataset, tmp_path: Path) -> None:
    for n in (0, 1):
        few = PostDataset.create(tmp_path / f"posts{n}", {"posts": dataset.posts.iloc[:n]})
        with pytest.raises(DataError):
            train(few, out=tmp_path / "run", training=QUICK)
    assert not (tmp_path / "run").exists()


def test_unfinished_run_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="evoked train"):
        Run.load(tmp_path)


def test_changed_encoder_is_refused(run: Run, dataset: PostDataset, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    path = tmp_path / "run" / "features.json"
    state = json.loads(path.read_text())
    state["fingerprints"]["image.map"] = "another encoder"
    path.write_text(json.dumps(state))
    with pytest.raises(SettingsError, match=r"image\.map: the encoder is not the one"):
        Run.load(tmp_path / "run").predict(dataset)


def test_views_are_augmented_pictures(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    few = dataset.select(np.arange(30))
    run = train(
        few,
        out=tmp_path / "run",
        model="abmf",
        model_settings=SMALL_NETWORK,
        training=QUICK,
        features=FeatureSettings(views=2),
        cache=cache,
    )
    examples, _ = run.examples(few.posts, few.cover_paths())
    rows = np.array([0, 1])
    plain = examples.features.take(rows)["image.map"]
    other = examples.features.take(rows, np.array([1, 1]))["image.map"]
    assert not np.allclose(plain, other)


@pytest.mark.slow
def test_killed_training_resumes(dataset: PostDataset, tmp_path: Path) -> None:
    options = (
        f"--out {tmp_path}/run --epochs 6 --set width=16 --cache {tmp_path}/cache --device cpu"
    )
    command = [sys.executable, "-m", "evoked", "train", str(dataset.folder), *options.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    log = tmp_path / "run" / "training" / "log.csv"
    deadline = time.monotonic() + 300
    while not log.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(pd.read_csv(log))
    assert 1 <= done < 6
    assert not (tmp_path / "run" / "run.json").exists()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert len(pd.read_csv(log)) == 6
    assert len(Run.load(tmp_path / "run").predict(dataset)) == len(dataset)
