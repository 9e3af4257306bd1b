"""The checks of a study without starting it: its data, its model, its schedules.

The machine and the cluster that it will run on are checked in ``tuning.cluster``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from lrstudy.catalog.task_parts import TORCHVISION
from lrstudy.errors import InputError, MissingDataError, Problem
from lrstudy.rules.child_import import ChildImport
from lrstudy.rules.user_modules import UserCode
from lrstudy.spec import ComponentSpec, Study
from lrstudy.spec.space import Choices, Range

if TYPE_CHECKING:
    from lrstudy.tasks import TaskData

_T = TypeVar("_T")

_BATCH_SIZE: Final = "task.batch_size"


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of the checks: the data, the problems and the warnings.

    The data are None if they cannot be loaded, and for a user's training function, which loads its own.

    ``missing`` are the problems that fetching the data solves.
    """

    data: TaskData | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    missing: tuple[Problem, ...] = ()

    @property
    def lacks_only_data(self) -> bool:
        """Return True if the only problem is that the data are not fetched yet."""
        return bool(self.missing) and self.problems == self.missing


def users_code(study: Study) -> Iterator[UserCode]:
    """Yield the users' own code that a study names: in its task, its schedules and its methods."""
    if study.function is not None:
        yield UserCode(study.function.train, "task", "train")
    else:
        for part in ("dataset", "model", "loss"):
            name = getattr(study.built_in, part).name
            if _is_users(name):
                yield UserCode(name, "task", part)
        yield from _optimizers(study.built_in.optimizer, "task")
    for schedule in study.schedules:
        where = f"schedules.{schedule.name}"
        if _is_users(schedule.kind):
            yield UserCode(schedule.kind, where, "kind")
        if schedule.optimizer is not None:
            yield from _optimizers(schedule.optimizer, where)
        if schedule.loss is not None and _is_users(schedule.loss.name):
            yield UserCode(schedule.loss.name, where, "loss")


def _optimizers(spec: ComponentSpec, where: str) -> Iterator[UserCode]:
    """Yield users' own optimizers: the one that ``spec`` names, and those of its groups."""
    named = [("optimizer", spec.name)]
    for number, group in enumerate(spec.options.get("groups", ())):
        named.append((f"optimizer.groups[{number}].optimizer", group.get("optimizer", "")))
    for key, name in named:
        if _is_users(name):
            yield UserCode(name, where, key)


def _is_users(name: str) -> bool:
    """Return True if a name is of code that neither torch nor torchvision brings."""
    package = name.partition(":")[0].partition(".")[0]
    return ":" in name and not name.startswith(TORCHVISION) and package != "torch"


def check_imports(study: Study, folders: Sequence[Path]) -> None:
    """Import the users' own code once in a child process; raises ``InputError`` if that ends the process."""
    with ChildImport(tuple(users_code(study)), folders) as imported:
        if problems := imported.problems():
            raise InputError(problems)


def check_study(study: Study, imported: ChildImport, data_root: Path | None = None) -> Checked:
    """Load the data, build the model, the loss and the optimizer, and build and run through every schedule.

    ``imported`` is the first import of ``users_code``; if that ended its process, nothing else is checked.
    """
    from lrstudy.engine.function.function_check import check_function
    from lrstudy.engine.training_diagnosis import check_diagnosis
    from lrstudy.schedules.schedule_check import check_schedules
    from lrstudy.tasks import check_task, load_data
    from lrstudy.tasks.task_check import batch_warnings

    if fatal := imported.problems():
        return Checked(None, tuple(fatal), ())
    problems: list[Problem] = []
    missing: tuple[Problem, ...] = ()
    data = None
    if (function := study.function) is not None:
        collect(problems, lambda: check_function(function))
        schedules = check_schedules(study, None, sound=not problems)
        return Checked(None, (*problems, *schedules.problems), tuple(schedules.warnings))
    try:
        several = study.budget.replicates > 1
        data = load_data(study.built_in, study.seed, data_root, keep_raw=several)
    except InputError as error:
        problems += error.problems
        missing = error.problems if isinstance(error, MissingDataError) else ()
    if data is not None:
        collect(problems, lambda: check_task(study.built_in, data, study.target.metric))
        if study.built_in.diagnose and not problems:
            collect(problems, lambda: check_diagnosis(study.built_in, data))
    schedules = check_schedules(study, data, sound=not problems)
    warnings = [*schedules.warnings, *_split_warnings(study, data)]
    if data is not None and not problems:
        warnings += batch_warnings(study.built_in, data, _batch_sizes(study, data.rows("train")))
    return Checked(data, (*problems, *schedules.problems), tuple(warnings), missing)


def _batch_sizes(study: Study, rows: int) -> set[int]:
    """Return the batch sizes that trials may have; those of a range are counted up to ``rows``."""
    sizes: set[int] = set()
    for schedule in study.schedules:
        space = schedule.space.get(_BATCH_SIZE)
        if isinstance(space, Range) and not space.names:
            low, high = space.ends({})
            sizes |= {int(low), *range(int(low), min(int(high), rows) + 1)}
        elif isinstance(space, Choices):
            sizes |= set(space.values)
        else:
            sizes.add(schedule.fixed.get(_BATCH_SIZE, study.built_in.batch_size))
    return sizes


def why_one_split(study: Study, data: TaskData | None) -> str:
    """Return why all replicates of a study share one split of these data; empty if they do not."""
    if study.budget.replicates == 1 or data is None or data.raw is not None:
        return ""
    own = "the data have validation and test rows of their own"
    return own if data.streams is None else "the rows are read batch by batch"


def _split_warnings(study: Study, data: TaskData | None) -> Iterator[Problem]:
    """Yield a warning if the verdict holds for one split only, although there are several tunings."""
    if reason := why_one_split(study, data):
        message = f"all replicates share one split: {reason}"
        remedy = "For a verdict that holds for other splits too, let lrstudy split one set of rows."
        yield Problem("task", "dataset", message, remedy, study.built_in.dataset.name)


def collect(problems: list[Problem], step: Callable[[], _T]) -> _T | None:
    """Return the step's result; if it raises ``InputError``, add its problems and return None."""
    try:
        return step()
    except InputError as error:
        problems += error.problems
        return None
