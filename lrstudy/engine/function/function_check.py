"""The check of a user's training function before a study: it can be imported and called."""

from __future__ import annotations

import inspect

from lrstudy.engine.function.start_function import train_code
from lrstudy.rules.user_line import defining_line
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
        message += defining_line(function)
        code.refuse(message, "Write def train(trial: lrstudy.Trial) -> None.")
    tests = {
        "generator": inspect.isgeneratorfunction,
        "coroutine": inspect.iscoroutinefunction,
        "asynchronous generator": inspect.isasyncgenfunction,
    }
    for kind, test in tests.items():
        if test(function):
            message = f"is a {kind} function, whose body a call does not run{defining_line(function)}"
            code.refuse(message, "Write a plain function: def, without yield or await in it.")
