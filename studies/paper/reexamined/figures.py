"""The figures, as data for lrstudy's own drawing: one colour per schedule in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lrstudy.report.figures.model import Axis, Estimate, Figure, Line, Mark, Panel, Rule, static
from lrstudy.report.matplotlib_renderer import draw_png
from lrstudy.report.style import looks
from reexamined.facts import DATASETS, MODELS, OPTIMIZERS, TUNED
from reexamined.numbers import Array, Numbers, RunNumbers, Task, running_mean

_EPOCHS: Final = "epoch"


def draw(numbers: Numbers) -> dict[str, bytes]:
    """The PNG files by name."""
    names = numbers.schedules
    made = [_curves(numbers), _levels(numbers), _best_and_final(numbers), _rates(numbers)]
    return {f"{figure.key}.png": draw_png(figure, names, looks(names, "baseline")) for figure in made}


def _line(numbers: Numbers, run: RunNumbers, values: Array, *, dim: bool = False, step: bool = False) -> Line:
    known = np.isfinite(values)
    epochs = np.arange(1, len(values) + 1)[known]
    points = static([float(epoch) for epoch in epochs], [float(value) for value in values[known]])
    return Line(numbers.schedules.index(run.schedule), run.schedule, points, dim=dim, step=step)


def _curves(numbers: Numbers) -> Figure:
    panels = []
    for task in numbers.tasks:
        marks: list[Mark] = [_line(numbers, run, run.accuracy, dim=True) for run in task.runs]
        marks += [_line(numbers, run, running_mean(run.accuracy)) for run in task.runs]
        tuned = TUNED.get(task.runs[0].run[:2])
        if tuned is not None:
            marks.append(Rule("y", tuned / 100, f"well-tuned step decay, as published: {tuned:g}%"))
        y = Axis("validation accuracy", percent=True, range=(0.0, 1.03))
        panels.append(Panel(task.title, Axis(_EPOCHS), y, tuple(marks)))
    return Figure("accuracy", "", "", "", tuple(panels))


def _levels(numbers: Numbers) -> Figure:
    panels = []
    for task in numbers.tasks:
        x = Axis(_EPOCHS, log=True, range=(1.0, float(max(len(run.accuracy) for run in task.runs))))
        y = Axis("best validation accuracy so far", percent=True)
        marks = [_line(numbers, run, np.maximum.accumulate(run.accuracy), step=True) for run in task.runs]
        panels.append(Panel(task.title, x, y, tuple(marks)))
    return Figure("epochs-to-level", "", "", "", tuple(panels))


def _best_and_final(numbers: Numbers) -> Figure:
    panels = []
    for dataset in dict.fromkeys(run.run[0] for run in numbers.runs):
        runs = [run for run in numbers.runs if run.run[0] == dataset]
        marks = tuple(
            Estimate(
                numbers.schedules.index(run.schedule),
                _short(run),
                100 * (run.best - run.late),
                0.0,
                100 * (run.best - run.late),
                f"{100 * run.best:.2f} → {100 * run.late:.2f}",
            )
            for run in runs
        )
        panels.append(
            Panel(
                f"What choosing the best epoch adds, {DATASETS.get(dataset, dataset)}",
                Axis(
                    "best epoch minus the mean of the last ten, percentage points", range=(0.0, _most(runs))
                ),
                Axis("", categories=tuple(map(_short, runs))),
                marks,
            )
        )
    return Figure("best-and-final", "", "", "", tuple(panels))


def _most(runs: Sequence[RunNumbers]) -> float:
    return 1.08 * max(0.1, *(100 * (run.best - run.late) for run in runs))


def _short(run: RunNumbers) -> str:
    """Return a run's name, short enough for an axis of one data set."""
    _, model, optimizer, schedule = run.run
    network = MODELS.get(model, model).removesuffix("-40-12")
    return f"{network}, {OPTIMIZERS.get(optimizer, optimizer)}: {schedule.removeprefix('adaptive-')}"


def _rates(numbers: Numbers) -> Figure:
    panels = []
    for task in numbers.tasks:
        marks = [_line(numbers, run, run.lr, dim=True) for run in task.runs if np.isfinite(run.lr).any()]
        if not marks:
            continue  # only baselines and fixed rates, or runs without a log
        marks += [_line(numbers, run, run.effective) for run in task.runs if np.isfinite(run.effective).any()]
        y = Axis("learning rate", log=True, range=_range(task))
        panels.append(Panel(task.title, Axis(_EPOCHS), y, tuple(marks)))
    return Figure("rates", "", "", "", tuple(panels))


def _range(task: Task) -> tuple[float, float]:
    """Return round powers of ten around all rates from the third epoch on: the first can be anything."""
    used = [value for run in task.runs for value in (*run.lr[2:], *run.effective[2:]) if value > 0]
    low, high = np.floor(np.log10(min(used))), np.ceil(np.log10(max(used)))
    return float(10**low), float(10**high)
