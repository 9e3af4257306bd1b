"""torch's names that are not public do what their wrappers say; these tests fail when a name moves."""

from __future__ import annotations

import pytest
import torch

from lrstudy.compat.torch import backward_number


def test_every_backward_pass_has_a_number_of_its_own() -> None:
    numbers: list[int] = []
    leaf = torch.ones(2, requires_grad=True)
    leaf.register_hook(lambda _: numbers.append(backward_number()))
    for _ in range(2):
        (leaf * 2).sum().backward()
    assert -1 not in numbers
    assert len(set(numbers)) == 2
    assert backward_number() == -1


def test_without_the_name_all_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch._C, "_current_graph_task_id")
    assert backward_number() == -1
