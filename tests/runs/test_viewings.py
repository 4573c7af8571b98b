"""Runs of viewings from end to end, all stages real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import evoked
from evoked.analysis.audience import audience, read_users
from evoked.cli import app
from evoked.errors import DataError, EvokedError, SettingsError
from evoked.evaluation.splits import Split
from evoked.explain.viewings import explain_viewing
from evoked.features.cache import FeatureCache
from evoked.features.social_graph import SocialGraph
from evoked.features.viewings import read_network, user_rows
from evoked.models import VIEWING_BASELINES
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import MIKELS
from evoked.runs.loading import load
from evoked.runs.posts import Run
from evoked.runs.training import train_viewings
from evoked.runs.viewings import COMMENT_HIDDEN, NetworkRun, Viewing
from evoked.training import TrainingSettings
from tests.support.small_networks import create_network, draw_picture, network_tables

QUICK = TrainingSettings(max_epochs=2, batch_size=64, device="cpu")
PROBABILITIES = [f"emotion_probability_{label}" for label in MIKELS]


def train_trees(dataset: PostDataset, folder: Path, cache: FeatureCache) -> NetworkRun:
    return train_viewings(
        dataset,
        "viewing_boosting",
        folder,
        model_settings={"trees": 60},
        training=QUICK,
        split="random",
        cache=cache,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def cache(folder: Path) -> FeatureCache:
    return FeatureCache(folder / "cache")


@pytest.fixture(scope="module")
def dataset(folder: Path) -> PostDataset:
    return create_network(folder / "data", network_tables())


@pytest.fixture(scope="module")
def picture(folder: Path) -> Path:
    return draw_picture(folder / "900-2.png")


@pytest.fixture(scope="module")
def run(folder: Path, dataset: PostDataset, cache: FeatureCache) -> NetworkRun:
    """Boosted trees, which are fast and good, saved and loaded."""
    train_trees(dataset, folder / "run", cache)
    return NetworkRun.load(folder / "run", cache)


@pytest.fixture(scope="module")
def graph_run(folder: Path, dataset: PostDataset, cache: FeatureCache) -> NetworkRun:
    """HMG-Emo, saved and loaded."""
    train_viewings(dataset, "hmg_emo", folder / "graph-run", training=QUICK, cache=cache)
    return NetworkRun.load(folder / "graph-run", cache)


@pytest.fixture(scope="module")
def comment_run(folder: Path, dataset: PostDataset, cache: FeatureCache) -> NetworkRun:
    """A model that reads the own comment."""
    return train_viewings(
        dataset, "comments_only", folder / "comment-run", training=QUICK, cache=cache
    )


def scores(run: NetworkRun, metric: str) -> dict[str, float]:
    return {row["model"]: row["value"] for row in run.metrics["scores"] if row["metric"] == metric}


def test_scores_stand_beside_the_trivial_baselines(run: NetworkRun) -> None:
    found = scores(run, "macro F1")
    assert set(found) == {"viewing_boosting", *(kind.name for kind in VIEWING_BASELINES)}
    assert found["viewing_boosting"] > max(found[kind.name] for kind in VIEWING_BASELINES)
    assert run.metrics["intervals"][0]["outcome"] == "emotion"


def test_evaluating_its_own_dataset_scores_the_test_viewings_alone(
    run: NetworkRun, dataset: PostDataset
) -> None:
    evaluation = run.evaluate(dataset)
    saved = pd.read_parquet(run.folder / "predictions.parquet")
    assert len(evaluation.predictions) == len(saved)
    np.testing.assert_allclose(
        evaluation.predictions.set_index("post_id")[PROBABILITIES].sort_index(kind="stable"),
        saved.set_index("post_id")[PROBABILITIES].sort_index(kind="stable"),
        atol=1e-6,
    )
    known = read_network(dataset, cache=run.cache).known.sum()
    assert evaluation.excluded + len(saved) == known
    own = evaluation.table.query("model == 'viewing_boosting' and metric == 'macro F1'")
    assert own["value"].item() == pytest.approx(scores(run, "macro F1")["viewing_boosting"])


def test_negative_sampling_is_scored_wherever_a_run_is(
    folder: Path, dataset: PostDataset, cache: FeatureCache
) -> None:
    settings = {"negative_sampling": True, "layers": 1, "width": 16}
    made = train_viewings(
        dataset, "hmg_emo", folder / "pairs", model_settings=settings, training=QUICK, cache=cache
    )
    found = made.evaluate(dataset).table
    assert scores(made, "AUC").keys() == {"hmg_emo"}
    for target, metric in (("emotion or none", "weighted F1"), ("viewing or none", "AUC")):
        own = found[(found["target"] == target) & (found["metric"] == metric)]
        saved = [row for row in made.metrics["scores"] if row["target"] == target]
        assert own["value"].item() in [pytest.approx(row["value"]) for row in saved]
        assert len(made.parts) > own["n"].item() > (made.parts["part"] == "test").sum()


def test_the_graph_shows_the_training_viewings_alone(run: NetworkRun) -> None:
    assert run.graph.viewings.shape[1] == (run.parts["part"] == "train").sum()
    shown = {
        (run.graph.users[user], run.graph.images[image]) for user, image in run.graph.viewings.T
    }
    held_out = run.parts[run.parts["part"] != "train"]
    assert shown.isdisjoint(zip(held_out["user"], held_out["post_id"], strict=True))


@pytest.mark.parametrize("name", ["run", "graph_run"])
def test_known_and_new_users_at_known_and_new_images(
    name: str, picture: Path, request: pytest.FixtureRequest
) -> None:
    run: NetworkRun = request.getfixturevalue(name)
    viewings = [
        Viewing("u1", "p2"),
        Viewing("u1", picture),
        Viewing("a stranger", "p2", groups=["Street dogs and their people"]),
        Viewing(None, picture.read_bytes()),
    ]
    table = run.predict(viewings)
    assert table["emotion"].isin(MIKELS).all()
    np.testing.assert_allclose(table[PROBABILITIES].sum(axis=1), 1, atol=1e-6)
    one_by_one = pd.concat([run.predict([viewing]) for viewing in viewings], ignore_index=True)
    np.testing.assert_allclose(table[PROBABILITIES], one_by_one[PROBABILITIES], atol=1e-5)


def test_a_single_viewing_is_predicted_as_a_row_of_the_dataset(
    graph_run: NetworkRun, dataset: PostDataset
) -> None:
    rows = graph_run.predict(dataset)
    single = graph_run.predict(
        [Viewing(*pair) for pair in zip(rows["user_id"], rows["post_id"], strict=True)]
    )
    np.testing.assert_allclose(rows[PROBABILITIES], single[PROBABILITIES], atol=1e-5)
    assert len(rows) == dataset.table("viewings")["emotion"].isna().sum()


def test_a_viewing_that_was_learned_from_is_marked(run: NetworkRun) -> None:
    user, image = run.graph.viewings[:, 0]
    name = next(
        f"u{row}" for row in range(40) if user_rows(run.graph, pd.Series([f"u{row}"]))[0] == user
    )
    table = run.predict([Viewing(name, str(run.graph.images[image])), Viewing("new", "p2")])
    assert table["problem"].tolist()[0].startswith("the run has learned from this")
    assert pd.isna(table["problem"][1])


def test_an_image_of_the_same_id_but_another_picture_is_a_new_one(
    run: NetworkRun, tmp_path: Path
) -> None:
    tables = network_tables()
    tables["posts"]["images"] = [[f"{row + 500}-3.png"] for row in range(30)]
    network = read_network(create_network(tmp_path / "other", tables), cache=run.cache)
    examples = run.rows_of(network, np.arange(10))
    assert (examples.posts["image"] == -1).all()
    assert (examples.posts["user"] >= 0).all()


def test_a_model_that_reads_the_comment_is_scored_without_it_too(comment_run: NetworkRun) -> None:
    found = scores(comment_run, "macro F1")
    assert COMMENT_HIDDEN in found
    assert comment_run.description["caution"]
    hidden = pd.read_parquet(
        comment_run.folder / "baselines" / COMMENT_HIDDEN / "predictions.parquet"
    )
    assert hidden[PROBABILITIES].nunique().max() == 1  # nothing else differs between its rows


def test_own_comments_reach_the_model_that_reads_them(comment_run: NetworkRun) -> None:
    table = comment_run.predict(
        [Viewing("u1", "p2", comment="so funny"), Viewing("u1", "p2"), Viewing("u2", "p3")]
    )
    values = table[PROBABILITIES].to_numpy()
    assert not np.allclose(values[0], values[1])
    np.testing.assert_allclose(values[1], values[2])


def test_the_folder_names_nobody(run: NetworkRun, dataset: PostDataset) -> None:
    users = set(dataset.table("viewings")["user_id"])
    for path in run.folder.rglob("*.parquet"):
        table = pd.read_parquet(path)
        for column in table.select_dtypes(["object", "string"]):
            assert users.isdisjoint(table[column].dropna()), f"{path.name}: {column}"


def test_training_again_gives_the_same_and_refuses_another_run(
    dataset: PostDataset, cache: FeatureCache, run: NetworkRun
) -> None:
    assert train_trees(dataset, run.folder, cache).metrics == run.metrics
    with pytest.raises(SettingsError, match="holds another run"):
        train_viewings(dataset, "viewing_boosting", run.folder, training=QUICK, split="user")


@pytest.mark.parametrize("kind", ["user", "image"])
def test_strangers_are_held_out(
    kind: str, folder: Path, dataset: PostDataset, cache: FeatureCache
) -> None:
    run = train_viewings(
        dataset, "user_mean", folder / f"by-{kind}", split=kind, training=QUICK, cache=cache
    )
    column = {"user": "user", "image": "post_id"}[kind]
    parts = run.parts.groupby("part")[column].agg(set)
    assert parts["train"].isdisjoint(parts["test"])
    assert run.description["split"]["kind"] == kind


def test_a_split_by_hand(folder: Path, dataset: PostDataset, cache: FeatureCache) -> None:
    rows = np.arange(400)
    split = Split(rows[100:], rows[50:100], rows[:50], "random", "By hand.")
    run = train_viewings(dataset, "user_mean", folder / "by-hand", split=split, cache=cache)
    assert (run.parts["part"][:50] == "test").all()


def test_a_graph_is_the_same_after_saving(run: NetworkRun, tmp_path: Path) -> None:
    run.graph.save(tmp_path / "graph")
    loaded = SocialGraph.load(tmp_path / "graph")
    for name in ("viewings", "emotions", "times", "connections", "memberships", "users", "images"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(run.graph, name))
    for name in ("user_vectors", "image_vectors", "comment_vectors"):
        before, after = getattr(run.graph, name), getattr(loaded, name)
        rows = np.arange(len(before.index))
        np.testing.assert_array_equal(before.present, after.present)
        np.testing.assert_array_equal(before.take(rows)[""], after.take(rows)[""])


@pytest.mark.parametrize("damage", ["cut", "absent", "row"])
def test_a_damaged_graph_is_refused(run: NetworkRun, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "graph"
    shutil.copytree(run.folder / "graph", folder)
    path = folder / "graph.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "absent":
        (folder / "users.parquet").unlink()
    else:
        pd.DataFrame({"id": ["only one"]}).to_parquet(folder / "users.parquet")
    with pytest.raises(DataError, match="damaged"):
        SocialGraph.load(folder)


def test_an_explanation_tells_what_a_prediction_rests_on(
    run: NetworkRun, graph_run: NetworkRun, picture: Path
) -> None:
    found = explain_viewing(run, Viewing("u1", picture))
    assert found.parts["hidden"].iloc[0] in ("the picture", "the groups of the user")
    by_name = found.parts.set_index("hidden")
    np.testing.assert_allclose(found.probability - by_name["without"], by_name["effect"])
    # Trees on user and image know nothing of the neighbours.
    assert (by_name.loc["the user's connections", "effect"]) == 0

    neighbourly = explain_viewing(graph_run, Viewing("u1", "p2"))
    assert len(neighbourly.neighbours) > 0
    assert neighbourly.neighbours["attention"].between(0, 1).all()
    assert neighbourly.beta is not None
    assert (neighbourly.neighbours["effect"].abs() > 0).any()
    json.dumps(neighbourly.to_dict(), allow_nan=False)
    # Any model is asked what single neighbours add, unless it shows that by itself.
    single = explain_viewing(run, Viewing("u1", "p2")).neighbours
    assert (single["effect"] == 0).all()
    assert single["image"].isna().any()
    assert (single["image"] == "p2").any()


def test_a_stranger_without_neighbours_is_explained(graph_run: NetworkRun, picture: Path) -> None:
    found = explain_viewing(graph_run, Viewing("a stranger", picture))
    assert found.parts["hidden"].tolist() == ["the picture"]
    assert found.neighbours.empty


def test_an_audience_is_the_mean_over_its_users(run: NetworkRun) -> None:
    names = ["u1", "u2", "u3", "nobody"]
    found = audience(run, "p2", users=names)
    single = run.predict([Viewing(name, "p2") for name in names[:3]])
    np.testing.assert_allclose(found.table["share"], single[PROBABILITIES].mean(), atol=1e-6)
    assert found.members == 3
    assert found.unknown == ["nobody"]
    counts = single["emotion"].value_counts(normalize=True).reindex(MIKELS).fillna(0)
    np.testing.assert_allclose(found.table["most_probable"], counts)
    seen = run.graph.emotions[run.graph.images[run.graph.viewings[1]] == "p2"]
    assert found.n["viewers"] == (seen >= 0).sum()


def test_audiences_of_contacts_and_communities(
    run: NetworkRun, dataset: PostDataset, picture: Path
) -> None:
    table = dataset.table("connections")
    pairs = pd.concat([table, table.rename(columns={"user_id": "other_id", "other_id": "user_id"})])
    contacts = set(pairs["other_id"][pairs["user_id"] == "u1"]) - {"u1"}
    assert audience(run, picture, followers_of="u1").members == len(contacts)
    members = dataset.table("memberships")
    found = audience(run, picture, community="dogs")
    assert found.members == (members["group_id"] == "g1").sum()
    assert audience(run, picture, community="g1").table.equals(found.table)
    assert found.n["viewers"] == 0
    assert found.table["viewers"].isna().all()
    few = audience(run, "p2", community="g1", most=3)
    assert (few.members, few.n["share"]) == (found.members, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"followers_of": "nobody"}, "no user 'nobody'"),
        ({"community": "dog"}, "Nearest: dogs"),
        ({"users": ["x", "y"]}, "none of the 2 users"),
        ({}, "an audience is"),
        ({"users": ["u1"], "community": "dogs"}, "an audience is"),
    ],
)
def test_audiences_that_there_are_not(
    run: NetworkRun, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(EvokedError, match=message):
        audience(run, "p2", **arguments)  # type: ignore[arg-type]


def test_users_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text("\ufeffu1\n\n u2 \n", encoding="utf-8")
    assert read_users(path) == ["u1", "u2"]
    path.write_text("\n")
    with pytest.raises(DataError, match="names no user"):
        read_users(path)


def test_images_that_there_are_not(run: NetworkRun, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image 'p999'"):
        run.predict([Viewing("u1", "p999")])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    table = run.predict([Viewing("u1", broken)])
    assert table["problem"].notna().all()
    with pytest.raises(DataError):
        audience(run, broken, community="dogs")


def test_posts_without_viewings_are_told_what_is_missing(folder: Path, tmp_path: Path) -> None:
    posts = create_network(tmp_path / "posts", {"posts": network_tables()["posts"]})
    with pytest.raises(DataError, match="evoked import edges"):
        evoked.train(posts, "viewing_boosting", tmp_path / "run")


def test_runs_of_posts_and_of_viewings_are_told_apart(run: NetworkRun, tmp_path: Path) -> None:
    assert isinstance(load(run.folder), NetworkRun)
    with pytest.raises(DataError, match="a run of viewings"):
        Run.load(run.folder)
    with pytest.raises(DataError, match="not a finished run"):
        load(tmp_path)
    with pytest.raises(SettingsError, match="learns from posts"):
        train_viewings(PostDataset(run.folder.parent / "data"), "linear", tmp_path / "run")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_line(folder: Path, dataset: PostDataset, picture: Path) -> None:
    cache = ["--cache", folder / "cache"]
    out = folder / "cli-run"
    options = ["--model", "hmg_emo", "--out", out, "--epochs", 1, "--split", "random"]
    trained = invoke("train", dataset.folder, *options, *cache)
    assert trained.exit_code == 0, trained.output
    assert "Test viewings" in trained.output
    evaluated = invoke("evaluate", out, dataset.folder, "--json", *cache)
    assert json.loads(evaluated.stdout)["posts"] > 0
    predicted = invoke("predict", out, "--user", "u1", "--image", picture, "--json", *cache)
    assert json.loads(predicted.stdout)[0]["user_id"] == "u1"
    table = invoke("predict", out, "--posts", dataset.folder, "--out", folder / "p.csv", *cache)
    assert table.exit_code == 0, table.output
    assert len(pd.read_csv(folder / "p.csv")) > 0
    explained = invoke("explain", out, "--user", "u1", "--image", "p2", *cache)
    assert "others' viewings of the image" in explained.stdout
    asked = ["--image", "p2", "--community", "dogs", "--json", "--plot", folder / "audience.png"]
    drawn = invoke("audience", out, *asked, *cache)
    assert json.loads(drawn.stdout)["n"]["share"] > 0
    assert (folder / "audience.png").read_bytes().startswith(b"\x89PNG")
    reported = invoke("report", out, *cache)
    assert reported.exit_code == 0, reported.output
    page = (out / "report.html").read_text(encoding="utf-8")
    for part in ("400 viewings of 30 images by 40 users", "What members of", "class by class"):
        assert part in page
    listed = invoke("models", "--json")
    rows = {entry["name"]: entry["rows"] for entry in json.loads(listed.stdout)}
    assert rows["hmg_emo"] == "viewings"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--image", "p2", "--caption", "text"], "--caption goes with drafts"),
        (["predict", "--user", "u1"], "needs --image"),
        (["report", "--data", "{data}"], "needs no dataset"),
        (["predict", "--user", "u1", "--image", "gone.jpg"], "no picture gone.jpg"),
        (["audience", "--image", "p2", "--community", "dogs", "--plot", "a.svg"], "ending in .png"),
    ],
)
def test_wrong_options_are_refused(
    run: NetworkRun, dataset: PostDataset, arguments: list[str], message: str
) -> None:
    further = [each.format(data=dataset.folder) for each in arguments[1:]]
    result = invoke(arguments[0], run.folder, *further)
    assert result.exit_code != 0
    assert message in str(result.exception)
