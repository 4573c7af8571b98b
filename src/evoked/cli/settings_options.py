"""Options for settings of features and training, which several commands take."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

import typer
from pydantic import BaseModel, ValidationError

from evoked.cli.options import names_in, option, setting
from evoked.errors import SettingsError, settings_problem
from evoked.features.catalog import FeatureSettings
from evoked.runs.command import GENERAL_OPTIONS, NO_STEPS, OWN_OPTIONS, Group
from evoked.training.settings import TrainingSettings

_KINDS: dict[str, type[BaseModel]] = {"features": FeatureSettings, "training": TrainingSettings}
_PANELS = {"features": "Encoders", "training": "Training"}
# Types of the options; what is not a number is typed as text.
_NUMBERS = (int, float)
# Settings of features that are chosen by the posts if left out.
_BY_POSTS = ("text_encoder",)


def settings_options(
    group: Group,
    examples: str,
    left_out: str | None = None,
    alike: Collection[str] = (),
    without: Collection[str] = (),
) -> tuple[inspect.Parameter, ...]:
    """The options for a group of settings: one for each of OWN_OPTIONS, then the general one.

    Parameters
    ----------
    examples
        For the help of the general option.
    left_out
        Whose value an option has that is not given, such as "the model's own"; that of the settings
        if None.
    alike
        Options that have the value of the settings all the same.
    without
        Settings to leave out.
    """
    fields = _KINDS[group].model_fields
    own = [
        _own_option(group, flag, field, fields[field], None if field in alike else left_out)
        for (its_group, field), flag in OWN_OPTIONS.items()
        if its_group == group and field not in without
    ]
    return (*own, _general_option(group, f"any other setting of {group}, {examples}"))


def _own_option(
    group: Group, flag: str, name: str, field: Any, left_out: str | None
) -> inspect.Parameter:
    kind = field.annotation if field.annotation in _NUMBERS else str
    words, default = field.description[:1].upper() + field.description[1:], field.default
    if left_out is not None:
        words, default = f"{words}; {left_out} if left out", None
    elif name in _BY_POSTS:
        words, default = f"{words}; by the captions' languages if left out", None
    elif isinstance(default, tuple):
        default = ",".join(default)
    words = words if words.endswith("…") else f"{words}."
    information = typer.Option(flag, help=words, rich_help_panel=_PANELS[group])
    return option(name, kind | None, information, default)


def _general_option(group: Group, what: str) -> inspect.Parameter:
    return option(
        f"other_{group}",
        list[str] | None,
        typer.Option(
            GENERAL_OPTIONS[group],
            metavar="NAME=VALUE",
            help=f"Value of {what}; repeatable.",
            rich_help_panel=_PANELS[group],
        ),
    )


def given(group: Group, values: dict[str, Any]) -> dict[str, Any]:
    """The settings that a group's options give, by field."""
    general = f"other_{group}"
    found = {name: value for name, value in values.items() if value is not None and name != general}
    if "text_steps" in found:
        steps = found["text_steps"]
        found["text_steps"] = [] if steps == NO_STEPS else names_in(steps)
    others = [setting(item, GENERAL_OPTIONS[group]) for item in values[general] or []]
    return {**found, **dict(others)}


def checked(defaults: Any, given: dict[str, Any], group: Group) -> Any:
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
