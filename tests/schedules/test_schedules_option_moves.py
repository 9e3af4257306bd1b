"""Momentum and weight decay that move beside the rate: values by hand, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lrstudy.errors import SchedulerError
from lrstudy.schedules import ScheduleContext, build_schedule, curve


def options(moves: dict[str, Any], steps: int = 4) -> dict[str, tuple[float, ...]]:
    return dict(curve("fixed", {"lr": 0.1, **moves}, 1, steps).options)


def test_each_shape_at_every_step() -> None:
    ends = {"weight_decay.from": 0.1, "weight_decay.to": 0.001}
    linear = options(ends)["weight_decay"]
    assert linear == pytest.approx([0.1, 0.07525, 0.0505, 0.02575])
    cosine = options({**ends, "weight_decay.shape": "cosine"})["weight_decay"]
    assert cosine == pytest.approx([0.1, 0.0855017856687, 0.0505, 0.0154982143313])
    falling = options({**ends, "weight_decay.shape": "exponential"})["weight_decay"]
    assert falling == pytest.approx([0.1, 0.1 / 10**0.5, 0.01, 0.01 / 10**0.5])


def test_it_waits_for_its_start_and_stays_after_its_end() -> None:
    moves = {"momentum.from": 0.8, "momentum.to": 0.9, "momentum.start": 0.25, "momentum.end": 0.75}
    assert options(moves, 8)["momentum"] == pytest.approx([0.8, 0.8, 0.8, 0.825, 0.85, 0.875, 0.9, 0.9])


def context(optimizer: torch.optim.Optimizer, steps: int = 4) -> ScheduleContext:
    return ScheduleContext(optimizer, nn.Identity(), "", {}, 1, steps, list, seed=0)


def parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64)) for _ in range(2)]


def test_a_training_has_the_weights_of_one_whose_options_are_set_by_hand() -> None:
    ours, theirs = (torch.optim.SGD(parameters(), 0.1) for _ in range(2))
    moves = {
        "momentum.from": 0.5,
        "momentum.to": 0.9,
        "weight_decay.from": 0.4,
        "weight_decay.to": 0.0,
    }
    schedule = build_schedule("fixed", {"lr": 0.1, **moves}, context(ours))
    by_hand = [(0.5, 0.4), (0.6, 0.3), (0.7, 0.2), (0.8, 0.1)]
    for momentum, decay in by_hand:
        theirs.param_groups[0].update(momentum=momentum, weight_decay=decay)
        for optimizer in (ours, theirs):
            optimizer.zero_grad()
            sum(p.square().sum() for p in optimizer.param_groups[0]["params"]).backward()  # type: ignore[union-attr]
            optimizer.step()
        schedule.after_step()
    pairs = zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True)
    assert all(torch.allclose(one, other, rtol=1e-12) for one, other in pairs)
    assert ours.param_groups[0]["momentum"] == pytest.approx(0.8)  # after the last step it stays


def test_groups_keep_the_ratios_of_their_weight_decay_and_the_largest_is_given() -> None:
    first, second = parameters()
    groups = [{"params": [first], "weight_decay": 0.0}, {"params": [second], "weight_decay": 0.02}]
    third = {"params": parameters(), "weight_decay": 0.01}
    optimizer = torch.optim.AdamW([*groups, third], 0.1)
    schedule = build_schedule("fixed", {"weight_decay.to": 0.2}, context(optimizer))
    found = []
    for _ in range(4):
        found.append([group["weight_decay"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.after_step()
    assert found == [pytest.approx([0.0, d, d / 2]) for d in (0.02, 0.065, 0.11, 0.155)]


def test_of_adam_beta1_moves_from_its_own_value_and_beta2_stays() -> None:
    optimizer = torch.optim.Adam(parameters(), 0.1, betas=(0.9, 0.99))
    schedule = build_schedule("fixed", {"momentum.to": 0.5}, context(optimizer))
    betas = []
    for _ in range(4):
        betas.append(optimizer.param_groups[0]["betas"])
        optimizer.step()
        schedule.after_step()
    assert betas == [(pytest.approx(b), 0.99) for b in (0.9, 0.8, 0.7, 0.6)]


def test_the_table_of_a_study_file_is_taken_as_it_is() -> None:
    optimizer = torch.optim.SGD(parameters(), 0.1)
    build_schedule("fixed", {"momentum": {"from": 0.7, "to": 0.9}}, context(optimizer))
    assert optimizer.param_groups[0]["momentum"] == 0.7


def test_a_users_own_schedule_is_joined_too() -> None:
    optimizer = torch.optim.SGD(parameters(), 0.1, momentum=0.9)
    own = {"step_size": 1, "weight_decay.from": 0.1, "weight_decay.to": 0.0}
    schedule = build_schedule("torch.optim.lr_scheduler:StepLR", own, context(optimizer, 2))
    assert optimizer.param_groups[0]["weight_decay"] == 0.1
    optimizer.step()
    schedule.after_step()
    assert optimizer.param_groups[0]["weight_decay"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        ("lipschitz", {"momentum.from": 0.5}, "momentum: cannot move under 'lipschitz'"),
        ("lipschitz", {"weight_decay.to": 0.0}, "weight_decay: cannot move under 'lipschitz'"),
        ("dog", {"momentum.from": 0.5}, "comes with its own optimizer"),
        ("one-cycle", {"cycle_momentum": True, "momentum.from": 0.5}, "is moved by cycle_momentum already"),
        ("fixed", {"momentum.shape": "linear"}, "does not move. Give from, to or both"),
        ("fixed", {"momentum.from": 1.0}, "momentum.from = 1.0: must be below 1"),
        ("fixed", {"momentum.via": 0.5}, "is not a part of a move. Known: momentum.from, "),
        ("fixed", {"weight_decay.from": -1.0}, "must be at least 0"),
        ("fixed", {"weight_decay.from": 0.1, "weight_decay.start": 1.0}, "must be below 1"),
        (
            "fixed",
            {"weight_decay.from": 0.1, "weight_decay.start": 0.5, "weight_decay.end": 0.5},
            "is not below weight_decay.end, 0.5",
        ),
        (
            "fixed",
            {"weight_decay.to": 0.0, "weight_decay.from": 0.1, "weight_decay.shape": "exponential"},
            "weight_decay.to = 0.0: must be above 0 on an exponential",
        ),
        # What only the optimizer shows: an SGD without momentum and decay.
        ("fixed", {"momentum.to": 0.5}, "momentum.from: is not given, and the optimizer's own momentum must"),
        (
            "fixed",
            {"weight_decay.to": 0.1, "weight_decay.shape": "exponential"},
            "must be above 0 on an exponential, and is 0 in the optimizer",
        ),
    ],
)
def test_what_cannot_move_is_refused(kind: str, params: dict[str, Any], says: str) -> None:
    work = context(torch.optim.SGD(parameters(), 0.1))
    with pytest.raises(SchedulerError) as raised:
        build_schedule(kind, params, work)
    assert says in str(raised.value)


def test_an_optimizer_without_the_option_is_refused() -> None:
    for optimizer, params, says in [
        (torch.optim.Adagrad(parameters(), 0.1), {"momentum.from": 0.5}, "cannot move: Adagrad has none"),
        (torch.optim.Rprop(parameters(), 0.1), {"weight_decay.from": 0.5}, "cannot move: Rprop has none"),
    ]:
        with pytest.raises(SchedulerError, match=says):
            build_schedule("fixed", params, context(optimizer))


def test_groups_with_different_momenta_are_refused() -> None:
    first, second = parameters()
    groups = [{"params": [first], "momentum": 0.5}, {"params": [second], "momentum": 0.9}]
    with pytest.raises(SchedulerError, match="differs between the parameter groups"):
        build_schedule("fixed", {"momentum.to": 0.7}, context(torch.optim.SGD(groups, 0.1)))
    with pytest.raises(SchedulerError, match="is not known here"):
        curve("fixed", {"momentum.to": 0.7}, 1, 4)
