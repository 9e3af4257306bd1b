"""Stores from recorded histories: anybody's training logs, analysed like a study that lrstudy ran."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.records import Phase, Status
from lrstudy.rules.metrics import Metric
from lrstudy.store.folding import folded, folded_notes
from lrstudy.store.histories import Read, file_names, read_logs, read_runs
from lrstudy.store.location import Location, open_location, study_folder
from lrstudy.store.log_evaluations import diverged_at
from lrstudy.store.log_formats import LogTable, printable, read_log
from lrstudy.store.log_options import ImportOptions
from lrstudy.store.log_run import Run
from lrstudy.store.log_selectors import Grouping, grouping_of
from lrstudy.store.metric_choice import check_targets, choose_metric, why_chosen
from lrstudy.store.study_info import StudyInfo
from lrstudy.store.table_schema import EVALUATIONS_SCHEMA, TRIALS_SCHEMA
from lrstudy.store.writer import StoreWriter

# The schedules that a comparison is usually made against, when none is named.
_REFERENCES: Final = ("baseline", "fixed", "constant")
_KIND: Final = "recorded"


@dataclass(frozen=True, slots=True)
class ImportedStudy:
    """A store that was made: its folder, its study, and how many runs and epochs it holds.

    ``unused`` are the files' columns that the store has no place for; ``notes`` say what was left out or
    taken for something else; ``why_metric`` why a study is judged by a metric that is not the usual one.
    """

    location: Location
    study: StudyInfo
    runs: int
    epochs: int
    unused: Sequence[str]
    notes: Sequence[str] = ()
    why_metric: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A study that is to be written, complete, before anything is."""

    study: StudyInfo
    trials: list[dict[str, Any]]
    epochs: list[dict[str, Any]]
    why_metric: str


def _read_one(source: str) -> Sequence[LogTable]:
    return [read_log(Path(source))]


def import_histories(
    sources: Sequence[str | PathLike[str]],
    out: str | PathLike[str] | Location,
    options: ImportOptions | None = None,
    read: Read = _read_one,
) -> list[ImportedStudy]:
    """Make a store of each study in the sources, below ``out``; doing it again changes nothing.

    ``read`` gives the tables of a source, by default the one in a file. Every run counts as a confirm trial.
    What a history does not tell (times, rates, steps) is null. A run whose losses end in NaN or infinity
    counts as diverged. Raises ``InputError`` with every problem of every source, and writes nothing then;
    ``StoreError`` where a folder holds another study.
    """
    options = options or ImportOptions()
    if not sources:
        raise InputError(
            Problem("command line", "SOURCE", "no file was given", "Give CSV, Parquet or JSON files")
        )
    _refuse_repeated(sources)
    tables, problems = read_logs(sources, read)
    grouping = grouping_of(tables, options)
    histories = read_runs(tables, grouping)
    problems += histories.problems
    if problems:
        raise InputError(folded(problems))
    studies: dict[tuple[str, ...], list[Run]] = {}
    for run in histories.runs:
        studies.setdefault(run.task, []).append(run)
    names = _names(list(studies), sources, options)
    plans: list[_Plan] = []
    for task, runs in studies.items():
        try:
            plans.append(_plan(names[task], runs, grouping, sources, options))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(folded(problems))
    folders = [study_folder(open_location(out), plan.study.name) for plan in plans]
    for folder, plan in zip(folders, plans, strict=True):
        StoreWriter.check(folder, plan.study)  # all of them, before the first is written
    unused, notes = list(histories.unused), folded_notes(histories.notes)
    return [_write(folder, plan, unused, notes) for folder, plan in zip(folders, plans, strict=True)]


def _refuse_repeated(files: Sequence[str | PathLike[str]]) -> None:
    times = Counter(Path(file).absolute() for file in files)
    repeated = {printable(file): None for file in files if times[Path(file).absolute()] > 1}
    if repeated:
        raise InputError([Problem(file, "", "is given more than once", "Name it once") for file in repeated])


def _names(
    tasks: list[tuple[str, ...]], files: Sequence[str | PathLike[str]], options: ImportOptions
) -> dict[tuple[str, ...], str]:
    """A study's name for each combination of the task columns' values; two are never the same."""
    names = {}
    for task in tasks:
        parts = [value for value in task if value]
        if options.name and (len(tasks) == 1 or not parts):
            parts = [options.name]
        elif options.name:
            parts = [options.name, *parts]
        elif not parts:
            parts = [file_names(files)[0] if len(files) == 1 else "imported"]
        names[task] = "-".join(parts)
    if len(set(names.values())) < len(names):
        pairs = {task: zip(options.task_from, task, strict=True) for task in tasks}
        names = {task: ", ".join(f"{column}={value}" for column, value in pairs[task]) for task in tasks}
    return names


def _plan(
    name: str,
    runs: list[Run],
    grouping: Grouping,
    files: Sequence[str | PathLike[str]],
    options: ImportOptions,
) -> _Plan:
    schedules = _schedules(name, runs)
    metric = choose_metric(name, runs, options.metric_name)
    check_targets(metric, options.targets)
    reference = _reference(name, list(schedules), options.reference)
    trials, epochs = _rows(schedules, grouping, metric)
    spec: dict[str, Any] = {
        "name": name,
        "seed": 0,
        "task": dict(zip(grouping.task, runs[0].task, strict=True)),
        "budget": {"trials": 0, "confirm_seeds": max(map(len, schedules.values()))},
        "target": {"metric": metric.name, "values": list(options.targets) or None, "reference": reference},
        "schedules": {schedule: {"kind": _KIND, "fixed": {}, "space": {}} for schedule in schedules},
        "imported": {"files": sorted({printable(Path(file).name) for file in files})},
    }
    spec["task"]["epochs"] = max(len(run.epochs) for run in runs)
    info = StudyInfo(name, spec, _digest(metric, trials, epochs), 0)
    return _Plan(info, trials, epochs, "" if options.metric else why_chosen(metric, runs))


def _rows(
    schedules: Mapping[str, list[Run]], grouping: Grouping, metric: Metric
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of both tables; columns that a row lacks are null."""
    trials: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []
    for schedule, runs in schedules.items():
        for number, run in enumerate(sorted(runs, key=lambda run: run.seed)):
            key = {
                "trial_id": f"{schedule}-{Phase.CONFIRM}-{number:03d}",
                "phase": str(Phase.CONFIRM),
                "schedule": schedule,
                "seed": run.seed,
            }
            params = {c: v for c, v in zip(grouping.schedule, run.schedule, strict=True) if v}
            trials.append(key | {"params": json.dumps(params)} | _ending(run, metric))
            epochs += [key | row for row in run.epochs]
    return trials, epochs


def _schedules(study: str, runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs of each schedule, by its name, in order of appearance."""
    schedules: dict[str, list[Run]] = {}
    for run in runs:
        name = "-".join(value for value in run.schedule if value) or "unnamed"
        others = schedules.setdefault(name, [])
        if others and others[0].schedule != run.schedule:
            message = f"two schedules of {study} would both be called {name!r}"
            raise InputError(Problem(run.where, "--schedule-from", message, "Rename one in the file"))
        others.append(run)
    return schedules


def _reference(study: str, schedules: Sequence[str], wanted: str | None) -> str:
    if wanted is None:
        return next((name for name in _REFERENCES if name in schedules), schedules[0])
    if wanted not in schedules:
        remedy = did_you_mean(wanted, schedules)
        raise InputError(Problem(study, "--reference", "is not one of its schedules", remedy, wanted))
    return wanted


def _ending(run: Run, metric: Metric) -> dict[str, Any]:
    """The part of a trial's row that follows from its epochs."""
    best: tuple[float, int] | None = None
    for row in run.epochs:
        value = metric.value(row.get(metric.column))
        if value is not None and not math.isnan(value) and (best is None or metric.better(value, best[0])):
            best = value, row["epoch"]
    diverged = diverged_at(run.epochs)
    value, epoch = best or (None, None)
    return {
        "status": str(Status.COMPLETED if diverged is None else Status.DIVERGED),
        "epochs_run": diverged or len(run.epochs),
        "best_val": value,
        "best_epoch": epoch,
        "objective": value if diverged is None else None,
        "node": "",
        "device": "",
        "attempt": 1,
    }


def _digest(metric: Metric, trials: Sequence[Any], epochs: Sequence[Any]) -> str:
    """Of what was recorded and the metric, not of targets and reference: as for a study that lrstudy ran."""
    return hashlib.sha256(json.dumps([metric.name, trials, epochs]).encode()).hexdigest()[:16]


def _evaluations(epochs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the evaluations table: an evaluation has the number of its epoch."""
    return [{**row, "evaluation": row["epoch"]} for row in epochs]


def _trials(trials: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the trials table, with their ends and best points counted in every clock."""
    steps = {(row["trial_id"], row["epoch"]): row.get("step") for row in epochs}
    return [
        {
            **row,
            "replicate": 1,
            "evaluations_run": row["epochs_run"],
            "steps_run": steps.get((row["trial_id"], row["epochs_run"])),
            "best_evaluation": row["best_epoch"],
            "best_step": steps.get((row["trial_id"], row["best_epoch"])),
        }
        for row in trials
    ]


def _write(folder: Location, plan: _Plan, unused: Sequence[str], notes: Sequence[str]) -> ImportedStudy:
    with StoreWriter.create_or_open(folder, plan.study) as writer:
        # An import that was cut short left no half trial behind: what is there is complete.
        there = writer.last_evaluations
        rows = (_evaluations(plan.epochs), _trials(plan.trials, plan.epochs))
        new = [[row for row in table if row["trial_id"] not in there] for table in rows]
        writer.append_tables(
            pa.Table.from_pylist(new[0], schema=EVALUATIONS_SCHEMA),
            pa.Table.from_pylist(new[1], schema=TRIALS_SCHEMA),
        )
        return ImportedStudy(
            folder, writer.study, len(plan.trials), len(plan.epochs), unused, notes, plan.why_metric
        )
