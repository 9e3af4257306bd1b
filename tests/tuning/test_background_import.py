"""Imports that go on beside something else: ready when asked for, and as broken as ever where they are."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lrstudy.tuning.background_import import import_in_background


def test_an_import_goes_on_meanwhile_and_raises_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meanwhile_broken.py").write_text("raise KeyError('here')")
    (tmp_path / "meanwhile_whole.py").write_text("import threading; WHO = threading.current_thread().name")
    monkeypatch.syspath_prepend(str(tmp_path))
    import_in_background("meanwhile_broken", "meanwhile_whole")
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join()
    assert importlib.import_module("meanwhile_whole").WHO == "imports"
    with pytest.raises(KeyError, match="here"):
        importlib.import_module("meanwhile_broken")


@pytest.mark.parametrize(
    ("first", "absent"),
    [
        ("lrstudy.cli.views.run", ["torch", "ray.tune", "optuna", "scipy.stats"]),  # before Ray starts
        ("lrstudy.tuning.driver.suggestions, lrstudy.engine.lanes", ["ray"]),  # what is imported meanwhile
    ],
)
def test_what_starts_a_study_imports_in_its_order(first: str, absent: list[str]) -> None:
    code = f"import sys; import {first}; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
