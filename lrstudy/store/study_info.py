"""``study.json``: what the store says about its study, enough for a report without the study file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from lrstudy.errors import Problem, StoreError
from lrstudy.records import Phase
from lrstudy.rules.budget import TrialBudget
from lrstudy.rules.clocks import clock_of
from lrstudy.rules.goal import Goal
from lrstudy.rules.looks import Look, looks_of, replicates_of
from lrstudy.rules.metrics import Metric, declared_metrics, metric_of
from lrstudy.store.checksums import JSON_KEY, ChecksumError, check_json, seal_json
from lrstudy.store.study_faults import faults_of
from lrstudy.store.table_schema import SCHEMA_VERSION, schema_of

STUDY_FILE: Final = "study.json"


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    """A schedule of a study: its kind, its fixed parameters, and for each searched one its space.

    A name with a dot is a value of the task: ``optimizer.weight_decay``. ``optimizer`` and ``loss`` are those
    of a method, with their options; None: the task's.

    A space is as in a study file: ``{"low": …, "high": …, "log": …}``, a list of choices, or
    ``"range-test"``: then the schedule's trial of that phase holds the range. ``length`` is that of its
    trials where it is not the study's: it is then the schedule ``of`` in a shorter training.
    """

    name: str
    kind: str
    fixed: Mapping[str, Any]
    space: Mapping[str, Any]
    optimizer: Mapping[str, Any] | None = None
    length: int | None = None
    of: str = ""
    loss: Mapping[str, Any] | None = None

    @property
    def own_parts(self) -> dict[str, Mapping[str, Any]]:
        """The parts that its trials train with in place of the task's, by key."""
        parts = {"optimizer": self.optimizer, "loss": self.loss}
        return {key: part for key, part in parts.items() if part is not None}

    @property
    def range_tests(self) -> int:
        """Return the number of range tests before its search."""
        return int(Phase.RANGE_TEST in self.space.values())


@dataclass(frozen=True)
class StudyInfo:
    """A study as the store knows it.

    ``spec`` is the resolved study file as plain JSON data (sections ``task, budget, target, schedules``).
    A schedule there is ``{kind, fixed: {…}, space: {…}}``, or flat as in a study file; in a flat one every
    list counts as a set of choices. ``spec_hash`` is a digest of what decides the trials. ``versions``
    are package versions by name; ``hardware`` describes the machines, as plain JSON data.
    ``lanes`` is how many trials at most were trained side by side in a worker (0: each alone), and
    ``lanes_reason`` why: decided at the start, kept on continuation. ``fingerprints`` tell the data
    (and a user's own model) that it was started with from others; older stores have none. ``looks`` are those
    at a study that is run until it is decided, or that was extended (``rules.looks``). ``history`` has an
    entry for each extension (``store.extended_info``). ``judged`` names the ``metric`` that the study is
    judged by, if that is no longer the one that it was tuned for. ``stopped`` has an entry for each schedule
    that was stopped by hand (``store.stopped_schedules``). ``layers`` are the names of the model's layers, as
    ``largest_gradient_layer`` counts them, where the study measures it.
    """

    name: str
    spec: dict[str, Any]
    spec_hash: str
    seed: int
    versions: dict[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    hardware: dict[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    schema_version: int = SCHEMA_VERSION
    lanes: int = 0
    lanes_reason: str = ""
    fingerprints: dict[str, Any] = field(default_factory=dict)
    looks: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    judged: dict[str, Any] = field(default_factory=dict)
    stopped: dict[str, dict[str, Any]] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)

    @property
    def spec_hashes(self) -> tuple[str, ...]:
        """The digests of the study before each extension and now: its files carry any of them."""
        return (*(entry["spec_hash"][0] for entry in self.history), self.spec_hash)

    @property
    def first_numbers(self) -> dict[Phase, int]:
        """The numbers from which runs after a reopened search are counted; empty if none was reopened."""
        numbers: dict[str, int] = next(
            (entry["numbers"] for entry in reversed(self.history) if entry.get("numbers")), {}
        )
        return {Phase(name): number for name, number in numbers.items()}

    @property
    def taken_looks(self) -> tuple[Look, ...]:
        """The looks that the study has taken."""
        return looks_of(self.looks)

    def replicates(self, schedule: str) -> int:
        """Return the number of tunings that a schedule has, or will have."""
        return replicates_of(self.budget.replicates, self.taken_looks, schedule, self.reference)

    @property
    def metric(self) -> Metric:
        """The metric that the study is judged by."""
        return metric_of(self.judged["metric"], self.declared_metrics) if self.judged else self.tuned_metric

    @property
    def tuned_metric(self) -> Metric:
        """The metric that configurations are compared by, in which targets are given."""
        return metric_of(self.spec["target"]["metric"], self.declared_metrics)

    @property
    def declared_metrics(self) -> dict[str, Metric]:
        """The metrics that the study itself declares: columns of its evaluations."""
        return declared_metrics(self.spec["task"].get("metrics") or {})

    def schema(self, table: str) -> Any:
        """Return the Arrow schema of a table of this study."""
        return schema_of(table, self.declared_metrics)

    @property
    def targets(self) -> list[float] | None:
        """The levels of the metric that count as converged; None where the report is to choose them."""
        values = self.goal.targets
        return list(values) if values else None

    @property
    def reference(self) -> str:
        """The name of the schedule that the others are compared with."""
        return str(self.spec["target"]["reference"])

    @property
    def margin(self) -> float:
        """The equivalence margin, as a fraction: ratios within it count as equal."""
        return float(self.spec["target"].get("margin", 0.05))

    @property
    def imported(self) -> bool:
        """Return True if the study was made of recorded histories: nothing is left to run."""
        return "imported" in self.spec

    @property
    def schedules(self) -> tuple[ScheduleInfo, ...]:
        """The schedules in the study file's order."""
        return tuple(_schedule(name, entry) for name, entry in self.spec["schedules"].items())

    @property
    def compared(self) -> tuple[ScheduleInfo, ...]:
        """The schedules that train for the study's length: those that its verdicts compare."""
        return tuple(schedule for schedule in self.schedules if schedule.length is None)

    @property
    def clock(self) -> str:
        """The clock of the study, in which the length of a trial is counted (``rules.clocks``)."""
        return clock_of(self.spec["task"])[0]

    @property
    def target_clock(self) -> str:
        """The clock of targets and verdicts."""
        return str(self.spec["target"].get("clock") or self.clock)

    @property
    def length(self) -> int:
        """The length of a trial in the study's clock."""
        return clock_of(self.spec["task"])[1]

    @property
    def goal(self) -> Goal:
        """The levels that the study is judged by, and the objective of its tuning."""
        target, budget = self.spec["target"], self.spec["budget"]
        goal = Goal.of(target, budget, self.tuned_metric, self.clock, self.length)
        # Targets of another metric say nothing of this one.
        return replace(goal, metric=self.metric, targets=None, primary=None) if self.judged else goal

    @property
    def budget(self) -> TrialBudget:
        """The trials that every schedule may spend."""
        return TrialBudget.of(self.spec["budget"])

    @property
    def trials(self) -> int:
        """The number of tuning trials of a schedule with a search space, a range test's place included."""
        return self.budget.tune_trials

    @property
    def tune_seeds(self) -> int:
        """The number of seeds that each configuration is tried on."""
        return self.budget.tune_seeds

    @property
    def confirm_seeds(self) -> int:
        """The number of fresh seeds that each winner is run on."""
        return self.budget.confirm_seeds

    def planned(self, schedule: ScheduleInfo) -> dict[Phase, int]:
        """Return the number of trials of each phase for a schedule."""
        return self.budget.planned(
            searched=bool(schedule.space),
            range_tests=schedule.range_tests,
            replicates=self.replicates(schedule.name),
        )

    def to_json(self) -> str:
        """The text of ``study.json``."""
        data = asdict(self) | {"created_at": self.created_at.isoformat()}
        return seal_json(data)

    @classmethod
    def from_json(cls, text: str | bytes, where: str = STUDY_FILE) -> StudyInfo:
        """Read ``study.json``; raises ``StoreError`` naming ``where`` and all that is wrong with it."""
        remedy = "Restore the file from a copy, or run the study again in another folder"
        try:
            data = json.loads(text)
        except ValueError as error:
            raise StoreError(Problem(where, "", f"is not valid JSON ({error})", remedy)) from error
        if not isinstance(data, dict):
            raise StoreError(Problem(where, "", "is not a study's description", remedy))
        # First, so that a flipped bit of the version does not ask for a newer lrstudy.
        _check_checksum(data, where)
        _check_version(data, where, remedy)
        problems = [Problem(where, key, message, remedy) for key, message in faults_of(data)]
        if problems:
            raise StoreError(problems)
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        return cls(**known | {"created_at": datetime.fromisoformat(data["created_at"])})


def _check_checksum(data: Mapping[str, Any], where: str) -> None:
    try:
        check_json(data)
    except ChecksumError as error:
        remedy = (
            "Restore the file from a copy; if you changed it on purpose, delete its line "
            f'"{JSON_KEY}" (and the comma before it)'
        )
        raise StoreError(Problem(where, "", f"is damaged ({error})", remedy)) from error


def _check_version(data: Mapping[str, Any], where: str, remedy: str) -> None:
    version = data.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StoreError(Problem(where, "schema_version", "must be a whole number from 1", remedy, version))
    if version > SCHEMA_VERSION:
        raise StoreError(newer_version(where, version))


def newer_version(where: str, version: int) -> Problem:
    """The problem of a store that a later lrstudy wrote."""
    message = (
        f"was written by a newer lrstudy (schema version {version}; this one reads up to {SCHEMA_VERSION})"
    )
    return Problem(where, "schema_version", message, "Upgrade lrstudy: pip install -U lrstudy")


def _schedule(name: str, entry: Mapping[str, Any]) -> ScheduleInfo:
    if isinstance(entry.get("fixed"), dict) and isinstance(entry.get("space"), dict):
        rest = (entry.get("optimizer"), entry.get("length"), entry.get("of", ""), entry.get("loss"))
        return ScheduleInfo(name, entry["kind"], entry["fixed"], entry["space"], *rest)
    values = {key: value for key, value in entry.items() if key != "kind"}
    space = {key: value for key, value in values.items() if _is_space(value)}
    fixed = {key: value for key, value in values.items() if key not in space}
    return ScheduleInfo(name, entry["kind"], fixed, space)


def _is_space(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and {"low", "high"} <= value.keys())
