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
from reexamined.facts import DATASETS, MODELS, OPTIMIZERS, Settings, settings, title
from reexamined.printed import PRINTED, Run

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
    """One recorded run. ``late`` is the mean over its last ``WINDOW`` epochs; ``printed`` is in percent.

    ``lr`` is the logged rate per epoch, before the decay over time (NaN where none was logged); ``effective``
    the rate at the end of each epoch after it, known where the rate was logged or is set in a script.
    """

    run: Run
    accuracy: Array
    best: float
    best_epoch: int
    final: float
    late: float
    printed: float | None
    lr: Array
    effective: Array
    settings: Settings

    @property
    def schedule(self) -> str:
        """The schedule's name within its task."""
        return self.run[3]

    @property
    def agrees(self) -> bool | None:
        """True if the printed value is this run's best, to its two decimals; None without one."""
        return None if self.printed is None else round(100 * self.best, 2) == self.printed

    @property
    def is_last(self) -> bool:
        """True if the printed value is that of the last epoch and not the best."""
        return self.agrees is False and round(100 * self.final, 2) == self.printed


@dataclass(frozen=True)
class Way:
    """The first epoch of a run at a level, and the first with ``WINDOW`` epochs' mean there."""

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
        """Return the run of a schedule."""
        return next((run for run in self.runs if run.schedule == schedule), None)

    @property
    def adaptive(self) -> tuple[RunNumbers, ...]:
        """The runs whose rate is computed in every epoch."""
        return tuple(run for run in self.runs if run.schedule not in FIRST)


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
    """Return the place of a task: as the paper names data, networks and optimizers; others come last."""
    dataset, model, optimizer, _ = task.runs[0].run
    return _place(dataset, DATASETS), _place(model, MODELS), _place(optimizer, OPTIMIZERS)


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
    printed = PRINTED.get(key)
    return RunNumbers(
        run=key,
        accuracy=accuracy,
        best=float(accuracy[best]),
        best_epoch=best + 1,
        final=float(accuracy[-1]),
        late=float(accuracy[-WINDOW:].mean()),
        printed=None if printed is None else printed.percent,
        lr=lr,
        effective=effective_lr(lr if known.lr is None else np.full(len(lr), known.lr), known),
        settings=known,
    )


def effective_lr(lr: Array, known: Settings) -> Array:
    """Return the rate at the end of each epoch: Keras's optimizers apply lr / (1 + decay · iterations)."""
    iterations = known.steps * np.arange(1, len(lr) + 1)
    return lr / (1.0 + known.decay * iterations)


def _levels(dataset: str, runs: Sequence[RunNumbers]) -> tuple[float, ...]:
    """Return round levels that some run reaches, and the best of the baseline and of the fixed rate."""
    top = max(run.best for run in runs)
    first = max(run.accuracy[0] for run in runs)
    levels = {level for level in _LEVELS.get(dataset, (0.5, 0.7, 0.9)) if first < level <= top}
    levels |= {run.best for run in runs if run.schedule in ("baseline", "fixed")}
    return tuple(sorted(levels))


def _epoch(found: float | None) -> int | None:
    return None if found is None or not math.isfinite(found) else int(found)


def running_mean(accuracy: Array) -> Array:
    """Return for each epoch the mean with those before it, ``WINDOW`` in all; NaN where there are fewer."""
    means = np.full(len(accuracy), np.nan)
    if len(accuracy) >= WINDOW:
        means[WINDOW - 1 :] = np.convolve(accuracy, np.full(WINDOW, 1 / WINDOW), mode="valid")
    return means


def _held(accuracy: Array, level: float) -> int | None:
    reached = np.flatnonzero(running_mean(accuracy) >= level)
    return int(reached[0]) + 1 if reached.size else None
