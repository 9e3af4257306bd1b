"""The settings of one trial of a user's training: its task, schedule, seed and machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from lrstudy.rules.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a trial. Exactly one of ``steps`` and ``epochs`` is its length.

    ``replicate`` (from 1) is the tuning that the trial belongs to. ``schedule`` is the name in the study,
    ``kind`` and ``schedule_params`` what it is built from; ``params`` are the other searched values.
    ``declared`` are the names of the metrics that every report gives; None: any names. With ``pass_steps``
    every pass over the data ends after so many optimizer steps, as in a short trial that tries the function
    out; ``on_schedule`` is called with each schedule that the function makes.
    """

    seed: int
    schedule: str
    kind: str
    schedule_params: Mapping[str, Any]
    metric: Metric
    declared: tuple[str, ...] | None
    replicate: int = 1
    steps: int | None = None
    epochs: int | None = None
    evaluate_every: int | None = None
    steps_per_epoch: int | None = None
    pass_steps: int | None = None
    on_schedule: Callable[[Any], None] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    lr: float = 0.1
    divergence: float = 1e9
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
