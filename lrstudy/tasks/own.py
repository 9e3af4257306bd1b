"""Users' own data sets and models: ``"module:attribute"``, called, and held to their contract.

A data set: ``make_data(**options)``, with a ``seed`` too if it takes one, returns ``(inputs, targets)``, or
a mapping of ``"train"``, and if there are any ``"validation"`` and ``"test"``, to such pairs. Inputs are
uint8 or floating point, one row per example; images are (rows, channels, height, width). Targets are
class numbers from 0 without gaps (any integer type), or floating point for a regression. numpy arrays, torch
tensors and map-style torch data sets of pairs all do. Called again it must return the same rows, and an item
must be the same at every read: rows are read once for the whole study.

A model: ``make_model(**options)``, with ``input_shape`` (of one row), ``outputs`` or torchvision's
``num_classes`` too if it takes them, returns a ``torch.nn.Module`` that maps (m, *input_shape) to
(m, outputs).
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from lrstudy.errors import ContractError, Problem
from lrstudy.seeding import derive_seed
from lrstudy.tasks.data_contract import as_raw, check_pair, check_together
from lrstudy.tasks.user_data import Complain, Pair, Reading, by_split, differing_item, read_split

if TYPE_CHECKING:
    from lrstudy.spec import ComponentSpec
    from lrstudy.tasks.raw import RawData

_FROZEN: Final = (
    "Rows are read once and kept for the whole study, so a random change would be made once and never again. "
    "Return the rows as they are, and let task.augment, or the model while it trains, change them."
)
_SEED: Final = (
    "Draw from generators that the function makes from its seed (it gets one if it takes seed), "
    "and change nothing that the next call returns."
)


def load_attribute(part: str, name: str) -> Callable[..., Any]:
    """What ``module:attribute`` names; ``ContractError`` with the cause if it cannot be had or called."""
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        where = "" if _is_missing(error, module) else _last_line(error)
        remedy = (
            f"Have {module}.py beside the study file, in the folder you start from, or on PYTHONPATH."
            if not where
            else "Correct the module."
        )
        message = f"cannot be imported: {type(error).__name__}: {error}{where}"
        raise ContractError(Problem("task", part, message, remedy, name)) from error
    try:
        for step in attribute.split("."):
            found = getattr(found, step)
    except AttributeError as error:
        offered = [
            key for key, value in vars(sys.modules[module]).items() if callable(value) and key[0] != "_"
        ]
        remedy = f"The module offers: {', '.join(offered)}." if offered else "Define it there."
        message = f"module {module!r} has no {attribute!r}"
        raise ContractError(Problem("task", part, message, remedy, name)) from error
    if not callable(found):  # a class, a function or an object with __call__
        raise ContractError(Problem("task", part, "cannot be called", "Name a function or a class.", name))
    function: Callable[..., Any] = found
    return function


def _is_missing(error: Exception, module: str) -> bool:
    """Whether the user's module itself was not found, and not something that it imports."""
    return isinstance(error, ModuleNotFoundError) and module.startswith(error.name or "")


def _last_line(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


def _call(part: str, spec: ComponentSpec, offered: Mapping[str, Any]) -> Any:
    """Call the attribute with the options, and with those of ``offered`` that it takes."""
    function = load_attribute(part, spec.name)
    takes = _parameters(function)
    arguments = {key: value for key, value in offered.items() if key in takes} | dict(spec.options)
    try:
        return function(**arguments)
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        message = f"called with ({given}) it raised {type(error).__name__}: {error}{_last_line(error)}"
        remedy = "Correct the function, or the options in the study file."
        raise ContractError(Problem("task", part, message, remedy, spec.name)) from error


def _parameters(function: Callable[..., Any]) -> set[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some callables written in C have no signature
        return set()
    return {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def make_model(spec: ComponentSpec, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A user's own model. What it computes is checked by ``check_task``."""
    offered = {"input_shape": input_shape, "outputs": outputs, "num_classes": outputs}
    model = _call("model", spec, offered)
    if not isinstance(model, nn.Module):
        message = f"returned {type(model).__name__}"
        raise ContractError(Problem("task", "model", message, "Return a torch.nn.Module.", spec.name))
    return model


def make_data(spec: ComponentSpec, seed: int) -> RawData:
    """A user's own data set, called twice: it must give the same rows.

    Raises ``ContractError`` with everything that is wrong with it.
    """
    problems: list[Problem] = []

    def complain(message: str, remedy: str) -> None:
        problems.append(Problem("task", "dataset", message, remedy, spec.name))

    def made() -> Mapping[str, Any]:
        return by_split(_call("dataset", spec, {"seed": derive_seed(seed, "dataset")}), complain)

    values = made()
    readings = {name: read_split(name, value, complain) for name, value in values.items()}
    pairs: dict[str, Pair] = {}
    for name, reading in readings.items():
        pair = None if reading is None else check_pair(name, reading.pair, complain)
        if pair is None or reading is None:
            continue
        pairs[name] = pair
        if (text := differing_item(values[name], reading)) is not None:
            complain(f"{name} changes from read to read: {text}", _FROZEN)
    if not problems:
        check_together(pairs, complain)
    if not problems:
        _check_repeats(readings, made(), complain)
    if problems:
        raise ContractError(problems)
    return as_raw(pairs)


def _check_repeats(
    readings: Mapping[str, Reading | None], again: Mapping[str, Any], complain: Complain
) -> None:
    """Complain of a data set that gives other rows when it is called again: nobody could resume on them."""
    if readings.keys() != again.keys():
        complain(f"has the splits {list(again)} when it is called again, not {list(readings)}", _SEED)
        return
    for name, reading in readings.items():
        text = None if reading is None else reading.differs(again[name])
        if text is not None:
            complain(f"gives another {name} split when it is called again: {text}", _SEED)
