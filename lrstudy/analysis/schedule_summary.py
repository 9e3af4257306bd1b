"""The results on one schedule, as frozen values, and their form for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrstudy.analysis.explosions import Diagnosed
from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.price import Price
from lrstudy.analysis.results import (
    Curve,
    Ecdf,
    Levels,
    Reach,
    Times,
    TunedTrial,
    TuningCurve,
    Winner,
)
from lrstudy.rules.diagnostics import COLUMNS, LARGEST_LAYER


@dataclass(frozen=True, slots=True)
class ScheduleSummary:
    """Everything about one schedule. ``curves`` are by column of the evaluations table and by metric.

    ``optimizer`` and ``loss`` are the names of a method's own, None where it trains with the task's.

    ``pruned``, ``diverged`` and ``failed`` are of its tuning and confirm trials. ``tuned``: its winner was
    chosen among several configurations. ``winners`` are those of its tunings; ``best_params`` are of the
    first. ``diagnosed`` is None unless the study measured it (``task.diagnose``).
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
    optimizer: str | None = None
    tuned: bool = False
    winners: tuple[Winner, ...] = ()
    loss: str | None = None
    diagnosed: Diagnosed | None = None

    @property
    def own_parts(self) -> tuple[str, ...]:
        """The names of the parts that it trains with in place of the task's."""
        return tuple(name for name in (self.optimizer, self.loss) if name is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the fields under stable names."""
        return {
            "name": self.name,
            "kind": self.kind,
            "tuned": self.tuned,
            "tune_trials": self.tune_trials,
            "confirm_trials": self.confirm_trials,
            "pruned": self.pruned,
            "diverged": self.diverged,
            "failed": self.failed,
            "best_params": dict(self.best_params),
            "winners": [
                {"replicate": winner.replicate, "params": dict(winner.params)} for winner in self.winners
            ],
            "best_val": _mean_json(self.best_val),
            "best_val_iqm": self.best_val_iqm,
            "test": _mean_json(self.test),
            "targets": [_reach_json(reach) for reach in self.reach],
            "break_even_trials": self.break_even,
            "ecdf_area": None if self.ecdf is None else self.ecdf.area,
            "cost": self.price.to_json(),
            **({} if self.optimizer is None else {"optimizer": self.optimizer}),
            **({} if self.loss is None else {"loss": self.loss}),
            **({} if self.diagnosed is None else {"diagnosis": self._diagnosis()}),
        }

    def _diagnosis(self) -> dict[str, Any]:
        """Return the shares, and the medians over confirm runs at each evaluation."""
        assert self.diagnosed is not None
        known = {name: list(self.curves[name].value) for name in sorted(COLUMNS) if name in self.curves}
        known.pop(LARGEST_LAYER, None)
        return self.diagnosed.to_json() | {"medians": known}


def _reach_json(reach: Reach) -> dict[str, Any]:
    return {
        "target": reach.target,
        "hits": reach.hits,
        "runs": reach.runs,
        "hit_rate": {"rate": reach.hit_rate.value, "low": reach.hit_rate.low, "high": reach.hit_rate.high},
        "ert": reach.ert,
        "median_time": reach.median_time,
        "mean_time": _mean_json(reach.mean_time),
        "ert_seconds": reach.ert_seconds,
        "speedup": _ratio_json(reach.speedup),
        "speedup_over_tunings": _ratio_json(reach.speedup_tuned),
        "speedup_seconds": _ratio_json(reach.speedup_seconds),
        "speedup_ert": _ratio_json(reach.speedup_ert),
        "probability_sooner": reach.sooner,
        "iqm": reach.iqm,
        "p_value": reach.p_value,
        "verdict": reach.verdict,
        "verdict_given_winners": reach.given_winners or None,
        "seeds_needed": reach.seeds_needed,
        "primary": reach.primary,
        "replicates": reach.replicates,
        "replicates_needed": reach.replicates_needed,
        "note": reach.note,
        "times": {axis: _times_json(times) for axis, times in reach.times.items()},
    }


def _times_json(times: Times) -> dict[str, float | None]:
    return {**_mean_json(times.mean), "median": times.median, "ert": times.ert}


def _mean_json(found: Interval) -> dict[str, float | None]:
    return {"mean": found.value, "low": found.low, "high": found.high}


def _ratio_json(found: Interval) -> dict[str, float | None]:
    return {"ratio": found.value, "low": found.low, "high": found.high}
