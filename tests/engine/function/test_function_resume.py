"""A user's training continued from every checkpoint that it can write, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from own_training import (
    Data,
    Shards,
    Stream,
    group,
    loader_of,
    rows_of,
    states_of,
    train_accumulating,
    train_epochs,
    train_own_loop,
    train_steps,
)

from lrstudy.engine.function import Trial


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def with_loader(trial: Trial, make: Callable[[], Any]) -> None:
    train_steps(trial, make())


LOADERS: dict[str, Callable[[], Any]] = {
    "shuffled": loader_of,
    "own generator": lambda: loader_of(generator=generator()),
    "sampler": lambda: loader_of(
        Data(), sampler=torch.utils.data.RandomSampler(Data(), generator=generator())
    ),
    "workers": lambda: loader_of(num_workers=1),
    "workers and generator": lambda: loader_of(num_workers=2, generator=generator()),
    "iterable": lambda: loader_of(Stream()),
    "stateful": lambda: Shards(Data()),
    "list": lambda: [(Data().inputs[i : i + 8], Data().targets[i : i + 8]) for i in (0, 8, 16)],
}
# Each continuation starts the workers of each pass again: five steps are a pass of three and a part of one.
STEPS = dict.fromkeys(("workers", "workers and generator"), 5)
FUNCTIONS: dict[str, tuple[Callable[[Trial], None], dict[str, Any]]] = {
    **{
        f"steps, {name}": (
            partial(with_loader, make=make),
            {"steps": STEPS.get(name, 8), "evaluate_every": 3},
        )
        for name, make in LOADERS.items()
    },
    "steps, in epochs": (train_steps, {"epochs": 3}),
    "epochs": (train_epochs, {"epochs": 3}),
    "epochs, own loop": (train_own_loop, {"epochs": 3}),
    "accumulate": (train_accumulating, {"steps": 8, "evaluate_every": 2}),
    "accumulate, in epochs": (train_accumulating, {"epochs": 3}),
    # Three batches a pass, and no length: a step goes over from one pass to the next.
    "accumulate, iterable": (
        lambda trial: train_accumulating(trial, loader_of(Stream())),
        {"steps": 8, "evaluate_every": 2},
    ),
}
SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed": ("fixed", {"lr": 0.1}),
    "cosine": ("cosine", {"lr": 0.1}),
    "plateau": ("plateau", {"lr": 0.1, "patience": 0, "factor": 0.5}),
    "lipschitz, hook": ("lipschitz", {"measure": "hook"}),
    "lipschitz, pass": ("lipschitz", {"measure": "pass"}),
}


def check_every_checkpoint(function: Callable[[Trial], None], kind: str = "cosine", **given: Any) -> int:
    """Continue from every checkpoint; return their number."""
    whole = rows_of(group(function, kind, **given))
    states = list(states_of(group(function, kind, **given)))
    assert [row["evaluation"] for row in whole] == list(range(1, len(whole) + 1))
    for before, state in states:
        torch.manual_seed(99)  # another process
        torch.rand(3)
        continued = group(function, kind, **given)
        continued.load(0, state)
        assert rows_of(continued) == whole[before:], f"from step {state['step']}"
    return len(states)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_trial_continues_from_every_pause_as_if_never_interrupted(name: str) -> None:
    function, given = FUNCTIONS[name]
    # In a loop of the user's own, between epochs alone.
    least = {"epochs, own loop": 2, "accumulate, iterable": 4}.get(name, given.get("steps", 8) - 1)
    assert check_every_checkpoint(function, **given) >= least


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_continues_from_every_pause(name: str) -> None:
    kind, params = SCHEDULES[name]
    assert check_every_checkpoint(train_steps, kind, params=params, steps=8, evaluate_every=2) >= 7
    assert check_every_checkpoint(train_epochs, kind, params=params, epochs=3) >= 8


def test_a_competitor_with_its_own_optimizer_continues_from_every_pause() -> None:
    pytest.importorskip("prodigyopt")
    assert check_every_checkpoint(train_steps, "prodigy", params={}, steps=8, evaluate_every=2) >= 7


def test_an_average_of_weights_continues_from_every_pause() -> None:
    pytest.importorskip("schedulefree")
    params = {"lr": 0.1}
    assert check_every_checkpoint(train_steps, "schedule-free", params=params, steps=8, evaluate_every=2) >= 7
