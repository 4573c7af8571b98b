"""Scoring: the one way from drafts to answers that the command line, Python and the desk share."""

from __future__ import annotations

from evoked.scoring.scorer import Scorer

__all__ = ["Scorer"]
