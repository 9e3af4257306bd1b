"""What is refused when a schedule is built, and how users' own are loaded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR

from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.errors import ContractError, SchedulerError
from lrstudy.schedules import ScheduleContext, build_schedule
from lrstudy.schedules.curve_schedule import CurveSchedule
from lrstudy.schedules.curve_shapes import KINDS
from lrstudy.schedules.schedule_registry import complete_params


def context(optimizer: torch.optim.Optimizer | None = None, epochs: int = 4) -> ScheduleContext:
    optimizer = optimizer or torch.optim.SGD([torch.zeros(1)], 0.1)
    return ScheduleContext(optimizer, torch.nn.Identity(), "", {}, epochs, 5, list, seed=0)


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(SchedulerError, match=r"'cylic'.*Did you mean 'cyclic'.*module:attribute"):
        build_schedule("cylic", {}, context())


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SchedulerError) as caught:
        build_schedule("step", {"lr": -1, "gama": 0.1, "milestones": [0.5, 1.0]}, context())
    assert [problem.key for problem in caught.value.problems] == ["lr", "gama", "milestones"]
    assert "Did you mean 'gamma'?" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("cyclic", {"max_lr": 0.1, "base_lr": 0.1}, r"base_lr = 0.1: must be below max_lr \(0.1\)"),
        ("cyclic", {"base_lr": 0.01, "base_ratio": 0.5}, "given together with base_ratio"),
        ("cyclic", {"base_ratio": 1.0}, "must be below 1"),
        ("one-cycle", {"three_phase": True, "pct_start": 0.6}, "at most 0.5 with three_phase"),
        ("fixed", {"warmup": 1.0}, "must be below 1"),
        ("plateau", {"factor": 1.0}, "must be below 1"),
    ],
)
def test_impossible_values_are_refused(kind, params, message) -> None:
    with pytest.raises(SchedulerError, match=message):
        build_schedule(kind, params, context())


def test_a_training_too_short_for_one_cycle_is_refused() -> None:
    short = ScheduleContext(
        torch.optim.SGD([torch.zeros(1)], 0.1), torch.nn.Identity(), "", {}, 1, 2, list, seed=0
    )
    with pytest.raises(SchedulerError, match="does not fit into a training of 2 steps"):
        build_schedule("one-cycle", {}, short)


def test_momentum_cannot_be_cycled_where_there_is_none() -> None:
    optimizer = torch.optim.Adagrad([torch.zeros(1)], 0.1)
    with pytest.raises(SchedulerError, match="no momentum to cycle"):
        build_schedule("cyclic", {"cycle_momentum": True}, context(optimizer))


@pytest.mark.parametrize("lr", [0.0, float("inf")])
def test_an_optimizer_without_a_usable_rate_is_refused(lr) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
    optimizer.param_groups[0]["lr"] = lr
    with pytest.raises(SchedulerError, match="finite rate above 0"):
        build_schedule("fixed", {}, context(optimizer))


class Reads(dict[str, Any]):
    """Parameters that remember which of them were asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)


@pytest.mark.parametrize("kind", KINDS)
def test_a_curve_uses_exactly_the_declared_parameters(kind) -> None:
    params = Reads(complete_params(SCHEDULES[kind], {"restarts": 1} if kind == "cosine" else {}))
    CurveSchedule(kind, KINDS[kind], params, context())
    assert params.read == {parameter.name for parameter in SCHEDULES[kind].parameters}


@pytest.mark.parametrize("kind", [kind for kind, component in SCHEDULES.items() if component.extra is None])
def test_every_declared_kind_can_be_built(kind) -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    at_work = ScheduleContext(optimizer, model, "cross-entropy", {}, 4, 5, list, seed=0)
    schedule = build_schedule(kind, {}, at_work)
    assert schedule.optimizer is optimizer
    assert schedule.rate == optimizer.param_groups[0]["lr"]
    schedule.close()


def halving(optimizer: torch.optim.Optimizer, every: int = 1) -> LRScheduler:
    return StepLR(optimizer, every, gamma=0.5)


def wants_context(optimizer: torch.optim.Optimizer, context: ScheduleContext) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1.0 / (1 + step * context.epochs))


def no_scheduler(optimizer: torch.optim.Optimizer) -> str:
    return "soon"


class Counting(LRScheduler):
    """A scheduler whose state is not plain data."""

    def get_lr(self) -> list[float]:
        self.seen = {object()}
        return [0.1]


def walk(kind: str, params: dict[str, Any]) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.4)
    schedule = build_schedule(kind, params, context(optimizer, epochs=3))
    seen = []
    for _ in range(3):
        for _ in range(5):
            seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(0.0)
    return seen


def test_a_users_own_schedule_counts_what_it_is_said_to_count() -> None:
    by_epochs = walk("test_schedules_building:halving", {"interval": "epoch"})
    assert by_epochs == [0.4] * 5 + [0.2] * 5 + [0.1] * 5
    by_steps = walk("test_schedules_building:halving", {"interval": "step", "every": 5})
    assert by_steps == [0.4] * 5 + [0.2] * 5 + [0.1] * 5


def plateau(optimizer: torch.optim.Optimizer, mode: str = "max") -> LRScheduler:
    return ReduceLROnPlateau(optimizer, mode, patience=0)  # type: ignore[arg-type]


def one_cycle(optimizer: torch.optim.Optimizer, context: ScheduleContext) -> LRScheduler:
    return OneCycleLR(optimizer, 1.0, context.total_steps)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("halving", 'Add interval = "step" if it counts.*or set halving.interval so in the module'),
        ("Remembering", 'Add interval = "step" if it counts'),
        ("said_wrongly", "interval: is 'batch' in the module"),
    ],
)
def test_a_users_own_schedule_that_does_not_say_what_it_counts_is_refused(kind, message) -> None:
    with pytest.raises(ContractError, match=message):
        walk(f"test_schedules_building:{kind}", {})


def said_wrongly(optimizer: torch.optim.Optimizer) -> LRScheduler:
    return StepLR(optimizer, 1)


said_wrongly.interval = "batch"  # type: ignore[attr-defined]


def test_what_torchs_own_classes_count_is_known() -> None:
    assert walk("torch.optim.lr_scheduler:StepLR", {"step_size": 1, "gamma": 0.5})[4:6] == [0.4, 0.2]
    torchs = walk("torch.optim.lr_scheduler:OneCycleLR", {"max_lr": 1.0, "total_steps": 15})
    assert max(torchs) > 0.9 > torchs[-1]
    assert walk("test_schedules_building:one_cycle", {}) == torchs
    assert walk("test_schedules_building:plateau", {})[-1] == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"mode": "min"}, "mode = 'min': expects the wrong direction.*Add mode = \"max\""),
        ({"interval": "step"}, "interval = 'step': uses a metric"),
    ],
)
def test_a_plateau_that_hears_its_metric_wrongly_is_refused(params, message) -> None:
    with pytest.raises(ContractError, match=message):
        walk("test_schedules_building:plateau", params)


def nested(optimizer: torch.optim.Optimizer, phases: Any) -> LRScheduler:
    assert phases == [[0.3, {"factors": [1, None]}]]
    return StepLR(optimizer, 1)


@pytest.mark.parametrize("phases", [((0.3, {"factors": (1, None)}),), [[0.3, {"factors": [1, None]}]]])
def test_a_list_of_the_study_file_arrives_as_a_list(phases) -> None:
    assert walk("test_schedules_building:nested", {"phases": phases, "interval": "epoch"})


def test_a_users_own_schedule_takes_lr_warmup_and_context() -> None:
    seen = walk("test_schedules_building:wants_context", {"lr": 1.2, "warmup": 0.2, "interval": "epoch"})
    assert seen == pytest.approx([0.3, 0.6, 0.9, 1.2, 1.2] + [0.3] * 5 + [1.2 / 7] * 5)


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("no.such.module:x", {}, "cannot be imported: ModuleNotFoundError: No module named"),
        ("test_schedules_building:no_such_thing", {}, "has no 'no_such_thing'.*The module offers: .*halving"),
        ("torch.optim.lr_scheduler:NoSuch", {}, "The module offers: LRScheduler, .*OneCycleLR.$"),
        ("test_schedules_building:CURVES.x", {}, "has no 'CURVES.x'"),
        ("math:pi", {}, "cannot be called"),
        ("test_schedules_building:no_scheduler", {}, "returned str"),
        ("test_schedules_building:halving", {"evry": 1}, "called with .evry=1. it raised TypeError: .*evry"),
        ("torch.optim.lr_scheduler:StepLR", {}, "called with .. it raised TypeError: .*step_size"),
    ],
)
def test_a_users_own_schedule_that_breaks_its_contract_is_refused(kind, params, message) -> None:
    with pytest.raises(ContractError, match=message):
        build_schedule(kind, params, context())


@pytest.mark.parametrize("params", [{"lr": 0}, {"warmup": 1}, {"interval": "batch"}])
def test_a_users_own_schedule_is_held_to_the_reserved_keys(params) -> None:
    with pytest.raises(SchedulerError, match=next(iter(params))):
        build_schedule("test_schedules_building:halving", params, context())


def test_a_state_that_cannot_be_saved_is_named() -> None:
    at_work = context()
    schedule = build_schedule("test_schedules_building:Counting", {"interval": "epoch"}, at_work)
    at_work.optimizer.step()
    schedule.after_step()
    schedule.after_epoch(None)
    with pytest.raises(ContractError, match="Counting: seen"):
        schedule.state_dict()


def test_loading_sets_the_rate_whatever_the_optimizer_holds() -> None:
    at_work = context()
    schedule = build_schedule("fixed", {"lr": 0.3}, at_work)
    state = schedule.state_dict()
    at_work.optimizer.param_groups[0]["lr"] = 7.0
    schedule.load_state_dict(state)
    assert at_work.optimizer.param_groups[0]["lr"] == 0.3


def test_a_warmup_does_not_disturb_a_scheduler_that_goes_on_from_the_rate_it_finds() -> None:
    params = {"gamma": 0.9, "interval": "step", "lr": 1.0, "warmup": 0.4}
    expected = [0.9**step * min(1.0, (step + 1) / 7) for step in range(15)]
    assert walk("torch.optim.lr_scheduler:ExponentialLR", params) == pytest.approx(expected)


class Remembering(LRScheduler):
    """A scheduler that keeps a list."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.history: list[int] = []
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        self.history.append(self.last_epoch)
        return [0.1]


def test_a_saved_state_does_not_move_on_with_the_scheduler() -> None:
    at_work = context()
    schedule = build_schedule("test_schedules_building:Remembering", {"interval": "step"}, at_work)
    state = schedule.state_dict()
    at_work.optimizer.step()
    schedule.after_step()
    assert state["scheduler"]["history"] == [0]


class Holding(LRScheduler):
    """A scheduler that holds a model and a function, as many do."""

    def __init__(self, optimizer: torch.optim.Optimizer, context: ScheduleContext) -> None:
        self.model = context.model
        self.models = [context.model]
        self.function = lambda rate: rate / 2
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        return [self.function(float(group["lr"])) for group in self.optimizer.param_groups]


def test_what_a_scheduler_merely_holds_is_left_out_of_its_state() -> None:
    at_work = context()
    schedule = build_schedule("test_schedules_building:Holding", {"interval": "step"}, at_work)
    at_work.optimizer.step()
    schedule.after_step()
    state = schedule.state_dict()
    assert state["scheduler"].keys().isdisjoint({"model", "models", "function"})
    schedule.load_state_dict(state)
    assert schedule.rate == pytest.approx(0.025)
