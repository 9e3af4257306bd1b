"""Measuring Kz, S, Ka, λ_max(AᵀA) and w̄: per batch, by a hook in training, or by a pass of its own."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lrstudy.errors import Problem, SchedulerError

POWER_ITERATIONS: Final = 50


def activation_norm(A: Tensor) -> Tensor:
    """‖A‖_F of a batch, whose maximum over the batches is Kz. A: (…, m, h) → (…); at least float32."""
    norm: Tensor = torch.linalg.vector_norm(A, dim=(-2, -1), dtype=_wide(A))
    return norm


def squared_activation_norm(A: Tensor) -> Tensor:
    """‖A∘A‖_F of a batch, whose maximum over the batches is S. A: (…, m, h) → (…); at least float32."""
    norm: Tensor = torch.linalg.vector_norm(A.to(_wide(A)).square(), dim=(-2, -1))
    return norm


def spectral_activation_norm(A: Tensor, iterations: int = POWER_ITERATIONS) -> Tensor:
    """λ_max(AᵀA) of a batch by power iteration. A: (…, m, h) → (…); at least float32.

    The number of iterations is fixed, for a test of convergence would synchronise; the Rayleigh quotient
    approaches λ_max from below.
    """
    A = A.to(_wide(A))
    # Not a constant vector and not orthogonal to one: rectified activations have a positive top vector.
    v = 1 + 0.5 * torch.cos(torch.arange(A.shape[-1], device=A.device, dtype=A.dtype))
    v = v.expand(*A.shape[:-2], -1).unsqueeze(-1)
    for _ in range(iterations):
        v = A.mT @ (A @ v)
        # A batch of zeros has λ_max = 0, not 0/0.
        v = v / torch.linalg.vector_norm(v, dim=-2, keepdim=True).clamp_min(torch.finfo(A.dtype).tiny)
    return (A @ v).square().sum(dim=(-2, -1))


def output_norm(outputs: Tensor) -> Tensor:
    """‖a‖ of a batch's outputs, whose maximum is Ka, or ‖y‖ of its targets. (…, m, n) → (…)."""
    return activation_norm(outputs)


def weight_norm(model: nn.Module, norms: str = "parameters") -> Tensor:
    """w̄, the largest ‖W‖_F over the trainable parameter tensors; a scalar tensor, 0 if there are none.

    ``norms="all"`` counts frozen parameters and floating-point buffers (batch-norm's running statistics)
    too, as the authors' code does: Keras's ``model.weights`` holds them.
    """
    everything = norms == "all"
    tensors: list[Tensor] = [p for p in model.parameters() if p.requires_grad or everything]
    if everything:
        tensors += [b for b in model.buffers() if b.is_floating_point()]
    if not tensors:
        return torch.zeros(())
    device = tensors[0].device
    sizes = [torch.linalg.vector_norm(t.detach(), dtype=_wide(t)).to(device) for t in tensors]
    return torch.stack(sizes).max()


_QUANTITIES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "kz": lambda A, _: activation_norm(A),
    "squares": lambda A, _: squared_activation_norm(A),
    "spectral": lambda A, _: spectral_activation_norm(A),
    "ka": lambda _, outputs: output_norm(outputs),
}


def batch_quantities(names: Sequence[str], A: Tensor, outputs: Tensor) -> Tensor:
    """The named norms of one batch. A: (…, m, h), outputs: (…, m, n) → (…, len(names)).

    Names: kz, squares, spectral, ka. Leading dimensions are lanes of a stacked model.
    """
    return torch.stack(_quantities(names, A, outputs), dim=-1)


def _quantities(names: Sequence[str], A: Tensor, outputs: Tensor) -> list[Tensor]:
    return [_QUANTITIES[name](A, outputs) for name in names]


class Watch:
    """A forward hook of the last linear layer that keeps each quantity's running maximum on the device.

    It never reads a value back, so it does not synchronise; it writes in place and keeps no Python state,
    so that it goes into a compiled or captured step. One row of maxima per device: under ``DataParallel``
    each device sees its part of the batch, in a thread of its own.

    A copy is asleep: a copied model must not go on measuring for a scheduler that it does not have.
    """

    def __init__(self, names: Sequence[str], like: Tensor, *, training_only: bool) -> None:
        self.names = tuple(names)
        self.training_only = training_only
        self.awake = True
        # The last element is m, the rows of the largest batch. Made now, so that a compiled step finds it.
        self.maxima = {like.device: self._zeros(like)}

    def __call__(self, module: nn.Module, args: tuple[Any, ...], outputs: Tensor) -> None:
        """Take one batch; in training only, as set."""
        if not self.awake or (self.training_only and not (module.training and torch.is_grad_enabled())):
            return
        # Any leading dimensions (a sequence's steps) are rows too: the loss is averaged over them all.
        A = args[0].detach()
        A = A.reshape(-1, A.shape[-1])
        if A.device not in self.maxima:
            self.maxima[A.device] = self._zeros(A)
        maxima = self.maxima[A.device]
        found = _quantities(self.names, A, outputs.detach().reshape(-1, outputs.shape[-1]))
        found.append(torch.full((), A.shape[0], device=A.device, dtype=maxima.dtype))
        torch.maximum(maxima, torch.stack(found), out=maxima)  # a NaN stays

    def read(self) -> tuple[dict[str, float], int]:
        """(maxima by name, rows of the largest batch); synchronises. Nothing seen: zeros and 0 rows."""
        parts = [maxima.tolist() for maxima in self.maxima.values()]
        rows = round(sum(part[-1] for part in parts))
        found = {}
        for i, name in enumerate(self.names):
            column = [part[i] for part in parts if part[-1]] or [0.0]
            # ‖A‖² of a batch is the sum over its parts; λ_max(AᵀA) is at most the sum of the parts'.
            found[name] = sum(column) if name == "spectral" else math.hypot(*column)
        return found, rows

    def reset(self) -> None:
        """Forget what was seen, keeping the tensors: a captured step goes on writing to them."""
        for maxima in self.maxima.values():
            maxima.zero_()

    def put(self, found: dict[str, float], rows: int, like: Tensor) -> None:
        """Continue from what ``read`` gave; ``like`` is a tensor on the device to continue on."""
        self.reset()
        maxima = self.maxima.setdefault(like.device, self._zeros(like))
        maxima.copy_(torch.tensor([*(found[name] for name in self.names), rows], dtype=torch.float64))

    def _zeros(self, like: Tensor) -> Tensor:
        return torch.zeros(len(self.names) + 1, device=like.device, dtype=_wide(like))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "awake": False}


@contextmanager
def _undisturbed(model: nn.Module, batches: object) -> Iterator[None]:
    """Evaluation mode without gradients, after which modes and random states are as they were."""
    modes = [(module, module.training) for module in model.modules()]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    owners = (batches, getattr(batches, "sampler", None))
    generators = {
        id(g): (g, g.get_state())
        for g in (getattr(owner, "generator", None) for owner in owners)
        if isinstance(g, torch.Generator)
    }
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - users' augmentations draw from it
    model.eval()
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002 - as above
        for generator, state in generators.values():
            generator.set_state(state)
        for module, training in modes:
            module.training = training


def run_pass(
    model: nn.Module,
    head: nn.Module,
    batches: Iterable[Any],
    names: Sequence[str],
    *,
    fraction: float | None = None,
    seed: int = 0,
) -> tuple[dict[str, float], int]:
    """The named maxima over ``batches`` in evaluation mode, and the rows of the largest batch.

    ``fraction`` takes a random part of the batches, seeded. Model mode, gradients and every random
    state that the pass may draw from (torch's, Python's, numpy's, the loader's own) are restored.
    """
    weight = next(head.parameters())
    watch = Watch(names, weight, training_only=False)
    handle: RemovableHandle = head.register_forward_hook(watch)
    try:
        with _undisturbed(model, batches):
            for batch in _part(batches, fraction, seed):
                model(split_batch(batch)[0].to(weight.device, non_blocking=True))
            return watch.read()
    finally:
        handle.remove()


def largest_target_norm(batches: Iterable[Any], model: nn.Module) -> float | None:
    """‖y‖: the largest norm of the targets of a batch; None if the batches hold no targets."""
    largest: Tensor | None = None
    with _undisturbed(model, batches):
        for batch in batches:
            targets = split_batch(batch)[1]
            if targets is None:
                return None
            norm = torch.linalg.vector_norm(targets.detach().to(_wide(targets)))
            largest = norm if largest is None else torch.maximum(largest, norm)
    return None if largest is None else float(largest)


def split_batch(batch: Any) -> tuple[Tensor, Tensor | None]:
    """(inputs, targets or None) of a batch that is a tensor or a pair."""
    if isinstance(batch, Tensor):
        return batch, None
    if isinstance(batch, list | tuple) and batch and isinstance(batch[0], Tensor):
        return batch[0], (batch[1] if len(batch) > 1 and isinstance(batch[1], Tensor) else None)
    raise SchedulerError(
        Problem(
            "LipschitzLR",
            "batches",
            "gave a batch that is neither a tensor nor an (input, target) pair of tensors",
            "Wrap the loader in a function that gives such pairs.",
            type(batch).__name__,
        )
    )


def _part(batches: Iterable[Any], fraction: float | None, seed: int) -> Iterator[Any]:
    if fraction is None:
        yield from batches
        return
    draw = random.Random(seed)  # noqa: S311 - which batches to look at is no secret
    try:
        total = len(batches)  # type: ignore[arg-type]  # an iterable may have none: that is what is tried
    except TypeError:
        # Length unknown: each batch by itself, but always the first, so that one is seen.
        yield from (batch for i, batch in enumerate(batches) if draw.random() < fraction or i == 0)
        return
    chosen = sorted(draw.sample(range(total), max(1, round(fraction * total)))) if total else []
    if isinstance(batches, Sequence):
        yield from (batches[i] for i in chosen)
        return
    wanted = set(chosen)
    for i, batch in enumerate(batches):
        if i in wanted:
            yield batch
        if i == chosen[-1]:
            return


def _wide(tensor: Tensor) -> torch.dtype:
    """Norms of half-precision activations are taken in float32: squares overflow float16."""
    return torch.promote_types(tensor.dtype, torch.float32)
