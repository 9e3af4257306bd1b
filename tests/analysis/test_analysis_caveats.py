"""Tuning that no trial pays for is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from analysis_samples import LR, Sample, rising

from lrstudy.analysis import analyse
from lrstudy.store import StudyInfo


@dataclass
class WithOptimizer(Sample):
    """A sample whose rule trains with this optimizer and these parameters."""

    optimizer: Any = None
    fixed: dict[str, Any] = field(default_factory=dict)

    @property
    def study(self) -> StudyInfo:
        info = super().study
        info.spec["task"]["optimizer"] = self.optimizer
        info.spec["schedules"]["lipschitz"]["fixed"] = self.fixed
        return info


def warnings(optimizer: Any, space: dict[str, Any], fixed: dict[str, Any] | None = None) -> str:
    spaces = {"fixed": {}, "lipschitz": space}
    sample = WithOptimizer(spaces, targets=[0.9], optimizer=optimizer, fixed=fixed or {})
    for name in ("fixed", "lipschitz"):
        for seed in range(3):
            sample.add(name, rising(3), seed=seed)
    return "\n".join(analyse(sample).warnings)


MOMENTUM = {"name": "sgd", "lr": 0.1, "momentum": 0.9}


def test_a_first_rate_that_was_picked_by_hand_is_told() -> None:
    fixed = {"initial_lr": 0.3}
    assert "lipschitz: with momentum its first rate (0.3) starts" in warnings(MOMENTUM, {}, fixed)
    assert "its first rate" in warnings({"name": "sgd", "lr": 0.1}, {}, {"rule": "adamo", **fixed})


@pytest.mark.parametrize(
    ("optimizer", "space", "fixed"),
    [
        (MOMENTUM, {"initial_lr": {"low": 0.01, "high": 1.0, "log": True}}, {}),
        (MOMENTUM, {}, {}),
        (MOMENTUM, {}, {"rule": "sgd", "initial_lr": 0.3}),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.0}, {}, {}),
        ({"name": "rmsprop", "lr": 0.1, "momentum": 0.9}, {}, {}),
        ("sgd", {}, {}),
        (None, {}, {}),
    ],
)
def test_without_momentum_or_where_it_was_searched_nothing_is_told(
    optimizer: Any, space: dict[str, Any], fixed: dict[str, Any]
) -> None:
    assert "first rate" not in warnings(optimizer, space, fixed)


def test_signs_are_judged_in_each_tuning_and_told_of_as_many_as_show_them():
    sample = Sample({"fixed": {"lr": LR}}, targets=[0.9])
    for replicate, best in enumerate((0.9, 0.95, 0.03, 0.99), start=1):
        for rate in (0.002, 0.01, 0.02, 0.1, best):
            value = 0.9 if rate == best else 0.6
            sample.add("fixed", [0.5, value], phase="tune", params={"lr": rate}, replicate=replicate)
        sample.add("fixed", [0.5, 0.9], params={"lr": best}, replicate=replicate)
    summary = analyse(sample)
    (edge,) = (warning for warning in summary.warnings if "end of its space" in warning)
    assert edge.startswith("fixed: in 3 of 4 tunings the best lr was at the high end of its space")
    assert edge.endswith("raise its high.")
    schedule = summary.schedules[0]
    assert [winner.params["lr"] for winner in schedule.winners] == [0.9, 0.95, 0.03, 0.99]
    assert schedule.best_params == {"lr": 0.9}
    assert schedule.best_of is not None
    assert schedule.best_of.trials == (1, 2, 3, 4, 5)
    told = json.loads(summary.to_json())["schedules"][0]
    assert [winner["replicate"] for winner in told["winners"]] == [1, 2, 3, 4]


def test_a_schedule_without_a_space_is_not_tuned_however_often_it_is_repeated():
    sample = Sample({"fixed": {}}, targets=[0.9])
    for replicate in (1, 2, 3):
        sample.add("fixed", [0.5, 0.9], phase="tune", replicate=replicate)
        sample.add("fixed", [0.5, 0.9], replicate=replicate)
    assert not analyse(sample).schedules[0].tuned
