"""How things look on a terminal: one console for results, one for messages."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import typer

from lrstudy.errors import InputError, LrStudyError

if TYPE_CHECKING:
    from rich.console import Console


_NARROWEST: Final = 40


def console() -> Console:
    """The console for results (standard output). ``NO_COLOR`` is honoured by rich itself."""
    return _console(stderr=False)


def messages() -> Console:
    """The console for what only a person who watches wants to see (standard error)."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False, emoji=False)
    if found.width < _NARROWEST:  # COLUMNS=0 of some editors: nothing at all would be shown
        found.width = _NARROWEST
    return found


def print_error(error: LrStudyError) -> None:
    """Show an error on standard error: every problem on a line of its own."""
    problems = error.problems if isinstance(error, InputError) else ()
    if len(problems) <= 1:
        text = _wrapped(f"error: {error}", "")
        typer.secho(text[:7], fg="red", bold=True, nl=False, err=True)
        typer.echo(text[7:], err=True)
        return
    typer.secho(f"error: {len(problems)} problems", fg="red", bold=True, err=True)
    for problem in problems:
        typer.echo(_wrapped(str(problem), "  "), err=True)


def _wrapped(text: str, indent: str) -> str:
    """Broken between words on a terminal; elsewhere one line, as programs that read it want it."""
    if not sys.stderr.isatty():
        return indent + text
    width = max(shutil.get_terminal_size().columns, _NARROWEST)
    lines = [
        textwrap.fill(
            line,
            width,
            initial_indent=indent if first else indent + "  ",
            subsequent_indent=indent + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for first, line in zip([True, *[False] * text.count("\n")], text.splitlines(), strict=False)
    ]
    return "\n".join(lines)
