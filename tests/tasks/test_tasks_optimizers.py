"""Base optimizers: torch's own with the declared options, and what decays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lrstudy.catalog.task_parts import OPTIMIZERS
from lrstudy.errors import StudyFileError
from lrstudy.spec import ComponentSpec
from lrstudy.tasks import build_optimizer

# The catalog's names for what torch calls otherwise.
TORCH = {"beta1": lambda g: g["betas"][0], "beta2": lambda g: g["betas"][1]}


def build(name: str, model: nn.Module | None = None, **options) -> torch.optim.Optimizer:
    return build_optimizer(ComponentSpec(name=name, options=options), model or nn.Linear(3, 2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_declared_option_reaches_torch(name) -> None:
    parameters = [p for p in OPTIMIZERS[name].parameters if p.name != "weight_decay_on"]
    other = {"bool": True, "float": 0.25}
    given = {p.name: other[p.type] for p in parameters if not (name == "sgd" and p.name == "nesterov")}
    for options in ({}, given):
        (group,) = build(name, **options).param_groups
        for parameter in parameters:
            expected = options.get(parameter.name, parameter.default)
            assert TORCH.get(parameter.name, lambda g, n=parameter.name: g[n])(group) == expected


def test_the_kinds() -> None:
    kinds = {name: type(build(name)).__name__ for name in OPTIMIZERS}
    assert kinds == {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}


def test_averaged_momentum_is_the_papers(task) -> None:
    """v ← βv + (1 − β)g, but for the first step, where torch takes v = g."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = build("sgd", model, lr=1.0, momentum=0.9, dampening=0.9)
    weights = [1.0]
    for gradient in (0.5, 0.2):
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        weights.append(model.weight.item())
    assert weights[1] == pytest.approx(0.5)
    assert weights[2] == pytest.approx(0.5 - (0.9 * 0.5 + 0.1 * 0.2))


def test_decay_on_kernels_spares_biases_and_batch_norm() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    decaying, others = build("sgd", model, weight_decay=1e-4, weight_decay_on="kernels").param_groups
    assert [tuple(p.shape) for p in decaying["params"]] == [(2, 1, 3, 3), (2, 8)]
    assert decaying["weight_decay"] == 1e-4
    assert len(others["params"]) == 4
    assert others["weight_decay"] == 0
    (everything,) = build("adamw", model, weight_decay=1e-4).param_groups
    assert len(everything["params"]) == 6


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    assert [tuple(p.shape) for p in build("adam", model).param_groups[0]["params"]] == [(2, 3)]


def test_what_torch_would_refuse_is_refused_in_a_study_files_words() -> None:
    for options in ({}, {"momentum": 0.9, "dampening": 0.5}):
        with pytest.raises(StudyFileError, match="nesterov = True: needs plain momentum"):
            build("sgd", nesterov=True, **options)
    with pytest.raises(StudyFileError, match="lr = 0: must be above 0"):
        build("sgd", lr=0)
    with pytest.raises(StudyFileError, match="Did you mean 'adam'"):
        build("adm")
