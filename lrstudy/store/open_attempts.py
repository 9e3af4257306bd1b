"""The time and energy that attempts at trials without a row have used: ``attempts.json`` in a run's folder.

A trial's row has the time of all attempts at it. Those of a trial that has no row, because it was stopped,
its driver was killed, or a retry has dropped the row, would be forgotten: the driver keeps them here. An
entry of a trial that has a row is part of that row, and does not count.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Final

from lrstudy.errors import Problem, StoreError
from lrstudy.records import Phase, TrialRecord
from lrstudy.store.location import Location

FILE: Final = "attempts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempts:
    """The time and energy of all attempts at a trial without a row, and what they held."""

    trial_id: str
    schedule: str
    phase: Phase
    seconds: float
    device: str = ""
    cpus: int | None = None
    gpus: float = 0.0
    workers: int = 1
    energy_kwh: float | None = None
    energy_source: str | None = None

    @classmethod
    def of(cls, record: TrialRecord) -> OpenAttempts:
        """Return those of a trial whose row is about to be dropped."""
        return cls(
            trial_id=record.trial_id,
            schedule=record.schedule,
            phase=record.phase,
            seconds=record.slot_seconds or 0.0,
            device=record.device,
            cpus=record.cpus,
            gpus=record.gpus,
            workers=record.workers,
            energy_kwh=record.energy_kwh,
            energy_source=record.energy_source,
        )


def read_open_attempts(folder: Location, ended: Collection[str] = ()) -> list[OpenAttempts]:
    """Return the attempts at trials that have not ``ended``; raises ``StoreError`` for a damaged file."""
    file = folder / FILE
    if FILE not in folder.names():
        return []
    try:
        entries = json.loads(file.read())
        found = [OpenAttempts(**entry | {"phase": Phase(entry["phase"])}) for entry in entries]
        float(sum(one.seconds for one in found))  # raises for what is no number
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"is damaged ({error}): what unfinished attempts have used is not known"
        remedy = "Delete it: the run then continues without them, and their cost is forgotten"
        raise StoreError(Problem(str(file), "", message, remedy)) from error
    return [one for one in found if one.trial_id not in ended]


def write_open_attempts(folder: Location, attempts: Iterable[OpenAttempts]) -> None:
    """Replace the file by one with these attempts; without any there is no file."""
    kept = [asdict(one) for one in attempts if one.seconds > 0 or one.energy_kwh]
    if kept:
        (folder / FILE).write((json.dumps(kept, indent=1) + "\n").encode())
    elif FILE in folder.names():
        (folder / FILE).delete()
