"""The posts of the comparison of costs, its arithmetic and its figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import peer_costs
import pytest

from evoked.explain.figures import to_svg
from evoked.posts.dataset import PostDataset
from evoked.posts.synthetic.posts import synthesise


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return synthesise(tmp_path_factory.mktemp("costs") / "drawn", n=40, seed=0)


def test_more_posts_than_were_drawn_are_others_with_other_captions(
    drawn: PostDataset, tmp_path: Path
) -> None:
    posts = peer_costs.posts_of(drawn, 100, tmp_path / "posts", peer_costs.WITHOUT).posts
    assert len(posts) == 100
    assert posts["post_id"].is_unique
    assert posts["caption"].dropna().is_unique
    assert posts["author_id"].nunique() > drawn.posts["author_id"].nunique()
    assert posts["likes"].tolist()[40:80] == drawn.posts["likes"].tolist()
    assert posts["images"].str.len().eq(0).all()


def test_posts_keep_their_pictures(drawn: PostDataset, tmp_path: Path) -> None:
    few = peer_costs.posts_of(drawn, 30, tmp_path / "few", peer_costs.WITH)
    assert few.posts["images"].tolist() == drawn.posts["images"].tolist()[:30]
    assert all(path.is_file() for path in few.cover_paths() if path)
    assert drawn.image_folder.is_dir()


def test_a_peer_is_measured_once(drawn: PostDataset, tmp_path: Path) -> None:
    folder = tmp_path / "posts"
    peer_costs.posts_of(drawn, 40, folder, peer_costs.WITHOUT)
    parser = peer_costs.argparse.ArgumentParser()
    peer_costs.add_peer_options(parser)
    arguments = parser.parse_args([])
    call = (folder, 40, peer_costs.WITHOUT, arguments)
    table, first = (peer_costs.measured_once(side, *call) for side in (peer_costs.TABLE, "last10"))
    assert table["fit"] > 0
    assert table["tested"] == 6
    assert first["megabytes"] > 0
    assert first["fit"] >= 0
    assert peer_costs.measured_once("last10", *call) == first


@pytest.fixture
def rows() -> list[dict[str, object]]:
    """A side whose fit is ten times as dear with ten times as many posts, and one that stopped."""
    found: list[dict[str, object]] = []
    for kind, sizes in ((peer_costs.WITH, (200, 2_000)), (peer_costs.WITHOUT, (2_000, 20_000))):
        for n in sizes:
            row = {"kind": kind, "posts": n, "tested": n // 10}
            found.append(
                {**row, "side": "evoked", "fit": n / 100, "predict": n / 1000, "megabytes": 500.0}
            )
            found.append({**row, "side": "ridge", "skipped": "no time"})
    return found


def test_predictions_cost_milliseconds_of_one_post(rows: list[dict[str, object]]) -> None:
    frame = peer_costs.by_measure(rows)
    own = frame[frame["side"] == "evoked"]
    assert own["predict"].tolist() == pytest.approx([10.0] * 4)
    fit = peer_costs.wide(frame, "fit")
    assert fit.columns.tolist() == [
        "side",
        "200 with pictures",
        "2,000 with pictures",
        "2,000 captions and facts alone",
        "20,000 captions and facts alone",
    ]
    assert fit["side"].tolist() == ["ridge", "evoked"]
    assert fit.iloc[1, 1:].tolist() == [2, 20, 20, 200]
    assert np.isnan(fit.iloc[0, 1:].to_numpy(float)).all()


def test_the_figure_has_a_line_for_each_side_that_was_measured(
    rows: list[dict[str, object]],
) -> None:
    figure = peer_costs.drawn_growth(peer_costs.by_measure(rows))
    assert len(figure.axes) == 6
    (fit,) = (line for line in figure.axes[0].lines if len(line.get_xdata()))
    assert fit.get_label() == "evoked"
    assert fit.get_xydata().tolist() == [[200, 2], [2_000, 20]]
    assert b"captions and facts alone" in to_svg(figure)


@pytest.mark.slow
def test_evoked_is_measured_without_the_features_of_its_fit(
    drawn: PostDataset, tmp_path: Path
) -> None:
    folder = tmp_path / "posts"
    peer_costs.posts_of(drawn, 40, folder, peer_costs.WITHOUT)
    found = peer_costs.evoked_cost("evoked linear", folder)
    assert found["seconds"] >= found["fit"] + found["predict"]
    assert min(found["fit"], found["predict"], found["megabytes"]) > 0
