"""The repetition of one trial in this process, compared with its record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lrstudy.engine.start_group import start_group
from lrstudy.engine.trial import TrialConfig
from lrstudy.errors import InputError, Problem, did_you_mean
from lrstudy.records import EvaluationRecord, Phase, TrialRecord, when
from lrstudy.rules.counting import counted
from lrstudy.rules.seeding import replicate_seed
from lrstudy.spec import Study
from lrstudy.store import Store
from lrstudy.tasks import TaskData, load_data
from lrstudy.tuning.same_task import differences, fingerprints
from lrstudy.tuning.start import make_importable
from lrstudy.tuning.study_check import check_imports
from lrstudy.tuning.worker.process import device_of


@dataclass(frozen=True, slots=True)
class Difference:
    """The first value that differs from the recorded one."""

    evaluation: int
    step: int
    epoch: float | None
    column: str
    recorded: float | None
    repeated: float | None


@dataclass(frozen=True, slots=True)
class Repetition:
    """The comparison of a repeated trial with its record; times are left out."""

    trial: str
    recorded: int
    repeated: int
    columns: int
    first: Difference | None
    largest_relative: float

    @property
    def same(self) -> bool:
        """Return True if every recorded value was reproduced, bit by bit."""
        return self.first is None and self.recorded == self.repeated

    def __str__(self) -> str:
        if self.same:
            return f"{self.trial}: {counted(self.recorded, 'evaluation')} repeated, every value as recorded"
        lines = [f"{self.trial}: differs from its record"]
        if self.recorded != self.repeated:
            lines.append(f"  recorded {counted(self.recorded, 'evaluation')}, repeated {self.repeated}")
        if self.first is not None:
            first = self.first
            values = f"{first.column} {first.recorded!r} is now {first.repeated!r}"
            lines.append(f"  first {when(first.epoch, first.step)}: {values}")
            lines.append(f"  largest relative difference {self.largest_relative:.2g}")
        return "\n".join(lines)


def repeat(store: Store, study: Study, trial_id: str, own: Sequence[Path] = ()) -> Repetition:
    """Train a recorded trial again for the recorded number of evaluations, and compare.

    Raises ``InputError`` if the store has no such trial or no evaluation of it, or if its data or model have
    changed.
    """
    records = {record.trial_id: record for record in store.trial_records()}
    record = records.get(trial_id)
    if record is None:
        remedy = did_you_mean(trial_id, sorted(records)[:200])
        raise InputError(Problem(str(store.location), "TRIAL", "is no trial of this run", remedy, trial_id))
    before = [row for key, row in store.evaluation_records() if key.trial_id == trial_id]
    if not before:
        remedy = "Choose a trial that has evaluations: lrstudy query RUN lists them."
        raise InputError(Problem(str(store.location), trial_id, "has no recorded evaluation", remedy))
    check_imports(study, own)
    make_importable(own)
    torch.set_num_threads(study.resources.cpus)
    data = None if study.function is not None else load_data(study.built_in, study.seed, None, keep_raw=True)
    now = fingerprints(study, data)
    if problems := differences(study, store.study.fingerprints, now, str(store.location)):
        raise InputError(problems)
    if data is not None:
        data = data.resplit(study.built_in, replicate_seed(study.seed, record.replicate))
    before.sort(key=lambda row: row.evaluation)
    return compare(trial_id, before, _train(study, data, record, len(before), lanes=store.study.lanes > 0))


def compare(
    trial_id: str, before: Sequence[EvaluationRecord], after: Sequence[EvaluationRecord]
) -> Repetition:
    """Compare every measured value of two trainings, evaluation by evaluation."""
    columns = [name for name in before[0].values() if not name.endswith("_seconds")]
    first: Difference | None = None
    largest = 0.0
    for one, two in zip(before, after, strict=False):
        for column in columns:
            was, now = one.value(column), two.value(column)
            if _equal(was, now):
                continue
            first = first or Difference(one.evaluation, one.step, one.epoch, column, was, now)
            largest = max(largest, _relative(was, now))
    return Repetition(trial_id, len(before), len(after), len(columns), first, largest)


def _train(
    study: Study, data: TaskData | None, record: TrialRecord, evaluations: int, *, lanes: bool
) -> list[EvaluationRecord]:
    kind = study.schedule(record.schedule).kind
    config = TrialConfig(
        record.trial_id,
        record.phase,
        record.schedule,
        kind,
        dict(record.params),
        record.seed,
        record.replicate,
    )
    tested = record.phase is Phase.RANGE_TEST  # trained to its end; other trials to the recorded evaluation
    group = start_group(study, data, [config], device_of(study), in_lanes=lanes and not tested)
    rows: list[EvaluationRecord] = []
    try:
        for pause in group.run():
            rows += pause.rows.values()
            if len(rows) == evaluations and not tested:
                break
    finally:
        group.close()
    return rows


def _equal(was: Any, now: Any) -> bool:
    if was is None or now is None:
        return was is now
    return bool(was == now) or (math.isnan(was) and math.isnan(now))


def _relative(was: Any, now: Any) -> float:
    if was is None or now is None or not (math.isfinite(was) and math.isfinite(now)):
        return math.inf
    return float(abs(was - now) / max(abs(was), abs(now)))
