"""The result of an import: the studies that it made, the columns left out, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lrstudy.cli.terminal_table import names, numbers, table, words

if TYPE_CHECKING:
    from rich.console import Console

    from lrstudy.store import ImportedStudy

_SHOWN: Final = 40  # names of unused columns; some trackers write thousands of columns
_SEEDS: Final = 12


def show_imported(console: Console, studies: Sequence[ImportedStudy]) -> None:
    """Print a row per study, the unused columns, and the command that makes the first report."""
    columns = [
        names("study", longest=38),
        *map(numbers, ("schedules", "runs", "evaluations")),
        names("reference"),
    ]
    rows = [
        (
            made.study.name,
            *map(str, (len(made.study.schedules), made.runs, made.evaluations)),
            made.study.reference,
        )
        for made in studies
    ]
    console.print(table(columns, rows))
    _show_notes(console, studies)
    for line in _judged_by(studies):
        console.print(line, markup=False)
    first = shlex.quote(str(studies[0].location))
    console.print(f"next: lrstudy report {first}", markup=False, soft_wrap=True)


def show_preview(console: Console, studies: Sequence[ImportedStudy]) -> None:
    """Print the studies that an import would make: their schedules, seeds, evaluations, metric and clock."""
    for made in studies:
        place = f"would be study {made.study.name}, in {made.location}"
        console.print(place, markup=False, soft_wrap=True)
        columns = [
            names("schedule", longest=38),
            numbers("runs"),
            numbers("evaluations of a run"),
            words("seeds"),
        ]
        rows = [
            (each.schedule, str(len(each.seeds)), _range(each.evaluations), _listed(each.seeds))
            for each in made.schedules
        ]
        console.print(table(columns, rows))
        unit = made.study.clock
        text = f"reference {made.study.reference}; runs are compared over {made.study.length:,} {unit}"
        console.print(text, markup=False)
    _show_notes(console, studies)
    for line in _judged_by(studies):
        console.print(line, markup=False)
    console.print("nothing was written: leave --dry-run out to make what is shown", markup=False)


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _listed(seeds: Sequence[int]) -> str:
    more = f" and {len(seeds) - _SEEDS:,} more" if len(seeds) > _SEEDS else ""
    return ", ".join(map(str, seeds[:_SEEDS])) + more


def _show_notes(console: Console, studies: Sequence[ImportedStudy]) -> None:
    for note in dict.fromkeys(note for made in studies for note in made.notes):
        console.print(f"note: {note}", markup=False)
    unused = dict.fromkeys(column for made in studies for column in made.unused)
    if unused:
        more = f" and {len(unused) - _SHOWN:,} more" if len(unused) > _SHOWN else ""
        console.print(f"not used: {', '.join(list(unused)[:_SHOWN])}{more}", markup=False)
    if any(made.runs == len(made.study.schedules) for made in studies):
        text = "With one run per schedule no interval can be given: the report shows each run."
        console.print(text, markup=False)


def _judged_by(studies: Sequence[ImportedStudy]) -> Iterator[str]:
    """Yield lines with the metric and the clock of the studies, and the reason for an unusual metric."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for made in studies:
        clock = made.study.target_clock
        timed = "" if clock == "epochs" else f", timed in {clock}"
        groups.setdefault((made.study.metric.name, made.why_metric, timed), []).append(made.study.name)
    for (metric, reason, timed), judged in groups.items():
        which = f" ({', '.join(judged)})" if len(groups) > 1 else ""
        if reason and metric.startswith("train_"):
            yield f"WARNING: judged by {metric}, a training metric{timed}: {reason}{which}"
        else:
            yield f"judged by {metric}{timed}{which}{': ' * bool(reason)}{reason}"
