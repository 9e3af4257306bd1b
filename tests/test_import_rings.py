"""No two modules import each other, not even by a detour or inside a function."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(name: str, text: str, modules: frozenset[str]) -> set[str]:
    """Return the modules that a module imports anywhere, for types alone too."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & modules
            if whole - modules:
                found.add(node.module)
    return (found & modules) - {name}


def ring(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_there_is_no_ring_of_imports() -> None:
    files = {module_name(file): file for file in (ROOT / "lrstudy").rglob("*.py")}
    modules = frozenset(files)
    graph = {name: imported(name, file.read_text(), modules) for name, file in files.items()}
    assert len(graph) > 100
    assert ring(graph) == []


def test_a_ring_is_found() -> None:
    modules = frozenset({"a", "a.b", "c"})
    texts = {"a": "", "a.b": "def f():\n    import c", "c": "from a import b"}
    assert ring({name: imported(name, text, modules) for name, text in texts.items()})
