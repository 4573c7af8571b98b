"""Advice: which of several drafts, held to what the posts showed that a run had not seen."""

from __future__ import annotations

from evoked.advice.ranking import Ranking, rank

__all__ = ["Ranking", "rank"]
