"""Results on one schedule, as frozen values: curves, times to target, tuning and cost.

``None`` is "not known". Times of a run are counted along the axes of ``rules.clocks``, where ``seconds`` are
training seconds, evaluation excluded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lrstudy.analysis.intervals import Interval

Values = tuple[float | None, ...]
_UNKNOWN: Final = Interval(None, None, None)


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity over the training, as the mean over confirm runs with its t-interval, or median and range.

    All tuples have one entry per evaluation. ``times`` holds these counted along each axis that is known;
    ``runs`` are the numbers of runs with a finite value there.
    """

    times: Mapping[str, Values]
    value: Values
    low: Values
    high: Values
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """A distribution function: ``share`` holds from each of ``times`` on, with its interval."""

    times: Values
    share: Values
    low: Values
    high: Values


@dataclass(frozen=True, slots=True)
class Times:
    """Time of the runs to a target along one axis, in its unit.

    ``mean`` is the restricted mean with its interval, up to the horizon (along axes other than the verdicts'
    clock: the schedule's shortest whole run); ``median`` None where less than half of the runs hit; ``ert``
    the expected running time, None where none did.
    """

    mean: Interval
    median: float | None
    ert: float | None


@dataclass(frozen=True, slots=True)
class Reach:
    """One target as reached by a schedule's confirm runs.

    Times are in the verdicts' clock. ``mean_time`` is the restricted mean up to the horizon with its
    interval; ``ert`` and ``ert_seconds`` the expected running time, None where no run hit. ``speedup``
    compares restricted means (above 1: faster than the reference); ``p_value`` is of its test, adjusted for
    all tests of the study (``families``); ``seeds_needed`` or ``replicates_needed`` would decide an
    inconclusive verdict. ``shares`` are the shares of
    runs that have hit and ``times`` how long they took, by axis. ``iqm`` is the interquartile mean of the hit
    times, None where a miss is in the middle half. ``speedup_ert`` compares ERTs; ``sooner`` is the
    probability that a run of the schedule reaches the target before one of the reference, a tie counting
    half. ``speedup_tuned`` is the speedup with an interval that also allows for another tuning with the same
    budget: the verdict is on it, and ``given_winners`` is the verdict on the winners as they are. With
    several ``replicates`` of the tuning both intervals are the same. ``primary``: this target carries the
    study's verdict.
    """

    target: float
    hits: int
    runs: int
    hit_rate: Interval
    mean_time: Interval
    median_time: float | None
    ert: float | None
    ert_seconds: float | None
    speedup: Interval
    verdict: str
    speedup_seconds: Interval
    p_value: float | None
    seeds_needed: int | None
    note: str
    shares: Mapping[str, Steps]
    times: Mapping[str, Times] = field(default_factory=dict)
    iqm: float | None = None
    speedup_ert: Interval = _UNKNOWN
    sooner: float | None = None
    speedup_tuned: Interval = _UNKNOWN
    given_winners: str = ""
    replicates: int = 1
    replicates_needed: int | None = None
    primary: bool = False

    @property
    def judged(self) -> Interval:
        """The speedup with the interval that the verdict is on."""
        return self.speedup if self.speedup_tuned.low is None else self.speedup_tuned


@dataclass(frozen=True, slots=True)
class EndValue:
    """The metric at the end of a schedule's confirm runs.

    ``value`` is the mean over the runs that have one; ``difference`` that minus the reference's, paired;
    ``p_value`` is of its test after the correction over schedules. ``diverged`` of the ``runs`` have no value
    and count as worse than every other; ``short`` ended before the whole length or without a value, so that
    nothing is known of their end: the verdict is then ``unknown``.
    """

    value: Interval
    difference: Interval
    p_value: float | None
    verdict: str
    runs: int
    diverged: int
    short: int
    pairs: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields under stable names."""
        return {
            "value": {"mean": self.value.value, "low": self.value.low, "high": self.value.high},
            "difference": {
                "mean": self.difference.value,
                "low": self.difference.low,
                "high": self.difference.high,
            },
            "p_value": self.p_value,
            "verdict": self.verdict,
            "runs": self.runs,
            "diverged": self.diverged,
            "short": self.short,
            "pairs": self.pairs,
        }


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a confirm run: ``whole`` with a ``value`` there, ``diverged`` or ``short``."""

    schedule: str
    replicate: int
    seed: int
    outcome: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Ends:
    """The values at the end of all schedules, in their order, after the same ``length`` in ``clock``.

    ``unit`` is the unit of the pairs: ``seed``, or ``replicate`` where a schedule was tuned several times.
    ``margin`` is that of equivalence in the metric's unit, None where the study names none. ``runs`` are the
    confirm runs that the values are of, by schedule.
    """

    clock: str
    length: float
    margin: float | None
    unit: str
    values: tuple[EndValue, ...]
    runs: tuple[RunEnd, ...] = ()


@dataclass(frozen=True, slots=True)
class LengthVerdict:
    """A schedule's shortest length of training whose end reaches a target, in the mean.

    ``means`` are the mean values at the end of each length. ``length`` is None where even the longest does
    not reach the target; ``at_most``: the shortest does already. ``ratio`` is the reference's length over
    this one: above 1, the schedule needs a shorter training; ``p_value`` is of its test after correction.
    """

    means: Values
    length: Interval
    at_most: bool
    ratio: Interval
    p_value: float | None
    verdict: str
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields under stable names."""
        return {
            "means": list(self.means),
            "length": {"value": self.length.value, "low": self.length.low, "high": self.length.high},
            "at_most": self.at_most,
            "ratio": {"ratio": self.ratio.value, "low": self.ratio.low, "high": self.ratio.high},
            "p_value": self.p_value,
            "verdict": self.verdict,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class ByLength:
    """A study of several lengths: for each target the verdict on each schedule, in their orders.

    ``primary`` is the place of the target that carries the study's verdict.
    """

    clock: str
    lengths: tuple[float, ...]
    unit: str
    verdicts: tuple[tuple[LengthVerdict, ...], ...]
    primary: int


@dataclass(frozen=True, slots=True)
class TunedTrial:
    """One tuning trial: its parameters, the best value of the metric, how it ended."""

    trial_id: str
    params: Mapping[str, Any]
    value: float | None
    status: str


@dataclass(frozen=True, slots=True)
class Winner:
    """The configuration that a tuning of a schedule chose, by the number of its replicate."""

    replicate: int
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Levels:
    """Speedup against the reference over levels of the metric, with its simultaneous band."""

    levels: Values
    value: Values
    low: Values
    high: Values


@dataclass(frozen=True, slots=True)
class Ecdf:
    """The share of (run, level) pairs reached by each of ``times``, over a ladder of levels.

    ``area`` is the mean share up to the horizon: 1 for a schedule that reaches every level at once, 0 for
    one that reaches none.
    """

    times: tuple[float, ...]
    share: tuple[float, ...]
    area: float
    levels: int
    runs: int


@dataclass(frozen=True, slots=True)
class TuningCurve:
    """A quantity after 1, 2, … tuning trials, with its interval where there is one."""

    trials: tuple[int, ...]
    value: Values
    low: Values = ()
    high: Values = ()
