"""The rule that chooses the number of lanes: from the model and the shapes of a step only, never from a time.

Lanes and plain trials round differently. If a measured time chose, the machine's load would decide the last
digits of every trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lrstudy.engine.lanes.stacked_model import has_known_layers
from lrstudy.tasks import TaskData, assemble

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import Study

# Up to this many multiply-adds in a step's forward pass, lanes are at least 1.5 times as fast as trials one
# after another: if the layers are stacked one by one, and if torch maps over the whole model. Measured by
# tests/bench/lane_rule.py.
KNOWN_LAYERS: Final = 8_000_000
MAPPED: Final = 4_000_000
# Up to this many, MANY lanes are faster than FEW.
TINY: Final = 1_000_000
MANY, FEW = 64, 16
# Rows of the counted forward pass: its multiply-adds are proportional to them.
_ROWS: Final = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """The number of lanes that the rule gives (0: none), and the reason as a sentence."""

    lanes: int
    multiply_adds: int
    reason: str


def rule_of(study: Study, data: TaskData) -> Rule:
    """Apply the rule to a study's model and the shapes of its data."""
    parts = assemble(study.built_in, data, torch.device("cpu"))
    model = parts.model
    if has_known_layers(model):
        most = KNOWN_LAYERS
        adds = sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))
    else:
        most = MAPPED
        inputs, _ = next(parts.pipeline.batches("train", _ROWS))
        adds = _count_multiply_adds(model, inputs)
    adds *= study.built_in.batch_size
    lanes = 0 if adds > most else MANY if adds <= TINY else FEW
    compared = f"{adds:,} multiply-adds in a step's forward pass, {{}} than {most:,}"
    return Rule(lanes, adds, compared.format("not more" if lanes else "more"))


@torch.no_grad()
def _count_multiply_adds(model: nn.Module, inputs: Tensor) -> int:
    """Return the multiply-adds per row, from torch's counter. Its first use imports the compiler (1 s)."""
    with FlopCounterMode(display=False) as counter:
        model.eval()(inputs)
    adds: int = counter.get_total_flops() // 2 // len(inputs)
    return adds
