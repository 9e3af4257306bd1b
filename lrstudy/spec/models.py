"""A study file as frozen values: its sections together, and what follows from them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from pydantic import Field

from lrstudy.records import Phase
from lrstudy.rules.budget import TrialBudget
from lrstudy.rules.clocks import clock_of
from lrstudy.rules.goal import Goal
from lrstudy.rules.identity import deciding_part
from lrstudy.rules.metrics import Metric, declared_metrics, metric_of
from lrstudy.rules.objective import Objective
from lrstudy.spec.cost_section import Cost
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.hyperparameters import is_of_task
from lrstudy.spec.space import Choices, Range, Space
from lrstudy.spec.study_sections import Budget, Faults, Logging, RangeTest, Resources, Section, Target
from lrstudy.spec.task_spec import ComponentField, ComponentSpec, TaskSpec


class ScheduleSpec(Section):
    """One schedule under study: its kind, the parameters that are fixed and the space of the others.

    The names of ``fixed`` and ``space`` are parameters of the schedule or, with a dot, values of the task
    (``spec.hyperparameters``). A method may have its own ``optimizer`` and ``loss``; None: the task's.
    ``length`` is that of its trials where it is not the study's: it is then the schedule ``of`` at one of
    the task's further ``lengths``.
    """

    name: str
    kind: str
    fixed: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, Space] = Field(default_factory=dict)
    optimizer: ComponentField | None = None
    loss: ComponentField | None = None
    length: int | None = None
    of: str = ""

    @property
    def own_parts(self) -> dict[str, ComponentSpec]:
        """The parts that its trials train with in place of the task's, by key."""
        parts = {"optimizer": self.optimizer, "loss": self.loss}
        return {key: part for key, part in parts.items() if part is not None}

    @property
    def range_tests(self) -> int:
        """Return the number of range tests before its search: one serves all of its parameters."""
        return int(any(isinstance(space, Range) and space.tested for space in self.space.values()))

    def narrowed(self, low: float, high: float) -> ScheduleSpec:
        """Return the same with these ends in place of each ``"range-test"``."""
        space = {
            name: replace(span, low=low, high=high) if isinstance(span, Range) and span.tested else span
            for name, span in self.space.items()
        }
        return self.model_copy(update={"space": space})

    def to_json(self) -> dict[str, Any]:
        """The form it has in a study file, with the kind spelled out."""
        values = {**self.fixed, **{key: value.to_json() for key, value in self.space.items()}}
        own = {key: value for key, value in values.items() if not is_of_task(key)}
        searched = {key: value for key, value in values.items() if is_of_task(key)}
        return {"kind": self.kind, **own, **({"search": searched} if searched else {}), **self._method()}

    def to_store(self) -> dict[str, Any]:
        """The form it has in a store: fixed values apart from spaces."""
        space = {key: value.to_json() for key, value in self.space.items()}
        shorter = {} if self.length is None else {"length": self.length, "of": self.of}
        return {"kind": self.kind, "fixed": dict(self.fixed), "space": space, **self._method(), **shorter}

    def at_length(self, length: int) -> ScheduleSpec:
        """Return the same schedule for a shorter training.

        >>> ScheduleSpec(name="cosine", kind="cosine").at_length(10).name
        'cosine@10'
        """
        return self.model_copy(update={"name": f"{self.name}@{length}", "length": length, "of": self.name})

    def _method(self) -> dict[str, Any]:
        """Return what makes it a method, under its key in a study file; nothing for a plain schedule."""
        return {key: part.to_json() for key, part in self.own_parts.items()}


class Study(Section):
    """A whole study, checked.

    ``schedules`` keeps the study file's order; after them come the same at each of the further lengths.
    """

    name: str
    seed: int
    task: TaskSpec | FunctionTask
    budget: Budget
    target: Target
    schedules: tuple[ScheduleSpec, ...]
    resources: Resources
    faults: Faults = Faults()
    range_test: RangeTest = RangeTest()
    logging: Logging = Logging()
    cost: Cost = Cost()

    @property
    def function(self) -> FunctionTask | None:
        """The task, if it is a user's own training function."""
        return self.task if isinstance(self.task, FunctionTask) else None

    @property
    def built_in(self) -> TaskSpec:
        """The task, for what trains by the built-in loop; raises ``TypeError`` for a user's function."""
        if isinstance(self.task, FunctionTask):
            raise TypeError(f"{self.task.train} is a user's training function, not a built-in task")
        return self.task

    def schedule(self, name: str) -> ScheduleSpec:
        """The schedule of that name; raises ``KeyError`` for another."""
        for schedule in self.schedules:
            if schedule.name == name:
                return schedule
        raise KeyError(name)

    @property
    def declared_metrics(self) -> dict[str, Metric]:
        """The metrics that the study itself declares: columns of its evaluations."""
        return declared_metrics(self.task.declared)

    @property
    def metric(self) -> Metric:
        """The metric that the study is judged by."""
        return metric_of(self.target.metric, self.declared_metrics)

    @property
    def clock(self) -> str:
        """The clock of the study, in which the length of a trial is counted (``rules.clocks``)."""
        return clock_of(dict(self.task))[0]

    @property
    def target_clock(self) -> str:
        """The clock of targets and verdicts."""
        return self.target.clock or self.clock

    @property
    def length(self) -> int:
        """The length of a trial in the study's clock."""
        return clock_of(dict(self.task))[1]

    def length_of(self, schedule: str) -> int:
        """Return the length of a schedule's trials in the study's clock."""
        own = next((spec.length for spec in self.schedules if spec.name == schedule), None)
        return self.length if own is None else own

    @property
    def goal(self) -> Goal:
        """The levels that the study is judged by, and the objective of its tuning."""
        return Goal.of(
            self.target.model_dump(), self.budget.model_dump(), self.metric, self.clock, self.length
        )

    @property
    def objective(self) -> Objective:
        """The objective that tuning compares."""
        return self.goal.objective

    @property
    def trial_budget(self) -> TrialBudget:
        """The trials that every schedule may spend."""
        return TrialBudget.of(dict(self.budget))

    def planned(self, schedule: ScheduleSpec) -> dict[Phase, int]:
        """Return the number of trials of each phase for a schedule."""
        return self.trial_budget.planned(searched=bool(schedule.space), range_tests=schedule.range_tests)

    def tune_trials(self, schedule: ScheduleSpec) -> int:
        """Return the number of tuning trials of a schedule, over all replicates."""
        return self.planned(schedule)[Phase.TUNE]

    def tune_seeds(self, schedule: ScheduleSpec) -> int:
        """Return the number of seeds per configuration: one where there is nothing to choose from."""
        return self.budget.tune_seeds if schedule.space else 1

    def first_configurations(self, schedule: ScheduleSpec) -> int:
        """Return the number of configurations that the search was laid out for, less a range test's place.

        Configurations beyond them widen ranges (``budget.extend``) or were added to the study later.
        """
        return (self.budget.first_trials or self.budget.trials) - schedule.range_tests

    @property
    def all_trials(self) -> int:
        """The number of trials of the whole study."""
        return sum(sum(self.planned(schedule).values()) for schedule in self.schedules)

    def resolved(self) -> dict[str, Any]:
        """The study as plain JSON data with every default filled in."""
        data = self.model_dump(mode="json", exclude={"schedules"})
        if self.function is None:
            for part in ("dataset", "model", "loss", "optimizer"):
                data["task"][part] = getattr(self.task, part).to_json()
            data["task"]["metrics"] = self.task.declared
        own = (schedule for schedule in self.schedules if schedule.length is None)
        data["schedules"] = {schedule.name: schedule.to_json() for schedule in own}
        plain: dict[str, Any] = json.loads(json.dumps(data))
        return plain

    @property
    def trials_of_whole_length(self) -> float:
        """The number of trials of the study's length that cost as much as all of its trials."""
        each = ((spec, sum(self.planned(spec).values())) for spec in self.schedules)
        return sum(count * self.length_of(spec.name) / self.length for spec, count in each)

    def to_json(self) -> dict[str, Any]:
        """Return the study as a store keeps it: like ``resolved``, fixed values apart from spaces."""
        schedules = {schedule.name: schedule.to_store() for schedule in self.schedules}
        plain: dict[str, Any] = json.loads(json.dumps({**self.resolved(), "schedules": schedules}))
        return plain

    @property
    def spec_hash(self) -> str:
        """A digest of everything that decides the trials (``rules.identity``)."""
        tested = any(schedule.range_tests for schedule in self.schedules)
        data = deciding_part(self.resolved(), range_tests=tested)
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


__all__ = [
    "Budget",
    "Choices",
    "ComponentSpec",
    "Cost",
    "Faults",
    "Logging",
    "Range",
    "RangeTest",
    "Resources",
    "ScheduleSpec",
    "Study",
    "Target",
    "TaskSpec",
]
