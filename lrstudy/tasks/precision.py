"""Number formats, memory layout and determinism of a training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from lrstudy.errors import Problem, StudyFileError

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Precision:
    """Number formats of a task: weights in ``dtype``; forward passes in bfloat16 with ``bf16``, float16 with
    ``fp16``.
    """

    dtype: torch.dtype
    bf16: bool
    channels_last: bool
    device_type: str
    fp16: bool = False

    def prepare(self, model: nn.Module) -> nn.Module:
        """Return the model with its weights in the right format and layout."""
        model = model.to(dtype=self.dtype)
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)
        return model

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context of a forward pass and its loss."""
        if not (self.bf16 or self.fp16):
            return nullcontext()
        return _autocast(self.device_type, torch.bfloat16 if self.bf16 else torch.float16)


@contextmanager
def _autocast(device_type: str, dtype: torch.dtype) -> Iterator[None]:
    with torch.autocast(device_type, dtype=dtype):
        yield


def has_float64(device: torch.device) -> bool:
    """Return True if the device computes in float64: all but Apple's GPUs do."""
    return device.type != "mps"


def check_precision(task: TaskSpec, device: torch.device) -> None:
    """Raise ``StudyFileError`` for a number format that the device does not train in."""
    if task.precision == "fp16" and device.type == "cpu":
        message, remedy = "is for GPUs only", 'Use precision = "bf16" on a CPU.'
    elif task.precision == "fp16" and device.type == "mps":
        message, remedy = "is for CUDA GPUs only", 'Use precision = "bf16".'
    elif task.precision == "float64" and not has_float64(device):
        message, remedy = "does not exist on Apple's GPUs", 'Use "float32", or resources.gpus = 0.'
    else:
        return
    raise StudyFileError(Problem("task", "precision", message, remedy, task.precision))


def precision_of(task: TaskSpec, device: torch.device) -> Precision:
    """Return a task's precision on a device; sets torch's process-wide switches to what the task asks for."""
    if device.type == "cuda":
        if task.deterministic:
            # cuBLAS reads it at its first use and is not deterministic without it.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.set_float32_matmul_precision("high" if task.precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = task.precision == "tf32"
        torch.backends.cudnn.benchmark = not task.deterministic
        torch.backends.cudnn.deterministic = task.deterministic
    if torch.are_deterministic_algorithms_enabled() != task.deterministic:
        # Even to leave it as it is, torch would import its compiler: a second in every process.
        torch.use_deterministic_algorithms(task.deterministic)
    return Precision(
        dtype=torch.float64 if task.precision == "float64" else torch.float32,
        bf16=task.precision == "bf16",
        channels_last=task.channels_last,
        device_type=device.type,
        fp16=task.precision == "fp16",
    )
