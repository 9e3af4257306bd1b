"""A study made of recorded runs, complete before anything of it is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.records import Phase
from lrstudy.rules.clocks import CLOCKS
from lrstudy.rules.metrics import Metric
from lrstudy.store.log_clock import StudyClock, clock_of_runs
from lrstudy.store.log_options import ImportOptions
from lrstudy.store.log_selectors import Grouping
from lrstudy.store.metric_choice import AskedMetric, check_targets, choose_metric, why_chosen
from lrstudy.store.recorded_run import RecordedRun
from lrstudy.store.study_info import StudyInfo

# The schedules that a comparison is usually made against, when none is named.
_REFERENCES: Final = ("baseline", "fixed", "constant")
_KIND: Final = "recorded"
_OWN_KEYS: Final = frozenset((*CLOCKS, "metrics"))
_SHOWN: Final = 3
_ROUNDING: Final = 1e-6
# Evaluations that are written at once: whole chunks of a store, and few enough to hold beside the logs.
_BATCH: Final = 262_144


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study that is to be written: its runs in order, each with what names its trial."""

    study: StudyInfo
    runs: Sequence[tuple[dict[str, Any], RecordedRun]]
    clock: StudyClock
    why_metric: str

    @property
    def evaluations(self) -> int:
        """The number of evaluations of all runs."""
        return sum(len(run) for _, run in self.runs)

    def cut_short(self) -> str:
        """Say how many runs end before the length at which all are compared; nothing if none does."""
        length = self.study.length * (1 - _ROUNDING)
        short = []
        for key, run in self.runs:
            times = None if run.diverged else run.times(self.clock.length_clock)
            if times is not None and times[-1] < length:
                short.append(key["trial_id"])
        if not short:
            return ""
        shown = ", ".join(short[:_SHOWN]) + (
            f" and {len(short) - _SHOWN} more" if len(short) > _SHOWN else ""
        )
        which = f"{len(short)} of {len(self.runs)} runs end" if len(short) > 1 else "1 run ends"
        return (
            f"{which} before {self.study.length:,} {self.study.clock} ({shown}): without a hit they count as "
            "misses, and a verdict that needs these is inconclusive"
        )

    def trials(self, skipped: Iterable[str] = ()) -> Any:
        """Return the table of trials without those of these ids."""
        left_out = set(skipped)
        metric = self.study.metric
        rows = [key | run.ending(metric) for key, run in self.runs if key["trial_id"] not in left_out]
        return pa.Table.from_pylist(rows, schema=self.study.schema("trials"))

    def batches(self, skipped: Iterable[str] = ()) -> Iterator[Any]:
        """Yield the table of evaluations in parts, without those of the trials of these ids."""
        left_out = set(skipped)
        schema = self.study.schema("evaluations")
        tables: list[Any] = []
        for key, run in self.runs:
            if key["trial_id"] in left_out:
                continue
            tables.append(run.table(key, schema))
            if sum(table.num_rows for table in tables) >= _BATCH:
                yield pa.concat_tables(tables)
                tables = []
        yield pa.concat_tables([schema.empty_table(), *tables])


def plan_study(
    name: str,
    runs: Sequence[RecordedRun],
    grouping: Grouping,
    files: Sequence[str],
    options: ImportOptions,
    asked: AskedMetric | None,
) -> StudyPlan:
    """Return the study of some runs; raises ``InputError`` if they have no metric or clock in common."""
    schedules = _schedules(name, runs)
    metric = choose_metric(name, runs, asked)
    check_targets(metric, options.targets)
    reference = _reference(name, list(schedules), options.reference)
    clock = clock_of_runs(name, runs, options.judged_clock)
    keyed = _keyed(schedules, grouping)
    spec: dict[str, Any] = {
        "name": name,
        "seed": 0,
        "task": {_task_key(key): value for key, value in zip(grouping.task, runs[0].task, strict=True)},
        "budget": {"trials": 0, "confirm_seeds": max(map(len, schedules.values()))},
        "target": {"metric": metric.name, "values": list(options.targets) or None, "reference": reference},
        "schedules": {schedule: {"kind": _KIND, "fixed": {}, "space": {}} for schedule in schedules},
        "imported": {"files": sorted(set(files))},
    }
    spec["task"] |= {clock.length_clock: clock.length}
    if clock.judged != clock.length_clock:
        spec["target"]["clock"] = clock.judged
    if asked is not None and asked.declared:
        spec["task"]["metrics"] = asked.declared
    study = StudyInfo(name, spec, _digest(metric, keyed), 0)
    return StudyPlan(study, keyed, clock, "" if asked else why_chosen(metric, runs))


def _task_key(selector: str) -> str:
    """Return a key of the study's task that is not one which the study itself has."""
    return f"{selector} of the logs" if selector in _OWN_KEYS else selector


def _keyed(
    schedules: Mapping[str, Sequence[RecordedRun]], grouping: Grouping
) -> list[tuple[dict[str, Any], RecordedRun]]:
    """Return the runs of each schedule in the order of their seeds, with the columns that name its trial."""
    keyed = []
    for schedule, runs in schedules.items():
        for number, run in enumerate(sorted(runs, key=lambda run: run.seed)):
            params = {c: v for c, v in zip(grouping.schedule, run.schedule, strict=True) if v}
            key = {
                "trial_id": f"{schedule}-{Phase.CONFIRM}-{number:03d}",
                "phase": str(Phase.CONFIRM),
                "schedule": schedule,
                "seed": run.seed,
                "params": json.dumps(params),
            }
            keyed.append((key, run))
    return keyed


def _schedules(study: str, runs: Iterable[RecordedRun]) -> dict[str, list[RecordedRun]]:
    """The runs of each schedule, by its name, in order of appearance."""
    schedules: dict[str, list[RecordedRun]] = {}
    for run in runs:
        name = "-".join(value for value in run.schedule if value) or "unnamed"
        others = schedules.setdefault(name, [])
        if others and others[0].schedule != run.schedule:
            message = f"two schedules of {study} would both be called {name!r}"
            raise InputError(Problem(run.where, "--schedule-from", message, "Rename one in the file"))
        others.append(run)
    for others in schedules.values():
        seeds: set[int] = set()
        for run in others:
            if run.seed in seeds:
                message = f"two logs are of {run}"
                raise InputError(Problem(run.where, "--seed-from", message, "Name what tells the runs apart"))
            seeds.add(run.seed)
    return schedules


def _reference(study: str, schedules: Sequence[str], wanted: str | None) -> str:
    if wanted is None:
        return next((name for name in _REFERENCES if name in schedules), schedules[0])
    if wanted not in schedules:
        remedy = did_you_mean(wanted, schedules)
        raise InputError(Problem(study, "--reference", "is not one of its schedules", remedy, wanted))
    return wanted


def _digest(metric: Metric, keyed: Sequence[tuple[dict[str, Any], RecordedRun]]) -> str:
    """Of what was recorded and the metric, not of targets and reference: as for a study that lrstudy ran.

    Runs with one evaluation in each epoch have the digest that earlier versions gave them.
    """
    by_epoch = all(run.rows is not None for _, run in keyed)
    trials: list[dict[str, Any]] = []
    evaluations: list[Any] = []
    for key, run in keyed:
        short = {name: value for name, value in key.items() if name != "params"}
        if run.rows is None or not by_epoch:
            evaluations.append(run.digest())
            trials.append(key)
            continue
        end = run.ending(metric)
        trials.append(
            short
            | {"params": key["params"], "status": end["status"], "epochs_run": end["evaluations_run"]}
            | {"best_val": end["best_val"], "best_epoch": end["best_evaluation"]}
            | {name: end[name] for name in ("objective", "node", "device", "attempt")}
        )
        evaluations += [short | row for row in run.rows]
    return hashlib.sha256(json.dumps([metric.name, trials, evaluations]).encode()).hexdigest()[:16]
