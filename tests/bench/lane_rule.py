"""The rule by which lanes are chosen, held against what they gain: one line per model. Without Ray.

    python tests/bench/lane_rule.py [--rounds 3] [--lanes 16,64] [--only NAME,…]

Gain: CPU seconds of a training step of one trial alone over those in lanes (a lane's share), the fastest of
some epochs each, on one thread. The data are random numbers: only their shapes matter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lrstudy.engine.lanes import LaneGroup, rule_of, why_not
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import Phase
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")
STEPS, EPOCHS = 8, 2


def rows(count: int, shape: list[int]) -> dict[str, Any]:
    """Random inputs of a shape, and ten classes."""
    rng = np.random.default_rng(0)

    def pair(size: int) -> tuple[Any, Any]:
        return rng.normal(size=(size, *shape)).astype(np.float32), np.arange(size) % 10

    return {"train": pair(count), "validation": pair(32), "test": pair(32)}


class ConvNet(nn.Module):
    """Two small convolutions and a linear layer."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int, width: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class _Block(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.short = nn.Identity() if stride == 1 else nn.Conv2d(inputs, width, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norms[1](self.second(self.norms[0](self.first(x)).relu()))
        return (inner + self.short(x)).relu()


class ResNet8(nn.Module):
    """Three residual blocks, 8 layers in all."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(
            _Block(width, width, 1), _Block(width, 2 * width, 2), _Block(2 * width, 4 * width, 2)
        )
        self.head = nn.Linear(4 * width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Sines(nn.Module):
    """A hidden layer of sines: a model whose layers lanes do not know."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int, width: int = 64) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(input_shape[0], width), nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(x).sin())


@dataclass(frozen=True)
class Case:
    """A model, the shape of a row and the rows of a batch."""

    name: str
    model: Any
    shape: list[int]
    batch: int


def _mlp(*widths: int, **options: Any) -> dict[str, Any]:
    return {"name": "mlp", "widths": list(widths), **options}


def _own(name: str, width: int) -> dict[str, Any]:
    return {"name": f"lane_rule:{name}", "width": width}


CASES = (
    Case("logistic, 30 inputs", "softmax-regression", [30], 32),
    Case("logistic, 784 inputs", "softmax-regression", [784], 128),
    Case("logistic, 784 inputs", "softmax-regression", [784], 32),
    Case("MLP 64-32-10 (digits)", _mlp(32), [64], 32),
    Case("MLP 64-32-10, batch-norm", _mlp(32, batch_norm="last"), [64], 32),
    Case("MLP 64-128-128-10", _mlp(128, 128), [64], 32),
    Case("MLP 64-128-128-10, batches of 128", _mlp(128, 128), [64], 128),
    Case("MLP 784-64-10", _mlp(64), [784], 32),
    Case("MLP 784-128-10", _mlp(128), [784], 64),
    Case("MLP 784-256-10, batches of 128", _mlp(256), [784], 128),
    Case("MLP 784-512-256-10", _mlp(512, 256), [784], 32),
    Case("MLP 784-512-256-10, batches of 128", _mlp(512, 256), [784], 128),
    Case("sines 2-32-10", _own("Sines", 32), [2], 32),
    Case("sines 64-128-10", _own("Sines", 128), [64], 32),
    Case("sines 64-256-10", _own("Sines", 256), [64], 64),
    Case("sines 784-64-10", _own("Sines", 64), [784], 32),
    Case("sines 784-256-10", _own("Sines", 256), [784], 64),
    Case("CNN 8 and 16 channels, 8×8", _own("ConvNet", 8), [1, 8, 8], 32),
    Case("CNN 8 and 16 channels, 28×28", _own("ConvNet", 8), [1, 28, 28], 32),
    Case("CNN 16 and 32 channels, 8×8", _own("ConvNet", 16), [1, 8, 8], 32),
    Case("ResNet-8, 8×8", _own("ResNet8", 8), [3, 8, 8], 16),
    Case("ResNet-8, 32×32", _own("ResNet8", 16), [3, 32, 32], 8),
)


def study_of(case: Case) -> Study:
    """A study of the case: a fixed rate that moves nothing far."""
    task = {
        "dataset": {"name": "lane_rule:rows", "count": STEPS * case.batch, "shape": case.shape},
        "model": case.model,
        "optimizer": {"name": "sgd", "momentum": 0.9},
        "batch_size": case.batch,
        "epochs": EPOCHS + 1,
    }
    return parse_study(
        {
            "name": "rule",
            "task": task,
            "target": {"metric": "val_loss"},
            "schedules": {"fixed": {"lr": 1e-6}},
        },
        "lane_rule.py",
    )


def configs(count: int) -> list[TrialConfig]:
    """Trials that differ in their seeds."""
    return [TrialConfig(f"t{n}", Phase.TUNE, "fixed", "fixed", {"lr": 1e-6}, n) for n in range(count)]


def seconds_alone(study: Study, data: TaskData) -> float:
    """CPU seconds of an epoch of a trial that has its process to itself: the fastest."""
    training = Training(study, data, configs(1)[0], CPU)
    return min(_timed(training.run_to_evaluation) for _ in range(EPOCHS + 1))


def seconds_in_lanes(study: Study, data: TaskData, lanes: int) -> float:
    """CPU seconds of an epoch of a lane: the fastest."""
    group = LaneGroup(study, data, configs(lanes), CPU)
    return min(_timed(group.run_to_evaluation) for _ in range(EPOCHS + 1)) / lanes


def _timed(call: Any) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def main() -> None:
    """Print a line per model: the rule's terms, what it says, what is gained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lanes", default="16,64")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    torch.set_num_threads(1)
    counts = [int(count) for count in given.lanes.split(",")]
    gains = " | ".join(f"gain in {count}" for count in counts)
    print(f"| model | batch | multiply-adds of a step | rule: lanes | {gains} |")
    print("|---|---:|---:|---:|" + "---:|" * len(counts))
    for case in CASES:
        if given.only and not any(part in case.name for part in given.only.split(",")):
            continue
        _line(case, counts, given.rounds)


def _line(case: Case, counts: Sequence[int], rounds: int) -> None:
    study = study_of(case)
    data = load_data(study.task, 0, None)
    rule = rule_of(study, data)
    reason = why_not(study, data, ["fixed"])
    cells = []
    for lanes in counts:
        if reason is not None or (cells and float(cells[-1]) < 1):
            cells.append(reason or "")  # more lanes only lose more
            continue
        gains = [seconds_alone(study, data) / seconds_in_lanes(study, data, lanes) for _ in range(rounds)]
        cells.append(f"{sorted(gains)[len(gains) // 2]:.1f}")
    terms = f"{case.name} | {case.batch} | {rule.multiply_adds:,} | {rule.lanes}"
    print(f"| {terms} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
