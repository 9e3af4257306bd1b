"""Users' own data sets and models: ``"module:attribute"``, called, and held to their contract.

A data set: ``make_data(**options)``, with a ``seed`` too if it takes one, returns ``(inputs, targets)``, or
a mapping of ``"train"``, and if there are any ``"validation"`` and ``"test"``, to such pairs. Inputs are
uint8 or floating point, one row per example; images are (rows, channels, height, width). Targets are
class numbers from 0 without gaps (any integer type), or floating point for a regression. numpy arrays, torch
tensors and map-style torch data sets of pairs all do, also of mappings of which ``[task] columns`` names two
(Hugging Face's ``datasets.Dataset``). Called again it must return the same rows, and an item must be the same
at every read: rows are read once for the whole study. With ``[task] loader`` they are read batch by batch
instead, and iterable torch data sets do too.

A model: ``make_model(**options)``, with ``input_shape`` (of one row), ``outputs`` or torchvision's
``num_classes`` too if it takes them, returns a ``torch.nn.Module`` that maps (m, *input_shape) to
(m, outputs).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from lrstudy.errors import ContractError, Problem
from lrstudy.rules.seeding import derive_seed
from lrstudy.rules.surroundings import surroundings_kept
from lrstudy.rules.user_modules import UserCode, call, load
from lrstudy.tasks.data_contract import as_raw, check_pair, check_together
from lrstudy.tasks.item_columns import Columns
from lrstudy.tasks.user_data import Complain, Pair, Reading, by_split, differing_item, read_split

if TYPE_CHECKING:
    from lrstudy.spec import ComponentSpec
    from lrstudy.tasks.splits import RawData

_FROZEN: Final = (
    "Rows are read once and kept for the whole study, so a random change would be made once and never again. "
    "Return the rows as they are, and let task.augment, or the model while it trains, change them."
)
_SEED: Final = (
    "Draw from generators that the function makes from its seed (it gets one if it takes seed), "
    "and change nothing that the next call returns."
)


def load_attribute(part: str, name: str) -> Callable[..., Any]:
    """Return what ``module:attribute`` names; raises ``ContractError`` with the cause otherwise."""
    return load(UserCode(name, "task", part))


def _call(part: str, spec: ComponentSpec, offered: Mapping[str, Any], seed: int) -> Any:
    """Call the attribute with the options, and with those of ``offered`` that it takes.

    It draws from random states that ``seed`` gives.
    """
    function = load_attribute(part, spec.name)
    takes = _parameters(function)
    arguments = {key: value for key, value in offered.items() if key in takes} | dict(spec.options)
    return call(UserCode(spec.name, "task", part), function, options=arguments, seed=seed)


def _parameters(function: Callable[..., Any]) -> set[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some callables written in C have no signature
        return set()
    return {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def make_model(spec: ComponentSpec, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A user's own model. What it computes is checked by ``check_task``."""
    offered = {"input_shape": input_shape, "outputs": outputs, "num_classes": outputs}
    # The caller has seeded torch; the other random states follow it.
    model = _call("model", spec, offered, torch.default_generator.initial_seed())
    if not isinstance(model, nn.Module):
        message = f"returned {type(model).__name__}"
        raise ContractError(Problem("task", "model", message, "Return a torch.nn.Module.", spec.name))
    return model


def make_items(spec: ComponentSpec, seed: int) -> dict[str, Any]:
    """Return a user's own data sets by split, whose items are read batch by batch, and ``classes`` if given.

    Raises ``ContractError`` for anything but data sets.
    """
    seed = derive_seed(seed, "dataset")
    problems: list[Problem] = []

    def complain(message: str, remedy: str) -> None:
        problems.append(Problem("task", "dataset", message, remedy, spec.name))

    made = _call("dataset", spec, {"seed": seed}, seed)
    more = {}
    if isinstance(made, Mapping) and "classes" in made:
        more["classes"] = made["classes"]
        made = {name: value for name, value in made.items() if name != "classes"}
    found = {**by_split(made, complain), **more}
    if problems:
        raise ContractError(problems)
    return found


def make_data(spec: ComponentSpec, seed: int, columns: Columns = None) -> RawData:
    """A user's own data set, called twice: it must give the same rows.

    ``columns`` name input and target in items that are mappings. Raises ``ContractError`` with everything
    that is wrong with it.
    """
    seed = derive_seed(seed, "dataset")
    problems: list[Problem] = []

    def complain(message: str, remedy: str) -> None:
        problems.append(Problem("task", "dataset", message, remedy, spec.name))

    def made() -> Mapping[str, Any]:
        return by_split(_call("dataset", spec, {"seed": seed}, seed), complain)

    with surroundings_kept():  # one block: it puts random states back, and items would be drawn alike again
        pairs, readings = _read(made(), complain, columns)
        if not problems:
            check_together(pairs, complain)
        if not problems:
            _check_repeats(readings, made(), complain, columns)
    if problems:
        raise ContractError(problems)
    return as_raw(pairs)


def _read(
    values: Mapping[str, Any], complain: Complain, columns: Columns
) -> tuple[dict[str, Pair], dict[str, Reading]]:
    """The splits as checked arrays and as they were read; items are read a second time."""
    pairs: dict[str, Pair] = {}
    readings: dict[str, Reading] = {}
    for name, value in values.items():
        reading = read_split(name, value, complain, columns)
        pair = None if reading is None else check_pair(name, reading.pair, complain)
        if reading is None or pair is None:
            continue
        pairs[name], readings[name] = pair, reading
        if (text := differing_item(value, reading, columns)) is not None:
            complain(f"{name} differs between two reads: {text}", _FROZEN)
    return pairs, readings


def _check_repeats(
    readings: Mapping[str, Reading], again: Mapping[str, Any], complain: Complain, columns: Columns
) -> None:
    """Collect the problems of a data set that gives other rows when called again: no run could resume."""
    if readings.keys() != again.keys():
        complain(f"has the splits {list(again)} when it is called again, not {list(readings)}", _SEED)
        return
    for name, reading in readings.items():
        if (text := reading.differs(again[name], columns)) is not None:
            complain(f"gives another {name} split when it is called again: {text}", _SEED)
