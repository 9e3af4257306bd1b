"""Targets: given ones are checked, missing ones derived from the reference."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_samples import NAN, Sample

from lrstudy.analysis.targets import GIVEN, NONE, choose_targets, ladder
from lrstudy.analysis.trial_table import Columns
from lrstudy.errors import InputError
from lrstudy.rules.metrics import METRICS


def runs(*curves: list[float | None], metric: str = "val_accuracy", status: str = "completed") -> Columns:
    sample = Sample({"fixed": {}}, metric=metric)
    for seed, curve in enumerate(curves):
        sample.add("fixed", curve, seed=seed, status=status)
    return sample.columns()


def chosen(columns: Columns, metric: str = "val_accuracy") -> tuple[tuple[float, ...], str]:
    return choose_targets(columns, columns.trials, METRICS[metric], None)


def test_given_targets_are_kept_in_their_order_without_doubles() -> None:
    columns = runs([0.5])
    assert choose_targets(columns, columns.trials, METRICS["val_accuracy"], [0.9, 0.8, 0.9]) == (
        (0.9, 0.8),
        GIVEN,
    )


def test_every_target_outside_the_metrics_range_is_named_at_once() -> None:
    columns = runs([0.5])
    with pytest.raises(InputError) as caught:
        choose_targets(columns, (), METRICS["val_accuracy"], [1.5, 0.9, NAN])
    assert [problem.key for problem in caught.value.problems] == ["values[0]", "values[2]"]


def test_derived_targets_lie_on_the_way_from_the_median_first_to_the_median_best_epoch() -> None:
    columns = runs([0.2, 0.9, 0.8], [0.3, 0.8, 0.7], [0.1, 0.6, 0.95])
    targets, rule = chosen(columns)
    # first epochs 0.2, 0.3, 0.1; bests 0.9, 0.8, 0.95
    assert targets == (0.83, 0.886)
    assert rule == (
        "The targets are at 90% and 98% of the way from the median first epoch (0.2) to the median best "
        "epoch (0.9) of the reference's confirm runs."
    )


def test_derived_targets_of_a_loss_lie_below_its_first_epoch() -> None:
    targets, _ = chosen(runs([2.0, 1.0, 0.5], metric="val_loss"), "val_loss")
    assert targets == pytest.approx((0.65, 0.53))


def test_diverged_runs_and_values_that_are_not_finite_tell_nothing() -> None:
    columns = runs([NAN, 0.2, 0.9], [None, 0.2, 0.9])
    assert chosen(columns)[0] == (0.83, 0.886)
    assert chosen(runs([0.2, 0.9], status="diverged")) == ((), NONE)
    assert chosen(runs([NAN, NAN])) == ((), NONE)


def test_a_flat_reference_gives_one_target_and_no_ladder() -> None:
    columns = runs([0.5, 0.5])
    assert chosen(columns)[0] == (0.5,)
    assert ladder(columns, columns.trials, METRICS["val_accuracy"]) == ()


def test_rounding_never_puts_a_target_beyond_what_the_reference_typically_reaches() -> None:
    best = 0.90007  # to four digits 0.9001
    targets, _ = chosen(runs([best - 1e-5, best]))
    assert targets
    assert all(target <= best for target in targets)


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_the_ladder_goes_from_the_easiest_to_the_hardest_level(metric: str) -> None:
    columns = runs([0.2, 0.9] if metric == "val_accuracy" else [0.9, 0.2], metric=metric)
    levels = np.array(ladder(columns, columns.trials, METRICS[metric]))
    steps = np.diff(levels)
    assert (steps > 0).all() if metric == "val_accuracy" else (steps < 0).all()
    assert sorted((levels[0], levels[-1])) == pytest.approx([0.2, 0.9])
