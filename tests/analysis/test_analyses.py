"""The contract of every analysis, and what registering one is enough for."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from evoked.analysis.analyses import ANALYSES, analyse_posts
from evoked.analysis.base import Analysis, PostContext, PostFindings, carry_out
from evoked.analysis.excerpts import Excerpt, whole
from evoked.analysis.sharing import POPULARITIES
from evoked.cli.analyse import Popularity
from evoked.cli.application import app
from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import LOCK_FILE, PostDataset
from evoked.posts.schema import ENGAGEMENT
from evoked.posts.synthetic.posts import synthesise
from evoked.report.analysis_figures import FIGURES, INTERACTIVE_FIGURES
from evoked.report.analysis_page import write_analysis
from evoked.report.run_tables import RUN_ANALYSES

DRAWS = 100


def _create(folder: Path, n: int, **columns: object) -> PostDataset:
    posts = pd.DataFrame({"post_id": [f"p{row}" for row in range(n)], **columns})
    return PostDataset.create(folder, {"posts": posts})


@pytest.fixture(scope="module")
def enough(tmp_path_factory: pytest.TempPathFactory) -> PostFindings:
    """Synthetic posts, which every analysis has enough of: emoji are put into captions."""
    folder = tmp_path_factory.mktemp("enough")
    synthesise(folder / "made", n=400, seed=3)
    made = PostDataset(folder / "made")
    captions = made.posts["caption"].fillna("") + " 😀"
    dataset = PostDataset.create(
        folder / "posts",
        {
            "posts": made.posts.assign(caption=captions),
            "annotations": made.table("annotations"),
            "activity": made.table("activity"),
        },
        images=made.image_folder,
        scales=made.description["scales"],
        extra={"planted": made.description["planted"]},
    )
    return analyse_posts(dataset, estimate=False, draws=DRAWS)


_POOR = {
    "none": lambda folder: _create(folder, 0),
    "one": lambda folder: _create(folder, 1, valence=1.0, arousal=2.0, likes=3),
    "bare": lambda folder: _create(folder, 30),
    "alike": lambda folder: _create(
        folder,
        60,
        author_id="a",
        caption="Nice.",
        valence=1.0,
        arousal=2.0,
        followers=10,
        **dict.fromkeys(ENGAGEMENT, 5),
    ),
}


@pytest.fixture(scope="module", params=list(_POOR))
def poor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PostFindings:
    folder = tmp_path_factory.mktemp("poor") / request.param
    return analyse_posts(_POOR[request.param](folder), estimate=False, draws=DRAWS)


@pytest.mark.parametrize("analysis", ANALYSES.values(), ids=list(ANALYSES))
class TestContract:
    def test_posts_that_suffice(
        self, analysis: Analysis[PostContext], enough: PostFindings
    ) -> None:
        table = enough.tables[analysis.name]
        assert len(table)
        assert set(analysis.columns) <= set(table)
        for shown in analysis.summarise(enough.context, enough.tables):
            if isinstance(shown, Excerpt):
                assert shown.title
                assert all(len(row) == len(shown.columns) for row in shown.rows)
            else:
                assert shown.endswith((".", ")"))

    def test_posts_that_do_not(self, analysis: Analysis[PostContext], poor: PostFindings) -> None:
        """It is made, or its reason is given; whatever was made can be shown."""
        if analysis.name in poor.tables:
            list(analysis.summarise(poor.context, poor.tables))
        elif analysis.concerns(poor.context):
            reason = poor.skipped[analysis.left_out_as or analysis.name]
            assert reason
            assert not reason.endswith(".")

    def test_is_described(self, analysis: Analysis[PostContext]) -> None:
        assert ANALYSES[analysis.name] is analysis
        assert analysis.name.isidentifier()
        assert analysis.title[0].isupper()
        assert not analysis.title.endswith(".")
        assert analysis.explanation.endswith((".", "?"))


def test_locked_pictures_are_a_reason(tmp_path: Path) -> None:
    dataset = _create(
        tmp_path / "posts", 40, likes=range(40), author_id="a", images=[["a.png"]] * 40
    )
    (dataset.folder / LOCK_FILE).write_text("{}")
    found = analyse_posts(dataset, estimate=False, draws=DRAWS)
    assert "locked" in found.skipped["sharing_faces"]
    assert "picture" in found.skipped["popular_images"]


def test_poor_posts_make_a_page(poor: PostFindings, tmp_path: Path) -> None:
    page = write_analysis(poor, tmp_path / "out").read_text()
    for why in poor.skipped.values():
        assert why.split("'")[0] in page


def test_figures_belong_to_analyses() -> None:
    assert set(FIGURES) <= set(ANALYSES)
    assert set(INTERACTIVE_FIGURES) <= set(ANALYSES)
    assert not set(RUN_ANALYSES) & set(ANALYSES)


def test_the_console_offers_every_popularity() -> None:
    assert {each.value for each in Popularity} == set(POPULARITIES)


def test_another_popularity_is_refused_before_work(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not 'reach'"):
        analyse_posts(_create(tmp_path / "posts", 3), popularity="reach")


def _longest(context: PostContext) -> pd.DataFrame:
    lengths = context.posts["caption"].str.len()
    if lengths.isna().all():
        raise DataError("no post has a caption.")
    return pd.DataFrame({"statistic": ["longest"], "letters": [lengths.max()], "n": [len(lengths)]})


MADE_UP = Analysis(
    name="caption_letters",
    title="Letters of captions",
    explanation="letters: length of the longest caption.",
    compute=_longest,
    needs=(lambda context: "" if len(context.posts) else "there are no posts",),
    columns={"statistic": str, "letters": whole},
    rests_on_emotion=False,
)


class TestAnAnalysisIsOneEntry:
    @pytest.fixture(autouse=True)
    def registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(ANALYSES, MADE_UP.name, MADE_UP)

    def test_table_console_and_page(self, tmp_path: Path) -> None:
        dataset = _create(tmp_path / "posts", 3, caption=["a" * 4711, "b", None])
        command = ["analyse", str(dataset.folder), "--no-estimate", "--out", str(tmp_path / "out")]
        shown = CliRunner().invoke(app, command)
        assert shown.exit_code == 0, shown.output
        assert "Letters of captions" in " ".join(shown.output.split())
        assert "4711" in shown.output
        table = pd.read_csv(tmp_path / "out" / "tables" / "caption_letters.csv")
        assert table["letters"].tolist() == [4711]
        record = json.loads((tmp_path / "out" / "analysis.json").read_text())
        assert record["tables"]["caption_letters"][0]["letters"] == 4711
        page = (tmp_path / "out" / "index.html").read_text()
        assert '<section id="caption_letters"' in page
        assert '<a href="#caption_letters">Letters of captions</a>' in page
        assert "letters: length of the longest caption." in page
        assert "4711" in page

    def test_reason(self, tmp_path: Path) -> None:
        dataset = _create(tmp_path / "posts", 3)
        command = ["analyse", str(dataset.folder), "--no-estimate", "--out", str(tmp_path / "out")]
        shown = CliRunner().invoke(app, command)
        assert "Left out: caption letters: no post has a caption." in shown.output
        assert (
            "caption letters: no post has a caption."
            in (tmp_path / "out" / "index.html").read_text()
        )
        nobody = analyse_posts(_create(tmp_path / "none", 0), draws=DRAWS)
        assert nobody.skipped["caption_letters"] == "there are no posts"


class TestCarryOut:
    def _findings(self, tmp_path: Path) -> PostFindings:
        return PostFindings(analyse_posts(_create(tmp_path / "posts", 3), draws=DRAWS).context)

    def test_what_does_not_concern_is_not_mentioned(self, tmp_path: Path) -> None:
        def never(_: PostContext) -> bool:
            return False

        findings = self._findings(tmp_path)
        other = Analysis(
            name="other", title="Other", explanation="O.", compute=_longest, concerns=never
        )
        carry_out([other], findings)
        assert not findings.tables
        assert not findings.skipped

    def test_left_out_together(self, tmp_path: Path) -> None:
        findings = self._findings(tmp_path)
        parts = [
            Analysis(name=name, title="T", explanation="E.", compute=_longest, left_out_as="both")
            for name in ("first", "second")
        ]
        carry_out(parts, findings)
        assert findings.skipped == {"both": "no post has a caption"}

    def test_what_is_shared_is_computed_once(self, tmp_path: Path) -> None:
        context = self._findings(tmp_path).context
        calls = []

        def shared(given: PostContext) -> float:
            calls.append(given)
            return math.pi

        assert [context.once(shared), context.once(shared)] == [math.pi, math.pi]
        assert calls == [context]
