"""A training step of lanes: computed call by call, or replayed as one graph on a GPU.

Stacked models launch about as many kernels as one model alone, and a small model's kernels take less time
than their launches. In a captured step the lanes share one launch of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, Protocol

import torch
from torch import Tensor

from lrstudy.engine.captured_step import Replay, batch_format, capture_graph, on_side_stream
from lrstudy.engine.lanes.lane_losses import StackedLoss
from lrstudy.engine.lanes.optimizer_step import StackedSteps
from lrstudy.engine.lanes.stacked_model import Stacked
from lrstudy.schedules import Schedule

# Steps computed call by call before the capture: the optimizers' state and the hooks' tensors are made then.
_WARM_UP: Final = 3


class AnyLaneStep(Protocol):
    """``step(inputs, targets)`` → outputs: forward, losses' gradient, backward and update of all lanes.

    ``note`` says why it is not computed in the requested way, if so; ``need_loss`` are the lanes whose
    schedules set their rate within the step.
    """

    note: str | None

    @property
    def need_loss(self) -> Sequence[int]:
        """The lanes whose schedules need the loss of a step before its update."""
        ...

    def begin(self) -> None:
        """Prepare an epoch."""
        ...

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Take one step of every lane; inputs, targets and outputs are (lanes, rows, …)."""
        ...


class LaneStep:
    """The step of all lanes, computed call by call."""

    def __init__(
        self, model: Stacked, losses: StackedLoss, steps: StackedSteps, schedules: Sequence[Schedule]
    ) -> None:
        self._model, self._losses, self._schedules = model, losses, schedules
        self.steps = steps
        self.need_loss = [place for place, schedule in enumerate(schedules) if schedule.needs_loss]
        self.note: str | None = None

    def begin(self) -> None:
        """As in ``AnyLaneStep``."""
        self.steps.begin()

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """As in ``AnyLaneStep``."""
        outputs = self.gradient(inputs, targets)
        self.update(outputs, targets)
        return outputs

    def gradient(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Compute all of the step but the update; return the outputs."""
        outputs = self._model(inputs, training=True)
        self._model.backward(self._losses.gradient(outputs, targets))
        return outputs

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Let the schedules see the losses that they need, and update all lanes."""
        for place in self.need_loss:  # each by itself: its bits then depend on no neighbour
            (loss,) = self._losses(outputs[place : place + 1], targets[place : place + 1])
            self._schedules[place].before_step(loss)
        self.steps.refresh()
        self.steps.update()


class CapturedLaneStep:
    """The step of all lanes, replayed from a capture made at the fourth batch of these lanes.

    If all lanes step together and no schedule needs the loss, the whole step is captured, else all of it but
    the update. A batch of another shape than the first is computed call by call; so is every later step if
    the capture fails, and ``note`` says why. Another stack of lanes needs another capture.
    """

    def __init__(
        self,
        plain: LaneStep,
        capture: Callable[[Callable[[], None]], Replay] | None = None,
        warm_up: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._plain = plain
        self._record, self._warm_up = capture or capture_graph, warm_up or on_side_stream
        self._batch_format: tuple[object, ...] | None = None
        self._warm = 0
        self._replay: Replay | None = None
        self._fixed: Hashable = None  # the options that the captured update holds; None: no update in it
        self._inputs, self._targets, self._outputs = torch.empty(0), torch.empty(0), torch.empty(0)
        self.note: str | None = None

    @property
    def need_loss(self) -> Sequence[int]:
        """As in ``AnyLaneStep``."""
        return self._plain.need_loss

    def begin(self) -> None:
        """As in ``AnyLaneStep``."""
        self._plain.begin()

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """As in ``AnyLaneStep``."""
        if self._batch_format is None:
            self._batch_format = batch_format(inputs, targets)
        if self.note is not None or batch_format(inputs, targets) != self._batch_format:
            return self._plain(inputs, targets)
        if self._replay is None and self._warm < _WARM_UP:
            return self._warm_up_step(inputs, targets)
        steps = self._plain.steps
        whole = steps.capturable and not self._plain.need_loss
        fixed = (steps.refresh(),) if whole else None
        if self._replay is None:
            self._try_capture(inputs, targets, fixed)
        if self._replay is None or self._fixed not in (fixed, None):
            outputs = self._plain.gradient(inputs, targets)
        else:
            self._inputs.copy_(inputs)
            self._targets.copy_(targets)
            self._replay()
            outputs = self._outputs.clone()
            if self._fixed is not None:
                return outputs
        if whole:
            steps.update()
        else:
            self._plain.update(outputs, targets)
        return outputs

    def _warm_up_step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self._warm += 1
        outputs: list[Tensor] = []
        self._warm_up(lambda: outputs.append(self._plain(inputs, targets)))
        return outputs[0].clone()

    def _try_capture(self, inputs: Tensor, targets: Tensor, fixed: Hashable) -> None:
        """Capture the step, which computes nothing yet; with ``fixed`` options, the update too."""
        self._inputs, self._targets, self._fixed = inputs.clone(), targets.clone(), fixed

        def compute() -> None:
            self._outputs = self._plain.gradient(self._inputs, self._targets)
            if fixed is not None:
                self._plain.steps.update()

        try:
            self._replay = self._record(compute)
        except Exception as error:  # noqa: BLE001 - a model can fail here in any way
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self.note = f"the lanes' step could not be captured and is computed call by call: {first}"


def choose_lane_step(how: str, plain: LaneStep, device: torch.device) -> AnyLaneStep:
    """Return the lanes' step, captured if ``how`` is ``captured`` and the device is a GPU."""
    return CapturedLaneStep(plain) if how == "captured" and device.type == "cuda" else plain
