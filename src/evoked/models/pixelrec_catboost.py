"""PixelRec's boosted trees on frozen vectors and engineered columns (report, Section 4.2).

The report trains CatBoost on CLIP vectors of image and text, their cosine, text statistics, tags as
categories, and the raw counts of views, likes, comments, shares and favourites with their logs and
ratios, from which its label is computed. **The counts are the answer**: they leak it, and no draft
has them. They are columns only with ``as_published``; by default the trees see content and what is
known before posting (author, time, the author's earlier posts).

Tags are encoded here, one column of 0 and 1 for each of the tags that most training posts carry, so
that the trees are plain arrays, need no CatBoost to predict, and each tag has an importance of its
own. (CatBoost's encoding of a single tag, as in the report, loses the others of a post.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from safetensors import safe_open

from evoked.features.catalog import FeatureSettings
from evoked.files import read_json
from evoked.models._symmetric_trees import (
    catboost_library,
)
from evoked.models.base import Examples
from evoked.models.boosting import BoostedOutcome, BoostingSettings
from evoked.models.pooled import Matrix
from evoked.posts.schema import ENGAGEMENT
from evoked.targets.base import numeric

LEAKAGE = (
    "LEAKAGE: as_published gives the trees the raw counts from which the label is computed. The "
    "scores say nothing about posts that are not published yet; they only serve for comparison "
    "with the report's."
)

_IMAGE, _TEXT, _BOTH, _TAGS = "image", "text", "image and text", "tags"
_BEFORE, _COUNTS = "author and time", "counts (leak)"
_MODALITY_OF = {"image.vector": _IMAGE, "text.vector": _TEXT, "metadata": _BEFORE}
_COUNT_NAMES = (*ENGAGEMENT, "views")
# Posts drawn for a tree on average. CatBoost refuses an empty draw, which has
# next to no chance then.
_FEWEST_DRAWN = 20
# SHAP values take as long per post as a hundred predictions.
_EXPLAINED_POSTS = 500


class CatBoostSettings(BoostingSettings):
    """Settings of the boosted trees; rate, depth and bootstrap are the report's."""

    depth: int = Field(6, ge=1, le=10, description="levels of each tree")
    learning_rate: float = Field(0.03, gt=0, le=1, description="share of each tree that is added")
    l2: float = Field(3.0, ge=0, description="penalty on the leaves (the report names no value)")
    subsample: float = Field(
        0.8,
        gt=0,
        le=1,
        description="share of the posts drawn for each tree (Bernoulli); all posts if that would "
        "be fewer than 20",
    )
    tags: int = Field(
        100, ge=0, description="how many of the training posts' most frequent tags become columns"
    )
    metadata: bool = Field(
        True,
        description="author, time and the author's earlier posts; never with as_published, since "
        "the report has none",
    )
    as_published: bool = Field(
        False,
        description="add the posts' raw counts, their logs and ratios, as the report does: the "
        "label is computed from them, so scores LEAK and drafts can't be scored",
    )

    @classmethod
    def published(cls, **changes: Any) -> Self:
        """As in the report, with all columns for every split; it names neither the number of trees
        nor the penalty: they stay ours."""
        return cls(**{"as_published": True, "metadata": False, "feature_share": 1.0, **changes})


class _Column(NamedTuple):
    name: str
    modality: str


class PixelRecCatBoost(BoostedOutcome):
    """Boosted trees on frozen vectors of image and text, text statistics and tags.

    Attributes
    ----------
    tags
        Tags that have a column of their own.
    importance
        For each column of the trees' input, its share of CatBoost's prediction values change and
        of the mean size of SHAP values over validation posts (training posts if there are none),
        both in percent; (columns, 2).
    projections
        CLIP's projections of ``image.vector`` and ``text.vector`` into the space that they share:
        the trees see the projected vectors.
    """

    name = "pixelrec_catboost"
    description = "boosted trees on frozen image and text vectors, text statistics and tags"
    source = "PixelRec report, Section 4.2 and Table 2; Prokhorenkova et al. 2018"
    tasks = ("level", "popularity", "level_scaled")
    complexity = 50
    Settings = CatBoostSettings

    settings: CatBoostSettings

    def __init__(
        self,
        settings: CatBoostSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.tags: list[str] = []
        self.importance: NDArray[np.float64] = np.zeros((0, 2))
        self.projections: dict[str, NDArray[np.float32]] = {}

    @property
    def features(self) -> list[str]:
        before = self.settings.metadata and not self.settings.as_published
        return ["image.vector", "text.vector"] + (["metadata"] if before else [])

    @property
    def caution(self) -> str:
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

    def grow(
        self,
        catboost: Any,
        train: Examples,
        validation: Examples | None,
        options: dict[str, Any],
    ) -> None:
        self.tags = _frequent_tags(train.posts, self.settings.tags)
        self.projections = clip_projections(self.feature_settings)
        self.importance = np.zeros((self.width(), 2))
        super().grow(catboost, train, validation, options)

    def width(self) -> int:
        return len(self.columns())

    def columns(self) -> list[_Column]:
        """Name and modality of every column of :meth:`matrix`."""
        columns = [
            _Column(f"{name} {number}", _MODALITY_OF[name])
            for name, width in self.widths.items()
            for number in range(len(self.projections.get(name, range(width))))
        ]
        if self.projections:
            columns.append(_Column("cosine of image and text", _BOTH))
        columns += [_Column(name, _TEXT) for name in _statistics(pd.DataFrame())]
        columns += [_Column(f"#{tag}", _TAGS) for tag in self.tags]
        columns.append(_Column("number of tags", _TAGS))
        if self.settings.as_published:
            columns += [_Column(name, _COUNTS) for name in _counts(pd.DataFrame())]
        return columns

    def matrix(self, examples: Examples) -> Matrix:
        """Numbers that the trees see, float32 (n, columns); NaN where missing."""
        batch, posts = examples.features.arrays(np.arange(len(examples))), examples.posts
        vectors = {
            name: np.where(batch[f"{name}.present"][:, None], batch[name], np.nan)
            for name in self.widths
        }
        for name, projection in self.projections.items():
            vectors[name] = vectors[name] @ projection.T
        parts = list(vectors.values())
        if self.projections:
            parts.append(_cosine(vectors["image.vector"], vectors["text.vector"])[:, None])
        parts.append(np.stack(list(_statistics(posts).values()), axis=1))
        parts.append(_tag_columns(posts, self.tags))
        if self.settings.as_published:
            parts.append(np.stack(list(_counts(posts).values()), axis=1))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def feature_importance(self) -> pd.DataFrame | None:
        if not self.importance.any():
            return None
        table = pd.DataFrame(self.columns(), columns=["feature", "modality"])
        table[["importance", "shap"]] = self.importance
        return table.sort_values("shap", ascending=False, ignore_index=True)

    def _extra_options(self, n: int) -> dict[str, Any]:
        return {"l2_leaf_reg": self.settings.l2, **_bootstrap(self.settings.subsample, n)}

    def _grown(self, booster: Any, judged: tuple[Matrix, NDArray[np.float64]]) -> None:
        self.importance = _importance(booster, [part[:_EXPLAINED_POSTS] for part in judged])

    def _extra_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        state = {"tags": self.tags, "similarity": self.similarity, "caution": self.caution}
        projections = {f"projection.{name}": each for name, each in self.projections.items()}
        return state, {**projections, "importance": np.ascontiguousarray(self.importance)}

    def _take_extra_state(
        self, description: dict[str, Any], arrays: dict[str, NDArray[Any]]
    ) -> None:
        self.tags = [str(tag) for tag in description["tags"]]
        self.projections = _of("projection", arrays)
        self.importance = arrays["importance"]
        if self.importance.shape != (self.width(), 2):
            raise ValueError(f"importance is {self.importance.shape}")


def clip_projections(settings: FeatureSettings) -> dict[str, NDArray[np.float32]]:
    """CLIP's matrices (shared, width) that project ``image.vector`` and ``text.vector`` into one
    space; empty unless one CLIP model encodes both.

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
            for feature, key in (("image.vector", "visual"), ("text.vector", "text")):
                if f"{key}_projection.weight" in weights.keys():  # noqa: SIM118 - no mapping
                    matrix = weights.get_tensor(f"{key}_projection.weight")
                    found[feature] = matrix.astype(np.float32)
    return found if len(found) == 2 else {}


def _bootstrap(share: float, posts: int) -> dict[str, Any]:
    """CatBoost's options for drawing this share of the training posts for each tree; all of them if
    they are few."""
    if share * posts < _FEWEST_DRAWN:
        return {"bootstrap_type": "No"}
    return {"bootstrap_type": "Bernoulli", "subsample": share}


def _importance(booster: Any, explained: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Percent of prediction values change and of mean |SHAP|, (columns, 2).

    Parameters
    ----------
    booster
        A fitted CatBoost model.
    explained
        Matrix and labels of the posts that SHAP values are computed for.
    """
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
