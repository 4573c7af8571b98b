"""The coverage of prediction intervals: how often they are meant to contain the true value."""

from __future__ import annotations

from evoked.errors import SettingsError

DEFAULT_COVERAGE = 0.8


def check_coverage(coverage: float) -> None:
    """Raise SettingsError if no interval can have the coverage: it has to lie between 0 and 1."""
    if not 0 < coverage < 1:
        raise SettingsError(f"the coverage of an interval lies between 0 and 1, not at {coverage}.")


def share_range(hits: float, number: float, confidence: float = 0.95) -> tuple[float, float]:
    """Range of a share of which ``hits`` of ``number`` were seen (Clopper and Pearson 1934, exact).

    Parameters
    ----------
    hits, number
        How many, and of how many; fractions are allowed, for cases that count less than one.
    confidence
        How often such ranges hold the share.
    """
    from scipy.special import betaincinv

    beyond = (1 - confidence) / 2
    low = float(betaincinv(hits, number - hits + 1, beyond)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, number - hits, 1 - beyond)) if hits < number else 1.0
    return low, high
