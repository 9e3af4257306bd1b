"""Numbers and lists in words: rounded to what their interval supports, with their units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from lrstudy.rules.arrival import stay_of
from lrstudy.rules.clocks import UNIT_OF
from lrstudy.rules.counting import counted, three_digits
from lrstudy.rules.durations import measured_time
from lrstudy.rules.metrics import Metric
from lrstudy.rules.prices import amount, money

NO_VALUE: Final = "–"
_METRIC_WORDS: Final = {"accuracy": "accuracy", "error": "error", "loss": "loss", "r2": "R²"}
_SPLIT_WORDS: Final = {"val": "validation", "train": "training", "test": "test"}


def metric_words(metric: Metric) -> str:
    """Return a metric's name in words; one that the study declares keeps its own unless it says the same.

    >>> from lrstudy.rules.metrics import METRICS
    >>> metric_words(METRICS["val_accuracy"])
    'validation accuracy'
    """
    split, _, kind = metric.name.partition("_")
    if split not in _SPLIT_WORDS or kind not in _METRIC_WORDS:
        return metric.name
    return f"{_SPLIT_WORDS[split]} {_METRIC_WORDS[kind]}"


def metric_title(metric: Metric) -> str:
    """Return a metric's name in words as a title; a name of the study's own is not capitalised."""
    words = metric_words(metric)
    return words if words == metric.name else f"{words[:1].upper()}{words[1:]}"


def time_words(clock: str) -> str:
    """Return the name of a clock's times, as in "mean epochs", "mean training time" or "mean cost in EUR"."""
    return time_unit(clock) if clock in UNIT_OF else f"cost in {clock}"


def time_unit(clock: str) -> str:
    """Return the name of a clock to follow "in": "in epochs", "in training time", "in EUR"."""
    return "training time" if clock == "seconds" else clock


def time_column(clock: str) -> str:
    """Return the heading of a table's column of times."""
    return UNIT_OF[clock] if clock in ("epochs", "steps") else clock


def level(metric: Metric, value: float) -> str:
    """A level of the metric exactly as given, in percent for shares.

    >>> from lrstudy.rules.metrics import METRICS
    >>> level(METRICS["val_accuracy"], 0.975), level(METRICS["val_loss"], 0.25)
    ('97.5%', '0.25')
    """
    if metric.is_share:
        return f"{trim(100 * value, 10)}%"
    return trim(value, 10)


def percent(value: float) -> str:
    """A share in percent.

    >>> percent(0.95), percent(0.025)
    ('95%', '2.5%')
    """
    return f"{trim(100 * value, 4)}%"


def trim(value: float, digits: int = 6) -> str:
    """A number with at most ``digits`` significant digits and no idle zeros.

    >>> trim(97.50000001), trim(0.001), trim(1e-7), trim(1234567.0, 7)
    ('97.5', '0.001', '1e-07', '1234567')
    """
    return f"{value:.{digits}g}"


def decimals(low: float | None, high: float | None, value: float | None = None) -> int:
    """Return the number of decimals an interval supports: its width keeps two significant digits.

    Without an interval, or with one of no width, the value itself keeps three significant digits.

    >>> decimals(0.98, 1.55), decimals(3.0, 16.0), decimals(None, None, 0.01234)
    (2, 0, 4)
    """
    width = None if low is None or high is None else abs(high - low)
    if width is not None and math.isfinite(width) and width > 0:
        return min(max(1 - math.floor(math.log10(width)), 0), 8)
    if value is None or not math.isfinite(value) or value == 0:
        return 1
    return min(max(2 - math.floor(math.log10(abs(value))), 0), 8)


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A value, rounded to what its interval supports; a dash where there is none.

    >>> number(1.23456, 0.98, 1.55), number(12.3456), number(6.0), number(1234.56), number(None)
    ('1.23', '12.3', '6', '1,235', '–')
    """
    if value is None or math.isnan(value):
        return NO_VALUE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if low is None or high is None or low == high:
        return three_digits(value)
    return f"{value:,.{decimals(low, high)}f}".replace("-", "−")


def shown_time(clock: str, value: float | None) -> str:
    """Return a time that is a mean or a median: epochs with one decimal, seconds with their unit.

    >>> shown_time("epochs", 16.8333), shown_time("epochs", 1234.5), shown_time("steps", 1234.5)
    ('16.8', '1,234.5', '1,234')
    >>> shown_time("tokens", 12_345_678), shown_time("seconds", 150), shown_time("steps", None)
    ('12.3M', '2.5 min', '–')
    """
    if value is None or math.isnan(value):
        return NO_VALUE
    if clock == "seconds":
        return measured_time(value)
    if clock not in UNIT_OF:
        return amount(value)
    return f"{value:,.1f}" if clock == "epochs" else count(value)


def count(value: float) -> str:
    """Return a number of steps, samples or tokens, millions and more with three digits.

    >>> count(200), count(123456.7), count(3.21e6), count(4.5e9)
    ('200', '123,457', '3.21M', '4.5B')
    """
    for limit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if abs(value) >= limit:
            return f"{three_digits(value / limit)}{letter}"
    return f"{value:,.0f}"


def span(clock: str, value: float) -> str:
    """Return a length of training with its unit.

    >>> span("epochs", 30), span("steps", 20_000), span("tokens", 2.5e9), span("seconds", 90)
    ('30 epochs', '20,000 steps', '2.5B tokens', '90 s of training')
    """
    if clock == "seconds":
        return f"{measured_time(value)} of training"
    if clock not in UNIT_OF:
        return money(value, clock)
    if float(value).is_integer() and value < 1e6:
        return counted(int(value), UNIT_OF[clock])
    return f"{number(value) if clock == 'epochs' else count(value)} {clock}"


def point(clock: str, value: float) -> str:
    """Return a point in the training, to follow "at" or "by".

    >>> point("epochs", 12.0), point("steps", 1200.0), point("samples", 38_400), point("seconds", 2.5)
    ('epoch 12', 'step 1,200', '38,400 samples', '2.5 s of training')
    """
    if clock in ("epochs", "steps"):
        return f"{UNIT_OF[clock]} {number(value) if clock == 'epochs' else count(value)}"
    return span(clock, value)


def arrival_words(arrival: str) -> str:
    """Return the rule of arrival as a condition of the study; empty for the first evaluation at the target.

    >>> arrival_words("first"), arrival_words("stay:3")
    ('', 'a target counts as reached at the first of 3 evaluations in a row')
    """
    stay = stay_of(arrival)
    return "" if stay == 1 else f"a target counts as reached at the first of {stay} evaluations in a row"


def interval(low: float | None, high: float | None, value: float | None = None) -> str:
    """An interval, both ends with the decimals that its width supports.

    >>> interval(0.9812, 1.5531), interval(None, None)
    ('0.98 to 1.55', '–')
    """
    if low is None and high is None:
        return NO_VALUE
    places = decimals(low, high, value)

    def end(x: float | None) -> str:
        if x is None or math.isinf(x):
            return "no limit"
        return f"{x:,.{places}f}".replace("-", "−")

    return f"{end(low)} to {end(high)}"


def share(metric: Metric, value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A value of the metric with its unit, rounded to what its interval supports.

    >>> from lrstudy.rules.metrics import METRICS
    >>> share(METRICS["val_accuracy"], 0.97342, 0.969, 0.978), share(METRICS["val_loss"], 0.12345)
    ('97.34%', '0.123')
    """
    if value is None or math.isnan(value) or not metric.is_share:
        return number(value, low, high)
    scaled = [None if x is None else 100 * x for x in (value, low, high)]
    if low is None or high is None or low == high:
        return f"{scaled[0]:.2f}%"
    return f"{number(*scaled)}%"


def share_interval(metric: Metric, low: float | None, high: float | None) -> str:
    """An interval of the metric with its unit.

    >>> from lrstudy.rules.metrics import METRICS
    >>> share_interval(METRICS["val_accuracy"], 0.969, 0.978), share_interval(METRICS["val_loss"], None, None)
    ('96.90 to 97.80%', '–')
    """
    if low is None or high is None:
        return NO_VALUE
    if not metric.is_share:
        return interval(low, high)
    low, high = max(low, 0.0), min(high, 1.0)  # a mean of shares is a share
    return f"{interval(100 * low, 100 * high)}%"


def ratio(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A ratio with a multiplication sign.

    >>> ratio(1.2345, 1.1, 1.4), ratio(None)
    ('1.23×', '–')
    """
    text = number(value, low, high)
    return text if text == NO_VALUE else f"{text}×"


def duration(seconds: float | None) -> str:
    """Return a measured time with its unit.

    >>> duration(150), duration(None)
    ('2.5 min', '–')
    """
    return NO_VALUE if seconds is None or math.isnan(seconds) else measured_time(seconds)


def listed(words: Sequence[str], joiner: str = "and") -> str:
    """Words as a list in a sentence.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    if len(words) <= 1:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joiner} {words[-1]}"


def params(values: Mapping[str, object] | None) -> str:
    """Hyperparameters in one line, those of the schedule first; numbers at four significant digits.

    >>> params({"optimizer.momentum": 0.9, "lr": 0.123456, "mode": "triangular"}), params({})
    ('lr = 0.1235, mode = triangular, optimizer.momentum = 0.9', 'none')
    """
    # A part of the path by which an import told schedules apart is no parameter.
    own = [item for item in (values or {}).items() if not item[0].startswith("path:") and "{" not in item[0]]
    if not own:
        return "none"
    ordered = sorted(own, key=lambda item: "." in item[0])
    return ", ".join(f"{name} = {_plain(value)}" for name, value in ordered)


def _plain(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return trim(value, 4)
