"""From a study to its report: what ``run``, ``resume`` and ``retry`` have in common."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from lrstudy.cli.live import show_progress
from lrstudy.cli.output import console, messages
from lrstudy.cli.verdict import finish_report, relative, report_folder
from lrstudy.errors import EXIT_TRIALS_FAILED, Problem, StoreError, StudyInterruptedError, StudyStoppedError
from lrstudy.spec import restore_study
from lrstudy.store import Location, open_location, open_store, study_folder
from lrstudy.tuning import log_file, prepare, request_stop

if TYPE_CHECKING:
    from lrstudy.spec import Study
    from lrstudy.store import Store


@dataclass(frozen=True, slots=True)
class Way:
    """How a study is to be run: where its report goes (None: into the run), on which cluster, how loudly."""

    reports: Path | None = None
    address: str | None = None
    quiet: bool = False


def run_study(
    study: Study, out: str | Location, way: Way, own: Sequence[Path], forget: Collection[str] = ()
) -> None:
    """Run what is missing, then write the report and show the verdict.

    ``out`` and ``forget`` are as for ``prepare``, ``own`` the folders of users' own modules. Raises
    ``StudyStoppedError`` when the study ends early, ``typer.Exit`` when trials failed.
    """
    screen = console()
    run = out if isinstance(out, Location) else study_folder(open_location(out), study.name)
    folder = report_folder(run, study.name, way.reports)
    with prepare(
        study, out, address=way.address, search_path=own, also_written=[folder], forget=forget
    ) as ready:
        pressed = False
        if ready.lanes_note and not way.quiet:
            messages().print(ready.lanes_note, markup=False)
        if not ready.run.done:
            metric = study.target.metric
            with (
                _drained(ready.location) as interrupts,
                show_progress(screen, ready.run.progress, metric, quiet=way.quiet) as on_change,
            ):
                try:
                    ready.start(on_change)
                except KeyboardInterrupt:
                    interrupts.append(signal.SIGINT)
            pressed = bool(interrupts)
    if not ready.run.done:
        kind = StudyInterruptedError if pressed else StudyStoppedError
        again = resume_command(ready.location, way)
        raise kind(f"stopped with {ready.run.remaining} trials to go; to continue: {again}")
    finish_report(screen, ready.location, folder)
    if failures := ready.run.failures:
        first = failures[0]
        typer.echo(f"{len(failures)} trials failed; {first.trial_id}:\n{first.error}", err=True)
        typer.echo(f"log: {log_file(ready.location)}", err=True)
        typer.echo(f"to run them again: {resume_command(ready.location, way, 'retry')}", err=True)
        raise typer.Exit(EXIT_TRIALS_FAILED)


def stored_study(run: str) -> tuple[Store, Study]:
    """A run's store and the study that it was written for."""
    store = open_store(run)
    if store.study.spec.get("imported"):
        remedy = "Only runs of lrstudy itself can be gone on with."
        raise StoreError(Problem(run, "", "holds recorded histories, which nobody can train on", remedy))
    return store, restore_study(store.study.spec | {"name": store.study.name}, f"{run}/study.json")


def resume_command(run: Location, way: Way, verb: str = "resume") -> str:
    """The command line that goes on with a run."""
    place = str(run) if run.local is None else str(relative(run.local))
    words = ["lrstudy", verb, place]
    if way.reports is not None:
        words += ["--reports", str(way.reports)]
    if way.address is not None:
        words += ["--address", way.address]
    if run.local is None and (endpoint := os.environ.get("AWS_ENDPOINT_URL")):
        words += ["--endpoint", endpoint]
    return shlex.join(words)


@contextmanager
def _drained(run: Location) -> Iterator[list[int]]:
    """While the block runs, Ctrl-C asks the study to stop, and a second one stops it at once.

    Yields the signals so far.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def on_signal(number: int, _: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 1:
            raise KeyboardInterrupt
        try:
            request_stop(run)
        except StoreError as error:
            raise KeyboardInterrupt from error
        typer.echo("stopping: running epochs end first; Ctrl-C again stops at once", err=True)

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
