"""Whether the parts of a task fit each other, found out before a study starts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lrstudy.catalog.tasks import CLASSIFICATION_LOSSES
from lrstudy.errors import ContractError, InputError, Problem, StudyFileError
from lrstudy.tasks.data import TaskData
from lrstudy.tasks.losses import build_loss
from lrstudy.tasks.models import build_model
from lrstudy.tasks.optimizers import build_optimizer
from lrstudy.tasks.pipeline import Pipeline
from lrstudy.tasks.precision import precision_of

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec


def check_task(task: TaskSpec, data: TaskData) -> None:
    """Build the task's parts and take one step on a few rows, on the CPU.

    Raises ``InputError`` with all that does not fit: ``StudyFileError`` for names, options and parts that
    do not go together, ``ContractError`` for a model that breaks its contract.
    """
    if (data.classes is not None) != (task.loss.name in CLASSIFICATION_LOSSES):
        kind = "numbers" if data.classes is None else "classes"
        remedy = "Use a loss of classification." if data.classes is not None else "Use least-squares, say."
        message = f"does not fit {data.name!r}, whose targets are {kind}"
        raise StudyFileError(Problem("task", "loss", message, remedy, task.loss.name))
    cpu = torch.device("cpu")
    pipeline = Pipeline(data, task, cpu)
    model = build_model(task.model, pipeline.input_shape, pipeline.outputs, seed=0)
    build_optimizer(task.optimizer, model)
    problems = list(_problems(task, pipeline, model))
    if problems:
        raise ContractError(problems)


def _problems(task: TaskSpec, pipeline: Pipeline, model: nn.Module) -> Iterator[Problem]:
    def problem(message: str, remedy: str) -> Problem:
        return Problem("task", "model", message, remedy, task.model.name)

    if not any(parameter.requires_grad for parameter in model.parameters()):
        yield problem("has nothing to train", "Give it parameters with requires_grad.")
        return
    if task.model.is_users_own and not _same(
        model, build_model(task.model, pipeline.input_shape, pipeline.outputs, seed=0)
    ):
        remedy = "Draw its weights from torch's own random state, and keep none between calls."
        yield problem("gives other weights for the same seed", remedy)
    try:
        torch.save(model.state_dict(), io.BytesIO())
    except Exception as error:  # noqa: BLE001 - pickling runs the user's code
        message = f"has a state that cannot be pickled: {type(error).__name__}: {error}"
        yield problem(message, "Keep only tensors and plain values in its state: checkpoints hold it.")
    yield from _step_problems(task, pipeline, model)


def _same(model: nn.Module, other: nn.Module) -> bool:
    ours, theirs = model.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(value, theirs[name]) for name, value in ours.items() if isinstance(value, Tensor)
    )


def _step_problems(task: TaskSpec, pipeline: Pipeline, model: nn.Module) -> Iterator[Problem]:
    def problem(message: str, remedy: str) -> Problem:
        return Problem("task", "model", message, remedy, task.model.name)

    precision = precision_of(task, torch.device("cpu"))
    model = precision.prepare(model)
    inputs, targets = next(pipeline.batches("train", min(task.batch_size, 4)))
    state = torch.default_generator.get_state()  # dropout draws from it
    try:
        with precision.autocast():
            outputs = model(inputs)
            expected = (len(inputs), pipeline.outputs)
            if not isinstance(outputs, Tensor) or tuple(outputs.shape) != expected:
                got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
                message = f"maps {tuple(inputs.shape)} to {got}, not to {expected}"
                yield problem(message, "Return one row of outputs per input row.")
                return
            if not outputs.is_floating_point() or not outputs.requires_grad:
                message = f"gives outputs of type {outputs.dtype} that cannot be trained on"
                yield problem(message, "Return floating-point outputs that depend on its parameters.")
                return
            loss = build_loss(task.loss)(outputs, targets)
        loss.backward()
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's (or torchvision's) code raises
        message = f"fails on a batch of shape {tuple(inputs.shape)}: {type(error).__name__}: {error}"
        yield problem(message, "Make it take such a batch, or choose other data.")
    finally:
        torch.default_generator.set_state(state)
