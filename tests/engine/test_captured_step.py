"""Trials with captured steps, one after another in a process: each is what it is alone and plainly.

A tape stands in for a GPU's graph (see ``graph_tape``); everything else is as in a study.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator
from dataclasses import asdict
from typing import Any

import graph_tape
import pytest
import torch
from torch import Tensor, nn

from lrstudy.engine import captured_step as captured
from lrstudy.engine.captured_step import CapturedStep
from lrstudy.engine.plain_step import PlainStep
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import Phase
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")
MEASURED = ("train_seconds", "estimate_seconds", "eval_seconds")
MOMENTUM: dict[str, Any] = {"name": "sgd", "lr": 0.1, "momentum": 0.9}
ADAMO = {**MOMENTUM, "dampening": 0.9}
OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "sgd", "lr": 0.1},
    MOMENTUM,
    ADAMO,
    {**MOMENTUM, "nesterov": True, "weight_decay": 0.001},
    {**ADAMO, "weight_decay": 0.001, "weight_decay_on": "kernels"},
    {"name": "adam", "lr": 0.01},
]
SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("fixed", {"lr": 0.1}),
    ("cosine", {"lr": 0.1, "warmup": 0.2}),
    ("one-cycle", {"max_lr": 0.3}),
    ("lipschitz", {"measure": "hook", "max_lr": 0.5}),
    ("torch.optim.lr_scheduler:StepLR", {"step_size": 1}),
]
CYCLED = ("cyclic", {"max_lr": 0.2, "cycle_epochs": 2, "cycle_momentum": True})


def study(step: str = "captured", epochs: int = 3, **task: Any) -> Study:
    model = {"name": "mlp", "widths": [16], "batch_norm": "last", "dropout": 0.1}
    given = {"dataset": "digits", "model": model, "batch_size": 96, "epochs": epochs, **task}
    resources = {"step": step}
    return parse_study(
        {"name": "s", "task": given, "resources": resources, "schedules": {"fixed": {"lr": 0.1}}}, "test"
    )


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_data(study().task, 0, None)


@pytest.fixture(autouse=True)
def captures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Lets a CPU be a GPU; a number for every capture made."""
    made: list[int] = []

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        made.append(len(made))
        return graph_tape.capture(compute)

    def build(how: str, plain: PlainStep, device: torch.device, key: Hashable | None, **_: Any) -> Any:
        return plain if how == "eager" else CapturedStep(plain, key, capture, lambda compute: compute())

    monkeypatch.setattr("lrstudy.engine.step.choose_step", build)
    captured._kept.clear()
    yield made
    captured._kept.clear()


def training(spec: Study, data: TaskData, schedule: tuple[str, dict[str, Any]], seed: int = 7) -> Training:
    kind, params = schedule
    return Training(spec, data, TrialConfig("t", Phase.TUNE, kind, kind, params, seed), CPU)


def trained(trial: Training, epochs: int = 99) -> list[Any]:
    """What a trial shows: its records but for the clock, and all state at its end, bit by bit."""
    shown = []
    while not trial.finished and epochs:
        record = trial.run_to_evaluation()
        shown.append({k: repr(v) for k, v in asdict(record).items() if k not in MEASURED})
        epochs -= 1
    return [shown, *plain_data(trial)]


def plain_data(trial: Training) -> list[Any]:
    state = trial.state_dict()
    numbers = state["optimizer"]["state"].values()  # Adam's step counts are tensors on the CPU
    return [
        *(as_text(tensor) for tensor in state["model"].values()),
        *(as_text(value) for one in numbers for value in one.values() if isinstance(value, Tensor)),
    ]


def as_text(tensor: Tensor) -> str:
    return repr(tensor.tolist())


def alone(data: TaskData, schedule: tuple[str, dict[str, Any]], seed: int = 7, **task: Any) -> list[Any]:
    return trained(training(study("eager", **task), data, schedule, seed))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s[0])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_trials_of_one_process_share_a_capture_and_are_what_they_are_alone(
    data: TaskData, captures: list[int], optimizer: dict[str, Any], schedule: tuple[str, dict[str, Any]]
) -> None:
    spec = study(optimizer=optimizer)
    for seed in (7, 8):
        trial = training(spec, data, schedule, seed)
        assert trained(trial) == alone(data, schedule, seed, optimizer=optimizer)
        assert trial.note is None
        trial.close()
    # A hook is captured with the model: nobody else may have it.
    assert len(captures) == (2 if schedule[0] == "lipschitz" else 1)


@pytest.mark.parametrize("optimizer", [MOMENTUM, ADAMO, {**MOMENTUM, "nesterov": True}], ids=str)
def test_a_momentum_that_the_schedule_moves_is_read_anew(
    data: TaskData, captures: list[int], optimizer: dict[str, Any]
) -> None:
    for seed in (7, 8):
        trial = training(study(optimizer=optimizer), data, CYCLED, seed)
        assert trained(trial) == alone(data, CYCLED, seed, optimizer=optimizer)
        trial.close()
    assert len(captures) == 1


@pytest.mark.parametrize("optimizer", [{"name": "sgd", "lr": 0.1}, MOMENTUM], ids=str)
def test_a_rate_from_the_steps_own_loss_is_set_between_gradient_and_update(
    data: TaskData, captures: list[int], optimizer: dict[str, Any]
) -> None:
    polyak = ("polyak", {"c": 2.0, "smoothing": 2.0})
    for seed in (7, 8):
        trial = training(study(optimizer=optimizer), data, polyak, seed)
        assert trained(trial) == alone(data, polyak, seed, optimizer=optimizer)
        assert trial.note is None
        trial.close()
    assert len(captures) == 1


def test_a_moving_weight_decay_is_seen_by_a_captured_step(data: TaskData) -> None:
    moving = ("fixed", {"lr": 0.1, "weight_decay.from": 0.1, "weight_decay.to": 0.0})
    for optimizer in ({"name": "sgd", "lr": 0.1}, {"name": "adamw", "lr": 0.01}):
        trial = training(study(optimizer=optimizer), data, moving)
        assert trained(trial) == alone(data, moving, optimizer=optimizer)
        assert trial.note is None or "call by call" in trial.note
        assert trained(training(study(), data, ("fixed", {"lr": 0.1}))) != trained(trial)
        trial.close()


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:3], ids=str)
def test_float64_differs_by_its_rounding_alone(data: TaskData, optimizer: dict[str, Any]) -> None:
    task = {"optimizer": optimizer, "precision": "float64"}
    found = []
    for step in ("eager", "captured"):
        trial = training(study(step, **task), data, SCHEDULES[1])
        trained(trial)
        found.append([*trial.model.state_dict().values()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_schedules_of_all_kinds_follow_each_other(data: TaskData, captures: list[int]) -> None:
    order = [*SCHEDULES, CYCLED, *SCHEDULES]
    spec = study(optimizer=ADAMO)
    for seed, schedule in enumerate(order):
        trial = training(spec, data, schedule, seed)
        assert trained(trial) == alone(data, schedule, seed, optimizer=ADAMO), schedule
        trial.close()
    assert len(captures) == 1 + 2, "one for all, and one for each trial with a hook"


def test_after_a_failure_the_memory_of_all_captures_is_free(data: TaskData, captures: list[int]) -> None:
    spec = study()
    for schedule in (SCHEDULES[0], CYCLED):  # without a momentum and with one
        trial = training(spec, data, schedule)
        trained(trial)
        trial.close()
    assert len(captures) == len(captured._kept) == 2
    trial = training(spec, data, SCHEDULES[0])
    trial.schedule.before_evaluation = lambda: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(ZeroDivisionError):
        trial.run_to_evaluation()
    trial.close()
    assert not captured._kept


def test_another_task_captures_anew_and_the_old_capture_is_dropped(
    data: TaskData, captures: list[int]
) -> None:
    for batch_size, count in ((96, 1), (96, 1), (64, 2)):
        trial = training(study(batch_size=batch_size), data, SCHEDULES[0])
        assert trained(trial) == alone(data, SCHEDULES[0], batch_size=batch_size)
        trial.close()
        assert len(captures) == count
    trial = training(study(loss="clipped-cross-entropy"), data, SCHEDULES[0])
    trained(trial)
    trial.close()
    assert len(captures) == 3
    assert len(captured._kept) == 1


@pytest.mark.parametrize("fails_at", [2, 9])
def test_a_failed_trial_leaves_nothing_behind(data: TaskData, captures: list[int], fails_at: int) -> None:
    spec = study(optimizer=ADAMO)
    first = training(spec, data, SCHEDULES[1])
    trained(first)
    first.close()
    failing = training(spec, data, SCHEDULES[1], 8)
    after_step, steps = failing.schedule.after_step, 0

    def fail() -> None:
        nonlocal steps
        steps += 1
        after_step()
        if steps == fails_at:
            raise RuntimeError("mine")

    failing.schedule.after_step = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="mine"):
        failing.run_to_evaluation()
    failing.close()
    assert not captured._kept
    trial = training(spec, data, SCHEDULES[1], 9)
    assert trained(trial) == alone(data, SCHEDULES[1], 9, optimizer=ADAMO)
    assert len(captures) == 2


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("steps", [("captured", "eager"), ("eager", "captured"), ("captured", "captured")])
@pytest.mark.parametrize("used", [False, True])
def test_a_checkpoint_continues_in_the_other_way(
    data: TaskData, steps: tuple[str, str], optimizer: dict[str, Any], used: bool
) -> None:
    wanted = alone(data, SCHEDULES[1], optimizer=optimizer)
    if used:  # both then move into what this one leaves
        other = training(study(optimizer=optimizer), data, SCHEDULES[1], 3)
        trained(other)
        other.close()
    first = training(study(steps[0], optimizer=optimizer), data, SCHEDULES[1])
    begun = trained(first, 2)[0]
    state = copy.deepcopy(first.state_dict())
    first.close()
    second = training(study(steps[1], optimizer=optimizer), data, SCHEDULES[1])
    second.load_state_dict(state)
    ended = trained(second)
    assert [[*begun, *ended[0]], *ended[1:]] == wanted


@pytest.mark.parametrize("optimizer", [MOMENTUM, ADAMO], ids=str)
def test_a_checkpoint_loaded_in_mid_training_is_what_the_graph_goes_on_from(
    data: TaskData, optimizer: dict[str, Any]
) -> None:
    trial = training(study(optimizer=optimizer), data, SCHEDULES[1])
    trial.run_to_evaluation()
    state = copy.deepcopy(trial.state_dict())
    trial.run_to_evaluation()
    trial.load_state_dict(state)
    while not trial.finished:
        trial.run_to_evaluation()
    assert plain_data(trial) == alone(data, SCHEDULES[1], optimizer=optimizer)[1:]


def test_the_hook_measures_what_it_measures_in_plain_steps(data: TaskData, captures: list[int]) -> None:
    for schedule in (SCHEDULES[0], SCHEDULES[3], SCHEDULES[0]):
        trial = training(study(optimizer=MOMENTUM), data, schedule)
        shown = trained(trial)
        assert shown == alone(data, schedule, optimizer=MOMENTUM)
        if schedule[0] == "lipschitz":
            assert shown[0][-1]["kz"] != "None"
        trial.close()
    assert len(captures) == 2, "the hook's is its own, and the other one is kept meanwhile"


class Hidden(nn.Module):
    """A model with a tensor of its own that torch does not know of, another one in each trial."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.mask = torch.rand(64)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.layer(inputs.flatten(1) * self.mask)
        return found


def test_a_users_own_model_is_captured_in_every_trial(data: TaskData, captures: list[int]) -> None:
    model = f"{__name__}:Hidden"
    for seed in (7, 8):
        trial = training(study(model=model), data, SCHEDULES[1], seed)
        assert trained(trial) == alone(data, SCHEDULES[1], seed, model=model)
        trial.close()
    assert len(captures) == 2


def test_where_a_capture_fails_the_trial_is_plain_and_says_why(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = graph_tape.capture

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        def until_it_fails() -> None:
            compute()
            raise RuntimeError("no")

        return real(until_it_fails)

    monkeypatch.setattr(graph_tape, "capture", capture)
    trial = training(study(optimizer=ADAMO), data, SCHEDULES[1])
    assert trained(trial) == alone(data, SCHEDULES[1], optimizer=ADAMO)
    assert (trial.note or "").endswith("call by call: no")
    trial.close()
    assert not captured._kept
