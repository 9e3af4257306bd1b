"""The rule of arrival at a target by which a study is judged."""

from __future__ import annotations

from typing import Any

from lrstudy.errors import InputError, Problem
from lrstudy.rules.arrival import stay_of


def arrival_of(study: Any, given: str | None = None) -> str:
    """Return the rule of arrival: ``given``, else that of the study; older stores have none: ``first``.

    Raises:
        InputError: for a text that is no rule, and one that needs more evaluations than stopped runs have.
    """
    arrival = str(given or study.goal.arrival)
    try:
        stay = stay_of(arrival)
    except ValueError as error:
        remedy = 'Choose "first", or "stay:3" for three evaluations in a row'
        raise InputError(_problem(given, "is not a rule of arrival", remedy, arrival)) from error
    own = study.goal.stay
    if study.goal.stop == "all" and stay > own:
        message = f"cannot be told: runs were stopped after {own} evaluations in a row at the last target"
        raise InputError(_problem(given, message, f'Choose "{study.goal.arrival}" or a shorter row', arrival))
    return arrival


def _problem(given: str | None, message: str, remedy: str, arrival: str) -> Problem:
    where, key = ("study.json", "target.arrival") if given is None else ("command line", "--arrival")
    return Problem(where, key, message, remedy, arrival)
