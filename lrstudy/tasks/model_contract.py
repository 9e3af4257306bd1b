"""The contract of a user's own model: trials share a process, and none may see what another has done.

The model is built several times and trained for a step, on a few rows and the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from lrstudy.errors import Problem
from lrstudy.tasks.assembly import Seeds, TrainingParts, assemble
from lrstudy.tasks.model_outputs import logits_of
from lrstudy.tasks.task_data import TaskData

if TYPE_CHECKING:
    from lrstudy.spec import TaskSpec

# Of the largest output: what two calls may differ by where sums run in another order.
_TOLERANCE: Final = 1e-4
# A model with this attribute starts from the same weights on purpose, for every seed.
FIXED_START: Final = "fixed_start"

_FROM_TORCH: Final = "Draw its weights from torch's own random state, and keep none between calls."
_OWN_COPY: Final = (
    "Build new layers in every call, and copy.deepcopy a pretrained part: a trial would "
    "continue with what the trial before it has trained."
)
_NO_SHARED_STATE: Final = (
    "Keep nothing between calls in module globals, class attributes or default arguments: "
    "trials share a process."
)
_NEW_SEEDS: Final = (
    "Leave out manual_seed and private generators: lrstudy seeds torch for every trial. "
    f"If all trials are to start from the same weights (pretrained), set {FIXED_START} = True on the model."
)

_IN_BUFFERS: Final = (
    "Keep what changes in training in parameters and buffers (register_buffer), and draw noise from "
    "torch's random state: an interrupted trial continues from the model's state_dict."
)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A model's state, and its outputs for some inputs in evaluation mode."""

    state: dict[str, Tensor]
    outputs: Tensor

    def same_state(self, other: _Snapshot) -> bool:
        return self.state.keys() == other.state.keys() and all(
            value.shape == other.state[name].shape
            and torch.allclose(value, other.state[name], rtol=0, atol=0, equal_nan=True)
            for name, value in self.state.items()
        )

    def same_outputs(self, other: _Snapshot) -> bool:
        return _close(self.outputs, other.outputs)


def build_models(task: TaskSpec, data: TaskData) -> tuple[TrainingParts, TrainingParts, TrainingParts]:
    """Build two models of one seed and one of another; do so before any model is trained."""
    return _build(task, data, 0), _build(task, data, 0), _build(task, data, 1)


def _build(task: TaskSpec, data: TaskData, seed: int) -> TrainingParts:
    return assemble(task, data, torch.device("cpu"), Seeds(model=seed))


def contract_problems(
    task: TaskSpec,
    data: TaskData,
    models: tuple[TrainingParts, TrainingParts, TrainingParts],
    inputs: Tensor,
    targets: Tensor,
) -> Iterator[Problem]:
    """Yield every breach of the contract by a user's own model, which can be trained on these rows."""

    def look(model: nn.Module) -> _Snapshot:
        model.eval()
        with torch.no_grad():
            outputs = logits_of(model(inputs.clone()))
        return _Snapshot(_state(model), outputs.detach().clone())

    def problem(message: str, remedy: str) -> Problem:
        return Problem("task", "model", message, remedy, task.model.name)

    parts, parts_again, parts_other = models
    first, again, other = parts.model, parts_again.model, parts_other.model
    if first is again or first is other:
        yield problem("gives the same model at every call", _OWN_COPY)
        return
    if (name := _shared(first, again) or _shared(first, other)) is not None:
        yield problem(f"gives models that share the tensor {name!r}", _OWN_COPY)
        return
    state = _state(first)
    before = look(first)
    twin, changed = look(first), _changed(state, before.state)
    if not before.same_outputs(twin):
        remedy = "Switch dropout and noise off where self.training is False, and count no calls."
        yield problem("gives other outputs for the same inputs in evaluation mode", remedy)
        return
    if changed is not None:
        remedy = "Change its state only if self.training is True: evaluation must not affect training."
        yield problem(f"changes {changed!r} in evaluation mode", remedy)
    copy, fresh = look(again), look(other)
    if not before.same_state(copy):
        yield problem("gives other weights for the same seed", _FROM_TORCH)
        return
    if not before.same_outputs(copy):
        yield problem("gives other outputs for the same seed, with the same weights", _FROM_TORCH)
        return
    if _starts_alike(first) and before.same_state(fresh) and before.same_outputs(fresh):
        yield problem("starts from the same weights for every seed", _NEW_SEEDS)
    _train(parts_other, inputs, targets)
    for model, message in (
        (first, "changes when another model that it gave is trained"),
        (_build(task, data, 0).model, "starts differently after another model was trained"),
    ):
        after = look(model)
        if not (before.same_state(after) and before.same_outputs(after)):
            yield problem(message, _NO_SHARED_STATE)
            return
    one, two = (_train(each, inputs, targets) for each in (parts, parts_again))
    if not _close(one, two):
        remedy = "Draw dropout and noise from torch's random state: it is seeded for every trial."
        yield problem("gives other outputs from the same random state while it trains", remedy)
        return
    continued = _build(task, data, 0)
    continued.model.load_state_dict(first.state_dict())
    alike = look(first).same_outputs(look(continued.model))
    one, two = (_train(each, inputs, targets) for each in (parts, continued))
    if not (alike and _close(one, two)):
        yield problem("gives other outputs after it is restored from its saved state", _IN_BUFFERS)
    if _seeds_torch(parts, inputs):
        remedy = "Leave manual_seed out of its forward: dropout would be the same in every trial and step."
        yield problem("sets torch's random state when it is called", remedy)


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of its floating-point parameters and buffers: a count of calls does no harm."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: value.detach().clone() for name, value in named if value.is_floating_point()}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> str | None:
    """The name of the first tensor that has other values."""
    for name, value in before.items():
        if not torch.equal(value.nan_to_num(), after[name].nan_to_num()):
            return name
    return None


def _shared(model: nn.Module, other: nn.Module) -> str | None:
    """The name of a parameter or buffer whose memory both models use."""
    theirs = {_memory(value) for value in [*other.parameters(), *other.buffers()]} - {0}
    named = [*model.named_parameters(), *model.named_buffers()]
    return next((name for name, value in named if _memory(value) in theirs), None)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.numel() else 0


def _close(one: Tensor, other: Tensor) -> bool:
    largest = one.abs().nan_to_num().max().item()
    return one.shape == other.shape and torch.allclose(
        one, other, rtol=_TOLERANCE, atol=_TOLERANCE * largest, equal_nan=True
    )


def _starts_alike(model: nn.Module) -> bool:
    """Return True if its weights should depend on the seed: they vary, and are not said to be fixed."""
    if getattr(model, FIXED_START, False):
        return False
    trained = [value for value in model.parameters() if value.requires_grad and value.numel()]
    return any(bool((value != value.flatten()[0]).any()) for value in trained)


def _train(parts: TrainingParts, inputs: Tensor, targets: Tensor) -> Tensor:
    """Take one step on the rows, from a fixed random state; returns the outputs before it."""
    torch.default_generator.manual_seed(0)
    parts.model.train()
    optimizer = parts.new_optimizer()
    with parts.precision.autocast():
        outputs: Tensor = logits_of(parts.model(inputs.clone()))
        loss = parts.loss(outputs, targets)
    loss.backward()
    optimizer.step()
    return outputs.detach().clone()


@torch.no_grad()
def _seeds_torch(parts: TrainingParts, inputs: Tensor) -> bool:
    """Return True if a forward pass, in either mode, leaves the same random state for any state before it."""
    for training in (True, False):
        parts.model.train(training)
        left: list[Tensor] = []
        for seed in (0, 1):
            torch.default_generator.manual_seed(seed)
            with parts.precision.autocast():
                parts.model(inputs.clone())
            left.append(torch.default_generator.get_state())
        if torch.equal(*left):
            return True
    return False
