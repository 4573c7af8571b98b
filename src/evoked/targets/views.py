"""How often a post is seen, beside how often its author's posts usually are.

What networks report of this differs: views (or plays), people reached, impressions. Each is an
outcome of its own, learned as :mod:`evoked.targets.emotion_engagement` learns likes: the deviation
of log(1 + count) from the post's level, which is restored with the level. Those that no training
post has are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.posts.author_history import PREFIX, known_counts, with_history
from evoked.posts.vocabulary import EXPOSURE
from evoked.targets.base import Outcome, TargetTable, Task, Wording
from evoked.targets.emotion_engagement import BASELINES, Deviations
from evoked.targets.engagement import knots_of

if TYPE_CHECKING:
    import pandas as pd

    from evoked.posts.columns import Posts


@dataclass(frozen=True)
class Views(Task):
    """Views, reach and impressions; made by :meth:`fit`.

    Attributes
    ----------
    deviations
        What was learned of each count that a training post has.
    knots
        Of each of these, the training posts' counts at equally spaced quantiles.
    """

    name: ClassVar[str] = "views"
    description: ClassVar[str] = (
        "views (or plays), reach and impressions beside what the author usually gets"
    )
    columns: ClassVar[tuple[str, ...]] = EXPOSURE
    outcomes: ClassVar[tuple[Outcome, ...]] = tuple(
        Outcome(
            name,
            "value",
            columns=(name,),
            unit="points of standing",
            span=1.0,
            percent=True,
            metrics=("Spearman", "MAP", "AUC", "NDCG@10", "NDCG@5"),
            ranked=True,
            count=name,
            restored_column=f"{name}_standing",
        )
        for name in EXPOSURE
    )
    wording: ClassVar[Wording] = Wording(
        introduction="Predicts how often a post is seen, from what its author's last posts got and "
        "from the post.",
        scores="Posts are ranked by how often they are seen.",
        baselines=BASELINES,
        errors="the standing of views, reach and impressions",
        promise="The highest predicted standing beside what the author's posts usually get.",
    )
    short_list: ClassVar[tuple[str, ...]] = ("linear", "gradient_boosting", "blend")

    deviations: dict[str, Deviations] = field(repr=False)
    knots: dict[str, list[float]] = field(repr=False)

    @classmethod
    def is_logistic(cls, column: str) -> bool:
        return True

    @classmethod
    def spread_column(cls, column: str) -> str | None:
        """How far the author's last counts lay apart, as logarithms."""
        return f"{PREFIX}spread_{column}"

    @classmethod
    def fit(cls, posts: pd.DataFrame) -> Self:
        """Learn levels and deviations from training posts.

        Raises
        ------
        DataError
            No post has any of the counts.
        """
        attached = with_history(posts)
        fitted = {name: Deviations.fit(name, attached) for name in EXPOSURE}
        deviations = {name: each for name, each in fitted.items() if each}
        if not deviations:
            raise DataError(
                f"no training post has a count of how often it was seen ({', '.join(EXPOSURE)}), "
                "so there is nothing to learn.",
                fix="Import the posts with the columns that hold them (--map views=…).",
            )
        return cls(deviations, {name: knots_of(known_counts(posts, name)) for name in deviations})

    def levels(self, posts: Posts) -> dict[str, NDArray[np.float64]]:
        attached = with_history(posts)
        return {name: each.usual(attached) for name, each in self.deviations.items()}

    def relevance_values(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame({name: pd.Series(self.knots.get(name, [])) for name in EXPOSURE})

    def transform(
        self, posts: pd.DataFrame, estimates: NDArray[np.float32] | None = None
    ) -> TargetTable:
        """Standing of each count beside the post's level, (n, 3); NaN where the count is unknown or
        no training post had it."""
        attached = with_history(posts)
        values = np.full((len(posts), len(EXPOSURE)), np.nan, dtype=np.float32)
        for name, deviations in self.deviations.items():
            values[:, EXPOSURE.index(name)] = deviations.standing(attached)
        return TargetTable(values, np.zeros(values.shape, dtype=bool))

    def restored(self, predicted: Mapping[str, ArrayLike], posts: Posts) -> dict[str, NDArray[Any]]:
        """For each of the counts that a training post has ``views_standing`` [0, 1] and ``views``.

        A count is given even where nothing is known of the author: as that of a usual one.
        """
        attached = with_history(posts)
        found: dict[str, NDArray[Any]] = {}
        for name, deviations in self.deviations.items():
            standing = np.clip(np.asarray(predicted[name], dtype=np.float64), 0, 1)
            found[f"{name}_standing"] = standing
            found[name] = deviations.counts(standing, attached)
        return found

    def truth(self, posts: pd.DataFrame) -> pd.DataFrame:
        """post_id, and how often posts were seen."""
        import pandas as pd

        counts = {name: known_counts(posts, name) for name in EXPOSURE}
        return pd.DataFrame({"post_id": posts["post_id"], **counts})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state."""
        deviations = {name: each.to_dict() for name, each in self.deviations.items()}
        return {"deviations": deviations, "knots": self.knots}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        deviations = {
            str(name): Deviations.from_dict(own) for name, own in state["deviations"].items()
        }
        return cls(deviations, state["knots"])
