"""Small networks, and a training loop that records what the last layer really saw."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


def fresh_random_state() -> Iterator[None]:
    """As an autouse fixture: every test begins with the same random state, and leaves none behind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


LossFunction = Callable[[Tensor, Tensor], Tensor]


def loss_function(name: str, tau: float = 0.5, delta: float = 1.0) -> LossFunction:
    """Each loss as the method's table defines it, averaged over the rows (and outputs)."""

    def pinball(outputs: Tensor, targets: Tensor) -> Tensor:
        residual = targets - outputs
        return torch.maximum(tau * residual, (tau - 1) * residual).mean()

    return {
        "cross-entropy": nn.functional.cross_entropy,
        "binary-cross-entropy": nn.functional.binary_cross_entropy_with_logits,
        "least-squares": lambda a, y: (a - y).square().sum() / (2 * len(a)),
        "mse": nn.functional.mse_loss,
        "mae": nn.functional.l1_loss,
        "quantile": pinball,
        "huber": lambda a, y: nn.functional.huber_loss(a, y, delta=delta),
    }[name]


def batches_for(
    loss: str, rows: list[int], width: int, outputs: int, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """Random float64 batches with targets that suit the loss."""
    g = torch.Generator().manual_seed(seed)
    batches = []
    for m in rows:
        x = torch.randn(m, width, generator=g, dtype=torch.float64)
        if loss == "cross-entropy":
            y = torch.randint(outputs, (m,), generator=g)
        elif loss == "binary-cross-entropy":
            y = torch.randint(2, (m, outputs), generator=g).double()
        else:
            y = torch.randn(m, outputs, generator=g, dtype=torch.float64)
        batches.append((x, y))
    return batches


@dataclass
class Seen:
    """What passed the last layer in an epoch, as numpy arrays."""

    activations: list[np.ndarray] = field(default_factory=list)
    outputs: list[np.ndarray] = field(default_factory=list)


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: list[tuple[Tensor, Tensor]],
    loss: LossFunction = nn.functional.cross_entropy,
) -> Seen:
    """One epoch of the usual loop."""
    seen = Seen()
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]

    def record(_: nn.Module, args: tuple[Tensor, ...], outputs: Tensor) -> None:
        seen.activations.append(args[0].detach().numpy().copy())
        seen.outputs.append(outputs.detach().numpy().copy())

    model.train()
    with head.register_forward_hook(record):
        for x, y in batches:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    return seen


def small_net(width: int = 5, hidden: int = 4, outputs: int = 3, *, extra: bool = False) -> nn.Sequential:
    """A float64 network with one hidden layer; ``extra`` adds batch-norm and dropout."""
    middle = [nn.BatchNorm1d(hidden), nn.Dropout(0.3)] if extra else []
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), *middle, nn.Linear(hidden, outputs)).double()


# Where Debian's package dataset-fashion-mnist puts the files.
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")


def fashion_images(count: int) -> Tensor:
    """The first training images of Fashion-MNIST, (count, 1, 28, 28), pixels/255."""
    with gzip.open(FASHION_MNIST) as file:
        pixels = np.frombuffer(file.read(16 + count * 784), np.uint8, offset=16)
    return torch.from_numpy(pixels.copy()).reshape(count, 1, 28, 28).float() / 255
