"""Facts: their values, what posts show of them, and what is said about those of drafts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoked.errors import DataError, SettingsError
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft, as_posts
from evoked.posts.fact_leaks import too_good
from evoked.posts.facts import (
    Fact,
    describe_facts,
    fact_notes,
    find_fact,
    parse_amount,
    parse_classes,
    parse_fact,
)

SPEND = Fact("Spend (€)", "number", known=9, low=1.0, high=200.0)
PLACEMENT = Fact("placement", "class", known=9, classes=("feed", "story", "reels"))
AUDIENCE = Fact("audience", "classes", known=9, classes=("runners", "parents"))
BOOSTED = Fact("boosted", "flag", known=9)
FACTS = [SPEND, PLACEMENT, AUDIENCE, BOOSTED]


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (12, 12.0),
        (-1.5, -1.5),
        ("1,234", 1234.0),
        ("1,234,567.5", 1234567.5),
        ("1.234.567,5", 1234567.5),
        ("1.234.567", 1234567.0),
        ("12,5", 12.5),
        ("0,125", 0.125),
        ("1.250", 1.25),
        ("4.2K", 4200.0),
        ("3m", 3e6),
        ("15 %", 15.0),
        ("$1,200.50", 1200.5),
        ("-€ 3", -3.0),
        ("EUR 3", 3.0),
        ("3usd", 3.0),
        ("1 234,5", 1234.5),
        ("1e3", 1000.0),
        ("", None),
        ("n/a", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_amounts(written: Any, amount: float | None) -> None:
    assert parse_amount(written) == amount


@pytest.mark.parametrize(
    "written", ["lots", "1,2,3", "1..2", "€", "nan ", True, [1], "1-2", "1:30"]
)
def test_what_is_no_amount(written: Any) -> None:
    if written == "nan ":
        assert parse_amount(written) is None
        return
    with pytest.raises(ValueError, match="not a number"):
        parse_amount(written)


@given(st.floats(-1e9, 1e9), st.booleans())
def test_amounts_are_read_as_written_anywhere(amount: float, decimal_comma: bool) -> None:
    text = f"{amount:,.2f}"
    if decimal_comma:
        text = text.translate(str.maketrans(",.", ".,"))
    assert parse_amount(text, decimal_comma) == pytest.approx(round(amount, 2), abs=1e-9)


@given(st.text(max_size=30))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        amount = parse_amount(text)
    except ValueError:
        return
    assert amount is None or np.isfinite(amount)


@given(st.lists(st.text("abc xyz", min_size=1, max_size=8), max_size=5), st.sampled_from(";|,"))
def test_several_classes_survive_any_separator(names: list[str], separator: str) -> None:
    wanted = list(dict.fromkeys(" ".join(name.split()) for name in names if name.strip()))
    assert parse_classes(separator.join(names)) == wanted
    assert parse_classes(names) == wanted


def test_values_of_each_kind() -> None:
    assert parse_fact("flag", "Yes") is True
    assert parse_fact("class", "  Main   Feed ") == "main feed"
    assert parse_fact("class", 22.0) == "22"
    assert parse_fact("classes", "[Runners, parents, runners]") == ["runners", "parents"]
    assert parse_fact("classes", "") is None
    assert parse_fact("number", "1.250", decimal_comma=True) == 1250.0
    with pytest.raises(ValueError, match="neither yes nor no"):
        parse_fact("flag", "perhaps")
    with pytest.raises(ValueError, match="not a class"):
        parse_fact("class", {"a": 1})


def posts() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "post_id": ["a", "b", "c"],
            "fact.spend": [3.0, None, 1200.0],
            "fact.placement": ["feed", None, "feed"],
            "fact.audience": [["x", "y"], [], ["x"]],
            "fact.boosted": [True, None, False],
        }
    )


def test_a_dataset_keeps_facts_with_their_kinds(tmp_path: Any) -> None:
    made = PostDataset.create(tmp_path / "posts", {"posts": posts()})
    described = {fact.name: fact for fact in PostDataset(tmp_path / "posts").facts}
    assert {name: fact.kind for name, fact in described.items()} == {
        "audience": "classes",
        "boosted": "flag",
        "placement": "class",
        "spend": "number",
    }
    assert {fact.known for fact in described.values()} == {2}
    assert described["spend"].shown == "3 to 1,200"
    assert described["audience"].classes == ("x", "y")
    assert made.describe()["facts"] == ["audience", "boosted", "placement", "spend"]
    assert made.posts["fact.audience"].tolist() == [["x", "y"], [], ["x"]]
    copy = made.copy(tmp_path / "copy", {})
    assert copy.facts == made.facts
    without = made.copy(tmp_path / "without", {"posts": posts().drop(columns="fact.spend")})
    assert [fact.name for fact in without.facts] == ["audience", "boosted", "placement"]


def test_a_dataset_without_facts_says_nothing_about_them(tmp_path: Any) -> None:
    made = PostDataset.create(tmp_path / "posts", {"posts": posts()[["post_id"]]})
    assert made.facts == []
    assert "facts" not in made.description
    assert "facts" not in made.describe()


def test_facts_of_other_types_are_refused(tmp_path: Any) -> None:
    odd = pd.DataFrame({"post_id": ["a"], "fact.day": pd.to_datetime(["2024-01-01"])})
    with pytest.raises(DataError, match=r"field fact\.day: a fact is of type timestamp"):
        PostDataset.create(tmp_path / "posts", {"posts": odd})


def test_a_fact_survives_as_json() -> None:
    assert [Fact.from_dict(fact.to_dict()) for fact in FACTS] == FACTS


def test_of_many_classes_the_commonest_are_shown() -> None:
    values = [f"c{row % 1200:04d}" for row in range(1201)]
    (fact,) = describe_facts(pd.DataFrame({"fact.campaign": values}))
    assert fact.classes[0] == "c0000"
    assert (len(fact.classes), fact.more_classes) == (1000, 200)
    assert fact.shown.endswith("and 1,196 more")


def test_facts_are_found_by_name() -> None:
    assert find_fact(FACTS, "spend") is SPEND
    assert find_fact(FACTS, "Placement") is PLACEMENT
    with pytest.raises(SettingsError, match="Did you mean 'placement'"):
        find_fact(FACTS, "placment")
    with pytest.raises(SettingsError, match=r"no column of your own.*--fact COLUMN"):
        find_fact([], "spend")


def test_drafts_have_facts_of_their_kinds() -> None:
    given_facts = {"spend": "€12,50", "audience": ["Runners"], "boosted": "yes"}
    table, _ = as_posts([Draft(facts=given_facts), Draft()], facts=FACTS)
    assert table["fact.Spend (€)"].tolist()[0] == 12.5
    assert table["fact.audience"].tolist() == [["runners"], None]
    assert table["fact.boosted"].tolist() == [True, None]
    assert table["fact.placement"].isna().all()
    with pytest.raises(DataError, match=r"row 2, field boosted: 'so' is neither yes nor no\."):
        as_posts([Draft(), Draft(facts={"boosted": "so"})], facts=FACTS)
    with pytest.raises(SettingsError, match="there is no fact 'colour'; there are Spend"):
        as_posts([Draft(facts={"colour": "red"})], facts=FACTS)


def notes_of(**facts: Any) -> str:
    every = {"spend": 5, "placement": "feed", "audience": "runners", "boosted": "no"}
    table, _ = as_posts([Draft(facts={**every, **facts})], facts=FACTS)
    (note,) = fact_notes(FACTS, table)
    return note


def test_what_is_unusual_about_facts_is_said() -> None:
    assert notes_of() == ""
    assert notes_of(spend=500) == (
        "Spend (€) 500 counts as 200, the most that the run has learned from."
    )
    assert notes_of(spend=0.5) == (
        "Spend (€) 0.5 counts as 1, the least that the run has learned from."
    )
    assert notes_of(placement="storys") == (
        "Placement 'storys' is new to the run and counts as unknown; it knows feed, story, reels "
        "(Did you mean 'story'?)."
    )
    assert "Audience 'gamers' is new to the run" in notes_of(audience="runners, gamers")
    assert notes_of(spend="", boosted=None) == (
        "Spend (€) and boosted not given: predicted as unknown."
    )


def test_a_class_that_other_posts_hold_as_a_number_is_the_same_class() -> None:
    codes = Fact("code", "class", known=9, classes=("22", "24"))
    table = pd.DataFrame({"fact.code": [22.0, 7.0]})
    known, new = fact_notes([codes], table)
    assert known == ""
    assert "Code '7' is new to the run" in new


def test_posts_without_the_columns_have_unknown_facts() -> None:
    table, _ = as_posts([Draft()])
    (note,) = fact_notes(FACTS, table)
    assert note == ("Spend (€), placement, audience and boosted not given: predicted as unknown.")


def leaking(likes: np.ndarray, **facts: Any) -> pd.DataFrame:
    columns = {f"fact.{name}": values for name, values in facts.items()}
    return pd.DataFrame({"likes": likes.astype(float), **columns})


def test_a_fact_that_shows_an_outcome_too_well_is_doubted() -> None:
    random = np.random.default_rng(0)
    likes = np.exp(random.normal(5, 1, 300))
    noise = np.exp(random.normal(0, 0.1, 300))
    rank = np.where(likes > np.median(likes), "hit", "miss")
    found = too_good(
        leaking(
            likes,
            taps=likes * noise,
            losses=-likes,
            success=rank,
            luck=random.normal(size=300),
            spend=likes * noise**10,
            coin=random.random(300) < 0.5,
        )
    )
    assert [text.split(" goes with likes")[0] for text in found] == [
        "The fact taps",
        "The fact losses",
        "The fact success",
    ]
    assert "leave it out and import again" in found[0]


def test_a_fact_that_distinguishes_authors_is_not_doubted() -> None:
    random = np.random.default_rng(0)
    author = np.repeat(np.arange(10), 30)
    likes = np.exp(author + random.normal(0, 0.3, 300))
    posts_of_authors = leaking(likes, level=author.astype(float))
    assert len(too_good(posts_of_authors)) == 1
    assert too_good(posts_of_authors.assign(author_id=author.astype(str))) == []
    own = posts_of_authors.assign(author_id=author.astype(str))
    own["fact.level"] = likes / np.exp(author)
    assert len(too_good(own)) == 1


def test_of_few_posts_no_fact_is_doubted() -> None:
    likes = np.arange(1, 30)
    assert too_good(leaking(likes, taps=likes.astype(float))) == []
    assert too_good(leaking(np.arange(100), each=[f"c{row}" for row in range(100)])) == []
