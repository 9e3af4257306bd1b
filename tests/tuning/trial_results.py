"""The records of trials that were not trained, for tests of what the driver does with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Status, TrialRecord


def record(config: TrialConfig, **changes: Any) -> TrialRecord:
    """Return the record of a completed trial, whose values are its rate unless ``changes`` say others."""
    value = float(config.params.get("lr", 0.5))
    now = datetime.now(UTC)
    done = TrialRecord(
        trial_id=config.trial_id,
        phase=config.phase,
        schedule=config.schedule,
        seed=config.seed,
        replicate=config.replicate,
        params=dict(config.params),
        status=Status.COMPLETED,
        error=None,
        evaluations_run=5,
        best_val=value,
        best_evaluation=3,
        objective=value,
        test_loss=None,
        test_accuracy=None,
        test_r2=None,
        started_at=now,
        ended_at=now,
        node="here",
        device="cpu",
        attempt=1,
    )
    return replace(done, **changes)
