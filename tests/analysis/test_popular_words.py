"""Words and emoji of popular posts: counted by hand, filtered as written, tested honestly."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evoked.analysis.popular_posts import PopularityAnalysis, analyse_popularity, author_labels
from evoked.analysis.popular_words import (
    TextStatistics,
    emoji_name,
    is_function_word,
    text_statistics,
    tokens,
)
from evoked.errors import DataError
from evoked.evaluation.sign_flips import sign_flip_p
from evoked.explain.figures import Picture
from evoked.posts.dataset import PostDataset
from evoked.report.analysis_figures import FIGURES
from evoked.report.popularity_figures import can_draw, emoji_figure, word_figure

AUTHORS = 40


def _figures(found: PopularityAnalysis) -> list[Picture]:
    """The figures beside the tables of an analysis of authors' popular posts."""
    context: Any = SimpleNamespace(once=lambda _: found)
    names = ("popular_images", "popular_words", "popular_emoji")
    return [picture for name in names for picture in FIGURES[name](context, {})]


class TestTokens:
    @pytest.mark.parametrize(
        ("caption", "words", "symbols"),
        [
            ("SO happy 😍👍🏽!", ["so", "happy"], ["😍", "👍"]),
            ("with @anna_b and me@mail.com", ["with", "and"], []),
            ("#goodVibes #best_friends", ["goodvibes", "best", "friends"], []),
            ("shop.example.com https://t.co/x www.y.de/z now", ["now"], []),
            ("l'été, dell’arte: the dog's don't", ["été", "arte", "the", "dog", "don"], []),
            ("café 𝓰𝓸𝓸𝓭 ＯＫ", ["café", "good", "ok"], []),
            ("नमस्ते, مرحبا! Привет", ["नमस्ते", "مرحبا", "привет"], []),
            ("今日は good", ["今", "日", "は", "good"], []),
            ("❤️ ❤ 1️⃣ 🇺🇸👨‍👩‍👧", [], ["❤", "❤", "1⃣", "🇺🇸", "👨‍👩‍👧"]),
            ("🤷🏽‍♀️ & 🤷🏿‍♀️", [], ["🤷‍♀", "🤷‍♀"]),
            (None, [], []),
            ("", [], []),
        ],
    )
    def test_by_hand(self, caption: str | None, words: list[str], symbols: list[str]) -> None:
        assert tokens(caption) == (words, symbols)

    @given(st.text())
    def test_of_anything(self, caption: str) -> None:
        words, symbols = tokens(caption)
        assert all(word and not word.isspace() for word in words)
        assert all(emoji_name(symbol) for symbol in symbols)

    def test_names(self) -> None:
        assert emoji_name("😍") == "smiling face with heart-eyes"
        assert emoji_name("❤") == "red heart"

    @pytest.mark.parametrize(
        "word", ["this", "with", "it", "at", "of", "una", "für", "это", "7", "2024", "x", "é"]
    )
    def test_function_words(self, word: str) -> None:
        assert is_function_word(word)

    @pytest.mark.parametrize(
        "word", ["love", "day", "beach", "海", "пляж", "covid19", "son", "die"]
    )
    def test_words_that_say_something(self, word: str) -> None:
        assert not is_function_word(word)


class Captions:
    """Forty authors with six popular and six unpopular captions each."""

    def __init__(self) -> None:
        self.authors = np.repeat([f"a{i}" for i in range(AUTHORS)], 12).astype(object)
        self.popular = np.tile([True, False], 6 * AUTHORS)
        self.texts = ["the"] * len(self.popular)

    def add(self, text: str, rows: np.ndarray) -> None:
        for row in rows:
            self.texts[row] += f" {text}"

    def rows(self, popular: bool, authors: range, each: int = 1) -> np.ndarray:
        """The first posts of either kind by each of some authors."""
        first = np.array([12 * author for author in authors])
        return (first[:, None] + 2 * np.arange(each) + (0 if popular else 1)).ravel()

    def found(self, **settings: object) -> TextStatistics:
        return text_statistics(self.texts, self.popular, self.authors, **settings)


@pytest.fixture(scope="module")
def captions() -> Captions:
    made = Captions()
    made.add("beach 🎉", made.rows(True, range(30), 2))
    made.add("beach", made.rows(False, range(5)))
    made.add("discount 😴", made.rows(False, range(20), 2))
    made.add("coffee ☕", made.rows(True, range(20)))
    made.add("coffee ☕", made.rows(False, range(20)))
    made.add("uscevents", made.rows(True, range(5), 6))  # of five authors
    made.add("paradiso paradiso", made.rows(True, range(1), 6))  # one bears most of it
    made.add("paradiso", made.rows(True, range(1, 9)))
    made.add("seldom", made.rows(True, range(9)))
    return made


@pytest.fixture(scope="module")
def found(captions: Captions) -> TextStatistics:
    return captions.found()


class TestStatistics:
    def test_counts_by_hand(self, found: TextStatistics) -> None:
        table = found.words.set_index("word")
        assert table.index.tolist() == ["beach", "coffee", "discount"]
        columns = ["popular", "unpopular", "difference", "posts", "authors"]
        assert table.loc["beach", columns].tolist() == [60, 5, 55, 65, 30]
        assert table.loc["coffee", columns].tolist() == [20, 20, 0, 40, 20]
        assert table.loc["discount", columns].tolist() == [0, 40, -40, 40, 20]
        assert (found.n_popular, found.n_unpopular, found.authors) == (240, 240, AUTHORS)
        assert found.unit == "author"

    def test_p_values(self, found: TextStatistics) -> None:
        table = found.words.set_index("word")
        # 25 authors said beach twice more in popular posts, five once more.
        assert table.loc["beach", "p"] == pytest.approx(sign_flip_p([2] * 25 + [1] * 5))
        assert table.loc["discount", "p"] == pytest.approx(2 * 0.5**20)
        assert np.isnan(table.loc["coffee", "p"])  # every author as often in either kind
        assert np.isnan(table.loc["coffee", "p_bh"])
        assert table.loc["discount", "p_posts"] == pytest.approx(
            stats.binomtest(0, 40).pvalue, rel=1e-6
        )
        assert table.loc["discount", "p_bh"] == pytest.approx(2 * 0.5**20)
        assert table.loc["beach", "p_bh"] == pytest.approx(2 * table.loc["beach", "p"])

    def test_filters(self, found: TextStatistics) -> None:
        row = found.summary.set_index("text").loc["words"]
        # the, beach, discount, coffee, uscevents, paradiso, seldom
        assert row["different"] == 7
        assert row["function_words"] == 1
        assert row["rare"] == 1
        assert row["of_few_authors"] == 2
        assert row["kept"] == 3
        assert row["tested"] == row["significant"] == 2
        assert row["significant_shuffled"] < 1

    def test_emoji(self, found: TextStatistics) -> None:
        assert found.emoji["emoji"].tolist() == ["🎉", "☕", "😴"]
        assert found.emoji["name"].tolist() == ["party popper", "hot beverage", "sleeping face"]
        assert found.emoji["band"].tolist() == ["top 50 %", "top 50 %", "bottom 50 %"]

    def test_bands_share_ties(self) -> None:
        made = Captions()
        for number, word in enumerate(["alpha", "beta", "gamma", "delta"]):
            made.add(word, made.rows(True, range(10 * number, 10 * number + 10)))
        for word in ("epsilon", "zeta", "eta", "theta"):
            made.add(word, made.rows(False, range(10)))
        table = made.found().words.set_index("word")["band"]
        # Four words each share a rank: 6.5 and 2.5 of 8.
        assert table.loc[["alpha", "beta", "gamma", "delta"]].eq("top 25 %").all()
        assert table.loc[["epsilon", "zeta", "eta", "theta"]].eq("middle 50 %").all()

    def test_one_authors_habit_is_not_everybodys(self) -> None:
        """Six authors use a word in all popular posts; others in either kind alike."""
        made = Captions()
        made.add("sunrise", made.rows(True, range(6), 6))
        made.add("sunrise", made.rows(False, range(6, 20)))
        made.add("sunrise", made.rows(True, range(20, 34)))
        row = made.found().words.iloc[0]
        assert row["difference"] == 36
        assert row["p_posts"] < 1e-3
        assert row["p"] > 0.01

    def test_shuffled_labels_find_nothing(self) -> None:
        generator = np.random.default_rng(0)
        made = Captions()
        vocabulary = np.array(
            [f"word{chr(97 + i)}{chr(97 + j)}" for i in range(8) for j in range(8)]
        )
        for author in range(AUTHORS):  # authors have words of their own
            own = generator.choice(vocabulary, 12)
            for row in range(12 * author, 12 * author + 12):
                made.add(" ".join(generator.choice(own, 5)), np.array([row]))
        nominal, survived = [], 0
        for _ in range(10):
            made.popular = generator.permuted(made.popular.reshape(AUTHORS, 12), axis=1).ravel()
            table = made.found().words
            nominal += (table["p"] < 0.05).tolist()
            survived += int((table["p_bh"] < 0.05).any())
        assert 0.01 < np.mean(nominal) < 0.07
        assert survived <= 2


class TestPoorPosts:
    def test_one_author(self) -> None:
        texts = ["sunny beach"] * 12 + ["rainy office"] * 12
        found = text_statistics(texts, [True] * 12 + [False] * 12, ["me"] * 24)
        assert found.unit == "post"
        table = found.words.set_index("word")
        assert table["authors"].tolist() == [1] * 4
        assert table.loc["beach", "p"] == pytest.approx(stats.binomtest(12, 12).pvalue)
        assert found.emoji.empty
        assert np.isnan(found.summary.set_index("text").loc["emoji", "nominal"])

    def test_posts_without_words(self) -> None:
        found = text_statistics([None, "", "the", "🎉"] * 6, [True, False] * 12)
        assert found.words.empty
        assert found.emoji.empty  # six times only

    def test_authors_with_one_kind_are_not_counted(self) -> None:
        made = Captions()
        made.add("beach", np.arange(len(made.texts)))
        made.texts += ["beach"] * 30
        made.popular = np.append(made.popular, [True] * 30)
        made.authors = np.append(made.authors, ["only popular"] * 15 + [None] * 15)
        found = made.found()
        assert found.n_popular == 240
        assert found.words["popular"].tolist() == [240]

    def test_one_kind(self) -> None:
        with pytest.raises(DataError, match="popular and unpopular"):
            text_statistics(["a"] * 4, [True] * 4)


def _posts(likes: list[int | None], authors: list[str | None]) -> pd.DataFrame:
    n = len(likes)
    return pd.DataFrame(
        {
            "post_id": [str(i) for i in range(n)],
            "author_id": authors,
            "likes": pd.array(likes, dtype="Int64"),
            "caption": ["Sunny day"] * n,
            "hashtags": [["sunny", "Beach"]] * n,
        }
    )


class TestAnalysis:
    def test_labels(self) -> None:
        labels, why = author_labels(_posts([1, 2, 3, 4, 5, 6, 7, 8], ["a"] * 8))
        assert why == ""
        assert np.isfinite(labels).sum() == 4
        assert labels[[0, 1]].tolist() == [0, 0]
        assert labels[[6, 7]].tolist() == [1, 1]

    @pytest.mark.parametrize(
        ("likes", "why"),
        [([1, 2, 3], "four posts"), ([5] * 8, "differ"), ([None] * 8, "known number of likes")],
    )
    def test_posts_without_labels(self, likes: list[int | None], why: str) -> None:
        posts = _posts(likes, ["a"] * len(likes))
        found = analyse_popularity(posts, [None] * len(likes))
        assert set(found.skipped) == {"popular_images", "popular_words", "popular_emoji"}
        assert why in found.skipped["popular_words"]
        assert why in found.skipped["popular_emoji"]
        assert "no post has a picture" in found.skipped["popular_images"]
        assert _figures(found) == []

    def test_the_true_reason_is_said(self) -> None:
        posts = _posts(list(range(8)), [None] * 8)
        nameless = analyse_popularity(posts, [None] * 8).skipped
        assert "no post says whose it is" in nameless["popular_words"]
        assert "--author NAME" in nameless["popular_words"]
        bare = posts.assign(caption=None, hashtags=[[] for _ in range(8)])
        assert analyse_popularity(bare, [None] * 8).skipped["popular_words"] == (
            "no post has a caption"
        )
        own = analyse_popularity(bare.assign(author_id="a"), [None] * 8).skipped
        assert own["popular_words"] == own["popular_emoji"] == "no post has a caption"

    def test_pictures_that_are_gone_are_said(self, tmp_path: Path) -> None:
        posts = _posts(list(range(80)), ["a"] * 80)
        found = analyse_popularity(posts, [tmp_path / "gone.jpg"] * 80)
        assert "has a picture that can be read" in found.skipped["popular_images"]

    def test_tags_that_stand_apart_are_read_once(self) -> None:
        posts = _posts(list(range(80)), ["a"] * 80)
        found = analyse_popularity(posts, [None] * 80)
        table = found.tables["popular_words"].set_index("word")
        assert table.loc[["sunny", "day", "beach"], "popular"].tolist() == [40, 20, 20]
        assert "picture" in found.skipped["popular_images"]
        assert "often enough" in found.skipped["popular_emoji"]


class TestFigures:
    def test_words(self, found: TextStatistics) -> None:
        picture = word_figure(found)
        assert "2 differ after correction" in picture.caption
        assert "n = 240 popular and 240 unpopular captions" in picture.caption
        names = [
            label.get_text() for axis in picture.figure.axes for label in axis.get_yticklabels()
        ]
        assert set(names) == {"beach*", "coffee", "discount*"}

    def test_emoji_that_no_font_has_go_by_name(self, found: TextStatistics) -> None:
        assert can_draw("abc")
        assert not can_draw("a\U0010fffe")
        picture = emoji_figure(found)
        (top, bottom) = picture.figure.axes
        names = [label.get_text() for label in top.get_yticklabels()]
        assert [name.split("*")[0].rstrip(" 🎉☕") for name in names] == [
            "party popper",
            "hot beverage",
        ]
        assert "sleeping face" in bottom.get_yticklabels()[0].get_text()

    def test_of_an_analysis(self, found: TextStatistics) -> None:
        names = [picture.name for picture in _figures(PopularityAnalysis(texts=found))]
        assert names == ["popular_words", "popular_emoji"]


def test_real_posts(shared_data: Path, tmp_path: Path) -> None:
    from evoked.posts.importing import import_posts

    import_posts("jsonl", shared_data / "instagram_authors" / "posts.jsonl", tmp_path / "posts")
    posts = PostDataset(tmp_path / "posts").posts
    few = posts[posts["author_id"].isin(posts["author_id"].unique()[:60])].reset_index(drop=True)
    found = analyse_popularity(few, [None] * len(few))
    assert found.texts is not None
    assert found.texts.unit == "author"
    assert found.texts.n_popular == pytest.approx(len(few) / 4, rel=0.2)
    words = found.tables["popular_words"]
    assert (words["popular"] + words["unpopular"] >= 10).all()
    assert (words["authors"] >= 6).all()
    assert not words["word"].map(is_function_word).any()
