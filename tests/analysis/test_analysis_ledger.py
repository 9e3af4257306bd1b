"""The cost of each schedule, and warnings where budgets differ."""

from __future__ import annotations

from dataclasses import replace

from analysis_samples import LR, Sample

from lrstudy.analysis.ledger import budget_warnings, price_of
from lrstudy.analysis.summary import Price, Spent


def small() -> Sample:
    sample = Sample({"fixed": {"lr": LR}, "rule": {}})
    sample.add("fixed", [0.5, 0.6], phase="tune")
    sample.add("fixed", [0.5], phase="tune", status="failed")
    sample.add("fixed", [0.5, 0.6, 0.7], seed=0)
    return sample.add("rule", [0.5], phase="tune")


def test_everything_spent_counts_failures_too() -> None:
    price = price_of(small().columns(), "fixed")
    assert price.tune == Spent(2, 3, 300, 9600, None, 6.0, 1.5, 0.75, 120.0)
    assert price.confirm == Spent(1, 3, 300, 9600, None, 6.0, 1.5, 0.75, 60.0)
    assert price.range_test == Spent()
    found = price.to_json()
    assert (found["tune_epochs"], found["confirm_steps"], found["range_test_trials"]) == (3, 300, 0)
    assert (found["estimate_seconds"], found["eval_seconds"], found["device_seconds"]) == (3.0, 1.5, 180.0)


def test_range_tests_are_counted_by_themselves() -> None:
    sample = Sample({"fixed": {"lr": "range-test"}}).add("fixed", [0.5, 0.6], phase="range-test")
    price = price_of(sample.columns(), "fixed")
    assert price.range_test == Spent(1, 2, 200, 6400, None, 4.0, 1.0, 0.5, 60.0)
    assert price.tune.trials == price.confirm.trials == 0


def test_a_range_test_takes_the_place_of_a_configuration_in_the_comparison_of_budgets() -> None:
    fixed = price_of(small().columns(), "fixed")
    tested = replace(fixed, tune=replace(fixed.tune, trials=1), range_test=replace(fixed.tune, trials=1))
    prices, planned = {"fixed": fixed, "tested": tested}, {"fixed": 2, "tested": 2}
    assert budget_warnings(prices, planned, {"fixed": 0, "tested": 1}) == []
    assert budget_warnings(prices, planned) == [
        "The schedules have different tuning budgets: fixed 2, tested 1 trials."
    ]


def test_trials_side_by_side_have_a_price_in_seconds_and_no_time_in_them() -> None:
    sample = Sample({"fixed": {}}, lanes=16).add("fixed", [0.5, 0.6]).add("fixed", [0.5], phase="range-test")
    price = price_of(sample.columns(), "fixed")
    assert price.confirm == Spent(1, 2, 200, 6400, None, 4.0, 1.0, 0.5, None)
    assert price.range_test.device_seconds == 60.0, "it had its worker to itself"
    assert set(sample.columns().times) == {"epochs", "steps", "samples"}


def test_what_was_not_recorded_is_unknown_and_not_free() -> None:
    columns = Sample({"fixed": {}}).add("fixed", [0.5, 0.6], imported=True).columns()
    price = price_of(columns, "fixed")
    assert price.confirm == Spent(1, 2, None, None, None, None, None, None, None)
    assert price.to_json()["device_seconds"] is None


def test_a_sum_over_part_of_the_epochs_is_unknown() -> None:
    sample = Sample({"fixed": {}}).add("fixed", [0.5]).add("fixed", [0.5], seconds=None, seed=1)
    price = price_of(sample.columns(), "fixed")
    assert price.confirm.seconds is None
    assert price.tune.seconds == 0.0


def test_clock_time_of_part_of_the_trials_is_unknown() -> None:
    sample = Sample({"fixed": {}}).add("fixed", [0.5]).add("fixed", [0.5], started_at=None, seed=1)
    assert price_of(sample.columns(), "fixed").confirm.device_seconds is None


def test_a_schedule_without_trials_cost_nothing() -> None:
    price = price_of(Sample({"fixed": {}, "rule": {}}).add("rule", [0.5]).columns(), "fixed")
    assert (price.tune.trials, price.confirm.trials, price.confirm.epochs) == (0, 0, 0)


def test_unequal_budgets_are_told_and_a_schedule_without_a_space_needs_only_one_trial() -> None:
    columns = small().columns()
    fixed = price_of(columns, "fixed")
    rule = replace(price_of(columns, "rule"), confirm=fixed.confirm)
    planned = {"fixed": 4, "step": 4, "rule": 1}
    even = {"fixed": fixed, "step": fixed, "rule": rule}
    assert budget_warnings(even, planned) == []
    uneven = {
        "fixed": fixed,
        "step": Price(replace(fixed.tune, trials=5), replace(fixed.confirm, trials=2)),
        "rule": rule,
    }
    assert budget_warnings(uneven, planned) == [
        "The schedules have different tuning budgets: fixed 2, step 5 trials.",
        "The schedules have different numbers of confirm runs: fixed 1, step 2, rule 1.",
    ]


def test_schedules_with_more_tunings_have_no_other_budget_for_each() -> None:
    prices = {
        name: Price(tune=Spent(trials=8 * tunings), confirm=Spent(trials=3 * tunings))
        for name, tunings in (("fixed", 4), ("step", 2))
    }
    planned = {"fixed": 8, "step": 8}
    assert budget_warnings(prices, planned, tunings={"fixed": 4, "step": 2}) == []
    assert len(budget_warnings(prices, planned)) == 2
