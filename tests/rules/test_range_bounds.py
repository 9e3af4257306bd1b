"""The bounds read off a range test's curve: near the known limit, deaf to noise, silent without a fall."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrstudy.rules.range_bounds import smooth, suggest_bounds


def sweep(curvature: float, rates: np.ndarray, noise: float = 0.0, seed: int = 0) -> list[float]:
    """Gradient descent on f(w) = curvature/2 |w|^2, which is stable for rates below 2/curvature."""
    draw = np.random.default_rng(seed)
    w, losses = np.ones(20), []
    with np.errstate(over="ignore", invalid="ignore"):  # beyond the limit it ends at infinity
        for rate in rates:
            losses.append(float(curvature / 2 * (w @ w)) * (1 + 0.1 * noise * draw.normal()))
            w = w - rate * curvature * (w + noise * draw.normal(size=20))
    return losses


@settings(deadline=None, max_examples=60)
@given(st.floats(1e-3, 1e3), st.integers(100, 600), st.floats(2.0, 4.0), st.floats(0.5, 1.5))
def test_the_highest_rate_lies_below_and_near_the_stability_limit(
    curvature: float, steps: int, below: float, above: float
) -> None:
    limit = 2 / curvature
    rates = np.geomspace(limit * 10**-below, limit * 10**above, steps)
    found = suggest_bounds(rates, sweep(curvature, rates))
    assert found.usable
    assert 0.3 * limit < found.high < limit
    assert found.low < found.high / 10
    assert not found.open_high


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.1, 1.5))
def test_noise_does_not_hide_the_limit(seed: int, noise: float) -> None:
    limit = 2 / 5.0
    rates = np.geomspace(1e-4 * limit, 20 * limit, 300)
    found = suggest_bounds(rates, sweep(5.0, rates, noise, seed))
    assert found.usable
    # Noisy gradients spread the weights before the limit: the loss rises sooner.
    assert 0.02 * limit < found.high < 1.1 * limit


def test_the_lowest_rate_is_where_the_loss_begins_to_fall() -> None:
    rates = np.geomspace(1e-6, 1.0, 241)
    losses = [2.0 if rate < 1e-3 else 2.0 - 0.5 * math.log10(rate / 1e-3) for rate in rates]
    found = suggest_bounds(rates, losses)
    assert found.usable
    # A tenth of the fall of 1.5 is passed at 10^(0.15/0.5) of 1e-3.
    assert found.low == pytest.approx(1e-3 * 10**0.3, rel=0.2)


def test_a_loss_that_never_rises_leaves_the_upper_end_open() -> None:
    rates = np.geomspace(1e-6, 1e-2, 200)
    found = suggest_bounds(rates, 2.0 - np.linspace(0, 1, 200))
    assert found.open_high
    assert found.high == pytest.approx(rates[-2])


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_without_a_fall_nothing_is_suggested(noise: float) -> None:
    rates = np.geomspace(1e-5, 10, 200)
    for seed in range(20):
        losses = 2.3 + noise * np.random.default_rng(seed).normal(size=200)
        losses[180:] += np.linspace(0, 50, 20)
        found = suggest_bounds(rates, losses)
        assert not found.usable
        assert "never fell" in found.reason


def test_a_loss_that_only_rises_gives_nothing() -> None:
    rates = np.geomspace(0.1, 10, 100)
    assert not suggest_bounds(rates, np.geomspace(1, 1e6, 100)).usable


def test_what_follows_the_first_infinite_loss_is_not_read() -> None:
    limit = 2.0
    rates = np.geomspace(1e-4, 20, 300)
    losses = sweep(1.0, rates)
    cut = int(np.searchsorted(rates, 4 * limit))
    spoiled = [*losses[:cut], math.inf, *([0.0] * (300 - cut - 1))]
    assert suggest_bounds(rates, spoiled).high == pytest.approx(suggest_bounds(rates, losses).high, rel=0.1)


def test_too_short_a_curve_is_refused_in_words() -> None:
    found = suggest_bounds([0.1, 0.2, 0.3], [1.0, math.nan, 1.0])
    assert not found.usable
    assert "only 1 of 3 steps" in found.reason
    assert not suggest_bounds([], []).usable


def test_a_lone_spike_changes_nothing() -> None:
    rates = np.geomspace(1e-4, 20, 300)
    losses = sweep(1.0, rates)
    spiked = [*losses]
    spiked[120] = 1e6
    with_spike, without = suggest_bounds(rates, spiked), suggest_bounds(rates, losses)
    assert replace(with_spike, steepest=None) == replace(without, steepest=None)
    assert with_spike.steepest == pytest.approx(without.steepest, rel=0.2)


def test_the_steepest_rate_is_where_the_slope_is() -> None:
    """A logistic fall over the rate's logarithm is steepest in its middle, whatever the grid."""
    for steps in (100, 241, 600):
        rates = np.geomspace(1e-6, 1.0, steps)
        losses = 2.0 - 1.0 / (1.0 + np.exp(-4 * np.log10(rates / 2e-3)))
        found = suggest_bounds(rates, losses)
        assert found.steepest == pytest.approx(2e-3, rel=0.25)
        assert found.low < found.steepest < found.high


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.sampled_from([3, 5, 9]))
def test_smoothing_stays_within_what_it_smooths(losses: list[float], width: int) -> None:
    found = smooth(losses, width)
    assert found.shape == (len(losses),)
    assert min(losses) - 1e-6 <= found.min() <= found.max() <= max(losses) + 1e-6


@pytest.mark.parametrize(
    ("rates", "losses"),
    [([1.0, 2.0], [1.0]), ([2.0, 1.0], [1.0, 1.0]), ([0.0, 1.0], [1.0, 1.0]), ([1.0, math.inf], [1.0, 1.0])],
)
def test_rates_that_do_not_rise_are_refused(rates: list[float], losses: list[float]) -> None:
    with pytest.raises(ValueError, match="rates"):
        suggest_bounds(rates, losses)
