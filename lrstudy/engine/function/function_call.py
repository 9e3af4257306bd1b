"""The call of a user's training function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lrstudy.engine.function.reports import refusal
from lrstudy.engine.function.trial_handle import Trial


def call(function: Callable[[Trial], Any], trial: Trial) -> None:
    """Call the function; raises what it raises, and ``ContractError`` instead of ``SystemExit``."""
    try:
        function(trial)
    except SystemExit as error:
        message = f"the function called sys.exit({error.code!r})"
        raise refusal(message, "Return from the function instead.") from None
