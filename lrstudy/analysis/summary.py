"""The result of an analysis, as frozen values: everything that a report shows is in here."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Final

from lrstudy.analysis.components import Components
from lrstudy.analysis.money import Energy, Money
from lrstudy.analysis.next_step import NextStep
from lrstudy.analysis.price import Price, Spent
from lrstudy.analysis.results import (
    ByLength,
    Curve,
    Ecdf,
    Ends,
    EndValue,
    LengthVerdict,
    Levels,
    Reach,
    Steps,
    Times,
    TunedTrial,
    TuningCurve,
    Values,
    Winner,
)
from lrstudy.analysis.schedule_summary import ScheduleSummary
from lrstudy.rules.metrics import Metric

__all__ = [
    "SUMMARY_VERSION",
    "ByLength",
    "Curve",
    "Ecdf",
    "EndValue",
    "Ends",
    "LengthVerdict",
    "Levels",
    "NextStep",
    "Price",
    "Reach",
    "ScheduleSummary",
    "Spent",
    "Steps",
    "Summary",
    "Times",
    "TunedTrial",
    "TuningCurve",
    "Values",
    "Winner",
]

SUMMARY_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Summary:
    """A study's results. ``targets`` and each schedule's ``reach`` run in parallel.

    ``clock`` is that of targets and verdicts, and ``length`` the time up to which runs are compared in it;
    ``trial_length`` is the length of a trial in the study's own clock, ``trial_clock``.
    ``moment`` is the word for the time of an evaluation: "epoch" where there is one at the end of each.
    ``declared`` are the study's other metrics that have curves. ``arrival`` is the rule by which a run counts
    as having reached a target (``rules.arrival``). ``end`` compares the values at the end of the training,
    and ``by_length`` the lengths that end at a target; ``shorter_trials`` are those of lengths below
    ``trial_length``.
    ``planned`` are the trials of the whole study, over all schedules and phases. ``lanes`` is the
    largest number trained side by side in one process, 0 if each trained alone: with lanes no time is
    counted in seconds. ``components`` are the sources of variation in the time to the primary target, None
    without one, and ``confirm_replicates`` the replicates of the reference; ``seeds`` are those of each.
    ``objective`` names what tuning compares.
    ``next_step`` is the extension of a finished study that would decide what is open at the primary target.
    ``run`` is the folder of the run below the default ``--out``. ``priced`` is the place of the target whose
    price, tuning included, is known: the hardest that tuning runs were not stopped before. ``money`` is the
    cost of the whole run, None without prices, and ``energy`` its energy, None where no trial recorded it.
    """

    name: str
    metric: Metric
    reference: str
    targets: tuple[float, ...]
    target_rule: str
    clock: str
    length: float
    trial_clock: str
    trial_length: int
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
    moment: str = "epoch"
    declared: tuple[Metric, ...] = ()
    arrival: str = "first"
    end: Ends | None = None
    by_length: ByLength | None = None
    shorter_trials: int = 0
    components: Components | None = None
    confirm_replicates: int = 1
    objective: str = ""
    next_step: NextStep | None = None
    run: str = ""
    priced: int | None = None
    money: Money | None = None
    energy: Energy | None = None

    @property
    def variation(self) -> str:
        """The sources of variation of times to the primary target, and what narrows it, in words."""
        return "" if self.components is None else self.components.sentence(self.seeds)

    @property
    def primary(self) -> int | None:
        """The place of the target that carries the verdict, None where there is none."""
        if self.by_length is not None:
            return self.by_length.primary
        reach = self.schedules[0].reach if self.schedules else ()
        return next((place for place, one in enumerate(reach) if one.primary), self.hardest)

    @property
    def hardest(self) -> int | None:
        """The place of the hardest target, None where there is none."""
        best = max if self.metric.higher_is_better else min
        return best(range(len(self.targets)), key=lambda place: self.targets[place], default=None)

    @property
    def ended(self) -> int:
        """Number of the ``planned`` trials that have ended, over all schedules and phases."""
        return self.shorter_trials + sum(
            schedule.tune_trials + schedule.confirm_trials + schedule.price.range_test.trials
            for schedule in self.schedules
        )

    @property
    def imported(self) -> bool:
        """Return True if the runs are recorded histories: times and seeds are those of their logs."""
        return bool(self.spec) and "imported" in json.loads(self.spec)

    @property
    def names(self) -> tuple[str, ...]:
        """The schedules' names, in order."""
        return tuple(schedule.name for schedule in self.schedules)

    def to_json(self) -> str:
        """``summary.json``: stable names for other programs; NaN and infinity become null."""
        data = {
            "schema_version": SUMMARY_VERSION,
            "study": self.name,
            "metric": self.metric.name,
            "reference": self.reference,
            "targets": list(self.targets),
            "target_rule": self.target_rule,
            "arrival": self.arrival,
            "clock": self.clock,
            "length": self.length,
            "margin": self.margin,
            "confidence": self.confidence,
            "complete": self.complete,
            "lanes": self.lanes,
            "schedules": [schedule.to_json() for schedule in self.schedules],
            "end": _end_json(self),
            "by_length": _lengths_json(self),
            "replicates": self.confirm_replicates,
            "components": None if self.components is None else self.components.to_json(),
            "variation": self.variation,
            "next_step": None
            if self.next_step is None
            else self.next_step.to_json() | {"command": self.next_step.command(self.run)},
            **({} if self.money is None else {"money": self.money.to_json()}),
            **({} if self.energy is None else {"energy": self.energy.to_json()}),
            "warnings": list(self.warnings),
            "stability": list(self.stability),
            "provenance": dict(self.facts),
        }
        return json.dumps(_finite(data), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _lengths_json(study: Summary) -> dict[str, Any] | None:
    if study.by_length is None:
        return None
    found = study.by_length
    return {
        "clock": found.clock,
        "lengths": list(found.lengths),
        "paired_by": found.unit,
        "targets": [
            {
                "target": target,
                "primary": place == found.primary,
                "schedules": [
                    {"name": name, **one.to_json()} for name, one in zip(study.names, each, strict=True)
                ],
            }
            for place, (target, each) in enumerate(zip(study.targets, found.verdicts, strict=True))
        ],
    }


def _end_json(study: Summary) -> dict[str, Any] | None:
    if study.end is None:
        return None
    return {
        "clock": study.end.clock,
        "length": study.end.length,
        "margin": study.end.margin,
        "paired_by": study.end.unit,
        "schedules": [
            {"name": name, **value.to_json()}
            for name, value in zip(study.names, study.end.values, strict=True)
        ],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
