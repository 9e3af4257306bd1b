"""A lane's bits depend neither on the lanes beside it nor on interruptions."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import torch

from lrstudy.engine.lanes import LaneGroup
from lrstudy.engine.lanes.shared_storage import Layout
from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")
EPOCHS = 4
# One lane's numbers are 2,410: its neighbour's would begin 40 bytes off a multiple of 64.
MODEL = {"name": "mlp", "widths": [32]}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("fixed", {"lr": 0.1}),
    ("lipschitz", {"measure": "pass", "scale": 0.1}),
    ("lipschitz", {"measure": "subset", "fraction": 0.2, "scale": 0.1}),
    ("lipschitz", {"scale": 0.1}),
    ("dog", {}),
    ("prodigy", {"d_coef": 0.1}),
    ("d-adaptation", {"lr": 0.1}),
    ("schedule-free", {"lr": 0.1}),
    ("one-cycle", {"max_lr": 0.1}),
    ("fixed", {"lr": 0.05}),
    ("polyak", {"max_lr": 0.1}),
    ("linear", {"lr": 0.1, "weight_decay.from": 0.1, "weight_decay.to": 0.0}),
]
CONFIGS = [
    TrialConfig(f"t{i}", Phase.CONFIRM, kind, kind, params, i) for i, (kind, params) in enumerate(KINDS)
]

Trial = tuple[list[dict[str, Any]], dict[str, Any]]


def study(**task: Any) -> Study:
    common = {"dataset": "digits", "model": MODEL, "batch_size": 32, "epochs": EPOCHS}
    return parse_study(
        {
            "name": "s",
            "task": common | task,
            "target": {"metric": "val_loss"},
            "schedules": {"fixed": {"lr": 0.1}},
        },
        "test",
    )


def trained(spec: Study, data: TaskData, split: Callable[[int], list[list[int]]]) -> dict[int, Trial]:
    """Train all trials, each epoch from saved checkpoints, in the groups that ``split(epoch)`` names."""
    states: dict[int, Any] = {}
    rows: dict[int, list[dict[str, Any]]] = {i: [] for i in range(len(CONFIGS))}
    outcomes: dict[int, Any] = {}
    for epoch in range(EPOCHS):
        for numbers in split(epoch):
            group = LaneGroup(spec, data, [CONFIGS[i] for i in numbers], CPU)
            for lane, i in enumerate(numbers):
                if i in states:
                    states[i].seek(0)
                    group.load(lane, torch.load(states[i], weights_only=True))
            for lane, record in group.run_to_evaluation().items():
                i = numbers[lane]
                rows[i].append({k: repr(v) for k, v in asdict(record).items() if not k.endswith("seconds")})
                states[i] = io.BytesIO()
                torch.save(group.state(lane), states[i])
                if group.trainings[lane].finished:
                    outcomes[i] = asdict(group.trainings[lane].outcome())
            group.close()
    return {i: (rows[i], outcomes[i]) for i in rows}


def whole(spec: Study, data: TaskData) -> dict[int, Trial]:
    """Train all trials in one group that nothing interrupts."""
    group = LaneGroup(spec, data, CONFIGS, CPU)
    rows: dict[int, list[dict[str, Any]]] = {i: [] for i in range(len(CONFIGS))}
    while group.active:
        for lane, record in group.run_to_evaluation().items():
            rows[lane].append({k: repr(v) for k, v in asdict(record).items() if not k.endswith("seconds")})
    return {i: (rows[i], asdict(group.trainings[i].outcome())) for i in rows}


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_lanes_interrupted_twice_and_regrouped_have_the_same_bits(
    optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if optimizer != "sgd":  # polyak refuses it
        monkeypatch.setattr(sys.modules[__name__], "CONFIGS", [c for c in CONFIGS if c.kind != "polyak"])
    spec = study(optimizer={"name": optimizer, "lr": 0.01})
    data = load_data(spec.task, 0, None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        wanted = whole(spec, data)
        for seed in range(2):
            draw = random.Random(seed)
            cuts = sorted(draw.sample(range(1, EPOCHS), 2))

            def split(epoch: int, draw: random.Random = draw, cuts: list[int] = cuts) -> list[list[int]]:
                order = list(range(len(CONFIGS)))
                if epoch in cuts:  # what was interrupted comes back in other groups
                    draw.shuffle(order)
                middle = draw.randint(1, len(order) - 1)
                return [order[:middle], order[middle:]] if epoch >= cuts[0] else [order]

            found = trained(spec, data, split)
            for i, config in enumerate(CONFIGS):
                assert found[i] == wanted[i], config.kind
    finally:
        torch.set_num_threads(threads)


def test_every_parameter_of_every_lane_begins_where_torch_would_allocate_it() -> None:
    spec = study()
    data = load_data(spec.task, 0, None)
    group = LaneGroup(spec, data, CONFIGS[:3], CPU)
    group.run_to_evaluation()
    for lane in group.trainings:
        assert all(parameter.data_ptr() % 64 == 0 for parameter in lane.model.parameters())


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_layout_gives_back_what_it_was_given(kind: torch.dtype) -> None:
    parameters = [torch.randn(3, 5, dtype=kind), torch.randn(16, dtype=kind), torch.randn((), dtype=kind)]
    layout = Layout(parameters)
    row = layout.row([parameter.flatten() for parameter in parameters])
    assert row.shape == (layout.size,)
    for part, parameter in zip(layout.parts(row), parameters, strict=True):
        assert torch.equal(part, parameter)
    several = layout.parts(torch.stack([row, 2 * row]))
    assert [part.shape for part in several] == [(2, 3, 5), (2, 16), (2,)]
