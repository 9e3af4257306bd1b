"""The paper's classical table, prepared as its authors prepare it: published rates and counts of steps."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from lrstudy.lipschitz import LossShape
from lrstudy.lipschitz.constants import data_constant
from lrstudy.spec import load_study
from lrstudy.tasks import load_data

FOLDER = Path(__file__).parents[1] / "studies" / "classic"
STUDIES = {
    "breast-cancer-as-coded": (569, 31, 4280.227670674592),
    "iris-as-coded": (100, 5, 830.2253199119325),
}


@pytest.fixture(scope="module")
def counts() -> ModuleType:
    """The script of step counts, imported as running it would."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("step_counts")
    finally:
        sys.path.remove(str(FOLDER))


def rate(loss: str, x: np.ndarray, outputs: int = 1) -> float:
    """Return 1/L by the scheduler's constants, for one batch of all rows."""
    kz = float(torch.linalg.vector_norm(torch.from_numpy(x)))
    return 1 / data_constant(LossShape(loss, outputs), kz, len(x), 0.0, 0.0)


@pytest.mark.parametrize("name", STUDIES)
def test_the_study_s_own_data_give_the_published_rate(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    rows, width, published = STUDIES[name]
    study = load_study(FOLDER / f"{name}.toml")
    data = load_data(study.task, study.seed)
    assert data.train.inputs.shape == (rows, width)
    assert data.train.inputs.dtype == np.float64
    for split in data.splits.values():
        np.testing.assert_array_equal(split.inputs, data.train.inputs)
    np.testing.assert_allclose(data.train.inputs.sum(axis=0), 1.0, rtol=1e-12)
    assert rate("binary-cross-entropy", data.train.inputs) == pytest.approx(published, rel=1e-12)


def test_without_the_column_of_ones_breast_cancer_is_another_rate() -> None:
    x = load_breast_cancer().data
    assert rate("binary-cross-entropy", x / x.sum(axis=0)) == pytest.approx(4334, abs=1)


def test_the_script_s_rates_are_those_of_the_scheduler(counts: ModuleType) -> None:
    losses = ("binary-cross-entropy", "cross-entropy", "cross-entropy")
    for task, loss in zip(counts.TASKS[:3], losses, strict=True):
        x, y = task.rows(0)
        assert task.rate(x, y) == pytest.approx(rate(loss, x, y.shape[1]), rel=1e-12)


@pytest.mark.parametrize("loss", ["logistic", "exact_softmax", "coded_softmax"])
def test_losses_and_gradients_are_those_of_torch(counts: ModuleType, loss: str) -> None:
    rng = np.random.default_rng(0)
    outputs = 1 if loss == "logistic" else 3
    w, x = rng.normal(size=(4, outputs)), rng.normal(size=(7, 4))
    classes = rng.integers(max(outputs, 2), size=7)
    y = classes[:, None].astype(float) if outputs == 1 else np.eye(outputs)[classes]
    weights = torch.tensor(w, requires_grad=True)
    z = torch.from_numpy(x) @ weights
    if outputs == 1:
        expected = torch.nn.functional.binary_cross_entropy_with_logits(z, torch.from_numpy(y))
    else:
        expected = torch.nn.functional.cross_entropy(z, torch.from_numpy(classes))
    expected.backward()
    found, gradient = getattr(counts, loss)(w, x, y)
    assert found == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, weights.grad.numpy(), rtol=1e-10)


def test_breast_cancer_takes_two_steps_and_digits_stop_at_nan(counts: ModuleType) -> None:
    cancer, _, exact, coded = counts.TASKS
    for task, steps in ((cancer, (2, 3)), (exact, (80, 200))):
        x, y = task.rows(0)
        found = counts.descend(task.loss, x, y, task.rate(x, y), task.start(x, y, 0), task.threshold, 1000)
        assert steps[0] <= found.steps <= steps[1]
        assert found.loss < task.threshold
    x, y = coded.rows(0)
    stopped = counts.descend(coded.loss, x, y, coded.rate(x, y), coded.start(x, y, 0), coded.threshold, 1000)
    assert stopped.steps == 2, "the published count"
    assert math.isnan(stopped.loss)


def test_iris_needs_far_more_steps_at_a_tenth(counts: ModuleType) -> None:
    task = counts.TASKS[1]
    found = counts.measure(task, 1)
    assert all(300 <= count.steps <= 550 for count in found.untuned)
    for rule, untuned, (part, best) in zip(found.rule, found.untuned, found.best, strict=True):
        assert best.steps <= rule.steps < untuned.steps
        assert part in counts.GRID
