"""Analyses of an account that grew find what its posts have, not when they appeared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from evoked.analysis.account_levels import level_accounts
from evoked.analysis.analyses import analyse_posts
from evoked.analysis.base import PostFindings
from evoked.analysis.popular_posts import analyse_popularity
from evoked.cli.application import app
from evoked.errors import DataError
from evoked.posts.dataset import PostDataset
from tests.support.pages import Page

N = 360
LIFT = 0.5  # by which a word raises likes
ERAS = ("pastel", "vintage", "neon")  # words that come and go with time


def planted(growth: float, seed: int = 0, author: str = "one") -> pd.DataFrame:
    """An account with a word that raises likes, and words of its first, second and third year."""
    random = np.random.default_rng(seed)
    special = random.random(N) < 0.3
    logs = 6 + np.log(growth) * np.linspace(0, 1, N) + np.log1p(LIFT) * special
    logs += random.normal(0, 0.4, N)
    era = np.array(ERAS)[3 * np.arange(N) // N]
    said = random.random(N) < 0.5
    captions = [
        " ".join(["walk", *[word] * int(one), *["sunset"] * int(other)])
        for word, one, other in zip(era, said, special, strict=True)
    ]
    return pd.DataFrame(
        {
            "post_id": [f"{author}-{row}" for row in range(N)],
            "author_id": author,
            "posted_at": pd.date_range("2021-01-01", periods=N, freq="3D", tz="UTC"),
            "caption": captions,
            "hashtags": [[] for _ in range(N)],
            "likes": np.round(np.expm1(logs)),
            "shares": np.round(np.expm1(logs) / 10),
            "valence": np.where(special, 2.0, -2.0) + random.normal(0, 0.5, N),
            "arousal": 4 + random.normal(0, 1, N),
        }
    )


def clear_words(posts: pd.DataFrame) -> set[str]:
    table = analyse_popularity(posts, [None] * len(posts)).tables["popular_words"]
    return set(table["word"][table["p_bh"] < 0.05])


class TestWords:
    @pytest.mark.parametrize("seed", range(4))
    def test_of_an_account_that_grew(self, seed: int) -> None:
        posts = planted(10, seed)
        assert clear_words(level_accounts(posts).posts) == {"sunset"}
        assert {"pastel", "neon"} <= clear_words(level_accounts(posts, relative=False).posts)

    @pytest.mark.parametrize("seed", range(4))
    def test_of_a_flat_account(self, seed: int) -> None:
        posts = planted(1, seed)
        levels = level_accounts(posts)
        assert not levels.relative
        assert levels.posts is posts
        assert clear_words(level_accounts(posts, relative=True).posts) == {"sunset"}


class TestNote:
    def test_of_one_account(self) -> None:
        note = level_accounts(planted(10)).note
        assert note.startswith("The account grew (a typical post from ")
        assert "popular means beside its last posts" in note
        assert "shrank" in level_accounts(planted(0.1)).note
        assert "did not clearly grow" in level_accounts(planted(1)).note

    def test_of_a_level_that_comes_back(self) -> None:
        up, down = planted(10), planted(0.1)
        later = down["posted_at"] + pd.Timedelta(days=1200)
        both = pd.concat([up, down.assign(posted_at=later, likes=10 * down["likes"])])
        note = level_accounts(both).note
        assert note.startswith("The account's level went up and down, so popular means beside")

    def test_of_several_accounts(self) -> None:
        both = pd.concat([planted(10, author="up"), planted(1, author="flat")])
        assert level_accounts(both).note.startswith("1 of 2 accounts clearly grew or shrank")
        flat = pd.concat([planted(1, 1, author="a"), planted(1, 2, author="b")])
        assert level_accounts(flat).note.startswith("None of 2 accounts clearly grew")

    def test_of_posts_that_cannot_show_it(self) -> None:
        for posts in (planted(10).iloc[:15], planted(10).assign(posted_at=pd.NaT)):
            levels = level_accounts(posts)
            assert not levels.relative
            assert "seen from 20 dated posts" in levels.note

    def test_as_asked(self) -> None:
        assert level_accounts(planted(1), relative=True).note.startswith("As asked")
        assert level_accounts(planted(10), relative=False).note.startswith("As asked")

    def test_what_cannot_be_done_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"earlier posts.*Leave out --relative"):
            level_accounts(planted(10).assign(posted_at=pd.NaT), relative=True)

    def test_accounts_without_likes_are_judged_by_another_count(self) -> None:
        posts = planted(10).assign(likes=np.nan)
        assert "shares" in level_accounts(posts, "shares").note
        assert not level_accounts(posts, "comments").relative


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    folder = tmp_path_factory.mktemp("grown") / "posts"
    return PostDataset.create(folder, {"posts": planted(10)})


@pytest.fixture(scope="module")
def both(dataset: PostDataset) -> tuple[PostFindings, PostFindings]:
    """Relative, as is the default, and absolute."""
    relative = analyse_posts(dataset, estimate=False, draws=100)
    return relative, analyse_posts(dataset, estimate=False, draws=100, relative=False)


class TestAnalyses:
    def test_correlations_and_lifts_see_through_growth(
        self, both: tuple[PostFindings, PostFindings]
    ) -> None:
        relative, absolute = (
            found.tables["correlations"].set_index(["dimension", "metric"])["p"] for found in both
        )
        cell = ("Valence × Arousal", "likes")
        assert np.isfinite([relative[cell], absolute[cell]]).all()
        lifts = [found.tables["lifts"].set_index("lift")["value"] for found in both]
        name = "likes, positive over negative valence"
        assert lifts[0][name] == pytest.approx(LIFT, abs=0.15)
        errors = [
            (table["high"] - table["low"]).iloc[1]
            for table in (found.tables["lifts"] for found in both)
        ]
        assert 0 < errors[0] < 0.7 * errors[1]

    def test_interactions_are_of_levelled_counts(
        self, both: tuple[PostFindings, PostFindings]
    ) -> None:
        tables = [found.tables["sharing_together"].iloc[0] for found in both]
        assert tables[0]["n"] == N - 3
        assert tables[1]["n"] == N
        fits = [found.tables["sharing_interaction_fits"]["n"].iloc[0] for found in both]
        assert fits == [N - 3, N]

    def test_the_distribution_is_of_the_counts_themselves(
        self, both: tuple[PostFindings, PostFindings]
    ) -> None:
        laws = [found.tables["sharing_laws"] for found in both]
        pd.testing.assert_frame_equal(*laws)
        borders = [
            found.tables["sharing_counts"].set_index("quantity").loc["popular: at least", "value"]
            for found in both
        ]
        assert borders[0] != borders[1]

    def test_categories_are_as_published(self, both: tuple[PostFindings, PostFindings]) -> None:
        pd.testing.assert_frame_equal(*(found.tables["categories"] for found in both))

    def test_rates_per_view_need_no_level(self, tmp_path: Path) -> None:
        posts = planted(10).assign(views=lambda table: 20 * table["likes"])
        seen = PostDataset.create(tmp_path / "posts", {"posts": posts})
        found = [
            analyse_posts(seen, estimate=False, draws=100, relative=relative)
            for relative in (None, False)
        ]
        assert found[0].denominator == "views"
        assert found[0].context.levels.relative
        pd.testing.assert_frame_equal(*(each.tables["correlations"] for each in found))

    def test_console_page_and_json_say_so(self, dataset: PostDataset, tmp_path: Path) -> None:
        command = ["analyse", str(dataset.folder), "--no-estimate", "--draws", "100", "--out"]
        shown = CliRunner().invoke(app, [*command, str(tmp_path / "own")])
        assert "popular means beside its last posts" in " ".join(shown.output.split())
        page = Page(tmp_path / "own" / "index.html")
        assert "popular means beside its last posts" in page.text
        record = json.loads((tmp_path / "own" / "analysis.json").read_text())
        assert record["relative"] is True
        CliRunner().invoke(app, [*command, str(tmp_path / "as_asked"), "--absolute"])
        record = json.loads((tmp_path / "as_asked" / "analysis.json").read_text())
        assert record["relative"] is False
        assert record["levels_note"].startswith("As asked")
