"""The findings of ``lrstudy doctor RUN``: the sound and the damaged parts of a store, and how to continue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lrstudy.errors import LrStudyError, Problem
from lrstudy.store import Location, examine, open_location, repair, writer_of
from lrstudy.tuning.cluster.diagnosis import Finding

if TYPE_CHECKING:
    from lrstudy.store import Examination


def diagnose_run(run: str) -> Iterator[Finding]:
    """Read the whole store of a run and check it; nothing is changed."""
    folder = open_location(run)
    try:
        found = examine(folder)
    except LrStudyError as error:
        yield Finding("study.json", "fault", str(error))
        return
    yield Finding("study.json", "ok", f"the study {found.study.name!r}")
    yield from _files(found, run)
    yield from _rows(found, run)
    yield from _checkpoints(folder)
    if holder := writer_of(folder):
        yield Finding("writer", "note", f"{holder} is writing here")


def repair_run(run: str) -> Iterator[Finding]:
    """Repair the store of a run; yields what was done."""
    try:
        done = repair(open_location(run))
    except LrStudyError as error:
        yield Finding("repair", "fault", str(error))
        return
    if not (done.set_aside or done.merged or done.dropped):
        yield Finding("repair", "ok", "nothing to repair")
        return
    if done.set_aside:
        yield Finding("files", "note", f"{_some(done.set_aside)}: kept with the ending .damaged")
    if done.merged:
        yield Finding("trials", "note", f"second rows removed, equal but for times: {_some(done.merged)}")
    if done.dropped:
        yield Finding("trials", "note", f"removed, to be run again: {_some(done.dropped)}")
    yield Finding("repair", "ok", "done", f"To run what is missing: lrstudy resume {run}")


def _files(found: Examination, run: str) -> Iterator[Finding]:
    for table, number in found.files.items():
        damaged = {name: problems for name, problems in found.damaged.items() if name.startswith(table)}
        for name, problems in damaged.items():
            yield Finding(name, "fault", _messages(problems), _files_remedy(found, run))
        sound = number - len(damaged)
        yield Finding(table, "ok", f"{sound} of {number} files sound, {found.rows[table]:,} rows in them")
    if found.unsealed:
        seen = f"none in {_some(found.unsealed)}: written by an older lrstudy or another program"
        yield Finding("checksums", "note", seen)


def _rows(found: Examination, run: str) -> Iterator[Finding]:
    remedy = f"To keep one row of each where they agree, and remove the rest: lrstudy doctor {run} --repair"
    if found.doubled_trials:
        yield Finding("trials", "fault", f"stored more than once: {_some(found.doubled_trials)}", remedy)
    if found.doubled_epochs:
        yield Finding("epochs", "fault", f"stored more than once: of {_some(found.doubled_epochs)}", remedy)
    if found.lacking_epochs:
        remedy = f"To remove these trials, so that they run again: lrstudy doctor {run} --repair"
        yield Finding("epochs", "fault", f"missing: of {_some(found.lacking_epochs)}", remedy)
    if found.unfinished:
        seen = f"{_some(found.unfinished)}: epochs but no end; these trials run again"
        yield Finding("unfinished", "note", seen, f"To continue: lrstudy resume {run}")


def _checkpoints(folder: Location) -> Iterator[Finding]:
    from lrstudy.tuning.worker.checkpoints import check_checkpoints

    number, damaged = check_checkpoints(folder)
    if damaged:
        seen = f"damaged: {_some(damaged)}; a resume ignores them, and their trials begin at epoch 1"
        yield Finding("checkpoints", "note", seen)
    elif number:
        yield Finding("checkpoints", "ok", f"{number} sound")


def _files_remedy(found: Examination, run: str) -> str:
    restore = "Restore the file from a copy"
    if found.study.imported:
        return f"{restore}, or import the histories again."
    return f"{restore}, or set it aside and run its trials again: lrstudy doctor {run} --repair"


def _messages(problems: Sequence[Problem]) -> str:
    return "; ".join(
        f"{problem.key}: {problem.message}" if problem.key else problem.message for problem in problems
    )


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
