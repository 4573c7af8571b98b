"""What training leaves behind: a record per epoch, and files; quick to import."""

from __future__ import annotations

LAST_CHECKPOINT = "last.ckpt"
BEST_WEIGHTS = "best.safetensors"
LOG = "log.csv"

EpochRecord = dict[str, float]
"""Numbers of an epoch by name: see :func:`evoked.training.loop.fit_network`."""
