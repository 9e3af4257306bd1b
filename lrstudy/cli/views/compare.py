"""Comparing the stores of several runs, and showing who was fastest on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from lrstudy.errors import InputError, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from lrstudy.report import Comparison
    from lrstudy.store import Store


def compare_runs(runs: Sequence[str]) -> Comparison:
    """Analyse every run and lay them side by side.

    Raises ``InputError`` with what is wrong with every run that cannot be used, or is given twice.
    """
    from lrstudy.analysis import analyse
    from lrstudy.report import compare

    return compare([analyse(store) for store in _stores(runs)])


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
    """Print the headline, and for each schedule what it did in how many studies."""
    from lrstudy.report.sections.comparison_tables import comparison_page, wins_table

    console.print(comparison_page(compared).headline, markup=False)
    console.print()
    numbers = wins_table(compared)
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("schedule", no_wrap=True, overflow="ellipsis", max_width=16)
    # The page's columns, some with shorter names: all of them fit 80 columns.
    for heading in (
        "studies",
        "fastest",
        "ref.",
        "faster",
        "equiv.",
        "undecided",
        "slower",
        "never",
        "score",
    ):
        table.add_column(heading, justify="right", no_wrap=True, overflow="ellipsis")
    for group in numbers.groups:
        for row in group.rows:
            table.add_row(*(escape(cell.text) for cell in row))
    console.print(table)
    for note in compared.notes:
        console.print(note, style="dim", markup=False)
