"""Whether a lane's bits depend on its neighbours: then a study would depend on which trials met in a group.

Some of torch's operations compute the last few numbers of a tensor otherwise than the rest (a sine's last
digit differs). Which numbers these are depends on shapes alone, so that groups of a few sizes, trained for
an epoch on batches and splits of the study's own shapes, show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import torch

from lrstudy.lanes.group import LaneGroup
from lrstudy.records import EpochRecord, Phase
from lrstudy.spec import Study
from lrstudy.tasks import TaskData
from lrstudy.tasks.pipeline import EVALUATION_ROWS
from lrstudy.tasks.raw import Split
from lrstudy.training import TrialConfig

_SIZES: Final = (1, 2, 3, 5, 16)
_BATCHES, _EPOCHS = 8, 2
# Moves every weight, measures, and costs a schedule of each sort.
_KINDS: Final[Sequence[tuple[str, dict[str, Any]]]] = (
    ("fixed", {"lr": 1e-2}),
    ("lipschitz", {"measure": "hook", "initial_lr": 1e-2}),
)
_CLOCKS: Final = ("train_seconds", "estimate_seconds", "eval_seconds")


def neighbours_matter(study: Study, data: TaskData) -> bool:
    """Train a few trials in groups of several sizes; whether any came out different."""
    size = study.task.batch_size
    data = replace(
        data,
        train=_of_like_shape(data.train, size),
        validation=_of_like_shape(data.validation, max(size, EVALUATION_ROWS)),
    )
    study = study.model_copy(update={"task": study.task.model_copy(update={"epochs": _EPOCHS})})
    *groups, wanted = [_trained(study, data, count) for count in _SIZES]
    return any(lane != wanted[place] for group in groups for place, lane in enumerate(group))


def _of_like_shape(split: Split, size: int) -> Split:
    """Rows for some whole batches and for a last one as long as the split's own."""
    whole, rest = divmod(len(split.targets), size)
    rows = min(whole, _BATCHES) * size + rest
    return Split(split.inputs[:rows], split.targets[:rows])


def _trained(study: Study, data: TaskData, count: int) -> list[tuple[Any, ...]]:
    """What there is to see of each of so many lanes: its record, and the bytes of its weights."""
    turns = [_KINDS[number % len(_KINDS)] for number in range(count)]
    configs = [
        TrialConfig(f"lane-{number}", Phase.TUNE, kind, kind, params, number)
        for number, (kind, params) in enumerate(turns)
    ]
    group = LaneGroup(study, data, configs, torch.device("cpu"))
    try:
        records: dict[int, EpochRecord] = {}
        while group.active:
            records |= group.run_epoch()
        return [
            (
                [repr(value) for name, value in asdict(records[lane]).items() if name not in _CLOCKS],
                [tensor.numpy().tobytes() for tensor in group.trainings[lane].model.state_dict().values()],
            )
            for lane in range(count)
        ]
    finally:
        group.close()
