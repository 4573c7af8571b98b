"""'evoked analyse': whole for every kind of posts, self-contained, safe, honest of estimates."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from evoked.analysis.analyses import analyse_posts
from evoked.analysis.base import PostFindings
from evoked.analysis.projection import pooled_features, project
from evoked.cli.application import app
from evoked.errors import DataError, SettingsError
from evoked.explain import explain_posts
from evoked.explain.word_matrix import word_matrix
from evoked.features.table import FeatureTable
from evoked.models.abmf import ABMF
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import ENGAGEMENT
from evoked.report.analysis_page import write_analysis
from evoked.report.run_analysis import analyse_run
from evoked.runs.posts import Run
from evoked.testing.examples import random_examples
from tests.support.pages import Page
from tests.support.small_runs import HOSTILE, Workshop, by_hand

NAN = np.nan


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("analysis"))


@pytest.fixture(scope="module")
def dataset(workshop: Workshop) -> PostDataset:
    """Posts in three categories, with activity and annotations."""
    full = workshop.posts(90)
    posts = full.posts.assign(category=np.resize(["food", "travel", "fashion"], 90))
    original = PostDataset(workshop.folder / "synthetic")
    tables = {name: original.table(name) for name in ("annotations", "activity")}
    return PostDataset.create(
        workshop.folder / "whole",
        {"posts": posts, **tables},
        images=full.image_folder.rename(workshop.folder / "whole-images"),
        scales={"valence": (1, 9), "arousal": (1, 9)},
    )


def _posts(folder: Path, n: int = 60, **columns: object) -> PostDataset:
    rng = np.random.default_rng(0)
    base: dict[str, object] = {
        "post_id": [f"p{i}" for i in range(n)],
        "caption": "Nice.",
        **{name: rng.integers(1, 200, n) for name in ENGAGEMENT},
    }
    return PostDataset.create(folder, {"posts": pd.DataFrame(base | columns)})


# The parts that have tests of their own: tests/analysis/.
_OWN_TESTS = ("sharing_", "popular_")


def _without_parts(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.startswith(_OWN_TESTS)}


def _scripts(page: Page) -> list[str]:
    """The scripts that a browser would run."""
    return re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)


def _assert_stands_alone(page: Page) -> None:
    """Only the scripts that the page was written with run, and nothing is fetched."""
    assert not [name for name, _ in page.tags if name in ("link", "iframe", "object", "base")]
    for name, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")]
        assert "src" not in attributes or name == "img"
    assert all(str(image["src"]).startswith("data:") for image in page.of("img"))
    policy = next(m["content"] for m in page.of("meta") if "http-equiv" in m)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    scripts = [text for text in _scripts(page)]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert "unsafe-inline'; script" not in policy.replace("style-src 'unsafe-inline'; script", "")


@pytest.fixture(scope="module")
def found(dataset: PostDataset) -> PostFindings:
    return analyse_posts(dataset, draws=100)


class TestOfPosts:
    def test_makes_every_table(self, found: PostFindings) -> None:
        assert not _without_parts(found.skipped)
        assert _without_parts(found.tables) == {
            "works",
            "categories",
            "correlations",
            "lifts",
            "positions",
            "time_to_peak",
            "peak_differences",
            "agreement",
            "annotators",
        }
        assert found.note == ""

    def test_writes_tables_figures_and_a_page(self, found: PostFindings, tmp_path: Path) -> None:
        path = write_analysis(found, tmp_path / "out")
        table = pd.read_csv(path.parent / "tables" / "correlations.csv")
        np.testing.assert_allclose(table["r"], found.tables["correlations"]["r"])
        figures = sorted(each.name for each in (path.parent / "figures").glob("*.png"))
        assert len([name for name in figures if name.startswith(("figure", "table"))]) == 4
        assert len([name for name in figures if name.startswith("eijl_")]) == 4
        for name in figures:
            Image.open(path.parent / "figures" / name).verify()
            assert (path.parent / "figures" / name).with_suffix(".svg").is_file()
        record = json.loads((path.parent / "analysis.json").read_text())
        assert record["posts"] == 90
        page = Page(path)
        _assert_stands_alone(page)
        assert len(page.of("figure")) == len(figures) + 2  # two are interactive
        assert all("n = " in caption for caption in re.findall(r"<figcaption>(.*?)<", page.source))
        assert "published" in page.text
        again = write_analysis(found, tmp_path / "out")
        assert again.read_bytes() == path.read_bytes()

    def test_refuses_a_folder_of_something_else(self, found: PostFindings, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("dear")
        with pytest.raises(SettingsError, match="something else"):
            write_analysis(found, tmp_path)
        assert (tmp_path / "letter.txt").read_text() == "dear"


class TestOfPoorPosts:
    def test_estimates_are_marked(self, tmp_path: Path) -> None:
        feelings = ("I am so happy today", "What a sad loss", "A calm evening", "Danger, run now")
        texts = [feelings[row % 4] + "!" * (row % 3) for row in range(60)]
        posts = _posts(tmp_path / "posts", followers=1000, caption=texts)
        found = analyse_posts(posts, draws=100)
        page = Page(write_analysis(found, tmp_path / "out"))
        assert "Estimated emotion." in page.text
        papers = page.source.partition('id="papers"')[2]
        own = papers.partition('<section id="sharing_')[0]
        captions = re.findall(r"<(?:figcaption|caption)>(.*?)</(?:fig)?caption>", own)
        assert len(captions) > 5
        assert all("are estimated" in text for text in captions if "Best position" not in text)
        assert _without_parts(found.skipped) == {
            "time_to_peak",
            "peak_differences",
            "agreement",
            "annotators",
        }

    def test_without_emotion(self, tmp_path: Path) -> None:
        dataset = _posts(tmp_path / "posts", followers=1000)
        found = analyse_posts(dataset, estimate=False, draws=100)
        page = Page(write_analysis(found, tmp_path / "out"))
        assert "no post has valence and arousal" in page.text
        assert _without_parts(found.tables) == {"categories"}
        assert "are estimated" not in page.text
        assert not page.of("script")

    def test_without_engagement_followers_or_caption(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        emotions = {"valence": rng.uniform(-4, 4, 60), "arousal": rng.uniform(0, 8, 60)}
        counted = analyse_posts(_posts(tmp_path / "a", **emotions), draws=100)
        assert counted.denominator == "none"
        assert counted.tables["correlations"]["r"].notna().all()
        rated = _posts(tmp_path / "b", caption=None, **emotions, **dict.fromkeys(ENGAGEMENT, NAN))
        found = analyse_posts(rated, draws=100)
        assert "count of likes" in found.skipped["correlations"]
        assert "figure2" in str(list(_figures(found, tmp_path / "out")))

    def test_hostile_names_stay_text(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        dataset = _posts(
            tmp_path / "posts",
            post_id=[f"{HOSTILE}{i}" for i in range(60)],
            category=[HOSTILE, "</script><script>alert(2)</script>"] * 30,
            followers=1000,
            valence=rng.uniform(-4, 4, 60),
            arousal=rng.uniform(0, 8, 60),
        )
        page = Page(write_analysis(analyse_posts(dataset, draws=100), tmp_path / "out"))
        _assert_stands_alone(page)
        assert len(_scripts(page)) == 2

    def test_one_post_and_none(self, tmp_path: Path) -> None:
        for n in (0, 1):
            dataset = _posts(tmp_path / f"posts{n}", n, valence=1.0, arousal=2.0, followers=10)
            write_analysis(analyse_posts(dataset, draws=100), tmp_path / f"out{n}")


def _figures(found: PostFindings, out: Path) -> list[str]:
    return [path.name for path in (write_analysis(found, out).parent / "figures").iterdir()]


class TestOfARun:
    @pytest.fixture(scope="class")
    def page(self, workshop: Workshop, dataset: PostDataset, found: PostFindings) -> Page:
        run = workshop.run(dataset, "run", split=by_hand(90, tests=66))
        of_run = analyse_run(run, dataset, found.emotions, draws=100)
        accuracy = of_run.tables["accuracy"]
        assert accuracy["model"].unique().tolist() == [
            "abmf",
            "mean",
            "author_mean",
            "category_mean",
            "recent_posts",
        ]
        assert set(of_run.tables) == {
            "accuracy",
            "by_category",
            "accuracy_correlations",
            "separability",
        }
        assert not of_run.skipped
        return Page(write_analysis(found, workshop.folder / "page", of_run))

    def test_page(self, page: Page, workshop: Workshop) -> None:
        _assert_stands_alone(page)
        names = {path.stem for path in (workshop.folder / "page" / "figures").glob("*.png")}
        wanted = ("figure3d", "figure4_accuracy", "figure5a", "figure5b")
        assert all(any(name.startswith(start) for name in names) for start in wanted)
        assert {"figure3a_regions_1", "figure3b_words_1", "figure3c_links_2"} <= names

    def test_word_matrix_shares_out_attention(self, workshop: Workshop) -> None:
        run = Run.load(workshop.folder / "run", workshop.cache)
        dataset = PostDataset(workshop.folder / "whole")
        whole = dataset.known("caption") & dataset.posts["caption"].fillna("").ne("").to_numpy()
        posts = dataset.posts[whole].iloc[:1]
        (explanation,) = explain_posts(run, posts, [None])
        weights = word_matrix(run.model, run.examples(posts, [None])[0], explanation.words)
        assert weights is not None
        assert weights.shape == (len(explanation.words),) * 2
        assert (weights.sum(axis=1) <= 1 + 1e-5).all()
        # What a word receives, averaged over the tokens that give it.
        given = weights.T @ explanation.words["tokens"] / explanation.words["tokens"].sum()
        assert np.corrcoef(given, explanation.words["attention"])[0, 1] > 0.98

    def test_runs_beside_each_other(
        self, workshop: Workshop, dataset: PostDataset, found: PostFindings, page: Page
    ) -> None:
        trivial = workshop.run(dataset, "trivial", "category_mean", split=by_hand(90, tests=70))
        other = Run.load(workshop.folder / "run", workshop.cache)
        of_run = analyse_run(trivial, dataset, found.emotions, [other], draws=100)
        assert of_run.n == 66  # test posts of both
        assert of_run.tables["accuracy"]["model"].unique().tolist() == ["category_mean", "abmf"]
        assert "no fused representation" in of_run.skipped["fusion"]
        assert "no attention" in of_run.skipped["attention"]

    def test_other_posts_are_refused(self, workshop: Workshop, tmp_path: Path, page: Page) -> None:
        other = _posts(tmp_path / "posts")
        found = analyse_posts(other, estimate=False, draws=100)
        with pytest.raises(DataError, match="none of the run's test posts"):
            analyse_run(Run.load(workshop.folder / "run"), other, found.emotions)


class TestProjection:
    def test_separation_is_seen(self) -> None:
        rng = np.random.default_rng(0)
        labels = np.repeat([0, 1, 2], [60, 30, 10])
        apart = rng.normal(size=(100, 80)) + 8 * np.eye(3)[labels] @ rng.normal(size=(3, 80))
        mixed = rng.normal(size=(100, 80))
        clear, unclear = project(apart, labels), project(mixed, labels)
        assert clear.neighbours > 0.95
        assert clear.silhouette > 0.3
        assert unclear.neighbours < 0.6
        assert abs(unclear.silhouette) < 0.1
        assert clear.chance == pytest.approx(1 / 3)
        assert clear.points.shape == (100, 2)
        assert project(apart, np.where(labels == 2, -1, labels)).rows.tolist() == list(range(90))

    def test_too_few(self) -> None:
        with pytest.raises(DataError, match="at least 40"):
            project(np.zeros((50, 3)), np.full(50, -1))

    def test_pooled_features_weigh_alike(self) -> None:
        columns = random_examples(50).features.columns
        features = FeatureTable({name: columns[name] for name in ABMF().features})
        pooled = pooled_features(features)
        assert pooled.shape == (50, sum(features.widths.values()))
        assert np.isfinite(pooled).all()
        tokens = features.columns["caption.tokens"]
        place = list(features.columns).index("caption.tokens")
        start = sum(list(features.widths.values())[:place])
        part = pooled[:, start : start + 16]
        assert (part**2).sum(axis=1).mean() == pytest.approx(tokens.present.mean(), abs=0.05)
        np.testing.assert_allclose(part[~tokens.present], 0)


def test_command(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    emotions = {"valence": rng.uniform(-4, 4, 60), "arousal": rng.uniform(0, 8, 60)}
    dataset = _posts(tmp_path / "posts", followers=1000, **emotions)
    command = ["analyse", str(dataset.folder), "--out", str(tmp_path / "out"), "--draws", "100"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    record = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(record.stdout)["tables"]["correlations"][0]["dimension"].startswith("Valence")
    wrong = CliRunner().invoke(app, [*command, "--compare", "run"])
    assert isinstance(wrong.exception, SettingsError)


def test_real_posts(shared_data: Path, tmp_path: Path) -> None:
    from evoked.posts.importing import import_posts

    import_posts("instaloader", shared_data / "instagram_top20", tmp_path / "posts")
    found = analyse_posts(PostDataset(tmp_path / "posts"), estimate=False, draws=100)
    assert found.tables["categories"]["posts"].max() == 200
    assert "valence" in found.skipped["correlations"]
    write_analysis(found, tmp_path / "out")


def test_mistakes_are_found_before_slow_imports(tmp_path: Path) -> None:
    dataset = _posts(tmp_path / "posts")
    code = f"""
import sys
from typer.testing import CliRunner
import evoked.cli
from evoked.cli.application import app
from evoked.errors import DataError, SettingsError

def run(*arguments):
    return CliRunner().invoke(app, ["analyse", *arguments, "--out", {str(tmp_path / "out")!r}])

assert run("--help").exit_code == 0
assert run({str(dataset.folder)!r}, "--popularity", "reach").exit_code == 2
assert isinstance(run({str(tmp_path / "nowhere")!r}).exception, DataError)
assert isinstance(run({str(dataset.folder)!r}, "--compare", "run").exception, SettingsError)
slow = ("torch", "scipy", "matplotlib", "plotly", "statsmodels", "sklearn")
assert not [name for name in slow if name in sys.modules]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
