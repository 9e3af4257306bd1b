"""A study's plan as data, and as a page of text."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lrstudy.spec import Range, Space, Study
from lrstudy.tuning.estimate import Estimate

_PARTS = ("dataset", "model", "loss", "optimizer")


def plan_of(study: Study, estimate: Estimate) -> dict[str, Any]:
    """Everything ``lrstudy plan`` shows, as plain data."""
    schedules: list[dict[str, Any]] = []
    for schedule in study.schedules:
        tune, confirm = study.tune_trials(schedule), study.budget.confirm_seeds
        tests = schedule.range_tests
        schedules.append(
            {
                "name": schedule.name,
                "kind": schedule.kind,
                "range_tests": tests,
                "tune_trials": tune,
                "confirm_trials": confirm,
                # A range test has no more epochs than a trial.
                "epochs": (tests + tune + confirm) * study.task.epochs,
                "space": {name: describe(space) for name, space in schedule.space.items()},
                "fixed": dict(schedule.fixed),
            }
        )
    task: dict[str, Any] = {part: getattr(study.task, part).name for part in _PARTS}
    task |= {"batch_size": study.task.batch_size, "epochs": study.task.epochs}
    return {
        "study": study.name,
        "seed": study.seed,
        "task": task,
        "search": study.budget.search,
        "metric": study.target.metric,
        "targets": list(study.target.values) if study.target.values else None,
        "reference": study.target.reference,
        "schedules": schedules,
        "trials": sum(s["range_tests"] + s["tune_trials"] + s["confirm_trials"] for s in schedules),
        "epochs": sum(s["epochs"] for s in schedules),
        "seconds": estimate.seconds,
        "estimate": estimate.basis,
    }


def show_plan(console: Console, plan: dict[str, Any]) -> None:
    """Print a plan so that it fits 80 columns."""
    from lrstudy.cli.live import duration

    task = plan["task"]
    console.print(f"[bold]{escape(plan['study'])}[/bold]  seed {plan['seed']}")
    parts = ", ".join(escape(str(task[part])) for part in _PARTS)
    console.print(f"task      {parts}; batch {task['batch_size']}, {task['epochs']} epochs")
    levels = ", ".join(f"{value:g}" for value in plan["targets"] or ()) or "derived from the reference"
    console.print(f"target    {plan['metric']}: {levels}; reference: {escape(plan['reference'])}")
    console.print(f"search    {plan['search']}\n")
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("schedule", no_wrap=True, overflow="ellipsis", max_width=20)
    for heading in ("tune", "confirm", "epochs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("searched")
    for schedule in plan["schedules"]:
        space = "\n".join(f"{escape(name)} {escape(text)}" for name, text in schedule["space"].items())
        counts = [str(schedule[key]) for key in ("tune_trials", "confirm_trials", "epochs")]
        table.add_row(escape(schedule["name"]), *counts, space or "nothing to tune")
    console.print(table)
    if tested := [escape(schedule["name"]) for schedule in plan["schedules"] if schedule["range_tests"]]:
        console.print(f"\nrange test first, in place of a tuning configuration: {', '.join(tested)}")
    time = "unknown" if plan["seconds"] is None else f"about {duration(plan['seconds'])}"
    console.print(
        f"\n{plan['trials']} trials, {plan['epochs']} epochs; time: {time} ({escape(plan['estimate'])})"
    )


def describe(space: Space) -> str:
    """A search space in a few words.

    >>> from lrstudy.spec import Choices
    >>> describe(Range(0.001, 3.0, log=True)), describe(Range(1e-4, "max_lr")), describe(Choices((4, 10)))
    ('0.001 … 3 (log)', '0.0001 … max_lr', '{4, 10}')
    """
    if isinstance(space, Range) and space.tested:
        return f"range test of {_end(space.low)} … {_end(space.high)}"
    if isinstance(space, Range):
        return f"{_end(space.low)} … {_end(space.high)}{' (log)' if space.log else ''}"
    return "{" + ", ".join(_plain(value) for value in space.values) + "}"


def _end(end: float | str) -> str:
    return end if isinstance(end, str) else f"{end:g}"


def _plain(value: object) -> str:
    return "[" + ", ".join(map(_plain, value)) + "]" if isinstance(value, tuple) else str(value)
