"""From the recorded histories to every number of the report, through lrstudy's import and analysis."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.analysis import analyse
from lrstudy.store import ImportOptions, Store, import_histories, open_store
from reexamined.facts import MODELS, OPTIMIZERS, PUBLISHED, Run, Settings, settings, title

FIRST: Final = ("baseline", "fixed")
TASK: Final = ("dataset", "model", "optimizer")
# A running mean over so many epochs stands beside single ones: one lucky epoch is not convergence.
WINDOW: Final = 10
_LEVELS: Final = {
    "cifar-10": (0.5, 0.6, 0.7, 0.8, 0.85, 0.87, 0.9),
    "cifar-100": (0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.75),
}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class RunNumbers:
    """One recorded run. ``late`` is the mean over its last ``WINDOW`` epochs; ``published`` is in percent.

    ``lr`` is the logged rate per epoch, before the decay over time (NaN where none was logged); ``effective``
    the rate at the end of each epoch after it, known where the rate was logged or is set in a script.
    """

    run: Run
    accuracy: Array
    best: float
    best_epoch: int
    final: float
    late: float
    published: float | None
    lr: Array
    effective: Array
    settings: Settings

    @property
    def schedule(self) -> str:
        """The schedule's name within its task."""
        return self.run[3]

    @property
    def agrees(self) -> bool | None:
        """Whether the published value is this run's best, to its two decimals; None without one."""
        return None if self.published is None else round(100 * self.best, 2) == self.published


@dataclass(frozen=True)
class Way:
    """When a run reaches a level: its first epoch there, and the first with ``WINDOW`` epochs' mean there."""

    first: int | None
    held: int | None


@dataclass(frozen=True)
class Task:
    """One task: its runs, and for each level the way of each run, in the runs' order."""

    name: str
    title: str
    runs: tuple[RunNumbers, ...]
    levels: tuple[float, ...]
    ways: tuple[tuple[Way, ...], ...]

    def run(self, schedule: str) -> RunNumbers | None:
        """The run of a schedule."""
        return next((run for run in self.runs if run.schedule == schedule), None)


@dataclass(frozen=True)
class Numbers:
    """Everything that the report shows; ``digest`` is the SHA-256 of the histories' file."""

    tasks: tuple[Task, ...]
    digest: str
    rows: int

    @property
    def runs(self) -> tuple[RunNumbers, ...]:
        """The runs of all tasks."""
        return tuple(run for task in self.tasks for run in task.runs)

    @property
    def schedules(self) -> tuple[str, ...]:
        """The schedules' names over all tasks, the baseline first."""
        found = dict.fromkeys(run.schedule for run in self.runs)
        return tuple(sorted(found, key=lambda name: _place(name, FIRST)))


def read_numbers(histories: Path, stores: Path) -> Numbers:
    """Import the histories into ``stores``, a study for each task, and compute every number."""
    options = ImportOptions(task_from=TASK, schedule_from=("schedule", "variant"), metric="val_accuracy")
    made = import_histories([histories], stores, options)
    tasks = sorted((_task(open_store(study.location)) for study in made), key=_order)
    digest = hashlib.sha256(histories.read_bytes()).hexdigest()
    return Numbers(tuple(tasks), digest, sum(study.evaluations for study in made))


def _order(task: Task) -> tuple[int, ...]:
    """The small network and plain SGD first; what the paper does not have comes last."""
    _, model, optimizer, _ = task.runs[0].run
    return _place(model, MODELS), _place(optimizer, OPTIMIZERS)


def _place(name: str, known: Iterable[str]) -> int:
    order = list(known)
    return order.index(name) if name in order else len(order)


def _task(store: Store) -> Task:
    named: dict[str, Any] = store.study.spec["task"]
    dataset, model, optimizer = (named[column] for column in TASK)
    table = store.epochs(["schedule", "epoch", "lr", "val_accuracy"]).to_pandas()
    runs = []
    for schedule in store.study.schedules:
        rows = table[table.schedule == schedule.name].sort_values("epoch")
        key = (dataset, model, optimizer, schedule.name)
        runs.append(_run(key, rows.val_accuracy.to_numpy(float), rows.lr.to_numpy(float)))
    runs.sort(key=lambda run: _place(run.schedule, FIRST))
    levels = _levels(dataset, runs)
    # The first epoch at a level is the analysis's own: a single run's median hit.
    summary = analyse(store, targets=levels)
    reach = {schedule.name: schedule.reach for schedule in summary.schedules}
    ways = tuple(
        tuple(Way(_epoch(reach[run.schedule][place].median_time), _held(run.accuracy, level)) for run in runs)
        for place, level in enumerate(levels)
    )
    return Task(store.study.name, title(dataset, model, optimizer), tuple(runs), levels, ways)


def _run(key: Run, accuracy: Array, lr: Array) -> RunNumbers:
    known = settings(key)
    best = int(np.argmax(accuracy))
    return RunNumbers(
        run=key,
        accuracy=accuracy,
        best=float(accuracy[best]),
        best_epoch=best + 1,
        final=float(accuracy[-1]),
        late=float(accuracy[-WINDOW:].mean()),
        published=PUBLISHED.get(key),
        lr=lr,
        effective=effective_lr(lr if known.lr is None else np.full(len(lr), known.lr), known),
        settings=known,
    )


def effective_lr(lr: Array, known: Settings) -> Array:
    """The rate at the end of each epoch: Keras's optimizers apply lr / (1 + decay · iterations)."""
    iterations = known.steps * np.arange(1, len(lr) + 1)
    return lr / (1.0 + known.decay * iterations)


def _levels(dataset: str, runs: Sequence[RunNumbers]) -> tuple[float, ...]:
    """Round levels that some run reaches, and the best of the baseline and of the fixed rate."""
    top = max(run.best for run in runs)
    first = max(run.accuracy[0] for run in runs)
    levels = {level for level in _LEVELS.get(dataset, (0.5, 0.7, 0.9)) if first < level <= top}
    levels |= {run.best for run in runs if run.schedule in ("baseline", "fixed")}
    return tuple(sorted(levels))


def _epoch(found: float | None) -> int | None:
    return None if found is None or not math.isfinite(found) else int(found)


def running_mean(accuracy: Array) -> Array:
    """For each epoch the mean with the epochs before it, ``WINDOW`` in all; NaN before there are so many."""
    means = np.full(len(accuracy), np.nan)
    if len(accuracy) >= WINDOW:
        means[WINDOW - 1 :] = np.convolve(accuracy, np.full(WINDOW, 1 / WINDOW), mode="valid")
    return means


def _held(accuracy: Array, level: float) -> int | None:
    reached = np.flatnonzero(running_mean(accuracy) >= level)
    return int(reached[0]) + 1 if reached.size else None


@dataclass(frozen=True)
class Passing:
    """When the adaptive run passes the fixed one's best: by single epochs, and by running means of both.

    ``for_good`` is the epoch from which on it is never below that best again.
    """

    best: float
    first: int | None
    smoothed: int | None
    for_good: int | None


def passing(task: Task) -> Passing | None:
    """The comparison of adaptive with fixed, where a task has both."""
    fixed, adaptive = task.run("fixed"), task.run("adaptive")
    if fixed is None or adaptive is None:
        return None
    above = np.flatnonzero(adaptive.accuracy > fixed.best)
    smooth = np.flatnonzero(running_mean(adaptive.accuracy) > np.nanmax(running_mean(fixed.accuracy)))
    below = np.flatnonzero(adaptive.accuracy < fixed.best)
    for_good = int(below[-1]) + 2 if below.size else 1
    return Passing(
        best=fixed.best,
        first=int(above[0]) + 1 if above.size else None,
        smoothed=int(smooth[0]) + 1 if smooth.size else None,
        for_good=for_good if for_good <= len(adaptive.accuracy) else None,
    )


@dataclass(frozen=True)
class Rates:
    """A computed rate against its baseline's: what it is at the end, and how much more it is on the way.

    ``logged_fall`` and ``fall`` are the factors by which the logged and the effective rate fall from epoch
    ``WINDOW`` to the last; ``times`` is the median over those epochs of the effective rate over the
    baseline's; ``gain`` is the best accuracy over the baseline's, in points.
    """

    run: RunNumbers
    logged: tuple[float, float]
    factor: float
    effective: float
    logged_fall: float
    fall: float
    times: float
    gain: float

    @property
    def share(self) -> float:
        """The part of the fall, on a logarithmic scale, that the decay over time makes."""
        return 1.0 - math.log(self.logged_fall) / math.log(self.fall)


def rates(task: Task) -> list[Rates]:
    """One for each run of the task with a logged rate, where it has a baseline."""
    baseline = task.run("baseline")
    if baseline is None:
        return []
    start = WINDOW - 1
    return [
        Rates(
            run=run,
            logged=(float(run.lr[start]), float(run.lr[-1])),
            factor=1.0 + run.settings.decay * run.settings.steps * len(run.lr),
            effective=float(run.effective[-1]),
            logged_fall=float(run.lr[start] / run.lr[-1]),
            fall=float(run.effective[start] / run.effective[-1]),
            times=float(np.median(run.effective[start:] / baseline.effective[start:])),
            gain=100 * (run.best - baseline.best),
        )
        for run in task.runs
        if np.isfinite(run.lr).all()
    ]
