"""Several studies run one after another, each in a separate process as if given alone, and compared."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from lrstudy.cli.output import console, messages
from lrstudy.cli.views.compare import compare_runs, show_wins
from lrstudy.errors import EXIT_TRIALS_FAILED, InputError, Problem
from lrstudy.spec import load_study
from lrstudy.store import open_location, study_folder

_FORWARDED = (signal.SIGTERM, signal.SIGHUP)


def run_suite(
    studies: Sequence[Path], out: str, reports: Path | None, options: Sequence[str], changes: Sequence[str]
) -> None:
    """Run the studies in their order and write their comparison below ``reports`` (default: beside the runs).

    ``options`` are the words of the command line for each, ``changes`` those of ``--set`` among them. A
    study with failed trials does not stop the others; one that is stopped, or refused, does. Raises
    ``InputError`` with the problems of all study files before any starts, and ``typer.Exit``.
    """
    names = _names(studies, changes)
    failed = False
    for number, (study, name) in enumerate(zip(studies, names, strict=True), start=1):
        messages().print(f"study {number} of {len(studies)}: {name}", markup=False)
        code = _run([sys.executable, "-m", "lrstudy", "run", str(study), *options])
        if code not in (0, EXIT_TRIALS_FAILED):
            left = len(studies) - number
            more = f"; {left} more not started" if left else ""
            messages().print(f"stopped in study {number} of {len(studies)}{more}; the same command continues")
            raise typer.Exit(code)
        failed = failed or code != 0
    from lrstudy.report import write_comparison

    compared = compare_runs([str(study_folder(open_location(out), name)) for name in names])
    place = open_location(out).local or Path()  # beside the runs, or here where they are on no local disk
    paths = write_comparison(compared, (reports or place) / "comparison")
    screen = console()
    screen.print()
    show_wins(screen, compared)
    screen.print(f"comparison: {paths.html}", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(EXIT_TRIALS_FAILED)


def _names(studies: Sequence[Path], changes: Sequence[str]) -> list[str]:
    names: list[str] = []
    problems: list[Problem] = []
    for study in studies:
        try:
            name = load_study(study, list(changes)).name
        except InputError as error:
            problems += error.problems
            continue
        if name in names:
            message = "is the name of two of the studies"
            problems.append(Problem(str(study), "name", message, "Give each another name", name))
        names.append(name)
    if problems:
        raise InputError(problems)
    return names


def _run(command: Sequence[str]) -> int:
    """Run a command to its end and return its exit code; signals are its to handle."""
    with subprocess.Popen(command) as process, _signals_go_to(process):  # noqa: S603 - this program
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _signals_go_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave Ctrl-C to the process, which the terminal tells too, and pass on what only this one gets."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_FORWARDED)}

    def forward(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    for number in before:
        signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
