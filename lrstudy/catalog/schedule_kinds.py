"""Every built-in learning-rate schedule with its parameters, as data. Standard library only.

One training step is the unit of every curve: fractions are fractions of the training length in steps.
Where a schedule's own rate (``lr``, ``max_lr``) is not given, the optimizer's ``lr`` takes its place;
several parameter groups keep the ratio of their rates.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from lrstudy.catalog.competitor_schedules import COMPETITORS
from lrstudy.catalog.decay_schedules import DECAYS
from lrstudy.catalog.lipschitz_schedule import LIPSCHITZ_LR
from lrstudy.catalog.parameter import Component, Parameter
from lrstudy.catalog.polyak_schedule import POLYAK
from lrstudy.catalog.schedule_parameters import LR, WARMUP_FIRST, WARMUP_OVER, rate, ratio

_SMITH = "L. N. Smith, Cyclical Learning Rates for Training Neural Networks, arXiv 1506.01186"
_ONE_CYCLE = "L. N. Smith and N. Topin, Super-Convergence, arXiv 1708.07120"
_SGDR = "I. Loshchilov and F. Hutter, SGDR, arXiv 1608.03983"
_HE = "K. He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385"


def _momentum(low: float, high: float) -> tuple[Parameter, ...]:
    return (
        Parameter(
            "cycle_momentum", "bool", "Move the momentum (Adam: beta1) against the rate", default=False
        ),
        ratio("base_momentum", "Momentum at the highest rate, with cycle_momentum", low),
        ratio("max_momentum", "Momentum at the lowest rate, with cycle_momentum", high),
    )


_CYCLIC: Final = Component(
    "cyclic",
    "The rate goes linearly from base_lr to max_lr and back, repeatedly; a full cycle ends the training.",
    (
        rate("max_lr", "Highest rate of a cycle, above 0"),
        Parameter(
            "base_ratio",
            "float",
            "Lowest rate as a fraction of max_lr, in (0, 1); 0.25 if base_lr is not given either",
            None,
            0.0,
            1.0,
            open_low=True,
            open_high=True,
        ),
        Parameter(
            "base_lr",
            "float",
            "Lowest rate, below max_lr; instead of base_ratio",
            None,
            low=0.0,
            open_low=True,
        ),
        Parameter(
            "cycle_epochs",
            "float",
            "Epochs of a whole cycle (up and down: twice Smith's step size); the nearest length of which a "
            "whole number fits into the training is used",
            8.0,
            low=0.0,
            open_low=True,
        ),
        Parameter(
            "mode",
            "choice",
            "triangular; triangular2: half the amplitude after each cycle; exp_range: times gamma per step",
            "triangular",
            choices=("triangular", "triangular2", "exp_range"),
        ),
        Parameter(
            "gamma",
            "float",
            "Factor on the amplitude per step, in exp_range",
            0.99994,
            0.0,
            1.0,
            open_low=True,
        ),
        *_momentum(0.8, 0.9),
        WARMUP_FIRST,
    ),
    _SMITH,
)

_ONE: Final = Component(
    "one-cycle",
    "One rise from max_lr/div_factor to max_lr and one long fall far below it.",
    (
        rate("max_lr", "Highest rate, above 0"),
        Parameter(
            "pct_start",
            "float",
            "Fraction of the training that rises",
            0.3,
            0.0,
            1.0,
            open_low=True,
            open_high=True,
        ),
        Parameter(
            "anneal", "choice", "Shape of rise and fall: cos or linear", "cos", choices=("cos", "linear")
        ),
        Parameter("div_factor", "float", "max_lr over the first rate, at least 1", 25.0, low=1.0),
        Parameter("final_div_factor", "float", "First rate over the last rate, at least 1", 1e4, low=1.0),
        Parameter(
            "three_phase", "bool", "Fall as long as it rose, then anneal (the paper's form)", default=False
        ),
        *_momentum(0.85, 0.95),
        WARMUP_FIRST,
    ),
    _ONE_CYCLE,
)


_BUILT_IN: Final = (
    Component("fixed", "The same rate from first to last step.", (LR, WARMUP_OVER), open_ended=True),
    Component(
        "step",
        "The rate is multiplied by gamma at each milestone.",
        (
            LR,
            Parameter("gamma", "float", "Factor at each milestone, in (0, 1]", 0.1, 0.0, 1.0, open_low=True),
            Parameter(
                "milestones",
                "floats",
                "Fractions of the training length, in (0, 1)",
                (0.5, 0.75),
                0.0,
                1.0,
                open_low=True,
                open_high=True,
            ),
            WARMUP_OVER,
        ),
        _HE,
    ),
    _CYCLIC,
    _ONE,
    Component(
        "cosine",
        "Half a cosine wave from lr down to min_ratio·lr; with warm restarts, several.",
        (
            LR,
            ratio("min_ratio", "Lowest rate as a fraction of lr, in [0, 1)", 0.0),
            Parameter(
                "restarts", "int", "Number of warm restarts; the training ends with a whole wave", 0, low=0
            ),
            Parameter("restart_factor", "int", "Each wave's length over the one before it", 1, low=1),
            WARMUP_FIRST,
        ),
        _SGDR,
    ),
    Component(
        "linear",
        "A straight line from lr to end_ratio·lr.",
        (
            LR,
            ratio("end_ratio", "Rate after the last step as a fraction of lr, in [0, 1)", 0.0),
            WARMUP_FIRST,
        ),
    ),
    Component(
        "exponential",
        "The rate is multiplied by gamma after every epoch.",
        (
            LR,
            Parameter("gamma", "float", "Factor per epoch, in (0, 1]", 0.95, 0.0, 1.0, open_low=True),
            WARMUP_OVER,
        ),
        open_ended=True,
    ),
    Component(
        "polynomial",
        "lr·(1 − t/T)^power at step t of T.",
        (LR, Parameter("power", "float", "Exponent, above 0", 0.9, low=0.0, open_low=True), WARMUP_FIRST),
        "L.-C. Chen et al., DeepLab, arXiv 1606.00915",
    ),
    Component(
        "inverse-time",
        "lr/(1 + decay·t) at step t: the time decay of Keras.",
        (LR, Parameter("decay", "float", "Decay per step, at least 0", 1e-3, low=0.0), WARMUP_OVER),
        open_ended=True,
    ),
    *DECAYS,
    Component(
        "plateau",
        "The rate is multiplied by factor when the study's metric has stopped improving.",
        (
            LR,
            Parameter("factor", "float", "Factor, in (0, 1)", 0.1, 0.0, 1.0, open_low=True, open_high=True),
            Parameter("patience", "int", "Epochs without improvement before the rate is reduced", 5, low=0),
            Parameter("threshold", "float", "Smallest change that counts as an improvement", 1e-4, low=0.0),
            Parameter(
                "threshold_mode", "choice", "rel: relative to the best; abs", "rel", choices=("rel", "abs")
            ),
            Parameter("cooldown", "int", "Epochs after a reduction that are not counted", 0, low=0),
            ratio("min_ratio", "Lowest rate as a fraction of lr, in [0, 1)", 0.0),
            WARMUP_OVER,
        ),
        measured=True,
        open_ended=True,
    ),
    LIPSCHITZ_LR,
    POLYAK,
    *COMPETITORS,
)

SCHEDULES: Final = MappingProxyType({component.name: component for component in _BUILT_IN})

OWN: Final = Component(
    "own",
    "A user's own schedule: the parameters that lrstudy itself reads; all others are passed on.",
    (
        Parameter("lr", "float", "Rate that the optimizer starts at, above 0", None, low=0.0, open_low=True),
        WARMUP_OVER,
        Parameter("interval", "choice", "What it counts: step or epoch", None, choices=("step", "epoch")),
    ),
)
