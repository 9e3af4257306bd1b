"""torch's names that are not public do what their wrappers say; these tests fail when a name moves."""

from __future__ import annotations

import copy
import gc
import subprocess
import sys
import warnings
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LRScheduler, SequentialLR, StepLR

from lrstudy.compat import torch as compat
from lrstudy.compat.torch import (
    NESTED_STATES,
    backward_number,
    count_as_stepped,
    default_store,
    foreach_add,
    foreach_add_,
    foreach_mul_,
    foreach_subtract_,
    has_hooks,
    has_step_hooks,
    keep_last_rates,
    load_scheduler_state,
    make_optimizer,
    scheduler_state,
    skip_order_warning,
    skipped_by_scaler,
    starts_now,
    steps_now,
    wrapped_by_compile,
)

KINDS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (Adam, {}),
    (AdamW, {"weight_decay": 0.1}),
    (RMSprop, {"momentum": 0.5}),
]


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor([float(value) for value in values])


def scheduler() -> StepLR:
    return StepLR(SGD([nn.Parameter(torch.ones(1))], lr=0.1), 2)


# -- the backward pass --------------------------------------------------------------------------------


def test_every_backward_pass_has_a_number() -> None:
    seen: list[int] = []
    leaf = torch.ones(2, requires_grad=True)
    leaf.register_hook(lambda _: seen.append(backward_number()))
    for _ in range(2):
        (leaf * 2).sum().backward()
    assert -1 not in seen
    assert len(set(seen)) == 2
    assert backward_number() == -1


def test_without_the_name_all_passes_have_the_same_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch._C, "_current_graph_task_id")
    assert backward_number() == -1


# -- optimizers without the compiler --------------------------------------------------------------------

TRAIN = """
import sys, warnings
import torch
from torch import nn, optim
from torch.optim.lr_scheduler import StepLR
from lrstudy.compat.torch import compiler_loaded, make_optimizer

def train(make, kind, options):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = make(kind, model.parameters(), **options)
    steps = []
    optimizer.register_step_post_hook(lambda *_: steps.append(1))
    scheduler = StepLR(optimizer, 2)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        scheduler.step()
        optimizer.load_state_dict(optimizer.state_dict())
    assert len(steps) == 4
    return optimizer, model.weight.detach()

kinds = [
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}), (optim.Adam, {}), (optim.AdamW, {}), (optim.RMSprop, {})
]
ours = [train(make_optimizer, *kind) for kind in kinds]
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", TRAIN + code], check=True)


def test_an_optimizer_is_made_stepped_and_saved_without_the_compiler() -> None:
    run("assert not compiler_loaded() and 'torch._dynamo' not in sys.modules")


def test_an_instance_computes_what_torchs_own_does_before_and_after_the_compiler_is_loaded() -> None:
    run(
        """
theirs = [train(lambda kind, *args, **options: kind(*args, **options), *kind) for kind in kinds]
assert compiler_loaded(), "torch's own load it: else there is nothing to spare"
for (optimizer, weight), (other, wanted) in zip(ours, theirs, strict=True):
    assert type(optimizer) is type(other)
    assert torch.equal(weight, wanted)
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    optimizer.step()
    assert calls, "a step after the compiler was loaded has lost its hooks"
"""
    )


def test_torchs_classes_stay_as_they_are() -> None:
    run(
        """
import inspect
for kind, options in kinds:
    methods = [getattr(kind, name) for name in ("add_param_group", "zero_grad", "state_dict", "step")]
    for method in methods:
        function = method
        while function is not None:
            source = inspect.getsourcefile(function)
            assert source.startswith(torch.__path__[0]), source
            assert not hasattr(function, "__dynamo_disable"), method
            function = getattr(function, "__wrapped__", None)
"""
    )


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_an_optimizer_is_freed_with_its_last_reference(
    kind: type[Optimizer], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compat, "compiler_loaded", lambda: False)
    optimizer = make_optimizer(kind, [nn.Parameter(torch.ones(1))], **options)
    assert "step" in vars(optimizer)
    reference = weakref.ref(optimizer)
    gc.disable()
    try:
        del optimizer
        assert reference() is None
    finally:
        gc.enable()


def test_a_copied_optimizer_steps_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "compiler_loaded", lambda: False)
    parameter = nn.Parameter(torch.ones(1))
    parameter.grad = torch.ones(1)
    optimizer = make_optimizer(SGD, [parameter], lr=1.0)
    copied = copy.deepcopy(optimizer)
    [other] = copied.param_groups[0]["params"]
    other.grad = torch.ones(1)
    copied.step()
    assert (parameter.item(), other.item()) == (1.0, 0.0)


def test_what_is_no_class_of_optimizers_is_called_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "compiler_loaded", lambda: False)
    optimizer = make_optimizer(partial(SGD, lr=0.5), [nn.Parameter(torch.ones(1))])
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert "step" not in vars(optimizer)


# -- schedulers -----------------------------------------------------------------------------------------


def test_torch_warns_of_an_optimizer_that_did_not_step_unless_it_counts_as_stepped() -> None:
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler().step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counted = scheduler()
        count_as_stepped(counted.optimizer)
        counted.step()
        skipped = scheduler()
        skip_order_warning(skipped)
        skipped.step()


def test_a_scheduler_continues_from_what_torch_keeps_of_it() -> None:
    first, second = scheduler(), scheduler()
    for one in (first, second):
        count_as_stepped(one.optimizer)
    first.step()
    first.step()
    state = scheduler_state(first)
    assert state == {"last_epoch": 2, "_step_count": 3, "_last_lr": [pytest.approx(0.01)], "base_lrs": [0.1]}
    assert state.items() <= first.state_dict().items(), "torch keeps them under other names"
    load_scheduler_state(second, {**state, "other": 1})
    assert scheduler_state(second) == state
    assert not hasattr(second, "other")
    assert second.get_last_lr() == first.get_last_lr()


def test_a_scheduler_tells_its_start_its_steps_and_a_reader_apart() -> None:
    seen: list[tuple[bool, bool]] = []

    class Noting(LRScheduler):
        def get_lr(self) -> list[float | torch.Tensor]:
            seen.append((starts_now(self), steps_now(self)))
            return list(self.base_lrs)

    optimizer = SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    noting = Noting(optimizer)
    count_as_stepped(optimizer)
    noting.step()
    noting.get_lr()
    assert seen == [(True, True), (False, True), (False, False)]
    seen.clear()
    chained = SequentialLR(optimizer, [StepLR(optimizer, 2), Noting(optimizer)], milestones=[2])
    seen.clear()
    count_as_stepped(optimizer)
    chained.step()
    chained.step()
    assert seen == [(False, True)], "at its milestone a scheduler is asked without a step of its own"


def test_a_scheduler_without_torchs_marks_sets_rates_and_starts_at_epoch_0() -> None:
    class Bare:
        last_epoch = 0

    bare: Any = Bare()
    assert steps_now(bare)
    assert starts_now(bare)
    bare.last_epoch = 1
    assert not starts_now(bare)


def test_get_last_lr_returns_the_rates_that_were_kept() -> None:
    for rate in (0.3, torch.tensor(0.3)):
        kept = scheduler()
        kept.optimizer.param_groups[0]["lr"] = rate
        keep_last_rates(kept)
        [found] = kept.get_last_lr()
        assert float(found) == pytest.approx(0.3)
        assert not isinstance(rate, torch.Tensor) or found is not rate


def test_chained_schedulers_keep_their_parts_states_under_the_known_key() -> None:
    optimizer = SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    chained = SequentialLR(optimizer, [StepLR(optimizer, 2), StepLR(optimizer, 3)], milestones=[1])
    assert [part["step_size"] for part in chained.state_dict()[NESTED_STATES]] == [2, 3]


# -- hooks ----------------------------------------------------------------------------------------------


def test_hooks_on_steps_are_seen() -> None:
    for register in ("register_step_pre_hook", "register_step_post_hook"):
        optimizer = SGD([nn.Parameter(torch.ones(1))], lr=0.1)
        assert not has_step_hooks(optimizer)
        handle = getattr(optimizer, register)(lambda *_: None)
        assert has_step_hooks(optimizer), register
        handle.remove()
        assert not has_step_hooks(optimizer)


def test_hooks_on_modules_and_parameters_are_seen() -> None:
    registers = [
        lambda model: model[0].register_forward_hook(lambda *_: None),
        lambda model: model[0].register_forward_pre_hook(lambda *_: None),
        lambda model: model[0].register_full_backward_hook(lambda *_: None),
        lambda model: model[0].register_full_backward_pre_hook(lambda *_: None),
        lambda model: model[0].weight.register_hook(lambda grad: grad),
        lambda model: model[0].weight.register_post_accumulate_grad_hook(lambda _: None),
    ]
    for register in registers:
        model = nn.Sequential(nn.Linear(2, 2))
        assert not has_hooks(model)
        handle = register(model)
        assert has_hooks(model)
        handle.remove()
        assert not has_hooks(model)


def test_a_torch_with_other_names_for_hooks_may_have_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "_MODULE_HOOKS", ("_no_such_hooks",))
    monkeypatch.setattr(compat, "_STEP_HOOKS", ("_no_such_hooks",))
    assert has_hooks(nn.Linear(1, 1))
    assert has_step_hooks(SGD([nn.Parameter(torch.ones(1))], lr=0.1))


# -- models and scalers ---------------------------------------------------------------------------------


def test_the_model_inside_a_compiled_one_is_told() -> None:
    model = nn.Linear(1, 1)
    assert wrapped_by_compile(torch.compile(model)) is model
    assert wrapped_by_compile(model) is None
    assert wrapped_by_compile(nn.Sequential(torch.compile(model))) is None


@pytest.mark.parametrize(("gradient", "skipped"), [(1.0, 0.0), (float("inf"), 1.0)])
def test_a_gradient_scaler_tells_a_fused_optimizer_to_skip(gradient: float, skipped: float) -> None:
    parameter = nn.Parameter(torch.ones(1))
    optimizer = Adam([parameter], fused=True)
    found: list[float] = []
    optimizer.register_step_post_hook(lambda optimizer, *_: found.append(float(skipped_by_scaler(optimizer))))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(parameter.sum() * gradient).backward()
    scaler.step(optimizer)
    assert found == [skipped]
    assert skipped_by_scaler(SGD([parameter], lr=0.1)) is None


def test_the_store_of_a_process_group_is_known(tmp_path: Path) -> None:
    assert default_store() is None
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    try:
        store = default_store()
        assert store is not None
        store.set("key", "value")
        assert store.get("key") == b"value"
    finally:
        dist.destroy_process_group()


# -- several tensors at once ------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_operations_on_several_tensors(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    for name in ("_foreach_add", "_foreach_add_", "_foreach_mul", "_foreach_mul_", "_foreach_sub_"):
        assert hasattr(torch, name), "torch calls it otherwise: the slow fallback is at work"
        if not there:
            monkeypatch.delattr(torch, name)
    targets, others = [numbers(1, 2), numbers(3)], [numbers(10, 20), numbers(30)]
    assert torch.equal(torch.cat(list(foreach_add(targets, others, 0.5))), numbers(6, 12, 18))
    foreach_add_(targets, others, 2.0)
    assert torch.equal(torch.cat(targets), numbers(21, 42, 63))
    foreach_mul_(targets, torch.tensor(2.0))
    assert torch.equal(torch.cat(targets), numbers(42, 84, 126))
    foreach_subtract_(targets, others, torch.tensor(3.0))
    assert torch.equal(torch.cat(targets), numbers(12, 24, 36))
