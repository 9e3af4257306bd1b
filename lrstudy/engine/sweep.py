"""The range test: a training whose schedule raises the rate at every step and ends the trial.

It uses the study's data, model, loss and base optimizer (momentum and weight decay included); only the rate
differs. All random numbers come from one seed, so that a range test repeats bit by bit on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import torch

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.errors import InputError, Problem
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.outcome import Outcome
from lrstudy.rules.range_bounds import Bounds, suggest_bounds
from lrstudy.rules.seeding import derive_seed
from lrstudy.schedules import ScheduleContext, WatchingSchedule
from lrstudy.schedules.param_groups import Groups
from lrstudy.spec import Study
from lrstudy.tasks import Pipeline, TaskData

DIVERGED: Final = 4.0  # the test ends at this multiple of the best smoothed loss, and half of it of the first
_STEPS: Final = 200  # approximate number of steps for a length of 0
_MOST_CHECKS: Final = 4  # evaluations within an epoch
_MEMORY: Final = 0.9  # decay of the running mean of the loss


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The rates of a range test, from ``low`` to ``high``.

    Each step multiplies the rate by an equal factor or, if ``linear``, adds an equal amount. ``checks`` is
    the number of evaluations in each epoch.
    """

    low: float
    high: float
    epochs: int
    steps: int
    linear: bool = False
    checks: int = 1

    def rate(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        part = step / max(self.steps - 1, 1)
        if self.linear:
            return self.low + part * (self.high - self.low)
        # Exact at both ends.
        return math.pow(self.low, 1.0 - part) * math.pow(self.high, part)


def plan_sweep(
    study: Study,
    data: TaskData,
    *,
    low: float | None = None,
    high: float | None = None,
    epochs: int | None = None,
    linear: bool = False,
) -> SweepPlan:
    """Plan a study's range test; None takes the value of the study's ``[range_test]``.

    ``epochs`` of 0 in it means as many whole epochs as make 200 steps: at least 2, and not more than a trial
    of the study has.

    Raises:
        InputError: if the rates are not finite, above 0 and in order, or for less than one epoch.
    """
    settings = study.range_test
    low = settings.low if low is None else low
    high = settings.high if high is None else high
    epochs = settings.epochs if epochs is None else epochs
    problems = []
    for name, value in (("--low", low), ("--high", high)):
        if not (math.isfinite(value) and value > 0):
            remedy = "Give a rate, for example 1e-5."
            problems.append(Problem("command line", name, "must be finite and above 0", remedy, value))
    if not problems and low >= high:
        message = f"is not below the highest rate, {high:g}"
        problems.append(Problem("command line", "--low", message, "Lower it, or raise --high.", low))
    if epochs < 0:
        problems.append(Problem("command line", "--epochs", "must be at least 1", "Give 1 or more.", epochs))
    if problems:
        raise InputError(problems)
    per_epoch = Pipeline(data, study.built_in, torch.device("cpu")).steps_per_epoch
    length = epochs or min(study.built_in.epochs, max(2, math.ceil(_STEPS / per_epoch)))
    # Evaluations within an epoch cost at most half of its training steps.
    affordable = round(data.rows("train") / (2 * max(1, data.rows("validation"))))
    checks = max(1, min(_MOST_CHECKS, affordable))
    return SweepPlan(low, high, length, length * per_epoch, linear, checks)


@dataclass(slots=True)
class RangeCurve:
    """The measurements of a range test.

    ``rates`` and ``losses`` have one entry per step; a loss is that of the step's batch before the step is
    taken. ``checks`` are ``(rate, validation metric)``, some in each epoch. ``ended`` is the reason why the
    test ended before its last step, if it did.
    """

    metric: str
    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    checks: list[tuple[float, float]] = field(default_factory=list)
    ended: str | None = None

    def bounds(self) -> Bounds:
        """Return the bounds that the curve suggests."""
        return suggest_bounds(self.rates, self.losses)


class RangeSchedule(WatchingSchedule):
    """The schedule of a range test: the planned rate at every step, until the loss diverges."""

    def __init__(self, plan: SweepPlan, metric: str, bound: float, context: ScheduleContext) -> None:
        self.optimizer = context.optimizer
        self._plan, self._bound, self._steps_per_epoch = plan, bound, context.steps_per_epoch
        self._check_every = math.ceil(context.steps_per_epoch / plan.checks)
        self._groups = Groups(context.optimizer)
        self._mean = self._weight = 0.0
        self._first = self._least = math.inf
        self.curve = RangeCurve(metric)
        self._groups.set_rate(plan.rate(0))

    @property
    def ended(self) -> bool:
        """Return True if the loss has diverged."""
        return self.curve.ended is not None

    @property
    def evaluation_due(self) -> bool:
        """Return True if the plan has an evaluation after this step; they are evenly spaced in an epoch."""
        return ((len(self.curve.rates) - 1) % self._steps_per_epoch + 1) % self._check_every == 0

    def after_step(self) -> None:
        """Do nothing: ``after_loss`` sets the next rate."""

    def after_epoch(self, metric: float | None) -> None:
        """Do nothing: ``after_loss`` sets the next rate."""

    def after_loss(self, loss: float) -> None:
        """Add the step to the curve; set the next rate unless the loss has diverged."""
        rate = self._plan.rate(len(self.curve.rates))
        self.curve.rates.append(rate)
        self.curve.losses.append(loss)
        self._judge(rate, loss)
        if not self.ended and len(self.curve.rates) < self._plan.steps:
            self._groups.set_rate(self._plan.rate(len(self.curve.rates)))

    def _judge(self, rate: float, loss: float) -> None:
        """End the test if the loss is not finite, above the bound, or its running mean has risen too far."""
        if not math.isfinite(loss) or loss > self._bound:
            self.curve.ended = f"the loss became {loss:.6g} at rate {rate:.3g}"
            return
        self._mean = _MEMORY * self._mean + (1 - _MEMORY) * loss
        self._weight = _MEMORY * self._weight + (1 - _MEMORY)
        mean = self._mean / self._weight  # bias correction: the running mean starts at 0
        if len(self.curve.losses) <= round(1 / (1 - _MEMORY)):
            self._first = mean
        self._least = min(self._least, mean)
        if mean > DIVERGED * self._least and mean > DIVERGED / 2 * self._first:
            self.curve.ended = f"the loss rose to {mean / self._least:.3g} times its best at rate {rate:.3g}"

    def after_evaluation(self, metric: float | None) -> None:
        """Add the metric to the curve."""
        if metric is not None:
            self.curve.checks.append((self.curve.rates[-1], metric))

    def outcome(self, evaluations: int) -> Outcome:
        """Return an outcome with the bounds in ``found``; a range test that diverges is complete."""
        bounds = self.curve.bounds()
        fell_back = not bounds.usable
        found: dict[str, Any] = {
            "min_lr": self._plan.low if fell_back else bounds.low,
            "max_lr": self._plan.high if fell_back else bounds.high,
        }
        if fell_back:
            found["fallback"] = bounds.reason
        return Outcome(Status.COMPLETED, evaluations, found=found)

    def state_dict(self) -> dict[str, Any]:
        """Return the curve and the running mean of the loss."""
        curve = self.curve
        return {
            "rates": list(curve.rates),
            "losses": list(curve.losses),
            "checks": [list(check) for check in curve.checks],
            "ended": curve.ended,
            "mean": [self._mean, self._weight, self._first, self._least],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state; load the optimizer's state first."""
        checks = [(rate, value) for rate, value in state["checks"]]
        self.curve = RangeCurve(
            self.curve.metric, list(state["rates"]), list(state["losses"]), checks, state["ended"]
        )
        self._mean, self._weight, self._first, self._least = state["mean"]
        self._groups.forget()
        self._groups.set_rate(self._plan.rate(min(len(self.curve.rates), self._plan.steps - 1)))


class Sweep(Training):
    """The training of a range test; with ``curve`` beside the ``outcome``."""

    schedule: RangeSchedule

    def __init__(
        self,
        study: Study,
        data: TaskData,
        plan: SweepPlan,
        seed: int,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        task = study.built_in.model_copy(update={"epochs": plan.epochs, "evaluate_every": None})
        # The loss of every step is read immediately: a captured step would save nothing.
        resources = study.resources.model_copy(update={"step": "eager"})
        super().__init__(
            study.model_copy(update={"task": task, "resources": resources}),
            data,
            TrialConfig("range-test", Phase.RANGE_TEST, "range-test", "range-test", {}, seed),
            device,
            clock,
            partial(RangeSchedule, plan, study.target.metric, task.divergence),
        )

    @property
    def curve(self) -> RangeCurve:
        """The rates, losses and evaluations so far."""
        return self.schedule.curve


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The result of a range test: its plan, its curve, the bounds it suggests, a record of each epoch."""

    plan: SweepPlan
    curve: RangeCurve
    bounds: Bounds
    rows: tuple[EvaluationRecord, ...]

    @property
    def seconds(self) -> float:
        """The time of training and evaluation."""
        return sum(row.train_seconds + row.eval_seconds for row in self.rows)


def run_range_test(
    study: Study,
    data: TaskData,
    plan: SweepPlan,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[int, int], None],
) -> SweepResult:
    """Run a range test in this process as within a study: with the same seed and number of cores.

    ``seed`` is the study's. ``on_epoch`` gets the epochs done and planned, the first time with 0 done.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(study.resources.cpus)
    try:
        sweep = Sweep(study, data, plan, derive_seed(seed, Phase.RANGE_TEST.value, 0), device)
        rows = []
        on_epoch(0, plan.epochs)
        for row in sweep.run():
            rows.append(row)
            on_epoch(row.evaluation, plan.epochs)
    finally:
        torch.set_num_threads(threads)
    return SweepResult(plan, sweep.curve, sweep.curve.bounds(), tuple(rows))
