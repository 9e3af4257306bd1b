"""The recorded rates: against the baselines', how they start, fall and rise, and Adam's bias correction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from reexamined.facts import ADAM_BETAS
from reexamined.numbers import WINDOW, Array, RunNumbers, Task

# A rate below this does not move a weight in single precision: an epoch at it is lost.
LOST: Final = 1e-6
# From here on nothing is left of Auto-Adam's hand-picked start of K1 (0.9^50 = 0.005).
FORGOTTEN: Final = 50


@dataclass(frozen=True)
class Rates:
    """A computed rate: its start, its fall, and how much larger than its baseline's it is.

    ``logged`` holds the rate at epoch ``WINDOW`` and the last, ``effective`` that at the end after the decay
    over time; ``logged_fall`` and ``fall`` are the factors by which both fall between these epochs.
    ``times`` is the median over them of the effective rate over the baseline's, ``gain`` the best accuracy
    over the baseline's in points; both are None without a baseline.
    """

    run: RunNumbers
    first: tuple[float, float]
    lost_epochs: int
    hand_set: tuple[int, ...]
    logged: tuple[float, float]
    factor: float
    effective: float
    logged_fall: float
    fall: float
    times: float | None
    gain: float | None

    @property
    def rises(self) -> bool:
        """True if the logged rate is higher at the end than at epoch ``WINDOW``."""
        return self.logged_fall < 1.0

    @property
    def share(self) -> float | None:
        """The part of the fall, on a logarithmic scale, that the decay over time makes; None for a rise."""
        return None if self.rises else 1.0 - math.log(self.logged_fall) / math.log(self.fall)


def rates(task: Task) -> list[Rates]:
    """Return one for each run of the task whose rate was logged in every epoch."""
    return [_rates(run, task.run("baseline")) for run in task.runs if np.isfinite(run.lr).all()]


def _rates(run: RunNumbers, baseline: RunNumbers | None) -> Rates:
    start = WINDOW - 1
    times = gain = None
    if baseline is not None:
        times = float(np.median(run.effective[start:] / baseline.effective[start : len(run.effective)]))
        gain = 100 * (run.best - baseline.best)
    return Rates(
        run=run,
        first=(float(run.lr[0]), float(run.lr[1])),
        lost_epochs=int(np.count_nonzero(run.lr < LOST)),
        hand_set=tuple(epoch for epoch, lr in enumerate(run.lr, start=1) if _is_round(float(lr))),
        logged=(float(run.lr[start]), float(run.lr[-1])),
        factor=1.0 + run.settings.decay * run.settings.steps * len(run.lr),
        effective=float(run.effective[-1]),
        logged_fall=float(run.lr[start] / run.lr[-1]),
        fall=float(run.effective[start] / run.effective[-1]),
        times=times,
        gain=gain,
    )


def _is_round(lr: float) -> bool:
    """Return True if a rate has one significant digit, to single precision: nothing computed it."""
    return lr > 0 and math.isclose(lr, float(f"{lr:.0e}"), rel_tol=1e-7)


@dataclass(frozen=True)
class Rise:
    """An Auto-Adam rate from epoch ``FORGOTTEN`` to the last, and the factor that correction would take out.

    ``uncorrected`` is the recorded rate's factor over these epochs, ``corrected`` what is left of it.
    """

    run: RunNumbers
    ends: tuple[float, float]
    uncorrected: float
    missing: float

    @property
    def corrected(self) -> float:
        """The factor by which the rate would have changed with both averages divided by 1 - β^t."""
        return self.uncorrected / self.missing


def missing_correction(epochs: Array) -> Array:
    """Return √(1 - β2^t)/(1 - β1^t), the factor in a rate from averages that start at 0, uncorrected."""
    beta1, beta2 = ADAM_BETAS
    return np.sqrt(1 - beta2**epochs) / (1 - beta1**epochs)


def adam_rises(runs: Iterable[RunNumbers]) -> list[Rise]:
    """Return one for each Auto-Adam run with a logged rate that is long enough."""
    found = []
    for run in runs:
        if run.run[2] == "adam" and len(run.lr) > FORGOTTEN and np.isfinite(run.lr).all():
            first, last = missing_correction(np.array([FORGOTTEN, len(run.lr)], dtype=float))
            ends = (float(run.lr[FORGOTTEN - 1]), float(run.lr[-1]))
            found.append(Rise(run, ends, ends[1] / ends[0], float(last / first)))
    return found
