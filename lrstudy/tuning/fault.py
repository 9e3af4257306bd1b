"""The kinds of fault that end an attempt at a trial without a result."""

from __future__ import annotations

from enum import StrEnum

import torch
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from lrstudy.safe_text import text_of

# Parts of the messages with which torch's CPU allocator reports that memory ran out.
_ALLOCATOR = ("can't allocate memory", "not enough memory")
# Part of the message with which Ray reports that it killed a worker because its machine's memory ran out.
_MEMORY_MONITOR = "running low on memory"


class Fault(StrEnum):
    """The reason why an attempt ended without a result."""

    LOST = "lost worker"
    MEMORY = "out of memory"
    ERROR = "error"
    STUCK = "stuck"


def fault_of(error: BaseException | None) -> Fault:
    """Return the kind of fault for an exception that a trial raised, or that Ray raised for the trial."""
    if isinstance(error, RayTaskError):
        cause: BaseException | None = error.cause
        return fault_of(cause) if cause is not None else Fault.ERROR
    if isinstance(error, MemoryError | torch.OutOfMemoryError | OutOfMemoryError):
        return Fault.MEMORY
    text = text_of(error).lower()
    if isinstance(error, RayActorError) and _MEMORY_MONITOR in text:
        return Fault.MEMORY
    if error is None or isinstance(error, RayError):
        return Fault.LOST
    if isinstance(error, RuntimeError) and any(words in text for words in _ALLOCATOR):
        return Fault.MEMORY
    return Fault.ERROR
