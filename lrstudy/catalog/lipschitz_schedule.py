"""The parameters of the adaptive Lipschitz rate."""

from __future__ import annotations

from typing import Final

from lrstudy.catalog.parameter import Component, Parameter
from lrstudy.catalog.schedule_parameters import WARMUP_OVER

_LIPSCHITZ = "R. Yedida, S. Saha and T. Prashanth, LipschitzLR, arXiv 1902.07399"

LIPSCHITZ_LR: Final = Component(
    "lipschitz",
    "Each epoch's rate is computed from the loss's Lipschitz constant, as measured on the network.",
    (
        Parameter(
            "initial_lr",
            "float",
            "Rate until the first measurement, above 0; with momentum also the average's start (AdaMo's x)",
            None,
            low=0.0,
            open_low=True,
        ),
        Parameter("scale", "float", "Factor on the computed rate, above 0", 1.0, low=0.0, open_low=True),
        Parameter(
            "measure",
            "choice",
            "hook: on the training steps; pass: on an extra pass over the training set; subset: on a part",
            "hook",
            choices=("hook", "pass", "subset"),
        ),
        Parameter(
            "fraction",
            "float",
            "Part of the batches that subset takes, in (0, 1]",
            0.1,
            0.0,
            1.0,
            open_low=True,
        ),
        Parameter(
            "policy",
            "choice",
            "adaptive: a new rate every epoch; fixed: the first computed rate is kept",
            "adaptive",
            choices=("adaptive", "fixed"),
        ),
        Parameter(
            "time_decay", "float", "Keras's decay: rate/(1 + time_decay·step), at least 0", 0.0, low=0.0
        ),
        Parameter(
            "anneal",
            "choice",
            "Factor on the computed rate over the training: none; keras: as time_decay, by default"
            " 117.3/(steps of the training); cosine, linear: to 0 at the end",
            "none",
            choices=("none", "keras", "cosine", "linear"),
        ),
        Parameter("max_lr", "float", "Upper limit of the rate, above 0", None, low=0.0, open_low=True),
        Parameter(
            "max_growth",
            "float",
            "Upper limit of the ratio of an epoch's rate to the previous one's, above 0",
            None,
            low=0.0,
            open_low=True,
        ),
        Parameter(
            "cap",
            "choice",
            "last-good: after an epoch whose training loss did not fall, at most the rate of the last one"
            " whose loss did",
            "none",
            choices=("none", "last-good"),
        ),
        Parameter(
            "norms",
            "choice",
            "parameters: trainable tensors; all: also batch-norm statistics (the authors' code)",
            "parameters",
            choices=("parameters", "all"),
        ),
        Parameter(
            "bound",
            "choice",
            "paper: its constant; valid: a true gradient bound; smoothness: of a softmax head; network:"
            " largest eigenvalue of the whole network's Hessian, on a batch; secant: smoothness along a"
            " batch's own step",
            "paper",
            choices=("paper", "valid", "smoothness", "network", "secant"),
        ),
        Parameter(
            "bias_correction", "bool", "Divide the moving averages by 1 − β^t (paper §8.4)", default=False
        ),
        Parameter(
            "initial_k",
            "float",
            "Start of K, AdaMo's average, at least 0; initial_lr or, without it, the first constant if not"
            " given",
            None,
            low=0.0,
        ),
        *(
            Parameter(
                name,
                "float",
                f"Start of {symbol}, Auto-Adam's and RMSprop's average, at least 0",
                0.0,
                low=0.0,
            )
            for name, symbol in (("initial_k1", "K1"), ("initial_k2", "K2"))
        ),
        Parameter(
            "squares",
            "choice",
            "The squares in K2: coded: max ‖A∘A‖ (the authors' code); written: max Kz² (their text)",
            "coded",
            choices=("coded", "written"),
        ),
        Parameter(
            "rule",
            "choice",
            "Rule from constant to rate; taken from the optimizer if not given",
            None,
            choices=("sgd", "adamo", "rmsprop", "rmsprop-paper", "auto-adam"),
        ),
        Parameter(
            "l2",
            "float",
            "L2 coefficient, at least 0; the optimizer's weight_decay if not given",
            None,
            low=0.0,
        ),
        Parameter("head", "text", "Name of the last linear layer; detected by default", None, tunable=False),
        WARMUP_OVER,
    ),
    _LIPSCHITZ,
    measured=True,
    open_ended=True,
    tuning_free=True,
)
