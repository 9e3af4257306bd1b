"""A study's range test run in this process, and its result as text and as data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lrstudy.catalog import RANGE_TEST
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.engine.range_test import SweepPlan, SweepResult, plan_sweep, run_range_test
from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.rules.counting import counted
from lrstudy.rules.range_bounds import MARGIN, RULE, Bounds
from lrstudy.spec import ScheduleSpec, Study
from lrstudy.spec.checks import RATES


def rate_of(schedule: ScheduleSpec) -> str | None:
    """The parameter of a schedule that its range test is for; None where the rate is not its own."""
    component = SCHEDULES.get(schedule.kind)
    if component is None:
        return next((name for name in RATES if name in {*schedule.fixed, *schedule.space}), None)
    return next((p.name for p in component.parameters if RANGE_TEST in p.text_choices), None)


def schedule_to_use(study: Study, name: str | None) -> ScheduleSpec | None:
    """The schedule that was named, or the first that searches its rate, or that has one.

    Raises ``InputError`` for one that the study does not have, or whose rate a range test says nothing of.
    """
    able = [schedule for schedule in study.schedules if rate_of(schedule)]
    if name is None:
        searched = [schedule for schedule in able if rate_of(schedule) in schedule.space]
        return next(iter([*searched, *able]), None)
    names = [schedule.name for schedule in study.schedules]
    if name not in names:
        message = "is not a schedule of the study"
        raise InputError(Problem("command line", "--schedule", message, did_you_mean(name, names), name))
    if name not in [schedule.name for schedule in able]:
        message = "has no rate that a range test could find"
        remedy = f"Those that have: {', '.join(schedule.name for schedule in able) or 'none'}."
        raise InputError(Problem("command line", "--schedule", message, remedy, name))
    return study.schedule(name)


def run_sweep(
    study: Study,
    seed: int,
    search_path: Sequence[Path],
    *,
    low: float | None,
    high: float | None,
    epochs: int | None,
    linear: bool,
    on_epoch: Callable[[int, int], None],
) -> SweepResult:
    """Load and check the data, then run the range test: on the study's seed and as many cores.

    ``on_epoch`` gets the epochs done and planned. Raises ``InputError`` for data, a model or rates that
    cannot be used.
    """
    from lrstudy.tasks import check_task, load_data
    from lrstudy.tuning.start import importable
    from lrstudy.tuning.worker.loop import device_of

    importable(search_path)
    data = load_data(study.task, study.seed, None)
    check_task(study.task, data, study.target.metric)
    plan = plan_sweep(study, data, low=low, high=high, epochs=epochs, linear=linear)
    return run_range_test(study, data, plan, seed, device_of(study), on_epoch)


def as_data(study: Study, done: SweepResult, seed: int) -> dict[str, Any]:
    """Return the whole result, for programs."""
    last, bounds, curve = done.rows[-1], done.bounds, done.curve
    return {
        "study": study.name,
        "seed": seed,
        "low": bounds.low,
        "high": bounds.high,
        "steepest": bounds.steepest,
        "open_high": bounds.open_high,
        "reason": bounds.reason or None,
        "rule": RULE,
        "ended": curve.ended,
        "cost": {
            "epochs": last.epoch,
            "steps": last.step,
            "samples": last.samples,
            "seconds": done.seconds,
        },
        "curve": {
            "rate": curve.rates,
            # JSON has no infinity.
            "train_loss": [loss if abs(loss) < float("inf") else None for loss in curve.losses],
            curve.metric: [list(check) for check in curve.checks],
        },
    }


def as_text(study: Study, done: SweepResult, seed: int, user: ScheduleSpec | None) -> str:
    """The result in at most 80 columns, names apart."""
    last, plan = done.rows[-1], done.plan
    parts = ", ".join(getattr(study.task, part).name for part in ("dataset", "model", "loss", "optimizer"))
    cost = (counted(last.epoch, "epoch"), counted(last.step, "step"), counted(last.samples, "sample"))
    lines = [
        f"range test of {study.name}, seed {seed}",
        f"task      {parts}",
        f"rates     {plan.low:g} to {plan.high:g} {'by equal steps' if plan.linear else 'by equal factors'}",
        f"cost      {', '.join(cost)}, {done.seconds:.2g} s",
    ]
    if done.curve.ended is not None:
        lines.append(f"ended     {done.curve.ended}")
    return "\n".join([*lines, "", *_found(done.bounds, plan), *_use(done.bounds, user)])


def _found(bounds: Bounds, plan: SweepPlan) -> list[str]:
    if bounds.low is None or bounds.high is None or bounds.steepest is None:
        return [
            f"no range:  {bounds.reason}",
            f"Try other ends than --low {plan.low:g} --high {plan.high:g}.",
        ]
    until = "the last rate of the test: the loss never rose; try a higher --high"
    if not bounds.open_high:
        until = f"{bounds.lowest:.2g}, the last rate before the loss rises, divided by {MARGIN:g}"
    return [
        f"low       {bounds.low:<8.2g} from here the training loss falls",
        f"steepest  {bounds.steepest:<8.2g} here it falls fastest",
        f"high      {bounds.high:<8.2g} {until}",
    ]


def _use(bounds: Bounds, user: ScheduleSpec | None) -> list[str]:
    if bounds.low is None or bounds.high is None:
        return []
    name, rate = ("fixed", "lr") if user is None else (user.name, rate_of(user))
    span = f"{{ low = {bounds.low:.2g}, high = {bounds.high:.2g}, log = true }}"
    return [
        "",
        "To search this range, write in the study file:",
        "",
        f"  [schedules.{_key(name)}]",
        f"  {rate} = {span}",
        "",
        "Or let the study test by itself, and count what that costs:",
        "",
        f'  {rate} = "range-test"',
    ]


def _key(name: str) -> str:
    """A name as a TOML key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
