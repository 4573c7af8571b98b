"""PixelRec's boosted trees on frozen vectors and engineered columns (report, Section 4.2).

The report trains CatBoost on CLIP vectors of image and text, their cosine, text statistics, tags as
categories, and the raw counts of views, likes, comments, shares and favourites with their logs and
ratios, from which its label is computed. **The counts are the answer**: they leak it, and no draft
has them. They are columns only with ``as_published``; by default the trees see content and what is
known before posting (author, time, the author's earlier posts).

Tags are encoded here, one column of 0 and 1 for each of the tags that most training posts carry, so
that the trees are plain arrays, need no CatBoost to predict, and each tag has an importance of its
own. (CatBoost's own encoding of a single label-encoded tag, the report's, says less of posts with
several.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from evoked.features.catalog import FeatureSettings
from evoked.files import atomic_path, read_json, write_json
from evoked.models._symmetric_trees import (
    SymmetricTrees,
    catboost_library,
    growing_options,
    named_arrays,
    named_trees,
    varies,
)
from evoked.models.base import (
    MODEL_FILE,
    WEIGHTS_FILE,
    Examples,
    Model,
    ModelSettings,
    reading_weights,
)
from evoked.posts.schema import ENGAGEMENT
from evoked.targets.base import numeric
from evoked.training.loop import EpochRecord
from evoked.training.settings import TrainingSettings

LEAKAGE = (
    "LEAKAGE: as_published gives the trees the raw counts from which the label is computed. The "
    "scores say nothing of posts that are not out yet; they stand beside the report's for "
    "comparison only."
)

_IMAGE, _TEXT, _BOTH, _TAGS = "image", "text", "image and text", "tags"
_BEFORE, _COUNTS = "author and time", "counts (leak)"
_MODALITY_OF = {"image.vector": _IMAGE, "text.vector": _TEXT, "metadata": _BEFORE}
_COUNT_NAMES = (*ENGAGEMENT, "views")
_POSTS_PER_BATCH = 512
# Drawn for a tree on average. CatBoost refuses a draw of none, which is as good as impossible then.
_FEWEST_DRAWN = 20
# SHAP values take as long per post as a hundred predictions.
_EXPLAINED_POSTS = 500


class CatBoostSettings(ModelSettings):
    """Settings of the boosted trees; rate, depth and bootstrap are the report's."""

    trees: int = Field(1000, ge=1, description="at most")
    depth: int = Field(6, ge=1, le=10, description="of each tree")
    learning_rate: float = Field(0.03, gt=0, le=1)
    l2: float = Field(3.0, ge=0, description="penalty of the leaves (the report names no value)")
    subsample: float = Field(
        0.8, gt=0, le=1, description="of the posts per tree (Bernoulli); all where that is under 20"
    )
    feature_share: float = Field(
        0.2, gt=0, le=1, description="of the features, drawn anew for each split"
    )
    patience: int = Field(
        50, ge=1, description="trees without improvement on the validation posts before stopping"
    )
    tags: int = Field(100, ge=0, description="most frequent tags of the training posts")
    metadata: bool = Field(
        True, description="author, time and the author's earlier posts (the report has none)"
    )
    as_published: bool = Field(
        False,
        description="add the posts' raw counts, their logs and ratios, as the report does: the "
        "label is computed from them, so scores LEAK and drafts can't be scored",
    )


class _Column(NamedTuple):
    name: str
    modality: str


class PixelRecCatBoost(Model):
    """Boosted trees on frozen vectors of image and text, text statistics and tags.

    Trees grow on one thread and with a seed. While they grow, the features of all training posts
    are in memory.

    Attributes
    ----------
    trees
        By what they add to: each level that the training posts have, or log popularity.
    importance
        Per column of the trees' input: how much of CatBoost's prediction values change is its, and
        the mean of its absolute SHAP values over validation posts (or training posts where there
        are none), each in percent of all columns; (columns, 2).
    """

    name = "pixelrec_catboost"
    description = "boosted trees on frozen image and text vectors, text statistics and tags"
    source = "PixelRec report, Section 4.2 and Table 2; Prokhorenkova et al. 2018"
    tasks = ("level", "popularity")
    Settings = CatBoostSettings

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.tags: list[str] = []
        # Predicted where nothing tells the training posts apart: shares of levels, or the mean.
        self.means: dict[str, float] = {}
        self.trees: dict[str, SymmetricTrees] = {}
        self.importance: NDArray[np.float64] = np.zeros((0, 2))
        # CLIP's projections of image and text vectors into the space that they share.
        self.projections: dict[str, NDArray[np.float32]] = {}

    @property
    def features(self) -> list[str]:
        return ["image.vector", "text.vector"] + (["metadata"] if self.settings.metadata else [])

    @property
    def caution(self) -> str:
        """What whoever reads its scores has to know; empty without leakage."""
        return LEAKAGE if self.settings.as_published else ""

    @property
    def similarity(self) -> str:
        """Whether the cosine of image and text is a column, and why."""
        if self.projections:
            return "the cosine of image and text in CLIP's shared space is a column"
        return (
            "image and text vectors come from encoders that share no space, so their cosine means "
            "nothing and is left out; name one CLIP model for both encoders to have it"
        )

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        """Grow trees; of ``training`` only the seed counts, and there are no epochs to tell of.

        Raises
        ------
        DataError
            As :meth:`evoked.models.base.Model.fit` says.
        MissingExtraError
            CatBoost is not installed.
        """
        catboost = catboost_library(self.name)
        values = self._learn_targets(train)
        self.widths = {name: train.features.widths[name] for name in self.features}
        self.means = dict(zip(self.targets, _means(values), strict=True))
        self.tags = _frequent_tags(train.posts, self.settings.tags)
        self.projections = clip_projections(self.feature_settings)
        self.trees, self.importance = {}, np.zeros((len(self.columns()), 2))
        matrix, labels = self._known(train)
        names = self._outputs_of(labels)
        if len(np.unique(labels)) < 2 or not varies(matrix):
            return []
        settings, of_classes = self.settings, self._predicts_classes
        kind = catboost.CatBoostClassifier if of_classes else catboost.CatBoostRegressor
        booster = kind(
            loss_function="MultiClass" if of_classes else "RMSE",
            l2_leaf_reg=settings.l2,
            **_bootstrap(settings.subsample, len(labels)),
            **growing_options(settings, training),
        )
        held_out = self._held_out(validation, labels)
        evaluated = None if held_out is None else catboost.Pool(*held_out)
        booster.fit(catboost.Pool(matrix, labels), eval_set=evaluated)
        self.trees = dict(zip(names, SymmetricTrees.per_output(booster), strict=True))
        explained = (matrix, labels) if held_out is None else held_out
        self.importance = _importance(booster, [part[:_EXPLAINED_POSTS] for part in explained])
        return []

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        predicted = np.tile([self.means[name] for name in self.targets], (len(examples), 1))
        for start in range(0, len(examples) if self.trees else 0, _POSTS_PER_BATCH):
            rows = np.arange(start, min(start + _POSTS_PER_BATCH, len(examples)))
            matrix = self.matrix(examples.select(rows))
            sums = np.stack([trees.predict(matrix) for trees in self.trees.values()], axis=1)
            predicted[rows] = self._from_sums(sums)
        return self._as_table(predicted.reshape(-1, len(self.targets)))

    def columns(self) -> list[_Column]:
        """Name and modality of every column that the trees see."""
        columns = [
            _Column(f"{name} {number}", _MODALITY_OF[name])
            for name, width in self.widths.items()
            for number in range(width)
        ]
        if self.projections:
            columns.append(_Column("cosine of image and text", _BOTH))
        columns += [_Column(name, _TEXT) for name in _statistics(pd.DataFrame())]
        columns += [_Column(f"#{tag}", _TAGS) for tag in self.tags]
        columns.append(_Column("number of tags", _TAGS))
        if self.settings.as_published:
            columns += [_Column(name, _COUNTS) for name in _counts(pd.DataFrame())]
        return columns

    def matrix(self, examples: Examples) -> NDArray[np.float32]:
        """What the trees see, float32 (n, columns); NaN where absent."""
        batch, posts = examples.features.take(np.arange(len(examples))), examples.posts
        parts = [
            np.where(batch[f"{name}.present"].numpy()[:, None], batch[name].numpy(), np.nan)
            for name in self.widths
        ]
        if self.projections:
            shared = [
                vectors @ self.projections[name].T
                for name, vectors in zip(("image", "text"), parts, strict=False)
            ]
            parts.append(_cosine(*shared)[:, None])
        parts.append(np.stack(list(_statistics(posts).values()), axis=1))
        parts.append(_tag_columns(posts, self.tags))
        if self.settings.as_published:
            parts.append(np.stack(list(_counts(posts).values()), axis=1))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def feature_importance(self) -> pd.DataFrame:
        """Columns ``feature, modality, importance, shap``, the last two in percent of all; the
        most important first."""
        table = pd.DataFrame(self.columns(), columns=["feature", "modality"])
        table[["importance", "shap"]] = self.importance
        return table.sort_values("shap", ascending=False, ignore_index=True)

    def modality_importance(self) -> pd.DataFrame:
        """Columns ``modality, features`` (how many), ``importance, shap`` (percent of all); the
        most important first."""
        by_modality = self.feature_importance().groupby("modality")
        table = by_modality[["importance", "shap"]].sum()
        table.insert(0, "features", by_modality.size())
        return table.sort_values("shap", ascending=False).reset_index()

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = named_arrays(self.trees)
        with atomic_path(folder / WEIGHTS_FILE) as path:
            arrays |= {f"projection.{name}": each for name, each in self.projections.items()}
            save_file({**arrays, "importance": np.ascontiguousarray(self.importance)}, path)
        state = {
            "widths": self.widths,
            "means": self.means,
            "tags": self.tags,
            "trees": list(self.trees),
            "similarity": self.similarity,
            "caution": self.caution,
        }
        write_json(folder / MODEL_FILE, {**self._description(), **state})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`; needs no CatBoost.

        Raises
        ------
        DataError
            A file is missing or damaged.
        """
        description = read_json(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        with reading_weights(folder):
            model.widths = {str(name): int(size) for name, size in description["widths"].items()}
            model.means = {name: float(description["means"][name]) for name in model.targets}
            model.tags = [str(tag) for tag in description["tags"]]
            arrays = load_file(folder / WEIGHTS_FILE)
            model.projections = _of("projection", arrays)
            width = len(model.columns())
            model.importance = arrays.pop("importance")
            if model.importance.shape != (width, 2):
                raise ValueError(f"importance is {model.importance.shape}")
            names = [name for name in description["trees"] if name in model.targets]
            model.trees = named_trees(names, arrays, width)
        return model

    @property
    def _predicts_classes(self) -> bool:
        return self.task.outcomes[0].kind == "classes"

    def _known(self, examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Matrix and labels (numbers of levels, or values) of the posts that have one."""
        assert examples.targets is not None
        values = examples.targets.values
        rows = np.flatnonzero(np.isfinite(values).all(axis=1))
        labels = values[rows].argmax(axis=1) if self._predicts_classes else values[rows, 0]
        return self.matrix(examples.select(rows)), labels.astype(np.float64)

    def _held_out(
        self, validation: Examples | None, learned: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """As :meth:`_known`, without levels that no training post has; None if nothing is left."""
        if validation is None or validation.targets is None or not len(validation):
            return None
        matrix, labels = self._known(validation)
        if self._predicts_classes:
            usable = np.isin(labels, learned)
            matrix, labels = matrix[usable], labels[usable]
        return (matrix, labels) if len(labels) else None

    def _outputs_of(self, labels: NDArray[np.float64]) -> list[str]:
        """Targets that trees are grown for: CatBoost leaves out levels that don't occur."""
        if not self._predicts_classes:
            return self.targets
        return [self.targets[int(level)] for level in np.unique(labels)]

    def _from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Targets, (n, targets), from what the trees sum up to, (n, outputs)."""
        if not self._predicts_classes:
            return sums.clip(*self.task.bounds(self.targets[0]))
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        shares = np.zeros((len(sums), len(self.targets)))
        places = [self.targets.index(name) for name in self.trees]
        shares[:, places] = powers / powers.sum(axis=1, keepdims=True)
        return shares


def clip_projections(settings: FeatureSettings) -> dict[str, NDArray[np.float32]]:
    """CLIP's matrices (shared, width) that lead ``image`` and ``text`` vectors into one space;
    empty unless one CLIP model encodes both.

    Vectors of two encoders that were never trained together can't be compared, whatever their
    lengths. (SigLIP's text vector is not the mean of tokens that ``text.vector`` is.)
    """
    name = settings.image_encoder
    if name != settings.text_encoder or not name.startswith("transformers:"):
        return {}
    from evoked.features.encoders._checkpoints import checkpoint_folder

    folder = checkpoint_folder(name.removeprefix("transformers:"))
    if read_json(folder / "config.json").get("model_type") != "clip":
        return {}
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as weights:
            for modality, key in (("image", "visual"), ("text", "text")):
                if f"{key}_projection.weight" in weights.keys():  # noqa: SIM118 - no mapping
                    matrix = weights.get_tensor(f"{key}_projection.weight")
                    found[modality] = matrix.astype(np.float32)
    return {name: found[name] for name in ("image", "text")} if len(found) == 2 else {}


def _bootstrap(share: float, posts: int) -> dict[str, Any]:
    """CatBoost's options for drawing this share of the training posts for each tree; each tree
    gets all of them where they are few."""
    if share * posts < _FEWEST_DRAWN:
        return {"bootstrap_type": "No"}
    return {"bootstrap_type": "Bernoulli", "subsample": share}


def _means(values: NDArray[np.float32]) -> list[float]:
    known = np.isfinite(values).any(axis=0)
    means = np.nanmean(np.where(known, values, 0), axis=0)
    return [float(mean) for mean in means]


def _importance(booster: Any, explained: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Percent of prediction values change and of mean |SHAP|, (columns, 2)."""
    pool = catboost_library(PixelRecCatBoost.name).Pool(*explained)
    shap = np.abs(np.asarray(booster.get_feature_importance(pool, type="ShapValues")))[..., :-1]
    mean = shap.reshape(-1, shap.shape[-1]).mean(axis=0)
    change = np.asarray(booster.get_feature_importance())
    parts = [each / total if (total := each.sum()) > 0 else each for each in (change, mean)]
    return np.asarray(100 * np.stack(parts, axis=1), dtype=np.float64)


def _of(target: str, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    prefix = f"{target}."
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


def _cosine(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    """Cosine of the rows of two matrices; NaN where one is absent or zero."""
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    product = np.einsum("nd,nd->n", left, right)
    return np.asarray(np.divide(product, norms, np.full(len(left), np.nan), where=norms > 0))


def _statistics(posts: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Length of title and caption in characters and words, each (n,); NaN where absent."""
    found: dict[str, NDArray[np.float64]] = {}
    for name in ("title", "caption"):
        texts = (posts[name] if name in posts else pd.Series(None, posts.index)).astype("string")
        lengths = {"characters": texts.str.len(), "words": texts.str.count(r"\S+")}
        for what, values in lengths.items():
            column: Any = values.to_numpy(np.float64, na_value=np.nan)
            found[f"{what} of the {name}"] = column
    return found


def _counts(posts: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """The raw counts, their logs and ratios (Section 4.2), each (n,): the label's ingredients."""
    counts = {name: numeric(posts, name) for name in _COUNT_NAMES}
    found = {**counts, **{f"log {name}": np.log1p(values) for name, values in counts.items()}}
    views = np.maximum(counts["views"], 1)
    found |= {f"{name} per view": counts[name] / views for name in ENGAGEMENT}
    found["engagement rate"] = np.nansum([counts[name] for name in ENGAGEMENT], axis=0) / views
    likes = np.maximum(counts["likes"], 1)
    found |= {f"{name} per like": counts[name] / likes for name in ENGAGEMENT[1:]}
    return found


def _tags_of(posts: pd.DataFrame) -> list[set[str]]:
    """Tags of each post without case."""
    column: Iterable[Any] = posts["hashtags"] if "hashtags" in posts else [None] * len(posts)
    return [
        set()
        if tags is None or isinstance(tags, str | float)
        else {str(t).casefold() for t in tags}
        for tags in column
    ]


def _frequent_tags(posts: pd.DataFrame, limit: int) -> list[str]:
    """The tags that most posts carry, at least two; ties in alphabetical order."""
    counts = Counter(tag for tags in _tags_of(posts) for tag in tags)
    often = sorted(((-count, tag) for tag, count in counts.items() if count > 1))
    return [tag for _, tag in often[:limit]]


def _tag_columns(posts: pd.DataFrame, names: Sequence[str]) -> NDArray[np.float64]:
    """A column of 0 and 1 per name and the number of tags, (n, names + 1)."""
    place = {name: number for number, name in enumerate(names)}
    table = np.zeros((len(posts), len(names) + 1))
    for row, tags in enumerate(_tags_of(posts)):
        table[row, [place[tag] for tag in tags if tag in place]] = 1
        table[row, -1] = len(tags)
    return table
