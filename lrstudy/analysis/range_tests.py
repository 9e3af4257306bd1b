"""What range tests found, as the store's trials of that phase tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrstudy.analysis.columns import Columns, Trial
from lrstudy.analysis.summary import Price
from lrstudy.records import Phase


def tests_of(columns: Columns, schedule: str) -> list[Trial]:
    """A schedule's range tests, one that failed included."""
    return [
        trial for trial in columns.trials if trial.schedule == schedule and trial.phase is Phase.RANGE_TEST
    ]


def searched_space(space: Mapping[str, Any], tests: Sequence[Trial]) -> dict[str, Any]:
    """A schedule's space with the range that its range test found; without it where there was none."""
    ends = (tests[0].params.get("min_lr"), tests[0].params.get("max_lr")) if tests else (None, None)
    if None in ends:
        return {name: span for name, span in space.items() if span != Phase.RANGE_TEST}
    found = {"low": ends[0], "high": ends[1], "log": True}
    return {name: found if span == Phase.RANGE_TEST else span for name, span in space.items()}


def range_test_notes(tests: Mapping[str, Sequence[Trial]], prices: Mapping[str, Price]) -> list[str]:
    """Sentences on what the schedules with a range test paid for it, and on tests that found nothing."""
    tested = [name for name, trials in tests.items() if trials]
    if not tested:
        return []
    costs = ", ".join(f"{name} {prices[name].range_test_epochs}" for name in tested)
    rule = "A range test found the rates to search. It took the place of one tuning configuration"
    notes = [f"{rule}, and its epochs stand in the ledger: {costs}."]
    for name in tested:
        params = tests[name][0].params
        if "max_lr" not in params:
            notes.append(
                f"{name}: its range test failed, and all the rates that it was to try were searched."
            )
        elif reason := params.get("fallback"):
            notes.append(f"{name}: its range test suggested nothing ({reason}); all its rates were searched.")
    return notes
