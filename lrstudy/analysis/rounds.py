"""The comparisons that are still open after a round of replicates, from the rows of a store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def open_schedules(store: Any, replicates: int) -> Collection[str]:
    """Return the schedules whose primary comparison is undecided after so many replicates."""
    assert replicates > 0
    study = store.study
    return [schedule.name for schedule in study.schedules if schedule.name != study.reference]
