"""The stochastic Polyak step: its rates worked out by hand, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lrstudy.errors import SchedulerError
from lrstudy.schedules import Schedule, ScheduleContext, build_schedule


def context(*groups: list[float], lr: float = 10.0, steps_per_epoch: int = 4) -> ScheduleContext:
    """SGD over a parameter for each list; the rate of the second is a tenth of the first's, and so on."""
    params = [torch.nn.Parameter(torch.tensor(values, dtype=torch.float64)) for values in groups]
    optimizer = torch.optim.SGD([{"params": [p], "lr": lr * 0.1**i} for i, p in enumerate(params)])
    return ScheduleContext(
        optimizer, torch.nn.ParameterList(params), "", {}, 3, steps_per_epoch, list, seed=0
    )


def step(schedule: Schedule, loss_of: Any) -> float:
    """Take a step; return its rate."""
    schedule.optimizer.zero_grad()
    loss: Tensor = loss_of(*(p for group in schedule.optimizer.param_groups for p in group["params"]))
    loss.backward()
    schedule.before_step(loss)
    rate = schedule.rate
    schedule.optimizer.step()
    schedule.after_step()
    return rate


def half_square(*weights: Tensor) -> Tensor:
    return sum((w.square().sum() for w in weights), torch.zeros(())) / 2


def test_half_a_square_is_halved_at_each_step() -> None:
    # f = w²/2, g = w: f/(c·g²) = 1/(2c), whatever w is.
    work = context([3.0, -4.0])
    schedule = build_schedule("polyak", {"c": 1.0}, work)
    assert [step(schedule, half_square) for _ in range(3)] == pytest.approx([0.5, 0.5, 0.5])
    assert work.optimizer.param_groups[0]["params"][0].tolist() == pytest.approx([3 / 8, -4 / 8])


def test_with_c_of_a_half_a_square_is_solved_in_one_step_and_stays_there() -> None:
    work = context([3.0, -4.0])
    schedule = build_schedule("polyak", {}, work)
    assert step(schedule, half_square) == pytest.approx(1.0)
    assert step(schedule, half_square) == 10.0  # no gradient: the limit, which moves nothing
    assert work.optimizer.param_groups[0]["params"][0].tolist() == [0.0, 0.0]


def test_the_rate_is_at_most_max_lr_or_the_optimizers_own() -> None:
    assert step(build_schedule("polyak", {"max_lr": 0.3}, context([2.0])), half_square) == 0.3
    assert step(build_schedule("polyak", {}, context([2.0], lr=0.2)), half_square) == 0.2


def test_a_lower_bound_of_the_loss_is_subtracted_and_a_loss_below_it_stops() -> None:
    def raised(w: Tensor) -> Tensor:
        return half_square(w) + 1.0

    # (2 + 1 − 1)/(1·4)
    assert step(build_schedule("polyak", {"c": 1.0, "f_star": 1.0}, context([2.0])), raised) == 0.5
    assert step(build_schedule("polyak", {"c": 1.0, "f_star": 5.0}, context([2.0])), raised) == 0.0


def test_smoothing_lets_the_rate_grow_by_its_factor_in_an_epoch() -> None:
    # A line, f = w with w falling: the step would be f/c = w, far above the limit.
    schedule = build_schedule(
        "polyak", {"max_lr": 0.01, "smoothing": 16.0, "c": 1.0}, context([100.0], steps_per_epoch=4)
    )
    found = [step(schedule, lambda w: w.sum()) for _ in range(5)]
    assert found == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16])  # 16^(1/4) = 2 a step


def test_smoothing_follows_the_authors_recursion() -> None:
    # min(τ^(b/n)·γ, (f − f*)/(c·‖g‖²)), over losses that go up and down.
    generator = torch.Generator().manual_seed(0)
    curvatures = torch.rand(12, generator=generator, dtype=torch.float64) * 5 + 0.1
    schedule = build_schedule("polyak", {"max_lr": 0.5, "smoothing": 2.0, "c": 0.7}, context([1.0, 2.0]))
    w = torch.tensor([1.0, 2.0], dtype=torch.float64)
    rate = 0.5
    for number, a in enumerate(curvatures):
        gradient = a * w
        limit = rate if number == 0 else 2.0 ** (1 / 4) * rate
        rate = min(limit, float((a / 2 * w.square().sum()) / (0.7 * gradient.square().sum())))
        assert step(schedule, lambda p, a=a: a * half_square(p)) == pytest.approx(rate)
        w = w - rate * gradient


def test_smoothing_recovers_from_a_batch_whose_loss_is_the_bound() -> None:
    schedule = build_schedule("polyak", {"max_lr": 0.5, "smoothing": 2.0}, context([1.0]))
    assert step(schedule, lambda w: half_square(w) - 0.5) == 0.0
    assert step(schedule, half_square) > 0.0


def test_groups_keep_their_ratio_and_count_by_it() -> None:
    # f = (9 + 16)/2, Σ ρ·g² = 9 + 16/10.
    work = context([3.0], [4.0])
    schedule = build_schedule("polyak", {"c": 1.0}, work)
    rate = step(schedule, half_square)
    assert rate == pytest.approx(12.5 / 10.6)
    assert work.optimizer.param_groups[1]["lr"] == pytest.approx(rate / 10)


def test_a_warm_up_scales_the_rate() -> None:
    schedule = build_schedule("polyak", {"c": 1.0, "warmup": 0.25}, context([1.0]))  # 3 of 12 steps
    found = [step(schedule, half_square) for _ in range(5)]
    assert found == pytest.approx([0.5 * share for share in (0.25, 0.5, 0.75, 1.0, 1.0)])


def test_a_step_without_its_loss_is_refused_with_the_call_to_make() -> None:
    schedule = build_schedule("polyak", {}, context([1.0]))
    step(schedule, half_square)
    schedule.optimizer.step()
    with pytest.raises(SchedulerError, match=r"got none for step 1.*before_step\(loss\)"):
        schedule.after_step()


def test_another_optimizer_than_sgd_is_refused() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    adam = torch.optim.Adam([parameter])
    work = ScheduleContext(adam, torch.nn.Identity(), "", {}, 1, 4, list, seed=0)
    with pytest.raises(SchedulerError, match="is a rate for SGD, and the optimizer is Adam"):
        build_schedule("polyak", {}, work)
