"""The range of rates that a range test's curve suggests. NumPy only.

After L. N. Smith, Cyclical Learning Rates for Training Neural Networks, arXiv 1506.01186 §3.3, and
Smith and Topin, Super-Convergence, arXiv 1708.07120: the lowest rate is where the training begins to
converge, the highest is just below where it becomes ragged or diverges. Smith reads both off the plot;
``RULE`` is the rule used here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FALLEN: Final = 0.1  # part of the whole fall after which the loss counts as falling
MARGIN: Final = 1.5  # the suggested maximum stays below the rate where the fall ends by this factor
_START: Final = 0.1  # part of the curve that tells the level and the noise before anything is learned
_NOISES: Final = 2.0  # differences within so many standard errors are noise
_CLEAR: Final = 5.0  # standard errors: the lowest of a whole noisy curve is some below its level by chance
_LEAST_FALL: Final = 0.02  # of the first level: less is not worth a suggestion
_LEAST_STEPS: Final = 20

RULE: Final = (
    f"low: from where the smoothed loss has fallen for good by {FALLEN:.0%} of its whole fall; "
    f"high: the last rate before it rises above its lowest level (noise allowed for), divided by {MARGIN:g}"
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The suggested rates, both None where there is no suggestion; ``reason`` then says why.

    ``lowest`` is where the fall ends, ``high`` before the margin. ``open_high``: the loss never rose, so
    the limit was not seen and may be higher. ``steepest`` is the rate at which the smoothed loss falls
    fastest for each tenfold of the rate.
    """

    low: float | None
    high: float | None
    lowest: float | None = None
    open_high: bool = False
    reason: str = ""
    steepest: float | None = None

    @property
    def usable(self) -> bool:
        """Return True if there is a suggestion."""
        return self.low is not None and self.high is not None


def suggest_bounds(rates: Sequence[float], losses: Sequence[float]) -> Bounds:
    """Return the rates between which a range test's loss falls.

    Args:
        rates: shape (n,), above 0 and rising, the rate of each step.
        losses: shape (n,), each step's training loss, measured before the step is taken: what a rate
            did shows in the next step's loss. A loss that is not finite ends the curve.

    Raises:
        ValueError: when the lengths differ or the rates do not rise from above 0.
    """
    x, y = np.asarray(rates, dtype=float), np.asarray(losses, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{x.size} rates but {y.size} losses")
    if x.size and (not np.isfinite(x).all() or x[0] <= 0 or not (np.diff(x) > 0).all()):
        raise ValueError("the rates must be finite, above 0 and rising")
    broken = np.flatnonzero(~np.isfinite(y))
    end = int(broken[0]) if broken.size else y.size
    if end < _LEAST_STEPS:
        return _none(f"only {end} of {x.size} steps had a finite loss: at least {_LEAST_STEPS} are needed")
    return _read(x[: end - 1], y[1:end], ended=bool(broken.size))


def _read(x: Array, y: Array, *, ended: bool) -> Bounds:
    width = window_of(x.size)
    first = max(width, int(_START * x.size))
    start = float(np.median(y[:first]))
    smoothed = smooth(y, width, ceiling=start)
    bottom = int(np.argmin(smoothed))
    fall = start - float(smoothed[bottom])
    error = _standard_error(y[:first], smoothed[:first], width)
    if fall <= max(_CLEAR * error, _LEAST_FALL * abs(start)):
        return _none("the loss never fell clearly below its first level")
    above = np.flatnonzero(smoothed[: bottom + 1] > start - max(FALLEN * fall, _NOISES * error))
    low = int(above[-1]) + 1 if above.size else 0
    near = slice(max(0, bottom - width), bottom + width + 1)
    level = smoothed[bottom] + _NOISES * _standard_error(y[near], smoothed[near], width)
    risen = np.flatnonzero(smoothed[bottom:] > level)
    top = bottom + int(risen[0]) - 1 if risen.size else x.size - 1
    open_high = not risen.size and not ended
    high = float(x[top]) / (1.0 if open_high else MARGIN)
    if low >= top or high < MARGIN * x[low]:
        return _none("the loss rises as soon as it has begun to fall: there is no range between")
    steepest = _steepest(x, smoothed, low, top)
    return Bounds(float(x[low]), high, float(x[top]), open_high, steepest=steepest)


def _steepest(x: Array, smoothed: Array, low: int, top: int) -> float:
    """Return the steepest fall over the rate's logarithm, its slope taken across a smoothing window."""
    half = window_of(x.size) // 2
    before = np.maximum(np.arange(low, top + 1) - half, 0)
    after = np.minimum(np.arange(low, top + 1) + half, x.size - 1)
    slopes = (smoothed[after] - smoothed[before]) / (np.log(x[after]) - np.log(x[before]))
    return float(x[low + int(np.argmin(slopes))])


def window_of(steps: int) -> int:
    """The smoothing window of a curve of so many steps: a twentieth, odd, at least 5."""
    return max(5, steps // 20) | 1


def smooth(losses: Sequence[float] | Array, width: int, ceiling: float | None = None) -> Array:
    """A curve without its noise: a running median, then a running mean with triangular weights.

    Both are centred, so that nothing is delayed, and narrower at the ends. The median keeps a lone spike
    or the last steps' explosion from reaching back; ``ceiling`` (the first level) caps the values at
    twice itself.

    >>> smooth([1.0, 1.0, 1.0, 90.0, 1.0, 1.0, 1.0], 3).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    y = np.asarray(losses, dtype=float)
    if ceiling is not None:
        y = np.minimum(y, ceiling + abs(ceiling))
    half = width // 2
    medians = np.array([np.median(y[max(0, i - half) : i + half + 1]) for i in range(y.size)])
    weights = np.concatenate([np.arange(1, half + 1), [half + 1], np.arange(half, 0, -1)]).astype(float)
    weight = np.convolve(np.ones(y.size), weights)[half : half + y.size]
    result: Array = np.convolve(medians, weights)[half : half + y.size] / weight
    return result


def _standard_error(y: Array, smoothed: Array, width: int) -> float:
    """Return the smoothed curve's, from the median absolute residual (1.4826 of it is σ if normal)."""
    residuals = y - smoothed
    spread = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
    return spread / math.sqrt(width / 2)


def _none(reason: str) -> Bounds:
    return Bounds(None, None, reason=reason)
