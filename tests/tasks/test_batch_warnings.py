"""A warning of a last batch that is small, where batch-norm makes it matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from task_specs import make_task

from lrstudy.errors import NO_VALUE, Problem
from lrstudy.tasks import Split, TaskData
from lrstudy.tasks.task_check import batch_warnings

NORMALISED = {"name": "mlp", "widths": [4], "batch_norm": "last"}


def warnings_of(rows: int, sizes: Iterable[int] = (), **task: Any) -> list[Problem]:
    split = Split(np.ones((rows, 3), np.float32), np.arange(rows) % 2)
    data = TaskData("ones", split, split, split, classes=2, image=False)
    return list(batch_warnings(make_task(**({"model": NORMALISED, "batch_size": 64} | task)), data, sizes))


@pytest.mark.parametrize(
    ("rows", "left"),
    [(64, 0), (65, 0), (66, 2), (95, 31), (96, 0), (127, 0), (640 + 13, 13), (31, 0)],
)
def test_a_last_batch_under_half_of_the_others_is_told(rows: int, left: int) -> None:
    found = warnings_of(rows)
    assert len(found) == (1 if left else 0)
    for problem in found:
        assert (problem.where, problem.key, problem.value) == ("task", "batch_size", 64)
        assert f"leaves {left} rows for the last batch of every epoch" in problem.message
        assert "drop_last = true" in problem.remedy


def test_nothing_is_told_where_it_is_dropped_or_nothing_normalises_by_batches() -> None:
    assert warnings_of(66, drop_last=True) == []
    assert warnings_of(66, model={"name": "mlp", "widths": [4], "batch_norm": "none"}) == []
    assert warnings_of(66, model={"name": "mlp", "widths": [4], "batch_norm": "all"}) != []


def test_the_look_at_the_model_draws_nothing() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    warnings_of(66)
    assert torch.equal(torch.rand(1), expected)


def test_searched_sizes_are_told_together() -> None:
    (found,) = warnings_of(101, sizes={30, 40, 50, 200})
    assert found.value is NO_VALUE
    assert "leaves 11 rows for the last batch of every epoch with 30 rows a batch" in found.message
    assert "of the sizes searched" not in found.message
    (found,) = warnings_of(101, sizes={30, 32, 49, 55})
    assert "and 2 more of the sizes searched leave few too" in found.message
    assert warnings_of(101, sizes={50, 25, 101}) == []
    assert warnings_of(66, sizes={33}) == []
