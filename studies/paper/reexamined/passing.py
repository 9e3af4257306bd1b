"""The comparison of a rate computed in every epoch with one computed once, where a task has both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reexamined.numbers import RunNumbers, Task, running_mean


@dataclass(frozen=True)
class Passing:
    """The epochs at which the adaptive run passes the fixed one's best: single ones, and by running means.

    ``for_good`` is the epoch from which on it is never below that best again.
    """

    run: RunNumbers
    best: float
    first: int | None
    smoothed: int | None
    for_good: int | None


def passing(task: Task) -> Passing | None:
    """Compare the first adaptive run with the fixed one; None where a task has no fixed one."""
    fixed = task.run("fixed")
    if fixed is None or not task.adaptive:
        return None
    adaptive = task.adaptive[0]
    above = np.flatnonzero(adaptive.accuracy > fixed.best)
    smooth = np.flatnonzero(running_mean(adaptive.accuracy) > np.nanmax(running_mean(fixed.accuracy)))
    below = np.flatnonzero(adaptive.accuracy < fixed.best)
    for_good = int(below[-1]) + 2 if below.size else 1
    return Passing(
        run=adaptive,
        best=fixed.best,
        first=int(above[0]) + 1 if above.size else None,
        smoothed=int(smooth[0]) + 1 if smooth.size else None,
        for_good=for_good if for_good <= len(adaptive.accuracy) else None,
    )
