"""The checks before a study starts: all of them together, and before any write.

Ray takes seconds to start, most of which it waits. A study that begins on this machine starts Ray first and
imports torch at the same time; so this module itself imports neither torch nor Tune.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lrstudy.errors import InputError, Problem
from lrstudy.records import EvaluationRecord
from lrstudy.rules.child_import import ChildImport
from lrstudy.rules.extension import Extended
from lrstudy.spec import Study
from lrstudy.store import Location, Store, StoreWriter, StudyInfo, open_location, open_store, study_folder
from lrstudy.tuning.background_import import import_in_background
from lrstudy.tuning.cluster.session import check_cluster, check_local, ray_session
from lrstudy.tuning.spent_limit import spent_problem
from lrstudy.tuning.stop_request import withdraw_stop
from lrstudy.tuning.study_check import check_study, collect, users_code

if TYPE_CHECKING:
    from lrstudy.tasks import TaskData
    from lrstudy.tuning.cost_estimate import CostEstimate
    from lrstudy.tuning.driver.runner import StudyRun

# Modules that a study needs and Ray does not; none of them imports Ray.
_NEEDED: Final = ("lrstudy.engine.lanes", "sklearn.model_selection", "lrstudy.tuning.driver.suggestions")


@dataclass(slots=True)
class Prepared:
    """A study that can start: its data, its store, and the trials that the store already holds.

    ``lanes_note`` and ``data_note`` are messages for the user who starts it; empty if there are none.
    ``warnings`` are those of the checks.
    """

    run: StudyRun
    location: Location
    lanes_note: str
    data_note: str
    warnings: tuple[Problem, ...]
    _data: TaskData | None
    _address: str | None
    _session: str | None
    _search_path: tuple[str, ...]

    def start(self, on_change: Callable[[], None]) -> None:
        """Run every trial that has no record."""
        self.run.run(
            self._data,
            address=self._address,
            session=self._session,
            search_path=self._search_path,
            on_change=on_change,
        )


@contextmanager
def prepare(
    study: Study,
    out: str | Location,
    *,
    address: str | None = None,
    search_path: Sequence[Path] = (),
    data_root: Path | None = None,
    also_written: Sequence[Path] = (),
    forget: Collection[str] = (),
    extended: Extended | None = None,
    study_file: str = "",
) -> Iterator[Prepared]:
    """Check data, model, machine and folders, then open the store for the duration of the block.

    A study that begins on this machine has Ray for the duration of the block too; one that continues starts
    Ray once it knows which trials are missing.

    ``out`` is the parent of the study's folder; a ``Location`` is the study's folder itself. The trials to
    ``forget`` are run again. ``extended``: ``study`` is the extension of the one that has a run there; the
    run's ``study.json`` is rewritten after all checks. ``study_file`` is where ``study`` was read.
    ``also_written`` are folders that will be written when the study is over, such as its report's.

    Raises ``InputError`` with the problems of all checks.
    """
    place = out if isinstance(out, Location) else study_folder(open_location(out), study.name)
    begins = not (place / "study.json").exists()
    import_in_background(*_NEEDED)
    problems: list[Problem] = []
    if address is None:
        problems += check_local(study.resources)
    else:
        collect(problems, lambda: check_cluster(address, study.resources))
    for folder in also_written:
        collect(problems, open_location(folder).check_writable)
    with ExitStack() as stack:
        imported = stack.enter_context(ChildImport(tuple(users_code(study)), search_path))
        ahead = begins and address is None and not problems
        session = stack.enter_context(ray_session(None, study.resources)) if ahead else None

        from lrstudy.engine.lanes import choose_lanes
        from lrstudy.engine.training_diagnosis import layer_names
        from lrstudy.tuning.cluster.provenance import study_info
        from lrstudy.tuning.cost_estimate import gpu_problems, limit_problem
        from lrstudy.tuning.driver.runner import StudyRun
        from lrstudy.tuning.driver.trackers import check_tracking
        from lrstudy.tuning.same_task import check_continues, fingerprints
        from lrstudy.tuning.worker.energy import check_energy

        folders = make_importable(search_path)
        checked = check_study(study, imported, data_root)
        data = checked.data
        problems += checked.problems
        lacks_data = data is None and study.function is None
        digests = None if problems or lacks_data else fingerprints(study, data)
        info = study_info(study, digests)
        problems += check_tracking(study, place)
        collect(problems, lambda: check_energy(study))
        problems += gpu_problems(study) if address is None else ()
        if begins and not problems and not lacks_data:
            problems += filter(None, [limit_problem(_cost(study, data))])
        if problems or lacks_data:
            collect(problems, lambda: StoreWriter.check(place, info, extended, study_file))
            raise InputError(problems)
        if not begins:
            # First, so that another study's store is reported as such.
            StoreWriter.check(place, info, extended, study_file)
            check_continues(study, place, info, forget)
            if extended is not None:
                _check_lanes(study, place, data)
        if study.function is None and data is not None and "gradients" in study.built_in.diagnose:
            info = replace(info, layers=layer_names(study.built_in, data))
        if begins:  # else the store's choice holds: lanes and plain trials are never mixed
            choice = choose_lanes(study, data)
            info = replace(info, lanes=choice.lanes, lanes_reason=choice.reason)
        opened = time.time()
        writer = stack.enter_context(
            StoreWriter.create_or_open(place, info, forget=forget, extended=extended)
        )
        withdraw_stop(place, before=opened)  # an earlier run's; later requests are for this run
        store = open_store(place)
        run = StudyRun(study, writer, store.trial_records(), _evaluations(study, store))
        run.clean_up(place)  # a kill may have come after the last row and before this
        if not run.done and (spent := spent_problem(str(place), run.spending)) is not None:
            raise InputError(spent)
        note = _lanes_note(study, writer.study, begins=begins)
        told = (note, _data_note(study, data), checked.warnings)
        yield Prepared(run, place, *told, data, address, session, folders)


def _cost(study: Study, data: TaskData | None) -> CostEstimate | None:
    """Return the estimated cost of a study that has a limit; None for any other, which is not timed."""
    from lrstudy.tuning.cost_estimate import estimate_cost
    from lrstudy.tuning.time_estimate import estimate_function, estimate_seconds

    if study.cost.limit is None:
        return None
    return estimate_cost(study, estimate_function(study) if data is None else estimate_seconds(study, data))


def _check_lanes(study: Study, place: Location, data: TaskData | None) -> None:
    """Raise ``InputError`` if a run trains side by side and an added schedule cannot be trained so."""
    from lrstudy.engine.lanes import choose_lanes

    stored = open_store(place).study
    present = {schedule.name for schedule in stored.schedules}
    added = [schedule.name for schedule in study.schedules if schedule.name not in present]
    if not added or not stored.lanes:
        return
    choice = choose_lanes(study, data)
    if not choice.lanes:
        message = f"cannot be added to {place}, whose trials are trained side by side: {choice.reason}"
        remedy = "Start a new run with all schedules in its study file, in another folder (--out)."
        raise InputError(Problem("schedules", ", ".join(added), message, remedy))


def _lanes_note(study: Study, stored: StudyInfo, *, begins: bool) -> str:
    """Return a message on the study's lanes for the user who starts it; empty if none is needed."""
    requested, many = study.resources.lanes, "none"
    if stored.lanes:
        many = f"up to {stored.lanes} trials side by side in a worker"
    note = f"lanes: {many} ({stored.lanes_reason})"
    if begins:
        return note if stored.lanes or requested not in ("auto", 0) else ""
    if requested in ("auto", stored.lanes):
        return ""
    chosen = "this was chosen when the run started and cannot change"
    return f"{note}: {chosen}; use another --out to start a new run"


def _data_note(study: Study, data: TaskData | None) -> str:
    """Return a description of a user's own data, and of rows that splits have in common."""
    if data is None or not study.built_in.dataset.is_users_own:
        return ""
    return "\n".join(filter(None, (f"data: {data.description}", data.repeated_rows)))


def _evaluations(study: Study, store: Store) -> dict[str, list[EvaluationRecord]]:
    """Return the evaluations of every finished trial if pruning or extending continues from them."""
    rows: dict[str, list[EvaluationRecord]] = {}
    if study.budget.pruner != "none" or study.budget.extend:
        for key, row in store.evaluation_records():
            rows.setdefault(key.trial_id, []).append(row)
    return rows


def make_importable(folders: Iterable[Path]) -> tuple[str, ...]:
    """Append these folders to ``sys.path``, after installed packages; return their names for workers."""
    import sys

    names = tuple(dict.fromkeys(str(folder.resolve()) for folder in folders))
    sys.path += [name for name in names if name not in sys.path]
    return names
