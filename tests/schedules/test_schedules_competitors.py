"""The competitors: what they take over from the study's optimizer, and the weights they are judged by."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.errors import InputError
from lrstudy.schedules import Schedule, ScheduleContext, build_schedule

PACKAGES = {
    "prodigy": ("prodigyopt", "prodigyopt"),
    "d-adaptation": ("dadaptation", "dadaptation"),
    "schedule-free": ("schedulefree", "schedulefree"),
    "dog": ("dog", "dog-optimizer"),
    "adamg": ("pytorch_optimizer", "pytorch-optimizer"),
}


class Work:
    """A regression with batch-norm and dropout, float64, under a competitor."""

    def __init__(
        self, kind: str, params: dict[str, Any], optimizer: str = "sgd", *, normalised: bool = True
    ) -> None:
        pytest.importorskip(PACKAGES[kind][0], reason="needs lrstudy[competitors]")
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(4, 16, 3, generator=generator, dtype=torch.float64)
        self.data = [(x, x @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64) + 1) for x in inputs]
        torch.manual_seed(0)
        middle = [nn.BatchNorm1d(8)] if normalised else []
        self.model = nn.Sequential(nn.Linear(3, 8), *middle, nn.Tanh(), nn.Linear(8, 1)).double()
        base = {
            "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.8, weight_decay=0.01),
            "adam": lambda p: torch.optim.Adam(p, betas=(0.8, 0.99), weight_decay=0.01),
            "adamw": lambda p: torch.optim.AdamW(p, betas=(0.8, 0.99), weight_decay=0.01),
        }[optimizer](self.model.parameters())
        self.schedule: Schedule = build_schedule(
            kind, params, ScheduleContext(base, self.model, "mse", {}, 50, 4, self._batches, seed=0)
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self.data

    def train_epoch(self) -> None:
        self.model.train()
        self.schedule.before_training()
        for inputs, targets in self.data:
            self.schedule.optimizer.zero_grad()
            nn.functional.mse_loss(self.model(inputs), targets).backward()
            self.schedule.optimizer.step()
            self.schedule.after_step()

    @torch.no_grad()
    def evaluate(self) -> float:
        self.model.eval()
        self.schedule.before_evaluation()
        assert not any(module.training for module in self.model.modules())
        return float(sum(nn.functional.mse_loss(self.model(x), y) for x, y in self.data) / len(self.data))

    def weights(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.model.parameters()]


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_missing_extra_is_named(kind, monkeypatch) -> None:
    module, distribution = PACKAGES[kind]
    monkeypatch.setitem(sys.modules, module, None)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(InputError, match=rf"{distribution}, which is not installed.*lrstudy\[competitors\]"):
        build_schedule(kind, {}, ScheduleContext(optimizer, model, "", {}, 1, 4, list, seed=0))


@pytest.mark.parametrize(
    ("kind", "params", "base", "expected"),
    [
        ("prodigy", {}, "sgd", "Prodigy"),
        ("d-adaptation", {}, "sgd", "DAdaptSGD"),
        ("d-adaptation", {}, "adamw", "DAdaptAdam"),
        ("d-adaptation", {"base": "adam"}, "sgd", "DAdaptAdam"),
        ("schedule-free", {}, "sgd", "SGDScheduleFree"),
        ("schedule-free", {}, "adam", "AdamWScheduleFree"),
        ("dog", {}, "sgd", "DoG"),
        ("dog", {"layerwise": True}, "adam", "LDoG"),
        ("adamg", {}, "adam", "AdamG"),
    ],
)
def test_the_optimizer_is_replaced_and_weight_decay_kept(kind, params, base, expected, capsys) -> None:
    optimizer = Work(kind, params, base).schedule.optimizer
    assert type(optimizer).__name__ == expected
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.01}
    assert capsys.readouterr().out == ""


def test_momentum_betas_and_the_kind_of_weight_decay_are_taken_over() -> None:
    assert Work("d-adaptation", {}, "sgd").schedule.optimizer.defaults["momentum"] == 0.8
    for kind in ("prodigy", "d-adaptation"):
        for base, decoupled in [("adam", False), ("adamw", True)]:
            defaults = Work(kind, {}, base).schedule.optimizer.defaults
            assert defaults["betas"] == (0.8, 0.99)
            assert defaults["decouple"] is decoupled
    assert Work("schedule-free", {"beta": 0.95}, "adam").schedule.optimizer.defaults["betas"] == (0.95, 0.99)


def test_dogs_first_movement_depends_on_batch_norm() -> None:
    assert Work("dog", {}).schedule.optimizer.defaults["reps_rel"] == 1e-4
    assert Work("dog", {}, normalised=False).schedule.optimizer.defaults["reps_rel"] == 1e-6


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_competitor_learns(kind) -> None:
    work = Work(kind, {"warmup": 0.05} if kind == "schedule-free" else {})
    before = work.evaluate()
    for _ in range(50):
        work.train_epoch()
    assert work.evaluate() < 0.3 * before


@pytest.mark.parametrize("kind", ["schedule-free", "dog"])
def test_evaluating_does_not_change_what_is_trained(kind) -> None:
    often, never = Work(kind, {}), Work(kind, {})
    for _ in range(5):
        often.train_epoch()
        often.evaluate()
        often.evaluate()
        never.train_epoch()
    often.schedule.before_training()
    for one, other in zip(often.weights(), never.weights(), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_schedule_free_is_evaluated_at_the_average_of_its_iterates() -> None:
    work = Work("schedule-free", {"lr": 0.05, "beta": 0.9}, normalised=False)
    optimizer = work.schedule.optimizer
    iterates = []
    for inputs, targets in work.data:
        work.schedule.before_training()
        optimizer.zero_grad()
        nn.functional.mse_loss(work.model(inputs), targets).backward()
        optimizer.step()
        work.schedule.after_step()
        iterates.append([optimizer.state[p]["z"].clone() for p in work.model.parameters()])
    work.evaluate()
    for found, each in zip(work.weights(), zip(*iterates, strict=True), strict=True):
        assert torch.allclose(found, torch.stack(each).mean(dim=0))  # a constant rate weighs all alike


def test_schedule_free_gathers_batch_norm_statistics_at_the_evaluated_weights() -> None:
    work = Work("schedule-free", {"lr": 0.05})
    for _ in range(3):
        work.train_epoch()
    work.model.append(nn.Dropout(0.5))
    state = torch.random.get_rng_state()
    work.evaluate()
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        means = torch.stack([work.model[0](inputs).mean(dim=0) for inputs, _ in work.data]).mean(dim=0)
    assert torch.allclose(work.model[1].running_mean, means)


def test_dog_is_evaluated_at_the_average_of_its_iterates() -> None:
    work = Work("dog", {"reps_rel": 1e-2}, normalised=False)
    expected: list[Tensor] = []
    for step, (inputs, targets) in enumerate(work.data, start=1):
        work.schedule.optimizer.zero_grad()
        nn.functional.mse_loss(work.model(inputs), targets).backward()
        work.schedule.optimizer.step()
        work.schedule.after_step()
        weight = 9 / (8 + step)  # (1 + γ)/(t + γ), γ = 8
        new = work.weights()
        expected = [
            weight * x + (1 - weight) * (mean if expected else x)
            for x, mean in zip(new, expected or new, strict=True)
        ]
    iterate = work.weights()
    work.evaluate()
    for found, mean in zip(work.weights(), expected, strict=True):
        assert torch.allclose(found, mean)
    work.schedule.before_training()
    assert all(map(torch.equal, work.weights(), iterate))


def test_dog_without_average_is_evaluated_as_it_is() -> None:
    work = Work("dog", {"average": False})
    work.train_epoch()
    before = work.weights()
    work.evaluate()
    assert all(map(torch.equal, work.weights(), before))


def test_the_rate_is_the_step_size_in_effect() -> None:
    for kind in ("prodigy", "d-adaptation"):
        work = Work(kind, {"d0": 1e-4, "anneal": "none"})
        assert work.schedule.rate == pytest.approx(1e-4)
        for _ in range(20):
            work.train_epoch()
        assert work.schedule.rate > 1e-3
    free = Work("schedule-free", {"lr": 0.5, "warmup": 0.05})
    assert free.schedule.rate == pytest.approx(0.05)
    for _ in range(5):
        free.train_epoch()
    assert free.schedule.rate == pytest.approx(0.5)
    dog = Work("dog", {"reps_rel": 1e-2})
    dog.train_epoch()
    assert dog.schedule.rate > 0


def test_annealing_takes_the_factor_to_the_end_of_a_cosine() -> None:
    work = Work("prodigy", {"warmup": 0.1})
    factors = []
    for _ in range(50):
        work.train_epoch()
        factors.append(work.schedule.optimizer.param_groups[0]["lr"])
    assert factors[4] == pytest.approx(1.0)
    assert factors[-1] < 0.001


def test_a_competitor_is_marked_in_the_catalog() -> None:
    assert {kind for kind, component in SCHEDULES.items() if component.replaces_optimizer} == PACKAGES.keys()
    assert copy.copy(SCHEDULES["dog"]).tuning_free
