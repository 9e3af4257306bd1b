"""Every data set, model, loss, optimizer and normalisation that a study file can name."""

from __future__ import annotations

from typing import Final

from lrstudy.catalog.parameter import Component, Parameter, by_name, fraction

_KERAS: Final = "the Keras team's CIFAR-10 ResNet example"
_RESNET: Final = f"K. He et al., arXiv 1512.03385 (v1) and 1603.05027 (v2); topology of {_KERAS}"
_PAPER: Final = "R. Yedida, S. Saha and T. Prashanth, LipschitzLR, arXiv 1902.07399"


def _positive(name: str, doc: str, default: float) -> Parameter:
    return Parameter(name, "float", f"{doc}, above 0", default, low=0.0, open_low=True, tunable=False)


def _switch(name: str, doc: str) -> Parameter:
    return Parameter(name, "bool", doc, default=False, tunable=False)


DATASETS: Final = by_name(
    Component(
        "digits", "1,797 images of handwritten digits, 8×8, values 0 to 16, 10 classes.", (), "scikit-learn"
    ),
    Component("iris", "150 flowers, 4 measurements, 3 classes.", (), "scikit-learn"),
    Component("wine", "178 wines, 13 measurements, 3 classes.", (), "scikit-learn"),
    Component("breast-cancer", "569 tumours, 30 measurements, 2 classes.", (), "scikit-learn"),
    Component("diabetes", "442 patients, 10 measurements; the target is a number.", (), "scikit-learn"),
    Component("mnist", "70,000 images of handwritten digits, 28×28, 10 classes.", (), "torchvision"),
    Component("fashion-mnist", "70,000 images of clothes, 28×28, 10 classes.", (), "torchvision"),
    Component("cifar10", "60,000 colour images, 32×32, 10 classes.", (), "torchvision"),
    Component("cifar100", "60,000 colour images, 32×32, 100 classes.", (), "torchvision"),
)

STREAMED: Final = by_name(
    Component(
        "image-folder",
        "Pictures in a folder per class, under train, validation and test or without; read batch by batch.",
        (
            Parameter("root", "text", "The folder", tunable=False),
            Parameter("size", "int", "Width and height that pictures are scaled to, at least 1", 64, low=1),
            _switch("grey", "Convert to grey"),
        ),
        "torchvision",
    ),
    Component(
        "tokens",
        "Files of uint16 tokens, cut into blocks; the targets are the next tokens. Read batch by batch.",
        (
            Parameter("train", "text", "The file of the training tokens", tunable=False),
            Parameter("validation", "text", "That of the validation tokens", None, tunable=False),
            Parameter("test", "text", "That of the test tokens", None, tunable=False),
            Parameter("block", "int", "Tokens in a row, at least 1", 128, low=1, tunable=False),
            Parameter("vocabulary", "int", "Number of different tokens", None, low=2, tunable=False),
            Parameter("root", "text", "The folder of the files", None, tunable=False),
        ),
        "nanoGPT's format",
    ),
)
"""Data sets whose rows are read batch by batch."""

_WIDTHS: Final = Parameter(
    "widths", "ints", "Units of each hidden layer, at least 1", (128,), low=1, tunable=False
)
_BATCH_NORM: Final = Parameter(
    "batch_norm",
    "choice",
    "Batch-norm after the ReLU of no hidden layer, the last or all: none, last, all",
    "none",
    choices=("none", "last", "all"),
    tunable=False,
)

MODELS: Final = by_name(
    Component("softmax-regression", "One linear layer, one output per class."),
    Component("logistic-regression", "One linear layer; with binary cross-entropy a single output."),
    Component("linear-regression", "One linear layer, one output per target."),
    Component(
        "mlp",
        "Linear layers with ReLU between them.",
        (_WIDTHS, _BATCH_NORM, fraction("dropout", "Dropout after each hidden layer, in [0, 1)", 0.0)),
    ),
    Component(
        "paper-cnn",
        "The paper's MNIST network: five convolutions and 128 units, 730,346 parameters on 28×28.",
        (),
        _PAPER,
    ),
    Component("resnet-8-v1", "Residual network, 8 layers, version 1.", (), _RESNET),
    Component("resnet-20-v1", "Residual network, 20 layers, version 1.", (), _RESNET),
    Component("resnet-56-v2", "Residual network, 56 layers, version 2.", (), _RESNET),
    Component("resnet-164-v2", "Residual network, 164 layers, version 2.", (), _RESNET),
    Component(
        "densenet-40-12",
        "Densely connected network, 40 layers, growth rate 12, without bottlenecks or compression.",
        (
            fraction("dropout", "Dropout after each convolution, in [0, 1)", 0.0),
            Parameter(
                "version",
                "choice",
                "paper: 16 filters at first; authors: 24, and Keras's batch-norm, as LipschitzLR's scripts",
                "paper",
                choices=("paper", "authors"),
                tunable=False,
            ),
        ),
        "G. Huang et al., arXiv 1608.06993",
    ),
)

TORCHVISION: Final = "torchvision:"
"""What a model's name begins with that ``torchvision.models`` builds: ``torchvision:resnet18``."""

LOSSES: Final = by_name(
    Component(
        "cross-entropy",
        "Softmax cross-entropy.",
        (
            fraction(
                "label_smoothing", "Share of a label that training spreads over all classes, in [0, 1)", 0.0
            ),
        ),
    ),
    Component(
        "clipped-cross-entropy",
        "Keras's softmax cross-entropy: probabilities clamped, no gradient where they were.",
        (
            Parameter(
                "epsilon",
                "float",
                "Probabilities are clamped to [epsilon, 1 - epsilon]; above 0, below 0.5",
                1e-7,
                0.0,
                0.5,
                open_low=True,
                open_high=True,
                tunable=False,
            ),
        ),
        "Keras, categorical_crossentropy",
    ),
    Component(
        "binary-cross-entropy", "Sigmoid cross-entropy: one output for two classes, else one per class."
    ),
    Component("least-squares", "‖a − y‖²/(2m), summed over the targets of a row.", (), _PAPER),
    Component("mse", "Mean squared error over rows and targets."),
    Component("mae", "Mean absolute error over rows and targets.", (), "LALR, arXiv 2006.13307"),
    Component(
        "quantile",
        "The pinball loss.",
        (fraction("tau", "The quantile τ, in (0, 1)", 0.5, open_low=True),),
        "LALR, arXiv 2006.13307",
    ),
    Component(
        "huber", "Huber's loss.", (_positive("delta", "Threshold δ between its square and its line", 1.0),)
    ),
)
CLASSIFICATION_LOSSES: Final = frozenset({"cross-entropy", "clipped-cross-entropy", "binary-cross-entropy"})

_DECAY: Final = (
    Parameter(
        "weight_decay", "float", "L2 coefficient λ of (λ/2)‖w‖², at least 0", 0.0, low=0.0, tunable=False
    ),
    Parameter(
        "weight_decay_on",
        "choice",
        "What decays: all parameters, or kernels (no biases, no batch-norm): all, kernels",
        "all",
        choices=("all", "kernels"),
        tunable=False,
    ),
)


def _lr(default: float) -> Parameter:
    return _positive("lr", "Rate until a schedule sets one", default)


_ADAM: Final = (
    _lr(1e-3),
    fraction("beta1", "Decay of the gradients' average, in [0, 1)", 0.9),
    fraction("beta2", "Decay of the squared gradients' average, in [0, 1)", 0.999),
    _positive("eps", "Added to the denominator", 1e-8),
    _switch("amsgrad", "Use the largest second moment so far"),
)

OPTIMIZERS: Final = by_name(
    Component(
        "sgd",
        "Stochastic gradient descent.",
        (
            _lr(0.1),
            fraction("momentum", "Momentum β, in [0, 1)", 0.0),
            Parameter(
                "dampening",
                "float",
                "Dampening of the momentum, from 0 to 1; equal to it for the paper's averaged form",
                0.0,
                0.0,
                1.0,
                tunable=False,
            ),
            _switch("nesterov", "Nesterov momentum"),
            *_DECAY,
        ),
    ),
    Component(
        "rmsprop",
        "RMSprop.",
        (
            _lr(1e-3),
            fraction("alpha", "Decay of the squared gradients' average, in [0, 1)", 0.9),
            _positive("eps", "Added to the denominator", 1e-8),
            fraction("momentum", "Momentum, in [0, 1)", 0.0),
            _switch("centered", "Divide by the standard deviation"),
            *_DECAY,
        ),
    ),
    Component("adam", "Adam.", (*_ADAM, *_DECAY), "D. Kingma and J. Ba, arXiv 1412.6980"),
    Component(
        "adamw",
        "Adam with decoupled weight decay.",
        (*_ADAM, *_DECAY),
        "I. Loshchilov and F. Hutter, arXiv 1711.05101",
    ),
)

NORMALIZATIONS: Final = by_name(
    Component("none", "The values as they are."),
    Component("scale", "Divided by the full scale: 255 for 8-bit images, else the largest magnitude."),
    Component("standardize", "Mean 0 and deviation 1 per feature, for images per channel."),
    Component("per-pixel-mean", "Divided by the full scale, then each pixel's mean removed.", (), _PAPER),
    Component("sum-to-one", "Each feature scaled so that it sums to 1 over the training split.", (), _PAPER),
)
