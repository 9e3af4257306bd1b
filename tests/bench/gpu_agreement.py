"""Agreement of the ways to train on a GPU: a speed counts only if its numbers are the plain ones.

On a CPU a tape stands in for a CUDA graph (``tests/engine/graph_tape.py``), so that captured steps are
compared there as well.
"""

from __future__ import annotations

import math
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from gpu_figures import Check
from gpu_trial import Trace, config_of, optimizer_of, random_data, study_of, trace, trace_of, without_dropout

from lrstudy.engine import captured_step, step
from lrstudy.engine.captured_step import CapturedStep
from lrstudy.engine.lanes import lane_group
from lrstudy.engine.lanes.lane_group import LaneGroup
from lrstudy.engine.lanes.lane_step import CapturedLaneStep
from lrstudy.engine.trial import TrialConfig
from lrstudy.tasks import TaskData

EPOCHS = 3
SCHEDULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("fixed", {"lr": 0.001}),
    ("cosine", {"lr": 0.002, "warmup": 0.2}),
    ("lipschitz", {"measure": "hook", "scale": 0.001}),
)
# Relative, over the losses, rates and weights of 3 epochs. Captured and packed trials run the same kernels
# but for the fused update. Other layouts and stacked models choose other kernels. They are compared in
# float64: training magnifies float32's rounding a thousandfold within some steps (the CNN: to 0.1).
SAME, FLOAT64, BF16 = 1e-4, 1e-6, 0.1
CALM = ("fixed", {"lr": 1e-4})


@contextmanager
def graphs(device: torch.device) -> Iterator[None]:
    """Let a CPU capture steps, onto a tape."""
    if device.type == "cuda":
        yield
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))
    import graph_tape

    def choose(how: str, plain: Any, device: torch.device, key: Any, **_: Any) -> Any:
        return plain if how == "eager" else CapturedStep(plain, key, graph_tape.capture, _call)

    def choose_lanes(how: str, plain: Any, device: torch.device) -> Any:
        return plain if how == "eager" else CapturedLaneStep(plain, graph_tape.capture, _call)

    with (
        mock.patch.object(step, "choose_step", choose),
        mock.patch.object(lane_group, "choose_lane_step", choose_lanes),
    ):
        yield
    captured_step._kept.clear()


def _exact(device: torch.device) -> bool:
    """Return True for a GPU: a CPU is deterministic as it is, and the switch loads torch's compiler."""
    return device.type == "cuda"


def _call(compute: Any) -> None:
    compute()


def checks(network: str, device: torch.device, rows: int, *, packed: bool) -> Iterator[Check]:
    """Compare the ways to train a network, each over ``EPOCHS`` epochs of so many random images."""
    data, first, twin = random_data(network, rows), config_of(*SCHEDULES[0], seed=1), without_dropout(network)

    def train(config: TrialConfig = first, how: str = "eager", network: str = network, **task: Any) -> Trace:
        study = study_of(network, how, EPOCHS, deterministic=_exact(device), **task)
        return trace(study, data, config, device)

    with graphs(device):
        plain = train()
        yield compare(f"{network}: eager twice", plain, train(), SAME)
        for kind, params in SCHEDULES:
            config = config_of(kind, params, seed=1)
            eager = plain if kind == "fixed" else train(config)
            yield compare(f"{network}: {kind}, captured / eager", eager, train(config, "captured"), SAME)
        again = config_of(*SCHEDULES[1], seed=2)
        yield compare(
            f"{network}: a later trial in the same capture / eager",
            train(again),
            train(again, "captured"),
            SAME,
        )
        decayed = optimizer_of(lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
        yield compare(
            f"{network}: Nesterov and weight decay, captured / eager",
            train(optimizer=decayed),
            train(how="captured", optimizer=decayed),
            SAME,
        )
        calm = config_of(*CALM, seed=1)
        formats = (train(calm, precision=name) for name in ("float32", "bf16"))
        yield compare(f"{network}: bf16 / float32", *formats, BF16, whole=False)
        # Without dropout: another layout would give its draws to other places.
        layouts = (train(network=twin, precision="float64", channels_last=last) for last in (False, True))
        yield compare(f"{twin}: channels-last / contiguous", *layouts, FLOAT64)
        yield from _lane_checks(twin, data, device)
    if packed:
        alone, *others = packed_traces(network, rows, device, 1) + packed_traces(network, rows, device, 2)
        for other in others:
            yield compare(f"{network}: packed / alone", alone, other, SAME)


def _lane_checks(network: str, data: TaskData, device: torch.device) -> Iterator[Check]:
    configs = [config_of(kind, params, seed) for seed, (kind, params) in enumerate(SCHEDULES)]
    eager, captured = (lane_traces(network, data, configs, device, how) for how in ("eager", "captured"))
    for config, one, other in zip(configs, eager, captured, strict=True):
        yield compare(f"{network}: a lane with {config.kind}, captured / eager", one, other, FLOAT64)
    alone = trace(study_of(network, "eager", EPOCHS, precision="float64"), data, configs[0], device)
    yield compare(f"{network}: a lane / the trial alone", alone, captured[0], FLOAT64)


def lane_traces(
    network: str, data: TaskData, configs: Sequence[TrialConfig], device: torch.device, how: str
) -> list[Trace]:
    """Train trials in lanes and return the numbers of each."""
    group = LaneGroup(study_of(network, how, EPOCHS, precision="float64"), data, configs, device)
    try:
        rounds = []
        while group.active:
            rounds.append(group.run_to_evaluation())
        notes = group.notes(0)
        return [
            trace_of([each[lane] for each in rounds if lane in each], training, notes[0] if notes else None)
            for lane, training in enumerate(group.trainings)
        ]
    finally:
        group.close()


def compare(name: str, expected: Trace, actual: Trace, allowed: float, *, whole: bool = True) -> Check:
    """Return the largest relative difference of rates and training losses; if ``whole``, of all numbers."""
    every = 1 if whole else 2  # losses of training and validation take turns
    ours, theirs = (each.losses[::every] + each.rates for each in (actual, expected))
    pairs = zip(ours, theirs, strict=True)
    differences = [abs(a - b) / max(abs(a), abs(b), 1e-12) if a != b else 0.0 for a, b in pairs]
    if whole:
        scale = float(expected.weights.abs().max())
        differences.append(float((expected.weights - actual.weights).abs().max()) / scale)
    difference = math.nan if any(math.isnan(value) for value in differences) else max(differences)
    note = actual.note or ("bit by bit" if difference == 0 else None)
    # A remark of the step says that it was not computed in the way that is compared.
    return Check(name, math.nan if actual.note else difference, allowed, note)


def packed_traces(network: str, rows: int, device: torch.device, count: int) -> list[Trace]:
    """Train the same trial in so many processes at once."""
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        waiting = [pool.apply_async(_packed, (network, rows, str(device))) for _ in range(count)]
        return [Trace(*each.get(timeout=120)) for each in waiting]


def _packed(network: str, rows: int, device: str) -> tuple[Any, ...]:
    torch.set_num_threads(1)
    study = study_of(network, "eager", EPOCHS, deterministic=_exact(torch.device(device)))
    found = trace(study, random_data(network, rows), config_of(*SCHEDULES[0], seed=1), torch.device(device))
    return found.losses, found.rates, found.weights
