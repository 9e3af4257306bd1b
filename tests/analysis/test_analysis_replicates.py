"""Comparisons over replicates of a study."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lrstudy.analysis.replicates import Replicates, degrees_of_freedom, difference, replicated_speedup


def table(logs: list[list[float]], width: float = 0.0) -> Replicates:
    """A table whose hits are known to ``width`` on the log scale."""
    values = np.array(logs, dtype=float)
    names = ("fixed", *(f"s{row}" for row in range(1, len(logs))))
    return Replicates(names, tuple(range(1, values.shape[1] + 1)), values, values - width)


REFERENCE = [2.0, 2.3, 1.9, 2.2, 2.6, 2.1]
SCHEDULE = [1.7, 1.9, 1.8, 1.6, 2.3, 1.9]


def test_two_schedules_are_compared_by_a_paired_t_test() -> None:
    found = difference(table([REFERENCE, SCHEDULE]), "s1")
    golden = stats.ttest_rel(REFERENCE, SCHEDULE)
    assert found is not None
    assert found.p_value == pytest.approx(golden.pvalue)
    assert found.degrees == pytest.approx(5)
    speedup = replicated_speedup(table([REFERENCE, SCHEDULE]), "s1", (), 0.95, hit=True)
    limits = golden.confidence_interval()
    assert (speedup.low, speedup.high) == (
        pytest.approx(math.exp(limits.low)),
        pytest.approx(math.exp(limits.high)),
    )
    assert speedup.ratio == pytest.approx(math.exp(np.mean(REFERENCE) - np.mean(SCHEDULE)))
    assert speedup.pairs == 6


def test_other_comparisons_moderate_the_variance() -> None:
    rng = np.random.default_rng(0)
    logs = [REFERENCE, SCHEDULE, *(rng.normal(2, 0.5, (2, 6))).tolist()]
    found = difference(table(logs), "s1")
    variances = [np.var(np.subtract(REFERENCE, row), ddof=1) for row in logs[1:]]
    weight = 8 / (8 + 5)
    expected = (1 - weight) * variances[0] + weight * np.mean(variances)
    assert found is not None
    assert found.error == pytest.approx(math.sqrt(expected / 6))
    assert found.degrees == pytest.approx(degrees_of_freedom(6, 3))
    assert 5 < degrees_of_freedom(6, 3) < 15


def test_the_degrees_of_freedom_are_those_of_the_simulated_variance() -> None:
    rng = np.random.default_rng(3)
    y = rng.standard_normal((40_000, 5, 6))
    own = (y[:, :1] - y[:, 1:]).var(axis=-1, ddof=1)
    variance = (5 / 13) * own[:, 0] + (8 / 13) * own.mean(axis=1)
    # Of a scaled chi-squared: 2 mean² / variance.
    assert degrees_of_freedom(6, 4) == pytest.approx(2 * variance.mean() ** 2 / variance.var(), rel=0.03)


def test_only_replicates_with_runs_of_both_count() -> None:
    nan = math.nan
    holes = table([[*REFERENCE, 9.0, nan], [*SCHEDULE, nan, 1.0]])
    assert difference(holes, "s1") == difference(table([REFERENCE, SCHEDULE]), "s1")
    assert difference(table([[nan, 1.0], [2.0, nan]]), "s1") is None


def test_one_replicate_gives_a_ratio_without_an_interval() -> None:
    speedup = replicated_speedup(table([[2.0], [1.5]]), "s1", (), 0.95, hit=True)
    assert speedup.ratio == pytest.approx(math.exp(0.5))
    assert (speedup.low, speedup.high, speedup.p_value) == (None, None, None)
    assert "One replicate" in speedup.note


def test_without_a_hit_there_is_no_interval() -> None:
    speedup = replicated_speedup(table([[2.0, 2.0], [2.0, 2.0]]), "s1", (), 0.95, hit=False)
    assert (speedup.low, speedup.high, speedup.p_value) == (None, None, 1.0)
    assert speedup.note == "No run of either schedule reached the target: the speedup is unknown."


def test_the_interval_is_never_narrower_than_one_evaluation() -> None:
    alike = table([[2.0] * 8, [1.9] * 8], width=0.15)
    speedup = replicated_speedup(alike, "s1", (), 0.95, hit=True)
    assert speedup.low is not None
    assert speedup.high is not None
    assert speedup.low == pytest.approx(math.exp(0.1 - 0.15))
    assert speedup.high == pytest.approx(math.exp(0.1 + 0.15))
    assert "widened" in speedup.note


def test_a_delay_that_both_schedules_share_shifts_the_interval_and_no_more() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.2, (2, 8))
    late = table([list(1.0 + noise[0]), list(0.9 + noise[1])])
    found = replicated_speedup(late, "s1", (), 0.95, hit=True)
    both = replicated_speedup(replace(late, early=late.logs - 0.3), "s1", (), 0.95, hit=True)
    assert (both.low, both.high) == (found.low, found.high)
    early = late.logs - np.array([[0.5], [0.0]])
    one = replicated_speedup(replace(late, early=early), "s1", (), 0.95, hit=True)
    assert one.ratio is not None
    assert one.high == found.high
    assert one.low == pytest.approx(one.ratio * math.exp(-0.5))


def test_equal_whole_epochs_in_two_replicates_are_no_proof() -> None:
    # Both differences are the same by chance; the rounding to evaluations leaves a spread.
    lucky = table([[math.log(5)] * 2, [math.log(3)] * 2], width=0.25)
    found = difference(lucky, "s1")
    assert found is not None
    assert found.p_value is not None
    assert found.p_value > 0.05


def test_what_was_seen_at_a_look_does_not_change_at_later_ones() -> None:
    rng = np.random.default_rng(5)
    logs = rng.normal(2, 0.1, (3, 8))
    logs[0] += 0.4
    stopped = logs.copy()
    stopped[1, 4:] = np.nan  # s1 was decided at 4 replicates
    at_four = replicated_speedup(table(logs[:, :4].tolist()), "s1", (4, 8, 16), 0.95, hit=True)
    later = replicated_speedup(table(stopped.tolist()), "s1", (4, 8, 16), 0.95, hit=True)
    assert later == at_four
    fixed = replicated_speedup(table(logs[:, :4].tolist()), "s1", (), 0.95, hit=True)
    assert at_four.p_value is not None
    assert fixed.p_value is not None
    assert at_four.p_value > fixed.p_value


def test_each_look_counts_the_replicates_up_to_its_own() -> None:
    rng = np.random.default_rng(5)
    logs = rng.normal(2, 0.1, (2, 8))
    logs[0, :4] += 0.4
    logs[0, 4:] -= 0.4  # later replicates say the opposite
    early, late = (
        replicated_speedup(table(logs[:, :number].tolist()), "s1", (4, 8, 16), 0.95, hit=True).p_value
        for number in (4, 8)
    )
    assert late == early
