"""What the paper prints and what its scripts set, for the runs whose histories the authors recorded.

Sources: arXiv 1902.07399, its final text and the 2019 text kept with the authors' code; the scripts in
github.com/yrahul3910/adaptive-lr-dnn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Run = tuple[str, str, str, str]  # dataset, model, optimizer, schedule

EPOCHS: Final = 300
# The networks' names in prose.
MODELS: Final = {
    "resnet-20-v1": "ResNet-20",
    "densenet-40-12": "DenseNet-40-12",
    "resnet-164-v2": "ResNet-164",
}
OPTIMIZERS: Final = {"sgd": "SGD", "momentum": "momentum", "rmsprop": "RMSprop"}
DATASETS: Final = {"cifar-10": "CIFAR-10", "cifar-100": "CIFAR-100"}

# Table 1's validation accuracy in percent, where this project has read it in a text of the paper.
PUBLISHED: Final[dict[Run, float]] = {
    ("cifar-10", "resnet-20-v1", "sgd", "baseline"): 60.33,
    ("cifar-10", "resnet-20-v1", "sgd", "fixed"): 87.02,
    ("cifar-10", "resnet-20-v1", "sgd", "adaptive"): 89.37,
    ("cifar-10", "resnet-20-v1", "momentum", "adaptive-1e-2"): 84.71,
    ("cifar-10", "resnet-20-v1", "momentum", "adaptive-1e-3"): 89.27,
    ("cifar-10", "densenet-40-12", "sgd", "adaptive"): 91.34,
    ("cifar-10", "densenet-40-12", "momentum", "baseline"): 85.50,
    ("cifar-10", "densenet-40-12", "momentum", "adaptive"): 92.36,
    ("cifar-100", "resnet-164-v2", "sgd", "adaptive"): 75.99,
}

# Well-tuned step decay in percent, as the networks' papers report it (He et al. 2016; Huang et al. 2017).
TUNED: Final = {
    ("cifar-10", "resnet-20-v1"): 91.25,
    ("cifar-10", "densenet-40-12"): 94.76,
    ("cifar-100", "resnet-164-v2"): 75.67,
}

# The 2019 text says after how many epochs adaptive ResNet-20 passes the fixed rate's best.
CLAIMED_PASS: Final = 65


@dataclass(frozen=True)
class Settings:
    """What a script sets: Keras's ``decay``, steps in an epoch, and the rate where it is not computed.

    ``lr`` is the optimizer's default for the baselines, and the 2019 text's figure for the fixed run.
    """

    decay: float
    steps: int
    lr: float | None


_DEFAULT_LR: Final = {"sgd": 0.01, "momentum": 0.001, "rmsprop": 0.001}


def settings(run: Run) -> Settings:
    """The settings of a run; batches of 128 out of 50,000 images, the last one partial for the ResNets."""
    _, model, optimizer, schedule = run
    decay = 1e-3 if model == "resnet-20-v1" else 1e-4
    if schedule == "adaptive-1e-2":
        decay = 1e-2
    steps = 390 if model.startswith("densenet") else 391
    lr = {"baseline": _DEFAULT_LR[optimizer], "fixed": 0.668}.get(schedule)
    return Settings(decay, steps, lr)


def title(dataset: str, model: str, optimizer: str) -> str:
    """A task in words; names that are not the paper's stay as they are."""
    words = MODELS.get(model, model), OPTIMIZERS.get(optimizer, optimizer), DATASETS.get(dataset, dataset)
    return f"{words[0]}, {words[1]}, {words[2]}"
