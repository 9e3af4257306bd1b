"""Requests to stop a study or a schedule, and what they will do, in words."""

from __future__ import annotations

from functools import partial
from shlex import quote

import typer

from lrstudy.errors import InputError, Problem, StoreError
from lrstudy.store import Store, open_store, writer_of
from lrstudy.store.run_status import status_of
from lrstudy.store.stopped_schedules import names_to_stop, rewrite_study, with_stopped, without_stopped
from lrstudy.tuning.stop_request import request_schedule_stop, request_stop, withdraw_schedule_stops

_UNSAVED = "a training function that keeps nothing (trial.keep) trains to the end of its trial"


def stop_study(run: str) -> None:
    """Request a running study to stop; raises ``StoreError`` if none runs."""
    store = open_store(run)
    location = store.location
    if writer_of(location) is None:
        remedy = "lrstudy status shows its progress; lrstudy resume continues it."
        raise StoreError(Problem(run, "", "no study is running here", remedy))
    again = request_stop(location)
    if "train" not in store.study.spec.get("task", {}):
        typer.echo("asked to stop: running trials end after their next evaluation")
    elif again:
        typer.echo("asked to stop now: trials that keep nothing lose their work")
    else:
        typer.echo("asked to stop: running steps end first")
        typer.echo(f"{_UNSAVED};\na second lrstudy stop ends it, and its work is lost")


def stop_schedule(run: str, name: str) -> None:
    """Stop one schedule of a run, whether a process trains it or not.

    Raises ``InputError`` for the reference and for a schedule without missing trials.
    """
    store = open_store(run)
    names = names_to_stop(store.study, name, run)
    if set(names) <= store.study.stopped.keys():
        typer.echo(f"{name} was stopped before")
        return
    writer = writer_of(store.location)
    _check_missing(store, names, run)
    if writer is None:
        rewrite_study(store.location, partial(with_stopped, names=names))
        typer.echo(f"{name} is stopped: lrstudy resume starts no trial of it")
    else:
        request_schedule_stop(store.location, names)
        typer.echo(
            f"asked to stop {name}: its running trials end after their next evaluation, and no more start"
        )
    typer.echo(f"what it has is kept, without a verdict; to take it back: {_command(run, name)} --undo")


def undo_stop(run: str, name: str) -> None:
    """Take back the stop of a schedule; raises ``StoreError`` while a process trains the run."""
    store = open_store(run)
    names = names_to_stop(store.study, name, run)
    if writer_of(store.location) is not None:
        message = "a study is running here, and would not start trials of it"
        remedy = f"First: lrstudy stop {quote(run)}. Then this command again, and lrstudy resume {quote(run)}"
        raise StoreError(Problem(run, "--undo", message, remedy))
    withdraw_schedule_stops(store.location)
    if not store.study.stopped.keys() & set(names):
        remedy = f"Stopped: {', '.join(store.study.stopped) or 'none'}."
        raise InputError(Problem(run, "--schedule", "was not stopped", remedy, name))
    rewrite_study(store.location, partial(without_stopped, names=names))
    typer.echo(f"{name} takes part again; its missing trials: lrstudy resume {quote(run)}")


def _check_missing(store: Store, names: tuple[str, ...], run: str) -> None:
    """Raise ``InputError`` if all planned trials have ended and no round can add others."""
    rows = [row for row in status_of(store, None).schedules if row.schedule in names]
    if store.study.spec["budget"].get("until") == "decided" or any(row.done < row.planned for row in rows):
        return
    done = sum(row.done for row in rows)
    message = f"has ended: all {done} trials are done"
    raise InputError(Problem(run, "--schedule", message, "Its verdict is in lrstudy report.", names[0]))


def _command(run: str, name: str) -> str:
    return f"lrstudy stop {quote(run)} --schedule {quote(name)}"
