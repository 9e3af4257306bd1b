"""The comparison of several runs: studies side by side with the fastest of each, or pooled as one study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lrstudy.cli.terminal_table import names, numbers, table
from lrstudy.errors import InputError, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from lrstudy.analysis import Summary
    from lrstudy.report import Comparison
    from lrstudy.store import Store

# The headings of the page, some of them shortened: the whole table fits 80 columns.
_HEADINGS: Final = (
    "studies", "fastest", "ref.", "faster", "equiv.", "undecided", "slower", "never", "score",
)  # fmt: skip


def compare_runs(runs: Sequence[str], *, arrival: str | None = None) -> Comparison:
    """Analyse every run and compare them; ``arrival`` replaces each study's rule of arrival.

    Raises ``InputError`` with the problems of every run that cannot be used, or is given twice.
    """
    from lrstudy.analysis import analyse
    from lrstudy.report import compare

    return compare([analyse(store, arrival=arrival) for store in _stores(runs)])


def pooled_summary(runs: Sequence[str], *, arrival: str | None = None) -> Summary:
    """Analyse runs of one study, of several people, as one; the first warnings say what was pooled.

    Raises ``InputError`` with the problems of every run that cannot be used, is given twice or differs in
    what makes trials comparable.
    """
    from lrstudy.analysis import analyse
    from lrstudy.store import pool_stores

    stores = _stores(runs)
    if len(stores) < 2:
        remedy = "Name the runs to pool: lrstudy compare RUN OTHER --pool"
        raise InputError(Problem("command line", "--pool", "needs at least two runs", remedy))
    pool = pool_stores(stores)
    summary = analyse(pool, arrival=arrival)
    # No single command adds replicates to several stores.
    return replace(summary, warnings=(*pool.notes, *summary.warnings), next_step=None)


def show_pool(console: Console, summary: Summary, page: Path) -> None:
    """Print the verdicts of pooled runs and the place of their report."""
    from lrstudy.cli.views.report import show_verdict

    show_verdict(console, summary)
    if not summary.complete:
        console.print(f"{summary.ended} of {summary.planned} trials so far: every number can change")
    console.print(f"comparison: {page}", markup=False, soft_wrap=True)


def _stores(runs: Sequence[str]) -> list[Store]:
    from lrstudy.store import open_store

    stores: dict[str, Store] = {}
    problems: list[Problem] = []
    for run in runs:
        try:
            store = open_store(run)
        except InputError as error:
            problems += error.problems
            continue
        if stores.setdefault(store.location.path, store) is not store:
            problems.append(Problem(run, "", "is given twice", "Name every run once"))
    if problems:
        raise InputError(problems)
    return list(stores.values())


def show_wins(console: Console, compared: Comparison) -> None:
    """Print the headline, and for each schedule the number of studies with each verdict."""
    from lrstudy.report.sections.comparison_tables import comparison_page, wins_table

    console.print(comparison_page(compared).headline, markup=False)
    console.print()
    columns = [names("schedule", longest=16), *map(numbers, _HEADINGS)]
    groups = wins_table(compared).groups
    rows = [[cell.text for cell in row] for group in groups for row in group.rows]
    console.print(table(columns, rows, tight=True))
    for note in compared.notes:
        console.print(note, style="dim", markup=False)
