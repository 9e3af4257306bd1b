"""The bounds of the whole network in a training loop: their rates, their data and their state."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from lipschitz_nets import batches_for, fresh_random_state, small_net, train_epoch
from torch import nn
from torch.optim import SGD, Adam

from lrstudy import LipschitzLR
from lrstudy.errors import SchedulerError
from lrstudy.lipschitz.curvature import step_smoothness
from lrstudy.lipschitz.loss_functions import FUNCTIONS, NamedObjective

_seeded = pytest.fixture(autouse=True)(fresh_random_state)

BATCH = batches_for("cross-entropy", [12], 5, 3, 0)


def softmax_hessian(model, x):
    """The largest eigenvalue of a softmax regression's Hessian in weights and bias, by its formula."""
    p = model(x).softmax(1).detach()
    rows = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    blocks = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    whole = torch.einsum("ijk,ia,ib->jakb", blocks, rows, rows) / len(x)
    size = p.shape[1] * rows.shape[1]
    return float(torch.linalg.eigvalsh(whole.reshape(size, size))[-1])


@pytest.mark.parametrize("measure", ["pass", "subset", "hook"])
def test_the_rate_is_the_inverse_of_the_networks_largest_eigenvalue(measure):
    model = nn.Linear(5, 3).double()
    optimizer = SGD(model.parameters(), lr=0.1, weight_decay=0.25)
    scheduler = LipschitzLR(optimizer, model, bound="network", measure=measure, batches=BATCH, scale=0.5)
    if measure == "hook":
        assert scheduler.get_last_lr() == [0.1]
    for epoch in range(3):
        if epoch or measure != "hook":
            expected = softmax_hessian(model, BATCH[0][0]) + 0.25  # the penalty's part
            assert scheduler.constant == pytest.approx(expected, rel=1e-6)
            assert scheduler.get_last_lr() == pytest.approx([0.5 / expected], rel=1e-6)
            assert scheduler.estimate_seconds > 0
        train_epoch(model, optimizer, BATCH)
        scheduler.step()


def test_batches_that_make_a_step_are_one_batch():
    model = nn.Linear(5, 3).double()
    halves = [(x, y) for x, y in zip(BATCH[0][0].chunk(2), BATCH[0][1].chunk(2), strict=True)]
    made = {"bound": "network", "measure": "pass"}
    whole = LipschitzLR(SGD(model.parameters(), lr=0.1), model, batches=BATCH, **made)
    parts = LipschitzLR(SGD(model.parameters(), lr=0.1), model, batches=halves, accumulate=2, **made)
    summed = LipschitzLR(
        SGD(model.parameters(), lr=0.1), model, batches=halves, accumulate=2, accumulated="sum", **made
    )
    assert parts.constant == pytest.approx(whole.constant, rel=1e-6)
    assert summed.constant == pytest.approx(2 * whole.constant, rel=1e-6)


def test_other_batches_come_with_their_own_objective():
    model = nn.Linear(5, 3).double()
    x, y = BATCH[0]

    def objective(call, batch):
        return nn.functional.cross_entropy(call(batch[0]), batch[1]["labels"])

    options = {"bound": "network", "measure": "pass"}
    own = LipschitzLR(
        SGD(model.parameters(), lr=0.1), model, batches=[(x, {"labels": y})], objective=objective, **options
    )
    named = LipschitzLR(SGD(model.parameters(), lr=0.1), model, batches=BATCH, **options)
    assert own.constant == pytest.approx(named.constant)
    with pytest.raises(SchedulerError, match="hold no targets"):
        LipschitzLR(SGD(model.parameters(), lr=0.1), model, batches=[x], **options)


def test_the_secant_is_that_of_a_step_at_the_rate_in_force():
    model = small_net()
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model, bound="secant", measure="subset", fraction=1.0, batches=BATCH)
    objective = NamedObjective.of("cross-entropy", model, 0.5, 1.0)
    rate = 0.1
    for _ in range(3):
        expected = step_smoothness(model, objective, BATCH[0], rate).item()
        assert scheduler.constant == pytest.approx(expected)
        assert scheduler.get_last_lr() == pytest.approx([1 / expected])
        rate = 1 / expected
        train_epoch(model, optimizer, BATCH)
        scheduler.step()


def test_a_curvature_that_gives_no_rate_is_rejected(caplog):
    model = nn.Linear(5, 3).double()
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(
        optimizer,
        model,
        bound="network",
        batches=BATCH,
        objective=lambda call, batch: -call(batch[0]).square().sum(),
    )
    train_epoch(model, optimizer, BATCH)
    scheduler.step()
    assert (scheduler.get_last_lr(), scheduler.rejected) == ([0.1], 1)
    assert "curvature" in caplog.text


def test_a_loss_whose_slope_jumps_has_no_hessian_bound():
    model = nn.Linear(5, 3).double()
    with pytest.raises(SchedulerError, match="does not exist for mae"):
        LipschitzLR(SGD(model.parameters(), lr=0.1), model, loss="mae", bound="network", batches=BATCH)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_named_loss_is_an_objective(name):
    model = small_net()
    kind = "cross-entropy" if "cross-entropy" in name else "mse"
    [batch] = batches_for(kind, [6], 5, 3, 0)
    objective = pickle.loads(pickle.dumps(NamedObjective.of(name, model, 0.5, 1.0)))
    assert math.isfinite(objective(model, batch).item())


def test_adams_rule_takes_the_networks_curvature_too():
    model = small_net()
    optimizer = Adam(model.parameters(), lr=0.01)
    scheduler = LipschitzLR(
        optimizer, model, bound="network", measure="pass", batches=BATCH, squares="written"
    )
    # c·Kz = λ_max, so that K2 = (1 − β2)·λ², K1 = (1 − β1)·λ: the rate does not depend on λ.
    assert scheduler.get_last_lr() == pytest.approx([math.sqrt(0.001) / 0.1], rel=1e-4)


def test_squares_as_written_are_those_of_kz():
    def rate(squares):
        model = nn.Linear(4, 3)
        batches = [(torch.ones(8, 4), torch.zeros(8).long())]
        optimizer = Adam(model.parameters(), lr=0.01)
        return LipschitzLR(optimizer, model, measure="pass", batches=batches, squares=squares).get_last_lr()[
            0
        ]

    # ‖A‖² = 32 and ‖A∘A‖ = √32, so that K2 is √32 times as large.
    assert rate("written") == pytest.approx(rate("coded") * 32**0.25, rel=1e-5)
    assert rate("written") == pytest.approx(math.sqrt(0.001) / 0.1, rel=1e-4)
