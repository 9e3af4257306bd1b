"""The base optimizers, whose rates a schedule sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch import nn, optim

from lrstudy.catalog.task_parts import OPTIMIZERS
from lrstudy.compat.torch import make_optimizer
from lrstudy.errors import Problem, StudyFileError
from lrstudy.tasks.part_options import complete_options

if TYPE_CHECKING:
    from lrstudy.spec import ComponentSpec


def build_optimizer(spec: ComponentSpec, model: nn.Module) -> optim.Optimizer:
    """Return the optimizer that ``spec`` names over a model's trainable parameters.

    Raises ``StudyFileError`` for an unknown one or unusable options.
    """
    component, options = complete_options("optimizer", spec, OPTIMIZERS)
    decay, decay_on = options.pop("weight_decay"), options.pop("weight_decay_on")
    groups = _groups(model, decay, decay_on)
    match component.name:
        case "sgd":
            if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
                remedy = "Give a momentum above 0 and leave dampening at 0, or drop nesterov."
                problem = Problem("task", "optimizer.nesterov", "needs plain momentum", remedy, True)
                raise StudyFileError(problem)
            return make_optimizer(optim.SGD, groups, **options)
        case "rmsprop":
            return make_optimizer(optim.RMSprop, groups, **options)
        case "adam":
            return make_optimizer(optim.Adam, groups, **_with_betas(options))
    return make_optimizer(optim.AdamW, groups, **_with_betas(options))


def _with_betas(options: dict[str, Any]) -> dict[str, Any]:
    betas = (options["beta1"], options["beta2"])
    return {"betas": betas} | {key: value for key, value in options.items() if not key.startswith("beta")}


def _groups(model: nn.Module, decay: float, decay_on: str) -> list[dict[str, Any]]:
    """Return one group, or kernels with decay before the others without."""
    everything = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not decay or decay_on == "all":
        return [{"params": everything, "weight_decay": decay}]
    kernels = list(_kernels(everything))
    known = {id(parameter) for parameter in kernels}
    others = [parameter for parameter in everything if id(parameter) not in known]
    groups = [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _kernels(parameters: Iterable[nn.Parameter]) -> Iterator[nn.Parameter]:
    # Biases and the parameters of normalisation layers are vectors, in every torch layer.
    return (parameter for parameter in parameters if parameter.ndim > 1)
