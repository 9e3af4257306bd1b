"""Targets and verdicts in any clock: epochs, steps, samples, tokens or seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from analysis_samples import BEGIN, Sample, race, rising
from hypothesis import given, settings
from hypothesis import strategies as st

from lrstudy.analysis import Summary, analyse
from lrstudy.errors import InputError
from lrstudy.store import StudyInfo

STEPS = 10  # of an epoch


@dataclass
class StepSample(Sample):
    """The same study with its length in steps, its metrics declared and no epochs recorded."""

    declared: dict[str, Any] = field(default_factory=dict)
    clock: str | None = None
    no_epochs: bool = True

    @property
    def study(self) -> StudyInfo:
        spec = json.loads(json.dumps(super().study.spec))
        spec["task"] = {"train": "own:train", "steps": STEPS * self.epochs_budget, "metrics": self.declared}
        spec["target"]["clock"] = self.clock
        return StudyInfo(self.name, spec, "hash", 0, created_at=BEGIN, lanes=self.lanes)

    def trials(self) -> Any:
        rows = [row | {"steps_run": STEPS * row["epochs_run"]} for row in self.trial_rows]
        rows = [row | {"epochs_run": None} if self.no_epochs else row for row in rows]
        return pa.Table.from_pylist(rows, schema=self.study.schema("trials"))

    def evaluations_table(self) -> Any:
        rows = [
            row | {"step": STEPS * row["epoch"] if row["epoch"] else row["step"]} for row in self.epoch_rows
        ]
        rows = [row | {"epoch": None} if self.no_epochs else row for row in rows]
        return pa.Table.from_pylist(rows, schema=self.study.schema("evaluations"))


def in_steps(sample: Sample, **more: Any) -> StepSample:
    """The same data as a study in steps."""
    declared = {"val_accuracy": {"goal": "max", "low": 0, "high": 1}}
    made = StepSample(sample.spaces, targets=sample.targets, declared=declared, **more)
    made.trial_rows, made.epoch_rows = sample.trial_rows, sample.epoch_rows
    return made


def ways(summary: Summary) -> list[Any]:
    return [reach for schedule in summary.schedules for reach in schedule.reach]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(1, 11), min_size=4, max_size=4), min_size=2, max_size=3))
def test_epochs_and_steps_give_the_same_speedups_verdicts_and_p_values(hits: list[list[int]]) -> None:
    sample = race(dict(zip(("fixed", "a", "b"), hits, strict=False)))
    epochs, steps = analyse(sample), analyse(in_steps(sample))
    assert (epochs.clock, epochs.length, steps.clock, steps.length) == ("epochs", 10, "steps", 100)
    for one, other in zip(ways(epochs), ways(steps), strict=True):
        assert other.verdict == one.verdict
        assert other.p_value == pytest.approx(one.p_value)
        for ratio in ("speedup", "speedup_seconds", "speedup_ert"):
            ends = [getattr(each, ratio) for each in (one, other)]
            assert [ends[1].value, ends[1].low, ends[1].high] == pytest.approx(
                [ends[0].value, ends[0].low, ends[0].high]
            )
        assert other.mean_time.value == pytest.approx(STEPS * one.mean_time.value)
        assert other.ert == (None if one.ert is None else pytest.approx(STEPS * one.ert))
    for one, other in zip(epochs.schedules, steps.schedules, strict=True):
        assert (one.ecdf is None) == (other.ecdf is None)
        if one.ecdf is not None and other.ecdf is not None:
            assert other.ecdf.area == pytest.approx(one.ecdf.area)


@pytest.mark.parametrize("no_epochs", [True, False])
def test_the_same_tuning_costs_as_much_in_steps_as_in_epochs(*, no_epochs: bool) -> None:
    sample = race({"fixed": [8, 8, 8], "fast": [4, 4, 4]})
    sample.spaces["fast"] = {"lr": {"low": 0.001, "high": 1.0, "log": True}}
    for number in range(3):
        sample.add("fast", rising(4 + number), phase="tune", params={"lr": 0.1 * (number + 1)})
    prices = [
        analyse(one).schedules[1].price_of_target for one in (sample, in_steps(sample, no_epochs=no_epochs))
    ]
    assert prices[1].value == pytest.approx([STEPS * value for value in prices[0].value])


def test_a_clock_that_the_command_names_replaces_the_study_s() -> None:
    sample = race({"fixed": [8, 8, 9], "fast": [4, 4, 4]})
    for clock, scale in (("samples", 3200), ("seconds", 2.0), ("steps", 100)):
        summary = analyse(sample, clock=clock)
        fast = summary.schedules[1].reach[0]
        assert (summary.clock, summary.length, summary.trial_clock) == (clock, 10 * scale, "epochs")
        assert fast.mean_time.value == pytest.approx(4 * scale)
        assert fast.speedup.value == pytest.approx(25 / 12)


def test_a_hit_after_the_shortest_run_has_ended_counts_as_a_miss_up_to_there() -> None:
    sample = race({"fixed": [8, 8, 9], "slow": [4, 4, 6]})
    for row in sample.epoch_rows:
        row["train_seconds"] = 4.0 if row["schedule"] == "slow" else 2.0
    summary = analyse(sample, clock="seconds")
    assert summary.length == 20  # the reference's whole training; the other takes 40
    slow = summary.schedules[1].reach[0]
    assert (slow.hits, slow.mean_time.value) == (2, pytest.approx((16 + 16 + 20) / 3))
    assert slow.ert == pytest.approx((16 + 16 + 20) / 2)


def test_tokens_are_a_clock_where_every_evaluation_has_them() -> None:
    sample = race({"fixed": [8, 8, 9], "fast": [4, 4, 4]})
    for row in sample.epoch_rows:
        # The faster schedule reads sequences that are twice as long: by tokens it is no faster.
        row["tokens"] = row["epoch"] * (2000 if row["schedule"] == "fast" else 1000)
    made = in_steps(sample, clock="tokens")
    summary = analyse(made)
    assert (summary.clock, summary.length) == ("tokens", 10_000)
    assert summary.schedules[1].reach[0].speedup.value == pytest.approx(25 / 24)
    assert summary.schedules[0].price.confirm.tokens == 3 * 10_000


@pytest.mark.parametrize("clock", ["tokens", "epochs"])
def test_a_clock_that_some_evaluation_lacks_is_refused(clock: str) -> None:
    sample = race({"fixed": [8, 8, 9], "fast": [4, 4, 4]})
    sample.epoch_rows[0]["tokens"] = 5
    with pytest.raises(InputError) as caught:
        analyse(in_steps(sample), clock=clock)
    (problem,) = caught.value.problems
    assert (problem.key, problem.value) == ("target.clock", clock)
    assert "lrstudy report RUN --clock steps" in problem.remedy


def test_seconds_of_lanes_are_refused_and_an_unknown_clock_is() -> None:
    sample = race({"fixed": [8, 8], "fast": [4, 4]}, lanes=8)
    with pytest.raises(InputError, match="lanes"):
        analyse(sample, clock="seconds")
    with pytest.raises(InputError, match="is not a clock"):
        analyse(sample, clock="hours")


def test_runs_at_unequal_times_are_compared_and_drawn_over_all_of_them() -> None:
    sample = Sample({"fixed": {}, "other": {}}, targets=[0.9], epochs_budget=12)
    for seed, every in enumerate((2, 3, 4)):
        epochs = [*range(every, 13, every)]
        # A straight line: interpolation meets it at every time.
        values = [at / 12 for at in epochs]
        for name in sample.spaces:
            sample.add(name, values, seed=seed, epochs=epochs, evaluations_run=len(epochs))
    for number, row in enumerate(sample.epoch_rows):
        first = next(i for i, one in enumerate(sample.epoch_rows) if one["trial_id"] == row["trial_id"])
        row["evaluation"] = number - first + 1
    summary = analyse(sample)
    assert summary.moment == "evaluation"
    fixed, other = (schedule.reach[0] for schedule in summary.schedules)
    assert fixed.mean_time.value == pytest.approx((12 + 12 + 12) / 3)
    # A hit seen at 12 may have happened just after 8: the longest gap is that of the coarsest run.
    assert other.speedup.low == pytest.approx(8 / 12)
    curve = summary.schedules[0].curves["val_accuracy"]
    assert curve.times["epochs"] == (2, 3, 4, 6, 8, 9, 10, 12)
    assert curve.runs == (1, 2, 3, 3, 3, 3, 3, 3)
    assert curve.value == pytest.approx([at / 12 for at in curve.times["epochs"]])


def test_a_declared_metric_has_curves_and_bounds() -> None:
    sample = race({"fixed": [8, 8], "fast": [4, 4]})
    made = in_steps(sample)
    made.declared |= {"perplexity": {"goal": "min", "low": 1.0}}
    for row in made.epoch_rows:
        row["perplexity"] = 1.0 + row["seed"] / row["epoch"]
    summary = analyse(made)
    assert [metric.name for metric in summary.declared] == ["perplexity"]
    curve = summary.schedules[0].curves["perplexity"]
    assert min(curve.low) == 1.0  # what the metric cannot reach is not in the band


def test_a_study_in_steps_spends_no_epochs_that_it_did_not_record() -> None:
    summary = analyse(in_steps(race({"fixed": [8, 8], "fast": [4, 4]})))
    assert (summary.schedules[0].price.confirm.epochs, summary.schedules[0].price.confirm.steps) == (
        None,
        200,
    )
