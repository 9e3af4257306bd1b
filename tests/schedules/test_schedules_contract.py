"""What every schedule must keep, whatever it is: one suite over all of them."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, SequentialLR

from lrstudy.catalog.moved_options import refusal
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.schedules import ScheduleContext


def own_by_steps(optimizer: torch.optim.Optimizer, context: ScheduleContext) -> LRScheduler:
    return CosineAnnealingLR(optimizer, context.total_steps)


own_by_steps.interval = "step"  # type: ignore[attr-defined]


def own_sequence(optimizer: torch.optim.Optimizer, first: int) -> LRScheduler:
    parts = [MultiStepLR(optimizer, [2]), MultiStepLR(optimizer, [1, 2], gamma=0.5)]
    return SequentialLR(optimizer, parts, [first])


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed": ("fixed", {"lr": 0.2}),
    "fixed, the optimizer's lr": ("fixed", {}),
    "step": ("step", {"lr": 0.2, "milestones": [0.25, 0.5, 0.5]}),
    "cyclic triangular": ("cyclic", {"max_lr": 0.5, "cycle_epochs": 2}),
    "cyclic triangular2": ("cyclic", {"max_lr": 0.5, "cycle_epochs": 2.0, "mode": "triangular2"}),
    "cyclic exp_range": ("cyclic", {"base_lr": 0.1, "max_lr": 0.5, "mode": "exp_range", "gamma": 0.9}),
    "cyclic momentum": ("cyclic", {"max_lr": 0.5, "cycle_momentum": True}),
    "one-cycle": ("one-cycle", {"max_lr": 0.5}),
    "one-cycle linear": ("one-cycle", {"max_lr": 0.5, "anneal": "linear", "three_phase": True}),
    "one-cycle momentum": ("one-cycle", {"max_lr": 0.5, "cycle_momentum": True}),
    "cosine": ("cosine", {"lr": 0.2}),
    "cosine with restarts": ("cosine", {"lr": 0.2, "restarts": 1, "min_ratio": 0.01}),
    "cosine with longer restarts": ("cosine", {"lr": 0.2, "restarts": 1, "restart_factor": 2}),
    "linear": ("linear", {"lr": 0.2}),
    "exponential": ("exponential", {"lr": 0.2, "gamma": 0.5}),
    "polynomial": ("polynomial", {"lr": 0.2, "power": 2.0}),
    "inverse-time": ("inverse-time", {"lr": 0.2, "decay": 0.1}),
    "wsd": ("wsd", {"lr": 0.2}),
    "wsd by a power": ("wsd", {"lr": 0.2, "decay": 0.6, "shape": "power", "end_ratio": 0.1}),
    "inverse-sqrt": ("inverse-sqrt", {"lr": 0.2}),
    "rex": ("rex", {"lr": 0.2}),
    "power": ("power", {"lr": 0.2, "hold": 0.3}),
    "plateau": ("plateau", {"lr": 0.2, "patience": 0}),
    "polyak": ("polyak", {"max_lr": 0.5}),
    "polyak, smooth": ("polyak", {"c": 2.0, "f_star": 0.1, "smoothing": 2.0}),
    "own class": ("torch.optim.lr_scheduler:StepLR", {"step_size": 2, "lr": 0.3}),
    "own class, by steps": (
        "torch.optim.lr_scheduler:OneCycleLR",
        {"max_lr": 0.2, "total_steps": 12, "interval": "step", "cycle_momentum": False},
    ),
    "own class, plateau": ("torch.optim.lr_scheduler:ReduceLROnPlateau", {"patience": 0, "mode": "max"}),
    "own class, cyclic": (
        "torch.optim.lr_scheduler:CyclicLR",
        {"base_lr": 0.1, "max_lr": 0.2, "step_size_up": 2, "cycle_momentum": False, "mode": "exp_range"},
    ),
    "own function": ("test_schedules_contract:own_by_steps", {}),
    "own sequence": ("test_schedules_contract:own_sequence", {"first": 2, "interval": "epoch"}),
}
CASES |= {
    "lipschitz": ("lipschitz", {}),
    "lipschitz pass": ("lipschitz", {"measure": "pass", "bias_correction": True, "max_lr": 2.0}),
    "lipschitz subset": ("lipschitz", {"measure": "subset", "fraction": 0.5, "initial_lr": 0.2}),
    "lipschitz decay": ("lipschitz", {"time_decay": 0.1, "policy": "fixed"}),
    "lipschitz annealed": ("lipschitz", {"anneal": "keras", "max_growth": 1.5, "squares": "written"}),
    "lipschitz network": ("lipschitz", {"bound": "network", "policy": "fixed", "anneal": "cosine"}),
    "lipschitz secant": ("lipschitz", {"bound": "secant", "cap": "last-good", "anneal": "linear"}),
}
INSTALLED = importlib.util.find_spec("prodigyopt") is not None
MANY_INSTALLED = importlib.util.find_spec("pytorch_optimizer") is not None  # AdamG is one of them
if INSTALLED:
    CASES |= {
        "prodigy": ("prodigy", {"d0": 1e-3}),
        "prodigy without anneal": ("prodigy", {"anneal": "none", "growth_rate": 1.5}),
        "d-adaptation": ("d-adaptation", {"d0": 1e-3}),
        "d-adaptation adam": ("d-adaptation", {"base": "adam", "d0": 1e-3}),
        "schedule-free": ("schedule-free", {}),
        "schedule-free adamw": ("schedule-free", {"base": "adamw"}),
        "dog": ("dog", {"reps_rel": 1e-3}),
        "dog by layers": ("dog", {"reps_rel": 1e-3, "layerwise": True}),
        "dog without average": ("dog", {"reps_rel": 1e-3, "average": False}),
    }
if MANY_INSTALLED:
    CASES |= {"adamg": ("adamg", {}), "adamg, annealed": ("adamg", {"lr": 0.3, "anneal": "cosine"})}
CASES |= {
    f"{name}, warm-up": (kind, {**params, "warmup": 0.3})
    for name, (kind, params) in CASES.items()
    if "three_phase" not in params and kind != "dog"
}
MOVES = {
    "momentum.from": 0.85,
    "momentum.to": 0.95,
    "weight_decay.from": 0.1,
    "weight_decay.to": 0.001,
    "weight_decay.shape": "exponential",
    "weight_decay.end": 0.7,
}
CASES |= {
    f"{name}, moved options": (
        kind,
        params
        | {
            key: value
            for key, value in MOVES.items()
            if refusal(SCHEDULES.get(kind), key.partition(".")[0]) is None
        },
    )
    for name, (kind, params) in CASES.items()
    if kind != "lipschitz" and not params.get("cycle_momentum") and not name.endswith("warm-up")
}
# torch's cyclic classes take rates, not ratios: one for all groups.
EQUAL_RATES = {name for name in CASES if name.startswith(("own class, by steps", "own class, cyclic"))}
# The competitors take over the groups, not their rates.
COMPETITORS = {name for name, (kind, _) in CASES.items() if kind in SCHEDULES and SCHEDULES[kind].extra}
EQUAL_RATES |= COMPETITORS
MOVED = {name for name in CASES if "moved options" in name}
MOVES_MOMENTUM = {name for name, (_, params) in CASES.items() if params.get("cycle_momentum")}
FOR_SGD = {name for name, (kind, _) in CASES.items() if kind == "polyak"}

every_case = pytest.mark.parametrize("case", CASES)


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, tensors and all."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_every_built_in_schedule_is_in_the_suite() -> None:
    covered = {kind for kind, _ in CASES.values()}
    missing = set() if MANY_INSTALLED else {"adamg"}
    installed = {name for name, component in SCHEDULES.items() if component.extra is None or INSTALLED}
    assert installed - missing <= covered


@every_case
def test_rates_are_finite_and_positive_and_groups_keep_their_ratio(case, training, is_rate) -> None:
    for rates in training(*CASES[case]).run():
        assert all(map(is_rate, rates))
        assert rates[1] / rates[0] == pytest.approx(1.0 if case in EQUAL_RATES else 0.1, rel=1e-9)


@every_case
def test_resuming_at_any_step_equals_no_interruption(case, training) -> None:
    whole = training(*CASES[case])
    rates = whole.run()
    for stop in range(whole.total_steps + 1):
        first = training(*CASES[case])
        first.run(until=stop)
        second = training(*CASES[case])
        second.load(first.save())
        assert second.run() == rates[stop:], f"stopped after {stop} steps"
        for name, weight in second.weights().items():
            assert torch.equal(weight, whole.weights()[name]), f"stopped after {stop} steps: {name}"


@every_case
def test_a_loaded_state_is_the_saved_one(case, training) -> None:
    first = training(*CASES[case])
    for stop in range(first.total_steps + 1):
        first.run(until=stop)
        second = training(*CASES[case])
        second.load(first.save())
        assert same(second.schedule.state_dict(), first.schedule.state_dict())


@every_case
def test_saving_disturbs_nothing_and_a_saved_state_does_not_move_on(case, training) -> None:
    undisturbed = training(*CASES[case]).run()
    saving = training(*CASES[case])
    rates = []
    for stop in range(1, saving.total_steps + 1):
        state = saving.schedule.state_dict()
        before = repr(state)
        rates += saving.run(until=stop)
        assert repr(state) == before
    assert rates == undisturbed


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("case", sorted(CASES.keys() - MOVES_MOMENTUM - COMPETITORS - MOVED))
def test_momentum_is_untouched(case, optimizer, training) -> None:
    if optimizer != "sgd" and case in FOR_SGD:
        pytest.skip("refuses every optimizer but SGD")
    work = training(*CASES[case], optimizer=optimizer)
    before = training("fixed", {}, optimizer=optimizer).momenta()
    for stop in range(work.total_steps + 1):
        work.run(until=stop)
        assert work.momenta() == before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("case", sorted(MOVES_MOMENTUM))
def test_momentum_moves_against_the_rate_when_asked(case, optimizer, training) -> None:
    kind, params = CASES[case]
    work = training(kind, {**params, "base_momentum": 0.7, "max_momentum": 0.95}, optimizer=optimizer)
    pairs = []
    for stop in range(1, work.total_steps + 1):
        momentum = work.momenta()[0]
        pairs.append((work.rates[0], momentum[0] if isinstance(momentum, tuple) else momentum))
        work.run(until=stop)
    highest = max(pairs)
    assert highest[1] == pytest.approx(0.7, abs=0.05)
    assert pairs[0][1] == pytest.approx(0.95)
    assert min(pair[1] for pair in pairs) == highest[1]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("case", sorted(MOVED))
def test_options_move_beside_the_rate_which_stays_the_same(case, optimizer, training) -> None:
    if optimizer != "sgd" and case in FOR_SGD:
        pytest.skip("refuses every optimizer but SGD")
    kind, params = CASES[case]
    own = {name: value for name, value in params.items() if name not in MOVES}
    alone = training(kind, own, optimizer=optimizer)
    work = training(kind, params, optimizer=optimizer)
    for step in range(work.total_steps):
        if not SCHEDULES.get(kind) or not (SCHEDULES[kind].measured or SCHEDULES[kind].replaces_optimizer):
            assert work.rates == alone.rates
        groups = work.schedule.optimizer.param_groups
        decay = 0.1 * 0.01 ** min(step / 12 / 0.7, 1.0)
        assert [group["weight_decay"] for group in groups] == pytest.approx([decay, decay])
        if "momentum.from" in params:
            expected = 0.85 + 0.1 * step / 12
            found = [m[0] if isinstance(m, tuple) else m for m in work.momenta()]
            assert found == pytest.approx([expected, expected])
        work.run(until=step + 1)
        alone.run(until=step + 1)


@every_case
def test_the_global_random_state_is_untouched(case, training) -> None:
    before = torch.random.get_rng_state()
    training(*CASES[case]).run()
    assert torch.equal(torch.random.get_rng_state(), before)
