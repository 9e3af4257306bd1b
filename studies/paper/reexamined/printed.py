"""The validation accuracies that the paper prints: 37 numbers of one run each.

Source: the table of arXiv 1902.07399, its final text, and its section on MNIST. The second number is the
table's "weight decay" column: the λ of the term λ·w̄ in L and of Keras's ``decay``, not a penalty in the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Run = tuple[str, str, str, str]  # dataset, model, optimizer, schedule


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed accuracy, in percent, with the table's λ."""

    percent: float
    l2: float | None


# Runs whose history the authors recorded.
RECORDED: Final[dict[Run, Printed]] = {
    ("cifar-10", "resnet-20-v1", "sgd", "baseline"): Printed(60.33, 1e-3),
    ("cifar-10", "resnet-20-v1", "sgd", "fixed"): Printed(87.02, 1e-3),
    ("cifar-10", "resnet-20-v1", "sgd", "adaptive"): Printed(89.37, 1e-3),
    ("cifar-10", "resnet-20-v1", "momentum", "baseline"): Printed(58.29, 1e-3),
    ("cifar-10", "resnet-20-v1", "momentum", "adaptive-1e-2"): Printed(84.71, 1e-2),
    ("cifar-10", "resnet-20-v1", "momentum", "adaptive-1e-3"): Printed(89.27, 1e-3),
    ("cifar-10", "resnet-20-v1", "rmsprop", "baseline"): Printed(84.92, 1e-3),
    ("cifar-10", "resnet-20-v1", "rmsprop", "adaptive"): Printed(86.66, 1e-3),
    ("cifar-10", "resnet-20-v1", "adam", "baseline"): Printed(84.67, 1e-3),
    ("cifar-10", "resnet-20-v1", "adam", "fixed"): Printed(70.57, 1e-3),
    ("cifar-10", "densenet-40-12", "sgd", "baseline"): Printed(84.84, 1e-4),
    ("cifar-10", "densenet-40-12", "sgd", "adaptive"): Printed(91.34, 1e-4),
    ("cifar-10", "densenet-40-12", "momentum", "baseline"): Printed(85.5, 1e-4),
    ("cifar-10", "densenet-40-12", "momentum", "adaptive"): Printed(92.36, 1e-4),
    ("cifar-10", "densenet-40-12", "adam", "adaptive-1e4"): Printed(88.23, 1e-4),
    ("cifar-100", "resnet-56-v2", "sgd", "adaptive-history-3e3"): Printed(54.29, 1e-3),
    ("cifar-100", "resnet-164-v2", "sgd", "baseline"): Printed(26.96, 1e-4),
    ("cifar-100", "resnet-164-v2", "sgd", "adaptive"): Printed(75.99, 1e-4),
    ("cifar-100", "resnet-164-v2", "momentum", "baseline"): Printed(27.51, 1e-4),
    ("cifar-100", "resnet-164-v2", "momentum", "adaptive"): Printed(75.39, 1e-4),
    ("cifar-100", "resnet-164-v2", "rmsprop", "baseline"): Printed(70.68, 1e-4),
    ("cifar-100", "resnet-164-v2", "rmsprop", "adaptive"): Printed(70.78, 1e-4),
    ("cifar-100", "resnet-164-v2", "adam", "baseline"): Printed(71.96, 1e-4),
    ("cifar-100", "densenet-40-12", "sgd", "baseline"): Printed(50.53, 1e-4),
    ("cifar-100", "densenet-40-12", "sgd", "adaptive-Nonconstrained"): Printed(68.18, 1e-4),
    ("cifar-100", "densenet-40-12", "momentum", "baseline"): Printed(52.28, 1e-4),
    ("cifar-100", "densenet-40-12", "momentum", "adaptive"): Printed(69.18, 1e-4),
    ("cifar-100", "densenet-40-12", "rmsprop", "baseline"): Printed(65.41, 1e-4),
    ("cifar-100", "densenet-40-12", "rmsprop", "adaptive"): Printed(67.3, 1e-4),
    ("cifar-100", "densenet-40-12", "adam", "baseline"): Printed(66.05, 1e-4),
}
# Runs without a history: their logs are notebooks (MNIST) or text files.
UNRECORDED: Final[dict[Run, Printed]] = {
    ("mnist", "paper-cnn", "sgd", "adaptive"): Printed(99.5, None),
    ("mnist", "paper-cnn", "momentum", "adaptive"): Printed(99.57, None),
    ("mnist", "paper-cnn", "adam", "adaptive"): Printed(99.43, None),
    ("cifar-10", "densenet-40-12", "rmsprop", "baseline"): Printed(91.36, 1e-4),
    ("cifar-10", "densenet-40-12", "rmsprop", "adaptive"): Printed(90.14, 1e-4),
    ("cifar-10", "densenet-40-12", "adam", "baseline"): Printed(91.38, 1e-4),
    ("cifar-100", "densenet-40-12", "adam", "adaptive-Unconstrained"): Printed(40.14, 1e-4),
}

PRINTED: Final = {**RECORDED, **UNRECORDED}
