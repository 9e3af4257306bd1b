"""Lanes whose common step is captured: each lane is what it is in plain lanes, bit by bit.

A tape stands in for a GPU's graph (see ``graph_tape``); everything else is as in a study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import graph_tape
import pytest
import torch

from lrstudy.engine.lanes import LaneGroup
from lrstudy.engine.lanes.lane_step import CapturedLaneStep, LaneStep
from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")
CLOCKS = ("train_seconds", "estimate_seconds", "eval_seconds")
MLP = {"name": "mlp", "widths": [16], "batch_norm": "last"}
SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("fixed", {"lr": 0.1}),
    ("cosine", {"lr": 0.2, "warmup": 0.2}),
    ("lipschitz", {"measure": "hook", "scale": 0.1}),
    ("one-cycle", {"max_lr": 0.3, "cycle_momentum": True}),
]
MOVING_DECAY = ("cosine", {"lr": 0.2, "weight_decay.from": 0.1, "weight_decay.to": 0.01})


@pytest.fixture(autouse=True)
def captures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let a CPU be a GPU; an entry for every capture made."""
    made: list[int] = []

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        made.append(len(made))
        return graph_tape.capture(compute)

    def choose(how: str, plain: LaneStep, device: torch.device) -> Any:
        return plain if how == "eager" else CapturedLaneStep(plain, capture, lambda compute: compute())

    monkeypatch.setattr("lrstudy.engine.lanes.lane_group.choose_lane_step", choose)
    return made


def study(how: str, **task: Any) -> Study:
    given = {"dataset": "digits", "model": MLP, "optimizer": SGD, "batch_size": 128, "epochs": 3, **task}
    resources = {"step": how}
    schedules, target = {"fixed": {"lr": 0.1}}, {"metric": "val_loss"}
    whole = {"name": "s", "task": given, "target": target, "resources": resources, "schedules": schedules}
    return parse_study(whole, "test")


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study("eager").task, 0, None)


def trained(
    spec: Study, data: TaskData, kinds: list[tuple[str, dict[str, Any]]], drop_after: int = 0
) -> tuple[list[Any], list[bytes], tuple[str, ...]]:
    """Return the records, the bytes of the weights, and the notes of a group."""
    configs = [
        TrialConfig(f"t{i}", Phase.TUNE, kind, kind, params, i) for i, (kind, params) in enumerate(kinds)
    ]
    group = LaneGroup(spec, data, configs, CPU)
    records = []
    try:
        while group.active:
            records += [
                (lane, {name: repr(value) for name, value in asdict(record).items() if name not in CLOCKS})
                for lane, record in group.run_to_evaluation().items()
            ]
            if drop_after and len(records) == drop_after * len(kinds):
                group.drop(0)
        weights = [
            b"".join(t.numpy().tobytes() for t in lane.model.state_dict().values())
            for lane in group.trainings
        ]
        return records, weights, group.notes(0)
    finally:
        group.close()


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"optimizer": {**SGD, "nesterov": True, "weight_decay": 0.001}},
        {"optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.01}},
        {"loss": "mae", "dataset": "diabetes"},
    ],
)
def test_captured_lanes_are_plain_lanes(task: dict[str, Any], captures: list[int]) -> None:
    rows = load_data(study("eager", **task).task, 0, None)
    kinds = KINDS if "loss" not in task else KINDS[:2]
    plain, captured = (trained(study(how, **task), rows, kinds) for how in ("eager", "captured"))
    assert captured == plain
    assert captures == [0]  # made once, for three epochs


def test_a_lane_that_leaves_needs_another_capture(data: TaskData, captures: list[int]) -> None:
    plain, captured = (trained(study(how), data, KINDS, drop_after=1) for how in ("eager", "captured"))
    assert captured == plain
    assert captures == [0, 1]


def test_a_weight_decay_that_moves_is_read_at_every_replay(data: TaskData, captures: list[int]) -> None:
    kinds = [MOVING_DECAY, ("fixed", {"lr": 0.1})]
    plain, captured = (trained(study(how), data, kinds) for how in ("eager", "captured"))
    assert captured == plain
    assert captures == [0]


def test_a_rate_from_a_steps_loss_is_set_between_gradient_and_update(
    data: TaskData, captures: list[int]
) -> None:
    kinds = [*KINDS, ("polyak", {"max_lr": 0.3, "c": 2.0})]
    plain, captured = (trained(study(how), data, kinds) for how in ("eager", "captured"))
    assert captured == plain
    assert captures == [0]


def test_lanes_that_cannot_be_captured_are_plain_and_say_why(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(compute: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("no graph here\nand more")

    monkeypatch.setattr(
        "lrstudy.engine.lanes.lane_group.choose_lane_step",
        lambda how, plain, device: CapturedLaneStep(plain, fail, lambda compute: compute()),
    )
    found = trained(study("captured"), data, KINDS)
    monkeypatch.setattr("lrstudy.engine.lanes.lane_group.choose_lane_step", lambda how, plain, device: plain)
    plain = trained(study("eager"), data, KINDS)
    assert found[:2] == plain[:2]
    assert found[2] == ("the lanes' step could not be captured and is computed call by call: no graph here",)
