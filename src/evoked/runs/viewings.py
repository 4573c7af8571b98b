"""A run of viewings: which emotion a user feels at an image, with the graph that tells it.

Beside what every run's folder holds (:mod:`evoked.runs.posts`)::

    my_run/
        graph/                users (as hashes), images, connections, memberships, vectors, and the
                              training viewings: all that a prediction looks at
        groups.parquet        ids and names of the communities
        features.json         the encoders
        split.parquet         which viewing was in which part, users as hashes
        predictions.parquet   of the test viewings, users as hashes

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

from evoked.errors import DataError, SettingsError
from evoked.evaluation.conformal import DEFAULT_COVERAGE, Intervals
from evoked.evaluation.splits import PARTS, VIEWING_FRACTIONS, Split, choose_split
from evoked.features.cache import FeatureCache
from evoked.features.catalog import FeatureSettings
from evoked.features.extract import Problem
from evoked.features.pipeline import FeaturePipeline
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
from evoked.files import atomic_path
from evoked.models import VIEWING_BASELINES, Examples, Model, build_model
from evoked.models.viewings import viewing_examples
from evoked.posts.author_hashes import hashes
from evoked.posts.dataset import PostDataset
from evoked.runs.posts import (
    Evaluation,
    Progress,
    Run,
    TrainedRun,
    calibrated_split,
    claim,
    data_description,
    environment,
    finish,
    fit_baselines,
    fit_intervals,
    load_parts,
    plan_of,
)
from evoked.targets import Task
from evoked.training.settings import TrainingSettings

GRAPH_FOLDER = "graph"
GROUPS_FILE = "groups.parquet"
NETWORK_TABLES = ("viewings", "connections", "groups", "memberships")
COMMENT_HIDDEN = "own comment hidden"

# Computed by encoders: pictures, and the texts of comments and groups, which are read as captions.
_ENCODED = ["image.vector", "caption.vector"]
_ROWS_AT_ONCE = 4096

Image = str | Path | bytes

_LEARNED = "the run has learned from this very viewing"


@dataclass(frozen=True)
class Viewing:
    """One user at the sight of one image.

    Attributes
    ----------
    user
        Their id; one that the graph doesn't hold, or None, is a new user.
    image
        ``post_id`` of an image of the graph, or a picture: its ``Path`` or its bytes.
    groups
        Of a new user: descriptions of the groups that they are in (Eq. 1).
    comment
        What they wrote, for models that read it.
    """

    user: str | None
    image: Image
    groups: Sequence[str] = ()
    comment: str | None = None


class NetworkRun(TrainedRun):
    """A trained model of viewings with the graph that it looks at.

    Examples
    --------
    >>> run = evoked.train(evoked.open("my_network"), "hmg_emo", "my_run")  # doctest: +SKIP
    >>> run.predict([Viewing("user-17", "sunset.jpg")])                     # doctest: +SKIP
    """

    baselines = VIEWING_BASELINES
    noun = "viewings"

    def __init__(
        self,
        folder: Path,
        model: Model,
        pipeline: FeaturePipeline,
        task: Task,
        description: dict[str, Any],
        parts: pd.DataFrame,
        graph: SocialGraph,
        groups: pd.DataFrame,
        cache: FeatureCache | None = None,
        intervals: Intervals | None = None,
    ) -> None:
        super().__init__(folder, model, task, description, parts, cache, intervals)
        self.pipeline = pipeline
        self.graph = graph
        self.groups = groups

    @classmethod
    def load(cls, folder: Path | str, cache: FeatureCache | None = None) -> NetworkRun:
        """Load a run's folder; nothing in it is executed.

        Raises
        ------
        DataError
            The folder holds no finished run of viewings.
        """
        folder = Path(folder)
        stored = load_parts(folder)
        if stored.model.rows != "viewings":
            raise DataError(
                f"a run of posts ({stored.model.name}), not of viewings.",
                file=folder,
                fix="Load it with evoked.Run.load.",
            )
        return cls(
            folder,
            stored.model,
            FeaturePipeline.load(folder),
            stored.task,
            stored.description,
            stored.parts,
            SocialGraph.load(folder / GRAPH_FOLDER),
            pd.read_parquet(folder / GROUPS_FILE),
            cache,
            stored.intervals,
        )

    def identify(self, posts: pd.DataFrame) -> pd.DataFrame:
        return posts[["user_id", "post_id"]].reset_index(drop=True)

    def anonymised(self, table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(user_id=hashes(table["user_id"])).rename(columns={"user_id": "user"})

    def facts(self, posts: pd.DataFrame) -> dict[str, Any]:
        return {"user": hashes(posts["user_id"])}

    def save_inputs(self) -> None:
        self.graph.save(self.folder / GRAPH_FOLDER)
        self.pipeline.save(self.folder)
        with atomic_path(self.folder / GROUPS_FILE) as path:
            self.groups.to_parquet(path, index=False)

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
        progress: Progress | None = None,
        coverage: float = DEFAULT_COVERAGE,
    ) -> pd.DataFrame:
        """Predict what users feel at images.

        Parameters
        ----------
        viewings
            A dataset, whose viewings without an emotion are predicted, or single ones.
        progress
            Whom to tell how far it is.
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
        if isinstance(viewings, PostDataset):
            network = self._read(viewings, progress)
            rows = np.flatnonzero(~network.known)
            if not len(rows):
                raise DataError(
                    "every viewing has an emotion, so there is none to predict.",
                    file=viewings.folder,
                    fix="'evoked evaluate' compares predictions with known emotions.",
                )
            return self.table(self.rows_of(network, rows), network.problems, coverage)
        examples, problems = self.examples(viewings, progress)
        table = self.table(examples, problems, coverage)
        learned = (examples.posts["viewing"] >= 0) & table["problem"].isna()
        table["problem"] = table["problem"].astype(object).mask(learned.to_numpy(), _LEARNED)
        return table

    def evaluate(self, dataset: PostDataset, progress: Progress | None = None) -> Evaluation:
        """Score the run on viewings that it has not learned from, beside the trivial baselines and,
        where the model reads the own comment, beside itself without it.

        Raises
        ------
        DataError
            The run has learned from all viewings with a known emotion.
        """
        network = self._read(dataset, progress)
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
        self, viewings: Sequence[Viewing], progress: Progress | None = None
    ) -> tuple[Examples, list[Problem]]:
        """Single viewings as the model reads them, and pictures that could not be read.

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
        stage = None if progress is None else progress.stage
        read, problems = self.pipeline.transform(
            pd.DataFrame({"post_id": frame["post_id"], "caption": frame["comment"]}),
            sources,
            cache=self.cache,
            progress=stage,
        )
        images, comments = (read.columns[name] for name in _ENCODED)
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

        An image is the graph's if its id is and its picture has the same vector: ids alone don't
        tell, since many files number their posts from one.
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

    def _read(self, dataset: PostDataset, progress: Progress | None) -> ViewingData:
        self.pipeline.check_encoders()
        stage = None if progress is None else progress.stage
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


def load_run(folder: Path | str, cache: FeatureCache | None = None) -> Run | NetworkRun:
    """Load a run's folder, of posts or of viewings; nothing in it is executed.

    Raises
    ------
    DataError
        The folder holds no finished run.
    """
    kind = NetworkRun if (Path(folder) / GRAPH_FOLDER).is_dir() else Run
    return kind.load(folder, cache)


def train_network(
    dataset: PostDataset,
    model: str = "hmg_emo",
    out: Path | str = "run",
    *,
    task: str | None = None,
    model_settings: dict[str, Any] | None = None,
    features: FeatureSettings | None = None,
    training: TrainingSettings | None = None,
    split: str | Split | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> NetworkRun:
    """Train a model on viewings, score it on held-out ones, and save it all with its graph.

    Started again with the same arguments after an interruption, it goes on where it stopped. The
    graph shows the training viewings alone, those without an emotion included.

    Parameters
    ----------
    dataset
        A network: posts with viewings, connections, groups and memberships.
    model
        One that ``evoked models`` says is of viewings.
    split
        ``time``, ``user``, ``image``, ``random``, or a split of
        ``read_network(dataset).viewings`` made by hand; by default the one that fits them, with
        its reason in ``run.description``.
    out, task, model_settings, features, training, cache, progress
        As in :func:`evoked.runs.posts.train`.

    Raises
    ------
    DataError
        No viewings, too few, or none with an emotion.
    SettingsError
        An unknown model or setting, a model of posts, or ``out`` holds another run.
    """
    progress = progress or Progress()
    features = features or FeatureSettings()
    out = Path(out)
    built = build_model(model, model_settings, features, task)
    training = training or built.default_training
    if built.rows != "viewings":
        raise SettingsError(f"{built.name} learns from {built.rows}, not from viewings.")
    network = read_network(dataset, features, cache=cache, progress=progress.stage)
    viewings = network.viewings
    for note in network.notes:
        progress.note(note)
    if isinstance(split, Split):
        chosen = split
    else:
        chosen = choose_split(viewings, split, training.seed, VIEWING_FRACTIONS)
    chosen = calibrated_split(viewings, chosen, training.seed, progress)
    data = data_description(dataset, [chosen], ("posts", *NETWORK_TABLES))
    plan = plan_of({**data, **_sizes(network)}, built, features, training, chosen)
    claim(out, plan)
    if built.caution:
        progress.note(built.caution)
    if network.problems:
        progress.note(
            f"{len(network.problems)} pictures could not be read; their images have no vector."
        )

    fitted_task = built.task.fit(viewings.iloc[chosen.train])
    parts = {
        name: viewing_examples(
            network, built, fitted_task, chosen.train, _told(network, getattr(chosen, name))
        )
        for name in PARTS
    }
    built.fit(
        parts["train"],
        parts["validation"],
        folder=out / "training",
        training=training,
        progress=progress.epoch,
    )
    fit_baselines(NetworkRun.baselines, built, parts["train"], out)
    run = NetworkRun(
        out,
        built,
        FeaturePipeline(_ENCODED, features).fit(dataset.posts),
        fitted_task,
        {**plan, "caution": built.caution, "environment": environment()},
        _parts(viewings, chosen),
        network.graph.with_viewings(chosen.train),
        network.groups,
        cache,
        fit_intervals(fitted_task, built, parts),
    )
    finish(run, parts["test"], network.problems, progress)
    return run


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
        first, second = (column.take(rows)[""].numpy() for column in (one, other))
        same[rows] &= np.isclose(first, second, rtol=1e-2, atol=1e-3).all(axis=1)
    return same


def _name(image: Image) -> str:
    if isinstance(image, bytes):
        return "picture"
    return image.name if isinstance(image, Path) else image


def _told(network: ViewingData, rows: Integers) -> Integers:
    """Those of the viewings that tell an emotion: the others teach nothing and are not scored."""
    return rows[network.known[rows]]


def _sizes(network: ViewingData) -> dict[str, int]:
    graph = network.graph
    return {
        "users": len(graph.users),
        "images": len(graph.images),
        "viewings": graph.viewings.shape[1],
        "with emotion": int(network.known.sum()),
        "with comment": int(graph.comment_vectors.present.sum()),
        "connections": graph.connections.shape[1] // 2,
        "memberships": graph.memberships.shape[1],
    }


def _parts(viewings: pd.DataFrame, split: Split) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user": hashes(viewings["user_id"]),
            "post_id": viewings["post_id"],
            "viewed_at": viewings["viewed_at"],
            "part": split.part_names(len(viewings)),
        }
    )
