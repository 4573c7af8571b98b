"""What a run keeps of its past posts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evoked.evaluation.splits import choose_split
from evoked.features.metadata import MetadataEncoder, local_times
from evoked.parquet import read_frame
from evoked.posts.author_hashes import author_hashes
from evoked.posts.dataset import PostDataset
from evoked.posts.importing import import_posts
from evoked.runs.past import EXPECTED, PastPosts, at_any_time, read_past
from evoked.runs.posts import Run
from evoked.runs.updating import update
from tests.support.small_runs import Workshop, by_hand


@pytest.fixture(scope="module")
def quick_run(workshop: Workshop, dataset: PostDataset) -> Run:
    return workshop.run(dataset, "timed", "linear", by_hand(len(dataset), tests=25))


def test_every_post_is_kept_with_what_was_expected(quick_run: Run, dataset: PostDataset) -> None:
    table, kinds = read_past(quick_run.folder)
    assert kinds == ["likes", "comments", "shares", "saves"]
    assert table["posted_at"].is_monotonic_increasing
    assert set(table["post_id"]) == set(dataset.posts["post_id"])
    table = table.set_index("post_id").loc[dataset.posts["post_id"]].reset_index()
    assert table["author"].tolist() == author_hashes(dataset.posts).tolist()
    np.testing.assert_array_equal(table["likes"], dataset.posts["likes"])
    hours = dataset.posts["posted_at"].dt.hour + dataset.posts["posted_at"].dt.minute / 60
    np.testing.assert_allclose(table["hour"], hours)
    # A linear model is calibrated on folds, so that each post has been predicted unseen.
    assert table[f"likes{EXPECTED}"].notna().all()
    predicted = read_frame(quick_run.folder / "predictions.parquet").set_index("post_id")["likes"]
    expected = table.set_index("post_id")[f"likes{EXPECTED}"].loc[predicted.index]
    assert np.corrcoef(np.log1p(predicted), expected)[0, 1] > 0.95
    assert not np.allclose(np.log1p(predicted), expected)


def test_models_in_epochs_expect_what_they_held_out(run: Run) -> None:
    table, _ = read_past(run.folder)
    known = set(table.loc[table[f"likes{EXPECTED}"].notna(), "post_id"])
    assert known == set(run.parts.loc[run.parts["part"].isin(["calibration", "test"]), "post_id"])


def test_at_any_time_the_hour_changes_nothing_and_all_else_does(
    quick_run: Run, dataset: PostDataset
) -> None:
    posts = quick_run.attach_history(dataset.posts)
    moved = posts.assign(posted_hour=3.0, posted_weekday=6.0)
    covers = dataset.cover_paths()
    first, second = (quick_run.examples(each, covers)[0] for each in (posts, moved))
    model = quick_run.model
    assert not np.allclose(model.predict(first), model.predict(second))
    timeless = [at_any_time(each, quick_run.pipeline) for each in (first, second)]
    np.testing.assert_allclose(*(model.predict(each) for each in timeless))
    assert model.predict(timeless[0]).nunique().min() > 10


def test_the_columns_of_time_are_the_hours_and_weekdays(dataset: PostDataset) -> None:
    encoder = MetadataEncoder.fit(dataset.posts)
    chosen = [name for name, of in zip(encoder.names, encoder.of_time, strict=True) if of]
    assert chosen == ["hour (sine)", "hour (cosine)", "weekday (sine)", "weekday (cosine)"]


def test_hours_are_those_of_local_clocks_in_summer_and_winter(tmp_path: Path) -> None:
    rows = ["id,date,likes,caption"]
    rows += [f"w{day},2024-01-{day:02}T18:00:00Z,{day},Hello there" for day in range(10, 20)]
    rows += [f"s{day},2024-07-{day:02}T17:00:00Z,{day},Hello there" for day in range(10, 20)]
    source = tmp_path / "posts.csv"
    source.write_text("\n".join(rows), encoding="utf-8")
    berlin, none, tokyo = (
        import_posts("csv", source, tmp_path / name, time_zone=zone).dataset
        for name, zone in (("b", "Europe/Berlin"), ("n", None), ("t", "Asia/Tokyo"))
    )
    assert set(local_times(berlin.posts)[0]) == {19.0}
    assert set(local_times(none.posts)[0]) == {17.0, 18.0}
    hours, weekdays = local_times(tokyo.posts)
    assert set(hours) == {2.0, 3.0}
    # Past midnight there: the next weekday.
    np.testing.assert_array_equal(weekdays, (local_times(none.posts)[1] + 1) % 7)


def test_posts_by_time_are_expected_by_models_of_earlier_ones(
    workshop: Workshop, dataset: PostDataset
) -> None:
    by_time = workshop.run(dataset, "timed-by-time", "linear", choose_split(dataset.posts, "time"))
    table, _ = read_past(by_time.folder)
    known = table[f"likes{EXPECTED}"].notna()
    assert 20 < known.sum() < len(table)
    assert table.loc[known, "posted_at"].min() > table.loc[~known, "posted_at"].min()


def test_an_update_adds_new_posts_to_the_past(workshop: Workshop, dataset: PostDataset) -> None:
    order = np.argsort(dataset.posts["posted_at"].to_numpy(), kind="stable")
    earlier = dataset.select(np.sort(order[:45]))
    before = workshop.run(earlier, "past-updated", "linear", by_hand(45, tests=10))
    kept = PastPosts.load(before.folder)
    assert len(kept) == 45
    assert update(before.folder, dataset, cache=workshop.cache).posts == 15
    now = PastPosts.load(before.folder)
    assert now.table.columns.tolist() == kept.table.columns.tolist()
    new = ~now.table["post_id"].isin(kept.table["post_id"])
    assert new.sum() == 15
    assert new[45:].all()
    assert now.table.loc[new, "held_out"].all()
    likes = dataset.posts.set_index("post_id")["likes"]
    np.testing.assert_array_equal(now.table["likes"], likes[now.table["post_id"]])
    assert now.table.loc[new, f"likes{EXPECTED}"].notna().all()
    assert (now.table.loc[new, ["caption_0", "image_0"]].notna().mean() > 0.7).all()
    assert now.table.loc[~new].equals(kept.table)
