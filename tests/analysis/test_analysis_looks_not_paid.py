"""A study that was given more seeds or trials after a verdict says that its p-values do not pay for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lrstudy.analysis.warnings import unpaid_look_warnings


def extended(*changes: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(history=[{"changes": change} for change in changes])


@pytest.mark.parametrize("changes", [(), ({"budget.replicates": [2, 4]}, {"budget.most": [8, 16]})])
def test_looks_between_replicates_are_paid_for(changes: tuple[dict[str, Any], ...]) -> None:
    assert unpaid_look_warnings(extended(*changes)) == []


def test_more_seeds_are_named() -> None:
    study = extended({"budget.replicates": [2, 4]}, {"budget.confirm_seeds": [3, 6]})
    (warning,) = unpaid_look_warnings(study)
    assert "(budget.confirm_seeds)" in warning
    assert "a look that the p-values do not allow for" in warning
