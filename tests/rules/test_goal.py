"""A study's targets and its objective follow from its settings, the same from the file and from the store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lrstudy.rules.goal import Goal
from lrstudy.rules.metrics import METRICS
from lrstudy.spec import Study, parse_study
from lrstudy.store.study_info import StudyInfo

ACCURACY, LOSS = METRICS["val_accuracy"], METRICS["val_loss"]


def study(epochs: int = 5, target: dict[str, Any] | None = None, **budget: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "mlp", "batch_size": 32, "epochs": epochs},
            "target": {"values": [0.9, 0.95, 0.8]} if target is None else target,
            "budget": budget,
            "resources": {"lanes": 0},
            "schedules": {"fixed": {"lr": {"low": 0.01, "high": 1.0}}},
        },
        "test",
    )


def test_the_primary_target_is_the_hardest_unless_it_is_named() -> None:
    assert study().goal.primary == 0.95
    assert study(target={"values": [0.9, 0.95], "primary": 0.9}).goal.primary == 0.9
    assert study(target={"metric": "val_loss", "values": [0.3, 0.2]}).goal.primary == 0.2
    assert study(target={}).goal.primary is None


def test_runs_end_at_the_hardest_target_whichever_is_primary() -> None:
    goal = study(target={"values": [0.9, 0.95], "primary": 0.9}).goal
    assert goal.last_arrival is not None
    assert goal.objective.arrival is not None
    assert (goal.last_arrival.target, goal.objective.arrival.target) == (0.95, 0.9)
    assert study(target={}).goal.last_arrival is None


def test_an_objective_is_counted_in_the_clock_of_the_targets_but_never_by_a_stopwatch() -> None:
    goals = {
        clock: study(target={"values": [0.9], "clock": clock}).goal
        for clock in ("epochs", "samples", "seconds")
    }
    assert {clock: goal.clock for clock, goal in goals.items()} == {
        "epochs": "epochs",
        "samples": "samples",
        "seconds": "epochs",
    }
    assert goals["epochs"].objective.length == goals["seconds"].objective.length == 5
    assert goals["samples"].objective.length is None


@pytest.mark.parametrize(
    "spec", [study(), study(40), study(40, {}), study(pruner="asha"), study(replicates=3, stop="all")]
)
def test_a_reader_of_the_store_has_the_goal_of_the_driver(spec: Study) -> None:
    stored = json.loads(json.dumps(spec.to_json()))
    assert StudyInfo("s", stored, "", 0).goal == spec.goal


def test_what_a_store_lacks_is_what_its_version_did() -> None:
    goal = Goal.of({"values": [0.9], "metric": "val_accuracy"}, {"trials": 4}, ACCURACY, "epochs", 40)
    assert (goal.arrival, goal.stay, goal.stop, goal.objective.kind) == ("first", 1, "never", "best")
    assert goal.primary == 0.9
    assert not goal.times_matter
    assert study().goal.times_matter
    assert Goal.of({}, {}, LOSS, "epochs", 40).targets is None
