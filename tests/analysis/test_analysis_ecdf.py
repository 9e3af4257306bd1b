"""The share of runs and levels reached by each epoch."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_samples import NAN, Sample, race

from lrstudy.analysis.ecdf import ecdf_of, evaluation_times
from lrstudy.analysis.summary import Ecdf
from lrstudy.rules.metrics import METRICS


def found(sample: Sample, levels: list[float]) -> Ecdf:
    columns, timing = sample.columns(), sample.timing()
    times = evaluation_times(columns, columns.trials, timing)
    ecdf = ecdf_of(columns, columns.trials, METRICS[sample.metric], levels, timing, times)
    assert ecdf is not None
    return ecdf


def test_runs_and_levels_are_pooled() -> None:
    sample = Sample({"fixed": {}}, epochs_budget=4)
    sample.add("fixed", [0.1, 0.5, 0.5, 0.9]).add("fixed", [0.6, 0.6, 0.6, 0.6], seed=1)
    ecdf = found(sample, [0.4, 0.8])
    assert ecdf.times == (1, 2, 3, 4)
    assert ecdf.share == (0.25, 0.5, 0.5, 0.75)
    assert ecdf.area == 0.5
    assert (ecdf.levels, ecdf.runs) == (2, 2)


def test_a_diverged_run_reaches_no_level_and_keeps_the_share_below_one() -> None:
    sample = Sample({"fixed": {}}, epochs_budget=2).add("fixed", [0.9, 0.9])
    sample.add("fixed", [0.9, NAN], status="diverged", seed=1)
    assert found(sample, [0.5]).share == (0.5, 0.5)


def test_the_share_of_a_run_that_ended_early_stays_where_it_was() -> None:
    assert found(Sample({"fixed": {}}, epochs_budget=4).add("fixed", [0.5, 0.9]), [0.9]).share == (0, 1, 1, 1)


def test_with_one_level_the_area_is_what_the_mean_hit_time_leaves() -> None:
    hits = [2, 5, 11]
    ecdf = found(race({"fixed": hits}), [0.9])
    assert ecdf.area == pytest.approx(np.mean([(11 - hit) / 10 for hit in hits]))


def test_there_is_none_without_runs_or_levels() -> None:
    sample = race({"fixed": [2]})
    columns, timing, times = sample.columns(), sample.timing(), np.arange(1.0, 11.0)
    metric = METRICS["val_accuracy"]
    assert ecdf_of(columns, [], metric, [0.9], timing, times) is None
    assert ecdf_of(columns, columns.trials, metric, [], timing, times) is None
