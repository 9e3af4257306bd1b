"""The check of a user's training function before a study: it can be imported and called."""

from __future__ import annotations

import inspect

from lrstudy.engine.function.start_function import train_code
from lrstudy.rules.user_modules import load
from lrstudy.spec import FunctionTask


def check_function(task: FunctionTask) -> None:
    """Import the function; raises ``ContractError`` if that fails or it cannot be called with a trial."""
    code = train_code(task)
    function = load(code)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some callables written in C have no signature
        return
    try:
        signature.bind(object())
    except TypeError:
        message = f"cannot be called with one argument, the trial: it takes {signature}"
        code.refuse(message, "Write def train(trial: lrstudy.Trial) -> None.")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        kind = "generator" if inspect.isgeneratorfunction(function) else "coroutine"
        code.refuse(f"is a {kind} function, whose body a call does not run", "Write a plain function.")
