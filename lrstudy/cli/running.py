"""From a study to its report: what ``run``, ``resume`` and ``retry`` have in common."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lrstudy.cli.interrupts import draining
from lrstudy.cli.live import show_progress
from lrstudy.cli.output import console, messages, print_error
from lrstudy.cli.streams import without_readers
from lrstudy.cli.verdict import finish_report, relative, report_folder
from lrstudy.errors import EXIT_TRIALS_FAILED, Problem, StoreError, StudyInterruptedError, StudyStoppedError
from lrstudy.rules.counting import counted
from lrstudy.spec import restore_study
from lrstudy.store import Location, open_location, open_store, study_folder
from lrstudy.tuning import log_file, prepare
from lrstudy.tuning.cluster.ray_watch import ray_watched

if TYPE_CHECKING:
    from lrstudy.spec import Study
    from lrstudy.store import Store
    from lrstudy.tuning import Prepared


@dataclass(frozen=True, slots=True)
class Way:
    """The way to run a study: the report's folder (None: in the run), the cluster, the amount of output."""

    reports: Path | None = None
    address: str | None = None
    quiet: bool = False


@without_readers()
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
        for note in () if way.quiet else filter(None, (ready.data_note, ready.lanes_note)):
            messages().print(note, markup=False)
        if not ready.run.done:
            metric = study.target.metric
            with (
                draining(ready.location) as interrupts,
                ray_watched(lambda name: _end_without_ray(name, ready, way, interrupts)),
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
        raise kind(f"stopped with {counted(ready.run.remaining, 'trial')} to go; to continue: {again}")
    finish_report(screen, ready.location, folder)
    if failures := ready.run.failures:
        first = failures[0]
        typer.echo(f"{counted(len(failures), 'trial')} failed; {first.trial_id}:\n{first.error}", err=True)
        typer.echo(f"log: {log_file(ready.location)}", err=True)
        typer.echo(f"to run them again: {resume_command(ready.location, way, 'retry')}", err=True)
        raise typer.Exit(EXIT_TRIALS_FAILED)


def _end_without_ray(name: str, ready: Prepared, way: Way, interrupts: Sequence[int]) -> None:
    """End this process before Ray's C++ code does: nothing can run or be asked any more."""
    again = resume_command(ready.location, way)
    left = counted(ready.run.remaining, "trial")
    kind = StudyInterruptedError if interrupts else StudyStoppedError
    error = kind(
        f"Ray's process {name} has ended, and the study with it, with {left} to go; to continue: {again}"
    )
    with suppress(Exception):
        messages().show_cursor()
        console().show_cursor()
        print_error(error)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    os._exit(error.exit_code)


def stored_study(run: str) -> tuple[Store, Study]:
    """A run's store and the study that it was written for."""
    store = open_store(run)
    if store.study.spec.get("imported"):
        remedy = "Only runs created by lrstudy run can be resumed."
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
