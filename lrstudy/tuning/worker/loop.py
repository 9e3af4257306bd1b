"""What runs inside a Ray worker: one trial, its epochs sent to the driver in batches."""

from __future__ import annotations

import gc
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.exceptions import RayError

from lrstudy.engine.range_test import Sweep, plan_sweep
from lrstudy.engine.trial import Training
from lrstudy.errors import LrStudyError
from lrstudy.records import EpochRecord, Phase, Status
from lrstudy.rules.outcome import Outcome
from lrstudy.rules.rungs import rungs
from lrstudy.safe_text import describe, safe_text, traceback_text
from lrstudy.spec import Study
from lrstudy.store import Location
from lrstudy.tasks import TaskData
from lrstudy.tuning.fault import Fault, fault_of
from lrstudy.tuning.job import Job, jobs_of
from lrstudy.tuning.messages import Attempt, Ended, Rung, Stopped, TrialMessage, WorkerReport
from lrstudy.tuning.stop_request import StopRequest
from lrstudy.tuning.worker.checkpoints import TrialCheckpoints
from lrstudy.tuning.worker.pruned_lanes import PrunedLanes

# A report costs the driver milliseconds: short epochs travel together.
REPORT_SECONDS = 2.0

# What loading a checkpoint of another model, optimizer or schedule may raise.
MISFITS = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError)

_PACKAGE = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True, slots=True)
class Payload:
    """What every trial of a study needs: a reference, so that each node receives the data once.

    ``shared`` refers to ``(Study, TaskData)``; it stands in a tuple because Ray would replace a bare
    reference by its value for every single trial. ``store`` is the study's folder, for checkpoints;
    ``search_path`` is where users' own modules are. ``pruned_lanes`` tells a group of lanes
    which of them the driver has pruned.
    """

    shared: tuple[ray.ObjectRef[Any]]
    key: str
    store: Location
    search_path: tuple[str, ...]
    pruned_lanes: PrunedLanes | None = None


@dataclass(slots=True)
class _Process:
    """What this worker process keeps from one trial to the next."""

    key: str = ""
    study: Study | None = None
    data: TaskData | None = None


_process = _Process()


@dataclass(slots=True)
class _Reporter:
    """Collects epochs and sends them when they are due. ``history`` is all of them, for checkpoints."""

    trial_id: str
    history: list[EpochRecord] = field(default_factory=list)
    sent: int = 0
    heeds_stop: bool = True
    sent_at: float = field(default_factory=time.monotonic)
    over: bool = False

    def resume(self, rows: Sequence[EpochRecord]) -> None:
        """Start with the epochs of a checkpoint: whoever listens now may never have had them."""
        self.history, self.sent = list(rows), 0

    def add(self, record: EpochRecord) -> None:
        self.history.append(record)
        if time.monotonic() - self.sent_at > REPORT_SECONDS:
            self.send()

    def begin(self) -> None:
        """Say that the first epoch begins."""
        self._report(())

    def send(self, event: Rung | Ended | Stopped | None = None) -> None:
        message = TrialMessage(self.trial_id, tuple(self.history[self.sent :]), event)
        self._report((message,))
        self.sent = len(self.history)

    def _report(self, messages: tuple[TrialMessage, ...]) -> None:
        try:
            tune.report(WorkerReport(messages, self.heeds_stop).to_result())
        except BaseException:
            self.over = True  # Tune ends the trial in this way: that is no fault of it
            raise
        self.sent_at = time.monotonic()


@dataclass(slots=True)
class _Attempt:
    """One attempt at a trial as it goes on in this process."""

    job: Job
    reporter: _Reporter
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    number: int = 1
    checkpoints: TrialCheckpoints | None = None
    device: str = "cpu"

    def run(self, payload: Payload, stop: StopRequest) -> Outcome | None:
        """Train to the end, from the trial's checkpoint where there is one; None when asked to stop."""
        first = not has_loaded(payload)
        study, data = load(payload)
        where = device_of(study)
        self.device = device_name(where)
        if self.job.config.phase is Phase.RANGE_TEST:
            return self._range_test(study, data, where, first)
        self.checkpoints = TrialCheckpoints(payload.store, study.spec_hash, self.job.config, study.faults)
        training = self._resumed(study, data, where, self.checkpoints)
        stops = rungs(study) if self.job.config.phase is Phase.TUNE else ()
        try:
            if first:
                self.reporter.begin()  # what takes time from here on is an epoch
            while not training.finished:
                self.reporter.add(training.run_epoch())
                if training.epoch in stops and not training.finished:
                    # The driver may end the trial here: sending it returns once it has decided.
                    self.reporter.send(Rung(training.epoch, training.objective, self.about()))
                stopping = stop.asked
                if not training.finished and (stopping or self.checkpoints.due(training.epoch)):
                    history = self.reporter.history
                    self.checkpoints.save(training.state_dict(), history, self.number, self.started_at)
                    if stopping:
                        return None
            return training.outcome()
        finally:
            if training.note is not None:
                self.checkpoints.notes.append(training.note)
            training.close()

    def _range_test(self, study: Study, data: TaskData, device: torch.device, first: bool) -> Outcome:
        """Short enough to begin again where it was interrupted."""
        sweep = Sweep(study, data, plan_sweep(study, data), self.job.config.seed, device)
        if first:
            self.reporter.begin()
        for row in sweep.run():
            self.reporter.add(row)
        return sweep.outcome()

    def about(self) -> Attempt:
        """Where and when it runs."""
        return about(self.number, self.started_at, self.device)

    def _resumed(
        self, study: Study, data: TaskData, device: torch.device, checkpoints: TrialCheckpoints
    ) -> Training:
        training = Training(study, data, self.job.config, device)
        saved = checkpoints.load()
        if saved is None:
            return training
        try:
            training.load_state_dict(saved.state)
        except MISFITS as error:
            checkpoints.notes.append(
                f"{self.job.config.trial_id}: its checkpoint does not fit: {describe(error)}"
            )
            training.close()
            # Half a state may have been loaded.
            return Training(study, data, self.job.config, device)
        self.reporter.resume(saved.rows)
        self.number = max(self.number, saved.attempt + 1)
        self.started_at = saved.started_at
        return training


def trainable(config: dict[str, Any], payload: Payload) -> None:
    """Run one attempt at a trial; the last report carries its outcome.

    An exception in the trial's own code is an outcome too (``failed``, with its traceback, and the kind of
    fault it is). What leaves this function as an exception is a fault of the machine.
    """
    (job,) = jobs_of(config)
    attempt = _Attempt(job, _Reporter(job.config.trial_id), number=job.attempt)
    fault: Fault | None = None
    stop = StopRequest(payload.store)
    attempt.reporter.heeds_stop = stop.heard
    outcome: Outcome | None
    try:
        outcome = None if stop.asked else attempt.run(payload, stop)
    except RayError:
        raise
    except BaseException as error:
        if attempt.reporter.over:
            raise
        fault = fault_of(error)
        epochs = len(attempt.reporter.history)
        outcome = Outcome(Status.FAILED, epochs, error=users_traceback(error))
    if outcome is None:
        attempt.reporter.send(Stopped())
        return
    if fault is Fault.MEMORY:
        free_memory()
    checkpoints = attempt.checkpoints
    notes = () if checkpoints is None else tuple(checkpoints.notes)
    used = checkpoints is not None and checkpoints.used
    attempt.reporter.send(Ended(outcome, attempt.about(), fault, notes, used))


def about(attempt: int, started_at: datetime, device: str) -> Attempt:
    """Return where and when an attempt at a trial ran, until now."""
    node = safe_text(f"{platform.node()}/{ray.get_runtime_context().get_node_id()[:8]}")
    return Attempt(attempt, started_at, datetime.now(UTC), node, safe_text(device))


def free_memory() -> None:
    """Give back what the trial that did not fit held: this process goes on with others."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def has_loaded(payload: Payload) -> bool:
    """Return True if this process has the study and its data."""
    return _process.key == payload.key and _process.data is not None


def load(payload: Payload) -> tuple[Study, TaskData]:
    """The study and its data, kept in this process from one trial to the next."""
    if _process.key != payload.key or _process.study is None or _process.data is None:
        sys.path += [folder for folder in payload.search_path if folder not in sys.path]
        _process.study, _process.data = ray.get(payload.shared[0])
        _process.key = payload.key
        _print_anything()
        _warm_up()
        _settle()
        torch.set_num_threads(_process.study.resources.cpus)
    return _process.study, _process.data


def _print_anything() -> None:
    """Let users' code print and warn of what no encoding has, as it can outside of Ray."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # Ray's own stream hands it on
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _warm_up() -> None:
    """Let torch import what it imports at the first step: on a busy machine seconds, which no epoch took."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    weight.grad = torch.zeros(1)
    optimizer.step()


def _settle() -> None:
    """Exempt what the imports made from garbage collection: a full pass over it takes tenths of a second,
    and short trials would set one off again and again."""
    if gc.get_freeze_count() == 0:
        gc.freeze()  # without a pass before: what garbage the imports left is not worth its time


def device_of(study: Study) -> torch.device:
    """Where this process trains a study's trials."""
    if study.resources.gpus > 0 and torch.cuda.is_available():
        return torch.device("cuda", 0)  # Ray shows a worker only the GPUs that it was given
    return torch.device("cpu")


def device_name(device: torch.device) -> str:
    """What a record says of where a trial was trained."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine() + " cpu"


def users_traceback(error: BaseException) -> str:
    """The traceback below lrstudy's own frames; of an ``LrStudyError`` only its text."""
    return safe_text(str(error)) if isinstance(error, LrStudyError) else traceback_text(error, _PACKAGE)
