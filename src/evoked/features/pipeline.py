"""From posts to the features that one model reads: extracted ones and fitted ones.

A pipeline is saved with a run, so that a draft gets the features that the model was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from evoked.errors import DataError, SettingsError
from evoked.features.cache import FeatureCache
from evoked.features.catalog import CATALOG, FeatureSettings, feature
from evoked.features.extract import ImageSource, Problem, extract_posts, fingerprints
from evoked.features.hashtags import HashtagVectors
from evoked.features.metadata import MetadataEncoder
from evoked.features.table import Column, FeatureColumn, FeatureTable
from evoked.files import read_json, write_json

PIPELINE_FILE = "features.json"
HASHTAG_FOLDER = "hashtags"


class FeaturePipeline:
    """Computes named features of posts.

    Parameters
    ----------
    names
        Features from the catalog.
    settings
        Encoders and their settings.

    Raises
    ------
    SettingsError
        A name that the catalog does not have.
    """

    def __init__(self, names: Sequence[str], settings: FeatureSettings | None = None) -> None:
        self.names = [feature(name).name for name in names]
        self.settings = settings or FeatureSettings()
        self.metadata: MetadataEncoder | None = None
        self.hashtags: HashtagVectors | None = None
        # What the encoders were when the pipeline was fitted; other encoders are refused.
        self.fingerprints: dict[str, str] = {}

    @property
    def extracted(self) -> list[str]:
        """The named features that need no training posts."""
        return [name for name in self.names if not CATALOG[name].fitted]

    def fit(self, posts: pd.DataFrame, seed: int = 0) -> Self:
        """Learn vocabularies and statistics from training posts."""
        if "metadata" in self.names:
            self.metadata = MetadataEncoder.fit(posts)
        if "hashtags.vector" in self.names:
            tags = posts["hashtags"].tolist()
            self.hashtags = (
                HashtagVectors.from_word2vec(Path(self.settings.hashtag_vectors))
                if self.settings.hashtag_vectors
                else HashtagVectors.fit(tags, seed=seed)
            )
        self.fingerprints = fingerprints(self.extracted, self.settings)
        return self

    def transform(
        self,
        posts: pd.DataFrame,
        images: Sequence[ImageSource],
        *,
        cache: FeatureCache | None = None,
        progress: Callable[[str, int, int], None] | None = None,
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
            Called with the stage's name, posts done and posts in all.

        Returns
        -------
        table, problems
            The features, and the pictures that could not be read.

        Raises
        ------
        SettingsError
            The encoders are not those that the pipeline was fitted with.
        """
        found = fingerprints(self.extracted, self.settings)
        if found != self.fingerprints:
            changed = [name for name in self.extracted if found[name] != self.fingerprints[name]]
            raise SettingsError(
                f"{', '.join(changed)}: the encoder is not the one that the model was trained with "
                f"(now {found[changed[0]]!r}, then {self.fingerprints[changed[0]]!r}). "
                "Put the same weights back, or train again."
            )
        columns: dict[str, FeatureColumn] = {}
        problems: list[Problem] = []
        if self.extracted:
            table, problems = extract_posts(
                posts, images, self.extracted, self.settings, cache=cache, progress=progress
            )
            columns.update(table.columns)
        if self.metadata is not None:
            columns["metadata"] = Column.dense(self.metadata.transform(posts))
        if self.hashtags is not None:
            vectors, present = self.hashtags.transform(posts["hashtags"].tolist())
            columns["hashtags.vector"] = Column.dense(vectors, present)
        if not columns:  # a model that reads the posts' own table
            columns["post"] = Column.dense(np.zeros((len(posts), 1), dtype=np.float32))
        return FeatureTable(columns), problems

    def save(self, folder: Path) -> None:
        """Write the pipeline into ``folder``."""
        state: dict[str, Any] = {
            "names": self.names,
            "settings": self.settings.model_dump(mode="json"),
            "fingerprints": self.fingerprints,
            "metadata": None if self.metadata is None else self.metadata.to_dict(),
        }
        if self.hashtags is not None:
            self.hashtags.save(folder / HASHTAG_FOLDER)
        write_json(folder / PIPELINE_FILE, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            The file is not a pipeline's.
        """
        state = read_json(folder / PIPELINE_FILE)
        try:
            pipeline = cls(state["names"], FeatureSettings.model_validate(state["settings"]))
            pipeline.fingerprints = dict(state["fingerprints"])
            if state["metadata"] is not None:
                pipeline.metadata = MetadataEncoder.from_dict(state["metadata"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not a feature pipeline ({error}).", file=folder / PIPELINE_FILE
            ) from (error)
        if "hashtags.vector" in pipeline.names:
            pipeline.hashtags = HashtagVectors.load(folder / HASHTAG_FOLDER)
        return pipeline
