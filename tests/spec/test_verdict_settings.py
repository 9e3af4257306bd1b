"""What a study is tuned for and judged by: defaults that follow from the rest, and messages with a remedy."""

from __future__ import annotations

from typing import Any

import pytest

from lrstudy.errors import StudyFileError
from lrstudy.records import Phase
from lrstudy.rules.seeding import derive_seed
from lrstudy.spec import Study, parse_study, restore_study
from lrstudy.tuning.driver.controller import Controller

TASK = {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 40}
TRAIN = {"train": "mine:train", "steps": 100, "metrics": {"val_loss": "min"}}


def study(task: dict[str, Any] | None = None, target: dict[str, Any] | None = None, **budget: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "seed": 5,
            "task": task or TASK,
            "target": {"values": [0.9, 0.95]} if target is None else target,
            "budget": {"trials": 6, "confirm_seeds": 2} | budget,
            "schedules": {"fixed": {"lr": {"low": 0.01, "high": 1.0, "log": True}}},
        },
        "test",
    )


@pytest.mark.parametrize(
    ("target", "budget", "objective", "stop"),
    [
        ({"values": [0.9]}, {}, "target", "tune"),
        ({}, {}, "best", "never"),
        ({"values": [0.9]}, {"pruner": "asha"}, "best", "never"),
        ({"values": [0.9]}, {"pruner": "asha", "objective": "target"}, "target", "never"),
        ({"values": [0.9]}, {"objective": "mean"}, "mean", "never"),
        ({"values": [0.9]}, {"stop": "never"}, "target", "never"),
        ({"values": [0.9]}, {"stop": "all"}, "target", "all"),
    ],
)
def test_what_is_judged_is_tuned_for_unless_the_study_says_otherwise(
    target: dict[str, Any], budget: dict[str, Any], objective: str, stop: str
) -> None:
    spec = study(target=target, **budget)
    assert (spec.budget.objective, spec.budget.stop) == (objective, stop)


@pytest.mark.parametrize(
    ("task", "arrival"),
    [
        (TASK, "stay:3"),
        (TASK | {"epochs": 20}, "stay:3"),
        (TASK | {"epochs": 19}, "first"),
        (TASK | {"epochs": 2, "evaluate_every": 5}, "stay:3"),
        (TRAIN | {"evaluate_every": 5}, "stay:3"),
        (TRAIN | {"evaluate_every": 10}, "first"),
        (TRAIN, "first"),
    ],
)
def test_a_run_must_stay_at_a_target_where_evaluations_are_many(task: dict[str, Any], arrival: str) -> None:
    target = {"metric": "val_loss" if "train" in task else "val_accuracy", "values": [0.9]}
    assert study(task, target).target.arrival == arrival
    assert study(task, target | {"arrival": "stay:2"}).target.arrival == "stay:2"


@pytest.mark.parametrize(
    ("replicates", "most", "expected"), [(4, None, 32), (2, None, 16), (4, 5, 5), (4, 4, 4)]
)
def test_a_study_until_it_is_decided_has_a_most(replicates: int, most: int | None, expected: int) -> None:
    given = {} if most is None else {"most": most}
    assert study(replicates=replicates, until="decided", **given).budget.most == expected
    assert study(replicates=replicates).budget.most is None


@pytest.mark.parametrize(
    ("target", "budget", "key", "value", "words"),
    [
        ({"values": [0.9], "primary": 0.8}, {}, "target.primary", 0.8, ("target.values", "in values too")),
        ({"primary": 0.8}, {}, "target.primary", 0.8, ("target.values", "in values too")),
        (None, {"replicates": 0}, "budget.replicates", 0, ()),
        ({"arrival": "stay"}, {}, "target.arrival", "stay", ("arrival rule", '"stay:3"')),
        ({"arrival": "stay:0"}, {}, "target.arrival", "stay:0", ("arrival rule", '"first"')),
        ({}, {"objective": "target"}, "budget.objective", "target", ("target to tune for", "target.values")),
        ({}, {"stop": "all"}, "budget.stop", "all", ("target.values", '"never"')),
        (None, {"objective": "best", "stop": "tune"}, "budget.stop", "tune", ('"best"', '"target"')),
        (
            None,
            {"objective": "target", "pruner": "asha", "stop": "tune"},
            "budget.stop",
            "tune",
            ("pruner", '"never"'),
        ),
        (None, {"most": 8}, "budget.most", 8, ('until = "decided"', "replicates")),
        (None, {"until": "decided"}, "budget.replicates", 1, ("nothing to decide by", "2 or more")),
        (
            None,
            {"until": "decided", "replicates": 4, "most": 3},
            "budget.most",
            3,
            ("below replicates, 4", "or more"),
        ),
        (None, {"select": 1}, "budget.select", 1, ("nothing to choose from", "2 finalists")),
        (None, {"select": 7}, "budget.select", 7, ("nothing to choose from", "budget.trials")),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_at_one_place_with_the_value_and_a_remedy(
    target: dict[str, Any] | None, budget: dict[str, Any], key: str, value: Any, words: tuple[str, ...]
) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(target=target, **budget)
    (problem,) = caught.value.problems
    assert (problem.key, problem.value) == (key, value)
    assert problem.remedy
    assert all(word in f"{problem.message} {problem.remedy}" for word in words), str(problem)


# What ``study.json`` of a version without replicates holds.
STORED_BUDGET = {
    "trials": 6,
    "confirm_seeds": 2,
    "search": "tpe",
    "tune_seeds": 2,
    "pruner": "none",
    "grace_epochs": 1,
    "reduction": 3,
    "objective": "best",
    "generation": 4,
    "extend": False,
    "extend_trials": 8,
}
STORED_TARGET = {
    "metric": "val_accuracy",
    "values": [0.9, 0.95],
    "clock": None,
    "reference": "fixed",
    "margin": 0.05,
}


def test_a_run_of_a_version_without_replicates_resumes_as_the_study_that_it_was() -> None:
    stored = study(tune_seeds=2).to_json() | {"budget": STORED_BUDGET, "target": STORED_TARGET}
    restored = restore_study(stored, "store")
    assert restored.spec_hash == "494d3fa3833d5cb5"
    assert restored.target.arrival == "first"
    assert (restored.budget.objective, restored.budget.stop) == ("best", "never")
    assert restore_study(restored.to_json(), "store") == restored
    controller, seeds = Controller(restored), {}
    while (config := controller.next()) is not None:
        assert config.cap is None
        seeds[config.trial_id] = config.seed
    # As that version: no two trials of a tuning share a seed.
    assert seeds == {f"fixed-tune-{number:03d}": derive_seed(5, "tune", number) for number in range(8)}, (
        "the first generation"
    )


def test_a_study_in_replicates_reads_back_as_itself() -> None:
    spec = study(replicates=3, select=2, stop="all", until="decided")
    assert restore_study(spec.to_json(), "store") == spec
    assert [spec.planned(schedule)[Phase.TUNE] for schedule in spec.schedules] == [18]
