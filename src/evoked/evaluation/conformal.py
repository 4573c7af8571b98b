"""How far off a prediction may be: intervals and sets of classes that hold the truth as often as
they promise, whatever the model.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018). Posts that a model
has not learned from, the *calibration* posts, show how far its predictions miss. Among n misses
the ceil((n + 1) · coverage)-th smallest is not exceeded by the next post's with at least the
probability ``coverage``, if that post is drawn as the calibration posts were (is exchangeable with
them). With too few calibration posts for a coverage (:func:`fewest_posts`) no miss has that
rank, and intervals are the whole range.

**Quick models.** Of a few hundred posts, a part that is kept for calibration is a few dozen: too
few to know 70 from 90 %, and by time the newest. So where fits take seconds, the model learns from
all of them, and the misses are those of refits on folds (cross-conformal, Vovk 2015; Barber,
Candès, Ramdas and Tibshirani 2021), by time of later posts by what had been learned from earlier
ones. One model predicts, not those of the folds, so that the promise is that of the jackknife: it
holds where a fold's less makes little difference, and is measured on the test posts. Four random
splits of 500 Facebook posts, ``linear``, share of 80 % ranges that held, lowest and highest: likes
.71 to .93 with a part, .76 to .87 with folds; shares .69 to .85 and .73 to .80.

**Authors.** Some accounts are steadier than others. The unit of a miss is multiplied by how far the
author's last ten counts lay from their median beside the usual distance, which weighs as much as
ten posts. Planted accounts (20 of 40 posts, whose spread grows from 0.1 to 1; 5 seeds): standard
deviation over accounts of the share that held .24 without and .19 with it, score of the interval
(width plus ten times what lies outside, in logarithms) 1.70 and 1.42. Alike accounts lose 1 to 3 %;
after the spread has doubled at once, .76 and .79 held.

**Counts** are whole: an interval from 1.3 to 4.7 holds 2, 3 and 4, and that is what is shown.
Rounded outward instead, 80 % ranges of comments on Facebook held for .90.

**Numbers.** A miss is measured in units of what is usual for a prediction of its size and for its
direction: the square root of the mean distance, above or below, of posts predicted near it
(normalised scores, Papadopoulos et al. 2002; each direction on its own, as in Kivaranovic, Johnson
and Leeb 2020). The units come from further posts, those that decide when training stops, so that
the calibration posts stay untouched; with folds, from the same posts. On a logarithmic scale, the
square root halves what a few hundred posts say about the spread. ABMF on synthetic posts (600 held
out, a third each for units, calibration and coverage; 3 seeds, 3 partitions each), mean width at 80
%: valence 3.04 by this rule, 3.07 with one unit for all, 3.13 by conformalised quantile regression
(Romano, Patterson and Candès 2019); arousal 3.16, 3.33, 3.25; quantile of likes 0.417, 0.412,
0.472, of comments 0.571, 0.562, 0.648. Intervals are cut off at the ends of the scale and pass
through the task's increasing ``inverse_transform`` to rates and counts. That keeps their coverage,
with one exception: where the transform goes by quantiles of the n training posts, a post may lie
above or below all of these (a chance of 2 / (n + 1)).

**By time.** Where posts were split by time, accounts and habits drift, so that posts calibrate
less well the older they are. Their misses then weigh half as much every 25 posts (weighted split
conformal, Barber, Candès, Ramdas and Tibshirani 2023), and once the test posts are scored, they
calibrate the ranges of drafts as well: they are past by then. How often ranges hold is measured the
same way, each test post's range calibrated on what had been posted before it. Share of 80 % ranges
around the median of the author's last ten posts that held by time, unweighted on the calibration
posts alone and by this rule: Instagram's largest accounts, likes .53 and .77 (30 posts), comments
.97 and .93; 455 accounts, likes .77 and .82 (1,261 posts), comments .67 and .84 (663); planted
drift of the level .60 and .74, spread that doubles at once .52 and .74, no drift .81 and .82 (105
posts, means of 40). A half-life of 50 posts gave .73, .93, .81, .81, .71, .70 and .81; adaptive
conformal inference (Gibbs and Candès 2021, step .02) .77, .90, .80, .80, .75, .76 and .80, but says
nothing of drafts whose outcome is never reported back.

**Classes.** A set holds every class whose probability is high enough (least ambiguous sets,
Sadinle, Lei and Wasserman 2019: the smallest on average), and always the most probable one, so that
none is empty. Nothing is drawn at random, so that equal posts get equal sets: where many posts have
equal probabilities, sets cover more than they promise, never less. The promise holds over all
posts, not within each class.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evoked.errors import DataError
from evoked.evaluation.bootstrap import bootstrap_interval
from evoked.evaluation.coverage import DEFAULT_COVERAGE, check_coverage, share_range
from evoked.posts.author_history import PREFIX, SPREAD_OVER
from evoked.targets import Outcome, Task

NOMINAL_COVERAGES = (0.8, 0.9)

# More scores than this make no interval better; a random choice of them calibrates as well.
_MOST_SCORES = 2000
# Posts after which a miss weighs half as much, where posts were split by time.
HALF_LIFE = 25.0
# Misses older than this many posts weigh nothing: 2 ** -20.
_MOST_WEIGHED = 500
_KNOTS = 33
# Weight, in posts, of the assumption that all predictions are equally uncertain.
_PRIOR_POSTS = 10.0
_SMALLEST_UNIT = 0.1
# Weight, in posts, of the assumption that all authors are equally steady.
_SPREAD_POSTS = 10.0
# Beyond these, a count's digits are the computer's: 2.9999999996 is 3.
_DECIMALS = 6
_BETWEEN_LABELS = "|"

COVERAGE_COLUMNS = (
    "outcome",
    "kind",
    "nominal",
    "coverage",
    "low",
    "high",
    "width",
    "n",
    "calibration",
    "enough",
)

Floats = NDArray[np.float64]


class Predicted(NamedTuple):
    """n posts and what a model predicts for them, (n, columns of the task)."""

    posts: pd.DataFrame
    columns: pd.DataFrame


def fewest_posts(coverage: float) -> int:
    """How many calibration posts a coverage needs; with fewer, an interval is the whole range."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def conformal_quantile(scores: ArrayLike, coverage: float) -> float:
    """The ceil((n + 1) · coverage)-th smallest of n scores; infinite where n is too small for that.

    Raises
    ------
    SettingsError
        ``coverage`` is not between 0 and 1.
    """
    check_coverage(coverage)
    values = np.sort(np.asarray(scores, dtype=np.float64))
    rank = math.ceil((len(values) + 1) * coverage - 1e-9)
    return float(values[rank - 1]) if rank <= len(values) else math.inf


def weighted_quantile(scores: ArrayLike, coverage: float, half_life: float) -> float:
    """:func:`conformal_quantile` of n scores, the newest last, of which each weighs half as much as
    the one that comes ``half_life`` posts later.

    Raises
    ------
    SettingsError
        ``coverage`` is not between 0 and 1.
    """
    check_coverage(coverage)
    values = np.asarray(scores, dtype=np.float64)[-_MOST_WEIGHED:]
    weights = 0.5 ** (np.arange(len(values))[::-1] / half_life)
    order = np.argsort(values, kind="stable")
    # The post to come weighs 1, and its miss may be larger than all.
    share = np.cumsum(weights[order]) / (weights.sum() + 1)
    rank = int(np.searchsorted(share, coverage - 1e-12))
    return float(values[order][rank]) if rank < len(values) else math.inf


@dataclass(frozen=True)
class ResidualIntervals:
    """Intervals of one number; made by :meth:`fit`.

    Attributes
    ----------
    at, below, above
        Predictions, ascending, and the units of misses downward and upward there; between them,
        units are interpolated linearly.
    scores
        The calibration posts' misses in these units, ascending; with a half-life the newest last.
    half_life
        Posts after which a miss weighs half as much; None if all weigh alike.
    tested
        The test posts' misses, which calibrate the intervals of drafts, the newest last.
    """

    at: list[float]
    below: list[float]
    above: list[float]
    scores: list[float]
    half_life: float | None = None
    tested: list[float] = field(default_factory=list)

    @classmethod
    def fit(
        cls,
        difficulty: tuple[ArrayLike, ArrayLike],
        calibration: tuple[ArrayLike, ArrayLike],
        half_life: float | None = None,
        scales: tuple[ArrayLike, ArrayLike] = (1.0, 1.0),
    ) -> Self:
        """Learn from predictions and truths, each (n,); posts with a NaN in either don't count.

        Parameters
        ----------
        difficulty
            Posts from which the units of misses come.
        calibration
            Posts that the model which predicted them has not learned from in any way; with a
            half-life the newest last.
        half_life
            Posts after which a miss weighs half as much.
        scales
            What is usual for each post's miss beside the others', of both kinds of posts, each one
            or (n,).
        """
        guessed, truth = (np.asarray(each, dtype=np.float64) for each in difficulty)
        scaled = guessed + (truth - guessed) / np.asarray(scales[0])
        at, below, above = _difficulty(*_known(guessed, scaled))
        bare = cls(at.tolist(), below.tolist(), above.tolist(), [], half_life)
        misses = bare.misses(*calibration, scales[1])
        return replace(bare, scores=bare._kept(misses[np.isfinite(misses)]))

    def misses(self, predicted: ArrayLike, truth: ArrayLike, scale: ArrayLike = 1.0) -> Floats:
        """How far predictions miss, in units times ``scale``, one or (n,); NaN where either is
        unknown."""
        guessed, true = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
        miss = true - guessed
        below, above = (np.interp(guessed, self.at, unit) for unit in (self.below, self.above))
        return np.abs(miss) / (np.where(miss < 0, below, above) * np.asarray(scale))

    def with_tested(self, misses: Floats) -> Self:
        """The same intervals, which calibrate drafts on the misses of these test posts as well."""
        known = misses[np.isfinite(misses)]
        return replace(self, tested=self._kept(np.concatenate([self.tested, known])))

    def bounds(self, predicted: ArrayLike, coverage: float) -> tuple[Floats, Floats]:
        """Lower and upper ends for predictions (n,); infinite where there are too few posts."""
        return self.around(predicted, self.reach(coverage))

    def around(
        self, predicted: ArrayLike, reach: ArrayLike, scale: ArrayLike = 1.0
    ) -> tuple[Floats, Floats]:
        """Lower and upper ends for predictions (n,), ``reach`` units times ``scale`` away, each one
        or (n,)."""
        values = np.asarray(predicted, np.float64)
        units = np.asarray(reach, np.float64) * np.asarray(scale)
        low = values - units * np.interp(values, self.at, self.below)
        return low, values + units * np.interp(values, self.at, self.above)

    def reach(self, coverage: float, *, widened: bool = False) -> float:
        """Units on either side of a draft's prediction, calibrated on all posts that are past.

        Parameters
        ----------
        widened
            Never less than what would have held for the test posts, since less was promised in
            vain.
        """
        reach = self._quantile([*self.scores, *self.tested], coverage)
        return max(reach, conformal_quantile(self.tested, coverage)) if widened else reach

    def reach_in_turn(self, misses: Floats, instants: Floats, coverage: float) -> Floats:
        """Units on either side for n posts of known misses, (n,), each calibrated on the
        calibration posts and, with a half-life, on those of the n that are earlier."""
        if self.half_life is None:
            return np.full(len(misses), self._quantile(self.scores, coverage))
        order = np.argsort(instants, kind="stable")
        ordered, calibration = misses[order], np.array(self.scores)
        numbers, which = np.unique(np.searchsorted(instants[order], instants), return_inverse=True)
        reaches = []
        for number in numbers:
            past = np.concatenate([calibration, ordered[:number]])
            reaches.append(self._quantile(past[np.isfinite(past)], coverage))
        return np.array(reaches)[which.ravel()]

    def _quantile(self, scores: ArrayLike, coverage: float) -> float:
        if self.half_life is None:
            return conformal_quantile(scores, coverage)
        return weighted_quantile(scores, coverage, self.half_life)

    def _kept(self, scores: Floats) -> list[float]:
        return _kept(scores) if self.half_life is None else scores[-_MOST_WEIGHED:].tolist()


@dataclass(frozen=True)
class LabelSets:
    """Sets of classes; made by :meth:`fit`.

    Attributes
    ----------
    scores
        One minus the probability that each calibration post's class was given, ascending.
    """

    scores: list[float]

    @classmethod
    def fit(cls, probabilities: ArrayLike, classes: ArrayLike) -> Self:
        """Learn from probabilities (n, classes) and the true classes' numbers (n,).

        Posts of unknown class (-1) or probability (NaN) don't count.
        """
        shares, numbers = np.asarray(probabilities, np.float64), np.asarray(classes)
        known = (numbers >= 0) & np.isfinite(shares).all(axis=1)
        return cls(_kept(1 - shares[known, numbers[known]]))

    def members(self, probabilities: ArrayLike, coverage: float) -> NDArray[np.bool_]:
        """Which classes each post's set holds, (n, classes)."""
        shares = np.asarray(probabilities, dtype=np.float64)
        chosen = 1 - shares <= conformal_quantile(self.scores, coverage)
        return chosen | (shares == shares.max(axis=1, keepdims=True, initial=-np.inf))


@dataclass(frozen=True)
class Intervals:
    """Intervals and sets for all that a model predicts of a task; made by :meth:`fit`.

    Attributes
    ----------
    values
        Intervals by column of the task that holds a number.
    sets
        Sets by outcome that has classes or is true or false.
    posts
        Number of calibration posts whose truth is known, by column of
        :meth:`evoked.targets.Task.truth`.
    tested
        How many test posts, which calibrate the intervals of drafts, have it; empty for none.
    spreads
        How far the last posts of the calibration posts' authors usually lay apart, by column of the
        task; only those of which the posts show it.
    """

    values: dict[str, ResidualIntervals]
    sets: dict[str, LabelSets]
    posts: dict[str, int]
    tested: dict[str, int] = field(default_factory=dict)
    spreads: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        task: Task,
        difficulty: Predicted,
        calibration: Predicted,
        *,
        by_time: bool = False,
    ) -> Self:
        """Calibrate a model's predictions.

        Parameters
        ----------
        task
            Fitted on the training posts.
        difficulty
            Posts that may have decided when to stop; if there are few, some models have learned
            from them as well, which makes all units smaller and all scores larger to match.
        calibration
            Posts that the model which predicted them has not learned from in any way; there may be
            none. They may be those of ``difficulty``, if they are many beside the few numbers that
            the units are smoothed to. Emotions that a reader estimated don't count as known.
        by_time
            Whether the posts were split by time, so that newer ones weigh more.
        """
        if by_time:
            calibration = _oldest_first(calibration)
        known = [_known_columns(task, part.posts) for part in (difficulty, calibration)]
        spreads = _usual_spreads(task, calibration.posts)
        values = {}
        for name in _value_columns(task):
            position = task.columns.index(name)
            of_units, of_misses = (
                (task.straightened(name, part.columns[name]), truth[:, position])
                for part, truth in zip((difficulty, calibration), known, strict=True)
            )
            half_life = HALF_LIFE if by_time else None
            scales = (
                _scale(task, name, difficulty.posts, spreads),
                _scale(task, name, calibration.posts, spreads),
            )
            values[name] = ResidualIntervals.fit(of_units, of_misses, half_life, scales)
        restored = task.inverse_transform(calibration.columns, calibration.posts)
        truth = task.truth(calibration.posts)
        sets = {
            outcome.name: LabelSets.fit(
                _probabilities(restored, outcome), _class_numbers(truth, outcome)
            )
            for outcome in _label_outcomes(task)
        }
        posts = {str(name): int(truth[name].notna().sum()) for name in truth if name != "post_id"}
        return cls(values, sets, posts, spreads=spreads)

    def with_tested(self, task: Task, predicted: Predicted) -> Self:
        """The same intervals, which calibrate drafts on these test posts as well, newer than any
        before: their truth is known, and they are past."""
        predicted = _oldest_first(predicted)
        misses = self._misses(task, predicted)
        truth = task.truth(predicted.posts)
        others = {outcome.name for outcome in _label_outcomes(task)} | {"post_id"}
        return replace(
            self,
            values={name: each.with_tested(misses[name]) for name, each in self.values.items()},
            tested={
                str(name): self.tested.get(str(name), 0) + int(truth[name].notna().sum())
                for name in truth
                if name not in others
            },
        )

    def _misses(self, task: Task, predicted: Predicted) -> dict[str, Floats]:
        """How far the predictions of posts of known truth miss, by column, (n,) each."""
        truth = _known_columns(task, predicted.posts)
        return {
            name: interval.misses(
                task.straightened(name, predicted.columns[name]),
                truth[:, task.columns.index(name)],
                _scale(task, name, predicted.posts, self.spreads),
            )
            for name, interval in self.values.items()
        }

    def table(
        self,
        task: Task,
        predicted: Predicted,
        coverage: float = DEFAULT_COVERAGE,
        *,
        in_turn: bool = False,
        widened: Collection[str] = (),
    ) -> pd.DataFrame:
        """What :meth:`evoked.targets.Task.inverse_transform` gives, with intervals.

        Parameters
        ----------
        task, predicted, coverage
            What is predicted, and how often the intervals are to hold the truth.
        in_turn
            Whether the posts' truths are known one after the other, as those of test posts are:
            where newer posts weigh more, each post's range comes of those before it.
        widened
            Columns of the task whose intervals are never narrower than what would have held for the
            test posts.

        Returns
        -------
        DataFrame
            After each number ``<name>_low`` and ``<name>_high``, infinite where nothing bounds it;
            after each class, and after true or false, ``<name>_set``: the labels that the set
            holds, joined by ``|`` ("low|medium"; "popular", "not popular"). Ends of counts are
            the first and the last whole number of the interval, and enclose the prediction.

        Raises
        ------
        SettingsError
            ``coverage`` is not between 0 and 1.
        """
        posts, columns = predicted
        restored = task.inverse_transform(columns, posts)
        low, high = columns.astype(np.float64), columns.astype(np.float64)
        misses = self._misses(task, predicted) if in_turn else {}
        for name, interval in self.values.items():
            reach: ArrayLike = interval.reach(coverage, widened=name in widened)
            if in_turn:
                reach = interval.reach_in_turn(misses[name], _instants(posts), coverage)
            scale = _scale(task, name, posts, self.spreads)
            ends = interval.around(task.straightened(name, columns[name]), reach, scale)
            low[name], high[name] = (
                np.clip(task.bent(name, end), *task.bounds(name)) for end in ends
            )
        lows, highs = task.inverse_transform(low, posts), task.inverse_transform(high, posts)
        for name in _counts(task):
            if name in restored:
                likely, first, last = (
                    table[name].round(_DECIMALS) for table in (restored, lows, highs)
                )
                lows[name] = np.minimum(np.ceil(first), np.floor(likely))
                highs[name] = np.maximum(np.floor(last), np.ceil(likely))
        outcomes = {outcome.name: outcome for outcome in _label_outcomes(task)}
        probabilities = {
            name for outcome in outcomes.values() for name in outcome.probability_columns
        }
        parts: dict[str, Any] = {}
        for name in map(str, restored):
            parts[name] = restored[name]
            if name in outcomes:
                parts[f"{name}_set"] = self._sets(restored, outcomes[name], coverage)
            elif name not in probabilities:
                parts |= {f"{name}_low": lows[name], f"{name}_high": highs[name]}
        return pd.DataFrame(parts, index=restored.index)

    def _sets(
        self, restored: pd.DataFrame, outcome: Outcome, coverage: float
    ) -> NDArray[np.object_]:
        members = self.sets[outcome.name].members(_probabilities(restored, outcome), coverage)
        # There are far fewer different sets than posts.
        different, which = np.unique(members, axis=0, return_inverse=True)
        labels = np.array(_labels(outcome), dtype=object)
        texts = [_BETWEEN_LABELS.join(labels[row]) for row in different]
        return np.array(texts, dtype=object)[which.ravel()]

    def _covered(
        self, table: pd.DataFrame, truth: pd.DataFrame, outcome: Outcome, coverage: float
    ) -> tuple[NDArray[np.bool_], Floats]:
        """Whether each truth lies within, and the width there."""
        name = outcome.name
        if outcome.kind == "value":
            low, high = (table[f"{name}_{end}"].to_numpy(np.float64) for end in ("low", "high"))
            true = truth[name].to_numpy(np.float64)
            return (low <= true) & (true <= high), high - low
        members = self.sets[name].members(_probabilities(table, outcome), coverage)
        inside = members[np.arange(len(members)), _class_numbers(truth, outcome)]
        return inside, members.sum(axis=1).astype(np.float64)

    def uncalibrated(self, coverage: float) -> list[str]:
        """Outcomes with too few calibration posts for a coverage, which get their whole range."""
        fewest = fewest_posts(coverage)
        return [
            name for name, count in self.posts.items() if count + self.tested.get(name, 0) < fewest
        ]

    def unbounded(self, task: Task, coverage: float) -> set[str]:
        """Outcomes and counts whose intervals of drafts are the whole range, since too few posts
        calibrate them."""
        endless = {name for name, each in self.values.items() if math.isinf(each.reach(coverage))}
        return {
            name
            for outcome in task.outcomes
            if endless & set(outcome.columns)
            for name in (outcome.name, outcome.count)
        }

    def coverage(
        self,
        task: Task,
        predicted: Predicted,
        *,
        nominal: Sequence[float] = NOMINAL_COVERAGES,
        authors: ArrayLike | None = None,
        in_turn: bool = True,
        widened: Collection[str] = (),
    ) -> pd.DataFrame:
        """How often intervals and sets hold the truth of posts, and how wide they are.

        Parameters
        ----------
        task, predicted
            Posts whose truth is known, other than those that the intervals were made from.
        nominal
            What the intervals promise.
        authors
            Author of each post, to resample authors instead of posts where authors were held out.
        in_turn, widened
            As for :meth:`table`.

        Returns
        -------
        DataFrame
            A row per outcome and nominal coverage: outcome, kind, nominal, coverage, low, high
            (95 % interval of the coverage: :func:`~evoked.evaluation.coverage.share_range`, or by
            bootstrap of ``authors``), width (mean;
            of sets the mean number of classes; infinite where an end is), n, calibration (posts
            that calibrated it) and enough (whether these are enough for the nominal coverage).
        """
        truth = task.truth(predicted.posts)
        kinds = {outcome.name: outcome for outcome in task.outcomes}
        rows = []
        for promised in nominal:
            table = self.table(task, predicted, promised, in_turn=in_turn, widened=widened)
            for name in truth.columns.drop("post_id").intersection(table.columns, sort=False):
                known = (truth[name].notna() & table[name].notna()).to_numpy()
                if not known.any():
                    continue
                outcome = kinds.get(name, Outcome(name, "value"))
                inside, width = self._covered(table[known], truth[known], outcome, promised)
                groups = None if authors is None else np.asarray(authors, object)[known]
                low, high = _share_interval(inside, groups)
                rows.append(
                    {
                        "outcome": name,
                        "kind": outcome.kind,
                        "nominal": promised,
                        "coverage": float(inside.mean()),
                        "low": low,
                        "high": high,
                        "width": float(width.mean()),
                        "n": int(known.sum()),
                        "calibration": self.posts[name],
                        "enough": self.posts[name] >= fewest_posts(promised),
                    }
                )
        return pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready state; at most some thousand numbers per outcome."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any], file: Path | None = None) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        DataError
            ``state`` is something else; the message names ``file``.
        """
        try:
            return cls(
                {str(k): _residual_intervals(v) for k, v in state["values"].items()},
                {str(k): LabelSets(**_lists(v)) for k, v in state["sets"].items()},
                {str(name): int(count) for name, count in state["posts"].items()},
                {str(name): int(count) for name, count in state["tested"].items()},
                {str(name): float(spread) for name, spread in state["spreads"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"not the intervals of a run ({error}).", file=file, fix="Train the model again."
            ) from error


def _known_columns(task: Task, posts: pd.DataFrame) -> Floats:
    """The task's columns of posts as intervals are made of them, (n, columns)."""
    values = task.transform(posts).values.astype(np.float64)
    for position, name in enumerate(task.columns):
        values[:, position] = task.straightened(name, values[:, position])
    return values


def _usual_spreads(task: Task, posts: pd.DataFrame) -> dict[str, float]:
    """Mean over posts of how far their authors' last posts lay apart, by column of a task."""
    found = {}
    for name in _value_columns(task):
        column = task.spread_column(name)
        known = posts[column].dropna() if column in posts else pd.Series(dtype=np.float64)
        if known.mean() > 0:
            found[name] = float(known.mean())
    return found


def _scale(task: Task, name: str, posts: pd.DataFrame, spreads: dict[str, float]) -> Floats:
    """What is usual for the miss of each of n posts beside those of others, (n,): 1 where nothing
    is known of the author's last posts."""
    if name not in spreads:
        return np.ones(len(posts))
    spread = posts[task.spread_column(name)].to_numpy(np.float64) / spreads[name]
    known = np.isfinite(spread)
    earlier = np.nan_to_num(posts[f"{PREFIX}posts"].to_numpy(np.float64))
    number = np.where(known, np.clip(earlier - 1, 0, SPREAD_OVER - 1), 0.0)
    return (number * np.where(known, spread, 0.0) + _SPREAD_POSTS) / (number + _SPREAD_POSTS)


def _counts(task: Task) -> set[str]:
    """Columns of what a task restores that hold counts, which are whole numbers."""
    values = [outcome for outcome in task.outcomes if outcome.kind == "value"]
    return {each.count for each in values if each.count} | {
        each.name for each in values if not each.columns
    }


def _known(predicted: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    guessed, true = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    known = np.isfinite(guessed) & np.isfinite(true)
    return guessed[known], true[known]


def _difficulty(predicted: Floats, truth: Floats) -> tuple[Floats, Floats, Floats]:
    """Predictions, ascending, and the units of misses downward and upward there."""
    miss = truth - predicted
    usual = float(np.abs(miss).mean()) if len(miss) else 0.0
    if usual == 0:
        return np.zeros(1), np.ones(1), np.ones(1)
    spread = float(predicted.std()) or 1.0
    at = np.unique(np.linspace(predicted.min(), predicted.max(), _KNOTS))
    near = np.exp(-0.5 * ((at[:, None] - predicted) / spread) ** 2)
    weight = near.sum(axis=1) + _PRIOR_POSTS
    means = (
        (near @ np.maximum(side, 0) + _PRIOR_POSTS * usual / 2) / weight for side in (-miss, miss)
    )
    below, above = (np.sqrt(np.maximum(mean, _SMALLEST_UNIT * usual)) for mean in means)
    return at, below, above


def _kept(scores: Floats) -> list[float]:
    if len(scores) > _MOST_SCORES:
        scores = np.random.default_rng(0).choice(scores, _MOST_SCORES, replace=False)
    return np.sort(scores).tolist()


def _label_outcomes(task: Task) -> list[Outcome]:
    return [outcome for outcome in task.outcomes if outcome.kind != "value"]


def _value_columns(task: Task) -> list[str]:
    """Columns that hold a number, not the probability of a class."""
    return [
        name for outcome in task.outcomes if outcome.kind == "value" for name in outcome.columns
    ]


def _labels(outcome: Outcome) -> tuple[str, ...]:
    return outcome.labels or (f"not {outcome.name}", outcome.name)


def _probabilities(restored: pd.DataFrame, outcome: Outcome) -> Floats:
    """Probability of each label, (n, labels)."""
    shares = restored[list(outcome.probability_columns)].to_numpy(np.float64)
    return np.concatenate([1 - shares, shares], axis=1) if outcome.kind == "binary" else shares


def _class_numbers(truth: pd.DataFrame, outcome: Outcome) -> NDArray[np.int64]:
    """Position of the true label, (n,); -1 where unknown."""
    labels = (False, True) if outcome.kind == "binary" else outcome.labels
    numbers = pd.Index(labels, dtype=object).get_indexer(
        pd.Index(truth[outcome.name], dtype=object)
    )
    return numbers.astype(np.int64)


def _share_interval(inside: NDArray[np.bool_], groups: ArrayLike | None) -> tuple[float, float]:
    """95 % interval of a share."""
    if groups is None:
        return share_range(int(inside.sum()), len(inside))
    drawn = bootstrap_interval(_share, inside.astype(np.float64), groups=groups)
    return drawn.low, drawn.high


def _share(inside: Floats, weights: Floats | None = None) -> Any:
    return inside.mean() if weights is None else weights @ inside / weights.sum(axis=-1)


def _oldest_first(predicted: Predicted) -> Predicted:
    order = np.argsort(_instants(predicted.posts), kind="stable")
    return Predicted(predicted.posts.iloc[order], predicted.columns.iloc[order])


def _instants(posts: pd.DataFrame) -> Floats:
    """Seconds since 1970, (n,); undated posts are the oldest."""
    if "posted_at" not in posts:
        return np.full(len(posts), -np.inf)
    dates = pd.to_datetime(posts["posted_at"], utc=True)
    seconds = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return np.asarray(seconds.fillna(-np.inf), dtype=np.float64)


def _residual_intervals(state: dict[str, Any]) -> ResidualIntervals:
    half_life = state["half_life"]
    lists = _lists({name: value for name, value in state.items() if name != "half_life"})
    return ResidualIntervals(**lists, half_life=None if half_life is None else float(half_life))


def _lists(state: dict[str, Any]) -> dict[str, list[float]]:
    return {str(name): [float(value) for value in values] for name, values in state.items()}
