"""A try-out of bits: if a lane's depend on its neighbours, a study depends on which trials met in a group.

Some of torch's operations compute the last few numbers of a tensor differently from the rest (a sine's last
digit differs). Which numbers these are depends on shapes alone, so that groups of a few sizes, trained for
some steps on batches and splits of the study's own shapes, show it. Each kind of processor has its own code:
the answer is the same each time on one machine, and may be another elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import torch
from torch import Tensor

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.engine.lanes.lane_group import LaneGroup
from lrstudy.engine.trial import TrialConfig
from lrstudy.records import EpochRecord, Phase
from lrstudy.spec import Choices, Range, ScheduleSpec, Study
from lrstudy.tasks import TaskData
from lrstudy.tasks.pipeline import EVALUATION_ROWS, Pipeline
from lrstudy.tasks.splits import Split

# Groups, by their lanes' numbers, that are held against one of all: the last place is the one to watch.
_GROUPS: Final = ((0,), (1,), (2, 3), (3, 4, 5), (4, 5, 6, 7, 8), tuple(range(16)))
_BATCHES, _STEPS = 8, 24
_CLOCKS: Final = ("train_seconds", "estimate_seconds", "eval_seconds")


def neighbours_matter(study: Study, data: TaskData) -> bool:
    """Train a few trials in several groups; return True if any came out different."""
    size = study.task.batch_size
    data = replace(
        data,
        train=_of_like_shape(data.train, size),
        validation=_of_like_shape(data.validation, max(size, EVALUATION_ROWS)),
        test=_of_like_shape(data.test, max(size, EVALUATION_ROWS)),
    )
    epochs = max(2, math.ceil(_STEPS / Pipeline(data, study.task, torch.device("cpu")).steps_per_epoch))
    study = study.model_copy(update={"task": study.task.model_copy(update={"epochs": epochs})})
    *some, wanted = [_trained(study, data, group) for group in _GROUPS]
    return any(lane != wanted[number] for group in some for number, lane in group.items())


def _kinds(study: Study) -> list[tuple[str, dict[str, Any]]]:
    """A rate that moves every weight, and the study's schedules that compute with weights or activations."""
    own = [
        schedule
        for schedule in study.schedules
        if schedule.kind == "lipschitz" or SCHEDULES[schedule.kind].replaces_optimizer
    ]
    return [("fixed", {"lr": 0.05}), *((schedule.kind, _some_params(schedule)) for schedule in own)]


def _some_params(schedule: ScheduleSpec) -> dict[str, Any]:
    """Hyperparameters that a search might try."""
    params = dict(schedule.fixed)
    for name, space in schedule.space.items():
        if isinstance(space, Choices):
            params[name] = space.values[0]
        elif not space.names:
            params[name] = space.low
    for name, space in schedule.space.items():
        if isinstance(space, Range) and name not in params:  # it ends at another parameter
            params[name] = space.ends(params)[0]
    return params


def _of_like_shape(split: Split, size: int) -> Split:
    """Rows for some whole batches and for a last one as long as the split's own."""
    whole, rest = divmod(len(split.targets), size)
    rows = min(whole, _BATCHES) * size + rest
    return Split(split.inputs[:rows], split.targets[:rows])


def _trained(study: Study, data: TaskData, group: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """Each lane of a group, by number: its last record, the bytes of its weights, its test values."""
    kinds = _kinds(study)
    configs = []
    for number in group:
        kind, params = kinds[number % len(kinds)]
        configs.append(TrialConfig(f"lane-{number}", Phase.CONFIRM, kind, kind, params, number))
    lanes = LaneGroup(study, data, configs, torch.device("cpu"))
    try:
        records: dict[int, EpochRecord] = {}
        while lanes.active:
            records |= lanes.run_epoch()
        return {
            number: (
                [repr(value) for name, value in asdict(records[lane]).items() if name not in _CLOCKS],
                [_bytes(tensor) for tensor in lanes.trainings[lane].model.state_dict().values()],
                repr(lanes.trainings[lane].outcome().test),
            )
            for lane, number in enumerate(group)
        }
    finally:
        lanes.close()


def _bytes(tensor: Tensor) -> bytes:
    """A tensor's bits; one NaN, which has many, is as good as another."""
    found: bytes = tensor.nan_to_num(nan=0.0).numpy().tobytes()
    return found
