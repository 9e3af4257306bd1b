"""What a range test found enters the judgement of a search; one that found nothing is told."""

from __future__ import annotations

from typing import Any

import pytest
from analysis_samples import Sample, rising

from lrstudy.analysis import analyse
from lrstudy.analysis.range_tests import range_tests_of, searched_space


def after_a_test(params: dict[str, Any], best: float = 0.5, **more: Any) -> Sample:
    sample = Sample({"fixed": {}, "cyclic": {"max_lr": "range-test"}}, targets=[0.9], trials_budget=4)
    sample.add("cyclic", [0.1, 0.2], phase="range-test", params=params, **more)
    sample.add("fixed", rising(3), phase="tune")
    for rate in (0.1, 0.2, best):
        sample.add(
            "cyclic", rising(3, high=0.9 + 0.01 * (rate == best)), phase="tune", params={"max_lr": rate}
        )
    for name in ("fixed", "cyclic"):
        for seed in range(3):
            sample.add(name, rising(3), seed=seed)
    return sample


def warnings(sample: Sample) -> str:
    summary = analyse(sample)
    assert summary.complete
    return "\n".join(summary.warnings)


@pytest.mark.parametrize(("best", "at_the_edge"), [(0.25, False), (0.99, True)])
def test_a_best_rate_at_the_end_of_the_range_that_was_found_is_told(best: float, at_the_edge: bool) -> None:
    said = warnings(after_a_test({"min_lr": 0.01, "max_lr": 1.0}, best))
    assert ("is at the high end of its space, 0.01 to 1" in said) == at_the_edge
    assert ("let the study extend the range of its range test" in said) == at_the_edge
    assert "different tuning budgets" not in said


def test_a_test_that_suggested_nothing_is_told_with_its_reason() -> None:
    said = warnings(after_a_test({"min_lr": 1e-5, "max_lr": 10.0, "fallback": "the loss never fell"}))
    assert "cyclic: its range test suggested no range (the loss never fell)" in said


def test_a_test_that_failed_is_told_and_leaves_no_range() -> None:
    sample = after_a_test({}, status="failed")
    assert "cyclic: its range test failed" in warnings(sample)
    assert searched_space({"max_lr": "range-test"}, range_tests_of(sample.columns(), "cyclic")) == {}


def test_the_other_parameters_stay_as_they_are() -> None:
    tests = range_tests_of(after_a_test({"min_lr": 0.1, "max_lr": 0.2}).columns(), "cyclic")
    assert searched_space({"max_lr": "range-test", "mode": ["a", "b"]}, tests) == {
        "max_lr": {"low": 0.1, "high": 0.2, "log": True, "tested": True},
        "mode": ["a", "b"],
    }


def test_the_price_of_a_target_begins_with_the_range_test() -> None:
    with_test, without = (
        after_a_test({"min_lr": 0.01, "max_lr": 1.0}),
        after_a_test({"min_lr": 0.01, "max_lr": 1.0}),
    )
    without.trial_rows = [row for row in without.trial_rows if row["phase"] != "range-test"]
    prices = [analyse(sample).schedules[1].price_of_target for sample in (with_test, without)]
    assert prices[0] is not None
    assert prices[1] is not None
    assert prices[0].value == tuple(value + 2 for value in prices[1].value)
