"""The Typer application, and the one place where errors become a message and an exit code."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from typer.core import TyperGroup

from lrstudy import __version__
from lrstudy.cli.environment import check_folder, settle_environment
from lrstudy.cli.interrupts import interruptible
from lrstudy.cli.output import print_error
from lrstudy.cli.streams import guard_streams, lost_output
from lrstudy.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, InputError, LrStudyError, Problem

# What arguments and options are called whose value is a folder or URI with stores.
_STORES = frozenset(("run", "runs", "out"))
# And those whose value is a path, though a text: it may be a URI as well.
_PLACES = _STORES | {"files"}
_ENDPOINT = Annotated[
    str | None,
    typer.Option(metavar="URL", help="An S3-compatible server for s3:// places; else $AWS_ENDPOINT_URL."),
]


class _Group(TyperGroup):
    """Turns ``LrStudyError`` into its text and its exit code; ``--debug`` lets the traceback through."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override] # typer.Context is click's
        try:
            check_folder()
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


class App(typer.Typer):
    """Gives every command that takes a store the option ``--endpoint``, and reads ``~`` in every path."""

    def command(self, *given: Any, **options: Any) -> Callable[[_Command], _Command]:
        """Register a command, as typer's method of this name does."""
        register: Callable[[Any], Any] = super().command(*given, **options)

        def decorate(function: _Command) -> _Command:
            register(_with_endpoint(_with_home(function)))
            return function

        return decorate


def _with_home(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``~`` be the home folder in every path that is given: a shell reads it in some places only."""

    @functools.wraps(function)
    def command(**options: Any) -> Any:
        return function(**{name: _at_home(value, name in _PLACES) for name, value in options.items()})

    command.__dict__["__signature__"] = inspect.signature(function, eval_str=True)
    return command


def _at_home(value: Any, is_place: bool) -> Any:
    if isinstance(value, list):
        return [_at_home(each, is_place) for each in value]
    if not isinstance(value, Path) and not (is_place and isinstance(value, str)):
        return value
    if not str(value).startswith("~"):
        return value
    try:
        return type(value)(Path(value).expanduser())
    except RuntimeError as error:
        remedy = "Give the folder's whole path; ./~ is a folder of that name here."
        problem = Problem("command line", "", "no home folder is known for it", remedy, str(value))
        raise InputError(problem) from error


def _with_endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
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


app = App(
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


def main() -> NoReturn:
    """The ``lrstudy`` command."""
    guard_streams()
    settle_environment()
    with interruptible():
        try:
            from lrstudy.cli import commands  # noqa: F401 - importing it registers the commands

            app()
        except KeyboardInterrupt:  # while it starts or ends
            code: Any = EXIT_INTERRUPTED
        except SystemExit as done:
            code = done.code
    lost = lost_output()
    if lost is not None:
        remedy = "Send it where there is room; files that the command wrote are whole."
        problem = Problem("standard output", "", f"cannot be written: {lost.strerror}", remedy)
        print_error(InputError(problem))
        code = code or EXIT_BAD_INPUT
    sys.exit(code)
