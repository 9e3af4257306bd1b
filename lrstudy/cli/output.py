"""Output of the commands: the console of results, the console of messages, errors, and figures in files."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from lrstudy.errors import InputError, LrStudyError, Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
_NARROWEST: Final = 40


def console() -> Console:
    """Return the console for results (standard output). Rich itself obeys ``NO_COLOR``."""
    return _console(stderr=False)


def messages() -> Console:
    """Return the console for messages that only a person needs (standard error)."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, emoji=False)
    if made.width < _NARROWEST:  # some editors set COLUMNS=0, and rich would then show nothing
        made.width = _NARROWEST
    return made


def print_error(error: LrStudyError) -> None:
    """Show an error on standard error, each problem on a separate line."""
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
    """Return the text wrapped between words on a terminal; elsewhere unwrapped, for programs that read it."""
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


def figure_problems(option: str, path: Path) -> list[Problem]:
    """Return the problems of a figure's file that show before the figure is drawn."""
    if path.suffix.lower() not in (".png", ".svg"):
        remedy = "Give a file name that ends with .png or .svg."
        return [Problem("command line", option, "is neither .png nor .svg", remedy, str(path))]
    if not path.absolute().parent.is_dir():
        remedy = "Make the folder, or choose another."
        return [Problem("command line", option, "is in a folder that does not exist", remedy, str(path))]
    return []


def save_figure(figure: Figure, option: str, path: Path) -> None:
    """Write a figure as PNG or SVG; raises ``InputError`` if the file cannot be written."""
    try:
        figure.savefig(path, dpi=144)
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        problem = Problem("command line", option, message, "Choose another path.", str(path))
        raise InputError(problem) from error
