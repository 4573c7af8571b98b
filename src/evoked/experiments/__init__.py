"""Experiments as data: one YAML file per row of a published table, with its published figures.

::

    abmf/table6/
        defaults.yaml                   title, source, order of the rows, what they share
        lu2025_visual_cnn_iaed.yaml     author, year, model, dataset
        …

A row that no paper has (gradient boosting, say) has no published figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError

from evoked.errors import DataError, SettingsError, settings_problem
from evoked.features.catalog import CATALOG, FeatureSettings
from evoked.models import build_model, model_class
from evoked.settings import Settings
from evoked.training.settings import TrainingSettings

if TYPE_CHECKING:
    from evoked.models.base import Model

FOLDER = Path(__file__).parent
_DEFAULTS = "defaults.yaml"
_MAX_BYTES = 65_536

# What a row needs to say anything: parts of the dataset, or weights and a machine to run them.
Need = Literal[
    "image",
    "caption",
    "hashtags",
    "emotion",
    "engagement",
    "comments",
    "generated comments",
    "encoders",
    "gpu",
]


class AsPublished(Settings):
    """What a row is in its paper, where that is not what it is here.

    The model's settings come from its ``published()``, changed by the row's own and these.
    """

    settings: dict[str, Any] = Field(default_factory=dict, description="settings of the model")
    features: dict[str, Any] = Field(default_factory=dict, description="the paper's features")
    training: dict[str, Any] = Field(default_factory=dict, description="how the paper trains")
    needs: tuple[Need, ...] = Field((), description="what it needs besides what the row needs")
    differs: tuple[str, ...] = Field((), description="sentences: what could not be taken over")


class Experiment(Settings):
    """One row: a model, its settings, how it is trained, and what was published about it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$", description="as --rows takes it")
    label: str = Field(min_length=1, description="as the table prints it")
    model: str = Field(description="a name that 'evoked models' prints")
    source: str = Field("", description="paper and table of the published figures")
    task: str | None = Field(None, description="what it learns; the model's first task if absent")
    settings: dict[str, Any] = Field(default_factory=dict, description="settings of the model")
    features: FeatureSettings = FeatureSettings()
    training: TrainingSettings = TrainingSettings()
    needs: tuple[Need, ...] = Field((), description="the row is skipped where one is missing")
    published: dict[str, float] = Field(
        default_factory=dict, description="scores by 'target metric', such as 'valence MAE'"
    )
    remarks: tuple[str, ...] = Field(
        (), description="sentences about the published figures, printed below the table"
    )
    as_published: AsPublished = AsPublished()
    is_as_published: bool = Field(False, description="made by :meth:`in_published_form`")
    differs: tuple[str, ...] = Field((), description="where it is not what the paper has")

    def in_published_form(self) -> Experiment:
        """The row as its paper has it: its model's ``published()`` settings and
        ``published_training``, where it has them, the paper's features and training, and sentences
        about what could not be taken over."""
        model = model_class(self.model)
        kind: Any = model.Settings
        form = self.as_published
        settings = {**self.settings, **form.settings}
        differs = form.differs
        if hasattr(kind, "published"):
            settings = kind.published(**settings).model_dump(mode="json", exclude_defaults=True)
        else:
            differs += (f"the model {self.model} has no published settings of its own",)
        changes = {
            "label": f"{self.label}, as published",
            "settings": settings,
            "needs": tuple(dict.fromkeys(self.needs + form.needs)),
            "is_as_published": True,
            "differs": differs,
        }
        row = self.model_copy(update={"training": model.published_training or self.training})
        row = row._changed("features", form.features)._changed("training", form.training)
        return row.model_copy(update=changes)

    def with_setting(self, name: str, value: Any) -> Self:
        """The row with one of its model's settings replaced; a row as published says so."""
        said = (f"{name} is {value}",) if self.is_as_published else ()
        settings = {**self.settings, name: value}
        return self.model_copy(update={"settings": settings, "differs": self.differs + said})

    def with_group(self, group: Literal["features", "training"], changes: dict[str, Any]) -> Self:
        """The row with some of its features or of its training replaced; a row as published says
        what stands in place of the paper's."""
        before, row = getattr(self, group), self._changed(group, changes)
        after = getattr(row, group)
        if not self.is_as_published:
            return row
        replaced = tuple(
            f"{name} is {getattr(after, name)}, not {getattr(before, name)}"
            for name in changes
            if getattr(after, name) != getattr(before, name)
        )
        return row.model_copy(update={"differs": row.differs + replaced})

    def _changed(self, group: str, changes: dict[str, Any]) -> Self:
        settings = getattr(self, group)
        kept = type(settings).model_validate({**settings.model_dump(), **changes})
        return self.model_copy(update={group: kept})

    @property
    def runs(self) -> str:
        """What stands behind the row's label, in words."""
        model, training = self.build(), self.training
        trained = "fine-tuned" if getattr(model.settings, "finetune", False) else "frozen"
        words = [repr(model.settings)]
        if any(not CATALOG[name].fitted for name in model.features if name in CATALOG):
            encoders = f"{self.features.image_encoder}, {self.features.text_encoder}"
            words.append(f"encoders {encoders} ({trained}), {self.features.views} views")
        words.append(f"at most {training.max_epochs} epochs at {training.learning_rate:g}")
        return f"{self.model}: {'; '.join(words)}"

    def build(self) -> Model:
        """The model, unfitted.

        Raises
        ------
        SettingsError
            An unknown model or setting.
        """
        return build_model(self.model, self.settings, self.features, self.task)


class PublishedTable(Settings):
    """A table of rows that are run on the same folds.

    Attributes
    ----------
    name
        Name of the table, for example ``abmf/table6``.
    title, source
        What the table is called, and the paper that published it.
    reference
        Name of the row that every other is compared with.
    experiments
        The rows, in order.
    """

    name: str
    title: str
    source: str
    reference: str
    experiments: tuple[Experiment, ...]
    validation: float = Field(
        0.15, ge=0, lt=1, description="share of what a fold learns from that is held out"
    )
    published_validation: float | None = Field(
        None, ge=0, lt=1, description="the paper's, where it names one"
    )
    published_reference: str | None = Field(
        None, description="the paper's own model, where the reference is none of its rows"
    )

    def __repr__(self) -> str:
        return f"PublishedTable({self.name!r}, rows={[each.name for each in self.experiments]})"

    def select(self, rows: list[str]) -> PublishedTable:
        """The table restricted to the named rows, in the table's order.

        Raises
        ------
        SettingsError
            A row that the table does not have.
        """
        names = [experiment.name for experiment in self.experiments]
        unknown = [row for row in rows if row not in names]
        if unknown or not rows:
            raise SettingsError(
                f"{self.name} has no row {', '.join(unknown) or 'without a name'}; its rows are "
                f"{', '.join(names)}."
            )
        chosen = tuple(each for each in self.experiments if each.name in rows)
        return self.model_copy(update={"experiments": chosen})

    def as_published(self) -> PublishedTable:
        """The table's rows that a paper has, as it has them; rows of our own are left out.

        Where the reference is one of our own, ``published_reference`` takes its place, or the last
        row of the paper, which is usually its own model.

        Raises
        ------
        SettingsError
            No row has published figures.
        """
        rows = tuple(each.in_published_form() for each in self.experiments if each.published)
        if not rows:
            raise SettingsError(f"no row of {self.name} is a paper's.")
        names = {row.name for row in rows}
        own = (each for each in (self.reference, self.published_reference) if each in names)
        reference = next(own, rows[-1].name)
        shares = [self.published_validation, self.validation]
        return self.model_copy(
            update={
                "title": f"{self.title}, as published",
                "reference": reference,
                "experiments": rows,
                "validation": next(share for share in shares if share is not None),
            }
        )

    def with_setting(self, row: str, name: str, value: Any) -> PublishedTable:
        """The table with one setting of one row's model replaced.

        Raises
        ------
        SettingsError
            A row that the table does not have.
        """
        self.select([row])
        changed = tuple(
            each.with_setting(name, value) if each.name == row else each
            for each in self.experiments
        )
        return self.model_copy(update={"experiments": changed})

    def with_training(self, **changes: Any) -> PublishedTable:
        """The table with training settings of every row replaced."""
        return self._with_group("training", changes)

    def with_features(self, **changes: Any) -> PublishedTable:
        """The table with feature settings of every row replaced."""
        return self._with_group("features", changes)

    def _with_group(
        self, group: Literal["features", "training"], changes: dict[str, Any]
    ) -> PublishedTable:
        changed = tuple(each.with_group(group, changes) for each in self.experiments)
        return self.model_copy(update={"experiments": changed})


def published_tables(folder: Path = FOLDER) -> list[str]:
    """Names of the tables that can be reproduced."""
    return sorted(path.parent.relative_to(folder).as_posix() for path in folder.rglob(_DEFAULTS))


def load_table(name: str, folder: Path = FOLDER) -> PublishedTable:
    """Read a table and its rows.

    Parameters
    ----------
    name
        Such as ``abmf/table6``; see :func:`published_tables`.
    folder
        Where tables lie; the package's own by default.

    Returns
    -------
    PublishedTable
        The table with its rows in order.

    Raises
    ------
    SettingsError
        There is no such table; the message lists those that exist.
    DataError
        A file is damaged or has a wrong entry; the message names file and field.
    """
    if name not in published_tables(folder):
        raise SettingsError(
            f"no table is called {name!r}; there are {', '.join(published_tables(folder))}."
        )
    place = folder / name
    description = _read(place / _DEFAULTS)
    shared, order = description.pop("experiment", {}), description.pop("rows", [])
    rows: dict[str, Experiment] = {}
    for path in sorted(place.glob("*.yaml")):
        if path.name != _DEFAULTS:
            experiment = _validated(Experiment, _merged(shared, _read(path)), path)
            rows[experiment.name] = experiment
    if sorted(order) != sorted(rows):
        raise DataError(
            f"it orders the rows {sorted(order)}, and the files hold {sorted(rows)}.",
            file=place / _DEFAULTS,
            field="rows",
        )
    description |= {"name": name, "experiments": [rows[row] for row in order]}
    return _validated(PublishedTable, description, place / _DEFAULTS)


def _merged(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A row's own entries over the shared ones, groups of settings merged entry by entry."""
    merged = {**shared, **own}
    for group in ("settings", "features", "training", "as_published"):
        if isinstance(shared.get(group), dict) and isinstance(own.get(group), dict):
            merged[group] = _merged(shared[group], own[group])
    return merged


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_BYTES:
        raise DataError("larger than any experiment's file.", file=path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"not a YAML file ({error}).", file=path) from error
    if not isinstance(content, dict):
        raise DataError("a mapping of names to values was expected.", file=path)
    return content


def _validated(kind: Any, content: dict[str, Any], path: Path) -> Any:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise DataError(settings_problem(error, kind.model_fields), file=path) from error
