"""Checks of a user's own values in the task's precision: finite, varying, and not rounded away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from lrstudy.errors import Problem
from lrstudy.tasks.normalize import normalization_of, statistics

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec
    from lrstudy.tasks.pipeline import Pipeline
    from lrstudy.tasks.task_data import TaskData

# Rounding to float32 may move a value by so much of its feature's deviation.
_ROUNDING: Final = 1e-3
_HALF_ULP: Final = float(np.finfo(np.float32).eps) / 2
_ROWS: Final = 8192  # a step of the passes over the data: bounds the copies


def value_problems(task: TaskSpec, data: TaskData, pipeline: Pipeline) -> Iterator[Problem]:
    """Everything wrong with the data as they reach a model: after normalisation, in the task's precision."""

    def problem(message: str, remedy: str) -> Problem:
        return Problem("task", "dataset", message, remedy, task.dataset.name)

    precision = "float64" if task.precision == "float64" else "float32"
    normalization = normalization_of(task.normalize, data)
    _, factor = statistics(normalization, data)
    if factor is not None and bool((factor == 0).any()):
        message = f"train inputs are too large for {normalization!r}: their squares overflow"
        yield problem(message, "Scale them to ordinary magnitudes.")
        return
    found = list(_not_finite(data, pipeline))
    for name, part in found:
        message = f"{name} {part} become NaN or infinity in {precision}, normalised by {normalization!r}"
        yield problem(message, "Scale them to ordinary magnitudes.")
    if found:
        return
    if not _varies(pipeline):
        yield problem("train inputs do not vary: every row is the same", "Give inputs that differ.")
    if precision == "float64":
        return
    wide = 'Subtract an offset from them, or use precision = "float64".'
    if data.train.inputs.dtype == np.float64 and (ratio := _input_offset(data, normalization)) > _limit():
        message = f"train inputs are {ratio:.2g} times their deviation: float32 would round them away"
        yield problem(message, f'{wide} normalize = "standardize" does it too.')
    targets = data.train.targets
    if targets.dtype == np.float64 and (ratio := _offset(targets, None, None)) > _limit():
        message = f"train targets are {ratio:.2g} times their deviation: float32 would round them away"
        yield problem(message, wide)


def _limit() -> float:
    return _ROUNDING / _HALF_ULP


def _not_finite(data: TaskData, pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for name in ("train", "validation", "test"):
        sound = {"inputs": True, "targets": True}
        for inputs, targets in pipeline.batches(name):
            sound["inputs"] &= bool(torch.isfinite(inputs).all())
            sound["targets"] &= data.classes is not None or bool(torch.isfinite(targets).all())
        yield from ((name, part) for part, good in sound.items() if not good)


def _varies(pipeline: Pipeline) -> bool:
    first = None
    for inputs, _ in pipeline.batches("train"):
        first = inputs[:1].clone() if first is None else first
        if bool((inputs != first).any()):
            return True
    return False


def _input_offset(data: TaskData, normalization: str) -> float:
    shift, _ = statistics(normalization, data)
    axes = (0, 2, 3) if data.image else (0,)
    return _offset(data.train.inputs, shift, axes)


def _offset(values: NDArray[Any], shift: NDArray[Any] | None, axes: tuple[int, ...] | None) -> float:
    """The largest magnitude of any feature over its deviation; features that do not vary count as 0."""
    axes = (0,) if axes is None else axes
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = values.std(axis=axes, keepdims=True)
        parts = [values[start : start + _ROWS] for start in range(0, len(values), _ROWS)]
        shifted = parts if shift is None else [part - shift for part in parts]
        largest = np.max([np.abs(part).max(axis=axes, keepdims=True) for part in shifted], axis=0)
        varies = (deviation > 0) & np.isfinite(deviation)
        ratios = np.divide(largest, deviation, out=np.zeros_like(largest), where=varies)
    return float(ratios.max())
