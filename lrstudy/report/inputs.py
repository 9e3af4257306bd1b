"""What the report shows, in its own words: the seam between the analysis's Summary and everything drawn.

``reading.py`` fills these from a Summary; figures and sections see nothing else. ``None`` is "not known";
an infinite end of an interval is "no limit".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity over the training, as the mean over runs with its interval.

    All tuples have one entry per epoch, but ``low`` and ``high`` may be empty. ``times`` holds the same
    epochs counted in every way that is known: ``epochs``, ``steps``, ``samples``, ``seconds``. ``runs`` are
    the runs still training.
    """

    times: Mapping[str, Values]
    value: Values
    low: Values = ()
    high: Values = ()
    runs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Steps:
    """A distribution function: ``share`` holds from each of ``times`` on; its interval may be empty."""

    times: Values
    share: Values
    low: Values = ()
    high: Values = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """A schedule's way to one target.

    ``shares`` hold, by way to count time, the share of runs that have reached the target by then.
    ``verdict`` is one of the analysis's words, or ``""`` with no runs.
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
    p_value: float | None = None
    seeds_needed: int | None = None
    shares: Mapping[str, Steps] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TunedTrial:
    """One tuning trial: its parameters, the metric's best value, how it ended."""

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
class TuningCurve:
    """A quantity after 1, 2, … tuning trials, with its interval."""

    trials: tuple[int, ...]
    value: Values
    low: Values = ()
    high: Values = ()


@dataclass(frozen=True, slots=True)
class Price:
    """What a schedule cost: trials, epochs and seconds, by phase."""

    tune_trials: int
    tune_epochs: int
    tune_seconds: float | None
    confirm_trials: int
    confirm_epochs: int
    confirm_seconds: float | None
    estimate_seconds: float | None
    eval_seconds: float | None


@dataclass(frozen=True, slots=True)
class ScheduleInput:
    """Everything about one schedule. ``curves`` are by column: the metric, ``train_loss``, ``lr``, …"""

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
    curves: Mapping[str, Curve] = field(default_factory=dict)
    levels: Levels | None = None
    trials: tuple[TunedTrial, ...] = ()
    best_of: TuningCurve | None = None
    price_of_target: TuningCurve | None = None
    price: Price | None = None
    break_even: int | None = None


@dataclass(frozen=True, slots=True)
class StudyInput:
    """A study as the report tells it. ``task`` says in a few words what was trained."""

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
    schedules: tuple[ScheduleInput, ...]
    warnings: tuple[str, ...] = ()
    stability: tuple[str, ...] = ()
    task: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    spec: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The schedules' names, in order."""
        return tuple(schedule.name for schedule in self.schedules)


@dataclass(frozen=True, slots=True)
class Place:
    """A schedule in one study of a comparison: its time to that study's target, and how it compares.

    ``epochs`` is None for a schedule that never got there or was not in the study (then ``present`` is
    False). ``fastest`` marks the study's shortest time.
    """

    present: bool
    epochs: float | None
    hits: int
    runs: int
    speedup: Interval
    verdict: str
    fastest: bool


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """One study of a comparison; ``places`` in the order of the comparison's schedules."""

    name: str
    goal: str
    reference: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class ComparisonInput:
    """Several studies side by side.

    ``profiles`` hold for each schedule the fraction of studies (``share``) that it solves within a time
    ratio (``times``) of the fastest; ``scores`` their normalised integral up to ``largest_ratio``.
    """

    studies: tuple[ComparedStudy, ...]
    schedules: tuple[str, ...]
    reference: str | None
    profiles: tuple[Steps | None, ...]
    scores: tuple[float | None, ...]
    largest_ratio: float
    notes: tuple[str, ...] = ()
