"""Whether a study's trials run in lanes: as the study asks, or as a short measurement at its start says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import torch

from lrstudy.lanes.bits import neighbours_matter
from lrstudy.lanes.group import LaneGroup, why_not
from lrstudy.records import Phase
from lrstudy.spec import Study
from lrstudy.tasks import TaskData, build_loss, build_model, build_optimizer, precision_of
from lrstudy.tasks.pipeline import Pipeline
from lrstudy.tasks.raw import Split
from lrstudy.training import TrialConfig

# Numbers of lanes that "auto" tries, and how much faster than one by one is worth it.
_TRIED: Final = (16, 64)
_WORTH: Final = 1.5
# A task whose step takes longer is not small: its arithmetic costs more than its calls.
_LONGEST_STEP: Final = 4e-3
_FEW_ROWS: Final = 8
# What is measured: the fastest of so many epochs over so many batches.
_EPOCHS: Final = 3
_STEPS: Final = 16


@dataclass(frozen=True, slots=True)
class LaneChoice:
    """How many trials at most share a worker (0: each alone), and why."""

    lanes: int
    reason: str


def choose_lanes(study: Study, data: TaskData) -> LaneChoice:
    """Decide for a whole study; measures steps on this machine only where the study says ``auto``."""
    asked = study.resources.lanes
    if asked == 0:
        return LaneChoice(0, "switched off by resources.lanes = 0")
    threads = torch.get_num_threads()
    torch.set_num_threads(study.resources.cpus)
    try:
        reason = _why_not(study, data)
        if reason is not None:
            return LaneChoice(0, reason)
        return _measured(study, data) if asked == "auto" else _asked(study, data, asked)
    except Exception as error:  # noqa: BLE001 - whatever it is, the study then runs as it always did
        return LaneChoice(0, f"a trial of it in lanes raised {type(error).__name__}: {error}")
    finally:
        torch.set_num_threads(threads)


def _asked(study: Study, data: TaskData, lanes: int) -> LaneChoice:
    reason = "as asked for"
    if neighbours_matter(study, data):
        reason += "; the last digits of a trial may depend on its neighbours in a group"
    return LaneChoice(lanes, reason)


def _why_not(study: Study, data: TaskData) -> str | None:
    if study.resources.gpus > 0:
        return "trials on a GPU are not run in lanes"
    if study.resources.lanes == "auto":
        # Before anything dear is tried: a step of a few rows takes no longer than one of a whole batch.
        seconds = _seconds_alone(study, data, min(study.task.batch_size, _FEW_ROWS), steps=2)
        if seconds > _LONGEST_STEP:
            return f"measured: a step takes over {seconds * 1e3:.0f} ms, the task is not small"
    return why_not(study, data, [schedule.kind for schedule in study.schedules])


def _measured(study: Study, data: TaskData) -> LaneChoice:
    alone = _seconds_alone(study, data, study.task.batch_size, _STEPS)
    if alone > _LONGEST_STEP:
        return LaneChoice(0, f"measured: a step takes {alone * 1e3:.1f} ms, the task is not small")
    gains: dict[int, float] = {}
    for lanes in _TRIED:
        gains[lanes] = alone / seconds_per_step(study, data, lanes)
        if gains[lanes] < _WORTH:
            break
    best = max(gains, key=lambda lanes: gains[lanes])
    if gains[best] >= _WORTH and neighbours_matter(study, data):
        return LaneChoice(0, "the last digits of a trial would depend on its neighbours in a group")
    told = ", ".join(f"{gain:.1f} times in {lanes}" for lanes, gain in gains.items())
    return LaneChoice(best if gains[best] >= _WORTH else 0, f"measured, speed over one by one: {told}")


def _seconds_alone(study: Study, data: TaskData, rows: int, steps: int) -> float:
    """The fastest of some steps of a trial that has its process to itself."""
    device = torch.device("cpu")
    task = study.task.model_copy(update={"batch_size": rows})
    pipeline, order = Pipeline(data, task, device), torch.Generator().manual_seed(0)
    model = build_model(study.task.model, pipeline.input_shape, pipeline.outputs, 0)
    model, loss = precision_of(study.task, device).prepare(model), build_loss(study.task.loss)
    optimizer = build_optimizer(study.task.optimizer, model)
    found: list[float] = []
    for inputs, targets in islice(pipeline.train_batches(order), steps):
        started = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss(model(inputs), targets).backward()
        optimizer.step()
        if len(targets) == rows or not found:  # a last batch is shorter
            found.append(time.perf_counter() - started)
    return min(found)


def seconds_per_step(study: Study, data: TaskData, lanes: int) -> float:
    """Seconds of a step and a lane, on this machine, at a rate that moves nothing far."""
    configs: Sequence[TrialConfig] = [
        TrialConfig(f"lane-{number}", Phase.TUNE, "measured", "fixed", {"lr": 1e-6}, number)
        for number in range(lanes)
    ]
    few = _STEPS * study.task.batch_size
    data = replace(data, train=_first(data.train, few), validation=_first(data.validation, few))
    group = LaneGroup(study, data, configs, torch.device("cpu"))
    try:
        found: list[float] = []
        while group.active and len(found) < _EPOCHS:
            started = time.perf_counter()
            group.run_epoch()
            found.append(time.perf_counter() - started)
        return min(found) / (lanes * group.trainings[0].pipeline.steps_per_epoch)
    finally:
        group.close()


def _first(split: Split, rows: int) -> Split:
    return Split(split.inputs[:rows], split.targets[:rows])
