"""The quantities that a meter measures, and their source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lrstudy.lipschitz.curvature import Objective

Batches = Iterable[Any] | Callable[[], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """The quantities to measure and their source: see ``LipschitzLR`` and ``batch_quantities``.

    ``steps``: ``end_step`` is called after each step of the optimizer; otherwise each training pass counts as
    one. ``summed``: the losses of a step's micro-batches are summed. ``objective`` is the loss of a batch, of
    which ``bound`` "network" and "secant" measure the curvature.
    """

    names: tuple[str, ...]
    way: str
    batches: Batches | None
    fraction: float
    seed: int
    norms: str
    batch_size: int | None
    target_norm: float | None
    needs_targets: bool
    accumulate: int
    summed: bool
    steps: bool
    bound: str
    objective: Objective | None

    def open_batches(self) -> Iterable[Any]:
        """Return the batches, from the first one on."""
        assert self.batches is not None
        return self.batches() if callable(self.batches) else self.batches
