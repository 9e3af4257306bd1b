"""Learning curves: the mean over confirm runs with its interval, epoch by epoch."""

from __future__ import annotations

import pytest
from analysis_samples import NAN, Sample
from scipy import stats

from lrstudy.analysis.curves import curves_of
from lrstudy.analysis.summary import Curve
from lrstudy.rules.metrics import METRICS


def curves(sample: Sample) -> dict[str, Curve]:
    columns = sample.columns()
    return curves_of(columns, columns.trials, METRICS[sample.metric], 0.95)


def three(*values: list[float | None], **more: object) -> Sample:
    sample = Sample({"fixed": {}})
    for seed, curve in enumerate(values):
        sample.add("fixed", curve, seed=seed, **more)  # type: ignore[arg-type] # a row's columns
    return sample


def test_mean_and_t_interval_are_scipys() -> None:
    curve = curves(three([0.3, 0.4], [0.4, 0.6], [0.5, 0.5]))["val_accuracy"]
    low, high = stats.t.interval(0.95, 2, loc=0.4, scale=stats.sem([0.3, 0.4, 0.5]))
    assert curve.value == pytest.approx((0.4, 0.5))
    assert (curve.low[0], curve.high[0]) == pytest.approx((low, high))
    assert curve.runs == (3, 3)


@pytest.mark.parametrize("metric", ["val_accuracy", "val_error"])
def test_no_interval_of_a_share_goes_beyond_0_or_1(metric: str) -> None:
    sample = Sample({"fixed": {}}, metric=metric)
    for seed, values in enumerate(([0.1, 0.99], [0.2, 0.9], [0.6, 1.0])):
        sample.add("fixed", list(values), seed=seed)
    curve = curves(sample)[metric]
    assert curve.low[0] == 0.0
    assert curve.high[1] == 1.0


def test_a_loss_has_no_upper_end_and_a_rate_is_never_below_zero() -> None:
    sample = three([0.5], [0.5], [0.5])
    for row, lr, loss in zip(sample.epoch_rows, (0.1, 0.1, 5.0), (0.1, 0.2, 9.0), strict=True):
        row["lr"], row["train_loss"] = lr, loss
    found = curves(sample)
    assert found["lr"].low == (0.0,)
    assert found["train_loss"].high[0] > 9.0


def test_an_epoch_that_few_runs_reached_says_how_many_and_gives_no_interval_for_one() -> None:
    curve = curves(three([0.1, 0.4, 0.5], [0.2, NAN], [0.6]))["val_accuracy"]
    assert curve.runs == (3, 1, 1)
    assert curve.value[1:] == (0.4, 0.5)
    assert curve.low[1:] == (None, None)


def test_an_epoch_that_no_run_measured_is_unknown() -> None:
    curve = curves(three([0.1, None, 0.5], [0.2, NAN, 0.6]))["val_accuracy"]
    assert curve.value[1] is None
    assert curve.runs == (2, 0, 2)


def test_an_epoch_left_out_of_a_history_leaves_a_gap_and_shifts_nothing() -> None:
    curve = curves(three([0.1, 0.5], epochs=[1, 3]))["val_accuracy"]
    assert curve.value == (0.1, None, 0.5)
    assert curve.times["epochs"] == (1.0, None, 3.0)


def test_every_measured_column_has_a_curve_and_no_other() -> None:
    assert set(curves(three([0.1, 0.2]))) == {"val_accuracy", "train_loss", "lr"}
    assert set(curves(three([0.1, 0.2], imported=True))) == {"val_accuracy"}


def test_a_curve_knows_its_epochs_along_every_axis() -> None:
    times = curves(three([0.1, 0.2], [0.1, 0.2]))["lr"].times
    assert times == {"epochs": (1, 2), "steps": (100, 200), "samples": (3200, 6400), "seconds": (2, 4)}


def test_there_are_none_without_an_epoch() -> None:
    assert curves(three([], status="diverged", evaluations_run=1)) == {}
