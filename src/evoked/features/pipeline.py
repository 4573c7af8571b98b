"""From posts to the features that one model reads, both extracted and fitted ones.

A pipeline is saved with a run, so that a draft gets the features that the model was trained on.
A new fitted feature needs an entry in the catalog and one in :data:`FITTED`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from evoked.errors import DataError, SettingsError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG, FeatureSettings, feature
from evoked.features.environment import MEANS, Environment
from evoked.features.extract import ImageSource, Problem, extract_posts, fingerprints
from evoked.features.hashtags import HashtagVectors
from evoked.features.likability import Likability
from evoked.features.metadata import MetadataEncoder
from evoked.features.named_encoders import check_named_encoders, remember_encoders
from evoked.features.table import Column, FeatureColumn, FeatureTable
from evoked.features.topics import Topics
from evoked.files import read_object, write_json
from evoked.progress import Progress

PIPELINE_FILE = "features.json"

Columns = dict[str, FeatureColumn]


@dataclass(frozen=True)
class FittedFeature:
    """How features that learn from the training posts are made.

    Attributes
    ----------
    name
        Name of what is learned, and where it is saved in a run's folder: as an entry of
        ``features.json`` if it has ``to_dict`` and ``from_dict``, as a folder if it has ``save``
        and ``load``.
    kind
        Class of what is learned.
    gives
        Names of the features, as in the catalog.
    reads
        For each feature the one that it is computed from, unless that is the posts' own table.
    fit
        Function of training posts, the columns that are read, settings and seed; returns what is
        learned.
    transform
        Function of what is learned, posts and the columns that are read; returns columns.
    """

    name: str
    kind: Any
    gives: tuple[str, ...]
    fit: Callable[[pd.DataFrame, Columns, FeatureSettings, int], Any]
    transform: Callable[[Any, pd.DataFrame, Columns], Columns]
    reads: dict[str, str] | None = None

    @property
    def has_folder(self) -> bool:
        """Whether it is saved as a folder."""
        return hasattr(self.kind, "save")

    def needed(self, names: Sequence[str]) -> list[str]:
        """The features that must be computed before those of ``names`` that this one gives."""
        return [source for name, source in (self.reads or {}).items() if name in names]


def _fit_hashtags(
    posts: pd.DataFrame, columns: Columns, settings: FeatureSettings, seed: int
) -> HashtagVectors:
    if settings.hashtag_vectors:
        return HashtagVectors.from_word2vec(
            Path(settings.hashtag_vectors), stemmed=settings.hashtag_stems
        )
    return HashtagVectors.fit(posts["hashtags"].tolist(), seed=seed, stemmed=settings.hashtag_stems)


def _hashtag_columns(hashtags: HashtagVectors, posts: pd.DataFrame, columns: Columns) -> Columns:
    vectors, present = hashtags.transform(posts["hashtags"].tolist())
    return {"hashtags.vector": Column.dense(vectors, present)}


def _likability_columns(likability: Likability, posts: pd.DataFrame, columns: Columns) -> Columns:
    likes = likability.transform(posts)
    return {"likability.known": Column.dense(likes, np.isfinite(likes[:, 0]))}


def _topic_columns(topics: Topics, posts: pd.DataFrame, columns: Columns) -> Columns:
    return {"topics": Column.dense(*topics.transform(posts["caption"].tolist()))}


# In the order in which they are fitted: whatever reads another stands below it.
FITTED: tuple[FittedFeature, ...] = (
    FittedFeature(
        "metadata",
        MetadataEncoder,
        ("metadata",),
        fit=lambda posts, columns, settings, seed: MetadataEncoder.fit(posts),
        transform=lambda fitted, posts, columns: {
            "metadata": Column.dense(fitted.transform(posts))
        },
    ),
    FittedFeature(
        "hashtags", HashtagVectors, ("hashtags.vector",), _fit_hashtags, _hashtag_columns
    ),
    FittedFeature(
        "likability",
        Likability,
        ("likability.known",),
        fit=lambda posts, columns, settings, seed: Likability.fit(posts),
        transform=_likability_columns,
    ),
    FittedFeature(
        "topics",
        Topics,
        ("topics",),
        fit=lambda posts, columns, settings, seed: Topics.fit(
            posts["caption"].tolist(), settings.topics, seed
        ),
        transform=_topic_columns,
    ),
    FittedFeature(
        "environment",
        Environment,
        tuple(MEANS),
        fit=lambda posts, columns, settings, seed: Environment.fit(posts, columns),
        transform=lambda fitted, posts, columns: fitted.transform(posts, columns),
        reads=MEANS,
    ),
)


class FeaturePipeline:
    """Computes named features of posts.

    Parameters
    ----------
    names
        Features from the catalog.
    settings
        Encoders and their settings.

    Attributes
    ----------
    fitted
        What was learned from the training posts, by name in :data:`FITTED`.

    Raises
    ------
    SettingsError
        A name that isn't in the catalog.
    """

    def __init__(self, names: Sequence[str], settings: FeatureSettings | None = None) -> None:
        self.names = [feature(name).name for name in names]
        self.settings = settings or FeatureSettings()
        self.fitted: dict[str, Any] = {}
        # Fingerprints of the encoders when the pipeline was fitted; other encoders are refused.
        self.fingerprints: dict[str, str] = {}
        computed = list(self.names)
        steps = []
        for each in reversed(FITTED):
            if set(each.gives) & set(computed):
                steps.append(each)
                computed += each.needed(computed)
        # Everything that is computed: more than the names where one feature is made from another.
        self._computed = list(dict.fromkeys(computed))
        self._steps = steps[::-1]

    @property
    def extracted(self) -> list[str]:
        """The features that need no training posts, among the named ones and those they read."""
        return [name for name in self._computed if not CATALOG[name].fitted]

    @property
    def metadata(self) -> MetadataEncoder | None:
        """What was learned for ``metadata``."""
        return self.fitted.get("metadata")

    @property
    def environment(self) -> Environment | None:
        """What was learned for the features ``environment.*``."""
        return self.fitted.get("environment")

    @property
    def notes(self) -> list[str]:
        """What a person should know about what was learned."""
        topics: Topics | None = self.fitted.get("topics")
        return [topics.note] if topics is not None and topics.note else []

    def fit(
        self,
        posts: pd.DataFrame,
        seed: int = 0,
        *,
        images: Sequence[ImageSource] | None = None,
        cache: FeatureCache | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn vocabularies and statistics from training posts.

        Parameters
        ----------
        posts
            n training posts.
        seed
            Random seed for what is drawn.
        images, cache, progress
            As in :meth:`transform`; needed where something is learned from extracted features.

        Raises
        ------
        SettingsError
            Something is learned from pictures, but ``images`` is missing.
        """
        columns: Columns = {}
        read = [name for step in self._steps for name in step.needed(self._computed)]
        if any(not CATALOG[name].fitted for name in read):
            columns = self._extract(posts, self._covers(posts, images, read), cache, progress)[0]
        for step in self._steps:
            own = {name: columns[name] for name in step.needed(self._computed)}
            learned = step.fit(posts, own, self.settings, seed)
            self.fitted[step.name] = learned
            if set(step.gives) & set(read):
                columns |= step.transform(learned, posts, own)
        self.fingerprints = fingerprints(self.extracted, self.settings)
        remember_encoders(self.settings)
        return self

    def transform(
        self,
        posts: pd.DataFrame,
        images: Sequence[ImageSource],
        *,
        cache: FeatureCache | None = None,
        progress: Progress | None = None,
    ) -> tuple[FeatureTable, list[Problem]]:
        """Compute the features of posts.

        Parameters
        ----------
        posts
            n posts with the columns of :mod:`evoked.posts.schema`.
        images
            Cover picture of each post: a path, bytes or None.
        cache
            Where extracted features are kept.
        progress
            Called with what is being read, the number of different ones done and of all.

        Returns
        -------
        table, problems
            The features, and the pictures that could not be read.

        Raises
        ------
        SettingsError
            The encoders are not those that the pipeline was fitted with.
        """
        self.check_encoders()
        columns, problems = self._extract(posts, images, cache, progress)
        for step in self._steps:
            own = {name: columns[name] for name in step.needed(self._computed)}
            columns |= step.transform(self.fitted[step.name], posts, own)
        columns = {name: column for name, column in columns.items() if name in self.names}
        if not columns:  # a model that reads the posts' own table
            columns["post"] = Column.dense(np.zeros((len(posts), 1), dtype=np.float32))
        return FeatureTable(columns), problems

    def of_variants(
        self,
        modality: str,
        posts: pd.DataFrame,
        images: Sequence[ImageSource],
        cache: FeatureCache,
        unchanged: Collection[str] = (),
    ) -> Columns:
        """The features of one modality alone but for those named ``unchanged``, of posts whose text
        or picture was changed; the other parameters are those of :meth:`transform`."""
        names = [
            name
            for name in self.names
            if CATALOG[name].modality == modality and name not in unchanged
        ]
        extracted = [name for name in names if not CATALOG[name].fitted]
        columns: Columns = {}
        if extracted:
            columns = extract_posts(posts, images, extracted, self.settings, cache=cache)[0].columns
        for step in self._steps:
            if set(step.gives) & set(names):
                columns |= step.transform(self.fitted[step.name], posts, columns)
        return columns

    def check_encoders(self) -> None:
        """Raise SettingsError if the encoders are not those that the pipeline was fitted with."""
        found = fingerprints(self.extracted, self.settings)
        if found != self.fingerprints:
            changed = [name for name in self.extracted if found[name] != self.fingerprints[name]]
            raise SettingsError(
                f"{', '.join(changed)}: the encoder is not the one that the model was trained with "
                f"(now {found[changed[0]]!r}, then {self.fingerprints[changed[0]]!r}). "
                "Put the same weights back, or train again."
            )

    def save(self, folder: Path) -> None:
        """Write the pipeline into ``folder``."""
        state: dict[str, Any] = {
            "names": self.names,
            "settings": self.settings.model_dump(mode="json"),
            "fingerprints": self.fingerprints,
        }
        for step in self._steps:
            if step.has_folder:
                self.fitted[step.name].save(folder / step.name)
            else:
                state[step.name] = self.fitted[step.name].to_dict()
        write_json(folder / PIPELINE_FILE, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The file doesn't hold a pipeline, or names encoders that are neither here nor known:
            see :func:`evoked.features.named_encoders.check_named_encoders`.
        """
        state = read_object(folder / PIPELINE_FILE, "settings")
        try:
            pipeline = cls(state["names"], FeatureSettings.from_saved(state["settings"]))
            pipeline.fingerprints = dict(state["fingerprints"])
            for step in pipeline._steps:
                if not step.has_folder:
                    pipeline.fitted[step.name] = step.kind.from_dict(state[step.name])
            if missing := set(pipeline.extracted) - set(pipeline.fingerprints):
                raise ValueError(f"no fingerprints of {sorted(missing)}")
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not a feature pipeline ({error}).", file=folder / PIPELINE_FILE
            ) from (error)
        if pipeline.extracted:
            check_named_encoders(pipeline.settings, folder / PIPELINE_FILE)
        for step in pipeline._steps:
            if step.has_folder:
                pipeline.fitted[step.name] = step.kind.load(folder / step.name)
        return pipeline

    def _extract(
        self,
        posts: pd.DataFrame,
        images: Sequence[ImageSource],
        cache: FeatureCache | None,
        progress: Progress | None,
    ) -> tuple[Columns, list[Problem]]:
        if not self.extracted:
            return {}, []
        table, problems = extract_posts(
            posts, images, self.extracted, self.settings, cache=cache, progress=progress
        )
        return table.columns, problems

    def _covers(
        self, posts: pd.DataFrame, images: Sequence[ImageSource] | None, read: Sequence[str]
    ) -> Sequence[ImageSource]:
        """The pictures of the training posts; None for each if nothing is learned from them."""
        if images is not None:
            return images
        of_pictures = [name for name in read if CATALOG[name].modality == "image"]
        if of_pictures:
            raise SettingsError(
                f"{', '.join(of_pictures)}: learned from pictures of the training posts: "
                "give fit() their images."
            )
        return [None] * len(posts)
