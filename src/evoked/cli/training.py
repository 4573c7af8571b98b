"""Train a model (train)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from evoked.cli.application import app, say
from evoked.cli.automatic import AUTO, AUTOMATIC_OPTIONS, check_automatic, train_automatic
from evoked.cli.options import (
    CacheOption,
    EstimateOption,
    SplitKind,
    open_dataset,
    setting,
    with_options,
)
from evoked.cli.printing import print_scores, print_sentence
from evoked.cli.progress import progress_display, run_callbacks
from evoked.cli.settings_options import checked, given, settings_options
from evoked.errors import PartDone, SettingsError, settings_problem
from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.features.catalog import FeatureSettings
from evoked.runs.command import GENERAL_OPTIONS
from evoked.training.settings import TrainingSettings

if TYPE_CHECKING:
    from evoked.models import Model
    from evoked.runs.posts import Run
    from evoked.runs.viewings import NetworkRun


class Form(StrEnum):
    """Settings to start from, other than the usual ones."""

    published = "published"


_MODEL = "Model"

_TRAINING_OPTIONS = settings_options(
    "training",
    "for example optimizer=adamw, schedule=cosine or clip=0",
    left_out="the model's own",
    alike=("seed", "device", "devices", "nodes", "strategy"),
)
_FEATURE_OPTIONS = settings_options("features", "for example max_tokens=64 or topics=100")


@app.command(
    epilog="Examples: [dim]evoked train my_posts --out my_run[/]  ·  "
    "[dim]evoked train my_posts --out my_run --model abmf --set width=256 --epochs 60[/]  ·  "
    "[dim]evoked train my_posts --out my_run --model auto --task level --metric 'level macro F1' "
    "--stack[/]"
)
@with_options(training=_TRAINING_OPTIONS, features=_FEATURE_OPTIONS, automatic=AUTOMATIC_OPTIONS)
def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset to learn from.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    *,
    split: Annotated[
        SplitKind | None,
        typer.Option(
            help="How to hold posts out; by default the kind that suits the posts. user and image "
            "are for models of viewings."
        ),
    ] = None,
    estimate: EstimateOption = True,
    cache: CacheOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A name that 'evoked models' lists, or auto to compare several at length; chosen "
            "by a quick trial on the posts if left out.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What to predict; the model's first task if left out.", rich_help_panel=_MODEL
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            GENERAL_OPTIONS["model"],
            metavar="NAME=VALUE",
            help="Value of one of the model's settings; repeatable.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--as",
            help="published: the paper's settings and training, where the model knows them; --set "
            "and options of training change them.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    training: dict[str, Any],
    features: dict[str, Any],
    automatic: dict[str, Any],
) -> None:
    """Train a model; start the same command again to resume it."""
    # Wrong options are refused here, before the libraries for networks are imported.
    feature_settings = checked(FeatureSettings(), given("features", features), "features")
    asked = given("training", training)
    training_settings = checked(TrainingSettings(), asked, "training")
    model_settings = dict(setting(item, GENERAL_OPTIONS["model"]) for item in settings or [])
    rows = _check_model(model, task, model_settings, automatic)

    posts = open_dataset(dataset)

    from evoked.features.cache import FeatureCache
    from evoked.models import model_class
    from evoked.runs.answer import verdicts
    from evoked.runs.influence import hardly_matters
    from evoked.runs.training import train as train_any

    if model not in (AUTO, None):
        kind = model_class(model)
        usual = kind.default_training
        if form is not None:
            model_settings, usual = published_form(kind, model_settings)
        training_settings = checked(usual, asked, "training")
    elif form is not None:
        raise SettingsError("--as published needs the name of a model (--model).")
    shared: dict[str, Any] = {
        "task": task,
        "features": feature_settings,
        "training": training_settings,
        "split": None if split is None else split.value,
        "cache": FeatureCache(cache),
    }
    if rows == "posts":
        shared["estimate"] = estimate
    if model == AUTO:
        run: Run | NetworkRun = train_automatic(posts, out_folder, automatic, **shared)
    else:
        try:
            with progress_display() as display:
                run = train_any(
                    posts,
                    model,
                    out_folder,
                    model_settings=model_settings,
                    callbacks=run_callbacks(display, training_settings.max_epochs),
                    **shared,
                )
        except PartDone as done:
            return say(str(done))
    for sentence in verdicts(run.task, run.track_record, DEFAULT_COVERAGE):
        print_sentence(sentence, style="bold")
    for sentence in hardly_matters(run.metrics["influence"]).values():
        print_sentence(sentence)
    print_scores(
        run.metrics["scores"],
        f"Test {run.noun} (kept aside, not learned from): {run.metrics['posts']}",
        run.task,
    )
    if not run.metrics["scores"] and rows == "posts":
        from evoked.posts.schema import ENGAGEMENT, EXPOSURE

        counted = int(posts.posts[[*ENGAGEMENT, *EXPOSURE]].notna().any(axis=1).sum())
        say(f"{counted} of {len(posts)} posts have a count that is known.")
    say(
        f"The run, which is the trained model with all that it needs, is the folder {out_folder}; "
        f"'evoked report {out_folder}' shows how good it is."
    )


def published_form(
    kind: type[Model], changes: dict[str, Any]
) -> tuple[dict[str, Any], TrainingSettings]:
    """The settings of a model's paper with some changed, and how the paper trains it.

    Raises
    ------
    SettingsError
        The model knows of none, or a change that its settings don't take.
    """
    published = getattr(kind.Settings, "published", None)
    if published is None or kind.published_training is None:
        raise SettingsError(f"{kind.name} does not say how it was published.")
    try:
        settings = published(**changes)
    except ValidationError as error:
        raise SettingsError(settings_problem(error, kind.Settings.model_fields)) from error
    return settings.model_dump(exclude_unset=True), kind.published_training


def _check_model(
    model: str | None, task: str | None, settings: dict[str, Any], automatic: dict[str, Any]
) -> str:
    """Refuse what can't be trained; return what the model's rows are, posts or viewings."""
    from evoked.models.catalogue import check_model
    from evoked.targets import task_class

    check_automatic(model, task, settings, automatic)
    if model is None and settings:
        raise SettingsError("--set is for one model: give --model, too.")
    if model is None and task is not None:
        task_class(task)
    return "posts" if model in (AUTO, None) else check_model(model, task, settings).rows
