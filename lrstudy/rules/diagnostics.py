"""Measurements of a training besides its metrics: their columns, and the sentence on a divergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

GRADIENT_RATIO: Final = "gradient_ratio"
"""The norm of the last layer's gradient over the largest one of an earlier layer."""
LARGEST_LAYER: Final = "largest_gradient_layer"
"""The number, from 1, of the layer with the largest gradient."""
CURVATURE: Final = "curvature"
"""The largest eigenvalue of the loss's Hessian in all weights."""
RATE_OVER_LIMIT: Final = "rate_over_limit"
"""The learning rate over the largest one at which the optimizer is stable at this curvature."""

DIAGNOSTICS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = MappingProxyType(
    {
        "gradients": {
            GRADIENT_RATIO: {"goal": "max", "low": 0.0},
            LARGEST_LAYER: {"goal": "max", "low": 1.0},
        },
        "stability": {CURVATURE: {"goal": "min"}, RATE_OVER_LIMIT: {"goal": "min"}},
    }
)
"""The columns of each measurement, as a study declares them."""

COLUMNS: Final = frozenset(name for columns in DIAGNOSTICS.values() for name in columns)


def cause(values: Mapping[str, float | None], layers: Sequence[str] = ()) -> str:
    """Return a sentence on the measurements before the steps that diverged; empty without any.

    ``layers`` are the names of the layers by number.

    >>> cause({"gradient_ratio": 0.25, "largest_gradient_layer": 2.0}, ["a", "b", "c"])
    "the last layer's gradient was 0.25 of the largest, that of 'b'"
    >>> cause({"rate_over_limit": 11.2}), cause({})
    ('the rate was 11.2 times the stability limit', '')
    """
    return "; ".join(part for part in (_of_the_rate(values), _of_gradients(values, layers)) if part)


def times_the_limit(ratio: float) -> str:
    """Return a rate over the stability limit in words.

    >>> times_the_limit(11.24), times_the_limit(0.5)
    ('11.2 times the stability limit', '0.5 of the stability limit')
    """
    return f"{ratio:.3g} {'times' if ratio >= 1 else 'of'} the stability limit"


def _of_the_rate(values: Mapping[str, float | None]) -> str:
    ratio, curvature = values.get(RATE_OVER_LIMIT), values.get(CURVATURE)
    if ratio is not None and ratio > 0:
        return f"the rate was {times_the_limit(ratio)}"
    return "" if curvature is None else f"the curvature was {curvature:.3g}"


def _of_gradients(values: Mapping[str, float | None], layers: Sequence[str]) -> str:
    ratio, number = values.get(GRADIENT_RATIO), values.get(LARGEST_LAYER)
    if ratio is None:
        return ""
    if ratio >= 1:
        return f"the last layer's gradient was the largest, {ratio:.3g} times the next"
    name = "" if number is None else f", that of {layer_name(int(number), layers)}"
    return f"the last layer's gradient was {ratio:.3g} of the largest{name}"


def layer_name(number: int, layers: Sequence[str]) -> str:
    """Return the name of the layer with this number in words.

    >>> layer_name(2, ["features.0", "head"]), layer_name(3, [])
    ("'head'", 'layer 3')
    """
    return repr(layers[number - 1]) if 0 < number <= len(layers) else f"layer {number}"
