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
        Parameter("max_lr", "float", "Upper limit of the rate, above 0", None, low=0.0, open_low=True),
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
            "paper: its constant; valid: a true gradient bound; smoothness: of a softmax head",
            "paper",
            choices=("paper", "valid", "smoothness"),
        ),
        Parameter(
            "bias_correction", "bool", "Divide the moving averages by 1 − β^t (paper §8.4)", default=False
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
