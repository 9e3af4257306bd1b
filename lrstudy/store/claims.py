"""The choice of one writer on storage that can only put, list and delete whole files.

Each driver puts its own claim, under a name that no other uses, and writes the store only if a listing
made *after* that shows its own claim and no other. The storage must be consistent: what was put before a
listing began and is not deleted is in the listing (S3, GCS, Azure, HDFS and local disks keep that).

Then at most one driver whose claim is still there holds the store. Suppose P and Q both do. A claim is put
once and never again, so both claims were there from their put until now. Say P's put came first. Q's listing
came after Q's put, therefore after P's, and must have shown P's claim: Q did not find itself alone. The proof
needs no clocks and no bound on speed or the number of drivers, and any driver may delete a claim at any time:
its owner then no longer counts, and stops at its next write, before which it looks for its claim (``lease``).

The rest decides which driver gives way, so that one gets the store: a driver gives way to one that holds it,
and of those that wait to the one with the smallest name, once it has seen that the other lives. The claim of
a driver that has died is deleted.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Sight(Enum):
    """The state of another claim's driver, as far as it is known."""

    HOLDS = "it is alive and holds the store"
    WAITS = "it lives and waits"
    DEAD = "it has died"
    SILENT = "it has given no sign of life"


@dataclass(frozen=True, slots=True)
class Put:
    """Put the claim of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class List:
    """Answer with the names of all claims."""


@dataclass(frozen=True, slots=True)
class Look:
    """Answer with the ``Sight`` of another claim's driver."""

    name: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the claim of that name, if it is there."""

    name: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait a little for these claims to change."""

    names: tuple[str, ...]


Step = Put | List | Look | Delete | Wait


def claim(own: str) -> Generator[Step, Any, str | None]:
    """Take the store under the name ``own``: yields steps, is sent their answers.

    Returns None when the store is held, else the name of the claim that this driver gave way to: its own,
    where another driver took it for dead and deleted it.
    """
    yield Put(own)
    while True:
        names: list[str] = yield List()
        if own not in names:
            return own
        others = sorted(set(names) - {own})
        if not others:
            return None
        for other in others:
            sight = yield Look(other)
            if sight is Sight.DEAD:
                yield Delete(other)
            elif sight is Sight.HOLDS or (sight is Sight.WAITS and other < own):
                yield Delete(own)
                return other
        yield Wait(tuple(others))
