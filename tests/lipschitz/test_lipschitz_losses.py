"""torch's loss modules with weights, smoothing and sums: their bounds hold, or they are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_nets import fresh_random_state, small_net
from torch import nn
from torch.optim import SGD

from lrstudy import LipschitzLR
from lrstudy.errors import SchedulerError
from lrstudy.lipschitz import batch_quantities, reference

_seeded = pytest.fixture(autouse=True)(fresh_random_state)

K = 3


def _weights(g, n=K, low=0.0):
    return low + 3 * torch.rand(n, generator=g, dtype=torch.float64) ** 3


def _modules(g, reduction):
    smoothing = float(torch.rand((), generator=g)) * 0.9
    return {
        "smoothed": nn.CrossEntropyLoss(label_smoothing=smoothing, reduction=reduction),
        "weighted": nn.CrossEntropyLoss(_weights(g, low=0.01), reduction=reduction),
        "both": nn.CrossEntropyLoss(_weights(g, low=0.01), label_smoothing=smoothing, reduction=reduction),
        "plain": nn.CrossEntropyLoss(reduction=reduction),
        "positive": nn.BCEWithLogitsLoss(pos_weight=10 * _weights(g), reduction=reduction),
        "positive, one": nn.BCEWithLogitsLoss(pos_weight=10 * _weights(g, 1), reduction=reduction),
        "weighted outputs": nn.BCEWithLogitsLoss(_weights(g), pos_weight=_weights(g), reduction=reduction),
        "mse": nn.MSELoss(reduction=reduction),
        "mae": nn.L1Loss(reduction=reduction),
        "huber": nn.HuberLoss(delta=0.3, reduction=reduction),
        "smooth l1": nn.SmoothL1Loss(beta=0.3, reduction=reduction),
    }


def measured(model, loss, batches, **options):
    """A scheduler of plain SGD that has measured these batches."""
    optimizer = SGD(model.parameters(), lr=0.1)
    return LipschitzLR(optimizer, model, loss=loss, measure="pass", batches=batches, **options)


NAMES = sorted(_modules(torch.Generator(), "mean"))


def _problem(name, reduction, rows, seed):
    """(model without a bias, loss module, batches): confident and wrong as often as not."""
    g = torch.Generator().manual_seed(seed)
    loss = _modules(g, reduction)[name]
    model = nn.Linear(4, K, bias=False).double()
    scale = 10 ** (4 * torch.rand((), generator=g, dtype=torch.float64) - 2)
    with torch.no_grad():
        model.weight.copy_(scale * torch.randn(K, 4, generator=g, dtype=torch.float64))
    batches = []
    for m in rows:
        x = torch.randn(m, 4, generator=g, dtype=torch.float64)
        x *= 10 ** (2 * torch.rand((), generator=g, dtype=torch.float64))
        if isinstance(loss, nn.CrossEntropyLoss):
            wrong = model(x).argmin(1) if seed % 2 else torch.randint(K, (m,), generator=g)
            y = wrong if seed % 3 else torch.full_like(wrong, int(wrong[0]))
        elif isinstance(loss, nn.BCEWithLogitsLoss):
            y = (model(x) < 0).double() if seed % 2 else torch.rand(m, K, generator=g, dtype=torch.float64)
        else:
            y = torch.randn(m, K, generator=g, dtype=torch.float64)
        batches.append((x, y.detach()))
    return model, loss, batches


@given(
    st.sampled_from(NAMES),
    st.sampled_from(["mean", "sum"]),
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
    st.integers(0, 10**6),
    st.integers(1, 3),
)
@settings(max_examples=150, deadline=None)
def test_the_valid_bound_is_never_broken(name, reduction, rows, seed, accumulate):
    """Neither by a batch, however short, nor by a step of several."""
    model, loss, batches = _problem(name, reduction, rows, seed)
    scheduler = measured(model, loss, batches, bound="valid", accumulate=accumulate)
    for start in range(0, len(batches), accumulate):
        step = batches[start : start + accumulate]
        share = len(step) if reduction == "mean" else 1
        total = sum(loss(model(x), y) / share for x, y in step)
        (gradient,) = torch.autograd.grad(total, model.weight)
        assert float(gradient.norm()) <= scheduler.constant * (1 + 1e-9)


def test_the_valid_bound_holds_for_a_step_whose_last_micro_batch_is_a_single_large_row():
    model = nn.Linear(4, K, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.eye(K, 4) * 50)
    batches = [(torch.full((16, 4), 1e-3), torch.zeros(16)), (torch.tensor([[9.0, 0, 0, 0]]), torch.ones(1))]
    batches = [(x.double(), y.long()) for x, y in batches]
    loss = nn.CrossEntropyLoss()
    scheduler = measured(model, loss, batches, bound="valid", accumulate=2)
    (gradient,) = torch.autograd.grad(sum(loss(model(x), y) / 2 for x, y in batches), model.weight)
    # At most √k of what it is: of two micro-batches, one has nearly all of the gradient.
    assert scheduler.constant / 1.42 < float(gradient.norm()) <= scheduler.constant


@given(
    st.sampled_from([name for name in NAMES if name != "mae"]),
    st.sampled_from(["mean", "sum"]),
    st.lists(st.integers(1, 7), min_size=1, max_size=3),
    st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_the_smoothness_bounds_the_change_of_the_gradient(name, reduction, rows, seed):
    model, loss, batches = _problem(name, reduction, rows, seed)
    scheduler = measured(model, loss, batches, bound="smoothness")
    # The power iteration comes from below: what it lacks is no fault of the loss's constant.
    lacking = min(
        float(batch_quantities(("spectral",), x, x)) / reference.spectral([x.numpy()]) for x, _ in batches
    )
    other = model.weight.detach() + 0.01 * torch.randn_like(model.weight)
    for x, y in batches:
        (here,) = torch.autograd.grad(loss(model(x), y), model.weight)
        moved = other.clone().requires_grad_()
        (there,) = torch.autograd.grad(loss(x @ moved.T, y), moved)
        change = float((other - model.weight.detach()).norm())
        assert float((here - there).norm()) <= scheduler.constant / lacking * change * (1 + 1e-9) + 1e-9


def _constant(loss, model=None, x=None, **options):
    torch.manual_seed(0)
    model = model or nn.Linear(4, K).double()
    x = torch.randn(10, 4).double() if x is None else x
    return measured(model, loss, [x], **options).constant


@pytest.mark.parametrize("bound", ["paper", "valid", "smoothness"])
def test_a_positive_weight_of_20_makes_the_constant_20_times_as_large(bound):
    model = nn.Linear(4, 1).double()
    plain, positive, small, weighted = (
        _constant(nn.BCEWithLogitsLoss(**weights), model, bound=bound)
        for weights in (
            {},
            {"pos_weight": torch.tensor([20.0])},
            {"pos_weight": torch.tensor([0.1])},  # negatives still have slope 1
            {"weight": torch.tensor([0.1]), "pos_weight": torch.tensor(20.0)},
        )
    )
    assert [positive / plain, small / plain, weighted / plain] == pytest.approx([20, 1, 2])


@pytest.mark.parametrize("bound", ["paper", "valid", "smoothness"])
def test_a_summed_loss_has_so_many_times_the_constant(bound):
    for module, terms in ((nn.CrossEntropyLoss, 10), (nn.BCEWithLogitsLoss, 10 * K), (nn.HuberLoss, 10 * K)):
        summed, mean = (_constant(module(reduction=r), bound=bound) for r in ("sum", "mean"))
        assert summed / mean == pytest.approx(terms)


def test_smoothing_and_weights_by_hand():
    root = math.sqrt(2 / 10) * float(np.sqrt(40))  # of rows that are ones
    ones = torch.ones(10, 4).double()
    plain = _constant(nn.CrossEntropyLoss(), x=ones, bound="valid")
    assert plain == pytest.approx(root)
    # (1 − ε/3)² + (1 − 2ε/3)² + (ε/3)² with ε = .3: .81 + .64 + .01
    smoothed = _constant(nn.CrossEntropyLoss(label_smoothing=0.3), x=ones, bound="valid")
    assert smoothed / plain == pytest.approx(math.sqrt(1.46 / 2))
    # (1 + 4)/(2·√4)
    weighted = nn.CrossEntropyLoss(torch.tensor([1.0, 4.0, 2.0]))
    assert _constant(weighted, x=ones, bound="valid") / plain == pytest.approx(1.25)


def _refused(match, loss, **options):
    with pytest.raises(SchedulerError, match=match) as caught:
        _constant(loss, **options)
    assert all(problem.remedy for problem in caught.value.problems)


def test_what_has_no_constant_is_refused_with_what_would_do():
    _refused("bound='valid'", nn.CrossEntropyLoss(label_smoothing=0.1))
    _refused("bound='valid'", nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0])))
    _refused("weight 0", nn.CrossEntropyLoss(torch.tensor([1.0, 0.0, 3.0])), bound="valid")
    _refused("negative", nn.BCEWithLogitsLoss(torch.tensor(-1.0)))
    _refused("batch_size=", nn.CrossEntropyLoss(ignore_index=0))
    _refused("reduction='none'", nn.CrossEntropyLoss(reduction="none"))
    _refused("log_softmax.*loss='cross-entropy'.*head=", nn.NLLLoss())
    _refused("sigmoid.*loss='binary-cross-entropy'.*head=", nn.BCELoss())
    _refused("slope jumps", nn.SmoothL1Loss(beta=0.0), bound="smoothness")


class Focal(nn.CrossEntropyLoss):
    def forward(self, outputs, targets):
        return super().forward(outputs, targets) ** 2


class Renamed(nn.CrossEntropyLoss):
    """Nothing of its own."""


def test_a_loss_of_ones_own_that_looks_like_torchs_is_refused():
    _refused("its own forward", Focal())
    assert _constant(Renamed()) == _constant(nn.CrossEntropyLoss())


def test_labels_that_are_left_out_are_refused_where_they_are_seen():
    x = torch.randn(10, 5).double()
    y = torch.arange(10) % K
    ignored = torch.where(y == 0, -100, y)

    def train(targets, measure):
        loss, model = nn.CrossEntropyLoss(), small_net()
        optimizer = SGD(model.parameters(), lr=0.1)
        scheduler = LipschitzLR(optimizer, model, loss=loss, measure=measure, batches=[(x, targets)])
        loss(model(x), targets).backward()
        optimizer.step()
        scheduler.step()

    for measure in ("hook", "pass"):
        train(y, measure)
        with pytest.raises(SchedulerError, match=r"labels of -100.*batch_size="):
            train(ignored, measure)


def test_class_probabilities_are_not_averaged_by_class_weights():
    loss, model = nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0]).double()), small_net()
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model, loss=loss, bound="valid")
    loss(model(torch.randn(4, 5).double()), torch.full((4, 3), 1 / 3).double()).backward()
    optimizer.step()
    with pytest.raises(SchedulerError, match="class probabilities"):
        scheduler.step()
