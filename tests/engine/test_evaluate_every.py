"""Evaluations by steps: they change nothing of the training, and a trial continues from any of them."""

from __future__ import annotations

import io
import math
from dataclasses import asdict
from typing import Any

import pytest
import torch

from lrstudy.engine.lanes.eligibility import why_not
from lrstudy.engine.sweep import Sweep, plan_sweep
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.schedules import ScheduleContext
from lrstudy.schedules.protocol import ScheduleDefaults
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")
CLOCKS = ("train_seconds", "estimate_seconds", "eval_seconds")
STEPS = 18  # of an epoch: 1,149 rows in batches of 64
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("fixed", {"lr": 0.1}),
    ("step", {"lr": 0.1, "gamma": 0.1, "milestones": (0.5,)}),
    ("cosine", {"lr": 0.1}),
    ("plateau", {"lr": 0.5, "factor": 0.5, "patience": 0}),
    ("lipschitz", {}),
    ("lipschitz", {"measure": "pass", "anneal": "cosine"}),
    ("lipschitz", {"bound": "network", "anneal": "keras", "max_growth": 2.0}),
    ("lipschitz", {"bound": "secant", "cap": "last-good"}),
]


def study(every: int | None, epochs: int = 3, **task: Any) -> Study:
    given: dict[str, Any] = {
        "dataset": "digits",
        "model": {"name": "mlp", "widths": [16], "dropout": 0.1},
        "augment": ["shift:0.1"],
        "batch_size": 64,
        "epochs": epochs,
    }
    if every is not None:
        given["evaluate_every"] = every
    return parse_study({"name": "s", "task": given | task, "schedules": {"fixed": {"lr": 0.1}}}, "test")


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study(None).task, 0, None)


def trial(kind: str, params: dict[str, Any], phase: Phase = Phase.CONFIRM) -> TrialConfig:
    return TrialConfig("t", phase, kind, kind, params, 3)


def run(study: Study, data: TaskData, config: TrialConfig) -> tuple[Training, list[EvaluationRecord]]:
    training = Training(study, data, config, CPU)
    return training, list(training.run())


def curve(records: list[EvaluationRecord]) -> list[dict[str, str]]:
    return [{k: repr(v) for k, v in asdict(record).items() if k not in CLOCKS} for record in records]


def assert_same_weights(one: Training, other: Training) -> None:
    for mine, theirs in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_as_many_steps_as_an_epoch_has_give_the_rows_of_epochs(
    data: TaskData, kind: str, params: dict[str, Any]
) -> None:
    config = trial(kind, params)
    one, by_epochs = run(study(None), data, config)
    other, by_steps = run(study(STEPS), data, config)
    assert one.pipeline.steps_per_epoch == STEPS
    assert curve(by_steps) == curve(by_epochs)
    assert repr(one.outcome()) == repr(other.outcome())


@pytest.mark.parametrize("every", [1, 7, 25, 1000])
@pytest.mark.parametrize(("kind", "params"), [KINDS[1], KINDS[4]])
def test_evaluations_change_nothing_of_the_training(
    data: TaskData, kind: str, params: dict[str, Any], every: int
) -> None:
    config = trial(kind, params)
    plain, by_epochs = run(study(None), data, config)
    training, records = run(study(every), data, config)
    assert_same_weights(training, plain)
    total = 3 * STEPS
    steps = [step for step in range(1, total + 1) if step % every == 0 or step == total]
    assert [record.step for record in records] == steps
    assert [record.evaluation for record in records] == list(range(1, len(steps) + 1))
    rows = len(data.train.targets)
    for record in records:
        epochs, rest = divmod(record.step, STEPS)
        assert record.samples == epochs * rows + 64 * rest
        assert record.epoch == pytest.approx(record.samples / rows)
    assert records[-1].epoch == 3.0
    assert records[-1].val_loss == by_epochs[-1].val_loss
    seen = [0, *(record.samples or 0 for record in records)]
    parts = zip(records, seen, strict=False)
    loss = math.fsum((record.train_loss or 0) * ((record.samples or 0) - before) for record, before in parts)
    assert loss == pytest.approx(math.fsum((record.train_loss or 0) * rows for record in by_epochs))


class Listening(ScheduleDefaults):
    """A schedule that keeps what it hears, with the number of steps taken by then."""

    def __init__(self, context: ScheduleContext) -> None:
        self.optimizer, self.steps = context.optimizer, 0
        self.heard: list[tuple[int, float | None]] = []

    def after_step(self) -> None:
        self.steps += 1

    def after_epoch(self, metric: float | None) -> None:
        self.heard.append((self.steps, metric))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        pass


@pytest.mark.parametrize("every", [7, 25])
def test_a_schedule_hears_the_last_metric_at_each_epochs_end(data: TaskData, every: int) -> None:
    training = Training(study(every), data, trial("fixed", {}), CPU, schedule=Listening)
    records = list(training.run())
    expected = []
    for step in (STEPS, 2 * STEPS):
        before = [record.val_accuracy for record in records if record.step <= step]
        expected.append((step, before[-1] if before else None))
    assert training.schedule.heard == expected  # type: ignore[attr-defined]
    assert expected[0] != expected[1]


@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_a_trial_continues_within_an_epoch_bit_by_bit(
    data: TaskData, kind: str, params: dict[str, Any]
) -> None:
    spec, config = study(7, ema=0.9, accumulate=2), trial(kind, params)
    whole, records = run(spec, data, config)
    weights = [tensor.clone() for tensor in whole.model.state_dict().values()]
    outcome = repr(whole.outcome())
    assert whole.pipeline.steps_per_epoch == 9
    for stop in (1, 2):
        first = Training(spec, data, config, CPU)
        for _ in range(stop):
            first.run_to_evaluation()
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        torch.rand(5)
        second = Training(spec, data, config, CPU)
        second.load_state_dict(torch.load(file, weights_only=True))
        assert curve(list(second.run())) == curve(records[stop:])
        assert all(map(torch.equal, second.model.state_dict().values(), weights))
        assert repr(second.outcome()) == outcome


def test_a_range_test_keeps_to_its_own_evaluations(data: TaskData) -> None:
    curves = []
    for every in (None, 5):
        spec = study(every)
        sweep = Sweep(spec, data, plan_sweep(spec, data), 0, CPU)
        curves.append((curve(list(sweep.run())), sweep.curve.checks))
    assert curves[0] == curves[1]


def test_lanes_are_refused_with_the_reason(data: TaskData) -> None:
    assert "(task.evaluate_every)" in (why_not(study(7), data, ["fixed"]) or "")
