"""Epochs per second in lanes on a GPU: one captured step for all lanes, against plain trials."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from gpu_trial import config_of, random_data, study_of

from lrstudy.engine.lanes.lane_group import LaneGroup
from lrstudy.engine.trial import Training
from lrstudy.tasks import TaskData


def speeds(
    network: str, counts: Sequence[int], rows: int, epochs: int, device: torch.device
) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield for each number of lanes the trial epochs per second, eager and captured.

    First, for 0 lanes: those of plain trials with captured steps, one after another.
    """
    data = random_data(network, rows)
    yield 0, {"captured": _alone(network, data, epochs, device)}
    for count in counts:
        yield (
            count,
            {how: _together(network, data, count, epochs, device, how) for how in ("eager", "captured")},
        )


def _alone(network: str, data: TaskData, epochs: int, device: torch.device) -> float:
    seconds = 0.0
    for seed in range(2):  # the second uses the capture of the first, as a worker's later trials do
        study = study_of(network, "captured", epochs + 1)
        training = Training(study, data, config_of("cosine", {"lr": 0.01}, seed), device)
        training.run_to_evaluation()
        started = time.perf_counter()
        for _ in range(epochs):
            training.run_to_evaluation()
        seconds = time.perf_counter() - started
        training.close()
    return epochs / seconds


def _together(network: str, data: TaskData, count: int, epochs: int, device: torch.device, how: str) -> float:
    configs = [config_of("cosine", {"lr": 0.01 + 0.001 * seed}, seed) for seed in range(count)]
    group = LaneGroup(study_of(network, how, epochs + 1), data, configs, device)
    try:
        group.run_to_evaluation()
        started = time.perf_counter()
        for _ in range(epochs):
            group.run_to_evaluation()
        seconds = time.perf_counter() - started
        if how == "captured" and (notes := group.notes(0)):
            raise RuntimeError(notes[0])
        return count * epochs / seconds
    finally:
        group.close()
