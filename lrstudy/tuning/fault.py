"""The kinds of fault that end an attempt at a trial without a result."""

from __future__ import annotations

import re
import traceback
from enum import StrEnum
from multiprocessing import connection

import torch
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
from torch.utils.data import dataloader

from lrstudy.safe_text import text_of

# Parts of the messages with which torch's CPU allocator reports that memory ran out.
_ALLOCATOR = ("can't allocate memory", "not enough memory")
# Part of the message with which Ray reports that it killed a worker because its machine's memory ran out.
_MEMORY_MONITOR = "running low on memory"
# Parts of the messages of torch's process groups in a rank whose peer has ended.
_PEER_ENDED = ("connection closed by peer", "connection reset by peer", "remote process exited")
# The messages of a DataLoader when a signal has ended one of its processes, or an unknown cause.
_LOADER_ENDED = re.compile(r"dataloader worker \(pid.*?\) (is killed by signal|exited unexpectedly$)")


class Fault(StrEnum):
    """The reason why an attempt ended without a result."""

    LOST = "lost worker"
    MEMORY = "out of memory"
    ERROR = "error"
    STUCK = "stuck"


class RankError(Exception):
    """The error of one of the workers that train a trial together; ``text`` has its traceback."""

    def __init__(self, rank: int, fault: Fault, text: str) -> None:
        super().__init__(rank, fault, text)
        self.fault, self.text = fault, f"in rank {rank}:\n{text}" if rank else text


def fault_in_rank(error: BaseException) -> Fault:
    """Return the kind of fault for an exception in one rank: the loss of another rank is its own loss too."""
    if isinstance(error, RuntimeError) and any(words in text_of(error).lower() for words in _PEER_ENDED):
        return Fault.LOST
    return fault_of(error)


def fault_of(error: BaseException | None) -> Fault:
    """Return the kind of fault for an exception that a trial raised, or that Ray raised for the trial."""
    if isinstance(error, RayTaskError):
        cause: BaseException | None = error.cause
        return fault_of(cause) if cause is not None else Fault.ERROR
    if isinstance(error, RankError):
        return error.fault
    if isinstance(error, MemoryError | torch.OutOfMemoryError | OutOfMemoryError):
        return Fault.MEMORY
    text = text_of(error).lower()
    if isinstance(error, RayActorError) and _MEMORY_MONITOR in text:
        return Fault.MEMORY
    if error is None or isinstance(error, RayError):
        return Fault.LOST
    if isinstance(error, RuntimeError) and any(words in text for words in _ALLOCATOR):
        return Fault.MEMORY
    return Fault.LOST if _reader_ended(error, text) or _reader_gone(error) else Fault.ERROR


def _reader_ended(error: BaseException, text: str) -> bool:
    """Return True if torch says that a DataLoader's process was killed, and not that it chose to end."""
    known = isinstance(error, RuntimeError) and _LOADER_ENDED.search(text) is not None
    return known and "with exit code" not in text_of(error.__cause__).lower()


def _reader_gone(error: BaseException) -> bool:
    """Return True if a DataLoader's process ended while it handed over a batch, before torch could know."""
    if not isinstance(error, OSError | EOFError):
        return False
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    return bool(files) and files[-1] == connection.__file__ and dataloader.__file__ in files
