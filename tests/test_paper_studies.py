"""The paper's table of experiments as studies: what decays in each, and the λ of each row."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from lrstudy.spec import Study, load_study
from lrstudy.spec.searched_values import study_of_trial
from lrstudy.tasks.models import build_model
from lrstudy.tasks.optimizers import build_optimizer

FOLDER = Path(__file__).parents[1] / "studies" / "paper"
STUDIES = sorted(path.stem for path in FOLDER.glob("cifar*.toml"))
# λ in L, which is Keras's decay in the same row: the column "weight decay" of Table 1 (arXiv 1902.07399).
LAMBDA = {"cifar10-resnet20": 1e-3, "momentum-adaptive-1e-2": 1e-2}
PENALTY = 2e-4  # of Keras's l2(1e-4), which is not halved


def loaded(name: str) -> Study:
    return load_study(FOLDER / f"{name}.toml")


def kernels(model: nn.Module, name: str) -> set[str]:
    """The weights that the scripts penalise: of a DenseNet the first convolution and the 1×1 ones alone."""
    found = {f"{at}.weight": module for at, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    if "densenet" not in name:
        return set(found)
    first = next(iter(found))
    return {at for at, module in found.items() if at == first or module.kernel_size == (1, 1)}


@pytest.mark.parametrize("name", STUDIES)
def test_the_penalty_is_on_the_layers_that_keras_penalises(name: str) -> None:
    study = loaded(name)
    task: Any = study.task
    model = build_model(task.model, (3, 32, 32), 10, 0)
    names = {id(parameter): at for at, parameter in model.named_parameters()}
    for schedule in study.schedules:
        own: Any = study_of_trial(study, schedule.name, schedule.fixed).task
        groups = build_optimizer(own.optimizer, model).param_groups
        penalised = {
            names[id(parameter)]: group["weight_decay"]
            for group in groups
            for parameter in group["params"]
            if group["weight_decay"]
        }
        assert penalised == dict.fromkeys(kernels(model, name), PENALTY), schedule.name


@pytest.mark.parametrize("name", [name for name in STUDIES if not name.endswith("-written")])
def test_as_coded_the_decay_over_time_is_the_lambda_of_the_row(name: str) -> None:
    methods = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["methods"]
    for method, table in methods.items():
        expected = LAMBDA.get(method, LAMBDA.get(name, 1e-4))
        if table["schedule"] == "inverse-time":
            assert table["decay"] == expected, method
        else:
            assert (table["l2"], table["time_decay"], table["norms"]) == (expected, expected, "all"), method


@pytest.mark.parametrize("name", [name for name in STUDIES if name.endswith("-written")])
def test_as_written_nothing_decays_over_time_and_the_loss_is_not_clipped(name: str) -> None:
    file = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    assert file["task"]["loss"] == "cross-entropy"
    assert not [key for table in file["methods"].values() for key in table if key in ("time_decay", "decay")]
