"""Whether a lane's bits depend on its neighbours: then a study would depend on which trials met in a group.

Some of torch's operations compute the last few numbers of a tensor otherwise than the rest (a sine's last
digit differs). Which numbers these are depends on shapes alone, so that groups of a few sizes, trained for
some steps on batches and splits of the study's own shapes, show it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import torch
from torch import Tensor

from lrstudy.lanes.group import LaneGroup
from lrstudy.records import EpochRecord, Phase
from lrstudy.spec import Study
from lrstudy.tasks import TaskData
from lrstudy.tasks.pipeline import EVALUATION_ROWS, Pipeline
from lrstudy.tasks.raw import Split
from lrstudy.training import TrialConfig

# Groups, by their lanes' numbers, that are held against one of all: the last place is the one to watch.
_GROUPS: Final = ((0,), (1,), (2, 3), (3, 4, 5), (4, 5, 6, 7, 8), tuple(range(16)))
_BATCHES, _STEPS = 8, 24
_CLOCKS: Final = ("train_seconds", "estimate_seconds", "eval_seconds")


def neighbours_matter(study: Study, data: TaskData) -> bool:
    """Train a few trials in several groups; whether any came out different."""
    size = study.task.batch_size
    data = replace(
        data,
        train=_of_like_shape(data.train, size),
        validation=_of_like_shape(data.validation, max(size, EVALUATION_ROWS)),
    )
    epochs = max(2, math.ceil(_STEPS / Pipeline(data, study.task, torch.device("cpu")).steps_per_epoch))
    study = study.model_copy(update={"task": study.task.model_copy(update={"epochs": epochs})})
    *some, wanted = [_trained(study, data, group) for group in _GROUPS]
    return any(lane != wanted[number] for group in some for number, lane in group.items())


def _kinds(study: Study) -> list[tuple[str, dict[str, Any]]]:
    """What moves every weight, and what computes with the activations of a group."""
    measuring = [dict(schedule.fixed) for schedule in study.schedules if schedule.kind == "lipschitz"]
    return [("fixed", {"lr": 0.05}), *(("lipschitz", fixed) for fixed in measuring)]


def _of_like_shape(split: Split, size: int) -> Split:
    """Rows for some whole batches and for a last one as long as the split's own."""
    whole, rest = divmod(len(split.targets), size)
    rows = min(whole, _BATCHES) * size + rest
    return Split(split.inputs[:rows], split.targets[:rows])


def _trained(study: Study, data: TaskData, group: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """What there is to see of each lane of a group, by number: its last record, the bytes of its weights."""
    kinds = _kinds(study)
    configs = []
    for number in group:
        kind, params = kinds[number % len(kinds)]
        configs.append(TrialConfig(f"lane-{number}", Phase.TUNE, kind, kind, params, number))
    lanes = LaneGroup(study, data, configs, torch.device("cpu"))
    try:
        records: dict[int, EpochRecord] = {}
        while lanes.active:
            records |= lanes.run_epoch()
        return {
            number: (
                [repr(value) for name, value in asdict(records[lane]).items() if name not in _CLOCKS],
                [_bytes(tensor) for tensor in lanes.trainings[lane].model.state_dict().values()],
            )
            for lane, number in enumerate(group)
        }
    finally:
        lanes.close()


def _bytes(tensor: Tensor) -> bytes:
    """A tensor's bits; one NaN, which has many, is as good as another."""
    found: bytes = tensor.nan_to_num(nan=0.0).numpy().tobytes()
    return found
