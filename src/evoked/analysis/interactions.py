"""Popular or not, by the emotions of text and cover and by likes: EIJL's Eq. 1 and Table 1.

The paper fits a line to an outcome of 0 and 1 (a linear probability model), without standard
errors. Here the logistic model, which is made for an outcome of 0 and 1, is fitted as well, with
errors that hold for posts of unequal noise and, where enough authors have several posts, for posts
of one author that resemble each other.

Eq. 1 has the product of all three variables, but of the products of two only that of the emotions:
what text emotion and likes, or cover emotion and likes, do together is attributed to all three, and
the coefficients depend on where the scales have their zero. So the model with all products
is fitted as well, and one without likability: likes come after posting, from the same readers as
shares, and explain most of what the whole model explains.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from evoked.errors import DataError
from evoked.evaluation.corrections import holm

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Groups = NDArray[np.int64] | None
Term = tuple[str, ...]

TEXT, IMAGE, LIKES = "text emotion", "image emotion", "likability"
VARIABLES = (TEXT, IMAGE, LIKES)

DESIGNS: dict[str, tuple[Term, ...]] = {
    "Eq. 1": ((TEXT,), (IMAGE,), (LIKES,), (TEXT, IMAGE), (TEXT, IMAGE, LIKES)),
    "without likability": ((TEXT,), (IMAGE,), (TEXT, IMAGE)),
    "all products": (
        (TEXT,),
        (IMAGE,),
        (LIKES,),
        (TEXT, IMAGE),
        (TEXT, LIKES),
        (IMAGE, LIKES),
        (TEXT, IMAGE, LIKES),
    ),
}
"""By name, the terms of each model: the products of these variables."""

MODELS = ("linear", "logistic")

# EIJL, Table 1: coefficient and p; a p below 0.001 is entered as 0.001. For the product of
# text and image emotion the paper's text says -0.049.
PUBLISHED_TERMS: dict[Term, tuple[float, float]] = {
    (TEXT,): (-0.030, 0.87),
    (IMAGE,): (-0.011, 0.432),
    (LIKES,): (0.235, 0.001),
    (TEXT, IMAGE): (0.049, 0.050),
    (TEXT, IMAGE, LIKES): (-0.057, 0.001),
}
PUBLISHED_R2 = 0.234

FEWEST_POSTS = 20
"""With fewer posts whose outcome and variables are known, no model is fitted."""
FEWEST_AUTHORS = 10
"""With fewer authors, an error that treats authors as units says little."""

# A column adds nothing if the ones before it explain more than this share of it.
_COLLINEAR = 1 - 1e-6
_ALONE = 1 - 1e-8
_NEGLIGIBLE = 1e-6
_SEPARATED = 1e-6
_ITERATIONS = 100


class InteractionModels(NamedTuple):
    """The models of one dataset.

    Attributes
    ----------
    terms
        A row for each term of each design and model: ``design``, ``model``, ``term``,
        ``coefficient``, ``error`` (robust standard error), ``low``, ``high``, ``p``, ``p_holm``
        (over the terms of the model, the constant aside), ``odds_ratio`` with its interval
        (logistic), ``marginal_effect`` with interval and p (of a variable, all products that it is
        part of included: the mean change in probability for one level more, or for a face; NaN for
        products, which have none of their own), ``vif`` (variance inflation), ``n``, ``published``
        and ``published_p``.
    fits
        A row for each design and model: ``n``, ``popular`` (posts), ``r2`` (McFadden's for the
        logistic), ``r2_adjusted``, ``errors`` (which kind), ``left_out`` (terms, and why),
        ``note``, ``published_r2``.
    """

    terms: pd.DataFrame
    fits: pd.DataFrame


def popular_posts(counts: ArrayLike, share: float = 0.2) -> tuple[Booleans, float]:
    """The posts with most shares, or another count.

    Parameters
    ----------
    counts
        (n,); a post with an unknown count is not popular.
    share
        Share of the known posts that are popular. Posts with the same count stay together: the
        border is where the share comes nearest to this.

    Returns
    -------
    popular, border
        (n,), and the least count of a popular post; NaN if all counts are alike or unknown.
    """
    values = np.asarray(counts, dtype=np.float64)
    known = np.sort(values[np.isfinite(values)])
    borders = np.unique(known)[1:]  # not every post can be popular
    if not len(borders):
        return np.zeros(len(values), dtype=bool), float("nan")
    reached = 1 - np.searchsorted(known, borders) / len(known)
    border = float(borders[np.abs(reached - share).argmin()])
    return np.asarray(values >= border), border


def likability_bands(likes: ArrayLike) -> Floats:
    """Low, medium or high number of likes as 0, 1 and 2: the thirds of the known ones.

    The paper doesn't say where its bands end. Posts of equal likes share a band.
    """
    values = np.asarray(likes, dtype=np.float64)
    known = values[np.isfinite(values)]
    if not len(known):
        return np.full(len(values), np.nan)
    thirds = np.quantile(known, [1 / 3, 2 / 3])
    return np.where(np.isfinite(values), np.searchsorted(thirds, values), np.nan)


def interaction_models(
    variables: pd.DataFrame,
    popular: ArrayLike,
    authors: NDArray[np.int64] | None = None,
    level: float = 0.95,
) -> InteractionModels:
    """Fit every design of :data:`DESIGNS`, linear and logistic.

    Parameters
    ----------
    variables
        n posts with those columns of :data:`VARIABLES` that are known: text emotion from -2 to 2,
        image emotion 0 or 1 (a face), likability 0, 1, 2. NaN leaves the post out of all models.
    popular
        (n,): the outcome.
    authors
        Number of each post's author, (n,), or None where no author has several posts.
    level
        Confidence level of the intervals.

    Raises
    ------
    DataError
        The variables of fewer than twenty posts are known, or all or none of these are popular.
    """
    known = variables.notna().all(axis=1).to_numpy()
    if known.sum() < FEWEST_POSTS:
        names = ", ".join(map(str, variables)) or "no variable"
        raise DataError(
            f"the count and {names} are known for {int(known.sum())} posts; {FEWEST_POSTS} are "
            "needed."
        )
    values = variables[known].astype(np.float64).reset_index(drop=True)
    outcome = np.asarray(popular, dtype=bool)[known]
    groups = None if authors is None else authors[known]
    if outcome.all() or not outcome.any():
        raise DataError(
            f"of {len(outcome)} posts {int(outcome.sum())} are popular: nothing differs."
        )
    terms: list[dict[str, Any]] = []
    fits: list[dict[str, Any]] = []
    seen: list[list[Term]] = []
    for name, wanted in DESIGNS.items():
        design = _design(values, wanted)
        if len(design.terms) < 2 or design.terms in seen:
            continue  # what is known leaves no model, or the same one again
        seen.append(design.terms)
        for model in MODELS:
            head = {"design": name, "model": model}
            fit = _fit(model, design, outcome, groups)
            terms += _term_rows(head, fit, design, values, level)
            fits.append(_fit_row(head, fit, design, outcome))
    if not fits:
        raise DataError(f"{', '.join(map(str, variables))}: the same in all {len(values)} posts")
    return InteractionModels(pd.DataFrame(terms), pd.DataFrame(fits))


def term_name(term: Term) -> str:
    """A term as people read it."""
    return " × ".join(term) or "constant"


class _Design(NamedTuple):
    """The terms of a model, the constant first as (); its columns (n, k); the terms that can't be
    in it, and why."""

    terms: list[Term]
    matrix: Floats
    left_out: dict[Term, str]


class _Fit(NamedTuple):
    """Coefficients (k,) and their covariance (k, k), NaN where there are none."""

    coefficients: Floats
    covariance: Floats
    freedom: float
    r2: float
    r2_adjusted: float
    errors: str
    note: str


def _design(values: pd.DataFrame, wanted: Sequence[Term]) -> _Design:
    kept: dict[Term, Floats] = {(): np.ones(len(values))}
    left_out: dict[Term, str] = {}
    for term in wanted:
        if not set(term) <= set(values):
            # Products of an unknown variable need no mention.
            left_out |= {(name,): "unknown" for name in term if name not in values}
            continue
        column = np.asarray(values[list(term)].prod(axis=1), dtype=np.float64)
        if np.ptp(column) == 0:
            left_out[term] = "the same in all posts"
        elif _explained(column, np.column_stack(list(kept.values()))) > _COLLINEAR:
            left_out[term] = "follows from the other terms"
        else:
            kept[term] = column
    return _Design(list(kept), np.column_stack(list(kept.values())), left_out)


def _explained(column: Floats, others: Floats) -> float:
    """R² of a column on others, the constant among them."""
    residual = column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
    return float(1 - (residual**2).sum() / ((column - column.mean()) ** 2).sum())


def _fit(model: str, design: _Design, outcome: Booleans, groups: Groups) -> _Fit:
    if model == "linear":
        return _fit_linear(design, outcome, groups)
    apart = _separating(design, outcome)
    if apart:
        verb = "separates" if len(apart) == 1 else "separate"
        return _no_fit(
            design,
            f"no finite maximum: {', '.join(apart)} {verb} some of the posts without error, so "
            "coefficients would grow without end",
        )
    return _fit_logistic(design, outcome, groups)


def _fit_linear(design: _Design, outcome: Booleans, groups: Groups) -> _Fit:
    from statsmodels.regression.linear_model import OLS

    found = OLS(outcome.astype(np.float64), design.matrix).fit()
    spread = _covariance(design, found.resid, np.ones(len(outcome)), groups)
    outside = ((found.fittedvalues < 0) | (found.fittedvalues > 1)).mean()
    notes = [spread.note]
    if outside > 0:
        notes.append(f"{outside:.1%} of the fitted probabilities lie outside 0 to 1")
    return _Fit(
        np.asarray(found.params),
        spread.covariance,
        spread.freedom,
        float(found.rsquared),
        float(found.rsquared_adj),
        spread.errors,
        _joined(notes),
    )


def _fit_logistic(design: _Design, outcome: Booleans, groups: Groups) -> _Fit:
    from statsmodels.discrete.discrete_model import Logit

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warnings' causes are checked below
            found = Logit(outcome.astype(np.float64), design.matrix).fit(
                disp=0, maxiter=_ITERATIONS
            )
    except np.linalg.LinAlgError as error:
        return _no_fit(design, f"the fit failed ({error})")
    if not found.mle_retvals["converged"]:
        return _no_fit(design, f"no convergence within {_ITERATIONS} steps")
    chance = special.expit(design.matrix @ found.params)
    spread = _covariance(design, outcome - chance, chance * (1 - chance), groups)
    slopes = len(design.terms) - 1
    return _Fit(
        np.asarray(found.params),
        spread.covariance,
        spread.freedom,
        float(found.prsquared),
        float(1 - (found.llf - slopes) / found.llnull),
        spread.errors,
        spread.note,
    )


def _no_fit(design: _Design, note: str) -> _Fit:
    k, nan = len(design.terms), float("nan")
    return _Fit(np.full(k, nan), np.full((k, k), nan), nan, nan, nan, "none", note)


def _separating(design: _Design, outcome: Booleans) -> list[str]:
    """Terms of a combination that is at least zero for every popular post, at most zero for every
    other, and not zero for all: with one there is no finite maximum (Albert and Anderson 1984).
    Found by linear programming (Konis 2007)."""
    signed = np.unique(design.matrix * np.where(outcome, 1.0, -1.0)[:, None], axis=0)
    found = optimize.linprog(
        -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1)
    )
    if found.status != 0 or -found.fun < _SEPARATED:
        return []
    # The constant only takes part.
    parts = zip(design.terms, found.x, strict=True)
    return [term_name(term) for term, weight in parts if term and abs(weight) > _SEPARATED]


class _Spread(NamedTuple):
    """Covariance of the coefficients (k, k), degrees of freedom, kind of errors, and a note."""

    covariance: Floats
    freedom: float
    errors: str
    note: str


def _covariance(design: _Design, residuals: Floats, weights: Floats, groups: Groups) -> _Spread:
    """Covariance of the coefficients, by leaving out each author, or each post, in one step.

    For a linear model this is CR3, and HC3 where each post stands alone (MacKinnon and White 1985;
    Bell and McCaffrey 2002): residuals are enlarged because the line was fitted to them. For
    the logistic model the last step is treated the same way. An error is NaN where one author or
    post decides the coefficient alone.
    """
    x, k = design.matrix, len(design.terms)
    inverse = np.asarray(np.linalg.inv(x.T @ (weights[:, None] * x)), dtype=np.float64)
    authors = 0 if groups is None else len(np.unique(groups))
    if groups is None or authors < FEWEST_AUTHORS:
        scores, alone = _enlarged_of_posts(x, residuals, weights, inverse)
        unit, freedom, errors = "post", len(x) - k, "HC3"
    else:
        scores, alone = _enlarged_of_groups(x, residuals, weights, groups, inverse)
        unit, freedom, errors = "author", authors - 1, f"CR3, {authors} authors"
    notes = []
    if 0 < authors < FEWEST_AUTHORS:
        notes.append(
            f"{authors} author{'s' if authors > 1 else ''} only: posts count as independent, and "
            "the errors don't extend to other authors"
        )
    covariance = inverse @ (scores.T @ scores) @ inverse
    covariance[alone], covariance[:, alone] = np.nan, np.nan
    if alone.any():
        names = [
            term_name(term) for term, decided in zip(design.terms, alone, strict=True) if decided
        ]
        notes.append(f"no error for {', '.join(names)}: one {unit} alone decides it")
    return _Spread(covariance, float(freedom), errors, _joined(notes))


def _enlarged_of_posts(
    x: Floats, residuals: Floats, weights: Floats, inverse: Floats
) -> tuple[Floats, Booleans]:
    """Scores of posts (n, k) with enlarged residuals; coefficients (k,) that one post decides."""
    leverage = weights * np.einsum("ij,jk,ik->i", x, inverse, x)
    alone = leverage > _ALONE
    remaining = np.where(alone, 1.0, 1 - leverage)
    decided = np.abs(x[alone] @ inverse).max(axis=0, initial=0) > _NEGLIGIBLE
    return x * (residuals / remaining)[:, None], decided


def _enlarged_of_groups(
    x: Floats, residuals: Floats, weights: Floats, groups: NDArray[np.int64], inverse: Floats
) -> tuple[Floats, Booleans]:
    """Scores of authors (authors, k), enlarged; coefficients (k,) that one author decides."""
    names, place = np.unique(groups, return_inverse=True)
    k = x.shape[1]
    scores = np.zeros((len(names), k))
    np.add.at(scores, place, x * residuals[:, None])
    squares = np.zeros((len(names), k, k))
    np.add.at(squares, place, weights[:, None, None] * x[:, :, None] * x[:, None, :])
    # Share of every direction of the coefficients that each author determines, in [0, 1].
    values, vectors = np.linalg.eigh(inverse)
    root = (vectors * np.sqrt(values)) @ vectors.T
    share, directions = np.linalg.eigh(root @ squares @ root)
    alone = share > _ALONE
    remaining = np.where(alone, 1.0, 1 - share)
    along = np.einsum("gji,gj->gi", directions, scores @ root) / remaining
    enlarged = np.einsum("gij,gj->gi", directions, along) @ np.linalg.inv(root)
    borne = np.abs(np.einsum("kj,gji->gki", root, directions))
    decided = (borne.transpose(0, 2, 1)[alone] > _NEGLIGIBLE * np.sqrt(np.diag(inverse))).any(
        axis=0
    )
    return enlarged, decided


def _term_rows(
    head: dict[str, str], fit: _Fit, design: _Design, values: pd.DataFrame, level: float
) -> list[dict[str, Any]]:
    logistic = head["model"] == "logistic"
    nan = float("nan")
    error = np.sqrt(np.diag(fit.covariance))
    p = _p_of(fit.coefficients, error, fit.freedom)
    low, high = _interval(fit.coefficients, error, fit.freedom, level)
    corrected = np.append(nan, holm(p[1:]))
    inflation = _variance_inflation(design.matrix)
    rows = []
    for place, term in enumerate(design.terms):
        ends = (fit.coefficients[place], low[place], high[place])
        odds = np.exp(ends) if logistic and term else (nan, nan, nan)
        published = (nan, nan)
        if head == {"design": "Eq. 1", "model": "linear"}:
            published = PUBLISHED_TERMS.get(term, published)
        rows.append(
            {
                **head,
                "term": term_name(term),
                "coefficient": ends[0],
                "low": ends[1],
                "high": ends[2],
                "error": error[place],
                "p": p[place],
                "p_holm": corrected[place],
                "odds_ratio": odds[0],
                "odds_low": odds[1],
                "odds_high": odds[2],
                **_marginal_effect(term, fit, design, values, logistic, level),
                "vif": inflation[place],
                "n": len(values),
                "published": published[0],
                "published_p": published[1],
            }
        )
    return rows


def _marginal_effect(
    term: Term, fit: _Fit, design: _Design, values: pd.DataFrame, logistic: bool, level: float
) -> dict[str, float]:
    """Mean change in probability with one variable, all its products included; delta method."""
    names = ("marginal_effect", "marginal_low", "marginal_high", "marginal_p")
    if len(term) != 1 or not np.isfinite(fit.coefficients).all():
        return dict.fromkeys(names, float("nan"))
    (name,) = term
    # Every term is linear in the variable; this is by how much it grows with one more of it.
    growth = np.column_stack(
        [
            values[[other for other in each if other != name]].prod(axis=1)
            if name in each
            else np.zeros(len(values))
            for each in design.terms
        ]
    )
    x, beta = design.matrix, fit.coefficients
    if not logistic:
        effect, gradient = float((growth @ beta).mean()), growth.mean(axis=0)
    elif name == IMAGE:
        effect, gradient = _effect_of_a_face(x - growth * values[[name]].to_numpy(), growth, beta)
    else:
        effect, gradient = _effect_of_a_level(x, growth, beta)
    error = np.sqrt(gradient @ fit.covariance @ gradient)
    low, high = _interval(effect, error, fit.freedom, level)
    p = _p_of(effect, error, fit.freedom)
    return dict(zip(names, (effect, float(low), float(high), float(p)), strict=True))


def _effect_of_a_face(without: Floats, growth: Floats, beta: Floats) -> tuple[float, Floats]:
    """Mean change in probability from no face to a face, and its gradient, (k,)."""
    before, after = special.expit(without @ beta), special.expit((without + growth) @ beta)
    slopes = [(each * (1 - each))[:, None] for each in (before, after)]
    gradient = (slopes[1] * (without + growth) - slopes[0] * without).mean(axis=0)
    return float((after - before).mean()), gradient


def _effect_of_a_level(x: Floats, growth: Floats, beta: Floats) -> tuple[float, Floats]:
    """Mean slope of the probability along a variable, and its gradient, (k,)."""
    chance = special.expit(x @ beta)
    slope, along = chance * (1 - chance), growth @ beta
    bend = slope * (1 - 2 * chance) * along
    gradient = (bend[:, None] * x + slope[:, None] * growth).mean(axis=0)
    return float((slope * along).mean()), gradient


def _fit_row(head: dict[str, str], fit: _Fit, design: _Design, outcome: Booleans) -> dict[str, Any]:
    reasons = [f"{term_name(term)} ({why})" for term, why in design.left_out.items()]
    published = PUBLISHED_R2 if head == {"design": "Eq. 1", "model": "linear"} else float("nan")
    return {
        **head,
        "n": len(outcome),
        "popular": int(outcome.sum()),
        "r2": fit.r2,
        "r2_adjusted": fit.r2_adjusted,
        "published_r2": published,
        "errors": fit.errors,
        "left_out": "; ".join(reasons),
        "note": fit.note,
    }


def _variance_inflation(matrix: Floats) -> Floats:
    """1 / (1 - R² of each column on the others), (k,); NaN for the constant."""
    if matrix.shape[1] < 2:
        return np.full(1, np.nan)
    correlation = np.corrcoef(matrix[:, 1:], rowvar=False).reshape(matrix.shape[1] - 1, -1)
    return np.append(np.nan, np.diag(np.linalg.inv(correlation)))


def _p_of(value: ArrayLike, error: ArrayLike, freedom: float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(2 * stats.t.sf(np.abs(np.asarray(value) / np.asarray(error)), freedom))


def _interval(
    value: ArrayLike, error: ArrayLike, freedom: float, level: float
) -> tuple[Floats, Floats]:
    margin = stats.t.ppf((1 + level) / 2, freedom) * np.asarray(error)
    return np.asarray(value - margin), np.asarray(value + margin)


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(note for note in notes if note)
