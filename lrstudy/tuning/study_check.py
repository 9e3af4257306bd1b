"""Everything of a study that can be found wrong without starting it: its data, its model, its schedules.

Not the machine or the cluster that it will run on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lrstudy.errors import InputError, MissingDataError, Problem
from lrstudy.spec import Study

if TYPE_CHECKING:
    from lrstudy.tasks import TaskData

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Checked:
    """The study's data, where they can be had, and what was found.

    ``missing`` are those of the problems that fetching the data solves.
    """

    data: TaskData | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    missing: tuple[Problem, ...] = ()

    @property
    def lacks_only_data(self) -> bool:
        """Return True if the data are yet to be fetched and nothing else is known to be wrong."""
        return bool(self.missing) and self.problems == self.missing


def check_study(study: Study, data_root: Path | None = None) -> Checked:
    """Load the data, build the model, the loss and the optimizer, and build and walk every schedule."""
    from lrstudy.schedules.schedule_check import check_schedules
    from lrstudy.tasks import check_task, load_data

    problems: list[Problem] = []
    missing: tuple[Problem, ...] = ()
    data = None
    try:
        data = load_data(study.task, study.seed, data_root)
    except InputError as error:
        problems += error.problems
        missing = error.problems if isinstance(error, MissingDataError) else ()
    if data is not None:
        collect(problems, lambda: check_task(study.task, data, study.target.metric))
    found = check_schedules(study, data, sound=not problems)
    return Checked(data, (*problems, *found.problems), tuple(found.warnings), missing)


def collect(problems: list[Problem], step: Callable[[], _T]) -> _T | None:
    """Return what the step returns; where it raises ``InputError``, add its problems and return None."""
    try:
        return step()
    except InputError as error:
        problems += error.problems
        return None
