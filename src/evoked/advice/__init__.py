"""Advice: which of several drafts and what to change about one, held to what past posts show."""

from __future__ import annotations

from evoked.advice.advising import Advice, advise
from evoked.advice.ranking import Ranking, rank

__all__ = ["Advice", "Ranking", "advise", "rank"]
