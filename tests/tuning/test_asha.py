"""Successive halving within a schedule: who goes on, who is never compared, what a resume remembers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lrstudy.records import EvaluationRecord, Phase, Status, TrialRecord
from lrstudy.rules.rungs import rungs
from lrstudy.spec import Study, parse_study
from lrstudy.tuning.driver.asha import AtRung, Pruner


def study(metric: str = "val_accuracy", epochs: int = 20, **budget: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 32, "epochs": epochs},
            "budget": {"trials": 8, "pruner": "asha", **budget},
            "target": {"metric": metric, "values": [0.5]},
            "schedules": {"a": {"kind": "fixed", "lr": [0.1, 1.0]}, "b": {"kind": "fixed", "lr": [0.1, 1.0]}},
        },
        "test",
    )


def row(epoch: int, accuracy: float) -> EvaluationRecord:
    zero = dict.fromkeys(("train_seconds", "estimate_seconds", "eval_seconds"), 0.0)
    rates = dict.fromkeys(("lr", "lr_min", "lr_max"), 0.1)
    place = {"evaluation": epoch, "step": epoch, "epoch": float(epoch)}
    return EvaluationRecord(**place, **zero, **rates, val_accuracy=accuracy)


NOW = datetime.now(UTC)
RECORD = TrialRecord(
    trial_id="a-tune-000", phase=Phase.TUNE, schedule="a", seed=0, params={}, status=Status.COMPLETED,
    error=None, evaluations_run=20, best_val=0.5, best_evaluation=1, objective=0.5, test_loss=None,
    test_accuracy=None, test_r2=None, started_at=NOW, ended_at=NOW, node="", device="", attempt=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({}, (1, 3, 9)),
        ({"grace_epochs": 2}, (2, 6, 18)),
        ({"grace_epochs": 5, "reduction": 4}, (5,)),
        ({"grace_epochs": 20}, ()),
        ({"pruner": "none"}, ()),
    ],
)
def test_rungs_are_powers_of_the_reduction_and_never_the_last_epoch(
    budget: dict[str, Any], expected: tuple[int, ...]
) -> None:
    assert rungs(study(**budget)) == expected


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0)])
def test_those_that_come_together_are_compared_with_each_other(order: tuple[int, ...]) -> None:
    values = (0.1, 0.9, 0.5, 0.2, 0.8, 0.3)
    arrivals = [AtRung(("a", 1), f"t{i}", 1, values[i]) for i in order]
    assert Pruner(study()).stopped([*arrivals, AtRung(("b", 1), "u0", 1, 0.0)]) == {"t0", "t2", "t3", "t5"}


def test_the_best_third_goes_on_and_the_first_always_does() -> None:
    pruner = Pruner(study())
    values = [0.5, 0.4, 0.6, 0.3, 0.7, 0.65, 0.8]
    stopped = [pruner.stops(("a", 1), f"t{n}", 1, value) for n, value in enumerate(values)]
    # After 1 to 5 trials one may go on, after 6 two.
    assert stopped == [False, True, False, True, False, False, False]


def test_of_a_loss_the_smaller_goes_on() -> None:
    pruner = Pruner(study("val_loss"))
    assert not pruner.stops(("a", 1), "t0", 1, 0.5)
    assert pruner.stops(("a", 1), "t1", 1, 0.6)
    assert not pruner.stops(("a", 1), "t2", 1, 0.4)


def test_schedules_and_rungs_are_never_compared_with_each_other() -> None:
    pruner = Pruner(study())
    assert not pruner.stops(("a", 1), "t0", 1, 0.9)
    assert not pruner.stops(("b", 1), "t0", 1, 0.1)
    assert not pruner.stops(("a", 1), "t1", 3, 0.1)


def test_a_trial_without_a_finite_value_goes_on_only_where_no_other_has_one() -> None:
    pruner = Pruner(study())
    assert not pruner.stops(("a", 1), "t0", 1, 0.1)
    assert pruner.stops(("a", 1), "t1", 1, None)


def test_a_resume_remembers_the_rungs_of_tuning_trials_alone() -> None:
    rows = [row(epoch, 0.1 * epoch) for epoch in range(1, 5)]
    pruner = Pruner(study())
    pruner.restore(RECORD, rows)
    assert pruner.stops(("a", 1), "new", 1, 0.05)
    assert pruner.stops(("a", 1), "new", 3, 0.25)
    assert not pruner.stops(("a", 1), "new", 9, 0.01), "the trial never came to the third rung"
    pruner.restore(replace(RECORD, phase=Phase.CONFIRM, schedule="b"), rows)
    assert not pruner.stops(("b", 1), "new", 1, 0.05)
