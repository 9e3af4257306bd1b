"""A training that does not loop over ``trial.steps``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lrstudy import Trial, try_training
from lrstudy.errors import ContractError
from lrstudy.records import EvaluationRecord

INPUTS = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
TARGETS = torch.arange(16) % 3


def training(steps: int, every: int, **known: Any) -> Callable[[Trial], None]:
    def train(trial: Trial) -> None:
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr)
        schedule = trial.schedule(optimizer, model=model, **known)
        trial.begin()
        for step in range(1, steps + 1):
            optimizer.zero_grad()
            loss = cross_entropy(model(INPUTS), TARGETS)
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % every == 0:
                trial.report(val_loss=loss)

    return train


def tried(function: Callable[[Trial], None], **length: Any) -> list[EvaluationRecord]:
    return try_training(function, "lipschitz", metrics={"val_loss": "min"}, lr=0.01, show=False, **length)


def test_a_rule_that_measures_moves_at_every_evaluation_where_epochs_are_unknown() -> None:
    rows = tried(training(12, 4), steps=12, evaluate_every=4)
    assert [row.step for row in rows] == [4, 8, 12]
    assert len({row.lr for row in rows}) >= 2
    assert rows[0].lr == 0.01 != rows[1].lr


def test_it_moves_once_an_epoch_where_their_length_is_known() -> None:
    rows = tried(training(12, 2, steps_per_epoch=6), steps=12, evaluate_every=2)
    first, second = ({row.lr for row in half} for half in (rows[:3], rows[3:]))
    assert len(first) == len(second) == 1
    assert first != second


def test_a_trial_in_epochs_is_complete_after_its_last_step() -> None:
    rows = tried(training(12, 6, steps_per_epoch=6), epochs=2)
    assert [row.epoch for row in rows] == [1.0, 2.0]


def test_samples_are_unknown_unless_they_are_reported() -> None:
    assert {row.samples for row in tried(training(12, 6), steps=12)} == {None}


def test_a_training_that_ends_early_is_refused() -> None:
    with pytest.raises(ContractError, match=r"the last trial\.report is at step 8 of 12"):
        tried(training(8, 4), steps=12, evaluate_every=4)


def test_a_last_step_without_a_report_is_refused() -> None:
    with pytest.raises(ContractError, match=r"the last trial\.report is at step 10 of 12"):
        tried(training(12, 5), steps=12)


def test_a_rule_that_measures_its_own_steps_needs_no_loader() -> None:
    def train(trial: Trial) -> None:
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr)
        batches = [{"inputs": INPUTS, "targets": TARGETS}] * 6  # no pairs
        schedule = trial.schedule(optimizer, model=model, loader=batches)
        for batch in trial.steps(batches):
            optimizer.zero_grad()
            loss = cross_entropy(model(batch["inputs"]), batch["targets"])
            loss.backward()
            optimizer.step()
            schedule.step()
            if trial.due:
                trial.report(val_loss=loss)

    rows = tried(train, steps=12, evaluate_every=6)
    assert rows[0].lr == 0.01 != rows[1].lr


def test_a_rule_that_measures_in_passes_needs_one() -> None:
    with pytest.raises(ContractError, match="was given no loader"):
        try_training(training(12, 4), {"kind": "lipschitz", "measure": "pass"}, steps=12, show=False)
