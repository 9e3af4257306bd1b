"""Names of torch that are not public, and torch's optimizers without an import of torch's compiler.

Checked with torch 2.8 to 2.14. Each function names the upstream file that it mirrors and what happens where
the name is missing; ``tests/compat`` fails when the installed torch no longer has it.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LRScheduler

AnyOptimizer = TypeVar("AnyOptimizer", bound=Optimizer)

# The module that torch.compile loads: more than a second of CPU time and 150 MB.
_COMPILER: Final = "torch._dynamo"
# The methods of every optimizer that torch keeps from being compiled.
_SPARED: Final = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
# The optimizers of torch whose step imports the compiler.
_STEPPED: Final = (SGD, Adam, AdamW, RMSprop)
_MODULE_HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_PARAMETER_HOOKS: Final = ("_backward_hooks", "_post_accumulate_grad_hooks")
_STEP_HOOKS: Final = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
_SCHEDULER_STATE: Final = ("last_epoch", "_step_count", "_last_lr", "base_lrs")
_WRAPPED_BY_COMPILE: Final = "_orig_mod"

BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""The kinds of batch-norm, the lazy ones among them; their common class is not public."""

NESTED_STATES: Final = "_schedulers"
"""The key under which ``SequentialLR`` and ``ChainedScheduler`` keep the states of their parts.

``torch/optim/lr_scheduler.py``. Where torch renames it, a chained scheduler's state that is not plain data is
refused instead of being saved without its constants.
"""


def compiler_loaded() -> bool:
    """Return True if torch's compiler is loaded in this process; without it nothing is compiled.

    ``torch/_dynamo/__init__.py``. Where it is renamed, a loaded compiler is taken for one that is not.
    """
    return _COMPILER in sys.modules


def make_optimizer(kind: Callable[..., AnyOptimizer], *args: Any, **options: Any) -> AnyOptimizer:
    """Return ``kind(*args, **options)``, an optimizer that does not load torch's compiler.

    ``torch/_compile.py`` and ``torch/optim/optimizer.py`` keep some methods of every optimizer, and the steps
    of torch's own, from being compiled, and load the compiler for that in each process: 1.2 s of CPU time and
    more than the rest of a small trial. Nothing here compiles an optimizer, so this one instance gets the
    methods below torch's wrappers; torch's classes stay as they are, and a copy has the classes' methods.
    Once the compiler is loaded, or where ``kind`` is no class or torch has no such wrapper, nothing is done.
    """
    if compiler_loaded() or not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        return kind(*args, **options)
    optimizer: Any = kind.__new__(kind)
    for name in _SPARED:
        method, plain = getattr(kind, name), inspect.unwrap(getattr(kind, name))
        if method is getattr(Optimizer, name) and plain is not method:
            setattr(optimizer, name, _method(optimizer, plain))
    if kind in _STEPPED and not options.get("differentiable"):
        plain = inspect.unwrap(kind.step)
        if plain is not kind.step:
            # torch's own wrapper calls the step hooks and marks the step for the profiler.
            step = Optimizer.profile_hook_step(_without_gradients(plain))
            optimizer.step = _method(optimizer, step)
    optimizer.__init__(*args, **options)
    made: AnyOptimizer = optimizer
    return made


def _without_gradients(step: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(step)
    def plain(self: Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        with torch.no_grad():
            return step(self, closure)

    return plain


def _method(optimizer: Optimizer, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``plain`` bound to an optimizer; once the compiler is loaded it calls the class's own method."""
    # A strong reference would keep the optimizer's memory until the next garbage collection.
    reference = weakref.ref(optimizer)

    def choose(self: Optimizer, *args: Any, **named: Any) -> Any:
        chosen = getattr(type(self), plain.__name__) if compiler_loaded() else plain
        return chosen(self, *args, **named)

    @wraps(plain)
    def method(*args: Any, **named: Any) -> Any:
        return choose(_alive(reference), *args, **named)

    # torch's schedulers take the function of a bound method, to track its calls.
    bound: Any = method
    bound.__func__ = choose
    return method


def _alive(reference: weakref.ref[Optimizer]) -> Optimizer:
    optimizer = reference()
    assert optimizer is not None, "the optimizer of this method was deleted"
    return optimizer


def count_as_stepped(optimizer: Optimizer) -> None:
    """Let torch's schedulers take an optimizer for one that has stepped: they warn of one that never did.

    ``torch/optim/lr_scheduler.py``, where a step sets this. Where it is renamed, torch warns once per trial.
    """
    optimizer._opt_called = True  # type: ignore[attr-defined]  # noqa: SLF001


def steps_now(scheduler: LRScheduler) -> bool:
    """Return True if torch asks for a scheduler's rates to set them, not a user to read them.

    ``torch/optim/lr_scheduler.py``. A ``step`` of the subclass does not see all of them: at a milestone
    ``SequentialLR`` sets the rates without it. Where the name is missing, the answer is True.
    """
    return bool(getattr(scheduler, "_get_lr_called_within_step", True))


def starts_now(scheduler: LRScheduler) -> bool:
    """Return True if torch is setting a scheduler's first rates, before any training.

    ``torch/optim/lr_scheduler.py``; ``SequentialLR`` does it once more for its first part. Where the name is
    missing, epoch 0 counts as the start.
    """
    return bool(getattr(scheduler, "_is_initial", scheduler.last_epoch <= 0))


def skip_order_warning(scheduler: LRScheduler) -> None:
    """Keep a copied scheduler from warning that its optimizer, a copy too, has not stepped.

    ``torch/optim/lr_scheduler.py`` looks for that at the first ``step()`` alone. Where its count of them is
    renamed, torch warns.
    """
    scheduler._step_count = max(getattr(scheduler, "_step_count", 0), 2)  # noqa: SLF001


def scheduler_state(scheduler: LRScheduler) -> dict[str, Any]:
    """Return what torch itself keeps of a scheduler: plain numbers and lists of them.

    ``torch/optim/lr_scheduler.py``. Where torch renames one, its key is missing.
    """
    state = {name: getattr(scheduler, name) for name in _SCHEDULER_STATE if hasattr(scheduler, name)}
    return {
        key: [float(rate) for rate in value] if isinstance(value, list) else value
        for key, value in state.items()
    }


def load_scheduler_state(scheduler: LRScheduler, state: Mapping[str, Any]) -> None:
    """Continue from what ``scheduler_state`` returned; other keys of ``state`` are left alone."""
    for name in _SCHEDULER_STATE:
        if name in state:
            value = state[name]
            setattr(scheduler, name, list(value) if isinstance(value, list) else value)


def keep_last_rates(scheduler: LRScheduler) -> None:
    """Let ``get_last_lr`` return the rates that the optimizer has now.

    ``torch/optim/lr_scheduler.py``, which does this at the end of a ``step()`` alone. Where the attribute is
    renamed, ``get_last_lr`` returns the rates of the last ``step()``.
    """
    rates = [group["lr"] for group in scheduler.optimizer.param_groups]
    scheduler._last_lr = [rate.clone() if isinstance(rate, Tensor) else rate for rate in rates]  # noqa: SLF001


def has_step_hooks(optimizer: Optimizer) -> bool:
    """Return True if anything is hooked onto an optimizer's steps.

    ``torch/optim/optimizer.py``. Where a name is missing, the answer is True: a step is then never captured.
    """
    return any(getattr(optimizer, name, True) for name in _STEP_HOOKS)


def has_hooks(model: nn.Module) -> bool:
    """Return True if anything is hooked onto a model's modules or parameters.

    ``torch/nn/modules/module.py`` and ``torch/_tensor.py``. Where a name is missing, the answer is True: the
    model is then trained by itself, and no other trial uses its captured step.
    """
    return any(getattr(module, name, True) for module in model.modules() for name in _MODULE_HOOKS) or any(
        getattr(parameter, name, True) for parameter in model.parameters() for name in _PARAMETER_HOOKS
    )


def wrapped_by_compile(model: nn.Module) -> nn.Module | None:
    """Return the module inside a model that ``torch.compile`` returned; None for any other module.

    ``torch/_dynamo/eval_frame.py``. Where it is renamed, a compiled model counts as a model of one part.
    """
    return dict(model.named_children()).get(_WRAPPED_BY_COMPILE)


def skipped_by_scaler(optimizer: Optimizer) -> Tensor | None:
    """Return a fused optimizer's mark to skip its step (not 0: skip); None without a gradient scaler.

    ``torch/amp/grad_scaler.py`` leaves it on the optimizer for the step. Where it is renamed, a step that the
    scaler skipped counts as a step.
    """
    found: Tensor | None = getattr(optimizer, "found_inf", None)
    return found


def backward_number() -> int:
    """Return the number of the backward pass that runs in this thread, -1 outside of one.

    ``torch/csrc/autograd/init.cpp`` names it for ``torch/autograd/graph.py``, whose hooks tell passes apart
    by it. Where the name is missing, all have the same number: a forward pass of which only the inputs'
    gradient is taken then counts as a part of the next step.
    """
    number = getattr(torch._C, "_current_graph_task_id", None)  # noqa: SLF001
    return -1 if number is None else int(number())


def default_store() -> Any:
    """Return the key-value store of torch's default process group, None without one.

    ``torch/distributed/distributed_c10d.py``. Where it is renamed, ranks that report at different steps wait
    for each other until a limit ends their trial.
    """
    found = getattr(sys.modules.get("torch.distributed.distributed_c10d"), "_get_default_store", None)
    try:
        return None if found is None else found()
    except ValueError:  # there is no process group
        return None


# torch's own optimizers use these: one operation on many tensors, in a few kernels. There is no public name.
# torch/_torch_docs.py lists them; where one is missing, it is done tensor by tensor, with the same result.


def foreach_add(tensors: Sequence[Tensor], others: Sequence[Tensor], alpha: float) -> Sequence[Tensor]:
    """Return tensors + alpha·others."""
    together = getattr(torch, "_foreach_add", None)
    if together is None:
        return [torch.add(one, other, alpha=alpha) for one, other in zip(tensors, others, strict=True)]
    found: Sequence[Tensor] = together(tensors, others, alpha=alpha)
    return found


def foreach_add_(tensors: Sequence[Tensor], others: Sequence[Tensor], alpha: float) -> None:
    """Add alpha·others to tensors, in place."""
    together = getattr(torch, "_foreach_add_", None)
    if together is not None:
        together(tensors, others, alpha=alpha)
        return
    for one, other in zip(tensors, others, strict=True):
        one.add_(other, alpha=alpha)


def foreach_mul_(tensors: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply tensors by ``factor``, in place; it is read from its device when the kernel runs."""
    together = getattr(torch, "_foreach_mul_", None)
    if together is not None:
        together(tensors, factor)
        return
    for one in tensors:
        one.mul_(factor)


def foreach_subtract_(targets: Sequence[Tensor], sources: Sequence[Tensor], factor: Tensor) -> None:
    """Subtract factor·sources from targets, in place; the product is rounded before."""
    multiply, subtract = getattr(torch, "_foreach_mul", None), getattr(torch, "_foreach_sub_", None)
    if multiply is not None and subtract is not None:
        subtract(targets, multiply(sources, factor))
        return
    for target, source in zip(targets, sources, strict=True):
        target.sub_(source * factor)
