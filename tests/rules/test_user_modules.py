"""The guard around users' own code: each way in which it can go wrong, and what it may not leave behind."""

from __future__ import annotations

import importlib
import json
import logging
import pickle
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrstudy.errors import ContractError
from lrstudy.rules.user_modules import UserCode, call, load

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module into a folder that stands behind all that is installed, as a study's does."""
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    before = set(sys.modules)

    def write(code: str, name: str = "mine") -> None:
        (folder / f"{name}.py").write_text(textwrap.dedent(code).lstrip("\n"))

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def loaded(name: str = "mine:make") -> Callable[..., Any]:
    return load(UserCode(name, "task", "dataset"))


def refusal(name: str = "mine:make") -> str:
    with pytest.raises(ContractError) as caught:
        loaded(name)
    return str(caught.value)


def called(code: str, **options: Any) -> Any:
    return call(UserCode(code, "task", "dataset"), loaded(code), options=options, seed=1)


READS_ARGUMENTS = {
    "argparse": "import argparse as a\np = a.ArgumentParser()\np.add_argument('--x')\nargs = p.parse_args()",
    "an abbreviation for it": "import argparse\n\n\nargs = argparse.ArgumentParser().parse_known_args()",
    "optparse": "import optparse\n\n\nargs = optparse.OptionParser().parse_args()",
}


@pytest.mark.parametrize("code", READS_ARGUMENTS.values(), ids=READS_ARGUMENTS)
def test_a_module_that_parses_the_command_line_is_told_so(write: Write, code: str) -> None:
    write(code)
    said = refusal()
    assert "importing mine ended the program (SystemExit: 2)" in said
    assert "mine.py, line 4): it reads the command line when it is imported" in said
    assert '__name__ == "__main__"' in said


def test_arguments_given_explicitly_are_no_command_line(write: Write) -> None:
    write("import argparse\nargs = argparse.ArgumentParser().parse_args([])\ndef make(): return 1\n")
    assert called("mine:make") == 1


BROKEN = {
    "sys.exit": ("import sys\nsys.exit(3)", "ended the program (SystemExit: 3 (", "line 2", "Move what ends"),
    "exit with a text": ("raise SystemExit('no data')", "SystemExit: no data (", "line 1", "Move what ends"),
    "syntax": (
        "x = 1\ndef make(:\n    pass",
        "SyntaxError: invalid syntax (",
        "line 2",
        "Correct the module",
    ),
    "indentation": ("def make():\npass", "IndentationError: expected an", "line 2", "Correct the module"),
    "null bytes": ("x = 1\0", "null bytes", "mine.py", "Correct the module"),
    "exception": ("x = 1\nraise NameError('x')", "NameError: x (", "line 2", "Correct the module"),
    "recursion": ("def f(): f()\nf()", "RecursionError: maximum recursion", "line 1", "Correct the module"),
    "base exception": (
        "class E(BaseException): pass\nraise E",
        "imported: E (",
        "line 2",
        "Correct the module",
    ),
    "input": ("x = 1\nx = input()", "EOFError: EOF when reading a line (", "line 2", "Correct the module"),
    "arguments": ("import sys\nx = sys.argv[1]", "no command line arguments", "line 2", "Correct the module"),
    "dependency": (
        "\nimport lacking.part",
        "No module named 'lacking'",
        "line 1",
        "Install 'lacking', or have",
    ),
    "dependency with the same beginning": ("import min", "named 'min'", "line 1", "Install 'min', or have"),
    "no attribute": (
        "def made(): ...",
        "module 'mine' has no 'make'",
        "dataset = 'mine:make'",
        "offers: made",
    ),
    "not callable": ("make = 3", "cannot be called", "dataset = 'mine:make'", "Name a function or a class"),
    "text that raises": (
        "class E(Exception):\n    def __str__(self): return self.x\nraise E",
        "E: <E whose text raises AttributeError> (",
        "line 3",
        "Correct the module",
    ),
    "text that cannot be encoded": (
        r"raise ValueError('\udcff\x1b[31m')",
        r"\udcff\x1b[31m (",
        "line 1",
        "Corr",
    ),
    "attribute that raises": (
        "def __getattr__(n): raise ValueError(n)",
        "read: ValueError: make",
        "line 1",
        "Corr",
    ),
}


@pytest.mark.parametrize(("code", "message", "place", "remedy"), BROKEN.values(), ids=BROKEN)
def test_each_way_to_fail_has_its_message_place_and_remedy(
    write: Write, code: str, message: str, place: str, remedy: str
) -> None:
    write(code)
    said = refusal()
    assert message in said
    assert place in said
    assert remedy in said
    said.encode()


def test_a_missing_module_is_told_where_to_be_and_a_file_name_is_no_module(write: Write) -> None:
    write("def make(): ...")
    assert "Have nowhere/else.py beside the study file" in refusal("nowhere.else:make")
    assert "Write mine:make." in refusal("mine.py:make")


def test_a_helper_that_fails_is_named_not_the_module_that_imports_it(write: Write) -> None:
    write("import helper\ndef make(): ...")
    write("\n\nx = 1 / 0", "helper")
    assert "helper.py, line 1)" in refusal()


def test_a_file_whose_name_an_installed_module_has_is_meant_and_only_by_the_study(write: Write) -> None:
    for name in ("statistics", "sklearn"):
        write("class Mine: ...\ndef make(): return Mine()", name)
        made = called(f"{name}:make")
        assert pickle.loads(pickle.dumps(made)).__class__ is made.__class__
        assert loaded(f"{name}:make") is loaded(f"{name}:make")
        assert "has no 'mean'" in refusal(f"{name}:mean")
        assert not hasattr(importlib.import_module(name), "Mine"), "others get the installed one"


def test_a_module_in_a_package_whose_name_is_taken_is_said(write: Write, tmp_path: Path) -> None:
    (tmp_path / "study" / "email").mkdir()
    (tmp_path / "study" / "email" / "charset.py").write_text("def make(): ...")
    said = refusal("email.charset:make")
    assert f"not your {tmp_path / 'study' / 'email' / 'charset.py'}. Rename your module" in said


def test_interrupting_passes(write: Write) -> None:
    write("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        loaded()
    write("def make(): raise KeyboardInterrupt", "later")
    with pytest.raises(KeyboardInterrupt):
        called("later:make")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('a')", "called with (rows=3) it raised KeyError: 'a' ("),
        ("import sys; sys.exit(4)", "called with (rows=3) it ended the program (SystemExit: 4 ("),
        ("make(rows)", "it raised RecursionError"),
        ("raise GeneratorExit", "it raised GeneratorExit ("),
    ],
)
def test_a_call_that_fails_says_how_where_and_with_what(write: Write, body: str, message: str) -> None:
    write(f"def make(rows):\n    {body}\n")
    with pytest.raises(ContractError) as caught:
        called("mine:make", rows=3)
    assert message in str(caught.value)
    assert "mine.py, line 2)" in str(caught.value)


CHANGES = """
    import logging, os, random, signal, sys
    import numpy as np
    import torch

    def make():
        os.chdir("/")
        sys.argv[:] = ["other"]
        sys.stdout = None
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        logging.basicConfig(level=logging.DEBUG, force=True)
        logging.disable()
        random.seed(3), np.random.seed(3), torch.manual_seed(3)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_device("meta")
        torch.use_deterministic_algorithms(True)
"""


def _process() -> list[Any]:
    return [
        Path.cwd(),
        list(sys.argv),
        sys.stdout,
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        [*logging.getLogger().handlers, logging.getLogger().level, logging.root.manager.disable],
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        torch.empty(0).device,
        torch.are_deterministic_algorithms_enabled(),
    ]


@pytest.mark.parametrize("at", ["import", "call"])
def test_what_it_changes_in_the_process_is_undone(write: Write, at: str) -> None:
    write(textwrap.dedent(CHANGES) + ("\nmake()\n" if at == "import" else ""))
    before = _process()
    loaded() if at == "import" else called("mine:make")
    assert _process() == before


def test_constants_drawn_at_import_are_the_same_whoever_imports_first(write: Write) -> None:
    draw = (
        "import random, numpy as np, torch\nB = [random.random(), np.random.rand(), torch.rand(1).item()]\n"
    )
    write(draw, "helper")
    write(f"import helper\n{draw}def make(): return B, helper.B", "one")
    write(f"{draw}import helper\ndef make(): return B, helper.B", "two")
    torch.rand(5)
    first = called("one:make")
    for name in ("one", "two", "helper"):
        sys.modules.pop(name, None)
    torch.rand(3), random.random(), np.random.rand()  # noqa: NPY002
    other = called("two:make")
    assert called("one:make") == first
    assert other[1] == first[1]
    assert first[0] != first[1]


def test_a_call_draws_the_same_whatever_was_drawn_before(write: Write) -> None:
    draws = "return random.random(), np.random.rand(), torch.rand(1)"
    write(f"import random, numpy as np, torch\ndef make(): {draws}")
    first = called("mine:make")
    np.random.rand(), torch.rand(1), random.random()  # noqa: NPY002
    assert called("mine:make") == first


def test_nothing_it_prints_reaches_standard_output(tmp_path: Path) -> None:
    printing = """
        import atexit, os, sys, logging
        print("import")
        os.write(1, b"descriptor\\n")
        os.system("echo child")
        print("original", file=sys.__stdout__)
        logging.basicConfig(stream=sys.stdout, level=0)

        def make():
            print("call")
            os.system("echo child of the call")
            logging.warning("log")
            return 1
    """
    (tmp_path / "mine.py").write_text(textwrap.dedent(printing))
    code = """
        import json, sys
        sys.path.append("")
        from lrstudy.rules.user_modules import UserCode, call, load
        code = UserCode("mine:make", "task", "dataset")
        print(json.dumps(call(code, load(code), options={}, seed=1)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == 1
    for word in ("import", "descriptor", "child", "original", "call", "child of the call", "log"):
        assert word in done.stderr
