"""Trainings are put together in one place, and their seeds alone decide how they start."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from task_specs import make_task

import lrstudy
from lrstudy.rules.seeding import derive_seed
from lrstudy.tasks import Seeds, TaskData, TrainingParts, assemble, load_data

CPU = torch.device("cpu")
TASK = make_task(dataset="iris", model={"name": "mlp", "widths": [4]}, optimizer={"name": "sgd", "lr": 0.3})


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(TASK, 0)


def first_batch(parts: TrainingParts) -> torch.Tensor:
    return next(parts.pipeline.train_batches(parts.order))[0]


def weights(parts: TrainingParts) -> torch.Tensor:
    return next(parts.model.parameters()).detach()


def test_the_parts_belong_together(data: TaskData) -> None:
    parts = assemble(make_task(dataset="iris", precision="float64"), data, CPU)
    assert {p.dtype for p in parts.model.parameters()} == {torch.float64}
    assert [id(p) for p in parts.optimizer.param_groups[0]["params"]] == [
        id(p) for p in parts.model.parameters()
    ]
    inputs, targets = next(parts.pipeline.train_batches(parts.order))
    assert parts.loss(parts.model(inputs), targets).isfinite()
    assert parts.classes == 3


def test_the_seeds_decide_the_weights_and_the_order_of_the_rows(data: TaskData) -> None:
    one, again = (assemble(TASK, data, CPU, Seeds(1, 2)) for _ in range(2))
    other = assemble(TASK, data, CPU, Seeds(3, 2))
    assert torch.equal(weights(one), weights(again))
    assert not torch.equal(weights(one), weights(other))
    order = first_batch(one)
    assert torch.equal(order, first_batch(again))
    assert torch.equal(order, first_batch(other))
    assert not torch.equal(order, first_batch(assemble(TASK, data, CPU, Seeds(1, 4))))


def test_only_a_seed_for_dropout_touches_torchs_random_state(data: TaskData) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assemble(TASK, data, CPU, Seeds(1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assemble(TASK, data, CPU, Seeds(1, 2, dropout=7))
    after = torch.get_rng_state()
    torch.manual_seed(7)
    assert torch.equal(torch.get_rng_state(), after)


def test_a_trials_seeds_are_derived_each_for_its_purpose() -> None:
    seeds = Seeds.of_trial(11)
    assert seeds == Seeds(*(derive_seed(11, name) for name in ("model", "order", "dropout")))
    assert len({seeds.model, seeds.order, seeds.dropout}) == 3


def test_a_new_optimizer_is_over_the_same_model_and_in_its_first_state(data: TaskData) -> None:
    parts = assemble(TASK, data, CPU)
    parts.optimizer.param_groups[0]["lr"] = 9.0
    other = parts.new_optimizer()
    assert other is not parts.optimizer
    assert other.param_groups[0]["lr"] == 0.3
    assert other.param_groups[0]["params"][0] is parts.optimizer.param_groups[0]["params"][0]


BUILDERS = {"build_loss", "build_model", "build_optimizer", "precision_of"}


def test_nothing_else_puts_a_training_together() -> None:
    root = Path(lrstudy.__file__).parent
    callers = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in BUILDERS:
                callers.add(path.relative_to(root).as_posix())
    assert callers == {"tasks/assembly.py"}
