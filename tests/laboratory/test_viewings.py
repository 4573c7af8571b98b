"""Studies of viewings: the same laboratory, with a graph in place of posts' features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evoked.errors import SettingsError
from evoked.experiments import load_table
from evoked.features.cache import FeatureCache
from evoked.features.viewings import kept_viewings
from evoked.laboratory import Study, result_table, write_results
from evoked.posts.dataset import PostDataset
from tests.support.small_networks import create_network, network_tables

ROWS = ["viewing_boosting", "without_comments_and_combination", "published", "hmg_emo"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return create_network(tmp_path_factory.mktemp("laboratory") / "network", network_tables())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("laboratory-cache"))


@pytest.mark.parametrize("split", ["random", "time", "user", "image"])
def test_runs_hold_out_tenths_that_share_nothing(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path, split: str
) -> None:
    table = load_table("hmg_emo/table5").select(["without_negatives"])
    study = Study(dataset, table, tmp_path / "study", folds=3, split=split, cache=cache)
    tests = [set(fold.test.tolist()) for fold in study.context.splits]
    assert len(set.union(*tests)) == sum(map(len, tests))
    viewings, _ = kept_viewings(dataset)
    column = {"user": "user_id", "image": "post_id"}.get(split)
    for fold in study.context.splits:
        assert 0.02 < len(fold.test) / len(viewings) < 0.2
        if column is not None:
            held_out = set(viewings[column].iloc[fold.test])
            assert not held_out & set(viewings[column].iloc[fold.train])
    trivial = [each.name for each in study.table.experiments][1:]
    assert trivial == ["mean", "user_mean", "image_mean"]


def test_a_study_of_viewings_ends_in_tables_with_what_the_published_figures_imply(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    table = load_table("hmg_emo/table2").select(ROWS).with_training(max_epochs=2)
    table = table.with_setting("viewing_boosting", "trees", 5)
    study = Study(dataset, table, tmp_path / "study", folds=2, cache=cache)
    results = study.run(workers=1)
    write_results(study, results)
    assert not results.skipped
    found = pd.read_csv(tmp_path / "study" / "table.csv").set_index(["row", "metric"])
    published = found.loc[("published", "swapped F1")]
    assert published["published"] == 0.77
    assert 0 <= published["mean"] <= 1
    assert {"mean", "user_mean", "image_mean", *ROWS} == set(found.index.get_level_values("row"))
    kept = study.predictions("hmg_emo")
    assert len(kept) == sum(len(fold.test) for fold in study.context.splits)
    page = (tmp_path / "study" / "table.md").read_text(encoding="utf-8")
    assert "truth and prediction exchanged" in page
    assert "HMG-Emo, as published: It reads the comment" in page
    # Started again, it computes nothing and finds the same.
    again = Study(dataset, table, tmp_path / "study", folds=2, cache=cache).run(workers=1)
    pd.testing.assert_frame_equal(again.scores, results.scores)


def test_negative_sampling_is_scored_in_nine_classes_beside_its_published_figures(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    table = load_table("hmg_emo/table5").select(["with_negatives"]).with_training(max_epochs=1)
    results = Study(dataset, table, tmp_path / "study", folds=2, cache=cache).run(workers=1)
    found = result_table(results).set_index(["target", "metric", "row"])
    nine = found.loc[("emotion or none", "weighted F1", "with_negatives")]
    assert nine["published"] == 0.71
    viewings = found.loc[("emotion", "weighted F1", "with_negatives")]
    assert np.isnan(viewings["published"])
    assert nine["n"] > 1.5 * viewings["n"]
    assert found.loc[("viewing or none", "AUC", "with_negatives")]["mean"] >= 0


def test_rows_that_need_what_the_network_lacks_are_skipped(
    cache: FeatureCache, tmp_path: Path
) -> None:
    tables = network_tables()
    tables["viewings"]["comment"] = None
    bare = create_network(tmp_path / "network", tables)
    study = Study(bare, load_table("hmg_emo/table3"), tmp_path / "study", folds=2, cache=cache)
    assert study.skipped == {
        "comments_only": "no viewing has a comment",
        "comments_only_balanced": "no viewing has a comment",
        "generated_comments": "no viewing has a comment that a model wrote "
        "(evoked generate-comments)",
    }


def test_posts_have_no_users_to_split_by(
    dataset: PostDataset, cache: FeatureCache, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="author"):
        Study(
            dataset,
            load_table("hmg_emo/table2").select(["hmg_emo"]),
            tmp_path / "study",
            split="author",
            cache=cache,
        )
