"""Losses and optimizers by ``module:attribute``, groups of parameters, and the check of both."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest
import torch
from task_specs import make_task
from torch import nn

from lrstudy.errors import ContractError, InputError, StudyFileError
from lrstudy.schedules import ScheduleContext, build_schedule
from lrstudy.spec import ComponentSpec, TaskSpec
from lrstudy.tasks import Seeds, TaskData, assemble, build_loss, build_optimizer, check_task, load_data


class Frozen(torch.optim.Optimizer):
    """Takes the rate that it was built with, whatever its groups say."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})
        self.rate = lr

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= self.rate * parameter.grad


class Infinite(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter += group["lr"] * torch.inf


class Unpicklable(torch.optim.SGD):
    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"made": lambda: None}


def half(params: Any, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD([params[0]["params"][0]], lr=lr)


def no_optimizer(params: Any) -> int:
    return 3


def brier(outputs: torch.Tensor, targets: torch.Tensor, power: float = 2.0) -> torch.Tensor:
    wrong = torch.softmax(outputs, 1) - nn.functional.one_hot(targets, outputs.shape[1])
    return wrong.abs().pow(power).sum(1).mean()


class WithWeights(nn.Linear):
    def __init__(self) -> None:
        super().__init__(1, 1)


OWN = {
    "Frozen": Frozen, "Infinite": Infinite, "Unpicklable": Unpicklable, "half": half,
    "no_optimizer": no_optimizer, "brier": brier, "WithWeights": WithWeights,
    "rows": lambda outputs, targets: outputs.sum(1),
    "NoModule": dict, "nan": lambda outputs, targets: outputs.mean() * float("nan"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_parts() -> Iterator[None]:
    module = ModuleType("own_parts")
    vars(module).update(OWN)
    sys.modules["own_parts"] = module
    yield
    del sys.modules["own_parts"]


@pytest.fixture(scope="module")
def iris() -> TaskData:
    return load_data(make_task(dataset="iris"), 0, None)


def task(**keys: Any) -> TaskSpec:
    model = {"name": "mlp", "widths": [4]}
    return make_task(**({"dataset": "iris", "model": model, "batch_size": 16} | keys))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def optimizer(model: nn.Module, name: str, **options: Any) -> torch.optim.Optimizer:
    return build_optimizer(ComponentSpec(name=name, options=options), model)


def trained(spec: TaskSpec, data: TaskData, steps: int = 5) -> list[torch.Tensor]:
    parts = assemble(spec, data, torch.device("cpu"), Seeds(model=1))
    batch = next(parts.pipeline.batches("train", 16))
    for _ in range(steps):
        parts.optimizer.zero_grad()
        parts.loss(parts.model(batch[0]), batch[1]).backward()
        parts.optimizer.step()
    return [value.detach() for value in parts.model.parameters()]


@pytest.mark.parametrize(
    ("own", "builtin"),
    [
        (
            {"name": "torch.optim:SGD", "lr": 0.1, "momentum": 0.9},
            {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        ),
        ({"name": "torch.optim:AdamW", "lr": 0.01, "weight_decay": 0.0}, {"name": "adamw", "lr": 0.01}),
    ],
)
def test_torchs_own_by_name_trains_as_the_built_in(own: Any, builtin: Any, iris: TaskData) -> None:
    one, two = (trained(task(optimizer=spec), iris) for spec in (own, builtin))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("spec", ["own_parts:brier", {"name": "own_parts:brier", "power": 1.5}])
def test_a_function_is_a_loss(spec: Any, iris: TaskData) -> None:
    check_task(task(loss=spec), iris, "val_accuracy")
    outputs, targets = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    power = {} if isinstance(spec, str) else {"power": 1.5}
    assert build_loss(task(loss=spec).loss)(outputs, targets) == brier(outputs, targets, **power)


def test_a_module_of_torch_is_a_loss_and_trains_as_the_built_in(iris: TaskData) -> None:
    one, two = (trained(task(loss=spec), iris) for spec in ("torch.nn:CrossEntropyLoss", "cross-entropy"))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_lipschitz_rule_takes_a_loss_of_torch_and_refuses_others(iris: TaskData) -> None:
    def rate(loss: Any) -> float:
        parts = assemble(task(loss=loss), iris, torch.device("cpu"))
        context = ScheduleContext(
            optimizer=parts.optimizer,
            model=parts.model,
            loss_name=parts.loss.for_constants,
            loss_options={},
            epochs=1,
            steps_per_epoch=2,
            batches=lambda: parts.pipeline.batches("train", 16),
            seed=0,
        )
        return build_schedule("lipschitz", {"measure": "pass"}, context).rate

    assert rate("torch.nn:CrossEntropyLoss") == rate("cross-entropy")
    with pytest.raises(InputError, match="own_parts:brier"):
        rate("own_parts:brier")


@pytest.mark.parametrize("own", ["torch.optim:Rprop", "torch.optim:Adafactor"])
def test_the_lipschitz_rule_refuses_an_optimizer_whose_rule_is_unknown(own: str) -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    context = ScheduleContext(
        optimizer=optimizer(model, own),
        model=model,
        loss_name="cross-entropy",
        loss_options={},
        epochs=1,
        steps_per_epoch=2,
        batches=list,
        seed=0,
    )
    with pytest.raises(InputError, match="has no rule"):
        build_schedule("lipschitz", {}, context)
    build_schedule("lipschitz", {"rule": "sgd"}, context).close()


def test_groups_divide_the_parameters_by_their_names() -> None:
    model = network()
    made = optimizer(
        model,
        "adamw",
        lr=0.1,
        weight_decay=0.5,
        groups=[{"match": ["*.bias", "1.weight"], "weight_decay": 0.0}, {"match": "2.weight", "lr": 0.01}],
    )
    assert type(made) is torch.optim.AdamW
    rest, plain, head = made.param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    held = [[names[id(parameter)] for parameter in group["params"]] for group in made.param_groups]
    assert held == [["0.weight"], ["0.bias", "1.weight", "1.bias", "2.bias"], ["2.weight"]]
    assert [group["weight_decay"] for group in made.param_groups] == [0.5, 0.0, 0.5]
    assert (rest["lr"], plain["lr"], head["lr"]) == (0.1, 0.1, 0.01)


def test_groups_with_own_betas_keep_what_they_do_not_set() -> None:
    made = optimizer(network(), "adam", beta2=0.9, groups=[{"match": "*.bias", "beta1": 0.5}])
    assert [group["betas"] for group in made.param_groups] == [(0.9, 0.9), (0.5, 0.9)]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([{"match": "*.bais"}], "matches no parameter of the model"),
        ([{"match": "*.bias"}, {"match": "0.*"}], "matches 0.bias, which group 0 matches too"),
    ],
)
def test_a_pattern_that_does_not_fit_the_model_is_refused(groups: Any, words: str) -> None:
    with pytest.raises(StudyFileError, match=words):
        optimizer(network(), "sgd", groups=groups)


MUON = {
    "name": "torch.optim:Muon",
    "lr": 0.02,
    "groups": [{"match": "*.bias", "optimizer": "adamw", "lr": 0.002}],
}


def test_a_schedule_keeps_the_ratio_of_two_optimizers_rates() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    made = optimizer(model, **MUON)
    context = ScheduleContext(made, model, "cross-entropy", {}, 2, 5, list, 0)
    schedule = build_schedule("cosine", {"lr": 0.1}, context)
    rates = []
    for _ in range(10):
        rates.append([group["lr"] for group in made.param_groups])
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        made.step()
        schedule.after_step()
    assert rates[0] == pytest.approx([0.1, 0.01])
    assert all(second == pytest.approx(first / 10) for first, second in rates)
    assert rates[-1][0] < 0.01


def test_two_optimizers_continue_from_their_saved_state_bit_by_bit() -> None:
    def stepped(model: nn.Module, made: torch.optim.Optimizer, seeds: range) -> None:
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            made.param_groups[0]["lr"] *= 0.9
            made.step()

    models = [nn.Sequential(nn.Linear(3, 4)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    whole, first = (optimizer(model, **MUON) for model in models)
    stepped(models[0], whole, range(6))
    stepped(models[1], first, range(3))
    again = optimizer(models[1], **MUON)
    again.load_state_dict(first.state_dict())
    stepped(models[1], again, range(3, 6))
    for one, two in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, two)


def test_muon_for_matrices_and_adamw_for_biases_is_accepted(iris: TaskData) -> None:
    check_task(task(optimizer=MUON), iris, "val_accuracy")


REFUSED = {
    "muon alone": ({"optimizer": "torch.optim:Muon"}, "only supports 2D parameters"),
    "a closure": ({"optimizer": "torch.optim:LBFGS"}, "fails in its first step"),
    "no such class": ({"optimizer": "torch.optim:Mouon"}, "has no 'Mouon'"),
    "no such option": ({"optimizer": {"name": "torch.optim:SGD", "speed": 1}}, "unexpected keyword"),
    "fixed rate": ({"optimizer": "own_parts:Frozen"}, "whatever the lr in its groups"),
    "half of them": ({"optimizer": "own_parts:half"}, "was given 4 parameters and trains 1"),
    "no optimizer": ({"optimizer": "own_parts:no_optimizer"}, "returned int"),
    "no checkpoint": ({"optimizer": "own_parts:Unpicklable"}, "no checkpoint can hold"),
    "infinite steps": ({"optimizer": "own_parts:Infinite"}, "NaN or infinite"),
    "a sum": ({"loss": {"name": "torch.nn:CrossEntropyLoss", "reduction": "sum"}}, "a sum over the rows"),
    "a row each": ({"loss": {"name": "torch.nn:CrossEntropyLoss", "reduction": "none"}}, "not a scalar"),
    "other targets": ({"loss": "torch.nn:MSELoss"}, "fails on outputs"),
    "weights": ({"loss": "own_parts:WithWeights"}, "has parameters, which nothing trains"),
    "no module": ({"loss": "own_parts:NoModule"}, "returned dict"),
    "not a number": ({"loss": "own_parts:nan"}, "not finite"),
    "no loss": ({"loss": "own_parts:missing"}, "has no 'missing'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_part_that_breaks_its_contract_is_refused_before_a_study(name: str, iris: TaskData) -> None:
    keys, words = REFUSED[name]
    with pytest.raises(InputError) as caught:
        check_task(task(**keys), iris, "val_accuracy")
    part = "optimizer" if "optimizer" in keys else "loss"
    assert {problem.key.partition(".")[0] for problem in caught.value.problems} == {part}
    assert words in str(caught.value)


@pytest.mark.skipif(find_spec("pytorch_optimizer") is not None, reason="it is installed")
def test_the_collection_of_optimizers_is_named_where_it_is_missing(iris: TaskData) -> None:
    with pytest.raises(ContractError, match=r"pip install 'lrstudy\[optimizers\]'"):
        check_task(task(optimizer="pytorch_optimizer:Lion"), iris, "val_accuracy")


@pytest.mark.parametrize("name", ["Lion", "SOAP", "ScheduleFreeAdamW"])
def test_optimizers_of_the_collection_are_accepted_by_name(name: str, iris: TaskData) -> None:
    pytest.importorskip("pytorch_optimizer")
    check_task(task(optimizer={"name": f"pytorch_optimizer:{name}", "lr": 1e-3}), iris, "val_accuracy")


def test_the_check_leaves_the_weights_as_they_were(iris: TaskData) -> None:
    before = trained(task(optimizer=MUON), iris, 0)
    check_task(task(optimizer=MUON), iris, "val_accuracy")
    after = trained(task(optimizer=MUON), iris, 0)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_metric_of_numbers_is_refused_with_an_own_loss_of_classes(iris: TaskData) -> None:
    with pytest.raises(StudyFileError, match="whose targets are classes"):
        check_task(task(loss="own_parts:brier"), iris, "val_r2")
