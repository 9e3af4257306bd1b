"""The progress of a running study: a live table on a terminal, lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lrstudy.cli.terminal_plot import has_braille, sparkline
from lrstudy.cli.terminal_table import names, numbers, table
from lrstudy.records import Phase
from lrstudy.rules.counting import counted
from lrstudy.rules.durations import waiting_time

if TYPE_CHECKING:
    from lrstudy.rules.objective import Objective
    from lrstudy.rules.run_progress import Progress

# Off a terminal at most one line in this time: people read logs too.
PLAIN_LINE_SECONDS: Final = 10.0
# Ray and its workers have started by then.
LONG_START_SECONDS: Final = 60.0
_LEAST_SPARKS, _MOST_SPARKS = 8, 24  # columns
_LEAST_BAR, _MOST_BAR = 5, 30


class Clock:
    """The time that this run has taken, and the time left at its present pace."""

    def __init__(self, first: Progress, now: Callable[[], float] = time.monotonic) -> None:
        self._first, self._now, self._started = first, now, now()
        self._begun: tuple[float, float] | None = None  # when the first work was done, and how much

    @property
    def elapsed(self) -> float:
        """Seconds since the start of this run."""
        return self._now() - self._started

    def eta(self, progress: Progress, trials: float) -> float | None:
        """Return the seconds until this many more trials have finished; None while there is no pace yet.

        The pace counts from the first work that was done: the time before it is mostly the workers' start,
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
    """Return a line with trials done and under way, time taken, and time left for tuning and for all."""
    done = f"{progress.finished:,} of {counted(progress.planned, 'trial')}"
    return (
        f"{done}{_underway(progress)} in {waiting_time(clock.elapsed)}{_time_left(progress, clock)}"
        f"{_cost(progress)}"
    )


def _time_left(progress: Progress, clock: Clock) -> str:
    left = clock.eta(progress, progress.planned - progress.worth)
    if not left:
        return ""
    tuned = clock.eta(progress, progress.missing(Phase.RANGE_TEST) + progress.missing(Phase.TUNE))
    tuned_in = f"tuned in about {waiting_time(tuned)}, " if tuned else ""
    return f"; {tuned_in}done in about {waiting_time(left)}"


def _cost(progress: Progress) -> str:
    return "" if progress.spending is None else f"; cost {progress.spending}"


def _underway(progress: Progress) -> str:
    trials = sum(trials for trials, _ in progress.underway.values())
    if not trials:
        return ""
    return f", {trials} more at {(progress.worth - progress.finished) / trials:.0%},"


def progress_page(progress: Progress, clock: Clock, objective: Objective, console: Console) -> Group:
    """Return a row per schedule (trials by phase, best tuning value, trials lost), the work and the time.

    Where the terminal is wide enough a column has the best value of the metric so far, as it rose or fell.
    """
    width = console.width
    best = f"best {objective.metric.name}"
    shown = _schedules(progress, objective)
    room = width - Measurement.get(console, console.options, shown).maximum
    if (
        room >= max(_LEAST_SPARKS, len(best))
        and any(progress.bests.values())
        and has_braille(console.encoding)
    ):
        # The first values are far from all others: what comes later would look the same beside them.
        ends = [value for series in progress.bests.values() for value in series[len(series) // 8 :]]
        sparks = [
            sparkline(progress.bests.get(one.schedule, ()), min(room, _MOST_SPARKS), min(ends), max(ends))
            for one in progress.schedules
        ]
        shown = _schedules(progress, objective, best, sparks)
    lines = (work_line(progress, width, bar=has_braille(console.encoding)), time_line(progress, clock))
    return Group(shown, *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))


def _schedules(progress: Progress, objective: Objective, best: str = "", sparks: Sequence[str] = ()) -> Table:
    phases = (Phase.TUNE, Phase.SELECT, Phase.CONFIRM)
    phases_shown = [phase for phase in phases if any(phase in one.phases for one in progress.schedules)]
    columns = [
        names("schedule", longest=24),
        *(numbers(head, wrap=True) for head in (*phases_shown, objective.label, "lost")),
        *([names(best)] if sparks else []),
    ]
    rows = [
        (
            f"{schedule.schedule} (stopped)" if schedule.stopped else schedule.schedule,
            *(_counts(schedule.phases.get(phase, (0, 0))) for phase in phases_shown),
            objective.shown(schedule.best),
            str(schedule.lost) if schedule.lost else "",
            *([sparks[place]] if sparks else []),
        )
        for place, schedule in enumerate(progress.schedules)
    ]
    return table(columns, rows)


def work_line(progress: Progress, width: int, *, bar: bool = True) -> str:
    """Return the share of the work that is done, as a number, a bar and in trials; then epochs or steps.

    A trial that ends early is done whole, so the number of epochs in all is known at the end only.
    """
    share = progress.worth / progress.planned if progress.planned else 1.0
    trials = f"{progress.finished:,} of {counted(progress.planned, 'trial')}"
    running = sum(trials for trials, _ in progress.underway.values())
    trials += f", {running} under way" if running else ""
    said = f"{trials}; {progress.trained:,.0f} {progress.clock}"
    room = min(width - len(said) - len("100%  "), _MOST_BAR)
    done = int(share * room)
    drawn = f"{'━' * done}{'─' * (room - done)} " if bar and room >= _LEAST_BAR else ""
    return f"{math.floor(100 * share):3d}% {drawn}{said}"


def time_line(progress: Progress, clock: Clock) -> str:
    """Return the time taken, and the time left for tuning and for all."""
    return f"{waiting_time(clock.elapsed)} so far{_time_left(progress, clock)}{_cost(progress)}"


@contextmanager
def show_progress(
    console: Console, snapshot: Callable[[], Progress], objective: Objective, *, quiet: bool
) -> Iterator[Callable[[], None]]:
    """Show a study's progress while the block runs; yields the function to call after each change."""
    clock = Clock(snapshot())
    if quiet:
        yield lambda: None
    elif console.is_terminal:
        with Live(
            console=console,
            refresh_per_second=4,
            get_renderable=lambda: progress_page(snapshot(), clock, objective, console),
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
        """Write the summary line, however recent the last one is."""
        self._console.print(summary_line(self._snapshot(), self._clock), markup=False, soft_wrap=True)


def _counts(done_and_planned: tuple[int, int]) -> str:
    done, planned = done_and_planned
    return f"{done}/{planned}"
