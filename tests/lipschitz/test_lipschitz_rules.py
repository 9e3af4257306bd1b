"""From L to a rate: every optimizer rule over ten epochs."""

from __future__ import annotations

import logging
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrstudy.lipschitz import RULES, LipschitzRate, LossShape, Measurement, RateSettings, reference

epochs = st.lists(
    st.tuples(st.floats(0.1, 1e3), st.floats(0.1, 1e3), st.floats(0.0, 1e2)), min_size=10, max_size=10
)


def _run(settings: RateSettings, found: list[Measurement]) -> list[float]:
    rate = LipschitzRate(settings)
    rates = []
    for measurement in found:
        assert rate.update(measurement)
        assert rate.value is not None
        rates.append(rate.value)
    return rates


@given(
    st.sampled_from(RULES),
    epochs,
    st.floats(0.0, 0.99),
    st.floats(0.0, 0.9999),
    st.floats(0, 0.1),
    st.one_of(st.none(), st.floats(0.05, 2)),
    st.booleans(),
)
@settings(deadline=None)
def test_ten_epochs_of_every_rule_agree_with_the_twin(rule, measured, beta1, beta2, l2, x, correction):
    m, k = 128, 10
    settings = RateSettings(
        LossShape("cross-entropy", k),
        rule=rule,
        beta1=beta1,
        beta2=beta2,
        l2=l2,
        initial_lr=x,
        bias_correction=correction,
        initial_k1=0.5,
        initial_k2=1e-6,
    )
    c = reference.coefficient("cross-entropy", m, k)
    twins = [reference.Epoch(c * kz + l2 * w, c, kz, s, w) for kz, s, w in measured]
    expected = reference.learning_rates(
        rule, twins, beta1=beta1, beta2=beta2, l2=l2, x=x, k1=0.5, k2=1e-6, bias_correction=correction
    )
    rates = _run(settings, [Measurement(kz=kz, rows=m, weight_norm=w, squares=s) for kz, s, w in measured])
    assert rates == pytest.approx(expected, rel=1e-12)


def _constant_epochs(rule: str, **options: object) -> list[float]:
    # k = 2, m = 1: c = 1/2, so L = 1 for Kz = 2; S = 4 makes c²S = 1.
    settings = RateSettings(LossShape("cross-entropy", 2), rule=rule, beta1=0.9, beta2=0.9, **options)  # type: ignore[arg-type]
    return _run(settings, [Measurement(kz=2.0, rows=1, weight_norm=0.0, squares=4.0)] * 3)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("sgd", [1, 1, 1]),
        ("adamo", [1, 1, 1]),
        ("rmsprop", [math.sqrt(0.1) / 2, math.sqrt(0.19) / 2, math.sqrt(0.271) / 2]),
        ("rmsprop-paper", [math.sqrt(0.1), math.sqrt(0.19), math.sqrt(0.271)]),
        ("auto-adam", [1 / math.sqrt(0.1), 1 / math.sqrt(0.19), 1 / math.sqrt(0.271)]),
    ],
)
def test_hand_worked_averages(rule, expected):
    assert _constant_epochs(rule) == pytest.approx(expected, rel=1e-5)  # ε = 1e-7 apart


def test_an_average_that_starts_at_zero_begins_ten_times_too_high():
    zero = [1 / 0.1, 1 / 0.19, 1 / 0.271]
    assert _constant_epochs("adamo", initial_k=0.0) == pytest.approx(zero)
    # The named start is K's; initial_lr then is the first epoch's rate alone.
    assert _constant_epochs("adamo", initial_k=0.0, initial_lr=0.5) == pytest.approx(zero)
    assert _constant_epochs("adamo", initial_k=2.0)[0] == pytest.approx(1 / 1.9)


def test_without_a_start_k_is_the_first_measured_constant():
    settings = RateSettings(LossShape("cross-entropy", 2), rule="adamo", beta1=0.9)
    # L = Kz/2: 4, then 1: K = 4, 0.9·4 + 0.1·1 = 3.7.
    found = [Measurement(kz=kz, rows=1, weight_norm=0.0) for kz in (8.0, 2.0)]
    assert _run(settings, found) == pytest.approx([1 / 4, 1 / 3.7])
    again = LipschitzRate(settings)
    again.update(found[0])
    resumed = LipschitzRate(settings)
    resumed.load_state_dict(again.state_dict())
    resumed.update(found[1])
    assert resumed.value == pytest.approx(1 / 3.7)


@pytest.mark.parametrize(("rule", "rate"), [("sgd", 1), ("adamo", 1), ("rmsprop", 0.5), ("auto-adam", 1)])
def test_bias_correction_takes_the_warm_up_out_of_the_averages(rule, rate):
    assert _constant_epochs(rule, bias_correction=True) == pytest.approx([rate] * 3, rel=1e-5)


def test_adamos_hand_picked_start_stands_in_the_average():
    assert _constant_epochs("adamo", initial_lr=0.5)[0] == pytest.approx(1 / (0.9 * 0.5 + 0.1))


def test_scale_damping_and_the_upper_limit():
    assert _constant_epochs("sgd", scale=0.5) == [0.5] * 3
    assert _constant_epochs("sgd", damping=0.1) == [0.1] * 3
    assert _constant_epochs("sgd", scale=8.0, max_lr=3.0) == [3.0] * 3


def test_a_fixed_policy_keeps_the_first_good_rate():
    rate = LipschitzRate(RateSettings(LossShape("cross-entropy", 2), policy="fixed"))
    assert not rate.update(Measurement(kz=math.nan, rows=1, weight_norm=0.0))
    assert not rate.settled
    for kz in (2.0, 4.0, 8.0):
        rate.update(Measurement(kz=kz, rows=1, weight_norm=0.0))
    assert (rate.value, rate.constant, rate.kz) == (1.0, 1.0, 2.0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "bad",
    [
        Measurement(kz=0.0, rows=4, weight_norm=1.0),
        Measurement(kz=math.nan, rows=4, weight_norm=1.0),
        Measurement(kz=math.inf, rows=4, weight_norm=1.0),
        Measurement(kz=1.0, rows=4, weight_norm=math.nan),
        Measurement(kz=1.0, rows=4, weight_norm=math.inf, squares=1.0),
        Measurement(kz=0.0, rows=0, weight_norm=1.0),
    ],
)
def test_a_bad_measurement_changes_nothing_is_counted_and_told_once(rule, bad, caplog):
    rate = LipschitzRate(RateSettings(LossShape("cross-entropy", 2), rule=rule, beta1=0.9, beta2=0.9, l2=0.1))
    rate.update(Measurement(kz=2.0, rows=4, weight_norm=1.0, squares=2.0))
    before = rate.state_dict()
    with caplog.at_level(logging.WARNING):
        assert [rate.update(bad) for _ in range(3)] == [False] * 3
    assert rate.state_dict() == {**before, "rejected": 3}
    assert len(caplog.records) == 1
    assert rate.update(Measurement(kz=3.0, rows=4, weight_norm=1.0, squares=2.0))


def test_a_kz_too_small_for_a_finite_rate_is_bad_too():
    rate = LipschitzRate(RateSettings(LossShape("cross-entropy", 2)))
    assert not rate.update(Measurement(kz=1e-320, rows=4, weight_norm=0.0))
    assert (rate.value, rate.rejected) == (None, 1)


@pytest.mark.parametrize(("max_lr", "expected"), [(None, (None, 1)), (10.0, (10.0, 0))])
def test_a_rate_beyond_float32_is_rejected_unless_it_is_limited(max_lr, expected) -> None:
    """As a solved task's curvature may give it: torch's step cannot take such a rate."""
    rate = LipschitzRate(RateSettings(LossShape("cross-entropy", 2), max_lr=max_lr))
    rate.update(Measurement(kz=1e-41, rows=8, weight_norm=1.0))
    assert (rate.value, rate.rejected) == expected
