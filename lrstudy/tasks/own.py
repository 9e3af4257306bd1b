"""Users' own data sets and models: ``"module:attribute"``, called, and held to their contract.

A data set: ``make_data(**options)``, with a ``seed`` too if it takes one, returns ``(inputs, targets)``, or
a mapping of ``"train"``, and if there are any ``"validation"`` and ``"test"``, to such pairs. Inputs are
uint8 or floating point, one row per example; images are (rows, channels, height, width). Targets are
class numbers from 0 (any integer type), or floating point for a regression. numpy arrays, torch tensors
and map-style torch data sets of pairs all do.

A model: ``make_model(**options)``, with ``input_shape`` (of one row), ``outputs`` or torchvision's
``num_classes`` too if it takes them, returns a ``torch.nn.Module`` that maps (m, *input_shape) to
(m, outputs).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lrstudy.errors import ContractError, Problem
from lrstudy.rules.user_modules import UserCode, call, load
from lrstudy.seeding import derive_seed
from lrstudy.tasks.raw import RawData, Split, classification, regression

if TYPE_CHECKING:
    from lrstudy.spec import ComponentSpec

_SPLITS: Final = ("train", "validation", "test")
_KINDS: Final = {"f": "floating point", "i": "integers", "u": "integers", "b": "integers"}


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


def make_data(spec: ComponentSpec, seed: int) -> RawData:
    """A user's own data set. Raises ``ContractError`` with everything that is wrong with it."""
    seed = derive_seed(seed, "dataset")
    made = _call("dataset", spec, {"seed": seed}, seed)
    problems: list[Problem] = []

    def complain(message: str, remedy: str) -> None:
        problems.append(Problem("task", "dataset", message, remedy, spec.name))

    pairs = {name: _pair(name, value, complain) for name, value in _by_split(made, complain).items()}
    found = {name: pair for name, pair in pairs.items() if pair is not None}
    if not problems:
        _check_together(found, complain)
    if problems:
        raise ContractError(problems)
    return _raw(found)


Pair = tuple[NDArray[Any], NDArray[Any]]
Complain = Callable[[str, str], None]


def _by_split(made: Any, complain: Complain) -> Mapping[str, Any]:
    if not isinstance(made, Mapping):
        return {"train": made}
    unknown = [str(key) for key in made if key not in _SPLITS]
    if unknown or "train" not in made:
        complain(f"returned a mapping with the keys {list(made)}", 'Use "train", "validation" and "test".')
        return {}
    return {name: made[name] for name in _SPLITS if made.get(name) is not None}


def _pair(split: str, value: Any, complain: Complain) -> Pair | None:
    """Inputs and targets of one split as arrays of the right types."""
    if isinstance(value, tuple | list) and len(value) == 2:
        columns: Sequence[Any] = value
    elif hasattr(value, "__getitem__") and hasattr(value, "__len__"):
        rows = [value[index] for index in range(len(value))]
        if not rows or any(not isinstance(row, tuple | list) or len(row) != 2 for row in rows):
            complain(f"{split} is not a sequence of (input, target) pairs", "Return (inputs, targets).")
            return None
        columns = [[_array(row[place]) for row in rows] for place in (0, 1)]
    else:
        complain(f"{split} is a {type(value).__name__}", "Return (inputs, targets).")
        return None
    try:
        inputs, targets = (_array(column) for column in columns)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged rows, sparse or unknown objects
        complain(f"{split} does not become an array: {error}", "Return arrays of one shape and type.")
        return None
    return _check_pair(split, inputs, targets, complain)


def _array(value: Any) -> NDArray[Any]:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _check_pair(split: str, inputs: NDArray[Any], targets: NDArray[Any], complain: Complain) -> Pair | None:
    sound = True

    def wrong(message: str, remedy: str) -> None:
        nonlocal sound
        sound = False
        complain(message, remedy)

    if inputs.dtype != np.uint8 and inputs.dtype.kind != "f":
        wrong(f"{split} inputs have the type {inputs.dtype}", "Give uint8 or floating point.")
    if targets.dtype.kind not in "iufb":
        wrong(f"{split} targets have the type {targets.dtype}", "Give integers (classes) or floating point.")
    if inputs.ndim < 2:
        wrong(
            f"{split} inputs have the shape {inputs.shape}",
            "Give (rows, features) or (rows, channels, height, width).",
        )
    if targets.ndim < 1 or inputs.ndim < 1 or len(targets) != len(inputs):
        wrong(
            f"{split} has inputs of shape {inputs.shape} and targets of shape {targets.shape}",
            "Give one target per row.",
        )
    elif not len(inputs) or not inputs.size:
        wrong(f"{split} is empty", "Return at least one row, or leave the split out.")
    if targets.dtype.kind in "iub" and targets.ndim > 1:
        wrong(
            f"{split} has class numbers of shape {targets.shape}",
            "Give one whole number per row, not one-hot.",
        )
    if not sound:
        return None
    for name, values in (("inputs", inputs), ("targets", targets)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            wrong(f"{split} {name} hold NaN or infinity", "Remove or replace these values.")
    if inputs.ndim == 4 and inputs.shape[3] in (1, 3) and inputs.shape[1] not in (1, 2, 3, 4):
        wrong(
            f"{split} inputs have the shape {inputs.shape}, channels last",
            "Give (rows, channels, height, width).",
        )
    if targets.dtype.kind in "iub" and sound and targets.min() < 0:
        wrong(f"{split} has the class {targets.min()}", "Number the classes from 0.")
    return (inputs, targets) if sound else None


def _check_together(pairs: Mapping[str, Pair], complain: Complain) -> None:
    inputs, targets = pairs["train"]
    if targets.dtype.kind in "iub" and targets.max() < 1:
        complain("train has a single class", "Give two classes at least, or floating-point targets.")
    for name, (others, other_targets) in pairs.items():
        same = "Give all splits the same form."
        if (form := _form(others)) != (expected := _form(inputs)):
            complain(f"{name} inputs are {form}, train's are {expected}", same)
        if (form := _form(other_targets)) != (expected := _form(targets)):
            complain(f"{name} targets are {form}, train's are {expected}", same)
        elif targets.dtype.kind != "f" and other_targets.max() > targets.max():
            complain(
                f"{name} has the class {other_targets.max()}, which train lacks", "Train on every class."
            )


def _form(values: NDArray[Any]) -> str:
    """What all splits must have in common: 8-bit, whole or floating point, and the shape of a row."""
    kind = "uint8" if values.dtype == np.uint8 and values.ndim > 1 else _KINDS[values.dtype.kind]
    return f"{kind} of shape (rows{''.join(f', {side}' for side in values.shape[1:])})"


def _raw(pairs: Mapping[str, Pair]) -> RawData:
    inputs, targets = pairs["train"]
    classes = None if targets.dtype.kind == "f" else int(targets.max()) + 1
    splits: dict[str, Split] = {}
    for name, (rows, wanted) in pairs.items():
        kept = rows if rows.dtype == np.uint8 else rows.astype(np.float32)
        splits[name] = regression(kept, wanted) if classes is None else classification(kept, wanted)
    return RawData(
        splits["train"],
        classes=classes,
        image=inputs.ndim == 4,
        test=splits.get("test"),
        validation=splits.get("validation"),
    )
