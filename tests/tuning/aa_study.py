"""How often does a study of one schedule under two names find a winner?

A winner there is a false one: the two differ in name alone, tuned by searches of their own and confirmed on
the same seeds. The task is linear regression with a known optimum (the noise's variance): many seeds of it
take seconds. Every part is real but Ray: the trials run one after the other in this process.

    python tests/tuning/aa_study.py [--repetitions 40] [--trials 8] [--seeds 10] [--kind fixed]

Prints how many repetitions declared a winner, and why the others did not. 5 of 40 is the one-sided 95%
limit of a rate of 5%.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lrstudy.analysis import analyse
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Status, TrialRecord
from lrstudy.spec import Study, parse_study
from lrstudy.store import StoreWriter, TrialKey, open_location, open_store
from lrstudy.tasks import load_data
from lrstudy.tuning.cluster.provenance import study_info
from lrstudy.tuning.driver.controller import Controller

NOISE = 0.5
OPTIMUM = NOISE**2  # of the mean squared error
SPACES: dict[str, dict[str, Any]] = {
    "fixed": {"lr": {"low": 1e-3, "high": 0.5, "log": True}},
    "step": {"lr": {"low": 1e-3, "high": 0.5, "log": True}, "gamma": [0.1, 0.5]},
    "cosine": {"lr": {"low": 1e-3, "high": 0.5, "log": True}},
}


def make_data(seed: int, rows: int = 160, features: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Linear regression: inputs (rows, features) of unequal variances, targets (rows,) with known noise."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, features)) * np.geomspace(1.0, 0.2, features)
    targets = inputs @ rng.normal(size=features) * 3 + rng.normal(0.0, NOISE, rows)
    return inputs.astype(np.float64), targets


def aa_study(seed: int, kind: str, trials: int, seeds: int, target: float, objective: str) -> Study:
    """One schedule under two names."""
    space = {"kind": kind, **SPACES[kind]}
    return parse_study(
        {
            "name": "aa",
            "seed": seed,
            "task": {
                "dataset": f"{__name__}:make_data",
                "model": "linear-regression",
                "loss": "mse",
                "batch_size": 32,
                "epochs": 10,
                "precision": "float64",
            },
            "budget": {"trials": trials, "confirm_seeds": seeds, "search": "tpe", "objective": objective},
            "target": {"metric": "val_loss", "values": [target * OPTIMUM], "reference": "one"},
            "schedules": {"one": space, "other": space},
        },
        "aa",
    )


def run_here(study: Study, folder: Path) -> None:
    """Run a whole study in this process and keep it in a store."""
    data = load_data(study.task, study.seed, None)
    controller = Controller(study)
    rows: list[tuple[TrialKey, EvaluationRecord]] = []
    trials: list[TrialRecord] = []
    while (config := controller.next()) is not None:
        record, epochs = _train(study, data, config)
        key = TrialKey(record.trial_id, record.phase, record.schedule, record.seed)
        rows += [(key, epoch) for epoch in epochs]
        trials.append(record)
        controller.complete(record)
    with StoreWriter.create_or_open(open_location(folder), study_info(study)) as writer:
        writer.append(rows, trials)


def _train(study: Study, data: Any, config: TrialConfig) -> tuple[TrialRecord, list[EvaluationRecord]]:
    started = datetime.now(UTC)
    training = Training(study, data, config, torch.device("cpu"))
    epochs = []
    while not training.finished:
        epochs.append(training.run_to_evaluation())
    outcome = asdict(training.outcome())
    training.close()
    test, found = outcome.pop("test"), outcome.pop("found")
    return TrialRecord(
        trial_id=config.trial_id,
        phase=config.phase,
        schedule=config.schedule,
        seed=config.seed,
        params={**config.params, **found},
        status=Status(outcome.pop("status")),
        evaluations_run=outcome.pop("evaluations"),
        epochs_run=float(len(epochs)),
        **outcome,
        test_loss=test.get("loss"),
        test_accuracy=None,
        test_r2=test.get("r2"),
        started_at=started,
        ended_at=datetime.now(UTC),
        node="here",
        device="cpu",
        attempt=1,
    ), epochs


def verdict(seed: int, kind: str, trials: int, seeds: int, target: float, objective: str) -> str:
    """What a study says of the schedule against itself."""
    study = aa_study(seed, kind, trials, seeds, target, objective)
    with tempfile.TemporaryDirectory() as folder:
        run_here(study, Path(folder) / "aa")
        summary = analyse(open_store(Path(folder) / "aa"))
    (reach,) = summary.schedules[1].reach
    return str(reach.verdict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--kind", default="fixed", choices=SPACES)
    parser.add_argument("--target", type=float, default=1.3)
    parser.add_argument("--objective", default="best")
    options = vars(parser.parse_args())
    repetitions = options.pop("repetitions")
    torch.set_num_threads(1)
    found = Counter(verdict(seed, **options) for seed in range(repetitions))
    print(f"{found['faster'] + found['slower']} of {repetitions} declared a winner: {dict(found)}")


if __name__ == "__main__":
    main()
