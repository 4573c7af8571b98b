"""All models by name. A new one: a file here, a line in ``CLASSES``, and ``make render``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evoked.errors import DataError, SettingsError, settings_problem
from evoked.files import read_object
from evoked.models.catalogue import check_name

if TYPE_CHECKING:
    from evoked.features.catalog import FeatureSettings
    from evoked.models.base import Model

CLASSES = {
    "abmf": "evoked.models.abmf:ABMF",
    "visual_cnn": "evoked.models.unimodal:VisualCNN",
    "text_bert": "evoked.models.unimodal:TextBERT",
    "early_fusion": "evoked.models.fusion:EarlyFusion",
    "late_fusion": "evoked.models.fusion:LateFusion",
    "bilinear_pooling": "evoked.models.fusion:BilinearPooling",
    "mmbt": "evoked.models.mmbt:MMBT",
    "eijl": "evoked.models.eijl:EIJL",
    "dual_attention": "evoked.models.dual_attention:DualAttention",
    "dual_baseline": "evoked.models.dual_baselines:DualBaseline",
    "pixelrec_regressor": "evoked.models.pixelrec:PixelRecRegressor",
    "pixelrec_classifier": "evoked.models.pixelrec:PixelRecClassifier",
    "pixelrec_catboost": "evoked.models.pixelrec_catboost:PixelRecCatBoost",
    "hmg_emo": "evoked.models.hmg_emo:HMGEmo",
    "gradient_boosting": "evoked.models.gradient_boosting:GradientBoosting",
    "linear": "evoked.models.linear:Linear",
    "blend": "evoked.models.blend:Blend",
    "stack": "evoked.models.stacking:Stack",
    "label_spreading": "evoked.models.label_spreading:LabelSpreading",
    "rmthg": "evoked.models.rmthg:RMTHG",
    "comments_only": "evoked.models.comments_only:CommentsOnly",
    "viewing_boosting": "evoked.models.viewing_boosting:ViewingBoosting",
    "mean": "evoked.models.baselines:MeanOfTraining",
    "author_mean": "evoked.models.baselines:AuthorMean",
    "category_mean": "evoked.models.baselines:CategoryMean",
    "recent_posts": "evoked.models.baselines:RecentPosts",
    "user_mean": "evoked.models.baselines:UserMean",
    "image_mean": "evoked.models.baselines:ImageMean",
}
"""Where each model's class is defined: ``module:class``."""


class _Models(Mapping[str, "type[Model]"]):
    """Classes by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> type[Model]:
        module, _, kind = CLASSES[name].partition(":")
        found: type[Model] = getattr(import_module(module), kind)
        return found

    def __contains__(self, name: object) -> bool:
        return name in CLASSES  # without the import that Mapping would make

    def __iter__(self) -> Iterator[str]:
        return iter(CLASSES)

    def __len__(self) -> int:
        return len(CLASSES)


MODELS: Mapping[str, type[Model]] = _Models()
"""Every model's class by name."""


def model_class(name: str) -> type[Model]:
    """The class registered under ``name``.

    Raises
    ------
    SettingsError
        There is none; the message lists the names.
    """
    check_name(name, MODELS)
    return MODELS[name]


def build_model(
    model: str | type[Model],
    settings: dict[str, Any] | None = None,
    features: FeatureSettings | None = None,
    task: str | None = None,
) -> Model:
    """Build an unfitted model.

    Parameters
    ----------
    model
        A name that ``evoked models`` prints, or a class.
    settings
        By name; the others keep their defaults.
    features
        Encoders that compute the features it reads.
    task
        What it learns; its first task by default.

    Raises
    ------
    SettingsError
        An unknown model or setting, a task that it does not learn, or a value that a setting does
        not take.
    """
    kind = model_class(model) if isinstance(model, str) else model
    try:
        checked = kind.Settings.model_validate(settings or {})
    except ValidationError as error:
        problem = settings_problem(error, kind.Settings.model_fields)
        raise SettingsError(f"{kind.name}: {problem}") from error
    return kind(checked, features, task)


def load_model(folder: Path | str, kind: type[Model] | None = None) -> Model:
    """Load a saved model of any kind; nothing in the folder is executed.

    Parameters
    ----------
    folder
        Where the model was saved.
    kind
        Class of the model, where that is one of the caller's own.

    Raises
    ------
    DataError
        The folder holds no model, or one of an unknown kind, or one of another kind than ``kind``,
        or damaged weights.
    """
    from evoked.models.base import MODEL_FILE

    folder = Path(folder)
    name = read_object(folder / MODEL_FILE).get("model")
    if kind is not None and kind.name != name:
        raise DataError(
            f"a model of the kind {name!r}, not {kind.name!r} as {kind.__name__} is.",
            file=folder / MODEL_FILE,
            fix="Give the class that it was trained with, or none if it is one of evoked's own.",
        )
    if kind is None and (not isinstance(name, str) or name not in MODELS):
        raise DataError(
            f"a model of the unknown kind {name!r}; this release knows {', '.join(MODELS)}.",
            file=folder / MODEL_FILE,
            fix="A model of your own loads with its class: evoked.load(folder, model=MyModel).",
        )
    return (kind or MODELS[str(name)]).load(folder)
