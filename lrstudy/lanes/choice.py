"""Whether a study's trials run in lanes: as the study asks, or as a short measurement at its start says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from lrstudy.lanes.group import LaneGroup, why_not
from lrstudy.records import Phase
from lrstudy.spec import Study
from lrstudy.tasks import TaskData
from lrstudy.training import TrialConfig

# Numbers of lanes that "auto" tries, and how much faster than alone is worth it.
_TRIED: Final = (16, 64)
_WORTH: Final = 1.5
# A task whose epoch takes longer alone is not small, and measuring it would be no short measurement.
_LONGEST_EPOCH: Final = 2.0


@dataclass(frozen=True, slots=True)
class LaneChoice:
    """How many trials at most share a worker (0: each alone), and why."""

    lanes: int
    reason: str


def choose_lanes(study: Study, data: TaskData) -> LaneChoice:
    """Decide for a whole study; measures epochs on this machine only where the study says ``auto``."""
    asked = study.resources.lanes
    if asked == 0:
        return LaneChoice(0, "not asked for")
    reason = _why_not(study, data)
    if reason is not None:
        return LaneChoice(0, reason)
    if asked != "auto":
        return LaneChoice(asked, "as asked for")
    threads = torch.get_num_threads()
    torch.set_num_threads(study.resources.cpus)
    try:
        return _measured(study, data)
    finally:
        torch.set_num_threads(threads)


def _why_not(study: Study, data: TaskData) -> str | None:
    if study.budget.pruner != "none":
        return f"the pruner {study.budget.pruner} judges trials one by one"
    if study.resources.gpus > 0:
        return "trials on a GPU are not run in lanes"
    return why_not(study, data, [schedule.kind for schedule in study.schedules])


def _measured(study: Study, data: TaskData) -> LaneChoice:
    alone = _seconds(study, data, 1)
    if alone > _LONGEST_EPOCH:
        return LaneChoice(0, f"measured: an epoch takes {alone:.1f} s alone, the task is not small")
    gains = {lanes: alone / _seconds(study, data, lanes) for lanes in _TRIED}
    best = max(gains, key=lambda lanes: gains[lanes])
    told = ", ".join(f"{gain:.1f} times as fast with {lanes} lanes" for lanes, gain in gains.items())
    return LaneChoice(best if gains[best] >= _WORTH else 0, f"measured: an epoch is {told} as alone")


def _seconds(study: Study, data: TaskData, lanes: int) -> float:
    """Seconds per lane of the better of two epochs at a rate that moves nothing far."""
    configs: Sequence[TrialConfig] = [
        TrialConfig(f"lane-{number}", Phase.TUNE, "measured", "fixed", {"lr": 1e-6}, number)
        for number in range(lanes)
    ]
    group = LaneGroup(study, data, configs, torch.device("cpu"))
    try:
        found: list[float] = []
        while group.active and len(found) < 2:
            started = time.perf_counter()
            group.run_epoch()
            found.append((time.perf_counter() - started) / lanes)
        return min(found)
    finally:
        group.close()
