"""The result of an import: the studies that it made, the columns left out, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lrstudy.cli.terminal_table import names, numbers, table

if TYPE_CHECKING:
    from rich.console import Console

    from lrstudy.store import ImportedStudy

_SHOWN: Final = 40  # names of unused columns; some trackers write thousands of columns


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
    for note in dict.fromkeys(note for made in studies for note in made.notes):
        console.print(f"note: {note}", markup=False)
    unused = dict.fromkeys(column for made in studies for column in made.unused)
    if unused:
        more = f" and {len(unused) - _SHOWN:,} more" if len(unused) > _SHOWN else ""
        console.print(f"not used: {', '.join(list(unused)[:_SHOWN])}{more}", markup=False)
    if any(made.runs == len(made.study.schedules) for made in studies):
        text = "With one run per schedule no interval can be given: the report shows each run."
        console.print(text, markup=False)
    for line in _judged_by(studies):
        console.print(line, markup=False)
    first = shlex.quote(str(studies[0].location))
    console.print(f"next: lrstudy report {first}", markup=False, soft_wrap=True)


def _judged_by(studies: Sequence[ImportedStudy]) -> Iterator[str]:
    """Yield lines that name the metric of the studies, with the reason for an unusual one."""
    groups: dict[tuple[str, str], list[str]] = {}
    for made in studies:
        groups.setdefault((made.study.metric.name, made.why_metric), []).append(made.study.name)
    for (metric, reason), judged in groups.items():
        which = f" ({', '.join(judged)})" if len(groups) > 1 else ""
        if reason and metric.startswith("train_"):
            yield f"WARNING: judged by {metric}, a training metric: {reason}{which}"
        else:
            yield f"judged by {metric}{which}{': ' * bool(reason)}{reason}"
