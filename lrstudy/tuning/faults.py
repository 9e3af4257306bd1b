"""What went wrong under a trial, told apart, and how often each may happen before the trial counts as failed.

- A lost worker (its process, node or machine is gone) is not the trial's fault.
- Out of memory may be the neighbours' fault: the trial runs again with a machine or GPU to itself.
- An error in the code would happen again: it is recorded, unless the study asks for another try.
- Divergence is none of these: it is a result.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import torch
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.spec import Faults
from lrstudy.training import TrialConfig

# How torch's CPU allocator words what Python calls a MemoryError.
_ALLOCATOR = ("can't allocate memory", "not enough memory")
# How Ray words that it killed a worker because its machine's memory ran out.
_MEMORY_MONITOR = "running low on memory"


class Fault(StrEnum):
    """Why an attempt ended without a result."""

    LOST = "lost worker"
    MEMORY = "out of memory"
    ERROR = "error"


def fault_of(error: BaseException | None) -> Fault:
    """What kind of fault an exception stands for, raised in a trial or by Ray about it."""
    if isinstance(error, RayTaskError):
        cause: BaseException | None = error.cause
        return fault_of(cause) if cause is not None else Fault.ERROR
    if isinstance(error, MemoryError | torch.OutOfMemoryError | OutOfMemoryError):
        return Fault.MEMORY
    text = str(error).lower()
    if isinstance(error, RayActorError) and _MEMORY_MONITOR in text:
        return Fault.MEMORY
    if error is None or isinstance(error, RayError):
        return Fault.LOST
    if isinstance(error, RuntimeError) and any(words in text for words in _ALLOCATOR):
        return Fault.MEMORY
    return Fault.ERROR


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at a trial. ``alone``: nothing else may run beside it on its machine or GPU."""

    config: TrialConfig
    attempt: int = 1
    alone: bool = False

    def to_config(self) -> dict[str, Any]:
        """What Tune passes to the worker."""
        return {"trial": asdict(self.config), "attempt": self.attempt, "alone": self.alone}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Job:
        """The job behind what Tune was given."""
        return cls(TrialConfig(**config["trial"]), config.get("attempt", 1), config.get("alone", False))


def group_config(jobs: Sequence[Job]) -> dict[str, Any]:
    """What Tune passes to the worker of a group."""
    return {"lanes": [job.to_config() for job in jobs], "alone": any(job.alone for job in jobs)}


def jobs_of(config: Mapping[str, Any]) -> list[Job]:
    """The jobs behind what Tune was given, one or a group."""
    return [Job.from_config(entry) for entry in config.get("lanes", [config])]


class Retries:
    """The attempts that trials still have, and those that wait to be handed out; owned by the driver."""

    def __init__(self, faults: Faults) -> None:
        self._budget = {
            Fault.LOST: faults.lost_node_retries,
            Fault.MEMORY: faults.memory_retries,
            Fault.ERROR: faults.error_retries,
        }
        self._spent: dict[str, Counter[Fault]] = {}
        self._causes: dict[str, list[str]] = {}
        self._waiting: deque[Job] = deque()

    def again(self, job: Job, fault: Fault, cause: str) -> bool:
        """Spend a retry of this fault and queue the next attempt; False when none is left."""
        name = job.config.trial_id
        spent = self._spent.setdefault(name, Counter())
        alone = ", alone" if job.alone else ""
        self._causes.setdefault(name, []).append(f"attempt {job.attempt}{alone}: {_line(fault, cause)}")
        if spent[fault] >= self._budget[fault]:
            return False
        spent[fault] += 1
        self._waiting.append(replace(job, attempt=job.attempt + 1, alone=job.alone or fault is Fault.MEMORY))
        return True

    def next(self) -> Job | None:
        """The attempt that waits longest, if any does."""
        return self._waiting.popleft() if self._waiting else None

    def told(self, job: Job, error: str) -> str:
        """The text of a failed trial: its last error, then every attempt's when there were several."""
        causes = self._causes.get(job.config.trial_id, [])
        return error if len(causes) < 2 else "\n\n".join((error, "\n".join(causes)))


def alone(request: Mapping[str, float], nodes: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """A trial's resources, widened so that nothing else fits beside it: whole GPUs, or a node's every CPU.

    ``nodes`` are Ray's; the widest node that can hold the trial decides.
    """
    gpus = math.ceil(request.get("GPU", 0.0))
    wide = dict(request)
    if gpus:
        wide["GPU"] = gpus
    able = [node["Resources"] for node in nodes if node["Alive"]]
    able = [there for there in able if all(there.get(name, 0.0) >= asked for name, asked in wide.items())]
    wide["CPU"] = max((there["CPU"] for there in able), default=request["CPU"])
    return wide


def workers(request: Mapping[str, float], nodes: Iterable[Mapping[str, Any]]) -> int:
    """How many such requests all nodes together can hold at once. ``nodes`` are Ray's."""
    asked = {name: amount for name, amount in request.items() if amount > 0}
    able = [node["Resources"] for node in nodes if node["Alive"]]
    return sum(int(min(there.get(name, 0.0) / amount for name, amount in asked.items())) for there in able)


def _line(fault: Fault, cause: str) -> str:
    lines = cause.strip().splitlines()
    return f"{fault}: {lines[-1].strip()}" if lines else str(fault)


def to_retry(records: Iterable[TrialRecord]) -> list[str]:
    """The trials to run again once what made some fail is mended, by their ids.

    All that failed; and of a schedule in whose tuning some failed the confirm runs too, for they depend on
    which configuration won.
    """
    kept = list(records)
    failed = [record for record in kept if record.status is Status.FAILED]
    reopened = {record.schedule for record in failed if record.phase is not Phase.CONFIRM}
    also = [r for r in kept if r.phase is Phase.CONFIRM and r.schedule in reopened]
    return sorted({record.trial_id for record in [*failed, *also]})
