"""The runs and settings that all comparisons of a study share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lrstudy.analysis.bands import earliest
from lrstudy.analysis.families import Question
from lrstudy.analysis.hits import Hits, hits_of
from lrstudy.analysis.replicates import Replicates
from lrstudy.analysis.timing import Timing
from lrstudy.analysis.trial_table import Columns, Trial
from lrstudy.analysis.tried_configurations import by_replicate, ranked
from lrstudy.records import Phase, Status
from lrstudy.rules.goal import Goal
from lrstudy.rules.metrics import Metric
from lrstudy.rules.objective import Objective


@dataclass(frozen=True)
class Contest:
    """A study's confirm runs by schedule, and how they are judged.

    ``primary`` is the target, or other question, that carries the verdict; ``looks`` are the numbers of
    replicates at which the study is looked at, at most one of them where its size is fixed. ``goal`` says
    which runs were stopped at a target; None: none were. ``stopped`` schedules were ended by hand and get
    no verdict. ``common`` is the clock and the length at which values at the end are compared, where runs
    may be longer; None: all end there.
    """

    columns: Columns
    metric: Metric
    objective: Objective
    reference: str
    runs: dict[str, list[Trial]]
    timing: Timing
    margin: float
    confidence: float
    seed: int
    primary: Question | None = None
    looks: tuple[int, ...] = ()
    goal: Goal | None = None
    stopped: frozenset[str] = frozenset()
    common: tuple[str, float] | None = None

    def tells(self, target: float, *, tuning: bool = False) -> bool:
        """Return True if confirm (or tuning) runs were not stopped before they could reach a target."""
        return self.goal is None or self.goal.tells(self.metric, target, self.columns.stay, tuning=tuning)

    @property
    def others(self) -> tuple[str, ...]:
        """The schedules that are compared with the reference."""
        return tuple(name for name in self.runs if name != self.reference)

    @property
    def replicated(self) -> bool:
        """Return True if the study has more than one replicate: they are then the unit of inference."""
        return any(run.replicate > 1 for runs in self.runs.values() for run in runs)

    def until(self, replicates: int) -> Contest:
        """Return the contest of the first so many replicates."""
        runs = {
            name: [run for run in each if run.replicate <= replicates] for name, each in self.runs.items()
        }
        return replace(self, runs=runs)

    def looks_of(self, name: str) -> tuple[int, ...]:
        """Return the looks that a schedule has reached."""
        latest = max((run.replicate for run in self.runs[name]), default=0)
        return tuple(look for look in self.looks if look <= latest)

    def tuned(self, name: str) -> bool:
        """Return True if a schedule's winners were each chosen among several configurations."""
        tunings = by_replicate(self.columns.of(name, Phase.TUNE)).values()
        return any(len(ranked(tune, self.objective)) > 1 for tune in tunings)

    def hits(self, runs: Sequence[Trial], target: float, axis: str | None = None) -> Hits:
        """Return the hits of runs: in the verdicts' clock up to the horizon, else without a limit."""
        axis = axis or self.timing.clock
        horizon = self.timing.horizon if axis == self.timing.clock else math.inf
        return hits_of(self.columns, runs, self.metric, target, axis, horizon)

    def cut_short(self, name: str) -> list[Trial]:
        """Return a schedule's runs that ended before the horizon, not at a target and not by divergence."""
        known = self.timing.whole | self.timing.stopped.keys()
        return [run for run in self.runs[name] if run.status is Status.COMPLETED and run.place not in known]

    def trained_out(self, name: str) -> list[Trial]:
        """Return a schedule's runs without those that were cut short, or all if nothing else is left."""
        short = {run.place for run in self.cut_short(name)}
        return [run for run in self.runs[name] if run.place not in short] or self.runs[name]

    def untold(self, name: str, target: float) -> int:
        """Return the number of a schedule's runs that were cut short before they could reach a target."""
        runs = self.cut_short(name)
        return len(runs) - int(self.hits(runs, target).hit.sum())

    def replicates(self, target: float, axis: str, horizon: float) -> Replicates:
        """Return every schedule's times to a target along an axis, by replicate."""
        names = (self.reference, *self.others)
        numbers = sorted({run.replicate for runs in self.runs.values() for run in runs})
        resolution = self.timing.resolution_in(axis, horizon)
        rows = []
        for name in names:
            runs = self.runs[name]
            found = hits_of(self.columns, runs, self.metric, target, axis, horizon)
            place = np.searchsorted(numbers, [run.replicate for run in runs])
            count = np.bincount(place, minlength=len(numbers))
            before = earliest(found.restricted, found.hit, resolution)
            with np.errstate(invalid="ignore"):  # no run of the schedule in a replicate: NaN
                rows.append(
                    [
                        np.log(np.bincount(place, weights=times, minlength=len(numbers)) / count)
                        for times in (found.restricted, before)
                    ]
                )
        logs, early = np.array(rows, dtype=float).transpose(1, 0, 2)
        return Replicates(names, tuple(numbers), logs, early)
