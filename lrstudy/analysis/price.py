"""The cost of a schedule in trials, training, time, money and energy, by phase."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

# Figures that only some studies have.
_OPTIONAL: Final = frozenset({"money", "energy_kwh"})


@dataclass(frozen=True, slots=True)
class Spent:
    """Cost of the trials of one phase, lost ones included; None for what was not recorded.

    ``seconds`` are training seconds, ``estimate_seconds`` the part of them that estimated the Lipschitz
    constant; ``eval_seconds`` are not part of them. ``device_seconds`` are those from a trial's start to
    its end. ``money`` is in the study's currency, None without prices, and ``energy_kwh`` that of the trials
    that recorded it.
    """

    trials: int = 0
    epochs: float | None = 0
    steps: int | None = 0
    samples: int | None = 0
    tokens: int | None = 0
    seconds: float | None = 0.0
    estimate_seconds: float | None = 0.0
    eval_seconds: float | None = 0.0
    device_seconds: float | None = 0.0
    money: float | None = None
    energy_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """Cost of a schedule, by phase."""

    tune: Spent
    confirm: Spent
    range_test: Spent = Spent()

    def to_json(self) -> dict[str, Any]:
        """Each phase's figures under names such as ``tune_epochs``, and sums of the seconds."""
        phases = {"range_test": self.range_test, "tune": self.tune, "confirm": self.confirm}
        found = {
            f"{phase}_{name}": getattr(spent, name)
            for phase, spent in phases.items()
            for name in Spent.__slots__
            if name not in _OPTIONAL or getattr(spent, name) is not None
        }
        for name in ("estimate_seconds", "eval_seconds", "device_seconds"):
            parts = [getattr(spent, name) for spent in phases.values() if spent.trials]
            found[name] = None if None in parts else math.fsum(parts)
        return found
