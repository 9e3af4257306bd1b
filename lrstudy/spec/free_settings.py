"""Changes to the settings of a run that decide no trial: ``lrstudy resume --set``."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from lrstudy.errors import Problem, StudyFileError
from lrstudy.rules.identity import FREE_SECTIONS
from lrstudy.spec.load import restore_study
from lrstudy.spec.models import Study
from lrstudy.spec.overrides import apply_overrides

_WHERE = "--set"


def with_settings(stored: Mapping[str, Any], where: str, overrides: Sequence[str]) -> Study:
    """Return a stored study with ``key.path=value`` applied to settings that decide no trial.

    Raises ``StudyFileError`` for any other key, and for a value that cannot be used.
    """
    study = restore_study(stored, where)
    if not overrides:
        return study
    problems = [problem for override in overrides if (problem := _fixed(override)) is not None]
    data = copy.deepcopy(dict(stored))
    problems += apply_overrides(data, overrides)
    if problems:
        raise StudyFileError(problems)
    changed = restore_study(data, _WHERE)  # the stored study is sound: what is wrong was given here
    if changed.spec_hash != study.spec_hash:  # resources.workers: each trains on a part of the data
        remedy = "Start a new run with it, in another folder (--out)."
        raise StudyFileError(Problem(_WHERE, "", "changes what the trials of this run are", remedy))
    return changed


def _fixed(override: str) -> Problem | None:
    """Return the problem of a key that decides the trials of a run."""
    key = override.partition("=")[0].strip()
    if key.partition(".")[0] in FREE_SECTIONS:
        return None
    free = ", ".join(f"[{name}]" for name in FREE_SECTIONS)
    remedy = (
        f"Keys of {free} can change. lrstudy extend adds trials and schedules; for anything else start a new "
        "run in another folder (--out)."
    )
    return Problem(_WHERE, key, "decides the trials of this run", remedy)
