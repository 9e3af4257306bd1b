"""Readers of what trackers stored: W&B, MLflow, TensorBoard, Optuna. A package is imported on use."""

from __future__ import annotations

from lrstudy.trackers.sources import is_source, read_any

__all__ = ["is_source", "read_any"]
