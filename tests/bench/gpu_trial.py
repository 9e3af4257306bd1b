"""Trials of lrstudy's own loop without pydantic: a stand-in for the study, and random images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.objective import Objective
from lrstudy.tasks import Split, TaskData
from lrstudy.tasks.models.paper_cnn import paper_cnn


@dataclass(frozen=True)
class Network:
    """A model's name and options, the shape of an image, the batch size, and the floor of an epoch.

    ``floor_seconds``: an epoch of 50,000 images on a GPU at bf16 and unfused memory traffic; None: no figure.
    """

    model: str
    shape: tuple[int, int, int]
    batch_size: int
    floor_seconds: float | None = None
    options: Mapping[str, Any] | None = None


NETWORKS = {
    "paper-cnn": Network("paper-cnn", (1, 28, 28), 256, 0.030),
    "resnet-20-v1": Network("resnet-20-v1", (3, 32, 32), 128, 0.100),
    "densenet-40-12": Network("densenet-40-12", (3, 32, 32), 64, 1.200),
    "resnet-164-v2": Network("resnet-164-v2", (3, 32, 32), 128, 2.000),
    "cnn": Network("gpu_trial:cnn", (1, 28, 28), 256),
    "mlp": Network("mlp", (1, 28, 28), 32, options={"widths": [64]}),
    "mlp-8x8": Network("mlp", (1, 8, 8), 16, options={"widths": [16]}),
}


def cnn(input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Return the paper's network without its dropout, whose draws the lanes of a group would share."""
    layers = paper_cnn(input_shape, outputs).children()
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.Dropout)))


def without_dropout(network: str) -> str:
    """Return the network's twin that draws no random numbers; itself if it draws none."""
    return "cnn" if network == "paper-cnn" else network


def study_of(network: str, step: str = "captured", epochs: int = 3, **task: Any) -> Any:
    """Return what a trial reads from a study, without a study file: that would need pydantic."""
    about, metric = NETWORKS[network], METRICS["val_accuracy"]
    settings = {
        "model": _part(about.model, **(about.options or {})),
        "loss": _part("cross-entropy"),
        "optimizer": _part("sgd", lr=0.01, momentum=0.9),
        "batch_size": about.batch_size,
        "epochs": epochs,
        "precision": "float32",
        "channels_last": False,
        "deterministic": False,
        "augment": (),
        "normalize": None,
        "accumulate": 1,
        "clip_norm": None,
        "ema": None,
        "compile": False,
        "evaluate_every": None,
        "metrics": (),
        "divergence": 1e6,
        "diagnose": (),
        "drop_last": False,
    }
    whole = SimpleNamespace(**(settings | task))
    return SimpleNamespace(
        task=whole,
        built_in=whole,
        schedules=(),
        metric=metric,
        declared_metrics={},
        resources=SimpleNamespace(step=step),
        goal=SimpleNamespace(clock="epochs"),
        objective=Objective("best", metric),
    )


def optimizer_of(**options: Any) -> Any:
    """Return SGD with these options, as a task has it."""
    return _part("sgd", **options)


def _part(name: str, **options: Any) -> Any:
    return SimpleNamespace(name=name, options=options, is_users_own=":" in name)


def config_of(kind: str, params: Mapping[str, Any], seed: int, phase: Phase = Phase.TUNE) -> TrialConfig:
    """Return the configuration of a trial with a schedule of this kind."""
    return TrialConfig(f"{kind}-{seed}", phase, kind, kind, params, seed)


def random_data(network: str, rows: int) -> TaskData:
    """Return random images in whole batches, and one batch to validate on: values do not change times."""
    about, draw = NETWORKS[network], np.random.default_rng(0)
    rows = max(about.batch_size, rows - rows % about.batch_size)

    def split(count: int) -> Split:
        return Split(draw.integers(0, 256, (count, *about.shape), np.uint8), draw.integers(0, 10, count))

    few = split(about.batch_size)
    return TaskData("random", split(rows), few, few, classes=10, image=True)


@dataclass(frozen=True)
class Trace:
    """The numbers by which two trainings are compared, and the remark on the step."""

    losses: list[float]
    rates: list[float]
    weights: Tensor
    note: str | None = None


def trace(study: Any, data: TaskData, config: TrialConfig, device: torch.device) -> Trace:
    """Train a trial to its end and return its numbers."""
    training = Training(study, data, config, device)
    try:
        records = list(training.run())
        return trace_of(records, training, training.note)
    finally:
        training.close()


def trace_of(records: list[EvaluationRecord], training: Training, note: str | None) -> Trace:
    """Return the numbers of a training that has ended."""
    both = [value for record in records for value in (record.train_loss, record.val_loss)]
    losses = [value for value in both if value is not None]
    flat = [parameter.detach().double().cpu().flatten() for parameter in training.model.parameters()]
    return Trace(losses, [record.lr for record in records], torch.cat(flat), note)
