"""The optimizers, whose rates a schedule sets: lrstudy's names, and any other as ``module:attribute``.

The attribute is called with the groups of parameters and the options of the study file, as torch's own
classes are, and returns a ``torch.optim.Optimizer``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from torch import nn, optim

from lrstudy.catalog.task_parts import OPTIMIZERS
from lrstudy.compat.torch import make_optimizer
from lrstudy.errors import Problem, StudyFileError
from lrstudy.rules.user_modules import UserCode, call, load
from lrstudy.tasks.combined_optimizer import CombinedOptimizer
from lrstudy.tasks.parameter_groups import ParameterGroup, divide
from lrstudy.tasks.part_options import complete_options

if TYPE_CHECKING:
    from lrstudy.spec import ComponentSpec

_KINDS: Final[Mapping[str, Callable[..., optim.Optimizer]]] = MappingProxyType(
    {"sgd": optim.SGD, "rmsprop": optim.RMSprop, "adam": optim.Adam, "adamw": optim.AdamW}
)
_COLLECTION: Final = "pytorch_optimizer"
_Groups = list[dict[str, Any]]


def build_optimizer(spec: ComponentSpec, model: nn.Module) -> optim.Optimizer:
    """Return the optimizer that ``spec`` names over a model's trainable parameters.

    Raises ``StudyFileError`` for an unknown one, unusable options, or groups that do not fit the model, and
    ``ContractError`` for a user's own that cannot be called or leaves a parameter out.
    """
    options = {name: value for name, value in spec.options.items() if name != "groups"}
    if "groups" not in spec.options:
        return _build(spec.name, options, [ParameterGroup(None, _trainable(model), {})])
    groups = divide(model, spec.options["groups"])
    own = [group for group in groups if "optimizer" in group.table]
    base = [group for group in groups if "optimizer" not in group.table]
    parts = [_build(spec.name, options, base)] if base else []
    # A group with an optimizer of another name takes no option of the first.
    parts += [_build(group.table["optimizer"], {}, [group]) for group in own]
    return parts[0] if len(parts) == 1 else make_optimizer(CombinedOptimizer, parts)


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _build(name: str, options: dict[str, Any], groups: Sequence[ParameterGroup]) -> optim.Optimizer:
    if ":" in name:
        return _own(name, options, groups)
    tables: _Groups = []
    for group in groups:
        tables += _declared(name, options | group.options, group.parameters)
    defaults = {key: value for key, value in tables[0].items() if key not in ("params", "weight_decay")}
    return make_optimizer(_KINDS[name], tables, **defaults)


def _declared(name: str, given: Mapping[str, Any], parameters: list[nn.Parameter]) -> _Groups:
    """Return torch's groups for the options of one group, with a value for each; two where kernels decay."""
    component, options = complete_options("optimizer", name, given, OPTIMIZERS)
    plain = component.name != "sgd" or (options["momentum"] != 0 and options["dampening"] == 0)
    if options.get("nesterov") and not plain:
        remedy = "Give a momentum above 0 and leave dampening at 0, or drop nesterov."
        raise StudyFileError(Problem("task", "optimizer.nesterov", "needs plain momentum", remedy, True))
    decay, decay_on = options.pop("weight_decay"), options.pop("weight_decay_on")
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    return [{**table, **options} for table in _decaying(parameters, decay, decay_on)]


def _decaying(parameters: list[nn.Parameter], decay: float, decay_on: str) -> _Groups:
    """Return one group, or kernels with decay before the others without."""
    if not decay or decay_on == "all":
        return [{"params": parameters, "weight_decay": decay}]
    kernels = list(_kernels(parameters))
    known = {id(parameter) for parameter in kernels}
    others = [parameter for parameter in parameters if id(parameter) not in known]
    groups = [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _kernels(parameters: Iterable[nn.Parameter]) -> Iterator[nn.Parameter]:
    # Biases and the parameters of normalisation layers are vectors, in every torch layer.
    return (parameter for parameter in parameters if parameter.ndim > 1)


def _own(name: str, options: dict[str, Any], groups: Sequence[ParameterGroup]) -> optim.Optimizer:
    code = UserCode(name, "task", "optimizer")
    if name.startswith(f"{_COLLECTION}:") and find_spec(_COLLECTION) is None:
        code.refuse(
            f"needs the package {_COLLECTION}, which is not installed", "pip install 'lrstudy[optimizers]'"
        )
    tables: _Groups = [{"params": group.parameters, **group.options} for group in groups]
    optimizer = call(code, partial(make_optimizer, load(code)), tables, options=options, seed=0)
    if not isinstance(optimizer, optim.Optimizer):
        code.refuse(f"returned {type(optimizer).__name__}", "Return a torch.optim.Optimizer.")
    expected = [id(parameter) for group in groups for parameter in group.parameters]
    taken = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    if sorted(expected) != sorted(taken):
        message = f"was given {len(expected)} parameters and trains {len(taken)}"
        code.refuse(message, "Let it train all that it is given, each in one group.")
    return optimizer
