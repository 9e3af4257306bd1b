"""Task specs with small defaults."""

from __future__ import annotations

from typing import Any

from lrstudy.spec import TaskSpec


def make_task(**keys: Any) -> TaskSpec:
    given = {"dataset": "digits", "model": "softmax-regression", "batch_size": 32, "epochs": 1} | keys
    return TaskSpec.model_validate(given)
