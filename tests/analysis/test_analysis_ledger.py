"""What each schedule cost, and whether all were given the same."""

from __future__ import annotations

from dataclasses import replace

from analysis_samples import LR, Sample

from lrstudy.analysis.ledger import budget_warnings, price_of


def small() -> Sample:
    sample = Sample({"fixed": {"lr": LR}, "rule": {}})
    sample.add("fixed", [0.5, 0.6], phase="tune")
    sample.add("fixed", [0.5], phase="tune", status="failed")
    sample.add("fixed", [0.5, 0.6, 0.7], seed=0)
    return sample.add("rule", [0.5], phase="tune")


def test_everything_spent_counts_failures_too() -> None:
    price = price_of(small().columns(), "fixed")
    assert (price.tune_trials, price.tune_epochs, price.tune_steps, price.tune_samples) == (2, 3, 300, 9600)
    assert (price.confirm_trials, price.confirm_epochs, price.confirm_steps) == (1, 3, 300)
    assert (price.tune_seconds, price.confirm_seconds) == (6.0, 6.0)
    assert (price.estimate_seconds, price.eval_seconds) == (3.0, 1.5)
    assert price.device_seconds == 180.0


def test_what_was_not_recorded_is_unknown_and_not_free() -> None:
    columns = Sample({"fixed": {}}).add("fixed", [0.5, 0.6], imported=True).columns()
    price = price_of(columns, "fixed")
    assert (price.confirm_epochs, price.confirm_trials) == (2, 1)
    assert (price.confirm_steps, price.confirm_samples, price.confirm_seconds) == (None, None, None)
    assert (price.estimate_seconds, price.eval_seconds, price.device_seconds) == (None, None, None)


def test_a_sum_over_part_of_the_epochs_is_unknown() -> None:
    sample = Sample({"fixed": {}}).add("fixed", [0.5]).add("fixed", [0.5], seconds=None, seed=1)
    price = price_of(sample.columns(), "fixed")
    assert price.confirm_seconds is None
    assert price.tune_seconds == 0.0


def test_clock_time_of_part_of_the_trials_is_unknown() -> None:
    sample = Sample({"fixed": {}}).add("fixed", [0.5]).add("fixed", [0.5], started_at=None, seed=1)
    assert price_of(sample.columns(), "fixed").device_seconds is None


def test_a_schedule_without_trials_cost_nothing() -> None:
    price = price_of(Sample({"fixed": {}, "rule": {}}).add("rule", [0.5]).columns(), "fixed")
    assert (price.tune_trials, price.confirm_trials, price.confirm_epochs) == (0, 0, 0)


def test_unequal_budgets_are_told_and_a_schedule_without_a_space_needs_only_one_trial() -> None:
    columns = small().columns()
    fixed = price_of(columns, "fixed")
    rule = replace(price_of(columns, "rule"), confirm_trials=1)
    planned = {"fixed": 4, "step": 4, "rule": 1}
    even = {"fixed": fixed, "step": fixed, "rule": rule}
    assert budget_warnings(even, planned) == []
    uneven = {"fixed": fixed, "step": replace(fixed, tune_trials=5, confirm_trials=2), "rule": rule}
    assert budget_warnings(uneven, planned) == [
        "The tuning budgets were not equal: fixed 2, step 5 trials.",
        "The schedules were not confirmed on equally many seeds: fixed 1, step 2, rule 1.",
    ]
