"""How things look on a terminal: one console for results, one for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lrstudy.errors import InputError, LrStudyError

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """The console for results (standard output). ``NO_COLOR`` is honoured by rich itself."""
    from rich.console import Console

    return Console(highlight=False, emoji=False)


def messages() -> Console:
    """The console for what only a person who watches wants to see (standard error)."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def print_error(error: LrStudyError) -> None:
    """Show an error on standard error: every problem on a line of its own."""
    problems = error.problems if isinstance(error, InputError) else ()
    if len(problems) <= 1:
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(str(error), err=True)
        return
    typer.secho(f"error: {len(problems)} problems", fg="red", bold=True, err=True)
    for problem in problems:
        typer.echo(f"  {problem}", err=True)
