"""One trial of a store with its evaluations, the end of a diverged training, and the run's log on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import pyarrow.compute as pc

from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.records import EvaluationRecord, Status, TrialRecord
from lrstudy.rules.diagnostics import COLUMNS, cause
from lrstudy.store.reader import Store
from lrstudy.store.table_schema import evaluation_records

_LOG: Final = "run.log"
_LINES: Final = 40
# Losses before the end that tell how fast it came.
_LAST: Final = 3


@dataclass(frozen=True, slots=True)
class Divergence:
    """The end of a training that diverged: its reason, and what was measured at the last evaluation.

    ``losses`` are the training losses of the last evaluations. ``norms`` are the declared metrics that are
    named after the gradient, and the quantities that set the rate of the Lipschitz rule. ``cause`` is a
    sentence on what was measured before the last steps (``task.diagnose``); empty if nothing was.
    """

    reason: str
    step: int | None
    epoch: float | None
    lr: float | None
    lr_max: float | None
    losses: tuple[float | None, ...]
    norms: dict[str, float]
    cause: str = ""


@dataclass(frozen=True, slots=True)
class TrialHistory:
    """A trial that has ended. ``log`` are the last lines of the run's log that name it.

    ``layers`` are the names of the model's layers, where the study measures their gradients.
    """

    record: TrialRecord
    rows: tuple[EvaluationRecord, ...]
    log: tuple[str, ...]
    layers: tuple[str, ...] = ()

    @property
    def divergence(self) -> Divergence | None:
        """The end of a training that diverged, None for any other."""
        if self.record.status is not Status.DIVERGED:
            return None
        last = self.rows[-1] if self.rows else None
        reason = self.record.error or "the loss is no number any more"
        if last is None:
            return Divergence(reason, self.record.steps_run, self.record.epochs_run, None, None, (), {})
        losses = tuple(row.train_loss for row in self.rows[-_LAST:])
        why, norms = cause(last.metrics, self.layers), _norms(last)
        return Divergence(reason, last.step, last.epoch, last.lr, last.lr_max, losses, norms, why)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data; a value that is not finite is a word, as it was measured."""
        record, end = self.record, self.divergence
        names = TrialRecord.__dataclass_fields__
        return {
            "trial": {name: _plain(getattr(record, name)) for name in names},
            "diverged": None
            if end is None
            else {name: _plain(getattr(end, name)) for name in Divergence.__dataclass_fields__},
            "evaluations": [_plain(row.values()) for row in self.rows],
            "log": list(self.log),
        }


def read_trial(store: Store, trial_id: str) -> TrialHistory:
    """Return a trial by its id; raises ``InputError`` for one that the store does not hold."""
    records = {record.trial_id: record for record in store.trial_records()}
    if trial_id not in records:
        remedy = f"{did_you_mean(trial_id, sorted(records)[:200])} A trial is stored once it has ended."
        raise InputError(Problem(str(store.location), "TRIAL", "is no trial of this run", remedy, trial_id))
    rows: list[EvaluationRecord] = []
    for part in store.tables("evaluations"):
        own = part.filter(pc.equal(part["trial_id"], trial_id))
        rows += [row for _, row in evaluation_records(own)]
    rows.sort(key=lambda row: row.evaluation)
    log = _log_lines(store, trial_id)
    return TrialHistory(records[trial_id], tuple(rows), log, tuple(store.study.layers))


def _log_lines(store: Store, trial_id: str) -> tuple[str, ...]:
    """Return the last lines of the run's log that name a trial; none where the folder has no log."""
    file = store.location / _LOG
    if not file.exists():
        return ()
    lines = file.read().decode("utf-8", errors="replace").splitlines()
    return tuple([line for line in lines if trial_id in line][-_LINES:])


def _norms(row: EvaluationRecord) -> dict[str, float]:
    named = (name for name in row.metrics if "grad" in name.lower() and name not in COLUMNS)
    values = {name: row.metrics[name] for name in named}
    values |= {name: row.value(name) for name in ("weight_norm", "lipschitz_constant", "kz")}
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value if isinstance(value, str | int | float | bool | None) else str(value)
