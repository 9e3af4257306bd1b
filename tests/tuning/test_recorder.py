"""The recorder and the stopper: what reports make of a trial, in the store and in the queue of retries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray.exceptions import ActorDiedError
from ray.tune.experiment import Trial
from test_asha import row
from test_lane_study import study

from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.rules.outcome import Outcome
from lrstudy.store import Location, StoreWriter, open_location, open_store, study_folder
from lrstudy.tuning.cluster.provenance import study_info
from lrstudy.tuning.driver.asha import Pruner
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.epoch_limit import EpochLimit
from lrstudy.tuning.driver.recorder import Recorder
from lrstudy.tuning.driver.retries import Retries
from lrstudy.tuning.driver.stopper import StudyStopper
from lrstudy.tuning.driver.trackers import Tracking
from lrstudy.tuning.fault import Fault
from lrstudy.tuning.job import Job, group_config
from lrstudy.tuning.messages import Attempt, Ended, Rung, Stopped, TrialMessage, WorkerReport
from lrstudy.tuning.stop_request import StopRequest, request_stop
from lrstudy.tuning.worker.checkpoints import FOLDER

SPEC = study(budget={"trials": 4, "confirm_seeds": 2, "search": "random", "pruner": "asha", "reduction": 2})
BEGAN, ENDED = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2))


@dataclass
class Driver:
    """A recorder and a stopper over a real store, called in Tune's order."""

    recorder: Recorder
    stopper: StudyStopper
    retries: Retries
    jobs: list[Job]
    place: Location
    published: list[str]

    def group(self, *jobs: Job) -> Trial:
        return cast("Trial", SimpleNamespace(trial_id="g", config=group_config(jobs, in_lanes=len(jobs) > 1)))

    def deliver(self, trial: Trial, *messages: TrialMessage, sees_stop: bool = True) -> bool:
        result: dict[str, Any] = {
            **WorkerReport(messages, sees_stop).to_result(),
            "config": trial.config,
        }
        ends = self.stopper(trial.trial_id, result)
        self.recorder.on_trial_result(0, [], trial, result)
        assert set(result) == {"config", "epochs"}, "Tune keeps no report"
        return ends

    def records(self) -> dict[str, TrialRecord]:
        self.recorder.flush()
        return {record.trial_id: record for record in open_store(self.place).trial_records()}


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    place = open_location(tmp_path / "small")
    controller, retries = Controller(SPEC), Retries(SPEC.faults)
    jobs, published = [], list[str]()
    while config := controller.next():
        jobs.append(retries.hand_out(Job(config)))
    tune = [job for job in jobs if job.config.schedule == "fixed" and job.config.phase is Phase.TUNE]
    with StoreWriter.create_or_open(place, study_info(SPEC, None)) as writer:
        recorder = Recorder(
            SPEC, controller, retries, writer, Tracking(SPEC, place), EpochLimit(0.0), lambda: None
        )
        lanes: Any = SimpleNamespace(add=lambda trials: published.extend(sorted(trials)))
        stopper = StudyStopper(recorder, Pruner(SPEC), StopRequest(place), lanes)
        yield Driver(recorder, stopper, retries, tune, place, published)


def attempt(number: int = 1) -> Attempt:
    return Attempt(number, BEGAN, ENDED, "node", "device")


def message(job: Job, epochs: int, accuracy: float, event: Any = None, first: int = 1) -> TrialMessage:
    rows = tuple(row(epoch, accuracy) for epoch in range(first, epochs + 1))
    return TrialMessage(job.config.trial_id, rows, event)


def rung(epoch: int, accuracy: float) -> Rung:
    return Rung(epoch, accuracy, attempt())


def test_an_ended_trial_is_stored_with_its_epochs_and_where_it_ran(driver: Driver) -> None:
    job = driver.jobs[0]
    group = driver.group(job)
    driver.deliver(group)
    assert driver.recorder.underway() == {}
    driver.deliver(group, message(job, 2, 0.5))
    outcome = Outcome(Status.COMPLETED, 3, 0.5, 1, 0.5)
    driver.deliver(group, message(job, 3, 0.5, Ended(outcome, attempt(2)), first=3))
    record = driver.records()[job.config.trial_id]
    assert (record.status, record.evaluations_run, record.best_val, record.attempt) == (
        Status.COMPLETED,
        3,
        0.5,
        2,
    )
    assert (record.started_at, record.ended_at) == (BEGAN, ENDED)
    assert (record.node, record.device) == ("node", "device")
    assert [stored.evaluation for _, stored in open_store(driver.place).evaluation_records()] == [1, 2, 3]
    assert job not in driver.retries.take_back()


def test_epochs_that_are_sent_again_are_stored_once(driver: Driver) -> None:
    job = driver.jobs[0]
    group = driver.group(job)
    driver.deliver(group, message(job, 2, 0.5))
    outcome = Outcome(Status.COMPLETED, 3, 0.7, 1, 0.7)
    driver.deliver(group, message(job, 3, 0.7, Ended(outcome, attempt())))
    driver.recorder.flush()
    stored = [
        (each.evaluation, each.val_accuracy) for _, each in open_store(driver.place).evaluation_records()
    ]
    assert stored == [(1, 0.7), (2, 0.7), (3, 0.7)]


def test_tune_ends_a_single_trial_that_is_pruned_and_the_store_says_so(driver: Driver) -> None:
    best, worse = driver.jobs[:2]
    checkpoint = study_folder(driver.place / FOLDER, worse.config.trial_id)
    checkpoint.create_folder()
    assert not driver.deliver(driver.group(best), message(best, 1, 0.9, rung(1, 0.9)))
    other = cast("Trial", SimpleNamespace(trial_id="h", config=group_config([worse], in_lanes=False)))
    assert driver.deliver(other, message(worse, 1, 0.2, rung(1, 0.2)))
    records = driver.records()
    assert set(records) == {worse.config.trial_id}
    record = records[worse.config.trial_id]
    assert (record.status, record.evaluations_run, record.objective) == (Status.PRUNED, 1, 0.2)
    assert record.ended_at == ENDED
    assert driver.published == []
    assert not checkpoint.exists()


def test_pruned_lanes_are_published_before_the_worker_continues_and_stored(driver: Driver) -> None:
    accuracies = (0.2, 0.9, 0.3, 0.8)
    group = driver.group(*driver.jobs)
    messages = [message(job, 1, a, rung(1, a)) for job, a in zip(driver.jobs, accuracies, strict=True)]
    assert not driver.deliver(group, *messages), "the others train further"
    ids = [job.config.trial_id for job in driver.jobs]
    assert driver.published == [ids[0], ids[2]]
    records = driver.records()
    assert {i: record.status for i, record in records.items()} == dict.fromkeys(
        (ids[0], ids[2]), Status.PRUNED
    )
    assert sum(trials for trials, _ in driver.recorder.underway().values()) == 2


def test_a_stopped_trial_has_no_record_and_is_not_handed_out_again(driver: Driver) -> None:
    first, second = driver.jobs[:2]
    driver.deliver(driver.group(first, second), message(first, 1, 0.5, Stopped()), message(second, 1, 0.5))
    assert driver.records() == {}
    waiting = driver.retries.take_back()
    assert first not in waiting
    assert second in waiting


def test_a_worker_that_cannot_see_a_stop_is_ended_by_tune_once_its_report_is_kept(driver: Driver) -> None:
    first, second = driver.jobs[:2]
    group = driver.group(first, second)
    assert not driver.deliver(group, message(first, 1, 0.5), message(second, 1, 0.5), sees_stop=False)
    request_stop(driver.place)
    driver.stopper._stop = StopRequest(driver.place)
    assert not driver.deliver(group, message(second, 2, 0.5, first=2)), "it sees the request itself"
    outcome = Outcome(Status.COMPLETED, 1, 0.5, 1, 0.5)
    assert driver.deliver(group, message(first, 0, 0.5, Ended(outcome, attempt())), sees_stop=False)
    assert set(driver.records()) == {first.config.trial_id}
    waiting = driver.retries.take_back()
    assert first not in waiting
    assert second not in waiting


def test_a_fault_is_retried_as_often_as_its_budget_allows_and_then_recorded(driver: Driver) -> None:
    job = driver.jobs[0]
    failed = Outcome(Status.FAILED, 1, error="MemoryError: no room")
    driver.deliver(driver.group(job), message(job, 1, 0.5, Ended(failed, attempt(), Fault.MEMORY)))
    assert driver.records() == {}
    again = driver.retries.next()
    assert again is not None
    assert (again.attempt, again.alone) == (2, True)
    driver.recorder.on_trial_complete(0, [], driver.group(job))
    driver.deliver(driver.group(again), message(again, 1, 0.5, Ended(failed, attempt(2), Fault.MEMORY)))
    record = driver.records()[job.config.trial_id]
    assert (record.status, record.attempt) == (Status.FAILED, 2)
    assert "attempt 2, alone: out of memory: MemoryError: no room" in (record.error or "")


def test_the_trials_of_a_lost_worker_that_have_not_ended_start_again(driver: Driver) -> None:
    first, second = driver.jobs[:2]
    group = driver.group(first, second)
    outcome = Outcome(Status.COMPLETED, 1, 0.5, 1, 0.5)
    driver.deliver(group, message(first, 1, 0.5, Ended(outcome, attempt())), message(second, 1, 0.5))
    driver.recorder.lose(group, ActorDiedError())
    again = driver.retries.next()
    assert again is not None
    assert (again.config, again.attempt) == (second.config, 2)
    assert driver.retries.next() is None
    assert driver.recorder.underway() == {}
