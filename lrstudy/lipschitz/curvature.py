"""The loss's curvature in all trainable parameters: its largest eigenvalue, and the smoothness of a step.

Both are functions of the weights alone: the batch, the random state (of dropout) and the buffers (of
batch-norm) are the same at each evaluation, and nothing of the model is changed. An ``Objective`` gets a
callable model, which computes with the weights in question, and the batch, and returns the mean loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from lrstudy.lipschitz.head_candidates import unwrapped
from lrstudy.lipschitz.layer_watch import asleep
from lrstudy.lipschitz.norms import wide

Objective = Callable[[Callable[..., Any], Any], Tensor]
"""``objective(model, batch)``: the mean loss of a batch, a scalar."""

ITERATIONS: Final = 20
# Below this share of the largest entry so far a new direction is rounding noise.
_EXHAUSTED: Final = 100


def largest_eigenvalue(
    model: nn.Module,
    objective: Objective,
    batch: Any,
    iterations: int = ITERATIONS,
    *,
    seed: int = 0,
    training: bool = True,
) -> Tensor:
    """Return λ_max, the largest (signed) eigenvalue of the loss's Hessian: a float64 scalar on the CPU.

    2/λ_max is the largest rate at which gradient descent is stable there. See ``extreme_eigenvalues``.
    """
    return extreme_eigenvalues(model, objective, batch, iterations, seed=seed, training=training)[1]


def extreme_eigenvalues(
    model: nn.Module,
    objective: Objective,
    batch: Any,
    iterations: int = ITERATIONS,
    *,
    seed: int = 0,
    training: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest eigenvalue of the Hessian of the loss of one batch.

    The larger of their absolute values is the Hessian's norm. The Hessian is that in all trainable
    parameters, at their present values; a parameter that does not reach the loss has zeros.

    The Lanczos recurrence: power iteration that keeps what all its steps showed, at the same cost, one
    Hessian–vector product an iteration. Its estimates lie within the spectrum and approach both ends, where
    plain power iteration finds the eigenvalue of the largest magnitude only. Without reorthogonalisation
    eigenvalues may repeat, but the extreme ones stay. The start vector is drawn from ``seed``.

    ``training``: as in training, with batch statistics and with the dropout that ``seed`` draws; otherwise as
    in an evaluation. NaN if the loss has a gradient that is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    with undisturbed(model, seed, training=training) as inner, sdpa_kernel(SDPBackend.MATH):
        weights = leaves_of(inner)
        gradient = gradient_of(inner, objective, batch, weights, differentiable=True)
        size = sum(weight.numel() for weight in weights.values())
        like = next(iter(weights.values()), torch.zeros(1))
        start = torch.randn(size, generator=generator, dtype=wide(like)).to(like.device)
        diagonal, beside = _lanczos(_hessian_product(gradient, list(weights.values())), start, iterations)
    if not all(map(torch.isfinite, (*diagonal, *beside))):
        return torch.tensor(torch.nan, dtype=torch.float64), torch.tensor(torch.nan, dtype=torch.float64)
    tridiagonal = torch.diag(torch.stack(diagonal))
    if beside:
        tridiagonal += torch.diag(torch.stack(beside), 1) + torch.diag(torch.stack(beside), -1)
    values = torch.linalg.eigvalsh(tridiagonal)
    return values[0], values[-1]


def step_smoothness(
    model: nn.Module,
    objective: Objective,
    batch: Any,
    rate: float,
    *,
    seed: int = 0,
    training: bool = True,
) -> Tensor:
    """Return ‖∇f(w′) − ∇f(w)‖/‖w′ − w‖ with w′ = w − rate·∇f(w), a step that is not taken: a scalar.

    The smoothness of the loss of one batch along its own gradient step, at most the largest norm of the
    Hessian on the way; the two gradients have the same dropout. NaN if the gradient is zero.
    """
    with undisturbed(model, seed, training=training) as inner:
        weights = leaves_of(inner)
        gradient = gradient_of(inner, objective, batch, weights)
        moved = {
            name: (weight.detach() - rate * part).requires_grad_()
            for (name, weight), part in zip(weights.items(), gradient, strict=True)
        }
        _draw_from(seed, inner)
        change = _distance(gradient_of(inner, objective, batch, moved), gradient)
        way = _distance(list(moved.values()), list(weights.values()))
    return (change / way if way > 0 else torch.full_like(way, torch.nan)).cpu()


@contextmanager
def undisturbed(model: nn.Module, seed: int, *, training: bool) -> Iterator[nn.Module]:
    """Yield the model inside its wrappers in the given mode, with the random state that ``seed`` gives.

    After the block its modes and buffers and the random states are as before. The Lipschitz hooks on it do
    not count the passes in it.
    """
    inner = unwrapped(model)
    modes = [(module, module.training) for module in inner.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in inner.buffers()]
    with ExitStack() as stack:
        stack.enter_context(asleep(inner))
        stack.enter_context(torch.random.fork_rng(_devices_of(inner, "cuda")))
        if _devices_of(inner, "mps"):
            stack.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
        stack.enter_context(torch.enable_grad())
        _draw_from(seed, inner)
        try:
            inner.train(training)
            yield inner
        finally:
            for module, mode in modes:
                module.training = mode
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def _devices_of(model: nn.Module, kind: str) -> list[int]:
    return sorted({p.device.index or 0 for p in model.parameters() if p.device.type == kind})


def _draw_from(seed: int, model: nn.Module) -> None:
    """Seed the CPU's generator and those of the model's devices, and no others."""
    torch.default_generator.manual_seed(seed)
    for device in _devices_of(model, "cuda"):
        torch.cuda.default_generators[device].manual_seed(seed)
    if _devices_of(model, "mps"):
        torch.mps.manual_seed(seed)


def leaves_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the trainable parameters as leaves that share memory with them, without their hooks."""
    return {
        name: parameter.detach().requires_grad_()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def gradient_of(
    model: nn.Module,
    objective: Objective,
    batch: Any,
    weights: Mapping[str, Tensor],
    *,
    differentiable: bool = False,
) -> list[Tensor]:
    """Return the gradient of the loss in ``weights``; writes to copies of the buffers only."""
    tensors = {**weights, **{name: buffer.clone() for name, buffer in model.named_buffers()}}

    def call(*args: Any, **named: Any) -> Any:
        return functional_call(model, tensors, args, named)

    loss = objective(call, batch)
    return list(
        torch.autograd.grad(
            loss,
            list(weights.values()),
            create_graph=differentiable,
            allow_unused=True,
            materialize_grads=True,
        )
    )


def _hessian_product(gradient: Sequence[Tensor], weights: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
    """Return v ↦ Hv for flat vectors, from a gradient with its graph."""
    bent = [number for number, part in enumerate(gradient) if part.requires_grad]

    def product(vector: Tensor) -> Tensor:
        if not bent:  # linear in every parameter
            return torch.zeros_like(vector)
        parts = torch.split(vector, [weight.numel() for weight in weights])
        found = torch.autograd.grad(
            [gradient[number] for number in bent],
            list(weights),
            [parts[number].view_as(gradient[number]).to(gradient[number].dtype) for number in bent],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        return torch.cat([part.reshape(-1).to(vector.dtype) for part in found])

    return product


def _lanczos(
    product: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the diagonal of the symmetric tridiagonal matrix and what is beside it, float64 on the CPU."""
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    vector, previous, length = start / start.norm(), torch.zeros_like(start), torch.zeros_like(start[0])
    for _ in range(min(iterations, start.numel())):
        image = product(vector) - length * previous
        diagonal.append(torch.dot(vector, image).double().cpu())
        image -= torch.dot(vector, image) * vector
        previous, length = vector, image.norm()
        size = max(float(entry.abs()) for entry in (*diagonal, *beside))
        noise = _EXHAUSTED * torch.finfo(start.dtype).eps * size
        if not float(length) > noise or len(diagonal) == min(iterations, start.numel()):
            break
        beside.append(length.double().cpu())
        vector = image / length
    return diagonal, beside


def _distance(ones: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean distance of two points, given tensor by tensor; at least float32."""
    lengths = [
        torch.linalg.vector_norm(one.detach().to(wide(one)) - other.detach().to(wide(other)))
        for one, other in zip(ones, others, strict=True)
    ]
    whole: Tensor = torch.linalg.vector_norm(torch.stack(lengths))
    return whole
