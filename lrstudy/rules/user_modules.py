"""The one guard around users' own code: ``"module:attribute"`` loaded, and what it names called.

Every error in it becomes a ``ContractError`` with the cause, its file and line, and the remedy; what
it does to the process is undone (see ``surroundings``). Ctrl-C alone passes.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn

from lrstudy.errors import ContractError, InputError, Problem
from lrstudy.rules.module_files import (
    OWN_PREFIX,
    file_of,
    fixed_random_states,
    hidden_file,
    run_file,
    seed_of,
    shadowed_file,
)
from lrstudy.rules.source_files import LRSTUDY, is_installed
from lrstudy.rules.surroundings import (
    CommandLineRead,
    no_input,
    random_states_kept,
    surroundings_kept,
)
from lrstudy.safe_text import safe_line

_PLACES: Final = "beside the study file, in the folder you start from, or on PYTHONPATH"
_MAIN: Final = 'below `if __name__ == "__main__":`'


@dataclass(frozen=True, slots=True)
class UserCode:
    """One ``"module:attribute"`` and where it is given: ``where`` and ``key`` are those of a ``Problem``."""

    name: str
    where: str
    key: str

    def refuse(self, message: str, remedy: str, cause: BaseException | None = None) -> NoReturn:
        """Raise the ``ContractError`` that names it."""
        raise ContractError(Problem(self.where, self.key, message, remedy, self.name)) from cause


def load(code: UserCode) -> Callable[..., Any]:
    """Return the object of that name; raises ``ContractError`` if it cannot be loaded or called."""
    module_name, _, path = code.name.partition(":")
    file = shadowed_file(module_name)
    module = _import(code, module_name) if file is None else _import(code, OWN_PREFIX + module_name, file)
    if file is None and (hidden := hidden_file(module_name, module)) is not None:
        message = f"{module_name!r} is {file_of(module)}, not your {hidden}"
        code.refuse(message, "Rename your module: the name is taken.")
    found: Any = module
    try:
        with surroundings_kept():  # a module may compute its attributes
            for step in path.split("."):
                found = getattr(found, step)
    except AttributeError as error:
        code.refuse(f"module {module_name!r} has no {path!r}", _offered(module), error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - users' code may raise anything
        code.refuse(f"cannot be read: {cause_of(error)}", "Correct the module.", error)
    if not callable(found):
        code.refuse("cannot be called", "Name a function or a class.")
    function: Callable[..., Any] = found
    return function


def call(
    code: UserCode,
    function: Callable[..., Any],
    *given: Any,
    options: Mapping[str, Any],
    seed: int,
    shown: Sequence[str] | None = None,
) -> Any:
    """Call users' code from the random states of ``seed``; raises ``ContractError`` where it does not return.

    The message shows the ``options`` that were passed, of which ``shown`` names those worth it.
    """
    try:
        with surroundings_kept(), random_states_kept(seed):
            return function(*given, **options)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - users' code may raise anything
        named = options if shown is None else {key: options[key] for key in shown}
        arguments = ", ".join(f"{key}={_text(value, repr)}" for key, value in named.items())
        if isinstance(error, SystemExit):
            message = f"called with ({arguments}) it ended the program ({cause_of(error)})"
            code.refuse(message, "Return a value, or raise an error, in place of sys.exit.", error)
        message = f"called with ({arguments}) it raised {cause_of(error)}"
        code.refuse(message, "Correct the function, or the options in the study file.", error)


@contextmanager
def guard(code: UserCode, doing: Callable[[], str], remedy: str) -> Iterator[None]:
    """Run users' code that lrstudy calls back; raises ``ContractError`` where it raises.

    ``doing()`` begins the message: what was done when it raised.
    """
    try:
        with surroundings_kept():
            yield
    except (KeyboardInterrupt, InputError):
        raise
    except SystemExit as error:
        code.refuse(f"{doing()} ended the program ({cause_of(error)})", remedy, error)
    except BaseException as error:  # noqa: BLE001 - users' code may raise anything
        code.refuse(f"{doing()} raised {cause_of(error)}", remedy, error)


def cause_of(error: BaseException) -> str:
    """An exception as one line: its type, its text, and the last line of users' code that it came from.

    >>> cause_of(KeyError("no such column"))
    "KeyError: 'no such column'"
    """
    if isinstance(error, SyntaxError) and error.filename:
        line = "" if error.lineno is None else f", line {error.lineno}"
        return f"{type(error).__name__}: {_text(error.msg)} ({error.filename}{line})"
    text = _text(error)
    return f"{type(error).__name__}{': ' if text else ''}{text}{_place(error)}"


def _import(code: UserCode, name: str, file: Path | None = None) -> ModuleType:
    """Import a module by its name, or from a file under a name of lrstudy's."""
    try:
        with surroundings_kept(), no_input(), random_states_kept(seed_of(name)), fixed_random_states():
            return importlib.import_module(name) if file is None else run_file(name, file)
    except CommandLineRead as error:
        message = f"importing {name} ended the program (SystemExit: 2){_place(error)}: "
        remedy = f"Move what parses it {_MAIN}, or give it no arguments: parse_args([])."
        code.refuse(f"{message}it reads the command line when it is imported", remedy, error)
    except SystemExit as error:
        message = f"importing {name} ended the program ({cause_of(error)})"
        code.refuse(message, f"Move what ends it {_MAIN}.", error)
    except ModuleNotFoundError as error:
        _refuse_missing(code, name, error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - users' code may raise anything
        code.refuse(f"cannot be imported: {cause_of(error)}", "Correct the module.", error)


def _refuse_missing(code: UserCode, name: str, error: ModuleNotFoundError) -> NoReturn:
    """Tell a module that is not there from one that imports what is not there."""
    missing = error.name or ""
    message = f"cannot be imported: {cause_of(error)}"
    if missing != name and not name.startswith(f"{missing}."):
        remedy = f"Install {missing.partition('.')[0]!r}, or have that module {_PLACES}."
        code.refuse(message, remedy, error)
    if name.endswith(".py"):
        code.refuse(message, f"Write {name.removesuffix('.py')}:{code.name.partition(':')[2]}.", error)
    code.refuse(message, f"Have {name.replace('.', '/')}.py {_PLACES}.", error)


def _offered(module: ModuleType) -> str:
    if getattr(module, "__file__", None) is None:
        return "It is a folder without __init__.py: name a module in it, or add that file."
    names = [key for key, value in vars(module).items() if key[0] != "_" and _is_offered(module, value)]
    return f"The module offers: {', '.join(names)}." if names else "Define it there."


def _is_offered(module: ModuleType, value: object) -> bool:
    """Return True if a function or class is defined in the module, or imported there from users' code."""
    if not callable(value):
        return False
    source = sys.modules.get(getattr(value, "__module__", None) or "builtins")
    if source is None or source is module or not hasattr(value, "__name__"):
        return True
    return not is_installed(file_of(source))


def _place(error: BaseException) -> str:
    """The last line of users' code under an exception, else of a library's."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    own = [frame for frame in frames if not is_installed(frame.filename)]
    others = [frame for frame in frames if not Path(frame.filename).is_relative_to(LRSTUDY)]
    last = (own or others)[-1:]
    return "".join(f" ({frame.filename}, line {frame.lineno})" for frame in last)


def _text(value: object, convert: Callable[[object], str] = str, limit: int = 500) -> str:
    """The text of an object of users' on one line, whatever its ``repr`` does."""
    try:
        text = convert(value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - users' code may raise anything
        text = f"<{type(value).__name__} whose text raises {type(error).__name__}>"
    line = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
    line = safe_line(line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


@contextmanager
def own_folders(folders: Sequence[Path]) -> Iterator[None]:
    """Import users' modules from these folders in the block, behind all that is installed, then forget them.

    Two studies may each have their own ``task.py``.
    """
    names = [str(folder.resolve()) for folder in folders]
    path, modules = sys.path[:], set(sys.modules)
    sys.path += [name for name in names if name not in path]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if not is_installed(file := file_of(sys.modules[name])) and any(
                Path(file).is_relative_to(folder) for folder in names
            ):
                del sys.modules[name]
        importlib.invalidate_caches()
