"""The coverage of prediction intervals: how often they are meant to contain the true value."""

from __future__ import annotations

from evoked.errors import SettingsError

DEFAULT_COVERAGE = 0.8


def check_coverage(coverage: float) -> None:
    """Raise SettingsError if no interval can have the coverage: it has to lie between 0 and 1."""
    if not 0 < coverage < 1:
        raise SettingsError(f"the coverage of an interval lies between 0 and 1, not at {coverage}.")
