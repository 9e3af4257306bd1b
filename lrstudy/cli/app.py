"""The Typer application, and the one place where errors become a message and an exit code."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from lrstudy import __version__
from lrstudy.cli.output import print_error
from lrstudy.errors import EXIT_INTERRUPTED, LrStudyError

# What arguments and options are called whose value is a folder or URI with stores.
_STORES = frozenset(("run", "runs", "out"))
_ENDPOINT = Annotated[
    str | None,
    typer.Option(metavar="URL", help="An S3-compatible server for s3:// places; else $AWS_ENDPOINT_URL."),
]


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


_Command = TypeVar("_Command", bound=Callable[..., Any])


class _App(typer.Typer):
    """Gives every command that takes a store the option ``--endpoint``."""

    def command(self, *given: Any, **options: Any) -> Callable[[_Command], _Command]:
        register: Callable[[Any], Any] = super().command(*given, **options)

        def decorate(function: _Command) -> _Command:
            register(_with_endpoint(function))
            return function

        return decorate


def _with_endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function, eval_str=True)
    if not signature.parameters.keys() & _STORES:
        return function

    @functools.wraps(function)
    def command(*, endpoint: str | None, **options: Any) -> Any:
        if endpoint is not None:
            # Read where a place is opened, here and in every process that this one starts.
            os.environ["AWS_ENDPOINT_URL"] = endpoint
        return function(**options)

    kind = inspect.Parameter.KEYWORD_ONLY
    option = inspect.Parameter("endpoint", kind, default=None, annotation=_ENDPOINT)
    whole = signature.replace(parameters=[*signature.parameters.values(), option])
    command.__annotations__ = {name: each.annotation for name, each in whole.parameters.items()}
    command.__dict__["__signature__"] = whole
    return command


app = _App(
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
