"""The worker process: a study's data, kept from one trial to the next, and its device."""

from __future__ import annotations

import gc
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch

from lrstudy.errors import LrStudyError
from lrstudy.rules.seeding import replicate_seed
from lrstudy.safe_text import safe_text, traceback_text
from lrstudy.spec import Study
from lrstudy.store import Location
from lrstudy.tasks import TaskData
from lrstudy.tuning.fault import RankError
from lrstudy.tuning.gpus import apple_gpu, training_device
from lrstudy.tuning.worker.pruned_lanes import PrunedLanes

_PACKAGE = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True, slots=True)
class Payload:
    """The inputs of every trial of a study; the data are a reference, so that each node receives them once.

    ``shared`` refers to ``(Study, TaskData)``; it is in a tuple because Ray would replace a bare reference by
    its value for every single trial. ``store`` is the study's folder, for checkpoints; ``search_path`` has
    the folders of users' own modules. ``pruned_lanes`` has the pruned trials of groups of lanes.
    """

    shared: tuple[ray.ObjectRef[Any]]
    key: str
    store: Location
    search_path: tuple[str, ...]
    pruned_lanes: PrunedLanes | None = None


@dataclass(slots=True)
class _Process:
    """The state that this worker process keeps from one trial to the next."""

    key: str = ""
    study: Study | None = None
    data: TaskData | None = None
    replicate: int = 1
    split: TaskData | None = None  # the data as that replicate splits them


_process = _Process()


def free_memory() -> None:
    """Free the memory of a failed trial: this process continues with others."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif apple_gpu():
        torch.mps.empty_cache()


def end_process() -> None:
    """End this process at once: a thread of a user's function cannot be ended in another way."""
    os._exit(0)


def has_loaded(payload: Payload) -> bool:
    """Return True if this process has the study and its data."""
    return _process.key == payload.key and _process.study is not None


def load(payload: Payload, replicate: int = 1) -> tuple[Study, TaskData | None]:
    """Return the study and its data as a replicate splits them, kept from one trial to the next.

    A user's training function has no data here: it loads its own.
    """
    if _process.key != payload.key or _process.study is None:
        sys.path += [folder for folder in payload.search_path if folder not in sys.path]
        _process.study, _process.data = ray.get(payload.shared[0])
        _process.key, _process.replicate, _process.split = payload.key, 1, _process.data
        _print_anything()
        _warm_up()
        _settle()
        torch.set_num_threads(_process.study.resources.cpus)
    if replicate != _process.replicate:
        _process.split, _process.replicate = None, 0  # the other split's memory is free first
        if replicate == 1:
            _process.split = _process.data
        elif _process.data is not None:
            seed = replicate_seed(_process.study.seed, replicate)
            _process.split = _process.data.resplit(_process.study.built_in, seed)
        _process.replicate = replicate
    return _process.study, _process.split


def _print_anything() -> None:
    """Let users' code print characters that the encoding lacks, as it can outside of Ray."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # Ray's stream delegates it
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _warm_up() -> None:
    """Let torch do the imports of its first step: on a busy machine they take seconds, but are no epoch's."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    weight.grad = torch.zeros(1)
    optimizer.step()


def _settle() -> None:
    """Exempt the objects that the imports made from garbage collection.

    A full pass over them takes tenths of a second, and short trials would trigger one again and again.
    """
    if gc.get_freeze_count() == 0:
        gc.freeze()  # without a pass before: the garbage that the imports left is not worth its time


def device_of(study: Study) -> torch.device:
    """Return the device on which this process trains a study's trials."""
    return training_device(study.resources.gpus)


def device_name(device: torch.device) -> str:
    """Return the name of a device for a trial's record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {device.type}"


def users_traceback(error: BaseException) -> str:
    """Return the traceback below lrstudy's own frames; for an ``LrStudyError`` only its text."""
    if isinstance(error, RankError):
        return error.text
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        error = error.__cause__  # Python wraps one that a generator raises, and a group's run is a generator
    return safe_text(str(error)) if isinstance(error, LrStudyError) else traceback_text(error, _PACKAGE)
