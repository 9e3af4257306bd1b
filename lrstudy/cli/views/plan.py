"""The plan of a study, as data and as a page of text."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape

from lrstudy.cli.terminal_table import line, names, numbers, table, words
from lrstudy.cli.views.power import Measured, power_lines, power_of
from lrstudy.records import Phase
from lrstudy.rules.counting import counted
from lrstudy.rules.durations import waiting_time
from lrstudy.rules.prices import money
from lrstudy.spec import Range, Space, Study
from lrstudy.spec.own_parts import OWN_PARTS
from lrstudy.tuning.cost_estimate import CostEstimate
from lrstudy.tuning.time_estimate import Estimate

_PARTS = ("dataset", "model", "loss", "optimizer")


def plan_of(
    study: Study,
    estimate: Estimate,
    one_split: str = "",
    like: Measured | None = None,
    cost: CostEstimate | None = None,
) -> dict[str, Any]:
    """Return everything that ``lrstudy plan`` shows, as plain data.

    ``one_split`` is why all replicates share one split of the data; empty if they do not. ``like`` are the
    components of a finished study.
    """
    schedules: list[dict[str, Any]] = []
    for schedule in study.schedules:
        trials = study.planned(schedule)
        schedules.append(
            {
                "name": schedule.name,
                "kind": schedule.kind,
                "range_tests": trials[Phase.RANGE_TEST],
                "tune_trials": trials[Phase.TUNE],
                "select_trials": trials[Phase.SELECT],
                "confirm_trials": trials[Phase.CONFIRM],
                # A range test is no longer than a trial.
                study.clock: sum(trials.values()) * study.length_of(schedule.name),
                "space": {name: describe(space) for name, space in schedule.space.items()},
                "fixed": dict(schedule.fixed),
                "optimizer": None if schedule.optimizer is None else schedule.optimizer.name,
                "loss": None if schedule.loss is None else schedule.loss.name,
            }
        )
    return {
        "study": study.name,
        "seed": study.seed,
        "task": _task(study),
        "clock": study.clock,
        "length": study.length,
        "lengths": sorted({study.length_of(schedule.name) for schedule in study.schedules}),
        "search": study.budget.search,
        "replicates": study.budget.replicates,
        "one_split": one_split or None,
        "confirm_seeds": study.budget.confirm_seeds,
        "at_most": study.budget.pruner != "none" or study.budget.extend or study.budget.stop != "never",
        "metric": study.target.metric,
        "target_clock": study.target_clock,
        "targets": list(study.target.values) if study.target.values else None,
        "reference": study.target.reference,
        "schedules": schedules,
        "trials": study.all_trials,
        study.clock: sum(s[study.clock] for s in schedules),
        "data": estimate.data or None,
        "steps_per_epoch": estimate.steps_per_epoch,
        "seconds": estimate.seconds,
        "estimate": estimate.basis,
        "cpu_hours": _hours(study, estimate, study.resources.cpus * study.resources.workers),
        "gpu_hours": _hours(study, estimate, study.resources.gpus * study.resources.workers),
        "cost": None if cost is None else cost.to_json(),
        "lanes": _lanes(estimate),
        "most": _at_most(study, estimate),
        "power": power_of(study, like),
    }


def _task(study: Study) -> dict[str, Any]:
    """Return the parts of the task, or the user's training function, by name."""
    if study.function is not None:
        return {"train": study.function.train, study.clock: study.length}
    task: dict[str, Any] = {part: getattr(study.built_in, part).name for part in _PARTS}
    return task | {"batch_size": study.built_in.batch_size, study.clock: study.length}


def _hours(study: Study, estimate: Estimate, devices: float) -> float | None:
    """Return the device-hours of all trials, each on this many devices."""
    if estimate.trial_seconds is None:
        return None
    return study.trials_of_whole_length * estimate.trial_seconds * devices / 3600


def _lanes(estimate: Estimate) -> dict[str, Any] | None:
    """Return the lanes, the reason for them and a measurement against them; None if they are unknown."""
    if estimate.lanes is None:
        return None
    return {
        "lanes": estimate.lanes.lanes,
        "reason": estimate.lanes.reason,
        "advice": estimate.advice or None,
    }


def _at_most(study: Study, estimate: Estimate) -> dict[str, Any] | None:
    """Return the budget with the most replicates; None if the study does not run until it is decided."""
    most = study.budget.most if study.budget.until == "decided" else None
    if most is None:
        return None
    budget = study.trial_budget
    trials = sum(
        sum(budget.planned(searched=bool(each.space), range_tests=each.range_tests, replicates=most).values())
        for each in study.schedules
    )
    seconds = None if estimate.seconds is None else estimate.seconds * trials / study.all_trials
    return {"replicates": most, "trials": trials, study.clock: trials * study.length, "seconds": seconds}


def show_plan(console: Console, plan: dict[str, Any]) -> None:
    """Print a plan so that it fits 80 columns."""
    task = plan["task"]
    console.print(f"[bold]{escape(plan['study'])}[/bold]  seed {plan['seed']}")
    parts = ", ".join(escape(str(task[part])) for part in ("train", *_PARTS) if part in task)
    batch = f"batch {task['batch_size']}, " if "batch_size" in task else ""
    console.print(f"task      {parts}; {batch}{counted(plan['length'], _unit(plan))}")
    levels = ", ".join(f"{value:g}" for value in plan["targets"] or ()) or "derived from the reference"
    timed = "" if plan["target_clock"] == plan["clock"] else f", timed in {plan['target_clock']}"
    console.print(f"target    {plan['metric']}: {levels}{timed}; reference: {escape(plan['reference'])}")
    console.print(f"search    {plan['search']}\n")
    columns = [
        names("schedule", longest=20),
        *map(numbers, (*_phases(plan), plan["clock"])),
        words("searched"),
    ]
    console.print(table(columns, [_schedule_row(each, plan) for each in plan["schedules"]]))
    for schedule in plan["schedules"]:
        if own := [schedule[part] for part in OWN_PARTS if schedule[part] is not None]:
            console.print(f"\n{escape(schedule['name'])}: {schedule['kind']} with {' and '.join(own)}")
    if tested := [escape(schedule["name"]) for schedule in plan["schedules"] if schedule["range_tests"]]:
        console.print(f"\nrange test first, in place of a tuning configuration: {', '.join(tested)}")
    console.print()
    data = [("data", plan["data"])] if plan["data"] else []
    lines = (
        *data,
        ("budget", _budget(plan)),
        ("time", _time(plan)),
        *([("cost", _cost(plan))] if plan["cost"] else []),
        ("lanes", _lanes_line(plan)),
        *power_lines(plan),
    )
    for label, text in lines:
        console.print(line(label, text, widths=[8], gap=2))


def _unit(plan: dict[str, Any]) -> str:
    """Return the unit of the study's clock, for one."""
    return str(plan["clock"]).removesuffix("s")


def _phases(plan: dict[str, Any]) -> list[str]:
    """Return the phases that the table of schedules shows; the selection only where there is one."""
    selects = any(schedule["select_trials"] for schedule in plan["schedules"])
    return ["tune", *(["select"] if selects else []), "confirm"]


def _schedule_row(schedule: dict[str, Any], plan: dict[str, Any]) -> tuple[str, ...]:
    space = "\n".join(f"{name} {text}" for name, text in schedule["space"].items())
    counts = [str(schedule[key]) for key in (*(f"{name}_trials" for name in _phases(plan)), plan["clock"])]
    return (schedule["name"], *counts, space or "nothing to tune")


def _budget(plan: dict[str, Any]) -> str:
    """Return the budget of each schedule, and the names of those that have nothing to search.

    It is an upper bound where trials end early (a pruner, or ``budget.stop``), and with an extension of the
    search, which runs only if a best value is at the end of its range.
    """
    searched = [schedule for schedule in plan["schedules"] if schedule["space"]]
    idle = [schedule["name"] for schedule in plan["schedules"] if not schedule["space"]]
    length, steps, unit = plan["length"], plan["steps_per_epoch"], _unit(plan)
    if any("task.batch_size" in {**schedule["space"], **schedule["fixed"]} for schedule in plan["schedules"]):
        steps = None  # each trial has its own number
    most = "at most " if plan["at_most"] else ""
    said = [f"{most}{counted(plan['trials'], 'trial')}, {counted(plan[plan['clock']], unit)}"]
    if searched:
        phases = ("range_tests", "tune_trials", "select_trials")
        trials = max(sum(schedule[phase] for phase in phases) for schedule in searched)
        cost = f"{counted(trials, 'trial')}, {counted(trials * length, unit)}"
        cost = f"{cost}, {counted(trials * length * steps, 'step')}" if steps else cost
        if len(plan["lengths"]) > 1:
            cost = f"{counted(trials, 'trial')} at each of {len(plan['lengths'])} lengths"
        said.append(f"{'all' if not idle else 'those searched'} tune for the same: {most}{cost}")
    if idle:
        said.append(f"nothing to tune: {', '.join(idle)}")
    if plan["replicates"] > 1:
        said.append(_tunings(plan))
    if plan["most"]:
        said.append(_undecided(plan))
    said.append(f"every winner runs on the same {counted(plan['confirm_seeds'], 'fresh seed')}")
    return "; ".join(said)


def _tunings(plan: dict[str, Any]) -> str:
    """Return the number of tunings, and the data that each is on."""
    tunings = f"{plan['replicates']} tunings of each schedule"
    if plan["one_split"]:
        return f"{tunings}; all replicates share one split: {plan['one_split']}"
    if "train" in plan["task"]:
        return f"{tunings}; the function splits its data itself (trial.replicate)"
    return f"{tunings}, each on a split of the data by itself"


def _undecided(plan: dict[str, Any]) -> str:
    """Return the largest budget of a study that runs until it is decided."""
    most = plan["most"]
    spent = f"{counted(most['trials'], 'trial')}, {counted(most[plan['clock']], _unit(plan))}"
    tunings = f"up to {most['replicates']} tunings of those undecided"
    return f"that is the first round; until decided, {tunings}: at most {spent}"


def _time(plan: dict[str, Any]) -> str:
    if plan["seconds"] is None:
        return f"unknown ({plan['estimate']})"
    hours = f"{plan['cpu_hours']:.2g} CPU-hours"
    if plan["gpu_hours"]:
        hours += f", {plan['gpu_hours']:.2g} GPU-hours (timed on a CPU: an upper bound)"
    most = plan["most"]
    longest = f", at most {waiting_time(most['seconds'])} until decided" if most else ""
    return f"about {waiting_time(plan['seconds'])}{longest} ({plan['estimate']}); {hours}"


def _cost(plan: dict[str, Any]) -> str:
    """Return the estimated cost of all trials, beside the limit."""
    cost = plan["cost"]
    currency, amount, limit = cost["currency"], cost["amount"], cost["limit"]
    each = f"{money(cost['trial_per_hour'], currency)} an hour for each trial"
    said = "unknown" if amount is None else f"about {money(amount, currency)}"
    if amount is not None and cost["upper_bound"]:
        said = f"at most {money(amount, currency)}"
    elif amount is not None and plan["at_most"]:
        said = f"{said} if no trial ends early"
    if amount is not None and plan["most"]:
        most = amount * plan["most"]["trials"] / plan["trials"]
        said += f", at most {money(most, currency)} until decided"
    watched = "" if limit is None else f"; limit {money(limit, currency)}, watched while it runs"
    return f"{said} ({each}){watched}"


def _lanes_line(plan: dict[str, Any]) -> str:
    lanes = plan["lanes"]
    if lanes is None:
        return "unknown"
    many = f"up to {lanes['lanes']} trials side by side in a worker" if lanes["lanes"] else "none"
    return f"{many} ({lanes['reason']})" + (f"; {lanes['advice']}" if lanes["advice"] else "")


def describe(space: Space) -> str:
    """Return a search space in a few words.

    >>> from lrstudy.spec import Choices
    >>> describe(Range(0.001, 3.0, log=True)), describe(Range(1e-4, "max_lr")), describe(Choices((4, 10)))
    ('0.001 … 3 (log)', '0.0001 … max_lr', '{4, 10}')
    """
    if isinstance(space, Range) and space.tested:
        return f"range test of {_end(space.low)} … {_end(space.high)}"
    if isinstance(space, Range):
        notes = ", ".join(["log"] * space.log + ["whole numbers"] * space.integer)
        return f"{_end(space.low)} … {_end(space.high)}{f' ({notes})' if notes else ''}"
    return "{" + ", ".join(_plain(value) for value in space.values) + "}"


def _end(end: float | str) -> str:
    return end if isinstance(end, str) else f"{end:g}"


def _plain(value: object) -> str:
    return "[" + ", ".join(map(_plain, value)) + "]" if isinstance(value, tuple) else str(value)
