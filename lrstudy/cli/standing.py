"""How far a run is, from its store alone: as data, as a page, and as a page that keeps itself up to date."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lrstudy.rules.counting import counted
from lrstudy.rules.durations import waiting_time
from lrstudy.rules.run_progress import ScheduleProgress, progress_of
from lrstudy.store import Store, open_store, writer_of

WATCH_SECONDS: Final = 2.0
# The pace is that of the latest trials: a run may have lain idle in between.
_LATEST: Final = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """A run at one moment.

    ``writer`` is who works on it, None where nobody does.
    """

    study: str
    metric: str
    schedules: tuple[ScheduleProgress, ...]
    writer: str | None
    seconds_per_trial: float | None

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return sum(row.done for row in self.schedules)

    @property
    def planned(self) -> int:
        """Trials of the whole study."""
        return sum(row.planned for row in self.schedules)

    @property
    def seconds_left(self) -> float | None:
        """At the pace of the latest trials; None while nobody works on it or too few have ended."""
        if not self.goes_on or self.seconds_per_trial is None:
            return None
        return self.seconds_per_trial * (self.planned - self.done)

    @property
    def goes_on(self) -> bool:
        """Return True if trials are missing and a process is at work on them."""
        return self.done < self.planned and self.writer is not None

    def to_json(self) -> dict[str, Any]:
        """Everything ``lrstudy status`` shows, as plain data."""
        return {
            "study": self.study,
            "metric": self.metric,
            "done": self.done,
            "planned": self.planned,
            "writer": self.writer,
            "seconds_left": self.seconds_left,
            "schedules": [asdict(row) for row in self.schedules],
        }


def standing_of(store: Store) -> Standing:
    """How far the run in a store is now."""
    ends = (record.ended_at for record in store.trial_records())
    ended = sorted(end.timestamp() for end in ends if end is not None)[-_LATEST:]
    pace = (ended[-1] - ended[0]) / (len(ended) - 1) if len(ended) > 1 else None
    study = store.study
    planned = {schedule.name: study.planned(schedule) for schedule in study.schedules}
    return Standing(
        study=study.name,
        metric=study.metric.name,
        schedules=progress_of(planned, store.trial_records(), study.metric, imported=study.imported),
        writer=writer_of(store.location),
        seconds_per_trial=pace,
    )


def standing_page(standing: Standing) -> Group:
    """A line on the whole and a table of the schedules, within 80 columns."""
    head = f"{standing.study}: {standing.done} of {counted(standing.planned, 'trial')} done"
    if (left := standing.seconds_left) is not None:
        head += f", about {waiting_time(left)} left"
    if standing.writer is not None:
        head += f"; {standing.writer} runs it"
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("schedule", no_wrap=True, overflow="ellipsis", max_width=24)
    lost = [
        name
        for name in ("pruned", "diverged", "failed")
        if any(getattr(row, name) for row in standing.schedules)
    ]
    for heading in ("tune", "confirm", f"best {standing.metric}", *lost):
        table.add_column(heading, justify="right")
    for row in standing.schedules:
        best = "–" if row.best is None else f"{row.best:.4f}"
        tune, confirm = f"{row.tune}/{row.tune_planned}", f"{row.confirm}/{row.confirm_planned}"
        gone = [str(getattr(row, name) or "") for name in lost]
        table.add_row(escape(row.schedule), tune, confirm, best, *gone)
    return Group(Text(head), table)


def watch_run(console: Console, run: str) -> None:
    """Show a run until it is over: on a terminal in place, elsewhere a page for each change."""
    shown = standing_of(open_store(run))
    if not console.is_terminal:
        console.print(standing_page(shown))
        while shown.goes_on:
            time.sleep(WATCH_SECONDS)
            before, shown = shown, standing_of(open_store(run))
            if (shown.done, shown.writer) != (before.done, before.writer):
                console.print(standing_page(shown))
        return
    with Live(standing_page(shown), console=console, auto_refresh=False) as live:
        while shown.goes_on:
            time.sleep(WATCH_SECONDS)
            shown = standing_of(open_store(run))
            live.update(standing_page(shown), refresh=True)
