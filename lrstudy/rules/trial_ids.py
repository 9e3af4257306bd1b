"""The ids of trials, which say what a trial is for: ``fixed-tune-007``, ``fixed-tune-2.007``."""

from __future__ import annotations

from lrstudy.records import Phase


def trial_id(schedule: str, phase: Phase, number: int, replicate: int = 1) -> str:
    """Return the id of a trial: its schedule, phase, replicate (left out for the first) and number.

    >>> trial_id("fixed", Phase.TUNE, 7), trial_id("fixed", Phase.CONFIRM, 0, 12)
    ('fixed-tune-007', 'fixed-confirm-12.000')
    """
    place = f"{number:03d}" if replicate == 1 else f"{replicate}.{number:03d}"
    return f"{schedule}-{phase.value}-{place}"


def trial_number(trial_id: str) -> int:
    """Return the number of a trial among those of its schedule, phase and replicate.

    >>> trial_number("range-tested-tune-2.013")
    13
    """
    return int(trial_id.rpartition("-")[2].rpartition(".")[2])
