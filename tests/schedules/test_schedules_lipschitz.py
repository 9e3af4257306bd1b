"""The Lipschitz schedule in a study: its options, what it reports, and its warm-up."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from torch import nn

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.errors import SchedulerError
from lrstudy.lipschitz import LipschitzLR
from lrstudy.schedules import ScheduleContext, build_schedule


def linear(rows: int = 8) -> tuple[nn.Module, list[tuple[torch.Tensor, torch.Tensor]]]:
    """A softmax regression on rows of ones: Kz = √(4·rows), L = 2/(3·rows)·Kz."""
    model = nn.Linear(4, 3)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model, [(torch.ones(rows, 4), torch.zeros(rows, dtype=torch.long))]


RATE = 12 / math.sqrt(32)  # 1/L of eight such rows


def at_work(params, *, momentum=0.0, weight_decay=0.0, epochs=3, loss="cross-entropy", options=None):
    model, batches = linear()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=momentum, weight_decay=weight_decay)
    context = ScheduleContext(optimizer, model, loss, options or {}, epochs, 1, lambda: batches, seed=0)
    schedule = build_schedule("lipschitz", params, context)

    def epoch() -> float:
        model.train()
        rate = optimizer.param_groups[0]["lr"]
        optimizer.zero_grad()
        for inputs, targets in batches:
            nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        schedule.after_step()
        schedule.after_epoch(0.5)
        return rate

    return schedule, epoch


def test_every_option_of_the_scheduler_is_a_parameter_of_the_kind() -> None:
    # What the training itself supplies, and what only a loop of one's own can.
    supplied = {"self", "optimizer", "model", "loss", "batches", "tau", "delta", "seed"}
    own_loop = {"batch_size", "target_norm", "last_epoch", "accumulate", "accumulated", "process_group"}
    options = inspect.signature(LipschitzLR).parameters
    declared = {parameter.name: parameter for parameter in SCHEDULES["lipschitz"].parameters}
    assert options.keys() - supplied - own_loop == declared.keys() - {"warmup"}
    for name in declared.keys() - {"warmup"}:
        assert options[name].default == declared[name].default


def test_the_optimizers_rate_holds_until_the_first_measurement() -> None:
    schedule, epoch = at_work({})
    assert schedule.measurement.constant is None
    assert [epoch(), epoch()] == pytest.approx([0.01, RATE])
    found = schedule.measurement
    assert found.kz == pytest.approx(math.sqrt(32))
    assert found.constant == pytest.approx(1 / RATE)
    assert found.weight_norm is not None


def test_an_initial_rate_takes_its_place() -> None:
    _, epoch = at_work({"initial_lr": 0.5})
    assert [epoch(), epoch()] == pytest.approx([0.5, RATE])


def test_a_pass_sets_the_first_rate_and_its_seconds_are_counted_once() -> None:
    schedule, epoch = at_work({"measure": "pass"})
    assert schedule.take_estimate_seconds() > 0
    assert schedule.take_estimate_seconds() == 0.0
    assert epoch() == pytest.approx(RATE)
    assert schedule.take_estimate_seconds() > 0


def test_no_measurement_is_made_for_an_epoch_that_does_not_come() -> None:
    schedule, epoch = at_work({"measure": "pass"}, epochs=1)
    schedule.take_estimate_seconds()
    epoch()
    assert schedule.take_estimate_seconds() == 0.0


def test_scale_limit_and_decay() -> None:
    _, epoch = at_work({"scale": 0.5})
    assert [epoch(), epoch()] == pytest.approx([0.01, RATE / 2])
    _, epoch = at_work({"max_lr": 0.7})
    assert [epoch(), epoch()] == pytest.approx([0.01, 0.7])
    _, epoch = at_work({"time_decay": 1.0})
    assert [epoch(), epoch(), epoch()] == pytest.approx([0.01, RATE / 2, RATE / 3])


def test_a_warmup_is_a_factor_on_the_rate_in_force() -> None:
    schedule, epoch = at_work({"measure": "pass", "warmup": 0.5}, epochs=6)
    assert [epoch() for _ in range(5)] == pytest.approx([RATE / 4, RATE / 2, RATE * 3 / 4, RATE, RATE])
    assert schedule.rate == pytest.approx(RATE)


def test_a_warmup_and_a_decay_multiply() -> None:
    _, epoch = at_work({"measure": "pass", "warmup": 0.5, "time_decay": 1.0}, epochs=4)
    assert [epoch() for _ in range(4)] == pytest.approx([RATE / 3, RATE / 2 * 2 / 3, RATE / 3, RATE / 4])


def test_the_losss_options_reach_the_constant() -> None:
    schedule, _ = at_work({"measure": "pass"}, loss="huber", options={"delta": 2.0})
    # δ·Kz/m, with three outputs averaged
    once = schedule.measurement.constant
    half, _ = at_work({"measure": "pass"}, loss="huber", options={"delta": 1.0})
    assert half.measurement.constant is not None
    assert once == pytest.approx(2 * half.measurement.constant)


def test_closing_takes_the_hooks_off_the_model() -> None:
    model, batches = linear()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    context = ScheduleContext(optimizer, model, "cross-entropy", {}, 3, 1, lambda: batches, seed=0)
    schedule = build_schedule("lipschitz", {"time_decay": 0.1}, context)
    assert len(model._forward_hooks) == 1
    schedule.close()
    assert len(model._forward_hooks) == 0


def test_a_loss_without_a_constant_is_refused() -> None:
    with pytest.raises(SchedulerError, match=r"has no .*constant"):
        at_work({}, loss="no-such-loss")
