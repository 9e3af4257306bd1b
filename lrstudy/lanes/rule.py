"""The rule that chooses lanes: from the model's layers and the shapes of a step alone, never from a time.

Lanes and plain trials round differently. A choice that a measurement made would let the machine's load decide
a trial's last digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch.utils.flop_counter import FlopCounterMode

from lrstudy.lanes.stacked import has_known_layers
from lrstudy.spec import Study
from lrstudy.tasks import TaskData, build_model, precision_of
from lrstudy.tasks.pipeline import Pipeline

_ROWS: Final = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """What the rule looks at, and the number of lanes that it gives (0: none)."""

    known_layers: bool
    multiply_adds: int
    parameters: int
    lanes: int


def rule_of(study: Study, data: TaskData) -> Rule:
    """Apply the rule to a study's model and the shapes of its data."""
    device = torch.device("cpu")
    pipeline = Pipeline(data, study.task, device)
    model = build_model(study.task.model, pipeline.input_shape, pipeline.outputs, 0)
    model = precision_of(study.task, device).prepare(model)
    known = has_known_layers(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    inputs, _ = next(pipeline.batches("train", _ROWS))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(inputs)
    adds = counter.get_total_flops() // 2 * study.task.batch_size // len(inputs)
    return Rule(known, adds, parameters, 0)
