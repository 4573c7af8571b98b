"""Train a model (train)."""

from __future__ import annotations

import inspect
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel, ValidationError

from evoked.cli.application import app, say
from evoked.cli.automatic import AUTO, AUTOMATIC_OPTIONS, check_automatic, train_automatic
from evoked.cli.options import (
    CacheOption,
    EstimateOption,
    SplitKind,
    names_in,
    open_dataset,
    option,
    setting,
    with_options,
)
from evoked.cli.printing import print_scores, print_sentence
from evoked.cli.progress import progress_display, run_callbacks
from evoked.errors import SettingsError, settings_problem
from evoked.evaluation.coverage import DEFAULT_COVERAGE
from evoked.features.catalog import FeatureSettings
from evoked.runs.command import GENERAL_OPTIONS, NO_STEPS, OWN_OPTIONS, Group
from evoked.training.settings import TrainingSettings

if TYPE_CHECKING:
    from evoked.models import Model
    from evoked.runs.posts import Run
    from evoked.runs.viewings import NetworkRun


class Form(StrEnum):
    """Settings to start from, other than the usual ones."""

    published = "published"


_MODEL, _TRAINING, _ENCODERS = "Model", "Training", "Encoders"
_KINDS: dict[str, type[BaseModel]] = {"features": FeatureSettings, "training": TrainingSettings}
# Types of the options; what is not a number is typed as text.
_NUMBERS = (int, float)
# Settings of features that are chosen by the posts if left out.
_BY_POSTS = ("text_encoder",)
# Settings of training for which no model has a default of its own.
_ALIKE_FOR_ALL = ("seed", "device")


def _settings_options(group: Group, panel: str, examples: str) -> tuple[inspect.Parameter, ...]:
    """The options for a group of settings: one for each of OWN_OPTIONS, then the general one."""
    fields = _KINDS[group].model_fields
    own = [
        _own_option(flag, field, fields[field], panel)
        for (its_group, field), flag in OWN_OPTIONS.items()
        if its_group == group
    ]
    return (*own, _general_option(group, panel, f"any other setting of {group}, {examples}"))


def _own_option(flag: str, name: str, field: Any, panel: str) -> inspect.Parameter:
    kind = field.annotation if field.annotation in _NUMBERS else str
    words, default = field.description[:1].upper() + field.description[1:], field.default
    if panel == _TRAINING and name not in _ALIKE_FOR_ALL:
        words, default = f"{words}; the model's own if left out", None
    elif name in _BY_POSTS:
        words, default = f"{words}; by the captions' languages if left out", None
    elif isinstance(default, tuple):
        default = ",".join(default)
    words = words if words.endswith("…") else f"{words}."
    return option(name, kind | None, typer.Option(flag, help=words, rich_help_panel=panel), default)


def _general_option(group: Group, panel: str, what: str) -> inspect.Parameter:
    return option(
        f"other_{group}",
        list[str] | None,
        typer.Option(
            GENERAL_OPTIONS[group],
            metavar="NAME=VALUE",
            help=f"Value of {what}; repeatable.",
            rich_help_panel=panel,
        ),
    )


_TRAINING_OPTIONS = _settings_options(
    "training", _TRAINING, "for example optimizer=adamw, precision=fp16 or accumulate=3"
)
_FEATURE_OPTIONS = _settings_options(
    "features", _ENCODERS, "for example max_tokens=64 or topics=100"
)


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
    feature_settings = _checked(FeatureSettings(), _given("features", features), "features")
    asked = _given("training", training)
    training_settings = _checked(TrainingSettings(), asked, "training")
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
        training_settings = _checked(usual, asked, "training")
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
        with progress_display() as display:
            run = train_any(
                posts,
                model,
                out_folder,
                model_settings=model_settings,
                callbacks=run_callbacks(display, training_settings.max_epochs),
                **shared,
            )
    for sentence in verdicts(run.task, run.track_record, DEFAULT_COVERAGE):
        print_sentence(sentence, style="bold")
    for sentence in hardly_matters(run.metrics["influence"]).values():
        print_sentence(sentence)
    print_scores(run.metrics["scores"], f"Test {run.noun}: {run.metrics['posts']}", run.task)
    if not run.metrics["scores"] and rows == "posts":
        from evoked.posts.schema import ENGAGEMENT, EXPOSURE

        counted = int(posts.posts[[*ENGAGEMENT, *EXPOSURE]].notna().any(axis=1).sum())
        say(f"{counted} of {len(posts)} posts have a count that is known.")
    say(f"The run is in {out_folder}; 'evoked report {out_folder}' shows how good it is.")


def _given(group: Group, values: dict[str, Any]) -> dict[str, Any]:
    """The settings that a group's options give, by field."""
    general = f"other_{group}"
    given = {name: value for name, value in values.items() if value is not None and name != general}
    if "text_steps" in given:
        steps = given["text_steps"]
        given["text_steps"] = [] if steps == NO_STEPS else names_in(steps)
    others = [setting(item, GENERAL_OPTIONS[group]) for item in values[general] or []]
    return {**given, **dict(others)}


def _checked(defaults: Any, given: dict[str, Any], group: Group) -> Any:
    """The settings in ``defaults``, with those that were given in their place.

    Raises
    ------
    SettingsError
        There is no such setting, or it doesn't take the value.
    """
    kind = type(defaults)
    try:
        return kind.model_validate({**defaults.model_dump(exclude_unset=True), **given})
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        flag = OWN_OPTIONS.get((group, field), GENERAL_OPTIONS[group])
        raise SettingsError(f"{flag}: {settings_problem(error, kind.model_fields)}") from error


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
