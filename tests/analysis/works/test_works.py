"""What works: what is planted is found, what only tells when is not, and often nothing is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from evoked.analysis.analyses import analyse_posts
from evoked.analysis.works import effects as effects_module
from evoked.analysis.works.captions import Read, caption_traits, read_captions
from evoked.analysis.works.effects import Effects, Times, effects
from evoked.analysis.works.findings import (
    COUNTS,
    MOST_SENTENCES,
    chosen_count,
    in_words,
    typical_now,
    what_works,
)
from evoked.analysis.works.moments import clock, moment_traits
from evoked.analysis.works.own_columns import fact_traits, format_traits
from evoked.analysis.works.pictures import picture_groups
from evoked.analysis.works.traits import Surroundings, Trait, comparable, trait
from evoked.cli.application import app
from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.posts.schema import POSTS
from evoked.report.analysis_page import to_record, write_analysis
from evoked.report.works_figures import works_figure

N = 240
QUESTION, TAG = 0.5, -0.5
_SAYINGS = ("Out by the lake", "Tea and bread", "A slow walk home", "Blue doors", "Rain again")


def account(seed: int, planted: bool = True, **columns: object) -> pd.DataFrame:
    """Posts of an account that grew tenfold: questions do better, #sale worse, if planted. Of the
    later half most have the word "autumn", which means nothing."""
    random = np.random.default_rng(seed)
    progress = np.linspace(0, 1, N)
    asks, sale = random.random(N) < 0.3, random.random(N) < 0.3
    late = (progress > 0.5) & (random.random(N) < 0.9)
    level = np.log(200) + np.log(10) * progress + random.normal(0, 0.35, N)
    level += planted * (QUESTION * asks + TAG * sale)
    captions = [
        " ".join(random.choice(_SAYINGS, random.integers(1, 6)))
        + " What do you say?" * bool(ask)
        + " autumn" * bool(word)
        for ask, word in zip(asks, late, strict=True)
    ]
    hours = pd.to_timedelta(24 * np.arange(N) + random.integers(6, 23, N), "h")
    made = {
        "post_id": [f"p{row}" for row in range(N)],
        "author_id": "a",
        "posted_at": pd.Timestamp("2023-01-01", tz="UTC") + hours,
        "caption": captions,
        "hashtags": [["sale"] * int(one) + ["life"] * int(random.random() < 0.5) for one in sale],
        "likes": random.poisson(np.exp(level)),
    }
    return pd.DataFrame(made | columns)


def dataset(folder: Path, posts: pd.DataFrame) -> PostDataset:
    return PostDataset.create(folder, {"posts": posts})


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return dataset(tmp_path_factory.mktemp("works") / "planted", account(1))


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> PostDataset:
    return dataset(tmp_path_factory.mktemp("works") / "null", account(2, planted=False))


def _row(found: Effects, phrase: str) -> pd.Series:
    return found.table[found.table["phrase"] == phrase].iloc[0]


class TestTruth:
    def test_what_is_planted_is_found(self, planted: PostDataset) -> None:
        found = what_works(planted).effects
        standing = found.table[found.table["stands"] & (found.table["beside"] == "")]
        assert set(standing["phrase"]) == {"with a question", "with #sale"}
        for phrase, truth in (("with a question", QUESTION), ("with #sale", TAG)):
            row = _row(found, phrase)
            assert row["low"] < np.expm1(truth) < row["high"]
            assert np.log1p(row["effect"]) == pytest.approx(truth, abs=0.2)

    def test_a_word_that_tells_when_is_not(self, planted: PostDataset) -> None:
        posts = planted.posts
        autumn = posts["caption"].str.contains("autumn")
        plain = np.log(posts["likes"][autumn].mean() / posts["likes"][~autumn].mean())
        assert plain > 0.8  # what a comparison over all time sees
        row = _row(what_works(planted).effects, "with the word “autumn”")
        assert not row["stands"]
        assert row["low"] < 0 < row["high"]

    def test_nothing_is_an_answer(self, null: PostDataset) -> None:
        found = what_works(null)
        assert not found.effects.table["stands"].any()
        assert found.sentences[0].startswith("Nothing stands out: of ")
        assert not found.examples

    def test_nulls_are_mostly_empty(self) -> None:
        """At 5 %, three or fewer of 20 accounts have anything in 98 of 100 runs."""
        wrong = 0
        for seed in range(20):
            posts = _schema(account(seed + 100, planted=False))
            found = effects(posts, "likes", list(caption_traits(read_captions(posts))))
            wrong += bool(found.table["stands"].any())
        assert wrong <= 3

    def test_a_jump_together_with_a_habit_is_not_found(self) -> None:
        """From one day on everything gets more, and has the thing: nobody can tell them apart."""
        random = np.random.default_rng(0)
        late = np.arange(N) >= 125
        posts = _schema(account(3, False, likes=np.where(late, 2000, 200)))
        has = late ^ (random.random(N) < 0.02)
        others = [trait("made up", f"x{k}", random.random(N) < 0.4) for k in range(5)]
        posts["likes"] = (posts["likes"] * random.lognormal(0, 0.3, N)).astype(int)
        found = effects(posts, "likes", [trait("habit", "that are late", has), *others])
        assert not found.table["stands"].any()


class TestEffects:
    def test_equals_a_regression_with_everything(self) -> None:
        """Frisch, Waugh and Lovell: the same slope as of one large regression."""
        posts = _schema(account(4))
        random = np.random.default_rng(4)
        around = Surroundings("noise", random.normal(size=(N, 2)))
        asks = posts["caption"].str.contains("What").to_numpy()
        found = effects(posts, "likes", [trait("question", "ask", asks)], [around])
        times = Times.of(posts)
        dummies = (times.time[:, None] == np.unique(times.time)).astype(float)
        design = np.column_stack([asks, around.columns, np.arange(N), dummies])
        slope = np.linalg.lstsq(design, np.log1p(posts["likes"].to_numpy(float)), rcond=None)[0][0]
        assert found.table["effect"][0] == pytest.approx(np.expm1(slope), rel=1e-6)

    def test_kin_are_not_taken_out(self) -> None:
        posts = _schema(account(5))
        asks = posts["caption"].str.contains("What").to_numpy()
        copy = Surroundings("questions", asks[:, None].astype(float))
        freed = effects(posts, "likes", [trait("question", "ask", asks)], [copy])
        kept = effects(posts, "likes", [trait("question", "ask", asks, "questions")], [copy])
        assert freed.table["effect"][0] == pytest.approx(0)
        assert not freed.table["stands"][0]
        assert kept.table["stands"][0]

    def test_what_goes_with_a_surer_thing_is_said(self) -> None:
        posts = _schema(account(6))
        asks = posts["caption"].str.contains("What").to_numpy()
        nearly = asks ^ (np.random.default_rng(6).random(N) < 0.12)
        found = effects(
            posts, "likes", [trait("a", "that nearly ask", nearly), trait("b", "that ask", asks)]
        )
        assert found.table["phrase"].tolist() == ["that ask", "that nearly ask"]
        assert found.table["stands"].all()
        assert found.table["beside"].tolist() == ["", "that ask"]

    def test_times(self) -> None:
        posts = _schema(account(7))
        times = Times.of(posts.sample(frac=1, random_state=0).reset_index(drop=True))
        assert np.bincount(times.time).tolist() == [10] * (N // 10)
        few = Times.of(posts.head(37))
        assert np.bincount(few.time).tolist() == [10, 10, 17]
        two = posts.assign(author_id=np.where(np.arange(N) % 2, "a", "b"))
        assert Times.of(two).clustered_by == "times"
        many = posts.assign(author_id=[f"a{row % 12}" for row in range(N)])
        assert Times.of(many).clustered_by == "authors"
        undated = Times.of(posts.assign(posted_at=pd.Series(pd.NaT, index=posts.index)))
        assert undated.clustered_by == "posts"
        assert not undated.dated

    def test_the_same_posts_give_the_same(self, planted: PostDataset) -> None:
        first, second = (what_works(planted).effects.table for _ in range(2))
        pd.testing.assert_frame_equal(first, second)

    def test_few_posts_are_refused(self, planted: PostDataset) -> None:
        with pytest.raises(DataError, match="29 posts have a number of likes, and 30 are needed"):
            what_works(planted.select(np.arange(29)))
        posts = _schema(account(1))
        with pytest.raises(DataError, match="nothing is found in enough posts"):
            effects(posts, "likes", [trait("a", "all", np.ones(N, bool))])


def _schema(posts: pd.DataFrame) -> pd.DataFrame:
    """With every column of the schema, as a dataset has them."""
    full = posts.copy()
    for name in POSTS.names:
        if name not in posts:
            lists = name in ("hashtags", "mentions", "images")
            full[name] = [[] for _ in range(len(posts))] if lists else None
    full["posted_at"] = pd.to_datetime(full["posted_at"], utc=True)
    return full.astype({"posted_hour": "float64", "posted_weekday": "float64"})


def _counting(name: str, seen: Counter[str]) -> Callable[..., Any]:
    """A function of the module of effects that counts how often it is called."""
    function = getattr(effects_module, name)

    def counted(*arguments: Any) -> Any:
        seen[name] += 1
        return function(*arguments)

    return counted


def _named(traits: list[Trait]) -> dict[str, NDArray[np.float64]]:
    return {each.phrase: each.values for each in traits}


class TestTraits:
    def test_rare_and_equal_ones_are_left_out(self) -> None:
        some, few = np.arange(100) < 30, np.arange(100) < 7
        given = [trait("a", "first", some), trait("b", "same", some), trait("c", "few", few)]
        assert [each.phrase for each in comparable(given)] == ["first"]
        unknown = replace(given[0], values=np.where(np.arange(100) < 95, np.nan, 0.0))
        assert comparable([unknown]) == []

    def test_captions(self) -> None:
        read = Read.of(
            "Why? See @Anna.b at the Lake! 😍👍🏽 #goodVibes\nhttps://x.y/z", ["Sun"], []
        )
        assert read.words == ["why", "see", "at", "the", "lake"]
        assert read.hashtags == {"goodvibes", "sun"}
        assert read.mentions == {"anna.b"}
        assert read.emoji == {"😍", "👍"}

    def test_scripts_without_spaces(self) -> None:
        words = Read.of("生誕祭ありがとう。写真集が出ます", [], []).words
        assert all(len(word) > 1 for word in words)
        assert "写真集が" in words or "写真集" in words

    def test_questions_openings_and_lengths(self) -> None:
        texts = ["Why not?", "Plain words\nmore", "3 things!", "", "😍 hello"] * 20
        posts = _schema(pd.DataFrame({"post_id": range(100), "caption": texts}))
        found = _named(list(caption_traits(read_captions(posts))))
        np.testing.assert_array_equal(found["with a question"][:5], [1, 0, 0, np.nan, 0])
        np.testing.assert_array_equal(found["that open with a number"][:5], [0, 0, 1, np.nan, 0])
        np.testing.assert_array_equal(found["that open with an emoji"][:5], [0, 0, 0, np.nan, 1])
        np.testing.assert_array_equal(found["without a caption"][:5], [0, 0, 0, 1, 0])
        np.testing.assert_array_equal(found["with several lines"][:5], [0, 1, 0, np.nan, 0])

    def test_topics_are_named(self) -> None:
        texts = ["coffee beans morning roast", "surf waves beach board"] * 40
        posts = _schema(pd.DataFrame({"post_id": range(80), "caption": texts}))
        topics = [each for each in caption_traits(read_captions(posts)) if each.kind == "topic"]
        assert any("coffee" in each.phrase or "beans" in each.phrase for each in topics)
        assert all("“" in each.phrase for each in topics)

    def test_clocks(self) -> None:
        when = pd.to_datetime(pd.Series(["2024-01-01T23:30Z", None]))  # a Monday
        posts = _schema(pd.DataFrame({"post_id": ["a", "b"], "posted_at": when}))
        hours, days = clock(posts)
        np.testing.assert_allclose(hours, [23.5, np.nan])
        np.testing.assert_allclose(days, [0, np.nan])
        local = posts.assign(posted_hour=[8.0, 9.0], posted_weekday=[1.0, 6.0])
        np.testing.assert_allclose(clock(local)[0], [8, 9])
        assert "between 21:00 and 24:00 UTC" in _named(list(moment_traits(posts)))
        found = _named(list(moment_traits(local)))
        assert found["between 6:00 and 9:00"].tolist() == [1, 0]
        assert found["at weekends"].tolist() == [0, 1]

    def test_dates_without_hours_have_none(self) -> None:
        days = pd.date_range("2024-01-01", periods=5, tz="UTC")
        hours, _ = clock(_schema(pd.DataFrame({"post_id": range(5), "posted_at": days})))
        assert np.isnan(hours).all()

    def test_formats_and_own_columns(self) -> None:
        posts = _schema(
            pd.DataFrame({"post_id": range(4), "media_type": ["video", "image", None, "image"]})
        )
        found = _named(list(format_traits(posts)))
        np.testing.assert_array_equal(found["that are videos"], [1, 0, np.nan, 0])
        posts["fact.spend"] = [1.0, 2.0, 3.0, np.nan]
        posts["fact.promoted"] = [True, False, None, True]
        posts["fact.place"] = ["feed", "story", "feed", None]
        own = _named(list(fact_traits(posts)))
        np.testing.assert_array_equal(own["with spend above 2"], [0, 0, 1, np.nan])
        np.testing.assert_array_equal(own["with promoted: yes"], [1, 0, np.nan, 1])
        np.testing.assert_array_equal(own["with place: feed"], [1, 0, 1, np.nan])

    def test_groups_of_pictures(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        covers = []
        for number in range(60):
            dark = number % 2
            pixels = random.integers(0, 60, (32, 32, 3)) + (0 if dark else 190)
            pixels[:, :16, dark] += 40 * dark
            covers.append(tmp_path / f"{number}.png")
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(covers[-1])
        posts = _schema(pd.DataFrame({"post_id": [str(number) for number in range(60)]}))
        groups = picture_groups(posts, covers)
        assert len(groups) == 2
        assert abs(np.corrcoef(groups[0].values, np.arange(60) % 2)[0, 1]) > 0.95
        assert picture_groups(posts, [None] * 60) == []


class TestWords:
    def test_sentences(self, planted: PostDataset) -> None:
        found = what_works(planted)
        first = next(each for each in found.sentences if "with a question" in each)
        row = _row(found.effects, "with a question")
        assert first.startswith(f"Posts with a question got about {in_words(row['effect'])} likes")
        assert f"{row['having']} posts are such and {row['lacking']} are not" in first
        assert "Chance alone would show as much in under 1 of 100" in first
        assert len(found.sentences) <= MOST_SENTENCES
        assert "cause and effect" in found.how
        assert found.to_dict()["free_of_time"]

    def test_without_dates_it_says_so(self, tmp_path: Path) -> None:
        posts = account(1).drop(columns="posted_at")
        found = what_works(dataset(tmp_path / "posts", posts))
        assert "have no dates" in found.how
        assert "of their time" not in " ".join(found.sentences)

    def test_examples_have_it_and_do_well(self, planted: PostDataset) -> None:
        found = what_works(planted)
        posts = planted.posts
        rows = dict(zip(found.effects.table["phrase"], found.examples.get(0, []), strict=False))
        assert rows
        for row, examples in found.examples.items():
            assert 1 <= len(examples) <= 2
            better = found.effects.table["effect"][row] > 0
            for each in examples:
                assert found.effects.traits[row].values[each.row] == 1
                assert (each.beside > 1) == better
                assert each.count == posts["likes"][each.row]

    def test_counts(self, planted: PostDataset) -> None:
        posts = planted.posts
        assert chosen_count(posts) == "likes"
        views = posts.assign(likes=np.nan, views=5)
        assert chosen_count(views) == "views"
        with pytest.raises(SettingsError, match="not 'reach'"):
            chosen_count(posts, "reach")
        assert set(COUNTS) == {"likes", "views", "shares", "comments", "saves"}
        last = posts["likes"].tail(20).median()
        assert typical_now(posts, "likes") == last
        assert typical_now(posts.sample(frac=1, random_state=1), "likes") == last

    def test_popularity_chooses_the_count(self, tmp_path: Path) -> None:
        posts = account(1)
        twice = posts.assign(comments=posts["likes"][::-1].to_numpy())
        given = dataset(tmp_path / "posts", twice)
        by_default, chosen = (
            analyse_posts(given, estimate=False, popularity=each, draws=100)
            for each in (None, "comments")
        )
        assert to_record(by_default)["works"]["count"] == "likes"
        assert to_record(chosen)["works"]["count"] == "comments"
        assert (
            to_record(chosen)["works"]["sentences"] != to_record(by_default)["works"]["sentences"]
        )


class TestPage:
    def test_first_come_the_sentences(self, planted: PostDataset, tmp_path: Path) -> None:
        found = analyse_posts(planted, estimate=False, draws=100)
        page = write_analysis(found, tmp_path / "out").read_text()
        first, _, papers = page.partition('id="papers"')
        assert first.index("Posts with a question got about") < first.index("<figure>")
        assert "ABMF" not in first.partition("<main>")[2]
        assert "ABMF" in papers
        assert (tmp_path / "out" / "tables" / "works.csv").is_file()
        assert (tmp_path / "out" / "figures" / "works.png").is_file()

    def test_figure_names_what_stands_out(self, planted: PostDataset) -> None:
        drawn = works_figure(what_works(planted))
        labels = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
        assert any("with a question" in label for label in labels)
        assert "n = 240 posts" in drawn.caption

    def test_the_console_is_80_columns_wide(
        self, planted: PostDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        command = ["analyse", str(planted.folder), "--no-estimate", "--out", str(tmp_path / "o")]
        shown = CliRunner().invoke(app, command)
        assert shown.exit_code == 0, shown.output
        own = shown.output.partition("The papers' tables")[0]
        assert "Posts with a question got about" in own
        assert max(map(len, own.splitlines())) <= 80

    def test_few_posts_are_a_reason(self, tmp_path: Path) -> None:
        few = dataset(tmp_path / "posts", account(1).head(20))
        found = analyse_posts(few, estimate=False, draws=100)
        assert "30 are needed" in found.skipped["works"]
        page = write_analysis(found, tmp_path / "out").read_text()
        assert "What works can't be said" in page


def test_effects_are_not_read_from_likes_alone_unknown(tmp_path: Path) -> None:
    """Posts whose count is unknown are left out, and examples name rows of the whole dataset."""
    posts = account(1)
    likes = posts["likes"].astype("Int64").where(np.arange(N) % 7 > 0)
    found = what_works(dataset(tmp_path / "posts", posts.assign(likes=likes)))
    rows = [each.row for examples in found.examples.values() for each in examples]
    assert rows
    assert not any(row % 7 == 0 for row in rows)
