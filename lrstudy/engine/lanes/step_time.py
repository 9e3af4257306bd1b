"""The speed of lanes on this machine, for a study's time estimate and advice; no result depends on it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from lrstudy.engine.lanes.lane_group import LaneGroup
from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase
from lrstudy.tasks import TaskData
from lrstudy.tasks.splits import Split

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import Study

# The measurement is the fastest of this many epochs over this many batches.
_EPOCHS: Final = 3
_STEPS: Final = 16


def seconds_per_step(study: Study, data: TaskData, lanes: int) -> float:
    """Return the seconds per step and lane, measured at a rate that hardly changes the weights."""
    configs = [
        TrialConfig(f"lane-{number}", Phase.TUNE, "measured", "fixed", {"lr": 1e-6}, number)
        for number in range(lanes)
    ]
    few = _STEPS * study.built_in.batch_size
    data = replace(data, train=_first(data.train, few), validation=_first(data.validation, few))
    group = LaneGroup(study, data, configs, torch.device("cpu"))
    try:
        seconds: list[float] = []
        while group.active and len(seconds) < _EPOCHS:
            started = time.perf_counter()
            group.run_to_evaluation()
            seconds.append(time.perf_counter() - started)
        return min(seconds) / (lanes * group.trainings[0].pipeline.steps_per_epoch)
    finally:
        group.close()


def _first(split: Split, rows: int) -> Split:
    return Split(split.inputs[:rows], split.targets[:rows])
