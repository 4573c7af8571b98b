"""Options of train are the settings' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from evoked.cli import app
from evoked.cli.options import FoldKind, SplitKind
from evoked.cli.training import published_form
from evoked.errors import SettingsError
from evoked.evaluation.splits import KINDS, VIEWING_KINDS
from evoked.features.catalog import FeatureSettings
from evoked.models.hmg_emo import HMGEmo, HMGEmoSettings
from evoked.models.viewing_boosting import ViewingBoosting
from evoked.runs.command import GENERAL_OPTIONS, OWN_OPTIONS
from evoked.training import TrainingSettings
from tests.support.command_line import evoked
from tests.support.reader_sources import write_csv

FIELDS = {**FeatureSettings.model_fields, **TrainingSettings.model_fields}


def options_of(command: str) -> dict[str, Any]:
    """The options of a command, by how they are typed."""
    group: Any = typer.main.get_command(app)
    return {flag: option for option in group.commands[command].params for flag in option.opts}


@pytest.mark.parametrize(("group", "field"), OWN_OPTIONS)
def test_an_option_is_described_as_its_setting(group: str, field: str) -> None:
    option = options_of("train")[OWN_OPTIONS[group, field]]  # type: ignore[index]
    description = FIELDS[field].description
    assert description is not None
    assert option.help.lower().startswith(description.lower())


def test_settings_without_an_option_of_their_own_have_a_general_one() -> None:
    assert set(GENERAL_OPTIONS.values()) <= set(options_of("train"))


def test_options_stand_in_panels() -> None:
    panels = {option.rich_help_panel for option in options_of("train").values()}
    assert {"Model", "Training", "Encoders", "Automatic choice (--model auto)"} <= panels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "lineer"], "no model is called 'lineer'. Did you mean 'linear'?"),
        (["--model", "abmf", "--task", "emotions"], "abmf does not learn the task 'emotions'"),
        (["--task", "emotions"], "no task is called 'emotions'. Did you mean 'emotion'?"),
        (
            ["--model", "abmf", "--set", "widht=3"],
            "there is no setting 'widht'. Did you mean 'width'?",
        ),
        (["--set", "width=3"], "--set is for one model"),
        (["--training", "optimiser=adam"], "--training: there is no setting 'optimiser'."),
        (["--features", "topcs=3"], "--features: there is no setting 'topcs'."),
        (["--epochs", "0"], "--epochs: max_epochs: Input should be greater than or equal to 1"),
        (["--devices", "0"], "--devices: devices: Input should be greater than or equal to 1"),
        (["--strategy", "fsdp"], "--strategy: strategy: Input should be 'ddp'"),
        (["--text-steps", "upper"], "--text-steps: "),
        (["--split", "tim"], "'tim'"),
        (["--metric", "likes MAP", "--stack"], "--metric, --stack: only with --model auto"),
        (["--model", "auto", "--set", "a=1"], "--set is for one model"),
        (["--model", "auto", "--models", "linear,abfm"], "Did you mean 'abmf'?"),
        (["--model", "auto", "--task", "lvel"], "no task is called 'lvel'. Did you mean 'level'?"),
    ],
)
def test_a_mistyped_option_is_refused(options: list[str], message: str) -> None:
    answer = evoked("train", "nowhere", "--out", "run", *options, fails=True)
    assert message in " ".join(answer.stderr.replace("│", " ").split())


def test_the_ways_to_split_are_those_of_splits() -> None:
    assert set(SplitKind) == {*KINDS, *VIEWING_KINDS}


def test_folds_are_made_by_every_kind_but_a_column() -> None:
    """A column holds one split, and folds are several."""
    kinds = {*KINDS, *VIEWING_KINDS}
    assert {kind.value for kind in FoldKind} == kinds - {"column"}


def test_posts_without_counts_are_not_scored_and_it_says_so(tmp_path: Path) -> None:
    rows = [
        {
            "id": number,
            "author": f"a{number % 4}",
            "date": f"2026-01-{number // 2 + 1:02d} {number % 2:02d}:00",
            "caption": f"tea {number}",
            "followers": 1000,
            "likes": number if number in (3, 7) else "",
        }
        for number in range(50)
    ]
    evoked("import", "csv", write_csv(tmp_path / "posts.csv", rows), tmp_path / "posts")
    options = ("--model", "linear", "--no-estimate", "--out", tmp_path / "run")
    said = evoked("train", tmp_path / "posts", *options, "--cache", tmp_path / "cache").stdout
    assert "None of them has a known value of what is predicted: nothing is scored." in said
    assert "2 of 50 posts have a count that is known." in said


def test_a_model_can_be_trained_as_its_paper_does() -> None:
    settings, training = published_form(HMGEmo, {"own_comment": True})
    assert HMGEmoSettings(**settings) == HMGEmoSettings.published(own_comment=True)
    assert (training.clip, training.batch_size, training.max_epochs) == (0, 512, 20)
    with pytest.raises(SettingsError, match="does not say how it was published"):
        published_form(ViewingBoosting, {})
    with pytest.raises(SettingsError, match="layers"):
        published_form(HMGEmo, {"layers": 0})
