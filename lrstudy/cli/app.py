"""The Typer application, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperGroup

from lrstudy.cli.environment import check_folder
from lrstudy.cli.output import print_error
from lrstudy.errors import EXIT_INTERRUPTED, InputError, LrStudyError, Problem
from lrstudy.version import __version__

# The names of arguments and options whose value is a folder or URI of stores.
_STORES: Final = frozenset(("run", "runs", "out"))
# The names of those whose value is a text because it may be a URI, and else is a path.
_PLACES: Final = _STORES | {"files"}
_TAGLINE: Final = "Which learning-rate schedule gets there first, and how sure are we?"
_ENDPOINT = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The S3-compatible server of s3:// URIs; default $AWS_ENDPOINT_URL."),
]


class _Group(TyperGroup):
    """Turns ``LrStudyError`` into its message and its exit code; with ``--debug`` the traceback is shown."""

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
    """Adds ``--endpoint`` to every command that takes a store, and expands ``~`` in every path."""

    def command(self, *given: Any, **options: Any) -> Callable[[_Command], _Command]:
        """Register a command like ``typer.Typer.command``, its help filled to the terminal's width."""

        def decorate(function: _Command) -> _Command:
            options.setdefault("help", _paragraphs(function))
            register: Callable[[Any], Any] = super(App, self).command(*given, **options)
            register(_with_endpoint(_with_home(function)))
            return function

        return decorate


def _paragraphs(function: Callable[..., Any]) -> str:
    """Return a docstring with each paragraph on one line: Typer keeps the line breaks of the source."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


def _with_home(function: Callable[..., Any]) -> Callable[..., Any]:
    """Expand ``~`` in every path: a shell does so at the start of a word only, not in ``--out=~/runs``."""

    @functools.wraps(function)
    def command(**options: Any) -> Any:
        return function(**{name: _expanded(value, name in _PLACES) for name, value in options.items()})

    command.__dict__["__signature__"] = inspect.signature(function, eval_str=True)
    return command


def _expanded(value: Any, is_place: bool) -> Any:
    if isinstance(value, list):
        return [_expanded(each, is_place) for each in value]
    if not isinstance(value, Path) and not (is_place and isinstance(value, str)):
        return value
    if not str(value).startswith("~"):
        return value
    try:
        return type(value)(Path(value).expanduser())
    except RuntimeError as error:
        remedy = "Write the whole path; ./~ is a folder of that name here."
        problem = Problem("command line", "", "no home folder is known for it", remedy, str(value))
        raise InputError(problem) from error


def _with_endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    if not signature.parameters.keys() & _STORES:
        return function

    @functools.wraps(function)
    def command(*, endpoint: str | None, **options: Any) -> Any:
        if endpoint is not None:
            # Every process that opens a store reads this variable, and inherits it from here.
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
    help=_TAGLINE,
    epilog="Exit codes: 0 done, 1 trials failed, 2 bad input, 3 stopped before the end, 130 interrupted.",
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"lrstudy {__version__}")
        raise typer.Exit


@app.callback(help=_TAGLINE)
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Read the options that come before the name of a command."""
