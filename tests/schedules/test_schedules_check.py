"""The configurations that stand for a search space, and the walk of a user's own schedule."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler

from lrstudy.rules.user_modules import UserCode
from lrstudy.schedules import ScheduleContext
from lrstudy.schedules.dry_run import dry_run
from lrstudy.schedules.samples import MOST, sample_configurations
from lrstudy.spec import Choices, Range, ScheduleSpec


def space(**given: Any) -> ScheduleSpec:
    return ScheduleSpec(name="own", kind="m:f", fixed={"lr": 0.1}, space=given)


def test_the_middle_comes_first_and_every_corner_and_choice_is_among_them() -> None:
    found = sample_configurations(
        space(a=Range(0.01, 1.0, log=True), n=Range(1, 5, integer=True), c=Choices((0, (1, 2), None)))
    )
    assert found[0] == {"lr": 0.1, "a": pytest.approx(0.1), "n": 3, "c": (1, 2)}
    assert {params["c"] for params in found} == {0, (1, 2), None}
    assert {params["n"] for params in found} == {1, 3, 5}
    corners = {(params["a"] < 0.011, params["a"] > 0.99, params["n"]) for params in found}
    assert {(True, False, 1), (True, False, 5), (False, True, 1), (False, True, 5)} <= corners


def test_a_grid_tries_the_ends_and_a_sampler_only_what_is_between() -> None:
    asked = space(a=Range(0.5, 2.0))
    assert {0.5, 2.0} <= {params["a"] for params in sample_configurations(asked, ends=True)}
    assert all(0.5 < params["a"] < 2.0 for params in sample_configurations(asked))


def test_a_range_that_ends_at_another_parameter_follows_it() -> None:
    for params in sample_configurations(space(low=Range(0.01, "top"), top=Range(0.1, 1.0))):
        assert 0.01 < params["low"] < params["top"]


def test_a_large_space_is_sampled_up_to_a_limit_without_repeats() -> None:
    found = sample_configurations(space(**{name: Range(0.0, 1.0) for name in "abcdefgh"}))
    assert len(found) == MOST == len({str(params) for params in found})


def context(epochs: int = 4, steps: int = 5) -> ScheduleContext:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.4)
    return ScheduleContext(optimizer, torch.nn.Identity(), "", {}, epochs, steps, list, seed=0)


class Counting(LRScheduler):
    interval = "step"

    def get_lr(self) -> list[float]:
        return [float(self.last_epoch) for _ in self.base_lrs]


def test_a_walk_sees_each_steps_rate_and_ends_where_it_is_told() -> None:
    code = UserCode("test_schedules_check:Counting", "schedules.own", "kind")
    assert dry_run(code, {}, context, 100).rates == [float(step) for step in range(20)]
    assert dry_run(code, {}, context, 7).rates == [float(step) for step in range(7)]
