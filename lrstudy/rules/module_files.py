"""Users' module files: found beside installed ones of the same name, and run from fixed random states."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from lrstudy.rules.source_files import is_installed
from lrstudy.rules.surroundings import random_states_kept

# Before the name of a user's module that an installed one has too.
OWN_PREFIX: Final = "lrstudy_own_"


def shadowed_file(name: str) -> Path | None:
    """Return the user's file of this name if an import would find an installed module instead.

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


def run_file(name: str, file: Path) -> ModuleType:
    """Return the module of a file, imported under ``name`` unless it already is."""
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


def hidden_file(name: str, module: ModuleType) -> str | None:
    """Return the user's file that the name was meant for, if ``module`` hides it."""
    found, top = file_of(module), name.partition(".")[0]
    if top in ("torch", "lrstudy") or not is_installed(found):
        return None
    relative = Path(*name.split("."))
    for folder in map(Path, sys.path):
        for file in (folder / relative.with_suffix(".py"), folder / relative / "__init__.py"):
            if file.is_file() and not is_installed(str(file)) and str(file.resolve()) != found:
                return str(file)
    return None


def file_of(module: ModuleType) -> str:
    """Return the path of a module's file, or a name for a built-in module."""
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file else "<frozen built-in module>"


def seed_of(module: str) -> int:
    """Return the seed of the random states that a module is run from: a checksum of its name."""
    return zlib.crc32(module.encode())


class _OwnFile(SourceFileLoader):
    """Runs a user's module from random states that its name gives, the same in every process."""

    def get_code(self, fullname: str) -> CodeType | None:
        try:
            return super().get_code(fullname)
        except SyntaxError as error:
            error.filename = error.filename or self.path  # Python names none for null bytes
            raise

    def exec_module(self, module: ModuleType) -> None:
        with random_states_kept(seed_of(module.__name__)):
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
def fixed_random_states() -> Iterator[None]:
    """Run users' modules that the block imports from random states that their names give."""
    finder = _OwnFiles()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
