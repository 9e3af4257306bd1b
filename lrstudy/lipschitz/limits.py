"""Upper limits of an epoch's rate that depend on the epochs before it."""

from __future__ import annotations

import math
from typing import Any, Final

CAPS: Final = ("none", "last-good")


class Limits:
    """The limits that ``LipschitzLR`` sets by ``max_growth`` and ``cap``; derived here, not the paper's.

    ``max_growth``: the largest ratio of an epoch's rate to the previous one's. ``cap="last-good"``: after an
    epoch whose training loss did not fall or is not finite, the rate is at most that of the last epoch whose
    loss fell; before there is one, at most that of the epoch just done. The first epoch's loss counts as
    fallen if it is finite.
    """

    def __init__(self, max_growth: float | None, cap: str) -> None:
        self._max_growth, self._cap = max_growth, cap
        self.restart()

    @property
    def needs_loss(self) -> bool:
        """Return True if the training loss of each epoch has to be known."""
        return self._cap == "last-good"

    def restart(self) -> None:
        """Forget every epoch."""
        self._good_rate: float | None = None
        self._loss: float | None = None
        self._fell = True

    def note_epoch(self, rate: float | None, loss: float | None) -> None:
        """Take the rate of the epoch just done, before annealing, and its training loss."""
        if not self.needs_loss or loss is None:
            return
        finite = math.isfinite(loss)
        self._fell = finite and (self._loss is None or loss < self._loss)
        if self._fell or self._good_rate is None:
            self._good_rate = rate
        if finite:
            self._loss = loss

    def apply(self, rate: float, previous: float | None) -> float:
        """Return the rate, limited; ``previous`` is that of the epoch before, None at the start."""
        if self._max_growth is not None and previous is not None:
            rate = min(rate, self._max_growth * previous)
        if not self._fell and self._good_rate is not None:
            rate = min(rate, self._good_rate)
        return rate

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers (and None) only."""
        return {"good_rate": self._good_rate, "last_loss": self._loss, "fell": self._fell}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` returned; from a state without limits, at their start."""
        self._good_rate, self._loss = state.get("good_rate"), state.get("last_loss")
        self._fell = state.get("fell", True)
