"""Counts in sentences."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> counted(1, "run"), counted(1200, "epoch"), counted(2, "study", "studies")
    ('1 run', '1,200 epochs', '2 studies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
