"""The data sets: a table of their states, and a line for one that was fetched or verified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from lrstudy.cli.terminal_table import names, table, words
from lrstudy.rules.counting import counted

if TYPE_CHECKING:
    from rich.console import Console

    from lrstudy.tasks.fetch import DataSetState, Fetched


def show_data_sets(console: Console, states: Sequence[DataSetState]) -> None:
    """Print a row per data set: its name, its state, its description."""
    rows = [(state.name, state.state, state.doc) for state in states]
    console.print(table([names("data set"), names("state"), words("what it is")], rows))


def show_fetched(fetched: Fetched) -> None:
    """Print the result of a fetch: the number of files, and their folder."""
    done = "was there already" if fetched.already else "fetched"
    typer.echo(f"{fetched.name}: {done}, {_verified(fetched)}")


def show_verified(verified: Fetched) -> None:
    """Print the result of a verification: the number of files, and their folder."""
    typer.echo(f"{verified.name}: {_verified(verified)}")


def _verified(data_set: Fetched) -> str:
    where = f" in {data_set.folder}" if data_set.folder else " (comes with scikit-learn)"
    how = " (numbers and classes; no digest of its images is known)" if data_set.by_numbers else ""
    return f"{counted(len(data_set.files), 'file')} verified{how}{where}"
