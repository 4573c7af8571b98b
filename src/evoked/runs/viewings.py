"""Runs of viewings: which emotion a user feels at an image, predicted from a graph of both.

Beside what every run's folder holds (:mod:`evoked.runs.folder`)::

    my_run/
        graph/                users (as hashes), images, connections, memberships, vectors, and the
                              training viewings: all that a prediction looks at
        groups.parquet        ids and names of the communities
        features.json         the encoders
        split.parquet         which viewing was in which part, users as hashes
        predictions.parquet   predictions of the test viewings, users as hashes

So it predicts without the dataset: for a user or an image of the graph, and for new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.evaluation.conformal import DEFAULT_COVERAGE
from evoked.evaluation.splits import Split
from evoked.features.cache import FeatureCache
from evoked.features.extract import Problem
from evoked.features.social_graph import Integers, SocialGraph
from evoked.features.table import Column, FeatureTable
from evoked.features.viewings import (
    OWN_COMMENT,
    ViewingData,
    image_rows,
    mean_vectors,
    read_network,
    seconds,
    user_rows,
    viewing_features,
)
from evoked.files import write_parquet
from evoked.models import VIEWING_BASELINES, Examples, Model
from evoked.parquet import read_frame
from evoked.posts.author_hashes import hashes
from evoked.posts.dataset import PostDataset
from evoked.runs.base import Callbacks, Evaluation, RunContents, TrainedRun
from evoked.runs.folder import load_contents

GRAPH_FOLDER = "graph"
GROUPS_FILE = "groups.parquet"
NETWORK_TABLES = ("viewings", "connections", "groups", "memberships")
COMMENT_HIDDEN = "own comment hidden"

# Computed by encoders: pictures, and the texts of comments and groups, which are read as captions.
ENCODED_FEATURES = ["image.vector", "caption.vector"]
_ROWS_AT_ONCE = 4096

Image = str | Path | bytes

_LEARNED = "the run has learned from this very viewing"


@dataclass(frozen=True)
class Viewing:
    """One user looking at one image.

    Attributes
    ----------
    user
        Their id; one that the graph doesn't hold, or None, is a new user.
    image
        ``post_id`` of an image of the graph, or a picture: its ``Path`` or its bytes.
    groups
        Descriptions of the groups that a new user is in (Eq. 1).
    comment
        What they wrote, for models that read it.
    """

    user: str | None
    image: Image
    groups: Sequence[str] = ()
    comment: str | None = None


class NetworkRun(TrainedRun):
    """A trained model of viewings with the graph that it looks at.

    Parameters
    ----------
    contents
        What the run's folder holds.
    graph
        Who viewed what, who knows whom, who belongs to which group.
    groups
        The groups, a row each.
    cache
        Where extracted features are kept; the user's cache folder by default.

    Examples
    --------
    >>> run = evoked.train(evoked.open("my_network"), "hmg_emo", "my_run")  # doctest: +SKIP
    >>> run.predict([evoked.Viewing("user-17", Path("sunset.jpg"))])        # doctest: +SKIP
    """

    baselines = VIEWING_BASELINES
    noun = "viewings"

    def __init__(
        self,
        contents: RunContents,
        graph: SocialGraph,
        groups: pd.DataFrame,
        cache: FeatureCache | None = None,
    ) -> None:
        super().__init__(contents, cache)
        self.graph = graph
        self.groups = groups

    @classmethod
    def load(
        cls,
        folder: Path | str,
        cache: FeatureCache | None = None,
        *,
        model: type[Model] | None = None,
        allow_download: bool = False,
    ) -> NetworkRun:
        """Load a run of viewings; nothing in its folder is executed.

        Parameters
        ----------
        folder, cache, model, allow_download
            As in :func:`evoked.load`, which loads runs of posts as well.

        Returns
        -------
        NetworkRun
            The run.

        Raises
        ------
        DataError
            The folder holds no finished run of viewings, or its model is not known.
        """
        return cls.with_graph(load_contents(folder, model, "viewings", allow_download), cache)

    @classmethod
    def with_graph(cls, contents: RunContents, cache: FeatureCache | None = None) -> NetworkRun:
        """A run of viewings from what its folder holds, with the graph and the groups read.

        Parameters
        ----------
        contents
            What the folder holds.
        cache
            Where extracted features are kept; the user's cache folder by default.

        Returns
        -------
        NetworkRun
            The run, ready to predict.
        """
        folder = contents.folder
        graph = SocialGraph.load(folder / GRAPH_FOLDER)
        return cls(contents, graph, read_frame(folder / GROUPS_FILE), cache)

    def identify(self, posts: pd.DataFrame) -> pd.DataFrame:
        return posts[["user_id", "post_id"]].reset_index(drop=True)

    def anonymised(self, table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(user_id=hashes(table["user_id"])).rename(columns={"user_id": "user"})

    def facts(self, posts: pd.DataFrame) -> dict[str, Any]:
        return {"user": hashes(posts["user_id"])}

    def save_inputs(self) -> None:
        super().save_inputs()
        self.graph.save(self.folder / GRAPH_FOLDER)
        write_parquet(self.folder / GROUPS_FILE, self.groups)

    def knows(self, user: str) -> bool:
        """Whether the graph holds a user."""
        return bool(user_rows(self.graph, pd.Series([user]))[0] >= 0)

    def part_of(self, viewings: pd.DataFrame) -> pd.Series:
        """The part that each of n viewings had when the run was made; missing for new ones.

        A viewing is the run's own if user and image are and the date is the same as well.
        """
        keys = pd.DataFrame({"user": hashes(viewings["user_id"])})
        keys["post_id"] = viewings["post_id"].to_numpy()
        own = keys.merge(self.parts, on=["user", "post_id"], how="left")
        then, now = own["viewed_at"], viewings["viewed_at"].reset_index(drop=True)
        return own["part"].where(then.eq(now) | (then.isna() & now.isna()))

    def predict(
        self,
        viewings: PostDataset | Sequence[Viewing],
        callbacks: Callbacks | None = None,
        coverage: float = DEFAULT_COVERAGE,
    ) -> pd.DataFrame:
        """Predict what users feel at images.

        Parameters
        ----------
        viewings
            A dataset, whose viewings without an emotion are predicted, or single ones.
        callbacks
            Callbacks that report progress.
        coverage
            How often the sets of emotions are to hold the true one, between 0 and 1.

        Returns
        -------
        DataFrame
            A row per viewing: user_id, post_id (of a picture from elsewhere its name), the most
            probable emotion with its set and all probabilities, and ``problem``: what could not be
            read, or that the run has learned from this very viewing.

        Raises
        ------
        DataError
            An image that is neither in the graph nor a picture, or a dataset all of whose viewings
            have an emotion.
        """
        with self.checked():
            return self._predict(viewings, callbacks, coverage)

    def predict_nothing(self) -> None:
        self._predict([Viewing(None, str(self.graph.images[0]))], None, DEFAULT_COVERAGE)

    def _predict(
        self,
        viewings: PostDataset | Sequence[Viewing],
        callbacks: Callbacks | None,
        coverage: float,
    ) -> pd.DataFrame:
        if isinstance(viewings, PostDataset):
            network = self._read(viewings, callbacks)
            rows = np.flatnonzero(~network.known)
            if not len(rows):
                raise DataError(
                    "every viewing has an emotion, so there is none to predict.",
                    file=viewings.folder,
                    fix="'evoked evaluate' compares predictions with known emotions.",
                )
            return self.table(self.rows_of(network, rows), network.problems, coverage)
        examples, problems = self.examples(viewings, callbacks)
        table = self.table(examples, problems, coverage)
        learned = (examples.posts["viewing"] >= 0) & table["problem"].isna()
        table["problem"] = table["problem"].astype(object).mask(learned.to_numpy(), _LEARNED)
        return table

    def evaluate(self, dataset: PostDataset, callbacks: Callbacks | None = None) -> Evaluation:
        """Score the run on viewings that it has not learned from, beside the trivial baselines and,
        where the model reads the own comment, beside itself without it.

        Parameters
        ----------
        dataset
            The network whose viewings are scored.
        callbacks
            Callbacks that report progress.

        Returns
        -------
        Evaluation
            Scores, predictions, intervals and warnings.

        Raises
        ------
        DataError
            The run has learned from all viewings with a known emotion.
        """
        with self.checked():
            return self._evaluate(dataset, callbacks)

    def _evaluate(self, dataset: PostDataset, callbacks: Callbacks | None) -> Evaluation:
        network = self._read(dataset, callbacks)
        part = self.part_of(network.viewings)
        fresh = (part.isna() | (part == "test")).to_numpy()
        rows = np.flatnonzero(fresh & network.known)
        if not len(rows):
            raise DataError(
                f"the run has learned from all {int(network.known.sum())} viewings whose emotion "
                "is known.",
                file=dataset.folder,
                fix="Evaluate on other viewings.",
            )
        examples = self.rows_of(network, rows)
        own = part.iloc[rows].notna().all()
        split = self.description["split"]["reason"] if own else "viewings new to the run"
        excluded = int((~fresh & network.known).sum())
        return self.score(
            examples, network.problems, self.baseline_predictions(examples), split, excluded
        )

    def baseline_predictions(self, examples: Examples) -> dict[str, pd.DataFrame]:
        """Predictions of the trivial baselines; of a model that reads the comment under prediction
        also those that it makes without."""
        found = super().baseline_predictions(examples)
        if OWN_COMMENT in self.model.features:
            found[COMMENT_HIDDEN] = self.restored(self.model, self._without_comment(examples))
        return found

    def examples(
        self, viewings: Sequence[Viewing], callbacks: Callbacks | None = None
    ) -> tuple[Examples, list[Problem]]:
        """Single viewings as the model reads them, and pictures that could not be read.

        Parameters
        ----------
        viewings
            n viewings.
        callbacks
            Callbacks that report progress.

        Returns
        -------
        Examples, list of Problem
            The n viewings, and what was wrong with which picture.

        Raises
        ------
        DataError
            An image that is neither in the graph nor a picture.
        """
        frame = pd.DataFrame(
            {
                "user_id": pd.Series([each.user for each in viewings], dtype=object),
                "post_id": [_name(each.image) for each in viewings],
                "viewed_at": pd.Series(pd.NaT, range(len(viewings)), dtype="datetime64[us, UTC]"),
                "comment": pd.Series([each.comment for each in viewings], dtype=object),
                "emotion": pd.Series(None, range(len(viewings)), dtype=object),
                "author_id": pd.Series(None, range(len(viewings)), dtype=object),
            }
        )
        frame["user"] = user_rows(self.graph, frame["user_id"])
        named = pd.Series([isinstance(each.image, str) for each in viewings], dtype=bool)
        frame["image"] = image_rows(self.graph, frame["post_id"].where(named))
        unknown = frame["post_id"][named & (frame["image"] < 0)]
        if len(unknown):
            raise DataError(
                f"the run's graph holds no image {unknown.iloc[0]!r}.",
                file=self.folder,
                fix="Give the post_id of one of its images, or the path of a picture.",
            )
        sources = [None if isinstance(each.image, str) else each.image for each in viewings]
        stage = None if callbacks is None else callbacks.stage
        read, problems = self.pipeline.transform(
            pd.DataFrame({"post_id": frame["post_id"], "caption": frame["comment"]}),
            sources,
            cache=self.cache,
            progress=stage,
        )
        images, comments = (read.columns[name] for name in ENCODED_FEATURES)
        assert isinstance(images, Column)
        assert isinstance(comments, Column)
        features = {
            "user.vector": _filled(
                self.graph.user_vectors, frame["user"].to_numpy(), self._groups_of(viewings)
            ),
            "image.vector": _filled(self.graph.image_vectors, frame["image"].to_numpy(), images),
            OWN_COMMENT: comments,
        }
        table = viewing_features(self.model.features, features, len(frame))
        return self._in_graph(frame, table), problems

    def of_users(self, users: Integers, image: Image) -> Examples:
        """The viewings of one image by users of the graph (n,), given by their rows.

        Parameters
        ----------
        users
            Rows of users of the graph, (n,).
        image
            The id of an image of the graph, or a picture.

        Returns
        -------
        Examples
            One per user, in their order.

        Raises
        ------
        DataError
            An image that is neither in the graph nor a picture, or that can't be read.
        """
        one, problems = self.examples([Viewing(None, image)])
        if problems:
            raise DataError(problems[0].message)
        posts = one.posts.iloc[np.zeros(len(users), dtype=np.int64)].reset_index(drop=True)
        posts = posts.assign(user_id=self.graph.users[users], user=users)
        nothing = np.zeros(len(users), dtype=np.int64)
        features = {
            name: self.graph.user_vectors.select(users)
            if name == "user.vector"
            else column.select(nothing)
            for name, column in one.features.columns.items()
        }
        return self._in_graph(posts, FeatureTable(features))

    def rows_of(self, network: ViewingData, rows: Integers) -> Examples:
        """Viewings of a network (n,) as the model reads them, in the run's own graph.

        An image is the graph's if its id is and its picture has the same vector: ids alone prove
        nothing, since many files number their posts from one.

        Parameters
        ----------
        network
            The network.
        rows
            Which of its viewings, (n,).

        Returns
        -------
        Examples
            One per row, in their order.
        """
        frame = network.viewings.iloc[rows].reset_index(drop=True)
        images = image_rows(self.graph, pd.Series(network.graph.images))
        own = np.flatnonzero(images >= 0)
        same = _same_vectors(
            network.graph.image_vectors.select(own), self.graph.image_vectors.select(images[own])
        )
        images[own[~same]] = -1
        frame["user"] = user_rows(self.graph, frame["user_id"])
        frame["image"] = images[frame["image"]]
        return self._in_graph(frame, network.features(self.model.features, rows))

    def _read(self, dataset: PostDataset, callbacks: Callbacks | None) -> ViewingData:
        self.pipeline.check_encoders()
        stage = None if callbacks is None else callbacks.stage
        return read_network(dataset, self.pipeline.settings, cache=self.cache, progress=stage)

    def _groups_of(self, viewings: Sequence[Viewing]) -> Column:
        """Mean over the descriptions that each viewing's user came with."""
        texts = [(row, text) for row, each in enumerate(viewings) for text in each.groups]
        owners = np.array([row for row, _ in texts], dtype=np.int64)
        described = pd.DataFrame(
            {"post_id": [str(row) for row, _ in texts], "caption": [text for _, text in texts]}
        )
        table, _ = self.pipeline.transform(described, [None] * len(texts), cache=self.cache)
        column = table.columns["caption.vector"]
        assert isinstance(column, Column)
        memberships = np.stack([owners, np.arange(len(texts), dtype=np.int64)])
        return mean_vectors(memberships, len(viewings), column)

    def _in_graph(self, frame: pd.DataFrame, features: FeatureTable) -> Examples:
        """Examples of viewings whose ``user`` and ``image`` are known, in the run's graph."""
        users, images = (frame[name].to_numpy(np.int64) for name in ("user", "image"))
        place = np.searchsorted(self._pairs[0], users * len(self.graph.images) + images)
        place = np.minimum(place, len(self._pairs[0]) - 1)
        found = self._pairs[0][place] == users * len(self.graph.images) + images
        seen = np.where(found & (users >= 0) & (images >= 0), self._pairs[1][place], -1)
        examples = Examples(frame.assign(viewing=seen), features, None, self.graph)
        return self._with_comments(examples) if OWN_COMMENT in features.columns else examples

    @cached_property
    def _pairs(self) -> tuple[Integers, Integers]:
        """Users and images that the graph joins, as one ascending number, and their viewings."""
        users, images = self.graph.viewings
        numbers = users * len(self.graph.images) + images
        order = np.argsort(numbers, kind="stable")
        return numbers[order], order

    def _with_comments(self, examples: Examples) -> Examples:
        """The viewings stand in the graph, too, with their comments and without an emotion."""
        posts, graph = examples.posts, self.graph
        comments = examples.features.columns[OWN_COMMENT]
        assert isinstance(comments, Column)
        nodes = posts[["user", "image"]].to_numpy(np.int64).T
        added = np.flatnonzero((nodes >= 0).all(axis=0) & (posts["viewing"].to_numpy() < 0))
        shown = posts["viewing"].to_numpy(np.int64).copy()
        shown[added] = graph.viewings.shape[1] + np.arange(len(added))
        unknown = np.full(len(added), -1, dtype=np.int64)
        extended = replace(
            graph,
            comment_vectors=graph.comment_vectors.followed_by(comments.select(added).compact()),
            viewings=np.concatenate([graph.viewings, nodes[:, added]], axis=1),
            emotions=np.concatenate([graph.emotions, unknown]),
            times=np.concatenate([graph.times, seconds(posts["viewed_at"])[added]]),
        )
        return replace(examples, posts=posts.assign(viewing=shown), graph=extended)

    def _without_comment(self, examples: Examples) -> Examples:
        """As it is before users comment: neither a feature nor the graph shows their comments."""
        posts, comments = examples.posts, examples.features.columns[OWN_COMMENT]
        assert isinstance(comments, Column)
        known = self.graph.viewings.shape[1]
        hidden = Column(comments.data, np.full_like(comments.index, -1))
        return replace(
            examples,
            posts=posts.assign(viewing=posts["viewing"].where(posts["viewing"] < known, -1)),
            features=FeatureTable({**examples.features.columns, OWN_COMMENT: hidden}),
            graph=self.graph,
        )


def _filled(known: Column, rows: Integers, others: Column) -> Column:
    """Rows of ``known`` (n,), and where they are -1 that of ``others`` (n rows) at the place."""
    if (rows >= 0).all():
        return known.select(rows)
    both = known.select(np.maximum(rows, 0)).compact().followed_by(others)
    place = np.arange(len(rows))
    return both.select(np.where(rows >= 0, place, len(rows) + place))


def _same_vectors(one: Column, other: Column) -> NDArray[np.bool_]:
    """Which rows of two columns (n,) are equal but for rounding, or both absent."""
    same = one.present == other.present
    for start in range(0, len(same), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(same)))
        first, second = (column.arrays(rows)[""] for column in (one, other))
        same[rows] &= np.isclose(first, second, rtol=1e-2, atol=1e-3).all(axis=1)
    return same


def _name(image: Image) -> str:
    if isinstance(image, bytes):
        return "picture"
    return image.name if isinstance(image, Path) else image


def viewings_in_parts(viewings: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Which viewing is in which part, with what recognises it: the user's hash, the image and the
    date."""
    return pd.DataFrame(
        {
            "user": hashes(viewings["user_id"]),
            "post_id": viewings["post_id"],
            "viewed_at": viewings["viewed_at"],
            "part": split.part_names(len(viewings)),
        }
    )
