"""What a running study shows: a live table on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lrstudy.records import Phase
from lrstudy.rules.counting import counted
from lrstudy.rules.durations import waiting_time

if TYPE_CHECKING:
    from lrstudy.rules.run_progress import Progress

# Off a terminal a line is written at most this often: logs are read by people too.
PLAIN_LINE_SECONDS = 10.0
# Ray and its workers have started by then.
LONG_START_SECONDS = 60.0


class Clock:
    """How long this run has taken, and how long the rest will take at its own pace so far."""

    def __init__(self, first: Progress, now: Callable[[], float] = time.monotonic) -> None:
        self._first, self._now, self._started = first, now, now()
        self._begun: tuple[float, float] | None = None  # when the first work was done, and how much

    @property
    def elapsed(self) -> float:
        """Seconds since the start of this run."""
        return self._now() - self._started

    def eta(self, progress: Progress, trials: float) -> float | None:
        """Seconds until so many more trials have finished; None as long as nothing can be said.

        The pace counts from the first work that was done: what came before is mostly the workers' start,
        unless the trials are long.
        """
        done, elapsed = progress.worth - self._first.worth, self.elapsed
        if done <= 0:
            return None
        since, before = self._begun = self._begun or (elapsed, done)
        if done > before:
            return (elapsed - since) / (done - before) * trials
        return elapsed / done * trials if elapsed > LONG_START_SECONDS else None


def summary_line(progress: Progress, clock: Clock) -> str:
    """Trials done and under way, time taken, and how long each phase will take."""
    done = f"{progress.finished} of {counted(progress.planned, 'trial')}"
    line = f"{done}{_underway(progress)} in {waiting_time(clock.elapsed)}"
    left = clock.eta(progress, progress.planned - progress.worth)
    if not left:
        return line
    tuned = clock.eta(progress, progress.missing(Phase.RANGE_TEST) + progress.missing(Phase.TUNE))
    tuned_in = f"tuned in about {waiting_time(tuned)}, " if tuned else ""
    return f"{line}; {tuned_in}done in about {waiting_time(left)}"


def _underway(progress: Progress) -> str:
    trials = sum(trials for trials, _ in progress.underway.values())
    if not trials:
        return ""
    return f", {(progress.worth - progress.finished) / trials:.0%} of {trials} more,"


def progress_page(progress: Progress, clock: Clock, metric: str) -> Group:
    """A row per schedule: trials of each phase, best tuning value so far, trials lost; then the time."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("schedule", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("tune", justify="right")
    table.add_column("confirm", justify="right")
    table.add_column(f"best {metric}", justify="right")
    table.add_column("lost", justify="right")
    for schedule in progress.schedules:
        table.add_row(
            escape(schedule.schedule),
            _counts(schedule.phases[Phase.TUNE]),
            _counts(schedule.phases[Phase.CONFIRM]),
            "–" if schedule.best is None else f"{schedule.best:.4f}",
            str(schedule.lost) if schedule.lost else "",
        )
    return Group(table, Text(summary_line(progress, clock)))


@contextmanager
def show_progress(
    console: Console, snapshot: Callable[[], Progress], metric: str, *, quiet: bool
) -> Iterator[Callable[[], None]]:
    """Show a study's progress while the block runs; yields what to call when something has changed."""
    clock = Clock(snapshot())
    if quiet:
        yield lambda: None
    elif console.is_terminal:
        with Live(
            console=console,
            refresh_per_second=4,
            get_renderable=lambda: progress_page(snapshot(), clock, metric),
        ):
            yield lambda: None
    else:
        lines = _PlainLines(console, snapshot, clock)
        yield lines.on_change
        lines.write()


class _PlainLines:
    def __init__(self, console: Console, snapshot: Callable[[], Progress], clock: Clock) -> None:
        self._console, self._snapshot, self._clock = console, snapshot, clock
        self._next = 0.0

    def on_change(self) -> None:
        if self._clock.elapsed < self._next:
            return
        self._next = self._clock.elapsed + PLAIN_LINE_SECONDS
        self.write()

    def write(self) -> None:
        """Write how far it is, whenever the last line was written."""
        self._console.print(summary_line(self._snapshot(), self._clock), markup=False, soft_wrap=True)


def _counts(done_and_planned: tuple[int, int]) -> str:
    done, planned = done_and_planned
    return f"{done}/{planned}"
