"""Advice: which draft, when, what to change, held to past posts; plans that test it; a ledger."""

from __future__ import annotations

from evoked.advice.advising import Advice, advise
from evoked.advice.hours import Hours, when
from evoked.advice.planning import Plan, plan
from evoked.advice.ranking import Ranking, rank
from evoked.advice.tested import Tested, check_plan

__all__ = [
    "Advice",
    "Hours",
    "Plan",
    "Ranking",
    "Tested",
    "advise",
    "check_plan",
    "plan",
    "rank",
    "when",
]
