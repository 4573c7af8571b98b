"""Leaderboards: models on the same folds, and the simplest of those as good as the best."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from evoked.errors import DataError
from evoked.files import plain, read_object

LEADERBOARD_FILE = "leaderboard.json"
_ROUNDING = 1e-9  # of means of the same numbers
_UNDEFINED = "undefined on some folds, for example because it predicts the same for every post"


@dataclass(frozen=True)
class Standing:
    """A model's place in the leaderboard.

    Attributes
    ----------
    model
        Its name; ``stack`` for the stack of the others.
    mean, deviation, standard_error
        Mean, standard deviation and standard error of the metric over the folds; None where the
        model has no score.
    behind, behind_error
        Mean and standard error, over the folds, of how much worse it is than the best.
    folds, n
        Folds with a score, and posts scored on them in all.
    seconds
        Time per fold, features not counted.
    weights
        Numbers that a network learns; 0 for what is no network.
    chosen
        Whether this model was chosen.
    note
        Why it has no score or can't be chosen.
    """

    model: str
    mean: float | None = None
    deviation: float | None = None
    standard_error: float | None = None
    behind: float | None = None
    behind_error: float | None = None
    folds: int = 0
    n: int = 0
    seconds: float | None = None
    weights: int = 0
    chosen: bool = False
    note: str = ""


@dataclass(frozen=True)
class Leaderboard:
    """What each model of a short list scored, and which was chosen.

    Attributes
    ----------
    task, metric
        What was learned, and the score that decided ("target metric").
    lower_is_better
        The metric's direction.
    split, folds, posts
        Kind and number of the folds, and number of the posts that they were made of.
    chosen, why
        The chosen model, and the reason for it.
    settings
        Settings of the chosen model.
    standings
        The models, the best first, those without a score last.
    """

    task: str
    metric: str
    lower_is_better: bool
    split: str
    folds: int
    posts: int
    chosen: str
    why: str
    settings: dict[str, Any]
    standings: tuple[Standing, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        state: dict[str, Any] = plain(asdict(self))
        return state

    @classmethod
    def load(cls, run: Path | str) -> Self:
        """Read the leaderboard of a run's folder.

        Raises
        ------
        DataError
            The run has none, or it is damaged.
        """
        path = Path(run) / LEADERBOARD_FILE
        state = read_object(path)
        try:
            standings = tuple(Standing(**each) for each in state.pop("standings"))
            return cls(**state, standings=standings)
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(f"not a leaderboard ({error}).", file=path) from error


def one_standard_error(
    scores: pd.DataFrame,
    simplest_first: Sequence[str],
    *,
    trivial: Collection[str] = (),
    lower_is_better: bool = False,
) -> tuple[str, str]:
    """The best model, and the simplest that is behind it by no more than one standard error.

    Parameters
    ----------
    scores
        A row per model, a column per fold. A fold on which no model has a score is left out; then
        a model that lacks a score on a fold can't be chosen.
    simplest_first
        The models, the simplest first. Among models with the same mean, the simplest counts as the
        best.
    trivial
        Models that don't look at the post: chosen only if nothing is better at all. With few posts
        the standard error is so large that they would otherwise be chosen over anything learned.
        Nor is a model chosen that is worse than one of these, however few its weights.
    lower_is_better
        The metric's direction.

    Returns
    -------
    best, chosen

    Raises
    ------
    DataError
        No model has a score on every fold.
    """
    whole = whole_scores(scores)
    if whole.empty:
        raise DataError("no model has a score on every fold, so none can be chosen.")
    names = [name for name in simplest_first if name in whole.index]
    means = whole.loc[names].mean(axis=1)
    best = str(means.idxmin() if lower_is_better else means.idxmax())  # the first of several
    behind, errors = behind_best(whole, best, lower_is_better=lower_is_better)
    worst = behind[[name for name in names if name in trivial]].min() + _ROUNDING
    candidates = [
        name for name in names if name == best or not (name in trivial or behind[name] > worst)
    ]
    return best, next(name for name in candidates if behind[name] <= errors[name])


def standings_of(
    scores: pd.DataFrame,
    costs: pd.DataFrame,
    best: str,
    chosen: str,
    *,
    lower_is_better: bool = False,
) -> list[Standing]:
    """The models as they stand, the best first.

    Parameters
    ----------
    scores
        As in :func:`one_standard_error`.
    costs
        A row per model: ``seconds`` per fold, ``weights`` and ``n``.
    best, chosen, lower_is_better
        See :func:`one_standard_error`.
    """
    behind, errors = behind_best(scores, best, lower_is_better=lower_is_better)
    whole = set(whole_scores(scores).index)
    summary = pd.DataFrame(
        {
            "mean": scores.mean(axis=1),
            "deviation": scores.std(axis=1, ddof=1),
            "standard_error": scores.sem(axis=1, ddof=1),
            "behind": behind[behind.index.isin(whole)],
            "behind_error": errors[errors.index.isin(whole)],
            "folds": scores.notna().sum(axis=1),
            "n": costs["n"].astype(int),
            "seconds": costs["seconds"].round(3),
            "weights": costs["weights"].astype(int),
        },
        index=scores.index,
    ).sort_values("mean", ascending=lower_is_better, kind="stable")
    return [
        Standing(
            model=str(name),
            **plain(row),
            chosen=name == chosen,
            note="" if name in whole else _UNDEFINED,
        )
        for name, row in summary.to_dict(orient="index").items()
    ]


def behind_best(
    scores: pd.DataFrame, best: str, *, lower_is_better: bool = False
) -> tuple[pd.Series, pd.Series]:
    """How much worse each model is than the best: mean over the folds, and its standard error, 0
    where there is only one fold, which can't show it."""
    gains = -scores if lower_is_better else scores
    behind = gains.loc[best] - gains
    folds = behind.notna().sum(axis=1)
    errors = behind.std(axis=1, ddof=1).fillna(0.0) / np.sqrt(folds.clip(lower=1))
    return behind.mean(axis=1), errors


def whole_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The models with a score on every fold on which any has one."""
    return scores.dropna(axis="columns", how="all").dropna(axis="index", how="any")


def table_rows(leaderboard: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the leaderboard for people."""

    def number(value: float | None, digits: int = 4) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    headings = ["model", leaderboard.metric, "s.d.", "s.e.", "behind", "s.e. of it", "folds", "n"]
    rows = [
        [
            ("→ " if each.chosen else "") + each.model,
            number(each.mean),
            number(each.deviation),
            number(each.standard_error),
            number(each.behind),
            number(each.behind_error),
            str(each.folds),
            str(each.n),
            number(each.seconds, 1),
            each.note,
        ]
        for each in leaderboard.standings
    ]
    return [*headings, "s per fold", "note"], rows


def about(leaderboard: Leaderboard) -> str:
    """Which model was chosen and why, in two sentences."""
    return (
        f"Chosen: {leaderboard.chosen}; {leaderboard.why}. Decided by {leaderboard.metric} "
        f"({'lower' if leaderboard.lower_is_better else 'higher'} is better) on "
        f"{leaderboard.folds} folds by {leaderboard.split} of {leaderboard.posts} posts, none of "
        "them a test post."
    )


def card_section(leaderboard: Leaderboard) -> str:
    """The leaderboard as a section of a model card."""
    headings, rows = table_rows(leaderboard)
    lines = [headings, ["---"] + ["---:"] * (len(headings) - 2) + ["---"], *rows]
    table = "\n".join("| " + " | ".join(line).replace("\n", " ") + " |" for line in lines)
    return f"\n## How it was chosen\n\n{about(leaderboard)}\n\n{table}\n"
