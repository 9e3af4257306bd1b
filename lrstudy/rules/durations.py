"""Seconds as people say them: how long to wait, and how long something took."""

from __future__ import annotations

from lrstudy.rules.counting import three_digits


def waiting_time(seconds: float) -> str:
    """Return a time to wait, or that one has waited, in whole seconds or minutes.

    >>> waiting_time(42), waiting_time(192), waiting_time(7380)
    ('42 s', '3 min 12 s', '2 h 03 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def measured_time(seconds: float) -> str:
    """Return a measured time as three digits in the unit that fits it.

    >>> measured_time(0.0042), measured_time(3.14159), measured_time(150), measured_time(200000)
    ('4.2 ms', '3.14 s', '2.5 min', '2.31 days')
    """
    for limit, scale, unit in ((0.1, 1e-3, "ms"), (120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{three_digits(seconds / scale)} {unit}"
    return f"{three_digits(seconds / 86400)} days"
