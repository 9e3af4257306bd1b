"""A study run to its report, with progress and verdicts: the view of ``run``, ``resume`` and ``retry``."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from lrstudy.cli.interrupts import draining
from lrstudy.cli.output import console, messages, print_error
from lrstudy.cli.streams import without_readers
from lrstudy.cli.views.progress import show_progress
from lrstudy.cli.views.report import finish_report, relative, report_folder
from lrstudy.cli.views.validate import show_warnings
from lrstudy.errors import EXIT_TRIALS_FAILED, Problem, StoreError, StudyInterruptedError, StudyStoppedError
from lrstudy.rules.counting import counted
from lrstudy.spec.free_settings import with_settings
from lrstudy.spec.study_file_lines import locate
from lrstudy.store import Location, open_location, open_store, study_folder
from lrstudy.tuning import log_file, prepare
from lrstudy.tuning.cluster.ray_watch import ray_watched
from lrstudy.tuning.spent_limit import limit_setting, price_setting

if TYPE_CHECKING:
    from lrstudy.rules.extension import Extended
    from lrstudy.spec import Study
    from lrstudy.store import Store
    from lrstudy.tuning import Prepared


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run: the report's folder (None: in the run), the cluster, the amount of output."""

    reports: Path | None = None
    address: str | None = None
    quiet: bool = False


@without_readers()
def run_study(
    study: Study,
    out: str | Location,
    options: RunOptions,
    own: Sequence[Path],
    forget: Collection[str] = (),
    extended: Extended | None = None,
    study_file: str = "",
) -> None:
    """Run what is missing, then write the report and show the verdict.

    ``own`` are the folders of users' own modules; the other arguments are those of ``prepare``. Raises
    ``StudyStoppedError`` if the study ends early, ``typer.Exit`` if trials failed.
    """
    screen = console()
    run = out if isinstance(out, Location) else study_folder(open_location(out), study.name)
    folder = report_folder(run, study.name, options.reports)
    with prepare(
        study,
        out,
        address=options.address,
        search_path=own,
        also_written=[folder],
        forget=forget,
        extended=extended,
        study_file=study_file,
    ) as ready:
        pressed = False
        for note in () if options.quiet else filter(None, (ready.data_note, ready.lanes_note)):
            messages().print(note, markup=False)
        if study_file and not options.quiet:
            show_warnings(locate(warning, Path(study_file)) for warning in ready.warnings)
        if not ready.run.done:
            objective = study.objective
            with (
                draining(ready.location) as interrupts,
                ray_watched(lambda name: _end_without_ray(name, ready, options, interrupts)),
                show_progress(screen, ready.run.progress, objective, quiet=options.quiet) as on_change,
            ):
                try:
                    ready.start(on_change)
                except KeyboardInterrupt:
                    interrupts.append(signal.SIGINT)
            pressed = bool(interrupts)
    if not ready.run.done:
        kind = StudyInterruptedError if pressed else StudyStoppedError
        again, why = resume_command(ready.location, options), "stopped"
        if ready.run.stopped_at_limit is not None and (spent := ready.run.spending) is not None:
            setting = price_setting(spent) if spent.unpriced else limit_setting(spent)
            again, why = f"{again} --set {quote(setting)}", f"stopped at cost.limit: {spent},"
        raise kind(f"{why} with {counted(ready.run.remaining, 'trial')} to go; to continue: {again}")
    finish_report(screen, ready.location, folder)
    if failures := ready.run.failures:
        first = failures[0]
        typer.echo(f"{counted(len(failures), 'trial')} failed; {first.trial_id}:\n{first.error}", err=True)
        typer.echo(f"log: {log_file(ready.location)}", err=True)
        typer.echo(f"to run them again: {resume_command(ready.location, options, 'retry')}", err=True)
        raise typer.Exit(EXIT_TRIALS_FAILED)


def _end_without_ray(name: str, ready: Prepared, options: RunOptions, interrupts: Sequence[int]) -> None:
    """End this process before Ray's C++ code does: without Ray nothing can be run or asked."""
    again = resume_command(ready.location, options)
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


def stored_study(run: str, settings: Sequence[str] = ()) -> tuple[Store, Study]:
    """Return a run's store and the study that it was written for, with ``--set`` applied to it."""
    store = open_store(run)
    if store.study.spec.get("imported"):
        remedy = "Only runs of `lrstudy run` can be continued. To add runs, import again with more logs."
        raise StoreError(Problem(run, "", "holds imported histories, not trials", remedy))
    stored = store.study.spec | {"name": store.study.name}
    return store, with_settings(stored, f"{run}/study.json", settings)


def resume_command(run: Location, options: RunOptions, verb: str = "resume") -> str:
    """Return the command line that continues a run."""
    place = str(run) if run.local is None else str(relative(run.local))
    words = ["lrstudy", verb, place]
    if options.reports is not None:
        words += ["--reports", str(options.reports)]
    if options.address is not None:
        words += ["--address", options.address]
    if run.local is None and (endpoint := os.environ.get("AWS_ENDPOINT_URL")):
        words += ["--endpoint", endpoint]
    return shlex.join(words)
