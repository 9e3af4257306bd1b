"""The exponential moving average of a model's weights over the optimizer's steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lrstudy.errors import Problem, StudyFileError
from lrstudy.rules.user_modules import cause_of

_Tensors = tuple[Tensor, ...] | list[Tensor]
_Update = Callable[[_Tensors, _Tensors, Tensor | int], None]


class WeightAverage:
    """A copy of a model whose weights are w̄ ← d·w̄ + (1 − d)·w after each step; the first step's are w.

    Statistics in buffers (batch-norm's) are averaged alike, whole numbers in them are copied. ``model`` is
    the copy, in evaluation mode. Raises ``StudyFileError`` for a model that cannot be copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._average: _Update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        try:
            self._averaged = AveragedModel(model, multi_avg_fn=self._update, use_buffers=True)
        except Exception as error:
            message = f"needs a copy of the model, which cannot be copied: {cause_of(error)}"
            remedy = "Let copy.deepcopy copy the model, or leave ema out."
            raise StudyFileError(Problem("task", "ema", message, remedy, decay)) from error
        self.model: nn.Module = self._averaged.module.eval()

    def update(self, model: nn.Module) -> None:
        """Take the model's weights after a step into the average."""
        self._averaged.update_parameters(model)

    def _update(self, averages: _Tensors, current: _Tensors, count: Tensor | int) -> None:
        if torch.is_floating_point(averages[0]) or torch.is_complex(averages[0]):
            self._average(averages, current, count)
            return
        # torch's function rounds d·n + (1 − d)·n down, which changes an index.
        for average, now in zip(averages, current, strict=True):
            average.copy_(now)

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the number of steps in it."""
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._averaged.load_state_dict(state)
