"""A user's training function sees which tuning of its schedule a trial belongs to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from lrstudy import Trial, try_training
from lrstudy.engine.function.start_function import start_function
from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase
from lrstudy.spec import Study, parse_study

SPLITS = torch.arange(8)


def train(trial: Trial) -> None:
    """Evaluate on the row that this replicate leaves out; nothing learns."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=trial.lr)
    schedule = trial.schedule(optimizer)
    for _ in trial.steps([1, 2]):
        optimizer.step()
        schedule.step()
    trial.report(val_loss=float(SPLITS[trial.replicate]))


@pytest.fixture
def study() -> Iterator[Study]:
    module = ModuleType("function_of_replicates")
    module.train = train  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    task = {"train": "function_of_replicates:train", "steps": 2, "metrics": {"val_loss": "min"}}
    raw = {"name": "s", "task": task, "schedules": {"fixed": {"lr": 0.1}}, "target": {"metric": "val_loss"}}
    yield parse_study(raw, "test")
    del sys.modules[module.__name__]


def split_of(study: Study, config: TrialConfig) -> float | None:
    group = start_function(study, config, torch.device("cpu"))
    (row,) = (row for pause in group.run() for row in pause.rows.values())
    return row.value("val_loss")


def config(replicate: int) -> TrialConfig:
    number = f"fixed-confirm-{replicate}"
    return TrialConfig(number, Phase.CONFIRM, "fixed", "fixed", {"lr": 0.1}, 5, replicate=replicate)


@pytest.mark.parametrize("replicate", [1, 3])
def test_a_trial_knows_its_replicate(study: Study, replicate: int) -> None:
    assert split_of(study, config(replicate)) == replicate


def test_a_function_that_is_tried_alone_is_of_the_first_replicate() -> None:
    (row,) = try_training(train, steps=2, metrics={"val_loss": "min"}, show=False)
    assert row.value("val_loss") == 1
