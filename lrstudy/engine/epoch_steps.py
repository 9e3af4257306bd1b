"""The training steps of a trial, epoch by epoch, continued after an evaluation or a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from lrstudy.tasks import Pipeline
from lrstudy.tasks.pipeline import Batch


class EpochSteps:
    """The steps of the current epoch: ``done`` of them have been given, and iterating gives the rest.

    A state is the generator's at the epoch's start and the number of steps since then: to continue, the
    epoch is drawn again and these steps are left out.
    """

    def __init__(self, pipeline: Pipeline, order: torch.Generator) -> None:
        self._pipeline, self._order = pipeline, order
        self._length = pipeline.steps_per_epoch
        self._rest: Iterator[list[Batch]] | None = None
        self._start: torch.Tensor | None = None  # the generator's state at the start of an epoch under way
        self.done = 0

    def __iter__(self) -> Iterator[list[Batch]]:
        """Yield the batches of each step that is left in the epoch."""
        if self._rest is None:
            self._start = self._order.get_state()
            self._rest = self._pipeline.train_steps(self._order, self.done)
        for batches in self._rest:
            self.done += 1
            yield batches

    @property
    def exhausted(self) -> bool:
        """Return True if all steps of the epoch have been given."""
        return self.done >= self._length

    def begin_epoch(self) -> None:
        """Continue with the first step of the next epoch."""
        self._rest, self._start, self.done = None, None, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state at the start of the epoch, and the steps since then."""
        start = self._order.get_state() if self._start is None else self._start
        return {"order": start, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.begin_epoch()
        self._order.set_state(state["order"].cpu())
        self.done = state["done"]
