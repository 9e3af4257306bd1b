"""The parameters of the stochastic Polyak step."""

from __future__ import annotations

from typing import Final

from lrstudy.catalog.parameter import Component, Parameter
from lrstudy.catalog.schedule_parameters import WARMUP_OVER, rate

POLYAK: Final = Component(
    "polyak",
    "Each step of SGD has the rate (loss − f_star)/(c·‖gradient‖²) of its batch, at most max_lr.",
    (
        rate("max_lr", "Highest rate, above 0; with smoothing only that of the first step"),
        Parameter(
            "c",
            "float",
            "Divisor of the rate, above 0; a momentum β makes steps 1/(1 − β) times as long",
            0.5,
            low=0.0,
            open_low=True,
        ),
        Parameter("f_star", "float", "Lower bound of a batch's loss", 0.0),
        Parameter(
            "smoothing",
            "float",
            "Largest growth of the rate in an epoch, at least 1 (the authors use 2); in place of max_lr",
            None,
            low=1.0,
        ),
        WARMUP_OVER,
    ),
    "N. Loizou et al., Stochastic Polyak Step-size for SGD, arXiv 2002.10542",
    measured=True,
    open_ended=True,
)
