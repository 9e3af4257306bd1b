"""The end of a run: its report is written, the verdicts are shown as a table with the warnings below."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from lrstudy.cli.terminal_table import names, numbers, table
from lrstudy.rules.arrival import stay_of

if TYPE_CHECKING:
    from lrstudy.analysis import Summary
    from lrstudy.analysis.summary import Reach
    from lrstudy.report.writing import Printed
    from lrstudy.store import Location

SHOWN_WARNINGS: Final = 6


class Judged(NamedTuple):
    """Targets, clock and rule of arrival in place of the study's; None leaves its own."""

    targets: list[float] | None = None
    clock: str | None = None
    arrival: str | None = None


def finish_report(
    console: Console,
    run: str | PathLike[str] | Location,
    folder: Path | None,
    judged: Judged | None = None,
    printed: Printed | None = None,
) -> None:
    """Analyse a run, write its report into ``folder`` (default: ``report_folder``) and show the verdict."""
    from lrstudy.report import write_report

    summary, location = _analysed(run, judged)
    paths = write_report(summary, folder or report_folder(location, summary.name), printed=printed)
    show_verdict(console, summary, _shown(location))
    if not summary.complete:
        console.print(f"{summary.ended} of {summary.planned} trials so far: every number can change")
    console.print(f"report: {paths.html}", markup=False, soft_wrap=True)


def print_short(run: str | PathLike[str] | Location, judged: Judged, picture: Path | None) -> None:
    """Print a run's short report; ``picture`` is the file of its figure, None puts it into the text.

    Raises ``InputError`` when the figure cannot be written.
    """
    from lrstudy.report.files import write_files
    from lrstudy.report.short import short_figure, short_report

    summary, location = _analysed(run, judged)
    if picture is not None:
        write_files(picture.parent, {picture.name: short_figure(summary)}, option="--picture")
    text = short_report(summary, _shown(location), None if picture is None else picture.as_posix())
    typer.echo(text, nl=False)


def _analysed(run: str | PathLike[str] | Location, judged: Judged | None) -> tuple[Summary, Location]:
    from lrstudy.analysis import analyse
    from lrstudy.store import open_store

    store = open_store(run)
    targets, clock, arrival = judged or Judged()
    return analyse(store, targets=targets, clock=clock, arrival=arrival), store.location


def _shown(run: Location) -> str:
    """Return a run as the command line names it."""
    return str(run) if run.local is None else str(relative(run.local))


def report_folder(run: Location, study: str, reports: Path | None = None) -> Path:
    """Return the folder of a study's report: below ``reports``, else ``report/`` in the run's folder.

    The report of a run that is no local folder is in ``runs/<study>/report/``. The name of a study may be
    any text, ``../other`` included.
    """
    from lrstudy.store import open_location, study_folder

    if reports is None and run.local is not None:
        return relative(run.local) / "report"
    parent = Path("runs") if reports is None else reports
    own = parent / Path(study_folder(open_location(parent), study).path).name
    return own / "report" if reports is None else own


def relative(folder: Path) -> Path:
    """Return a folder as it is shown: relative to the current folder if it is inside that."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def show_verdict(console: Console, summary: Summary, run: str = "") -> None:
    """Print the verdicts: one table per target, one row per schedule; then what decides more of them.

    ``run`` is the run as the command line names it, by default the summary's.
    """
    from lrstudy.report.sections.length_tables import length_sentence
    from lrstudy.report.text import time_words

    if said := length_sentence(summary):
        console.print(said, markup=False, highlight=False)
        console.print()
    stay = stay_of(summary.arrival)
    held = f" for {stay} evaluations in a row" if stay > 1 else ""
    for index, target in enumerate(summary.targets):
        columns = [
            names("schedule", longest=20),
            *map(numbers, ("hits", time_words(summary.clock), "speedup", "95% interval")),
            names("verdict"),
        ]
        rows = [
            _verdict_row(summary.clock, schedule.name, schedule.reach[index])
            for schedule in summary.schedules
        ]
        console.print(table(columns, rows, title=f"{summary.metric.name} {target:g}{held}"))
        console.print()
    if any(_by_tuning(reach) for schedule in summary.schedules for reach in schedule.reach):
        console.print("* different as tuned; another tuning with the same budget might undo it\n")
    _show_ends(console, summary)
    _show_next_step(console, summary, run or summary.run)
    _show_warnings(console, summary.warnings)


def _verdict_row(clock: str, name: str, reach: Reach) -> tuple[str, ...]:
    from lrstudy.report.text import shown_time

    low, high = reach.judged.low, reach.judged.high
    return (
        name,
        f"{reach.hits}/{reach.runs}",
        shown_time(clock, reach.mean_time.value),
        _number(reach.judged.value, ".2f"),
        "–" if low is None or high is None else f"{low:.2f} – {high:.2f}",
        reach.verdict + ("*" if _by_tuning(reach) else ""),
    )


def _show_ends(console: Console, summary: Summary) -> None:
    """Print the values at the end as a table, unless there is no other schedule whose end is known."""
    from lrstudy.report.change_text import change, change_interval, change_unit
    from lrstudy.report.text import share, span

    end, metric = summary.end, summary.metric
    if end is None or not any(value.pairs for value in end.values):
        return
    columns = [
        names("schedule", longest=20),
        *map(numbers, ("mean", f"difference{change_unit(metric)}", "95% interval")),
        names("verdict"),
    ]
    rows = [
        (
            name,
            share(metric, value.value.value, value.value.low, value.value.high),
            change(metric, value.difference.value, value.difference.low, value.difference.high),
            change_interval(metric, value.difference.low, value.difference.high),
            value.verdict,
        )
        for name, value in zip(summary.names, end.values, strict=True)
    ]
    title = f"{metric.name} after {span(end.clock, end.length)}"
    console.print(table(columns, rows, title=title))
    decided = any(value.verdict in ("better", "worse") for value in end.values)
    if decided and end.unit == "seed" and any(schedule.tuned for schedule in summary.schedules):
        console.print("better, worse: these configurations; another tuning might find others")
    console.print()


def _show_next_step(console: Console, summary: Summary, run: str) -> None:
    """Print the command that would decide more, whole, with its cost and chance below it."""
    from lrstudy.report.sections.next_step_words import cost_and_chance, next_step_sentence

    step = summary.next_step
    if step is None:
        return
    command = step.command(run)
    if command is None:
        console.print(next_step_sentence(summary, run), markup=False)
    else:
        one = "one tuning of each; run it again with more tunings" if step.one_tuning else "next"
        console.print(f"{one}: {command}", markup=False, soft_wrap=True, highlight=False)
        console.print(f"  {cost_and_chance(step)}", markup=False, highlight=False)
    console.print()


def _show_warnings(console: Console, warnings: Sequence[str]) -> None:
    """Print the first warnings on the table above; the report has all of them."""
    for warning in warnings[:SHOWN_WARNINGS]:
        line = Text("! ", style="yellow") + Text(warning)
        console.print(Padding(line, (0, 0, 0, 0)))
    if len(warnings) > SHOWN_WARNINGS:
        console.print(f"  … and {len(warnings) - SHOWN_WARNINGS} more warnings, in the report")
    if warnings:
        console.print()


def _by_tuning(reach: Reach) -> bool:
    """Return True if the verdict is inconclusive only because of the luck of the tuning."""
    return reach.verdict == "inconclusive" and reach.given_winners in ("faster", "slower")


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
