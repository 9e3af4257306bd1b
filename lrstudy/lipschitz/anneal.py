"""The annealing of the computed rates over the planned training, as rival schedules are annealed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from lrstudy.lipschitz.refusals import Complaints

ANNEALS: Final = ("none", "keras", "cosine", "linear")

KERAS_TOTAL: Final = 117.3
"""decay · steps of the authors' scripts: 1e-3 over 300 epochs of 391 steps, an end at 1/118.3 of the rate."""


@dataclass(frozen=True, slots=True)
class Anneal:
    """A factor on the computed rate at each optimizer step i, counted from 0.

    ``none`` and ``keras``: 1/(1 + decay·i). ``cosine`` and ``linear``: from 1 at step ``start`` to 0 after
    ``steps`` further ones, as torch's ``CosineAnnealingLR`` and ``LinearLR``; 0 from then on.
    """

    shape: str = "none"
    decay: float = 0.0
    start: int = 0
    steps: int = 1

    @property
    def moves(self) -> bool:
        """Return True if the factor changes with the steps."""
        return self.shape in ("cosine", "linear") or self.decay > 0

    def apply(self, rate: float, step: int) -> float:
        """Return the rate of a step."""
        if self.shape not in ("cosine", "linear"):
            return rate / (1 + self.decay * step)
        way = min(max((step - self.start) / self.steps, 0.0), 1.0)
        return rate * ((1 + math.cos(math.pi * way)) / 2 if self.shape == "cosine" else 1 - way)


def anneal_of(
    shape: str, time_decay: float, total_steps: int | None, warmup_steps: int, complaints: Complaints
) -> Anneal:
    """Return the annealing that the scheduler's arguments ask for; usable if nothing was noted."""
    complaints.choice("anneal", shape, ANNEALS)
    complaints.number("warmup_steps", warmup_steps, 0, math.inf, "[")
    if total_steps is not None:
        complaints.number("total_steps", total_steps, 1, math.inf, "[")
    if shape == "none":
        return Anneal(decay=float(time_decay))
    if shape == "keras" and time_decay:
        return Anneal("keras", float(time_decay))
    if time_decay:
        complaints.add(
            "time_decay", time_decay, f"is a second annealing beside anneal={shape!r}", "Leave one out."
        )
    if total_steps is None:
        complaints.add(
            "total_steps",
            None,
            f"is needed by anneal={shape!r}: the end of the training is not known here",
            "Give the number of optimizer steps of the whole training.",
        )
        return Anneal()
    if warmup_steps >= total_steps:
        complaints.add(
            "warmup_steps", warmup_steps, f"leaves nothing of {total_steps} steps", "Shorten the warm-up."
        )
        return Anneal()
    if shape == "keras":
        return Anneal("keras", KERAS_TOTAL / total_steps)
    return Anneal(shape, start=warmup_steps, steps=total_steps - warmup_steps)
