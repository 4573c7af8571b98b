"""The checks of tasks on classes that are not registered: a good one passes, bad ones are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from evoked.errors import DataError
from evoked.targets import Outcome, TargetTable, Task
from evoked.targets.base import inverse_transformed_classes, numeric, one_hot
from evoked.testing import check_task
from evoked.testing import tasks as checks
from evoked.testing.tasks import CHECKS, Check


@dataclass(frozen=True)
class Reactions(Task):
    """Log of the likes, whether they are many, and whether somebody commented."""

    name: ClassVar[str] = "reactions"
    description: ClassVar[str] = "likes, and whether somebody commented"
    columns: ClassVar[tuple[str, ...]] = ("log_likes", "size_few", "size_many", "discussed")
    outcomes: ClassVar[tuple[Outcome, ...]] = (
        Outcome("log_likes", "value", columns=("log_likes",)),
        Outcome("size", "classes", ("few", "many"), columns=("size_few", "size_many")),
        Outcome("discussed", "binary", columns=("discussed",)),
    )

    median: float

    @classmethod
    def bounds(cls, column: str) -> tuple[float, float]:
        return (0.0, 20.0) if column == "log_likes" else (0.0, 1.0)

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        likes = numeric(posts, "likes")
        if np.isnan(likes).all():
            raise DataError("no post has a number of likes.")
        return cls(float(np.nanmedian(likes)))

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        likes, comments = numeric(posts, "likes"), numeric(posts, "comments")
        many = np.where(np.isnan(likes), np.nan, likes > self.median)
        discussed = np.where(np.isnan(comments), np.nan, comments > 0)
        values = np.column_stack([np.log1p(likes), one_hot(many, 2), discussed])
        return TargetTable(values.astype(np.float32), np.zeros(values.shape, dtype=bool))

    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        shares = predicted[["size_few", "size_many"]].to_numpy(np.float64)
        table = inverse_transformed_classes(self.outcomes[1], shares)
        return table.assign(
            log_likes=predicted["log_likes"].to_numpy(np.float64),
            discussed=predicted["discussed"].to_numpy(np.float64) > 0.5,
            discussed_probability=predicted["discussed"].to_numpy(np.float64),
        )

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        values = self.transform(posts).values.astype(np.float64)
        size = np.where(values[:, 2] > 0, "many", "few").astype(object)
        size[np.isnan(values[:, 2])] = None
        discussed = pd.Series(values[:, 3]).map({0.0: False, 1.0: True})
        table = pd.DataFrame({"log_likes": values[:, 0], "size": size, "discussed": discussed})
        return table.assign(post_id=posts["post_id"].to_numpy())

    def to_dict(self) -> dict[str, Any]:
        return {"median": self.median}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        return cls(state["median"])


def test_good_task_passes_without_being_registered() -> None:
    check_task(Reactions)


class Undescribed(Reactions):
    description: ClassVar[str] = ""


class ReadTwice(Reactions):
    outcomes: ClassVar[tuple[Outcome, ...]] = (
        *Reactions.outcomes,
        Outcome("size_few", "binary", columns=("size_few",)),
    )


class Unconnected(Reactions):
    outcomes: ClassVar[tuple[Outcome, ...]] = (Outcome("discussed", "binary"),)


class OffScale(Reactions):
    def transform(self, posts: pd.DataFrame, estimates: Any = None) -> TargetTable:
        table = super().transform(posts, estimates)
        return TargetTable(table.values + 100, table.estimated)


class Soft(Reactions):
    def transform(self, posts: pd.DataFrame, estimates: Any = None) -> TargetTable:
        table = super().transform(posts, estimates)
        return TargetTable(0.9 * table.values, table.estimated)


class Swapped(Reactions):
    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        names = {"size_few": "size_many", "size_many": "size_few"}
        return super().inverse_transform(predicted.rename(columns=names), posts)


class WithoutProbability(Reactions):
    def inverse_transform(self, predicted: pd.DataFrame, posts: pd.DataFrame) -> pd.DataFrame:
        return super().inverse_transform(predicted, posts).drop(columns="discussed_probability")


class OtherNames(Reactions):
    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        return super().truth(posts).assign(post_id="somewhere else")


class Forgetful(Reactions):
    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        return cls(0.0)


class Relative(Reactions):
    def transform(self, posts: pd.DataFrame, estimates: Any = None) -> TargetTable:
        table = super().transform(posts, estimates)
        values = table.values.copy()
        values[:, 0] -= np.nanmin(values[:, 0])
        return TargetTable(values, table.estimated)


class Inventive(Reactions):
    def transform(self, posts: pd.DataFrame, estimates: Any = None) -> TargetTable:
        table = super().transform(posts, estimates)
        return TargetTable(np.nan_to_num(table.values), table.estimated)


class FitsOnNothing(Reactions):
    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        return cls(float(np.nan_to_num(numeric(posts, "likes")).mean()))


BAD: list[tuple[Check, type[Task]]] = [
    (checks.check_describes_itself, Undescribed),
    (checks.check_outcomes_share_out_the_columns, ReadTwice),
    (checks.check_describes_itself, Unconnected),
    (checks.check_values_lie_on_their_scale, OffScale),
    (checks.check_classes_are_one_hot, Soft),
    (checks.check_inverse_leads_back_to_the_truth, Swapped),
    (checks.check_inverse_has_every_outcome, WithoutProbability),
    (checks.check_truth_names_posts_and_outcomes, OtherNames),
    (checks.check_state_survives_json, Forgetful),
    (checks.check_posts_do_not_depend_on_each_other, Relative),
    (checks.check_posts_without_values_teach_nothing, Inventive),
    (checks.check_refuses_to_fit_on_nothing, FitsOnNothing),
]


def test_every_check_has_a_bad_task() -> None:
    assert {check for check, _ in BAD} == set(CHECKS)


@pytest.mark.parametrize(("check", "kind"), BAD, ids=lambda value: value.__name__)
def test_bad_task_is_found(check: Check, kind: type[Task]) -> None:
    with pytest.raises(AssertionError):
        check(kind)


def test_every_check_states_its_property() -> None:
    for check in CHECKS:
        assert check.__doc__
        assert check.__doc__.rstrip().endswith(".")
