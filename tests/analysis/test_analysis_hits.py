"""Times at which runs reach a target along every time axis, and the count of a run without a hit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis_samples import NAN, Sample, race
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.analysis import analyse
from lrstudy.analysis.hits import first_hit, hits_of
from lrstudy.analysis.trial_table import Columns
from lrstudy.rules.arrival import Arrival
from lrstudy.rules.metrics import METRICS

ACCURACY = METRICS["val_accuracy"]


def one(values: list[float | None], **more: object) -> Sample:
    return Sample({"fixed": {}}).add("fixed", values, **more)  # type: ignore[arg-type] # a row's columns


def hit_epoch(sample: Sample, target: float) -> float | None:
    columns = sample.columns()
    row = first_hit(columns, columns.trials[0], METRICS[sample.metric], target)
    return None if row is None else float(columns.evaluation[row])


def test_the_first_epoch_at_the_target_is_the_hit_even_if_the_metric_falls_again() -> None:
    assert hit_epoch(one([0.5, 0.9, 0.4, 0.95]), 0.9) == 2


def test_a_run_below_the_target_never_hits() -> None:
    assert hit_epoch(one([0.5, 0.89]), 0.9) is None


def test_nan_and_null_never_hit_and_do_not_stop_a_later_hit() -> None:
    assert hit_epoch(one([NAN, None, 0.95]), 0.9) == 3
    assert hit_epoch(one([NAN, None]), 0.0) is None


def test_a_diverged_run_never_hits_whatever_it_reached_before() -> None:
    assert hit_epoch(one([0.95, NAN], status="diverged"), 0.9) is None


def test_a_metric_that_falls_hits_from_above() -> None:
    sample = Sample({"fixed": {}}, metric="val_loss").add("fixed", [2.0, 0.4, 0.3])
    assert hit_epoch(sample, 0.4) == 2


def test_an_error_is_computed_from_the_stored_accuracy() -> None:
    sample = Sample({"fixed": {}}, metric="val_error").add("fixed", [0.5, 0.25, 0.1])
    assert hit_epoch(sample, 0.3) == 2


def test_rows_in_any_order_are_read_by_trial_and_epoch() -> None:
    sample = race({"fixed": [3, 5], "step": [4, 2]})
    np.random.default_rng(0).shuffle(sample.epoch_rows)
    columns = sample.columns()
    rows = [first_hit(columns, trial, ACCURACY, 0.9) for trial in columns.trials]
    assert [columns.evaluation[row] for row in rows if row is not None] == [3, 5, 4, 2]


@pytest.mark.parametrize(
    ("axis", "expected"), [("epochs", 3), ("steps", 300), ("samples", 9600), ("seconds", 6.0)]
)
def test_each_axis_counts_the_time_since_the_trial_began(axis: str, expected: float) -> None:
    columns = race({"fixed": [5, 3]}).columns()
    found = hits_of(columns, columns.trials, ACCURACY, 0.9, axis, 1e9)
    assert found.time[1] == expected


def test_missed_runs_are_censored_at_their_end_and_restricted_at_the_horizon() -> None:
    sample = (
        race({"fixed": [4, 11]})
        .add("fixed", [0.5, 0.6], seed=2)
        .add("fixed", [0.95, NAN], status="diverged", seed=3)
    )
    columns = sample.columns()
    found = hits_of(columns, columns.trials, ACCURACY, 0.9, "epochs", 10)
    assert found.hit.tolist() == [True, False, False, False]
    assert found.time.tolist() == [4, 10, 2, 10]  # the diverged one is known never to hit
    assert found.restricted.tolist() == [4, 10, 10, 10]
    assert found.spent.tolist() == [4, 10, 2, 2]


def test_a_hit_after_the_horizon_does_not_count() -> None:
    columns = race({"fixed": [6]}).columns()
    found = hits_of(columns, columns.trials, ACCURACY, 0.9, "epochs", 5)
    assert not found.hit[0]
    assert found.restricted[0] == 5


def test_a_run_that_diverged_before_any_epoch_ended_counts_as_the_whole_horizon() -> None:
    columns = one([], status="diverged", evaluations_run=1).columns()
    for axis_horizon in (10.0, np.inf):
        found = hits_of(columns, columns.trials, ACCURACY, 0.9, "epochs", axis_horizon)
        assert not found.hit[0]
        assert found.restricted[0] == axis_horizon
        assert found.spent[0] == 1


def test_an_axis_that_only_some_epochs_recorded_is_not_used_and_is_named() -> None:
    sample = one([0.5, 0.95]).add("fixed", [0.5, 0.95], seconds=None, seed=1)
    columns = sample.columns()
    assert list(columns.times) == ["epochs", "steps", "samples"]
    assert columns.partial == ("seconds",)


def test_recorded_histories_have_epochs_and_nothing_else() -> None:
    columns = one([0.5, 0.95], imported=True).columns()
    assert list(columns.times) == ["epochs"]


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1), st.just(NAN)), min_size=1, max_size=12), st.floats(0, 1)
)
def test_agrees_with_the_metric_read_one_epoch_at_a_time(values: list[float | None], target: float) -> None:
    expected = next((e for e, v in enumerate(values, start=1) if ACCURACY.reaches(v, target)), None)
    assert hit_epoch(one(values), target) == expected


def staying(sample: Sample, stay: int) -> Columns:
    return replace(sample.columns(), stay=stay)


def test_a_run_arrives_at_the_first_of_the_evaluations_in_a_row() -> None:
    columns = staying(one([0.95, 0.4, 0.95, 0.95, 0.95, 0.4]), 3)
    assert first_hit(columns, columns.trials[0], ACCURACY, 0.9) == 2


def test_a_row_that_the_end_of_the_run_cuts_short_is_no_arrival() -> None:
    sample = one([0.4, 0.95, 0.95]).add("fixed", [0.95, 0.95, 0.95], seed=1)
    columns = staying(sample, 3)
    assert [first_hit(columns, trial, ACCURACY, 0.9) for trial in columns.trials] == [None, 3]


def test_a_row_counts_only_if_all_of_it_is_within_the_horizon() -> None:
    columns = staying(race({"fixed": [4, 3]}), 3)
    found = hits_of(columns, columns.trials, ACCURACY, 0.9, "epochs", 5)
    assert found.hit.tolist() == [False, True]
    assert found.restricted.tolist() == [5, 3]
    assert found.spent.tolist() == [5, 3]
    assert found.time[0] >= 5


def test_columns_of_another_rule_share_no_answer() -> None:
    columns = one([0.95, 0.4, 0.95, 0.95]).columns()
    trial = columns.trials[0]
    rows = [first_hit(replace(columns, stay=stay), trial, ACCURACY, 0.9) for stay in (1, 2, 1, 3)]
    assert rows == [0, 2, 0, None]


VALUES = st.lists(
    st.one_of(st.none(), st.sampled_from([0.4, 0.9, 0.95]), st.just(NAN)), min_size=1, max_size=9
)


@given(
    st.lists(VALUES, min_size=1, max_size=4), st.integers(1, 4), st.sampled_from(["val_accuracy", "val_loss"])
)
def test_every_trial_arrives_where_the_rule_says(
    runs: list[list[float | None]], stay: int, name: str
) -> None:
    sample = Sample({"fixed": {}}, metric=name)
    for seed, values in enumerate(runs):
        sample.add("fixed", values, seed=seed)
    columns = staying(sample, stay)
    arrival = Arrival(METRICS[name], 0.9, stay)
    for trial, values in zip(columns.trials, runs, strict=True):
        row = first_hit(columns, trial, METRICS[name], 0.9)
        expected = arrival.row([NAN if value is None else value for value in values])
        assert (None if row is None else row - trial.begin) == expected


@pytest.mark.parametrize(
    ("hits", "ends", "verdict"),
    [
        ((16, 8), (24, 24), "faster"),
        ((16, 8), (24, 12), "faster"),  # ended after their hits
        ((16, 8), (12, 24), "inconclusive"),  # the misses of fixed alone would make it faster
        ((8, 16), (24, 24), "slower"),
        ((8, 16), (12, 24), "slower"),
        ((8, 16), (24, 12), "inconclusive"),  # never, if all misses counted
    ],
)
def test_no_verdict_rests_on_misses_of_runs_that_were_cut_short(
    hits: tuple[int, int], ends: tuple[int, int], verdict: str
) -> None:
    sample = Sample({"fixed": {}, "other": {}}, targets=[0.9], epochs_budget=24)
    for name, hit, end in zip(sample.spaces, hits, ends, strict=True):
        for seed in range(8):
            sample.add(name, [0.9 if epoch >= hit else 0.5 for epoch in range(1, end + 1)], seed=seed)
    summary = analyse(sample)
    assert summary.schedules[1].reach[0].verdict == verdict
    short = [name for name, end in zip(sample.spaces, ends, strict=True) if end < 24]
    warned = [one for one in summary.warnings if "ended before" in one]
    assert [one.partition(" Without")[0] for one in warned] == [
        f"{name}: 8 of 8 confirm runs ended before 24 epochs." for name in short
    ]
