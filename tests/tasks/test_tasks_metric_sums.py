"""Metric sums against scikit-learn, whatever the batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score

from lrstudy.tasks import MetricSums


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    classes=st.integers(2, 6),
    seed=st.integers(0, 999),
)
def test_accuracy_and_loss_over_unequal_batches(cuts, classes, seed) -> None:
    rng = np.random.default_rng(seed)
    sums = MetricSums(classes, "cpu")
    every, losses = [], []
    for rows in cuts:
        outputs, targets = (
            torch.tensor(rng.standard_normal((rows, classes))),
            torch.tensor(rng.integers(0, classes, rows)),
        )
        each = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
        sums.update(each.mean(), outputs, targets)
        every.append((targets, outputs.argmax(1)))
        losses.append(each)
    found = sums.result()
    assert found.keys() == {"loss", "accuracy"}
    truth, chosen = (torch.cat(column) for column in zip(*every, strict=True))
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, chosen))
    assert found["loss"] == pytest.approx(float(torch.cat(losses).mean()))


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    outputs=st.integers(1, 3),
    offset=st.sampled_from([0.0, 150.0, -1e6]),
    seed=st.integers(0, 999),
)
def test_r2_is_scikit_learns(cuts, outputs, offset, seed) -> None:
    rng = np.random.default_rng(seed)
    sums = MetricSums(None, "cpu")
    truth, guesses = [], []
    for rows in cuts:
        y = offset + rng.standard_normal((rows, outputs))
        a = y + 0.3 * rng.standard_normal((rows, outputs))
        sums.update(torch.tensor(0.5), torch.tensor(a), torch.tensor(y))
        truth.append(y)
        guesses.append(a)
    found = sums.result()
    assert found.keys() == {"loss", "r2"}
    assert found["r2"] == pytest.approx(r2_score(np.concatenate(truth), np.concatenate(guesses)), abs=1e-6)
    assert found["loss"] == pytest.approx(0.5)


def test_one_output_decides_between_two_classes() -> None:
    sums = MetricSums(2, "cpu")
    sums.update(torch.tensor(1.0), torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([1, 0, 0]))
    assert sums.result()["accuracy"] == pytest.approx(2 / 3)


def test_nothing_counted_and_nan_are_nan() -> None:
    for classes in (2, None):
        assert all(math.isnan(value) for value in MetricSums(classes, "cpu").result().values())
    sums = MetricSums(2, "cpu")
    sums.update(torch.tensor(float("nan")), torch.zeros(1, 2), torch.tensor([0]))
    sums.update(torch.tensor(1.0), torch.zeros(1, 2), torch.tensor([0]))
    assert math.isnan(sums.result()["loss"])


def test_r2_of_a_constant_target_is_nan() -> None:
    sums = MetricSums(None, "cpu")
    sums.update(torch.tensor(0.0), torch.ones(4, 1), torch.full((4, 1), 3.0))
    assert math.isnan(sums.result()["r2"])


def test_nothing_is_read_back_before_the_result(monkeypatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("synchronised")

    sums, regression = MetricSums(3, "cpu"), MetricSums(None, "cpu")
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, forbidden)
    for _ in range(2):
        sums.update(torch.tensor(1.0), torch.zeros(2, 3), torch.tensor([0, 1]))
        regression.update(torch.tensor(1.0), torch.zeros(2, 1), torch.ones(2, 1))
    monkeypatch.undo()
    assert sums.result()["accuracy"] == 0.5
