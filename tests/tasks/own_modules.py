"""A fixture that writes users' modules."""

from __future__ import annotations

import sys
import textwrap

import pytest


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a module and have it importable; returns its name."""

    def write(code: str, name: str = "own_parts") -> str:
        sys.modules.pop(name, None)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return name

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)
