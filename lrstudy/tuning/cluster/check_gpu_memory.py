"""The check, before a study starts, that the trials which share a GPU fit into its memory."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any, Final

import ray
import torch

from lrstudy.engine.step import PlainStep, build_step
from lrstudy.errors import ClusterError, Problem
from lrstudy.spec import Resources, Study
from lrstudy.tasks import Pipeline, TaskData, build_loss, build_model, build_optimizer, precision_of

# What a process holds on a GPU besides its tensors: the CUDA context and the kernels that were loaded.
_CONTEXT: Final = 600 * 2**20
# Allocators fragment, and evaluation may come while others train.
_RESERVE: Final = 0.9
_STEPS: Final = 5  # a captured step is replayed by then: its graph holds memory too


def check_packing(
    study: Study, shared: ray.ObjectRef[Any], request: dict[str, float], search_path: tuple[str, ...]
) -> None:
    """Train some steps in a worker as trials get it; raises ``ClusterError`` where that many do not fit.

    ``shared`` refers to ``(Study, TaskData)``, ``search_path`` is where users' own modules are. Does nothing
    where trials do not share GPUs.
    """
    if not 0 < study.resources.gpus < 1:
        return
    options: dict[str, Any] = {"num_cpus": request["CPU"], "num_gpus": request["GPU"]}
    options["resources"] = {name: much for name, much in request.items() if name not in ("CPU", "GPU")}
    task: Callable[..., Any] = ray.remote(max_calls=1)(_worker).options(**options).remote
    found = ray.get(task(shared, search_path))
    if found is not None and (problem := packing_problem(study.resources, *found)) is not None:
        raise ClusterError(problem)


def packing_problem(resources: Resources, each: int, total: int) -> Problem | None:
    """Return the problem when one trial holds ``each`` bytes of a GPU that has ``total``; None if they fit.

    >>> packing_problem(Resources(gpus=0.25), 2 * 2**30, 16 * 2**30)
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
    """Return the bytes that a trial of the study reserves on this worker's GPU, and all that it has."""
    if not torch.cuda.is_available():
        return None  # Ray counts a GPU that torch does not see: trials run on the CPU
    sys.path += [folder for folder in search_path if folder not in sys.path]
    device = torch.device("cuda", 0)
    held = peak_bytes(*shared, device)
    return held, torch.cuda.get_device_properties(device).total_memory


def peak_bytes(study: Study, data: TaskData, device: torch.device) -> int:
    """Return the memory that some training steps and an evaluated batch reserve on a CUDA device (else 0)."""
    pipeline = Pipeline(data, study.task, device)
    precision = precision_of(study.task, device)
    model = build_model(study.task.model, pipeline.input_shape, pipeline.outputs, 0)
    model = precision.prepare(model.to(device))
    optimizer = build_optimizer(study.task.optimizer, model)
    plain = PlainStep(model, build_loss(study.task.loss), precision, optimizer)
    step = build_step(study.resources.step, plain, device, None)
    generator = torch.Generator(device=device).manual_seed(0)
    for inputs, targets in itertools.islice(pipeline.train_batches(generator), _STEPS):
        step(inputs, targets)
    with torch.no_grad(), precision.autocast():
        for inputs, _ in itertools.islice(pipeline.batches("validation"), 1):
            model(inputs)
    return int(torch.cuda.max_memory_reserved(device)) if device.type == "cuda" else 0
