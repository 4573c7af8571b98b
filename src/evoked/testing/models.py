"""Checks of models, each of which states one property that every model has.

A check takes a :class:`ModelCase`, which fits the model once for all checks that don't change it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd

from evoked.errors import DataError, SettingsError
from evoked.evaluation.tables import evaluate_task
from evoked.features.table import Column, FeatureColumn, FeatureTable, RaggedColumn
from evoked.models.base import Examples, Model
from evoked.models.neural import NeuralModel
from evoked.targets import TASKS, TargetTable
from evoked.testing.examples import random_examples
from evoked.testing.failures import refuses, require
from evoked.testing.networks import small_network_examples, with_strangers
from evoked.training.settings import TrainingSettings

_OWN_COMMENT = "viewing.comment"
_POST_SUFFIXES = {".json", ".safetensors", ".md"}
_MANY = 1000


@dataclass
class ModelCase:
    """A model class, a task, and small examples to try it on.

    Attributes
    ----------
    kind, task
        The class, and the name of the task that it learns.
    folder
        For logs and saved models.
    train, validation, test
        Examples to learn from and to predict; posts are predicted after they were learned from,
        without validation posts.
    training
        Two epochs on the processor.
    """

    kind: type[Model]
    task: str
    folder: Path
    train: Examples
    validation: Examples | None
    test: Examples
    training: TrainingSettings

    @classmethod
    def of(cls, kind: type[Model], task: str | None = None, *, folder: Path) -> ModelCase:
        """A case with examples of what the model's ``rows`` are; its first task by default."""
        task = task or kind.tasks[0]
        if kind.rows == "viewings":
            train, validation, test = small_network_examples()
            training = TrainingSettings(max_epochs=2, batch_size=128, device="cpu")
            return cls(kind, task, folder, train, validation, test, training)
        train = random_examples(48, task=task)
        training = TrainingSettings(max_epochs=2, batch_size=16, device="cpu")
        return cls(kind, task, folder, train, None, train, training)

    def fresh(self) -> Model:
        """An unfitted model with the class's ``test_settings``."""
        settings = self.kind.Settings.model_validate(self.kind.test_settings)
        return self.kind(settings, task=self.task)

    def fit(self, train: Examples, validation: Examples | None = None) -> Model:
        """A fresh model, fitted."""
        model = self.fresh()
        model.fit(train, validation, folder=self.new_folder(), training=self.training)
        return model

    @cached_property
    def fitted(self) -> Model:
        """A model fitted on ``train`` and ``validation``; checks must not fit it again."""
        return self.fit(self.train, self.validation)

    def new_folder(self) -> Path:
        """An empty folder below :attr:`folder`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(dir=self.folder))


Check = Callable[[ModelCase], None]


def checks_of(kind: type[Model]) -> tuple[Check, ...]:
    """The checks that apply to models of posts, or to models of viewings."""
    return CHECKS + (VIEWING_CHECKS if kind.rows == "viewings" else POST_CHECKS)


def check_describes_itself(case: ModelCase) -> None:
    """The class has a name, a description and tasks, and test settings that its Settings accept."""
    kind = case.kind
    require(kind.name and kind.description, "name and description must not be empty")
    require(kind.tasks, "tasks must name at least one task")
    unknown = [name for name in kind.tasks if name not in TASKS]
    require(not unknown, f"tasks that don't exist: {unknown}")
    require(isinstance(kind.complexity, int), "complexity must be an integer")
    for name in ("needs", "requires"):
        require(isinstance(getattr(kind, name), tuple), f"{name} must be a tuple of names")
    model = case.fresh()
    require(model.task.name == case.task, f"it learns {model.task.name}, not {case.task}")
    require(model.targets == list(model.task.columns), "targets must be the task's columns")


def check_repr_is_its_recipe(case: ModelCase) -> None:
    """The representation names the class and the settings that differ from the defaults."""
    kind = case.kind
    require(repr(kind()) == f"{kind.__name__}()", f"with default settings it is {kind()!r}")
    model, defaults = case.fresh(), kind.Settings()
    for name in kind.test_settings:
        differs = getattr(model.settings, name) != getattr(defaults, name)
        require((f"{name}=" in repr(model)) == differs, f"{name} is wrong in {model!r}")


def check_predicts_every_target_on_its_scale(case: ModelCase) -> None:
    """Predictions are finite, one column per target in order, within the bounds of the target."""
    _require_predictions(case, case.fitted.predict(case.test), len(case.test))


def check_predicts_any_number_of_examples(case: ModelCase) -> None:
    """It predicts no example, one, and a thousand."""
    for n in (0, 1, _MANY):
        if case.kind.rows == "viewings":
            examples = case.test.select(np.resize(np.arange(len(case.test)), n))
        else:
            examples = random_examples(max(n, 1), seed=1, task=case.task).select(range(n))
        _require_predictions(case, case.fitted.predict(examples), n)


def check_prediction_does_not_depend_on_other_examples(case: ModelCase) -> None:
    """An example is predicted alone, or in another order, as it is among the others."""
    together = case.fitted.predict(case.test).to_numpy()
    tolerance = 1e-5 if case.kind.rows == "viewings" else 1e-4
    for row in (0, 1, 7):  # of viewings: a stranger, a strange image, an ordinary viewing
        alone = case.fitted.predict(case.test.select([row])).to_numpy()
        np.testing.assert_allclose(alone[0], together[row], atol=tolerance)
    turned = case.fitted.predict(case.test.select(np.arange(len(case.test))[::-1])).to_numpy()
    np.testing.assert_allclose(turned[::-1], together, atol=tolerance)


def check_saved_and_loaded_model_predicts_the_same(case: ModelCase) -> None:
    """Saving and loading gives a model of the same class, task and predictions, without files that
    could hold code."""
    folder = case.new_folder()
    case.fitted.save(folder)
    loaded = case.kind.load(folder)
    require(type(loaded) is case.kind, f"a {type(loaded).__name__} was loaded")
    require(loaded.task is case.fitted.task, f"it learns {loaded.task.name} after loading")
    pd.testing.assert_frame_equal(loaded.predict(case.test), case.fitted.predict(case.test))
    safe = _POST_SUFFIXES | ({".parquet"} if case.kind.rows == "viewings" else set())
    files = [path for path in folder.rglob("*") if path.is_file()]
    require(files, "save() wrote no file")
    other = sorted(path.name for path in files if path.suffix not in safe)
    require(not other, f"files of other kinds than {sorted(safe)}: {other}")


def check_two_fits_with_one_seed_are_equal(case: ModelCase) -> None:
    """The same examples and the same seed give the same predictions."""
    again = case.fit(case.train, case.validation)
    pd.testing.assert_frame_equal(again.predict(case.test), case.fitted.predict(case.test))


def check_loss_falls(case: ModelCase) -> None:
    """The training loss of a network falls within a few epochs; others have no epochs to report."""
    viewings = case.kind.rows == "viewings"
    epochs, share = (6, 0.95) if viewings else (8, 0.9)
    if not issubclass(case.kind, NeuralModel):
        return
    changes = {"max_epochs": epochs, "schedule": "constant"}
    settings = case.training.model_copy(update=changes)
    history = case.fresh().fit(case.train, folder=case.new_folder(), training=settings)
    first, last = history[0]["train_loss"], history[-1]["train_loss"]
    require(last < share * first, f"the loss went from {first} to {last} in {epochs} epochs")


def check_refuses_to_learn_from_nothing(case: ModelCase) -> None:
    """No examples, and examples without a known target, are refused with a clear DataError."""
    with refuses(DataError, "at least one training", "no examples"):
        case.fit(case.train.select([]))
    with refuses(DataError, "nothing to learn", "no known target"):
        case.fit(_with_targets(case.train, np.nan))


def check_refuses_features_of_another_width(case: ModelCase) -> None:
    """Features of another width than in training are refused; nothing to check without features."""
    if not case.fitted.features:
        return
    shape = (len(case.test), 3, 2)
    other = {name: Column.dense(np.zeros(shape, np.float32)) for name in case.fitted.features}
    with refuses(SettingsError, "width", "features of width 2"):
        case.fitted.predict(replace(case.test, features=FeatureTable(other)))


def check_unfitted_model_says_so(case: ModelCase) -> None:
    """A model that reads features and has not been fitted says so when asked to predict."""
    model = case.fresh()
    if not model.features:
        return
    with refuses(SettingsError, "not been fitted", "an unfitted model"):
        model.predict(case.test)


def check_attention_is_a_share(case: ModelCase) -> None:
    """Attention is None or one entry per example, whose weights are shares of a whole."""
    found = case.fitted.attention(case.test)
    if found is None:
        return
    require(len(found) == len(case.test), f"{len(found)} entries for {len(case.test)} examples")
    for each in found:
        if each.tokens is not None:
            received = [*each.tokens, each.hashtags or 0.0]
            require(min(received) >= 0, "a token with negative attention")
            require(sum(received) <= 1 + 1e-4, "tokens receive more than all attention")
        for regions in filter(None, [each.regions, *(each.token_regions or [])]):
            total = float(regions.grid.sum() + regions.objects.sum())
            require(abs(total - 1) < 1e-4, f"attention over regions sums to {total}, not 1")


def check_importance_is_in_percent(case: ModelCase) -> None:
    """Feature importance is None or adds up to 100 percent, the most important feature first."""
    table = case.fitted.feature_importance()
    if table is None:
        return
    columns = ["feature", "modality", "importance", "shap"]
    require(list(table.columns) == columns, f"columns must be {columns}")
    np.testing.assert_allclose(table[["importance", "shap"]].sum().to_numpy(float), 100)
    require(table["shap"].is_monotonic_decreasing, "the most important feature must come first")


def check_predictions_lead_to_every_outcome(case: ModelCase) -> None:
    """The task turns the predictions into all of its outcomes, and all of them are scored."""
    task = case.fitted.task.fit(case.train.posts)
    predicted = case.fitted.predict(case.test)
    restored = task.inverse_transform(predicted, case.test.posts)
    scores = evaluate_task(task, restored, task.truth(case.test.posts), draws=0)
    wanted = {outcome.target for outcome in task.outcomes}
    require(wanted <= set(scores["target"]), f"no score for {wanted - set(scores['target'])}")


def check_survives_posts_without_anything(case: ModelCase) -> None:
    """Posts without picture, caption and category, by an unknown author, are predicted."""
    columns = {name: _absent(column) for name, column in case.test.features.columns.items()}
    posts = case.test.posts.assign(category=None, author_id="somebody new")
    table = case.fitted.predict(Examples(posts, FeatureTable(columns)))
    require(np.isfinite(table.to_numpy()).all(), "a prediction is not finite")


def check_target_without_known_values_is_not_predicted(case: ModelCase) -> None:
    """A target that no training post knows is predicted as NaN, and the others are predicted."""
    if len(case.fresh().targets) == 1:
        return
    assert case.train.targets is not None
    values = case.train.targets.values.copy()
    values[:, -1] = np.nan
    targets = TargetTable(values, case.train.targets.estimated)
    table = case.fit(replace(case.train, targets=targets)).predict(case.test)
    require(table.iloc[:, -1].isna().all(), "the unknown target is predicted")
    require(table.iloc[:, 0].notna().all(), "a known target is not predicted")


def check_learns_from_one_post(case: ModelCase) -> None:
    """One post is enough to learn from."""
    one = case.train.select([0])
    table = case.fit(one).predict(one)
    require(np.isfinite(table.to_numpy()).all(), "a prediction is not finite")


def check_learns_from_equal_targets(case: ModelCase) -> None:
    """Posts whose targets are all the same can be learned from."""
    same = _with_targets(case.train, 0.5)
    table = case.fit(same).predict(same)
    require(np.isfinite(table.to_numpy()).all(), "a prediction is not finite")


def check_survives_absent_features(case: ModelCase) -> None:
    """Viewings are predicted where pictures, groups or comments have no vector."""
    for name in ("image.vector", "user.vector", _OWN_COMMENT):
        table = case.fitted.predict(_without(case.test, name))
        _require_predictions(case, table, len(case.test))


def check_learns_without_any_feature(case: ModelCase) -> None:
    """Viewings without any vector can be learned from."""
    bare = _without(case.train, "image.vector", "user.vector", _OWN_COMMENT)
    _require_predictions(case, case.fit(bare).predict(bare), len(bare))


def check_survives_strangers_alone(case: ModelCase) -> None:
    """Viewings by users and of images that the graph does not hold are predicted."""
    strangers = with_strangers(case.test, np.arange(len(case.test)), "user", "image")
    strangers.posts.loc[: len(case.test) // 2, ["user", "image"]] = -1
    _require_predictions(case, case.fitted.predict(strangers), len(case.test))


def check_survives_a_graph_without_connections(case: ModelCase) -> None:
    """A graph without connections and groups can be learned from and predicted in."""
    model = case.fit(_unconnected(case.train))
    _require_predictions(case, model.predict(_unconnected(case.test)), len(case.test))


def check_survives_a_graph_without_viewings(case: ModelCase) -> None:
    """Viewings are predicted in a graph that shows no viewing, and no connection either."""
    assert case.test.graph is not None
    empty = replace(case.test, graph=case.test.graph.with_viewings([]))
    for examples in (empty, _unconnected(empty)):
        _require_predictions(case, case.fitted.predict(examples), len(case.test))


def check_learns_from_one_viewing(case: ModelCase) -> None:
    """One viewing is enough to learn from."""
    assert case.train.graph is not None
    one = replace(case.train.select([0]), graph=case.train.graph.with_viewings([0]))
    _require_predictions(case, case.fit(one).predict(case.train), len(case.train))


def check_never_reads_the_emotion_of_the_viewing_itself(case: ModelCase) -> None:
    """The emotion of a viewing changes nothing about its own prediction."""
    expected = case.fitted.predict(case.test)
    for posts in (
        case.test.posts.assign(emotion="sadness"),
        case.test.posts.drop(columns="emotion"),
    ):
        other = replace(case.test, targets=None, posts=posts)
        pd.testing.assert_frame_equal(case.fitted.predict(other), expected)


def check_never_reads_the_comment_of_the_viewing_itself(case: ModelCase) -> None:
    """The comment of a viewing changes nothing about its own prediction, unless the model names it
    as a feature."""
    if _OWN_COMMENT in case.fitted.features:
        return
    own = case.test.features.columns[_OWN_COMMENT]
    assert isinstance(own, Column)
    changed = replace(own, data=own.data + 5)
    other = replace(
        case.test,
        posts=case.test.posts.assign(comment="how sad"),
        features=FeatureTable({**case.test.features.columns, _OWN_COMMENT: changed}),
    )
    pd.testing.assert_frame_equal(case.fitted.predict(other), case.fitted.predict(case.test))


def check_warns_about_the_own_comment(case: ModelCase) -> None:
    """A model that reads the viewing's own comment warns about it."""
    model = case.fresh()
    if _OWN_COMMENT in model.features:
        require("comment" in model.caution, f"caution does not mention it: {model.caution!r}")


def check_without_a_graph_it_predicts_or_asks_for_one(case: ModelCase) -> None:
    """Examples without a graph are predicted, or refused with a DataError that mentions it."""
    try:
        table = case.fitted.predict(replace(case.test, graph=None))
    except DataError as error:
        require("graph" in str(error), f"the message does not mention the graph: {error}")
    else:
        _require_predictions(case, table, len(case.test))


CHECKS: tuple[Check, ...] = (
    check_describes_itself,
    check_repr_is_its_recipe,
    check_unfitted_model_says_so,
    check_refuses_to_learn_from_nothing,
    check_predicts_every_target_on_its_scale,
    check_predicts_any_number_of_examples,
    check_prediction_does_not_depend_on_other_examples,
    check_saved_and_loaded_model_predicts_the_same,
    check_two_fits_with_one_seed_are_equal,
    check_loss_falls,
    check_refuses_features_of_another_width,
    check_attention_is_a_share,
    check_importance_is_in_percent,
)
"""Checks of every model."""

POST_CHECKS: tuple[Check, ...] = (
    check_predictions_lead_to_every_outcome,
    check_survives_posts_without_anything,
    check_target_without_known_values_is_not_predicted,
    check_learns_from_one_post,
    check_learns_from_equal_targets,
)
"""Checks of models of posts only."""

VIEWING_CHECKS: tuple[Check, ...] = (
    check_survives_absent_features,
    check_learns_without_any_feature,
    check_survives_strangers_alone,
    check_survives_a_graph_without_connections,
    check_survives_a_graph_without_viewings,
    check_learns_from_one_viewing,
    check_never_reads_the_emotion_of_the_viewing_itself,
    check_never_reads_the_comment_of_the_viewing_itself,
    check_warns_about_the_own_comment,
    check_without_a_graph_it_predicts_or_asks_for_one,
)
"""Checks of models of viewings only."""


def _require_predictions(case: ModelCase, table: pd.DataFrame, n: int) -> None:
    """The table has a finite value within bounds for each target of n examples; the probabilities
    of a viewing's emotions sum to one."""
    task = case.fitted.task
    require(list(table.columns) == list(task.columns), f"columns are {list(table.columns)}")
    require(len(table) == n, f"{len(table)} predictions for {n} examples")
    values = table.to_numpy(dtype=np.float64)
    require(np.isfinite(values).all(), "a prediction is not finite")
    for name in table:
        low, high = task.bounds(str(name))
        require(table[name].between(low, high).all(), f"{name} is not within {low} and {high}")
    if case.kind.rows == "viewings":
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)


def _with_targets(examples: Examples, value: float) -> Examples:
    """The examples with this value for every target."""
    assert examples.targets is not None
    values = np.full_like(examples.targets.values, value)
    return replace(examples, targets=TargetTable(values, examples.targets.estimated))


def _absent(column: FeatureColumn) -> FeatureColumn:
    """A column that no example has."""
    if isinstance(column, RaggedColumn):
        return replace(column, lengths=np.zeros_like(column.lengths))
    assert isinstance(column, Column)
    return replace(column, index=np.full_like(column.index, -1))


def _without(examples: Examples, *features: str) -> Examples:
    """The features are absent from every example, and from the graph."""
    columns = dict(examples.features.columns)
    graph = examples.graph
    assert graph is not None
    fields = {
        "user.vector": "user_vectors",
        "image.vector": "image_vectors",
        _OWN_COMMENT: "comment_vectors",
    }
    for name in features:
        columns[name] = _absent(columns[name])
        changed: dict[str, Any] = {fields[name]: _absent(getattr(graph, fields[name]))}
        graph = replace(graph, **changed)
    return replace(examples, features=FeatureTable(columns), graph=graph)


def _unconnected(examples: Examples) -> Examples:
    """The examples in a graph without connections and groups."""
    assert examples.graph is not None
    nobody = np.zeros((2, 0), dtype=np.int64)
    return replace(examples, graph=replace(examples.graph, connections=nobody, memberships=nobody))
