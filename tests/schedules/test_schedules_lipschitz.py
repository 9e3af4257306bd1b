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
            value = nn.functional.cross_entropy(model(inputs), targets)
            value.backward()
            if schedule.needs_loss:
                schedule.before_step(value)
        optimizer.step()
        schedule.after_step()
        schedule.after_epoch(0.5)
        return rate

    return schedule, epoch


def test_every_option_of_the_scheduler_is_a_parameter_of_the_kind() -> None:
    # What the training itself supplies, and what only a loop of one's own can.
    supplied = {"self", "optimizer", "model", "loss", "batches", "tau", "delta", "seed"}
    own_loop = {"batch_size", "target_norm", "last_epoch", "accumulate", "accumulated", "process_group"}
    own_loop |= {"total_steps", "warmup_steps", "objective"}
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


def test_a_subset_is_drawn_from_the_batches_that_there_are(caplog: pytest.LogCaptureFixture) -> None:
    """A check shows a schedule one batch of a long epoch: that one, and no warning that none was seen."""
    for seed in range(8):
        model, batches = linear()
        context = ScheduleContext(
            torch.optim.SGD(model.parameters(), 0.01),
            model,
            "cross-entropy",
            {},
            epochs=3,
            steps_per_epoch=200,
            batches=lambda batches=batches: iter(batches),
            seed=seed,
            batch_count=1,
        )
        schedule = build_schedule("lipschitz", {"measure": "subset"}, context)
        assert schedule.measurement.kz == pytest.approx(math.sqrt(32))
        schedule.close()
    assert not caplog.records


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


@pytest.mark.parametrize(
    ("anneal", "factors"),
    [("cosine", [1, 0.75, 0.25]), ("linear", [1, 2 / 3, 1 / 3]), ("keras", [1, 1 / 40.1, 1 / 79.2])],
)
def test_rates_are_annealed_over_the_steps_of_the_study(anneal, factors) -> None:
    _, epoch = at_work({"measure": "pass", "anneal": anneal})
    assert [epoch() for _ in range(3)] == pytest.approx([RATE * factor for factor in factors])


def test_a_cosine_or_a_line_begins_when_the_warmup_is_over() -> None:
    schedule, epoch = at_work({"measure": "pass", "warmup": 0.5, "anneal": "linear"}, epochs=4)
    assert [epoch() for _ in range(4)] == pytest.approx([RATE / 3, RATE * 2 / 3, RATE, RATE / 2])
    assert schedule.rate == pytest.approx(RATE / 2)  # after the last step it stays


def test_a_first_epoch_under_a_warmup_starts_below_the_rate_in_force() -> None:
    _, hook = at_work({"warmup": 0.05}, epochs=40)
    assert [hook() for _ in range(3)] == pytest.approx([0.01 / 3, RATE * 2 / 3, RATE])
    _, measured = at_work({"warmup": 0.05, "measure": "pass"}, epochs=40)
    assert [measured() for _ in range(3)] == pytest.approx([RATE / 3, RATE * 2 / 3, RATE])


def test_momentum_without_a_first_rate_starts_at_the_first_constant() -> None:
    for measure, first in (("hook", 0.01), ("pass", RATE / 10)):
        _, epoch = at_work({"measure": measure}, momentum=0.9)
        # Undamped momentum: 0.1/L makes the steps of 1/L.
        assert [epoch(), epoch()] == pytest.approx([first, RATE / 10])
    _, zero = at_work({"initial_k": 0.0}, momentum=0.9)
    assert [zero(), zero()] == pytest.approx([0.01, RATE])


def test_the_losses_of_the_steps_tell_the_cap_of_an_epoch_that_rose() -> None:
    schedule, epoch = at_work({"cap": "last-good"}, epochs=4)
    assert schedule.needs_loss
    assert [epoch(), epoch()] == pytest.approx([0.01, RATE])
    state = schedule.scheduler.rate.limits.state_dict()
    assert state["fell"]
    assert 0 < state["last_loss"] < math.log(3)  # the second epoch's: the first one's was log 3
    assert state["good_rate"] == pytest.approx(RATE)
    assert not at_work({})[0].needs_loss


@pytest.mark.parametrize(
    ("loss", "options"),
    [("clipped-cross-entropy", {"epsilon": 1e-3}), ("cross-entropy", {"label_smoothing": 0.1})],
)
def test_the_networks_curvature_is_that_of_the_studys_loss(loss, options) -> None:
    schedule, _ = at_work({"measure": "pass", "bound": "network"}, loss=loss, options=options)
    # At weights 0, p = 1/3: λ_max(diag(p) − ppᵀ) = 1/3, times 4 ones and the bias.
    assert schedule.measurement.constant == pytest.approx(5 / 3, rel=1e-5)


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
