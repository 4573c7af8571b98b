"""``evoked train --model auto``: options that go with it alone, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from evoked.cli.application import out
from evoked.cli.printing import print_table
from evoked.errors import SettingsError

if TYPE_CHECKING:
    from evoked.posts.dataset import PostDataset
    from evoked.runs.posts import Run


def check_auto(model: str, model_settings: dict[str, Any], **options: Any) -> None:
    """Raise SettingsError for options that don't go with ``model``; those not given are None or
    False."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if model != "auto" and given:
        raise SettingsError(f"{', '.join(given)}: only with --model auto.")
    if model == "auto" and model_settings:
        raise SettingsError("--set is for one model; --model auto takes each as it is.")


def train_auto(
    dataset: PostDataset,
    folder: Path,
    *,
    short_list: str | None,
    stack: bool,
    always_stack: bool,
    epochs: int,
    **arguments: Any,
) -> Run:
    """Choose and train a model, and print the leaderboard."""
    from evoked.cli.laboratory import study_progress  # which imports the commands of posts
    from evoked.laboratory.automatic import train_automatically
    from evoked.laboratory.leaderboard import Leaderboard, about, table_rows
    from evoked.runs.base import Callbacks

    with study_progress() as told:
        callbacks = Callbacks(
            told.stage,
            lambda record: told.stage("Training", int(record["epoch"]), epochs),
            told.note,
        )
        run = train_automatically(
            dataset,
            folder,
            models=short_list and [name.strip() for name in short_list.split(",")],
            stack="always" if always_stack else "if_better" if stack else "no",
            callbacks=callbacks,
            study_callbacks=told,
            **arguments,
        )
    leaderboard = Leaderboard.load(folder)
    headings, rows = table_rows(leaderboard)
    # What a terminal of 80 columns has room for; the model card holds all.
    shown = [place for place, name in enumerate(headings) if name not in ("s.d.", "note")]
    print_table(
        "Leaderboard",
        [headings[place].replace(" ", "\n").replace("_", "\n") for place in shown],
        [[row[place] for place in shown] for row in rows],
        whole=range(len(shown)),
    )
    for standing in leaderboard.standings:
        if standing.note:
            out.print(escape(f"{standing.model}: {standing.note}"), soft_wrap=True)
    out.print(escape(about(leaderboard)), highlight=False, soft_wrap=True)
    return run
