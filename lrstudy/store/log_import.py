"""Stores from recorded histories: anybody's training logs, analysed like a study that lrstudy ran."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

from lrstudy.errors import InputError, Problem
from lrstudy.store.folding import folded, folded_notes
from lrstudy.store.histories import Read, file_names, read_logs, read_runs
from lrstudy.store.location import Location, open_location, study_folder
from lrstudy.store.log_formats import LogTable, printable, read_log
from lrstudy.store.log_options import ImportOptions
from lrstudy.store.log_plan import StudyPlan, plan_study
from lrstudy.store.log_selectors import Grouping, grouping_of
from lrstudy.store.metric_choice import asked_metric
from lrstudy.store.recorded_run import RecordedRun
from lrstudy.store.study_info import StudyInfo
from lrstudy.store.writer import StoreWriter


@dataclass(frozen=True, slots=True)
class RunCounts:
    """The runs of a schedule: their seeds, and the number of evaluations of each."""

    schedule: str
    seeds: Sequence[int]
    evaluations: Sequence[int]


@dataclass(frozen=True, slots=True)
class ImportedStudy:
    """A store that was made, or would be: its folder, its study and its runs by schedule.

    ``unused`` are the logs' columns that the store has no place for; ``notes`` say what was left out or
    taken for something else; ``why_metric`` why a study is judged by a metric that is not the usual one.
    """

    location: Location
    study: StudyInfo
    schedules: Sequence[RunCounts]
    unused: Sequence[str]
    notes: Sequence[str] = ()
    why_metric: str = ""

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(len(schedule.seeds) for schedule in self.schedules)

    @property
    def evaluations(self) -> int:
        """The number of evaluations of all runs."""
        return sum(sum(schedule.evaluations) for schedule in self.schedules)


def _read_one(source: str) -> Sequence[LogTable]:
    return [read_log(Path(source))]


def import_histories(
    sources: Sequence[str | PathLike[str]],
    out: str | PathLike[str] | Location,
    options: ImportOptions | None = None,
    read: Read = _read_one,
    *,
    dry_run: bool = False,
) -> list[ImportedStudy]:
    """Make a store of each study in the sources, below ``out``; doing it again changes nothing.

    ``read`` gives the tables of a source, by default the one in a file. Every run counts as a confirm trial.
    What a history does not tell (times, rates, steps) is null. A run whose losses end in NaN or infinity
    counts as diverged. Raises ``InputError`` with every problem of every source, and writes nothing then;
    ``StoreError`` where a folder holds another study. With ``dry_run`` nothing is written at all.
    """
    options = options or ImportOptions()
    if not sources:
        raise InputError(
            Problem("command line", "SOURCE", "no file was given", "Give CSV, Parquet or JSON files")
        )
    _refuse_repeated(sources)
    tables, problems = read_logs(sources, read)
    asked = asked_metric(options, tables) if tables else None
    grouping = grouping_of(tables, options)
    histories = read_runs(tables, grouping, asked, options.judged_clock)
    problems += histories.problems
    if problems:
        raise InputError(folded(problems))
    studies: dict[tuple[str, ...], list[RecordedRun]] = {}
    for run in histories.runs:
        studies.setdefault(run.task, []).append(run)
    names = _names(list(studies), sources, grouping, options.name)
    files = [printable(Path(source).name) for source in sources]
    plans: list[StudyPlan] = []
    for task, runs in studies.items():
        try:
            plans.append(plan_study(names[task], runs, grouping, files, options, asked))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(folded(problems))
    folders = [study_folder(open_location(out), plan.study.name) for plan in plans]
    for folder, plan in zip(folders, plans, strict=True):
        StoreWriter.check(folder, plan.study)  # all of them, before the first is written
    unused, notes = list(histories.unused), folded_notes(histories.notes)
    made = [_made(folder, plan, unused, notes) for folder, plan in zip(folders, plans, strict=True)]
    if dry_run:
        return made
    return [_write(study, plan) for study, plan in zip(made, plans, strict=True)]


def _made(folder: Location, plan: StudyPlan, unused: Sequence[str], notes: Sequence[str]) -> ImportedStudy:
    counts = {
        schedule.name: [len(run) for key, run in plan.runs if key["schedule"] == schedule.name]
        for schedule in plan.study.schedules
    }
    runs = tuple(
        RunCounts(name, tuple(key["seed"] for key, _ in plan.runs if key["schedule"] == name), tuple(lengths))
        for name, lengths in counts.items()
    )
    said = [*notes, short] if (short := plan.cut_short()) else notes
    return ImportedStudy(folder, plan.study, runs, unused, said, plan.why_metric)


def _refuse_repeated(files: Sequence[str | PathLike[str]]) -> None:
    times = Counter(Path(file).absolute() for file in files)
    repeated = {printable(file): None for file in files if times[Path(file).absolute()] > 1}
    if repeated:
        raise InputError([Problem(file, "", "is given more than once", "Name it once") for file in repeated])


def _names(
    tasks: list[tuple[str, ...]],
    sources: Sequence[str | PathLike[str]],
    grouping: Grouping,
    begin: str | None,
) -> dict[tuple[str, ...], str]:
    """A study's name for each combination of the tasks' values; two are never the same."""
    names = {}
    for task in tasks:
        parts = [value for value in task if value]
        if begin and (len(tasks) == 1 or not parts):
            parts = [begin]
        elif begin:
            parts = [begin, *parts]
        elif not parts:
            parts = [_source_name(fspath(sources[0])) if len(sources) == 1 else "imported"]
        names[task] = "-".join(parts)
    if len(set(names.values())) < len(names):
        pairs = {task: zip(grouping.task, task, strict=True) for task in tasks}
        names = {task: ", ".join(f"{column}={value}" for column, value in pairs[task]) for task in tasks}
    return names


def _source_name(source: str) -> str:
    """Return a name for the study of one source: the file's or folder's, else the end of an address."""
    if "://" in source or "#" in source:
        parts = [part for part in re.split(r"[/:#?]", source) if part]
        return printable(parts[-1] if parts else source)
    return file_names([source])[0] or "imported"


def _write(made: ImportedStudy, plan: StudyPlan) -> ImportedStudy:
    with StoreWriter.create_or_open(made.location, plan.study) as writer:
        # An import that was cut short left no half trial behind: what is there is complete.
        there = frozenset(writer.last_evaluations)
        nothing = plan.study.schema("trials").empty_table()
        for batch in plan.batches(there):
            writer.append_tables(batch, nothing)
        writer.append_tables(plan.study.schema("evaluations").empty_table(), plan.trials(there))
        return replace(made, study=writer.study)
