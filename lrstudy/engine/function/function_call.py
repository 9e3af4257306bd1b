"""The call of a user's training function, and what is said of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from lrstudy.engine.function.reports import broken
from lrstudy.engine.function.trial_caller import Misfit, TrialEnded
from lrstudy.engine.function.trial_handle import Trial
from lrstudy.errors import ContractError
from lrstudy.rules.user_line import defining_line
from lrstudy.rules.user_modules import cause_of

_KEEPS_NOTHING: Final = (
    "the training function keeps nothing (trial.keep): a trial that is interrupted starts again from step 1"
)
_RESTORES_NOTHING: Final = (
    "the training function uses neither trial.steps nor trial.epochs, where trial.keep restores a checkpoint:"
    " a trial that is interrupted starts again from step 1"
)


def call(function: Callable[[Trial], Any], trial: Trial) -> None:
    """Call the function in this thread, to the end of its trial or until a checkpoint does not fit.

    Raises what it raises, and ``ContractError`` instead of ``SystemExit``.
    """
    try:
        trial.enter()
        function(trial)
    except (TrialEnded, Misfit):
        pass
    except SystemExit as error:
        problem = broken(f"the function ended the program: {cause_of(error)}", "Return from it instead.")
        raise ContractError(problem) from None
    finally:
        trial.leave()


def check_end(function: Callable[[Trial], Any], trial: Trial) -> None:
    """Raise ``ContractError``, with the function's line, if it returned before its trial was complete."""
    if trial.reason is not None:
        return
    try:
        trial.check_end()
    except ContractError as error:
        place = defining_line(function)
        problems = [replace(problem, message=problem.message + place) for problem in error.problems]
        raise ContractError(problems) from None


def keep_warning(trial: Trial) -> str | None:
    """Return a warning if a trial in training cannot continue after an interruption; else None."""
    if not trial.trains or trial.keeps:
        return None
    return _RESTORES_NOTHING if trial.keeps_in_vain else _KEEPS_NOTHING
