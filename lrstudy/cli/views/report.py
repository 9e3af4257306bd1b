"""What the end of a run shows: the report's files, the verdict in a sentence, and its table."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lrstudy.analysis import Summary
    from lrstudy.analysis.summary import Reach
    from lrstudy.store import Location


SHOWN_WARNINGS = 6


def finish_report(
    console: Console,
    run: str | PathLike[str] | Location,
    folder: Path | None,
    targets: list[float] | None = None,
) -> None:
    """Analyse a run, write its report into ``folder`` (default: ``report_folder``) and show the verdict."""
    from lrstudy.analysis import analyse
    from lrstudy.report import write_report
    from lrstudy.store import open_store

    store = open_store(run)
    summary = analyse(store, targets=targets)
    paths = write_report(summary, folder or report_folder(store.location, summary.name))
    show_verdict(console, summary)
    if not summary.complete:
        console.print(f"{summary.ended} of {summary.planned} trials so far: every number can change")
    console.print(f"report: {paths.html}", markup=False, soft_wrap=True)


def report_folder(run: Location, study: str, reports: Path | None = None) -> Path:
    """The folder of a study's report: below ``reports``, else ``report/`` in the run's own folder.

    A run that is no local folder has its report in ``runs/<study>/report/``. A study may be called anything,
    also ``../other``.
    """
    from lrstudy.store import open_location, study_folder

    if reports is None and run.local is not None:
        return relative(run.local) / "report"
    parent = Path("runs") if reports is None else reports
    own = parent / Path(study_folder(open_location(parent), study).path).name
    return own / "report" if reports is None else own


def relative(folder: Path) -> Path:
    """A folder as it is shown: from here on where it is below here."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def show_verdict(console: Console, summary: Summary) -> None:
    """Print the verdict table: one block per target, one row per schedule."""
    lucky = False
    for index, target in enumerate(summary.targets):
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, title_justify="left")
        table.title = f"{summary.metric} {target:g}"
        table.add_column("schedule", no_wrap=True, overflow="ellipsis", max_width=20)
        for heading in ("hits", "epochs", "speedup", "95% interval"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for schedule in summary.schedules:
            result = schedule.reach[index]
            ratio = result.speedup.value
            low, high = result.speedup.low, result.speedup.high
            table.add_row(
                escape(schedule.name),
                f"{result.hits}/{result.runs}",
                _number(result.mean_epochs.value, ".1f"),
                _number(ratio, ".2f"),
                "–" if low is None or high is None else f"{low:.2f} – {high:.2f}",
                result.verdict + ("*" if _by_tuning(result) else ""),
            )
            lucky = lucky or _by_tuning(result)
        console.print(table)
        console.print()
    if lucky:
        console.print("* different as tuned; another tuning with the same budget might undo it\n")
    _show_warnings(console, summary.warnings)


def _show_warnings(console: Console, warnings: Sequence[str]) -> None:
    """What a reader must know before believing the table; all of it is in the report."""
    for warning in warnings[:SHOWN_WARNINGS]:
        line = Text("! ", style="yellow") + Text(warning)
        console.print(Padding(line, (0, 0, 0, 0)))
    if len(warnings) > SHOWN_WARNINGS:
        console.print(f"  … and {len(warnings) - SHOWN_WARNINGS} more warnings, in the report")
    if warnings:
        console.print()


def _by_tuning(result: Reach) -> bool:
    """Return True if only the luck of the tuning keeps a verdict back."""
    return result.verdict == "inconclusive" and result.given_winners in ("faster", "slower")


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
