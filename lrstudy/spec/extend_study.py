"""A study extended: its spec with more seeds, replicates, trials or schedules, checked like a study file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.errors import InputError, Problem
from lrstudy.rules.counting import counted
from lrstudy.rules.extension import NUMBERS, Extension
from lrstudy.spec.hyperparameters import is_of_task
from lrstudy.spec.load import load_study, restore_study
from lrstudy.spec.models import ScheduleSpec, Study

_PLACE: Final = "command line"


def extend_study(study: Study, extension: Extension, run: str) -> Study:
    """Return the extended study; ``run`` names it in messages.

    Raises ``InputError`` with everything that cannot be had.
    """
    problems = [*_number_problems(study, extension, run), *_design_problems(study, extension, run)]
    data = study.to_json()
    for name, value in extension.numbers.items():
        data["budget"][name] = value
    if extension.most is not None:
        data["budget"]["until"] = "decided"
    if extension.trials is not None and _keeps_first(study):
        data["budget"]["first_trials"] = study.budget.first_trials or study.budget.trials
    for word in extension.schedules:
        try:
            schedule, other = _read_schedule(word, data["schedules"])
        except InputError as error:
            problems += error.problems
            continue
        data["schedules"][schedule.name] = schedule.to_store()
        if schedule.range_tests and study.range_test != other.range_test:
            if _tested(study):
                message = f"asks for a range test with other settings than those of {run}"
                remedy = "Write the same [range_test] in that file, or give its rates as numbers."
                problems.append(Problem(_PLACE, "--schedule", message, remedy, word))
            data["range_test"] = other.to_json()["range_test"]
    if problems:
        raise InputError(problems)
    return restore_study(data, f"{run}, extended")


def _keeps_first(study: Study) -> bool:
    """Return True if suggestions depend on the number of trials that the search was laid out for."""
    return study.budget.search in ("tpe", "grid") or study.budget.extend


def _tested(study: Study) -> bool:
    return any(schedule.range_tests for schedule in study.schedules)


def _number_problems(study: Study, extension: Extension, run: str) -> Iterator[Problem]:
    """Yield a problem for each number that is not above the present one."""
    for name, value in extension.numbers.items():
        now, option = getattr(study.budget, name), f"--{name.replace('_', '-')}"
        if now is None or value > now:
            continue
        remedy = f"Give the new total, above {now}"
        if value < now:
            message, remedy = f"is below {NUMBERS[name]} = {now} of {run}", f"{remedy}; no trial is removed."
        else:
            message = f"is {NUMBERS[name]} of {run} already"
            remedy = f"{remedy}; to continue the run: lrstudy resume {run}"
        yield Problem(_PLACE, option, message, remedy, value)


def _design_problems(study: Study, extension: Extension, run: str) -> Iterator[Problem]:
    """Yield a problem for each change that the study's design does not allow."""
    if extension.replicates is not None and study.budget.until == "decided":
        message = f'does not go with budget.until = "decided" of {run}'
        remedy = "Raise the most replicates: --most N. Only undecided schedules get more of them."
        yield Problem(_PLACE, "--replicates", message, remedy, extension.replicates)
    if extension.select_seeds is not None and not study.budget.select:
        message = f"has no effect: {run} selects no finalists (budget.select = 0)"
        yield Problem(_PLACE, "--select-seeds", message, "Leave it out.", extension.select_seeds)
    if extension.trials is not None and not any(schedule.space for schedule in study.schedules):
        message = f"has no effect: no schedule of {run} has a search space"
        yield Problem(_PLACE, "--trials", message, "Leave it out.", extension.trials)
    if extension.epochs is not None:
        yield _length_problem(study, extension.epochs, run)


def _length_problem(study: Study, epochs: int, run: str) -> Problem:
    """The problem of another length: no trial would be as it is in a study planned so from the start."""
    bound = [spec.name for spec in study.schedules if spec.length is None and not _is_open_ended(spec)]
    rates = f"the rates of {', '.join(bound)} depend on it, " if bound else ""
    trials = counted(study.all_trials, "trial")
    message = (
        f"cannot change the length of trials in {run}: {rates}winners were chosen in trainings of "
        f"{study.length} {study.clock}, and ended trials have no checkpoint to continue from"
    )
    remedy = (
        f"Start a second run, of {trials}, and compare the two: lrstudy run STUDY --set task.epochs={epochs} "
        f"--set name=NAME; lrstudy compare. For the length that a target needs, train both lengths in one "
        f"study: --set 'task.lengths=[{study.length}, {epochs}]'."
    )
    return Problem(_PLACE, "--epochs", message, remedy, epochs)


def _is_open_ended(spec: ScheduleSpec) -> bool:
    """Return True if a schedule's rates are known not to depend on the length of the training."""
    kind = SCHEDULES.get(spec.kind)
    if kind is None or not kind.open_ended or spec.fixed.get("warmup") or "warmup" in spec.space:
        return False
    # Options that move between two values do so over fractions of the training.
    own = (name for name in (*spec.fixed, *spec.space) if not is_of_task(name))
    return all(kind.parameter(name) is not None for name in own)


def _read_schedule(word: str, present: Mapping[str, Any]) -> tuple[ScheduleSpec, Study]:
    """Return the schedule that is given as ``NAME=FILE``, and the study in that file."""
    name, _, file = word.partition("=")
    if not name or not file:
        remedy = "Write --schedule NAME=FILE: a schedule, and the study file that describes it."
        raise InputError(Problem(_PLACE, "--schedule", "is not NAME=FILE", remedy, word))
    other = load_study(Path(file).expanduser())
    if name in present:
        remedy = "Give the new schedule another name in its study file; no trial is removed."
        raise InputError(Problem(_PLACE, "--schedule", f"names {name!r}, which the run has", remedy, word))
    # The run has each schedule at its own lengths.
    described = {schedule.name: schedule for schedule in other.schedules if schedule.length is None}
    if name not in described:
        remedy = f"Add [schedules.{name}] there, or choose one of: {', '.join(described)}."
        raise InputError(Problem(file, "schedules", f"has no schedule {name!r}", remedy))
    return described[name], other
