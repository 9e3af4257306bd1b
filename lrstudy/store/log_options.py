"""Options of an import: what names task, schedule and seed of a run, and what the study is judged by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.rules.clocks import CLOCKS

COMMAND_LINE: Final = "command line"
_GOALS: Final = ("min", "max")
_ONE: Final = re.compile(r"epoch|step|sample|token|second")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options for making studies of recorded histories.

    ``task_from``, ``schedule_from`` and ``seed_from`` are selectors (``log_selectors``): a column, a value of
    the whole run (``config.lr_scheduler_type``), a part of the path (``path:2``), or a pattern of the path's
    end (``{schedule}-{seed}.csv``). ``task_from``: one study for each combination of their values.
    ``schedule_from``: together they name the schedule; None takes ``schedule`` where all runs have it, else
    the run's name or the file's. ``seed_from`` tells repeated runs apart. ``metric`` may be any column, with
    its goal: ``eval/f1:max``. ``clock`` is the clock that times are counted in. ``reference`` and ``targets``
    are as in a study file; ``name`` names the study, or begins the names of several.
    """

    task_from: Sequence[str] = ()
    schedule_from: Sequence[str] | None = None
    seed_from: str | None = None
    reference: str | None = None
    metric: str | None = None
    targets: Sequence[float] = ()
    name: str | None = None
    clock: str | None = None

    @property
    def metric_name(self) -> str | None:
        """The metric's name without its goal."""
        return None if self.metric is None else _parted(self.metric)[0]

    @property
    def goal(self) -> str | None:
        """The metric's goal, ``min`` or ``max``; None where the metric was given without one."""
        return None if self.metric is None else _parted(self.metric)[1]

    @property
    def judged_clock(self) -> str | None:
        """The clock by its name in ``rules.clocks``; None where the logs are to tell."""
        if self.clock is None:
            return None
        clock = f"{self.clock}s" if _ONE.fullmatch(self.clock) else self.clock
        if clock not in CLOCKS:
            remedy = did_you_mean(self.clock, list(CLOCKS))
            raise InputError(Problem(COMMAND_LINE, "--clock", "is not a clock", remedy, self.clock))
        return clock


def _parted(metric: str) -> tuple[str, str | None]:
    """Return a metric's name and goal.

    >>> _parted("eval/loss:min"), _parted("val_loss"), _parted("a:b")
    (('eval/loss', 'min'), ('val_loss', None), ('a:b', None))
    """
    name, _, goal = metric.rpartition(":")
    return (name, goal) if name and goal in _GOALS else (metric, None)
