"""Arguments that cannot be used: refused at once, all together, with what would do instead."""

from __future__ import annotations

import math

import pytest
import torch
from lipschitz_nets import fresh_random_state, small_net
from torch import nn
from torch.optim import SGD, Adagrad, Adam

from lrstudy import LipschitzLR
from lrstudy.errors import SchedulerError
from lrstudy.lipschitz import LOSSES, RULES, find_head

_seeded = pytest.fixture(autouse=True)(fresh_random_state)


class Deep(nn.Module):
    """A head that is not registered last in the outermost module."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 4))
        self.top = nn.ModuleDict({"classifier": nn.Sequential(nn.Dropout(), nn.Linear(4, 3), nn.Identity())})
        self.pool = nn.MaxPool2d(2)


def test_the_last_linear_layer_is_found_however_deep():
    model = Deep()
    head = model.top["classifier"][1]
    for wrapped in (
        model,
        nn.DataParallel(model),
        torch.compile(model),
        nn.Sequential(nn.DataParallel(model)),
    ):
        assert find_head(wrapped) is head
    assert find_head(nn.Linear(2, 2)).out_features == 2


def test_a_head_can_be_named_through_wrappers():
    model = Deep()
    other = model.body[2]
    for wrapped in (
        model,
        nn.DataParallel(model),
        torch.compile(model),
        torch.compile(nn.DataParallel(model)),
    ):
        assert find_head(wrapped, "body.2") is other
        assert find_head(wrapped, other) is other


def _refused(expected: str, optimizer=None, model=None, **options) -> SchedulerError:
    model = model or small_net()
    parameters = list(model.parameters()) or [torch.zeros(1, requires_grad=True)]
    make = optimizer or (lambda p: SGD(p, lr=0.1))
    with pytest.raises(SchedulerError, match=expected) as caught:
        LipschitzLR(make(parameters), model, **options)
    assert isinstance(caught.value, ValueError)
    assert all(problem.remedy for problem in caught.value.problems)
    return caught.value


def test_a_model_without_a_linear_layer():
    error = _refused("no torch.nn.Linear", model=nn.Sequential(nn.Conv2d(1, 2, 3)))
    assert "head=" in str(error)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("fourth", "names no layer"),
        ("1", "no in_features"),
        (nn.Linear(2, 2), "is no layer of the model"),
    ],
)
def test_a_head_that_is_none(head, expected):
    assert "Known: 0, 2" in str(_refused(expected, head=head)) or "Did you mean" in str(
        _refused(expected, head=head)
    )


def test_a_lazy_layer_and_a_model_that_is_none():
    model = nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))
    with pytest.raises(SchedulerError, match="no weights yet"):
        LipschitzLR(SGD(model[0].parameters(), lr=0.1), model)
    with pytest.raises(SchedulerError, match=r"not a torch\.nn\.Module"):
        LipschitzLR(SGD(model[0].parameters(), lr=0.1), lambda x: x)


@pytest.mark.parametrize("loss", ["cross-entropi", "focal", 3, nn.NLLLoss(), nn.KLDivLoss()])
def test_a_loss_without_a_constant(loss):
    assert "has no constant" in str(_refused("has no constant", loss=loss))


def test_a_loss_that_is_not_known_names_those_that_are():
    assert all(name in str(_refused("constant", loss="zzzz")) for name in LOSSES)
    assert "'cross-entropy'" in str(_refused("constant", loss="cross-entropi"))


def test_a_loss_that_is_not_reduced():
    _refused("reduction='none'", loss=nn.MSELoss(reduction="none"), target_norm=1.0)


def test_cross_entropy_on_a_single_output():
    assert "binary-cross-entropy" in str(_refused("output per class", model=small_net(outputs=1)))


def test_an_optimizer_without_a_rule():
    error = _refused("Adagrad.*has no rule", optimizer=Adagrad)
    assert "RMSprop" in str(error)
    assert all(rule in str(error) for rule in RULES)
    named = LipschitzLR(Adagrad(small_net().parameters()), small_net(), rule="sgd")
    assert named.settings.rule == "sgd"


def test_rules_can_be_named_for_an_optimizer_with_one_of_its_own():
    model = small_net()
    adam = LipschitzLR(Adam(model.parameters(), betas=(0.8, 0.95)), model, rule="rmsprop-paper").settings
    assert (adam.rule, adam.beta2) == ("rmsprop-paper", 0.9)
    sgd = LipschitzLR(SGD(model.parameters(), lr=0.1, momentum=0.9), model, rule="sgd").settings
    assert (sgd.rule, sgd.damping) == ("sgd", 1.0)
    rms = torch.optim.RMSprop(model.parameters(), alpha=0.7)
    assert LipschitzLR(rms, model, rule="rmsprop-paper").settings.beta2 == 0.7


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fraction", 0.0),
        ("fraction", 1.1),
        ("initial_lr", 0.0),
        ("initial_lr", math.nan),
        ("scale", -1.0),
        ("scale", "2"),
        ("time_decay", -0.1),
        ("max_lr", math.inf),
        ("l2", -1e-4),
        ("batch_size", 0),
        ("tau", 1.0),
        ("delta", 0.0),
        ("measure", "hooks"),
        ("policy", "adapt"),
        ("norms", "al"),
        ("bound", "papr"),
        ("rule", "adam"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_in_it(key, value):
    [problem] = _refused(key, **{key: value}).problems
    assert (problem.where, problem.key) == ("LipschitzLR", key)


def test_everything_wrong_is_listed_at_once():
    error = _refused(
        "scale", optimizer=Adagrad, loss="zzzz", measure="pass", scale=-1, policy="later", rule=None
    )
    assert {problem.key for problem in error.problems} == {"optimizer", "loss", "batches", "scale", "policy"}


def test_batches_that_cannot_be_gone_over_each_epoch():
    _refused("goes over", measure="pass")
    _refused("goes over", measure="subset")
    _refused("only once", measure="pass", batches=iter([torch.zeros(2, 5)]))
    _refused("cannot be gone over", measure="pass", batches=7)


def test_a_squared_loss_without_its_targets():
    assert "target_norm=" in str(_refused("squared loss", loss="mse"))
    _refused("squared loss", loss="mse", batches=[torch.zeros(2, 5)])


def test_the_smoothness_of_a_loss_with_a_corner():
    _refused("slope jumps", loss="mae", bound="smoothness")


def test_momentum_that_leaves_nothing_of_the_gradient():
    _refused("nothing of the gradient", optimizer=lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=1.0))


class Adapted(nn.Module):
    """A trained layer before a frozen backbone, which another model may share."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.adapter = nn.Linear(5, 5)
        self.backbone = backbone

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.backbone(self.adapter(x))


def _two_on_one_backbone() -> tuple[Adapted, Adapted]:
    backbone = small_net().float().requires_grad_(False)
    return Adapted(backbone), Adapted(backbone)


def test_a_backbone_that_another_model_put_in_evaluation_mode_is_named_as_the_reason():
    model, other = _two_on_one_backbone()
    optimizer = SGD(model.adapter.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model)
    other.eval()
    assert model.training
    model(torch.ones(2, 5)).sum().backward()
    optimizer.step()
    with pytest.raises(SchedulerError, match="last linear layer in evaluation mode") as caught:
        scheduler.step()
    assert "A layer that another model shares" in str(caught.value)
    optimizer.zero_grad()
    model.train()  # the remedy
    model(torch.ones(2, 5)).sum().backward()
    optimizer.step()
    scheduler.step()
    assert scheduler.kz > 0


def test_calls_by_another_model_on_the_same_backbone_are_not_called_micro_batches():
    model, other = _two_on_one_backbone()
    optimizer = SGD([*model.adapter.parameters(), *other.adapter.parameters()], lr=0.1)
    scheduler = LipschitzLR(optimizer, model, loss="mse", batches=[(torch.ones(2, 5), torch.ones(2, 3))])
    (model(torch.ones(2, 5)) + other(torch.ones(2, 5))).sum().backward()
    optimizer.step()
    with pytest.raises(SchedulerError, match="was called 2 times in an optimizer step") as caught:
        scheduler.step()
    assert "another model that shares the layer" in str(caught.value)
