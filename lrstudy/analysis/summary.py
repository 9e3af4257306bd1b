"""The result of an analysis, as frozen values: everything that a report shows is in here.

``None`` is "not known". Times of a run are counted along four axes: ``epochs``, ``steps``, ``samples`` and
``seconds`` (training seconds, evaluation excluded).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lrstudy.analysis.intervals import Interval

SUMMARY_VERSION: Final = 1
AXES: Final = ("epochs", "steps", "samples", "seconds")

Values = tuple[float | None, ...]
_UNKNOWN: Final = Interval(None, None, None)


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity over the training, as the mean over confirm runs with its t-interval.

    All tuples have one entry per epoch. ``times`` holds the same epochs counted along each axis that is
    known; ``runs`` are the runs that measured a finite value in that epoch.
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

    ``mean`` is the restricted mean with its interval, up to the whole budget (along axes other than epochs:
    that of the schedule's shortest whole run); ``median`` None where less than half of the runs hit; ``ert``
    the expected running time, None where none did.
    """

    mean: Interval
    median: float | None
    ert: float | None


@dataclass(frozen=True, slots=True)
class Reach:
    """One target as reached by a schedule's confirm runs.

    ``mean_epochs`` is the restricted mean up to the epoch budget with its interval; ``ert_*`` the expected
    running time, None where no run hit. ``speedup`` compares restricted means (above 1: faster than the
    reference); ``p_value`` is of its test after Holm over the study's schedules; ``seeds_needed`` would
    decide an inconclusive verdict. ``shares`` are the shares of runs that have hit and ``times`` how long
    they took, by axis. ``iqm_epochs`` is the interquartile mean of the hit epochs, None where a miss is in
    the middle half. ``speedup_ert`` compares ERTs in epochs; ``sooner`` is the probability that a run of
    the schedule reaches the target before one of the reference, a tie counting half. ``speedup_tuned``
    is the speedup with an interval that also allows for another tuning with the same budget; a verdict of
    faster or slower needs both intervals, and ``given_winners`` is what it would be without the second.
    """

    target: float
    hits: int
    runs: int
    hit_rate: Interval
    mean_epochs: Interval
    median_epochs: float | None
    ert_epochs: float | None
    ert_seconds: float | None
    speedup: Interval
    verdict: str
    speedup_seconds: Interval
    p_value: float | None
    seeds_needed: int | None
    note: str
    shares: Mapping[str, Steps]
    times: Mapping[str, Times] = field(default_factory=dict)
    iqm_epochs: float | None = None
    speedup_ert: Interval = _UNKNOWN
    sooner: float | None = None
    speedup_tuned: Interval = _UNKNOWN
    given_winners: str = ""


@dataclass(frozen=True, slots=True)
class TunedTrial:
    """One tuning trial: its parameters, the objective it reached, how it ended."""

    trial_id: str
    params: Mapping[str, Any]
    value: float | None
    status: str


@dataclass(frozen=True, slots=True)
class Levels:
    """Speedup against the reference over levels of the metric, with its simultaneous band."""

    levels: Values
    value: Values
    low: Values
    high: Values


@dataclass(frozen=True, slots=True)
class Ecdf:
    """The share of (run, level) pairs reached by each of ``epochs``, over a ladder of levels.

    ``area`` is the mean share over the epochs: 1 for a schedule that reaches every level at once, 0 for one
    that reaches none.
    """

    epochs: tuple[int, ...]
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


@dataclass(frozen=True, slots=True)
class Spent:
    """Cost of the trials of one phase, lost ones included; None for what was not recorded.

    ``seconds`` are training seconds, ``estimate_seconds`` the part of them that estimated the Lipschitz
    constant; ``eval_seconds`` are not part of them. ``device_seconds`` are those from a trial's start to
    its end.
    """

    trials: int = 0
    epochs: int = 0
    steps: int | None = 0
    samples: int | None = 0
    seconds: float | None = 0.0
    estimate_seconds: float | None = 0.0
    eval_seconds: float | None = 0.0
    device_seconds: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Price:
    """Cost of a schedule, by phase."""

    tune: Spent
    confirm: Spent
    range_test: Spent = Spent()

    def to_json(self) -> dict[str, Any]:
        """Each phase's figures under names such as ``tune_epochs``, and sums of the seconds."""
        phases = {"range_test": self.range_test, "tune": self.tune, "confirm": self.confirm}
        found = {
            f"{phase}_{name}": getattr(spent, name)
            for phase, spent in phases.items()
            for name in Spent.__slots__
        }
        for name in ("estimate_seconds", "eval_seconds", "device_seconds"):
            parts = [getattr(spent, name) for spent in phases.values() if spent.trials]
            found[name] = None if None in parts else math.fsum(parts)
        return found


@dataclass(frozen=True, slots=True)
class ScheduleSummary:
    """Everything about one schedule. ``curves`` are by column of the epochs table and by metric.

    ``pruned``, ``diverged`` and ``failed`` are of its tuning and confirm trials. ``tuned``: its winner was
    chosen among several configurations.
    """

    name: str
    kind: str
    tune_trials: int
    confirm_trials: int
    pruned: int
    diverged: int
    failed: int
    best_params: Mapping[str, Any]
    best_val: Interval
    test: Interval
    reach: tuple[Reach, ...]
    curves: Mapping[str, Curve]
    levels: Levels | None
    trials: tuple[TunedTrial, ...]
    best_of: TuningCurve | None
    price_of_target: TuningCurve | None
    price: Price
    break_even: int | None
    ecdf: Ecdf | None = None
    best_val_iqm: float | None = None
    tuned: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """A study's results. ``targets`` and each schedule's ``reach`` run in parallel.

    ``planned`` are the trials of the whole study, over all schedules and phases. ``lanes`` is the
    largest number trained side by side in one process, 0 if each trained alone: with lanes no time is
    counted in seconds.
    """

    name: str
    metric: str
    higher_is_better: bool
    reference: str
    targets: tuple[float, ...]
    target_rule: str
    epochs: int
    margin: float
    confidence: float
    seeds: int
    tune_budget: int
    complete: bool
    schedules: tuple[ScheduleSummary, ...]
    warnings: tuple[str, ...] = ()
    stability: tuple[str, ...] = ()
    task: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    spec: str = ""
    seed: int = field(default=0)
    planned: int = 0
    lanes: int = 0

    @property
    def ended(self) -> int:
        """Number of the ``planned`` trials that have ended, over all schedules and phases."""
        return sum(
            schedule.tune_trials + schedule.confirm_trials + schedule.price.range_test.trials
            for schedule in self.schedules
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The schedules' names, in order."""
        return tuple(schedule.name for schedule in self.schedules)

    def to_json(self) -> str:
        """``summary.json``: stable names for other programs; NaN and infinity become null."""
        data = {
            "schema_version": SUMMARY_VERSION,
            "study": self.name,
            "metric": self.metric,
            "reference": self.reference,
            "targets": list(self.targets),
            "target_rule": self.target_rule,
            "epochs": self.epochs,
            "margin": self.margin,
            "confidence": self.confidence,
            "complete": self.complete,
            "lanes": self.lanes,
            "schedules": [_schedule_json(schedule) for schedule in self.schedules],
            "warnings": list(self.warnings),
            "stability": list(self.stability),
            "provenance": dict(self.facts),
        }
        return json.dumps(_finite(data), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _schedule_json(schedule: ScheduleSummary) -> dict[str, Any]:
    return {
        "name": schedule.name,
        "kind": schedule.kind,
        "tuned": schedule.tuned,
        "tune_trials": schedule.tune_trials,
        "confirm_trials": schedule.confirm_trials,
        "pruned": schedule.pruned,
        "diverged": schedule.diverged,
        "failed": schedule.failed,
        "best_params": dict(schedule.best_params),
        "best_val": _mean_json(schedule.best_val),
        "best_val_iqm": schedule.best_val_iqm,
        "test": _mean_json(schedule.test),
        "targets": [_reach_json(reach) for reach in schedule.reach],
        "break_even_trials": schedule.break_even,
        "ecdf_area": None if schedule.ecdf is None else schedule.ecdf.area,
        "cost": schedule.price.to_json(),
    }


def _reach_json(reach: Reach) -> dict[str, Any]:
    return {
        "target": reach.target,
        "hits": reach.hits,
        "runs": reach.runs,
        "hit_rate": {"rate": reach.hit_rate.value, "low": reach.hit_rate.low, "high": reach.hit_rate.high},
        "ert_epochs": reach.ert_epochs,
        "median_epochs": reach.median_epochs,
        "rmst_epochs": reach.mean_epochs.value,
        "rmst_epochs_low": reach.mean_epochs.low,
        "rmst_epochs_high": reach.mean_epochs.high,
        "ert_seconds": reach.ert_seconds,
        "speedup": _ratio_json(reach.speedup),
        "speedup_over_tunings": _ratio_json(reach.speedup_tuned),
        "speedup_seconds": _ratio_json(reach.speedup_seconds),
        "speedup_ert": _ratio_json(reach.speedup_ert),
        "probability_sooner": reach.sooner,
        "iqm_epochs": reach.iqm_epochs,
        "p_value": reach.p_value,
        "verdict": reach.verdict,
        "verdict_given_winners": reach.given_winners or None,
        "seeds_needed": reach.seeds_needed,
        "note": reach.note,
        "times": {axis: _times_json(times) for axis, times in reach.times.items()},
    }


def _times_json(times: Times) -> dict[str, float | None]:
    return {**_mean_json(times.mean), "median": times.median, "ert": times.ert}


def _mean_json(found: Interval) -> dict[str, float | None]:
    return {"mean": found.value, "low": found.low, "high": found.high}


def _ratio_json(found: Interval) -> dict[str, float | None]:
    return {"ratio": found.value, "low": found.low, "high": found.high}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
