"""A small study, and trials for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lrstudy.records import EvaluationRecord, Phase, Status, TrialRecord
from lrstudy.store import StudyInfo, TrialKey

SPEC: dict[str, Any] = {
    "task": {"epochs": 5, "dataset": {"name": "digits"}},
    "budget": {"trials": 4, "confirm_seeds": 2},
    "target": {"metric": "val_accuracy", "values": [0.9], "reference": "fixed", "margin": 0.1},
    "schedules": {
        "lipschitz": {"kind": "lipschitz"},
        "fixed": {
            "kind": "fixed",
            "lr": {"low": 0.001, "high": 3.0, "log": True},
            "gamma": [0.1, 0.5],
            "a": 1,
        },
    },
}
STARTED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

Rows = tuple[list[tuple[TrialKey, EvaluationRecord]], list[TrialRecord]]


def study(name: str = "digits", spec_hash: str = "abc123", **changes: Any) -> StudyInfo:
    """A study's description."""
    spec = SPEC | changes.pop("spec", {})
    return StudyInfo(name=name, spec=spec, spec_hash=spec_hash, seed=3, created_at=STARTED, **changes)


def epoch(number: int, **changes: Any) -> EvaluationRecord:
    """One epoch."""
    values: dict[str, Any] = dict.fromkeys(EvaluationRecord.__dataclass_fields__, 0.5)
    counts = {"evaluation": number, "step": number * 10, "samples": number * 320, "tokens": None}
    return EvaluationRecord(**values | counts | {"epoch": float(number), "metrics": {}} | changes)


def trial(number: int, epochs: int = 3, **changes: Any) -> Rows:
    """A finished trial: what ``append`` takes."""
    key = TrialKey(f"fixed-tune-{number:03d}", Phase.TUNE, "fixed", number)
    record: dict[str, Any] = {
        "trial_id": key.trial_id,
        "phase": key.phase,
        "schedule": key.schedule,
        "seed": number,
        "params": {"lr": 0.1},
        "status": Status.COMPLETED,
        "error": None,
        "evaluations_run": epochs,
        "best_val": 0.5,
        "best_evaluation": 1,
        "objective": 0.5,
        "test_loss": None,
        "test_accuracy": None,
        "test_r2": None,
        "started_at": STARTED,
        "ended_at": STARTED,
        "node": "here",
        "device": "cpu",
        "attempt": 1,
    }
    return [(key, epoch(n)) for n in range(1, epochs + 1)], [TrialRecord(**record | changes)]
