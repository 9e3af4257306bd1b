"""What benchmarks and scripts import of the package exists, though no test run imports these files."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("tests/bench", "studies", "reports")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))


def names_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield each module of the package that a text imports from, and the name that it takes."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lrstudy":
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (
                (alias.name, "__name__") for alias in node.names if alias.name.split(".")[0] == "lrstudy"
            )


def missing(text: str) -> list[str]:
    lacking = []
    for module, name in names_of(text):
        try:
            found = hasattr(importlib.import_module(module), name) or importlib.import_module(
                f"{module}.{name}"
            )
        except ModuleNotFoundError as error:
            found = not str(error.name).startswith("lrstudy")  # a tracker's package may not be installed
        if not found:
            lacking.append(f"{module}.{name}".removesuffix(".__name__"))
    return lacking


def test_there_are_files_to_check() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_name_is_there(file: Path) -> None:
    assert missing(file.read_text()) == []


def test_a_missing_name_is_found() -> None:
    text = (
        "from lrstudy.engine.trial import Training, run_it\nimport lrstudy.nowhere\nfrom lrstudy import spec"
    )
    assert missing(text) == ["lrstudy.engine.trial.run_it", "lrstudy.nowhere"]
