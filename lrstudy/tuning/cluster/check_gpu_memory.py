"""The check before a study starts that trials which share a GPU fit into its memory."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any, Final

import ray
import torch

from lrstudy.engine.step import build_step
from lrstudy.errors import ClusterError, Problem
from lrstudy.spec import Range, Resources, Study
from lrstudy.spec.hyperparameters import task_params
from lrstudy.spec.searched_values import study_of_trial
from lrstudy.tasks import TaskData, assemble

# Bytes that a process uses on a GPU besides its tensors: the CUDA context and the loaded kernels.
_CONTEXT: Final = 600 * 2**20
# The usable share of a GPU's memory: allocators fragment, and one trial may evaluate while others train.
_RESERVE: Final = 0.9
_STEPS: Final = 5  # enough for a captured step to be replayed: its graph holds memory too


def check_gpu_memory(
    study: Study, shared: ray.ObjectRef[Any], request: dict[str, float], search_path: tuple[str, ...]
) -> None:
    """Train some steps in a worker like a trial's; raise ``ClusterError`` if the trials do not fit.

    ``shared`` refers to ``(Study, TaskData)``, ``search_path`` has the folders of users' own modules. Does
    nothing unless trials share GPUs, nor for a user's training function: `lrstudy check` measures that.
    """
    if not 0 < study.resources.gpus < 1 or study.function is not None:
        return
    options: dict[str, Any] = {"num_cpus": request["CPU"], "num_gpus": request["GPU"]}
    options["resources"] = {name: amount for name, amount in request.items() if name not in ("CPU", "GPU")}
    task: Callable[..., Any] = ray.remote(max_calls=1)(_worker).options(**options).remote
    sizes = ray.get(task(shared, search_path))
    if sizes is not None and (problem := gpu_memory_problem(study.resources, *sizes)) is not None:
        raise ClusterError(problem)


def gpu_memory_problem(resources: Resources, each: int, total: int) -> Problem | None:
    """Return the problem if trials of ``each`` bytes do not fit into a GPU of ``total`` bytes, or None.

    >>> gpu_memory_problem(Resources(gpus=0.25), 2 * 2**30, 16 * 2**30)
    """
    sharing = math.floor(1 / resources.gpus)
    fit = int(_RESERVE * total / (each + _CONTEXT))
    if sharing <= fit:
        return None
    sizes = f"{(each + _CONTEXT) / 2**30:.1f} GiB each, of {total / 2**30:.1f}"
    message = f"{sharing} trials at once do not fit into a GPU's memory ({sizes})"
    remedy = f"Give gpus = {math.ceil(100 / fit) / 100:g} or more" if fit else "Make the batches smaller"
    return Problem("study", "resources.gpus", message, remedy, resources.gpus)


def _worker(shared: tuple[Study, TaskData], search_path: tuple[str, ...]) -> tuple[int, int] | None:
    """Return the bytes that a trial of the study reserves on this worker's GPU, and the GPU's total."""
    if not torch.cuda.is_available():
        return None  # Ray counts a GPU that torch does not support: trials run on the CPU
    sys.path += [folder for folder in search_path if folder not in sys.path]
    device = torch.device("cuda", 0)
    study, data = shared
    held = max(peak_bytes(each, data, device) for each in largest_trials(study))
    return held, torch.cuda.get_device_properties(device).total_memory


def largest_trials(study: Study) -> list[Study]:
    """Return the studies that need the most memory: each method with the largest values of its search."""
    found: dict[str, Study] = {}
    for schedule in study.schedules:
        values = task_params(schedule.fixed)
        for name, space in task_params(schedule.space).items():
            values[name] = space.high if isinstance(space, Range) else max(space.values, key=_size)
        trial = study_of_trial(study, schedule.name, values)
        found[repr(trial.task)] = trial
    return list(found.values())


def _size(value: Any) -> float:
    """Return a number that is larger for a choice that makes a trial larger, as far as it shows."""
    if isinstance(value, tuple):
        return sum(map(_size, value))
    return float(value) if isinstance(value, int | float) else 0.0


def peak_bytes(study: Study, data: TaskData, device: torch.device) -> int:
    """Return the memory that training steps and an evaluated batch reserve on a CUDA device (else 0)."""
    parts = assemble(study.built_in, data, device)
    step = build_step(parts, study.resources.step, shared=False)
    for batches in itertools.islice(parts.pipeline.train_steps(parts.order), _STEPS):
        step.over(batches)
    with torch.no_grad(), parts.precision.autocast():
        for inputs, _ in itertools.islice(parts.pipeline.batches("validation"), 1):
            parts.model(inputs)
    return int(torch.cuda.max_memory_reserved(device)) if device.type == "cuda" else 0
