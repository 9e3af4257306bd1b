"""A digest of users' own code: of a function's module and of users' modules that it uses."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from lrstudy.rules.module_files import file_of
from lrstudy.rules.source_files import is_installed


def source_digest(function: Any) -> str:
    """Return a digest of what the code says: comments and layout do not count.

    Covers the module of the function and, through the names in them, all other modules that are not
    installed packages. Code that is loaded later, and data, are not covered.
    """
    found = hashlib.blake2b(digest_size=8)
    module = sys.modules.get(getattr(function, "__module__", ""))
    files = {} if module is None else {file_of(each): each.__name__ for each in _users_modules(module)}
    for file, name in sorted(files.items(), key=lambda item: item[1]):
        found.update(f"{name}\n{_meaning(Path(file))}".encode())
    return found.hexdigest()


def _users_modules(start: ModuleType) -> Iterator[ModuleType]:
    seen, waiting = {start.__name__}, [start]
    while waiting:
        module = waiting.pop()
        if is_installed(file_of(module)):
            continue
        yield module
        for value in list(vars(module).values()):
            name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(name, str) and name not in seen and isinstance(sys.modules.get(name), ModuleType):
                seen.add(name)
                waiting.append(sys.modules[name])


def _meaning(file: Path) -> str:
    try:
        return ast.dump(ast.parse(file.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):
        return str(file.name)
