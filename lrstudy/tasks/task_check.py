"""The check that the parts of a task fit each other, before a study starts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn

from lrstudy.catalog.task_parts import CLASSIFICATION_LOSSES, TORCHVISION
from lrstudy.compat.torch import BATCH_NORMS
from lrstudy.errors import NO_VALUE, ContractError, InputError, Problem, StudyFileError
from lrstudy.rules.user_modules import cause_of
from lrstudy.tasks.assembly import TrainingParts, assemble
from lrstudy.tasks.model_contract import build_models, contract_problems
from lrstudy.tasks.model_outputs import logits_of
from lrstudy.tasks.own_parts_check import loss_problems, optimizer_problems
from lrstudy.tasks.task_data import TaskData
from lrstudy.tasks.value_checks import value_problems

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec

_ROWS: Final = 4


def check_task(task: TaskSpec, data: TaskData, metric: str = "") -> None:
    """Build the task's parts and take one step on a few rows, on the CPU.

    ``metric`` is the study's, if that is to be checked too. Raises ``InputError`` with all that does not fit:
    ``StudyFileError`` for names, options and parts that do not go together,
    ``ContractError`` for data or a model that break their contract.
    """
    _check_loss(task, data)
    if task.loss.is_users_own and (problem := _metric_problem(data, metric)) is not None:
        raise StudyFileError(problem)
    if metric.endswith("_r2") and (problem := _r2_problem(data, metric)) is not None:
        raise StudyFileError(problem)
    state = torch.default_generator.get_state()  # dropout draws from it
    try:
        parts = assemble(task, data, torch.device("cpu"))
        parts.new_metrics()
        problems = (
            list(value_problems(task, data, parts.pipeline))
            if task.dataset.is_users_own and data.streams is None
            else []
        )
        problems += _problems(parts, data)
    finally:
        torch.default_generator.set_state(state)
    if problems:
        raise ContractError(problems)


def batch_warnings(task: TaskSpec, data: TaskData, sizes: Iterable[int] = ()) -> Iterator[Problem]:
    """Yield a warning if an epoch's last batch is under half of the others and the model has batch-norm.

    ``sizes`` are the batch sizes that trials may have, by default the task's own. Measured on digits
    (64-64-10, batches of 64, rate 0.3, 8 seeds): with 13 rows left over the validation accuracy at the
    epochs' ends has a standard deviation of 7.8 points, with 26 of 7.7, with 39 of 2.4, with none of 1.3.
    """
    rows = data.rows("train")
    sizes = sorted(sizes) or [task.batch_size]
    small = [size for size in sizes if rows >= size and rows % size >= 2 and 2 * (rows % size) < size]
    if task.drop_last or not small:
        return
    if any(isinstance(module, BATCH_NORMS) for module in _model(task, data).modules()):
        where = "" if len(sizes) == 1 else f" with {small[0]} rows a batch"
        others = (
            "" if len(small) == 1 else f", and {len(small) - 1:,} more of the sizes searched leave few too"
        )
        message = (
            f"leaves {rows % small[0]} rows for the last batch of every epoch{where}{others}: its step and "
            "its batch-norm are noisy, and evaluations come right after it"
        )
        remedy = "Write drop_last = true, or choose rows or batch_size so that no small batch is left."
        yield Problem("task", "batch_size", message, remedy, sizes[0] if len(sizes) == 1 else NO_VALUE)


def _model(task: TaskSpec, data: TaskData) -> nn.Module:
    state = torch.default_generator.get_state()  # a user's model may draw from it
    try:
        return assemble(task, data, torch.device("cpu")).model
    finally:
        torch.default_generator.set_state(state)


def _check_loss(task: TaskSpec, data: TaskData) -> None:
    """Raise ``StudyFileError`` for a loss of classes where the targets are numbers, or the reverse."""
    of_classes = task.loss.name in CLASSIFICATION_LOSSES
    if not task.loss.is_users_own and (data.classes is not None) != of_classes:
        raise StudyFileError(_loss_problem(task, data))


def _loss_problem(task: TaskSpec, data: TaskData) -> Problem:
    """Return the problem of a loss that does not fit the targets, with the form they need for it."""
    if data.classes is not None:
        message = f"does not fit {data.name!r}, whose targets are classes"
        remedy = "Use a loss of classification."
        if task.dataset.is_users_own:
            remedy = (
                "Integers are taken for class numbers: for a regression give targets.astype('float32'), "
                "else use a loss of classification."
            )
        return Problem("task", "loss", message, remedy, task.loss.name)
    message = f"does not fit {data.name!r}, whose targets are numbers"
    remedy = "Use a regression loss such as least-squares."
    targets = data.train.targets
    if targets.shape[1] == 1 and bool((targets == np.round(targets)).all()):
        message += ", whole ones stored as floating point"
        remedy = "For classes give integers: targets.astype(int); for a regression use least-squares."
    elif targets.shape[1] > 1 and bool(((targets == 0) | (targets == 1)).all()):
        if bool((targets.sum(1) == 1).all()):
            message += ", one-hot rows"
            remedy = "For classes give one whole number per row: targets.argmax(1)."
        else:
            message += ", several labels per row (multi-label)"
            remedy = "No classification loss takes several labels per row: use mse, or one class per row."
    return Problem("task", "loss", message, remedy, task.loss.name)


def _metric_problem(data: TaskData, metric: str) -> Problem | None:
    """Return the problem of a metric that is not measured on such targets."""
    classes = data.classes is not None
    if metric not in (("val_r2",) if classes else ("val_accuracy", "val_error")):
        return None
    message = f"is not measured on {data.name!r}, whose targets are {'classes' if classes else 'numbers'}"
    instead = "val_accuracy, val_error or val_loss" if classes else "val_r2 or val_loss"
    return Problem("target", "metric", message, f"Judge by {instead}.", metric)


def _r2_problem(data: TaskData, metric: str) -> Problem | None:
    """Return the problem of a split on which R² is not defined, because a target does not vary."""
    for name, split in data.splits.items():
        if data.classes is None and bool((split.targets == split.targets[0]).all(axis=0).any()):
            rows = len(split.targets)
            message = (
                f"is not defined: a target does not vary in the {name} split ({rows} row{'s' * (rows > 1)})"
            )
            remedy = "Give that split more rows, or judge by val_loss."
            return Problem("target", "metric", message, remedy, metric)
    return None


def _problems(parts: TrainingParts, data: TaskData) -> Iterator[Problem]:
    task, model = parts.task, parts.model

    def problem(message: str, remedy: str) -> Problem:
        return Problem("task", "model", message, remedy, task.model.name)

    if not any(parameter.requires_grad for parameter in model.parameters()):
        yield problem("has nothing to train", "Give it parameters with requires_grad.")
        return
    try:
        torch.save(model.state_dict(), io.BytesIO())
    except Exception as error:  # noqa: BLE001 - pickling runs the user's code
        message = f"has a state that cannot be pickled: {cause_of(error)}"
        yield problem(message, "Keep only tensors and plain values in its state: checkpoints hold it.")
    own = task.model.is_users_own and not task.model.name.startswith(TORCHVISION)
    models = build_models(task, data) if own else None
    inputs, targets = next(parts.pipeline.batches("train", min(task.batch_size, _ROWS)))
    in_step = list(step_problems(parts, inputs, targets))
    yield from in_step
    if models is not None and not in_step:
        try:
            yield from contract_problems(task, data, models, inputs, targets)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises
            message = f"fails when it is built again, evaluated or trained for a step: {cause_of(error)}"
            yield problem(message, "Make it run in both modes, as often as it is built.")


def check_step(task: TaskSpec, data: TaskData) -> TrainingParts:
    """Build the parts of a task and compute a step on a few rows, on the CPU; its gradients remain.

    Raises ``InputError`` as ``check_task`` does, for parts with values that a search may try.
    """
    _check_loss(task, data)
    state = torch.default_generator.get_state()
    try:
        parts = assemble(task, data, torch.device("cpu"))
        inputs, targets = next(parts.pipeline.batches("train", min(task.batch_size, _ROWS)))
        problems = list(step_problems(parts, inputs, targets))
    finally:
        torch.default_generator.set_state(state)
    if problems:
        raise ContractError(problems)
    return parts


def step_problems(parts: TrainingParts, inputs: Tensor, targets: Tensor) -> Iterator[Problem]:
    """Yield what is wrong with a training step on these rows; the gradients of a sound one remain."""

    def problem(message: str, remedy: str) -> Problem:
        return Problem("task", "model", message, remedy, parts.task.model.name)

    try:
        with parts.precision.autocast():
            outputs = logits_of(parts.model(inputs.clone()))
            positions = targets.shape[1:] if parts.classes is not None else ()  # of sequences
            expected = (len(inputs), *positions, parts.pipeline.outputs)
            if not isinstance(outputs, Tensor) or tuple(outputs.shape) != expected:
                got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
                message = f"maps {tuple(inputs.shape)} to {got}, not to {expected}"
                yield problem(message, "Return one row of outputs per input row.")
                return
            if not outputs.is_floating_point() or not outputs.requires_grad:
                message = f"gives outputs of type {outputs.dtype} that cannot be trained on"
                yield problem(message, "Return floating-point outputs that depend on its parameters.")
                return
            if not bool(torch.isfinite(outputs).any()):
                message = f"gives nothing but NaN or infinity for a batch of shape {tuple(inputs.shape)}"
                yield problem(message, "Correct it, or scale its inputs: it cannot be trained from there.")
                return
            if parts.task.loss.is_users_own and (found := list(loss_problems(parts.loss, outputs, targets))):
                yield from found
                return
            loss = parts.loss(outputs, targets)
        loss.backward()
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's (or torchvision's) code raises
        message = f"fails on a batch of shape {tuple(inputs.shape)}: {cause_of(error)}"
        yield problem(message, "Make it take such a batch, or choose other data.")
        return
    yield from optimizer_problems(parts)
