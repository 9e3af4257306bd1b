"""LipschitzLR in a training loop: trajectories against the numpy twins, options, and what sets which rate."""

from __future__ import annotations

import itertools
import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_nets import batches_for, fresh_random_state, loss_function, small_net, train_epoch
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import LinearLR, SequentialLR

from lrstudy import LipschitzLR
from lrstudy.lipschitz import reference

_seeded = pytest.fixture(autouse=True)(fresh_random_state)

TINY = 1e-4  # keeps the training from diverging: the rates are compared, not what they do

OPTIMIZERS = {
    # name: (optimizer, the twin's rule, β1, β2, factor on the rate, whether its decay is an L2 penalty)
    "sgd": (lambda p, wd: SGD(p, lr=0.1, weight_decay=wd), "sgd", 0.0, 0.0, 1.0, True),
    "adamo": (lambda p, wd: SGD(p, 0.1, 0.9, 0.9, wd), "adamo", 0.9, 0.0, 1.0, True),
    "undamped": (lambda p, wd: SGD(p, 0.1, 0.9, weight_decay=wd), "adamo", 0.9, 0.0, 0.1, True),
    "nesterov": (
        lambda p, wd: SGD(p, 0.1, 0.8, weight_decay=wd, nesterov=True),
        "adamo",
        0.8,
        0.0,
        0.2,
        True,
    ),
    "rmsprop": (lambda p, wd: RMSprop(p, lr=0.1, alpha=0.9, weight_decay=wd), "rmsprop", 0.0, 0.9, 1.0, True),
    "adam": (lambda p, wd: Adam(p, 0.1, (0.8, 0.99), weight_decay=wd), "auto-adam", 0.8, 0.99, 1.0, True),
    "adamw": (lambda p, wd: AdamW(p, 0.1, (0.8, 0.99), weight_decay=wd), "auto-adam", 0.8, 0.99, 1.0, False),
}
LOSS_NAMES = ["cross-entropy", "binary-cross-entropy", "least-squares", "mse", "mae", "quantile", "huber"]


@given(
    name=st.sampled_from(sorted(OPTIMIZERS)),
    loss=st.sampled_from(LOSS_NAMES),
    bound=st.sampled_from(["paper", "valid"]),
    measure=st.sampled_from(["hook", "pass"]),
    rows=st.lists(st.integers(2, 9), min_size=1, max_size=3),
    width=st.integers(1, 6),
    hidden=st.integers(1, 6),
    outputs=st.integers(2, 4),
    weight_decay=st.sampled_from([0.0, 0.01, 0.3]),
    norms=st.sampled_from(["parameters", "all"]),
    bias_correction=st.booleans(),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=100, deadline=None)
def test_ten_epochs_follow_the_twin(
    name, loss, bound, measure, rows, width, hidden, outputs, weight_decay, norms, bias_correction, seed
):
    make, rule, beta1, beta2, factor, penalty = OPTIMIZERS[name]
    torch.manual_seed(seed)
    model = small_net(width, hidden, outputs)
    nn.init.constant_(model[0].bias, 0.1)  # something must be active
    model.register_buffer("statistic", torch.full((3,), 2.0, dtype=torch.float64))
    batches = batches_for(loss, rows, width, outputs, seed)
    optimizer = make(model.parameters(), weight_decay)
    scheduler = LipschitzLR(
        optimizer,
        model,
        loss=loss,
        measure=measure,
        batches=batches,
        bound=bound,
        norms=norms,
        bias_correction=bias_correction,
        tau=0.8,
        delta=0.7,
        scale=TINY,
    )
    targets = [np.asarray(t, dtype=float) for _, t in batches]
    coefficient = reference.coefficient if bound == "paper" else reference.valid_coefficient
    largest = reference.kz if bound == "paper" else reference.kz_for_every_batch
    l2 = weight_decay if penalty else 0.0
    twins: list[reference.Epoch] = []

    def measured(activations, outs):
        kz = reference.kz(activations)
        if kz == 0:
            return
        c = coefficient(loss, max(rows), outputs, ka=largest(outs), y=largest(targets), tau=0.8, delta=0.7)
        c *= largest(activations) / kz
        weights = [p.detach().numpy().copy() for p in model.parameters()]
        if norms == "all":
            weights.append(np.full(3, 2.0))
        w = reference.weight_norm(weights)
        twins.append(reference.Epoch(c * kz + l2 * w, c, kz, reference.squares(activations), w))

    def evaluated():
        with torch.no_grad():
            hidden_outputs = [model[:-1](x) for x, _ in batches]
            return [A.numpy() for A in hidden_outputs], [model[-1](A).numpy() for A in hidden_outputs]

    def agrees():
        if not twins:
            assert scheduler.get_last_lr() == [0.1]
            assert (scheduler.constant, scheduler.kz, scheduler.weight_norm) == (None, None, None)
            return
        rates = reference.learning_rates(
            rule, twins, beta1=beta1, beta2=beta2, l2=l2, bias_correction=bias_correction
        )
        assert scheduler.get_last_lr() == pytest.approx([rates[-1] * factor * TINY], rel=1e-12)
        assert optimizer.param_groups[0]["lr"] == scheduler.get_last_lr()[0]
        last = twins[-1]
        assert (scheduler.constant, scheduler.kz, scheduler.weight_norm) == pytest.approx(
            (last.constant, last.kz, last.w), rel=1e-12
        )

    if measure == "pass":
        measured(*evaluated())
    agrees()
    for _ in range(10):
        seen = train_epoch(model, optimizer, batches, loss_function(loss, 0.8, 0.7))
        if measure == "pass":
            model.eval()
            measured(*evaluated())
        else:
            measured(seen.activations, seen.outputs)
        scheduler.step()
        agrees()


def test_clipped_cross_entropy_has_cross_entropys_constant():
    rates = []
    for loss in ("cross-entropy", "clipped-cross-entropy"):
        torch.manual_seed(0)
        model = small_net()
        batches = batches_for("cross-entropy", [8], 5, 3, 0)
        rates += LipschitzLR(
            SGD(model.parameters(), lr=0.1), model, loss=loss, measure="pass", batches=batches
        ).get_last_lr()
    assert rates[0] == rates[1] != 0.1


@pytest.mark.parametrize(
    ("loss", "name", "options"),
    [
        (nn.CrossEntropyLoss(), "cross-entropy", {}),
        (nn.BCEWithLogitsLoss(), "binary-cross-entropy", {}),
        (nn.MSELoss(), "mse", {}),
        (nn.L1Loss(), "mae", {}),
        (nn.HuberLoss(delta=0.3), "huber", {"delta": 0.3}),
        (nn.SmoothL1Loss(beta=0.3), "huber", {"delta": 1.0}),
    ],
)
def test_a_loss_module_may_stand_for_its_name(loss, name, options):
    model = small_net()
    batches = batches_for("mse", [8], 5, 3, 0)
    arguments = {"measure": "pass", "batches": batches}
    optimizer = SGD(model.parameters(), lr=0.1)
    by_module = LipschitzLR(optimizer, model, loss=loss, **arguments).get_last_lr()
    assert by_module == LipschitzLR(optimizer, model, loss=name, **options, **arguments).get_last_lr()


def _run(optimizer_options=None, epochs=4, rows=(6, 3), **options):
    """(scheduler, list of the rates of each epoch) of a short training with small steps."""
    torch.manual_seed(0)
    model = small_net()
    batches = batches_for("cross-entropy", list(rows), 5, 3, 0)
    optimizer = SGD(model.parameters(), **(optimizer_options or {"lr": 0.1}))
    if options.get("measure", "hook") != "hook":
        options["batches"] = batches
    scheduler = LipschitzLR(optimizer, model, **options)
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(epochs):
        train_epoch(model, optimizer, batches)
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    return scheduler, rates


def test_before_any_measurement_the_optimizers_own_rate_stands():
    _, rates = _run()
    assert rates[0] == 0.1
    assert all(rate != 0.1 for rate in rates[1:])
    _, rates = _run(measure="pass")
    assert rates[0] != 0.1


@pytest.mark.parametrize("measure", ["hook", "pass", "subset"])
def test_an_initial_rate_stands_until_the_first_measurement_after_an_epoch(measure):
    scheduler, rates = _run({"lr": 0.1}, initial_lr=0.02, measure=measure, fraction=0.5)
    assert rates[0] == 0.02
    assert rates[1] not in (0.02, 0.1)
    assert scheduler.constant == pytest.approx(1 / rates[-1])


def test_adamos_start_is_both_rate_and_average():
    damped = {"lr": 0.1, "momentum": 0.9, "dampening": 0.9}
    scheduler, rates = _run(damped, epochs=1, initial_lr=0.5)
    assert rates[0] == 0.5
    assert rates[1] == pytest.approx(1 / (0.9 * 0.5 + 0.1 * scheduler.constant))


def test_undamped_momentum_makes_the_damped_ones_steps():
    weights = []
    for dampening in (0.9, 0.0):
        torch.manual_seed(0)
        model = small_net()
        [batch] = batches_for("cross-entropy", [6], 5, 3, 0)
        optimizer = SGD(model.parameters(), lr=0.0, momentum=0.9, dampening=dampening)
        # A momentum buffer that torch fills with the first gradient undamped, so begin both at zero.
        for p in model.parameters():
            optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
        scheduler = LipschitzLR(optimizer, model, measure="pass", batches=[batch], policy="adaptive")
        # One rate only: buffers of the two forms differ by a constant factor as long as it stands.
        for _ in range(20):
            train_epoch(model, optimizer, [batch])
        weights.append([p.detach().clone() for p in model.parameters()])
        assert scheduler.settings.rule == "adamo"
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("measure", ["hook", "pass"])
def test_a_fixed_policy_computes_once_after_one_epoch(measure):
    scheduler, rates = _run(policy="fixed", measure=measure)
    assert rates[0] == 0.1
    assert rates[1] == pytest.approx(1 / scheduler.constant)
    assert rates[1:] == [rates[1]] * 4
    assert scheduler.estimate_seconds == 0.0


def test_scale_limit_and_named_l2():
    _, [_, plain] = _run(epochs=1)
    assert _run(epochs=1, scale=0.25)[1][1] == pytest.approx(plain / 4)
    assert _run(epochs=1, max_lr=plain / 3)[1][1] == pytest.approx(plain / 3)
    assert _run(epochs=1, initial_lr=5.0, max_lr=0.5)[1][0] == 0.5
    scheduler, [_, rate] = _run(epochs=1, l2=0.5)
    assert 1 / rate == pytest.approx(1 / plain + 0.5 * scheduler.weight_norm)
    assert _run({"lr": 0.1, "weight_decay": 0.3}, epochs=1, l2=0.0)[0].settings.l2 == 0.0


def test_a_named_batch_size_replaces_the_measured_one():
    scheduler, _ = _run(epochs=1, rows=(6,))
    named, _ = _run(epochs=1, rows=(6,), batch_size=12)
    assert named.constant == pytest.approx(scheduler.constant / 2)


def test_smoothness_is_the_inverse_of_half_the_largest_eigenvalue():
    model = nn.Linear(5, 3).double()
    [(x, y)] = batches_for("cross-entropy", [30], 5, 3, 0)
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model, bound="smoothness", measure="pass", batches=[(x, y)])
    assert scheduler.get_last_lr()[0] == pytest.approx(2 * 30 / reference.spectral([x.numpy()]), rel=1e-6)


def test_time_decay_follows_keras_at_every_step():
    torch.manual_seed(0)
    model = small_net()
    [batch] = batches_for("cross-entropy", [6], 5, 3, 0)
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model, time_decay=0.5, scale=0.1)
    rates = []
    optimizer.register_step_pre_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
    train_epoch(model, optimizer, [batch] * 3)
    assert rates == pytest.approx([0.1, 0.1 / 1.5, 0.1 / 2])
    scheduler.step()
    undecayed = 0.1 / scheduler.constant
    assert scheduler.get_last_lr() == pytest.approx([undecayed / 2.5])
    train_epoch(model, optimizer, [batch] * 2)
    assert rates[3:] == pytest.approx([undecayed / 2.5, undecayed / 3])
    assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]] == pytest.approx([undecayed / 3.5])


def test_parameter_groups_keep_the_ratio_of_their_rates():
    model = small_net()
    batches = batches_for("cross-entropy", [6], 5, 3, 0)
    groups = [{"params": model[0].parameters(), "lr": 0.02}, {"params": model[2].parameters(), "lr": 0.2}]
    optimizer = SGD(groups, lr=0.1, weight_decay=0.1)
    scheduler = LipschitzLR(optimizer, model)
    for _ in range(3):
        train_epoch(model, optimizer, batches)
        scheduler.step()
        backbone, head = scheduler.get_last_lr()
        assert head == pytest.approx(1 / scheduler.constant)  # L is the last layer's, so the rate is too
        assert backbone == pytest.approx(head / 10)
        assert [group["lr"] for group in optimizer.param_groups] == [backbone, head]


def test_a_frozen_group_stays_frozen():
    model = small_net()
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters(), "lr": 0.0}]
    scheduler = LipschitzLR(
        SGD(groups), model, measure="pass", batches=batches_for("cross-entropy", [6], 5, 3, 0)
    )
    assert scheduler.get_last_lr() == [pytest.approx(1 / scheduler.constant), 0.0]


def test_a_rate_that_is_a_tensor_is_written_in_place():
    model = small_net()
    batches = batches_for("cross-entropy", [6], 5, 3, 0)
    lr = torch.tensor(0.1, dtype=torch.float64)
    optimizer = SGD(model.parameters(), lr=lr)
    scheduler = LipschitzLR(optimizer, model, time_decay=0.1)
    train_epoch(model, optimizer, batches)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert float(lr) == pytest.approx(1 / scheduler.constant / 1.1)
    assert float(scheduler.get_last_lr()[0]) == float(lr)
    assert scheduler.get_last_lr()[0] is not lr


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_a_bad_kz_keeps_the_last_good_rate_and_says_so_once(value, caplog):
    model = small_net()
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model[2:], measure="hook")  # its input is what is given
    good = torch.ones(4, 4).double()
    kept = []
    with caplog.at_level(logging.WARNING):
        for A in (good, *[torch.full_like(good, value)] * 3, 2 * good):
            model[2](A).sum()
            optimizer.step()
            scheduler.step()
            kept.append((scheduler.get_last_lr()[0], scheduler.kz, scheduler.rejected))
    # L = (3 − 1)/(3·4)·Kz, Kz = 4 and at last 8.
    assert kept == [(1.5, 4.0, 0), (1.5, 4.0, 1), (1.5, 4.0, 2), (1.5, 4.0, 3), (0.75, 8.0, 3)]
    assert len([record for record in caplog.records if "give no learning rate" in record.message]) == 1


def test_an_epoch_without_training_keeps_the_rate(caplog):
    scheduler, rates = _run(epochs=1)
    with caplog.at_level(logging.WARNING):
        scheduler.step()
    assert scheduler.get_last_lr() == [rates[-1]]
    assert scheduler.rejected == 1
    assert "no training batch was seen" in caplog.text


def test_the_hook_forgets_the_epoch_before():
    model = small_net()
    optimizer = SGD(model.parameters(), lr=0.0)
    big, small = ([(k * torch.ones(4, 5).double(), torch.zeros(4).long())] for k in (100, 1))
    scheduler = LipschitzLR(optimizer, model, scale=1e-9)
    train_epoch(model, optimizer, big)
    scheduler.step()
    large = scheduler.kz
    train_epoch(model, optimizer, small)
    scheduler.step()
    assert scheduler.kz < large / 2


def test_subset_takes_other_batches_every_epoch_and_the_same_for_the_same_seed():
    def kzs(seed):
        torch.manual_seed(0)
        model = small_net()
        optimizer = SGD(model.parameters(), lr=0.0, momentum=0.0)
        x = torch.randn(40, 5).double() * torch.arange(1, 41).double().unsqueeze(1)
        scheduler = LipschitzLR(
            optimizer, model, measure="subset", fraction=0.05, batches=x.split(1), seed=seed, scale=1e-12
        )
        found = [scheduler.kz]
        for _ in range(5):
            optimizer.step()
            scheduler.step()
            found.append(scheduler.kz)
        return found

    assert kzs(0) == kzs(0) != kzs(1)
    assert len(set(kzs(0))) > 1


def test_estimate_seconds_counts_the_passes_of_the_latest_step():
    scheduler, _ = _run(measure="pass", epochs=1)
    assert scheduler.estimate_seconds > 0
    hook, _ = _run(measure="hook", epochs=0)
    assert hook.estimate_seconds == 0.0


def test_batches_may_be_a_function_that_opens_them():
    batches = batches_for("cross-entropy", [6, 6], 5, 3, 0)
    calls = itertools.count()

    def open_batches():
        next(calls)
        return iter(batches)

    model = small_net()
    optimizer = SGD(model.parameters(), lr=0.1)
    opened = LipschitzLR(optimizer, model, measure="pass", batches=open_batches)
    assert opened.kz == LipschitzLR(optimizer, model, measure="pass", batches=batches).kz
    assert next(calls) == 1


def test_a_squared_loss_takes_its_targets_from_the_batches_or_from_their_norm():
    def rate(**options):
        torch.manual_seed(0)
        model = small_net()
        batches = batches_for("mse", [6], 5, 3, 0)
        optimizer = SGD(model.parameters(), lr=0.001)
        scheduler = LipschitzLR(optimizer, model, loss="least-squares", **options)
        train_epoch(model, optimizer, batches, loss_function("least-squares"))
        scheduler.step()
        return scheduler.get_last_lr()[0]

    [(_, y)] = batches_for("mse", [6], 5, 3, 0)
    with_batches = rate(batches=batches_for("mse", [6], 5, 3, 0))
    assert with_batches == pytest.approx(rate(target_norm=float(y.norm())), rel=1e-12)
    assert with_batches < rate(target_norm=0.0)


def test_a_warm_up_hands_over_to_the_measured_rate():
    model = small_net()
    batches = batches_for("cross-entropy", [6, 6], 5, 3, 0)
    optimizer = SGD(model.parameters(), lr=0.1)
    warmup = LinearLR(optimizer, start_factor=0.1, end_factor=1.0, total_iters=3)
    lipschitz = LipschitzLR(optimizer, model)
    chained = SequentialLR(optimizer, [warmup, lipschitz], milestones=[3])
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        train_epoch(model, optimizer, batches)
        chained.step()
        assert chained.get_last_lr() == [optimizer.param_groups[0]["lr"]]
    assert rates[:3] == pytest.approx([0.01, 0.04, 0.07])
    assert rates[3] != pytest.approx(0.1)
    assert rates[3] > 0.5  # what the warm-up's steps measured
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1 / lipschitz.constant)


@pytest.mark.parametrize("measure", ["hook", "pass"])
def test_being_the_first_of_a_sequence_changes_nothing(measure):
    def rates(chain):
        torch.manual_seed(0)
        model = small_net()
        batches = batches_for("cross-entropy", [6, 6], 5, 3, 0)
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.5, dampening=0.5)
        scheduler = LipschitzLR(optimizer, model, measure=measure, batches=batches, scale=0.1)
        if chain:
            later = LinearLR(optimizer, total_iters=2)
            scheduler = SequentialLR(optimizer, [scheduler, later], milestones=[50])
        found = [optimizer.param_groups[0]["lr"]]
        for _ in range(4):
            train_epoch(model, optimizer, batches)
            scheduler.step()
            found.append(optimizer.param_groups[0]["lr"])
        return found

    assert rates(chain=True) == rates(chain=False)
