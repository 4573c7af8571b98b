"""Models as graphs: from features to what a model predicts.

A graph takes a model's features by their names in the catalog, as
:meth:`evoked.features.table.FeatureTable.arrays` gives them, and returns ``predicted``, (n, columns
of the task). Lines, trees and blends are written down operation by operation; networks are exported
by torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoked.errors import SettingsError
from evoked.features.catalog import CATALOG
from evoked.features.encoders._graph import Graph
from evoked.models.base import Model
from evoked.targets import task_state

PREDICTED = "predicted"
LAST_POSTS = "last posts"
LEVELS = "levels"

# Posts and tokens of the example by which a network is traced: two or more, since one would fix the
# size of batches at one.
_POSTS, _TOKENS, _OBJECTS = 3, 5, 4
_DOUBLE, _FLOAT, _WHOLE = 11, 1, 7  # ONNX's numbers of types
_LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Head:
    """A model as a graph.

    Attributes
    ----------
    content
        Of an ONNX file.
    inputs
        Names of what it takes: of features and of :data:`LAST_POSTS` and :data:`LEVELS`.
    last_posts
        State of the baseline of an author's last posts, if the model reads that.
    levels
        State of the task that knows authors' levels, if the model reads these.
    """

    content: bytes
    inputs: tuple[str, ...]
    last_posts: dict[str, Any] | None = None
    levels: dict[str, Any] | None = None


def exported_head(model: Model) -> Head:
    """A fitted model as a graph.

    Raises
    ------
    SettingsError
        The model can't be exported; the message says why.
    """
    from evoked.models.baselines import MeanOfTraining
    from evoked.models.members import Combination
    from evoked.models.pooled import PooledModel

    if isinstance(model, PooledModel | Combination | MeanOfTraining):
        return _Written(model).head()
    return _traced(model)


def cannot(model: Model, why: str) -> SettingsError:
    """The error that a model can't be exported."""
    return SettingsError(f"a run of the model {model.name!r} can't be exported: {why}.")


@dataclass
class _Written:
    """A graph of lines and trees in the making."""

    model: Model
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)
    last_posts: dict[str, Any] | None = None
    levels: dict[str, Any] | None = None

    def head(self) -> Head:
        # Constants are added while the graph is written, so it holds the dictionary itself.
        features = list(self.model.features)
        inputs: dict[str, NDArray[Any]] = {}
        for name in features:
            inputs[name] = np.zeros((1, 1), np.float32)
            inputs[f"{name}.present"] = np.ones(1, np.bool_)
        inputs[LAST_POSTS] = inputs[LEVELS] = np.zeros((1, 1), np.float32)
        self.graph = Graph(inputs, self.weights)
        found = self._predicted(self.model)
        self.graph.add("Cast", found, to=_FLOAT, result=PREDICTED)
        kept = [name for name in inputs if self.graph.reads(name)]
        self.graph.keep_inputs(kept)
        return Head(self.graph.exported([PREDICTED]), tuple(kept), self.last_posts, self.levels)

    def _predicted(self, model: Model) -> str:
        """Add a model; the name of what it predicts, float64 (n, targets), for targets that some
        training post has."""
        from evoked.models.baselines import MeanOfTraining
        from evoked.models.blend import Blend
        from evoked.models.gradient_boosting import GradientBoosting
        from evoked.models.linear import Linear
        from evoked.models.stacking import Stack

        writers: list[tuple[type[Model], Callable[[Any], str]]] = [
            (MeanOfTraining, self._mean),
            (Linear, self._linear),
            (GradientBoosting, self._boosted),
            (Blend, self._blend),
            (Stack, self._stack),
        ]
        for kind, write in writers:
            if isinstance(model, kind):
                return write(model)
        raise cannot(model, "nobody has written it as a graph")

    def _constant(self, values: Any, dtype: Any = np.float64) -> str:
        name = f"constant {len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(np.asarray(values, dtype=dtype))
        return name

    def _mean(self, model: Any) -> str:
        """What the groups' means are, or the last posts did: both are worked out beside the
        graph."""
        from evoked.models.baselines import AuthorMean, MeanOfTraining, RecentPosts

        if type(model) not in (MeanOfTraining, AuthorMean, RecentPosts):
            raise cannot(model, "an export knows posts by their authors' hashes alone")
        task = getattr(model, "fitted_task", None)
        state = {
            "means": model.means,
            "group_means": model.group_means if isinstance(model, AuthorMean) else {},
            "recent": getattr(model, "recent", {}),
            "task": None if task is None else task_state(task),
        }
        if self.last_posts not in (None, state):
            raise cannot(self.model, "two of its members look at an author's last posts")
        self.last_posts = state
        return self.graph.add("Cast", LAST_POSTS, to=_DOUBLE)

    def _present(self, name: str) -> str:
        """Whether each post has a feature, bool (n, 1)."""
        return self.graph.add("Unsqueeze", f"{name}.present", self._constant([1], np.int64))

    def _where_present(self, name: str, values: str, otherwise: float) -> str:
        """Values (n, width) made of a feature, and another for posts without it. Not NaN, which
        means one thing to ONNX Runtime and another to OpenVINO."""
        absent = self._constant(otherwise, np.float32)
        return self.graph.add("Where", self._present(name), values, absent)

    def _joined(self, parts: Sequence[str]) -> str:
        return self.graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]

    def _linear(self, model: Any) -> str:
        """See :meth:`evoked.models.linear.Linear.predict`."""
        graph, arrays = self.graph, model.arrays
        ends = np.cumsum([0, *(model.widths[name] for name in model.features)])
        parts = []
        for name, (start, stop) in zip(model.features, pairwise(ends), strict=True):
            scaled = self._scaled(name, arrays, slice(start, stop))
            parts.append(self._where_present(name, scaled, 0.0))
        for place, name in enumerate(model.features):
            flag = graph.add("Cast", self._present(name), to=_FLOAT)
            column = ends[-1] + place
            parts.append(self._scaled(flag, arrays, slice(column, column + 1)))
        known = self._joined(parts)
        weights, bias = (
            self._constant(values, np.float32)
            for values in (arrays["weights"].T, np.maximum(arrays["bias"], np.float32(-1e30)))
        )
        lines = graph.add(
            "Cast", graph.add("Add", graph.add("MatMul", known, weights), bias), to=_DOUBLE
        )
        return self._bent(model, self._by_kind(model, lines, arrays["low"], arrays["high"]))

    def _scaled(self, values: str, arrays: Mapping[str, Any], columns: slice) -> str:
        """Some of a line's columns, standardised."""
        centre, scale = (
            self._constant([arrays[name][columns]], np.float32) for name in ("centre", "scale")
        )
        return self.graph.add("Div", self.graph.add("Sub", values, centre), scale)

    def _by_kind(self, model: Any, lines: str, low: Any, high: Any) -> str:
        """Probabilities of classes and of yes, and values within bounds, from lines."""
        from evoked.models.linear import places

        classes, binary, numbers = places(model.task)
        order: list[int] = []
        parts: list[str] = []
        for columns in classes:
            parts.append(self.graph.add("Softmax", self._columns(lines, columns), axis=1))
            order += columns
        if binary:
            parts.append(self.graph.add("Sigmoid", self._columns(lines, binary)))
            order += binary
        if numbers:
            least, most = (self._constant(ends[numbers]) for ends in (low, high))
            values = self.graph.add("Max", self._columns(lines, numbers), least)
            parts.append(self.graph.add("Min", values, most))
            order += numbers
        return self._columns(self._joined(parts), np.argsort(order).tolist())

    def _columns(self, table: str, columns: Sequence[int]) -> str:
        return self.graph.add("Gather", table, self._constant(columns, np.int64), axis=1)

    def _bent(self, model: Model, straight: str) -> str:
        """Columns as the task has them, from what lines and trees predict."""
        logistic = [model.task.is_logistic(name) for name in model.targets]
        if not any(logistic):
            return straight
        chosen = self._constant([logistic], np.bool_)
        return self.graph.add("Where", chosen, self.graph.add("Sigmoid", straight), straight)

    def _straightened(self, model: Model, columns: str) -> str:
        """Inverse of :meth:`_bent`; see :meth:`evoked.targets.Task.straightened`."""
        from evoked.targets.base import NEAREST

        logistic = [model.task.is_logistic(name) for name in model.targets]
        if not any(logistic):
            return columns
        graph = self.graph
        bounded = graph.add("Max", columns, self._constant(NEAREST))
        bounded = graph.add("Min", bounded, self._constant(1 - NEAREST))
        rest = graph.add("Sub", self._constant(1.0), bounded)
        straight = graph.add("Log", graph.add("Div", bounded, rest))
        return graph.add("Where", self._constant([logistic], np.bool_), straight, columns)

    def _boosted(self, model: Any) -> str:
        """See :meth:`evoked.models.gradient_boosting.GradientBoosting.predict`."""
        graph, targets = self.graph, len(model.targets)
        parts = []
        for name in model.features:
            values = name
            if name in model.projections:
                mean, components = np.split(model.projections[name], [1])
                centred = graph.add("Sub", values, self._constant(mean, np.float32))
                values = graph.add("MatMul", centred, self._constant(components.T, np.float32))
            # What is missing is above no border.
            parts.append(self._where_present(name, values, _LOWEST))
        starts = self._constant(np.zeros((1, targets)))
        if model.fitted_task is not None:
            self.levels = task_state(model.fitted_task)
            starts = graph.add("Neg", graph.add("Cast", LEVELS, to=_DOUBLE))
        if model.line is not None:
            line = self._straightened(model, self._linear(model.line))
            of_values = [column in model.value_columns() for column in range(targets)]
            starts = graph.add("Where", self._constant([of_values], np.bool_), line, starts)
            as_learned = graph.add("Cast", starts, to=_FLOAT)
            starts = graph.add("Cast", as_learned, to=_DOUBLE)
            parts.append(self._columns(as_learned, model.value_columns()))
        matrix = self._joined(parts)
        n_like = graph.add("Mul", self._columns_of_zeros(matrix), self._constant([[1.0] * targets]))
        sums = [
            self._trees(model.trees[name], matrix)
            if name in model.trees
            else self._columns(n_like, [column])
            for column, name in enumerate(model.targets)
        ]
        straight = graph.add("Add", self._joined(sums), starts)
        bent = self._bent(model, straight)
        low, high = np.array([model.task.bounds(name) for name in model.targets]).T
        bounded = graph.add("Max", bent, self._constant([low]))
        bounded = graph.add("Min", bounded, self._constant([high]))
        grown = [name in model.trees for name in model.targets]
        means = [model.means.get(name, 0.0) for name in model.targets]
        return graph.add(
            "Where", self._constant([grown], np.bool_), bounded, self._constant([means])
        )

    def _columns_of_zeros(self, matrix: str) -> str:
        """float64, (n, 1), 0 whatever the matrix holds."""
        shape = self.graph.add("Shape", matrix)
        first = self.graph.add("Gather", shape, self._constant([0], np.int64), axis=0)
        size = self.graph.add("Concat", first, self._constant([1], np.int64), axis=0)
        return self.graph.add("Expand", self._constant([[0.0]]), size)

    def _trees(self, trees: Any, matrix: str) -> str:
        """See :meth:`evoked.models._symmetric_trees.SymmetricTrees.predict`; float64, (n, 1)."""
        graph = self.graph
        number, depth = trees.columns.shape
        if not depth:
            constant = self._constant([[float(trees.leaves.sum() + trees.bias[0])]])
            return graph.add("Add", self._columns_of_zeros(matrix), constant)
        asked = self._columns(matrix, trees.columns.ravel())
        above = graph.add("Greater", asked, self._constant([trees.borders.ravel()], np.float32))
        # Numbers of leaves as fractions: OpenVINO miscounts whole ones where it fuses operations.
        bits = graph.add("Cast", above, to=_FLOAT)
        by_tree = graph.add("Reshape", bits, self._constant([-1, number, depth], np.int64))
        powers = self._constant(2.0 ** np.arange(depth)[:, None], np.float32)
        leaf = graph.add("MatMul", by_tree, powers)
        leaf = graph.add("Squeeze", leaf, self._constant([2], np.int64))
        first = self._constant([np.arange(number) * trees.leaves.shape[1]], np.int64)
        place = graph.add("Add", graph.add("Cast", leaf, to=_WHOLE), first)
        values = graph.add("Gather", self._constant(trees.leaves.ravel()), place)
        total = graph.add("ReduceSum", values, self._constant([1], np.int64), keepdims=1)
        return graph.add("Add", total, self._constant([trees.bias]))

    def _blend(self, model: Any) -> str:
        """See :func:`evoked.models.blend.blended`."""
        shares = np.ones((len(model.members), len(model.targets)))
        for outcome in model.task.outcomes:
            for name in outcome.columns if outcome.name in model.settings.weights else ():
                shares[:, model.task.columns.index(name)] = model.settings.weights[outcome.name]
        shares /= shares.sum(axis=0)
        weighed = [
            self.graph.add("Mul", self._predicted(member), self._constant([own]))
            for member, own in zip(model.members, shares, strict=True)
        ]
        return self.graph.add("Sum", *weighed)

    def _stack(self, model: Any) -> str:
        raise cannot(model, "nobody has written it as a graph")


def _traced(model: Any) -> Head:
    """A network, exported by torch."""
    from evoked.models.neural import NeuralModel

    if not isinstance(model, NeuralModel):
        raise cannot(model, "it is neither a network nor made of lines and trees")
    if model.rows == "viewings":
        raise cannot(model, "it looks at a graph of users and images, which grows with every use")
    trained = [name for name in model.features if name.endswith((".pixels", ".ids"))]
    if trained:
        raise cannot(model, f"it trained its encoders along ({', '.join(trained)})")
    import torch

    examples = {name: torch.from_numpy(each) for name, each in example_inputs(model).items()}
    # Batches of any size, and of any number of tokens; torch finds out which of these agree.
    shapes = tuple(
        {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
        if _is_ragged(name.removesuffix(".mask"))
        else {0: torch.export.Dim.AUTO}
        for name in examples
    )
    network = _OfArrays(model.network, list(examples)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own workings
        program = torch.onnx.export(
            network,
            tuple(examples.values()),
            dynamo=True,
            dynamic_shapes=(shapes,),
            input_names=list(examples),
            output_names=[PREDICTED],
            verbose=False,
        )
    content = program.model_proto.SerializeToString()  # type: ignore[union-attr]
    return Head(content, tuple(examples))


def example_inputs(
    model: Any, posts: int = _POSTS, tokens: int = _TOKENS, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """Random features as a model reads them, by the names of
    :meth:`evoked.features.table.FeatureTable.arrays`."""
    random = np.random.default_rng(seed)
    found: dict[str, NDArray[Any]] = {}
    for name in model.features:
        width = model.widths[name]
        if _is_ragged(name):
            longest = _OBJECTS if name == "image.objects" else tokens
            lengths = random.integers(1, longest + 1, posts)
            lengths[0] = longest
            mask = np.arange(longest) < lengths[:, None]
            values = random.normal(size=(posts, longest, width)).astype(np.float32)
            found[name] = values * mask[..., None]
            found[f"{name}.mask"] = mask
        elif CATALOG[name].kind == "tokens":
            found[name] = random.normal(size=(posts, _positions(model), width)).astype(np.float32)
        else:
            found[name] = random.normal(size=(posts, width)).astype(np.float32)
        found[f"{name}.present"] = np.ones(posts, np.bool_)
    return found


def _is_ragged(name: str) -> bool:
    return name == "image.objects" or name.endswith(".tokens")


def _positions(model: Any) -> int:
    from evoked.features.encoders import image_encoder

    rows, columns = image_encoder(model.feature_settings.image_encoder).grid
    return rows * columns


def _OfArrays(network: Any, names: Sequence[str]) -> Any:  # noqa: N802 (a class, once torch is there)
    """A network that takes its batch as one argument for each array."""
    from torch import nn

    class OfArrays(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *arrays: Any) -> Any:
            return self.network(dict(zip(names, arrays, strict=True)))

    return OfArrays()
