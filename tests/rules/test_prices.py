"""The price of what trials hold, and what a run has cost so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.rules.prices import Prices
from lrstudy.rules.spending import spending_of

PRICES = Prices("EUR", {"H100": 2.5, "h100 nvl": 2.8, "A100": 1.5, "cpu": 0.04}, limit=20.0, cores=3)


@dataclass(frozen=True)
class Slot:
    device: str = "x86_64 cpu"
    cpus: int | None = 1
    gpus: float = 0.0
    workers: int = 1


DEVICES = st.sampled_from(["NVIDIA H100 80GB HBM3", "NVIDIA H100 NVL", "2 × NVIDIA A100-SXM4-80GB"])
SLOTS = st.builds(Slot, DEVICES, st.integers(1, 64), st.sampled_from([0.0, 0.25, 1.0]), st.integers(1, 8))
PRICE_OF = {"NVIDIA H100 80GB HBM3": 2.5, "NVIDIA H100 NVL": 2.8, "2 × NVIDIA A100-SXM4-80GB": 1.5}


@given(SLOTS, st.floats(0, 1e6))
def test_a_trial_costs_its_cores_and_its_parts_of_gpus_for_as_long_as_it_held_them(
    slot: Slot, seconds: float
) -> None:
    assert slot.cpus is not None
    cores, gpus = slot.workers * slot.cpus, slot.workers * slot.gpus
    expected = (cores * 0.04 + gpus * PRICE_OF[slot.device]) * seconds / 3600
    cost = PRICES.cost(slot, seconds)
    assert cost == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert PRICES.at_most(slot.gpus, slot.workers, slot.cpus) * seconds / 3600 >= expected - 1e-12


@given(SLOTS, st.lists(st.floats(0, 1e5), max_size=6))
def test_the_parts_of_a_trials_time_cost_together_what_it_costs(slot: Slot, parts: list[float]) -> None:
    whole = PRICES.cost(slot, math.fsum(parts))
    assert whole is not None
    spending = spending_of(PRICES, [(slot, part) for part in parts])
    assert spending.spent == pytest.approx(whole, rel=1e-9, abs=1e-15)
    assert spending.passed == (spending.spent >= 20.0)


def test_a_gpu_without_a_price_is_named_and_never_costs_nothing() -> None:
    other = Slot("NVIDIA L4", gpus=1.0)
    assert PRICES.cost(other, 3600.0) is None
    spending = spending_of(PRICES, [(other, 3600.0), (Slot(), 3600.0), (Slot(), None)])
    assert spending.unpriced == {"NVIDIA L4": 1}
    assert (spending.spent, spending.untimed) == (pytest.approx(0.04), 1)
    assert spending.passed, "a limit cannot be watched without the price"
    assert "without those on NVIDIA L4" in str(spending)


def test_an_attempt_that_has_not_named_its_gpu_counts_as_the_most_expensive() -> None:
    spending = spending_of(PRICES, [(Slot("", gpus=0.5), 7200.0)])
    assert spending.spent == pytest.approx(2 * (0.04 + 0.5 * 2.8))


def test_a_row_that_does_not_tell_its_cores_has_those_of_the_study() -> None:
    assert PRICES.cost(Slot(cpus=None), 3600.0) == pytest.approx(3 * 0.04)


def test_cores_are_included_in_the_price_of_a_gpu_where_they_have_none() -> None:
    assert Prices("EUR", {"h100": 2.5}).cost(Slot("NVIDIA H100", cpus=8, gpus=1.0), 3600.0) == 2.5


def test_a_study_without_prices_has_none() -> None:
    assert Prices.of({"cost": {"currency": "", "per_hour": {}, "limit": None}}) is None
    assert Prices.of({}) is None
