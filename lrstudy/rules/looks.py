"""Looks at a study that is run until it is decided: the open comparisons, and what is added for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Look:
    """A look after ``replicates`` of every schedule that was open before.

    ``open`` are the schedules without a decision yet; they and the reference get replicates up to ``then``.
    Without an open schedule, or at the most replicates, the study ends with this look.
    """

    replicates: int
    open: tuple[str, ...]
    then: int

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Look:
        """Read a look of ``study.json``."""
        return cls(int(raw["replicates"]), tuple(raw["open"]), int(raw["then"]))

    def to_json(self) -> dict[str, Any]:
        """The form it has in ``study.json``."""
        return asdict(self) | {"open": list(self.open)}

    @property
    def adds(self) -> bool:
        """Return True if replicates are added after it."""
        return bool(self.open) and self.then > self.replicates


def look_sizes(first: int, most: int, looks: Sequence[Look] = ()) -> list[int]:
    """Return the numbers of replicates at which a study looks: twice as many each time.

    ``looks`` are those taken: after an extension they are not those that it would plan now.

    >>> look_sizes(4, 20), look_sizes(8, 8)
    ([4, 8, 16, 20], [8])
    >>> look_sizes(4, 24, [Look(4, ("a",), 6)])
    [4, 6, 12, 24]
    """
    sizes = sorted({look.replicates for look in looks})
    size, _ = next_size(first, most, looks)
    if size not in sizes:
        sizes.append(size)
    while sizes[-1] < most:
        sizes.append(min(2 * sizes[-1], most))
    return sizes


def next_size(first: int, most: int, looks: Sequence[Look]) -> tuple[int, int]:
    """Return the replicates at the next look, and those after it if something is open then.

    >>> next_size(4, 20, [Look(4, ("a",), 8)])
    (8, 16)
    """
    size = max(first, looks[-1].then) if looks else first
    return size, max(size, min(2 * size, most))


def replicates_of(first: int, looks: Iterable[Look], schedule: str, reference: str) -> int:
    """Return the number of replicates that a schedule has, or will have, after these looks."""
    planned = first
    for look in looks:
        if look.adds and (schedule == reference or schedule in look.open):
            planned = max(planned, look.then)
    return planned


def looks_of(raw: Sequence[Mapping[str, Any]]) -> tuple[Look, ...]:
    """Read the looks of ``study.json``."""
    return tuple(Look.of(one) for one in raw)
