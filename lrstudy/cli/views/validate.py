"""A study whose parts are checked, each problem with its place in the study file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from lrstudy.errors import Problem
from lrstudy.spec import Study
from lrstudy.spec.load import locate
from lrstudy.tuning.study_check import Checked


def check_parts(study: Study, path: Path) -> Checked:
    """Check all that the study in a file names: its data, its model, its schedules, its logging."""
    from lrstudy.store import open_location, study_folder
    from lrstudy.tuning.driver.trackers import check_tracking
    from lrstudy.tuning.study_check import check_study

    found = check_study(study)
    tracking = check_tracking(study, study_folder(open_location("runs"), study.name))

    def located(problems: Iterable[Problem]) -> tuple[Problem, ...]:
        return tuple(locate(problem, path) for problem in problems)

    return replace(
        found,
        problems=located([*found.problems, *tracking]),
        warnings=located(found.warnings),
        missing=located(found.missing),
    )
