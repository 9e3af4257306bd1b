"""Checks of a run's store for ``lrstudy doctor RUN``: its damaged parts, and the command to continue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lrstudy.errors import LrStudyError, Problem
from lrstudy.store import ALIASES, Location, examine, open_location, repair, writer_of
from lrstudy.tuning.cluster.diagnosis import CheckResult

if TYPE_CHECKING:
    from lrstudy.store import Examination


def diagnose_run(run: str) -> Iterator[CheckResult]:
    """Read the whole store of a run and check it; changes nothing."""
    folder = open_location(run)
    try:
        store = examine(folder)
    except LrStudyError as error:
        yield CheckResult("study.json", "fault", str(error))
        return
    yield CheckResult("study.json", "ok", f"the study {store.study.name!r}")
    yield from _files(store, run)
    yield from _rows(store, run)
    yield from _checkpoints(folder)
    if holder := writer_of(folder):
        yield CheckResult("writer", "note", f"{holder} is writing here")


def repair_run(run: str) -> Iterator[CheckResult]:
    """Repair the store of a run; yield a result for each change."""
    try:
        done = repair(open_location(run))
    except LrStudyError as error:
        yield CheckResult("repair", "fault", str(error))
        return
    if not (done.set_aside or done.merged or done.dropped):
        yield CheckResult("repair", "ok", "nothing to repair")
        return
    if done.set_aside:
        yield CheckResult("files", "note", f"{_some(done.set_aside)}: kept with the ending .damaged")
    if done.merged:
        yield CheckResult("trials", "note", f"duplicates removed, equal except times: {_some(done.merged)}")
    if done.dropped:
        yield CheckResult("trials", "note", f"removed, to be run again: {_some(done.dropped)}")
    yield CheckResult("repair", "ok", "done", f"To run the missing trials: lrstudy resume {run}")


def _files(store: Examination, run: str) -> Iterator[CheckResult]:
    for table, number in store.files.items():
        damaged = {name: problems for name, problems in store.damaged.items() if _table_of(name) == table}
        for name, problems in damaged.items():
            yield CheckResult(name, "fault", _messages(problems), _files_remedy(store, run))
        sound = number - len(damaged)
        yield CheckResult(table, "ok", f"{sound} of {number} files sound, {store.rows[table]:,} rows in them")
    if store.unsealed:
        seen = f"none in {_some(store.unsealed)}: written by an older lrstudy or another program"
        yield CheckResult("checksums", "note", seen)


def _rows(store: Examination, run: str) -> Iterator[CheckResult]:
    remedy = f"To keep one row of each where they agree, and remove the rest: lrstudy doctor {run} --repair"
    if store.doubled_trials:
        yield CheckResult("trials", "fault", f"stored more than once: {_some(store.doubled_trials)}", remedy)
    if store.doubled_evaluations:
        yield CheckResult(
            "evaluations", "fault", f"stored more than once: of {_some(store.doubled_evaluations)}", remedy
        )
    if store.lacking_evaluations:
        remedy = f"To remove these trials, so that they run again: lrstudy doctor {run} --repair"
        yield CheckResult("evaluations", "fault", f"missing: of {_some(store.lacking_evaluations)}", remedy)
    if store.unfinished:
        seen = f"{_some(store.unfinished)}: evaluations without a trial row; these trials run again"
        yield CheckResult("unfinished", "note", seen, f"To continue: lrstudy resume {run}")


def _checkpoints(folder: Location) -> Iterator[CheckResult]:
    from lrstudy.tuning.worker.checkpoints import check_checkpoints

    number, damaged = check_checkpoints(folder)
    if damaged:
        seen = f"damaged: {_some(damaged)}; a resume ignores them, and their trials begin at epoch 1"
        yield CheckResult("checkpoints", "note", seen)
    elif number:
        yield CheckResult("checkpoints", "ok", f"{number} sound")


def _files_remedy(store: Examination, run: str) -> str:
    restore = "Restore the file from a copy"
    if store.study.imported:
        return f"{restore}, or import the histories again."
    return f"{restore}, or set it aside and run its trials again: lrstudy doctor {run} --repair"


def _table_of(file: str) -> str:
    folder = file.partition("/")[0]
    return ALIASES.get(folder, folder)


def _messages(problems: Sequence[Problem]) -> str:
    return "; ".join(
        f"{problem.key}: {problem.message}" if problem.key else problem.message for problem in problems
    )


def _some(names: Sequence[str]) -> str:
    """Return the first three names, and the number of the others."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
