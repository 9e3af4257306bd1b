"""Normalisation from the training split: what is subtracted from every row, and by what it is multiplied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.catalog.task_parts import NORMALIZATIONS
from lrstudy.errors import Problem, StudyFileError, did_you_mean

if TYPE_CHECKING:
    from lrstudy.tasks.task_data import TaskData

# Rows per step of the statistics: bounds the float64 copies.
_ROWS: Final = 8192
# Values that differ by so little of their mean differ by rounding alone.
_ROUNDED: Final = 1e-12


def normalization_of(name: str | None, data: TaskData) -> str:
    """The name in effect: by default ``scale`` for images and ``standardize`` for tables."""
    if name is None:
        return "scale" if data.image else "standardize"
    if name not in NORMALIZATIONS:
        hint = did_you_mean(name, list(NORMALIZATIONS))
        raise StudyFileError(Problem("task", "normalize", "is not a normalisation", hint, name))
    return name


def statistics(name: str, data: TaskData) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """(shift, factor) in float64 such that a normalised row is (x − shift)·factor; None: 0, or 1.

    Both broadcast against a batch of inputs. Everything is computed from ``data.train`` alone. A feature
    that does not vary (or sums to 0) keeps the factor 1.
    """
    inputs = data.train.inputs
    match name:
        case "scale":
            return None, np.asarray(1.0 / _full_scale(data))
        case "standardize":
            mean, variance = _moments(inputs, axes=(0, 2, 3) if data.image else (0,))
            deviation = np.sqrt(variance)
            if inputs.dtype == np.float64:  # the mean of equal values may be rounded; float32 sums are exact
                deviation[deviation <= _ROUNDED * np.abs(mean)] = 0.0
            return mean, _inverse(deviation)
        case "per-pixel-mean":
            return _moments(inputs, axes=(0,))[0], np.asarray(1.0 / _full_scale(data))
        case "sum-to-one":
            return None, _inverse(_total(inputs, axes=(0,)))
    return None, None


def _full_scale(data: TaskData) -> float:
    if data.full_scale is not None:
        return data.full_scale
    if data.train.inputs.dtype == np.uint8:
        return 255.0
    return float(np.abs(data.train.inputs).max()) or 1.0


def _total(inputs: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    parts = [
        inputs[start : start + _ROWS].sum(axis=axes, keepdims=True, dtype=np.float64)
        for start in range(0, len(inputs), _ROWS)
    ]
    return np.asarray(np.sum(parts, axis=0))


def _moments(inputs: NDArray[Any], axes: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and variance over ``axes``, in two passes: one loses digits where the mean is large."""
    count = np.prod([inputs.shape[axis] for axis in axes])
    mean = _total(inputs, axes) / count
    with np.errstate(over="ignore", invalid="ignore"):  # reported by the check of a user's values
        squares = [
            np.square(inputs[start : start + _ROWS] - mean).sum(axis=axes, keepdims=True)
            for start in range(0, len(inputs), _ROWS)
        ]
    return mean, np.sum(squares, axis=0) / count


def _inverse(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.divide(1.0, values, out=np.ones_like(values), where=values != 0))
