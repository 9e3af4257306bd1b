"""The trials of a run that has not ended, by schedule and phase: a table of the live page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lrstudy.records import Phase
from lrstudy.report.page_model import Cell, Column, Group, NumberTable, Section
from lrstudy.store.run_status import RunStatus

_PHASES: Final = {
    Phase.RANGE_TEST: "range tests",
    Phase.TUNE: "tuning",
    Phase.SELECT: "selection",
    Phase.CONFIRM: "confirm runs",
}
_LOST: Final = ("pruned", "diverged", "failed")


def progress_section(status: RunStatus, names: Sequence[str]) -> Section:
    """Return the trials that have ended out of those planned; ``names`` are the page's schedules."""
    rows = status.schedules
    phases = [phase for phase in _PHASES if any(phase in row.phases for row in rows)]
    lost = [cause for cause in _LOST if any(getattr(row, cause) for row in rows)]
    columns = [
        Column("schedule", number=False),
        *(Column(_PHASES[phase]) for phase in phases),
        Column(status.objective.label),
        *map(Column, lost),
    ]
    cells = [
        (
            Cell(
                f"{row.schedule} (stopped)" if row.stopped else row.schedule,
                schedule=names.index(row.schedule) if row.schedule in names else None,
            ),
            *(Cell("{} of {}".format(*row.phases.get(phase, (0, 0))), number=True) for phase in phases),
            Cell(status.objective.shown(row.best), number=True),
            *(Cell(str(getattr(row, cause) or "–"), number=True) for cause in lost),
        )
        for row in rows
    ]
    table = NumberTable("Trials so far", tuple(columns), (Group("", tuple(cells)),))
    return Section("progress", "Trials so far", tables=(table,))
