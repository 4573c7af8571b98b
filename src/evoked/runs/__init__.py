"""Runs: what training leaves behind, as a folder that predicts."""
