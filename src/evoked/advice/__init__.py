"""Advice: which draft, and when, held to what the posts of a run showed; plans that test it."""

from __future__ import annotations

from evoked.advice.hours import Hours, when
from evoked.advice.planning import Plan, plan
from evoked.advice.ranking import Ranking, rank
from evoked.advice.tested import Tested, check_plan

__all__ = ["Hours", "Plan", "Ranking", "Tested", "check_plan", "plan", "rank", "when"]
