"""The budget of each kind of fault: how often an attempt may end by it before the trial counts as failed.

- A lost worker (its process, node or machine is gone) is not the trial's fault.
- Out of memory may be the neighbours' fault: the trial runs again with a machine or GPU to itself.
- An error in the code would happen again: it is recorded, unless the study asks for another try.
- A trial that ends no epoch within the limit is stuck, and would be again. In a group of lanes, running each
  alone shows which of them it was.
- Divergence is none of these: it is a result.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.safe_text import text_of
from lrstudy.spec import Faults
from lrstudy.tuning.fault import Fault, fault_of
from lrstudy.tuning.job import Job

# The advice to add to the error of a trial that failed by each.
_REMEDIES = {
    Fault.LOST: "Unless something else ended it, the machine's memory may have been full: see dmesg there.",
    Fault.MEMORY: (
        "Make the model or its batches smaller, give each trial more of a machine (resources.cpus), or use "
        "machines with more memory."
    ),
}


def told_by_ray(error: BaseException | None) -> str:
    """Return what Ray says of a lost worker; of one that its memory monitor killed, only the first line."""
    fault = fault_of(error)
    said = text_of(error).strip() if error is not None else "no cause given"
    return f"{fault}: {said.partition(chr(10))[0] if fault is Fault.MEMORY else said}"


class Retries:
    """The attempts that trials still have, and those that wait to be handed out; owned by the driver."""

    def __init__(self, faults: Faults) -> None:
        self._budget = {
            Fault.LOST: faults.lost_node_retries,
            Fault.MEMORY: faults.memory_retries,
            Fault.ERROR: faults.error_retries,
            Fault.STUCK: 0,
        }
        self._spent: dict[str, Counter[Fault]] = {}
        self._causes: dict[str, list[str]] = {}
        self._waiting: deque[Job] = deque()
        self._handed: dict[str, Job] = {}

    def again(self, job: Job, fault: Fault, cause: str, *, shared: bool = False) -> bool:
        """Queue the next attempt, which spends a retry of this fault; returns False when none is left.

        With ``shared``, others had the same worker. A group that is stuck costs none of them a retry: each is
        tried by itself.
        """
        name = job.config.trial_id
        spent = self._spent.setdefault(name, Counter())
        alone = ", alone" if job.alone else ""
        self._causes.setdefault(name, []).append(f"attempt {job.attempt}{alone}: {_line(fault, cause)}")
        solo = job.solo or (shared and fault is Fault.STUCK)
        if not (shared and fault is Fault.STUCK):
            if spent[fault] >= self._budget[fault]:
                return False
            spent[fault] += 1
        apart = job.alone or fault is Fault.MEMORY or (fault is Fault.LOST and self._may_be_memory(spent))
        self._handed.pop(name, None)
        self._waiting.append(replace(job, attempt=job.attempt + 1, alone=apart, solo=solo))
        return True

    def _may_be_memory(self, spent: Counter[Fault]) -> bool:
        """Return True from the second loss on, or before the last attempt.

        A worker that its machine's kernel killed for its memory looks like any other that was lost.
        """
        return spent[Fault.LOST] > 1 or spent[Fault.LOST] == self._budget[Fault.LOST]

    def next(self) -> Job | None:
        """Return the attempt that has waited longest; None if none waits."""
        if not self._waiting:
            return None
        job = self._waiting.popleft()
        return self.handed(job)

    def handed(self, job: Job) -> Job:
        """Note that Tune was given an attempt; returns it."""
        self._handed[job.config.trial_id] = job
        return job

    def over(self, job: Job) -> None:
        """Note that a trial has ended, or has been stopped."""
        self._handed.pop(job.config.trial_id, None)

    def take_back(self) -> list[Job]:
        """Queue again all attempts that Tune was given; costs none of them a retry."""
        taken = list(self._handed.values())
        self._waiting += taken
        self._handed.clear()
        return taken

    def told(self, job: Job, fault: Fault, error: str) -> str:
        """Return the text of a failed trial: its last error, a remedy, then every attempt's if several."""
        causes = self._causes.get(job.config.trial_id, [])
        told = "\n".join(part for part in (error, _REMEDIES.get(fault, "")) if part)
        return told if len(causes) < 2 else "\n\n".join((told, "\n".join(causes)))


def alone(request: Mapping[str, float], nodes: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return a trial's resources, widened so that nothing else fits beside it.

    They become whole GPUs, or all CPUs of a node. ``nodes`` are Ray's; the widest node that can hold the
    trial decides.
    """
    gpus = math.ceil(request.get("GPU", 0.0))
    wide = dict(request)
    if gpus:
        wide["GPU"] = gpus
    able = [node["Resources"] for node in nodes if node["Alive"]]
    able = [each for each in able if all(each.get(name, 0.0) >= least for name, least in wide.items())]
    wide["CPU"] = max((each["CPU"] for each in able), default=request["CPU"])
    return wide


def workers(request: Mapping[str, float], nodes: Iterable[Mapping[str, Any]]) -> int:
    """Return the number of such requests that all nodes can hold at once. ``nodes`` are Ray's."""
    needed = {name: amount for name, amount in request.items() if amount > 0}
    able = [node["Resources"] for node in nodes if node["Alive"]]
    return sum(int(min(each.get(name, 0.0) / amount for name, amount in needed.items())) for each in able)


def _line(fault: Fault, cause: str) -> str:
    lines = cause.strip().splitlines()
    return f"{fault}: {lines[-1].strip().removeprefix(f'{fault}: ')}" if lines else str(fault)


def to_retry(records: Iterable[TrialRecord]) -> list[str]:
    """Return the ids of the trials to run again once what made some fail is mended.

    All that failed; and of a schedule in whose tuning some failed the confirm runs too, because they depend
    on which configuration won.
    """
    kept = list(records)
    failed = [record for record in kept if record.status is Status.FAILED]
    reopened = {record.schedule for record in failed if record.phase is not Phase.CONFIRM}
    also = [r for r in kept if r.phase is Phase.CONFIRM and r.schedule in reopened]
    return sorted({record.trial_id for record in [*failed, *also]})
