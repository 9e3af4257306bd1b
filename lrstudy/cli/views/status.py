"""The progress of a run, read from its store alone: as a page, and as a page kept current."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lrstudy.cli.terminal_table import names, numbers, table
from lrstudy.records import Phase
from lrstudy.rules.counting import counted
from lrstudy.rules.durations import waiting_time
from lrstudy.rules.prices import energy
from lrstudy.store import open_store
from lrstudy.store.lock import WriterWatch
from lrstudy.store.run_status import RunStatus, read_status

SHOWN: Final = (Phase.TUNE, Phase.SELECT, Phase.CONFIRM)
WATCH_SECONDS: Final = 2.0


def status_page(status: RunStatus) -> Group:
    """Return a line on the whole run and a table of its schedules, within 80 columns."""
    head = f"{status.study}: {status.done} of {counted(status.planned, 'trial')} done"
    head += f", {underway}" if (underway := str(status.underway)) else ""
    if (left := status.seconds_left) is not None:
        head += f", about {waiting_time(left)} left"
    if status.writer is not None:
        head += f"; {status.writer} runs it"
    causes = ("pruned", "diverged", "failed")
    lost = [name for name in causes if any(getattr(row, name) for row in status.schedules)]
    phases = [phase for phase in SHOWN if any(phase in row.phases for row in status.schedules)]
    columns = [
        names("schedule", longest=24),
        *(numbers(head, wrap=True) for head in (*phases, status.objective.label, *lost)),
    ]
    rows = [
        (
            f"{row.schedule} (stopped)" if row.stopped else row.schedule,
            *("{}/{}".format(*row.phases.get(phase, (0, 0))) for phase in phases),
            status.objective.shown(row.best),
            *(str(getattr(row, name) or "") for name in lost),
        )
        for row in status.schedules
    ]
    return Group(Text(head), *_cost(status), table(columns, rows))


def _cost(status: RunStatus) -> list[Text]:
    """Return the line on money and energy; none where neither is known."""
    said = [] if status.spending is None else [f"cost so far: {status.spending}"]
    if status.energy_kwh is not None:
        said.append(f"energy of ended trials: {energy(status.energy_kwh)}")
    return [Text("; ".join(said))] if said else []


def watch_run(console: Console, run: str) -> None:
    """Show a run until no process trains it: on a terminal in place, elsewhere a page after each change."""
    store = open_store(run)
    watch = WriterWatch(store.location)
    shown = read_status(store, watch)
    if not console.is_terminal:
        console.print(status_page(shown))
        while shown.running:
            time.sleep(WATCH_SECONDS)
            before, shown = shown, read_status(store.refreshed(), watch)
            if (shown.done, shown.writer) != (before.done, before.writer):
                console.print(status_page(shown))
        return
    with Live(status_page(shown), console=console, auto_refresh=False) as live:
        while shown.running:
            time.sleep(WATCH_SECONDS)
            shown = read_status(store.refreshed(), watch)
            live.update(status_page(shown), refresh=True)
