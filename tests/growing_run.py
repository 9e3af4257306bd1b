"""A run that grows while a test looks at it: made-up trials, written as a driver writes them.

Run as a program it writes trials until it is killed: ``python growing_run.py PLACE [ENDPOINT]``.
"""

from __future__ import annotations

import math
import random
import sys
import time
from datetime import UTC, datetime, timedelta

from lrstudy.records import EvaluationRecord, Phase, Status, TrialRecord
from lrstudy.rules.trial_ids import trial_id
from lrstudy.store import StoreWriter, StudyInfo, TrialKey, open_location

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
EPOCHS, TRIALS, SEEDS = 8, 4, 3
LR = {"low": 0.01, "high": 1.0, "log": True}
SPEED = {"fixed": 2.5, "step": 1.5, "wild": 3.0}
PLANNED = len(SPEED) * (TRIALS + SEEDS)


def study() -> StudyInfo:
    spec = {
        "task": {"dataset": "digits", "model": "mlp", "epochs": EPOCHS},
        "budget": {"trials": TRIALS, "confirm_seeds": SEEDS},
        "target": {"metric": "val_accuracy", "values": [0.8, 0.9], "reference": "fixed"},
        "schedules": {name: {"kind": "fixed", "fixed": {}, "space": {"lr": LR}} for name in SPEED},
    }
    return StudyInfo("growing", spec, "hash", 0, created_at=BEGIN)


def numbers() -> list[tuple[str, Phase, int]]:
    """Every trial of the study in a driver's order."""
    phases = ((Phase.TUNE, TRIALS), (Phase.CONFIRM, SEEDS))
    return [(name, phase, n) for phase, count in phases for n in range(count) for name in SPEED]


def append(writer: StoreWriter, schedule: str, phase: Phase, number: int) -> None:
    """Write one trial; the second tuning trial of ``wild`` diverges."""
    rng = random.Random(f"{schedule} {phase} {number}")
    speed = SPEED[schedule] * rng.uniform(0.8, 1.2)
    diverges = (schedule, phase, number) == ("wild", Phase.TUNE, 1)
    rows = []
    for epoch in range(1, (3 if diverges else EPOCHS) + 1):
        broken = diverges and epoch == 3
        rows.append(
            EvaluationRecord(
                evaluation=epoch,
                step=36 * epoch,
                samples=1152 * epoch,
                epoch=float(epoch),
                train_seconds=0.1,
                estimate_seconds=0.0,
                eval_seconds=0.01,
                lr=0.1 / epoch,
                lr_min=0.01,
                lr_max=0.1,
                train_loss=math.nan if broken else 2.0 * math.exp(-epoch / speed),
                val_loss=math.nan if broken else 2.1 * math.exp(-epoch / speed),
                val_accuracy=0.1 if broken else 1.0 - 0.9 * math.exp(-epoch / speed),
            )
        )
    name = trial_id(schedule, phase, number)
    best = max(row.val_accuracy or 0.0 for row in rows)
    record = TrialRecord(
        trial_id=name,
        phase=phase,
        schedule=schedule,
        seed=number,
        params={"lr": 0.1},
        status=Status.DIVERGED if diverges else Status.COMPLETED,
        error="training loss became nan in epoch 3" if diverges else None,
        length=EPOCHS,
        evaluations_run=len(rows),
        steps_run=36 * len(rows),
        epochs_run=float(len(rows)),
        best_val=best,
        best_evaluation=len(rows) - diverges,
        objective=None if diverges else best,
        test_loss=0.3 if phase is Phase.CONFIRM else None,
        test_accuracy=best if phase is Phase.CONFIRM else None,
        test_r2=None,
        started_at=BEGIN,
        ended_at=BEGIN + timedelta(seconds=number),
        node="here",
        device="cpu",
        attempt=1,
    )
    key = TrialKey(name, phase, schedule, number)
    writer.append([(key, row) for row in rows], [record])


def main() -> None:
    """Write half of the trials, then wait."""
    with StoreWriter.create_or_open(open_location(*sys.argv[1:]), study()) as writer:
        for trial in numbers()[: PLANNED // 2]:
            append(writer, *trial)
        print("written", flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main()
