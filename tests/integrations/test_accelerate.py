"""A training function whose model, optimizer and loader Accelerate has prepared."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from lrstudy.engine.function import FunctionGroup, Settings, Trial
from lrstudy.records import Status
from lrstudy.rules.metrics import Metric
from lrstudy.rules.outcome import Outcome

pytest.importorskip("accelerate", reason="needs pip install 'lrstudy[accelerate]'")
with warnings.catch_warnings(action="ignore"):  # of what it imports
    from accelerate import Accelerator

pytestmark = pytest.mark.filterwarnings("ignore")


def train(trial: Trial) -> None:
    accumulate = trial.options.get("accumulate", 1)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
    inputs = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    loader = DataLoader(TensorDataset(inputs, torch.arange(40) % 3), 8, shuffle=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=trial.lr)
    schedule = trial.schedule(optimizer, model=model, loader=loader)
    model, optimizer, loader = accelerator.prepare(model, schedule.optimizer, loader)
    trial.keep(model=model, optimizer=optimizer)
    for x, y in trial.steps(loader, accumulate=accumulate):
        with accelerator.accumulate(model):
            loss = cross_entropy(model(x), y)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
        if trial.updating:
            schedule.step()
        if trial.due:
            trial.report(val_loss=loss)


def group(kind: str = "cosine", **options: Any) -> FunctionGroup:
    settings = Settings(
        seed=3,
        schedule=kind,
        kind=kind,
        schedule_params={},
        metric=Metric("val_loss", "val_loss", False, 0.0, float("inf"), None),
        declared=("val_loss",),
        steps=12,
        evaluate_every=3,
        options=options,
    )
    return FunctionGroup(train, settings, lambda rows, _: Outcome(Status.COMPLETED, len(rows)))


def run(trial: FunctionGroup) -> tuple[list[Any], list[Any]]:
    rows: list[Any] = []
    states: list[Any] = []
    try:
        for pause in trial.run():
            rows += [(row.step, row.val_loss, row.lr) for row in pause.rows.values()]
            if (state := trial.state(0)) is not None:
                states.append(copy.deepcopy(state))
    finally:
        trial.close()
    return rows, states


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}])
def test_an_interrupted_trial_continues_bit_by_bit(options: dict[str, int]) -> None:
    rows, states = run(group(**options))
    assert [row[0] for row in rows] == [3, 6, 9, 12]
    for done in (3, 6):
        resumed = group(**options)
        resumed.load(0, next(state for state in states if state["step"] == done))
        assert run(resumed)[0] == [row for row in rows if row[0] > done]


def test_a_rule_that_measures_sets_its_rates() -> None:
    rows, _ = run(group("lipschitz"))
    assert rows[0][2] != rows[-1][2]
