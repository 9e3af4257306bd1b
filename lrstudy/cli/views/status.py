"""The progress of a run, read from its store alone: as data, as a page, and as a page kept current."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lrstudy.cli.terminal_table import names, numbers, table
from lrstudy.records import Phase
from lrstudy.rules.counting import counted
from lrstudy.rules.durations import waiting_time
from lrstudy.rules.objective import Objective
from lrstudy.rules.run_progress import ScheduleProgress, progress_of
from lrstudy.store import Store, open_store, writer_of
from lrstudy.store.superseded import superseded_trials

SHOWN: Final = (Phase.TUNE, Phase.SELECT, Phase.CONFIRM)
WATCH_SECONDS: Final = 2.0
# The pace is that of the latest trials: a run may have been idle for hours before them.
_LATEST: Final = 20


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at one moment; ``writer`` is the process that trains it, None if there is none."""

    study: str
    metric: str
    objective: Objective
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
        """Seconds at the pace of the latest trials; None without a writer or with too few ended trials."""
        if not self.running or self.seconds_per_trial is None:
            return None
        return self.seconds_per_trial * (self.planned - self.done)

    @property
    def running(self) -> bool:
        """Return True if trials are missing and a process trains them."""
        return self.done < self.planned and self.writer is not None

    def to_json(self) -> dict[str, Any]:
        """Return everything that ``lrstudy status`` shows, as plain data."""
        return {
            "study": self.study,
            "metric": self.metric,
            "objective": self.objective.label,
            "done": self.done,
            "planned": self.planned,
            "writer": self.writer,
            "seconds_left": self.seconds_left,
            "schedules": [asdict(row) for row in self.schedules],
        }


def read_status(store: Store) -> RunStatus:
    """Return the present status of the run in a store."""
    records = store.trial_records()
    ends = (record.ended_at for record in records)
    ended = sorted(end.timestamp() for end in ends if end is not None)[-_LATEST:]
    pace = (ended[-1] - ended[0]) / (len(ended) - 1) if len(ended) > 1 else None
    study = store.study
    superseded = superseded_trials(study, records)
    lasting = [record for record in records if record.trial_id not in superseded]
    planned = {schedule.name: study.planned(schedule) for schedule in study.schedules}
    return RunStatus(
        study=study.name,
        metric=study.metric.name,
        objective=study.goal.objective,
        schedules=progress_of(planned, lasting, study.goal.objective, imported=study.imported),
        writer=writer_of(store.location),
        seconds_per_trial=pace,
    )


def status_page(status: RunStatus) -> Group:
    """Return a line on the whole run and a table of its schedules, within 80 columns."""
    head = f"{status.study}: {status.done} of {counted(status.planned, 'trial')} done"
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
            row.schedule,
            *("{}/{}".format(*row.phases.get(phase, (0, 0))) for phase in phases),
            status.objective.shown(row.best),
            *(str(getattr(row, name) or "") for name in lost),
        )
        for row in status.schedules
    ]
    return Group(Text(head), table(columns, rows))


def watch_run(console: Console, run: str) -> None:
    """Show a run until no process trains it: on a terminal in place, elsewhere a page after each change."""
    shown = read_status(open_store(run))
    if not console.is_terminal:
        console.print(status_page(shown))
        while shown.running:
            time.sleep(WATCH_SECONDS)
            before, shown = shown, read_status(open_store(run))
            if (shown.done, shown.writer) != (before.done, before.writer):
                console.print(status_page(shown))
        return
    with Live(status_page(shown), console=console, auto_refresh=False) as live:
        while shown.running:
            time.sleep(WATCH_SECONDS)
            shown = read_status(open_store(run))
            live.update(status_page(shown), refresh=True)
