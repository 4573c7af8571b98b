"""Checks of tasks, each of which states one property that every task has."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd

from evoked.errors import DataError
from evoked.posts.author_history import attach_history
from evoked.targets import Task
from evoked.targets.base import TargetTable
from evoked.testing.examples import random_posts
from evoked.testing.failures import refuses, require

_POSTS = 60
# What tasks learn from; a post without any of it has nothing to teach.
_SOURCES = (
    "likes",
    "comments",
    "shares",
    "saves",
    "views",
    "reach",
    "impressions",
    "valence",
    "arousal",
    "emotion",
)

Check = Callable[[type[Task]], None]


def check_describes_itself(kind: type[Task]) -> None:
    """The class has a name, a description, different columns, and outcomes of a known kind."""
    require(kind.name and kind.description, "name and description must not be empty")
    require(kind.columns, "columns must not be empty")
    require(len(set(kind.columns)) == len(kind.columns), f"columns repeat: {kind.columns}")
    require(kind.outcomes, "outcomes must not be empty")
    for outcome in kind.outcomes:
        kinds = ("value", "classes", "binary")
        require(outcome.kind in kinds, f"{outcome.name} is of the unknown kind {outcome.kind!r}")
        has_labels = bool(outcome.labels)
        require(has_labels == (outcome.kind == "classes"), f"labels of {outcome.name} are wrong")
        counts = {"value": (0, 1), "classes": (len(outcome.labels),), "binary": (1,)}
        right = len(outcome.columns) in counts[outcome.kind]
        require(
            right and set(outcome.columns) <= set(kind.columns),
            f"{outcome.name} is read from the columns {outcome.columns}",
        )
    for column in kind.columns:
        low, high = kind.bounds(column)
        require(low < high, f"the bounds of {column} are {low} and {high}")


def check_outcomes_share_out_the_columns(kind: type[Task]) -> None:
    """Every column belongs to one outcome: one to each label or binary outcome, one to a value."""
    read = [column for outcome in kind.outcomes for column in outcome.columns]
    require(sorted(read) == sorted(kind.columns), f"outcomes are read from {read}")
    for outcome in kind.outcomes:
        n = len(outcome.columns)
        right = n == (len(outcome.labels) or 1) or (outcome.kind == "value" and n == 0)
        require(right, f"{outcome.name} is read from {n} columns")
    groups = {outcome.group for outcome in kind.outcomes if outcome.group}
    require(len(groups) <= 1, f"a task has one group of outcomes, not {sorted(groups)}")


def check_values_lie_on_their_scale(kind: type[Task]) -> None:
    """Posts become one number per column, within the column's bounds; none of them is estimated."""
    posts = random_posts(_POSTS)
    table = kind.fit(posts).transform(posts)
    shape = (len(posts), len(kind.columns))
    require(table.values.shape == shape, f"values are {table.values.shape}, not {shape}")
    require(table.values.dtype == np.float32, f"values are {table.values.dtype}, not float32")
    require(table.estimated.shape == shape, f"estimated is {table.estimated.shape}, not {shape}")
    require(not table.estimated.any(), "a value counts as estimated without estimates")
    require(np.isfinite(table.values).any(axis=0).all(), "a column has no known value")
    for position, column in enumerate(kind.columns):
        low, high = kind.bounds(column)
        known = table.values[:, position][np.isfinite(table.values[:, position])]
        within = (known >= low - 1e-6).all() and (known <= high + 1e-6).all()
        require(within, f"{column} is not within {low} and {high}")


def check_classes_are_one_hot(kind: type[Task]) -> None:
    """A post whose class is known has 1 in the column of its class and 0 in the others."""
    posts = random_posts(_POSTS)
    columns = _as_table(kind, kind.fit(posts).transform(posts))
    for outcome in kind.outcomes:
        if outcome.kind == "value":
            continue
        own = columns[list(outcome.columns)].dropna()
        require(own.isin([0.0, 1.0]).all(axis=None), f"{outcome.name} is neither 0 nor 1")
        if outcome.kind == "classes":
            require((own.sum(axis=1) == 1).all(), f"a post has several classes of {outcome.name}")


def check_inverse_leads_back_to_the_truth(kind: type[Task]) -> None:
    """The columns of posts, led back, are the truth about these posts, wherever it is known."""
    posts = random_posts(_POSTS)
    task = kind.fit(posts)
    back = task.inverse_transform(_as_table(kind, task.transform(posts)), posts)
    truth = task.truth(posts)
    for outcome in kind.outcomes:
        known = truth[outcome.name].notna().to_numpy() & back[outcome.name].notna().to_numpy()
        require(known.any(), f"{outcome.name} is known of no post")
        expected, found = truth[outcome.name][known], back[outcome.name][known]
        if outcome.kind == "value":
            np.testing.assert_allclose(
                found.to_numpy(np.float64), expected.to_numpy(np.float64), rtol=1e-4, atol=1e-5
            )
        else:
            same = found.astype(str).to_numpy() == expected.astype(str).to_numpy()
            require(same.all(), f"{outcome.name} is another after leading back")


def check_inverse_has_every_outcome(kind: type[Task]) -> None:
    """Predictions led back have a column per outcome, and the probabilities of classes sum to 1."""
    posts = random_posts(_POSTS)
    task = kind.fit(posts)
    random = np.random.default_rng(0)
    bounds = np.array([kind.bounds(column) for column in kind.columns]).clip(-10, 10)
    guesses = random.uniform(bounds[:, 0], bounds[:, 1], (len(posts), len(kind.columns)))
    back = task.inverse_transform(pd.DataFrame(guesses, columns=list(kind.columns)), posts)
    require(len(back) == len(posts), f"{len(back)} rows for {len(posts)} posts")
    for outcome in kind.outcomes:
        require(outcome.name in back, f"no column {outcome.name}")
        if outcome.kind == "binary":
            name = f"{outcome.name}_probability"
            require(name in back and back[name].between(0, 1).all(), f"{name} is no probability")
        if outcome.kind == "classes":
            names = [f"{outcome.name}_probability_{label}" for label in outcome.labels]
            require(set(names) <= set(back), f"no columns {set(names) - set(back)}")
            np.testing.assert_allclose(back[names].sum(axis=1).to_numpy(), 1)
            best = back[names].to_numpy().argmax(axis=1)
            read = [outcome.labels[number] for number in best]
            require(back[outcome.name].tolist() == read, "the most probable class is not read")


def check_truth_names_posts_and_outcomes(kind: type[Task]) -> None:
    """The truth has the posts' identifiers and a column per outcome."""
    posts = random_posts(_POSTS)
    truth = kind.fit(posts).truth(posts)
    require(truth["post_id"].tolist() == posts["post_id"].tolist(), "post_id is another")
    missing = [outcome.name for outcome in kind.outcomes if outcome.name not in truth]
    require(not missing, f"no columns {missing}")


def check_state_survives_json(kind: type[Task]) -> None:
    """A task that went through JSON does what it did before."""
    posts = random_posts(_POSTS)
    task = kind.fit(posts)
    restored = kind.from_dict(json.loads(json.dumps(task.to_dict(), allow_nan=False)))
    others = random_posts(_POSTS, seed=1)
    expected, found = task.transform(others), restored.transform(others)
    np.testing.assert_array_equal(found.values, expected.values)
    columns = _as_table(kind, expected)
    pd.testing.assert_frame_equal(
        restored.inverse_transform(columns, others), task.inverse_transform(columns, others)
    )


def check_posts_do_not_depend_on_each_other(kind: type[Task]) -> None:
    """A post with its history is transformed alone as it is among others, and the posts stay as
    they are."""
    posts = attach_history(random_posts(_POSTS))
    task = kind.fit(posts)
    before = posts.copy(deep=True)
    together = task.transform(posts).values
    pd.testing.assert_frame_equal(posts, before)
    alone = task.transform(posts.iloc[[7]].reset_index(drop=True)).values
    np.testing.assert_array_equal(alone[0], together[7])


def check_posts_without_values_teach_nothing(kind: type[Task]) -> None:
    """Posts without any value have no known column and no known truth, and can still be led back
    to."""
    task = kind.fit(random_posts(_POSTS))
    bare = _bare_posts()
    require(np.isnan(task.transform(bare).values).all(), "a post without values has a column")
    for outcome in kind.outcomes:
        require(task.truth(bare)[outcome.name].isna().all(), "a post without values has a truth")
    middle = pd.DataFrame(0.5, bare.index, list(kind.columns))
    back = task.inverse_transform(middle, bare)
    require({outcome.name for outcome in kind.outcomes} <= set(back), "an outcome is missing")


def check_refuses_to_fit_on_nothing(kind: type[Task]) -> None:
    """Posts that know nothing about the task are refused with a DataError."""
    with refuses(DataError, "", "posts without any value"):
        kind.fit(_bare_posts())


CHECKS: tuple[Check, ...] = (
    check_describes_itself,
    check_outcomes_share_out_the_columns,
    check_values_lie_on_their_scale,
    check_classes_are_one_hot,
    check_inverse_leads_back_to_the_truth,
    check_inverse_has_every_outcome,
    check_truth_names_posts_and_outcomes,
    check_state_survives_json,
    check_posts_do_not_depend_on_each_other,
    check_posts_without_values_teach_nothing,
    check_refuses_to_fit_on_nothing,
)
"""Checks of every task."""


def _bare_posts() -> pd.DataFrame:
    posts = random_posts(_POSTS)
    return posts.assign(**{name: pd.Series(None, posts.index, object) for name in _SOURCES})


def _as_table(kind: type[Task], targets: TargetTable) -> pd.DataFrame:
    return pd.DataFrame(targets.values.astype(np.float64), columns=list(kind.columns))
