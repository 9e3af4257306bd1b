"""Decays of recent years: wsd, inverse-sqrt, rex and power, each with its parameters and its source."""

from __future__ import annotations

from typing import Final

from lrstudy.catalog.parameter import Component, Parameter
from lrstudy.catalog.schedule_parameters import LR, WARMUP_FIRST, ratio

_WSD: Final = Component(
    "wsd",
    "Warm-up, stable, decay: lr until the decay at the end of training, which falls to end_ratio·lr.",
    (
        LR,
        Parameter(
            "decay",
            "float",
            "Fraction of the training length that decays, in (0, 1]",
            0.2,
            0.0,
            1.0,
            open_low=True,
        ),
        Parameter(
            "shape",
            "choice",
            "Decay over x from 0 to 1: 1-sqrt (1 − √x), linear, cosine, power ((1 − x)^power)",
            "1-sqrt",
            choices=("1-sqrt", "linear", "cosine", "power"),
        ),
        Parameter("power", "float", "Exponent of the shape power, above 0", 2.0, low=0.0, open_low=True),
        ratio("end_ratio", "Rate after the last step as a fraction of lr, in [0, 1)", 0.0),
        WARMUP_FIRST,
    ),
    "S. Hu et al., MiniCPM, arXiv 2404.06395; shapes: A. Hägele et al., arXiv 2405.18392",
)

_INVERSE_SQRT: Final = Component(
    "inverse-sqrt",
    "lr·√(s/(s + t)) at step t after the warm-up, s = timescale·T.",
    (
        LR,
        Parameter(
            "timescale",
            "float",
            "Fraction of the training length, above 0; equal to warmup: the Transformer's curve",
            0.1,
            low=0.0,
            open_low=True,
        ),
        WARMUP_FIRST,
    ),
    "A. Vaswani et al., Attention Is All You Need, arXiv 1706.03762",
)

_REX: Final = Component(
    "rex",
    "lr·(1 − x)/(1 − beta + beta·(1 − x)) at x = t/T: slow at first, steep at the end.",
    (LR, ratio("beta", "Delay of the decay, in [0, 1); 0 is a straight line", 0.5), WARMUP_FIRST),
    "J. Chen et al., REX: Revisiting Budgeted Training with an Improved Schedule, arXiv 2107.04197",
)

_POWER: Final = Component(
    "power",
    "lr for hold·T steps, then lr·(t/(hold·T))^−exponent, and a line to 0 over the last decay·T steps.",
    (
        LR,
        Parameter(
            "hold",
            "float",
            "Fraction of the training length before the power law, in (0, 1)",
            0.1,
            0.0,
            1.0,
            open_low=True,
            open_high=True,
        ),
        Parameter("exponent", "float", "Exponent of the power law, above 0", 0.51, low=0.0, open_low=True),
        ratio("decay", "Fraction of the training length that falls to 0 at the end, in [0, 1)", 0.1),
        WARMUP_FIRST,
    ),
    "Y. Shen et al., Power Scheduler, arXiv 2408.13359",
)

DECAYS: Final = (_WSD, _INVERSE_SQRT, _REX, _POWER)
