"""A budget gives the same trials to the run and to whoever reads its store."""

from __future__ import annotations

from typing import Any

import pytest

from lrstudy.records import Phase
from lrstudy.rules.budget import TrialBudget
from lrstudy.spec import Study, parse_study
from lrstudy.store import StudyInfo


def study(**budget: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 32, "epochs": 5},
            "budget": {"trials": 6, "confirm_seeds": 3, **budget},
            "schedules": {
                "lipschitz": {},
                "fixed": {"lr": {"low": 1e-3, "high": 1.0, "log": True}},
                "cyclic": {"max_lr": "range-test"},
            },
        },
        "test",
    )


@pytest.mark.parametrize(
    ("budget", "searched", "tested"),
    [
        ({}, 6, 5),
        ({"tune_seeds": 2}, 12, 10),
        ({"extend": True, "extend_trials": 4}, 10, 9),
        ({"extend": True, "extend_trials": 4, "tune_seeds": 2}, 20, 18),
        ({"extend_trials": 4}, 6, 5),
    ],
)
def test_trials_follow_from_the_budget_and_a_range_test_takes_the_place_of_a_configuration(
    budget: dict[str, Any], searched: int, tested: int
) -> None:
    spec = study(**budget)
    stored = StudyInfo("s", spec.to_json(), "", 0)
    for planned in (
        [spec.planned(schedule) for schedule in spec.schedules],
        [stored.planned(schedule) for schedule in stored.schedules],
    ):
        assert [schedule[Phase.TUNE] for schedule in planned] == [1, searched, tested]
        assert [schedule[Phase.RANGE_TEST] for schedule in planned] == [0, 0, 1]
        assert [schedule[Phase.CONFIRM] for schedule in planned] == [3, 3, 3]
    assert spec.all_trials == 1 + searched + tested + 1 + 9
    assert stored.trials == searched


def test_a_store_of_recorded_histories_has_no_tuning_trials() -> None:
    imported = TrialBudget.of({"trials": 0, "confirm_seeds": 5})
    assert imported.planned(searched=False) == {
        Phase.RANGE_TEST: 0,
        Phase.TUNE: 0,
        Phase.SELECT: 0,
        Phase.CONFIRM: 5,
    }


def test_each_replicate_has_the_whole_budget_and_a_selection_only_where_there_is_a_search() -> None:
    spec = study(replicates=4, select=2, select_seeds=5)
    lipschitz, fixed, cyclic = (spec.planned(schedule) for schedule in spec.schedules)
    assert list(lipschitz.values()) == [0, 4, 0, 12]
    assert list(fixed.values()) == [0, 24, 40, 12]
    assert list(cyclic.values()) == [4, 20, 40, 12]
    assert StudyInfo("s", spec.to_json(), "", 0).planned(spec.schedules[1]) == fixed
