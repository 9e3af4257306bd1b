"""The output of an import: the studies that it made, what was left out, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from lrstudy.store import ImportedStudy

_SHOWN: Final = 40  # of the columns that are not used; some trackers write thousands


def show_imported(console: Console, studies: Sequence[ImportedStudy]) -> None:
    """Print a row per study, what was not used, and the command that makes the first report."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("study", no_wrap=True, overflow="ellipsis", max_width=38)
    for heading in ("schedules", "runs", "epochs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("reference", no_wrap=True, overflow="ellipsis")
    for made in studies:
        counts = (len(made.study.schedules), made.runs, made.epochs)
        names = escape(made.study.name), escape(made.study.reference)
        table.add_row(names[0], *map(str, counts), names[1])
    console.print(table)
    for note in dict.fromkeys(note for made in studies for note in made.notes):
        console.print(f"note: {note}", markup=False)
    unused = dict.fromkeys(column for made in studies for column in made.unused)
    if unused:
        more = f" and {len(unused) - _SHOWN:,} more" if len(unused) > _SHOWN else ""
        console.print(f"not used: {', '.join(list(unused)[:_SHOWN])}{more}", markup=False)
    if any(made.runs == len(made.study.schedules) for made in studies):
        text = "With one run per schedule no interval can be given: the report says what each run did."
        console.print(text, markup=False)
    for line in _judged_by(studies):
        console.print(line, markup=False)
    first = shlex.quote(str(studies[0].location))
    console.print(f"next: lrstudy report {first}", markup=False, soft_wrap=True)


def _judged_by(studies: Sequence[ImportedStudy]) -> Iterator[str]:
    """Lines that name the metric of the studies, with the reason for an unusual one."""
    groups: dict[tuple[str, str], list[str]] = {}
    for made in studies:
        groups.setdefault((made.study.metric.name, made.why_metric), []).append(made.study.name)
    for (metric, reason), names in groups.items():
        which = f" ({', '.join(names)})" if len(groups) > 1 else ""
        if reason and metric.startswith("train_"):
            yield f"WARNING: judged by {metric}, a training metric: {reason}{which}"
        else:
            yield f"judged by {metric}{which}{': ' * bool(reason)}{reason}"
