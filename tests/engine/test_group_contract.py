"""The contract of a trial group, for every kind: plain trial, lanes, range test, a function's own loop."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pytest
import torch
from own_training import group as function_group
from own_training import train_steps

from lrstudy.engine.function import Trial
from lrstudy.engine.group import MISFITS, TrialGroup
from lrstudy.engine.start_group import start_group
from lrstudy.engine.trial import TrialConfig
from lrstudy.records import EvaluationRecord, Phase, Status
from lrstudy.spec import parse_study
from lrstudy.tasks import Pipeline, load_data

STUDY = parse_study(
    {
        "name": "s",
        "task": {
            "dataset": "digits",
            "model": {"name": "mlp", "widths": [8]},
            "batch_size": 128,
            "epochs": 4,
            "precision": "float64",
        },
        "target": {"values": [0.8]},
        "range_test": {"epochs": 4, "high": 0.1},
        "schedules": {"step": {"lr": 0.1, "gamma": 0.5}},
    },
    "test",
)
DATA = load_data(STUDY.task, 0, None)


def engine_group(phase: Phase, rates: tuple[float, ...], *, in_lanes: bool) -> TrialGroup:
    configs = [
        TrialConfig(f"t-{i}", phase, "step", "step", {"lr": rate, "gamma": 0.5}, i)
        for i, rate in enumerate(rates)
    ]
    return start_group(STUDY, DATA, configs, torch.device("cpu"), in_lanes=in_lanes)


def failing_loop(trial: Trial) -> None:
    train_steps(trial)
    raise ZeroDivisionError("in the training")


def own_loop(function: Callable[[Trial], None]) -> TrialGroup:
    return function_group(function, "step", params={"lr": 0.1, "gamma": 0.5}, steps=12, evaluate_every=3)


@dataclass(frozen=True)
class Kind:
    make: Callable[[], TrialGroup]
    failing: Callable[[], TrialGroup]
    trials: int = 1


def kind(make: Callable[[], TrialGroup], trials: int = 1) -> Kind:
    return Kind(make, make, trials)


KINDS = {
    "plain": kind(lambda: engine_group(Phase.CONFIRM, (0.1,), in_lanes=False)),
    "lanes": kind(lambda: engine_group(Phase.CONFIRM, (0.1, 0.05, 0.2), in_lanes=True), 3),
    "lane": kind(lambda: engine_group(Phase.CONFIRM, (0.1,), in_lanes=True)),
    "range-test": kind(lambda: engine_group(Phase.RANGE_TEST, (0.1,), in_lanes=False)),
    "function": Kind(lambda: own_loop(train_steps), lambda: own_loop(failing_loop)),
}


@pytest.fixture(params=list(KINDS))
def group_kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


Rows = dict[int, list[dict[str, Any]]]


def row_values(record: EvaluationRecord) -> dict[str, Any]:
    return {k: v for k, v in asdict(record).items() if not k.endswith("_seconds")}


def train(group: TrialGroup, drop: dict[int, int] | None = None) -> Rows:
    """Run to the end; ``drop`` gives trials the number of rows after which they are dropped."""
    rows: Rows = {}
    try:
        for pause in group.run():
            for i, record in pause.rows.items():
                rows.setdefault(i, []).append(row_values(record))
                if drop is not None and drop.get(i) == len(rows[i]):
                    group.drop(i)
        assert group.active == ()
    finally:
        group.close()
    return rows


def near(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def close(value: Any) -> Any:
        return value if value is None else pytest.approx(value, rel=1e-9, nan_ok=True)

    return [{name: close(value) for name, value in row.items()} for row in rows]


def saved(state: Any) -> Any:
    """A state as another process would load it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def test_every_trial_has_its_rows_in_order_and_then_an_outcome(group_kind: Kind) -> None:
    group = group_kind.make()
    assert group.active == tuple(range(group_kind.trials))
    rows: dict[int, list[int]] = {i: [] for i in group.active}
    try:
        for pause in group.run():
            for i, record in pause.rows.items():
                rows[i].append(record.evaluation)
        assert group.active == ()
        outcomes = [group.outcome(i) for i in range(group_kind.trials)]
    finally:
        group.close()
    assert rows == {i: [1, 2, 3, 4] for i in range(group_kind.trials)}
    assert [(outcome.status, outcome.evaluations) for outcome in outcomes] == (
        [(Status.COMPLETED, 4)] * group_kind.trials
    )


def test_the_same_trials_give_the_same_bits(group_kind: Kind) -> None:
    assert train(group_kind.make()) == train(group_kind.make())


def test_a_trial_continued_from_its_state_is_as_if_never_interrupted(group_kind: Kind) -> None:
    whole = train(group_kind.make())
    interrupted, before = group_kind.make(), 0
    for pause in interrupted.run():
        before += bool(pause.rows)
        # A function that has just reported can be saved at its next step.
        if before == 2 and all(interrupted.state(i) is not None for i in interrupted.active):
            break
    states = [saved(interrupted.state(i)) for i in interrupted.active]
    interrupted.close()
    torch.manual_seed(99)  # another process: nothing may depend on what is in memory
    continued = group_kind.make()
    for i, state in enumerate(states):
        continued.load(i, state)
    assert train(continued) == {i: rows[2:] for i, rows in whole.items()}


def test_a_dropped_trial_trains_no_further_and_the_others_do_as_before(group_kind: Kind) -> None:
    whole, first = train(group_kind.make()), 0
    rows = train(group_kind.make(), drop={first: 2})
    assert rows.pop(first) == near(whole.pop(first)[:2])
    assert rows == {i: near(others) for i, others in whole.items()}


def test_a_trial_that_is_finished_early_has_an_outcome_and_the_others_train_as_before(
    group_kind: Kind,
) -> None:
    whole, group = train(group_kind.make()), group_kind.make()
    rows: Rows = {}
    try:
        for pause in group.run():
            for i, record in pause.rows.items():
                rows.setdefault(i, []).append(row_values(record))
                if i == 0 and len(rows[0]) == 2:
                    group.finish(0)
                    assert 0 not in group.active
        outcomes = [group.outcome(i) for i in range(group_kind.trials)]
    finally:
        group.close()
    assert (outcomes[0].status, outcomes[0].evaluations) == (Status.COMPLETED, 2)
    assert rows == {i: near(others[: 4 if i else 2]) for i, others in whole.items()}
    if outcomes[-1].test:
        assert outcomes[0].test.keys() == outcomes[-1].test.keys()
    assert [outcome.evaluations for outcome in outcomes[1:]] == [4] * (group_kind.trials - 1)


def test_a_group_whose_trials_are_all_dropped_ends(group_kind: Kind) -> None:
    rows = train(group_kind.make(), drop=dict.fromkeys(range(group_kind.trials), 1))
    assert {i: len(each) for i, each in rows.items()} == dict.fromkeys(range(group_kind.trials), 1)


def test_a_foreign_checkpoint_is_refused(group_kind: Kind) -> None:
    group = group_kind.make()
    try:
        with pytest.raises(MISFITS):
            group.load(0, {"model": {"no such layer": torch.zeros(3)}})
    finally:
        group.close()


def test_an_exception_in_the_training_leaves_run_and_the_group_can_be_closed(
    group_kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> Any:
        raise ZeroDivisionError("in the training")

    monkeypatch.setattr(Pipeline, "train_batches", broken)
    monkeypatch.setattr(Pipeline, "stacked_batches", broken)
    with pytest.raises(ZeroDivisionError, match="in the training"):
        train(group_kind.failing())


def test_a_caller_may_leave_at_any_pause(group_kind: Kind) -> None:
    threads = threading.active_count()
    unused = group_kind.make()
    unused.close()
    group = group_kind.make()
    next(iter(group.run()))
    group.close()
    assert threading.active_count() == threads
