"""What PyTorch expects of a scheduler: states, copies, hooks, and no warning where none is due."""

from __future__ import annotations

import copy
import gc
import io
import json
import pickle
import warnings

import pytest
import torch
from lipschitz_nets import batches_for, fresh_random_state, small_net, train_epoch
from torch import nn
from torch.optim import SGD, Adam, RMSprop
from torch.optim.lr_scheduler import ConstantLR, LinearLR, LRScheduler, SequentialLR

import lrstudy
from lrstudy import LipschitzLR
from lrstudy.errors import SchedulerError

_seeded = pytest.fixture(autouse=True)(fresh_random_state)

BATCHES = batches_for("cross-entropy", [6, 6, 2], 5, 3, 0)
MAKERS = {
    "sgd": lambda p: SGD(p, lr=0.1, weight_decay=0.01),
    "adamo": lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.9),
    "rmsprop": lambda p: RMSprop(p, lr=0.001),
    "adam": lambda p: Adam(p, lr=0.001),
}
VARIANTS = {
    "hook": {},
    "pass": {"measure": "pass", "batches": BATCHES},
    "subset": {"measure": "subset", "batches": BATCHES, "fraction": 0.4},
    "decayed": {"time_decay": 0.1, "bias_correction": True},
    "fixed": {"policy": "fixed"},
    "started": {"initial_lr": 0.05, "max_lr": 0.2},
    "annealed": {"anneal": "cosine", "total_steps": 40, "max_growth": 1.1},
    "network": {"bound": "network", "batches": BATCHES},
    "secant": {"bound": "secant", "batches": BATCHES},
}


def _make(optimizer="sgd", variant="hook", **options):
    torch.manual_seed(1)
    model = small_net()
    made = MAKERS[optimizer](model.parameters())
    return model, made, LipschitzLR(made, model, scale=0.05, **VARIANTS[variant], **options)


def _epochs(model, optimizer, scheduler, count):
    rates = []
    for _ in range(count):
        train_epoch(model, optimizer, BATCHES)
        scheduler.step()
        rates.append(scheduler.get_last_lr())
    return rates


def _plain(value) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or type(value) in (int, float, bool)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("optimizer", MAKERS)
@pytest.mark.parametrize("mid_epoch", [False, True])
def test_a_saved_state_continues_the_same_trajectory(optimizer, variant, mid_epoch):
    model, made, scheduler = _make(optimizer, variant)
    _epochs(model, made, scheduler, 2)
    if mid_epoch:
        train_epoch(model, made, BATCHES[:1])
    saved = json.loads(json.dumps(scheduler.state_dict()))
    assert _plain(scheduler.state_dict())
    weights, optimizer_state = copy.deepcopy(model.state_dict()), copy.deepcopy(made.state_dict())

    def finish(model, made, scheduler):
        train_epoch(model, made, BATCHES[1:] if mid_epoch else BATCHES)
        scheduler.step()
        return [scheduler.get_last_lr(), *_epochs(model, made, scheduler, 2)]

    expected = finish(model, made, scheduler)
    other, other_made, resumed = _make(optimizer, variant)
    other.load_state_dict(weights)
    other_made.load_state_dict(optimizer_state)
    resumed.load_state_dict(saved)
    assert resumed.get_last_lr() == saved["_last_lr"]
    assert resumed.state_dict() == saved
    assert finish(other, other_made, resumed) == expected


def test_a_state_of_something_else_is_refused():
    model, optimizer, scheduler = _make()
    with pytest.raises(SchedulerError, match=r"lacks .*rate"):
        scheduler.load_state_dict(ConstantLR(optimizer).state_dict())
    state = scheduler.state_dict()
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters()}]
    two = LipschitzLR(SGD(groups, lr=0.1), model)
    with pytest.raises(SchedulerError, match="number of parameter groups"):
        two.load_state_dict(state)


def test_the_documented_order_of_calls_gives_no_warning_and_the_wrong_one_does():
    for variant in VARIANTS:
        model, optimizer, scheduler = _make(variant=variant)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _epochs(model, optimizer, scheduler, 3)
    model, optimizer, scheduler = _make()
    with pytest.warns(UserWarning, match="in the opposite order"):
        scheduler.step()


def test_it_is_a_public_torch_scheduler():
    _, optimizer, scheduler = _make()
    assert lrstudy.LipschitzLR is LipschitzLR
    assert isinstance(scheduler, LRScheduler)
    assert scheduler.last_epoch == 0
    assert scheduler.base_lrs == [0.1]
    assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]] == [0.1]
    assert optimizer.param_groups[0]["initial_lr"] == 0.1


def test_asking_for_the_rate_does_not_measure():
    model, optimizer, scheduler = _make()
    train_epoch(model, optimizer, BATCHES)
    before = scheduler.state_dict()
    assert scheduler.get_lr() == scheduler.get_last_lr() == [0.1]
    assert scheduler.state_dict() == before


def test_a_chained_schedule_saves_and_resumes():
    def build():
        torch.manual_seed(1)
        model = small_net()
        optimizer = SGD(model.parameters(), lr=0.1)
        parts = [LinearLR(optimizer, 0.1, total_iters=2), LipschitzLR(optimizer, model, scale=0.05)]
        return model, optimizer, SequentialLR(optimizer, parts, milestones=[2])

    for epochs in (1, 2, 3):
        model, optimizer, chained = build()
        _epochs(model, optimizer, chained, epochs)
        other, other_optimizer, resumed = build()
        other.load_state_dict(copy.deepcopy(model.state_dict()))
        other_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        resumed.load_state_dict(json.loads(json.dumps(chained.state_dict())))
        expected = _epochs(model, optimizer, chained, 3)
        assert _epochs(other, other_optimizer, resumed, 3) == expected


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda whole: pickle.loads(pickle.dumps(whole)),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("epochs", [0, 2])
def test_a_copy_goes_its_own_way(how, variant, epochs):
    model, optimizer, scheduler = _make("adamo", variant)
    _epochs(model, optimizer, scheduler, epochs)
    copied = COPIES[how]((model, optimizer, scheduler))
    assert copied[2].optimizer is copied[1]
    assert len(copied[0][-1]._forward_hooks) == len(model[-1]._forward_hooks)
    before = scheduler.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = _epochs(*copied, 3)
    assert scheduler.state_dict() == before
    assert _epochs(model, optimizer, scheduler, 3) == theirs


def test_a_copied_scheduler_alone_brings_its_own_model():
    model, optimizer, scheduler = _make()
    _epochs(model, optimizer, scheduler, 1)
    alone = copy.deepcopy(scheduler)
    assert alone.optimizer is not optimizer
    assert alone.state_dict() == scheduler.state_dict()


def test_a_copied_or_saved_model_does_not_go_on_measuring():
    model, _, scheduler = _make()
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(model), torch.load(buffer, weights_only=False)):
        train_epoch(other, SGD(other.parameters(), lr=0.1), BATCHES)
        assert scheduler.state_dict()["seen"]["rows"] == 0
        [hook] = other[-1]._forward_hooks.values()
        assert hook.read() == ({"kz": 0.0}, 0)


def test_close_takes_the_hooks_off_and_keeps_the_rate():
    model, optimizer, scheduler = _make(variant="decayed")
    _epochs(model, optimizer, scheduler, 2)
    assert len(model[-1]._forward_hooks) == 1
    rate, steps = scheduler.rate.value, scheduler.state_dict()["steps"]
    scheduler.close()
    scheduler.close()
    assert not model[-1]._forward_hooks
    _epochs(model, optimizer, scheduler, 1)
    assert (scheduler.rate.value, scheduler.state_dict()["steps"]) == (rate, steps)
    assert scheduler.rejected == 0


def test_schedulers_that_are_dropped_leave_no_hooks():
    model, optimizer, scheduler = _make()
    del scheduler
    for _ in range(50):
        for variant in VARIANTS.values():
            LipschitzLR(optimizer, model, **variant)
    gc.collect()
    assert not model[-1]._forward_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_two_schedulers_on_one_model_measure_each_for_itself():
    model, optimizer, scheduler = _make()
    theirs = SGD(model.parameters(), lr=0.1)
    other = LipschitzLR(theirs, model)
    train_epoch(model, theirs, BATCHES)
    assert other.state_dict()["seen"]["rows"] == 6
    assert scheduler.state_dict()["seen"]["rows"] == 0  # no step was its own
    _epochs(model, optimizer, scheduler, 1)
    assert scheduler.state_dict()["seen"]["rows"] == 0
    assert other.state_dict()["seen"]["rows"] == 6
    other.close()
    assert len(model[-1]._forward_hooks) == 1


def test_the_hook_does_not_disturb_the_training():
    results = []
    for scheduled in (True, False):
        torch.manual_seed(1)
        model = small_net(extra=True)
        optimizer = SGD(model.parameters(), lr=0.1)
        scheduler = LipschitzLR(optimizer, model) if scheduled else None
        torch.manual_seed(2)
        train_epoch(model, optimizer, BATCHES)
        results.append((model.state_dict(), torch.get_rng_state()))
        del scheduler
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@pytest.mark.parametrize("variant", ["pass", "subset"])
def test_a_pass_does_not_disturb_the_training(variant):
    results = []
    for scheduled in (True, False):
        torch.manual_seed(1)
        model = small_net(extra=True)
        optimizer = SGD(model.parameters(), lr=0.1)
        if scheduled:
            scheduler = LipschitzLR(optimizer, model, max_lr=1e-30, **VARIANTS[variant])
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        train_epoch(model, optimizer, BATCHES)
        if scheduled:
            scheduler.step()
            optimizer.param_groups[0]["lr"] = 0.1
        train_epoch(model, optimizer, BATCHES)
        results.append((model.state_dict(), torch.get_rng_state()))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@pytest.mark.parametrize("way", ["compiled", "data-parallel", "both-nested"])
def test_wrapped_models_are_measured_like_bare_ones(way):
    def rates(wrap):
        torch._dynamo.reset()
        torch.manual_seed(1)
        model = small_net()
        run = wrap(model)
        optimizer = SGD(model.parameters(), lr=0.1)
        scheduler = LipschitzLR(optimizer, run, head="2" if way != "both-nested" else None, scale=0.1)
        found = []
        for _ in range(2):
            for x, y in BATCHES:
                optimizer.zero_grad()
                nn.functional.cross_entropy(run(x), y).backward()
                optimizer.step()
            scheduler.step()
            found += scheduler.get_last_lr()
        return found

    def compiled(model):
        # Not inductor: the compiler proper is not what is tested, and costs half a minute.
        return torch.compile(model, backend="aot_eager", fullgraph=True)

    wraps = {
        "compiled": compiled,
        "data-parallel": nn.DataParallel,
        "both-nested": lambda model: nn.Sequential(nn.Identity(), nn.DataParallel(nn.Sequential(model))),
    }
    assert rates(wraps[way]) == pytest.approx(rates(lambda model: model), rel=1e-12)


def test_a_compiled_step_is_not_compiled_anew_for_the_hook():
    torch._dynamo.reset()
    model = small_net()
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    run = torch.compile(model, backend=backend, fullgraph=True)
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, run)
    for _ in range(3):
        for x, y in BATCHES[:2]:
            nn.functional.cross_entropy(run(x), y).backward()
            optimizer.step()
        scheduler.step()
    assert scheduler.rejected == 0
    assert scheduler.kz is not None
    assert len(graphs) == 1
