"""Tuning that no trial pays for is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from analysis_samples import Sample, rising

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
    assert "lipschitz: with momentum its first rate (0.1) starts" in warnings(MOMENTUM, {})
    assert "its first rate (0.3) starts" in warnings(MOMENTUM, {}, {"initial_lr": 0.3})
    assert "its first rate" in warnings({"name": "sgd", "lr": 0.1}, {}, {"rule": "adamo"})


@pytest.mark.parametrize(
    ("optimizer", "space", "fixed"),
    [
        (MOMENTUM, {"initial_lr": {"low": 0.01, "high": 1.0, "log": True}}, {}),
        (MOMENTUM, {}, {"rule": "sgd"}),
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
