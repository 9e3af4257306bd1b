"""A store's tables as numpy columns, one contiguous block of evaluations per trial."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
import pyarrow.compute as pc
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lrstudy.records import Phase, Status
from lrstudy.rules.clocks import COLUMN_OF, DIFFERENCES
from lrstudy.rules.metrics import Metric
from lrstudy.rules.outcome import learned

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SECONDS: Final = ("train_seconds", "estimate_seconds", "eval_seconds")
_COUNTED: Final = (*dict.fromkeys((*COLUMN_OF.values(), *_SECONDS)),)
_SHOWN: Final = (
    "lr",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "lipschitz_constant",
    "kz",
    "weight_norm",
)


class Readable(Protocol):
    """The part of a store that a trial table reads."""

    def trials(self) -> Any:
        """The trials table (Arrow)."""

    def evaluations(self, columns: list[str]) -> Any:
        """Columns of the evaluations table (Arrow)."""


@dataclass(frozen=True)
class Trial:
    """A row of the trials table; ``begin`` and ``end`` bound its rows in the evaluations' columns.

    ``place`` is its own place among ``Columns.trials``; ``learned`` is by what share its training loss fell
    from the first evaluation to the last, None where fewer than two recorded it. ``epochs_run`` is the
    number of evaluations where a study that is counted in epochs did not record them. ``slot_seconds`` is the
    time for which all attempts at it held their devices.
    """

    place: int
    trial_id: str
    phase: Phase
    schedule: str
    seed: int
    replicate: int
    status: Status
    params: dict[str, Any]
    evaluations_run: int
    epochs_run: float | None
    steps_run: int | None
    best_val: float | None
    best_evaluation: int | None
    objective: float | None
    test: float | None
    device_seconds: float | None
    learned: float | None
    begin: int
    end: int
    device: str = ""
    cpus: int | None = None
    gpus: float = 0.0
    workers: int = 1
    slot_seconds: float | None = None
    energy_kwh: float | None = None
    energy_source: str | None = None

    @property
    def held_seconds(self) -> float | None:
        """The time for which it held its devices; that of its last attempt where no more was recorded."""
        return self.device_seconds if self.slot_seconds is None else self.slot_seconds

    def ran(self, clock: str) -> float:
        """Return the length of the training by the trial's own row; 0 in a clock that it does not know."""
        known = {"epochs": self.epochs_run, "steps": self.steps_run}.get(clock)
        return 0 if known is None else known


@dataclass(frozen=True)
class Columns:
    """All trials that have a row, and the evaluations of those: float columns, null read as NaN.

    ``value`` is the study's metric, ``evaluation`` the number of each row in its trial; ``times`` maps each
    clock that every evaluation recorded to its time, counted from the trial's start. ``partial`` are clocks
    that only some recorded: a sum over part of a run would pass for a shorter time, so they are not used.
    ``stay`` is the number of evaluations in a row that arrival at a level takes (``rules.arrival``).
    """

    trials: tuple[Trial, ...]
    value: Array
    evaluation: Array
    times: dict[str, Array]
    shown: dict[str, Array]
    seconds: dict[str, Array]
    partial: tuple[str, ...] = ()
    stay: int = 1
    # Stability asks for the same few targets thousands of times; columns of another ``stay`` share this.
    _first: dict[tuple[float, bool, int], Index] = field(default_factory=dict, repr=False, compare=False)

    def first_reaching(self, target: float, *, higher_is_better: bool) -> Index:
        """Return for each trial the row of the evaluation at which it arrived at the target, -1 for none.

        That is the first of ``stay`` evaluations in a row at the target; a row that the trial's end cuts
        short does not count. NaN never reaches a target, and a diverged trial never does, even if it did
        before.
        """
        key = (target, higher_is_better, self.stay)
        if key not in self._first:
            self._first[key] = self._search(target, higher_is_better)
        return self._first[key]

    def _search(self, target: float, higher_is_better: bool) -> Index:
        # A comparison with NaN is false, which is what is wanted.
        reached = self.value >= target if higher_is_better else self.value <= target
        if self.stay > 1:
            reached = _rows_begun(reached, self.stay)
        # The number of rows is appended so that every search has an answer beyond its own block.
        rows = np.append(np.flatnonzero(reached), len(self.value))
        begin = np.array([trial.begin for trial in self.trials], dtype=np.int64)
        end = np.array([trial.end for trial in self.trials], dtype=np.int64)
        diverged = np.array([trial.status is Status.DIVERGED for trial in self.trials], dtype=bool)
        first = rows[np.searchsorted(rows, begin)]
        # The first row of a block may begin so late that it ends in the next one; so do all later ones.
        return np.where((first + self.stay <= end) & ~diverged, first, -1).astype(np.int64)

    @property
    def moment(self) -> str:
        """The word for the time of an evaluation: "epoch" where there is one at the end of each."""
        epochs = self.times.get("epochs")
        return "epoch" if epochs is not None and np.array_equal(epochs, self.evaluation) else "evaluation"

    def with_times(self, clock: str, times: Array) -> Columns:
        """Return the same with one more clock."""
        return replace(self, times={**self.times, clock: times}, _first={})

    def of(self, schedule: str, phase: Phase) -> list[Trial]:
        """The trials of a schedule and phase that gave a result, in the order of their ids."""
        return [
            trial
            for trial in self.trials
            if trial.schedule == schedule and trial.phase is phase and trial.status is not Status.FAILED
        ]


def _rows_begun(reached: NDArray[np.bool_], stay: int) -> NDArray[np.bool_]:
    """Return True at each place from which on ``stay`` places in a row are reached."""
    begun = np.zeros_like(reached)
    if len(reached) >= stay:
        begun[: len(reached) - stay + 1] = sliding_window_view(reached, stay).all(axis=1)
    return begun


def read_columns(
    store: Readable,
    metric: Metric,
    *,
    clock: str = "epochs",
    declared: Iterable[str] = (),
    shared: bool = False,
    stay: int = 1,
) -> Columns:
    """Read the columns of the analysis, sorted by trial and evaluation.

    ``clock`` is the study's; ``declared`` are columns of further metrics to show; ``stay`` is the rule of
    arrival. ``shared``: trials were trained side by side. Their seconds are then shares of what their group
    took: they add up to a price, but depend on the size of the group, and no time is counted in them.
    """
    shown = (*dict.fromkeys((*_SHOWN, *declared)),)
    wanted = ["trial_id", "evaluation", *_COUNTED, *dict.fromkeys([metric.column, *shown])]
    table = store.evaluations(wanted)
    ids = table["trial_id"].combine_chunks().dictionary_encode()
    code = ids.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    number = _floats(table["evaluation"])
    order = np.lexsort((number, code))
    code, number = code[order], number[order]
    columns = {name: _floats(table[name])[order] for name in wanted[2:]}
    first = np.searchsorted(code, np.arange(len(ids.dictionary) + 1))
    blocks = {name: (int(first[i]), int(first[i + 1])) for i, name in enumerate(ids.dictionary.to_pylist())}
    stored = columns[metric.column]
    times, partial = _times(columns, first[code] if len(code) else code, clock)
    trials = _trials(store.trials(), metric, blocks, columns["train_loss"])
    if clock == "epochs":
        trials = tuple(
            t if t.epochs_run is not None else replace(t, epochs_run=t.evaluations_run) for t in trials
        )
    if shared:
        times.pop("seconds", None)
        alone = (Phase.RANGE_TEST,)
        trials = tuple(t if t.phase in alone else replace(t, device_seconds=None) for t in trials)
    return Columns(
        trials=trials,
        value=1.0 - stored if metric.complement else stored,
        evaluation=number,
        times=times,
        shown={name: columns[name] for name in shown},
        seconds={name: columns[name] for name in _SECONDS},
        partial=partial,
        stay=stay,
    )


def _times(columns: dict[str, Array], begin: Index, clock: str) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return the clocks that every evaluation recorded, and the names of those that only some did."""
    times: dict[str, Array] = {}
    partial = []
    for axis, name in COLUMN_OF.items():
        known = np.isfinite(columns[name])
        if not known.any() and (len(known) or axis != clock):
            continue
        if not known.all():
            partial.append(axis)
        elif axis in DIFFERENCES:
            total = np.concatenate([[0.0], np.cumsum(columns[name])])
            times[axis] = total[1:] - total[begin]
        else:
            times[axis] = columns[name]
    return times, tuple(partial)


def _trials(table: Any, metric: Metric, blocks: dict[str, tuple[int, int]], loss: Array) -> tuple[Trial, ...]:
    rows = table.sort_by("trial_id").to_pylist()
    return tuple(
        _trial(place, row, metric, block, learned(loss[slice(*block)].tolist()))
        for place, row in enumerate(rows)
        for block in [blocks.get(row["trial_id"], (0, 0))]
    )


def _trial(
    place: int, row: dict[str, Any], metric: Metric, block: tuple[int, int], learned: float | None
) -> Trial:
    test = row[metric.test_column] if metric.test_column else None
    started, ended = row["started_at"], row["ended_at"]
    evaluations = block[1] - block[0] if row["evaluations_run"] is None else row["evaluations_run"]
    return Trial(
        place=place,
        trial_id=row["trial_id"],
        phase=Phase(row["phase"]),
        schedule=row["schedule"],
        seed=row["seed"],
        replicate=row["replicate"] or 1,
        status=Status(row["status"]),
        params=json.loads(row["params"] or "{}"),
        evaluations_run=evaluations,
        epochs_run=None if row["epochs_run"] is None else _whole(row["epochs_run"]),
        steps_run=row["steps_run"],
        best_val=row["best_val"],
        best_evaluation=row["best_evaluation"],
        objective=row["objective"],
        test=metric.value(test),
        device_seconds=(ended - started).total_seconds() if started and ended else None,
        learned=learned,
        begin=block[0],
        end=block[1],
        device=row["device"] or "",
        cpus=row["cpus"],
        gpus=row["gpus"] or 0.0,
        workers=row["workers"] or 1,
        slot_seconds=row["slot_seconds"],
        energy_kwh=row["energy_kwh"],
        energy_source=row["energy_source"],
    )


def _whole(value: float) -> float:
    """Return a whole number as ``int``."""
    return int(value) if float(value).is_integer() else value


def _floats(column: Any) -> Array:
    filled = pc.fill_null(pc.cast(column, "float64"), float("nan"))
    values: Array = filled.combine_chunks().to_numpy(zero_copy_only=False)
    return values
