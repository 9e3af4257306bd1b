"""Rules of arrival: the one that a study is judged by, and warnings where another gives another verdict."""

from __future__ import annotations

from typing import Any, Final

from lrstudy.errors import InputError, Problem
from lrstudy.rules.arrival import FIRST, stay_of

END: Final = "end"


def arrival_of(study: Any, given: str | None = None) -> str:
    """Return the rule of arrival: ``given``, else that of the study; older stores have none: ``first``.

    Raises:
        InputError: for a text that is no rule.
    """
    arrival = str(given or study.spec["target"].get("arrival") or FIRST)
    try:
        stay_of(arrival)
    except ValueError as error:
        where = "command line" if given else "study.json"
        key = "--arrival" if given else "target.arrival"
        remedy = 'Choose "first", or "stay:3" for three evaluations in a row'
        raise InputError(Problem(where, key, "is not a rule of arrival", remedy, arrival)) from error
    return arrival
