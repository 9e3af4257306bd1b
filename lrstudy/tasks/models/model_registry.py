"""From a model's name, the shape of its inputs and a seed to the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from lrstudy.catalog.task_parts import MODELS, TORCHVISION
from lrstudy.errors import Problem, StudyFileError
from lrstudy.tasks.models.dense import linear, mlp
from lrstudy.tasks.models.densenet import densenet
from lrstudy.tasks.models.paper_cnn import paper_cnn
from lrstudy.tasks.models.resnet import resnet_v1, resnet_v2
from lrstudy.tasks.models.torchvision_models import torchvision_classifier, torchvision_names
from lrstudy.tasks.part_options import complete_options

if TYPE_CHECKING:
    from lrstudy.spec import ComponentSpec

BUILDERS: Final[Mapping[str, Callable[..., nn.Module]]] = MappingProxyType(
    {
        "softmax-regression": linear,
        "logistic-regression": linear,
        "linear-regression": linear,
        "mlp": mlp,
        "paper-cnn": paper_cnn,
        "resnet-8-v1": partial(resnet_v1, depth=8),
        "resnet-20-v1": partial(resnet_v1, depth=20),
        "resnet-56-v2": partial(resnet_v2, depth=56),
        "resnet-164-v2": partial(resnet_v2, depth=164),
        "densenet-40-12": partial(densenet, depth=40, growth=12),
    }
)
"""``builder(input_shape, outputs, **options)`` for each model of the catalog."""

FOR_IMAGES: Final = frozenset(
    {"paper-cnn", "resnet-8-v1", "resnet-20-v1", "resnet-56-v2", "resnet-164-v2", "densenet-40-12"}
)


def build_model(spec: ComponentSpec, input_shape: tuple[int, ...], outputs: int, seed: int) -> nn.Module:
    """The model that ``spec`` names, on the CPU, in training mode; its weights depend on ``seed`` alone.

    ``input_shape`` is the shape of one row. The process's random state stays as it was. Raises
    ``StudyFileError`` for an unknown name, unusable options or inputs the model cannot take, and
    ``ContractError`` for a user's own model that breaks the contract.
    """
    with _seeded(seed):
        model = _build(spec, input_shape, outputs)
        if any(is_lazy(parameter) for parameter in model.parameters()):
            # Lazy layers take their sizes from a first batch.
            with torch.no_grad():
                model.eval()(torch.zeros(2, *input_shape))
    return model.train()


def _build(spec: ComponentSpec, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    if spec.name.startswith(TORCHVISION):
        return _from_torchvision(spec, spec.name.removeprefix(TORCHVISION), input_shape, outputs)
    if ":" in spec.name:
        from lrstudy.tasks.user_code import make_model

        return make_model(spec, input_shape, outputs)
    if spec.name not in MODELS and spec.name in torchvision_names():
        return _from_torchvision(spec, spec.name, input_shape, outputs)
    component, options = complete_options("model", spec.name, spec.options, MODELS)
    if component.name in FOR_IMAGES:
        _require_image(spec.name, input_shape)
    return BUILDERS[component.name](input_shape, outputs, **options)


def _from_torchvision(
    spec: ComponentSpec, name: str, input_shape: tuple[int, ...], outputs: int
) -> nn.Module:
    _require_image(spec.name, input_shape)
    return torchvision_classifier(name, input_shape, outputs, spec.options)


def _require_image(name: str, input_shape: tuple[int, ...]) -> None:
    if len(input_shape) != 3:
        message = f"needs images, rows of shape (channels, height, width), not {input_shape}"
        remedy = "Choose a data set of images, or a model such as mlp."
        raise StudyFileError(Problem("task", "model", message, remedy, name))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    # torch.manual_seed would seed the accelerators' generators too, and nothing here is drawn there.
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable values."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
