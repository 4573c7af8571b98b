"""Exporting a run: a folder that predicts without torch, see :mod:`evoked.runtime`."""

from __future__ import annotations

from evoked.exporting.writing import export_run

__all__ = ["export_run"]
