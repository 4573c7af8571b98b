"""Advice on a draft, end to end on a small run whose past is replaced by one of known truth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evoked
from evoked.advice import advise
from evoked.advice.advising import MOST_ADVISED, _chosen
from evoked.advice.hours import known_week
from evoked.errors import DataError, SettingsError
from evoked.files import write_json
from evoked.posts.author_hashes import hashes
from evoked.posts.dataset import PostDataset
from evoked.posts.drafts import Draft
from evoked.runs.past import CONTENT_FILE, PAST_FILE, PastPosts
from evoked.runs.posts import Run
from tests.support.past_posts import past_posts
from tests.support.small_runs import Workshop, by_hand

ME = str(hashes(pd.Series(["me"]))[0])
DRAFT = Draft(
    caption="Good morning to all of you. Have a nice day! 🌿 #daily",
    posted_at=datetime(2030, 5, 13, 9, 30, tzinfo=UTC),
)
PLANTED = {"question": 0.5, "sale": 0.5, "daily": -0.5, "evening": 0.5}

Remember = Callable[[pd.DataFrame], None]


@pytest.fixture(scope="module")
def advised_run(workshop: Workshop, dataset: PostDataset) -> Run:
    own = workshop.changed(dataset, "advised-posts", author_id="me")
    return workshop.run(own, "advised", "linear", by_hand(len(own), tests=25))


def ordinary(past: PastPosts, examples: Any, beyond: float = 0.0) -> pd.DataFrame:
    """Coordinates of drafts that are like the oldest past post, or far from it."""
    names = [name for name in past.table if str(name).startswith(("image_", "caption_"))]
    oldest = past.table[names].iloc[[0] * min(len(past.table), 1)]
    return oldest.reindex([0] * len(examples)).reset_index(drop=True) + beyond


@pytest.fixture
def remember(advised_run: Run, monkeypatch: pytest.MonkeyPatch) -> Remember:
    """Puts other past posts in place of the run's own."""

    def put(table: pd.DataFrame) -> None:
        kept = PastPosts.load(advised_run.folder)
        named = table.assign(author=table["author"].replace("author-0", ME))
        shown = replace(kept, table=named, directions={})
        monkeypatch.setattr(PastPosts, "load", lambda folder: shown)
        monkeypatch.setattr(PastPosts, "coordinates", ordinary)

    return put


def test_what_was_planted_is_advised_with_its_size(advised_run: Run, remember: Remember) -> None:
    remember(past_posts(effects=PLANTED))
    advice = advise(advised_run, DRAFT)
    found = {each.action.about: each for each in advice.advised}
    assert set(found) == {"question", "#sale", "#daily", "hour"}
    for each in found.values():
        assert 0.25 < each.effect < 0.7
        assert 0 < each.low < each.effect < each.high
        assert 0 < each.gain_low < each.gain < each.gain_high
        assert each.label == "adjusted"
        assert each.usual_did > each.usual_did_not
        assert each.did >= 8
        assert each.did_not >= 8
    assert found["#sale"].did == past_posts()["hashtags"].map(lambda own: "sale" in own).sum()
    effects = [each.effect for each in advice.advised]
    assert effects == sorted(effects, reverse=True)
    assert evoked.advise is advise


def test_the_draft_is_rewritten_where_that_needs_no_person(
    advised_run: Run, remember: Remember
) -> None:
    remember(past_posts(effects=PLANTED))
    rewritten = advise(advised_run, DRAFT).rewritten
    assert rewritten is not None
    assert rewritten.caption == "Good morning to all of you. Have a nice day! 🌿 #sale"
    assert rewritten.posted_at is not None
    assert rewritten.posted_at.hour >= 20
    remember(past_posts(effects={"question": 0.6}))
    only_asks = advise(advised_run, DRAFT)
    assert [each.action.about for each in only_asks.advised] == ["question"]
    assert only_asks.rewritten is None


def test_what_is_rewritten_is_named_by_field(advised_run: Run, remember: Remember) -> None:
    remember(past_posts(effects=PLANTED))
    advice = advise(advised_run, DRAFT)
    assert set(advice.changes) == {"caption", "posted_at"}
    assert advice.rewritten is not None
    assert advice.changes["caption"] == advice.rewritten.caption
    tagged = replace(advice, draft=replace(DRAFT, hashtags=["daily"]))
    rewritten = replace(tagged.draft, hashtags=["sale"], image=b"a part")
    tagged = replace(tagged, rewritten=rewritten)
    assert tagged.changes == {"hashtags": ("sale",), "image": b"a part"}
    assert replace(advice, rewritten=None).changes == {}


def test_how_many_posts_are_known_is_said_alike(advised_run: Run, remember: Remember) -> None:
    table = past_posts()
    others = table.head(40).assign(author="another")
    remember(table)
    assert (
        f"looked at on {len(table)} posts with known likes."
        in advise(advised_run, DRAFT).sentences[-1]
    )
    remember(pd.concat([table, others], ignore_index=True))
    said = advise(advised_run, DRAFT).sentences[-1]
    assert f"on {len(table)} of {len(table) + 40} posts with known likes, the author's" in said


def test_where_nothing_helps_nothing_is_advised(advised_run: Run, remember: Remember) -> None:
    remember(past_posts(seed=1))
    advice = advise(advised_run, DRAFT)
    assert advice.advised == ()
    assert advice.rewritten is None
    assert len(advice.looked_at) > 5
    assert advice.sentences[0] == (
        "Nothing that you could change on this draft holds up on your own posts."
    )
    # A draft that does all that helps.
    remember(past_posts(effects=PLANTED))
    good = replace(
        DRAFT, caption="Would you? #sale", posted_at=datetime(2030, 5, 13, 21, tzinfo=UTC)
    )
    assert advise(advised_run, good).advised == ()


def test_posts_that_are_all_alike_show_nothing(advised_run: Run, remember: Remember) -> None:
    alike = past_posts(seed=2).assign(
        hour=np.nan, weekday=np.nan, question=0.0, emoji=0.0, mention=0.0, characters=50.0
    )
    alike["hashtags"], alike["hashtag_count"], alike["opening"] = [[]] * len(alike), 0.0, 50.0
    remember(alike)
    advice = advise(advised_run, DRAFT)
    assert (len(advice.looked_at), advice.actions) == (0, ())
    assert advice.sentences[-1].startswith("No change could be looked at")


@pytest.mark.parametrize("n", [0, 5, 29])
def test_an_account_with_few_posts_gets_none(advised_run: Run, remember: Remember, n: int) -> None:
    remember(past_posts(300, effects=PLANTED).iloc[:n])
    advice = advise(advised_run, DRAFT)
    assert (advice.advised, advice.posts, advice.own_posts) == ((), 0, n)
    assert f"there are {n} posts" in advice.sentences[0]
    assert advice.answer


def test_other_accounts_stand_in_and_are_named(advised_run: Run, remember: Remember) -> None:
    remember(past_posts(600, effects={"question": 0.6}, authors=20))
    advice = advise(advised_run, DRAFT)
    assert (advice.own, advice.authors, advice.own_posts) == (False, 20, 30)
    assert [(each.action.about, each.label) for each in advice.advised] == [
        ("question", "association")
    ]
    said = " ".join(advice.sentences)
    assert "Yours are too few (30)" in said
    remember(past_posts(600, effects={"question": 0.6}, authors=5))
    assert advise(advised_run, DRAFT).own


def test_a_draft_unlike_all_others_is_told_so(
    advised_run: Run, remember: Remember, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(past_posts(effects=PLANTED))
    monkeypatch.setattr(
        PastPosts, "coordinates", lambda past, examples: ordinary(past, examples, 50.0)
    )
    advice = advise(advised_run, DRAFT)
    assert not advice.resembles
    assert advice.advised == ()
    assert "nothing of yours resembles this draft" in advice.sentences[0]


def test_at_most_five_and_one_of_each_kind() -> None:
    abouts = ["hour", "hour", "number", "#a", "#b", "question", "emoji", "length", "opening"]
    sure = pd.DataFrame({"about": abouts, "effect": np.linspace(0.9, 0.1, len(abouts))}).assign(
        raw_low=0.1, low=0.1, known=True, resembles=True, model=np.nan
    )
    chosen = _chosen(sure)
    assert len(chosen) == MOST_ADVISED == 5
    assert [abouts[row] for row in chosen] == ["hour", "number", "question", "emoji", "length"]
    for column, value in (("known", False), ("resembles", False), ("raw_low", 0), ("low", -0.1)):
        assert _chosen(sure.assign(**{column: value})) == []
    pictures = sure.head(1).assign(about="picture")
    assert _chosen(pictures) == _chosen(pictures.assign(model=-0.1)) == []
    assert _chosen(pictures.assign(model=0.1)) == [0]


def test_json_says_the_same(advised_run: Run, remember: Remember) -> None:
    remember(past_posts(effects=PLANTED))
    advice = advise(advised_run, DRAFT)
    read = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
    assert read["by"] == "likes"
    assert [each["about"] for each in read["advice"]] == [
        each.action.about for each in advice.advised
    ]
    assert read["rewritten"]["caption"].endswith("#sale")
    assert len(read["looked_at"]) == len(advice.looked_at)
    assert read["measured"] == {
        "posts": 300,
        "authors": 1,
        "known_posts": 300,
        "own": True,
        "own_posts": 300,
    }
    assert read["sentences"] == advice.sentences


def test_another_count_and_one_that_is_not_there(advised_run: Run) -> None:
    advice = advise(advised_run, DRAFT, by="comments")
    assert advice.by.column == "comments"
    assert advice.answer is not None
    assert advice.answer.startswith("About ")
    assert "comments" in advice.answer
    assert "likes" not in advice.answer
    assert "likes" in (advise(advised_run, DRAFT, by="likes").answer or "")
    with pytest.raises(SettingsError, match="Did you mean 'likes'"):
        advise(advised_run, DRAFT, by="lykes")


@pytest.fixture
def copied(advised_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run's folder, whose files can be replaced."""
    monkeypatch.setattr(PastPosts, "coordinates", ordinary)
    return Path(shutil.copytree(advised_run.folder, tmp_path / "run"))


def test_hours_are_advised_where_when_names_one(copied: Path) -> None:
    run = evoked.load(copied)
    past_posts(effects={"evening": 0.6}).assign(author=ME).to_parquet(copied / PAST_FILE)
    found, advice = evoked.when(run, DRAFT), advise(run, DRAFT)
    assert found.draft is not None
    (hour,) = (each for each in advice.advised if each.action.about == "hour")
    assert hour.action.after == str(found.week.best_hour)
    assert np.isclose(hour.effect, np.log(found.draft.at_best / found.draft.predicted))
    past_posts(seed=1).assign(author=ME).to_parquet(copied / PAST_FILE)
    assert evoked.when(run, DRAFT).week.best_hour is None
    assert not advise(run, DRAFT).looked_at["about"].isin(["hour", "day"]).any()


def test_hours_that_go_with_topics_are_not_advised(advised_run: Run, remember: Remember) -> None:
    # The topic is worth something, and its posts appear at other hours; of no post is it known what
    # was expected, so that the week can't allow for topics. Captions show them.
    past = past_posts(seed=1, noise=0.1).assign(likes_expected=np.nan)
    remember(past)
    week = known_week(PastPosts.load(advised_run.folder).table, "likes", ME)
    assert week is not None
    assert week.best_hour is not None
    advice = advise(advised_run, DRAFT)
    assert "hour" not in [each.action.about for each in advice.advised]


def keep_shown(folder: Path, **other: Any) -> None:
    """Keep what a test has shown: questions get 30 % more."""
    test = {"question": "question", "by": "likes", "author": ME, "hours": [18, 18]}
    test |= {"posts": [12, 11], "gain": 0.3, "low": 0.1, "high": 0.5, **other}
    write_json(folder / "tested.json", {"format_version": 1, "tests": [test]})


def test_what_was_tested_counts_for_what_the_test_has_shown(copied: Path) -> None:
    run = evoked.load(copied)
    past_posts(seed=1).assign(author=ME).to_parquet(copied / PAST_FILE)
    keep_shown(copied)
    (asked,) = advise(run, DRAFT).advised
    assert (asked.action.about, asked.label) == ("question", "tested")
    assert np.allclose([asked.effect, asked.low, asked.high], np.log1p([0.3, 0.1, 0.5]))
    assert asked.evidence(own=True) == "In your own test, 12 posts did so and 11 didn't."
    # Backwards: where none was better, the draft's hashtags go.
    keep_shown(copied, question="hashtags", gain=-0.3, low=-0.5, high=-0.1)
    (bare,) = advise(run, DRAFT).advised
    assert (bare.action.after, bare.label, bare.did) == ("none", "tested", 11)
    assert np.allclose([bare.effect, bare.low, bare.high], -np.log1p([-0.3, -0.1, -0.5]))
    for other in ({"by": "comments"}, {"author": "another"}, {"question": "format"}):
        keep_shown(copied, **other)
        assert advise(run, DRAFT).advised == ()
    (copied / "tested.json").write_text('{"format_version": 1, "tests": [{}]}')
    with pytest.raises(DataError, match="check the plan again"):
        advise(run, DRAFT)


def test_a_test_without_a_difference_outweighs_past_posts(copied: Path) -> None:
    run = evoked.load(copied)
    past_posts(effects={"question": 0.6}).assign(author=ME).to_parquet(copied / PAST_FILE)
    assert [each.label for each in advise(run, DRAFT).advised] == ["adjusted"]
    keep_shown(copied, gain=0.02, low=-0.2, high=0.3)
    assert advise(run, DRAFT).advised == ()


def test_tested_hours_count_although_they_go_with_topics(copied: Path) -> None:
    run = evoked.load(copied)
    confounded = past_posts(seed=1, noise=0.1).assign(likes_expected=np.nan, author=ME)
    confounded.to_parquet(copied / PAST_FILE)
    assert not advise(run, DRAFT).looked_at["about"].eq("hour").any()
    best = evoked.when(run).week.best_hour
    keep_shown(copied, question="hours", hours=[best, 9])
    assert ["hour", "tested"] in [
        [each.action.about, each.label] for each in advise(run, DRAFT).advised
    ]


def test_tested_hours_count_where_when_names_one(copied: Path) -> None:
    run = evoked.load(copied)
    past_posts(effects={"evening": 0.6}).assign(author=ME).to_parquet(copied / PAST_FILE)
    best = evoked.when(run).week.best_hour
    keep_shown(copied, question="hours", hours=[best, 9])
    (hour,) = (each for each in advise(run, DRAFT).advised if each.action.about == "hour")
    assert (hour.label, hour.effect) == ("tested", pytest.approx(np.log(1.3)))
    keep_shown(copied, question="hours", hours=[best, 14])
    (hour,) = (each for each in advise(run, DRAFT).advised if each.action.about == "hour")
    assert hour.label == "adjusted"


def test_japanese_drafts_are_advised_on(advised_run: Run, remember: Remember) -> None:
    remember(past_posts(effects=PLANTED))
    advice = advise(
        advised_run, replace(DRAFT, caption="おはようございます。今日は晴れです！#daily")
    )
    assert {"question", "#sale"} <= {each.action.about for each in advice.advised}
    assert advice.rewritten is not None
    assert advice.rewritten.caption == "おはようございます。今日は晴れです！ #sale"


def test_other_pictures_are_compared_by_name(
    advised_run: Run, dataset: PostDataset, tmp_path: Path
) -> None:
    covers = [path for path in dataset.cover_paths() if path is not None]
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    draft = replace(DRAFT, image=covers[0])
    advice = advise(advised_run, draft, alternatives=[covers[1], tmp_path / "broken.jpg"])
    looked_at = advice.looked_at.set_index("do")
    assert np.isfinite(looked_at.loc[f"Take the picture {covers[1].name}", "model"])
    assert not looked_at.loc["Take the picture broken.jpg", "resembles"]
    assert any(note.startswith("broken.jpg: ") for note in advice.notes)


def test_a_run_without_past_posts_says_what_to_do(advised_run: Run, tmp_path: Path) -> None:
    past = PastPosts.load(advised_run.folder)
    assert len(past) == 60
    past.save(tmp_path)
    again = PastPosts.load(tmp_path)
    pd.testing.assert_frame_equal(again.table, past.table)
    assert again.directions.keys() == past.directions.keys() == {"image", "caption"}
    (tmp_path / CONTENT_FILE).write_bytes(b"{}")
    with pytest.raises(DataError, match="not the content of past posts"):
        PastPosts.load(tmp_path)
    (tmp_path / PAST_FILE).unlink()
    with pytest.raises(DataError, match="keeps no past posts"):
        PastPosts.load(tmp_path)


def test_past_posts_name_nobody_and_quote_nothing(advised_run: Run) -> None:
    table = PastPosts.load(advised_run.folder).table
    assert set(table["author"]) == {ME}
    assert not {"caption", "title", "mentions", "images"} & set(table)
    usual = table["hashtags"].explode().value_counts()
    assert usual.min() >= 5
    assert table["held_out"].sum() == 25
