"""Rungs are epochs, whatever steps evaluations are at."""

from __future__ import annotations

from typing import Any

import pytest

from lrstudy.records import EvaluationRecord
from lrstudy.rules.rungs import rung_reached, rungs
from lrstudy.spec import Study, parse_study


def study(**budget: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 32, "epochs": 10},
            "budget": {"pruner": "asha", "grace_epochs": 2, "reduction": 2} | budget,
            "schedules": {"fixed": {"lr": 0.1}},
        },
        "test",
    )


def row(evaluation: int, epoch: float) -> EvaluationRecord:
    return EvaluationRecord(
        evaluation=evaluation,
        step=round(18 * epoch),
        epoch=epoch,
        train_seconds=0.0,
        estimate_seconds=0.0,
        eval_seconds=0.0,
        lr=0.1,
        lr_min=0.1,
        lr_max=0.1,
    )


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0, 8.0], [None, 2, None, 4, 8]),
        ([0.5, 1.5, 1.999, 2.001, 2.5, 4.0], [None, None, None, 2, None, 4]),
        ([1.0, 5.0, 9.0], [None, 4, 8]),
        ([9.5], [8]),
    ],
)
def test_the_first_evaluation_after_a_rung_is_at_the_rung(
    epochs: list[float], expected: list[int | None]
) -> None:
    spec = study()
    assert rungs(spec) == (2, 4, 8)
    rows = [row(number, epoch) for number, epoch in enumerate(epochs, start=1)]
    before = [None, *rows]
    reached = [rung_reached(spec, rungs(spec), now, last) for now, last in zip(rows, before, strict=False)]
    assert reached == expected


def test_without_a_pruner_no_rung_is_reached() -> None:
    spec = study(pruner="none")
    assert rung_reached(spec, rungs(spec), row(1, 5.0), None) is None
