"""Differences of two values of a metric as text."""

from __future__ import annotations

from lrstudy.report.text import NO_VALUE, interval, number
from lrstudy.rules.metrics import Metric


def change_unit(metric: Metric) -> str:
    """Return the unit of a difference of two values of the metric: points for shares, else none.

    >>> from lrstudy.rules.metrics import METRICS
    >>> change_unit(METRICS["val_accuracy"]), change_unit(METRICS["val_loss"])
    (' points', '')
    """
    return " points" if metric.is_share else ""


def change(metric: Metric, value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a difference of two values of the metric with its sign, in ``change_unit``.

    >>> from lrstudy.rules.metrics import METRICS
    >>> change(METRICS["val_accuracy"], 0.0187, 0.012, 0.026), change(METRICS["val_loss"], -0.1234)
    ('+1.9', '−0.123')
    """
    if value is None:
        return NO_VALUE
    scale = 100 if metric.is_share else 1
    scaled = [None if x is None else scale * x for x in (value, low, high)]
    text = number(*scaled).replace("-", "−")
    return f"+{text}" if value > 0 else text


def change_interval(metric: Metric, low: float | None, high: float | None) -> str:
    """Return the interval of a difference of two values of the metric, in ``change_unit``.

    >>> from lrstudy.rules.metrics import METRICS
    >>> change_interval(METRICS["val_accuracy"], -0.012, 0.026)
    '−1.2 to 2.6'
    """
    scale = 100 if metric.is_share else 1
    return NO_VALUE if low is None or high is None else interval(scale * low, scale * high)
