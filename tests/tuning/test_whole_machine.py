"""A trial that must run alone waits for a whole machine, but not without end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray.tune.experiment import Trial
from ray.util import placement_group, placement_group_table
from ray.util.placement_group import PlacementGroup
from worker_faults import write_study

from lrstudy.records import Status
from lrstudy.spec import load_study
from lrstudy.store import open_store
from lrstudy.tuning import prepare
from lrstudy.tuning.driver import whole_machine
from lrstudy.tuning.driver.epoch_limit import RunningClock
from lrstudy.tuning.driver.whole_machine import NoWholeMachineError, WholeMachine


def trial(status: str, *, alone: bool) -> Any:
    return SimpleNamespace(status=status, config={"alone": alone})


WAITING, PLAIN = trial(Trial.PENDING, alone=True), trial(Trial.PENDING, alone=False)
RUNNING = trial(Trial.RUNNING, alone=False)


def watched(machine: WholeMachine, *trials: Any, seconds: int) -> None:
    for _ in range(seconds):
        machine.watch(cast("list[Trial]", trials))


def machine() -> WholeMachine:
    """One whose clock is a second later each time."""
    seconds = iter(range(10_000))
    return WholeMachine(_clock=RunningClock(lambda: float(next(seconds))))


def test_it_is_given_up_once_nothing_runs_and_all_wait_for_long() -> None:
    waits = machine()
    watched(waits, WAITING, PLAIN, seconds=300)
    assert waits.given
    with pytest.raises(NoWholeMachineError):
        watched(waits, WAITING, PLAIN, seconds=10)
    assert not waits.given
    watched(waits, WAITING, seconds=1000)  # from then on it is no one's cause


@pytest.mark.parametrize(
    "trials", [(WAITING, RUNNING), (PLAIN,), ()], ids=["others run", "no machine at all", "no trial"]
)
def test_it_is_kept_while_something_else_explains_the_wait(trials: tuple[Any, ...]) -> None:
    waits = machine()
    watched(waits, *trials, seconds=1000)
    watched(waits, WAITING, seconds=299)
    watched(waits, *trials, seconds=1)
    watched(waits, WAITING, seconds=299)
    assert waits.given


@pytest.mark.cluster
def test_a_trial_that_is_never_given_a_whole_machine_runs_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(whole_machine, "_SECONDS", 2.0)
    more = "max_concurrent = 1\n[faults]\nlost_node_retries = 2"
    file = write_study(tmp_path / "study", ["killed", "killed-again"], trials=24, more=more)
    held: list[PlacementGroup] = []
    groups = 0

    def on_change() -> None:
        nonlocal groups
        if not held:  # as a CPU that Ray has lost is held: by nothing that runs
            held.append(placement_group([{"CPU": 1}]))
        groups = max(groups, len(placement_group_table()))  # those that were removed too

    with prepare(load_study(file), str(tmp_path), address=None, search_path=[file.parent]) as ready:
        ready.start(on_change)
        assert ready.run.done
    assert caplog.text.count("no machine became free as a whole") == 1
    records = open_store(tmp_path / "broken").trial_records()
    assert {record.status for record in records} == {Status.COMPLETED}
    assert sorted(record.attempt for record in records) == [1] * 24 + [3]
    # Ray loses the CPUs of a group that is taken back while it is being reserved: of 25 trials few may ask.
    assert 4 <= groups <= 12
