"""Losses against numpy and torch's own, their gradients against finite differences."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrstudy.catalog.task_parts import CLASSIFICATION_LOSSES, LOSSES
from lrstudy.errors import StudyFileError
from lrstudy.lipschitz.loss_functions import FUNCTIONS
from lrstudy.spec import ComponentSpec
from lrstudy.tasks import build_loss


def loss(name: str, **options):
    return build_loss(ComponentSpec(name=name, options=options))


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def reference(name: str, a: np.ndarray, y: np.ndarray, **o) -> float:
    """Each loss once more, in numpy."""
    m = len(a)
    if name == "binary-cross-entropy":
        wanted = y[:, None] if a.shape[1] == 1 else np.eye(a.shape[1])[y]
        p = 1 / (1 + np.exp(-a))
        return float(-(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).mean())
    if name in CLASSIFICATION_LOSSES:
        p = softmax(a)[np.arange(m), y]
        if name == "clipped-cross-entropy":
            p = np.clip(p, o["epsilon"], 1 - o["epsilon"])
        return float(-np.log(p).mean())
    r = y - a
    match name:
        case "least-squares":
            return float((r**2).sum() / (2 * m))
        case "mse":
            return float((r**2).mean())
        case "mae":
            return float(np.abs(r).mean())
        case "quantile":
            return float(np.where(r > 0, o["tau"] * r, (o["tau"] - 1) * r).mean())
    small = np.abs(r) <= o["delta"]
    return float(np.where(small, r**2 / 2, o["delta"] * (np.abs(r) - o["delta"] / 2)).mean())


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(LOSSES)),
    m=st.integers(1, 6),
    n=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    tau=st.floats(0.05, 0.95),
    delta=st.floats(0.1, 3),
)
def test_values_are_the_formulas(name, m, n, seed, tau, delta) -> None:
    rng = np.random.default_rng(seed)
    if name in CLASSIFICATION_LOSSES and name != "binary-cross-entropy":
        n += 1
    a = 3 * rng.standard_normal((m, n))
    y = rng.integers(0, max(n, 2), m) if name in CLASSIFICATION_LOSSES else rng.standard_normal((m, n))
    options = {
        "quantile": {"tau": tau},
        "huber": {"delta": delta},
        "clipped-cross-entropy": {"epsilon": 0.01},
    }
    given_options = options.get(name, {})
    ours = loss(name, **given_options)(torch.tensor(a), torch.tensor(y))
    assert float(ours) == pytest.approx(reference(name, a, y, **given_options), rel=1e-9, abs=1e-12)


def test_keras_clipping_bounds_the_loss_and_stops_the_gradient() -> None:
    outputs = torch.tensor([[40.0, 0.0], [0.0, 40.0], [1.0, 0.0]], requires_grad=True)
    targets = torch.tensor([1, 1, 0])
    clipped = loss("clipped-cross-entropy")
    rows = torch.stack([clipped(outputs[i : i + 1], targets[i : i + 1]) for i in range(3)])
    assert rows[0].item() == pytest.approx(16.118, abs=1e-3)  # −log 1e-7: confidently wrong
    assert rows[1].item() == pytest.approx(1e-7, rel=0.3)  # −log(1 − 1e-7): confidently right
    rows.sum().backward()
    assert outputs.grad is not None
    assert not outputs.grad[:2].any()
    plain = outputs.detach()[2:].requires_grad_()
    torch.nn.functional.cross_entropy(plain, targets[2:]).backward()
    torch.testing.assert_close(outputs.grad[2:], plain.grad)


def test_the_defaults_are_kerass_and_torchs() -> None:
    assert loss("clipped-cross-entropy").options == {"epsilon": 1e-7}
    assert loss("huber").options == {"delta": 1.0}
    assert loss("quantile").options == {"tau": 0.5}
    assert loss("quantile", tau=0.9).name == "quantile"


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_outputs_are_raised_to_float32(name) -> None:
    outputs = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.bfloat16, requires_grad=True)
    targets = torch.tensor([2]) if name in CLASSIFICATION_LOSSES else torch.tensor([[1.0, 2.0, 3.0]])
    value = loss(name)(outputs, targets)
    assert value.dtype == torch.float32
    value.backward()
    assert outputs.grad is not None


def test_every_declared_loss_is_implemented_with_its_options() -> None:
    assert FUNCTIONS.keys() == LOSSES.keys()
    for name, component in LOSSES.items():
        takes = inspect.signature(FUNCTIONS[name]).parameters
        assert {parameter.name for parameter in component.parameters} <= takes.keys()


def test_unknown_losses_and_options_are_refused() -> None:
    with pytest.raises(StudyFileError, match="Did you mean 'cross-entropy'"):
        loss("crossentropy")
    with pytest.raises(StudyFileError) as caught:
        loss("quantile", tau=1.5, q=1)
    assert len(caught.value.problems) == 2
