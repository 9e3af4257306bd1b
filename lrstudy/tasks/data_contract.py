"""Checks of the arrays of a user's data set, and what they are taken for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrstudy.errors import with_article
from lrstudy.tasks.splits import RawData, Split
from lrstudy.tasks.user_data import Complain, Pair

_KINDS: Final = {"f": "floating point", "i": "integers", "u": "integers", "b": "integers"}
_RENUMBER: Final = (
    "Number the classes from 0 without gaps, in all splits alike: "
    "numpy.unique(labels, return_inverse=True)[1]. For a regression give floating-point targets."
)
_MOVE: Final = (
    "Give (rows, channels, height, width): numpy.moveaxis(inputs, 3, 1). "
    "If they are so already, swap height and width."
)


def check_pair(split: str, pair: Pair, complain: Complain) -> Pair | None:
    """Check one split; returns its arrays, or None if something is wrong."""
    sound = True

    def wrong(message: str, remedy: str) -> None:
        nonlocal sound
        sound = False
        complain(message, remedy)

    inputs, targets = pair
    if inputs.dtype != np.uint8 and inputs.dtype.kind != "f":
        wrong(f"{split} inputs have the type {_type(inputs)}", _input_remedy(inputs))
    if targets.dtype.kind not in "iufb":
        wrong(f"{split} targets have the type {_type(targets)}", _target_remedy(targets))
    if inputs.ndim < 2:
        remedy = "Give (rows, features) or (rows, channels, height, width)."
        wrong(f"{split} inputs have the shape {inputs.shape}", remedy)
    if targets.ndim < 1 or inputs.ndim < 1 or len(targets) != len(inputs):
        message = f"{split} has inputs of shape {inputs.shape} and targets of shape {targets.shape}"
        wrong(message, "Give one target per row.")
    elif not inputs.size or not targets.size:
        wrong(f"{split} is empty", "Return at least one row, or leave the split out.")
    if targets.dtype.kind in "iub" and targets.ndim > 1:
        wrong(f"{split} has class numbers of shape {targets.shape}", _labels_remedy(targets))
    if not sound:
        return None
    for name, values in (("inputs", inputs), ("targets", targets)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            wrong(f"{split} {name} hold NaN or infinity", "Remove or replace these values.")
    if _channels_last(inputs.shape):
        wrong(f"{split} inputs have the shape {inputs.shape}, channels last", _MOVE)
    if targets.dtype.kind in "iub" and targets.min() < 0:
        wrong(f"{split} has the class {targets.min()}", _RENUMBER)
    return (inputs, targets) if sound else None


def _type(values: NDArray[Any]) -> str:
    if values.dtype.kind != "O" or not values.size:
        return str(values.dtype)
    odd = values.flat[0] if _holds_numbers(values) else next(filter(_is_no_number, values.flat))
    return f"object (it holds {with_article(type(odd).__name__)})"


def _holds_numbers(values: NDArray[Any]) -> bool:
    """Return True if an array of objects holds numbers alone, as pandas' nullable types give it."""
    return values.dtype.kind == "O" and not any(map(_is_no_number, values.flat))


def _is_no_number(value: object) -> bool:
    return isinstance(value, bool) or not isinstance(value, int | float)


def _input_remedy(inputs: NDArray[Any]) -> str:
    if inputs.dtype.names:
        return "Give one column per field: numpy.lib.recfunctions.structured_to_unstructured(inputs)."
    if inputs.dtype.kind in "iub":
        return "Give uint8 or floating point: inputs.astype('float32')."
    if _holds_numbers(inputs):
        return "Give all columns one type: inputs.astype('float32')."
    return "Give uint8 or floating point, with no value missing."


def _target_remedy(targets: NDArray[Any]) -> str:
    if _holds_numbers(targets):
        return (
            "Give all columns one type: targets.astype('float32'), or one whole number per row for classes."
        )
    if targets.dtype.kind in "USO":
        return "Number the classes: numpy.unique(targets, return_inverse=True)[1]."
    return "Give integers (classes) or floating point."


def _labels_remedy(targets: NDArray[Any]) -> str:
    binary = bool(((targets == 0) | (targets == 1)).all())
    if binary and targets.shape[1] > 1 and bool((targets.sum(1) == 1).all()):
        return "Give one whole number per row, not one-hot: targets.argmax(1)."
    if binary and targets.shape[1] > 1:
        return (
            "Give one whole number per row: several labels of a row (multi-label) are not classes. "
            "For a regression on 0 and 1 give floating point."
        )
    return "Give one whole number per row: targets.ravel(). For a regression give floating point."


def _channels_last(shape: tuple[int, ...]) -> bool:
    """Return True if (rows, a, b, c) is an image of a by b with c channels rather than c wide."""
    if len(shape) != 4:
        return False
    _, first, second, last = shape
    return (last <= 4 < first) or (first == second and last < first)


def check_together(pairs: Mapping[str, Pair], complain: Complain) -> None:
    """Complain of a training split with nothing to learn, and of splits that do not fit it."""
    inputs, targets = pairs["train"]
    if targets.dtype.kind == "f":
        _check_variation(targets, complain)
    else:
        _check_classes(targets, complain)
    for name, (others, other_targets) in pairs.items():
        same = "Give all splits the same form."
        if (form := _form(others)) != (expected := _form(inputs)):
            complain(f"{name} inputs are {form}, train's are {expected}", same)
        if (form := _form(other_targets)) != (expected := _form(targets)):
            complain(f"{name} targets are {form}, train's are {expected}", same)
        elif targets.dtype.kind != "f" and len(unseen := np.setdiff1d(other_targets, targets)):
            complain(f"{name} has the class {unseen[-1]}, which train lacks", "Train on every class.")


def _check_classes(targets: NDArray[Any], complain: Complain) -> None:
    present = np.unique(targets)
    if len(present) < 2:
        complain(
            f"train has a single class, {present[0]}", "Give two classes at least, or floating-point targets."
        )
    elif int(present[-1]) != len(present) - 1:
        gaps = np.flatnonzero(present != np.arange(len(present), dtype=present.dtype))
        told = f"its {len(present)} classes run from {present[0]} to {present[-1]}"
        complain(f"train has no row of the class {gaps[0]}: {told}", _RENUMBER)


def _check_variation(targets: NDArray[Any], complain: Complain) -> None:
    columns = targets.reshape(len(targets), -1)
    constant = np.flatnonzero((columns == columns[0]).all(axis=0))
    if len(constant):
        which = "targets" if columns.shape[1] == 1 else f"targets' column {constant[0]}"
        message = f"train {which}: does not vary, every value is {columns[0, constant[0]]:g}"
        complain(message, "Give targets to learn, or leave such a column out.")


def _form(values: NDArray[Any]) -> str:
    """Return what all splits must share: 8-bit, whole or floating point, and the shape of a row."""
    kind = "uint8" if values.dtype == np.uint8 and values.ndim > 1 else _KINDS[values.dtype.kind]
    return f"{kind} of shape (rows{''.join(f', {side}' for side in values.shape[1:])})"


def as_raw(pairs: Mapping[str, Pair]) -> RawData:
    """Checked arrays as a data set; float64 stays float64: nothing is rounded before it is normalised."""
    inputs, targets = pairs["train"]
    classes = None if targets.dtype.kind == "f" else int(targets.max()) + 1
    input_type = _common_type([rows for rows, _ in pairs.values()])
    target_type = np.dtype(np.int64) if classes else _common_type([wanted for _, wanted in pairs.values()])
    splits: dict[str, Split] = {}
    for name, (rows, wanted) in pairs.items():
        shaped = wanted if classes else wanted.reshape(len(wanted), -1)
        splits[name] = Split(
            np.ascontiguousarray(rows, dtype=input_type), np.ascontiguousarray(shaped, dtype=target_type)
        )
    return RawData(
        splits["train"],
        classes=classes,
        image=inputs.ndim == 4,
        test=splits.get("test"),
        validation=splits.get("validation"),
    )


def _common_type(arrays: list[NDArray[Any]]) -> np.dtype[Any]:
    """uint8, or the wider of float32 and what the arrays have; in this machine's byte order."""
    if arrays[0].dtype == np.uint8:
        return np.dtype(np.uint8)
    return np.result_type(np.float32, *(array.dtype for array in arrays)).newbyteorder("=")
