"""A study of schedules on CIFAR-10 without Ray: trials one after another, by lrstudy's own loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from gpu_trial import config_of, optimizer_of, study_of

from lrstudy.engine.trial import Training
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.tasks import TaskData

Configuration = tuple[str, dict[str, Any]]
_STEP = {"gamma": 0.1, "milestones": (0.5, 0.75)}
CONFIGURATIONS: tuple[Configuration, ...] = (
    *(("fixed", {"lr": lr}) for lr in (0.01, 0.05, 0.2)),
    *(("step", {"lr": lr, **_STEP}) for lr in (0.01, 0.05, 0.2)),
    *(("cosine", {"lr": lr}) for lr in (0.01, 0.05, 0.2)),
    *(("lipschitz", {"measure": "hook", "scale": scale}) for scale in (0.1, 0.3, 1.0)),
)
CONFIRM_SEEDS = (1, 2, 3)


def trials(
    data: TaskData,
    device: torch.device,
    *,
    network: str,
    epochs: int,
    target: float,
    left: Callable[[], float],
) -> Iterator[dict[str, Any]]:
    """Yield a figure per trial: every configuration once, then the best of each schedule on further seeds.

    ``left`` returns the seconds that are left; a trial that would take longer than the longest so far is not
    begun. Configurations are compared by their best validation accuracy, at one seed.
    """
    found: dict[str, tuple[float, Configuration]] = {}
    longest = 0.0
    for configuration in CONFIGURATIONS:
        if left() < longest:
            return
        figure = _trial(data, device, network, epochs, target, configuration, 0, Phase.TUNE)
        longest = max(longest, figure["seconds"])
        best = figure["best accuracy"]
        if configuration[0] not in found or best > found[configuration[0]][0]:
            found[configuration[0]] = best, configuration
        yield figure
    for seed in CONFIRM_SEEDS:
        for _, configuration in found.values():
            if left() < longest:
                return
            yield _trial(data, device, network, epochs, target, configuration, seed, Phase.CONFIRM)


def _trial(
    data: TaskData,
    device: torch.device,
    network: str,
    epochs: int,
    target: float,
    configuration: Configuration,
    seed: int,
    phase: Phase,
) -> dict[str, Any]:
    kind, params = configuration
    cuda = device.type == "cuda"
    study = study_of(
        network,
        epochs=epochs,
        precision="bf16" if cuda else "float32",
        channels_last=cuda,
        augment=("flip", "shift:0.1"),
        normalize="per-pixel-mean",
        optimizer=optimizer_of(lr=0.1, momentum=0.9, weight_decay=2e-4, weight_decay_on="kernels"),
    )
    started = time.perf_counter()
    training = Training(study, data, config_of(kind, params, seed, phase), device)
    try:
        records = list(training.run())
        outcome, note = training.outcome(), training.note
    finally:
        training.close()
    searched = next(name for name in ("lr", "scale") if name in params)
    reached = _reached(records, target)
    return {
        "schedule": kind,
        "value": f"{searched} {params[searched]}",
        "phase": str(phase),
        "seed": seed,
        "best accuracy": 0.0 if outcome.best_val is None else outcome.best_val,
        f"epochs to {target:g}": reached,
        "training s to it": None if reached is None else sum(r.train_seconds for r in records[:reached]),
        "test accuracy": outcome.test.get("accuracy"),
        "first lr": records[0].lr,
        "last lr": records[-1].lr,
        "status": str(outcome.status),
        "seconds": time.perf_counter() - started,
        "note": note,
    }


def _reached(records: list[EvaluationRecord], target: float) -> int | None:
    hits = (i for i, record in enumerate(records, start=1) if (record.val_accuracy or 0.0) >= target)
    return next(hits, None)
