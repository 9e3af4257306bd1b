"""The retry budget of each kind of fault: the number of faults after which the trial counts as failed.

- A lost worker (its process, node or machine has ended) is not the trial's fault.
- Out of memory may be the neighbours' fault: the trial runs again, alone on a machine or GPU.
- An error in the code would occur again: the trial fails, unless the study allows retries.
- A trial that ends no epoch within the limit is stuck, and would be again. In a group of lanes, running each
  alone identifies the stuck one.
- Divergence is not a fault: it is a result.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace

from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.safe_text import text_of
from lrstudy.spec import Faults
from lrstudy.tuning.fault import Fault, fault_of
from lrstudy.tuning.job import Job

# Advice by kind of fault, added to the error of a failed trial.
_REMEDIES = {
    Fault.LOST: "Unless something else ended it, the machine's memory may have been full: see dmesg there.",
    Fault.MEMORY: (
        "Make the model or its batches smaller, give each trial more of a machine (resources.cpus), or use "
        "machines with more memory."
    ),
}


def loss_text(error: BaseException | None) -> str:
    """Return Ray's message on a lost worker; only its first line if Ray's memory monitor killed it."""
    fault = fault_of(error)
    message = text_of(error).strip() if error is not None else "no cause given"
    return f"{fault}: {message.partition(chr(10))[0] if fault is Fault.MEMORY else message}"


class Retries:
    """The remaining retries of trials, and the attempts that wait to be handed out; owned by the driver."""

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
        """Queue the next attempt, which uses a retry of this fault; return True if the budget allows it.

        With ``shared``, other trials had the same worker. A stuck group uses no retry of its trials: each
        runs again with a worker to itself.
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
        """Return True if this is the second loss or a later one, or the last attempt is next.

        A worker that the kernel killed because memory ran out looks like any other lost worker.
        """
        return spent[Fault.LOST] > 1 or spent[Fault.LOST] == self._budget[Fault.LOST]

    def next(self) -> Job | None:
        """Return the attempt that has waited longest, or None."""
        if not self._waiting:
            return None
        job = self._waiting.popleft()
        return self.hand_out(job)

    def hand_out(self, job: Job) -> Job:
        """Note that an attempt is handed to Tune; return it."""
        self._handed[job.config.trial_id] = job
        return job

    def end(self, job: Job) -> None:
        """Note that a trial has ended, or has been stopped."""
        self._handed.pop(job.config.trial_id, None)

    def take_back(self) -> list[Job]:
        """Queue again all attempts that were handed to Tune; uses no retry."""
        taken = list(self._handed.values())
        self._waiting += taken
        self._handed.clear()
        return taken

    def failure_text(self, job: Job, fault: Fault, error: str) -> str:
        """Return the error text of a failed trial: the last error, a remedy, then those of all attempts."""
        causes = self._causes.get(job.config.trial_id, [])
        text = "\n".join(part for part in (error, _REMEDIES.get(fault, "")) if part)
        return text if len(causes) < 2 else "\n\n".join((text, "\n".join(causes)))


def _line(fault: Fault, cause: str) -> str:
    lines = cause.strip().splitlines()
    return f"{fault}: {lines[-1].strip().removeprefix(f'{fault}: ')}" if lines else str(fault)


def to_retry(records: Iterable[TrialRecord]) -> list[str]:
    """Return the ids of the trials to run again once the cause of failures is fixed.

    These are all failed trials and, for a tuning with failed trials, its later runs too: the selection among
    its best configurations, and the confirm runs of the winner. After a failed range test also the search,
    which had the whole range of the test: it will have the part that the test names.
    """
    kept = list(records)
    failed = [record for record in kept if record.status is Status.FAILED]
    again = {record.trial_id for record in failed}
    for earlier, later in (
        ((Phase.RANGE_TEST,), (Phase.TUNE, Phase.SELECT, Phase.CONFIRM)),
        ((Phase.TUNE,), (Phase.SELECT, Phase.CONFIRM)),
        ((Phase.SELECT,), (Phase.CONFIRM,)),
    ):
        reopened = {(record.schedule, record.replicate) for record in failed if record.phase in earlier}
        again |= {r.trial_id for r in kept if r.phase in later and (r.schedule, r.replicate) in reopened}
    return sorted(again)
