"""What runs inside a Ray worker: one trial, its epochs sent to the driver in batches."""

from __future__ import annotations

import platform
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from lrstudy.errors import LrStudyError
from lrstudy.records import EpochRecord, Status
from lrstudy.spec import Study
from lrstudy.tasks import TaskData
from lrstudy.training import Outcome, Training, TrialConfig

# A report costs the driver milliseconds: short epochs travel together.
REPORT_SECONDS = 2.0

_PACKAGE = str(Path(__file__).resolve().parents[1])


@dataclass(frozen=True, slots=True)
class Payload:
    """What every trial of a study needs: a reference, so that each node receives the data once.

    ``shared`` refers to ``(Study, TaskData)``; it stands in a tuple because Ray would replace a bare
    reference by its value for every single trial. ``search_path`` is where users' own modules are.
    """

    shared: tuple[ray.ObjectRef[Any]]
    key: str
    search_path: tuple[str, ...]


@dataclass(slots=True)
class _Process:
    """What this worker process keeps from one trial to the next."""

    key: str = ""
    study: Study | None = None
    data: TaskData | None = None


_process = _Process()


@dataclass(slots=True)
class _Reporter:
    """Collects epochs and sends them when they are due."""

    rows: list[EpochRecord] = field(default_factory=list)
    epochs: int = 0
    sent_at: float = field(default_factory=time.monotonic)

    def add(self, record: EpochRecord) -> None:
        self.rows.append(record)
        self.epochs = record.epoch
        if time.monotonic() - self.sent_at > REPORT_SECONDS:
            self.send({"epoch": self.epochs})

    def send(self, message: dict[str, Any]) -> None:
        tune.report({"rows": self.rows, **message})
        self.rows, self.sent_at = [], time.monotonic()


def trainable(config: dict[str, Any], payload: Payload) -> None:
    """Run one trial; the last report carries its outcome.

    An exception in the trial's own code is an outcome too (``failed``, with its traceback). What leaves
    this function as an exception is a fault of the machine, which Tune retries.
    """
    started_at = datetime.now(UTC)
    reporter = _Reporter()
    device = "cpu"
    try:
        study, data = _load(payload)
        where = _device(study)
        device = _device_name(where)
        outcome = _train(study, data, TrialConfig(**config["trial"]), where, reporter)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises is recorded, not lost
        outcome = Outcome(Status.FAILED, reporter.epochs, error=users_traceback(error))
    reporter.send(
        {
            "epoch": outcome.epochs_run,
            "outcome": asdict(outcome),
            "started_at": started_at,
            "ended_at": datetime.now(UTC),
            "node": f"{platform.node()}/{ray.get_runtime_context().get_node_id()[:8]}",
            "device": device,
        }
    )


def _train(
    study: Study, data: TaskData, trial: TrialConfig, device: torch.device, reporter: _Reporter
) -> Outcome:
    training = Training(study, data, trial, device)
    try:
        while not training.finished:
            reporter.add(training.run_epoch())
        return training.outcome()
    finally:
        training.close()


def _load(payload: Payload) -> tuple[Study, TaskData]:
    if _process.key != payload.key or _process.study is None or _process.data is None:
        sys.path += [folder for folder in payload.search_path if folder not in sys.path]
        _process.study, _process.data = ray.get(payload.shared[0])
        _process.key = payload.key
        torch.set_num_threads(_process.study.resources.cpus)
    return _process.study, _process.data


def _device(study: Study) -> torch.device:
    if study.resources.gpus > 0 and torch.cuda.is_available():
        return torch.device("cuda", 0)  # Ray shows a worker only the GPUs that it was given
    return torch.device("cpu")


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine() + " cpu"


def users_traceback(error: BaseException) -> str:
    """The traceback below lrstudy's own frames; of an ``LrStudyError`` only its text."""
    if isinstance(error, LrStudyError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if not frame.filename.startswith(_PACKAGE)), 0)
    lines = traceback.format_list(frames[first:]) + traceback.format_exception_only(error)
    return "".join(lines).strip()
