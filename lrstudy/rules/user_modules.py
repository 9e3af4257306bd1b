"""The one guard around users' own code: ``"module:attribute"`` loaded, and what it names called.

Every error in it becomes a ``ContractError`` with the cause, its file and line, and the remedy; what
it does to the process is undone (see ``surroundings``). Ctrl-C alone passes.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NoReturn

from lrstudy.errors import ContractError, InputError, Problem
from lrstudy.rules.source_files import LRSTUDY, is_installed
from lrstudy.rules.surroundings import (
    CommandLineRead,
    no_input,
    random_states_kept,
    surroundings_kept,
)
from lrstudy.safe_text import safe_line

_PLACES: Final = "beside the study file, in the folder you start from, or on PYTHONPATH"
# Before the name of a user's module that an installed one has too.
_OWN: Final = "lrstudy_own_"
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
    file = _taken(module_name)
    module = _import(code, module_name) if file is None else _import(code, _OWN + module_name, file)
    if file is None and (hidden := _hidden_by(module_name, module)) is not None:
        message = f"{module_name!r} is {_file_of(module)}, not your {hidden}"
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
        with surroundings_kept(), no_input(), random_states_kept(_seed_of(name)), _own_random_states():
            return importlib.import_module(name) if file is None else _run_file(name, file)
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


def _taken(name: str) -> Path | None:
    """Return the user's file of this name, where an import would find an installed module instead.

    Python's own modules and installed ones come first on the path, or workers could not start. A study that
    names ``sched:make`` beside a ``sched.py`` means that file all the same.
    """
    if "." in name or name in ("torch", "lrstudy"):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or (spec.has_location and not is_installed(str(spec.origin))):
        return None
    for folder in map(Path, sys.path):
        file = folder / f"{name}.py"
        if file.is_file() and not is_installed(str(file)):
            return file.resolve()
    return None


def _run_file(name: str, file: Path) -> ModuleType:
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    spec = importlib.util.spec_from_file_location(name, file, loader=_OwnFile(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as an import does: pickles of its classes name it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


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


def _hidden_by(name: str, module: ModuleType) -> str | None:
    """The user's file that the name was meant for, where the module is another that comes first."""
    found, top = _file_of(module), name.partition(".")[0]
    if top in ("torch", "lrstudy") or not is_installed(found):
        return None
    relative = Path(*name.split("."))
    for folder in map(Path, sys.path):
        for file in (folder / relative.with_suffix(".py"), folder / relative / "__init__.py"):
            if file.is_file() and not is_installed(str(file)) and str(file.resolve()) != found:
                return str(file)
    return None


def _file_of(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file else "<frozen built-in module>"


def _offered(module: ModuleType) -> str:
    if getattr(module, "__file__", None) is None:
        return "It is a folder without __init__.py: name a module in it, or add that file."
    names = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
    return f"The module offers: {', '.join(names)}." if names else "Define it there."


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


def _seed_of(module: str) -> int:
    return zlib.crc32(module.encode())


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
            if not is_installed(file := _file_of(sys.modules[name])) and any(
                Path(file).is_relative_to(folder) for folder in names
            ):
                del sys.modules[name]
        importlib.invalidate_caches()


class _OwnFile(SourceFileLoader):
    """Runs a user's module from random states that its name gives, the same in every process."""

    def get_code(self, fullname: str) -> CodeType | None:
        try:
            return super().get_code(fullname)
        except SyntaxError as error:
            error.filename = error.filename or self.path  # Python names none for null bytes
            raise

    def exec_module(self, module: ModuleType) -> None:
        with random_states_kept(_seed_of(module.__name__)):
            super().exec_module(module)


class _OwnFiles(importlib.abc.MetaPathFinder):
    """Finds users' modules, those that they import in turn included, for ``_OwnFile`` to run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in sys.builtin_module_names:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or is_installed(str(spec.origin)):
            return None
        spec.loader = _OwnFile(name, str(spec.origin))
        return spec


@contextmanager
def _own_random_states() -> Iterator[None]:
    finder = _OwnFiles()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
