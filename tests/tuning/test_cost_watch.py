"""The time of workers divided between trials, and the stop of a run that has passed its cost limit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from ray.exceptions import ActorDiedError
from ray.tune.experiment import Trial
from test_asha import row
from test_lane_study import study

from lrstudy.errors import InputError
from lrstudy.records import Status
from lrstudy.rules.outcome import Outcome
from lrstudy.spec import Resources
from lrstudy.spec.cost_section import Cost
from lrstudy.store import StoreWriter, open_location, open_store
from lrstudy.store.open_attempts import read_open_attempts
from lrstudy.tuning.cluster.provenance import study_info
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.cost_watch import CostWatch
from lrstudy.tuning.driver.epoch_limit import EpochLimit
from lrstudy.tuning.driver.recorder import Recorder
from lrstudy.tuning.driver.retries import Retries
from lrstudy.tuning.driver.trackers import Tracking
from lrstudy.tuning.fault import Fault
from lrstudy.tuning.job import Job, group_config
from lrstudy.tuning.messages import Attempt, Ended, TrialMessage, WorkerReport
from lrstudy.tuning.stop_request import StopRequest
from lrstudy.tuning.worker.energy import EnergyMeter, check_energy

# An EUR for each second of a core.
COST = Cost(currency="EUR", per_hour={"cpu": 3600.0}, limit=30.0)
SPEC = study(budget={"trials": 4, "confirm_seeds": 2, "search": "random"}).model_copy(update={"cost": COST})
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class Driver:
    """A recorder over a real store, with a clock that a test moves."""

    def __init__(self, folder: Path, writer: StoreWriter) -> None:
        self.now, self.place = 0.0, writer.location
        controller, retries = Controller(SPEC), Retries(SPEC.faults)
        self.jobs = [retries.hand_out(Job(config)) for config in iter(controller.next, None)]
        self.costs = CostWatch(SPEC, writer.location, clock=lambda: self.now)
        self.recorder = Recorder(
            SPEC,
            controller,
            retries,
            writer,
            Tracking(SPEC, writer.location),
            EpochLimit(0.0),
            lambda: None,
            costs=self.costs,
        )

    def start(self, name: str, *jobs: Job) -> Trial:
        config = group_config(jobs, in_lanes=len(jobs) > 1)
        trial = SimpleNamespace(
            trial_id=name, config=config, temporary_state=SimpleNamespace(ray_actor=None), ray_actor=None
        )
        self.recorder.on_trial_start(0, [], cast("Trial", trial))
        return cast("Trial", trial)

    def report(self, trial: Trial, *messages: TrialMessage, device: str = "") -> None:
        result: dict[str, Any] = WorkerReport(messages, True, device).to_result()
        self.recorder.on_trial_result(0, [], trial, result)

    def seconds(self) -> dict[str, float | None]:
        self.recorder.flush()
        return {one.trial_id: one.slot_seconds for one in open_store(self.place).trial_records()}


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.setattr("lrstudy.tuning.driver.recorder.actor_of", lambda trial: None)
    with StoreWriter.create_or_open(open_location(tmp_path / "small"), study_info(SPEC, None)) as writer:
        yield Driver(tmp_path, writer)


def ended(job: Job, fault: Fault | None = None, **energy: Any) -> TrialMessage:
    status = Status.COMPLETED if fault is None else Status.FAILED
    event = Ended(Outcome(status, 1, 0.5, 1, 0.5), Attempt(1, MOMENT, MOMENT, "node", "x86_64 cpu"), fault)
    return TrialMessage(job.config.trial_id, (row(1, 0.5),), event, **energy)


def test_a_trial_has_the_time_from_its_workers_start_to_its_end(driver: Driver) -> None:
    job, trial = driver.jobs[0], driver.start("g", driver.jobs[0])
    driver.now = 4.0
    driver.report(trial)
    driver.now = 7.0
    driver.report(trial, ended(job, energy_kwh=0.25, energy_source="estimated"))
    driver.now = 9.0  # nothing runs any more
    driver.recorder.on_trial_complete(0, [], trial)
    assert driver.seconds() == {job.config.trial_id: 7.0}
    (record,) = open_store(driver.place).trial_records()
    assert (record.cpus, record.energy_kwh, record.energy_source) == (1, 0.25, "estimated")


def test_trials_side_by_side_divide_the_time_while_they_run(driver: Driver) -> None:
    first, second, third = driver.jobs[:3]
    trial = driver.start("g", first, second, third)
    driver.now = 6.0
    driver.report(trial, ended(first))
    driver.now = 10.0
    driver.report(trial, ended(second), ended(third))
    assert driver.seconds() == {
        first.config.trial_id: 2.0,
        second.config.trial_id: 4.0,
        third.config.trial_id: 4.0,
    }


def test_lost_and_repeated_attempts_are_part_of_what_a_trial_has_used(driver: Driver) -> None:
    job, trial = driver.jobs[0], driver.start("g", driver.jobs[0])
    driver.now = 5.0
    driver.report(trial, device="NVIDIA L4")
    driver.now = 8.0
    driver.recorder.lose(trial, ActorDiedError())
    driver.now = 20.0  # the time until it runs again is nobody's
    (left,) = driver.recorder.open_attempts()
    assert (left.trial_id, left.seconds, left.device) == (job.config.trial_id, 8.0, "NVIDIA L4")
    again = driver.start("h", job)
    driver.now = 23.0
    driver.report(again, ended(job))
    assert driver.seconds() == {job.config.trial_id: 11.0}
    assert driver.recorder.open_attempts() == []


def test_what_running_trials_have_used_is_kept_for_the_next_driver(driver: Driver) -> None:
    trial = driver.start("g", driver.jobs[0])
    driver.report(trial)
    driver.now = 29.0
    driver.recorder.on_step_end(0, [])
    assert read_open_attempts(driver.place) == [], "it would be written again and again"
    driver.now = 31.0
    driver.recorder.on_step_end(0, [])
    before = read_open_attempts(driver.place)
    assert [one.seconds for one in before] == [31.0]
    following = CostWatch(SPEC, driver.place, before=before, clock=lambda: 0.0)
    spending = following.spending(following.slots.open({}))
    assert spending is not None
    assert spending.spent == pytest.approx(31.0)


def test_a_run_is_stopped_once_it_has_passed_its_limit(driver: Driver) -> None:
    first, second = driver.jobs[:2]
    trial = driver.start("g", first)
    driver.now = 20.0
    driver.report(trial, ended(first))
    driver.start("h", second)
    driver.now = 29.0
    driver.recorder.on_step_end(0, [])
    assert driver.costs.passed is None
    assert not StopRequest(driver.place).requested
    driver.now = 30.5
    driver.recorder.on_step_end(0, [])
    assert StopRequest(driver.place).requested
    assert str(driver.costs.passed) == "30.50 EUR of at most 30.00 EUR"


def test_a_gpu_without_a_price_stops_a_run_that_has_a_limit(tmp_path: Path) -> None:
    spec = SPEC.model_copy(
        update={
            "cost": COST.model_copy(update={"per_hour": {"H100": 2.5}}),
            "resources": Resources(gpus=1.0),
        }
    )
    with StoreWriter.create_or_open(open_location(tmp_path), study_info(SPEC, None)) as writer:
        driver = Driver(tmp_path, writer)
    driver.costs = CostWatch(spec, driver.place, clock=lambda: driver.now)
    driver.start("g", driver.jobs[0])
    (running,) = driver.recorder._running.group("g")
    driver.costs.slots.start("g")
    running.device = "NVIDIA L4"
    driver.now = 1.0
    driver.costs.check(lambda: driver.costs.slots.open({"g": [running]}))
    assert driver.costs.passed is not None
    assert driver.costs.passed.unpriced == {"NVIDIA L4": 1}


def test_energy_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPEC.model_copy(update={"cost": Cost(energy=True)})
    check_energy(spec)
    check_energy(SPEC)
    monkeypatch.setattr("lrstudy.tuning.worker.energy.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'lrstudy\[energy\]'"):
        check_energy(spec)


def test_energy_is_read_in_parts_without_files_or_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("codecarbon")
    monkeypatch.chdir(tmp_path)
    meter = EnergyMeter.start(Resources())
    assert meter is not None
    first = meter.read()
    sum(number * number for number in range(300_000))
    second = meter.read(last=True)
    assert first is not None
    assert second is not None
    assert 0 <= first < 1e-2
    assert 0 < second < 1e-2, "a fraction of a second of one core"
    assert meter.source in ("measured", "estimated")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_an_energy_meter_that_cannot_start_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon.core.cpu", ModuleType("broken"))
    assert EnergyMeter.start(Resources()) is None
