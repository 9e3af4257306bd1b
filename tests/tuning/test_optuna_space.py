"""Between hyperparameters and what Optuna samples: whole numbers stay whole, every choice is found again."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest

from lrstudy.errors import StudyFileError
from lrstudy.spec import Study, restore_study
from lrstudy.spec.load import parse_study
from lrstudy.tuning.driver.optuna_space import Coordinates

STEP_LR = "torch.optim.lr_scheduler:StepLR"


def study(table: dict[str, Any]) -> Study:
    task = {"dataset": "iris", "model": "softmax-regression", "batch_size": 8, "epochs": 2}
    return parse_study({"name": "s", "task": task, "schedules": {"fixed": {}, "own": table}}, "s.toml")


def sampled(table: dict[str, Any], name: str, count: int = 40) -> set[Any]:
    schedule = study({"kind": STEP_LR, **table}).schedule("own")
    coordinates = Coordinates(schedule.space, schedule.fixed)
    sampler = optuna.samplers.RandomSampler(seed=0)
    tuner = optuna.create_study(sampler=sampler)
    found = set()
    for _ in range(count):
        trial = tuner.ask(coordinates.distributions())
        params = coordinates.params(trial.params)
        assert coordinates.of(json.loads(json.dumps(params))) == trial.params
        assert coordinates.hold(params)
        found.add(params[name])
    return found


@pytest.mark.parametrize("log", [False, True])
def test_a_range_between_whole_numbers_holds_whole_numbers(log: bool) -> None:
    found = sampled({"step_size": {"low": 1, "high": 5, "log": log}}, "step_size")
    assert found == {1, 2, 3, 4, 5}
    assert all(isinstance(value, int) for value in found)


@pytest.mark.parametrize("ends", [(1.0, 5), (1, 5.0), (1.0, 5.0)])
def test_a_range_with_a_real_end_holds_real_numbers(ends: tuple[float, float]) -> None:
    assert len(sampled({"x": {"low": ends[0], "high": ends[1]}}, "x")) > 30


def test_a_rate_is_real_between_whole_ends_as_it_is_declared() -> None:
    assert len(sampled({"lr": {"low": 1, "high": 10}}, "lr")) > 30
    fixed = study({"kind": "fixed", "lr": {"low": 1, "high": 10}}).schedule("own")
    assert not fixed.space["lr"].integer  # type: ignore[union-attr]


def test_a_recorded_value_that_is_not_whole_lies_outside_of_whole_numbers() -> None:
    schedule = study({"kind": STEP_LR, "step_size": {"low": 1, "high": 5}}).schedule("own")
    coordinates = Coordinates(schedule.space, schedule.fixed)
    assert coordinates.hold({"step_size": 3})
    assert not coordinates.hold({"step_size": 3.5})


CHOICES: dict[str, list[Any]] = {
    "lists of lists": [[[0.3, 0.1], [0.6, 0.01]], [[0.5, 0.1]]],
    "tables": [{"warm": 1, "ends": [1, 2]}, {"warm": 2, "ends": []}],
    "mixed": [1, "1", True, 0.5, False, 0, None, [1], ["1"], [[True]]],
    "empty ones": [[], [[]], "", {}],
}


@pytest.mark.parametrize("values", CHOICES.values(), ids=CHOICES)
def test_every_choice_is_found_again_after_its_way_through_a_store(values: list[Any]) -> None:
    planned = study({"kind": STEP_LR, "phases": values})
    again = restore_study(json.loads(json.dumps(planned.to_json())), "study.json")
    assert again.spec_hash == planned.spec_hash
    for schedule in (planned.schedule("own"), again.schedule("own")):
        coordinates = Coordinates(schedule.space, schedule.fixed)
        for place in range(len(values)):
            params = json.loads(json.dumps(coordinates.params({"phases": place})))
            assert coordinates.of(params) == {"phases": place}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2, 1.0], r"schedules.own.x\[2\] = 1.0: is listed twice"),
        ([[1, [2]], [1, [2]]], r"x\[1\] = .*: is listed twice"),
        (float("nan"), "x = nan: must be finite"),
        ([1.0, float("inf")], r"x\[1\] = inf: must be finite"),
        ([[float("nan")]], r"x\[0\] = \[nan\]: must be finite"),
    ],
)
def test_a_value_that_a_store_would_not_give_back_is_refused(value: Any, message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        study({"kind": STEP_LR, "x": value})


def test_a_date_is_refused() -> None:
    import tomllib

    with pytest.raises(StudyFileError, match=r"x = .*: is a date\. Give a finite number, a text"):
        study({"kind": STEP_LR, **tomllib.loads("x = 2020-01-01")})


def test_what_lrstudy_reads_of_ones_own_schedule_is_checked_with_the_study_file() -> None:
    with pytest.raises(StudyFileError) as refused:
        study({"kind": STEP_LR, "interval": "batch", "warmup": 1.5, "lr": {"low": -1, "high": 1}})
    assert [problem.key for problem in refused.value.problems] == [
        "schedules.own.interval",
        "schedules.own.warmup",
        "schedules.own.lr.low",
    ]
