"""A range test run in this process, and its result as text, as data and as a figure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lrstudy.catalog import RANGE_TEST
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.cli.output import BLUE, ORANGE, save_figure
from lrstudy.engine.sweep import RangeCurve, SweepPlan, SweepResult, plan_sweep, run_range_test
from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.rules.counting import counted
from lrstudy.rules.range_bounds import MARGIN, RULE, Bounds, smooth, window_of
from lrstudy.spec import ScheduleSpec, Study
from lrstudy.spec.schedule_tables import RATES


def rate_of(schedule: ScheduleSpec) -> str | None:
    """Return the parameter that a range test of this schedule finds; None if it sets no rate itself."""
    component = SCHEDULES.get(schedule.kind)
    if component is None:
        return next((name for name in RATES if name in {*schedule.fixed, *schedule.space}), None)
    return next((p.name for p in component.parameters if RANGE_TEST in p.text_choices), None)


def schedule_to_use(study: Study, name: str | None) -> ScheduleSpec | None:
    """Return the schedule of this name, else the first that searches its rate, else the first with a rate.

    Raises ``InputError`` for a schedule that is not in the study, or whose rate no range test can find.
    """
    with_rate = [schedule for schedule in study.schedules if rate_of(schedule)]
    if name is None:
        searched = [schedule for schedule in with_rate if rate_of(schedule) in schedule.space]
        return next(iter([*searched, *with_rate]), None)
    names = [schedule.name for schedule in study.schedules]
    if name not in names:
        message = "is not a schedule of the study"
        raise InputError(Problem("command line", "--schedule", message, did_you_mean(name, names), name))
    if name not in [schedule.name for schedule in with_rate]:
        message = "has no rate that a range test could find"
        remedy = f"Schedules with a rate: {', '.join(schedule.name for schedule in with_rate) or 'none'}."
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
    from lrstudy.tuning.start import make_importable
    from lrstudy.tuning.study_check import check_imports
    from lrstudy.tuning.worker.process import device_of

    check_imports(study, search_path)
    make_importable(search_path)
    data = load_data(study.built_in, study.seed, None)
    check_task(study.built_in, data, study.target.metric)
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
            "epochs": last.evaluation,
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
    """Return the result in at most 80 columns, unless names are longer."""
    last, plan = done.rows[-1], done.plan
    parts = ", ".join(
        getattr(study.built_in, part).name for part in ("dataset", "model", "loss", "optimizer")
    )
    cost = (
        counted(last.evaluation, "epoch"),
        counted(last.step, "step"),
        counted(last.samples or 0, "sample"),
    )
    lines = [
        f"range test of {study.name}, seed {seed}",
        f"task      {parts}",
        f"rates     {plan.low:g} to {plan.high:g} {'by equal steps' if plan.linear else 'by equal factors'}",
        f"cost      {', '.join(cost)}, {done.seconds:.2g} s",
    ]
    if done.curve.ended is not None:
        lines.append(f"ended     {done.curve.ended}")
    return "\n".join([*lines, "", *_bounds(done.bounds, plan), *_use(done.bounds, user)])


def _bounds(bounds: Bounds, plan: SweepPlan) -> list[str]:
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
        "Or let the study run the range test, in place of one tuning trial:",
        "",
        f'  {rate} = "range-test"',
    ]


def _key(name: str) -> str:
    """Return a name as a TOML key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def draw_range(curve: RangeCurve, bounds: Bounds, title: str, path: Path) -> None:
    """Draw the loss over the rate, smoothed and as measured, with the suggested range shaded.

    The validation metric, measured a few times in each epoch, is in a second panel below.
    """
    from matplotlib.figure import Figure

    # The effect of a rate shows in the next step's loss.
    finite = [
        (rate, loss) for rate, loss in zip(curve.rates, curve.losses[1:], strict=False) if math.isfinite(loss)
    ]
    rates, losses = [rate for rate, _ in finite], [loss for _, loss in finite]
    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(rates, losses, ".", color="0.72", markersize=3, label="each step")
    if losses:
        start = losses[0]
        smoothed = smooth(losses, window_of(len(losses)), ceiling=start)
        above.plot(rates, smoothed, color=BLUE, label="smoothed")
        # A loss that explodes at the end would flatten the rest of the curve.
        bottom, top = min(smoothed), max(start, max(smoothed))
        above.set_ylim(bottom - 0.1 * (top - bottom), top + 0.25 * (top - bottom))
    above.set_xscale("log")
    above.set_ylabel("training loss")
    above.set_title(title, loc="left", fontsize="medium", parse_math=False)
    below.plot([r for r, _ in curve.checks], [v for _, v in curve.checks], "o-", color=BLUE, markersize=3)
    below.set_ylabel(curve.metric.replace("val_", "validation "))
    below.set_xlabel("learning rate")
    for axes in (above, below):
        axes.grid(alpha=0.25)
        if bounds.low is not None and bounds.high is not None:
            axes.axvspan(bounds.low, bounds.high, color=BLUE, alpha=0.12, label="suggested range")
        if bounds.steepest is not None:
            axes.axvline(bounds.steepest, color=ORANGE, linestyle="--", label="steepest fall")
    above.legend(fontsize="small", loc="best")
    save_figure(figure, "--plot", path)
