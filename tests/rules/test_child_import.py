"""A module that ends its process at import is a problem with its name; other faults are left to others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lrstudy.rules.child_import import ChildImport
from lrstudy.rules.user_modules import UserCode

SOUND = UserCode("sound_one:make", "task", "model")
EXITS = "import os\nos._exit(7)\n"
CRASHES = """import os, sys
print('free(): invalid size', file=sys.stderr)
os.abort()
"""


def problems_of(folder: Path, *codes: UserCode, **modules: str) -> list[str]:
    (folder / "sound_one.py").write_text("def make(): pass\n")
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    with ChildImport(codes, [folder]) as imported:
        return list(map(str, imported.problems()))


def test_a_module_that_ends_the_process_is_named_with_its_exit_code(tmp_path: Path) -> None:
    code = UserCode("leaves_early:make", "schedules.mine", "kind")
    (said,) = problems_of(tmp_path, SOUND, code, leaves_early=EXITS)
    assert "schedules.mine: kind = 'leaves_early:make'" in said
    assert "importing leaves_early ended the process with exit code 7" in said


def test_an_exit_code_of_0_is_not_taken_for_an_import(tmp_path: Path) -> None:
    code = UserCode("leaves_well:make", "task", "model")
    (said,) = problems_of(tmp_path, code, SOUND, leaves_well="import os\nos._exit(0)\n")
    assert "importing leaves_well ended the process with exit code 0" in said


def test_a_crash_is_named_with_its_signal_and_its_last_output(tmp_path: Path) -> None:
    code = UserCode("crashes_hard:make", "task", "dataset")
    (said,) = problems_of(tmp_path, code, SOUND, crashes_hard=CRASHES)
    assert "importing crashes_hard crashed the process (SIGABRT)" in said
    assert "free(): invalid size" in said


@pytest.mark.parametrize(
    "text",
    [
        "1/0",
        "raise SystemExit(3)",
        "raise KeyboardInterrupt",
        "(",
        "import atexit, os\natexit.register(os._exit, 5)",
    ],
)
def test_what_an_import_here_would_report_is_left_to_it(tmp_path: Path, text: str) -> None:
    code = UserCode("raises_only:make", "task", "model")
    assert problems_of(tmp_path, code, SOUND, raises_only=text) == []


def test_without_users_code_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    with ChildImport(()) as imported:
        assert imported.problems() == []


def test_leaving_the_block_ends_the_child(tmp_path: Path) -> None:
    (tmp_path / "sleeps_long.py").write_text("import time\ntime.sleep(600)\n")
    with ChildImport([UserCode("sleeps_long:make", "task", "model")], [tmp_path]) as imported:
        child = imported._child
        assert child is not None
        assert child.poll() is None
    assert child.returncode == -9
