"""The curves' values: worked out by hand at named steps, and against closed forms over random arguments."""

from __future__ import annotations

import itertools
import json
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.errors import SchedulerError
from lrstudy.schedules import ScheduleContext, build_schedule, curve, has_curve, rates

CURVES = [kind for kind in SCHEDULES if has_curve(kind)]


def at(found: list[float], *steps: int) -> list[float]:
    return [found[step] for step in steps]


def close(expected: list[float], rel: float = 1e-9) -> object:
    return pytest.approx(expected, rel=rel)


def test_fixed() -> None:
    assert rates("fixed", {"lr": 0.3}, 2, 3) == [0.3] * 6


def test_step_at_its_milestones() -> None:
    found = rates("step", {"lr": 0.1, "gamma": 0.1, "milestones": [0.5, 0.75]}, 4, 10)
    assert at(found, 0, 19, 20, 29, 30, 39) == close([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_step_takes_milestones_in_any_order_and_inside_an_epoch() -> None:
    found = rates("step", {"lr": 1.0, "gamma": 0.5, "milestones": [0.6, 0.25]}, 1, 20)
    assert at(found, 4, 5, 11, 12) == close([1.0, 0.5, 0.5, 0.25])


def test_cyclic_triangular_goes_up_and_down_twice() -> None:
    found = rates("cyclic", {"max_lr": 0.5, "base_ratio": 0.1, "cycle_epochs": 2}, 4, 10)
    assert at(found, 0, 5, 10, 15, 20, 30) == close([0.05, 0.275, 0.5, 0.275, 0.05, 0.5])


def test_cyclic_triangular2_halves_the_second_cycle() -> None:
    params = {"max_lr": 0.5, "base_ratio": 0.1, "cycle_epochs": 2, "mode": "triangular2"}
    found = rates("cyclic", params, 4, 10)
    assert at(found, 0, 10, 20, 25, 30) == close([0.05, 0.5, 0.05, 0.1625, 0.275])


def test_cyclic_exp_range_shrinks_by_the_step() -> None:
    params = {"max_lr": 0.5, "base_lr": 0.05, "cycle_epochs": 2, "mode": "exp_range", "gamma": 0.9}
    found = rates("cyclic", params, 4, 10)
    # 0.05 + 0.45·0.9^10 and 0.05 + 0.45·0.9^30
    assert at(found, 0, 10, 20, 30) == close([0.05, 0.206905298045, 0.05, 0.06907602122384732])


def test_cyclic_fits_whole_cycles() -> None:
    # 5 epochs hold 2.5 cycles of 2 epochs: two cycles of 2.5 epochs, 25 steps, are run.
    found = rates("cyclic", {"max_lr": 1.0, "base_lr": 0.5, "cycle_epochs": 2}, 5, 10)
    assert found[25] == pytest.approx(0.5)
    assert max(found) == pytest.approx(0.98)  # the top lies between steps 12 and 13
    assert found[49] == pytest.approx(0.54)


def test_cyclic_longer_than_the_training_runs_once() -> None:
    found = rates("cyclic", {"max_lr": 1.0, "base_lr": 0.5, "cycle_epochs": 100}, 2, 10)
    assert at(found, 0, 10, 19) == close([0.5, 1.0, 0.55])


def test_cyclic_falls_back_to_a_quarter() -> None:
    assert rates("cyclic", {"max_lr": 0.8}, 2, 10)[0] == pytest.approx(0.2)


def test_one_cycle_at_start_top_middle_and_end() -> None:
    found = rates("one-cycle", {"max_lr": 1.0, "pct_start": 0.3}, 10, 10)
    # up over steps 0–29, down over 29–99; halfway down (step 64) the cosine is the mean of its ends
    assert at(found, 0, 29, 64, 99) == close([0.04, 1.0, (1.0 + 4e-6) / 2, 4e-6])


def test_one_cycle_linear() -> None:
    params = {
        "max_lr": 1.0,
        "pct_start": 0.5,
        "anneal": "linear",
        "div_factor": 10.0,
        "final_div_factor": 1.0,
    }
    found = rates("one-cycle", params, 1, 11)
    # end of the rise at 0.5·11 − 1 = 4.5: from 0.1 by 0.2 a step, then down by 0.9/5.5 a step
    assert at(found, 0, 1, 4, 10) == close([0.1, 0.3, 0.9, 0.1])
    assert found[5] - found[6] == pytest.approx(0.9 / 5.5)


def test_one_cycle_in_three_phases() -> None:
    params = {"max_lr": 1.0, "pct_start": 0.4, "anneal": "linear", "three_phase": True}
    found = rates("one-cycle", params, 2, 10)
    # up to step 7, down to the first rate at step 14, far below it at step 19
    assert at(found, 0, 7, 14, 19) == close([0.04, 1.0, 0.04, 4e-6])


def test_cosine_without_restarts() -> None:
    found = rates("cosine", {"lr": 0.2}, 4, 10)
    assert at(found, 0, 10, 20, 30) == close([0.2, 0.17071067811865476, 0.1, 0.02928932188134524])


def test_cosine_down_to_a_minimum() -> None:
    found = rates("cosine", {"lr": 0.2, "min_ratio": 0.1}, 4, 10)
    assert at(found, 0, 20) == close([0.2, 0.11])
    assert found[39] > 0.02


def test_cosine_with_a_restart_starts_again_in_the_middle() -> None:
    found = rates("cosine", {"lr": 0.2, "restarts": 1}, 4, 10)
    assert at(found, 0, 10, 20, 30) == close([0.2, 0.1, 0.2, 0.1])


def test_cosine_with_growing_waves() -> None:
    found = rates("cosine", {"lr": 0.2, "restarts": 1, "restart_factor": 2}, 3, 10)
    assert at(found, 0, 5, 10, 20) == close([0.2, 0.1, 0.2, 0.1])


def test_linear_polynomial_exponential_and_inverse_time() -> None:
    assert at(rates("linear", {"lr": 0.4}, 4, 10), 0, 10, 30) == close([0.4, 0.3, 0.1])
    assert at(rates("linear", {"lr": 0.4, "end_ratio": 0.5}, 4, 10), 0, 20) == close([0.4, 0.3])
    assert at(rates("polynomial", {"lr": 0.4, "power": 2.0}, 4, 10), 0, 10, 20) == close([0.4, 0.225, 0.1])
    assert at(rates("exponential", {"lr": 0.4, "gamma": 0.5}, 4, 10), 9, 10, 39) == close([0.4, 0.2, 0.05])
    assert at(rates("inverse-time", {"lr": 0.4, "decay": 0.1}, 4, 10), 0, 10, 30) == close([0.4, 0.2, 0.1])


def test_a_warmup_comes_before_a_curve_that_fills_the_training() -> None:
    found = rates("cosine", {"lr": 1.1, "warmup": 0.25}, 4, 10)
    # ten steps up by 1.1/11 each, then thirty of the cosine
    assert at(found, 0, 4, 9, 10, 25) == close([0.1, 0.5, 1.0, 1.1, 0.55])


def test_a_warmup_leaves_milestones_where_they_are() -> None:
    found = rates("step", {"lr": 1.1, "milestones": [0.5], "warmup": 0.25}, 4, 10)
    assert at(found, 0, 9, 10, 19, 20) == close([0.1, 1.0, 1.1, 1.1, 0.11])


def test_a_warmup_of_almost_everything_leaves_one_step() -> None:
    assert rates("fixed", {"lr": 1.0, "warmup": 0.99}, 1, 4) == close([0.25, 0.5, 0.75, 1.0])


def test_plateau_reduces_after_its_patience(training) -> None:
    params = {"lr": 1.0, "factor": 0.5, "patience": 1, "min_ratio": 0.2}
    work = training("plateau", params, epochs=8, steps_per_epoch=1, metrics=(0.5,))
    # the first epoch is the best; every second epoch without improvement halves, down to the minimum
    assert [pair[0] for pair in work.run()] == close([1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.2])


def test_plateau_reduces_the_smallest_rates_too(training) -> None:
    work = training("plateau", {"lr": 1e-9, "patience": 0}, epochs=3, steps_per_epoch=1, metrics=(0.5,))
    assert [pair[0] for pair in work.run()] == close([1e-9, 1e-9, 1e-10])


def test_plateau_knows_the_direction_of_the_metric() -> None:
    for higher_is_better, expected in [(True, 1.0), (False, 0.1)]:
        optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
        context = ScheduleContext(
            optimizer, torch.nn.Identity(), "", {}, 4, 1, list, seed=0, higher_is_better=higher_is_better
        )
        schedule = build_schedule("plateau", {"patience": 0}, context)
        for metric in (1.0, 2.0):
            schedule.after_step()
            schedule.after_epoch(metric)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_plateau_waits_for_a_metric_that_was_not_measured() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
    context = ScheduleContext(optimizer, torch.nn.Identity(), "", {}, 9, 1, list, seed=0)
    schedule = build_schedule("plateau", {"patience": 0}, context)
    for _ in range(5):
        schedule.after_step()
        schedule.after_epoch(None)
    assert optimizer.param_groups[0]["lr"] == 1.0


@pytest.mark.parametrize("kind", CURVES)
def test_the_optimizers_own_rate_stands_in(kind) -> None:
    given = rates(kind, {"max_lr" if kind in ("cyclic", "one-cycle") else "lr": 0.3}, 4, 5)
    assert rates(kind, {}, 4, 5, lr=0.3) == given


@pytest.mark.parametrize("kind", CURVES)
def test_a_tensor_valued_rate_stays_the_same_tensor(kind) -> None:
    rate = torch.tensor(0.1, dtype=torch.float64)
    optimizer = torch.optim.SGD([torch.zeros(1)], rate)
    context = ScheduleContext(optimizer, torch.nn.Identity(), "", {}, 3, 4, list, seed=0)
    schedule = build_schedule(kind, {}, context)
    found = []
    for step in range(12):
        found.append(rate.item())
        schedule.after_step()
        if step % 4 == 3:
            schedule.after_epoch(None)
    assert optimizer.param_groups[0]["lr"] is rate
    assert found == close(rates(kind, {}, 3, 4, lr=0.1), rel=1e-6)


@pytest.mark.parametrize("kind", CURVES)
def test_the_rate_stays_when_the_training_is_over(kind) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
    context = ScheduleContext(optimizer, torch.nn.Identity(), "", {}, 2, 3, list, seed=0)
    schedule = build_schedule(kind, {}, context)
    for _ in range(10):
        schedule.after_step()
        schedule.after_epoch(None)
    assert optimizer.param_groups[0]["lr"] > 0


@pytest.mark.parametrize("kind", CURVES)
def test_a_curve_is_plain_data(kind) -> None:
    found = curve(kind, {}, 3, 4)
    assert len(found.rates) == len(found.epochs) == 12
    assert found.epochs[6] == 1.5
    assert json.loads(json.dumps(found.to_json()))["rates"] == list(found.rates)


@pytest.mark.parametrize("kind", ["plateau", "lipschitz", "prodigy"])
def test_a_measured_schedule_has_no_curve(kind) -> None:
    with pytest.raises(SchedulerError, match=r"no curve before training.*Kinds that have one: fixed"):
        rates(kind, {}, 1, 1)


lr_values = st.floats(1e-6, 1e3)
lengths = st.tuples(st.integers(1, 6), st.integers(1, 12)).filter(lambda pair: pair[0] * pair[1] >= 3)


@settings(max_examples=40, deadline=None)
@given(lr_values, lengths, st.floats(0.0, 0.9), st.integers(0, 3))
def test_cosine_in_closed_form(lr, length, min_ratio, restarts) -> None:
    total = length[0] * length[1]
    assume(restarts == 0 or total >= 4 * (restarts + 1))
    wave = math.ceil(total / (restarts + 1))
    short = restarts > 0 and (1 - math.cos(math.pi * (wave * (restarts + 1) - total) / wave)) / 2 > 1e-3
    starts = [round(total * n / (restarts + 1)) if short else n * wave for n in range(restarts + 2)]
    expected = [
        lr * (min_ratio + (1 - min_ratio) * (1 + math.cos(math.pi * (step - start) / (end - start))) / 2)
        for start, end in itertools.pairwise(starts)
        for step in range(start, end)
    ][:total]
    params = {"lr": lr, "min_ratio": min_ratio, "restarts": restarts}
    assert rates("cosine", params, *length) == close(expected, rel=1e-8)


@settings(max_examples=40, deadline=None)
@given(lr_values, lengths, st.floats(0.01, 0.99), st.floats(0.5, 10), st.sampled_from([1.0, 0.99]))
def test_cyclic_in_closed_form_and_ends_on_a_boundary(max_lr, length, ratio, cycle_epochs, gamma) -> None:
    total = length[0] * length[1]
    params = {"max_lr": max_lr, "base_ratio": ratio, "cycle_epochs": cycle_epochs, "mode": "exp_range"}
    assume(total >= 4 * max(1, round(length[0] / cycle_epochs)))
    found = rates("cyclic", {**params, "gamma": gamma}, *length)
    half = total / (2 * max(1, round(length[0] / cycle_epochs)))

    def height(step: float) -> float:  # Smith's formula: max(0, 1 − |step/half − 2·cycle + 1|)
        cycle = math.floor(1 + step / (2 * half) + 1e-12)
        return max(0.0, 1 - abs(step / half - 2 * cycle + 1))

    expected = [max_lr * (ratio + (1 - ratio) * height(step) * gamma**step) for step in range(total)]
    assert found == close(expected, rel=1e-8)
    assert height(total) == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(CURVES), lr_values, lengths, st.floats(0.0, 0.99))
def test_any_curve_is_finite_positive_and_as_long_as_the_training(kind, lr, length, warmup) -> None:
    try:
        found = rates(kind, {"warmup": warmup}, *length, lr=lr)
    except SchedulerError as error:
        assert kind in ("one-cycle", "cyclic")
        assert "does not fit" in str(error)  # noqa: PT017  (the other kinds must not raise at all)
        return
    assert len(found) == length[0] * length[1]
    assert all(math.isfinite(rate) and rate > 0 for rate in found)


@pytest.mark.parametrize(
    ("epochs", "steps", "restarts", "factor"), [(5, 20, 5, 2), (3, 20, 3, 3), (1, 13, 2, 1), (1, 11, 2, 2)]
)
def test_a_short_cosine_makes_all_its_restarts_and_ends_with_a_whole_wave(
    epochs, steps, restarts, factor
) -> None:
    found = rates("cosine", {"lr": 0.1, "restarts": restarts, "restart_factor": factor}, epochs, steps)
    starts = [0] + [step for step in range(1, len(found)) if found[step] > found[step - 1]]
    assert len(starts) == restarts + 1
    assert [found[step] for step in starts] == [0.1] * (restarts + 1)
    last = len(found) - starts[-1]
    assert found[-1] == pytest.approx(0.1 * (1 + math.cos(math.pi * (last - 1) / last)) / 2)


def test_a_long_cosine_with_restarts_keeps_torchs_values_bit_for_bit() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 334, 2)
    optimizer.step()
    expected = []
    for _ in range(1000):  # three waves of 334 and twice as many, twice: 4 steps are cut off
        expected.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    assert rates("cosine", {"lr": 0.1, "restarts": 1, "restart_factor": 2}, 10, 100) == expected


ends = st.fixed_dictionaries({"restarts": st.integers(0, 6), "restart_factor": st.integers(1, 4)})
fractions = st.lists(st.floats(0.01, 0.99), max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.tuples(st.just("cosine"), ends),
        st.tuples(st.just("step"), st.fixed_dictionaries({"milestones": fractions})),
        st.tuples(st.just("cyclic"), st.fixed_dictionaries({"cycle_epochs": st.floats(0.3, 9.0)})),
        st.tuples(st.just("one-cycle"), st.fixed_dictionaries({"three_phase": st.booleans()})),
        st.tuples(st.sampled_from(["linear", "polynomial", "exponential", "fixed"]), st.just({})),
    ),
    st.integers(1, 5),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.3]),
)
def test_a_training_of_any_length_ends_as_documented_or_is_refused(asked, epochs, steps, warmup) -> None:
    kind, params = asked
    try:
        found = rates(kind, {**params, "warmup": warmup}, epochs, steps, lr=1.0)
    except SchedulerError as error:
        assert "does not fit into a training of" in str(error)  # noqa: PT017
        assert "it needs" in str(error)  # noqa: PT017
        return
    total, first = len(found), min(round(warmup * epochs * steps), epochs * steps - 1)
    expected = {  # the rate of the last step, one step before the documented end
        "cosine": 0.15 if params.get("restarts") else (1 + math.cos(math.pi * (1 - 1 / (total - first)))) / 2,
        "step": 0.1 ** len(params.get("milestones", ())),
        "cyclic": 0.25 + 0.75 / 2,
        "one-cycle": 1 / 25 / 1e4,
        "linear": 1 / (total - first),
        "polynomial": (1 / (total - first)) ** 0.9,
        "exponential": 0.95 ** (epochs - 1),
        "fixed": 1.0,
    }[kind]
    if kind == "cyclic" or params.get("restarts"):
        assert found[-1] <= expected + 1e-9
    else:
        assert found[-1] == pytest.approx(expected)
    if kind == "step" and not warmup:
        assert max(found) == pytest.approx(1.0)


@pytest.mark.parametrize(("higher", "better", "worse"), [(True, -0.5, -0.50001), (False, -2.0, -1.99999)])
@pytest.mark.parametrize("kind", ["plateau", "torch.optim.lr_scheduler:ReduceLROnPlateau"])
def test_a_negative_metric_that_gets_worse_is_no_improvement(kind, higher, better, worse) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
    context = ScheduleContext(
        optimizer, torch.nn.Identity(), "", {}, 9, 1, list, seed=0, higher_is_better=higher
    )
    params = {"patience": 0, **({} if kind == "plateau" else {"mode": "max" if higher else "min"})}
    schedule = build_schedule(kind, params, context)
    for metric, expected in ((better, 1.0), (worse, 0.1), (better + 0.1 * (1 if higher else -1), 0.1)):
        schedule.after_step()
        schedule.after_epoch(metric)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_rounding_does_not_add_up_over_a_long_training() -> None:
    found = rates("cosine", {"lr": 1.0}, 20, 500)
    expected = [(1 + math.cos(math.pi * step / 10_000)) / 2 for step in range(10_000)]
    assert found == close(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("1-sqrt", [1.0, 1.0, 1.0 - math.sqrt(0.25), 1.0 - math.sqrt(0.75)]),
        ("linear", [1.0, 1.0, 0.75, 0.25]),
        ("cosine", [1.0, 1.0, (1.0 + math.cos(math.pi / 4)) / 2, (1.0 + math.cos(3 * math.pi / 4)) / 2]),
        ("power", [1.0, 1.0, 0.75**2, 0.25**2]),
    ],
)
def test_wsd_is_stable_then_decays(shape: str, expected: list[float]) -> None:
    found = rates("wsd", {"lr": 1.0, "decay": 0.4, "shape": shape}, 10, 10)
    assert at(found, 0, 60, 70, 90) == close(expected)


def test_wsd_decays_over_a_share_of_the_whole_training_and_ends_at_its_ratio() -> None:
    found = rates(
        "wsd", {"lr": 2.0, "decay": 0.5, "shape": "linear", "end_ratio": 0.1, "warmup": 0.2}, 10, 10
    )
    assert at(found, 19, 20, 50, 75, 99) == close([40 / 21, 2.0, 2.0, 1.1, 2.0 * (0.1 + 0.9 / 50)])


def test_wsd_whose_decay_is_longer_than_what_the_warmup_leaves_decays_at_once() -> None:
    found = rates("wsd", {"lr": 1.0, "decay": 1.0, "shape": "linear", "warmup": 0.5}, 10, 10)
    assert at(found, 50, 75) == close([1.0, 0.5])


def test_inverse_sqrt_with_its_timescale_as_warmup_is_the_transformers_curve() -> None:
    found = rates("inverse-sqrt", {"lr": 1.0, "timescale": 0.1, "warmup": 0.1}, 10, 10)
    assert at(found, 10, 40, 90) == close([1.0, math.sqrt(10 / 40), math.sqrt(10 / 90)])


def test_rex() -> None:
    found = rates("rex", {"lr": 1.0}, 10, 10)
    # (1 − x)/(½ + ½(1 − x))
    assert at(found, 0, 50, 90) == close([1.0, 0.5 / 0.75, 0.1 / 0.55])
    assert rates("rex", {"lr": 1.0, "beta": 0.0}, 10, 10) == close(rates("linear", {"lr": 1.0}, 10, 10))


def test_power_holds_then_falls_by_its_power_law_and_ends_with_a_line() -> None:
    found = rates("power", {"lr": 1.0, "hold": 0.1, "exponent": 0.5, "decay": 0.2}, 10, 10)
    assert at(found, 0, 10, 40, 80, 90) == close([1.0, 1.0, 0.5, math.sqrt(1 / 8), math.sqrt(1 / 9) / 2])
