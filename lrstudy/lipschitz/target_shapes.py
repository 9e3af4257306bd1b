"""‖y‖ of the targets of a step, which the constants of squared losses depend on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lrstudy.errors import Problem, SchedulerError
from lrstudy.lipschitz.measure import target_sums
from lrstudy.lipschitz.ranks import Ranks
from lrstudy.lipschitz.step_count import step_quantities, together


class Targets:
    """The targets' largest norm in a step, as given or as found in batches, of all ranks together."""

    def __init__(self, norm: float | None, sums: Tensor | None) -> None:
        self._norm = norm
        self.counted = norm is None
        if sums is not None:
            # Every number was counted as a row: the rows are as many as its outputs fewer.
            self._norm, self._rms = step_quantities(("kz", "rms_kz"), sums, None).amax(0).tolist()

    def norms(self, outputs: int, inverse_root_rows: float) -> tuple[float, float]:
        """Return (largest ‖y‖, largest ‖y‖/√m); the latter of a given norm is that of the shortest step."""
        assert self._norm is not None
        if self.counted:
            return self._norm, self._rms * math.sqrt(outputs)
        return self._norm, self._norm * inverse_root_rows


def find_targets(
    norm: float | None, batches: Iterable[Any] | None, accumulate: int, model: nn.Module, ranks: Ranks | None
) -> Targets:
    """Return the targets as given by ``norm``, or as ``batches`` have them, ``accumulate`` to a step."""
    if norm is not None:
        return Targets(float(norm), None)
    sums = None if batches is None else target_sums(batches, model, accumulate)
    problem = None
    if sums is None:
        problem = SchedulerError(
            Problem(
                "LipschitzLR",
                "target_norm",
                "is not known, and a squared loss's constant depends on it",
                "Give batches= of (input, target) pairs, or target_norm=, their largest norm in a step.",
            )
        )
    if ranks is not None:
        home = next(model.parameters()).device
        known = torch.zeros(0, device=home) if sums is None else sums.to(home)
        return Targets(None, together(ranks.merge(problem, known)))
    if problem is not None:
        raise problem
    return Targets(None, sums)
