"""Lanes are chosen by a rule on the model and the shapes of its steps: no clock has a say."""

from __future__ import annotations

import itertools
import math
import time
from pathlib import Path
from typing import Any

import pytest

from lrstudy.engine.lanes import choose_lanes, rule_of, seconds_per_step
from lrstudy.engine.lanes.eligibility import neighbours_matter
from lrstudy.engine.lanes.lane_count import FEW, KNOWN_LAYERS, MANY, MAPPED, TINY
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CLOCKS = ("perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "time", "time_ns")
OWN = """
from torch import nn


class Sines(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.hidden, self.head = nn.Linear(64, width), nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.hidden(x.flatten(1)).sin())
"""


def study(model: Any, batch_size: int = 32, schedules: Any = None, **resources: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": model, "batch_size": batch_size, "epochs": 3},
            "target": {"metric": "val_loss"},
            "schedules": schedules or {"fixed": {"lr": 0.1}},
            "resources": resources,
        },
        "test",
    )


def mlp(*widths: int) -> dict[str, Any]:
    return {"name": "mlp", "widths": list(widths)}


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study(mlp(8)).task, 0, None)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "lane_choice_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "lane_choice_models:Sines"


def adds(*widths: int, batch_size: int = 32) -> int:
    return batch_size * sum(a * b for a, b in itertools.pairwise((64, *widths, 10)))


@pytest.mark.parametrize(
    ("widths", "batch_size", "lanes"),
    [
        ((32,), 32, MANY),
        ((128, 128), 32, MANY),
        ((128, 128), 128, FEW),
        ((512, 512), 32, 0),
        ((512, 512), 16, FEW),
        ((1024,), 128, 0),
    ],
)
def test_the_rule_counts_the_multiply_adds_of_a_step(
    data: TaskData, widths: tuple[int, ...], batch_size: int, lanes: int
) -> None:
    rule = rule_of(study(mlp(*widths), batch_size), data)
    assert rule.multiply_adds == adds(*widths, batch_size=batch_size)
    limits = [limit for limit, gives in ((TINY, MANY), (KNOWN_LAYERS, FEW)) if rule.multiply_adds <= limit]
    assert rule.lanes == lanes == (0 if not limits else MANY if TINY in limits else FEW)
    assert f"{rule.multiply_adds:,}" in rule.reason


def test_a_users_model_is_counted_as_a_known_one_and_has_a_lower_limit(data: TaskData, own: str) -> None:
    for width, lanes in ((64, MANY), (1024, FEW), (2048, 0)):
        known = rule_of(study(mlp(width)), data)
        rule = rule_of(study({"name": own, "width": width}), data)
        assert rule.multiply_adds == known.multiply_adds
        assert rule.lanes == lanes
        assert known.lanes > 0
    assert MAPPED < adds(2048) < KNOWN_LAYERS


def test_no_clock_has_a_say_in_the_choice(data: TaskData, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"fixed": {"lr": 0.1}, "lipschitz": {}, "dog": {}, "schedule-free": {"lr": [0.1, 0.2]}}
    studies = [
        study(mlp(32), schedules=free),
        study(mlp(512, 512)),
        study({"name": own, "width": 12}),
        study(mlp(32), lanes=4),
        study({"name": "mlp", "dropout": 0.5}),
    ]
    before = [choose_lanes(each, data) for each in studies]
    assert [choice.lanes for choice in before] == [MANY, 0, MANY, 4, 0]

    def refuse() -> float:
        raise AssertionError("a clock was read")

    for name in CLOCKS:
        monkeypatch.setattr(time, name, refuse)
    assert [rule_of(each, data).lanes for each in studies] == [MANY, 0, MANY, MANY, MANY]
    # Lanes note what an epoch took, so that trying them out reads clocks: any time gives the same choice.
    for step in (0.0, 1e-9, 1e6, -1.0):
        ticks = itertools.count(0.0, step)
        for name in CLOCKS:
            monkeypatch.setattr(time, name, lambda ticks=ticks: next(ticks))
        assert [choose_lanes(each, data) for each in studies] == before


def test_a_try_out_of_bits_trains_what_the_study_searches(data: TaskData) -> None:
    schedules = {
        "fixed": {"lr": {"low": 0.01, "high": 0.1}},
        "d-adaptation": {"lr": {"low": 0.1, "high": 1.0, "log": True}},
        "prodigy": {"d_coef": [0.5, 1.0]},
        "lipschitz": {"scale": {"low": 0.05, "high": 0.1}, "measure": ["pass", "subset"]},
    }
    assert not neighbours_matter(study(mlp(32), schedules=schedules), data)


def test_the_speed_of_lanes_is_a_time_per_step_and_lane(data: TaskData) -> None:
    found = seconds_per_step(study(mlp(32)), data, 2)
    assert math.isfinite(found)
    assert found > 0
