"""The command in hostile surroundings: streams, variables, folders and files as other programs leave them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app

STUDY = """
name = "small"
[task]
dataset = "iris"
model = { name = "mlp", widths = [8] }
batch_size = 32
epochs = 3
[budget]
objective = "best"
trials = 2
confirm_seeds = 2
[target]
metric = "val_accuracy"
values = [0.5]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
[schedules.step]
lr = { low = 0.01, high = 1.0, log = true }
"""
# What a script finds before Python's own where the current folder comes first.
TAKEN = ("timeit", "statistics", "random", "select", "queue", "numpy", "torch")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study file, and a run of recorded histories."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "s.toml").write_text(STUDY)
    rows = ["schedule,run,epoch,lr,train_loss,val_accuracy"]
    for name in ("fixed", "é – λ"):
        rows += [f"{name},{seed},{e},0.1,{1 / e:.3f},{1 - 0.9 / e:.3f}" for seed in (0, 1) for e in (1, 2, 3)]
    (folder / "h.csv").write_text("\n".join(rows) + "\n")
    words = ["import", str(folder / "h.csv"), "--seed-column", "run", "--target", "0.5"]
    told = CliRunner().invoke(app, [*words, "--out", str(folder / "runs")])
    assert told.exit_code == 0, told.output
    (run,) = (folder / "runs").iterdir()
    run.rename(folder / "run")
    return folder


def shell(command: str, folder: Path, timeout: float = 200, **variables: str) -> tuple[int, str]:
    """The exit code of a command line and all that it printed. ``$L`` is lrstudy."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "L": f"{sys.executable} -m lrstudy", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="surrogateescape")


FULL = "error: standard output: cannot be written: No space left on device"
GONE = "error: the current folder: was deleted or may not be read"
# A command line, its exit code, and words that it must print.
HOSTILE: dict[str, tuple[str, int, str]] = {
    "a notebook's backend": (
        "MPLBACKEND=module://none.such $L report run -o r1",
        0,
        "report: r1/report.html",
    ),
    "a backend with a window": ("MPLBACKEND=tkagg $L schedules fixed --plot p.svg", 0, "drawn: p.svg"),
    "ascii": ("PYTHONIOENCODING=ascii $L report run", 0, "e - lambda"),
    "latin-1": ("PYTHONIOENCODING=latin-1 $L status run", 0, "fixed"),
    "the C locale": ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 $L schedules", 0, "fixed"),
    "no locale": ("env -u LANG -u LC_ALL $L schedules", 0, "fixed"),
    "a full disk": ("$L schedules > /dev/full", 2, FULL),
    "a full disk and JSON": ("$L schedules --json > /dev/full", 2, FULL),
    "a full disk and a report": ("$L report run -o r2 > /dev/full && false; ls r2", 0, "report.html"),
    "full standard error": ("$L status nowhere 2> /dev/full", 2, ""),
    "a reader that left": ("$L schedules --json | true; exit ${PIPESTATUS[0]}", 0, ""),
    "no standard output": ("$L schedules >&-", 0, ""),
    "no streams": ("$L report run -o r3 >&- 2>&- <&-; ls r3", 0, "report.html"),
    "no home": ("env -u HOME $L status run", 0, "fixed"),
    "a home that cannot be written": ("HOME=/proc $L report run -o r4", 0, "report: r4/report.html"),
    "nobody's home": ("$L status ~nobody-of-this-name/run", 2, "no home folder is known for it"),
    "no temporary folder": ("TMPDIR=/proc $L status run", 0, "fixed"),
    "one column": ("COLUMNS=1 TERM=dumb $L status run", 0, "fixed"),
    "no columns": ("COLUMNS=0 $L schedules", 0, "fixed"),
    "no colour": ("NO_COLOR=1 $L schedules", 0, "fixed"),
    "warnings as errors": ("PYTHONWARNINGS=error $L report run -o r6", 0, "report: r6/report.html"),
    "no byte code": ("PYTHONPYCACHEPREFIX=/proc PYTHONSTARTUP=/none $L schedules", 0, "fixed"),
    "few open files": ("ulimit -n 64; $L status run", 0, "fixed"),
    "a proxy": ("http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 $L status run", 0, "fixed"),
    "a deleted folder": ("mkdir d && cd d && rmdir ../d && $L status ../run", 2, GONE),
    "a name that is no text": ("$L schedules fixed --plot $'caf\\xe9.png'", 0, "drawn: caf\udce9.png"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_command_does_its_work_or_names_the_cause(here: Path, case: str) -> None:
    command, code, words = HOSTILE[case]
    found, said = shell(command, here)
    assert (found, words in said) == (code, True), said
    assert "Traceback" not in said
    assert "Exception ignored" not in said


HOME: dict[str, tuple[str, str]] = {
    "report": ("report run --out '~/a'", "a/report.html"),
    "report with an equal sign": ("report run --out='~/b'", "b/report.html"),
    "a plot": ("schedules fixed --plot '~/c.png'", "c.png"),
    "an export": ("export run --format csv --out '~/d'", "d/trials.csv"),
    "an import": ("import '~/h.csv' --seed-column run --target 0.5 --out '~/e'", "e"),
    "a study": ("init '~/f.toml'", "f.toml"),
}


@pytest.mark.parametrize("case", HOME)
def test_a_tilde_is_the_home_folder_wherever_a_path_is_given(here: Path, tmp_path: Path, case: str) -> None:
    words, made = HOME[case]
    (tmp_path / "h.csv").write_bytes((here / "h.csv").read_bytes())
    code, said = shell(f"$L {words}", here, HOME=str(tmp_path))
    assert code == 0, said
    assert (tmp_path / made).exists()
    assert not (here / "~").exists()


def test_the_report_of_a_study_may_go_to_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrstudy.cli.views import run

    seen = []
    monkeypatch.setattr(
        run, "run_study", lambda study, out, way, own, **more: seen.append((out, way.reports))
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "s.toml").write_text(STUDY)
    told = CliRunner().invoke(app, ["run", "~/s.toml", "--out", "~/runs", "--reports", "~/rep"])
    assert told.exit_code == 0, told.output
    assert seen == [(str(tmp_path / "runs"), tmp_path / "rep")]


ENCODED: dict[str, tuple[bytes, str]] = {
    "UTF-8 with a mark": (STUDY.encode("utf-8-sig"), "s.toml: ok"),
    "lines of Windows": (STUDY.replace("\n", "\r\n").encode(), "s.toml: ok"),
    "UTF-16 with a mark": (STUDY.encode("utf-16"), "is UTF-16, not UTF-8"),
    "UTF-16 without": (STUDY.strip().encode("utf-16-le"), "is UTF-16, not UTF-8"),
    "UTF-16 the other way round": (STUDY.strip().encode("utf-16-be"), "is UTF-16, not UTF-8"),
    "Latin-1": (STUDY.replace("small", "é").encode("latin-1"), "is not UTF-8 (byte 9)"),
}


@pytest.mark.parametrize("case", ENCODED)
def test_a_study_file_of_any_editor_is_read_or_its_encoding_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    content, words = ENCODED[case]
    (tmp_path / "s.toml").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    assert words in CliRunner().invoke(app, ["validate", "s.toml"]).output


@pytest.mark.cluster
def test_a_study_runs_among_modules_that_hide_pythons_own_and_without_a_home(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(STUDY)
    for name in TAKEN:
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('the wrong {name}')\n")
    hostile = {
        "HOME": "/proc",
        "MPLBACKEND": "module://none.such",
        "PYTHONIOENCODING": "ascii",
        "PYTHONWARNINGS": "error",
        "RAY_ADDRESS": "127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }
    code, said = shell("$L run s.toml --set resources.max_concurrent=1 > /dev/full", tmp_path, **hostile)
    assert (code, FULL in said) == (2, True), said
    assert "Traceback" not in said
    assert (tmp_path / "runs" / "small" / "report" / "report.html").exists()
