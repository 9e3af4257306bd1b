"""The tuning-free competitors: methods that bring their own optimizer, from optional packages."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lrstudy.catalog.parameter import Component, Parameter

EXTRA: Final = "competitors"

_ANNEAL: Final = Parameter(
    "anneal",
    "choice",
    "Factor on the method's own step size: cosine takes it to 0 at the end (as its authors use it); none",
    "cosine",
    choices=("cosine", "none"),
)
_WARMUP: Final = Parameter(
    "warmup",
    "float",
    "Fraction of the training length, in [0, 1), over which the rate rises linearly",
    0.0,
    0.0,
    1.0,
    open_high=True,
)
_D0: Final = Parameter("d0", "float", "First estimate of the distance, above 0", 1e-6, low=0.0, open_low=True)
_GROWTH: Final = Parameter(
    "growth_rate",
    "float",
    "Largest growth of the estimate per step, above 1; unlimited if not given",
    None,
    1.0,
    open_low=True,
)


def _factor(name: str, doc: str) -> Parameter:
    return Parameter(name, "float", doc, 1.0, low=0.0, open_low=True)


COMPETITORS: Final = (
    Component(
        "prodigy",
        "Adam whose step size grows with the estimated distance to the solution.",
        (
            _factor("d_coef", "Factor on the estimate, above 0: the way to tune the method, if at all"),
            _D0,
            _GROWTH,
            Parameter("use_bias_correction", "bool", "Adam's bias correction", default=False),
            Parameter("safeguard_warmup", "bool", "Keep a warm-up from raising the estimate", default=False),
            _ANNEAL,
            _WARMUP,
        ),
        "K. Mishchenko and A. Defazio, Prodigy, arXiv 2306.06101 (package prodigyopt)",
        tuning_free=True,
        replaces_optimizer=True,
        extra=EXTRA,
    ),
    Component(
        "d-adaptation",
        "SGD or Adam whose step size is the estimated distance to the solution over the gradients' norms.",
        (
            Parameter(
                "base",
                "choice",
                "sgd or adam; the kin of the study's optimizer if not given",
                None,
                choices=("sgd", "adam"),
            ),
            _factor("lr", "Factor on the method's own step size, above 0"),
            _D0,
            _GROWTH,
            _ANNEAL,
            _WARMUP,
        ),
        "A. Defazio and K. Mishchenko, D-Adaptation, arXiv 2301.07733 (package dadaptation)",
        tuning_free=True,
        replaces_optimizer=True,
        extra=EXTRA,
    ),
    Component(
        "schedule-free",
        "SGD or AdamW at a constant rate, evaluated at an average of its iterates: no decay to choose.",
        (
            Parameter(
                "base",
                "choice",
                "sgd or adamw; the kin of the study's optimizer if not given",
                None,
                choices=("sgd", "adamw"),
            ),
            Parameter(
                "lr",
                "float",
                "Rate, above 0; its authors' defaults (sgd 1.0, adamw 0.0025) if not given",
                None,
                low=0.0,
                open_low=True,
            ),
            Parameter(
                "beta",
                "float",
                "Interpolation between iterate and average",
                0.9,
                0.0,
                1.0,
                open_low=True,
                open_high=True,
            ),
            _WARMUP,
        ),
        "A. Defazio et al., The Road Less Scheduled, arXiv 2405.15682 (package schedulefree)",
        open_ended=True,
        replaces_optimizer=True,
        extra=EXTRA,
    ),
    Component(
        "dog",
        "SGD whose step size is the distance from the start over the root of the summed squared gradients.",
        (
            Parameter("layerwise", "bool", "One step size per parameter tensor (L-DoG)", default=False),
            Parameter(
                "reps_rel",
                "float",
                "First movement relative to the weights; 1e-4 with batch-norm, 1e-6 without if not given",
                None,
                low=0.0,
                open_low=True,
            ),
            Parameter(
                "average", "bool", "Evaluate at a polynomial-decay average of the iterates", default=True
            ),
        ),
        "M. Ivgi, O. Hinder and Y. Carmon, DoG, arXiv 2302.12022 (package dog-optimizer)",
        tuning_free=True,
        open_ended=True,
        replaces_optimizer=True,
        extra=EXTRA,
    ),
    Component(
        "adamg",
        "Adam whose gradient average is scaled by p·v^q, at a step size of at most 1/√step.",
        (
            _factor("lr", "Highest step size, above 0"),
            Parameter("p", "float", "Factor of the scale, above 0", 0.2, low=0.0, open_low=True),
            Parameter("q", "float", "Exponent of the scale, above 0", 0.24, low=0.0, open_low=True),
            replace(_ANNEAL, doc="Curve of lr: cosine takes it to 0 at the end; none", default="none"),
            _WARMUP,
        ),
        "Y. Pan et al., Towards Stability of Parameter-free Optimization, arXiv 2405.04376 "
        "(package pytorch-optimizer)",
        tuning_free=True,
        replaces_optimizer=True,
        extra=EXTRA,
    ),
)
