"""The losses: averaged over the rows of a batch, taking a model's raw outputs.

A user's own, ``module:attribute``, is a function ``loss(outputs, targets, **options)`` or the class of a
``torch.nn.Module``, which is called with the options once per trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from lrstudy.catalog.task_parts import LOSSES
from lrstudy.lipschitz.loss_functions import FUNCTIONS, LossFunction, as_rows
from lrstudy.rules.user_modules import UserCode, call, load
from lrstudy.rules.values import as_lists
from lrstudy.tasks.part_options import complete_options

if TYPE_CHECKING:
    from lrstudy.spec import ComponentSpec


class Loss(nn.Module):
    """A named loss: ``loss(outputs, targets)`` is a scalar.

    ``outputs`` (m, n) are logits or predictions; ``targets`` are class numbers (m,) for the losses of
    classification and numbers (m, n) for the others. Of sequences, (m, time, n) and (m, time), each position
    is a row.
    """

    def __init__(self, name: str, function: LossFunction, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.name = name
        self.options = MappingProxyType(dict(options))
        self._function = function

    @property
    def for_constants(self) -> str | nn.Module:
        """The loss as ``LipschitzLR`` takes it: the module of a user's own, else the name."""
        return self._function if isinstance(self._function, nn.Module) else self.name

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, computed in float32 at least."""
        if outputs.dtype.itemsize < 4:  # under autocast; not every loss is on its list
            outputs = outputs.float()
        if targets.dim() > 1:
            outputs, targets = as_rows(outputs, targets)
        return self._function(outputs, targets, **self.options)

    def evaluated(self) -> Loss:
        """Return the loss of an evaluation: the same, without smoothed labels."""
        if not self.options.get("label_smoothing"):
            return self
        return Loss(self.name, self._function, {**self.options, "label_smoothing": 0.0})

    def extra_repr(self) -> str:
        """Name and options, for ``repr``."""
        return ", ".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


def build_loss(spec: ComponentSpec) -> Loss:
    """Return the loss that ``spec`` names.

    Raises ``StudyFileError`` for an unknown one or unusable options, ``ContractError`` for a user's own that
    cannot be loaded or called.
    """
    if ":" in spec.name:
        return _own(spec)
    component, options = complete_options("loss", spec.name, spec.options, LOSSES)
    return Loss(component.name, FUNCTIONS[component.name], options)


def _own(spec: ComponentSpec) -> Loss:
    code, options = UserCode(spec.name, "task", "loss"), as_lists(dict(spec.options))
    function = load(code)
    if not isinstance(function, type):
        return Loss(spec.name, function, options)
    module = call(code, function, options=options, seed=0)
    if not isinstance(module, nn.Module):
        remedy = "Name a function of outputs and targets, or the class of a torch.nn.Module."
        code.refuse(f"returned {type(module).__name__}", remedy)
    if any(True for _ in module.parameters()):
        code.refuse("has parameters, which nothing trains", "Make them a part of the model.")
    return Loss(spec.name, module, {})
