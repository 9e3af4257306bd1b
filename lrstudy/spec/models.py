"""The study file's sections as frozen values, with their defaults and the range of each field."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny

from lrstudy.catalog.metric_kinds import metric_kind
from lrstudy.catalog.task_parts import CLASSIFICATION_LOSSES, STREAMED
from lrstudy.records import Phase
from lrstudy.rules.budget import TrialBudget
from lrstudy.rules.clocks import clock_of
from lrstudy.rules.goal import Goal
from lrstudy.rules.identity import deciding_part
from lrstudy.rules.metrics import CLIPPED_SHARE, Metric, declared_metrics, metric_of
from lrstudy.rules.objective import Objective
from lrstudy.spec.function_task import FunctionTask
from lrstudy.spec.hyperparameters import is_of_task
from lrstudy.spec.space import Choices, Range, Space

MOST_REPLICATES: Final = 10_000


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class ComponentSpec(_Section):
    """A named part of a task with its options; in TOML a name or ``{ name = …, option = … }``."""

    name: str = Field(min_length=1)
    options: dict[str, Any] = {}

    @property
    def is_users_own(self) -> bool:
        """Return True if it is given as ``module:attribute``."""
        return ":" in self.name

    def to_json(self) -> dict[str, Any]:
        """The form it has in a study file."""
        return {"name": self.name, **self.options}


def _component(raw: Any) -> Any:
    if isinstance(raw, str):
        return ComponentSpec(name=raw) if raw else raw
    if isinstance(raw, dict) and "options" not in raw and isinstance(raw.get("name"), str):
        return ComponentSpec(name=raw["name"], options={k: v for k, v in raw.items() if k != "name"})
    return raw


ComponentField = Annotated[SerializeAsAny[ComponentSpec], BeforeValidator(_component)]
"""The type of a field that a study file gives as a name or as a table with a name."""


def _tuple(raw: Any) -> Any:
    return tuple(raw) if isinstance(raw, list) else raw


def _metric_names(raw: Any) -> Any:
    """Return the names in a table of declared metrics, as a store keeps them; anything else as it is."""
    if isinstance(raw, dict) and all(isinstance(entry, dict) and "goal" in entry for entry in raw.values()):
        return tuple(entry["name"] for entry in raw.values() if "name" in entry)
    return _tuple(raw)


class Loader(_Section):
    """A DataLoader that reads the rows batch by batch, instead of a tensor of all of them."""

    workers: int = Field(default=2, ge=0, le=256)


Lengths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_tuple)]
"""Lengths of trials besides that of the study, in its clock."""


class TaskSpec(_Section):
    """The training task: data, model, loss, base optimizer and training length.

    ``lengths`` are shorter trainings in which every schedule is tuned and confirmed too.
    """

    dataset: ComponentField
    model: ComponentField
    loss: ComponentField = ComponentSpec(name="cross-entropy")
    optimizer: ComponentField = ComponentSpec(name="sgd", options={"lr": 0.1})
    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1)
    lengths: Lengths = ()
    evaluate_every: int | None = Field(default=None, ge=1)
    validation: float = Field(default=0.2, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    rows: int | None = Field(default=None, ge=2)
    loader: Loader | None = None
    columns: Annotated[tuple[str, str] | None, BeforeValidator(_tuple)] = None
    augment: Annotated[tuple[str, ...], BeforeValidator(_tuple)] = ()
    normalize: str | None = None
    precision: Literal["float32", "bf16", "fp16", "tf32", "float64"] = "float32"
    accumulate: int = Field(default=1, ge=1)
    clip_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    ema: float | None = Field(default=None, gt=0, lt=1)
    compile: bool = False
    channels_last: bool = False
    deterministic: bool = False
    divergence: float = Field(default=1e9, gt=0)
    metrics: Annotated[tuple[str, ...], BeforeValidator(_metric_names)] = ()

    @property
    def streamed(self) -> bool:
        """Return True if rows are read batch by batch."""
        return self.loader is not None or self.dataset.name in STREAMED

    @property
    def declared(self) -> dict[str, dict[str, Any]]:
        """The metrics that it measures beside the fixed ones, as a study declares them."""
        table: dict[str, dict[str, Any]] = {}
        if self.clip_norm is not None:
            table[CLIPPED_SHARE] = {"goal": "min", "low": 0.0, "high": 1.0}
        if self.ema is not None:
            table["ema_val_loss"] = {"goal": "min"}
            if self.loss.name in CLASSIFICATION_LOSSES or self.loss.is_users_own:
                table["ema_val_accuracy"] = {"goal": "max", "low": 0.0, "high": 1.0}
            if self.loss.name not in CLASSIFICATION_LOSSES:
                table["ema_val_r2"] = {"goal": "max", "high": 1.0}
        kinds = filter(None, map(metric_kind, self.metrics))
        return table | {kind.column: kind.declared for kind in kinds}


class Budget(_Section):
    """The budget of every schedule, the same for all.

    A schedule is tuned ``replicates`` times, each time with its own search, seeds and split of the data.
    ``trials`` configurations are tried, each on ``tune_seeds`` seeds; the best ``select`` of them run on
    ``select_seeds`` further ones, and the winner on ``confirm_seeds``. With ``until = "decided"`` the
    replicates of undecided schedules are doubled, again and again, up to ``most``.

    A trial with the objective ``target`` is worth its time to the primary target. ``stop`` says which
    runs end once they have reached all targets.

    The ``asha`` pruner asks after ``grace_epochs`` epochs and then at ``reduction`` times as many, again and
    again, which trials continue. ``extend`` adds ``extend_trials`` configurations, before each generation of
    which a range whose end holds the best value so far is widened.

    ``first_trials``: the search was laid out for so many configurations, and the others were added later.
    """

    replicates: int = Field(default=1, ge=1, le=MOST_REPLICATES)
    until: Literal["spent", "decided"] = "spent"
    most: int | None = Field(default=None, ge=2, le=MOST_REPLICATES)
    trials: int = Field(default=16, ge=1)
    first_trials: int | None = Field(default=None, ge=1)
    confirm_seeds: int = Field(default=10, ge=1)
    search: Literal["tpe", "random", "qmc", "grid"] = "tpe"
    tune_seeds: int = Field(default=1, ge=1)
    common_seed: bool = True
    select: int = Field(default=0, ge=0)
    select_seeds: int = Field(default=3, ge=1)
    pruner: Literal["none", "asha"] = "none"
    grace_epochs: int = Field(default=1, ge=1)
    reduction: int = Field(default=3, ge=2)
    objective: Literal["target", "best", "final", "mean"] | None = None
    stop: Literal["never", "tune", "all"] | None = None
    generation: int = Field(default=4, ge=1)
    extend: bool = False
    extend_trials: int = Field(default=8, ge=1)


class Target(_Section):
    """The levels of the validation metric that count as converged, and the schedule to compare with.

    ``primary`` is the level that the study is to decide. A run has reached a level by the rule ``arrival``
    (``rules.arrival``). ``end_margin``: values at the end within it count as equivalent.
    """

    metric: str = "val_accuracy"
    values: Annotated[tuple[float, ...] | None, BeforeValidator(_tuple)] = None
    primary: float | None = None
    arrival: str | None = None
    clock: Literal["epochs", "steps", "samples", "tokens", "seconds"] | None = None
    reference: str = ""
    margin: float = Field(default=0.05, gt=0, lt=1)
    end_margin: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Resources(_Section):
    """CPUs and GPUs of each trial, and the number that run at once (0: as many as the cluster holds).

    ``workers``: the processes that train a trial together, each with ``cpus`` and ``gpus``; more than one
    only for a user's training function. ``gpus``: a worker trains on one GPU or a share of it.
    ``lanes``: up to how many trials share one worker, trained side by side; ``auto``: as many as a fixed
    rule gives for the model and the shapes of a step; 0: each has its own.
    ``step``: how a training step is computed, call by call or as one captured graph (on a GPU).
    """

    cpus: int = Field(default=1, ge=1)
    gpus: float = Field(default=0.0, ge=0, le=1)
    workers: int = Field(default=1, ge=1)
    accelerator: str = ""
    max_concurrent: int = Field(default=0, ge=0)
    lanes: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    step: Literal["eager", "captured"] = "eager"


class Faults(_Section):
    """Checkpoints of a running trial, and the number of restarts for each kind of fault.

    A checkpoint is written after every ``checkpoint_epochs``-th epoch (0: never), but not within
    ``checkpoint_seconds`` of the last one or of the trial's start: short trials pay nothing. A trial that
    ends no epoch for ``epoch_seconds`` is stuck (0: a limit that follows from the epochs seen).
    """

    checkpoint_epochs: int = Field(default=10, ge=0)
    checkpoint_seconds: float = Field(default=10.0, ge=0)
    lost_node_retries: int = Field(default=3, ge=0)
    memory_retries: int = Field(default=1, ge=0)
    error_retries: int = Field(default=0, ge=0)
    epoch_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class Logging(_Section):
    """Trackers that get the epochs in addition to the store; all off by default."""

    tensorboard: bool = False
    mlflow: str = ""
    wandb: str = ""


class RangeTest(_Section):
    """The sweep of a range test: its lowest and highest rate, its length (0: as ``plan_sweep`` says)."""

    low: float = Field(default=1e-5, gt=0, allow_inf_nan=False)
    high: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    epochs: int = Field(default=0, ge=0)


class ScheduleSpec(_Section):
    """One schedule under study: its kind, the parameters that are fixed and the space of the others.

    The names of ``fixed`` and ``space`` are parameters of the schedule or, with a dot, values of the task
    (``spec.hyperparameters``). A method has its own ``optimizer`` too; None: it trains with the task's.
    ``length`` is that of its trials where it is not the study's: it is then the schedule ``of`` at one of
    the task's further ``lengths``.
    """

    name: str
    kind: str
    fixed: dict[str, Any] = {}
    space: dict[str, Space] = {}
    optimizer: ComponentField | None = None
    length: int | None = None
    of: str = ""

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
        return {} if self.optimizer is None else {"optimizer": self.optimizer.to_json()}


class Study(_Section):
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
