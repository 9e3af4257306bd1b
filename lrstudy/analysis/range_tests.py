"""Results of range tests, read from the store's trials of that phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrstudy.analysis.trial_table import Columns, Trial
from lrstudy.records import Phase


def range_tests_of(columns: Columns, schedule: str) -> list[Trial]:
    """Return a schedule's range tests, failed ones included."""
    return [
        trial for trial in columns.trials if trial.schedule == schedule and trial.phase is Phase.RANGE_TEST
    ]


def searched_space(space: Mapping[str, Any], tests: Sequence[Trial]) -> dict[str, Any]:
    """Return a schedule's space with its range test's range, marked so; without it if the test failed."""
    ends = (tests[0].params.get("min_lr"), tests[0].params.get("max_lr")) if tests else (None, None)
    if None in ends:
        return {name: span for name, span in space.items() if span != Phase.RANGE_TEST}
    found = {"low": ends[0], "high": ends[1], "log": True, "tested": True}
    return {name: found if span == Phase.RANGE_TEST else span for name, span in space.items()}


def range_test_warnings(schedule: str, tests: Sequence[Trial]) -> list[str]:
    """Return a sentence on a range test without a result: the search then used the test's whole range."""
    if not tests:
        return []
    params = tests[0].params
    if "max_lr" not in params:
        return [f"{schedule}: its range test failed; the search used the test's whole range of rates."]
    if reason := params.get("fallback"):
        searched = "the search used the test's whole range of rates"
        return [f"{schedule}: its range test suggested no range ({reason}); {searched}."]
    return []
