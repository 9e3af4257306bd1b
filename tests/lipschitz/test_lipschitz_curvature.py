"""The largest eigenvalue of a network's Hessian and the smoothness of a step, against dense Hessians."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_nets import batches_for, fresh_random_state, small_net
from torch import Tensor, nn
from torch.func import functional_call

from lrstudy import LipschitzLR
from lrstudy.lipschitz.curvature import (
    extreme_eigenvalues,
    largest_eigenvalue,
    step_smoothness,
    undisturbed,
)

_seeded = pytest.fixture(autouse=True)(fresh_random_state)


def objective(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def dense_hessian(model: nn.Module, batch, loss=objective) -> Tensor:
    """The whole Hessian by torch's own function."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    sizes = [p.numel() for p in named.values()]

    def of(vector: Tensor) -> Tensor:
        parts = zip(named, vector.split(sizes), strict=True)
        tensors = {name: part.view_as(named[name]) for name, part in parts}
        return loss(lambda *args: functional_call(model, tensors, args), batch)

    flat = torch.cat([p.detach().reshape(-1) for p in named.values()])
    return torch.autograd.functional.hessian(of, flat)


@given(seed=st.integers(0, 10**6), hidden=st.integers(1, 5), name=st.sampled_from(["tanh", "relu"]))
@settings(max_examples=15, deadline=None)
def test_both_ends_of_the_spectrum_are_those_of_the_dense_hessian(seed, hidden, name):
    torch.manual_seed(seed)
    bend = {"tanh": nn.Tanh(), "relu": nn.ReLU()}[name]
    model = nn.Sequential(nn.Linear(5, hidden), bend, nn.Linear(hidden, 3)).double()
    [batch] = batches_for("cross-entropy", [7], 5, 3, seed)
    values = torch.linalg.eigvalsh(dense_hessian(model, batch))
    low, high = extreme_eigenvalues(model, objective, batch, 100, seed=seed)
    assert [float(low), float(high)] == pytest.approx(values[[0, -1]].tolist(), rel=1e-6, abs=1e-9)
    few = float(largest_eigenvalue(model, objective, batch, 4, seed=seed))
    assert few <= float(values[-1]) * (1 + 1e-9)  # from below


def test_the_largest_is_the_signed_one():
    # f = (a² − 9b²)/2 has the eigenvalues 1 and −9, f = −(a² + 9b²)/2 has −1 and −9.
    model = nn.Linear(2, 1, bias=False).double()

    def quadratic(signs):
        return lambda call, batch: (call(torch.eye(2).double()).flatten().square() * signs).sum() / 2

    for signs, expected in (([1.0, -9.0], (-9.0, 1.0)), ([-1.0, -9.0], (-9.0, -1.0))):
        found = extreme_eigenvalues(model, quadratic(torch.tensor(signs).double()), None)
        assert [float(value) for value in found] == pytest.approx(expected)


def test_a_loss_that_is_linear_in_the_weights_has_no_curvature():
    model = nn.Linear(3, 1)
    assert float(largest_eigenvalue(model, lambda call, x: call(x).sum(), torch.ones(4, 3))) == 0.0


def test_a_loss_that_is_not_finite_has_none_that_is_known():
    model = small_net()
    nn.init.constant_(model[0].weight, math.inf)
    [batch] = batches_for("cross-entropy", [6], 5, 3, 0)
    assert math.isnan(float(largest_eigenvalue(model, objective, batch)))


def test_parameters_that_are_frozen_shared_or_unused():
    model = small_net()
    model[0].bias.requires_grad_(False)
    model.register_parameter("unused", nn.Parameter(torch.ones(3, dtype=torch.float64)))
    model.append(nn.Tanh()).append(nn.Linear(3, 3).double())
    model[-1].weight = nn.Parameter(torch.randn(3, 3, dtype=torch.float64))
    model.append(nn.Linear(3, 3).double())
    model[-1].weight = model[-2].weight
    [batch] = batches_for("cross-entropy", [6], 5, 3, 0)
    expected = torch.linalg.eigvalsh(dense_hessian(model, batch))[-1]
    assert float(largest_eigenvalue(model, objective, batch, 100)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("was", [True, False])
def test_nothing_of_model_and_training_is_changed(training, was):
    model = small_net(extra=True).train(was)
    model[2].eval()  # a mode that differs from the model's
    batches = batches_for("cross-entropy", [6, 6], 5, 3, 0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scheduler = LipschitzLR(optimizer, model)
    objective(model, batches[0]).backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    random, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    seen = scheduler.state_dict()
    largest_eigenvalue(model, objective, batches[1], training=training)
    step_smoothness(model, objective, batches[1], 0.1, training=training)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close([p.grad for p in model.parameters()], gradients, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model.modules()] == modes
    assert scheduler.state_dict() == seen


def test_what_a_pass_of_the_model_itself_writes_is_taken_back():
    model = nn.BatchNorm1d(3)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with undisturbed(model, 0, training=True) as inner:
        inner(torch.randn(8, 3))
        assert not torch.equal(model.running_mean, before["running_mean"])
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_training_has_batch_statistics_and_one_dropout():
    model = small_net(extra=True)
    [batch] = batches_for("cross-entropy", [9], 5, 3, 0)

    def dropped(seed):
        torch.manual_seed(seed)
        model.train()
        # The Hessian function evaluates the model once, so that one mask holds.
        return float(torch.linalg.eigvalsh(dense_hessian(model, batch))[-1])

    for seed in (1, 2):
        found = largest_eigenvalue(model, objective, batch, 100, seed=seed)
        assert float(found) == pytest.approx(dropped(seed), rel=1e-6)
    model.eval()
    still = float(torch.linalg.eigvalsh(dense_hessian(model, batch))[-1])
    found = largest_eigenvalue(model, objective, batch, 100, training=False)
    assert float(found) == pytest.approx(still, rel=1e-6)


@pytest.mark.parametrize("rate", [1e-3, 1.0])
def test_the_smoothness_along_a_step_on_a_quadratic_is_the_hessian_in_its_direction(rate):
    model = nn.Linear(4, 2, bias=False).double()
    x, y = torch.randn(8, 4).double(), torch.randn(8, 2).double()

    def squares(call, batch):
        return (call(batch[0]) - batch[1]).square().sum() / 16

    gradient = (model.weight @ x.T - y.T) @ x / 8
    expected = (gradient @ (x.T @ x / 8)).norm() / gradient.norm()
    found = step_smoothness(model, squares, (x, y), rate).item()
    assert found == pytest.approx(expected.item())
    assert found <= largest_eigenvalue(model, squares, (x, y)).item() * (1 + 1e-9)
    assert math.isnan(step_smoothness(model, lambda call, x: 0 * call(x).sum(), x, rate).item())


def test_both_gradients_of_a_step_have_the_same_dropout():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1, bias=False)).double()
    x = torch.ones(1, 4).double()
    # Of a linear function under one mask the gradient does not change.
    assert step_smoothness(model, lambda call, x: call(x).sum(), x, 0.1, seed=3).item() == 0.0


def test_attention_has_a_second_derivative():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x):
            q = self.into(x).unsqueeze(1)
            mixed = nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
            return self.out(mixed.squeeze(1)[:, -1])

    x, y = torch.randn(4, 5, 6), torch.tensor([0, 1, 2, 0])
    assert float(largest_eigenvalue(Attention(), objective, (x, y))) > 0
