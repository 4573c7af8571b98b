"""``evoked train --model auto``: the options that go with it alone, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from evoked.cli.application import say
from evoked.cli.options import given_flags, names_in, option
from evoked.cli.printing import print_table
from evoked.cli.progress import progress_display, run_callbacks, study_callbacks
from evoked.errors import SettingsError

if TYPE_CHECKING:
    from evoked.posts.dataset import PostDataset
    from evoked.runs.posts import Run
    from evoked.targets import Wording
    from evoked.training.settings import TrainingSettings

AUTO = "auto"
_PANEL = "Automatic choice (--model auto)"

AUTOMATIC_OPTIONS = (
    option(
        "metric",
        str | None,
        typer.Option(
            help="Score that decides, for example 'likes Spearman' or 'level macro F1'; the task's "
            "usual one if left out.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "models",
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Models to try, for example linear,abmf; the task's short list if left out.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "folds",
        int | None,
        typer.Option(
            min=2,
            help="Folds that the posts to learn from are divided into; 5 if left out.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "stack",
        bool | None,
        typer.Option(
            "--stack",
            help="Stack the models, too, and take the stack if it is better.",
            rich_help_panel=_PANEL,
        ),
    ),
    option(
        "always_stack",
        bool | None,
        typer.Option("--always-stack", help="Take the stack in any case.", rich_help_panel=_PANEL),
    ),
    option(
        "workers",
        int | None,
        typer.Option(
            min=1,
            help="Processes that fit side by side; one per core if left out.",
            rich_help_panel=_PANEL,
        ),
    ),
)


def check_automatic(
    model: str | None, task: str | None, model_settings: dict[str, Any], automatic: dict[str, Any]
) -> None:
    """Refuse options that don't go with ``model``, and names that the choice can't be made of.

    Parameters
    ----------
    automatic
        Values of :data:`AUTOMATIC_OPTIONS`, None where they weren't given.

    Raises
    ------
    SettingsError
        An option goes with ``--model auto`` only, or not with it; there is no such task or model,
        or a model doesn't learn the task.
    """
    flags = given_flags(automatic)
    if model != AUTO:
        if flags:
            raise SettingsError(f"{flags}: only with --model auto.")
        return
    if model_settings:
        raise SettingsError("--set is for one model; --model auto takes each as it is.")

    from evoked.models.catalogue import check_model
    from evoked.targets import task_class

    if task is not None:
        task_class(task)
    for name in names_in(automatic["models"]) or []:
        check_model(name, task)


def train_automatic(
    dataset: PostDataset,
    folder: Path,
    automatic: dict[str, Any],
    *,
    training: TrainingSettings,
    **arguments: Any,
) -> Run:
    """Choose and train a model, and print the leaderboard.

    Parameters
    ----------
    automatic
        Values of :data:`AUTOMATIC_OPTIONS`.
    training, arguments
        See :func:`evoked.laboratory.automatic.train_automatically`.
    """
    from evoked.laboratory.automatic import FOLDS, train_automatically

    with progress_display() as display:
        run = train_automatically(
            dataset,
            folder,
            metric=automatic["metric"],
            models=names_in(automatic["models"]),
            folds=automatic["folds"] or FOLDS,
            stack=(
                "always"
                if automatic["always_stack"]
                else "if_better"
                if automatic["stack"]
                else "no"
            ),
            workers=automatic["workers"],
            training=training,
            callbacks=run_callbacks(display, training.max_epochs),
            study_callbacks=study_callbacks(display),
            **arguments,
        )
    _print_leaderboard(folder, run.task.wording)
    return run


def _print_leaderboard(folder: Path, wording: Wording) -> None:
    from evoked.laboratory.leaderboard import Leaderboard, about, table_rows

    leaderboard = Leaderboard.load(folder)
    headings, rows = table_rows(leaderboard)
    # What a terminal of 80 columns has room for; the model card holds all.
    shown = [column for column, name in enumerate(headings) if name not in ("s.d.", "note")]
    print_table(
        "Leaderboard",
        [headings[column].replace(" ", "\n").replace("_", "\n") for column in shown],
        [[row[column] for column in shown] for row in rows],
        whole=range(len(shown)),
    )
    if wording.baselines:
        say(wording.baselines)
    for standing in leaderboard.standings:
        if standing.note:
            say(f"{standing.model}: {standing.note}")
    say(about(leaderboard))
