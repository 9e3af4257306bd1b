"""What the page of a comparison shows: the seam between the analysis of several studies and its drawing."""

from __future__ import annotations

from dataclasses import dataclass

from lrstudy.analysis.intervals import Interval


@dataclass(frozen=True, slots=True)
class Profile:
    """A performance profile: ``share`` of studies solved from each time ratio in ``ratios`` on."""

    ratios: tuple[float, ...]
    share: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A schedule in one study of a comparison: its time to that study's target, and how it compares.

    ``epochs`` is None for a schedule that never got there or was not in the study (then ``present`` is
    False). ``fastest`` marks the study's shortest time.
    """

    present: bool
    epochs: float | None
    hits: int
    runs: int
    speedup: Interval
    verdict: str
    fastest: bool


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """One study of a comparison; ``places`` in the order of the comparison's schedules."""

    name: str
    goal: str
    reference: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class ComparisonInput:
    """Several studies side by side.

    ``profiles`` hold for each schedule the fraction of studies that it solves within a time ratio of the
    fastest; ``scores`` their normalised integral up to ``largest_ratio``.
    """

    studies: tuple[ComparedStudy, ...]
    schedules: tuple[str, ...]
    reference: str | None
    profiles: tuple[Profile | None, ...]
    scores: tuple[float | None, ...]
    largest_ratio: float
    notes: tuple[str, ...] = ()
