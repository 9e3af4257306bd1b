"""The claims in the paper's order, each with the functions that word its evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from claims import recorded, rulings, sweeps
from claims.evidence import Evidence
from claims.sweeps import Sweeps


@dataclass(frozen=True)
class Claim:
    """A claim: its title, what the paper says, what words the rest, and the awaited reports."""

    title: str
    says: str
    recorded: Callable[[dict[str, Any]], str]
    measured: Callable[[Evidence], list[str]]
    so: Callable[[Evidence], str]
    awaits: tuple[str, ...]
    sweeps: Callable[[Sweeps], list[str]] = sweeps.none
    figure: str = ""  # of a kept study: "study: what it shows"


CLAIMS: Final = (
    Claim(
        "Large rates train",
        "1/L is far above the usual 0.01 or 0.001 (on MNIST 2.6 in the first epoch), and networks train.",
        recorded.large_rates,
        rulings.large_rates,
        rulings.large_rates_so,
        ("paper-mnist-sgd", "cifar10-small"),
        sweeps.first_rates,
    ),
    Claim(
        "The rate decays by itself",
        "L grows as activations do, so that the computed rate falls during training as a schedule would.",
        recorded.decay,
        rulings.decay,
        rulings.decay_so,
        ("paper-mnist-sgd", "controls-*"),
        figure="paper-mnist-sgd: The rate and Kz of the paper's MNIST run beside ours",
    ),
    Claim(
        "Nothing to tune",
        "The inverse of the Lipschitz constant is an ideal learning rate: it is computed, not searched.",
        recorded.tuning,
        rulings.tuning,
        rulings.tuning_so,
        ("mnist-10k", "cifar10-small"),
        sweeps.follows,
    ),
    Claim(
        "Faster than fixed",
        (
            "Compared to standard choices of learning rates it converges faster and yields better results, "
            "and a rate that is recomputed in every epoch is better than one that is computed once."
        ),
        recorded.faster,
        rulings.faster,
        rulings.faster_so,
        ("paper-mnist-sgd", "mnist-10k", "cifar10-small", "controls-*"),
        sweeps.recomputing,
    ),
    Claim(
        "Works for each optimizer and loss",
        (
            "It has rules for SGD, momentum (AdaMo), RMSprop and Adam (Auto-Adam), and constants for softmax "
            "and binary cross-entropy and least squares; its sibling adds absolute and quantile losses."
        ),
        recorded.each_optimizer,
        rulings.each_optimizer,
        rulings.each_optimizer_so,
        ("optimizer-*", "loss-*"),
    ),
    Claim(
        "Needs only the last layer",
        "The largest gradient is the last layer's, so that a bound on it bounds them all.",
        recorded.last_layer,
        rulings.last_layer,
        rulings.last_layer_so,
        ("controls-*",),
        sweeps.whole_network,
    ),
)
