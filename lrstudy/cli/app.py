"""The Typer application, and the one place where errors become a message and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lrstudy import __version__
from lrstudy.cli.output import print_error
from lrstudy.errors import EXIT_INTERRUPTED, LrStudyError


class _Group(TyperGroup):
    """Turns ``LrStudyError`` into its text and its exit code; ``--debug`` lets the traceback through."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override] # typer.Context is click's
        try:
            return super().invoke(ctx)
        except LrStudyError as error:
            if ctx.params.get("debug"):
                raise
            print_error(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            if ctx.params.get("debug"):
                raise
            typer.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


app = typer.Typer(
    cls=_Group,
    name="lrstudy",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which learning-rate schedule gets there first, and how sure are we?",
    epilog="Exit codes: 0 done, 1 trials failed, 2 bad input, 3 stopped before the end, 130 interrupted.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lrstudy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Which learning-rate schedule gets there first, and how sure are we?"""


def main() -> None:
    """The ``lrstudy`` command."""
    from lrstudy.cli import commands  # noqa: F401 - importing it registers the commands

    sys.exit(app())
