"""Fingerprints of a study's data and model: a digest of all rows, and some numbers of a new model.

The model's numbers are compared within a tolerance, because processors round differently; rows are compared
bit by bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from lrstudy.catalog.task_parts import TORCHVISION
from lrstudy.tasks.assembly import assemble
from lrstudy.tasks.model_outputs import logits_of
from lrstudy.tasks.task_data import TaskData

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec

_ROWS: Final = 4
_NUMBERS: Final = 16


def data_fingerprint(data: TaskData) -> str:
    """Return a digest of every split's rows, their order, types and shapes."""
    found = hashlib.blake2b(digest_size=16)
    found.update(f"{data.classes} {data.image} {data.full_scale}".encode())
    if data.streams is not None:  # of a stream, the first rows and the numbers of rows
        found.update(f"{[data.rows(name) for name in data.splits]}{data.streams.divided}".encode())
    for name, split in data.splits.items():
        for array in (split.inputs, split.targets):
            found.update(f"{name} {array.dtype.str} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def model_fingerprint(task: TaskSpec, data: TaskData) -> dict[str, list[float | None]] | None:
    """Return some weights and outputs of a user's own model, built from a fixed seed; None for other models.

    The outputs are those of the first training rows in evaluation mode: they depend on all that the model
    computes with, not on its registered weights alone.
    """
    if not task.model.is_users_own or task.model.name.startswith(TORCHVISION):
        return None
    parts = assemble(task, data, torch.device("cpu"))
    model = parts.model.eval()
    inputs, _ = next(parts.pipeline.batches("train", _ROWS))
    state = torch.default_generator.get_state()
    try:
        with torch.no_grad():
            outputs = logits_of(model(inputs))
    finally:
        torch.default_generator.set_state(state)
    weights = [value for value in model.state_dict().values() if isinstance(value, Tensor) and value.numel()]
    firsts = [value.flatten()[0] for value in weights[:_NUMBERS]]
    return {"weights": _plain(firsts), "outputs": _plain(outputs.flatten()[:_NUMBERS])}


def _plain(values: Sequence[Tensor] | Tensor) -> list[float | None]:
    """Numbers of six digits, None for those that JSON does not have."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in map(float, values)]
