"""The trials of a run that have not ended, for those who look at its store: ``underway.json``.

The tables have ended trials only. The driver keeps the others here while it runs: how many were evaluated,
and how many whole trials their training is worth. Nothing is computed from it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from lrstudy.errors import StoreError
from lrstudy.store.location import Location

FILE: Final = "underway.json"


@dataclass(frozen=True, slots=True)
class Underway:
    """The trials under way, and the whole trials that their training so far is worth."""

    trials: int = 0
    worth: float = 0.0

    def __str__(self) -> str:
        return f"{self.trials:,} more at {self.worth / self.trials:.0%}" if self.trials else ""


NOTHING: Final = Underway()


def read_underway(folder: Location) -> Underway:
    """Return the trials under way; none where the file is missing, or is no such file."""
    try:
        found = Underway(**json.loads((folder / FILE).read())) if FILE in folder.names() else NOTHING
        plausible = 0 <= found.worth <= found.trials
    except (StoreError, ValueError, TypeError):
        return NOTHING
    return found if plausible else NOTHING


def write_underway(folder: Location, underway: Underway) -> None:
    """Replace the file; without a trial there is none."""
    if underway.trials:
        (folder / FILE).write((json.dumps(asdict(underway)) + "\n").encode())
    elif FILE in folder.names():
        (folder / FILE).delete()
