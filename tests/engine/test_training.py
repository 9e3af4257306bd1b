"""A trial records what it did, repeats bit by bit, continues from a checkpoint, and may diverge."""

from __future__ import annotations

import io
import math
from dataclasses import asdict
from typing import Any

import pytest
import torch

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.rules.outcome import Outcome
from lrstudy.schedules import ScheduleContext, WatchingSchedule
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")
MEASURED = ("train_seconds", "estimate_seconds", "eval_seconds")


def study(epochs: int = 3, **task: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {
                "dataset": "digits",
                "model": {"name": "mlp", "widths": [32], "batch_norm": "last"},
                "batch_size": 64,
                "epochs": epochs,
                **task,
            },
            "schedules": {"fixed": {"lr": 0.1}},
        },
        "test",
    )


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study().task, 0, None)


def config(kind: str = "fixed", phase: Phase = Phase.TUNE, seed: int = 7, **params: Any) -> TrialConfig:
    return TrialConfig(f"{kind}-{phase}-000", phase, kind, kind, params, seed)


def curve(records: list[EvaluationRecord]) -> list[dict[str, str]]:
    """What must repeat: every bit of every value but the clock's (as text, so that NaN equals NaN)."""
    return [{k: repr(v) for k, v in asdict(record).items() if k not in MEASURED} for record in records]


def test_each_epoch_is_recorded(data: TaskData) -> None:
    records = list(Training(study(), data, config(lr=0.2), CPU).run())
    rows, steps = len(data.train.targets), math.ceil(len(data.train.targets) / 64)
    assert [r.epoch for r in records] == [1, 2, 3]
    assert [r.step for r in records] == [steps, 2 * steps, 3 * steps]
    assert [r.samples for r in records] == [rows, 2 * rows, 3 * rows]
    assert all(r.lr == r.lr_min == r.lr_max == 0.2 for r in records)
    assert all(r.train_seconds > 0 and r.eval_seconds > 0 and r.estimate_seconds >= 0 for r in records)
    assert all(r.val_loss is not None and r.val_r2 is None for r in records)
    assert records[-1].val_accuracy is not None
    assert records[-1].val_accuracy > 0.8


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("fixed", {"lr": 0.1}),
    ("step", {"lr": 0.1, "gamma": 0.1, "milestones": (0.5,)}),
    ("cyclic", {"max_lr": 0.5, "base_ratio": 0.1, "cycle_epochs": 2}),
    ("lipschitz", {"measure": "hook"}),
    ("lipschitz", {"measure": "pass"}),
    ("polyak", {"max_lr": 1.0, "smoothing": 2.0}),
    ("cosine", {"lr": 0.1, "momentum.from": 0.5, "momentum.to": 0.9, "weight_decay.from": 0.01}),
]


def test_a_rate_that_is_set_within_the_step_is_recorded_for_that_step(data: TaskData) -> None:
    training = Training(study(), data, config("polyak", c=1.0, max_lr=5.0), CPU)
    used: list[float] = []
    training.optimizer.register_step_pre_hook(
        lambda optimizer, args, options: used.append(optimizer.param_groups[0]["lr"])
    )
    record = next(training.run())
    assert len(set(used)) > 1
    assert (record.lr_min, record.lr_max) == (min(used), max(used))
    assert record.lr == pytest.approx(sum(used) / len(used))
    training.close()


@pytest.mark.parametrize(("kind", "params"), SCHEDULES)
def test_a_trial_repeats_bit_by_bit(data: TaskData, kind: str, params: dict[str, Any]) -> None:
    first = list(Training(study(), data, config(kind, **params), CPU).run())
    torch.rand(17)  # whatever else the process did in between must not matter
    assert curve(list(Training(study(), data, config(kind, **params), CPU).run())) == curve(first)
    assert curve(list(Training(study(), data, config(kind, seed=8, **params), CPU).run())) != curve(first)


@pytest.mark.parametrize(("kind", "params"), SCHEDULES)
def test_a_trial_continues_from_a_checkpoint_as_if_uninterrupted(
    data: TaskData, kind: str, params: dict[str, Any]
) -> None:
    spec, trial = study(epochs=4), config(kind, Phase.CONFIRM, **params)
    whole = Training(spec, data, trial, CPU)
    records = [whole.run_to_evaluation() for _ in range(4)]

    first = Training(spec, data, trial, CPU)
    first.run_to_evaluation()
    first.run_to_evaluation()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    torch.rand(5)
    second = Training(spec, data, trial, CPU)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.epoch == 2
    assert curve([second.run_to_evaluation(), second.run_to_evaluation()]) == curve(records[2:])
    assert repr(second.outcome()) == repr(whole.outcome())


def test_divergence_ends_the_trial_and_is_a_result(data: TaskData) -> None:
    training = Training(study(epochs=20), data, config(lr=1e30), CPU)
    records = []
    while not training.finished:
        records.append(training.run_to_evaluation())
    outcome = training.outcome()
    assert outcome.status is Status.DIVERGED
    assert outcome.evaluations == len(records) < 20
    assert outcome.objective is None
    assert f"in epoch {len(records)}" in (outcome.error or "")
    assert outcome.test == {}


def test_a_loss_beyond_the_bound_is_divergence(data: TaskData) -> None:
    training = Training(study(divergence=0.001), data, config(lr=0.1), CPU)
    training.run_to_evaluation()
    assert training.finished
    assert "passed the bound 0.001" in (training.outcome().error or "")


def test_only_a_confirm_trial_measures_the_test_split(data: TaskData) -> None:
    outcomes = {}
    for phase in Phase:
        training = Training(study(), data, config(phase=phase, lr=0.1), CPU)
        while not training.finished:
            training.run_to_evaluation()
        outcomes[phase] = training.outcome()
    assert outcomes[Phase.TUNE].test == {}
    assert outcomes[Phase.CONFIRM].test["accuracy"] > 0.8
    assert outcomes[Phase.TUNE].best_val == outcomes[Phase.CONFIRM].best_val


def test_the_test_split_is_measured_with_the_weights_of_the_best_epoch(data: TaskData) -> None:
    training = Training(study(epochs=4), data, config(phase=Phase.CONFIRM, lr=0.1), CPU)
    records = [training.run_to_evaluation() for _ in range(3)]
    for parameter in training.model.parameters():
        parameter.data.zero_()  # nothing is learnt from here on
    records.append(training.run_to_evaluation())
    outcome = training.outcome()
    assert outcome.best_evaluation == 3
    assert outcome.test["accuracy"] > 0.8 > (records[-1].val_accuracy or 0.0)


def test_the_lipschitz_rule_records_what_set_the_rate(data: TaskData) -> None:
    records = list(Training(study(), data, config("lipschitz", measure="hook"), CPU).run())
    assert records[0].lipschitz_constant is None
    assert records[0].lr == 0.1, "until a measurement exists the optimizer's own rate stands"
    for record in records[1:]:
        assert record.lipschitz_constant is not None
        assert record.lr == pytest.approx(1 / record.lipschitz_constant)
        assert record.kz is not None


@pytest.mark.parametrize(
    ("kind", "package"),
    [
        ("prodigy", "prodigyopt"),
        ("d-adaptation", "dadaptation"),
        ("dog", "dog"),
        ("schedule-free", "schedulefree"),
    ],
)
def test_a_rate_that_the_optimizer_found_itself_is_recorded(data: TaskData, kind: str, package: str) -> None:
    # Their groups' lr is a mere factor (1.0), not the step size.
    pytest.importorskip(package)
    records = list(Training(study(), data, config(kind), CPU).run())
    assert all(math.isfinite(r.lr_min) and 0 < r.lr_min <= r.lr <= r.lr_max for r in records)
    if kind != "schedule-free":
        assert len({r.lr_max for r in records}) == len(records), "the found step size changes"
        assert records[0].lr_min < 0.01, "the first estimates of the distance are tiny"


class Watching(WatchingSchedule):
    """Evaluates after every tenth step and ends the trial after ``last``; it moves the trial's clock."""

    def __init__(self, last: int, context: ScheduleContext) -> None:
        self.optimizer, self._last = context.optimizer, last
        self.losses: list[float] = []
        self.metrics: list[tuple[int, float | None]] = []
        self.now = 0.0

    @property
    def ended(self) -> bool:
        return len(self.losses) >= self._last

    @property
    def evaluation_due(self) -> bool:
        return len(self.losses) % 10 == 0

    def after_loss(self, loss: float) -> None:
        self.losses.append(loss)
        self.now += 1.0

    def after_evaluation(self, metric: float | None) -> None:
        self.metrics.append((len(self.losses), metric))
        self.now += 100.0

    def after_step(self) -> None: ...

    def after_epoch(self, metric: float | None) -> None: ...

    def outcome(self, evaluations_run: int) -> Outcome:
        return Outcome(Status.COMPLETED, evaluations_run, found={"steps": len(self.losses)})

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


def watched(data: TaskData, last: int, epochs: int = 3, **task: Any) -> tuple[Watching, Training]:
    built: list[Watching] = []

    def build(context: ScheduleContext) -> Watching:
        built.append(Watching(last, context))
        return built[0]

    def clock() -> float:
        return built[0].now if built else 0.0

    training = Training(study(epochs, **task), data, config(lr=0.1), CPU, clock, build)
    return built[0], training


def test_a_schedule_that_watches_sees_every_loss_and_ends_its_trial(data: TaskData) -> None:
    steps = math.ceil(len(data.train.targets) / 64)
    schedule, training = watched(data, last=steps + 5)
    records = list(training.run())
    assert training.finished
    assert [r.step for r in records] == [steps, steps + 5]
    assert records[1].samples == len(data.train.targets) + 5 * 64
    assert schedule.losses[0] != schedule.losses[-1]
    assert math.fsum(schedule.losses[steps:]) / 5 == pytest.approx(records[1].train_loss)
    assert training.outcome() == Outcome(Status.COMPLETED, 2, found={"steps": steps + 5})


def test_evaluations_within_an_epoch_are_no_training_time_and_change_no_training(data: TaskData) -> None:
    steps = math.ceil(len(data.train.targets) / 64)
    schedule, training = watched(data, last=999, epochs=2)
    records = list(training.run())
    places = [n for n in range(1, 2 * steps + 1) if n % 10 == 0 or n % steps == 0]
    assert [place for place, _ in schedule.metrics] == places, "none twice after the same step"
    first = sum(place <= steps for place in places)
    assert [r.eval_seconds for r in records] == [100.0 * first, 100.0 * (len(places) - first)]
    assert [r.train_seconds for r in records] == [steps, steps]
    assert [r.val_accuracy for r in records] == [dict(schedule.metrics)[steps], schedule.metrics[-1][1]]
    plain = list(Training(study(2), data, config(lr=0.1), CPU).run())
    assert [r.train_loss for r in records] == [r.train_loss for r in plain]
    assert [r.val_loss for r in records] == [r.val_loss for r in plain]


def test_a_trial_that_is_watched_ends_by_no_other_rule(data: TaskData) -> None:
    _, training = watched(data, last=999, epochs=2, divergence=0.001)
    assert len(list(training.run())) == 2
    assert training.outcome().status is Status.COMPLETED


def test_a_rate_from_the_loss_sees_that_of_all_batches_of_a_step_before_clipping(data: TaskData) -> None:
    training = Training(study(accumulate=2, clip_norm=0.05), data, config("polyak", c=1.0, max_lr=1e6), CPU)
    found: list[tuple[float, float]] = []
    before = training.schedule.before_step

    def see(loss: torch.Tensor) -> None:
        gradients = [p.grad for p in training.model.parameters() if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        before(loss)
        found.append((training.schedule.rate, float(loss) / norm**2))

    training._step.before_update = see  # type: ignore[union-attr]
    record = next(training.run())
    assert len(found) == record.step
    assert [rate for rate, _ in found] == pytest.approx([expected for _, expected in found], rel=1e-5)
    training.close()
