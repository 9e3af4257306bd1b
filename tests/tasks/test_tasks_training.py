"""Whole trainings: bit-identical when repeated, alone or beside others; precisions agree."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.spec import parse_study
from lrstudy.tasks import (
    Pipeline,
    Seeds,
    assemble,
    check_task,
    load_data,
    precision_of,
)

CPU = torch.device("cpu")


def train(task, seed: int = 0, epochs: int = 2) -> list[dict[str, float]]:
    """The bare loop: metrics per epoch and, last, the sum of the weights."""
    data = load_data(task, 0)
    check_task(task, data)
    parts = assemble(task, data, CPU, Seeds(model=seed, order=seed))
    found = []
    for _ in range(epochs):
        sums = parts.new_sums()
        for inputs, targets in parts.pipeline.train_batches(parts.order):
            parts.optimizer.zero_grad()
            with parts.precision.autocast():
                outputs = parts.model(inputs)
                value = parts.loss(outputs, targets)
            value.backward()
            parts.optimizer.step()
            sums.update(value, outputs, targets)
        found.append(sums.result())
    found.append({"weights": sum(float(p.detach().sum()) for p in parts.model.parameters())})
    return found


CASES = [
    {"model": {"name": "mlp", "widths": [16], "batch_norm": "last"}},
    {"model": "paper-cnn", "rows": 100, "augment": ["flip", "shift", "rotate", "zoom"]},
    {"dataset": "iris", "model": "softmax-regression", "loss": "clipped-cross-entropy"},
    {"dataset": "breast-cancer", "model": "logistic-regression", "loss": "binary-cross-entropy"},
    {"dataset": "diabetes", "model": "linear-regression", "loss": "huber", "optimizer": "adam"},
    {"model": "resnet-20-v1", "rows": 70, "channels_last": True, "deterministic": True},
]


@pytest.mark.parametrize("keys", CASES, ids=lambda keys: str(keys.get("model")))
def test_a_training_repeats_bit_by_bit(keys, task) -> None:
    spec = task(**keys)
    torch.manual_seed(1)
    one = train(spec)
    torch.manual_seed(1)
    assert train(spec) == one
    torch.use_deterministic_algorithms(False)


def test_tasks_learn(task) -> None:
    digits = train(task(model={"name": "mlp", "widths": [32], "batch_norm": "last"}), epochs=8)
    assert digits[7 - 1]["accuracy"] > 0.95
    tumours = train(
        task(dataset="breast-cancer", model="logistic-regression", loss="binary-cross-entropy"), epochs=8
    )
    assert tumours[6]["accuracy"] > 0.95
    patients = train(
        task(
            dataset="diabetes",
            model="linear-regression",
            loss="least-squares",
            optimizer={"name": "sgd", "lr": 0.01},
        ),
        epochs=40,
    )
    assert patients[38]["r2"] > 0.4


def test_the_number_formats_agree_as_far_as_they_reach(task) -> None:
    keys = {"model": {"name": "mlp", "widths": [16]}, "optimizer": {"name": "sgd", "lr": 0.05}}
    precise, single, half = (train(task(precision=p, **keys)) for p in ("float64", "float32", "bf16"))
    for epoch in range(2):
        assert single[epoch]["loss"] == pytest.approx(precise[epoch]["loss"], rel=1e-4)
        assert half[epoch]["loss"] == pytest.approx(precise[epoch]["loss"], rel=0.05)
    assert precise[-1] != single[-1] != half[-1]
    assert train(task(precision="tf32", **keys)) == single  # a GPU's format: nothing changes on a CPU


def test_precision_is_where_it_belongs(task) -> None:
    precision = precision_of(task(precision="bf16", channels_last=True), CPU)
    model = precision.prepare(nn.Conv2d(3, 4, 3))
    assert model.weight.dtype == torch.float32
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    with precision.autocast():
        assert model(torch.rand(1, 3, 5, 5)).dtype == torch.bfloat16
    assert precision_of(task(precision="float64"), CPU).prepare(nn.Linear(2, 2)).weight.dtype == torch.float64


def test_deterministic_mode_is_switched_on_and_off_again(task) -> None:
    precision_of(task(deterministic=True), CPU)
    assert torch.are_deterministic_algorithms_enabled()
    precision_of(task(), CPU)
    assert not torch.are_deterministic_algorithms_enabled()


def measured(record: EvaluationRecord) -> dict[str, object]:
    """A record without its clock readings."""
    return {k: v for k, v in dataclasses.asdict(record).items() if not k.endswith("_seconds")}


def test_a_trial_is_the_same_alone_and_after_others() -> None:
    study = parse_study(
        {
            "name": "repeat",
            "task": {
                "dataset": "digits",
                "model": {"name": "mlp", "widths": [16], "batch_norm": "last", "dropout": 0.2},
                "batch_size": 64,
                "epochs": 2,
                "rows": 400,
                "augment": ["shift"],
            },
            "schedules": {"fixed": {"lr": 0.1}, "lipschitz": {}},
        },
        "test",
    )
    data = load_data(study.task, study.seed)

    def trial(schedule: str, seed: int) -> list[dict[str, object]]:
        config = TrialConfig(
            "t", Phase.TUNE, schedule, schedule, {} if schedule == "lipschitz" else {"lr": 0.1}, seed
        )
        return [measured(record) for record in Training(study, data, config, CPU).run()]

    alone = trial("lipschitz", 5)
    trial("fixed", 6)
    assert trial("lipschitz", 5) == alone
    assert trial("lipschitz", 6) != alone


def test_pipelines_of_one_data_set_do_not_disturb_each_other(task) -> None:
    spec = task(model="mlp", augment=["flip", "shift"])
    data = load_data(spec, 0)

    def sums(seed: int) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        return [float(x.double().sum()) for x, _ in Pipeline(data, spec, CPU).train_batches(generator)]

    expected = [sums(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sums, range(4))) == expected
