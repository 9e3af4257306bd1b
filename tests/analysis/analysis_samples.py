"""Small studies made by hand, in the store's own schema, for the analysis' tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from lrstudy.analysis.timing import Timing, timing_of
from lrstudy.analysis.trial_table import Columns, read_columns
from lrstudy.records import Phase
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.trial_ids import trial_id
from lrstudy.store import EVALUATIONS_SCHEMA, TRIALS_SCHEMA, StudyInfo

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NAN = float("nan")
LR = {"low": 0.001, "high": 1.0, "log": True}


@dataclass
class Sample:
    """A store in memory; ``spaces`` are the schedules with their search spaces."""

    spaces: dict[str, dict[str, Any]]
    reference: str = "fixed"
    metric: str = "val_accuracy"
    targets: list[float] | None = None
    epochs_budget: int = 10
    trials_budget: int = 4
    confirm_seeds: int = 3
    name: str = "sample"
    lanes: int = 0
    budget: dict[str, Any] = field(default_factory=dict)
    looks: list[dict[str, Any]] = field(default_factory=list)
    target: dict[str, Any] = field(default_factory=dict)
    stopped: dict[str, dict[str, Any]] = field(default_factory=dict)
    trial_rows: list[dict[str, Any]] = field(default_factory=list)
    epoch_rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def study(self) -> StudyInfo:
        spec = {
            "task": {"dataset": "digits", "model": "mlp", "epochs": self.epochs_budget},
            "budget": {"trials": self.trials_budget, "confirm_seeds": self.confirm_seeds} | self.budget,
            "target": {"metric": self.metric, "values": self.targets, "reference": self.reference}
            | self.target,
            "schedules": {n: {"kind": n, "fixed": {}, "space": s} for n, s in self.spaces.items()},
        }
        more = {"lanes": self.lanes, "looks": self.looks, "stopped": self.stopped}
        return StudyInfo(self.name, spec, "hash", 0, created_at=BEGIN, **more)

    def trials(self) -> Any:
        return pa.Table.from_pylist(self.trial_rows, schema=TRIALS_SCHEMA)

    def evaluations_table(self) -> Any:
        return pa.Table.from_pylist(self.epoch_rows, schema=EVALUATIONS_SCHEMA)

    def evaluations(self, columns: list[str]) -> Any:
        return self.evaluations_table().select(columns)

    def columns(self) -> Columns:
        return read_columns(self, METRICS[self.metric], shared=self.lanes > 0)

    def timing(self, clock: str | None = None) -> Timing:
        columns = self.columns()
        return timing_of(self.study, columns, columns.trials, clock)

    def add(
        self,
        schedule: str,
        values: list[float | None],
        *,
        phase: str = "confirm",
        seed: int = 0,
        status: str = "completed",
        params: dict[str, Any] | None = None,
        imported: bool = False,
        replicate: int = 1,
        seconds: float | None = 2.0,
        epochs: list[int] | None = None,
        **more: Any,
    ) -> Sample:
        """A trial whose metric takes ``values``; ``more`` replaces columns of its row."""
        metric = METRICS[self.metric]
        finite = [v for v in values if v is not None and np.isfinite(v)]
        best = (max if metric.higher_is_better else min)(finite, default=None)
        number = sum(r["schedule"] == schedule and r["phase"] == phase for r in self.trial_rows)
        key = {
            "trial_id": trial_id(schedule, Phase(phase), number, replicate),
            "phase": phase,
            "schedule": schedule,
            "seed": seed,
            "replicate": replicate,
        }
        clock = {} if imported else {"started_at": BEGIN, "ended_at": BEGIN + timedelta(seconds=60)}
        row = {
            "params": json.dumps(params or {}),
            "status": status,
            "evaluations_run": len(values),
            "epochs_run": more.get("evaluations_run", len(values)),
            "best_val": best,
            "best_evaluation": None if best is None else values.index(best) + 1,
            "objective": best if status in ("completed", "pruned") else None,
            "test_accuracy": None if imported else best,
            "attempt": 1,
        }
        self.trial_rows.append(key | row | clock | more)
        for place, value in enumerate(values):
            epoch = epochs[place] if epochs else place + 1
            counted = {
                "step": 100 * epoch,
                "samples": 3200 * epoch,
                "train_seconds": seconds,
                "estimate_seconds": 0.5,
                "eval_seconds": 0.25,
                "lr": 0.1 / epoch,
                "train_loss": 1.0 / epoch,
            }
            stored = 1 - value if metric.complement and value is not None else value
            self.epoch_rows.append(
                key
                | {"evaluation": epoch, "epoch": epoch, metric.column: stored}
                | ({} if imported else counted)
            )
        return self


def rising(hit_at: int, epochs: int = 10, low: float = 0.5, high: float = 0.96) -> list[float | None]:
    """A curve that is ``low`` before the epoch ``hit_at`` and ``high`` from then on."""
    return [high if epoch >= hit_at else low for epoch in range(1, epochs + 1)]


def race(times: dict[str, list[int]], **more: Any) -> Sample:
    """Confirm runs that reach 0.9 at the given epochs (11: never), one seed each, the same for all."""
    sample = Sample({name: {} for name in times}, targets=[0.9], **more)
    for name, hits in times.items():
        for seed, hit_at in enumerate(hits):
            sample.add(name, rising(hit_at), seed=seed)
    return sample


def generated(schedules: int, tune: int, confirm: int, epochs: int, seed: int = 0) -> GeneratedStore:
    """A large study with noisy curves."""
    return GeneratedStore(schedules, tune, confirm, epochs, seed)


class GeneratedStore:
    """``schedules * (tune + confirm)`` trials of ``epochs`` epochs each, as Arrow tables."""

    def __init__(self, schedules: int, tune: int, confirm: int, epochs: int, seed: int) -> None:
        names = [f"s{index}" for index in range(schedules)]
        sample = Sample(
            {name: {"lr": LR} for name in names},
            reference="s0",
            epochs_budget=epochs,
            trials_budget=tune,
            confirm_seeds=confirm,
        )
        self.study = sample.study
        rng = np.random.default_rng(seed)
        phases = [("tune", n) for n in range(tune)] + [("confirm", n) for n in range(confirm)]
        keys = [(name, phase, number) for name in names for phase, number in phases]
        steps = np.arange(1, epochs + 1)
        speed = rng.uniform(0.02, 0.1, len(keys))[:, None]
        values = 0.95 * (1 - np.exp(-speed * steps)) + rng.normal(0, 0.005, (len(keys), epochs))
        best = values.max(axis=1)
        for row, (name, phase, number) in enumerate(keys):
            sample.trial_rows.append(
                {
                    "trial_id": f"{name}-{phase}-{number:04d}",
                    "phase": phase,
                    "schedule": name,
                    "seed": number,
                    "params": json.dumps({"lr": float(rng.uniform(0.001, 1))}),
                    "status": "completed",
                    "evaluations_run": epochs,
                    "epochs_run": epochs,
                    "best_val": float(best[row]),
                    "best_evaluation": int(values[row].argmax()) + 1,
                    "objective": float(best[row]),
                    "test_accuracy": float(best[row]),
                    "started_at": BEGIN,
                    "ended_at": BEGIN + timedelta(seconds=epochs),
                    "attempt": 1,
                }
            )
        self._trials = sample.trials()
        size = values.size
        ids = np.repeat([row["trial_id"] for row in sample.trial_rows], epochs)
        epoch = np.tile(steps, len(keys))
        known = {
            "trial_id": pa.array(ids, pa.string()),
            "evaluation": pa.array(epoch),
            "epoch": pa.array(epoch, pa.float64()),
            "step": pa.array(100 * epoch),
            "samples": pa.array(3200 * epoch),
            "train_seconds": pa.array(np.full(size, 2.0)),
            "val_accuracy": pa.array(values.ravel()),
            "train_loss": pa.array(1 / epoch),
            "lr": pa.array(0.1 / epoch),
        }
        self._epochs = {
            n: known.get(n, pa.nulls(size, EVALUATIONS_SCHEMA.field(n).type))
            for n in EVALUATIONS_SCHEMA.names
        }

    def trials(self) -> Any:
        return self._trials

    def evaluations(self, columns: list[str]) -> Any:
        return pa.table({name: self._epochs[name] for name in columns})
