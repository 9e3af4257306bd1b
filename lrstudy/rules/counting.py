"""Counts and numbers in sentences."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> counted(1, "run"), counted(1200, "epoch"), counted(2, "study", "studies")
    ('1 run', '1,200 epochs', '2 studies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def three_digits(value: float) -> str:
    """Return a number as three significant digits, or its whole part, without idle zeros.

    >>> three_digits(3.14159), three_digits(31415.9), three_digits(2.5)
    ('3.14', '31,416', '2.5')
    """
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}".replace("-", "−")
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")
