"""What the paper's texts and the authors' scripts say of the recorded runs, with the place of each.

The scripts, logs and notebooks are those of github.com/yrahul3910/adaptive-lr-dnn; the texts are arXiv
1902.07399, its final text and the 2019 text kept with the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reexamined.printed import PRINTED, Run

# The networks' names in prose.
MODELS: Final = {
    "paper-cnn": "CNN",
    "resnet-20-v1": "ResNet-20",
    "densenet-40-12": "DenseNet-40-12",
    "resnet-56-v2": "ResNet-56",
    "resnet-164-v2": "ResNet-164",
}
OPTIMIZERS: Final = {"sgd": "SGD", "momentum": "momentum", "rmsprop": "RMSprop", "adam": "Adam"}
DATASETS: Final = {"mnist": "MNIST", "cifar-10": "CIFAR-10", "cifar-100": "CIFAR-100"}

# Well-tuned step decay in percent, as the networks' papers report it (He et al. 2016; Huang et al. 2017).
TUNED: Final = {
    ("cifar-10", "resnet-20-v1"): 91.25,
    ("cifar-10", "densenet-40-12"): 94.76,
    ("cifar-100", "resnet-164-v2"): 75.67,
    ("cifar-100", "densenet-40-12"): 75.58,
}

# The 2019 text says after how many epochs adaptive ResNet-20 (plain SGD) passes the fixed rate's best.
CLAIMED_PASS: Final = 65

# The authors' MNIST run, plain SGD, 20 epochs: logged rates and validation accuracies (MNIST/MNIST.ipynb).
MNIST_RATES: Final = {
    "first": 2.624,
    "second": 2.221,
    "last": 2.338,
    "lowest": 1.933,
    "highest": 2.952,
    "mean": 2.330,
}
MNIST_ACCURACIES: Final = {"first": 0.2391, "second": 0.8995, "best": 0.9950, "last": 0.9934}

# The decay rates of Adam's averages, in the scripts of all Auto-Adam runs.
ADAM_BETAS: Final = (0.9, 0.999)


@dataclass(frozen=True)
class Settings:
    """What a script sets: Keras's ``decay``, steps in an epoch, and the rate where it is not computed.

    ``l2`` is the λ of the term λ·w̄ in L, which every script takes to be its ``decay``; None for a
    baseline.
    """

    decay: float
    steps: int
    lr: float | None
    l2: float | None


# Baselines name no rate: Keras's defaults, and 0.01 in the four ``Momentum/*/Baseline/Momentum.py`` (the
# copy of that class in the adaptive folders has 0.001, which no run uses).
_DEFAULT_LR: Final = {"sgd": 0.01, "momentum": 0.01, "rmsprop": 0.001, "adam": 0.001}
# The rate computed after one epoch: the 2019 text's figure, and
# CIFAR10/Adam/adam-resnet-1e3/Adaptive/README.md.
_FIXED_LR: Final = {"sgd": 0.668, "adam": 0.05}
# Where a run's ``decay`` is not its network's: the folders' scripts and README.md files.
_DECAYS: Final[dict[Run, float]] = {
    ("cifar-10", "resnet-20-v1", "momentum", "adaptive-1e-2"): 1e-2,
    ("cifar-10", "resnet-20-v1", "adam", "fixed"): 1e-4,
    ("cifar-100", "resnet-56-v2", "sgd", "adaptive-history-3e3"): 3e-3,
    ("cifar-100", "densenet-40-12", "adam", "adaptive-1e5"): 1e-5,
}


def settings(run: Run) -> Settings:
    """Return the settings of a run; batches of 128 of 50,000 images, the last one partial for the ResNets."""
    _, model, optimizer, schedule = run
    decay = _DECAYS.get(run, 1e-3 if model == "resnet-20-v1" else 1e-4)
    steps = 390 if model.startswith("densenet") else 391
    if schedule == "baseline":
        return Settings(decay, steps, _DEFAULT_LR.get(optimizer), None)
    return Settings(decay, steps, _FIXED_LR.get(optimizer) if schedule == "fixed" else None, decay)


def contradictions() -> dict[Run, tuple[float, float]]:
    """Return the runs whose printed λ is not the one of their folder, with both."""
    found = {}
    for run, printed in PRINTED.items():
        decay = settings(run).decay
        if printed.l2 is not None and printed.l2 != decay:
            found[run] = (printed.l2, decay)
    return found


def title(dataset: str, model: str, optimizer: str) -> str:
    """A task in words; names that are not the paper's stay as they are."""
    words = MODELS.get(model, model), OPTIMIZERS.get(optimizer, optimizer), DATASETS.get(dataset, dataset)
    return f"{words[0]}, {words[1]}, {words[2]}"


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement that no history shows, with the file that does."""

    text: str
    source: str


FACTS: Final = (
    Fact(
        "The best MNIST number, 99.57% (momentum), is not an adaptive run: its logged rates are those "
        "of a constant L = 6.106 in each of the 19 epochs that compute one. The function that "
        "measures activations belongs to a model made before the one that is trained.",
        "MNIST/MNIST Momentum.ipynb",
    ),
    Fact(
        "MNIST's Auto-Adam run is printed with its best epoch, 99.43% at epoch 9; it falls to 69.6% "
        "at epoch 13 and ends at 87.95%.",
        "MNIST/MNIST_Adam.ipynb",
    ),
    Fact(
        "Auto-Adam on CIFAR-100 with ResNet-164 is missing from the table: an adaptive and a fixed "
        'run were stopped after a few epochs ("performance decreased", "performance stagnated").',
        "CIFAR100/Adam/ResNet164/Adaptive/README.md",
    ),
    Fact(
        "Another Auto-Adam run, DenseNet on CIFAR-100 without λ, was stopped after 75 epochs.",
        "CIFAR100/Adam/DenseNet/Adaptive/Constrained filter size/README.md",
    ),
    Fact(
        "Picked by hand: with momentum K and the first epoch's rate, one number from 0.1, 0.5 and 1; "
        "without it K starts at 0 and the second epoch's rate is 10/L. For Auto-Adam on ResNet-20 K1 "
        "and K2 at the start. With plain SGD on ResNet-20 a rate of 0.001.",
        "the scripts' lr_schedule; CIFAR10/SGD/ResNet20/Adaptive/README.md",
    ),
    Fact(
        "λ in L is the table's weight decay column, the number that the scripts also pass as Keras's "
        "decay. The penalty in the ResNets' loss is another number, l2(1e-4) of Keras, in no script a "
        "part of L.",
        "the scripts' K_ and compile lines",
    ),
    Fact(
        "K2 of the text is c²·max Kz², the code's c²·max ‖A∘A‖: on the untrained MNIST network the "
        "text's rate is 6.5 to 8.8 times the code's (ours, two seeds, batches of 256). The text gives "
        "two more estimates that it rejects, (cKz + λ‖w‖)² and one with λ²w̄².",
        "final text, section on RMSprop and Adam; the scripts' S_",
    ),
    Fact(
        "The DenseNet starts with 24 filters (nb_filter = -1); its batch-norm has momentum 0.99 and ε "
        "= 1.1e-5; its L2 penalty is on the first and the two transition convolutions. No network has "
        "a penalty on the last layer.",
        "densenet.py and cif.py of each DenseNet folder",
    ),
    Fact(
        "Keras's cross-entropy clamps the softmax output to [1e-7, 1 - 1e-7]: a confidently wrong "
        "example then has no gradient.",
        "Keras, categorical_crossentropy",
    ),
    Fact(
        "Validation and test set are one: accuracies are measured, and the best epoch is chosen, on "
        "the test images.",
        "validation_data in the scripts",
    ),
)
