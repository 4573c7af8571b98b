"""Linear models on pooled features: the models that a network has to beat.

Ridge regression for values, logistic regression for classes and for true or false, on all features
end to end (Hastie, Tibshirani and Friedman 2009, *The Elements of Statistical Learning*, Sections
3.4 and 4.4). Columns are standardised with the training posts and divided by the square root of the
number of columns of their feature, so that a penalty affects all features alike: otherwise seventy
columns about author and time would be lost among a thousand of image and text. How much the long
vectors of pictures, captions and hashtags count beside the facts, if at all, is chosen with the
penalty: few posts can't teach what two thousand numbers mean. A missing value
counts as the training posts' mean, and one column per feature shows whether the feature is there.
A column in which fewer than five training posts differ from the others is ignored: standardised, it
would predict the value of one odd post for every draft that is odd in the same way, for example
without a picture.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator
from safetensors.numpy import load_file
from scipy.special import expit, logit, softmax

from evoked.features.catalog import FeatureSettings
from evoked.files import read_object, write_json, write_safetensors
from evoked.models.base import MODEL_FILE, WEIGHTS_FILE, Examples, reading_weights
from evoked.models.pooled import (
    Matrix,
    PooledModel,
    PooledSettings,
    Sample,
    pooled_matrix,
    principal_components,
    row_batches,
)
from evoked.targets import Task
from evoked.training.records import EpochRecord
from evoked.training.settings import TrainingSettings

_LEAST_PROBABILITY = 1e-12
# For the solver of logistic regression, which starts from the solution of the stronger penalty.
_MOST_STEPS, _TOLERANCE = 200, 1e-3
# Posts that each component of their vectors takes at least.
_POSTS_PER_COMPONENT = 5
# Posts of which components are sure.
_POSTS_ENOUGH = 10_000
# Posts that have to differ from the others in a column, so that no single post decides its weight.
_FEWEST_POSTS = 5


class LinearSettings(PooledSettings):
    """Settings of the linear models."""

    penalties: tuple[float, ...] = Field(
        (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
        description="candidate penalties on the squared weights, per training post; the one that "
        "predicts the validation posts best is kept",
    )
    vector_weights: tuple[float, ...] = Field(
        (1.0, 0.3, 0.1, 0.0),
        min_length=1,
        description="candidates for what the columns of pictures, captions and hashtags are "
        "multiplied by beside the facts, chosen with the penalty; 0 reads the facts alone; the "
        "first where no validation post judges",
    )
    components: int = Field(
        0,
        ge=0,
        description="principal components that a longer vector of pictures, captions or hashtags "
        "is reduced to, one for five posts that have it at most; 0 to keep all its numbers",
    )
    penalty: float = Field(
        0.03, gt=0, description="penalty for targets that no validation post knows"
    )

    @field_validator("vector_weights")
    @classmethod
    def _not_below_nothing(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if min(weights) < 0:
            raise ValueError("none may be below 0")
        return weights

    @field_validator("penalties")
    @classmethod
    def _from_strong_to_weak(cls, penalties: tuple[float, ...]) -> tuple[float, ...]:
        if not penalties or min(penalties) <= 0:
            raise ValueError("needs at least one, each above 0")
        return tuple(sorted(penalties, reverse=True))


class Linear(PooledModel):
    """One line per target on the pooled features of all modalities.

    The penalty is chosen per value, and per set of classes, by the validation posts' squared error
    or log loss; where they are few, by that of cross-validation. Of what is behind the best
    by no more than one standard error, values take the least weight of vectors, and then the
    strongest penalty. With the chosen penalty, training
    and validation posts are learned from together. Values beyond the training posts' range are not
    predicted: a line knows no bounds, and a count is read off its logarithm. While it learns, the
    features of all training posts are in memory: about 11 kB per post with the builtin encoders.

    Attributes
    ----------
    penalties
        The chosen penalty by target.
    vector_weights
        The chosen weight of vectors, by target that holds values; not kept with the model.
    arrays
        centre, scale (columns,): what brings the features' columns to one scale, infinite for a
        column that counts for nothing; weights (targets, columns) and bias (targets,): the lines;
        low, high (targets,): the training posts' range. Logistic curves are fitted as what they
        are of.
    """

    name = "linear"
    description = "ridge and logistic regression on the pooled features of all modalities"
    source = "Hastie, Tibshirani and Friedman 2009, Sections 3.4 and 4.4"
    complexity = 30
    Settings = LinearSettings

    settings: LinearSettings

    def __init__(
        self,
        settings: LinearSettings | None = None,
        feature_settings: FeatureSettings | None = None,
        task: str | None = None,
    ) -> None:
        super().__init__(settings, feature_settings, task)
        self.penalties: dict[str, float] = {}
        self.vector_weights: dict[str, float] = {}
        self.arrays: dict[str, Matrix] = {}
        # Features of which any column counts.
        self._looked_at: list[str] = []
        # Used columns of one unit each to the columns that are learned from, while it learns.
        self._directions: Matrix | None = None

    def fit(
        self,
        train: Examples,
        validation: Examples | None = None,
        *,
        folder: Path,
        training: TrainingSettings | None = None,
        progress: Callable[[EpochRecord], None] | None = None,
    ) -> list[EpochRecord]:
        """Solve for the lines; there are no epochs to report, and nothing is drawn at random.

        Raises
        ------
        DataError
            As in :meth:`evoked.models.base.Model.fit`.
        """
        self._learn_targets(train)
        values = self._straightened(train)
        known = [self.targets.index(name) for name in self.known_targets]
        self.widths = {name: train.features.widths[name] for name in self.features}
        # Whether a feature is there is one fact among the metadata's.
        sizes = [*self.widths.values(), *(self.widths.get("metadata", 1) for _ in self.widths)]
        columns_of_all = sum(self._counts)
        centre = np.zeros(columns_of_all, np.float32)
        scale = np.full(columns_of_all, np.inf, np.float32)
        # Of what no training post has, nothing is learned: its columns would only fill memory.
        there = train.features.columns
        self._looked_at = [name for name in self.features if there[name].present.any()]
        used, raw = self._used, self._raw(train)
        centre[used], spread = _mean_and_spread(raw)
        if self.settings.components:
            spread = self._common_spread(spread)
        scale[used] = spread * np.sqrt(np.repeat(sizes, self._counts)).astype(np.float32)[used]
        low, high = np.zeros((2, len(self.targets)), dtype=np.float32)
        low[known] = np.nanmin(values[:, known], axis=0)
        high[known] = np.nanmax(values[:, known], axis=0)
        weights = np.zeros((len(self.targets), columns_of_all), dtype=np.float32)
        bias = np.zeros(len(self.targets), dtype=np.float32)
        self.arrays = {"centre": centre, "scale": scale, "weights": weights, "bias": bias}
        self.arrays |= {"low": low, "high": high}
        self.penalties, self.vector_weights = {}, {}
        # The matrix of the training posts is large, and computed once.
        scaled = self._scaled(raw)
        self._directions = self._principal_directions(scaled) if self.settings.components else None

        learned, held_out = self._samples(
            train,
            validation,
            lambda posts: self._reduced(scaled if posts is train else self._scaled_of(posts)),
        )
        classes, binary, _ = places(self.task)
        for columns in _alike(self.value_columns(), learned, held_out):
            self._fit_values(columns, learned, held_out)
        for columns in [*classes, *([column] for column in binary)]:
            self._fit_classes(columns, learned, held_out)
        return []

    def left_out(self, train: Examples, validation: Examples | None) -> tuple[Matrix, Matrix]:
        """What lines predict of posts that they have not learned from.

        For models that learn what the lines miss: of posts that it knows, a line misses too little.

        Parameters
        ----------
        train, validation
            The posts that :meth:`fit` learned from.

        Returns
        -------
        For training and for validation posts (n, targets), values as they are learned: each fold is
        predicted by lines of the others, with the penalties and weights that :meth:`fit` chose.
        Classes are 0.
        """
        learned, held_out = self._samples(
            train, validation, lambda posts: self._reduced(self._scaled_of(posts))
        )
        posts, vectors = learned.joined(held_out), self._reduced_vectors()
        predicted = np.zeros_like(posts.values)
        for columns in _alike(self.value_columns(), learned, held_out):
            predicted[:, columns] = self.arrays["bias"][columns]
            for held in posts.held_out():
                others = posts.select(~held).with_target(columns[0])
                if not len(others):
                    continue
                ridge = _Ridge.of(others, columns, vectors)
                for position, column in enumerate(columns):
                    name = self.targets[column]
                    lines, biases = ridge.lines(self.penalties[name], self.vector_weights[name])
                    values = posts.features[held] @ lines[position] + biases[position]
                    predicted[held, column] = values.clip(
                        self.arrays["low"][column], self.arrays["high"][column]
                    )
        own, others_own = np.split(predicted, [len(learned)])
        return own, others_own

    def predict(self, examples: Examples) -> pd.DataFrame:
        self.check_features(examples.features)
        predicted = np.empty((len(examples), len(self.targets)), dtype=np.float32)
        for rows in row_batches(len(examples)):
            features = self._scaled(self._raw(examples, rows))
            weights = self.arrays["weights"][:, self._used]
            predicted[rows] = features @ weights.T + self.arrays["bias"]
        classes, binary, numbers = places(self.task)
        for columns in classes:
            predicted[:, columns] = softmax(predicted[:, columns], axis=1)
        predicted[:, binary] = expit(predicted[:, binary])
        low, high = self.arrays["low"], self.arrays["high"]
        predicted[:, numbers] = predicted[:, numbers].clip(low[numbers], high[numbers])
        return self._as_table(self._bent(predicted))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_safetensors(folder / WEIGHTS_FILE, self.arrays)
        state = {"widths": self.widths, "penalties": self.penalties}
        write_json(folder / MODEL_FILE, {**self._description(), **state})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Inverse of :meth:`save`.

        Raises
        ------
        DataError
            A file is missing or damaged.
        """
        description = read_object(folder / MODEL_FILE)
        model = cls._from_description(description, folder / MODEL_FILE)
        with reading_weights(folder):
            model.widths = {str(name): int(size) for name, size in description["widths"].items()}
            model.penalties = {
                str(name): float(value) for name, value in description["penalties"].items()
            }
            columns = sum(model.widths.values()) + len(model.widths)
            model.arrays = _checked(load_file(folder / WEIGHTS_FILE), len(model.targets), columns)
            counts = np.isfinite(model.arrays["scale"])
            model._looked_at = [
                name for name in model.widths if counts[model._columns_of([name])].any()
            ]
        return model

    def _columns_of(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which columns are those of some features, or say whether these are there, (columns,)."""
        chosen = [name in names for name in self.widths]
        return np.append(np.repeat(chosen, list(self.widths.values())), chosen)

    @property
    def _used(self) -> NDArray[np.bool_]:
        """Which columns are looked at, (columns,)."""
        return self._columns_of(self._looked_at)

    def _raw(self, examples: Examples, rows: NDArray[np.int64] | None = None) -> Matrix:
        """Features end to end, NaN where absent; then, for each, whether it is there. ``rows`` are
        all posts by default."""
        rows = np.arange(len(examples)) if rows is None else rows
        columns, names = examples.features.columns, self._looked_at
        if not names:
            return np.zeros((len(rows), 0), dtype=np.float32)
        values = pooled_matrix(examples.features, names, rows)
        present = [columns[name].present[rows] for name in names]
        return np.concatenate([values, np.stack(present, axis=1).astype(np.float32)], axis=1)

    def _scaled(self, raw: Matrix) -> Matrix:
        """Standardised columns; missing values become the mean, which is 0."""
        used = self._used
        columns: Matrix = (raw - self.arrays["centre"][used]) / self.arrays["scale"][used]
        return np.nan_to_num(columns, copy=False)

    def _scaled_of(self, examples: Examples) -> Matrix:
        return self._scaled(self._raw(examples))

    def _reduced(self, scaled: Matrix) -> Matrix:
        """The columns that lines are learned from, (n, columns)."""
        return scaled if self._directions is None else scaled @ self._directions

    @property
    def _counts(self) -> list[int]:
        """Number of the columns of each feature, and then of those that say whether it is there."""
        return [*self.widths.values(), *(1 for _ in self.widths)]

    def _feature_numbers(self) -> NDArray[np.int64]:
        """Number of the feature that each used column is of; others for whether it is there."""
        counts = self._counts
        return np.repeat(np.arange(len(counts)), counts)[self._used]

    def _common_spread(self, spread: Matrix) -> Matrix:
        """The spread of columns, (used,), in a vector the same for all, so that its components are
        those of its own numbers."""
        common, features, vectors = spread.copy(), self._feature_numbers(), self._are_vectors()
        for number in np.unique(features[vectors]):
            own = features == number
            varies = own & np.isfinite(spread)
            common[varies] = np.sqrt((spread[varies] ** 2).sum() / own.sum())
        return common

    def _principal_directions(self, scaled: Matrix) -> Matrix:
        """What brings used columns to those that lines are learned from, (used, columns)."""
        from scipy.linalg import block_diag

        blocks, features, vectors = [], self._feature_numbers(), self._are_vectors()
        for number in np.unique(features):
            first, last = np.flatnonzero(features == number)[[0, -1]]
            own = scaled[:, first : last + 1]
            block = np.eye(own.shape[1], dtype=np.float32)
            if vectors[first] and len(block) > self.settings.components:
                there = np.flatnonzero(own.any(axis=1))
                most = min(self.settings.components, len(there) // _POSTS_PER_COMPONENT)
                some = there[:: len(there) // _POSTS_ENOUGH + 1]
                # Of fewer posts than one component takes, nothing is read.
                block = principal_components(own[some], most)[1:].T if most else block[:, :0]
            blocks.append(block)
        return np.asarray(block_diag(*blocks), dtype=np.float32)

    def _trials(self, learned: Sample, judges: Sample) -> _Trials:
        """The trials that choose a penalty: validation posts judge, or folds of all posts if the
        validation posts are few."""
        if len(judges) and len(judges) >= self.settings.min_validation_posts:
            return _Trials([(learned, judges)], learned.joined(judges))
        posts = learned.joined(judges)
        folds = posts.held_out()
        if not self.settings.min_validation_posts or len(folds) < 2:
            return _Trials([], learned)
        return _Trials([(posts.select(~held), posts.select(held)) for held in folds], posts)

    def _keep(self, column: int, penalty: float, weights: Matrix, bias: float) -> None:
        self.penalties[self.targets[column]] = penalty
        own = weights if self._directions is None else self._directions @ weights
        self.arrays["weights"][column, self._used] = own
        self.arrays["bias"][column] = bias

    def _fit_values(self, columns: list[int], learned: Sample, held_out: Sample) -> None:
        """Ridge regression of columns that are known of the same posts, with the same weights."""
        trials, posts = self._trials(
            learned.with_target(columns[0]), held_out.with_target(columns[0])
        )
        penalties, weights = self.settings.penalties, self.settings.vector_weights
        if not trials:
            penalties, weights = (self.settings.penalty,), weights[:1]
        # From simple to complex.
        candidates = list(product(sorted(weights), penalties))
        vectors, errors = self._reduced_vectors(), []
        for own, judges in trials:
            ridge = _Ridge.of(own, columns, vectors)
            for weight, penalty in candidates:
                lines, biases = ridge.lines(penalty, weight)
                missed = judges.features @ lines.T + biases - judges.values[:, columns]
                errors.append(judges.weights[:, columns[0], None] * missed.astype(np.float64) ** 2)
        chosen = np.zeros(len(columns), dtype=np.int64)
        if trials:
            step = len(candidates)
            judged = [np.concatenate(errors[number::step]) for number in range(step)]
            chosen = _simplest_of_the_best(np.stack(judged))
        ridge = _Ridge.of(posts, columns, vectors)
        for number in np.unique(chosen):
            weight, penalty = candidates[number]
            lines, biases = ridge.lines(penalty, weight)
            for position in np.flatnonzero(chosen == number):
                self.vector_weights[self.targets[columns[position]]] = weight
                self._keep(columns[position], penalty, lines[position], biases[position])

    def _are_vectors(self) -> NDArray[np.bool_]:
        """Which of the columns that are looked at are those of vectors, and not facts, (used,)."""
        vectors = [str(name).endswith(".vector") for name in self.widths]
        facts = [False for _ in self.widths]  # whether each feature is there
        return np.array([*vectors, *facts])[self._feature_numbers()]

    def _reduced_vectors(self) -> NDArray[np.bool_]:
        """As :meth:`_are_vectors`, of the columns that lines are learned from."""
        vectors = self._are_vectors()
        if self._directions is None:
            return vectors
        return np.asarray(self._directions[vectors].any(axis=0))

    def _fit_classes(self, columns: list[int], learned: Sample, held_out: Sample) -> None:
        """Logistic regression of the columns of one outcome; it has one column if it is true or
        false."""
        known = [part.select(_labels(part, columns) >= 0) for part in (learned, held_out)]
        trials, posts = self._trials(*known)
        if not len(posts):
            return
        if len(np.unique(_labels(posts, columns))) < 2:
            # Only one class: predict the shares of the training posts, whatever the features.
            shares = np.nanmean(posts.values[:, columns], axis=0, dtype=np.float64)
            with np.errstate(divide="ignore"):
                self.arrays["bias"][columns] = (
                    logit(shares) if len(columns) == 1 else np.log(shares)
                )
            return
        # A fold may leave only one class to learn from.
        trials = [pair for pair in trials if len(np.unique(_labels(pair[0], columns))) > 1]
        least, penalty, weight = np.inf, self.settings.penalty, self.settings.vector_weights[0]
        for candidate in self.settings.vector_weights if trials else ():
            weighted = [tuple(self._weighted(part, candidate) for part in pair) for pair in trials]
            loss, best = self._least_loss(weighted, columns)
            if loss < least:
                least, penalty, weight = loss, best, candidate
        final = _logistic()
        _solve(final, self._weighted(posts, weight), columns, penalty)
        self._keep_classes(columns, penalty, weight, final)

    def _least_loss(
        self, trials: Sequence[tuple[Sample, ...]], columns: list[int]
    ) -> tuple[float, float]:
        """The least log loss over penalties, summed over trials, and the penalty that has it."""
        solvers = [_logistic() for _ in trials]
        least, chosen = np.inf, self.settings.penalty
        for penalty in self.settings.penalties:
            loss = 0.0
            for solver, (own, judges) in zip(solvers, trials, strict=True):
                _solve(solver, own, columns, penalty)
                loss += _log_loss(solver, judges.features, _labels(judges, columns))
            if loss >= least:
                break  # weaker penalties overfit more, and take longest
            least, chosen = loss, penalty
        return least, chosen

    def _weighted(self, posts: Sample, vector_weight: float) -> Sample:
        """The posts with their columns multiplied; those multiplied by 0 are left out."""
        factors = _factors(self._reduced_vectors(), vector_weight)
        used = factors > 0
        return replace(posts, features=posts.features[:, used] * factors[used])

    def _keep_classes(
        self, columns: list[int], penalty: float, vector_weight: float, solver: Any
    ) -> None:
        factors = _factors(self._reduced_vectors(), vector_weight)
        lines = np.zeros((len(solver.coef_), len(factors)), dtype=np.float32)
        lines[:, factors > 0] = solver.coef_ * factors[factors > 0]
        biases = solver.intercept_
        if len(columns) == 1:
            self._keep(columns[0], penalty, lines[0], biases[0])
            return
        if len(lines) == 1:  # with two classes, only the second has a line; the first's is 0
            lines, biases = np.stack([0 * lines[0], lines[0]]), np.append(0, biases)
        for column in columns:
            self._keep(column, penalty, 0 * lines[0], -np.inf)  # never, unless a post has it
        for position, number in enumerate(solver.classes_):
            self._keep(columns[number], penalty, lines[position], biases[position])


def places(task: type[Task]) -> tuple[list[list[int]], list[int], list[int]]:
    """Numbers of a task's columns: per set of classes, true or false, and values."""
    names = list(task.columns)

    def columns(kind: str) -> list[list[int]]:
        chosen = [outcome for outcome in task.outcomes if outcome.kind == kind]
        return [[names.index(name) for name in each.columns] for each in chosen]

    classes, binary = columns("classes"), [column for (column,) in columns("binary")]
    taken = {column for group in classes for column in group} | set(binary)
    return classes, binary, [column for column in range(len(names)) if column not in taken]


def _alike(columns: Sequence[int], learned: Sample, held_out: Sample) -> list[list[int]]:
    """Columns grouped by their weights, so that one solution serves a whole group."""
    groups: dict[bytes, list[int]] = {}
    for column in columns:
        key = learned.weights[:, column].tobytes() + held_out.weights[:, column].tobytes()
        groups.setdefault(key, []).append(column)
    return list(groups.values())


class _Trials(NamedTuple):
    """Posts for choosing a penalty and for the final fit.

    Attributes
    ----------
    pairs
        Posts to learn from and posts to judge by, on which penalties are tried; empty if no post
        can judge.
    posts
        Posts of the final fit with the chosen penalty.
    """

    pairs: list[tuple[Sample, Sample]]
    posts: Sample


@dataclass(frozen=True)
class _Ridge:
    """Ridge regression of several values on the same posts, for any penalty and weight of vectors.

    With fewer posts than columns the dual problem is solved, which is as large as the posts are
    many; products of the features are computed once for all penalties and weights.

    Attributes
    ----------
    features, values
        (n, columns), (n, values): centred, and multiplied by the root of each post's weight.
    means, levels
        Means that were subtracted, (columns,) and (values,).
    vectors
        Which columns are those of vectors, (columns,).
    products
        Of the dual problem (n, n): those of the facts, and those of the vectors; else those of all
        columns (columns, columns), alone.
    posts
        Sum of the posts' weights.
    """

    features: Matrix
    values: Matrix
    means: Matrix
    levels: Matrix
    vectors: NDArray[np.bool_]
    products: tuple[Matrix, ...]
    posts: float

    @classmethod
    def of(cls, posts: Sample, columns: list[int], vectors: NDArray[np.bool_]) -> Self:
        """Prepare posts that all know these columns, with the same weights."""
        weights = posts.weights[:, columns[0]]
        shares, root = weights / weights.sum(), np.sqrt(weights)[:, None]
        values = posts.values[:, columns]
        means, levels = shares @ posts.features, shares @ values
        features = (posts.features - means) * root
        if len(posts) < features.shape[1]:
            parts = (features[:, ~vectors], features[:, vectors])
            products = tuple(part @ part.T for part in parts)
        else:
            products = (features.T @ features,)
        return cls(
            features,
            (values - levels) * root,
            means,
            levels,
            vectors,
            products,
            float(weights.sum()),
        )

    def lines(self, penalty: float, vector_weight: float) -> tuple[Matrix, Matrix]:
        """Weights (values, columns) and biases (values,), the vectors having been multiplied by
        ``vector_weight``, so that smaller ones are penalised more."""
        factors = _factors(self.vectors, vector_weight)
        if len(self.products) == 2:
            facts, vectors = self.products
            found = _solved(facts + vector_weight**2 * vectors, penalty * self.posts, self.values)
            weights = self.features.T @ found * factors[:, None]
        else:
            products = self.products[0] * factors * factors[:, None]
            moments = self.features.T @ self.values * factors[:, None]
            weights = _solved(products, penalty * self.posts, moments)
        lines = np.asarray((weights * factors[:, None]).T, dtype=np.float32)
        return lines, np.asarray(self.levels - lines @ self.means, dtype=np.float32)


def _factors(vectors: NDArray[np.bool_], vector_weight: float) -> Matrix:
    """What each column is multiplied by: a weight for the vectors', 1 for the facts'."""
    return np.where(vectors, np.float32(vector_weight), np.float32(1))


def _solved(products: Matrix, penalty: float, right: Matrix) -> Matrix:
    """Solution of (products + penalty · identity) · x = right."""
    from scipy.linalg import solve

    system = products.copy()
    system[np.diag_indices_from(system)] += penalty
    return np.asarray(solve(system, right, assume_a="pos", overwrite_a=True), dtype=np.float32)


def _simplest_of_the_best(errors: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each value the first candidate whose mean error is behind the best by no more than one
    standard error of the difference (Breiman et al. 1984, Section 3.4.3), (values,).

    Posts of the same authors and weeks judge too kindly of what recognises them, and few posts
    can't say which of thirty candidates is best.

    Parameters
    ----------
    errors
        Of each judged post, from the simplest candidate on, (candidates, posts, values).
    """
    best = errors.mean(axis=1).argmin(axis=0)
    behind = errors - np.take_along_axis(errors, best[None, None], axis=0)
    error = behind.std(axis=1) / np.sqrt(errors.shape[1])
    return np.asarray((behind.mean(axis=1) <= error).argmax(axis=0))


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(warm_start=True, max_iter=_MOST_STEPS, tol=_TOLERANCE)


def _solve(solver: Any, posts: Sample, columns: list[int], penalty: float) -> None:
    from sklearn.exceptions import ConvergenceWarning

    solver.set_params(C=1 / (penalty * len(posts)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        solver.fit(posts.features, _labels(posts, columns))


def _labels(posts: Sample, columns: list[int]) -> NDArray[np.int64]:
    """Number of each post's class among ``columns``, or 0 and 1 for a single column, (n,); -1 where
    unknown."""
    values = np.nan_to_num(posts.values[:, columns])
    if len(columns) == 1:
        return np.where(posts.weights[:, columns[0]] > 0, values[:, 0] > 0.5, -1).astype(np.int64)
    return np.where(values.max(axis=1) > 0, values.argmax(axis=1), -1)


def _log_loss(solver: Any, features: Matrix, labels: NDArray[np.int64]) -> float:
    """Mean of minus the log of the probability of the true class; 0 where there are no posts."""
    if not len(labels):
        return 0.0
    chances = np.zeros((len(labels), max(int(labels.max()), int(solver.classes_.max())) + 1))
    chances[:, solver.classes_] = solver.predict_proba(features)
    own = chances[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, _LEAST_PROBABILITY)).mean())


def _mean_and_spread(raw: Matrix) -> tuple[Matrix, Matrix]:
    """Mean and standard deviation of each column's known values; the mean is 0 where none is known,
    the deviation infinite where too few posts differ from the others."""
    known = np.isfinite(raw)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, raw, 0).sum(axis=0, dtype=np.float64) / count
    variance = (np.where(known, raw - mean, 0) ** 2).sum(axis=0, dtype=np.float64) / count
    varies = (variance > 1e-12) & (_differing(raw) >= _FEWEST_POSTS)
    spread = np.where(varies, np.sqrt(variance), np.inf)
    return mean.astype(np.float32), spread.astype(np.float32)


def _differing(raw: Matrix) -> NDArray[np.int64]:
    """How many known values of each column differ from their median, which is the most frequent
    value if nearly all are equal."""
    known = np.isfinite(raw)
    middle = known.sum(axis=0, keepdims=True) // 2
    median = np.take_along_axis(np.sort(raw, axis=0), middle, axis=0)  # NaN is sorted to the end
    return np.asarray((known & (raw != median)).sum(axis=0))


def _checked(arrays: dict[str, Matrix], targets: int, columns: int) -> dict[str, Matrix]:
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("centre", "scale"), (columns,))
    shapes |= dict.fromkeys(("bias", "low", "high"), (targets,)) | {"weights": (targets, columns)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} is {arrays[name].shape}, not {shape}")
    return {name: arrays[name] for name in shapes}
