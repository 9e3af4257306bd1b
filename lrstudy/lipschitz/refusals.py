"""Problems with a scheduler's arguments, collected to be raised all at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from lrstudy.errors import Problem, SchedulerError, did_you_mean


@dataclass
class Complaints:
    """Collects what is wrong with the arguments, to raise it all at once."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, key: str, value: object, message: str, remedy: str) -> None:
        """Note one problem with the argument ``key``."""
        self.problems.append(Problem("LipschitzLR", key, message, remedy, value))

    def choice(self, key: str, value: object, known: Sequence[str]) -> None:
        """Note a ``value`` that is not one of ``known``."""
        if value not in known:
            self.add(key, value, "is not known", did_you_mean(str(value), known))

    def number(self, key: str, value: object, low: float, high: float = math.inf, closed: str = "") -> None:
        """Note a ``value`` that is no finite number in (low, high); ``closed`` holds "[" and "]"."""
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if number:
            assert isinstance(value, int | float)
            above = value >= low if "[" in closed else value > low
            if above and (value <= high if "]" in closed else value < high):
                return
        left, right = "[" if "[" in closed else "(", "]" if "]" in closed else ")"
        self.add(key, value, "is out of range", f"Give a number in {left}{low:g}, {high:g}{right}.")

    def raise_any(self) -> None:
        """Raise ``SchedulerError`` if anything was noted."""
        if self.problems:
            raise SchedulerError(self.problems)
