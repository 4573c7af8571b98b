"""Parts of the comparison with peers that need no peers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import peer_checkpoints
import peer_models
import peer_networks
import peers
import pytest
import torch

from evoked.evaluation.metrics import r2
from evoked.features.encoders._lite import LITES, MEAN, POOLED_STAGES, SPREAD, lite_graph
from evoked.features.encoders.builtin_text import BuiltinTextEncoder
from evoked.posts.author_history import attach_history
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts
from evoked.posts.synthetic.posts import synthesise


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return synthesise(tmp_path_factory.mktemp("peers") / "posts", n=80, seed=0)


@pytest.mark.parametrize("split", ["time", "random"])
def test_all_sides_get_the_same_rows(dataset: PostDataset, split: str) -> None:
    source = peers.Source("jsonl", "posts.jsonl", split)
    first, second = (peers.rows_of(PostDataset(dataset.folder), source) for _ in range(2))
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(first.splits[0], part), getattr(second.splits[0], part))
    learned, tested = first.learned(first.splits[0]), first.tested(first.splits[0])
    assert not set(learned) & set(tested)
    assert sorted([*learned, *tested]) == np.flatnonzero(np.isfinite(first.truth)).tolist()
    table = peers.peer_table(first)
    assert np.flatnonzero(table["fold 0"] == "learned").tolist() == learned.tolist()
    found = peer_models.predicted(table, peer_models.mean).values
    assert np.flatnonzero(np.isfinite(found)).tolist() == tested.tolist()
    assert found[tested[0]] == pytest.approx(first.truth[learned].mean())


def test_folds_test_each_post_once_and_keep_authors_together(dataset: PostDataset) -> None:
    rows = peers.rows_of(dataset, peers.Source("jsonl", "posts.jsonl", "author", folds=3))
    known = np.flatnonzero(np.isfinite(rows.truth))
    assert sorted(rows.all_tested) == known.tolist()
    authors = rows.posts["author_id"]
    for split in rows.splits:
        assert not set(authors[rows.learned(split)]) & set(authors[rows.tested(split)])


def test_posts_of_one_name_are_held_together(tmp_path: Path) -> None:
    lines = ["id,valence"] + [f"Name{n % 7} {n},{n % 9 + 1}" for n in range(42)]
    (tmp_path / "posts.csv").write_text("\n".join(lines), encoding="utf-8")
    imported = import_posts("csv", tmp_path / "posts.csv", tmp_path / "posts")
    source = peers.Source("csv", "", "author", outcome="valence", folds=3, by_name=True)
    rows = peers.rows_of(imported.dataset, source)
    names = rows.posts["post_id"].str.split().str[0]
    for split in rows.splits:
        assert not set(names[rows.learned(split)]) & set(names[rows.tested(split)])


def test_the_past_of_a_post_is_strictly_earlier(dataset: PostDataset) -> None:
    posts = dataset.posts.reset_index(drop=True)
    dates = pd.to_datetime(posts["posted_at"])
    row = int(attach_history(posts)["history.posts"].to_numpy().argmax())
    now_or_later = (dates >= dates[row]).to_numpy()
    changed = posts.assign(likes=posts["likes"].where(~now_or_later, 10**6))
    columns = [
        "history.last_likes",
        "history.mean10_likes",
        "history.median10_likes",
        "history.hours",
    ]
    before, after = (attach_history(each).loc[row, columns] for each in (posts, changed))
    pd.testing.assert_series_equal(before, after)
    # Earlier posts of the same author are seen.
    own_past = (posts["author_id"] == posts["author_id"][row]).to_numpy() & ~now_or_later
    seen = attach_history(posts.assign(likes=posts["likes"].where(~own_past, 10**6)))
    assert own_past.any()
    assert seen.loc[row, "history.last_likes"] == pytest.approx(np.log1p(10**6))


def test_peers_read_nothing_that_is_unknown_before_posting(dataset: PostDataset) -> None:
    rows = peers.rows_of(dataset, peers.Source("jsonl", "posts.jsonl", "time"))
    unknown = ["likes", "comments", "shares", "saves", "views", "reach", "impressions", "valence"]
    posts = rows.posts
    blank = rows._replace(posts=posts.assign(**dict.fromkeys(unknown, np.nan)))
    pd.testing.assert_frame_equal(peers.peer_table(rows), peers.peer_table(blank))


def test_differences_are_of_the_same_posts() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=200)
    noise = random.normal(size=200)
    # Both are far off on the same posts, ours always a little less.
    found = {"ridge": truth + noise, "evoked": truth + 0.95 * noise}
    (paired,) = peers.differences(truth, found)
    assert paired["R² more"] == pytest.approx(
        float(r2(truth, found["evoked"])) - float(r2(truth, found["ridge"]))
    )
    assert 0 < paired["low"] < paired["R² more"] < paired["high"]
    assert paired["high"] - paired["low"] < 0.1
    (same,) = peers.differences(truth, {"ridge": found["ridge"], "evoked": found["ridge"]})
    assert (same["low"], same["R² more"], same["high"]) == (0, 0, 0)


def test_the_best_peer_is_compared() -> None:
    truth = np.arange(50.0)
    found = {"mean": np.full(50, truth.mean()), "ridge": truth + 1, "evoked": truth + 2}
    (row,) = peers.differences(truth, found)
    assert row["best peer"] == "ridge"
    assert row["R² more"] < 0
    assert peers.differences(truth, {"evoked": truth}) == []
    assert [row["peer"] for row in peers.beside_each(truth, found)] == ["mean", "ridge"]
    best = peers.beside_each(truth, found)[1]
    assert (best["R² more"], best["low"], best["high"]) == (row["R² more"], row["low"], row["high"])


def test_authors_with_most_posts_are_taken(dataset: PostDataset) -> None:
    counts = dataset.posts["author_id"].value_counts()
    taken = peers.most_posts(dataset, 3).posts["author_id"].value_counts()
    assert taken.tolist() == counts.tolist()[:3]
    assert len(peers.most_posts(dataset, None)) == len(dataset)


def test_networks_see_the_picture_and_the_others_what_was_made_of_it(dataset: PostDataset) -> None:
    rows = peers.rows_of(dataset, peers.Source("jsonl", "posts.jsonl", "time"))
    table = peers.peer_table(rows)
    files = table[peer_networks.PICTURE_FILE]
    assert files.ne("").tolist() == rows.posts["images"].str.len().gt(0).tolist()
    assert all(Path(file).is_file() for file in files if file)
    for side in peer_models.PEERS:
        seen = peer_models.seen_by(side, table).columns
        reads_files = side in peer_networks.NETWORKS
        assert (peer_networks.PICTURE_FILE in seen) == reads_files
        assert any(str(name).startswith(peer_models.COLOUR) for name in seen) != reads_files
        assert {"caption", "truth", "fold 0", "history.mean10", "hour"} <= set(seen)


def test_networks_begin_with_evokeds_own_weights(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    peer_checkpoints.write_checkpoints(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    folder = tmp_path / peer_networks.PICTURE_WEIGHTS
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    network = timm.create_model(
        config["architecture"], checkpoint_path=folder / "pytorch_model.bin", num_classes=0
    ).eval()
    # As evoked scales a picture, which differs a little from what the checkpoint says.
    scaled = torch.tensor((picture.astype(np.float32) - MEAN) / SPREAD).permute(0, 3, 1, 2)
    with torch.no_grad():
        found = network(scaled).numpy()
    assert found.shape == (1, peer_networks.PICTURE_CHANNELS)
    _, vectors = lite_graph(LITES["lite0"], POOLED_STAGES[-1])({"pictures": picture})
    head = vectors[:, -peer_networks.PICTURE_CHANNELS :]
    np.testing.assert_allclose(found, head, atol=1e-3 * np.abs(head).max())
    captions = peer_networks.captions_network(tmp_path)
    ids = peer_networks.token_ids(pd.Series(["a day at the lake", "no"]), tmp_path)
    with torch.no_grad():
        vectors = captions(torch.tensor(ids)).numpy()
    own = BuiltinTextEncoder().encode(["a day at the lake", "no"]).vector
    # evoked makes each of length 1.
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, own, atol=1e-4)


def test_widedeep_runs_where_it_is_installed() -> None:
    parser = peers.argparse.ArgumentParser()
    peers.add_peer_options(parser)
    one = parser.parse_args(["--peers-python", "one"])
    two = parser.parse_args(["--peers-python", "one", "--widedeep-python", "two"])
    assert peers.interpreter(peer_networks.WIDEDEEP, one) == "one"
    assert peers.interpreter(peer_networks.WIDEDEEP, two) == "two"
    assert peers.interpreter("ridge", two) == "one"


def test_networks_leave_out_what_nobody_has() -> None:
    table = pd.DataFrame(
        {
            "caption": ["", " "],
            peer_networks.PICTURE_FILE: ["a.jpg", ""],
            "followers": [1.0, np.nan],
            "hour": [np.nan, np.nan],
        }
    )
    assert list(peer_networks.readable(table)) == [peer_networks.PICTURE_FILE, "followers"]
    files = pd.Series(["", ""])
    assert (peer_networks.squares(files) == 128).all()


def test_absent_data_is_skipped_with_its_reason(tmp_path: Path) -> None:
    arguments = peers.argparse.Namespace(
        data=tmp_path, work=tmp_path, sides=["mean"], peers_python="python"
    )
    found = peers.compare("instagram_top20", arguments)
    assert str(tmp_path / "instagram_top20") in found["skipped"]["dataset"]
    assert peers.tables_of({"instagram_top20": found})["skipped"]["rows"] == [
        ["instagram_top20", "dataset", found["skipped"]["dataset"]]
    ]


def test_no_history_is_a_reason_to_skip(dataset: PostDataset, tmp_path: Path) -> None:
    rows = peers.rows_of(dataset, peers.Source("jsonl", "posts.jsonl", "random"))
    undated = rows._replace(posts=attach_history(dataset.posts.assign(posted_at=pd.NaT)))
    peers.peer_table(undated).to_parquet(tmp_path / "table.parquet")
    with pytest.raises(peers.SkippedError, match="earlier"):
        peers.measured_peer("last10", sys.executable, tmp_path, undated)
    found = peers.measured_peer("mean", sys.executable, tmp_path, undated)
    assert len(found.predicted.values) == len(rows.all_tested)
    assert found.seconds >= found.fit + found.predict > 0
    assert found.megabytes > 0


def test_peers_see_colours_or_the_vectors_of_the_learned_posts(dataset: PostDataset) -> None:
    rows = peers.rows_of(dataset, peers.Source("jsonl", "posts.jsonl", "random"))
    colours, vectors = (peers.peer_table(rows, seen) for seen in (peers.COLOURS, peers.VECTORS))
    named = [name for name in map(str, vectors) if name.startswith(peer_models.VECTOR)]
    assert len(named) > 1000
    assert not set(named) & set(colours)
    assert [name for name in colours if str(name).startswith("picture ")]
    learned, tested = vectors.iloc[:50].copy(), vectors.iloc[50:].copy()
    tested.loc[tested.index[0], named] = np.nan
    reduce = peer_models.reducer(learned)
    ours, theirs = reduce(learned), reduce(tested)
    parts = [name for name in map(str, ours) if name.startswith(peer_models.VECTOR)]
    assert len(parts) == peer_models.VECTOR_PARTS
    assert np.isfinite(theirs[parts].to_numpy()).all()
    # Without a picture: the mean of the learned ones.
    assert theirs[parts].iloc[0].to_numpy() == pytest.approx(0, abs=1e-6)
    assert np.abs(theirs[parts].iloc[1]).sum() > 0.1
